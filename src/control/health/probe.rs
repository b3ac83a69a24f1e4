//! One probe of one server: connect, for HTTP ask and read the status line, say what was found.
//!
//! Every way out closes the connection. Most close it by a reset: a finished TCP check has nothing
//! to say, a server that hangs or sends more than is looked at would leave it half closed, and none
//! may leave a TIME_WAIT here. Only an answer that the server itself has ended is closed in order.
//!
//! The server's `accept` does not return for a TCP check: the kernel is asked to delay the last
//! packet of the handshake, and the reset is sent in its stead (Linux,
//! `tcp_rcv_synsent_state_process`).

use std::fmt::Write;
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};

use crate::config::{Address, CheckKind, HealthCheck, SendProxy, StatusRanges};
use crate::logic::health::Cause;
use crate::logic::proxy::{ProxyVersion, write_proxy_head};
use crate::snapshot::ServerShared;
use crate::task;

/// How many bytes of a response are read at most, as in HAProxy.
const ANSWER_MAX: usize = 16 * 1024;

/// A probe of a server, with its request ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Where: the addresses of the server in their order, with the port that is checked.
    addresses: Vec<SocketAddr>,
    /// That port, if it is not the server's own.
    port: Option<u16>,
    /// Connect and answer together.
    timeout: Duration,
    /// `None`: the connection is enough.
    question: Option<Question>,
    /// Local addresses, of which one of the server's family is connected from; empty: the kernel chooses.
    source: Vec<IpAddr>,
}

/// A request and the statuses that are right.
#[derive(Clone, Debug, PartialEq)]
struct Question {
    request: Vec<u8>,
    expected: StatusRanges,
}

impl Probe {
    /// The probe that `check` configures, for the server whose address is written as `written` and was resolved
    /// to `addresses`.
    /// `send_proxy`: the PROXY head that servers of the backend get. A request begins with one that names no
    /// client, unless the check has a port of its own, at which servers mostly expect none.
    pub fn new(
        check: &HealthCheck,
        send_proxy: SendProxy,
        written: &Address,
        addresses: &[SocketAddr],
    ) -> Self {
        let port = check.port;
        let version = match send_proxy {
            SendProxy::V1 => Some(ProxyVersion::V1),
            SendProxy::V2 => Some(ProxyVersion::V2),
            SendProxy::Off => None,
        };
        let version = version.filter(|_| port.is_none_or(|port| port == written.port()));
        let question = match &check.kind {
            CheckKind::Tcp => None,
            CheckKind::Http(http) => {
                let mut request = format!("{} {} HTTP/1.1\r\nHost: ", http.method, http.path);
                // Writing to a string cannot fail.
                let _ = match &http.host {
                    Some(host) => write!(request, "{host}"),
                    None => write!(request, "{}", with_port(written, port)),
                };
                request += "\r\nConnection: close\r\nUser-Agent: ringway\r\n\r\n";
                let mut head = Vec::new();
                if let Some(version) = version {
                    write_proxy_head(version, None, &[], &mut head);
                }
                Some(Question {
                    request: [head, request.into_bytes()].concat(),
                    expected: http.expect_status.clone(),
                })
            }
        };
        let probe = Probe {
            addresses: Vec::new(),
            port,
            timeout: check.timeout,
            question,
            source: Vec::new(),
        };
        probe.at(addresses)
    }

    /// The same from these local addresses.
    pub fn from(self, source: &[IpAddr]) -> Self {
        Probe {
            source: source.to_vec(),
            ..self
        }
    }

    /// The same of a server with these addresses.
    pub fn at(&self, addresses: &[SocketAddr]) -> Self {
        let mut addresses = addresses.to_vec();
        if let Some(port) = self.port {
            addresses.iter_mut().for_each(|one| one.set_port(port));
        }
        Probe {
            addresses,
            ..self.clone()
        }
    }

    /// Where it connects to first, unless another address has worked better; `None`: the host name
    /// has not been resolved.
    pub fn address(&self) -> Option<SocketAddr> {
        self.addresses.first().copied()
    }

    /// Probes. Takes no longer than the timeout.
    pub async fn run(&self, server: &ServerShared) -> Cause {
        let deadline = Instant::now() + self.timeout;
        let mut stream = match self.connect(server, deadline).await {
            Ok(stream) => stream,
            Err(cause) => return cause,
        };
        // From here on, whatever drops it resets it.
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        let Some(question) = &self.question else {
            return Cause::L4Ok;
        };
        let Ok((cause, read)) = timeout_at(deadline, ask(&mut stream, question)).await else {
            return Cause::L7Timeout;
        };
        if matches!(cause, Cause::L7Ok(_) | Cause::L7Status(_)) {
            let drained = timeout_at(deadline, drain_response(stream, read));
            task::spawn(async { _ = drained.await });
        }
        cause
    }

    /// Connects to one address after the other, as sessions do, until one succeeds. Each has an equal
    /// share of the time that is left.
    async fn connect(&self, server: &ServerShared, deadline: Instant) -> Result<TcpStream, Cause> {
        let first = server.addresses.first();
        let count = self.addresses.len();
        let mut cause = Cause::Resolve;
        for tried in 0..count {
            let index = first.wrapping_add(tried);
            let address = self.addresses[index % count];
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

    async fn connect_to(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if self.question.is_none() {
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

/// A server's address as it is written, but for the port.
fn with_port(written: &Address, port: Option<u16>) -> Address {
    let mut written = written.clone();
    match (&mut written, port) {
        (Address::Ip(address), Some(port)) => address.set_port(port),
        (Address::Host { port: own, .. }, Some(port)) => *own = port,
        (_, None) => {}
    }
    written
}

/// Sends the request, and reads until the status is known. Returns how many bytes that took.
async fn ask(stream: &mut TcpStream, question: &Question) -> (Cause, usize) {
    if let Err(error) = stream.write_all(&question.request).await {
        return (answer_failed(&error), 0);
    }
    let mut answer = Vec::with_capacity(1024);
    loop {
        if answer.capacity() == answer.len() {
            answer.reserve(answer.len());
        }
        let cause = match stream.read_buf(&mut answer).await {
            Err(error) => answer_failed(&error),
            Ok(0) => Cause::L7Response(match final_answer(&answer) {
                Some([]) => "closed without an answer",
                Some(_) => "closed within the status line",
                None => "closed within an interim answer",
            }),
            Ok(_) => match final_answer(&answer).map_or(StatusLine::Incomplete, status_line) {
                StatusLine::Status(status) if question.expected.contains(status) => {
                    Cause::L7Ok(status)
                }
                StatusLine::Status(status) => Cause::L7Status(status),
                StatusLine::Invalid => Cause::L7Response("no HTTP status line"),
                StatusLine::Incomplete if answer.len() >= ANSWER_MAX => {
                    Cause::L7Response("endless status line")
                }
                StatusLine::Incomplete => continue,
            },
        };
        return (cause, answer.len());
    }
}

/// Reads and forgets the rest of an answer, so that a server which closes as it was asked to does
/// not meet a reset.
async fn drain_response(mut stream: TcpStream, mut read: usize) {
    let mut rest = [0; 2048];
    while read < ANSWER_MAX {
        match stream.read(&mut rest).await {
            Ok(0) => {
                let _ = SockRef::from(&stream).set_linger(None);
                return;
            }
            Ok(count) => read += count,
            Err(_) => return,
        }
    }
}

/// What the first bytes of a response say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StatusLine {
    /// Its first line is whole.
    Status(u16),
    /// More is needed.
    Incomplete,
    /// It is not HTTP/1.
    Invalid,
}

/// What follows the heads of interim answers, such as 100 or 103 (RFC 9110, section 15.2); `None`: one
/// of them has not ended yet. 101 is final here: nothing was asked that could be switched.
fn final_answer(mut answer: &[u8]) -> Option<&[u8]> {
    while let StatusLine::Status(100 | 102..=199) = status_line(answer) {
        let mut line_ends = memchr::memchr_iter(b'\n', answer);
        answer = line_ends.find_map(|end| match &answer[end + 1..] {
            [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] => Some(rest),
            _ => None,
        })?;
    }
    Some(answer)
}

/// Reads `HTTP/1.1 200 Reason` with its line end (RFC 9112, section 4); the reason may be missing.
fn status_line(answer: &[u8]) -> StatusLine {
    const SHAPE: &[u8] = b"HTTP/1.# ###";
    let fits = |(byte, shape): (&u8, &u8)| match shape {
        b'#' => byte.is_ascii_digit(),
        shape => byte == shape,
    };
    if !answer.iter().zip(SHAPE).all(fits) {
        return StatusLine::Invalid;
    }
    let Some(&after) = answer.get(SHAPE.len()) else {
        return StatusLine::Incomplete;
    };
    if !matches!(after, b' ' | b'\r' | b'\n') || answer[9] == b'0' {
        return StatusLine::Invalid;
    }
    if !answer.contains(&b'\n') {
        return StatusLine::Incomplete;
    }
    let digits = answer[9..12].iter();
    StatusLine::Status(digits.fold(0, |status, digit| status * 10 + u16::from(digit - b'0')))
}

/// The connection could not be made.
fn connect_failed(error: &Error) -> Cause {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => return Cause::Socket("out of file descriptors"),
        Some(Errno::NOMEM | Errno::NOBUFS) => return Cause::Socket("out of memory for sockets"),
        Some(Errno::ADDRNOTAVAIL) => return Cause::L4Connect("no local address or port"),
        _ => {}
    }
    match error.kind() {
        // The kernel gave up before we did.
        ErrorKind::TimedOut => Cause::L4Timeout,
        kind => Cause::L4Connect(words(kind)),
    }
}

/// The connection broke after it was made.
fn answer_failed(error: &Error) -> Cause {
    Cause::L7Response(words(error.kind()))
}

fn words(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ConnectionRefused => "connection refused",
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "connection reset",
        ErrorKind::HostUnreachable => "host unreachable",
        ErrorKind::NetworkUnreachable => "network unreachable",
        ErrorKind::PermissionDenied => "not permitted by this host",
        ErrorKind::TimedOut => "connection timed out",
        _ => "connection failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_read_as_soon_as_it_is_whole() {
        use StatusLine::{Incomplete, Invalid, Status};
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\n", Status(200)),
            ("HTTP/1.0 404\r\nX: y", Status(404)),
            ("HTTP/1.1 301 \n", Status(301)),
            ("HTTP/1.1 999 \r\n\r\nbody", Status(999)),
            ("", Incomplete),
            ("H", Incomplete),
            ("HTTP/1.1 20", Incomplete),
            ("HTTP/1.1 200", Incomplete),
            ("HTTP/1.1 200 OK", Incomplete),
            ("HTTP/1.1 200 OK\r", Incomplete),
            ("HTTP/1.1 2000\r\n", Invalid),
            ("HTTP/1.1 20 OK\r\n", Invalid),
            ("HTTP/1.1 099 \r\n", Invalid),
            ("HTTP/1.1  200\r\n", Invalid),
            ("HTTP/2 200\r\n", Invalid),
            ("http/1.1 200 OK\r\n", Invalid),
            ("SSH-2.0-x\r\n", Invalid),
            ("\r\n", Invalid),
        ] {
            assert_eq!(status_line(answer.as_bytes()), expected, "{answer:?}");
        }
    }

    #[test]
    fn interim_answers_are_passed_over() {
        let last = "HTTP/1.1 204 \r\n";
        for interim in [
            "",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 \r\n\r\n",
            "HTTP/1.1 199 \nX: y\n\n",
        ] {
            let whole = format!("{interim}{last}");
            let found = final_answer(whole.as_bytes()).map(status_line);
            assert_eq!(found, Some(StatusLine::Status(204)), "{interim:?}");
            for len in 0..whole.len() {
                let found = final_answer(&whole.as_bytes()[..len]);
                let found = found.map_or(StatusLine::Incomplete, status_line);
                assert_eq!(found, StatusLine::Incomplete, "{interim:?} {len}");
            }
        }
        let switched = b"HTTP/1.1 101 \r\n\r\nHTTP/1.1 200 \r\n";
        let found = final_answer(switched).map(status_line);
        assert_eq!(found, Some(StatusLine::Status(101)));
    }

    #[test]
    fn every_prefix_of_a_status_line_waits_for_more() {
        let line = b"HTTP/1.1 204 No Content\r\n";
        for len in 0..line.len() {
            assert_eq!(status_line(&line[..len]), StatusLine::Incomplete, "{len}");
        }
    }

    #[test]
    fn shortages_of_this_host_are_not_held_against_a_server() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS] {
            assert_eq!(connect_failed(&errno.into()).passed(), None, "{errno:?}");
        }
        let text = |errno: Errno| connect_failed(&errno.into()).to_string();
        assert_eq!(text(Errno::CONNREFUSED), "L4CON connection refused");
        assert_eq!(text(Errno::HOSTUNREACH), "L4CON host unreachable");
        assert_eq!(text(Errno::TIMEDOUT), "L4TOUT");
        let text = text(Errno::ADDRNOTAVAIL);
        assert_eq!(text, "L4CON no local address or port");
    }
}
