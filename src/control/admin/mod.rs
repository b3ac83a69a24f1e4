//! The admin listener: tells over HTTP how the process is, and changes nothing.
//!
//! It runs on the control plane's thread, next to nothing else. Workers never wait for it: what
//! it shows is read from atomics. Clients are bounded in number and time, whatever they do: see
//! the constants.
//!
//! `document` is what `/api/v1/stats` answers and `stats` fills it in; `ready` answers `/readyz`.

mod document;
mod ready;
mod stats;

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::extract;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::health::ServerStatus;
use super::reload::Reloader;
use super::{Active, StartError, listeners};
use crate::shared::Shared;
use crate::snapshot::ServerShared;
use document::Stats;

/// Clients at once; a further one is told so and closed.
const CLIENTS_MAX: usize = 64;

/// Descriptors that it may have open: a listener, the clients and one that is turned away.
pub(super) const DESCRIPTORS_MAX: u64 = CLIENTS_MAX as u64 + 2;

/// How long a client may take to send a request's head, and be silent between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request may take in all, and a client to take its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// For how long a connection is used; the answer to the next request then closes it.
const CONNECTION_TIME: Duration = Duration::from_secs(60);

/// The longest head of a request; hyper allows no less than 8 KiB.
const HEAD_MAX: usize = 16 * 1024;

/// How long accepting pauses when descriptors or memory are short.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// What a client is told that is one too many.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\
    Cache-Control: no-store\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 17\r\n\r\n\
    too many clients\n";

/// Tells the health of a server.
type Statuses = Box<dyn Fn(&ServerShared) -> ServerStatus + Send + Sync>;

/// What is told of, and how long it has been so.
pub(super) struct State {
    active: watch::Receiver<Arc<Active>>,
    shared: Arc<Shared>,
    statuses: Statuses,
    reloader: Reloader,
    started: SystemTime,
    clock: Instant,
}

impl State {
    /// Of a process that starts now.
    pub fn new(
        active: watch::Receiver<Arc<Active>>,
        shared: Arc<Shared>,
        statuses: Statuses,
        reloader: Reloader,
    ) -> Self {
        State {
            active,
            shared,
            statuses,
            reloader,
            started: SystemTime::now(),
            clock: Instant::now(),
        }
    }

    /// What is in use now.
    fn active(&self) -> Arc<Active> {
        Arc::clone(&self.active.borrow())
    }
}

/// The listener, before it serves.
pub(super) struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

impl Admin {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// The address can't be had.
    pub async fn bind(address: SocketAddr) -> Result<Self, StartError> {
        let bound = TcpListener::bind(address).await.and_then(|listener| {
            let address = listener.local_addr()?;
            Ok(Admin { listener, address })
        });
        bound.map_err(|error| StartError::Listen {
            what: format!("{address} (admin)"),
            why: listeners::refusal(&address, &error),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves on the current runtime for as long as that runs.
    pub fn start(self, state: State) {
        tokio::spawn(accept(self.listener, router(Arc::new(state))));
    }
}

async fn accept(listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        let client = match listener.accept().await {
            Ok((client, _)) => client,
            // The client left before it was accepted, or something is short.
            Err(_) => {
                tokio::time::sleep(SHORTAGE_PAUSE).await;
                continue;
            }
        };
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                let router = router.clone();
                tokio::spawn(async move {
                    serve(client, router).await;
                    drop(place);
                });
            }
            Err(_) => turn_away(client),
        }
    }
}

/// Tells a client that there is no place for it, as far as that goes without waiting.
fn turn_away(client: TcpStream) {
    if let Ok(mut client) = client.into_std() {
        // Bytes that were not read when it is closed would make a reset of it.
        let _ = client.read(&mut [0; HEAD_MAX]);
        let _ = client.write(TOO_MANY);
    }
}

/// Answers the requests of one client, until either side has had enough. Bodies are never read.
async fn serve(client: TcpStream, router: Router) {
    let (begun, mut requests) = watch::channel(());
    let since = Instant::now();
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request| {
        begun.send_replace(());
        let last = since.elapsed() >= CONNECTION_TIME;
        let answer = router.call(request);
        async move {
            let mut answer: Response = match answer.await {
                Ok(answer) => answer,
                Err(never) => match never {},
            };
            if last {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(header::CONNECTION, close);
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .half_close(true)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(client), service);
    tokio::pin!(connection);
    loop {
        tokio::select! {
            // Errors are the client's: it broke off, was too slow or does not speak HTTP.
            _ = &mut connection => return,
            Ok(()) = requests.changed() => {}
            () = tokio::time::sleep(REQUEST_TIMEOUT) => return,
        }
    }
}

fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/api/v1/stats", get(stats))
        .fallback(unknown)
        .method_not_allowed_fallback(only_get)
        .layer(axum::middleware::map_response(uncached))
        .with_state(state)
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

async fn stats(extract::State(state): extract::State<Arc<State>>) -> Response {
    axum::Json(Stats::read(&state)).into_response()
}

async fn unknown() -> Response {
    let body = "not found; there are /healthz, /readyz and /api/v1/stats\n";
    (StatusCode::NOT_FOUND, body).into_response()
}

async fn only_get() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, "only GET is allowed\n").into_response()
}

/// Every answer holds for this moment only.
async fn uncached(mut answer: Response) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(header::CACHE_CONTROL, no_store);
    answer
}
