//! The control plane: orderly start and stop of the workers, signals, the admin listener.
//!
//! It runs on the main thread and may block; workers never wait for it.

mod admin;
pub mod health;
mod limits;
mod listeners;
mod workers;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config::Config;
use crate::io::{SetupError, host, probe};
use crate::log::Writer;
use crate::shared::Shared;
use crate::snapshot::{Registry, Snapshot};
use admin::Admin;
use health::Health;
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
pub(crate) struct Active {
    /// The configuration, and what is shared of it.
    pub snapshot: Arc<Snapshot>,
    /// Where its frontends listen, by index.
    pub bound: Vec<Vec<SocketAddr>>,
}

/// Runs the balancer until a signal ends it. `started` is told the bound addresses once all are
/// open.
///
/// # Errors
///
/// It could not start, or an internal error ended it.
pub fn run(config: Config, started: impl FnOnce(&Bound)) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::System("cannot start the control plane", error))?;
    runtime.block_on(serve(config, started))
}

async fn serve(config: Config, started: impl FnOnce(&Bound)) -> Result<(), StartError> {
    // Before anything listens: a signal must never find the default handlers in place.
    let mut stop = Signals::new()?;
    let worker_count = config.global.workers.unwrap_or_else(|| host::cpus().len());
    let limits = limits::Limits::of(&config, worker_count, host::raise_file_limit());
    limits.report(&config);
    let shutdown_timeout = config.global.shutdown_timeout;
    let snapshot = Registry::new(worker_count).snapshot(config);
    let config = &snapshot.config;
    let crew = Crew::new(&limits)?;
    let mut health = Health::start(&snapshot, crew.orders().clone())
        .map_err(|error| StartError::System("cannot start the health thread", error))?;
    health.first_round().await;
    let listeners = listeners::open(config, worker_count)?;
    let admin = match config.admin.as_ref().and_then(|admin| admin.listen) {
        Some(listen) => Some(Admin::bind(listen).await?),
        None => None,
    };
    let log = Writer::start()
        .map_err(|error| StartError::System("cannot start the log's thread", error))?;
    let bound = Bound {
        frontends: listeners.addresses.clone(),
        admin: admin.as_ref().map(Admin::address),
    };
    let mut workers = Workers::start(&snapshot, &limits, crew, listeners, &log)?;
    for (frontend, addresses) in config.frontends.iter().zip(&bound.frontends) {
        for address in addresses {
            log::info!("frontend {} listens on {address}", frontend.name);
        }
    }
    if let Some(admin) = admin {
        let statuses = health.statuses().clone();
        log::info!("admin listens on http://{}", admin.address());
        let (_, active) = watch::channel(Arc::new(Active {
            snapshot: Arc::clone(&snapshot),
            bound: bound.frontends.clone(),
        }));
        admin.start(admin::State::new(
            active,
            Arc::clone(workers.shared()),
            Box::new(move |server| statuses.server(server)),
        ));
    }
    log::info!("ringway is ready: {}", workers.description());
    started(&bound);

    tokio::select! {
        name = stop.next() => {
            log::info!("{name}: finishing open sessions, at most {shutdown_timeout:?}");
        }
        () = workers.any_ended() => {}
        () = health.ended() => workers.shared().mark_failed(),
    }
    workers.shared().mark_stopping();
    workers.stop();
    tokio::select! {
        () = workers.all_ended() => {}
        name = stop.next() => {
            log::warn!("{name} once more: ending at once");
            std::process::exit(0);
        }
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

/// The signals that ask to stop.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, StartError> {
        let listen = |kind| {
            signal(kind).map_err(|error| StartError::System("cannot listen for signals", error))
        };
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
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
