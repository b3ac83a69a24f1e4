//! Takes a new snapshot, or another set of servers of one backend: a server that stays keeps its health and its phase in the schedule, with the probe and
//! the intervals of the new configuration. A new server counts as up and is probed at once. A server that is
//! gone is forgotten.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::checker::Checker;
use super::probe::Probe;
use super::schedule;
use super::target::{Pool, Target};
use crate::config::{Backend, Server};
use crate::control::journal::Kind;
use crate::control::server_change::ServerChange;
use crate::logic::ejection::Ejection;
use crate::logic::health::{CheckRules, Health, Rules};
use crate::logic::time::Instant;
use crate::snapshot::{Member, MembersChange, Snapshot};

/// What is due for servers that are gone is removed when more is due than this for each server there is, and
/// [`AGENDA_MIN`].
const AGENDA_FACTOR: usize = 4;

/// See [`AGENDA_FACTOR`].
const AGENDA_MIN: usize = 1024;

impl Checker {
    /// Checks the servers of this snapshot from now on.
    pub fn adopt(&mut self, snapshot: &Snapshot, now: Instant) {
        let config = &snapshot.config;
        let mut targets = std::mem::take(&mut self.targets);
        let pools = std::mem::take(&mut self.pools);
        let backends = config.backends.iter().zip(&snapshot.backends);
        let members = backends.map(|(backend, shared)| (backend, shared.members()));
        let members: Vec<_> = members.collect();
        let checked = (members.iter()).filter(|(backend, _)| backend.health_check.is_some());
        let new_count = checked.flat_map(|(_, members)| members.all());
        let is_new = |member: &&Member| !targets.contains_key(&member.server.id);
        let new_count = new_count.filter(is_new).count();
        let mut new_index = 0;
        let is_reload = self.version > 0;
        self.version = snapshot.version;
        for (index, (backend, members)) in members.iter().enumerate() {
            let shared = &snapshot.backends[index];
            let mut pool = Pool::new(backend, shared);
            let before = pools.iter().find(|old| old.name == pool.name);
            pool.opens_held = before.is_some_and(|old| old.opens_held);
            self.pools.push(pool);
            for member in members.all() {
                match targets.remove(&member.server.id) {
                    Some(target) => self.keep(target, (index, backend), member, now),
                    None => {
                        let due = now + schedule::first(new_index, new_count);
                        self.add((index, backend), member, now, due);
                        new_index += usize::from(backend.health_check.is_some());
                        if is_reload {
                            let name = format!("{}/{}", backend.name, member.config.name);
                            let recorder = self.journal.recorder();
                            recorder.note(&name, Kind::Reload, "is new in the configuration");
                        }
                    }
                }
            }
        }
        let recorder = self.journal.recorder();
        for gone in targets.into_values() {
            self.awaited -= usize::from(gone.awaited);
            let text = "is not in the configuration any more";
            recorder.note(&gone.name, Kind::Reload, text);
            recorder.gone(&gone.name);
        }
        let names: HashSet<&str> = (config.backends.iter())
            .map(|backend| backend.name.as_str())
            .collect();
        recorder.retain_backends(|name| names.contains(name));
        let targets = &self.targets;
        self.agenda.retain(|id| targets.contains_key(&id));
        self.statuses.retain(|id| targets.contains_key(&id));
        for index in 0..self.pools.len() {
            self.update_held_of(index, now);
        }
        self.inherit_pools(&pools, now);
        self.end_first_round_if_complete();
    }

    /// Checks the servers of another set from now on, and gives that to the workers. What is of other backends
    /// is not looked at. Servers that leave are still checked, until they are dropped.
    pub fn set_members(
        &mut self,
        change: &MembersChange,
        changes: &[(u64, ServerChange)],
        now: Instant,
    ) {
        // A newer configuration is about to come: with that come all servers of this set.
        let is_current = change.snapshot.version == self.version;
        let index = change.backend;
        if is_current {
            let backend = (index, &change.snapshot.config.backends[index]);
            let count = change.added.len();
            for (new_index, member) in change.added.iter().enumerate() {
                match self.targets.remove(&member.server.id) {
                    Some(target) => self.keep(target, backend, member, now),
                    None => {
                        let due = now + schedule::first(new_index, count);
                        self.add(backend, member, now, due);
                        self.hold(member.server.id);
                        self.publish(member.server.id, now);
                    }
                }
            }
            for member in &change.changed {
                if let Some(target) = self.targets.remove(&member.server.id) {
                    self.keep(target, backend, member, now);
                }
            }
            for member in &change.dropped {
                self.forget(member.server.id);
            }
            for (server, change) in changes {
                self.apply_change(*server, change);
            }
            self.update_held(index, &change.members, now);
            self.record_members(change);
        }
        change.publish();
        let shared = self.workers.shared();
        // Pinned sessions have no server any more, or one with a higher limit.
        let concerned = change.removed.iter().chain(&change.changed);
        for Member { server, .. } in concerned.chain(&change.added) {
            if server.waiting.any() {
                shared.notify_waiters(server);
            }
        }
        shared.notify_queue(&change.backend().queue);
        if is_current {
            self.update_pool(index, now);
            self.end_first_round_if_complete();
        }
    }

    fn forget(&mut self, id: u64) {
        if let Some(gone) = self.targets.remove(&id) {
            self.awaited -= usize::from(gone.awaited);
            self.pools[gone.backend].held.remove(&id);
        }
        self.statuses.forget(id);
        // What is due for servers that are gone is passed over then. Where many are, it is removed before.
        if self.agenda.len() > AGENDA_FACTOR * self.targets.len() + AGENDA_MIN {
            let targets = &self.targets;
            self.agenda.retain(|id| targets.contains_key(&id));
        }
    }

    /// A backend that existed before is re-evaluated, so that gaining or losing its last usable server is
    /// announced. A new backend is not: it has lost nothing, even if all its servers have weight 0.
    fn inherit_pools(&mut self, old: &[Pool], now: Instant) {
        let old: HashMap<&str, Option<Instant>> = (old.iter())
            .map(|pool| (pool.name.as_str(), pool.lost_since))
            .collect();
        for index in 0..self.pools.len() {
            let pool = &mut self.pools[index];
            match old.get(pool.name.as_str()) {
                Some(lost_since) => {
                    pool.lost_since = *lost_since;
                    self.update_pool(index, now);
                }
                None => pool.lost_since = (!pool.shared.has_usable()).then_some(now),
            }
        }
    }

    fn add(
        &mut self,
        (index, backend): (usize, &Backend),
        member: &Member,
        now: Instant,
        due: Instant,
    ) {
        let shared = Arc::clone(&member.server);
        let id = shared.id;
        let probe = self.probe(index, backend, member);
        let mut health = Health::new(rules(backend, &member.config), now);
        let is_resolved = shared.addresses.is_resolved();
        let change = if is_resolved {
            None
        } else {
            health.unresolved(now)
        };
        let is_checked = probe.is_some();
        let awaited = is_checked && is_resolved;
        let mut target = Target {
            backend: index,
            shared,
            name: format!("{}/{}", backend.name, member.config.name),
            health,
            address: member.config.address.clone(),
            resolving: false,
            probe,
            phase: schedule::phase(self.phases),
            probing: false,
            probed_at: now,
            probe_due: None,
            weight_due: None,
            connect_failed: false,
            connect_failed_at: None,
            ejection: backend.passive.map(Ejection::new),
            failures_seen: [0; 2],
            failures_recorded: [0; 2],
            failures_due: false,
            awaited,
            held: false,
            weight_configured: member.config.weight.into(),
            weight_set: None,
            by: None,
        };
        target.failures_recorded = target.failure_counts();
        self.journal.recorder().present(&target.name);
        self.targets.insert(id, target);
        self.phases += usize::from(is_checked);
        self.awaited += usize::from(awaited);
        self.plan_probe_at(id, due);
        self.publish(id, now);
        if let Some(change) = change {
            self.announce(id, &change);
        }
        self.plan_lookup(id, now);
    }

    fn keep(
        &mut self,
        mut target: Target,
        (index, backend): (usize, &Backend),
        member: &Member,
        now: Instant,
    ) {
        let id = target.shared.id;
        target.backend = index;
        let probe = self.probe(index, backend, member);
        let probe_changed = target.probe.as_deref() != probe.as_deref();
        if probe_changed {
            target.probe = probe;
            target.probe_due = None;
        }
        if target.probe.is_none() && std::mem::take(&mut target.awaited) {
            self.awaited -= 1;
        }
        let mut rules = rules(backend, &member.config);
        target.weight_configured = rules.weight;
        if let Some(weight) = target.weight_set {
            rules.weight = weight;
        }
        let rules_changed = target.health.rules().check != rules.check;
        let mut changes = [target.health.set_rules(now, rules), None];
        if target.shared.addresses.is_resolved() {
            changes[1] = target.health.resolved(now);
        }
        target.held &= target.probe.is_some();
        let was_ejected = target.is_ejected();
        match (backend.passive, &mut target.ejection) {
            (Some(rules), Some(ejection)) => ejection.set_rules(rules),
            (rules, ejection) => {
                *ejection = rules.map(Ejection::new);
                target.see_failures();
            }
        }
        let is_ejected = target.is_ejected();
        if target.held || is_ejected {
            self.pools[index].held.insert(id);
        }
        let idle = !target.probing;
        self.targets.insert(id, target);
        self.publish(id, now);
        for change in changes.into_iter().flatten() {
            self.announce(id, &change);
        }
        if was_ejected && !is_ejected {
            self.announce_return(id, "configuration");
        }
        self.plan_lookup(id, now);
        if probe_changed && idle {
            self.plan_probe_at(id, now);
        } else if rules_changed && idle {
            self.plan_probe(id, now);
        }
    }

    fn probe(&self, index: usize, backend: &Backend, member: &Member) -> Option<Arc<Probe>> {
        let connector = self.pools[index].connector.as_ref();
        let written = &member.config.address;
        let addresses = member.server.addresses.all();
        Probe::new(backend, connector, written, &addresses).map(Arc::new)
    }
}

fn rules(backend: &Backend, server: &Server) -> Rules {
    let check = backend.health_check.as_ref();
    Rules {
        check: check.map(|check| CheckRules {
            fall: check.fall,
            rise: check.rise,
            interval: check.interval,
            fast_interval: check.fast_interval,
            down_interval: check.down_interval,
        }),
        weight: server.weight.into(),
        slow_start: backend.slow_start,
    }
}
