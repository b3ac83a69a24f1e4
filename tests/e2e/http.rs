//! A small HTTP client, which sends what it is told to and believes nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::clients::connect;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The number in the first line.
    pub status: u16,
    /// The lines of the head, as they came but for their ends.
    pub lines: Vec<String>,
    /// All but the first, names in small letters.
    head: Vec<(String, String)>,
    /// As long as `Content-Length` says.
    pub body: String,
}

impl Answer {
    /// The value of a header, if there is one.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.iter();
        fields
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    }

    /// The values of a header that may be there more than once.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let fields = self.head.iter().filter(|(field, _)| field == name);
        fields.map(|(_, value)| value.as_str()).collect()
    }

    /// Reads one; `None`: the connection ends or breaks before.
    pub fn read(stream: &TcpStream) -> Option<Self> {
        let mut answer = Self::read_head(stream)?;
        let length = answer.header("content-length").unwrap_or("0");
        let mut body = vec![0; length.parse().expect("a length")];
        let mut stream = stream;
        stream.read_exact(&mut body).ok()?;
        answer.body = String::from_utf8(body).expect("text");
        Some(answer)
    }

    /// Reads one that has no body, whatever its head says.
    pub fn read_head(stream: &TcpStream) -> Option<Self> {
        let lines = std::iter::from_fn(|| line(stream)).take_while(|line| !line.is_empty());
        let lines: Vec<String> = lines.collect();
        let (first, fields) = lines.split_first()?;
        let status = first.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        let field = |line: &String| {
            let (name, value) = line.split_once(':').expect("a header");
            (name.to_lowercase(), value.trim().to_owned())
        };
        Some(Answer {
            status,
            head: fields.iter().map(field).collect(),
            body: String::new(),
            lines,
        })
    }
}

/// A line without its end.
fn line(mut stream: &TcpStream) -> Option<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while byte != *b"\n" {
        stream.read_exact(&mut byte).ok()?;
        line.push(byte[0]);
    }
    let line = String::from_utf8(line).expect("text");
    Some(line.trim_end().to_owned())
}

/// Sends these bytes on a connection of their own, and reads an answer.
pub fn send(address: SocketAddr, request: &[u8]) -> Option<Answer> {
    let mut stream = connect(address);
    stream.write_all(request).ok()?;
    Answer::read(&stream)
}

/// Asks for a path; `None`: there was no answer.
pub fn try_get(address: SocketAddr, path: &str) -> Option<Answer> {
    send(
        address,
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
    )
}

/// Asks for a path, which must be answered.
#[track_caller]
pub fn get(address: SocketAddr, path: &str) -> Answer {
    try_get(address, path).unwrap_or_else(|| panic!("no answer to GET {path}"))
}

/// The statistics.
#[track_caller]
pub fn stats(admin: SocketAddr) -> Value {
    let answer = get(admin, "/api/v1/stats");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body))
}
