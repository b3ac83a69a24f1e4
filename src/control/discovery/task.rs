//! The task of one backend: asks, and hands the servers on, again and again.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{oneshot, watch};
use tokio::time::{Duration, Instant};

use super::check::only_address;
use super::found::{Failures, Known, Servers};
use super::members::Members;
use super::notice::{Teller, virtual_address};
use super::pace::Episodes;
use super::resolver;
use super::sink::{MembersChange, Sink};
use super::status::Statuses;
use super::system::System;
use crate::config::Discover;
use crate::control::journal::Journal;

/// From one question for `tasks.NAME` to the next, while `NAME` has one address: tasks may come later.
const TASKS_INTERVAL: Duration = Duration::from_secs(60);

/// How long a task waits for its servers to be in effect before it goes on.
const IN_EFFECT_TIMEOUT: Duration = Duration::from_secs(1);

/// What all tasks share.
#[derive(Clone)]
pub struct Outputs {
    pub sink: Sink,
    pub statuses: Statuses,
    pub journal: Journal,
    pub system: System,
}

/// The discovery of one backend.
pub struct Task {
    pub backend: String,
    pub config: watch::Receiver<Arc<Discover>>,
    pub outputs: Outputs,
    discover: Arc<Discover>,
    known: Known,
    members: Members,
    episodes: Episodes,
    started: Instant,
    /// Told at the end of the first round.
    first_round: Option<oneshot::Sender<()>>,
    /// Until the servers that were handed on last are in effect.
    in_effect: Option<oneshot::Receiver<()>>,
    /// Whether a set was handed on.
    has_answer: bool,
    /// Servers were left out last time.
    left_out: usize,
    tasks_asked: Option<Instant>,
    /// The warning of a virtual address was given.
    is_virtual: bool,
}

impl Task {
    /// Begins without a server.
    pub fn new(
        backend: String,
        config: watch::Receiver<Arc<Discover>>,
        outputs: Outputs,
        first_round: oneshot::Sender<()>,
    ) -> Self {
        let discover = Arc::clone(&config.borrow());
        Task {
            discover,
            backend,
            config,
            outputs,
            known: Known::default(),
            members: Members::default(),
            episodes: Episodes::default(),
            started: Instant::now(),
            first_round: Some(first_round),
            in_effect: None,
            has_answer: false,
            left_out: 0,
            tasks_asked: None,
            is_virtual: false,
        }
    }

    /// Asks until the other end of `config` is gone.
    pub async fn run(mut self) {
        loop {
            let discover = Arc::clone(&self.discover);
            let system = self.outputs.system.clone();
            let round = resolver::discover(&discover, &self.known, &system);
            tokio::select! {
                round = round => {
                    let (found, failures) = self.known.update(round, discover.on_empty);
                    self.take(found, &failures);
                    self.end_round().await;
                    self.look_for_tasks().await;
                }
                // What was asked may be another name now.
                changed = self.config.changed() => match changed {
                    Ok(()) => {
                        self.reconfigure();
                        continue;
                    }
                    Err(_) => return,
                },
            }
            let pause = self.episodes.pause(discover.interval);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = self.config.changed() => match changed {
                    Ok(()) => self.reconfigure(),
                    Err(_) => return,
                },
            }
        }
    }

    /// Takes a configuration that has changed. Servers stay until there is an answer by it.
    fn reconfigure(&mut self) {
        let before = Arc::clone(&self.discover);
        self.discover = Arc::clone(&self.config.borrow_and_update());
        if before.query != self.discover.query || before.family != self.discover.family {
            self.known = Known::default();
            self.tasks_asked = None;
            self.is_virtual = false;
        }
        // Whoever asks now expects an answer soon.
        self.episodes = Episodes::default();
        // Weights and limits of the servers, or a lower number of them.
        let servers = self.members.servers().clone();
        if self.has_answer {
            self.put_into_effect(&servers, true);
        }
    }

    /// Waits until the servers are in effect, but not for long.
    async fn end_round(&mut self) {
        if let Some(in_effect) = self.in_effect.take() {
            // Without an answer, the process is about to end.
            let _ = tokio::time::timeout(IN_EFFECT_TIMEOUT, in_effect).await;
        }
        if let Some(first_round) = self.first_round.take() {
            // Nobody may wait any more.
            let _ = first_round.send(());
        }
    }

    fn take(&mut self, found: Option<Servers>, failures: &Failures) {
        let now = self.started.elapsed();
        let told = self.episodes.update(failures, found.is_none(), now);
        self.outputs.statuses.change(&self.backend, |status| {
            for failure in failures.values() {
                status.failures[*failure as usize] += 1;
            }
            status.is_failing = found.is_none();
            if found.is_some() {
                status.last_success = Some(SystemTime::now());
            }
        });
        let count = self.members.servers().len();
        self.teller().failures(told, count);
        if let Some(found) = found {
            let is_first = !std::mem::replace(&mut self.has_answer, true);
            self.put_into_effect(&found, is_first);
        }
    }

    /// Hands a set on if it changes anything, or is wanted `anyway`.
    fn put_into_effect(&mut self, found: &Servers, anyway: bool) {
        let max = self.discover.servers_max;
        let change = self.members.update(found, max as usize);
        let count = self.members.servers().len();
        let left_out_before = std::mem::replace(&mut self.left_out, change.left_out);
        if (left_out_before == 0) != (change.left_out == 0) {
            self.teller().left_out(change.left_out, max);
        }
        self.outputs.statuses.change(&self.backend, |status| {
            status.servers = count;
            status.left_out = change.left_out;
        });
        if change.is_none() && !anyway {
            return;
        }
        self.teller().changed(&change, count);
        let servers = self.members.servers().iter();
        self.in_effect = (self.outputs.sink)(MembersChange {
            backend: self.backend.clone(),
            servers: servers
                .map(|(address, weight)| self.discover.server(*address, *weight))
                .collect(),
            joined: change.joined,
            left: change.left,
        });
    }

    /// Looks whether the one address of a name is a virtual one of Swarm.
    async fn look_for_tasks(&mut self) {
        let Some(only) = only_address(&self.discover, self.members.servers()) else {
            return;
        };
        let recently = |asked: Instant| asked.elapsed() < TASKS_INTERVAL;
        if self.is_virtual || self.tasks_asked.is_some_and(recently) {
            return;
        }
        self.tasks_asked = Some(Instant::now());
        let tasks = resolver::tasks_of(&self.discover, &self.outputs.system).await;
        if let Some(text) = virtual_address(&self.discover.query, only, &tasks) {
            self.is_virtual = true;
            self.teller().warn(&text);
        }
    }

    fn teller(&self) -> Teller<'_> {
        Teller {
            journal: &self.outputs.journal,
            backend: &self.backend,
            query: &self.discover.query,
        }
    }
}
