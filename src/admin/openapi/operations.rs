//! The methods of the API's paths: what belongs to a route and not to a type.

use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

use super::super::client_addresses::{self, Clients};
use super::super::document::Stats;
use super::super::events::{self, Events};
use super::super::explain::{self, Explanation};
use super::super::hours;
use super::super::members::{NewServer, Removal};
use super::super::reload;
use super::super::servers::{Change, Changed};
use super::super::sessions::{self, SessionsClosed};
use super::super::upgrade;
use super::super::why::Why;
use crate::control::api;

/// One method of one path.
pub(super) struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// More, in plain sentences; may be empty.
    pub description: &'static str,
    /// Parameters in the query.
    pub query: Option<MakeSchema>,
    /// The body of the request.
    pub body: Option<MakeSchema>,
    pub answer: Answer,
    /// Statuses of refusals.
    pub refusals: &'static [u16],
}

/// Makes the schema of a type.
pub(super) type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

/// What the answer is, if nothing is refused.
pub(super) enum Answer {
    Json(MakeSchema),
    /// The same with this status instead of 200.
    JsonAs(&'static str, MakeSchema),
    /// Text of this type.
    Text(&'static str),
    /// An endless stream of server-sent events, or JSON.
    Events(Option<MakeSchema>),
    /// The connection stops being HTTP.
    Upgrade,
}

/// The schema of a type.
pub(super) fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Refusals of whatever only reads.
const READ: &[u16] = &[401, 421];

/// Every method of every path.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        path: "/healthz",
        summary: "Whether the process serves",
        refusals: &[],
        ..BASE
    },
    Operation {
        path: "/readyz",
        summary: "Whether the process should get clients",
        description: "With status 503 it should not; the reasons are the lines of the text.",
        refusals: &[],
        ..BASE
    },
    Operation {
        path: "/",
        summary: "The stats page",
        description: "The page is at `page` of [admin] as well.",
        answer: Answer::Text("text/html"),
        ..BASE
    },
    Operation {
        path: "/metrics",
        summary: "All numbers, for Prometheus",
        ..BASE
    },
    Operation {
        path: "/stats.csv",
        summary: "The numbers with HAProxy's columns",
        answer: Answer::Text("text/csv"),
        ..BASE
    },
    Operation {
        path: "/stats;csv",
        summary: "The same, where HAProxy has it",
        description: "It is at the path of `page` of [admin] with `;csv` as well.",
        answer: Answer::Text("text/csv"),
        ..BASE
    },
    Operation {
        path: "/api/v1/openapi.json",
        summary: "This document",
        answer: Answer::Json(of::<Map<String, Value>>),
        ..BASE
    },
    Operation {
        path: "/api/v1/stats",
        summary: "All numbers",
        answer: Answer::Json(of::<Stats>),
        ..BASE
    },
    Operation {
        path: "/api/v1/stats/stream",
        summary: "All numbers, once a second",
        description: "The data of each message is what /api/v1/stats answers; messages have no name \
                      and no id. At most 24 streams may be open. One that does not take a message \
                      within 10 seconds is closed.",
        answer: Answer::Events(None),
        refusals: &[401, 421, 503],
        ..BASE
    },
    Operation {
        path: "/api/v1/history",
        summary: "The last hour of each backend",
        query: Some(of::<hours::Wanted>),
        answer: Answer::Json(of::<hours::Document>),
        refusals: &[400, 401, 404, 421],
        ..BASE
    },
    Operation {
        path: "/api/v1/sessions",
        summary: "The open sessions",
        query: Some(of::<sessions::Wanted>),
        answer: Answer::Json(of::<sessions::Sessions>),
        refusals: &[400, 401, 421, 504],
        ..BASE
    },
    Operation {
        method: "delete",
        path: "/api/v1/clients/{client}/sessions",
        summary: "Closes all sessions of a client",
        description: "The client is an IP address. Both sides of its sessions are reset.",
        answer: Answer::Json(of::<SessionsClosed>),
        refusals: &[400, 401, 403, 421, 504],
        ..BASE
    },
    Operation {
        method: "delete",
        path: "/api/v1/sessions/{id}",
        summary: "Closes a session",
        description: "Both sides are reset.",
        answer: Answer::Json(of::<SessionsClosed>),
        refusals: &[401, 403, 404, 421, 504],
        ..BASE
    },
    Operation {
        method: "post",
        path: "/api/v1/servers/{backend}/{server}",
        summary: "Sets the state or the weight of a server, closes its sessions",
        description: "The answer comes when the change is in effect. With `state_file` in [global] it \
                      is on disk by then.",
        body: Some(of::<Change>),
        answer: Answer::Json(of::<Changed>),
        refusals: &[400, 401, 403, 404, 409, 413, 415, 421, 504],
        ..BASE
    },
    Operation {
        method: "delete",
        path: "/api/v1/servers/{backend}/{server}",
        summary: "Removes a server that was added",
        description: "It gets no new sessions from now on, its open sessions continue, and it is forgotten \
                      when the last of them has ended. A server of the configuration file or of DNS is not \
                      removed (409), since it would come back: set it to `maint`. Of a server that is leaving \
                      already only the sessions are closed, with `now`.",
        query: Some(of::<Removal>),
        answer: Answer::JsonAs("202", of::<Changed>),
        refusals: &[400, 401, 403, 404, 409, 421, 504],
        ..BASE
    },
    Operation {
        path: "/api/v1/servers/{backend}/{server}/why",
        summary: "Why a server gets sessions, or gets none",
        description: "What took it down or up, its last health checks, the sessions that failed with it, and who \
                      ordered what. Of the last 256 servers that are gone, too.",
        answer: Answer::Json(of::<Why>),
        refusals: &[401, 404, 421],
        ..BASE
    },
    Operation {
        method: "post",
        path: "/api/v1/backends/{backend}/servers",
        summary: "Adds a server to a backend",
        description: "The answer comes when it is in effect. It stays until it is removed, over reloads, and \
                      with `state_file` in [global] over a restart. A server of the same name in the \
                      configuration file takes its place with the next reload or start.",
        body: Some(of::<NewServer>),
        answer: Answer::JsonAs("201", of::<Changed>),
        refusals: &[400, 401, 403, 404, 409, 413, 415, 421],
        ..BASE
    },
    Operation {
        path: "/api/v1/clients",
        summary: "Clients of frontends with limits for each",
        description: "Both lists have the greatest first. What is counted is in `ringway help client-rules`.",
        query: Some(of::<client_addresses::Wanted>),
        answer: Answer::Json(of::<Clients>),
        refusals: &[400, 401, 421],
        ..BASE
    },
    Operation {
        path: "/api/v1/explain",
        summary: "Which rules a new connection would meet, and which server it would get",
        description: "As it is now: nothing is taken or counted.",
        query: Some(of::<explain::Wanted>),
        answer: Answer::Json(of::<Explanation>),
        refusals: &[400, 401, 404, 421],
        ..BASE
    },
    Operation {
        path: "/api/v1/events",
        summary: "What happened and what happens",
        description: "Server-sent events: those that there are, then each as it happens. The data of \
                      each is an event as in the list, its id that of the event. At most 32 streams \
                      may be open. One that does not take a piece within 10 seconds is closed. A \
                      silent one has a comment every 5 seconds.",
        query: Some(of::<events::Wanted>),
        answer: Answer::Events(Some(of::<Events<'static>>)),
        refusals: &[400, 401, 421, 503],
        ..BASE
    },
    Operation {
        method: "post",
        path: "/api/v1/reload",
        summary: "Reads the configuration file again",
        description: "The answer comes when all workers have the new configuration, or when it is \
                      refused and nothing has changed.",
        body: Some(of::<reload::Nothing>),
        answer: Answer::Json(of::<reload::Reloaded>),
        refusals: &[400, 401, 403, 413, 415, 421, 422],
        ..BASE
    },
    Operation {
        method: "post",
        path: api::PATH,
        summary: "Hands the listeners over",
        description: "For `ringway run --takeover`, over the Unix socket only.",
        answer: Answer::Upgrade,
        refusals: &[401, 403, 421, 426],
        ..BASE
    },
    Operation {
        method: "post",
        path: "/api/v1/upgrade",
        summary: "Starts the program again, which takes over",
        description: "For `ringway upgrade`, over the Unix socket only. The answer comes when the new \
                      process accepts, or when it has ended and nothing has changed.",
        body: Some(of::<reload::Nothing>),
        answer: Answer::Json(of::<upgrade::Upgraded>),
        refusals: &[400, 401, 403, 409, 413, 415, 421, 422],
        ..BASE
    },
];

/// What most operations have in common, to be filled in.
const BASE: Operation = Operation {
    method: "get",
    path: "",
    summary: "",
    description: "",
    query: None,
    body: None,
    answer: Answer::Text("text/plain"),
    refusals: READ,
};

/// When a request is refused with a status.
pub(super) const REFUSALS: &[(u16, &str)] = &[
    (
        400,
        "The request, its JSON or its query is not what it should be.",
    ),
    (401, "A token is needed, or it is wrong."),
    (
        403,
        "Without `token_file` nothing is changed over TCP; a page of another origin asks; or it is for \
         root only.",
    ),
    (
        404,
        "There is no such backend or server (near names are proposed), or session.",
    ),
    (
        409,
        "It contradicts what there is, or another process is taking over.",
    ),
    (413, "The body is longer than 64 KiB."),
    (415, "The body is not declared as JSON."),
    (421, "The header Host names another host."),
    (
        422,
        "The configuration is refused: the error is what `ringway check` prints, or one sentence.",
    ),
    (426, "The request asks for no upgrade of the connection."),
    (503, "There are too many clients or event streams."),
    (504, "The workers did not answer in time."),
];
