//! `POST /api/v1/upgrade`: the program is started again and takes over from this process, see
//! [`crate::control::upgrade`].

use std::time::Duration;

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Serialize;

use super::access::Peer;
use super::body::JsonBody;
use super::connection::Connection;
use super::context::Context;
use super::error::Refusal;
use super::reload::Nothing;

/// How long it may take: the first health checks of the new process are among it.
const TIMEOUT: Duration = Duration::from_secs(80);

/// The routes.
pub(super) fn routes(context: &Context) -> Router<Context> {
    Router::new().route("/api/v1/upgrade", context.guard.acts(post(upgrade)))
}

/// Another process has taken over.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Upgraded {
    /// Its process id.
    pid: u32,
}

async fn upgrade(
    State(Context { succession, .. }): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(connection): Extension<Connection>,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Result<Json<Upgraded>, Refusal> {
    if !peer.is_owner() {
        let why = "a new process is started for the user that this process runs as and for root \
                   only, over the admin socket";
        return Err(Refusal::new(StatusCode::FORBIDDEN, why));
    }
    connection.allow(TIMEOUT);
    let started = succession.upgrader.start().await;
    let successor = started.map_err(|why| Refusal::new(StatusCode::CONFLICT, why))?;
    let pid = successor.pid;
    tokio::select! {
        () = succession.takeover.taken_over() => Ok(Json(Upgraded { pid })),
        () = successor.ended() => {
            let why = format!(
                "process {pid}, which was to take over, has ended: its messages in the log say why"
            );
            log::warn!("{why}");
            Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, why))
        }
    }
}
