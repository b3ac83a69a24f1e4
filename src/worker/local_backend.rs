//! A backend of a configuration in one worker: its balancer, and its servers as they were when this worker
//! last looked for a change.

use std::net::IpAddr;
use std::sync::Arc;

use crate::logic::balance::{self, Algorithm, Choice};
use crate::snapshot::{BackendShared, Member, Members, ServerShared, Turns};

/// A backend in one worker.
pub struct LocalBackend {
    /// What all workers share of it.
    pub shared: Arc<BackendShared>,
    /// The version of `members`, or an older one.
    version: u64,
    members: Arc<Members>,
    algorithm: Algorithm,
    /// The worker's own.
    turns: Turns,
    /// Whose turn it is to be connected from, among the local addresses of the configuration.
    source: u16,
    /// Indices of the servers that a session has tried. Here only to use its memory again.
    tried: Vec<u16>,
}

impl LocalBackend {
    /// With a balancer of this algorithm and seed.
    pub fn new(shared: &Arc<BackendShared>, algorithm: Algorithm, seed: u64) -> Self {
        let version = shared.version();
        let members = shared.members();
        LocalBackend {
            shared: Arc::clone(shared),
            version,
            algorithm,
            turns: Turns::new(algorithm, seed, version, &members),
            members,
            source: 0,
            tried: Vec::new(),
        }
    }

    /// The local address of the next connect, modulo their number.
    pub fn next_source(&mut self) -> u16 {
        let next = self.source.wrapping_add(1);
        std::mem::replace(&mut self.source, next)
    }

    /// Its servers, as they were at the last [`LocalBackend::refresh`].
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// Looks for a change of its servers: one load, if there is none. It takes time linear in their number if
    /// there is one: less than a millisecond for a thousand.
    pub fn refresh(&mut self) {
        let version = self.shared.version();
        if version != self.version {
            self.replace(version);
        }
    }

    #[cold]
    fn replace(&mut self, version: u64) {
        let members = self.shared.members();
        self.turns.follow(version, &members);
        self.version = version;
        // The control plane has the old set too until no worker does, so nothing of it is freed here.
        self.members = members;
    }

    /// Whether another set is about to come, and this one has nothing to choose: its servers are marked as removed
    /// before the new set is published.
    fn is_outdated(&self) -> bool {
        let mut servers = self.members.servers().iter();
        let mut availability = servers.clone().map(|member| &member.server.availability);
        servers.any(|member| member.server.availability.is_leaving())
            && !availability.any(|it| it.is_usable() && it.weight() > 0)
    }

    /// Chooses a server for a session of `client` that failed to connect to those in `tried`. While there is no
    /// server at all, and while the servers are being replaced, the session waits for one.
    pub fn choose(&mut self, client: IpAddr, tried: &[Arc<ServerShared>]) -> Choice {
        if self.members.servers().is_empty() {
            return Choice::Full;
        }
        self.tried.clear();
        self.tried.extend(indices(&self.members, tried));
        let (members, tried) = (&*self.members, &self.tried);
        let choice = match self.algorithm {
            // One server alone has every turn.
            Algorithm::RoundRobin if members.servers().len() > 1 => {
                let own = &mut self.turns;
                self.shared
                    .take_turn(own, self.version, members, client, tried)
            }
            _ => self.turns.choose(members, client, tried),
        };
        match choice {
            Choice::None if self.is_outdated() => Choice::Full,
            choice => choice,
        }
    }

    /// The backup for a session that has waited too long, if one has a free slot.
    pub fn backup(&self, tried: &[Arc<ServerShared>]) -> Option<usize> {
        let tried: Vec<u16> = indices(&self.members, tried).collect();
        balance::spare(&*self.members, &tried)
    }

    /// Whether a new session would have to wait: for this server, or for any.
    pub fn is_full(&self, pinned: Option<&ServerShared>) -> bool {
        match pinned {
            None => {
                let is_empty = self.members.servers().is_empty();
                is_empty || balance::is_full(&*self.members) || self.is_outdated()
            }
            Some(server) => server.availability.is_usable() && server.session_limit.free() == 0,
        }
    }

    /// A server that has a slot for any session.
    pub fn server_for_any(&self) -> Option<&Arc<ServerShared>> {
        if self.is_full(None) {
            return None;
        }
        let mut servers = self.members.servers().iter().map(|member| &member.server);
        servers.find(|server| server.is_open_to_any())
    }

    /// Whether balancing could choose a server other than these.
    pub fn has_another(&self, tried: impl Fn(&ServerShared) -> bool) -> bool {
        let mut servers = self.members.servers().iter();
        servers.any(|Member { server, backup, .. }| {
            let availability = &server.availability;
            let takes_sessions = availability.is_usable() && availability.weight() > 0;
            !tried(server) && takes_sessions && !backup && server.session_limit.free() > 0
        })
    }
}

/// Indices of those of these servers that are still there.
fn indices(members: &Members, servers: &[Arc<ServerShared>]) -> impl Iterator<Item = u16> {
    let servers = servers.iter();
    servers.filter_map(|server| members.index_of(server).map(|index| index as u16))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::config::{Address, Server, parse, system_resolver};
    use crate::snapshot::{Registry, Snapshot, Source};

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A backend `b` with one server, which is not usable.
    struct Scene {
        registry: Registry,
        snapshot: Arc<Snapshot>,
    }

    impl Scene {
        fn new() -> Self {
            let text = "[frontend.f]\nlisten = [\"[::1]:0\"]\nbackend = \"b\"\n\
                        [backend.b]\nservers = [{ name = \"s\", address = \"[::1]:1\" }]\n";
            let config = match parse("x.toml", text, &system_resolver) {
                Ok(loaded) => loaded.config,
                Err(report) => panic!("{report}"),
            };
            let mut registry = Registry::new(1);
            let snapshot = registry.snapshot(config);
            snapshot.server(0, 0).availability.publish(false, 1);
            Scene { registry, snapshot }
        }

        fn backend(&self) -> LocalBackend {
            LocalBackend::new(&self.snapshot.backends[0], Algorithm::RoundRobin, 7)
        }

        fn servers(&self, numbers: impl IntoIterator<Item = u16>) -> Vec<Server> {
            let server = |number: u16| Server {
                name: number.to_string(),
                address: Address::Ip((CLIENT, number + 1).into()),
                weight: 1,
                sessions_max: None,
                backup: false,
                cookie: number.to_string(),
            };
            numbers.into_iter().map(server).collect()
        }

        fn set(&mut self, numbers: impl IntoIterator<Item = u16>) {
            let servers = self.servers(numbers);
            let change = self.registry.set_members("b", Source::Discovery, servers);
            change.unwrap().unwrap().publish();
        }
    }

    fn choose(
        backend: &mut LocalBackend,
        tried: &[Arc<ServerShared>],
    ) -> Option<Arc<ServerShared>> {
        match backend.choose(CLIENT, tried) {
            Choice::Server(index) => Some(Arc::clone(&backend.members().servers()[index].server)),
            Choice::Full | Choice::Tried | Choice::None => None,
        }
    }

    #[test]
    fn a_change_is_in_effect_from_the_next_choice_on() {
        let mut scene = Scene::new();
        let mut backend = scene.backend();
        assert!(choose(&mut backend, &[]).is_none());
        scene.set([1, 2]);
        assert!(choose(&mut backend, &[]).is_none(), "it has not looked");
        backend.refresh();
        let first = choose(&mut backend, &[]).unwrap();
        // The one that had its turn has another index now, and still is the one that had its turn.
        scene.set([3, 2, 1]);
        backend.refresh();
        let others = [(); 2].map(|()| choose(&mut backend, &[]).unwrap());
        assert!(others.iter().all(|other| other.id != first.id));
        scene.set([4, 3]);
        backend.refresh();
        for _ in 0..10 {
            let chosen = choose(&mut backend, &[first.clone(), others[0].clone()]).unwrap();
            assert!(chosen.availability.is_usable());
        }
    }

    #[test]
    fn while_all_servers_are_being_replaced_a_session_waits() {
        let mut scene = Scene::new();
        scene.set([1, 2]);
        let mut backend = scene.backend();
        assert!(!backend.is_full(None));
        let replaced = scene.servers([3]);
        let change = (scene.registry).set_members("b", Source::Discovery, replaced);
        // The old ones are removed, the new one is not published yet.
        assert_eq!(backend.choose(CLIENT, &[]), Choice::Full);
        assert!(backend.is_full(None) && backend.server_for_any().is_none());
        change.unwrap().unwrap().publish();
        backend.refresh();
        assert!(!backend.is_full(None));
        assert_eq!(choose(&mut backend, &[]).unwrap().name, "3");
        // Servers that are down are nothing to wait for.
        let shared = backend.members().servers()[1].server.clone();
        shared.availability.publish(false, 1);
        assert_eq!(backend.choose(CLIENT, &[]), Choice::None);
        assert!(!backend.is_full(None));
    }

    #[test]
    fn servers_that_were_tried_are_known_at_another_index() {
        let mut scene = Scene::new();
        scene.set([1, 2]);
        let mut backend = scene.backend();
        let tried = choose(&mut backend, &[]).unwrap();
        scene.set([2, 9, 1]);
        backend.refresh();
        for _ in 0..10 {
            let chosen = choose(&mut backend, std::slice::from_ref(&tried)).unwrap();
            assert_ne!(chosen.id, tried.id);
        }
        let all: Vec<_> = (backend.members().servers().iter())
            .map(|member| Arc::clone(&member.server))
            .collect();
        assert_eq!(backend.choose(CLIENT, &all), Choice::Tried);
    }
}
