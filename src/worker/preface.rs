//! What a client has to send before a server is chosen: it is received in pieces, examined after each,
//! and decided on ([`PrefaceDecision`]). In HTTP mode that is the head of its first request, in TLS mode its
//! ClientHello. A PROXY head (`proxy_head`) comes before it, and is kept here as well.
//!
//! What has come of an incomplete preface is kept in memory of its size, so that slow clients occupy
//! no buffers. The deadline is the session's.

use super::Worker;
use super::partial_preface::Progress;
use crate::config::Mode;
use crate::io::{Chunk, Engine, HEADROOM_BYTES};
use crate::logic::session::{PrefaceDecision, Refusal, Side};

/// Bytes by which the head of a request may grow when it is edited: a line `Connection: close`, and the client's
/// address in `X-Forwarded-For`.
const REQUEST_GROWTH_MAX: usize = 128;

impl<E: Engine> Worker<E> {
    /// Examines what the client has sent so far, which is the only chunk from it. Once that is
    /// complete it is edited, else it is kept and the chunk released.
    pub(super) fn read_preface(&mut self, slot: usize) -> PrefaceDecision {
        let preface = self.sessions[slot].extras.preface();
        let mut progress = preface.map_or_else(Progress::default, |preface| preface.progress);
        let decision = match self.mode(slot) {
            Mode::Http(mode) => self.read_request(slot, mode, &mut progress.searched),
            Mode::Tls(_) => self.read_hello(slot, &mut progress.hello),
            Mode::Tcp => None,
        };
        debug_assert!(decision.is_some(), "no chunk, or TCP mode");
        let decision = decision.unwrap_or(PrefaceDecision::Refused(Refusal::Close));
        match decision {
            PrefaceDecision::Incomplete => self.keep_preface(slot, progress),
            PrefaceDecision::Complete | PrefaceDecision::Refused(_) => {
                self.sessions[slot].extras.drop_preface();
            }
        }
        decision
    }

    /// Keeps the chunk of an incomplete preface in memory of its size, and releases its buffer.
    pub(super) fn keep_preface(&mut self, slot: usize, progress: Progress) {
        let entry = &mut self.sessions[slot];
        let chunks = &mut entry.chunks[Side::Client.index()];
        let preface = entry.extras.preface_mut();
        preface.progress = progress;
        let chunk = chunks.newest();
        let bytes = chunk.map_or(&[][..], |(buffer, chunk)| self.engine.bytes(buffer, chunk));
        preface.kept.replace(bytes);
        if let Some(buffer) = chunks.pop() {
            self.engine.release(buffer);
        }
    }

    /// Makes one chunk of what is kept of a preface and the `len` bytes behind it that came now.
    pub(super) fn resume_preface(&mut self, slot: usize, mut buffer: E::Buffer, len: u32) {
        let entry = &mut self.sessions[slot];
        let kept = entry.extras.preface();
        let kept = kept.map_or(&[][..], |preface| preface.kept.bytes());
        let mut chunk = Chunk {
            start: HEADROOM_BYTES,
            len,
        };
        if kept.len() + REQUEST_GROWTH_MAX <= HEADROOM_BYTES as usize {
            chunk.start -= kept.len() as u32;
            self.engine.write(&mut buffer, chunk.start, kept);
        } else {
            self.scratch.clear();
            self.scratch.extend_from_slice(kept);
            self.scratch
                .extend_from_slice(self.engine.bytes(&buffer, chunk));
            self.engine.write(&mut buffer, chunk.start, &self.scratch);
        }
        chunk.len += kept.len() as u32;
        if let Err(buffer) = entry.chunks[Side::Client.index()].push(buffer, chunk) {
            debug_assert!(false, "a preface is the only chunk");
            self.engine.release(buffer);
        }
    }
}
