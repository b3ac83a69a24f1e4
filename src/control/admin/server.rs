//! Connections of the admin listener: accepting them, and bounding what a client can take.
//!
//! Clients over TCP and over the Unix socket have places of their own, so that no stranger keeps
//! the operator out. What requests mean is not known here: the router answers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

use super::access::Peer;

/// Clients over TCP at once; a further one is told so and closed.
const CLIENTS_MAX: usize = 64;

/// The same over the Unix socket.
const LOCAL_CLIENTS_MAX: usize = 16;

/// Descriptors that it may have open: two listeners, the clients, and one of each kind that is
/// turned away.
pub(in crate::control) const DESCRIPTORS_MAX: u64 =
    2 + (CLIENTS_MAX + 1) as u64 + (LOCAL_CLIENTS_MAX + 1) as u64;

/// How long a client may take to send a request's head, and be silent between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request may take in all, and a client to take its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// For how long a connection is used; the answer to the next request then closes it.
const CONNECTION_TIME: Duration = Duration::from_secs(60);

/// The longest head of a request; hyper allows no less than 8 KiB.
const HEAD_MAX: usize = 16 * 1024;

/// Bytes of an answer that the kernel holds beyond what is on its way, for each client.
const UNSENT_MAX: u32 = 64 * 1024;

/// How long accepting pauses when descriptors or memory are short.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// What a client is told that is one too many.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\
    Cache-Control: no-store\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 17\r\n\r\n\
    too many clients\n";

/// How long the answer to a request may take from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// So long in all.
    Within(Duration),
    /// As long as the client takes what comes.
    Endless,
    /// It has taken too long.
    Over,
}

/// The connection that a request came on; requests carry it as an extension.
#[derive(Clone, Debug)]
pub(super) struct Connection(watch::Sender<Pace>);

impl Connection {
    /// The answer needs as much time as this.
    pub fn allow(&self, time: Duration) {
        self.0.send_replace(Pace::Within(time));
    }

    /// The answer has no end. Whoever sends it sees to it that the client takes it.
    pub fn allow_endless(&self) {
        self.0.send_replace(Pace::Endless);
    }

    /// The rest of an endless answer is like any other.
    pub fn end(&self) {
        self.0.send_replace(Pace::Within(REQUEST_TIMEOUT));
    }

    /// The client is not waited for any longer: the connection is closed.
    pub fn cut(&self) {
        self.0.send_replace(Pace::Over);
    }
}

/// Serves clients over TCP for as long as the runtime runs.
pub(super) async fn accept_tcp(listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        match listener.accept().await {
            Ok((client, address)) => {
                // Some kernels do not know the option: they hold more.
                let _ = SockRef::from(&client).set_tcp_notsent_lowat(UNSENT_MAX);
                admit(client, Peer::Remote(canonical(address)), &places, &router);
            }
            // The client left before it was accepted, or something is short.
            Err(_) => tokio::time::sleep(SHORTAGE_PAUSE).await,
        }
    }
}

/// Serves clients over the Unix socket for as long as the runtime runs.
pub(super) async fn accept_unix(listener: UnixListener, router: Router) {
    let places = Arc::new(Semaphore::new(LOCAL_CLIENTS_MAX));
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                if let Ok(peer) = local_peer(&client) {
                    admit(client, peer, &places, &router);
                }
            }
            Err(_) => tokio::time::sleep(SHORTAGE_PAUSE).await,
        }
    }
}

fn local_peer(client: &UnixStream) -> std::io::Result<Peer> {
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

fn admit<C>(client: C, peer: Peer, places: &Arc<Semaphore>, router: &Router)
where
    C: AsyncRead + AsyncWrite + AsFd + Unpin + Send + 'static,
{
    match Arc::clone(places).try_acquire_owned() {
        Ok(place) => {
            let router = router.clone();
            tokio::spawn(async move {
                serve(client, peer, router).await;
                drop(place);
            });
        }
        Err(_) => turn_away(&client),
    }
}

/// Tells a client that there is no place for it, as far as that goes without waiting.
fn turn_away(client: &impl AsFd) {
    // Bytes that were not read when it is closed would make a reset of it.
    let _ = rustix::io::read(client, &mut [0; HEAD_MAX]);
    let _ = rustix::io::write(client, TOO_MANY);
}

/// Answers the requests of one client, until either side has had enough.
async fn serve(
    client: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
) {
    let (pace, mut paces) = watch::channel(Pace::Within(REQUEST_TIMEOUT));
    let since = Instant::now();
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        pace.send_replace(Pace::Within(REQUEST_TIMEOUT));
        let extensions = request.extensions_mut();
        extensions.insert(peer);
        extensions.insert(Connection(pace.clone()));
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
