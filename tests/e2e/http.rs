//! A small HTTP client, which sends what it is told to and believes nothing.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::clients::connect;
use crate::wait::DEADLINE;

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

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(
            self.header("content-type"),
            Some("application/json"),
            "{self:?}"
        );
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The sentence of a refusal.
    #[track_caller]
    pub fn error(&self) -> String {
        let body = self.json();
        assert_eq!(
            body.as_object().map(serde_json::Map::len),
            Some(1),
            "{body}"
        );
        body["error"].as_str().expect("a sentence").to_owned()
    }

    /// Reads one; `None`: the connection ends or breaks before.
    pub fn read(mut stream: impl Read) -> Option<Self> {
        let mut answer = Self::read_head(&mut stream)?;
        let length = answer.header("content-length").unwrap_or("0");
        let mut body = vec![0; length.parse().expect("a length")];
        stream.read_exact(&mut body).ok()?;
        answer.body = String::from_utf8(body).expect("text");
        Some(answer)
    }

    /// Reads one that has no body, whatever it says of its length.
    pub fn read_head(mut stream: impl Read) -> Option<Self> {
        let lines = std::iter::from_fn(|| line(&mut stream)).take_while(|line| !line.is_empty());
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
pub fn line(stream: &mut impl Read) -> Option<String> {
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
    Answer::read(stream)
}

/// The way to an admin listener.
#[derive(Clone, Debug)]
pub enum Way {
    /// Over TCP.
    Tcp(SocketAddr),
    /// Over the Unix socket at this path.
    Unix(PathBuf),
}

impl From<SocketAddr> for Way {
    fn from(address: SocketAddr) -> Self {
        Way::Tcp(address)
    }
}

impl From<&Path> for Way {
    fn from(path: &Path) -> Self {
        Way::Unix(path.to_owned())
    }
}

impl Way {
    /// A connection that breaks at the deadline, and the name of who is asked.
    #[track_caller]
    pub fn open(&self) -> (Box<dyn Stream>, String) {
        match self {
            Way::Tcp(address) => (Box::new(connect(*address)), address.to_string()),
            Way::Unix(path) => {
                let stream = UnixStream::connect(path);
                let stream = stream.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
                (Box::new(stream), "localhost".to_owned())
            }
        }
    }
}

/// Either kind of connection.
pub trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// Sends a request with these headers, `Host` unless there is one, and a body if there is one.
#[track_caller]
pub fn ask(way: impl Into<Way>, request: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let (mut stream, host) = way.into().open();
    let mut head = format!("{request} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        head += &format!("Host: {host}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    head += "\r\n";
    // Who refuses may not want all of it.
    let _ = stream.write_all((head + body).as_bytes());
    let answer = if request.starts_with("HEAD ") {
        Answer::read_head(stream)
    } else {
        Answer::read(stream)
    };
    answer.unwrap_or_else(|| panic!("no answer to {request}"))
}

/// Orders something by JSON, which must be done, and returns the answer.
#[track_caller]
pub fn order(way: impl Into<Way>, path: &str, body: &Value) -> Value {
    let json = [("Content-Type", "application/json")];
    let answer = ask(way, &format!("POST {path}"), &json, &body.to_string());
    assert_eq!(answer.status, 200, "{path} {body}: {answer:?}");
    answer.json()
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
