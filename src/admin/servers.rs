//! `POST /api/v1/servers/BACKEND/SERVER`: the administrative state and the weight of a server, and
//! the end of its sessions.

use axum::extract::{self, Extension, Path};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::Peer;
use super::body::JsonBody;
use super::connection::Connection;
use super::context::Context;
use super::document::ServerStats;
use super::error::Refusal;
use super::lookup::find_server;
use super::stats;
use crate::control::api::{Actions, AdminState, Attribution, CLOSE_TIMEOUT, ServerChange, Target};
use crate::worker::Filter;

/// The largest weight, as in the configuration.
const WEIGHT_MAX: u16 = 256;

/// The routes.
pub(super) fn routes(context: &Context) -> Router<Context> {
    Router::new().route(
        "/api/v1/servers/{backend}/{server}",
        context.guard.acts(post(change)),
    )
}

/// What is asked for: at least one of `state`, `weight` and `close_sessions`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ServerChange")]
pub(super) struct Change {
    /// The administrative state.
    state: Option<AdminState>,
    /// The weight; slow start goes on.
    #[schemars(range(max = 256))]
    weight: Option<u16>,
    /// A line of at most 256 characters, shown beside the state.
    reason: Option<String>,
    /// Whether the open sessions of the server are reset; they end with `K`.
    #[serde(default)]
    close_sessions: bool,
}

/// How the server is now, as `/api/v1/stats` has it, and what came of the request.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "ServerChanged")]
pub(super) struct Changed {
    #[serde(flatten)]
    pub server: ServerStats,
    /// How many sessions were closed, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions_closed: Option<u64>,
    /// A sentence, if the change could not be written to `state_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

async fn change(
    extract::State(context): extract::State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(connection): Extension<Connection>,
    Path((backend, server)): Path<(String, String)>,
    JsonBody(change): JsonBody<Change>,
) -> Result<Json<Changed>, Refusal> {
    let active = context.state.active();
    let member = find_server(&active.snapshot, &backend, &server)?;
    let target = Target {
        backend: &backend,
        server: &member.config,
        shared: &member.server,
    };
    let by =
        Attribution::now(peer.to_string(), change.reason.clone()).map_err(Refusal::bad_request)?;
    if change.weight.is_some_and(|weight| weight > WEIGHT_MAX) {
        return Err(Refusal::bad_request("weight must be 0 to 256"));
    }
    if change.state.is_none() && change.weight.is_none() && !change.close_sessions {
        return Err(Refusal::bad_request(
            "nothing is asked for: give state (ready, drain or maint), weight or close_sessions",
        ));
    }
    let mut warning = None;
    if change.state.is_some() || change.weight.is_some() {
        let change = ServerChange {
            state: change.state,
            weight: change.weight,
            by: by.clone(),
        };
        let set = context.actions.set_server(&target, change).await;
        warning = set.map_err(|why| Refusal::new(StatusCode::CONFLICT, why))?;
    }
    let mut sessions_closed = None;
    if change.close_sessions {
        connection.allow(2 * CLOSE_TIMEOUT);
        let name = (target.backend, target.server.name.as_str());
        sessions_closed = Some(close_sessions(&context.actions, name, &by).await?);
    }
    Ok(Json(Changed {
        server: stats::server(&context.state, target.server, target.shared),
        sessions_closed,
        warning,
    }))
}

/// Closes the open sessions of a server, given by the names of its backend and its own; returns how many.
pub(super) async fn close_sessions(
    actions: &Actions,
    (backend, server): (&str, &str),
    by: &Attribution,
) -> Result<u64, Refusal> {
    let what = |count| match count {
        1 => format!("1 session of server {backend}/{server}"),
        _ => format!("{count} sessions of server {backend}/{server}"),
    };
    let filter = Filter {
        backend: Some(backend.to_owned()),
        server: Some(server.to_owned()),
        ..Filter::default()
    };
    let closed = actions.close_sessions(filter, what, by).await;
    closed.map_err(|why| Refusal::new(StatusCode::GATEWAY_TIMEOUT, why))
}
