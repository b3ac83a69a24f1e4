//! Servers that joined a backend at run time get no sessions before the first result of their probe,
//! unless no other server of the backend is usable. The first failure takes such a server down. Servers that are
//! left out because of failed sessions are held back in the same way.

use super::checker::Checker;
use crate::logic::time::Instant;
use crate::snapshot::Members;

impl Checker {
    /// Holds a server back until [`Checker::let_go`], if it is checked.
    pub(super) fn hold(&mut self, id: u64) {
        if let Some(target) = self.targets.get_mut(&id)
            && target.probe.is_some()
        {
            target.held = true;
            self.pools[target.backend].held.insert(id);
        }
    }

    /// Holds a server back no longer: it has a result, or will have none. Returns whether it was held.
    pub(super) fn let_go(&mut self, id: u64) -> bool {
        let Some(target) = self.targets.get_mut(&id) else {
            return false;
        };
        let was_held = std::mem::take(&mut target.held);
        if !target.is_ejected()
            && let Some(pool) = self.pools.get_mut(target.backend)
        {
            pool.held.remove(&id);
        }
        was_held
    }

    /// Decides again whether held servers of a backend, which has these servers, get sessions.
    pub(super) fn update_held(&mut self, backend: usize, members: &Members, now: Instant) {
        let pool = &mut self.pools[backend];
        if pool.held.is_empty() {
            pool.opens_held = false;
            return;
        }
        let mut servers = members.servers().iter().map(|member| &member.server);
        let opens = !servers.any(|server| pool.is_chosen_from(server));
        if std::mem::replace(&mut pool.opens_held, opens) != opens {
            let held: Vec<u64> = pool.held.iter().copied().collect();
            for id in held {
                self.publish(id, now);
            }
        }
    }

    /// The same for the servers that it has now.
    pub(super) fn update_held_of(&mut self, backend: usize, now: Instant) {
        if !self.pools[backend].held.is_empty() {
            let members = self.pools[backend].shared.members();
            self.update_held(backend, &members, now);
        }
    }
}
