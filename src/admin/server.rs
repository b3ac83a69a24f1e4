//! Connections of the admin listener: accepting them, and bounding what a client can take.
//!
//! Clients over TCP and over the Unix socket have slots of their own, so that no stranger keeps
//! the operator out. What requests mean is not known here: the router answers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::watch;

use super::access::Peer;
use super::clients::{Answering, Bounds, Client, Clients};
use super::connection::{Connection, Pace, REQUEST_TIMEOUT};
use super::error::Refusal;
use crate::task;

/// Clients over TCP at once. More requests than all streams together: they leave room for others.
const CLIENTS: Bounds = Bounds {
    requests: 64,
    reserve: 8,
};

/// The same over the Unix socket.
const LOCAL_CLIENTS: Bounds = CLIENTS;

/// Descriptors that they may have open: two listeners, the clients, and one of each kind that waits for room.
pub const DESCRIPTORS_MAX: u64 = 2 + CLIENTS.descriptors() + LOCAL_CLIENTS.descriptors();

/// How long a client may take to send a request's head, and be silent between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// For how long a connection is used; the answer to the next request then closes it.
const CONNECTION_TIME: Duration = Duration::from_secs(60);

/// The longest head of a request; hyper allows no less than 8 KiB.
const HEAD_MAX: usize = 16 * 1024;

/// Bytes of an answer that the kernel holds beyond what is on its way, for each client.
const UNSENT_MAX: u32 = 64 * 1024;

/// How long accepting pauses when descriptors or memory are short.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// Serves clients over TCP for as long as the runtime runs.
pub(super) async fn accept_tcp(listener: TcpListener, router: Router) {
    let clients = Clients::new(CLIENTS);
    loop {
        match listener.accept().await {
            Ok((client, address)) => {
                // Some kernels do not know the option: they hold more.
                let _ = SockRef::from(&client).set_tcp_notsent_lowat(UNSENT_MAX);
                let peer = Peer::Remote(canonical(address));
                admit(client, peer, &clients, &router).await;
            }
            // The client left before it was accepted, or something is short.
            Err(_) => tokio::time::sleep(SHORTAGE_PAUSE).await,
        }
    }
}

/// Serves clients over the Unix socket for as long as the runtime runs.
pub(super) async fn accept_unix(listener: UnixListener, router: Router) {
    let clients = Clients::new(LOCAL_CLIENTS);
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                if let Ok(peer) = local_peer(&client) {
                    admit(client, peer, &clients, &router).await;
                }
            }
            Err(_) => tokio::time::sleep(SHORTAGE_PAUSE).await,
        }
    }
}

pub(super) fn local_peer(client: &UnixStream) -> std::io::Result<Peer> {
    let credentials = client.peer_cred()?;
    Ok(Peer::Local {
        uid: credentials.uid(),
        pid: credentials.pid(),
    })
}

/// An IPv4 client of an IPv6 listener has its IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Waits until there is room for it, and serves it.
async fn admit<C>(client: C, peer: Peer, clients: &Arc<Clients>, router: &Router)
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = Connection(watch::Sender::new(Pace::Within(REQUEST_TIMEOUT)));
    let address = match &peer {
        Peer::Remote(address) => Some(address.ip()),
        Peer::Local { .. } => None,
    };
    let slot = clients.admit(&connection, address).await;
    task::spawn(serve(client, peer, connection, slot, router.clone()));
}

/// A body that is being answered until it is taken, or not wanted any more.
fn until_sent(body: Body, answering: Answering) -> Body {
    Body::new(body.map_err(move |error| {
        let _ = &answering;
        error
    }))
}

fn too_many() -> Response {
    let why = "too many requests are being answered: try again";
    let mut answer = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(header::CONNECTION, close);
    answer
}

/// Answers the requests of one client, until either side has had enough.
async fn serve(
    client: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    Connection(pace): Connection,
    slot: Arc<Client>,
    router: Router,
) {
    let mut paces = pace.subscribe();
    let since = Instant::now();
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        pace.send_replace(Pace::Within(REQUEST_TIMEOUT));
        let answering = slot.answer(request.uri().path());
        let extensions = request.extensions_mut();
        extensions.insert(peer);
        extensions.insert(Connection(pace.clone()));
        let last = since.elapsed() >= CONNECTION_TIME;
        let answer = answering.map(|answering| (answering, router.call(request)));
        async move {
            let mut answer: Response = match answer {
                Some((answering, answer)) => match answer.await {
                    Ok(answer) => answer.map(|body| until_sent(body, answering)),
                    Err(never) => match never {},
                },
                None => too_many(),
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
        .serve_connection(TokioIo::new(client), service)
        .with_upgrades();
    tokio::pin!(connection);
    loop {
        let time_left = match *paces.borrow_and_update() {
            Pace::Within(time) => Some(time),
            Pace::Endless => None,
            Pace::Over => return,
        };
        let over = async {
            match time_left {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // Errors are the client's: it broke off, was too slow or does not speak HTTP.
            _ = &mut connection => return,
            Ok(()) = paces.changed() => {}
            () = over => return,
        }
    }
}
