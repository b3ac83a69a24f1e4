//! Validates JSON against JSON Schemas, by Python's `jsonschema`: a validator in Rust would take
//! longer to build than the whole program.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Reads a list of schemas, each with a list of instances; prints the first error of each instance,
/// or null, in one list.
const SCRIPT: &str = r#"
import json, jsonschema, sys
validators = jsonschema.validators
def errors(schema, instances):
    kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    kind.check_schema(schema)
    validator = kind(schema)
    for instance in instances:
        error = next(validator.iter_errors(instance), None)
        yield error and "/" + "/".join(map(str, error.absolute_path)) + ": " + error.message
given = json.load(sys.stdin)
json.dump([error for schema, instances in given for error in errors(schema, instances)], sys.stdout)
"#;

/// What is wrong with each instance, first; `None`: nothing.
pub fn errors(given: &[(Value, Vec<Value>)]) -> Vec<Option<String>> {
    let mut python = Command::new("/usr/bin/python3")
        .args(["-W", "ignore", "-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let given = serde_json::to_vec(given).expect("JSON");
    let mut stdin = python.stdin.take().expect("a pipe");
    // If it ends early, its status says so.
    let _ = stdin.write_all(&given);
    drop(stdin);
    let output = python.wait_with_output().expect("an end");
    assert!(output.status.success(), "python3-jsonschema is installed");
    serde_json::from_slice(&output.stdout).expect("a list")
}
