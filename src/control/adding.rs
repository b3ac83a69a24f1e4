//! Operators add servers to a running process, and remove those that they added.

use std::time::Duration;

use super::actions::Actions;
use super::backend_registry::SetMembers;
use super::journal::{Entry, Kind};
use super::server_change::Attribution;
use crate::config::{SERVERS_MAX, Server};
use crate::snapshot::{Member, Origin, Source};

/// How long an action waits until the workers have another set of servers.
const IN_EFFECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A server was added, or gets no new sessions any more.
#[derive(Debug)]
pub struct Set {
    /// The server.
    pub member: Member,
    /// A sentence, if the change could not be written to the state file.
    pub warning: Option<String>,
}

/// Why a server was not added or not removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such backend, or no such server.
    Unknown,
    /// There is something against it: a sentence.
    Conflict(String),
}

impl Actions {
    /// Adds a server to a backend. It is in effect and in the state file when this returns.
    ///
    /// # Errors
    ///
    /// See [`Refused`].
    pub async fn add_server(
        &self,
        backend: &str,
        server: Server,
        by: &Attribution,
    ) -> Result<Set, Refused> {
        let conflict = |why: &str| Refused::Conflict(why.to_owned());
        let _action = self.overrides.begin_action().map_err(conflict)?;
        let added = self.overrides.added();
        let _change = added.begin_change().await;
        self.check_free(backend, &server)?;
        let names = &self.names;
        let resolved = names.resolve_each(std::iter::once(&server.address)).await;
        let name = server.name.clone();
        // What was set of an earlier server of this name is not meant for this one.
        self.overrides.forget(backend, &name);
        added.insert(backend, server, by.clone());
        let servers = added.servers(backend);
        let outputs = Some((&resolved, &self.journal));
        let set = (self.registry).set_resolved(backend, Source::Operator, servers, outputs);
        let Ok(set) = set else {
            // A reload has removed it a moment ago.
            added.remove(backend, &name);
            return Err(Refused::Unknown);
        };
        let found = self.registry.find(backend, &name);
        let (_, member) = found.ok_or(Refused::Unknown)?;
        let address = &member.config.address;
        let what = format!("server {backend}/{name} added at {address}");
        let warning = self.confirm(backend, &name, &what, set, by).await;
        Ok(Set { member, warning })
    }

    /// Removes a server that was added: it gets no new sessions from now on, and is forgotten when its last
    /// session has ended. Of one that is leaving already nothing changes.
    ///
    /// # Errors
    ///
    /// See [`Refused`].
    pub async fn remove_server(
        &self,
        backend: &str,
        server: &str,
        by: &Attribution,
    ) -> Result<Set, Refused> {
        let conflict = |why: &str| Refused::Conflict(why.to_owned());
        let _action = self.overrides.begin_action().map_err(conflict)?;
        let added = self.overrides.added();
        let _change = added.begin_change().await;
        let found = self.registry.find(backend, server);
        let (origin, member) = found.ok_or(Refused::Unknown)?;
        let source = match origin {
            Origin::Leaving => {
                let warning = None;
                return Ok(Set { member, warning });
            }
            Origin::Configuration => {
                "the configuration file has it, so that a reload would bring it back"
            }
            Origin::Other(Source::Discovery) => "DNS has it, so that it would come back",
            Origin::Other(Source::Operator) => "",
        };
        let name = format!("{backend}/{server}");
        if !source.is_empty() {
            return Err(Refused::Conflict(format!(
                "server {name} cannot be removed: {source}; `ringway maint {name}` gives it no sessions"
            )));
        }
        added.remove(backend, server);
        self.overrides.forget(backend, server);
        let servers = added.servers(backend);
        // If a reload has removed the backend a moment ago, the server is gone with it.
        let set = (self.registry).set_members(backend, Source::Operator, servers);
        let what = format!("server {name} removed");
        let set = set.unwrap_or_default();
        let warning = self.confirm(backend, server, &what, set, by).await;
        Ok(Set { member, warning })
    }

    /// Whether the backend takes this server.
    fn check_free(&self, backend: &str, server: &Server) -> Result<(), Refused> {
        let members = self.registry.members(backend).ok_or(Refused::Unknown)?;
        let mut servers = members.servers().iter();
        let name = &server.name;
        if servers.len() >= SERVERS_MAX {
            return Err(Refused::Conflict(format!(
                "backend {backend} has {SERVERS_MAX} servers already, and may not have more"
            )));
        }
        let taken = servers.find(|it| it.config.name == *name || it.config.cookie == server.cookie);
        let Some(taken) = taken else {
            return Ok(());
        };
        let other = &taken.config.name;
        Err(Refused::Conflict(if other == name {
            format!("there is a server {backend}/{name} already: give this one another name")
        } else {
            format!(
                "server {backend}/{other} has the cookie that {name} would have: give this one another name"
            )
        }))
    }

    /// Waits until a change is in effect, tells of it, and saves it; a sentence says why it could not be saved.
    async fn confirm(
        &self,
        backend: &str,
        server: &str,
        what: &str,
        set: Option<SetMembers>,
        by: &Attribution,
    ) -> Option<String> {
        let mut now = String::new();
        if let Some(set) = set {
            now = format!("; backend {backend} has now {}", set.count);
            // Without an answer the process is about to end.
            let _ = tokio::time::timeout(IN_EFFECT_TIMEOUT, set.in_effect).await;
        }
        let why = match by.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        let text = format!("{what}: operator ({}{why}){now}", by.who);
        log::info!("{text}");
        self.journal.record(Entry {
            kind: Kind::Servers,
            server: Some(format!("{backend}/{server}")),
            reason: by.reason.clone(),
            who: Some(by.who.clone()),
            text,
            ..Entry::default()
        });
        self.overrides.save().await.err()
    }
}
