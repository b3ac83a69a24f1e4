//! What a client is told by us before it is closed: a response in HTTP mode, an alert in TLS mode.

use super::Worker;
use crate::io::{Chunk, Engine, HEADROOM_BYTES};
use crate::logic::session::{ErrorAnswer, Side};

impl<E: Engine> Worker<E> {
    /// Makes an answer of ours the only chunk from the server. False: there is no buffer for it.
    pub(super) fn prepare_error(&mut self, slot: usize, answer: ErrorAnswer) -> bool {
        let entry = &mut self.sessions[slot];
        let counters = &self.configs.frontend(entry.route).counters[self.index];
        let bytes = match answer {
            ErrorAnswer::UnrecognizedName => {
                counters.unrouted.add(1);
                ErrorAnswer::UNRECOGNIZED_NAME
            }
            ErrorAnswer::Http(response) => {
                counters.answers[response.index()].add(1);
                let mut text = response.text();
                if let Some(http) = entry.extras.http_mut() {
                    http.exchange.status = response.status();
                    if http.method() == b"HEAD" {
                        text = response.head();
                    }
                }
                text.as_bytes()
            }
        };
        entry.extras.drop_preface();
        let Some(mut buffer) = self.engine.take_buffer() else {
            return false;
        };
        let (start, len) = (HEADROOM_BYTES, bytes.len() as u32);
        self.engine.write(&mut buffer, start, bytes);
        let chunks = &mut entry.chunks[Side::Server.index()];
        let pushed = chunks.push(buffer, Chunk { start, len });
        debug_assert!(pushed.is_ok(), "the server was left");
        pushed.is_ok()
    }
}
