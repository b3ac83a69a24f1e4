//! HTTP as far as this test needs it: one request for each connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::load::Load;

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Between two requests of a client of a load.
const BETWEEN: Duration = Duration::from_millis(10);

/// What came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// `NAME=VALUE` of the cookie that was set.
    pub cookie: Option<String>,
    pub body: String,
}

/// Asks for a path, with a cookie if there is one.
///
/// # Errors
///
/// There was no answer, or no whole one.
pub fn get(address: SocketAddr, path: &str, cookie: Option<&str>) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let cookie = cookie.map_or_else(String::new, |cookie| format!("Cookie: {cookie}\r\n"));
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{cookie}\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let short = || io::Error::other(format!("not a whole answer: {text:?}"));
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(short)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let field = |name: &str| {
        let mut lines = head.lines();
        lines.find_map(|line| {
            line.to_ascii_lowercase()
                .starts_with(name)
                .then(|| &line[name.len()..])
        })
    };
    let length = field("content-length: ").and_then(|length| length.parse().ok());
    if length.is_some_and(|length: usize| length != body.len()) {
        return Err(short());
    }
    let cookie = field("set-cookie: ").and_then(|line| line.split(';').next());
    Ok(Answer {
        status: status.ok_or_else(short)?,
        cookie: cookie.map(str::to_owned),
        body: body.trim().to_owned(),
    })
}

/// The same; the answer must be 200.
#[track_caller]
pub fn ok(address: SocketAddr, path: &str, cookie: Option<&str>) -> Answer {
    let answer = get(address, path, cookie).unwrap_or_else(|error| panic!("{address}: {error}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// Clients that ask again and again; each answer must be 200.
pub fn load(address: SocketAddr) -> Load {
    Load::start(BETWEEN, move || match get(address, "/", None)? {
        Answer { status: 200, .. } => Ok(()),
        answer => Err(io::Error::other(format!("{answer:?}"))),
    })
}
