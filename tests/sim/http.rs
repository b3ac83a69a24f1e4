//! The model of HTTP mode: what each side must have got, computed from whole streams.
//!
//! `logic::http` is called here as well, on the head in one piece; that it reads heads rightly is
//! for its own tests. What is checked is what the worker makes of it: pieces, buffers, chunks,
//! who is answered when, and who gets whose bytes.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use ringway::config::{HttpMode, Inspect};
use ringway::logic::http::{
    RequestHead, RequestScan, ResponseEdit, ResponseScan, scan_request, scan_response,
};
use ringway::logic::session::ErrorResponse;
use ringway::worker::AccessRecord;

use crate::end::Story;
use crate::expected::Expected;
use crate::kernel::Ended;

/// How long a client may take for an answer of ours and for leaving, with what the fake kernel is
/// late.
const LINGER_MAX: Duration = Duration::from_secs(6);

/// What runs in HTTP mode found.
#[derive(Debug, Default)]
pub struct Coverage {
    pub pairs: u64,
    pub complete: u64,
    /// Answers of ours that arrived whole, by status.
    pub answers: BTreeMap<u16, u64>,
    /// The letters of the cookies.
    pub cookies: BTreeMap<String, u64>,
    /// Sessions that had to go to the server of their cookie.
    pub bound: u64,
}

impl Coverage {
    /// The runs reach what they are for.
    pub fn assert_reached(&self, runs: u64) {
        assert!(self.pairs > runs && self.complete > runs / 2, "{self:?}");
        assert!(self.bound > runs / 10, "{self:?}");
        for answer in ErrorResponse::ALL {
            let whole = self.answers.get(&answer.status());
            assert!(whole.is_some_and(|count| *count > runs / 100), "{self:?}");
        }
        for letters in ["--", "NI", "NN", "II", "DI", "VI", "VN"] {
            assert!(self.cookies.contains_key(letters), "{letters}: {self:?}");
        }
    }
}

/// What a run is, as far as it says what may happen in it.
pub struct Model<'a> {
    /// Servers never were unusable.
    pub steady: bool,
    /// Nothing was cut short: no abort, no server taken down.
    pub calm: bool,
    /// A buffer for bytes of the worker's own was not to be had.
    pub short_of_buffers: bool,
    /// Addresses to which a connect failed.
    pub refused: &'a HashSet<SocketAddr>,
}

/// A session in HTTP mode.
struct Exchange<'a> {
    story: &'a Story<'a>,
    mode: HttpMode,
    model: &'a Model<'a>,
}

/// The first bytes of a stream that were read, more than heads have.
fn beginning(of: &Ended) -> Vec<u8> {
    let len = of.read.min(4_096);
    (0..len).map(|offset| of.peer.byte(offset)).collect()
}

impl Model<'_> {
    /// Checks what both sides of a session in this mode got.
    pub fn check(&self, story: &Story<'_>, mode: HttpMode, coverage: &mut Coverage) {
        let exchange = Exchange {
            story,
            mode,
            model: self,
        };
        exchange.check(coverage);
    }
}

impl Exchange<'_> {
    fn check(&self, coverage: &mut Coverage) {
        let Story {
            client,
            server,
            record,
            ..
        } = *self.story;
        let bytes = beginning(client);
        let scan = scan_request(&bytes, &mut 0, self.mode.head_max, self.cookie());
        // What completes a head after it was given up is dropped.
        let given_up = match code(record) {
            Some(code) => code.ends_with('R'),
            None => server.is_none() && client.arrival.text.starts_with(b"HTTP/1.1 408 "),
        };
        let request = match &scan {
            RequestScan::Partial | RequestScan::Refused(_) => None,
            RequestScan::Whole(_) if given_up => None,
            RequestScan::Whole(head) => Some(head),
        };
        let Some(request) = request else {
            assert!(server.is_none(), "a server got what is no request");
            if let Some(record) = record {
                assert!(
                    record.server.is_none(),
                    "a server was chosen for no request"
                );
            }
            self.check_end(b"", &[], coverage);
            return;
        };
        if let Some(record) = record {
            self.check_cookie(request, record, coverage);
        }
        let Some(server) = server else {
            self.check_end(request.method, &[], coverage);
            return;
        };
        coverage.pairs += 1;
        let to_server = self.to_server(request);
        assert!(
            to_server.begins_with(&server.arrival, &client.peer, client.read),
            "the server got something else than the request: {:?}, not {to_server:?}",
            server.arrival
        );
        let begun = self.to_client(request, server);
        let fits =
            |expected: &&Expected| expected.begins_with(&client.arrival, &server.peer, server.read);
        let passed_on = begun.whole.iter().find(fits);
        // Pieces are never ours.
        let arrival = &client.arrival;
        let interim_len = begun.interim.len() as u64;
        // What can't be parted is passed on as the answer, though the server breaks right behind it.
        let unparted = self.model.short_of_buffers && interim_len > 0;
        let answered = arrival.bytes > interim_len
            || arrival.bytes == interim_len && unparted
            || arrival.pieces_at.is_some();
        if passed_on.is_none() || !answered {
            self.check_end(request.method, &begun.interim, coverage);
        }
        let normal = code(record).is_some_and(|code| code == "--");
        let peaceful = client.is_peaceful() && server.is_peaceful();
        let whole = begun.answers && peaceful && self.model.calm && !self.story.was_given_up();
        if normal || whole {
            let passed_on = passed_on.expect("no answer of ours");
            assert!(!client.by_reset && !server.by_reset, "a reset");
            assert!(client.read_to_the_end, "the client's end was not awaited");
            assert!(server.read_to_the_end, "the server's end was not awaited");
            assert_eq!(server.arrival.bytes, to_server.len(client.read));
            assert_eq!(client.arrival.bytes, passed_on.len(server.read));
            coverage.complete += 1;
        }
    }

    fn to_server(&self, request: &RequestHead<'_>) -> Expected {
        let mut text = Vec::new();
        let close = self.mode.inspect == Inspect::Close;
        if !request.rewrite(close, &mut text) {
            text = request.head.to_vec();
        }
        let rest_at = Some(request.head.len() as u64);
        Expected { text, rest_at }
    }

    /// What the client may get of the stream of this server.
    fn to_client(&self, request: &RequestHead<'_>, server: &Ended) -> Begun {
        let bytes = beginning(server);
        let mut begun = Begun::default();
        let mut at = 0;
        loop {
            let raw = Expected {
                text: bytes[..at].to_vec(),
                rest_at: Some(at as u64),
            };
            match scan_response(&bytes[at..], &mut 0, self.mode.head_max) {
                ResponseScan::Partial => {
                    begun.whole.push(Expected::only(bytes[..at].to_vec()));
                    begun.interim = bytes[..at].to_vec();
                    return begun;
                }
                ResponseScan::Interim { len } => {
                    if self.model.short_of_buffers {
                        // What can't be parted passes as it is.
                        begun.whole.push(raw);
                    }
                    at += len as usize;
                }
                ResponseScan::Opaque => {
                    begun.whole.push(raw);
                    begun.answers = true;
                    begun.interim = bytes[..at].to_vec();
                    return begun;
                }
                ResponseScan::Whole(head) => {
                    for set_cookie in self.set_cookies(request, server) {
                        let mut text = Vec::new();
                        let edit = ResponseEdit {
                            cookie: self.cookie(),
                            set_cookie: set_cookie.as_deref(),
                            close: self.mode.inspect == Inspect::Close,
                            method: request.method,
                        };
                        if !head.rewrite(&edit, &mut text).changed {
                            text = head.head.to_vec();
                        }
                        text.splice(..0, bytes[..at].iter().copied());
                        let rest_at = Some((at + head.head.len()) as u64);
                        begun.whole.push(Expected { text, rest_at });
                    }
                    begun.answers = true;
                    begun.interim = bytes[..at].to_vec();
                    return begun;
                }
            }
        }
    }

    /// The line that the answer of this server must get; more than one possibility if it is not
    /// known whether the named server was usable when the request was read, or whether it still
    /// was that one.
    fn set_cookies(&self, request: &RequestHead<'_>, server: &Ended) -> Vec<Option<String>> {
        let backend = self.story.backend;
        let Some(sticky) = &backend.sticky else {
            return vec![None];
        };
        let mut servers = backend.servers.iter();
        let found = servers.position(|known| known.address.ip() == server.address);
        let index = found.expect("it is in the configuration");
        let line = Some(sticky.set_cookie(&backend.servers[index].cookie));
        if self.named(request) != Some(index) {
            return vec![line];
        }
        let settled = self.story.settled;
        match self.story.record.map(cookie_code) {
            Some([b'V', _]) if settled => vec![None],
            Some([b'V', _]) => vec![None, line],
            Some(_) => vec![line],
            None if self.is_steady() => vec![None],
            None => vec![None, line],
        }
    }

    fn cookie(&self) -> Option<&str> {
        let sticky = self.story.backend.sticky.as_ref()?;
        Some(&sticky.cookie)
    }

    /// The server that the cookie names.
    fn named(&self, request: &RequestHead<'_>) -> Option<usize> {
        let value = request.cookie?;
        let mut servers = self.story.backend.servers.iter();
        servers.position(|known| known.cookie.as_bytes() == value)
    }

    /// All servers that the session had to do with always were usable.
    fn is_steady(&self) -> bool {
        self.model.steady && self.story.settled
    }

    fn check_cookie(
        &self,
        request: &RequestHead<'_>,
        record: &AccessRecord,
        coverage: &mut Coverage,
    ) {
        let [came, became] = cookie_code(record);
        let letters = String::from_iter([char::from(came), char::from(became)]);
        *coverage.cookies.entry(letters).or_default() += 1;
        let named = self.named(request);
        let settled = self.story.settled;
        let possible: &[u8] = match (self.cookie(), request.cookie, named) {
            (None, _, _) => b"-",
            (Some(_), None, _) => b"N",
            // The server may have gone, or have come since.
            (Some(_), Some(_), _) if !settled => b"IVD",
            (Some(_), Some(_), None) => b"I",
            (Some(_), Some(_), Some(_)) if self.is_steady() => b"V",
            (Some(_), Some(_), Some(_)) => b"VD",
        };
        assert!(
            possible.contains(&came),
            "{} for {named:?}",
            char::from(came)
        );
        let Some(server) = &record.server else {
            return;
        };
        let mut servers = self.story.backend.servers.iter();
        let found = servers.position(|known| known.name == server.name);
        let Some(server) = found else {
            assert!(!settled, "a server of another configuration");
            return;
        };
        if let Some(named) = named.filter(|_| came == b'V' && self.is_steady()) {
            let address = self.story.backend.servers[named].address.ip();
            let address = address.expect("no host name");
            let helps_out = server != named && self.story.backend.servers[server].backup;
            if !self.model.refused.contains(&address) && !helps_out {
                assert_eq!(server, named, "the cookie names another server");
                coverage.bound += 1;
            }
        }
        if became == b'I' && settled {
            assert!(came != b'V' || Some(server) != named, "a cookie too many");
        }
    }

    /// The client got no answer of a server, but perhaps one of ours behind `interim`.
    fn check_end(&self, method: &[u8], interim: &[u8], coverage: &mut Coverage) {
        let Story { client, record, .. } = *self.story;
        let arrival = &client.arrival;
        assert_eq!(arrival.pieces_at, None, "an answer from nowhere");
        let answer = ErrorResponse::ALL.into_iter().find(|answer| {
            let text = [interim, text_of(*answer, method)].concat();
            text == arrival.text
        });
        if let Some(answer) = answer {
            *coverage.answers.entry(answer.status()).or_default() += 1;
        } else {
            // A part of one, or nothing: only a reset may follow, or nothing was due.
            let begins = ErrorResponse::ALL.into_iter().any(|answer| {
                let text = [interim, text_of(answer, method)].concat();
                text.starts_with(&arrival.text)
            });
            assert!(begins, "not ours: {}", arrival.text.escape_ascii());
            assert!(
                client.by_reset || arrival.text.len() <= interim.len(),
                "an answer was cut without a reset"
            );
        }
        let Some(record) = record else {
            return;
        };
        let code = String::from_iter(record.summary.outcome.code().map(char::from));
        let due = answer_of(&code);
        if let Some(answer) = answer {
            let due = due.unwrap_or_else(|| panic!("an answer with {code}"));
            assert!(due.contains(&answer.status()), "{code}: {answer:?}");
            let exchange = record.exchange.as_ref().expect("HTTP mode");
            assert_eq!(exchange.status, answer.status(), "{code}");
        } else if due.is_some() && !client.by_reset {
            // TLS is closed without a word.
            assert!(
                code == "PR" && arrival.bytes == 0,
                "{code} without an answer"
            );
        }
        if matches!(code.as_str(), "cR" | "PR" | "CR") {
            let most = self.story.frontend.session.timeouts.request + LINGER_MAX;
            let total = record.summary.total;
            assert!(total < most, "{code} after {total:?}");
        }
    }
}

/// What may arrive at a client.
#[derive(Debug, Default)]
struct Begun {
    /// One of these.
    whole: Vec<Expected>,
    /// The interim answers, behind which one of ours may come.
    interim: Vec<u8>,
    /// The server has answered.
    answers: bool,
}

/// Statuses of the answers that belong to an end code.
fn answer_of(code: &str) -> Option<&'static [u16]> {
    match code {
        "PR" => Some(&[400, 431]),
        "cR" => Some(&[408]),
        "sH" => Some(&[504]),
        "SC" | "sC" | "sQ" | "RC" => Some(&[503]),
        // A server that broke, and then did not answer in time, counts as broken.
        "SH" => Some(&[502, 504]),
        _ => None,
    }
}

fn text_of(answer: ErrorResponse, method: &[u8]) -> &'static [u8] {
    match method {
        b"HEAD" => answer.head().as_bytes(),
        _ => answer.text().as_bytes(),
    }
}

fn code(record: Option<&AccessRecord>) -> Option<String> {
    let code = record?.summary.outcome.code();
    Some(String::from_iter(code.map(char::from)))
}

fn cookie_code(record: &AccessRecord) -> [u8; 2] {
    record.exchange.as_ref().expect("HTTP mode").cookie_code()
}
