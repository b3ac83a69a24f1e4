//! Administrative states and weights that operators set at run time, beside the configuration; with the servers
//! that they added, which are kept in the same file.
//!
//! They are kept by name, so that they survive a reload, and in the state file, so that they survive the
//! process. An override holds as long as the configuration of its server is the same as when it was made: an
//! edit of the server's entry wins. That of a server that discovery may find again is kept for a day while there is
//! no such server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::added_servers::AddedServers;
use super::health::Statuses;
use super::journal::{Entry, Journal, Kind};
use super::operator_state::OperatorState;
use super::override_entry::{ConfiguredServer, Override};
use super::server_change::{Attribution, ServerChange};
use super::state_file::StateFile;
use crate::config::{Config, Server};
use crate::logic::health::AdminState;
use crate::snapshot::{Member, ServerShared, Snapshot};
use crate::timestamp::rfc3339;

/// How long a takeover waits for actions of operators that are under way.
const ACTIONS_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an action or a reload waits for the disk of the state file.
const SAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Changes of servers.
type ServerChanges = Vec<(Arc<ServerShared>, ServerChange)>;

/// All overrides.
#[derive(Debug)]
pub struct Overrides {
    /// By names of backend and server.
    entries: Mutex<BTreeMap<(String, String), Override>>,
    added: AddedServers,
    file: Option<StateFile>,
    journal: Journal,
    /// Held for reading by each action, for writing by a takeover.
    actions: Arc<RwLock<()>>,
}

/// An action of an operator that is under way, until this is dropped.
pub struct ActionUnderWay(
    #[expect(dead_code, reason = "it counts while it is held")] OwnedRwLockReadGuard<()>,
);

/// While this exists, actions of operators are refused.
pub struct ActionsRefused(
    #[expect(dead_code, reason = "it counts while it is held")] OwnedRwLockWriteGuard<()>,
);

impl Overrides {
    /// Begins with what is in `found`; each change is written to `file`.
    pub fn new(found: OperatorState, file: Option<StateFile>, journal: Journal) -> Self {
        let key = |entry: &Override| (entry.backend.clone(), entry.server.clone());
        let entries = found.overrides.into_iter();
        let entries = entries.map(|entry| (key(&entry), entry));
        let (added, left_out) = AddedServers::new(found.added);
        for sentence in left_out {
            journal.warn(sentence);
        }
        Overrides {
            entries: Mutex::new(entries.collect()),
            added,
            file,
            journal,
            actions: Arc::default(),
        }
    }

    /// Begins an action. Drop the result when it is in effect and saved.
    ///
    /// # Errors
    ///
    /// A sentence: another process takes over and would not know of the action.
    pub fn begin_action(&self) -> Result<ActionUnderWay, &'static str> {
        let action = Arc::clone(&self.actions).try_read_owned();
        action.map(ActionUnderWay).map_err(|_| {
            "another process is taking over from this one: repeat the order, which that one takes"
        })
    }

    /// The servers that operators added.
    pub fn added(&self) -> &AddedServers {
        &self.added
    }

    /// Refuses actions from now on, and returns all that is set once the actions under way have ended.
    ///
    /// # Errors
    ///
    /// A sentence: actions under way take too long.
    pub async fn refuse_actions(&self) -> Result<(ActionsRefused, OperatorState), &'static str> {
        let all_done = Arc::clone(&self.actions).write_owned();
        let all_done = tokio::time::timeout(ACTIONS_TIMEOUT, all_done).await;
        let refused = all_done.map_err(|_| "an order of an operator is still being carried out")?;
        Ok((ActionsRefused(refused), self.state()))
    }

    /// Drops added servers that this configuration supersedes; see [`AddedServers::drop_superseded`].
    pub async fn drop_superseded(&self, config: &Config) {
        let dropped = self.added.drop_superseded(config);
        if dropped.is_empty() {
            return;
        }
        for text in dropped {
            log::info!("{text}");
            let kind = Kind::Servers;
            self.journal.record(Entry {
                kind,
                text,
                ..Entry::default()
            });
        }
        // What goes wrong is logged.
        let _ = self.save().await;
    }

    /// The changes for the servers of the first snapshot, by `ServerShared::id`. Overrides that do not hold any
    /// more are dropped, as in [`Overrides::put_into_effect`].
    pub async fn at_start(&self, snapshot: &Snapshot) -> Vec<(u64, ServerChange)> {
        let (changes, dropped) = self.adopt(snapshot);
        if dropped {
            // What goes wrong is logged.
            let _ = self.save().await;
        }
        let changes = changes.into_iter();
        changes
            .map(|(server, change)| (server.id, change))
            .collect()
    }

    /// Sends the changes to the health thread, for a snapshot that is new to it. Overrides whose server is gone
    /// or has another configuration are dropped: such a server is as the configuration says.
    pub async fn put_into_effect(&self, snapshot: &Snapshot, statuses: &Statuses) {
        let (changes, dropped) = self.adopt(snapshot);
        for (server, change) in changes {
            // A thread that has ended ends the process.
            let _ = statuses.apply_change(&server, change).await;
        }
        if dropped {
            // What goes wrong is logged.
            let _ = self.save().await;
        }
    }

    /// The changes for servers that a backend has from now on, by `ServerShared::id`.
    pub fn changes_of(&self, backend: &str, added: &[Member]) -> Vec<(u64, ServerChange)> {
        let mut entries = self.entries();
        let change = |member: &Member| {
            let name = &member.config.name;
            let entry = match entries.is_empty() {
                true => None,
                false => entries.get_mut(&(backend.to_owned(), name.clone())),
            };
            let change = match entry {
                Some(entry) if entry.holds(&member.config) => {
                    entry.absent_since = None;
                    entry.change()
                }
                Some(_) | None => self.added.first_change(backend, name)?,
            };
            Some((member.server.id, change))
        };
        added.iter().filter_map(change).collect()
    }

    /// The changes, and whether overrides were dropped.
    fn adopt(&self, snapshot: &Snapshot) -> (ServerChanges, bool) {
        let mut changes = Vec::new();
        let mut entries = self.entries();
        for added in self.added.all() {
            let (backend, server) = (added.backend, added.server);
            let first = self.added.first_change(&backend, &server);
            let found = snapshot.find(&backend, &server);
            let is_set = entries.contains_key(&(backend, server));
            if let (Some((_, member)), Some(first)) = (found, first)
                && !is_set
            {
                changes.push((member.server, first));
            }
        }
        let before = entries.len();
        let now = SystemTime::now();
        entries.retain(|_, entry| {
            let found = snapshot.find(&entry.backend, &entry.server);
            let Some((_, Member { server, config, .. })) = found else {
                let mut backends = snapshot.config.backends.iter();
                let backend = backends.find(|backend| backend.name == entry.backend);
                return entry.is_kept(backend, now);
            };
            entry.absent_since = None;
            let holds = entry.holds(&config);
            let change = if holds {
                entry.change()
            } else {
                self.configuration_wins(entry, &config)
            };
            changes.push((server, change));
            holds
        });
        (changes, entries.len() < before)
    }

    /// Drops overrides of servers that discovery has not found for [`ABSENT_MAX`]; to be called now and then.
    pub async fn drop_absent(&self, snapshot: &Snapshot, now: SystemTime) {
        let changed = {
            let mut entries = self.entries();
            let before: Vec<_> = entries.values().map(|entry| entry.absent_since).collect();
            entries.retain(|_, entry| {
                if snapshot.find(&entry.backend, &entry.server).is_some() {
                    entry.absent_since = None;
                    return true;
                }
                let mut backends = snapshot.config.backends.iter();
                let backend = backends.find(|backend| backend.name == entry.backend);
                // The next reload decides of all others.
                !entry.is_of_discovered() || entry.is_kept(backend, now)
            });
            !entries.values().map(|entry| entry.absent_since).eq(before)
        };
        if changed {
            // What goes wrong is logged.
            let _ = self.save().await;
        }
    }

    /// The configuration of a server has changed since the override was made.
    fn configuration_wins(&self, entry: &Override, server: &Server) -> ServerChange {
        let name = format!("{}/{}", entry.backend, entry.server);
        let by = Attribution {
            who: "the configuration".to_owned(),
            time: rfc3339(SystemTime::now()),
            reason: format!("its line has changed since it was set by {}", entry.by.who),
        };
        let text = format!("server {name} is as its line says: {}", by.reason);
        log::info!("{text}");
        self.journal.record(Entry {
            kind: Kind::Admin,
            server: Some(name),
            reason: by.reason.clone(),
            who: Some(by.who.clone()),
            text,
            ..Entry::default()
        });
        ServerChange {
            state: Some(AdminState::Ready),
            weight: Some(server.weight),
            by,
        }
    }

    /// Adds a change to the override of a server.
    pub fn add(&self, backend: &str, server: &Server, change: &ServerChange) {
        let key = (backend.to_owned(), server.name.clone());
        let configured = ConfiguredServer::of(server);
        let mut entries = self.entries();
        let before = entries.remove(&key).filter(|entry| entry.holds(server));
        let weight = change
            .weight
            .or(before.as_ref().and_then(|entry| entry.weight));
        let entry = Override {
            backend: backend.to_owned(),
            server: server.name.clone(),
            state: change
                .state
                .or(before.map(|entry| entry.state))
                .unwrap_or_default(),
            weight: weight.filter(|weight| *weight != server.weight),
            by: change.by.clone(),
            configured,
            absent_since: None,
        };
        if !entry.is_default() {
            entries.insert(key, entry);
        }
    }

    /// The server of this name is as its configuration says, should it come back.
    pub fn forget(&self, backend: &str, server: &str) {
        let key = (backend.to_owned(), server.to_owned());
        self.entries().remove(&key);
    }

    /// All that is set.
    fn state(&self) -> OperatorState {
        OperatorState {
            overrides: self.entries().values().cloned().collect(),
            added: self.added.all(),
        }
    }

    /// Writes all to the state file, if there is one.
    ///
    /// # Errors
    ///
    /// A sentence, which is logged and in the journal too.
    pub async fn save(&self) -> Result<(), String> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let state = self.state();
        // Without an answer there is no thread any more, which is as bad.
        let lost = || Err("state_file can't be written: its thread has ended".to_owned());
        let saved = match tokio::time::timeout(SAVE_TIMEOUT, file.save(state)).await {
            Ok(saved) => saved.unwrap_or_else(|_| lost()),
            Err(_) => Err(format!(
                "state_file is not written yet: its disk takes longer than {SAVE_TIMEOUT:?}"
            )),
        };
        saved.inspect_err(|why| self.journal.warn(why.clone()))
    }

    /// Every write under the lock is whole, so a panic elsewhere leaves nothing half done.
    fn entries(&self) -> MutexGuard<'_, BTreeMap<(String, String), Override>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{parse, system_resolver};
    use crate::control::override_entry::ABSENT_MAX;
    use crate::snapshot::{Registry, Source};

    /// Backend `app` with these servers: name and further keys.
    fn config(servers: &[(&str, &str)]) -> Config {
        let servers: Vec<String> = (servers.iter())
            .map(|(name, keys)| format!("{{ name = \"{name}\", address = \"[::1]:1\"{keys} }}"))
            .collect();
        let text = format!(
            "[frontend.f]\nlisten = [\"[::1]:0\"]\nbackend = \"app\"\n\
             [backend.app]\nservers = [{}]\n",
            servers.join(", ")
        );
        match parse("x.toml", &text, &system_resolver) {
            Ok(loaded) => loaded.config,
            Err(report) => panic!("{report}"),
        }
    }

    fn change(state: Option<AdminState>, weight: Option<u16>, who: &str) -> ServerChange {
        let by = Attribution {
            who: who.to_owned(),
            ..Attribution::default()
        };
        ServerChange { state, weight, by }
    }

    fn overrides() -> Overrides {
        Overrides::new(OperatorState::default(), None, Journal::new())
    }

    /// State and weight of what is wanted, by the index of the server.
    fn wanted(overrides: &Overrides, config: &Config) -> Vec<(usize, AdminState, Option<u16>)> {
        let changes = adopt(overrides, config).0.into_iter();
        changes
            .map(|(server, change)| (server, change.state.unwrap(), change.weight))
            .collect()
    }

    /// The changes, by the index of their server, and whether overrides were dropped.
    fn adopt(overrides: &Overrides, config: &Config) -> (Vec<(usize, ServerChange)>, bool) {
        let snapshot = Registry::new(1).snapshot(config.clone());
        let (changes, dropped) = overrides.adopt(&snapshot);
        let members = snapshot.backends[0].members();
        let index = |server: &ServerShared| members.index_of(server).unwrap();
        let changes = changes.into_iter();
        let changes = changes.map(|(server, change)| (index(&server), change));
        (changes.collect(), dropped)
    }

    #[test]
    fn wishes_add_up_until_they_say_what_the_line_says() {
        use AdminState::{Drain, Ready};
        let config = config(&[("a", ", weight = 2"), ("b", "")]);
        let [a, b] = [0, 1].map(|index| &config.backends[0].servers[index]);
        let overrides = overrides();
        overrides.add("app", b, &change(None, Some(9), "x"));
        overrides.add("app", a, &change(Some(Drain), None, "x"));
        overrides.add("app", a, &change(None, Some(7), "y"));
        let all = [(0, Drain, Some(7)), (1, Ready, Some(9))];
        assert_eq!(wanted(&overrides, &config), all);
        overrides.add("app", a, &change(Some(Ready), None, "z"));
        assert_eq!(wanted(&overrides, &config)[0], (0, Ready, Some(7)));
        overrides.add("app", a, &change(None, Some(2), "z"));
        assert_eq!(wanted(&overrides, &config), [(1, Ready, Some(9))]);
    }

    #[test]
    fn an_entry_holds_as_long_as_its_line() {
        use AdminState::{Drain, Ready};
        let old = config(&[("a", ""), ("b", ""), ("c", "")]);
        let overrides = overrides();
        for server in &old.backends[0].servers {
            overrides.add("app", server, &change(Some(Drain), Some(9), "somebody"));
        }
        // Another order, a changed line, a server that is gone.
        let new = config(&[("b", ", max_sessions = 5"), ("a", "")]);
        let (changes, dropped) = adopt(&overrides, &new);
        assert!(dropped);
        let [(_, a), (_, b)] = &changes[..] else {
            panic!("{changes:?}");
        };
        assert_eq!((changes[0].0, changes[1].0), (1, 0));
        assert_eq!(
            (a.state, a.weight, a.by.who.as_str()),
            (Some(Drain), Some(9), "somebody")
        );
        assert_eq!((b.state, b.weight), (Some(Ready), Some(1)));
        assert!(b.by.reason.contains("somebody"), "{b:?}");
        // It does not come back with the line.
        assert_eq!(wanted(&overrides, &old), [(0, Drain, Some(9))]);
        assert!(!adopt(&overrides, &new).1);
    }

    #[tokio::test]
    async fn what_was_set_of_a_discovered_server_waits_a_day_for_it() {
        let discover = |lines: &str| {
            let text = format!(
                "[frontend.f]\nlisten = [\"[::1]:0\"]\nbackend = \"app\"\n[backend.app]\n\
                 servers = [{{ name = \"a\", address = \"[::1]:1\" }}]\n{lines}\n"
            );
            parse("x.toml", &text, &system_resolver).unwrap().config
        };
        let with = discover("[backend.app.discover]\ndns = \"web:80\"");
        let found = |weight| {
            let discover = with.backends[0].discover.as_ref().unwrap();
            discover.server(([10, 0, 0, 1], 80).into(), weight)
        };
        let overrides = overrides();
        overrides.add(
            "app",
            &found(None),
            &change(Some(AdminState::Drain), None, "x"),
        );
        let is_kept = || !overrides.entries().is_empty();
        // At a start, before there is an answer.
        assert!(!adopt(&overrides, &with).1 && is_kept());
        let mut registry = Registry::new(1);
        let snapshot = registry.snapshot(with.clone());
        let now = SystemTime::now();
        let almost = ABSENT_MAX - Duration::from_secs(60);
        overrides.drop_absent(&snapshot, now + almost).await;
        assert!(is_kept());
        // It is there; its record may have another weight.
        let set = registry.set_members("app", Source::Discovery, vec![found(Some(40))]);
        let set = set.unwrap().unwrap();
        set.publish();
        let changes = overrides.changes_of("app", &set.added);
        assert_eq!(changes[0].1.state, Some(AdminState::Drain));
        overrides.drop_absent(&snapshot, now + 2 * ABSENT_MAX).await;
        assert!(is_kept(), "it is there");
        // It is gone for a day from now on.
        let set = registry.set_members("app", Source::Discovery, Vec::new());
        set.unwrap().unwrap().publish();
        for change in registry.drop_left() {
            change.publish();
        }
        overrides.drop_absent(&snapshot, now).await;
        overrides.drop_absent(&snapshot, now + almost).await;
        assert!(is_kept());
        overrides.drop_absent(&snapshot, now + ABSENT_MAX).await;
        assert!(!is_kept());
        // Without discovery nobody finds it any more.
        overrides.add(
            "app",
            &found(None),
            &change(Some(AdminState::Drain), None, "x"),
        );
        assert!(adopt(&overrides, &discover("")).1 && !is_kept());
    }

    #[test]
    fn a_wish_for_a_changed_line_begins_anew() {
        use AdminState::Ready;
        let (old, new) = (config(&[("a", "")]), config(&[("a", ", backup = true")]));
        let overrides = overrides();
        let drain = change(Some(AdminState::Drain), None, "x");
        overrides.add("app", &old.backends[0].servers[0], &drain);
        overrides.add(
            "app",
            &new.backends[0].servers[0],
            &change(None, Some(9), "y"),
        );
        assert_eq!(wanted(&overrides, &new), [(0, Ready, Some(9))]);
    }
}
