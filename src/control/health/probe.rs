//! One probe of one server: connect, ask what is to be asked, say what was found.
//!
//! Every way out closes the connection. Most close it by a reset: a finished TCP check has nothing
//! to say, a server that hangs or sends more than is looked at would leave it half closed, and none
//! may leave a TIME_WAIT here. Only an answer that the server itself has ended is closed in order.
//!
//! The server's `accept` does not return for a TCP check that only connects: the kernel is asked to delay the
//! last packet of the handshake, and the reset is sent in its stead (Linux, `tcp_rcv_synsent_state_process`).

mod answer;
mod body;
mod connection;
mod faults;
mod request;
mod round;
mod tls;

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::sockopt;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::rustls::pki_types::ServerName;

use crate::config::{Address, Backend, CheckKind, Exchange, SendProxy, name_of_host};
use crate::logic::health::Cause;
use crate::logic::proxy::{ProxyVersion, write_proxy_head};
use crate::snapshot::ServerShared;
use crate::task;
use connection::{Connection, reset_at_close};
use faults::{answer_failed, connect_failed};
use request::Request;
pub use tls::Connector;

/// What a server on a Unix socket is called where it must have a name.
const UNIX_NAME: &str = "localhost";

/// A probe of a server, with what it asks ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Where: the addresses of the server in their order, with the port that is checked.
    addresses: Vec<SockAddr>,
    /// That port, if it is not the server's own.
    port: Option<u16>,
    /// Connect and answer together.
    timeout: Duration,
    /// `None`: in clear.
    tls: Option<Tls>,
    question: Question,
    /// What is sent before everything else: a PROXY head that names no client, or nothing.
    proxy_head: Vec<u8>,
    /// Local addresses, of which one of the server's family is connected from; empty: the kernel chooses.
    source: Vec<IpAddr>,
}

/// How the server is spoken to by TLS.
#[derive(Clone, Debug, PartialEq)]
struct Tls {
    connector: Connector,
    /// The name that it is told; `None`: its address, which is not told.
    name: Option<ServerName<'static>>,
}

/// What is asked of the server.
#[derive(Clone, Debug, PartialEq)]
enum Question {
    /// Nothing: that it is there is enough.
    Nothing,
    Exchange(Exchange),
    Request(Request),
}

impl Probe {
    /// The probe of this backend's server whose address is written as `written` and was resolved to `addresses`;
    /// `None`: it has no health check. `connector`: that of the backend, if the check is to speak TLS. Where
    /// servers get PROXY heads, what is sent begins with one that names no client, unless the check has a port
    /// of its own, at which servers mostly expect none.
    pub fn new(
        backend: &Backend,
        connector: Option<&Connector>,
        written: &Address,
        addresses: &[SockAddr],
    ) -> Option<Self> {
        let check = backend.health_check.as_ref()?;
        let port = check.port;
        let question = match &check.kind {
            CheckKind::Tcp => Question::Nothing,
            CheckKind::Exchange(exchange) => Question::Exchange(exchange.clone()),
            CheckKind::Http(http) => Question::Request(Request::new(http, &host(written, port))),
        };
        let tls = connector.map(|connector| Tls {
            name: connector.sni().cloned().or_else(|| name(written)),
            connector: connector.clone(),
        });
        let version = match backend.send_proxy {
            SendProxy::V1 => Some(ProxyVersion::V1),
            SendProxy::V2 => Some(ProxyVersion::V2),
            SendProxy::Off => None,
        };
        let mut proxy_head = Vec::new();
        if let Some(version) = version
            && (port.is_none() || port == written.port())
            && (question != Question::Nothing || tls.is_some())
        {
            write_proxy_head(version, None, &[], &mut proxy_head);
        }
        let probe = Probe {
            addresses: Vec::new(),
            port,
            timeout: check.timeout,
            tls,
            question,
            proxy_head,
            source: backend.source.clone(),
        };
        Some(probe.at(addresses))
    }

    /// The same of a server with these addresses.
    pub fn at(&self, addresses: &[SockAddr]) -> Self {
        let addresses = addresses.iter();
        Probe {
            addresses: addresses.map(|one| at_port(one, self.port)).collect(),
            ..self.clone()
        }
    }

    /// Where it connects to first, unless another address has worked better; `None`: the host name
    /// has not been resolved.
    pub fn address(&self) -> Option<&SockAddr> {
        self.addresses.first()
    }

    /// Probes. Takes no longer than the timeout.
    pub async fn run(&self, server: &ServerShared) -> Cause {
        let deadline = Instant::now() + self.timeout;
        let mut stream = match self.connect(server, deadline).await {
            Ok(stream) => stream,
            Err(cause) => return cause,
        };
        reset_at_close(&stream);
        if !self.proxy_head.is_empty() {
            // What follows it does not wait until it is acknowledged.
            let _ = stream.set_nodelay(true);
            match timeout_at(deadline, stream.write_all(&self.proxy_head)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return answer_failed(&error),
                Err(_) => return Cause::L7Timeout,
            }
        }
        let (mut connection, stands) = match &self.tls {
            None => (Connection::Plain(stream), Cause::L4Ok),
            Some(tls) => match timeout_at(deadline, tls.handshake(stream)).await {
                Ok(Ok(connection)) => (connection, Cause::L6Ok),
                Ok(Err(cause)) => return cause,
                Err(_) => return Cause::L6Timeout,
            },
        };
        match &self.question {
            Question::Nothing => stands,
            Question::Exchange(exchange) => {
                let mut answer = Vec::new();
                let round = round::exchange(&mut connection, exchange, &mut answer);
                let found = timeout_at(deadline, round).await;
                found.unwrap_or_else(|_| round::timed_out(&answer))
            }
            Question::Request(request) => {
                let asked = timeout_at(deadline, request.ask(&mut connection)).await;
                let Ok((cause, read)) = asked else {
                    return Cause::L7Timeout;
                };
                if matches!(cause, Cause::L7Ok(_) | Cause::L7Status(_)) {
                    let drained = timeout_at(deadline, drain_response(connection, read));
                    task::spawn(async { _ = drained.await });
                }
                cause
            }
        }
    }

    /// Connects to one address after the other, as sessions do, until one succeeds. Each has an equal
    /// share of the time that is left.
    async fn connect(&self, server: &ServerShared, deadline: Instant) -> Result<TcpStream, Cause> {
        let first = server.addresses.first();
        let count = self.addresses.len();
        let mut cause = Cause::Resolve;
        for tried in 0..count {
            let index = first.wrapping_add(tried);
            let address = &self.addresses[index % count];
            let now = Instant::now();
            let share = deadline.duration_since(now) / (count - tried) as u32;
            cause = match timeout_at(now + share, self.connect_to(address)).await {
                Ok(Ok(stream)) => {
                    server.addresses.prefer(index);
                    return Ok(stream);
                }
                Ok(Err(error)) => connect_failed(&error),
                Err(_) => Cause::L4Timeout,
            };
        }
        Err(cause)
    }

    async fn connect_to(&self, address: &SockAddr) -> std::io::Result<TcpStream> {
        let Some(address) = address.as_socket() else {
            return connect_to_unix(address);
        };
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if self.question == Question::Nothing && self.tls.is_none() {
            // Without it the server may notice the check, which is no reason to fail.
            let _ = sockopt::set_tcp_quickack(&socket, false);
        }
        let mut sources = self.source.iter();
        if let Some(source) = sources.find(|source| source.is_ipv4() == address.is_ipv4()) {
            socket.bind(SocketAddr::new(*source, 0))?;
        }
        let stream = socket.connect(address).await?;
        if stream.local_addr().is_ok_and(|own| own == address) {
            // Nobody listens: the kernel chose the port itself as the local one.
            return Err(ErrorKind::ConnectionRefused.into());
        }
        Ok(stream)
    }
}

impl Tls {
    async fn handshake(&self, stream: TcpStream) -> Result<Connection, Cause> {
        let name = match (&self.name, stream.peer_addr()) {
            (Some(name), _) => name.clone(),
            (None, Ok(address)) => ServerName::IpAddress(address.ip().into()),
            (None, Err(_)) => return Err(Cause::L6Response("connection reset")),
        };
        let stream = self.connector.handshake(name, stream).await?;
        Ok(Connection::Tls(Box::new(stream)))
    }
}

/// Connects to a Unix socket, which never waits: a full queue is a refusal (connect(2)).
fn connect_to_unix(address: &SockAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    socket
        .connect(address)
        .map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::NotFound => ErrorKind::ConnectionRefused.into(),
            _ => error,
        })?;
    // It reads and writes any stream socket.
    TcpStream::from_std(OwnedFd::from(socket).into())
}

/// An address with this port, if it has one.
fn at_port(address: &SockAddr, port: Option<u16>) -> SockAddr {
    match (address.as_socket(), port) {
        (Some(mut address), Some(port)) => {
            address.set_port(port);
            address.into()
        }
        (_, _) => address.clone(),
    }
}

/// How the server at an address is called in a request to this port: as it is written.
fn host(written: &Address, port: Option<u16>) -> String {
    match (written, port) {
        (Address::Ip(address), Some(port)) => SocketAddr::new(address.ip(), port).to_string(),
        (Address::Host { host, .. }, Some(port)) => format!("{host}:{port}"),
        (Address::Unix(_), _) => UNIX_NAME.to_owned(),
        (Address::Ip(_) | Address::Host { .. }, None) => written.to_string(),
    }
}

/// The name in a server's address.
fn name(written: &Address) -> Option<ServerName<'static>> {
    match written {
        Address::Ip(_) => None,
        Address::Unix(_) => ServerName::try_from(UNIX_NAME).ok(),
        Address::Host { host, .. } => name_of_host(host),
    }
}

/// Reads and forgets the rest of an answer, of which `read` bytes were read, so that a server which closes as it
/// was asked to does not meet a reset.
async fn drain_response(mut connection: Connection, mut read: usize) {
    let mut rest = Vec::with_capacity(2048);
    loop {
        rest.clear();
        match connection.read(&mut rest).await {
            Ok(0) => return connection.close_in_order(),
            Ok(count) => read += count,
            Err(_) => return,
        }
        if read >= request::HEAD_MAX {
            return;
        }
    }
}
