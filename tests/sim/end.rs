//! What must hold at the end of a run.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use ringway::config::{Backend, Frontend, Mode};
use ringway::logic::session::{TerminationCause, TerminationPhase};
use ringway::shared::WorkerCounters;
use ringway::snapshot::Snapshot;
use ringway::worker::{AccessRecord, LogBatch};

use crate::Coverage;
use crate::http::Model;
use crate::kernel::{Ended, Simulated, World};
use crate::proxy;
use crate::run::Run;
use crate::tls;

/// What was logged of a session, and the configuration that it had last.
struct Record {
    snapshot: Arc<Snapshot>,
    record: AccessRecord,
}

/// All that is known of a client at the end.
pub struct Story<'a> {
    pub client: &'a Ended,
    /// The server that got its bytes, or whose bytes it got.
    pub server: Option<&'a Ended>,
    /// `None`: it never became a session, or there is no log.
    pub record: Option<&'a AccessRecord>,
    /// From the configuration that it had last. If it had others before, they meant the same by
    /// what was read of it then; their servers may have been others.
    pub frontend: &'a Frontend,
    /// Of the same configuration.
    pub backend: &'a Backend,
    /// It never had another, and the set of servers was always the same.
    pub settled: bool,
    /// Its worker had fewer buffers than sessions.
    pub few_buffers: bool,
}

impl Story<'_> {
    /// It was the session whose bytes waited longest when there was no buffer left. All others go
    /// on, however few there are.
    pub fn was_ended_for_buffers(&self) -> bool {
        match self.record.map(|record| record.summary.outcome) {
            Some(outcome) => {
                outcome.who == TerminationCause::Resource
                    && outcome.phase != TerminationPhase::Connect
            }
            // Nobody can tell.
            None => self.few_buffers,
        }
    }

    /// It had reached its greatest age.
    pub fn was_ended_for_age(&self) -> bool {
        match self.record.map(|record| record.summary.outcome) {
            Some(outcome) => outcome.who == TerminationCause::Age,
            // Nobody can tell.
            None => self.frontend.session.timeouts.max_age.is_some(),
        }
    }

    /// Its balancer has ended it for a reason of its own, while both peers did what they were there for.
    pub fn was_given_up(&self) -> bool {
        self.was_ended_for_buffers() || self.was_ended_for_age()
    }
}

impl<E: Simulated> Run<E> {
    /// Checks everything, and adds to what was found.
    pub fn check(mut self, coverage: &mut Coverage) {
        for worker in &mut self.workers {
            worker.engine().fake().assert_clean();
        }
        assert_eq!(self.shared.session_limit.used(), 0, "places are left");
        let shared = Arc::clone(&self.shared);
        let counters: Vec<&WorkerCounters> =
            shared.workers.iter().map(|worker| &**worker).collect();
        for worker in &counters {
            assert_eq!(worker.stale_completions.get(), 0);
            assert_eq!(worker.sessions_started.get(), worker.sessions_ended.get());
        }
        shared.clients.for_each(|client| {
            assert_eq!(client.sessions, 0, "a place of a client is left");
            coverage.refused += client.refused_total();
        });
        if !self.aborted {
            let waiting = self.world.borrow().backlog.len();
            assert_eq!(waiting, 0, "clients were left in the queue of a listener");
            for worker in &self.workers {
                assert_eq!(worker.snapshots_in_use(), 1, "an old one is kept");
            }
        }
        self.workers.clear();
        let records = self.records();
        for record in &records {
            let code = record.record.summary.outcome.code().map(char::from);
            *coverage.codes.entry(String::from_iter(code)).or_default() += 1;
        }
        {
            let world = self.world.borrow();
            self.check_clients(&world, records, coverage);
            self.control.check_servers(&world.open_max_by_address);
            coverage.sessions += world.clients.len() as u64;
            coverage.faults += world.faults;
            coverage.spliced += world.spliced;
            coverage.shrunk += world.shrunk;
            coverage.handed_over += world.handed_over;
        }
        coverage.changes += self.control.changes;
        coverage.ejected += self.passive.ejected;
        coverage.leaving += self.leaving;
        coverage.mixed += self.mixed;
        coverage.named += self.named;
        coverage.reloads += self.control.check_end(&counters);
    }

    fn records(&self) -> Vec<Record> {
        let of_batch = |LogBatch { snapshot, records }| -> Vec<Record> {
            let record = |record| Record {
                snapshot: Arc::clone(&snapshot),
                record,
            };
            records.into_iter().map(record).collect()
        };
        self.log.try_iter().flat_map(of_batch).collect()
    }

    fn check_clients(&self, world: &World, records: Vec<Record>, coverage: &mut Coverage) {
        let by_client: HashMap<SocketAddr, &Record> = (records.iter())
            .filter_map(|record| Some((record.record.peer?, record)))
            .collect();
        let by_stream: HashMap<u64, &Ended> = (world.servers.iter())
            .map(|server| (server.peer.stream, server))
            .collect();
        let mut given = HashMap::new();
        for server in &world.servers {
            if let Some(stream) = server.arrival.stream {
                let before = given.insert(stream, server);
                assert!(before.is_none(), "two servers got the bytes of a client");
            }
        }
        // Who has no record had this configuration and its frontend, if there were no others.
        let newest = self.control.newest();
        let one = self.control.reloads() == 0 && newest.config.frontends.len() == 1;
        let only = one.then_some(newest);
        // Their servers, and those that they had beside these.
        let snapshots = records.iter().map(|record| &record.snapshot).chain(only);
        let backends: HashMap<u64, Vec<Backend>> = snapshots
            .map(|snapshot| (snapshot.version, self.control.backends_of(snapshot)))
            .collect();
        let model = Model {
            steady: self.flips == 0 && self.passive.ejected == 0,
            calm: self.is_calm(),
            short_of_buffers: world.buffers_refused > 0,
            refused: &world.refused,
        };
        for client in &world.clients {
            let record = by_client.get(&client.client_address());
            let snapshot = record.map(|record| &record.snapshot).or(only);
            let Some(snapshot) = snapshot else {
                // It had one of several.
                continue;
            };
            let record = record.map(|record| &record.record);
            if let Some(record) = record {
                check_who_left(client, record);
            }
            let index = record.map_or(0, |record| record.frontend);
            let frontend = &snapshot.config.frontends[usize::from(index)];
            let server = match client.arrival.stream {
                Some(stream) => Some(by_stream[&stream]),
                None => given.get(&client.peer.stream).copied(),
            };
            let story = Story {
                client,
                server,
                record,
                frontend,
                // Where it chooses one of several, `tls` looks at which.
                backend: &backends[&snapshot.version][frontend.backend.unwrap_or(0)],
                settled: client.settled && self.control.changes == 0,
                few_buffers: world.weather.buffers_max < 1_000,
            };
            match frontend.mode {
                Mode::Http(mode) => model.check(&story, mode, &mut coverage.http),
                Mode::Tls(_) => {
                    tls::check(&story, &snapshot.config, &mut coverage.tls);
                    check_streams(&story, (0, 0), self.is_calm(), coverage);
                }
                Mode::Tcp => {
                    let heads = match story.server {
                        Some(server) if world.proxied => {
                            proxy::check(&story, server, &mut coverage.proxy)
                        }
                        Some(_) | None => (0, 0),
                    };
                    check_streams(&story, heads, self.is_calm(), coverage);
                }
            }
        }
    }

    /// Nothing was cut short from outside.
    fn is_calm(&self) -> bool {
        !self.aborted && !self.cut
    }
}

/// A client leaves while it waits by a reset only: the end of its stream is not enough.
fn check_who_left(client: &Ended, record: &AccessRecord) {
    let outcome = record.summary.outcome;
    if outcome.who == TerminationCause::Client
        && matches!(
            outcome.phase,
            TerminationPhase::Queue | TerminationPhase::Connect
        )
    {
        assert!(client.peer_reset, "a client that waits was given up");
    }
}

/// What a side had sent before it was reset has arrived at the other one, if that one was there. A
/// session that timed out may have waited for either. Returns whether there was such a reset.
fn check_before_reset(
    (from, read): (&Ended, u64),
    (to, arrived): (&Ended, u64),
    record: Option<&AccessRecord>,
) -> bool {
    let who = record.map(|record| record.summary.outcome.who);
    let by_peer = matches!(
        who,
        Some(TerminationCause::Client | TerminationCause::Server)
    );
    if !from.peer_reset || to.peer_reset || !by_peer {
        return false;
    }
    assert_eq!(from.unread, 0, "bytes before a reset were not read");
    assert_eq!(read, arrived, "bytes before a reset are lost");
    assert_eq!(to.lost, 0, "a reset has overtaken bytes");
    true
}

/// TCP mode: what arrived is what was sent. The server got a PROXY head of ours, so long, and did not get
/// that of the client.
fn check_streams(
    story: &Story<'_>,
    (sent, removed): (u64, u64),
    calm: bool,
    coverage: &mut Coverage,
) {
    let (client, Some(server)) = (story.client, story.server) else {
        return;
    };
    // Of each, how much of what it sent was for the other one, and how much of that came from it.
    let for_server = (client, client.read - removed);
    let at_server = (server, server.arrival.bytes - sent);
    let for_client = (server, server.read);
    let at_client = (client, client.arrival.bytes);
    let pair = [(for_server, at_server), (for_client, at_client)];
    if calm {
        for (from, to) in pair {
            coverage.broken += u64::from(check_before_reset(from, to, story.record));
        }
    }
    let disturbed = |end: &Ended| end.peer_reset || end.by_reset;
    if disturbed(client) || disturbed(server) {
        // Resets come in pairs, unless it is the peer of this one that was lost.
        assert!(
            client.by_reset == server.by_reset,
            "a reset was not passed on"
        );
    } else {
        for ((_, read), (_, arrived)) in pair {
            assert_eq!(read, arrived, "bytes were lost on the way");
        }
    }
    if client.is_peaceful() && server.is_peaceful() && calm && !story.was_given_up() {
        for ((from, read), (to, arrived)) in pair {
            assert!(from.read_to_the_end, "the end was not waited for");
            assert_eq!(from.peer.to_send, from.read, "bytes are missing");
            assert_eq!(read, arrived, "bytes are missing");
            assert!(
                to.arrival.ended && !to.by_reset,
                "the end was not passed on"
            );
        }
        coverage.complete += 1;
    }
}
