//! The OpenAPI document describes what there is, and what is answered is as it says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::admin_events::with_socket;
use crate::clients::{connect, round_trip};
use crate::harness::{Ringway, ScratchDirectory};
use crate::http::{Answer, Way, ask, get};
use crate::servers::Server;

#[path = "../support/json_schema.rs"]
mod json_schema;

/// What the command prints, which needs no running process.
fn document() -> Value {
    let finished = Ringway::command(&["openapi"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    serde_json::from_str(&finished.output).expect("JSON")
}

/// The methods and paths of the document.
fn described(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().expect("paths");
    let methods = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods");
        methods.keys().map(|method| (method.clone(), path.clone()))
    });
    methods.collect()
}

/// The methods and paths that the sources of the router name.
fn routed(folder: &Path, routes: &mut BTreeSet<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            routed(&path, routes);
            continue;
        }
        let text = fs::read_to_string(&path).expect("text");
        for rest in text.split(".route(").skip(1) {
            let (path, rest) = rest.split_once(',').expect("arguments");
            let path = match path.trim() {
                "api::PATH" => "/api/v1/takeover",
                path => path.trim_matches('"'),
            };
            let before = |method: &&str| rest.find(&format!("{method}(")).unwrap_or(usize::MAX);
            let method = ["get", "post", "delete"].into_iter().min_by_key(before);
            let method = method.expect("a method").to_owned();
            match path {
                // The page's second path, which the configuration names.
                "path" => {}
                "&path" => {
                    for path in ["/stats.csv", "/stats;csv"] {
                        routes.insert((method.clone(), path.to_owned()));
                    }
                }
                path => {
                    routes.insert((method, path.to_owned()));
                }
            }
        }
    }
}

#[test]
fn every_route_is_described_and_every_described_one_is_there() {
    let document = document();
    let mut routes = BTreeSet::new();
    routed(Path::new("src/admin"), &mut routes);
    assert_eq!(described(&document), routes);

    let folder = ScratchDirectory::new();
    let (setup, socket) = with_socket(&folder);
    let ringway = setup.server("a", Server::echo().address()).start();
    for (method, path) in routes {
        let path = path
            .replace("{backend}/{server}", "app/a")
            .replace("{backend}", "app")
            .replace("{id}", "1-2-3");
        let request = format!("{} {path}", method.to_uppercase());
        let stream = path.ends_with("/stream") || path.ends_with("/events");
        if stream {
            // An answer without an end.
            continue;
        }
        let answer = ask(&*socket, &request, &[], "");
        let missing = answer.status == 404 && answer.body.contains("no such path");
        assert!(!missing && answer.status != 405, "{request}: {answer:?}");
    }
    let served = get(ringway.admin(), "/api/v1/openapi.json");
    assert_eq!(served.header("content-type"), Some("application/json"));
    assert_eq!(served.json(), document);
}

/// Answers, to be compared with what the document says of them.
struct Checked {
    document: Value,
}

impl Checked {
    /// Fails unless the document has this answer to the method of the path.
    #[track_caller]
    fn check(&self, method: &str, path: &str, answer: &Answer) {
        let responses = &self.document["paths"][path][method]["responses"];
        let mut response = &responses[answer.status.to_string()];
        if let Some(reference) = response["$ref"].as_str() {
            let pointer = reference.trim_start_matches('#');
            response = self.document.pointer(pointer).expect("a response");
        }
        let mut schema = response["content"]["application/json"]["schema"].clone();
        assert!(schema.is_object(), "{method} {path}: {answer:?}");
        schema["components"] = self.document["components"].clone();
        // What is not there or of another type is an error, else nothing would have been checked.
        let instances = vec![answer.json(), json!({}), json!([])];
        let errors = json_schema::errors(&[(schema, instances)]);
        assert_eq!(errors[0], None, "{method} {path}: {}", answer.body);
        assert!(
            errors[1].is_some() && errors[2].is_some(),
            "{method} {path}"
        );
    }
}

#[test]
fn answers_are_as_the_document_says() {
    let checked = Checked {
        document: document(),
    };
    let folder = ScratchDirectory::new();
    let (setup, socket) = with_socket(&folder);
    let server = Server::echo();
    let ringway = setup.server("a", server.address()).start();
    let client = connect(ringway.address());
    round_trip(&client, b"some traffic");
    let socket = || Way::from(&*socket);
    let server_path = "/api/v1/servers/{backend}/{server}";

    for (body, status) in [
        (json!({ "weight": 2, "reason": "a test" }), 200),
        (json!({ "state": "drain" }), 200),
        (json!({ "weight": 257 }), 400),
        (json!({ "wieght": 1 }), 400),
    ] {
        let headers = [("Content-Type", "application/json")];
        let request = "POST /api/v1/servers/app/a";
        let answer = ask(socket(), request, &headers, &body.to_string());
        assert_eq!(answer.status, status, "{answer:?}");
        checked.check("post", server_path, &answer);
    }
    let answer = ask(socket(), "POST /api/v1/servers/app/a", &[], "{}");
    assert_eq!(answer.status, 415);
    checked.check("post", server_path, &answer);
    let json = [("Content-Type", "application/json")];
    let answer = ask(socket(), "POST /api/v1/servers/app/b", &json, "{}");
    assert_eq!(answer.status, 404);
    checked.check("post", server_path, &answer);
    let answer = ask(ringway.admin(), "POST /api/v1/servers/app/a", &json, "{}");
    assert_eq!(answer.status, 403);
    checked.check("post", server_path, &answer);

    let new = "{\"name\": \"b\", \"address\": \"127.0.0.1:9\"}";
    let request = "POST /api/v1/backends/app/servers";
    for status in [201, 409] {
        let answer = ask(socket(), request, &json, new);
        assert_eq!(answer.status, status, "{answer:?}");
        checked.check("post", "/api/v1/backends/{backend}/servers", &answer);
    }
    for (name, status) in [("b", 202), ("a", 409), ("c", 404)] {
        let request = format!("DELETE /api/v1/servers/app/{name}");
        let answer = ask(socket(), &request, &[], "");
        assert_eq!(answer.status, status, "{answer:?}");
        checked.check("delete", server_path, &answer);
    }

    let answer = ask(socket(), "POST /api/v1/reload", &json, "{}");
    assert_eq!(answer.status, 200, "{answer:?}");
    checked.check("post", "/api/v1/reload", &answer);
    ringway.configure("nonsense");
    let answer = ask(socket(), "POST /api/v1/reload", &json, "{}");
    assert_eq!(answer.status, 422, "{answer:?}");
    checked.check("post", "/api/v1/reload", &answer);

    for path in ["/api/v1/stats", "/api/v1/sessions"] {
        let answer = get(ringway.admin(), path);
        checked.check("get", path, &answer);
    }
    let answer = get(ringway.admin(), "/api/v1/events?follow=false");
    checked.check("get", "/api/v1/events", &answer);
    let answer = get(ringway.admin(), "/api/v1/events?follow=maybe");
    checked.check("get", "/api/v1/events", &answer);

    let sessions = get(ringway.admin(), "/api/v1/sessions").json();
    let id = sessions["sessions"][0]["id"].as_str().expect("a session");
    for status in [200, 404] {
        let answer = ask(socket(), &format!("DELETE /api/v1/sessions/{id}"), &[], "");
        assert_eq!(answer.status, status, "{answer:?}");
        checked.check("delete", "/api/v1/sessions/{id}", &answer);
    }
}

#[test]
fn every_field_and_parameter_has_a_description() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object();
    for (name, schema) in schemas.expect("schemas") {
        let fields = schema["properties"].as_object();
        for (field, schema) in fields.into_iter().flatten() {
            // A type of its own has one.
            let target = schema["$ref"].as_str().map(|r| r.trim_start_matches('#'));
            let target = target.and_then(|pointer| document.pointer(pointer));
            let mut described = [Some(schema), schema.get("items"), target]
                .into_iter()
                .flatten();
            let is_described = described
                .any(|schema| schema.get("description").is_some() || schema.get("$ref").is_some());
            assert!(is_described, "{name}.{field}");
        }
    }
    for (method, path) in described(&document) {
        let operation = &document["paths"][&path][&method];
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let is_described = parameter["in"] == "path" || parameter["description"].is_string();
            assert!(is_described, "{method} {path}: {parameter}");
        }
    }
}
