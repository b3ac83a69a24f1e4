//! Makes snapshots and sets of servers.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Weak};

use super::Snapshot;
use super::backend::BackendShared;
use super::change::{MembersChange, Origin, Source, UnknownBackend};
use super::members::{Member, Members};
use super::objects::Objects;
use super::server::QueueShared;
use crate::config::{Backend, Config, Server};
use crate::logic::network::Networks;

/// The newest state of one backend.
#[derive(Debug)]
struct Current {
    /// Its index in the newest snapshot.
    index: usize,
    /// The servers of the configuration.
    written: Vec<Arc<Server>>,
    members: Arc<Members>,
}

/// Makes snapshots of configurations, and the sets of servers of their backends, of the same shared objects.
#[derive(Debug)]
pub struct Registry {
    objects: Objects,
    /// Of the newest snapshot.
    version: u64,
    newest: Weak<Snapshot>,
    /// The backends of the newest snapshot, by name.
    current: HashMap<String, Current>,
    /// Servers that the configuration does not have, by the name of their backend.
    added: HashMap<String, BTreeMap<Source, Vec<Arc<Server>>>>,
    /// Names of backends with servers that are leaving.
    leaving: BTreeSet<String>,
    /// Former sets that a worker may still have. They are kept until no worker has them, so that none has to
    /// free a thousand servers at once.
    retired: Vec<Arc<Members>>,
    /// Lists of addresses that are or were in use, for the same reason.
    lists: Vec<Arc<Networks>>,
}

impl Registry {
    /// For a process with this number of workers.
    pub fn new(workers: usize) -> Self {
        Registry {
            objects: Objects::new(workers),
            version: 0,
            newest: Weak::new(),
            current: HashMap::new(),
            added: HashMap::new(),
            leaving: BTreeSet::new(),
            retired: Vec::new(),
            lists: Vec::new(),
        }
    }

    /// The next snapshot. The limits of `config` are in effect from now on. Servers that the configuration does
    /// not have stay, if it has their backend.
    pub fn snapshot(&mut self, config: Config) -> Arc<Snapshot> {
        self.version += 1;
        let frontends = config.frontends.iter();
        let frontends = frontends.map(|frontend| self.objects.frontend(&frontend.name));
        let frontends: Vec<_> = frontends.collect();
        let routes = config.frontends.iter().map(|frontend| {
            let routes = frontend.routes.iter();
            let routes = routes.map(|route| self.objects.route(&frontend.name, route));
            routes.collect()
        });
        let routes = routes.collect();
        for (shared, frontend) in frontends.iter().zip(&config.frontends) {
            shared.session_limit.set_max(frontend.sessions_max);
        }
        let mut old = std::mem::take(&mut self.current);
        let backends = config.backends.iter().enumerate();
        let backends = backends.map(|(index, backend)| {
            let before = old.remove(&backend.name).map(|old| old.members);
            Arc::new(self.backend(index, backend, before.as_deref()))
        });
        let backends = backends.collect();
        let (added, current) = (&mut self.added, &self.current);
        added.retain(|backend, _| current.contains_key(backend));
        self.leaving.retain(|backend| current.contains_key(backend));
        drop(old);
        self.objects.forget_unused();
        let ids = frontends.iter().map(|frontend| frontend.id);
        let snapshot = Arc::new(Snapshot {
            index_by_id: ids.zip(0..).collect(),
            version: self.version,
            config,
            frontends,
            routes,
            backends,
        });
        let frontends = snapshot.config.frontends.iter();
        let lists = frontends.flat_map(|it| it.allow.iter().chain(&it.deny));
        self.lists
            .extend(lists.map(|list| Arc::clone(&list.networks)));
        self.newest = Arc::downgrade(&snapshot);
        snapshot
    }

    /// Makes these the servers of `source` in the backend of this name, instead of those that it had. Those that
    /// are no more in any source, nor in the configuration, get no new sessions from now on; they are
    /// forgotten once their last session has ended. One that comes back before that is the same object, with
    /// its sessions, counters and health.
    ///
    /// `None`: nothing has changed.
    ///
    /// # Errors
    ///
    /// There is no such backend.
    pub fn set_members(
        &mut self,
        backend: &str,
        source: Source,
        servers: Vec<Server>,
    ) -> Result<Option<MembersChange>, UnknownBackend> {
        let snapshot = self.newest.upgrade().ok_or(UnknownBackend)?;
        let current = self.current.get(backend).ok_or(UnknownBackend)?;
        let (index, written) = (current.index, current.written.clone());
        let before = Arc::clone(&current.members);
        let added = self.added.entry(backend.to_owned()).or_default();
        let own = added.entry(source).or_default();
        if own.iter().map(|server| &**server).eq(servers.iter()) {
            return Ok(None);
        }
        *own = servers.into_iter().map(Arc::new).collect();
        let queue = Arc::clone(&snapshot.backends[index].queue);
        let servers = self.merge(backend, &written, &queue);
        let change = self.change(snapshot, index, servers, &before);
        Ok(Some(MembersChange {
            source: Some(source),
            ..change
        }))
    }

    /// The servers of the backend of this name.
    pub fn members(&self, backend: &str) -> Option<Arc<Members>> {
        let current = self.current.get(backend)?;
        Some(Arc::clone(&current.members))
    }

    /// The server of this name in the backend of this name, and where it comes from; one that leaves, if there
    /// is no other.
    pub fn find(&self, backend: &str, server: &str) -> Option<(Origin, Member)> {
        let current = self.current.get(backend)?;
        let member = current.members.by_name(server)?.clone();
        let has = |servers: &[Arc<Server>]| servers.iter().any(|it| it.name == server);
        let added = self.added.get(backend).into_iter().flatten();
        let mut others = added.filter(|(_, servers)| has(servers));
        let origin = if has(&current.written) {
            Origin::Configuration
        } else {
            let other = others.next().map(|(source, _)| Origin::Other(*source));
            other.unwrap_or(Origin::Leaving)
        };
        Some((origin, member))
    }

    /// Forgets servers that were removed and whose last session has ended.
    pub fn drop_left(&mut self) -> Vec<MembersChange> {
        self.lists.retain(|list| Arc::strong_count(list) > 1);
        self.retired
            .retain(|members| Arc::strong_count(members) > 1);
        let Some(snapshot) = self.newest.upgrade() else {
            return Vec::new();
        };
        let mut changes = Vec::new();
        for backend in self.leaving.clone() {
            let current = &self.current[&backend];
            let (index, before) = (current.index, Arc::clone(&current.members));
            if before.leaving().iter().any(has_left) {
                let servers = before.servers().to_vec();
                changes.push(self.change(Arc::clone(&snapshot), index, servers, &before));
            }
        }
        changes
    }

    /// From the set `before` to one of these servers.
    fn change(
        &mut self,
        snapshot: Arc<Snapshot>,
        index: usize,
        servers: Vec<Member>,
        before: &Arc<Members>,
    ) -> MembersChange {
        let backend = snapshot.config.backends[index].name.clone();
        let old = before.servers().iter();
        let old: HashMap<u64, &Server> = (old)
            .map(|member| (member.server.id, &*member.config))
            .collect();
        let (mut added, mut changed) = (Vec::new(), Vec::new());
        for member in &servers {
            match old.get(&member.server.id) {
                None => {
                    member.server.availability.set_leaving(false);
                    added.push(member.clone());
                }
                Some(config) if **config != *member.config => changed.push(member.clone()),
                Some(_) => {}
            }
        }
        let new: HashSet<u64> = servers.iter().map(|member| member.server.id).collect();
        let is_gone = |member: &&Member| !new.contains(&member.server.id);
        let removed = before.servers().iter().filter(is_gone);
        let removed: Vec<Member> = removed.cloned().collect();
        for member in &removed {
            member.server.availability.set_leaving(true);
        }
        let gone = before.leaving().iter().filter(is_gone);
        let (dropped, mut leaving): (Vec<Member>, Vec<Member>) = gone.cloned().partition(has_left);
        leaving.extend(removed.iter().cloned());
        let queue = &snapshot.backends[index].queue;
        for member in &dropped {
            queue.forgotten.add(&member.server.counters);
            self.objects.forget(&backend, &member.config);
        }
        if leaving.is_empty() {
            self.leaving.remove(&backend);
        } else {
            self.leaving.insert(backend.clone());
        }
        let members = before.with(servers, leaving);
        if let Some(current) = self.current.get_mut(&backend) {
            current.members = Arc::clone(&members);
        }
        self.retired.push(Arc::clone(before));
        self.retired
            .retain(|members| Arc::strong_count(members) > 1);
        MembersChange {
            snapshot,
            backend: index,
            source: None,
            members,
            added,
            changed,
            removed,
            dropped,
        }
    }

    /// The backend of this index. Servers that were leaving `before` still are, unless they are back.
    fn backend(
        &mut self,
        index: usize,
        backend: &Backend,
        before: Option<&Members>,
    ) -> BackendShared {
        let queue = self.objects.queue(&backend.name);
        let written = backend.servers.iter().cloned().map(Arc::new);
        let written: Vec<_> = written.collect();
        let servers = self.merge(&backend.name, &written, &queue);
        for member in &servers {
            member.server.availability.set_leaving(false);
        }
        let ids: HashSet<u64> = servers.iter().map(|member| member.server.id).collect();
        let leaving = before.into_iter().flat_map(Members::leaving);
        let leaving = leaving.filter(|member| !ids.contains(&member.server.id));
        let members = Arc::new(Members::new(servers, leaving.cloned().collect()));
        if members.leaving().is_empty() {
            self.leaving.remove(&backend.name);
        }
        let current = Current {
            index,
            written,
            members: Arc::clone(&members),
        };
        self.current.insert(backend.name.clone(), current);
        BackendShared::new(queue, members)
    }

    /// The servers of the configuration, then those of each source, without those whose name is taken.
    fn merge(
        &mut self,
        backend: &str,
        written: &[Arc<Server>],
        queue: &Arc<QueueShared>,
    ) -> Vec<Member> {
        let added = self.added.get(backend).into_iter();
        let added = added.flat_map(|by_source| by_source.values().flatten());
        let all: Vec<Arc<Server>> = written.iter().chain(added).cloned().collect();
        let mut names = HashSet::with_capacity(all.len());
        let first = all
            .iter()
            .filter(|server| names.insert(server.name.as_str()));
        first
            .map(|config| {
                let server = self.objects.server(backend, config, queue);
                Member::new(server, Arc::clone(config))
            })
            .collect()
    }
}

/// Whether the last session of a server that was removed has ended.
fn has_left(member: &Member) -> bool {
    member.server.session_limit.used() == 0
}

#[cfg(test)]
mod tests;
