//! HAProxy's typed and JSON formats of `show stat` and `show info` (sections 9.2 and 9.3 of the management guide).
//!
//! A field says what its value is and how values of several processes are added up. Fields that are empty are left out, as
//! there. A value that is too large for the type of its column has a larger type here, where HAProxy's wraps.

use std::fmt::Write;

use serde_json::json;

use super::super::columns::ValueType;
use super::super::rows::{Kind, Row};

/// A value with its name and what there is to know of it.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Its place in HAProxy's list.
    pub position: usize,
    pub name: &'a str,
    /// Origin, nature and scope, a letter each.
    pub tags: &'a str,
    pub value_type: ValueType,
    pub value: &'a str,
}

impl Field<'_> {
    fn value_type(&self) -> &'static str {
        match self.value_type {
            ValueType::S32 => "s32",
            ValueType::U32 if self.value.parse::<u32>().is_ok() => "u32",
            ValueType::U32 | ValueType::U64 => "u64",
            ValueType::Str => "str",
        }
    }

    /// What follows its name in a line of the typed format.
    fn typed(&self) -> String {
        format!("{}:{}:{}", self.tags, self.value_type(), self.value)
    }

    /// The members of its object in JSON, without the braces.
    fn json(&self) -> String {
        let mut tags = self.tags.chars();
        let mut tag = |words: &[(char, &'static str)]| {
            let letter = tags.next();
            let found = words.iter().find(|(known, _)| Some(*known) == letter);
            found.map_or("Unknown", |(_, word)| word)
        };
        let [origin, nature, scope] = [tag(ORIGINS), tag(NATURES), tag(SCOPES)];
        let value = match self.value_type {
            ValueType::Str => json!(self.value).to_string(),
            ValueType::S32 | ValueType::U32 | ValueType::U64 => self.value.to_owned(),
        };
        format!(
            "\"field\":{{\"pos\":{},\"name\":\"{}\"}},\"processNum\":1,\"tags\":{{\"origin\":\"{origin}\",\
             \"nature\":\"{nature}\",\"scope\":\"{scope}\"}},\"value\":{{\"type\":\"{}\",\"value\":{value}}}",
            self.position,
            self.name,
            self.value_type(),
        )
    }
}

const ORIGINS: &[(char, &str)] = &[
    ('M', "Metric"),
    ('S', "Status"),
    ('K', "Key"),
    ('C', "Config"),
    ('P', "Product"),
];

const NATURES: &[(char, &str)] = &[
    ('A', "Age"),
    ('a', "Avg"),
    ('C', "Counter"),
    ('D', "Duration"),
    ('G', "Gauge"),
    ('L', "Limit"),
    ('M', "Max"),
    ('N', "Name"),
    ('O', "Output"),
    ('R', "Rate"),
];

const SCOPES: &[(char, &str)] = &[('P', "Process"), ('S', "Service")];

/// The fields of a row.
fn fields(row: &Row) -> impl Iterator<Item = Field<'_>> {
    row.filled().map(|(position, column, value)| Field {
        position,
        name: column.name,
        tags: match row.kind {
            Kind::Backend => column.tags_of_backend(),
            Kind::Frontend | Kind::Server => column.tags,
        },
        value_type: column.value,
        value,
    })
}

/// `show stat typed`: a line for each field.
pub fn stat_typed(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let letter = match row.kind {
            Kind::Frontend => 'F',
            Kind::Backend => 'B',
            Kind::Server => 'S',
        };
        let [proxy, server] = ["iid", "sid"].map(|column| row.get(column));
        for field in fields(row) {
            let Field { position, name, .. } = field;
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "{letter}.{proxy}.{server}.{position}.{name}.1:{}",
                field.typed()
            );
        }
    }
    text
}

/// `show stat json`: an array for each row, with an object for each field.
pub fn stat_json(rows: &[Row]) -> String {
    let rows = rows.iter().map(|row| {
        let kind = match row.kind {
            Kind::Frontend => "Frontend",
            Kind::Backend => "Backend",
            Kind::Server => "Server",
        };
        let [proxy, server] = ["iid", "sid"].map(|column| row.get(column));
        let owner = format!("\"objType\":\"{kind}\",\"proxyId\":{proxy},\"id\":{server}");
        let fields = fields(row).map(|field| format!("{{{owner},{}}}", field.json()));
        format!("[{}]", fields.collect::<Vec<_>>().join(","))
    });
    format!("[{}]\n", rows.collect::<Vec<_>>().join(","))
}

/// `show info typed`: a line for each field.
pub fn info_typed<'a>(fields: impl Iterator<Item = Field<'a>>) -> String {
    let mut text = String::new();
    for field in fields {
        let Field { position, name, .. } = field;
        // Writing to a string does not fail.
        let _ = writeln!(text, "{position}.{name}.1:{}", field.typed());
    }
    text
}

/// `show info json`: an array with an object for each field.
pub fn info_json<'a>(fields: impl Iterator<Item = Field<'a>>) -> String {
    let fields = fields.map(|field| format!("{{{}}}", field.json()));
    format!("[{}]\n", fields.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(value_type: ValueType, value: &str) -> Field<'_> {
        Field {
            position: 7,
            name: "stot",
            tags: "MCP",
            value_type,
            value,
        }
    }

    #[test]
    fn a_value_has_a_type_that_holds_it() {
        for (value_type, value, written) in [
            (ValueType::U32, "4294967295", "MCP:u32:4294967295"),
            (ValueType::U32, "4294967296", "MCP:u64:4294967296"),
            (ValueType::U64, "0", "MCP:u64:0"),
            (ValueType::S32, "-1", "MCP:s32:-1"),
            (ValueType::Str, "a: b", "MCP:str:a: b"),
        ] {
            assert_eq!(field(value_type, value).typed(), written);
        }
    }

    #[test]
    fn json_is_what_haproxy_writes_and_text_is_escaped() {
        let common = "\"field\":{\"pos\":7,\"name\":\"stot\"},\"processNum\":1,\"tags\":{\"origin\":\"Metric\",\
                      \"nature\":\"Counter\",\"scope\":\"Process\"},\"value\":";
        assert_eq!(
            field(ValueType::U64, "3").json(),
            format!("{common}{{\"type\":\"u64\",\"value\":3}}")
        );
        assert_eq!(
            field(ValueType::Str, "a\"b").json(),
            format!("{common}{{\"type\":\"str\",\"value\":\"a\\\"b\"}}")
        );
    }
}
