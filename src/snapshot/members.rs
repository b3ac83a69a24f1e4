//! The servers of a backend at one time.

use std::collections::HashMap;
use std::sync::Arc;

use super::server::ServerShared;
use crate::config::Server;

/// A server of a backend.
#[derive(Clone, Debug)]
pub struct Member {
    /// The server.
    pub server: Arc<ServerShared>,
    /// What is configured of it.
    pub config: Arc<Server>,
    /// It is used only when no other can be.
    pub backup: bool,
}

impl Member {
    /// This server with this configuration.
    pub(super) fn new(server: Arc<ServerShared>, config: Arc<Server>) -> Self {
        let backup = config.backup;
        Member {
            server,
            config,
            backup,
        }
    }
}

/// The servers of a backend at one time. They never change: another set takes the place of this one.
#[derive(Debug, Default)]
pub struct Members {
    /// Those that sessions can be given to, in the order of the configuration. An index is the position in
    /// here, and means nothing beside another set.
    servers: Arc<[Member]>,
    /// Those that were removed and still have sessions.
    leaving: Vec<Member>,
    /// Indices of servers, by the value of the cookie that names them.
    by_cookie: Arc<HashMap<Box<[u8]>, usize>>,
}

impl Members {
    /// These servers, of which `leaving` get no sessions.
    pub(super) fn new(servers: Vec<Member>, leaving: Vec<Member>) -> Self {
        let mut by_cookie = HashMap::with_capacity(servers.len());
        for (index, member) in servers.iter().enumerate() {
            let value = member.config.cookie.as_bytes().into();
            by_cookie.entry(value).or_insert(index);
        }
        Members {
            servers: servers.into(),
            leaving,
            by_cookie: Arc::new(by_cookie),
        }
    }

    /// A set of these servers. If they are the same as here, workers can see that.
    pub(super) fn with(&self, servers: Vec<Member>, leaving: Vec<Member>) -> Arc<Self> {
        let is_same = |(one, other): (&Member, &Member)| {
            one.server.id == other.server.id && Arc::ptr_eq(&one.config, &other.config)
        };
        let pairs = servers.iter().zip(&*self.servers);
        let is_unchanged = servers.len() == self.servers.len() && { pairs }.all(is_same);
        Arc::new(if is_unchanged {
            Members {
                servers: Arc::clone(&self.servers),
                leaving,
                by_cookie: Arc::clone(&self.by_cookie),
            }
        } else {
            Members::new(servers, leaving)
        })
    }

    /// The servers that sessions can be given to.
    pub fn servers(&self) -> &[Member] {
        &self.servers
    }

    /// Servers that were removed: they get no new sessions, and are here until their last session ends.
    pub fn leaving(&self) -> &[Member] {
        &self.leaving
    }

    /// Both, those that leave last.
    pub fn all(&self) -> impl Iterator<Item = &Member> {
        self.servers.iter().chain(&self.leaving)
    }

    /// Whether the servers that sessions can be given to are the very set of `other`.
    pub fn has_servers_of(&self, other: &Members) -> bool {
        Arc::ptr_eq(&self.servers, &other.servers)
    }

    /// The server that this value of a cookie names.
    pub fn by_cookie(&self, value: &[u8]) -> Option<&Member> {
        self.by_cookie.get(value).map(|index| &self.servers[*index])
    }

    /// The server of this name; one that leaves, if there is no other.
    pub fn by_name(&self, name: &str) -> Option<&Member> {
        self.all().find(|member| member.config.name == name)
    }

    /// The index of a server, if it is one that sessions can be given to. Its time is linear in their number.
    pub fn index_of(&self, server: &ServerShared) -> Option<usize> {
        let mut servers = self.servers.iter();
        servers.position(|member| member.server.id == server.id)
    }
}
