//! `/api/v1/history`: the last hour of each backend.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{self, Query};
use axum::routing::get;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::error::Refusal;
use super::hour::{BackendHistory, INTERVAL};
use super::lookup::unknown_backend;
use super::state::State;

/// The last hour of backends.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "History")]
pub(super) struct Document {
    /// Seconds from one point to the next.
    interval_s: u64,
    /// In the order of the configuration file.
    backends: Vec<BackendHistory>,
}

/// What may stand behind the question mark.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WantedHistory")]
pub(super) struct Wanted {
    /// Only this backend.
    backend: Option<String>,
}

/// The routes.
pub(super) fn routes(context: &Context) -> Router<Context> {
    Router::new().route("/api/v1/history", context.guard.reads(get(history)))
}

async fn history(
    extract::State(state): extract::State<Arc<State>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Document>, Refusal> {
    let Query(wanted) = wanted.map_err(|why| Refusal::bad_request(why.body_text()))?;
    let active = state.active();
    let names = active.snapshot.config.backends.iter().map(|it| &it.name);
    let names: Vec<&String> = names
        .filter(|name| wanted.backend.as_ref().is_none_or(|it| it == *name))
        .collect();
    if let (Some(wanted), []) = (&wanted.backend, names.as_slice()) {
        return Err(unknown_backend(&active.snapshot, wanted));
    }
    let backends = names
        .into_iter()
        .map(|name| state.history.hour(name, |hour| hour.document(name)));
    Ok(Json(Document {
        interval_s: INTERVAL.as_secs(),
        backends: backends.collect(),
    }))
}
