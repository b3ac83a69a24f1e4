//! What a session in HTTP mode keeps of its first request.

use std::sync::Arc;

use super::exchange::Exchange;
use crate::config::Server;
use crate::logic::http::{Refusal, RequestHead};
use crate::snapshot::ServerShared;

/// The longest method that [`crate::logic::http::scan_request`] takes.
const METHOD_LEN_MAX: usize = 32;

/// Characters of a target that the access log shows.
const TARGET_LEN_MAX: usize = 1024;

/// What a session keeps of its first request, until its response has begun; longer if there is an
/// access log.
#[derive(Debug, Default)]
pub struct Http {
    /// How many bytes of the response were searched for the end of its head.
    pub searched: u32,
    /// The server that the client's cookie names.
    pub cookie_server: Option<Arc<ServerShared>>,
    /// That server, if the session has to use it.
    pub pinned_server: Option<Arc<ServerShared>>,
    /// What is configured of the chosen server, if there is a sticky cookie.
    pub chosen: Option<Arc<Server>>,
    method: [u8; METHOD_LEN_MAX],
    method_len: u8,
    pub exchange: Exchange,
}

impl Http {
    /// The method of the request; empty before the head was read.
    pub fn method(&self) -> &[u8] {
        &self.method[..usize::from(self.method_len)]
    }

    /// Whether its method says that the request has no body.
    pub fn is_bodiless(&self) -> bool {
        matches!(self.method(), b"GET" | b"HEAD")
    }

    /// Keeps what is needed of a whole head. `logged`: the access log shows it.
    pub fn note_request(&mut self, head: &RequestHead<'_>, logged: bool) {
        let len = head.method.len().min(METHOD_LEN_MAX);
        self.method[..len].copy_from_slice(&head.method[..len]);
        self.method_len = len as u8;
        if logged {
            let shown = &head.target[..head.target.len().min(TARGET_LEN_MAX)];
            self.exchange.method = head.method.into();
            self.exchange.target = shown.into();
        }
    }

    /// Keeps for the access log why the request is not passed on.
    pub fn note_refusal(&mut self, refusal: Refusal) {
        let what = match refusal {
            Refusal::Malformed => "<BADREQ>",
            Refusal::TooLong => "<TOOLONG>",
            Refusal::Http2 => "<HTTP/2>",
            Refusal::Tls => "<TLS>",
        };
        self.exchange.method = what.as_bytes().into();
    }
}
