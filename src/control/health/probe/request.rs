//! The request of a probe in HTTP, and what is read of the answer.

use std::fmt::Write;

use super::answer::{StatusLine, final_answer, head_len, status_line};
use super::body::Body;
use super::connection::Connection;
use super::faults::answer_failed;
use crate::config::{ExpectBody, HttpCheck, StatusRanges};
use crate::logic::health::Cause;

/// How many bytes of a head are read at most, as in HAProxy.
pub const HEAD_MAX: usize = 16 * 1024;

/// Who asks, unless the configuration says so.
const USER_AGENT: &str = "User-Agent";

/// A request and the answers that are right.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    head: String,
    status: StatusRanges,
    body: Option<ExpectBody>,
}

impl Request {
    /// The request of this check, to a server with this address, unless another `Host` is written.
    pub fn new(check: &HttpCheck, address: &dyn std::fmt::Display) -> Self {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: ", check.method, check.path);
        // Writing to a string cannot fail.
        let _ = match &check.host {
            Some(host) => write!(head, "{host}"),
            None => write!(head, "{address}"),
        };
        head += "\r\nConnection: close\r\n";
        let is_agent = |(name, _): &(String, String)| name.eq_ignore_ascii_case(USER_AGENT);
        if !check.headers.iter().any(is_agent) {
            let _ = write!(head, "{USER_AGENT}: ringway\r\n");
        }
        for (name, value) in &check.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head += "\r\n";
        Request {
            head,
            status: check.expect_status.clone(),
            body: check.expect_body.clone(),
        }
    }

    /// Sends the request, and reads until it is known whether the answer is right. Returns how many bytes that
    /// took.
    pub async fn ask(&self, connection: &mut Connection) -> (Cause, usize) {
        if let Err(error) = connection.write_all(self.head.as_bytes()).await {
            return (answer_failed(&error), 0);
        }
        let mut answer = Vec::with_capacity(1024);
        loop {
            let cause = match connection.read(&mut answer).await {
                Err(error) => answer_failed(&error),
                Ok(0) => Cause::L7Response(match final_answer(&answer) {
                    Some([]) => "closed without an answer",
                    Some(_) => "closed within the status line",
                    None => "closed within an interim answer",
                }),
                Ok(_) => match final_answer(&answer).map_or(StatusLine::Incomplete, status_line) {
                    StatusLine::Status(status) if !self.status.contains(status) => {
                        Cause::L7Status(status)
                    }
                    StatusLine::Status(status) => match &self.body {
                        None => Cause::L7Ok(status),
                        Some(expected) => {
                            return read_body(connection, answer, (status, expected)).await;
                        }
                    },
                    StatusLine::Invalid => Cause::L7Response("no HTTP status line"),
                    StatusLine::Incomplete if answer.len() >= HEAD_MAX => {
                        Cause::L7Response("endless status line")
                    }
                    StatusLine::Incomplete => continue,
                },
            };
            return (cause, answer.len());
        }
    }
}

/// Reads until it is known whether the body is as expected. `answer` has come so far: its status line at least.
async fn read_body(
    connection: &mut Connection,
    mut answer: Vec<u8>,
    (status, expected): (u16, &ExpectBody),
) -> (Cause, usize) {
    let (start, end) = loop {
        let last = final_answer(&answer).unwrap_or_default();
        if let Some(len) = head_len(last) {
            let start = answer.len() - last.len();
            break (start, start + len);
        }
        if answer.len() >= HEAD_MAX {
            return (Cause::L7Response("endless head"), answer.len());
        }
        let cause = match connection.read(&mut answer).await {
            Ok(0) => Cause::L7Response("closed within the head"),
            Ok(_) => continue,
            Err(error) => answer_failed(&error),
        };
        return (cause, answer.len());
    };
    let mut body = Body::behind(&answer[start..end]);
    body.push(&answer[end..]);
    let mut read = answer.len();
    loop {
        match body.judge(expected) {
            Some(true) => return (Cause::L7Ok(status), read),
            Some(false) => return (Cause::L7Response("a body without what is expected"), read),
            None => {}
        }
        answer.clear();
        match connection.read(&mut answer).await {
            Ok(0) => body.end(),
            Ok(count) => {
                body.push(&answer);
                read += count;
            }
            Err(error) => return (answer_failed(&error), read),
        }
    }
}
