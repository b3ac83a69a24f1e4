//! `POST /api/v1/backends/BACKEND/servers` and `DELETE /api/v1/servers/BACKEND/SERVER`: servers that operators add
//! to a running process, and remove.

use axum::extract::rejection::QueryRejection;
use axum::extract::{self, Extension, Path, Query};
use axum::http::StatusCode;
use axum::routing::{delete, post};
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Deserialize;

use super::access::Peer;
use super::body::JsonBody;
use super::connection::Connection;
use super::context::Context;
use super::error::Refusal;
use super::lookup::{find_server, unknown_backend};
use super::servers::{Changed, close_sessions};
use super::stats;
use crate::config::Server;
use crate::control::api::{Attribution, CLOSE_TIMEOUT, Refused, Set};

/// The routes.
pub(super) fn routes(context: &Context) -> Router<Context> {
    Router::new()
        .route(
            "/api/v1/backends/{backend}/servers",
            context.guard.acts(post(add)),
        )
        .route(
            "/api/v1/servers/{backend}/{server}",
            context.guard.acts(delete(remove)),
        )
}

/// A server that is to be added.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewServer {
    /// A name that no server of the backend has: 1 to 64 letters, digits, `_`, `.` and `-`.
    name: String,
    /// `IP:port`, `[IPv6]:port` or `host:port`.
    address: String,
    /// The weight; 1 unless given.
    #[schemars(range(max = 256))]
    weight: Option<u16>,
    /// The most sessions at once, at least 1; no limit unless given.
    #[schemars(range(min = 1))]
    max_sessions: Option<u32>,
    /// Whether it is used only when no other server can be.
    #[serde(default)]
    backup: bool,
    /// A line of at most 256 characters, shown beside the server.
    reason: Option<String>,
}

/// What may stand behind the question mark.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Removal {
    /// Whether the open sessions of the server are reset; they end with `K`.
    #[serde(default)]
    now: bool,
    /// A line of at most 256 characters, for the event.
    reason: Option<String>,
}

async fn add(
    extract::State(context): extract::State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(connection): Extension<Connection>,
    Path(backend): Path<String>,
    JsonBody(wanted): JsonBody<NewServer>,
) -> Result<(StatusCode, Json<Changed>), Refusal> {
    let by = Attribution::now(peer.to_string(), wanted.reason).map_err(Refusal::bad_request)?;
    let (weight, max) = (wanted.weight, wanted.max_sessions);
    let server = Server::added(&wanted.name, &wanted.address, weight, max, wanted.backup);
    let server = server.map_err(|problem| Refusal::bad_request(problem.to_string()))?;
    // A host name is resolved.
    connection.allow(CLOSE_TIMEOUT);
    let added = context.actions.add_server(&backend, server, &by).await;
    let set = added.map_err(|why| match why {
        Refused::Unknown => unknown_backend(&context.state.active().snapshot, &backend),
        Refused::Conflict(why) => Refusal::new(StatusCode::CONFLICT, why),
    })?;
    Ok((StatusCode::CREATED, Json(changed(&context, set, None))))
}

async fn remove(
    extract::State(context): extract::State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(connection): Extension<Connection>,
    Path((backend, server)): Path<(String, String)>,
    query: Result<Query<Removal>, QueryRejection>,
) -> Result<(StatusCode, Json<Changed>), Refusal> {
    let Query(wanted) = query.map_err(|why| Refusal::bad_request(why.body_text()))?;
    let by = Attribution::now(peer.to_string(), wanted.reason).map_err(Refusal::bad_request)?;
    connection.allow(2 * CLOSE_TIMEOUT);
    let removed = context.actions.remove_server(&backend, &server, &by).await;
    let set = match removed {
        Ok(set) => set,
        Err(Refused::Conflict(why)) => return Err(Refusal::new(StatusCode::CONFLICT, why)),
        Err(Refused::Unknown) => {
            let snapshot = &context.state.active().snapshot;
            find_server(snapshot, &backend, &server)?;
            return Err(Refusal::not_found(format!(
                "there is no server {backend}/{server} any more"
            )));
        }
    };
    let mut closed = None;
    if wanted.now {
        closed = Some(close_sessions(&context.actions, (&backend, &server), &by).await?);
    }
    Ok((StatusCode::ACCEPTED, Json(changed(&context, set, closed))))
}

fn changed(context: &Context, set: Set, sessions_closed: Option<u64>) -> Changed {
    let member = set.member;
    Changed {
        server: stats::server(&context.state, &member.config, &member.server),
        sessions_closed,
        warning: set.warning,
    }
}
