//! `ringway schema`: the JSON Schema of the configuration, for editors.
//!
//! It is of draft 7, which the editors' TOML extensions understand. What concerns two values, and
//! bounds of durations and sizes, only `ringway check` knows.

use serde_json::{Map, Value as Json, json};

use super::super::page::quoted;
use super::entry::Kind;
use super::entry::{Default, Key, Section, Text, Value, bounds, default};
use super::sections::{all_keys, section};

/// A whole number with TOML's underscores.
const NUMBER: &str = "[0-9]+(_[0-9]+)*";

/// The schema, as text.
pub fn json_schema() -> String {
    let mut schema = object(section(Kind::Root));
    let head = [
        ("$schema", "http://json-schema.org/draft-07/schema#"),
        ("title", "Configuration of Ringway"),
    ];
    for (name, text) in head {
        schema.insert(name.to_owned(), text.into());
    }
    format!("{:#}\n", Json::Object(schema))
}

/// A table with the keys of a section and no others.
fn object(section: &Section) -> Map<String, Json> {
    let properties: Map<String, Json> = all_keys(section)
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let required: Vec<&str> = all_keys(section)
        .filter(|key| matches!(key.default, Default::Required))
        .map(|key| key.name)
        .collect();
    let mut object = map(json!({
        "type": "object",
        "description": section.about,
        "properties": properties,
        "additionalProperties": false,
    }));
    if !required.is_empty() {
        object.insert("required".to_owned(), required.into());
    }
    if !section.one_needed.is_empty() {
        let one = section.one_needed.iter();
        let one: Vec<Json> = one.map(|key| json!({ "required": [key] })).collect();
        object.insert("anyOf".to_owned(), one.into());
    }
    let needs =
        all_keys(section).filter_map(|key| Some((key.name.to_owned(), json!([key.needs?]))));
    let needs: Map<String, Json> = needs.collect();
    if !needs.is_empty() {
        object.insert("dependencies".to_owned(), needs.into());
    }
    let conditions = all_keys(section).filter_map(|key| condition(section, key));
    let conditions: Vec<Json> = conditions.collect();
    if !conditions.is_empty() {
        object.insert("allOf".to_owned(), conditions.into());
    }
    object
}

/// That a key is written only with the choice that it needs.
fn condition(section: &Section, key: &Key) -> Option<Json> {
    let (other, choice) = key.only_with?;
    let by_default = all_keys(section).any(|key| {
        let default = match key.default {
            Default::Value(default) => Some(default()),
            Default::Required | Default::Words(_) => None,
        };
        key.name == other && default == Some(quoted(choice))
    });
    let mut then = json!({ "properties": { other: { "const": choice } } });
    if !by_default {
        then["required"] = json!([other]);
    }
    Some(json!({ "if": { "required": [key.name] }, "then": then }))
}

/// What may be written for a key, with what an editor shows of it.
fn property(key: &Key) -> Json {
    let mut schema = map(value(&key.value));
    schema.insert("description".to_owned(), description(key).into());
    if let Default::Value(default) = &key.default {
        schema.insert("default".to_owned(), from_toml(&default()));
    }
    if !key.example.is_empty() {
        let examples = [from_toml(key.example)];
        schema.insert("examples".to_owned(), examples.to_vec().into());
    }
    schema.into()
}

fn description(key: &Key) -> String {
    let mut text = key.meaning.to_owned();
    for (name, told) in [("Default", default(key)), ("Bounds", bounds(key))] {
        if !told.is_empty() {
            text += &format!("\n\n{name}: {told}.");
        }
    }
    if !key.note.is_empty() {
        text += &format!("\n\n{}", key.note);
    }
    text
}

fn value(value: &Value) -> Json {
    match value {
        Value::Boolean => json!({ "type": "boolean" }),
        Value::BooleanOr(word) => json!({ "anyOf": [{ "const": word }, { "type": "boolean" }] }),
        Value::Integer(bounds) => {
            let bounds = bounds();
            json!({ "type": "integer", "minimum": bounds.start(), "maximum": bounds.end() })
        }
        Value::IntegerOr(word, bounds) => {
            let integer = self::value(&Value::Integer(*bounds));
            json!({ "anyOf": [{ "const": word }, integer] })
        }
        Value::Duration(_) => {
            let units = ["d", "h", "m", "s", "ms"].map(|unit| format!("({NUMBER}{unit})?"));
            let pattern = format!("^{}$", units.concat());
            json!({ "type": "string", "pattern": pattern, "minLength": 1 })
        }
        Value::DurationOr(word, bounds) => {
            let duration = self::value(&Value::Duration(bounds.clone()));
            json!({ "anyOf": [{ "const": word }, duration] })
        }
        Value::SectionOr(word, kind) => {
            json!({ "anyOf": [{ "const": word }, object(section(*kind))] })
        }
        Value::Size(_) => {
            let pattern = format!("^{NUMBER}(B|KiB|MiB|GiB|KB|MB|GB)$");
            json!({ "type": "string", "pattern": pattern })
        }
        Value::Choice(words) => json!({ "enum": words() }),
        Value::Text(text) => string(text),
        Value::Texts(text) => json!({ "type": "array", "items": string(text), "minItems": 1 }),
        Value::NamedTexts { names, values } => json!({
            "type": "object",
            "propertyNames": string(names),
            "additionalProperties": string(values),
        }),
        Value::Tables(kind, count_max) => json!({
            "type": "array",
            "items": object(section(*kind)),
            "minItems": 1,
            "maxItems": count_max,
        }),
        Value::Section(kind) => object(section(*kind)).into(),
        Value::BooleanOrSection(kind) => {
            json!({ "anyOf": [{ "type": "boolean" }, object(section(*kind))] })
        }
        Value::NamedSections(kind) => json!({
            "type": "object",
            "propertyNames": { "pattern": Text::NAME.pattern },
            "additionalProperties": object(section(*kind)),
            "minProperties": 1,
        }),
    }
}

fn string(text: &Text) -> Json {
    let mut schema = map(json!({ "type": "string", "pattern": text.pattern }));
    if let Some(len_max) = text.len_max {
        schema.insert("maxLength".to_owned(), len_max.into());
    }
    schema.into()
}

/// A value of the file. A test makes all of them.
fn from_toml(text: &str) -> Json {
    let table: Result<toml::Table, _> = toml::from_str(&format!("value = {text}"));
    let value = table.ok().and_then(|mut table| table.remove("value"));
    serde_json::to_value(value).unwrap_or_default()
}

fn map(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}
