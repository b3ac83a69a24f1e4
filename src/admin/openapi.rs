//! `/api/v1/openapi.json` and `ringway openapi`: the HTTP API as an OpenAPI document.
//!
//! Schemas and descriptions of fields come from the types that are read and written and from their
//! comments, the rest from the table in `operations`; a test compares it with the routes.

mod operations;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::context::Context;
use super::error;
use operations::{Answer, MakeSchema, OPERATIONS, Operation, REFUSALS, of};

/// The routes.
pub(super) fn routes(context: &Context) -> Router<Context> {
    Router::new().route("/api/v1/openapi.json", context.guard.reads(get(openapi)))
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document())
}

/// The document, as JSON.
pub fn document() -> String {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
    });
    let mut answers = settings.clone().for_serialize().into_generator();
    let mut requests = settings.for_deserialize().into_generator();
    let refusal = of::<error::Body>(&mut answers);
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let methods = paths.entry(operation.path).or_insert_with(|| json!({}));
        methods[operation.method] = describe(operation, &mut requests, &mut answers);
    }
    let refusals: Map<String, Value> = REFUSALS
        .iter()
        .map(|(status, when)| {
            let content = json!({ "application/json": { "schema": refusal } });
            let response = json!({ "description": when, "content": content });
            (status.to_string(), response)
        })
        .collect();
    let mut schemas = requests.take_definitions(true);
    schemas.extend(answers.take_definitions(true));
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ringway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The admin listener. Over the Unix socket everything is allowed. Over TCP, GET needs no \
                            token on loopback or where no `token_file` is configured; everything else needs \
                            one, and without `token_file` it is not allowed. Names of fields are stable: later \
                            versions add some and keep these.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": refusals,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    });
    format!("{document:#}\n")
}

fn describe(
    operation: &Operation,
    requests: &mut SchemaGenerator,
    answers: &mut SchemaGenerator,
) -> Value {
    let mut described = json!({ "summary": operation.summary });
    if !operation.description.is_empty() {
        described["description"] = operation.description.into();
    }
    let mut parameters = path_parameters(operation.path);
    if let Some(query) = operation.query {
        parameters.extend(query_parameters(query));
    }
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some(body) = operation.body {
        let content = json!({ "application/json": { "schema": body(requests) } });
        described["requestBody"] = json!({ "required": true, "content": content });
    }
    let mut responses = Map::new();
    let (status, response) = describe_answer(&operation.answer, answers);
    responses.insert(status.to_owned(), response);
    if operation.path == "/readyz" {
        let content = json!({ "text/plain": { "schema": { "type": "string" } } });
        let response = json!({ "description": "The process is not ready.", "content": content });
        responses.insert("503".to_owned(), response);
    }
    for status in operation.refusals {
        let reference = format!("#/components/responses/{status}");
        responses.insert(status.to_string(), json!({ "$ref": reference }));
    }
    described["responses"] = responses.into();
    if !operation.refusals.is_empty() {
        // Whether it is needed depends on who asks from where.
        described["security"] = json!([{}, { "token": [] }]);
    }
    described
}

/// The status and the answer if nothing is refused.
fn describe_answer(answer: &Answer, answers: &mut SchemaGenerator) -> (&'static str, Value) {
    let text = json!({ "schema": { "type": "string" } });
    let mut status = "200";
    let content = match answer {
        Answer::JsonAs(other, schema) => {
            status = other;
            json!({ "application/json": { "schema": schema(answers) } })
        }
        Answer::Json(schema) => json!({ "application/json": { "schema": schema(answers) } }),
        Answer::Text(kind) => json!({ *kind: text }),
        Answer::Events(None) => json!({ "text/event-stream": text }),
        Answer::Events(Some(list)) => json!({
            "text/event-stream": text,
            "application/json": { "schema": list(answers) },
        }),
        Answer::Upgrade => {
            return ("101", json!({ "description": "The hand-over begins." }));
        }
    };
    (
        status,
        json!({ "description": "Done.", "content": content }),
    )
}

/// The names in braces.
fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('{').skip(1);
    let names = names.filter_map(|rest| rest.split_once('}'));
    names
        .map(|(name, _)| {
            let schema = json!({ "type": "string" });
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .collect()
}

/// The fields of a type that is read from a query.
fn query_parameters(query: MakeSchema) -> Vec<Value> {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let mut generator = settings
        .with(|settings| settings.inline_subschemas = true)
        .into_generator();
    let mut schema = query(&mut generator).to_value();
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    let fields = fields.map(std::mem::take).unwrap_or_default();
    fields
        .into_iter()
        .map(|(name, mut schema)| {
            let field = schema.as_object_mut();
            let description = field.and_then(|field| field.remove("description"));
            // What may be absent is null in JSON only.
            if let Some(kind) = schema.pointer("/type/0").cloned() {
                schema["type"] = kind;
            }
            json!({ "name": name, "in": "query", "description": description, "schema": schema })
        })
        .collect()
}
