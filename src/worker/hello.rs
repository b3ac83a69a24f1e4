//! TLS mode: reading the ClientHello, and taking the route that it asks for.
//!
//! `logic::tls` parses and decides; here are the bytes, in the buffer in which they came.

use super::Worker;
use super::hello_info::HelloInfo;
use crate::io::Engine;
use crate::logic::session::{ErrorAnswer, PrefaceDecision, Refusal, Side};
use crate::logic::tls::{HelloProgress, HelloScan, scan_hello};

impl<E: Engine> Worker<E> {
    /// Examines the newest chunk from the client. Once that has a whole hello, the session takes its route.
    /// `None`: there is no chunk.
    pub(super) fn read_hello(
        &mut self,
        slot: usize,
        progress: &mut HelloProgress,
    ) -> Option<PrefaceDecision> {
        let entry = &self.sessions[slot];
        let (buffer, chunk) = entry.chunks[Side::Client.index()].newest()?;
        let bytes = self.engine.bytes(buffer, chunk);
        let hello = match scan_hello(bytes, progress, &mut self.scratch) {
            HelloScan::Partial => return Some(PrefaceDecision::Incomplete),
            HelloScan::Refused(_) => return Some(PrefaceDecision::Refused(Refusal::Close)),
            HelloScan::Whole(hello) => HelloInfo::new(&hello),
        };
        // The newest routes hold, also for who came before them.
        self.renew(slot);
        let entry = &mut self.sessions[slot];
        let routed = self.configs[entry.route.config].routed(entry.route, &hello);
        entry.extras.set_hello_info(hello);
        let (Some((route, index)), Some(hello)) = (routed, entry.extras.hello_info_mut()) else {
            let alert = Refusal::Respond(ErrorAnswer::UnrecognizedName);
            return Some(PrefaceDecision::Refused(alert));
        };
        hello.route = index;
        hello.is_routed = true;
        entry.route = route;
        if let Some(index) = index {
            let routes = &self.configs[route.config].snapshot.routes;
            let taken = &routes[usize::from(route.frontend)][index as usize];
            taken.counters[self.index].sessions.add(1);
        }
        Some(PrefaceDecision::Complete)
    }
}
