//! What the health thread does with sessions that failed: the servers of passive backends are left out by the
//! same decision.

use std::collections::HashMap;
use std::sync::Arc;

use crossbeam_channel::{Receiver, unbounded};
use ringway::logic::ejection::Ejection;
use ringway::logic::time::Instant;
use ringway::shared::Shared;
use ringway::snapshot::{ServerShared, Snapshot};

/// Failed sessions of all servers.
pub struct Passive {
    /// Ids of servers with failed sessions, from the workers.
    failed: Receiver<u64>,
    /// By id, with the failures that were seen so far.
    servers: HashMap<u64, (Ejection, u64)>,
    /// How often a server was left out.
    pub ejected: u64,
}

impl Passive {
    /// Workers report to it from now on.
    pub fn new(shared: &Shared) -> Self {
        let (sender, failed) = unbounded();
        shared.set_checker(Box::new(move |server| {
            let _ = sender.send(server);
        }));
        Passive {
            failed,
            servers: HashMap::new(),
            ejected: 0,
        }
    }

    /// Leaves servers out, and lets them in again. Returns those for which that has changed.
    pub fn turn(&mut self, snapshot: &Snapshot, now: u64) -> Vec<Arc<ServerShared>> {
        let now = Instant::from_nanos(now);
        let failed: Vec<u64> = self.failed.try_iter().collect();
        let mut changed = Vec::new();
        for (written, backend) in snapshot.config.backends.iter().zip(&snapshot.backends) {
            let members = backend.members();
            for server in members.servers().iter().map(|member| &member.server) {
                if failed.contains(&server.id) {
                    server.connect_failures.seen();
                    server.answer_failures.seen();
                    let count = server.connect_failures.count() + server.answer_failures.count();
                    let Some(rules) = written.passive else {
                        continue;
                    };
                    let new = || (Ejection::new(rules), 0);
                    let (ejection, seen) = self.servers.entry(server.id).or_insert_with(new);
                    let count = count - std::mem::replace(seen, count);
                    let others = || {
                        let mut others = members.servers().iter().map(|other| &other.server);
                        others.any(|other| {
                            let availability = &other.availability;
                            let usable = availability.is_usable() && availability.weight() > 0;
                            usable && other.id != server.id
                        })
                    };
                    if ejection.failed(now, count, others).is_some() {
                        let (_, weight) = server.availability.published();
                        server.availability.publish(false, weight);
                        assert!(backend.has_usable(), "the last usable server is left out");
                        changed.push(Arc::clone(server));
                        self.ejected += 1;
                    }
                }
                if let Some((ejection, _)) = self.servers.get_mut(&server.id)
                    && ejection.end_if_over(now).is_some()
                {
                    let (_, weight) = server.availability.published();
                    server.availability.publish(true, weight);
                    changed.push(Arc::clone(server));
                }
            }
        }
        changed
    }
}
