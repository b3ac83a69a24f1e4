//! `/healthz` and `/readyz`, for whoever decides whether this process gets clients. They are open to all:
//! probes know no tokens and call this host by any name.

use std::sync::Arc;

use axum::Router;
use axum::extract;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::context::Context;
use super::ready;
use super::state::State;

/// The routes.
pub(super) fn routes() -> Router<Context> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(extract::State(state): extract::State<Arc<State>>) -> Response {
    let reasons = ready::reasons(&state);
    if reasons.is_empty() {
        return "ok\n".into_response();
    }
    let body = reasons.join("\n") + "\n";
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}
