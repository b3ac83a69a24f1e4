//! Reload: reads the configuration file again and puts it into effect, or says why nothing changed.
//!
//! One task owns all that changes with a configuration, so that reloads do not overlap. It first opens and
//! resolves everything that the new configuration needs; from then on nothing can fail. A reload is requested
//! by SIGHUP or by a [`Reloader`].

use std::fmt::Write;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot, watch};

use super::active::Active;
use super::adopting::Adopting;
use super::backend_registry::BackendRegistry;
use super::discovery::Discovery;
use super::health::Statuses;
use super::journal::{Entry, Journal, Kind};
use super::limits::Limits;
use super::listeners::{Listeners, Offered, OpenMode};
use super::names::Names;
use super::operator_state::OperatorState;
use super::overrides::{ActionsRefused, Overrides};
use super::refusals;
use super::sources;
use super::systemd;
use super::workers::WorkerHandles;
use crate::config::Config;
use crate::io::host;
use crate::worker::{Adoption, Command};

/// Requests that may wait for a reload.
const REQUESTS_MAX: usize = 16;

/// How long the file may take to be read, with host names of listeners. A FIFO may stand in its place.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How long workers may take until they use a configuration. They do so at once unless they are stuck.
const ADOPT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long another process that wants to take over may wait for a reload to end.
const OFFER_TIMEOUT: Duration = Duration::from_secs(7);

/// How long connections that are being established at an address that goes away may take: the
/// round trip of nearly every client.
const SETTLE_TIME: Duration = Duration::from_millis(200);

/// Why there is no reload after a signal to stop.
const STOPPING: &str = "the process is stopping: nothing is reloaded any more";

/// Reads the configuration once more: it and the warnings about it, or the report of what is wrong
/// with it. It may block.
pub type Source = Arc<dyn Fn() -> Result<(Config, String), String> + Send + Sync>;

/// How a reload ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadResult {
    /// The version that is in use after it.
    pub version: u64,
    /// When it ended.
    pub at: SystemTime,
    /// Warnings about the file, if any; or why nothing has changed: the report of what is wrong with the
    /// file, as `ringway check` prints it, or one sentence.
    pub result: Result<String, String>,
}

/// A request to the task that reloads.
pub enum Request {
    Reload {
        /// Who orders it.
        who: String,
        done: oneshot::Sender<ReloadResult>,
    },
    ListenerTransfer(oneshot::Sender<Result<ListenerTransfer, String>>),
}

/// What another process receives when it takes over.
pub struct ListenerTransfer {
    pub listeners: Vec<Offered>,
    /// What operators have set.
    pub operator_state: OperatorState,
    pub under_way: UnderWay,
}

/// While this exists, reloads and actions of operators are refused.
pub struct UnderWay {
    _reloads: Arc<()>,
    _actions: ActionsRefused,
}

/// Requests reloads. Clones are the same.
#[derive(Clone)]
pub struct Reloader {
    requests: mpsc::Sender<Request>,
    last: watch::Receiver<Option<ReloadResult>>,
    active: watch::Receiver<Arc<Active>>,
}

/// The other end of a [`Reloader`].
pub struct Requests {
    requests: mpsc::Receiver<Request>,
    last: watch::Sender<Option<ReloadResult>>,
}

impl Reloader {
    /// Creates both ends.
    pub fn new(active: watch::Receiver<Arc<Active>>) -> (Self, Requests) {
        let (sender, requests) = mpsc::channel(REQUESTS_MAX);
        let (last_sender, last) = watch::channel(None);
        let reloader = Reloader {
            requests: sender,
            last,
            active,
        };
        let requests = Requests {
            requests,
            last: last_sender,
        };
        (reloader, requests)
    }

    /// Reloads, as `who` orders, and waits until all workers use the new configuration or the reload has failed.
    pub async fn reload(&self, who: String) -> ReloadResult {
        let (done, outcome) = oneshot::channel();
        // Either fails only when the task has ended.
        let _ = self.requests.send(Request::Reload { who, done }).await;
        outcome.await.unwrap_or_else(|_| ReloadResult {
            version: self.version(),
            at: SystemTime::now(),
            result: Err(STOPPING.to_owned()),
        })
    }

    /// What another process needs to take over.
    pub async fn offer(&self) -> Result<ListenerTransfer, String> {
        let (sender, offer) = oneshot::channel();
        let answered = async {
            let _ = self.requests.send(Request::ListenerTransfer(sender)).await;
            offer.await.unwrap_or_else(|_| Err(STOPPING.to_owned()))
        };
        let answered = tokio::time::timeout(OFFER_TIMEOUT, answered).await;
        answered.unwrap_or_else(|_| Err("a reload is under way: try again".to_owned()))
    }

    /// How the last reload ended; `None`: there was none.
    pub fn last(&self) -> Option<ReloadResult> {
        self.last.borrow().clone()
    }

    /// The version of the configuration that is in use: 1 at the start of the process.
    pub fn version(&self) -> u64 {
        self.active.borrow().snapshot.version
    }
}

/// The task that reloads, with all that changes with a configuration.
pub struct Reload {
    /// `None`: the process has no file.
    pub source: Option<Source>,
    pub registry: BackendRegistry,
    pub discovery: Discovery,
    pub listeners: Listeners,
    pub handles: WorkerHandles,
    pub statuses: Statuses,
    pub names: Names,
    pub overrides: Arc<Overrides>,
    pub journal: Journal,
    pub active: watch::Sender<Arc<Active>>,
    pub workers: usize,
    /// Open files that the admin listener may have, if there is one.
    pub admin_descriptors: u64,
    /// While an [`ListenerTransfer`] exists, another process takes over.
    pub takeover: Weak<()>,
    /// Until all workers use the newest configuration.
    pub adopting: Option<Adopting>,
}

impl Reload {
    /// Serves requests and signals for as long as it is polled.
    pub async fn run(mut self, mut requests: Requests, mut hangup: Signal) {
        loop {
            let (who, done) = tokio::select! {
                request = requests.requests.recv() => match request {
                    Some(Request::Reload { who, done }) => (who, Some(done)),
                    Some(Request::ListenerTransfer(request)) => {
                        // The requester may have given up waiting.
                        let _ = request.send(self.offer().await);
                        continue;
                    }
                    None => return,
                },
                Some(()) = hangup.recv() => ("SIGHUP".to_owned(), None),
            };
            let result = if let Err(reason) = self.check_adopted().await {
                Err(reason)
            } else {
                log::info!("reloading the configuration");
                systemd::reloading().await;
                let result = self.reload().await;
                systemd::ready().await;
                result
            };
            let outcome = ReloadResult {
                version: self.active.borrow().snapshot.version,
                at: SystemTime::now(),
                result,
            };
            report(&self.journal, &outcome, who);
            requests.last.send_replace(Some(outcome.clone()));
            if let Some(done) = done {
                // The requester may have given up waiting.
                let _ = done.send(outcome);
            }
        }
    }

    /// Whether a reload may begin now.
    async fn check_adopted(&mut self) -> Result<(), String> {
        self.check_free()?;
        if let Some(adopting) = &mut self.adopting {
            let version = self.active.borrow().snapshot.version;
            let waited = adopting.wait(Duration::ZERO).await;
            waited.map_err(|late| format!("of version {version}, {late}: try again"))?;
            self.adopting = None;
        }
        Ok(())
    }

    /// Whether anything may change now.
    fn check_free(&self) -> Result<(), String> {
        if self.handles.shared().is_stopping() {
            return Err(STOPPING.to_owned());
        }
        if self.takeover.strong_count() > 0 {
            return Err("another process is taking over from this one".to_owned());
        }
        Ok(())
    }

    async fn offer(&mut self) -> Result<ListenerTransfer, String> {
        self.check_free()?;
        let listeners = self.listeners.offer();
        let listeners = listeners.map_err(|error| format!("no listener can be shared: {error}"))?;
        let (actions, operator_state) = self.overrides.refuse_actions().await?;
        let reloads = Arc::new(());
        self.takeover = Arc::downgrade(&reloads);
        Ok(ListenerTransfer {
            listeners,
            operator_state,
            under_way: UnderWay {
                _reloads: reloads,
                _actions: actions,
            },
        })
    }

    async fn reload(&mut self) -> Result<String, String> {
        let source = self.source.clone();
        let source = source.ok_or("there is no configuration file to reload")?;
        let read = tokio::task::spawn_blocking(move || source());
        let read = tokio::time::timeout(READ_TIMEOUT, read).await;
        let read = read.map_err(|_| format!("the file is not read within {READ_TIMEOUT:?}"))?;
        let (config, mut warnings) = read.map_err(|error| format!("internal error: {error}"))??;
        self.check_restart(&config)?;
        let added = self.overrides.added().addresses();
        let resolved = self.names.resolve_all(&config, added).await;
        let prepared = (self.listeners)
            .prepare(&config, self.workers, OpenMode::Reload)
            .await
            .map_err(|error| error.to_string())?;
        // From here on nothing fails.
        if prepared.removes() {
            self.listeners.refuse_new(&prepared);
            tokio::time::sleep(SETTLE_TIME).await;
        }
        let limits = Limits::of(
            &config,
            self.workers,
            host::raise_file_limit(),
            self.admin_descriptors,
        );
        limits.report(&config);
        sources::warn_of_missing(&config);
        let session_limit = &self.handles.shared().session_limit;
        session_limit.set_max(Some(limits.sessions_max));
        refusals::bound_clients(&config, self.handles.shared());
        let overrides = Arc::clone(&self.overrides);
        overrides.drop_superseded(&config).await;
        let snapshot = self.registry.snapshot(config);
        resolved.put_into_effect(&snapshot, &self.journal);
        // Health comes first, so that workers never see a server without it.
        self.statuses.adopt(&snapshot).await;
        overrides.put_into_effect(&snapshot, &self.statuses).await;
        let applied = self.listeners.apply(prepared, self.workers);
        let before = Arc::clone(&self.active.borrow());
        for (frontend, addresses) in snapshot.config.frontends.iter().zip(&applied.addresses) {
            for address in addresses {
                if !before.bound.iter().flatten().any(|old| old == address) {
                    log::info!("frontend {} listens on {address}", frontend.name);
                }
            }
        }
        let (mut adopting, calls) = Adopting::new(self.workers);
        let by_worker = applied.by_worker.into_iter().zip(calls);
        let adoptions = by_worker.map(|(listeners, adopted)| {
            Command::Adopt(Box::new(Adoption {
                snapshot: Arc::clone(&snapshot),
                listeners,
                adopted,
            }))
        });
        self.handles.send_each(adoptions);
        if let Err(late) = adopting.wait(ADOPT_TIMEOUT).await {
            // The configuration is in use all the same: late workers find it when they go on.
            let _ = write!(warnings, "warning: {late}, within {ADOPT_TIMEOUT:?}");
            self.adopting = Some(adopting);
        }
        self.discovery.adopt(&snapshot.config);
        self.active.send_replace(Arc::new(Active {
            snapshot,
            bound: applied.addresses,
            listeners: applied.sockets,
        }));
        Ok(warnings)
    }

    /// Refuses a configuration that changes what only a restart can change.
    fn check_restart(&self, config: &Config) -> Result<(), String> {
        let active = self.active.borrow();
        let setting = config.global.workers;
        let workers = setting.unwrap_or_else(host::parallelism);
        // What "auto" comes to may change while the process runs, with its CPU quota.
        let is_new = setting != active.snapshot.config.global.workers;
        if is_new && workers != self.workers {
            return Err(format!(
                "a change of `workers` from {} to {workers} needs a restart",
                self.workers
            ));
        }
        let (engine, old) = (config.global.engine, active.snapshot.config.global.engine);
        if engine != old {
            return Err(format!(
                "a change of `engine` from \"{old}\" to \"{engine}\" needs a restart"
            ));
        }
        let (pin, old) = (config.global.pin, active.snapshot.config.global.pin);
        if pin != old {
            return Err(format!(
                "a change of `pin` from {old} to {pin} needs a restart"
            ));
        }
        if config.global.identity != active.snapshot.config.global.identity {
            return Err("a change of `user` or `group` needs a restart".to_owned());
        }
        if config.admin != active.snapshot.config.admin {
            return Err("a change of [admin] needs a restart".to_owned());
        }
        Ok(())
    }
}

fn report(journal: &Journal, outcome: &ReloadResult, who: String) {
    let version = outcome.version;
    let text = match &outcome.result {
        Ok(warnings) => {
            if !warnings.is_empty() {
                log::warn!("{warnings}");
            }
            let text = format!("reloaded: version {version} of the configuration is in use");
            log::info!("{text}");
            text
        }
        Err(reasons) => {
            // A report has lines of its own.
            let space = if reasons.contains('\n') { '\n' } else { ' ' };
            let text = format!(
                "not reloaded, version {version} of the configuration stays in use:{space}{reasons}"
            );
            log::error!("{text}");
            text
        }
    };
    let reason = outcome.result.clone().err();
    journal.record(Entry {
        kind: Kind::Reload,
        to: Some(version.to_string()),
        reason: reason.unwrap_or_default(),
        who: Some(who),
        text,
        ..Entry::default()
    });
}
