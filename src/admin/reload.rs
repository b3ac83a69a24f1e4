//! `POST /api/v1/reload`: the configuration is read again.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{self, Extension};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::Peer;
use super::body::JsonBody;
use super::connection::Connection;
use super::context::Context;
use super::error::Refusal;
use super::state::State;
use crate::timestamp::rfc3339;

/// How long a reload may take: names are resolved, and others may wait before it.
const TIMEOUT: Duration = Duration::from_secs(80);

/// The routes.
pub(super) fn routes(context: &Context) -> Router<Context> {
    Router::new().route("/api/v1/reload", context.guard.acts(post(reload)))
}

/// Nothing is to be said.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// The configuration in use.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Reloaded {
    /// Its number: one more with each reload that succeeded.
    version: u64,
    /// Since when it is in use; RFC 3339, UTC.
    time: String,
    /// Warnings about the file, as `ringway check` prints them; empty if there are none.
    warnings: String,
}

async fn reload(
    extract::State(state): extract::State<Arc<State>>,
    Extension(peer): Extension<Peer>,
    Extension(connection): Extension<Connection>,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Result<Json<Reloaded>, Refusal> {
    connection.allow(TIMEOUT);
    let outcome = state.reloader.reload(peer.to_string()).await;
    match outcome.result {
        Ok(warnings) => Ok(Json(Reloaded {
            version: outcome.version,
            time: rfc3339(outcome.at),
            warnings,
        })),
        Err(why) => Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, why)),
    }
}
