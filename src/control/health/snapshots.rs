//! Takes a new snapshot: a server that stays keeps its health and its phase in the schedule, with the probe and
//! the intervals of the new configuration. A new server counts as up and is probed at once. A server that is
//! gone is forgotten.

use std::collections::HashMap;
use std::sync::Arc;

use super::checker::Checker;
use super::probe::Probe;
use super::schedule;
use super::target::{Pool, Target};
use crate::config::Backend;
use crate::logic::health::{CheckRules, Health, Rules};
use crate::logic::time::Instant;
use crate::snapshot::{ServerShared, Snapshot};

impl Checker {
    /// Checks the servers of this snapshot from now on.
    pub fn adopt(&mut self, snapshot: &Snapshot, now: Instant) {
        let config = &snapshot.config;
        let mut targets = std::mem::take(&mut self.targets);
        let pools = std::mem::take(&mut self.pools);
        let is_new = |server: &&Arc<ServerShared>| !targets.contains_key(&server.id);
        let backends = config.backends.iter().zip(&snapshot.backends);
        let checked = backends.filter(|(backend, _)| backend.health_check.is_some());
        let new_count = checked.flat_map(|(_, shared)| shared.servers.iter());
        let new_count = new_count.filter(is_new).count();
        let mut new_index = 0;
        for (index, backend) in config.backends.iter().enumerate() {
            let shared = &snapshot.backends[index];
            self.pools.push(Pool::new(backend, shared));
            for server in 0..shared.servers.len() {
                let place = (index, server);
                match targets.remove(&shared.servers[server].id) {
                    Some(target) => self.keep(target, snapshot, place, now),
                    None => {
                        let due = now + schedule::first(new_index, new_count);
                        self.add(snapshot, place, now, due);
                        new_index += usize::from(backend.health_check.is_some());
                    }
                }
            }
        }
        for gone in targets.into_values() {
            self.awaited -= usize::from(gone.awaited);
        }
        let targets = &self.targets;
        self.agenda.retain(|id| targets.contains_key(&id));
        self.statuses.retain(|id| targets.contains_key(&id));
        self.inherit_pools(&pools, now);
        self.end_first_round_if_complete();
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
        snapshot: &Snapshot,
        (index, server): (usize, usize),
        now: Instant,
        due: Instant,
    ) {
        let backend = &snapshot.config.backends[index];
        let shared = Arc::clone(snapshot.server(index, server));
        let id = shared.id;
        let probe = probe(backend, server, &shared);
        let mut health = Health::new(rules(backend, server), now);
        let is_resolved = shared.addresses.is_resolved();
        let change = if is_resolved {
            None
        } else {
            health.unresolved(now)
        };
        let is_checked = probe.is_some();
        let awaited = is_checked && is_resolved;
        let target = Target {
            backend: index,
            shared,
            name: name(backend, server),
            health,
            address: backend.servers[server].address.clone(),
            resolving: false,
            probe,
            phase: schedule::phase(self.phases),
            probing: false,
            probed_at: now,
            probe_due: None,
            weight_due: None,
            connect_failed: false,
            connect_failed_at: None,
            awaited,
            weight_configured: backend.servers[server].weight.into(),
            weight_set: None,
            by: None,
        };
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
        snapshot: &Snapshot,
        (index, server): (usize, usize),
        now: Instant,
    ) {
        let backend = &snapshot.config.backends[index];
        let id = target.shared.id;
        target.backend = index;
        let probe = probe(backend, server, &target.shared);
        let probe_changed = target.probe.as_deref() != probe.as_deref();
        if probe_changed {
            target.probe = probe;
            target.probe_due = None;
        }
        if target.probe.is_none() && std::mem::take(&mut target.awaited) {
            self.awaited -= 1;
        }
        let mut rules = rules(backend, server);
        target.weight_configured = rules.weight;
        if let Some(weight) = target.weight_set {
            rules.weight = weight;
        }
        let rules_changed = target.health.rules().check != rules.check;
        let mut changes = [target.health.set_rules(now, rules), None];
        if target.shared.addresses.is_resolved() {
            changes[1] = target.health.resolved(now);
        }
        let idle = !target.probing;
        self.targets.insert(id, target);
        self.publish(id, now);
        for change in changes.into_iter().flatten() {
            self.announce(id, &change);
        }
        self.plan_lookup(id, now);
        if probe_changed && idle {
            self.plan_probe_at(id, now);
        } else if rules_changed && idle {
            self.plan_probe(id, now);
        }
    }
}

fn name(backend: &Backend, server: usize) -> String {
    format!("{}/{}", backend.name, backend.servers[server].name)
}

fn probe(backend: &Backend, server: usize, shared: &ServerShared) -> Option<Arc<Probe>> {
    let check = backend.health_check.as_ref()?;
    let written = &backend.servers[server].address;
    let probe = Probe::new(check, written, &shared.addresses.all());
    Some(Arc::new(probe))
}

fn rules(backend: &Backend, server: usize) -> Rules {
    let check = backend.health_check.as_ref();
    Rules {
        check: check.map(|check| CheckRules {
            fall: check.fall,
            rise: check.rise,
            interval: check.interval,
            fast_interval: check.fast_interval,
            down_interval: check.down_interval,
        }),
        weight: backend.servers[server].weight.into(),
        slow_start: backend.slow_start,
    }
}
