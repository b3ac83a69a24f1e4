//! Resolves the host names of servers: at the start, at a reload, and again as long as that fails.
//!
//! The resolver is that of discovery. Several names are resolved at the same time, and a caller may stop waiting.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::discovery::host_names::HostResolver;
use super::journal::Journal;
use crate::config::{Address, Config};
use crate::snapshot::{Member, Snapshot};

/// Names that are being resolved at the same time.
const QUESTIONS_MAX: usize = 64;

/// How long a start or a reload waits for all names together.
const WAIT_MAX: Duration = Duration::from_secs(3);

/// From the end of a failed attempt to the next one.
pub const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// Addresses of a name, or why there are none.
pub type Answer = io::Result<Vec<SocketAddr>>;

type Lookup = dyn Fn(String, u16) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync;

/// A resolver, with a limit of queries that clones share.
#[derive(Clone)]
pub struct Names {
    lookup: Arc<Lookup>,
    questions: Arc<Semaphore>,
    wait_max: Duration,
}

/// What host names were resolved to.
pub struct Resolved(HashMap<Address, Answer>);

impl Names {
    /// By the files and name servers of this host.
    pub fn of_system() -> Self {
        let resolver = HostResolver::new();
        Self::by(move |host, port| {
            let resolver = resolver.clone();
            async move { resolver.resolve(&host, port).await }
        })
    }

    /// By this function.
    pub fn by<F>(lookup: impl Fn(String, u16) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        Names {
            lookup: Arc::new(move |host, port| Box::pin(lookup(host, port))),
            questions: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            wait_max: WAIT_MAX,
        }
    }

    /// The addresses of a server: those of its host name, or its own.
    ///
    /// # Errors
    ///
    /// The resolver's.
    pub async fn resolve(&self, address: &Address) -> Answer {
        let (host, port) = match address {
            Address::Ip(address) => return Ok(vec![*address]),
            Address::Unix(_) => return Err(io::ErrorKind::InvalidInput.into()),
            Address::Host { host, port } => (host.clone(), *port),
        };
        // Nobody closes it.
        let permit = self.questions.acquire().await;
        let _permit = permit.map_err(io::Error::other)?;
        (self.lookup)(host, port).await
    }

    /// Resolves all host names of the servers of a configuration and of those `added` to it at the same time.
    /// Those that take too long have failed.
    pub async fn resolve_all(&self, config: &Config, added: Vec<Address>) -> Resolved {
        let servers = config.backends.iter().flat_map(|backend| &backend.servers);
        let written = servers.map(|server| &server.address);
        self.resolve_each(written.chain(&added)).await
    }

    /// The same for these addresses.
    pub async fn resolve_each(&self, addresses: impl Iterator<Item = &Address>) -> Resolved {
        let mut questions = JoinSet::new();
        let mut resolved = HashMap::new();
        for address in addresses {
            let is_host = matches!(address, Address::Host { .. });
            if !is_host || resolved.contains_key(address) {
                continue;
            }
            let late = format!("no answer within {:?}", self.wait_max);
            let late = io::Error::new(io::ErrorKind::TimedOut, late);
            resolved.insert(address.clone(), Err(late));
            let (names, address) = (self.clone(), address.clone());
            questions.spawn(async move {
                let answer = names.resolve(&address).await;
                (address, answer)
            });
        }
        let all = async {
            while let Some(Ok((address, answer))) = questions.join_next().await {
                resolved.insert(address, answer);
            }
        };
        let _ = tokio::time::timeout(self.wait_max, all).await;
        Resolved(resolved)
    }
}

impl Resolved {
    /// Gives the servers of a snapshot their addresses. Those whose name could not be resolved keep
    /// what they have.
    pub fn put_into_effect(&self, snapshot: &Snapshot, journal: &Journal) {
        let backends = snapshot.config.backends.iter().zip(&snapshot.backends);
        for (backend, backend_shared) in backends {
            for member in backend_shared.members().all() {
                self.give(&backend.name, member, journal);
            }
        }
    }

    /// Gives one server of this backend its addresses.
    pub fn give(&self, backend: &str, member: &Member, journal: &Journal) {
        let (server, shared) = (&member.config, &member.server);
        match self.0.get(&server.address) {
            Some(Ok(addresses)) => {
                shared.addresses.resolved(addresses);
            }
            Some(Err(error)) => {
                shared.addresses.mark_stale();
                let kept = if shared.addresses.is_resolved() {
                    "it keeps the addresses that it had"
                } else {
                    "it is down until that is possible"
                };
                journal.warn(format!(
                    "server {backend}/{}: cannot resolve `{}`: {error}; {kept}",
                    server.name, server.address
                ));
            }
            // Written as an IP address.
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;
    use crate::config::{self, system_resolver};
    use crate::snapshot::Registry;
    use crate::sync::ShownAddress;

    /// A backend with these addresses, named 0, 1, ...
    fn configuration(addresses: &[&str]) -> Config {
        let servers: String = (addresses.iter().enumerate())
            .map(|(index, address)| format!("{{ name = \"{index}\", address = \"{address}\" }}, "))
            .collect();
        let text = format!(
            "[frontend.f]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"b\"\n\
             [backend.b]\nservers = [{servers}]\n"
        );
        match config::parse("test", &text, &system_resolver) {
            Ok(loaded) => loaded.config,
            Err(report) => panic!("{report}"),
        }
    }

    fn found(snapshot: &Snapshot, index: usize) -> Vec<String> {
        let addresses = snapshot.server(0, index).addresses.all();
        let shown = addresses.iter().map(|it| ShownAddress(it).to_string());
        shown.collect()
    }

    #[tokio::test]
    async fn a_server_keeps_what_it_had_when_its_name_cannot_be_resolved_any_more() {
        let answers = Arc::new(Mutex::new(vec![1, 2]));
        let shared = Arc::clone(&answers);
        let names = Names::by(move |host, port| {
            let answers = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let found = answers.iter();
            let found: Vec<_> = found.map(|last| ([10, 0, 0, *last], port).into()).collect();
            let none = host == "gone.invalid" || found.is_empty();
            std::future::ready(match none {
                true => Err(io::Error::other("no such name")),
                false => Ok(found),
            })
        });
        let mut registry = Registry::new(1);
        let journal = Journal::new();
        let written = ["app:80", "10.0.0.9:80", "gone.invalid:80", "app:81"];
        let mut reload = async || {
            let config = configuration(&written);
            let resolved = names.resolve_all(&config, Vec::new()).await;
            let snapshot = registry.snapshot(config);
            resolved.put_into_effect(&snapshot, &journal);
            snapshot
        };
        let first = reload().await;
        assert_eq!(found(&first, 0), ["10.0.0.1:80", "10.0.0.2:80"]);
        assert_eq!(found(&first, 1), ["10.0.0.9:80"]);
        assert!(found(&first, 2).is_empty());
        assert_eq!(found(&first, 3), ["10.0.0.1:81", "10.0.0.2:81"]);
        let stale = |snapshot: &Snapshot| -> Vec<bool> {
            let members = snapshot.backends[0].members();
            let servers = members.servers().iter().map(|member| &member.server);
            servers.map(|server| server.addresses.is_stale()).collect()
        };
        assert_eq!(stale(&first), [false, false, true, false]);

        answers.lock().unwrap().clear();
        let second = reload().await;
        assert!(Arc::ptr_eq(&first.server(0, 0), &second.server(0, 0)));
        assert_eq!(found(&second, 0), ["10.0.0.1:80", "10.0.0.2:80"]);
        assert_eq!(stale(&second), [true, false, true, true]);
        answers.lock().unwrap().push(3);
        let third = reload().await;
        assert!(Arc::ptr_eq(&first.server(0, 0), &third.server(0, 0)));
        assert_eq!(found(&third, 0), ["10.0.0.3:80"]);
        assert_eq!(stale(&third), [false, false, true, false]);
        let warnings = journal.since(0).len();
        assert_eq!(warnings, 1 + 3 + 1);
    }

    #[tokio::test]
    async fn silent_name_servers_delay_nobody_for_long() {
        let mut names = Names::by(|host, port| async move {
            if host != "quick" {
                std::future::pending::<()>().await;
            }
            Ok(vec![([10, 0, 0, 1], port).into()])
        });
        names.wait_max = Duration::from_millis(500);
        let config = configuration(&["silent:80", "quick:80", "mute:80"]);
        let resolved = names.resolve_all(&config, Vec::new()).await;
        let is_known = |host: &str| {
            let mut answers = resolved.0.iter();
            answers.any(|(address, answer)| address.to_string() == host && answer.is_ok())
        };
        assert!(is_known("quick:80") && !is_known("silent:80") && !is_known("mute:80"));
        assert_eq!(resolved.0.len(), 3);
    }
}
