//! Servers that operators added at run time, beside the configuration.
//!
//! They are kept by the names of their backend and their own until they are removed, or until the configuration
//! has a server of the same name, or has their backend no more.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::server_change::{Attribution, ServerChange};
use crate::config::{Address, Config, Problem, Server};
use crate::logic::health::AdminState;
use crate::snapshot::{Registry, Snapshot, Source};

/// An added server as it is kept and handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedServer {
    /// Name of its backend.
    pub backend: String,
    /// Its name.
    pub server: String,
    /// As it was written.
    address: String,
    weight: u16,
    max_sessions: Option<u32>,
    backup: bool,
    /// Who added it.
    #[serde(flatten)]
    by: Attribution,
}

impl AddedServer {
    fn new(backend: &str, server: &Server, by: &Attribution) -> Self {
        AddedServer {
            backend: backend.to_owned(),
            server: server.name.clone(),
            address: server.address.to_string(),
            weight: server.weight,
            max_sessions: server.sessions_max,
            backup: server.backup,
            by: by.clone(),
        }
    }

    fn configuration(&self) -> Result<Server, Problem> {
        let (weight, max) = (Some(self.weight), self.max_sessions);
        Server::added(&self.server, &self.address, weight, max, self.backup)
    }
}

/// All added servers.
#[derive(Debug, Default)]
pub struct AddedServers {
    /// By names of backend and server.
    entries: Mutex<BTreeMap<(String, String), (Server, Attribution)>>,
    /// Held while servers are added or removed, so that one change follows the other.
    changes: tokio::sync::Mutex<()>,
}

impl AddedServers {
    /// Begins with these. Those that no configuration could have are left out; a sentence says why.
    pub fn new(found: Vec<AddedServer>) -> (Self, Vec<String>) {
        let added = AddedServers::default();
        let mut left_out = Vec::new();
        for entry in found {
            match entry.configuration() {
                Ok(server) => added.insert(&entry.backend, server, entry.by),
                Err(problem) => left_out.push(format!(
                    "server {}/{}, which was added, is left out: {problem}",
                    entry.backend, entry.server
                )),
            }
        }
        (added, left_out)
    }

    /// Waits until nobody else changes anything. Hold the result as long as a change takes.
    pub async fn begin_change(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changes.lock().await
    }

    /// As they are kept.
    pub fn all(&self) -> Vec<AddedServer> {
        let entries = self.entries();
        let all = entries.iter();
        all.map(|((backend, _), (server, by))| AddedServer::new(backend, server, by))
            .collect()
    }

    /// Those of a backend, in the order of their names.
    pub fn servers(&self, backend: &str) -> Vec<Server> {
        let entries = self.entries();
        let of_backend = entries.iter().filter(|((of, _), _)| of == backend);
        of_backend.map(|(_, (server, _))| server.clone()).collect()
    }

    /// The addresses of all.
    pub fn addresses(&self) -> Vec<Address> {
        let entries = self.entries();
        let servers = entries.values();
        servers.map(|(server, _)| server.address.clone()).collect()
    }

    /// Adds one, or replaces the one of this name.
    pub fn insert(&self, backend: &str, server: Server, by: Attribution) {
        let key = (backend.to_owned(), server.name.clone());
        self.entries().insert(key, (server, by));
    }

    /// Removes the one of this name.
    pub fn remove(&self, backend: &str, server: &str) {
        let key = (backend.to_owned(), server.to_owned());
        self.entries().remove(&key);
    }

    /// What the server of this name begins with: as it was added, by whoever added it.
    pub fn first_change(&self, backend: &str, server: &str) -> Option<ServerChange> {
        let key = (backend.to_owned(), server.to_owned());
        self.entries().get(&key).map(|(server, by)| ServerChange {
            state: Some(AdminState::Ready),
            weight: Some(server.weight),
            by: by.clone(),
        })
    }

    /// Removes those that this configuration has itself, and those of backends that it does not have. Returns
    /// a sentence for each.
    pub fn drop_superseded(&self, config: &Config) -> Vec<String> {
        let mut dropped = Vec::new();
        self.entries().retain(|(backend, server), _| {
            let name = format!("{backend}/{server}");
            let mut backends = config.backends.iter();
            let why = match backends.find(|candidate| candidate.name == *backend) {
                None => "its backend is gone",
                Some(found) if found.servers.iter().any(|it| it.name == *server) => {
                    "the configuration has a server of this name"
                }
                Some(_) => return true,
            };
            dropped.push(format!("server {name}, which was added, is dropped: {why}"));
            false
        });
        dropped
    }

    /// Gives them to the backends of a snapshot that is not in use yet.
    pub fn put_into(&self, snapshot: &Snapshot, registry: &mut Registry) {
        for backend in &snapshot.config.backends {
            let servers = self.servers(&backend.name);
            if let Ok(Some(change)) = registry.set_members(&backend.name, Source::Operator, servers)
            {
                change.publish();
            }
        }
    }

    /// Every write under the lock is whole, so a panic elsewhere leaves nothing half done.
    fn entries(&self) -> MutexGuard<'_, BTreeMap<(String, String), (Server, Attribution)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{parse, system_resolver};

    fn by(who: &str) -> Attribution {
        Attribution {
            who: who.to_owned(),
            ..Attribution::default()
        }
    }

    fn server(name: &str) -> Server {
        Server::added(name, "10.0.0.9:80", Some(3), Some(5), true).unwrap()
    }

    #[test]
    fn what_is_kept_can_be_read_and_what_is_wrong_is_left_out() {
        let added = AddedServers::default();
        added.insert("app", server("b"), by("x"));
        added.insert("app", server("a"), by("y"));
        added.insert("db", server("a"), by("z"));
        added.remove("db", "a");
        let mut kept = serde_json::to_value(added.all()).unwrap();
        kept[0]["address"] = "nonsense".into();
        let found: Vec<AddedServer> = serde_json::from_value(kept).unwrap();
        let (again, left_out) = AddedServers::new(found);
        assert_eq!(again.servers("app"), [server("b")]);
        assert_eq!(again.all()[0].by, by("x"));
        assert_eq!(left_out.len(), 1);
        assert!(left_out[0].starts_with("server app/a, which was added, is left out: "));
    }

    #[test]
    fn a_configuration_supersedes_servers() {
        let added = AddedServers::default();
        for (backend, name) in [("app", "a"), ("app", "b"), ("gone", "a")] {
            added.insert(backend, server(name), by("x"));
        }
        let text = "[frontend.f]\nlisten = [\"[::1]:0\"]\nbackend = \"app\"\n\
                    [backend.app]\nservers = [{ name = \"a\", address = \"[::1]:1\" }]\n";
        let config = parse("x.toml", text, &system_resolver).unwrap().config;
        let dropped = added.drop_superseded(&config);
        assert_eq!(
            dropped,
            [
                "server app/a, which was added, is dropped: the configuration has a server of this name",
                "server gone/a, which was added, is dropped: its backend is gone",
            ]
        );
        let mut registry = Registry::new(1);
        let snapshot = registry.snapshot(config);
        added.put_into(&snapshot, &mut registry);
        let members = snapshot.backends[0].members();
        let names = members.servers().iter().map(|member| &*member.config.name);
        assert_eq!(names.collect::<Vec<_>>(), ["a", "b"]);
    }
}
