//! HTTP mode: reading and editing the heads of the first request of a session and of its response,
//! and error responses of our own.
//!
//! `logic::http` parses and edits heads, `logic::session` decides what follows; here are the bytes, in
//! the buffers in which they came.

use std::sync::Arc;

use super::Worker;
use super::exchange::{RequestCookie, ResponseCookie};
use crate::config::{HttpMode, Inspect, Mode};
use crate::io::{Chunk, Engine, HEADROOM_BYTES};
use crate::logic::http::{
    self, Forwarded, RequestScan, ResponseEdit, ResponseScan, scan_request, scan_response,
};
use crate::logic::session::{ErrorResponse, PrefaceDecision, Refusal, ResponseHead, Side};

/// The status of a response after which the connection is no HTTP any more (RFC 9110, 15.2.2).
const SWITCHING_PROTOCOLS: u16 = 101;

/// What was found at the beginning of what a server sent, and whether more will come.
struct ServerHead {
    head: ResponseHead,
    /// The server may have more of this response to send.
    more_to_come: bool,
}

impl<E: Engine> Worker<E> {
    /// Looks for a head at the beginning of what came from the server, and edits it.
    pub(super) fn read_response_head(&mut self, slot: usize) -> ResponseHead {
        let found = match self.mode(slot) {
            Mode::Http(mode) => self.read_response(slot, mode),
            Mode::Tcp | Mode::Tls(_) => None,
        };
        debug_assert!(
            found.is_some(),
            "a head without a chunk, or in another mode"
        );
        // Without a chunk its send is refused, which ends the session.
        found.unwrap_or(ResponseHead::Whole)
    }

    /// How the session's frontend reads the bytes.
    pub(super) fn mode(&self, slot: usize) -> Mode {
        let route = self.sessions[slot].route;
        let config = &self.configs[route.config].snapshot.config;
        config.frontends[usize::from(route.frontend)].mode
    }

    /// Examines the newest chunk from the client, and edits it if it begins with a whole head.
    /// `searched` bytes of it were searched for the end of that before. `None`: there is no chunk.
    pub(super) fn read_request(
        &mut self,
        slot: usize,
        mode: HttpMode,
        searched: &mut u32,
    ) -> Option<PrefaceDecision> {
        let entry = &mut self.sessions[slot];
        self.configs.refresh(entry.route);
        let config = &self.configs[entry.route.config];
        let backend = entry.route.backend as usize;
        let cookie = config.cookies[backend].as_ref();
        let http = entry.extras.http_mut()?;
        let (buffer, chunk) = entry.chunks[Side::Client.index()].newest()?;
        let bytes = self.engine.bytes(buffer, chunk);
        let name = cookie.map(|cookie| cookie.name.as_str());
        let head = match scan_request(bytes, searched, mode.head_max, name) {
            RequestScan::Partial => return Some(PrefaceDecision::Incomplete),
            RequestScan::Refused(refusal) => {
                http.note_refusal(refusal);
                return Some(PrefaceDecision::Refused(treatment(refusal)));
            }
            RequestScan::Whole(head) => head,
        };
        http.note_request(&head, config.is_logged());
        if cookie.is_some() {
            http.exchange.response_cookie = ResponseCookie::None;
            let members = config.backends[backend].members();
            let member = head.cookie.map(|value| members.by_cookie(value));
            http.exchange.request_cookie = match member {
                None => RequestCookie::None,
                Some(None) => RequestCookie::Invalid,
                Some(Some(member)) if !member.server.availability.is_usable() => {
                    RequestCookie::Down
                }
                Some(Some(member)) => {
                    http.cookie_server = Some(Arc::clone(&member.server));
                    RequestCookie::Valid
                }
            };
        }
        let close = mode.inspect == Inspect::Close;
        let mixed = cookie.is_some() && head.through_proxy && !close;
        let head_len = head.head.len() as u32;
        let client = entry.client.ip();
        let trusted = config.trusted[usize::from(entry.route.frontend)].as_ref();
        let forwarded = trusted.zip(client).map(|(trusted, client)| Forwarded {
            client,
            append: trusted.contains(client),
        });
        if head.rewrite_for(close, forwarded.as_ref(), &mut self.scratch) {
            self.replace_head(slot, Side::Client, head_len)?;
        }
        if mixed {
            self.note_mixed_users(slot);
        }
        Some(PrefaceDecision::Complete)
    }

    fn read_response(&mut self, slot: usize, mode: HttpMode) -> Option<ResponseHead> {
        let found = self.edit_response(slot, mode)?;
        if found.more_to_come
            && let Some(socket) = self.sessions[slot].socket(Side::Server)
        {
            // The server may keep the rest back until then: its first bytes came while the kernel
            // delays acknowledgements.
            self.engine.acknowledge(socket);
        }
        Some(found.head)
    }

    fn edit_response(&mut self, slot: usize, mode: HttpMode) -> Option<ServerHead> {
        let entry = &mut self.sessions[slot];
        let config = &self.configs[entry.route.config];
        let cookie = config.cookies[entry.route.backend as usize].as_ref();
        let http = entry.extras.http_mut()?;
        let (buffer, chunk) = entry.chunks[Side::Server.index()].newest()?;
        let bytes = self.engine.bytes(buffer, chunk);
        let unfinished = |head| {
            Some(ServerHead {
                head,
                more_to_come: true,
            })
        };
        let head = match scan_response(bytes, &mut http.searched, mode.head_max) {
            ResponseScan::Partial => return unfinished(ResponseHead::Partial),
            ResponseScan::Interim { len } => {
                http.searched = 0;
                let interim = self.split(slot, len);
                return unfinished(interim.unwrap_or(ResponseHead::Whole));
            }
            ResponseScan::Opaque => {
                let counters = &config.frontend(entry.route.frontend).counters;
                counters[self.index].unparsed_responses.add(1);
                return unfinished(ResponseHead::Whole);
            }
            ResponseScan::Whole(head) => head,
        };
        let more_to_come = !head.is_whole(http.method(), &bytes[head.head.len()..]);
        let status = head.status;
        http.exchange.status = status;
        let named = http.cookie_server.as_ref().map(|server| server.id);
        let chosen = entry.server.as_ref().map(|server| server.id);
        let unnamed = http.chosen.as_ref().filter(|_| chosen != named);
        let set_cookie = cookie.zip(unnamed);
        if let Some((cookie, server)) = set_cookie {
            cookie.write(&server.cookie, &mut self.set_cookie);
        }
        let edit = ResponseEdit {
            cookie: cookie.map(|cookie| cookie.name.as_str()),
            set_cookie: set_cookie.map(|_| self.set_cookie.as_str()),
            close: mode.inspect == Inspect::Close,
            method: http.method(),
        };
        let head_len = head.head.len() as u32;
        let rewritten = head.rewrite(&edit, &mut self.scratch);
        if set_cookie.is_some() {
            http.exchange.response_cookie = ResponseCookie::Inserted;
        } else if rewritten.removed_cookie {
            http.exchange.response_cookie = ResponseCookie::Deleted;
        }
        if !config.is_logged() {
            entry.extras.take_http();
        }
        if rewritten.changed {
            self.replace_head(slot, Side::Server, head_len)?;
        }
        Some(ServerHead {
            head: if status == SWITCHING_PROTOCOLS {
                ResponseHead::Upgrade
            } else {
                ResponseHead::Whole
            },
            more_to_come,
        })
    }

    /// Replaces the first `head_len` bytes of the newest chunk by the rewritten head. `None`: there is no room
    /// for it.
    fn replace_head(&mut self, slot: usize, from: Side, head_len: u32) -> Option<()> {
        let chunks = &mut self.sessions[slot].chunks[from.index()];
        let (buffer, start, len) = chunks.newest_mut()?;
        let new_len = self.scratch.len() as u32;
        // It grows by less than the free bytes before what was received.
        let new_start = (*start + head_len).checked_sub(new_len)?;
        self.engine.write(buffer, new_start, &self.scratch);
        *start = new_start;
        *len = *len - head_len + new_len;
        Some(())
    }

    /// Makes a chunk of the interim responses, the first `len` bytes, and another of what follows them.
    /// `None`: there is no buffer for that.
    fn split(&mut self, slot: usize, len: u32) -> Option<ResponseHead> {
        let chunks = &mut self.sessions[slot].chunks[Side::Server.index()];
        let (buffer, start, chunk_len) = chunks.newest_mut()?;
        let rest = Chunk {
            start: *start + len,
            len: *chunk_len - len,
        };
        let more = rest.len > 0;
        if more {
            let mut other = self.engine.take_buffer()?;
            self.engine.copy(buffer, rest, &mut other, HEADROOM_BYTES);
            *chunk_len = len;
            let start = HEADROOM_BYTES;
            let pushed = chunks.push(other, Chunk { start, ..rest });
            debug_assert!(pushed.is_ok(), "a head is the only chunk");
        }
        Some(ResponseHead::Interim { more })
    }

    /// A proxy in front of us may send requests of several users over one connection; all of them would
    /// go to the first one's server.
    fn note_mixed_users(&mut self, slot: usize) {
        let route = self.sessions[slot].route;
        let counters = &self.configs.frontend(route).counters[self.index];
        counters.requests_via_proxy.add(1);
        let config = &self.configs[route.config].snapshot.config;
        let name = &config.frontends[usize::from(route.frontend)].name;
        self.reporting.warn_of_mixed_users(self.now, name);
    }
}

/// What is done with a client whose request is not passed on.
fn treatment(refusal: http::Refusal) -> Refusal {
    match refusal {
        http::Refusal::Malformed | http::Refusal::Http2 => {
            Refusal::Respond(ErrorResponse::BadRequest.into())
        }
        http::Refusal::TooLong => Refusal::Respond(ErrorResponse::HeadTooLarge.into()),
        http::Refusal::Tls => Refusal::Close,
    }
}
