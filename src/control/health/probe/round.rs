//! One round with a server of any protocol: send bytes, and look for others in what comes.

use super::connection::Connection;
use super::faults::answer_failed;
use crate::config::Exchange;
use crate::logic::health::Cause;

/// How many bytes that come from the server are looked at.
const ANSWER_MAX: usize = 64 * 1024;

/// Sends what is to be sent, and reads until what is expected has come. What has come is in `answer`, also when
/// this is dropped.
pub async fn exchange(
    connection: &mut Connection,
    exchange: &Exchange,
    answer: &mut Vec<u8>,
) -> Cause {
    if let Some(send) = &exchange.send
        && let Err(error) = connection.write_all(send.bytes()).await
    {
        return answer_failed(&error);
    }
    let Some(expect) = exchange.expect.as_ref().map(|expect| expect.bytes()) else {
        return Cause::L7Done;
    };
    let mut searched = 0;
    loop {
        match connection.read(answer).await {
            Err(error) => return answer_failed(&error),
            Ok(0) if answer.is_empty() => return Cause::L7Response("closed without an answer"),
            Ok(0) => return OTHER,
            Ok(_) => {}
        }
        answer.truncate(ANSWER_MAX);
        if memchr::memmem::find(&answer[searched..], expect).is_some() {
            return Cause::L7Done;
        }
        if answer.len() >= ANSWER_MAX {
            return OTHER;
        }
        // It may begin in what was searched.
        searched = (answer.len() + 1).saturating_sub(expect.len());
    }
}

/// What is found if the time is over: whether anything has come.
pub fn timed_out(answer: &[u8]) -> Cause {
    if answer.is_empty() {
        Cause::L7Timeout
    } else {
        OTHER
    }
}

/// Something else has come.
const OTHER: Cause = Cause::L7Response("an answer without what is expected");
