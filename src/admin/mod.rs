//! The admin listener: shows the state of the process over HTTP, and takes actions of operators.
//!
//! It runs on the control plane's thread, next to nothing else. Workers never wait for it: what
//! it shows is read from atomics, and what it asks of them they do a piece at a time.
//!
//! | Module | Concern |
//! | --- | --- |
//! | `server`, `clients`, `socket` | connections: their bounds, who makes room, the Unix socket's file |
//! | `access` | who may do what |
//! | `context`, `state` | what handlers are given, the state that they show |
//! | `body`, `error` | what requests bring, how they are refused |
//! | `probes`, `ready` | `/healthz`, `/readyz` |
//! | `stats`, `document` | `/api/v1/stats` |
//! | `problems` | what an operator should look at now |
//! | `history` | rates and quantiles of the last minutes |
//! | `hour`, `hours` | `/api/v1/history` |
//! | `live`, `feed` | `/api/v1/stats/stream` |
//! | `streaming` | how streams are sent |
//! | `page` | the stats page |
//! | `metrics` | `/metrics` |
//! | `rows`, `columns` | HAProxy's rows and columns |
//! | `csv` | `/stats.csv` |
//! | `haproxy` | the socket for HAProxy's commands |
//! | `servers` | `/api/v1/servers/BACKEND/SERVER` |
//! | `members` | servers that are added and removed |
//! | `explain` | `/api/v1/explain` |
//! | `why` | `/api/v1/servers/BACKEND/SERVER/why` |
//! | `lookup` | servers and backends by name |
//! | `sessions` | `/api/v1/sessions` |
//! | `client_addresses` | `/api/v1/clients` |
//! | `events` | `/api/v1/events` |
//! | `openapi` | `/api/v1/openapi.json` |
//! | `reload` | `/api/v1/reload` |
//! | `takeover` | `/api/v1/takeover` |
//! | `upgrade` | `/api/v1/upgrade` |
//!
//! A route is added by a module with a function `routes`, which `router` merges, and described in
//! `openapi`.

mod access;
mod body;
mod client_addresses;
mod clients;
mod columns;
mod connection;
mod context;
mod csv;
mod document;
mod error;
mod events;
mod explain;
mod feed;
mod haproxy;
mod history;
mod hour;
mod hours;
mod live;
mod lookup;
mod members;
mod metrics;
mod openapi;
mod page;
mod probes;
mod problems;
mod ready;
mod reload;
mod rows;
mod server;
mod servers;
mod sessions;
mod socket;
mod state;
mod stats;
mod streaming;
mod takeover;
mod upgrade;
mod why;

#[cfg(test)]
mod counters;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

use crate::config;
use crate::control::api::socket_file::SocketFile;
use crate::control::api::{Actions, StartError, binding, owner};
use crate::privileges::User;
use crate::task;
use crate::token::Token;
use access::{Guard, Rights};
use context::Context;
pub(crate) use context::Succession;
use error::Refusal;
use feed::Feed;
pub use openapi::document as openapi;
pub(crate) use state::State;
use streaming::Streams;

/// Descriptors that the listeners and their clients may have open.
pub(crate) const DESCRIPTORS_MAX: u64 = server::DESCRIPTORS_MAX + haproxy::DESCRIPTORS_MAX;

/// Length of the accept queue over TCP.
const BACKLOG: i32 = 1024;

/// The listeners while they serve. The files of their sockets are removed when this is dropped.
pub(crate) struct Serving {
    tasks: Vec<JoinHandle<()>>,
    _files: Vec<SocketFile>,
}

impl Serving {
    /// Closes the listeners. Clients that are connected are served on.
    pub async fn close(self) {
        for task in self.tasks {
            task.abort();
            // It was aborted, and so the listener is closed.
            let _ = task.await;
        }
    }
}

/// The listeners, before they serve.
pub(crate) struct Admin {
    tcp: Option<(TcpListener, SocketAddr)>,
    unix: Option<(UnixListener, SocketFile)>,
    haproxy: Option<(UnixListener, SocketFile)>,
    rights: Rights,
    page: Option<String>,
}

impl Admin {
    /// Opens what is configured; the Unix socket is for `owner`, or whoever runs this.
    ///
    /// # Errors
    ///
    /// An address or a path can't be had, or the token can't be read.
    pub async fn bind(config: &config::Admin, owner: Option<User>) -> Result<Self, StartError> {
        let token = config.token_file.as_deref().map(Token::read).transpose();
        let token = token.map_err(StartError::Admin)?;
        let tcp = match config.listen {
            Some(address) => Some(bind_tcp(address).await?),
            None => None,
        };
        let group = config.socket_group.as_ref().map(|group| group.gid);
        let owner = socket::Owner { user: owner, group };
        let unix = bind_unix(config.socket.as_deref(), owner).await?;
        let haproxy = bind_unix(config.haproxy_socket.as_deref(), owner).await?;
        let page = config.page.clone();
        Ok(Admin {
            tcp,
            unix,
            haproxy,
            rights: Rights {
                token,
                read_only: config.read_only,
            },
            page,
        })
    }

    /// Where it listens over TCP.
    pub fn address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().map(|(_, address)| *address)
    }

    /// Its Unix socket.
    pub fn socket(&self) -> Option<&Path> {
        self.unix.as_ref().map(|(_, file)| file.path())
    }

    /// The Unix socket for HAProxy's commands.
    pub fn haproxy_socket(&self) -> Option<&Path> {
        self.haproxy.as_ref().map(|(_, file)| file.path())
    }

    /// Serves on the current runtime for as long as that runs, or until it is closed.
    #[must_use]
    pub fn start(self, state: State, actions: Actions, succession: Succession) -> Serving {
        let state = Arc::new(state);
        task::spawn(state::keep_history(Arc::clone(&state)));
        let feed = Feed::new();
        task::spawn(live::make(Arc::clone(&state), feed.clone()));
        let context = Context {
            feed,
            state,
            actions: Arc::new(actions),
            guard: Guard::new(self.rights),
            succession,
            event_streams: Streams::new(events::STREAMS_MAX),
            page: self.page,
        };
        let router = router(context.clone());
        let mut serving = Serving {
            tasks: Vec::new(),
            _files: Vec::new(),
        };
        if let Some((listener, _)) = self.tcp {
            let task = task::spawn(server::accept_tcp(listener, router.clone()));
            serving.tasks.push(task);
        }
        if let Some((listener, file)) = self.unix {
            let task = task::spawn(server::accept_unix(listener, router));
            serving.tasks.push(task);
            serving._files.push(file);
        }
        if let Some((listener, file)) = self.haproxy {
            let task = task::spawn(haproxy::accept(listener, context));
            serving.tasks.push(task);
            serving._files.push(file);
        }
        serving
    }
}

async fn bind_tcp(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    let what = format!("{address} (admin)");
    let bound = binding::open(&what, open, move || owner::of_address(address)).await;
    bound.map_err(|refused| StartError::Listen {
        why: binding::refusal(&address, &refused),
        what,
    })
}

async fn bind_unix(
    path: Option<&Path>,
    owner: socket::Owner,
) -> Result<Option<(UnixListener, SocketFile)>, StartError> {
    let Some(path) = path else {
        return Ok(None);
    };
    let bound = socket::bind(path, owner).await;
    bound.map(Some).map_err(|why| StartError::Listen {
        what: format!("{} (admin)", path.display()),
        why,
    })
}

fn router(context: Context) -> Router {
    Router::new()
        .merge(probes::routes())
        .merge(stats::routes(&context))
        .merge(hours::routes(&context))
        .merge(live::routes(&context))
        .merge(metrics::routes(&context))
        .merge(csv::routes(&context))
        .merge(openapi::routes(&context))
        .merge(page::routes(&context))
        .merge(events::routes(&context))
        .merge(servers::routes(&context))
        .merge(members::routes(&context))
        .merge(why::routes(&context))
        .merge(explain::routes(&context))
        .merge(sessions::routes(&context))
        .merge(client_addresses::routes(&context))
        .merge(reload::routes(&context))
        .merge(takeover::routes(&context))
        .merge(upgrade::routes(&context))
        .fallback(unknown)
        .method_not_allowed_fallback(other_method)
        .layer(axum::middleware::map_response(secured))
        .with_state(context)
}

async fn unknown() -> Refusal {
    Refusal::not_found(
        "there is no such path: see /healthz, /readyz, /api/v1/stats, /api/v1/sessions, \
         /api/v1/events and /api/v1/openapi.json",
    )
}

async fn other_method() -> Refusal {
    let why = "this method is not allowed here: the header Allow says which are";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, why)
}

/// Every answer holds for this moment only, and is nothing that a browser should run, guess about
/// or show inside another page, unless it says otherwise itself.
async fn secured(mut answer: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 5] = [
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in HEADERS {
        let headers = answer.headers_mut();
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    answer
}
