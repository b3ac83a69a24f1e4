//! PROXY heads: reading the one of a peer that may send it, which says who the client is, and sending one
//! to a server.

use super::Worker;
use super::client::Announced;
use super::partial_preface::Progress;
use crate::config::SendProxy;
use crate::io::{Chunk, Engine, Fault, HEADROOM_BYTES};
use crate::logic::network::canonical;
use crate::logic::proxy::{Endpoints, ProxyScan, ProxyVersion, scan_proxy, write_proxy_head};
use crate::logic::session::{ProxyDecision, Side};

impl<E: Engine> Worker<E> {
    /// Examines what a peer has sent that may send a PROXY head. The head is removed, and what it says is
    /// kept; a client that must not come is refused.
    pub(super) fn read_proxy_head(&mut self, slot: usize) -> ProxyDecision {
        let found = self.examine_proxy_head(slot);
        if !matches!(found, ProxyDecision::Settled { .. }) {
            return found;
        }
        let entry = &self.sessions[slot];
        let (route, client) = (entry.route, entry.client.ip());
        let admitted = self.admit_client(route, client);
        let entry = &mut self.sessions[slot];
        match admitted {
            Ok(place) => {
                entry.client_place = place;
                found
            }
            Err(_) => {
                entry.unlogged = true;
                ProxyDecision::Denied
            }
        }
    }

    fn examine_proxy_head(&mut self, slot: usize) -> ProxyDecision {
        if !self.restore_preface(slot) {
            return ProxyDecision::NoBuffer;
        }
        let entry = &mut self.sessions[slot];
        let config = &self.configs[entry.route.config];
        let policy = &config.policies[entry.route.rules as usize];
        let is_required = policy.proxy_heads.is_some_and(|rules| rules.required);
        let is_over = entry.session.proxy_head_is_over();
        let chunks = &mut entry.chunks[Side::Client.index()];
        let Some((buffer, chunk)) = chunks.newest() else {
            debug_assert!(is_over && !is_required, "no chunk");
            return ProxyDecision::Settled { rest: 0 };
        };
        match scan_proxy(self.engine.bytes(buffer, chunk)) {
            ProxyScan::Partial { signed } if !is_over => {
                self.keep_preface(slot, Progress::default());
                return ProxyDecision::Incomplete { signed };
            }
            ProxyScan::Absent | ProxyScan::Partial { signed: false } if !is_required => {}
            ProxyScan::Malformed | ProxyScan::Absent | ProxyScan::Partial { .. } => {
                return ProxyDecision::Wrong;
            }
            ProxyScan::Whole(head) => {
                let (len, peer) = (head.len as u32, entry.client.get());
                if let Some(endpoints) = head.endpoints {
                    let passes_on = config.send_proxy(entry.route) == SendProxy::V2;
                    entry.client = Some(endpoints.client).into();
                    entry.extras.set_announced(Announced {
                        peer,
                        destination: endpoints.destination,
                        tlvs: if passes_on {
                            head.tlvs.into()
                        } else {
                            Box::default()
                        },
                    });
                }
                if let Some((_, start, chunk_len)) = chunks.newest_mut() {
                    *start += len;
                    *chunk_len -= len;
                }
            }
        }
        entry.extras.drop_preface();
        let rest = chunks.newest().map_or(0, |(_, chunk)| chunk.len);
        if rest == 0
            && let Some(buffer) = chunks.pop()
        {
            self.engine.release(buffer);
        }
        ProxyDecision::Settled { rest }
    }

    /// Makes a chunk of what is kept of a preface, unless there is one. False: there is no buffer for it.
    fn restore_preface(&mut self, slot: usize) -> bool {
        let entry = &mut self.sessions[slot];
        let chunks = &mut entry.chunks[Side::Client.index()];
        let kept = match entry.extras.preface() {
            Some(preface) if chunks.is_empty() => preface.kept.bytes(),
            Some(_) | None => return true,
        };
        let Some(mut buffer) = self.engine.take_buffer() else {
            return false;
        };
        let (start, len) = (HEADROOM_BYTES, kept.len() as u32);
        self.engine.write(&mut buffer, start, kept);
        let pushed = chunks.push(buffer, Chunk { start, len });
        debug_assert!(pushed.is_ok(), "it was empty");
        true
    }

    /// Sends a PROXY head to the server, if its backend wants one: the connection was just established, so
    /// the kernel has room for all of it. If bytes of the client follow at once, it travels with them.
    pub(super) fn send_proxy_head(&mut self, slot: usize) -> Result<(), Fault> {
        let entry = &mut self.sessions[slot];
        let version = match self.configs[entry.route.config].send_proxy(entry.route) {
            SendProxy::Off => return Ok(()),
            SendProxy::V1 => ProxyVersion::V1,
            SendProxy::V2 => ProxyVersion::V2,
        };
        let client = entry.find_client(&mut self.engine);
        let announced = entry.extras.announced();
        let destination = match announced {
            Some(announced) => Some(announced.destination),
            None => (entry.socket(Side::Client)).and_then(|socket| self.engine.local(socket)),
        };
        let endpoints = client
            .zip(destination.map(canonical))
            .map(|(client, destination)| Endpoints::new(client, destination));
        let tlvs = announced.map_or(&[][..], |announced| &announced.tlvs);
        let own = entry.extras.hello_info().map(|hello| hello.tlvs(tlvs));
        let tlvs = own.as_deref().unwrap_or(tlvs);
        write_proxy_head(version, endpoints.as_ref(), tlvs, &mut self.scratch);
        let Some(socket) = entry.sockets[Side::Server.index()].as_ref() else {
            debug_assert!(false, "connected without a socket");
            return Ok(());
        };
        let more = entry.chunks[Side::Client.index()].is_waiting();
        self.engine.send_first(socket, &self.scratch, more)?;
        if !entry.speaks_first() {
            // The head has carried the last packet of the handshake, and nothing of ours may follow for long.
            self.engine.acknowledge(socket);
        }
        Ok(())
    }
}
