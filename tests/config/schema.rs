//! `ringway schema`: editors accept what the program accepts, and see what they can of the rest.

use serde_json::Value;

use super::files;

#[path = "../support/json_schema.rs"]
mod json_schema;

/// Invalid files whose error no schema can know: they concern two values, bounds of durations and sizes,
/// or the contents of strings.
const BEYOND_A_SCHEMA: &[&str] = &[
    "admin_beyond_loopback",
    "admin_on_a_frontend",
    "admin_read_only_with_token",
    "client_files",
    "duplicate_listen_in_one_frontend",
    "duplicate_listen_in_two_frontends",
    "duplicate_server_cookies",
    "duplicate_server_names",
    "duration_out_of_bounds",
    "group_alone",
    "haproxy_socket",
    "health_check_interval_below_timeout",
    "server_port_zero",
    "sticky_in_tcp_mode",
    "sticky_in_tls_mode",
    "sticky_insecure",
    "unknown_backend",
    "unknown_backend_of_many",
    "unresolvable",
];

fn schema() -> Value {
    serde_json::from_str(&ringway::config::json_schema()).expect("JSON")
}

/// The files of a folder that are TOML, as JSON, with their names.
fn fixtures(folder: &str) -> (Vec<String>, Vec<Value>) {
    let read = |path: &std::path::PathBuf| {
        let text = String::from_utf8(std::fs::read(path).unwrap()).ok()?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let table: toml::Table = toml::from_str(text).ok()?;
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        Some((name, serde_json::to_value(table).unwrap()))
    };
    files(folder, "toml").iter().filter_map(read).unzip()
}

#[test]
fn valid_files_validate() {
    let (names, values) = fixtures("valid");
    assert_eq!(names.len(), super::VALID_COUNT);
    let errors = json_schema::errors(&[(schema(), values)]);
    for (name, error) in names.iter().zip(errors) {
        assert_eq!(error, None, "{name}");
    }
}

#[test]
fn invalid_files_do_not_unless_no_schema_can_know() {
    let (names, values) = fixtures("invalid");
    let errors = json_schema::errors(&[(schema(), values)]);
    let unseen = names
        .iter()
        .zip(&errors)
        .filter(|(_, error)| error.is_none());
    let unseen: Vec<&str> = unseen.map(|(name, _)| name.as_str()).collect();
    assert_eq!(unseen, BEYOND_A_SCHEMA);
}

#[test]
fn defaults_and_examples_match_their_own_schema() {
    let schema = schema();
    let mut parts = vec![&schema];
    let mut given = Vec::new();
    while let Some(part) = parts.pop() {
        match part {
            Value::Object(object) => parts.extend(object.values()),
            Value::Array(list) => parts.extend(list),
            _ => continue,
        }
        let examples = part.get("examples").and_then(Value::as_array);
        let examples = examples.into_iter().flatten();
        let values: Vec<Value> = examples.chain(part.get("default")).cloned().collect();
        if !values.is_empty() {
            given.push((part.clone(), values));
        }
    }
    let errors = json_schema::errors(&given);
    assert!(errors.len() > 60, "{}", errors.len());
    assert!(errors.iter().all(Option::is_none), "{errors:?}");
}
