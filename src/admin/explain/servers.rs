//! Which server of a backend a new connection would get, and what keeps it from each other one.

use std::net::IpAddr;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::Serialize;

use super::super::state::State;
use super::super::{stats, why};
use super::step::{Effect, Steps};
use crate::config::{Algorithm, Backend};
use crate::logic::balance::{Balancer, Candidates, Obstacle, Servers, obstacle};
use crate::snapshot::{BackendShared, Member, Members};

/// What would become of a server.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ExplainedServer {
    /// Its name.
    name: String,
    /// Its address as it is written.
    address: String,
    /// Whether the connection would get it.
    chance: Chance,
    /// Why, in words that follow its name.
    text: String,
}

/// Whether a connection would get a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
enum Chance {
    /// It would get this one.
    Chosen,
    /// It would get one of those that are possible: which one is a matter of turn or of chance.
    Possible,
    /// It would not get this one.
    No,
}

/// A backend, and the connection that is to get one of its servers.
pub struct Choice<'a> {
    pub state: &'a State,
    pub backend: &'a Backend,
    pub shared: &'a BackendShared,
    /// The address of the client.
    pub client: IpAddr,
    /// The value of the sticky cookie, if the frontend looks at cookies.
    pub cookie: Option<&'a str>,
}

impl Choice<'_> {
    /// Adds the steps of the choice, and tells of each server.
    pub fn explain(&self, steps: &mut Steps) -> Vec<ExplainedServer> {
        let members = self.shared.members();
        let pinned = self.pinned(&members, steps);
        let servers = members.servers();
        let (chosen, reason) = match pinned {
            Some(index) => {
                let member = &servers[index];
                let name = &member.config.name;
                let is_full =
                    member.server.session_limit.free() == 0 || member.server.waiting.any();
                if is_full {
                    let text = format!(
                        "server {name} has no free slot: the session waits for one, up to queue_timeout"
                    );
                    steps.add("queue", Effect::Wait, text);
                } else {
                    steps.add(
                        "sticky",
                        Effect::Choose,
                        format!("server {name}: the cookie names it"),
                    );
                }
                (vec![index], "the cookie names it".to_owned())
            }
            None => self.balanced(&members, steps),
        };
        let explain = |(index, member): (usize, &Member)| {
            let chance = match chosen.contains(&index) {
                true if chosen.len() == 1 => Chance::Chosen,
                true => Chance::Possible,
                false => Chance::No,
            };
            let text = match chance {
                Chance::Chosen | Chance::Possible => reason.clone(),
                Chance::No => self.against(&members, index, &chosen, pinned.is_some()),
            };
            ExplainedServer {
                name: member.config.name.clone(),
                address: member.config.address.to_string(),
                chance,
                text,
            }
        };
        let mut all: Vec<_> = servers.iter().enumerate().map(explain).collect();
        all.extend(members.leaving().iter().map(|member| ExplainedServer {
            name: member.config.name.clone(),
            address: member.config.address.to_string(),
            chance: Chance::No,
            text: self.state_of(member),
        }));
        all
    }

    /// The index of the server that the cookie pins the session to.
    fn pinned(&self, members: &Members, steps: &mut Steps) -> Option<usize> {
        let value = self.cookie?;
        let Some(sticky) = &self.backend.sticky else {
            let text = format!(
                "backend {} has no sticky cookie: none is looked at",
                self.backend.name
            );
            steps.add("sticky", Effect::Pass, text);
            return None;
        };
        let cookie = &sticky.cookie;
        let Some(member) = members.by_cookie(value.as_bytes()) else {
            let text = format!(
                "no server of backend {} has {cookie}={value}",
                self.backend.name
            );
            steps.add("sticky", Effect::Pass, text);
            return None;
        };
        let name = &member.config.name;
        if !member.server.availability.is_usable() {
            let text = format!(
                "{cookie}={value} names server {name}, which {}",
                self.state_of(member)
            );
            steps.add("sticky", Effect::Pass, text);
            return None;
        }
        let text = format!("{cookie}={value} names server {name}");
        steps.add("sticky", Effect::Pass, text);
        members.index_of(&member.server)
    }

    /// The servers of which balancing would choose one, and why these.
    fn balanced(&self, members: &Members, steps: &mut Steps) -> (Vec<usize>, String) {
        let names: Vec<&str> = members
            .servers()
            .iter()
            .map(|it| it.config.name.as_str())
            .collect();
        let name = &self.backend.name;
        let wait = if self.shared.queue.waiting.any() {
            "sessions wait for a server of it, and this one waits behind them"
        } else if names.is_empty() {
            "it has no server yet, and the session waits for one"
        } else {
            ""
        };
        if !wait.is_empty() {
            let text = format!("backend {name}: {wait}, up to queue_timeout");
            steps.add("queue", Effect::Wait, text);
            return (Vec::new(), String::new());
        }
        let balancer = Balancer::new(self.backend.balance, &names, 0);
        let chosen = match balancer.candidates(self.client, members) {
            Candidates::AnyOf(chosen) => chosen,
            Candidates::Full => {
                let text = format!(
                    "all usable servers of backend {name} are full: the session waits for a slot, up to queue_timeout"
                );
                steps.add("queue", Effect::Wait, text);
                return (Vec::new(), String::new());
            }
            Candidates::None => {
                let text = format!("no server of backend {name} is usable: the session ends");
                steps.add("balance", Effect::Fail, text);
                return (Vec::new(), String::new());
            }
        };
        let is_backup = chosen.iter().all(|&index| members.servers()[index].backup);
        let reason = match is_backup {
            true => "it is the first usable backup, and no other server is usable".to_owned(),
            false => self.reason(members, &chosen),
        };
        let named: Vec<&str> = chosen.iter().map(|&index| names[index]).collect();
        let text = match named.as_slice() {
            [one] => format!("server {one}: {reason}"),
            several => format!("one of {}: {reason}", several.join(", ")),
        };
        steps.add("balance", Effect::Choose, text);
        (chosen, reason)
    }

    /// Why the algorithm chooses one of these.
    fn reason(&self, members: &Members, chosen: &[usize]) -> String {
        let of = &self.backend.balance;
        match (of, chosen) {
            (_, [_]) if members.servers().len() == 1 => "it is the only server".to_owned(),
            (Algorithm::RoundRobin, [_]) | (Algorithm::Random, [_]) => {
                format!("`{of}` has no other to choose")
            }
            (Algorithm::RoundRobin, _) => format!("`{of}`, in turn by weight"),
            (Algorithm::Random, _) => {
                format!("`{of}` draws two by weight and takes the less busy one")
            }
            (Algorithm::LeastConn, [index, ..]) => {
                format!("`{of}`: {}, the fewest", load(members, *index))
            }
            (Algorithm::SourceHash, _) => {
                format!("`{of}`: it ranks first for {}", self.client)
            }
            (Algorithm::First, _) => {
                format!("`{of}`: the first in the order of the file that has a free slot")
            }
            (Algorithm::LeastConn, []) => String::new(),
        }
    }

    /// What keeps the connection from a server that it would not get.
    fn against(
        &self,
        members: &Members,
        index: usize,
        chosen: &[usize],
        is_pinned: bool,
    ) -> String {
        let member = &members.servers()[index];
        match obstacle(members, index) {
            Some(Obstacle::Unusable | Obstacle::NoWeight) => self.state_of(member),
            _ if is_pinned => "is not the one that the cookie names".to_owned(),
            Some(Obstacle::Backup) => "is a backup, and another server is usable".to_owned(),
            Some(Obstacle::Full) if member.server.session_limit.free() > 0 => {
                "has free slots, for which sessions wait that a cookie leads there".to_owned()
            }
            Some(Obstacle::Full) => {
                let used = member.server.session_limit.used();
                format!("is full: it has {used} sessions, as many as max_sessions allows")
            }
            None => match (&self.backend.balance, chosen) {
                (_, []) => "is free, but others wait".to_owned(),
                (Algorithm::LeastConn | Algorithm::Random, _) => {
                    format!("is busier: {}", load(members, index))
                }
                (Algorithm::SourceHash, _) => format!("ranks behind it for {}", self.client),
                (Algorithm::First, _) => "comes after it in the order of the file".to_owned(),
                (Algorithm::RoundRobin, _) => "is a further backup".to_owned(),
            },
        }
    }

    /// Why a server gets sessions or gets none.
    fn state_of(&self, member: &Member) -> String {
        let stats = stats::server(self.state, &member.config, &member.server);
        let is_open = member.server.availability.is_usable();
        why::verdict(&stats, is_open, SystemTime::now())
    }
}

/// How busy a server is.
fn load(members: &Members, index: usize) -> String {
    let (sessions, weight) = (members.sessions(index), members.weight(index));
    match sessions {
        1 => format!("1 session for weight {weight}"),
        _ => format!("{sessions} sessions for weight {weight}"),
    }
}
