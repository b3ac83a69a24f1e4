//! Discovery: which servers a backend has, as DNS says, again and again.
//!
//! ```text
//!   task --> resolver --> exchange --> a name server          I/O
//!    |          |            `--> message                     bytes to an answer
//!    |          `--> system --> hosts, resolv_conf            files of this host
//!    |--> found --> members                                   answers to a set, and what it changes
//!    |--> pace --> notice                                     when to ask again, what to tell
//!    `--> Sink                                                whoever puts the servers into effect
//! ```
//!
//! Host names of fixed servers and of listeners are resolved by the same resolver (`host_names`).
//!
//! There is a task for each backend with a section `discover`, on the runtime of the control plane. No
//! backend waits for another. What is not named in the second column of this picture does I/O or waits;
//! `message`, `hosts`, `resolv_conf`, `found`, `members` and `pace` are pure.

mod check;
mod exchange;
mod failure;
mod found;
pub(crate) mod host_names;
mod hosts;
mod members;
mod message;
mod notice;
mod pace;
mod resolv_conf;
mod resolver;
mod sink;
mod status;
mod system;
mod task;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::journal::Journal;
use crate::config::{Config, Discover};
pub use check::{Checked, check};
pub use failure::Failure;
pub use sink::{MembersChange, Sink};
#[cfg(test)]
pub use status::Status;
pub use status::Statuses;
use system::System;
use task::{Outputs, Task};

/// How long the start waits for the first answer of every backend.
const FIRST_ROUND_TIMEOUT: Duration = Duration::from_secs(1);

/// The discovery of all backends. When it is dropped, it ends.
pub struct Discovery {
    outputs: Outputs,
    /// By name of the backend.
    running: HashMap<String, Running>,
}

struct Running {
    config: watch::Sender<Arc<Discover>>,
    task: JoinHandle<()>,
    /// Resolves at the end of the first round.
    first_round: Option<oneshot::Receiver<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Discovery {
    /// Of no backend yet.
    pub fn new(sink: Sink, journal: Journal) -> Self {
        Self::with_system(sink, journal, System::new())
    }

    fn with_system(sink: Sink, journal: Journal, system: System) -> Self {
        Discovery {
            outputs: Outputs {
                sink,
                statuses: Statuses::default(),
                journal,
                system,
            },
            running: HashMap::new(),
        }
    }

    /// How it goes.
    pub fn statuses(&self) -> &Statuses {
        &self.outputs.statuses
    }

    /// Discovers for the backends of a configuration that want it, and for no others. Where nothing has
    /// changed, nothing is disturbed; where something has, servers stay until there is an answer.
    ///
    /// # Panics
    ///
    /// There is no runtime.
    pub fn adopt(&mut self, config: &Config) {
        let wanted = config.backends.iter().filter_map(|backend| {
            let discover = backend.discover.as_ref()?;
            Some((backend.name.as_str(), discover))
        });
        let wanted: HashMap<&str, &Discover> = wanted.collect();
        let outputs = &self.outputs;
        self.running.retain(|name, _| {
            let stays = wanted.contains_key(name.as_str());
            if !stays {
                outputs.statuses.remove(name);
                // The backend may be gone, too: then there is nothing to do.
                let _ = (outputs.sink)(MembersChange {
                    backend: name.clone(),
                    ..MembersChange::default()
                });
            }
            stays
        });
        for (name, discover) in wanted {
            let Some(running) = self.running.get(name) else {
                let running = self.start(name, discover);
                self.running.insert(name.to_owned(), running);
                continue;
            };
            running.config.send_if_modified(|current| {
                let is_new = **current != *discover;
                if is_new {
                    *current = Arc::new(discover.clone());
                }
                is_new
            });
        }
    }

    /// Waits until there is a first answer, or none, for every backend, but not for long.
    pub async fn first_round(&mut self) {
        let all = self.running.values_mut();
        let all: Vec<_> = all.filter_map(|it| it.first_round.take()).collect();
        let all = async {
            for first_round in all {
                let _ = first_round.await;
            }
        };
        let _ = tokio::time::timeout(FIRST_ROUND_TIMEOUT, all).await;
    }

    fn start(&self, name: &str, discover: &Discover) -> Running {
        self.outputs.statuses.add(name);
        let (sender, config) = watch::channel(Arc::new(discover.clone()));
        let (ended, first_round) = oneshot::channel();
        let task = Task::new(name.to_owned(), config, self.outputs.clone(), ended);
        Running {
            config: sender,
            task: crate::task::spawn(task.run()),
            first_round: Some(first_round),
        }
    }
}
