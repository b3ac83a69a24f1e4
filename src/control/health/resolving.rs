//! Host names that could not be resolved at the start or at a reload: they are resolved again and
//! again, until that succeeds. A server without an address is down meanwhile.

use super::checker::Checker;
use super::schedule::Task;
use crate::control::names::{Answer, RETRY_PAUSE};
use crate::logic::time::Instant;

impl Checker {
    /// Begins to resolve the name of a server that a new snapshot has, if that has failed.
    pub(super) fn plan_lookup(&mut self, id: u64, now: Instant) {
        if let Some(target) = self.targets.get_mut(&id)
            && target.shared.addresses.is_stale()
            && !std::mem::replace(&mut target.resolving, true)
        {
            self.agenda.add(now, id, Task::Resolve);
        }
    }

    pub(super) fn look_up(&mut self, id: u64) {
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        if !target.shared.addresses.is_stale() {
            // A reload has resolved it.
            target.resolving = false;
            return;
        }
        let (names, address) = (self.names.clone(), target.address.clone());
        self.lookups
            .spawn(async move { (id, names.resolve(&address).await) });
    }

    pub(super) fn looked_up(&mut self, id: u64, answer: Answer) {
        let now = self.now();
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        let addresses = match answer {
            Ok(addresses) if target.shared.addresses.is_stale() => addresses,
            Ok(_) => {
                target.resolving = false;
                return;
            }
            Err(_) => {
                self.agenda.add(now + RETRY_PAUSE, id, Task::Resolve);
                return;
            }
        };
        target.resolving = false;
        log::info!("server {}: resolved `{}`", target.name, target.address);
        if !target.shared.addresses.resolved(&addresses) {
            return;
        }
        if let Some(probe) = &target.probe {
            let addresses = target.shared.addresses.all();
            target.probe = Some(std::sync::Arc::new(probe.at(&addresses)));
            target.probe_due = None;
        }
        let idle = !target.probing;
        let change = target.health.resolved(now);
        self.follow(id, change, now);
        if idle {
            self.plan_probe_at(id, now);
        }
    }
}
