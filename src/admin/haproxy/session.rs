//! One client of the socket: reads lines, answers their commands in order.
//!
//! As with HAProxy, each answer is followed by an empty line, and the connection ends once all lines that came are
//! answered, unless the client has asked for the prompt.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::super::access::Peer;
use super::super::context::Context;
use super::command::{Command, Refused, parse, split};
use super::execute::execute;
use super::help;

/// Bytes of a line, as many as HAProxy takes.
const LINE_MAX: usize = 16 * 1024;

/// Commands of a line.
const COMMANDS_MAX: usize = 100;

/// How long a client may be silent, unless it sets another time.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take for a piece of an answer.
const PIECE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a piece.
const PIECE_BYTES: usize = 64 * 1024;

/// Since when a client has been silent; `None`: it is being answered. Clones are the same.
#[derive(Clone, Debug)]
pub struct Idle(Arc<Mutex<Option<Instant>>>);

impl Default for Idle {
    fn default() -> Self {
        Idle(Arc::new(Mutex::new(Some(Instant::now()))))
    }
}

impl Idle {
    /// Since when.
    pub fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// A connection.
struct Session {
    stream: UnixStream,
    /// What came and is not a whole line yet.
    received: Vec<u8>,
    /// The client has asked for the prompt.
    interactive: bool,
    timeout: Duration,
}

/// Serves a client until either side has had enough.
pub async fn serve(stream: UnixStream, peer: Peer, context: Context, idle: Idle) {
    let mut session = Session {
        stream,
        received: Vec::new(),
        interactive: false,
        timeout: TIMEOUT,
    };
    // Where it ends, the client has left, was silent for too long, or has got all that it wanted.
    while let Some(line) = session.next_line().await {
        idle.set(None);
        let goes_on = session.answer(&line, peer, &context).await;
        idle.set(Some(Instant::now()));
        let has_more = session.received.contains(&b'\n');
        if goes_on.is_none() || !(session.interactive || has_more) {
            break;
        }
    }
    let _ = session.stream.shutdown().await;
}

impl Session {
    /// The next line without its end. What a client sends before it closes is a line too.
    async fn next_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return Some(text(&line));
            }
            if self.received.len() > LINE_MAX {
                self.write(&format!("A line has at most {LINE_MAX} bytes.\n\n"))
                    .await;
                return None;
            }
            let read = self.stream.read_buf(&mut self.received);
            match timeout(self.timeout, read).await {
                Ok(Ok(0)) if self.received.is_empty() => return None,
                Ok(Ok(0)) => return Some(text(&std::mem::take(&mut self.received))),
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return None,
            }
        }
    }

    /// Answers the commands of a line. `None`: the session is to end.
    async fn answer(&mut self, line: &str, peer: Peer, context: &Context) -> Option<()> {
        let line = line.trim_end_matches('\r');
        for (index, command) in split(line).enumerate() {
            let mut text = match parse(command) {
                _ if index == COMMANDS_MAX => {
                    self.write(&format!("A line has at most {COMMANDS_MAX} commands.\n\n"))
                        .await;
                    return None;
                }
                Ok(Command::Quit) => return None,
                Ok(Command::Prompt) => {
                    self.interactive = !self.interactive;
                    String::new()
                }
                Ok(Command::Timeout(time)) => {
                    self.timeout = time;
                    String::new()
                }
                Ok(command) => execute(context, peer, command).await,
                Err(Refused::Said(words)) => format!("{words}\n"),
                Err(Refused::Unknown) => help::unknown(command),
            };
            text.push_str(if self.interactive { "\n> " } else { "\n" });
            self.write(&text).await?;
        }
        Some(())
    }

    /// `None`: the client does not take it.
    async fn write(&mut self, text: &str) -> Option<()> {
        for piece in text.as_bytes().chunks(PIECE_BYTES) {
            let written = timeout(PIECE_TIMEOUT, self.stream.write_all(piece)).await;
            written.ok()?.ok()?;
        }
        Some(())
    }
}

fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    String::from_utf8_lossy(line).into_owned()
}
