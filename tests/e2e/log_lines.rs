//! Lines that the process prints: gathered by a thread, waited for by condition variable, and parsed.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::wait::DEADLINE;

/// One stream of the process, line by line.
#[derive(Clone)]
pub struct Lines(Arc<(Mutex<Gathered>, Condvar)>);

/// What has come so far.
#[derive(Default)]
struct Gathered {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    /// Gathers the lines of a stream on a thread of its own.
    pub fn gather(stream: impl Read + Send + 'static) -> Self {
        let lines = Self(Arc::default());
        let gathering = lines.clone();
        thread::spawn(move || {
            let (gathered, changed) = &*gathering.0;
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                gathered
                    .lock()
                    .expect("no panic under the lock")
                    .lines
                    .push(line);
                changed.notify_all();
            }
            gathered.lock().expect("no panic under the lock").ended = true;
            changed.notify_all();
        });
        lines
    }

    /// Waits until something can be made of the lines so far; fails at the deadline or the stream's end.
    #[track_caller]
    pub fn wait_for<T>(&self, what: &str, mut make: impl FnMut(&[String]) -> Option<T>) -> T {
        let (gathered, changed) = &*self.0;
        let mut made = None;
        let locked = gathered.lock().expect("no panic under the lock");
        let waited = changed.wait_timeout_while(locked, DEADLINE, |gathered| {
            made = make(&gathered.lines);
            made.is_none() && !gathered.ended
        });
        // A panic below must not poison what the report of the failure reads.
        drop(waited);
        made.unwrap_or_else(|| panic!("never printed: {what}"))
    }

    /// Waits for the end of the stream and returns all of it.
    #[track_caller]
    pub fn all(&self) -> String {
        let (gathered, changed) = &*self.0;
        let locked = gathered.lock().expect("no panic under the lock");
        let waited = changed.wait_timeout_while(locked, DEADLINE, |gathered| !gathered.ended);
        let ended = waited.expect("no panic under the lock").0.ended;
        assert!(ended, "the stream did not end");
        self.so_far()
    }

    /// What has come so far.
    pub fn so_far(&self) -> String {
        self.0
            .0
            .lock()
            .expect("no panic under the lock")
            .lines
            .join("\n")
    }
}

/// A line of the access log in its text form.
#[derive(Clone, Debug)]
pub struct Access {
    /// Address and port.
    pub client: String,
    /// Name of the frontend.
    pub frontend: String,
    /// `BACKEND/SERVER`, or with `<NOSRV>` as the server.
    pub server: String,
    /// Milliseconds, -1 for what was never reached.
    pub wait_ms: i64,
    /// Milliseconds, -1 for what was never reached.
    pub connect_ms: i64,
    /// Milliseconds.
    pub total_ms: i64,
    /// Bytes of the client that were passed on.
    pub bytes_from_client: u64,
    /// Bytes of the server that were passed on.
    pub bytes_from_server: u64,
    /// Who ended the session, and in which phase.
    pub code: String,
    /// Connect attempts after the first.
    pub retries: u32,
    /// HTTP mode: of the answer, -1 for none.
    pub status: Option<i32>,
    /// HTTP mode: method and target, or what came instead.
    pub request: Option<String>,
}

impl Access {
    /// Reads a line; whatever stands before its seven fields, as a time in brackets, is skipped, and
    /// two more may follow in HTTP mode.
    pub fn parse(line: &str) -> Option<Self> {
        let http = line.strip_suffix('"');
        let (line, http) = match http.and_then(|line| line.split_once(" \"")) {
            Some((line, request)) => {
                let (line, status) = line.rsplit_once(' ')?;
                (line, Some((status.parse().ok()?, request)))
            }
            None => (line, None),
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let [client, frontend, server, times, bytes, code, retries] =
            words[words.len().checked_sub(7)?..]
        else {
            return None;
        };
        let times: Vec<i64> = times
            .split('/')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .ok()?;
        let bytes: Vec<u64> = bytes
            .split('/')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .ok()?;
        let ([wait_ms, connect_ms, total_ms], [bytes_from_client, bytes_from_server]) =
            (times[..].try_into().ok()?, bytes[..].try_into().ok()?);
        Some(Self {
            client: client.into(),
            frontend: frontend.into(),
            server: server.into(),
            wait_ms,
            connect_ms,
            total_ms,
            bytes_from_client,
            bytes_from_server,
            code: code.into(),
            retries: retries.parse().ok()?,
            status: http.map(|(status, _)| status),
            request: http.map(|(_, request)| request.into()),
        })
    }
}
