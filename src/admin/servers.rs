//! `POST /api/v1/servers/BACKEND/SERVER`: the administrative state and the weight of a server, and
//! the end of its sessions.

use std::sync::Arc;

use axum::extract::{self, Extension, Path};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::Peer;
use super::body::JsonBody;
use super::connection::Connection;
use super::document::ServerStats;
use super::error::Refusal;
use super::state::{Parts, State};
use super::stats;
use crate::control::api::CLOSE_TIMEOUT;
use crate::control::api::{Actions, Target};
use crate::control::api::{AdminState, Attribution, ServerChange};
use crate::snapshot::{Member, Snapshot};
use crate::worker::Filter;

/// The largest weight, as in the configuration.
const WEIGHT_MAX: u16 = 256;

/// Names that are at least this near to one that is unknown are proposed for it.
const NEAR: f64 = 0.7;

/// Names that are proposed at most.
const NEAR_MAX: usize = 3;

/// What the route works with.
#[derive(Clone)]
struct Context {
    state: Arc<State>,
    actions: Arc<Actions>,
}

/// The routes.
pub(super) fn routes(parts: &Parts) -> Router {
    Router::new()
        .route(
            "/api/v1/servers/{backend}/{server}",
            parts.guard.acts(post(change)),
        )
        .with_state(Context {
            state: Arc::clone(&parts.state),
            actions: Arc::clone(&parts.actions),
        })
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
    server: ServerStats,
    /// How many sessions were closed, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions_closed: Option<u64>,
    /// A sentence, if the change could not be written to `state_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

async fn change(
    extract::State(context): extract::State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(connection): Extension<Connection>,
    Path((backend, server)): Path<(String, String)>,
    JsonBody(change): JsonBody<Change>,
) -> Result<Json<Changed>, Refusal> {
    let active = context.state.active();
    let member = find(&active.snapshot, &backend, &server)?;
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
        let name = format!("{}/{}", target.backend, target.server.name);
        let what = |count| match count {
            1 => format!("1 session of server {name}"),
            _ => format!("{count} sessions of server {name}"),
        };
        let filter = Filter {
            backend: Some(target.backend.to_owned()),
            server: Some(target.server.name.clone()),
            ..Filter::default()
        };
        let closed = context.actions.close_sessions(filter, what, &by).await;
        let closed = closed.map_err(|why| Refusal::new(StatusCode::GATEWAY_TIMEOUT, why))?;
        sessions_closed = Some(closed);
    }
    Ok(Json(Changed {
        server: stats::server(&context.state, target.server, target.shared),
        sessions_closed,
        warning,
    }))
}

/// The server of this name in the backend of this name.
fn find(snapshot: &Snapshot, backend: &str, server: &str) -> Result<Member, Refusal> {
    let found = snapshot.find(backend, server);
    found.map(|(_, member)| member).ok_or_else(|| {
        let backends = snapshot.config.backends.iter().zip(&snapshot.backends);
        let all = backends.flat_map(|(backend, shared)| {
            let members = shared.members();
            let names = members.all().map(|member| member.server.name.as_str());
            let names = names.map(|server| format!("{}/{server}", backend.name));
            names.collect::<Vec<_>>()
        });
        let wanted = format!("{backend}/{server}");
        let near = near(&wanted, all);
        Refusal::not_found(match near.as_slice() {
            [] => format!("there is no server {wanted}: /api/v1/stats has the names"),
            near => format!(
                "there is no server {wanted}: did you mean {}?",
                near.join(" or ")
            ),
        })
    })
}

/// The names that are most like this one, the most first.
fn near(wanted: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    let likeness = |name: &str| strsim::jaro_winkler(wanted, name);
    let mut names: Vec<(f64, String)> = names.map(|name| (likeness(&name), name)).collect();
    names.retain(|(likeness, _)| *likeness >= NEAR);
    names.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    names.truncate(NEAR_MAX);
    names.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_near_are_proposed() {
        let all = ["app/web1", "app/web2", "db/primary"].map(str::to_owned);
        let near = |wanted| near(wanted, all.clone().into_iter());
        assert_eq!(near("app/wbe1"), ["app/web1", "app/web2"]);
        assert_eq!(near("db/primray"), ["db/primary"]);
        assert_eq!(near("zzz/zzz"), Vec::<String>::new());
    }
}
