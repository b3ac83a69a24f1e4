//! A backend as all workers share it: its queue, and its servers, which can change at any time.

use std::net::IpAddr;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::members::Members;
use super::server::QueueShared;
use super::turns::Turns;
use crate::atomics::Mutex;
use crate::logic::balance::Choice;
use crate::sync::Published;

/// A backend of one configuration as all workers share it.
#[derive(Debug)]
pub struct BackendShared {
    /// Its queue.
    pub queue: Arc<QueueShared>,
    members: Published<Members>,
    /// The turns of all workers; `None`: nobody has had one.
    turns: CachePadded<Mutex<Option<Turns>>>,
}

impl BackendShared {
    /// With these servers.
    pub(super) fn new(queue: Arc<QueueShared>, members: Arc<Members>) -> Self {
        BackendShared {
            queue,
            members: Published::new(members),
            turns: CachePadded::default(),
        }
    }

    /// Its servers now.
    pub fn members(&self) -> Arc<Members> {
        self.members.load()
    }

    /// Another number after each change of its servers. Read it before [`BackendShared::members`].
    pub fn version(&self) -> u64 {
        self.members.version()
    }

    /// Replaces its servers. Notify the workers with sessions in the queue after this: there may be a server
    /// for them.
    pub fn publish(&self, members: Arc<Members>) {
        self.members.publish(members);
    }

    /// Chooses in the order that all workers share, among the servers of this version. While another worker does
    /// the same, and for a worker that has not seen the newest servers, the choice is that of `own`: nobody waits.
    pub fn take_turn(
        &self,
        own: &mut Turns,
        version: u64,
        members: &Members,
        client: IpAddr,
        tried: &[u16],
    ) -> Choice {
        if let Ok(mut shared) = self.turns.try_lock() {
            let shared = shared.get_or_insert_with(|| own.clone());
            if shared.follow(version, members) {
                return shared.choose(members, client, tried);
            }
        }
        own.choose(members, client, tried)
    }

    /// Whether new sessions can be given to any of its servers.
    pub fn has_usable(&self) -> bool {
        let members = self.members();
        let mut availability = (members.servers().iter()).map(|member| &member.server.availability);
        availability.any(|availability| availability.is_usable() && availability.weight() > 0)
    }
}
