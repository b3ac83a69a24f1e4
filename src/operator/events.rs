//! `ringway events`: what happened, a line each, and what happens.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use super::client::Client;
use super::document::{list, word};
use super::output::{Failure, say};
use crate::printable;

/// Prints events, those since `since` first; then further ones as they come, unless `no_follow`.
pub(super) async fn show(
    client: &Client,
    since: Option<u64>,
    no_follow: bool,
    json: bool,
) -> Result<(), Failure> {
    let since = since.unwrap_or(0);
    if no_follow {
        let answer = client
            .get(&format!("/api/v1/events?follow=false&since={since}"))
            .await?;
        let mut events = list(&answer["events"]).iter();
        return events.try_for_each(|event| say(&line(event, json)));
    }
    let mut body = client
        .open(&format!("/api/v1/events?since={since}"))
        .await?;
    let mut text = Vec::new();
    while let Some(piece) = next(&mut body).await? {
        text.extend_from_slice(&piece);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let message: Vec<u8> = text.drain(..=end).collect();
            if let Some(data) = message.strip_prefix(b"data: ") {
                let event: Value = serde_json::from_slice(data).map_err(|_| {
                    Failure::new("what was told is no event: is it another version?")
                })?;
                say(&line(&event, json))?;
            }
        }
    }
    Err(Failure::new("the process has ended, or closed the stream"))
}

/// A piece of the stream; `None`: it has ended.
async fn next(body: &mut Incoming) -> Result<Option<hyper::body::Bytes>, Failure> {
    match body.frame().await {
        None => Ok(None),
        Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
        Some(Err(_)) => Err(Failure::new("the process has ended, or closed the stream")),
    }
}

fn line(event: &Value, json: bool) -> String {
    if json {
        return printable::json(&event.to_string()).into_owned();
    }
    let (time, kind, text) = (
        word(&event["time"]),
        word(&event["kind"]),
        word(&event["text"]),
    );
    format!("{time} {kind:<8} {text}")
}
