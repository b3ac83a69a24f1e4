//! `/api/v1/sessions`: the open sessions, and the end of one.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{self, Extension, Path, Query};
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::Peer;
use super::connection::Connection;
use super::context::Context;
use super::error::Refusal;
use crate::control::api::{Actions, Attribution, CLOSE_TIMEOUT};
use crate::logic::session::Side;
use crate::worker::{Filter, SessionId, SessionInfo};

/// How many sessions are listed if the request does not say.
const LIMIT_DEFAULT: usize = 100;

/// The most that can be asked for.
const LIMIT_MAX: usize = 10_000;

/// The routes.
pub(super) fn routes(context: &Context) -> Router<Context> {
    Router::new()
        .route("/api/v1/sessions", context.guard.reads(get(list)))
        .route("/api/v1/sessions/{id}", context.guard.acts(delete(kill)))
        .route(
            "/api/v1/clients/{client}/sessions",
            context.guard.acts(delete(kill_all)),
        )
}

/// What may stand behind the question mark.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only sessions of this frontend.
    frontend: Option<String>,
    /// Only sessions of this backend.
    backend: Option<String>,
    /// Only sessions of servers of this name.
    server: Option<String>,
    /// Only sessions of the client with this IP address.
    client: Option<IpAddr>,
    /// How many sessions are listed at most: 100 unless given, 10,000 at most.
    limit: Option<usize>,
}

/// The open sessions, the oldest first.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "OpenSessions")]
pub(super) struct Sessions {
    /// How many sessions there are, listed or not.
    count: u64,
    sessions: Vec<Session>,
}

/// An open session.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "OpenSession")]
struct Session {
    /// What `DELETE /api/v1/sessions/{id}` calls it; no other session of the process ever has it.
    id: String,
    /// The client's address; null: the kernel does not know it any more.
    client: Option<String>,
    /// The peer of the client's connection: another address if a PROXY head named the client.
    peer: Option<String>,
    /// The name of the frontend.
    frontend: String,
    /// The name of the backend; null: none is chosen yet, in TLS mode.
    backend: Option<String>,
    /// The name of the server; null: none was chosen yet.
    server: Option<String>,
    /// What the session does: `reading` a request, `choosing` a server, `queued`, `short` of
    /// descriptors, memory or ports, `pausing` before a server is tried again, `connecting`,
    /// `relaying`, `answering` or `closing`.
    state: &'static str,
    /// Milliseconds since the session was accepted.
    age_ms: u64,
    /// Milliseconds since a byte moved.
    idle_ms: u64,
    /// Bytes read from the client so far.
    bytes_from_client: u64,
    /// Bytes read from the server so far.
    bytes_from_server: u64,
}

/// How many sessions were closed.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct SessionsClosed {
    /// Sessions that were open.
    sessions_closed: u64,
}

impl Session {
    fn new(info: SessionInfo) -> Self {
        Session {
            id: shown(info.id),
            client: info.client.map(|client| client.to_string()),
            peer: info.peer.map(|peer| peer.to_string()),
            frontend: info.frontend,
            backend: info.backend,
            server: info.server,
            state: info.state,
            age_ms: millis(info.age),
            idle_ms: millis(info.idle),
            bytes_from_client: info.bytes[Side::Client.index()],
            bytes_from_server: info.bytes[Side::Server.index()],
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

async fn list(
    extract::State(actions): extract::State<Arc<Actions>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Sessions>, Refusal> {
    let Query(wanted) = wanted.map_err(|why| Refusal::bad_request(why.body_text()))?;
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT);
    if limit > LIMIT_MAX {
        return Err(Refusal::bad_request(format!(
            "limit must be 0 to {LIMIT_MAX}"
        )));
    }
    let filter = Filter {
        id: None,
        frontend: wanted.frontend,
        backend: wanted.backend,
        server: wanted.server,
        client: wanted.client,
        connected_to: None,
    };
    let report = actions.list_sessions(filter, limit).await.map_err(late)?;
    Ok(Json(Sessions {
        count: report.count,
        sessions: report.sessions.into_iter().map(Session::new).collect(),
    }))
}

async fn kill_all(
    extract::State(actions): extract::State<Arc<Actions>>,
    Extension(peer): Extension<Peer>,
    Extension(connection): Extension<Connection>,
    Path(client): Path<String>,
) -> Result<Json<SessionsClosed>, Refusal> {
    let client: IpAddr = client.parse().map_err(|_| {
        Refusal::bad_request(format!("a client is an IP address, and not `{client}`"))
    })?;
    let by = Attribution::now(peer.to_string(), None).map_err(Refusal::bad_request)?;
    connection.allow(2 * CLOSE_TIMEOUT);
    let what = |count| match count {
        1 => format!("1 session of client {client}"),
        _ => format!("{count} sessions of client {client}"),
    };
    let filter = Filter {
        client: Some(client),
        ..Filter::default()
    };
    let closed = actions.close_sessions(filter, what, &by).await;
    Ok(Json(SessionsClosed {
        sessions_closed: closed.map_err(late)?,
    }))
}

async fn kill(
    extract::State(actions): extract::State<Arc<Actions>>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<String>,
) -> Result<Json<SessionsClosed>, Refusal> {
    let gone = || Refusal::not_found(format!("there is no session {id}: it may have ended"));
    let filter = Filter {
        id: Some(parse(&id).ok_or_else(gone)?),
        ..Filter::default()
    };
    let by = Attribution::now(peer.to_string(), None).map_err(Refusal::bad_request)?;
    let closed = actions
        .close_sessions(filter, |_| format!("session {id}"), &by)
        .await
        .map_err(late)?;
    if closed == 0 {
        return Err(gone());
    }
    Ok(Json(SessionsClosed {
        sessions_closed: closed,
    }))
}

fn late(why: &str) -> Refusal {
    Refusal::new(StatusCode::GATEWAY_TIMEOUT, why)
}

/// Worker, slot, and when it began.
fn shown(id: SessionId) -> String {
    format!("{}-{}-{}", id.worker, id.slot, id.started)
}

fn parse(text: &str) -> Option<SessionId> {
    let mut numbers = text.splitn(3, '-');
    Some(SessionId {
        worker: numbers.next()?.parse().ok()?,
        slot: numbers.next()?.parse().ok()?,
        started: numbers.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_shown() {
        let id = SessionId {
            worker: 3,
            slot: 70_000,
            started: 1 << 60,
        };
        assert_eq!(shown(id), "3-70000-1152921504606846976");
        assert_eq!(parse(&shown(id)), Some(id));
        for wrong in [
            "",
            "3",
            "3-4",
            "3-4-5-6",
            "-3-4-5",
            "a-b-c",
            "3-4-99999999999999999999",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
