//! The control plane: orderly start and stop of the workers, signals, the admin listener.
//!
//! It runs on the main thread and may block; workers never wait for it.

mod actions;
mod admin;
pub mod health;
mod journal;
mod limits;
mod listeners;
mod overrides;
pub mod reload;
mod sessions;
mod state_file;
mod systemd;
mod takeover;
mod workers;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::config::Config;
use crate::io::{SetupError, host, probe};
use crate::log::Writer;
use crate::shared::Shared;
use crate::snapshot::{Registry, ServerShared, Snapshot};
use actions::Actions;
use admin::Admin;
pub use admin::{Token, openapi};
use health::Health;
use journal::{Entry, Journal};
use listeners::{Listeners, Moment};
use overrides::Overrides;
use reload::{Reload, Reloader, Source};
use state_file::StateFile;
use takeover::{Giver, Taken};
use workers::{Crew, Workers};

/// How long an aborted session may take to be torn down.
const ABORT_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the balancer could not start, or had to end. Its text is one sentence with cause and cure.
#[derive(Debug)]
pub enum StartError {
    /// A listener could not be had.
    Listen {
        /// As the configuration names it.
        what: String,
        /// What the kernel said, and what to do.
        why: String,
    },
    /// The admin listener is not configured as it could be.
    Admin(String),
    /// There is nothing to take over.
    Takeover(String),
    /// The kernel refuses io_uring.
    IoUring(SetupError),
    /// Something else of the system failed.
    System(&'static str, std::io::Error),
    /// A worker or the health thread ended by a fault of ours.
    WorkerFailed,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen { what, why } => write!(f, "cannot listen on {what}: {why}"),
            StartError::Admin(why) => f.write_str(why),
            StartError::Takeover(why) => write!(f, "cannot take over: {why}"),
            StartError::IoUring(error) => f.write_str(&probe::explain(error)),
            StartError::System(what, error) => write!(f, "{what}: {error}"),
            StartError::WorkerFailed => {
                f.write_str("a thread ended by an internal error; the lines above tell more")
            }
        }
    }
}

impl std::error::Error for StartError {}

/// Where the balancer listens.
#[derive(Clone, Debug)]
pub struct Bound {
    /// By frontend.
    pub frontends: Vec<Vec<SocketAddr>>,
    /// The admin listener, if there is one.
    pub admin: Option<SocketAddr>,
}

/// What is in use.
#[derive(Debug)]
pub struct Active {
    /// The configuration, and what is shared of it.
    pub snapshot: Arc<Snapshot>,
    /// Where its frontends listen, by index.
    pub bound: Vec<Vec<SocketAddr>>,
}

/// How the balancer is to begin.
#[derive(Default)]
pub struct Options {
    /// Where a reload reads the configuration; `None`: there is none to read.
    pub source: Option<Source>,
    /// The admin socket of the process to take over from.
    pub takeover: Option<PathBuf>,
}

/// Runs the balancer until a signal ends it. `started` is told the bound addresses once all are
/// open.
///
/// # Errors
///
/// It could not start, or an internal error ended it.
pub fn run(
    config: Config,
    options: Options,
    started: impl FnOnce(&Bound),
) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::System("cannot start the control plane", error))?;
    let result = runtime.block_on(serve(config, options, started));
    // Whoever still reads a configuration is not waited for.
    runtime.shutdown_background();
    result
}

async fn serve(
    config: Config,
    options: Options,
    started: impl FnOnce(&Bound),
) -> Result<(), StartError> {
    // Before anything listens: a signal must never find the default handlers in place.
    let mut stop = Signals::new()?;
    let hangup = listen_for(SignalKind::hangup())?;
    let worker_count = config.global.workers.unwrap_or_else(|| host::cpus().len());
    let limits = limits::Limits::of(&config, worker_count, host::raise_file_limit());
    limits.report(&config);
    let mut registry = Registry::new(worker_count);
    let snapshot = registry.snapshot(config);
    let config = &snapshot.config;
    let crew = Crew::new(&limits)?;
    // Early: a second process with the same configuration is to end before it changes a file.
    let mut taken = match &options.takeover {
        Some(socket) => Some(takeover::take(socket).map_err(StartError::Takeover)?),
        None => None,
    };
    let mut admin = match &config.admin {
        Some(admin) if taken.is_none() => Some(Admin::bind(admin).await?),
        // The process that is taken over from still has it.
        Some(_) | None => None,
    };
    let journal = Journal::new();
    let overrides = Arc::new(overrides(config, &journal)?);
    let mut health = Health::start(&snapshot, crew.orders().clone(), journal.clone())
        .map_err(|error| StartError::System("cannot start the health thread", error))?;
    // In effect before the first probe.
    overrides
        .put_into_effect(&snapshot, health.statuses())
        .await;
    health.first_round().await;
    let mut listeners = Listeners::default();
    let handed = taken
        .as_mut()
        .map(|taken| std::mem::take(&mut taken.handed));
    let moment = Moment::Start(handed.unwrap_or_default());
    let prepared = listeners.prepare(config, worker_count, moment)?;
    let applied = listeners.apply(prepared, worker_count);
    let for_log = journal.clone();
    let log = Writer::start(move |text| for_log.record(Entry::warning(text)))
        .map_err(|error| StartError::System("cannot start the log's thread", error))?;
    let mut workers = Workers::start(&snapshot, &limits, crew, applied.by_worker, &log)?;
    if let Some(taken) = taken {
        finish_takeover(taken).await;
        admin = bind_late(config).await;
    }
    let bound = Bound {
        frontends: applied.addresses.clone(),
        admin: admin.as_ref().and_then(Admin::address),
    };
    for (frontend, addresses) in config.frontends.iter().zip(&bound.frontends) {
        for address in addresses {
            log::info!("frontend {} listens on {address}", frontend.name);
        }
    }
    let (active_sender, active) = watch::channel(Arc::new(Active {
        snapshot: Arc::clone(&snapshot),
        bound: applied.addresses,
    }));
    let (reloader, requests) = Reloader::new(active.clone());
    let (giver, mut given) = Giver::new(reloader.clone());
    // Until this is dropped, it serves.
    let mut serving = None;
    if let Some(admin) = admin {
        if let Some(address) = admin.address() {
            log::info!("admin listens on http://{address}");
        }
        if let Some(socket) = admin.socket() {
            log::info!("admin listens on {}", socket.display());
        }
        let statuses = health.statuses().clone();
        let actions = Actions {
            statuses: statuses.clone(),
            overrides: Arc::clone(&overrides),
            orders: workers.orders().clone(),
            journal: journal.clone(),
        };
        let told = Box::new(move |server: &ServerShared| statuses.server(server));
        let shared = Arc::clone(workers.shared());
        // The task that reloads goes on for as long as somebody could ask it.
        let state = admin::State::new(active.clone(), shared, told, reloader.clone());
        serving = Some(admin.start(state, actions, giver.clone()));
    }
    let reload = Reload {
        source: options.source,
        registry,
        listeners,
        orders: workers.orders().clone(),
        statuses: health.statuses().clone(),
        overrides,
        journal,
        active: active_sender,
        workers: worker_count,
        takeover: Weak::new(),
    };
    let mut reload = tokio::spawn(reload.run(requests, hangup));
    log::info!("ringway is ready: {}", workers.description());
    started(&bound);
    systemd::ready();

    tokio::select! {
        name = stop.next() => {
            let grace = active.borrow().snapshot.config.global.shutdown_grace;
            workers.shared().mark_stopping();
            systemd::stopping();
            if !grace.is_zero() {
                log::info!("{name}: not ready any more, but accepting for {grace:?}");
                tokio::select! {
                    () = tokio::time::sleep(grace) => {}
                    () = workers.any_ended() => {}
                    name = stop.next() => end_at_once(name),
                }
            }
            let timeout = active.borrow().snapshot.config.global.shutdown_timeout;
            log::info!("{name}: finishing open sessions, at most {timeout:?}");
        }
        Some(mut given) = given.recv() => {
            if let Some(serving) = serving.take() {
                serving.close().await;
            }
            let timeout = active.borrow().snapshot.config.global.shutdown_timeout;
            log::info!("another process has taken over: finishing open sessions, at most {timeout:?}");
            if let Err(error) = given.release() {
                log::warn!("the other process has gone: {error}");
            }
        }
        () = workers.any_ended() => {}
        () = health.ended() => workers.shared().mark_failed(),
        _ = &mut reload => workers.shared().mark_failed(),
    }
    workers.shared().mark_stopping();
    // With it go the control plane's handles on the listeners, which would keep them open.
    reload.abort();
    let _ = reload.await;
    let shutdown_timeout = active.borrow().snapshot.config.global.shutdown_timeout;
    workers.stop();
    tokio::select! {
        () = workers.all_ended() => {}
        name = stop.next() => end_at_once(name),
        () = tokio::time::sleep(shutdown_timeout) => {
            log::warn!("{} sessions are still open and are cut", workers.sessions_open());
            workers.abort();
            let _ = tokio::time::timeout(ABORT_TIMEOUT, workers.all_ended()).await;
        }
    }
    let shared = Arc::clone(workers.shared());
    drop(workers);
    log.finish();
    report_totals(&shared);
    if shared.has_failed() {
        return Err(StartError::WorkerFailed);
    }
    Ok(())
}

/// Tells the process that this one takes over from that it accepts now.
async fn finish_takeover(taken: Taken) {
    let pid = taken.pid;
    let ready = tokio::task::spawn_blocking(|| taken.ready()).await;
    match ready.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        Ok(()) => log::info!("took over from process {pid}"),
        Err(error) => log::warn!("took over from process {pid}, which went away: {error}"),
    }
}

/// Opens the admin listener of a process that serves already, which goes on without it in need.
async fn bind_late(config: &Config) -> Option<Admin> {
    let bound = Admin::bind(config.admin.as_ref()?).await;
    bound
        .map_err(|error| log::error!("there is no admin listener: {error}"))
        .ok()
}

/// A second signal asks for the end.
fn end_at_once(name: &str) -> ! {
    log::warn!("{name} once more: ending at once");
    std::process::exit(0);
}

/// What operators wanted when the last process ended, if that is kept.
fn overrides(config: &Config, journal: &Journal) -> Result<Overrides, StartError> {
    let Some(path) = &config.global.state_file else {
        return Ok(Overrides::new(Vec::new(), None, journal.clone()));
    };
    let found = state_file::load(path).unwrap_or_else(|why| {
        journal.warn(why);
        Vec::new()
    });
    let file = StateFile::start(path.clone())
        .map_err(|error| StartError::System("cannot start the state file's thread", error))?;
    Ok(Overrides::new(found, Some(file), journal.clone()))
}

/// The signals that ask to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, StartError> {
        Ok(Signals {
            terminate: listen_for(SignalKind::terminate())?,
            interrupt: listen_for(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

fn listen_for(kind: SignalKind) -> Result<Signal, StartError> {
    signal(kind).map_err(|error| StartError::System("cannot listen for signals", error))
}

fn report_totals(shared: &Shared) {
    let sum = |count: fn(&crate::shared::WorkerCounters) -> &crate::shared::Counter| -> u64 {
        shared
            .workers
            .iter()
            .map(|worker| count(&worker.0).get())
            .sum()
    };
    log::info!(
        "ended after {} sessions, {} bytes from clients, {} bytes from servers, {} failed \
         connects, {} retries, {} shortages, {} receives without a buffer, {} log lines dropped",
        sum(|worker| &worker.sessions_ended),
        sum(|worker| &worker.bytes_from_clients),
        sum(|worker| &worker.bytes_from_servers),
        sum(|worker| &worker.connect_failures),
        sum(|worker| &worker.retries),
        sum(|worker| &worker.shortages),
        sum(|worker| &worker.buffer_misses),
        sum(|worker| &worker.log_lines_dropped),
    );
}
