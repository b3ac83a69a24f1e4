//! Servers that speak HTTP: they keep connections open, and the record of what they were asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use crate::servers::{LOOPBACK, Server};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// From the first byte through the empty line.
    pub head: String,
    /// As long as `Content-Length` says, or empty if it was left.
    pub body: Vec<u8>,
}

impl Request {
    /// Reads one with its body; `None`: the connection ends or breaks before.
    pub fn read(from: &mut impl BufRead) -> Option<Self> {
        let mut request = Self::read_head(from)?;
        let length = |line: &str| -> Option<usize> {
            let (name, value) = line.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.trim().parse().expect("a length"))
        };
        let length = request.head.lines().find_map(length).unwrap_or(0);
        request.body = vec![0; length];
        from.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    /// The same, and the body is left where it is.
    pub fn read_head(from: &mut impl BufRead) -> Option<Self> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && !head.ends_with("\n\n") {
            if !matches!(from.read_line(&mut head), Ok(1..)) {
                return None;
            }
        }
        let body = Vec::new();
        Some(Self { head, body })
    }

    /// The lines of its head whose name is `Cookie`, in letters of any case.
    pub fn cookie_lines(&self) -> Vec<&str> {
        let is_cookie = |line: &&str| line.to_ascii_lowercase().starts_with("cookie:");
        self.head.lines().filter(is_cookie).collect()
    }

    /// What is asked for.
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).expect("a target")
    }
}

/// A running server.
pub struct HttpServer {
    server: Server,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl HttpServer {
    /// Answers every request with its name.
    pub fn named(name: &str) -> Self {
        Self::named_at(SocketAddr::new(LOOPBACK, 0), name)
    }

    /// The same on a port of a [`RefusingPort`](crate::servers::RefusingPort).
    pub fn named_at(address: SocketAddr, name: &str) -> Self {
        let answer = answer("200 OK", &[], name);
        Self::start_at(address, move |mut stream, _| {
            stream.write_all(&answer).is_ok()
        })
    }

    /// Answers every request with these bytes.
    pub fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |mut stream, _| stream.write_all(&answer).is_ok())
    }

    /// Runs this for each request of a connection, until it says that it will have no more of them.
    pub fn start(serve: impl Fn(&TcpStream, &Request) -> bool + Send + Sync + 'static) -> Self {
        Self::start_at(SocketAddr::new(LOOPBACK, 0), serve)
    }

    fn start_at(
        address: SocketAddr,
        serve: impl Fn(&TcpStream, &Request) -> bool + Send + Sync + 'static,
    ) -> Self {
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let record = Arc::clone(&requests);
        let server = Server::start_at(address, move |stream| {
            let mut reader = BufReader::new(stream);
            while let Some(request) = Request::read(&mut reader) {
                record.lock().expect("no panic").push(request.clone());
                if !serve(stream, &request) {
                    return;
                }
            }
        });
        Self { server, requests }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// How many connections it was given so far.
    pub fn accepted(&self) -> usize {
        self.server.accepted()
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }

    /// What it was asked last.
    pub fn last_request(&self) -> Request {
        self.requests().pop().expect("a request")
    }
}

/// An answer with a length.
pub fn answer(status: &str, lines: &[&str], body: &str) -> Vec<u8> {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{lines}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}
