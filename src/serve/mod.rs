//! The life of the process: start of all threads in order, signals, stop.
//!
//! It runs on the main thread, on the runtime that the control plane and the admin listener share, and may
//! block; workers never wait for it. It is the only place that knows of both.

mod stop;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use tokio::signal::unix::SignalKind;
use tokio::sync::{mpsc, watch};

use crate::admin::{self, Admin, Succession};
use crate::config::Config;
use crate::control::actions::Actions;
use crate::control::active::Active;
use crate::control::backend_registry::BackendRegistry;
use crate::control::bound::Bound;
pub use crate::control::discovery::Checked;
pub use crate::control::discovery::host_names::resolve_blocking as resolve_host;
use crate::control::discovery::{self, Discovery, Sink};
use crate::control::engine;
pub use crate::control::error::StartError;
use crate::control::health::Health;
use crate::control::journal::Journal;
use crate::control::limits::Limits;
use crate::control::listeners::{Listeners, OpenMode};
use crate::control::names::Names;
use crate::control::operator_state::OperatorState;
use crate::control::overrides::Overrides;
use crate::control::refusals;
pub use crate::control::reload::Source;
use crate::control::reload::{Reload, Reloader};
use crate::control::sources;
use crate::control::stalls;
use crate::control::state_file::{self, Refused, StateFile};
use crate::control::systemd;
use crate::control::takeover::{self, TakeoverClient, TakeoverServer};
pub use crate::control::upgrade::Program;
use crate::control::upgrade::Upgrader;
use crate::control::workers::{WorkerSetup, Workers};
use crate::io::{Arrivals, host};
use crate::logging::Writer;
use crate::privileges::{self, User};
use crate::shared::{Shared, WorkerCounters};
use crate::snapshot::{Registry, ServerShared, Source as ServerSource};
use crate::sync::Counter;
use crate::task;
use crate::worker::Command;
use stop::{ABORT_TIMEOUT, Signals, Stop, accept_in_grace, finish_sessions, listen_for};

/// Warnings of workers that may wait to be recorded.
const WARNINGS_MAX: usize = 64;

/// How often overrides of servers that are not there are looked at.
const DROP_ABSENT_INTERVAL: Duration = Duration::from_secs(60);

/// Where the balancer listens.
#[derive(Clone, Debug)]
pub struct ListenAddresses {
    /// By frontend.
    pub frontends: Vec<Vec<Bound>>,
    /// The admin listener, if there is one.
    pub admin: Option<SocketAddr>,
}

/// How the balancer is to begin.
#[derive(Default)]
pub struct Options {
    /// Where a reload reads the configuration; `None`: there is none to read.
    pub source: Option<Source>,
    /// The admin socket of the process to take over from.
    pub takeover: Option<PathBuf>,
    /// How this process was started, if it can be started again.
    pub program: Option<Program>,
}

/// Runs the balancer until a signal ends it. `started` gets the bound addresses once all are
/// open.
///
/// # Errors
///
/// It could not start, or an internal error ended it.
pub fn run(
    config: Config,
    options: Options,
    started: impl FnOnce(&ListenAddresses),
) -> Result<(), StartError> {
    let user = user(&config);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Threads for what may block.
        .on_thread_start(move || {
            // It was possible for the first thread of all, that of the log.
            if let Err(error) = privileges::give_up(user) {
                panic!("a thread can't give up root's rights: {error}");
            }
        })
        .build()
        .map_err(|error| StartError::System("cannot start the control plane", error))?;
    // Boxed: `block_on` would hold two copies of its code.
    let result = runtime.block_on(Box::pin(serve(config, options, started)));
    // Whoever still reads a configuration is not waited for.
    runtime.shutdown_background();
    result
}

/// Asks once for the servers that are to be discovered.
pub fn check_discovery(config: &Config) -> Checked {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(discovery::check(config)),
        Err(error) => Checked {
            found: Vec::new(),
            warnings: vec![format!("nothing is discovered: {error}")],
        },
    }
}

/// As whom threads serve, if that is configured.
pub fn user(config: &Config) -> Option<User> {
    let admin = config.admin.as_ref();
    let socket_group = admin.and_then(|admin| admin.socket_group.as_ref());
    let identity = config.global.identity.as_ref();
    identity.map(|identity| User {
        uid: identity.uid,
        gid: identity.gid,
        socket_gid: socket_group.map(|group| group.gid),
    })
}

async fn serve(
    config: Config,
    options: Options,
    started: impl FnOnce(&ListenAddresses),
) -> Result<(), StartError> {
    // Before anything listens: no signal may meet the default handlers.
    let mut signals = Signals::new()?;
    let hangup = listen_for(SignalKind::hangup())?;
    let user = user(&config);
    let worker_count = config.global.workers.unwrap_or_else(host::parallelism);
    let limits = Limits::of(
        &config,
        worker_count,
        host::raise_file_limit(),
        admin::DESCRIPTORS_MAX,
    );
    limits.report(&config);
    sources::warn_of_missing(&config);
    let (engine, warning) = engine::choose(config.global.engine)?;
    if let Some(warning) = warning {
        log::warn!("{warning}");
    }
    let mut registry = Registry::new(worker_count);
    let snapshot = registry.snapshot(config);
    let config = &snapshot.config;
    let setup = WorkerSetup::new(&limits)?;
    refusals::bound_clients(config, setup.handles().shared());
    // Early: a second process with the same configuration is to end before it changes a file.
    let mut taken = match &options.takeover {
        Some(socket) => Some(takeover::take(socket).map_err(StartError::Takeover)?),
        None => None,
    };
    let mut admin = match &config.admin {
        Some(admin) if taken.is_none() => Some(Admin::bind(admin, user).await?),
        // The process that is taken over from still has it.
        Some(_) | None => None,
    };
    let journal = Journal::new();
    let received = taken.as_mut().and_then(|taken| taken.operator_state.take());
    let overrides = Arc::new(overrides(config, received, user, &journal)?);
    overrides.drop_superseded(config).await;
    overrides.added().put_into(&snapshot, &mut registry);
    let changes = overrides.at_start(&snapshot).await;
    let names = Names::of_system();
    let added = overrides.added().addresses();
    let resolved = names.resolve_all(config, added).await;
    resolved.put_into_effect(&snapshot, &journal);
    let initial = (Arc::clone(&snapshot), changes);
    let handles = setup.handles().clone();
    let mut health = Health::start(initial, names.clone(), user, handles, journal.clone())
        .map_err(|error| StartError::System("cannot start the health thread", error))?;
    let registry =
        BackendRegistry::new(registry, health.statuses().clone(), Arc::clone(&overrides));
    let mut discovery = Discovery::new(discovered(&registry), journal.clone());
    discovery.adopt(config);
    discovery.first_round().await;
    health.first_round().await;
    let mut listeners = Listeners::default();
    let transferred = taken
        .as_mut()
        .map(|taken| std::mem::take(&mut taken.transferred));
    let mode = OpenMode::Start(transferred.unwrap_or_default());
    let prepared = listeners.prepare(config, worker_count, mode).await?;
    let applied = listeners.apply(prepared, worker_count);
    let (warn, warnings) = mpsc::channel(WARNINGS_MAX);
    let warnings = task::spawn(record_warnings(warnings, journal.clone()));
    // A warning that does not fit into the channel is dropped; counters show the shortage too.
    let warned = move |text| drop(warn.try_send(text));
    let log = Writer::start(user, warned)
        .map_err(|error| StartError::System("cannot start the access log's thread", error))?;
    let mut workers = Workers::start(
        engine,
        &snapshot,
        user,
        &limits,
        setup,
        applied.by_worker,
        &log,
    )?;
    if let Some(taken) = taken {
        // What can fail has not; the other process may end with the next step.
        systemd::main_process().await;
        finish_takeover(taken, applied.kept).await;
        workers.handles().send(|| Command::AcceptAnew);
        // Overrides of the other process may be in no file yet; a failure is logged.
        let _ = overrides.save().await;
        admin = bind_late(config, user).await;
    }
    // All is open that only root may open; a reload finds what this process may open later.
    privileges::give_up(user)
        .map_err(|error| StartError::System("cannot give up root's rights", error))?;
    if privileges::is_root() && user.is_none() {
        log::warn!(
            "running as root: set `user` in [global], so that the process gives that up once it listens"
        );
    }
    let bound = ListenAddresses {
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
        listeners: applied.sockets,
    }));
    let (reloader, requests) = Reloader::new(active.clone());
    let (takeover_server, mut accepted) = TakeoverServer::new(reloader.clone());
    // Until this is dropped, it serves.
    let mut serving = None;
    // Until the end, no action is taken that the other process would not know of.
    let mut _taken_over = None;
    if let Some(admin) = admin {
        if let Some(address) = admin.address() {
            log::info!("admin listens on http://{address}");
        }
        if let Some(socket) = admin.socket() {
            log::info!("admin listens on {}", socket.display());
        }
        if let Some(socket) = admin.haproxy_socket() {
            log::info!("HAProxy's commands are answered on {}", socket.display());
        }
        let statuses = health.statuses().clone();
        let actions = Actions {
            statuses: statuses.clone(),
            overrides: Arc::clone(&overrides),
            handles: workers.handles().clone(),
            registry: registry.clone(),
            names: names.clone(),
            journal: journal.clone(),
        };
        let status_of = Box::new(move |server: &ServerShared| statuses.server(server));
        let shared = Arc::clone(workers.shared());
        // The task that reloads goes on for as long as somebody could ask it.
        let mut state = admin::State::new(
            engine.name(),
            active.clone(),
            shared,
            status_of,
            reloader.clone(),
        );
        state.loads = Arc::clone(workers.handles().hand_overs().loads());
        state.discovery = discovery.statuses().clone();
        let socket = admin.socket().map(Path::to_owned);
        let successor = Succession {
            takeover: takeover_server.clone(),
            upgrader: Upgrader::new(options.program, socket, user),
        };
        serving = Some(admin.start(state, actions, successor));
    }
    let forgetting = task::spawn(registry.clone().forget_left());
    let dropping = task::spawn(drop_absent(Arc::clone(&overrides), active.clone()));
    let arrivals =
        Arrivals::new().map_err(|error| StartError::System("cannot watch the listeners", error))?;
    let stalls = stalls::watch(
        workers.handles().clone(),
        active.clone(),
        workers.clock_zero(),
        arrivals,
    );
    let stalls = task::spawn(stalls);
    let refusals = task::spawn(refusals::log(active.clone()));
    let reload = Reload {
        source: options.source,
        registry,
        discovery,
        listeners,
        handles: workers.handles().clone(),
        statuses: health.statuses().clone(),
        names,
        overrides,
        journal,
        active: active_sender,
        workers: worker_count,
        admin_descriptors: admin::DESCRIPTORS_MAX,
        takeover: Weak::new(),
        adopting: None,
    };
    let mut reload = task::spawn(reload.run(requests, hangup));
    log::info!("ringway is ready: {}", workers.description());
    started(&bound);
    systemd::ready().await;

    let mut stop = Stop::Orderly;
    let mut telling = None;
    tokio::select! {
        (name, wanted) = signals.next() => {
            stop = wanted;
            workers.shared().mark_stopping();
            telling = Some(task::spawn(systemd::stopping()));
            let grace = active.borrow().snapshot.config.global.shutdown_grace;
            if !grace.is_zero() {
                let next = stop.next(name, workers.sessions_open());
                log::info!("{name}: not ready any more, but accepting for {grace:?}; sessions: {next}");
                stop = accept_in_grace(stop, grace, &mut signals, &mut workers).await;
            }
            stalls.abort();
            workers.stop();
            let timeout = active.borrow().snapshot.config.global.shutdown_timeout;
            stop.announce(name, timeout, workers.sessions_open());
        }
        Some(mut accepted) = accepted.recv() => {
            if let Some(serving) = serving.take() {
                serving.close().await;
            }
            // What comes from now on is for the other process.
            stalls.abort();
            workers.release(&accepted.kept).await;
            if let Err(error) = accepted.release() {
                log::warn!("the other process has gone: {error}");
            }
            _taken_over = Some(accepted);
            let timeout = active.borrow().snapshot.config.global.shutdown_timeout;
            log::info!("another process has taken over: finishing open sessions, at most {timeout:?}");
        }
        () = workers.any_ended() => {}
        () = health.ended() => workers.shared().mark_failed(),
        _ = &mut reload => workers.shared().mark_failed(),
    }
    workers.shared().mark_stopping();
    // With it go the control plane's handles on the listeners, which would keep them open.
    reload.abort();
    forgetting.abort();
    dropping.abort();
    refusals.abort();
    stalls.abort();
    let _ = reload.await;
    let shutdown_timeout = active.borrow().snapshot.config.global.shutdown_timeout;
    workers.stop();
    finish_sessions(stop, shutdown_timeout, &mut signals, &mut workers).await;
    let shared = Arc::clone(workers.shared());
    drop(workers);
    log.finish();
    // The workers' ends of it are gone, unless one hangs.
    let _ = tokio::time::timeout(ABORT_TIMEOUT, warnings).await;
    if let Some(telling) = telling {
        let _ = telling.await;
    }
    report_totals(&shared);
    if shared.has_failed() {
        return Err(StartError::WorkerFailed);
    }
    Ok(())
}

/// Gives servers that were discovered to their backend.
fn discovered(registry: &BackendRegistry) -> Sink {
    let registry = registry.clone();
    Arc::new(move |change| {
        let (backend, servers) = (&change.backend, change.servers);
        let set = registry.set_members(backend, ServerSource::Discovery, servers);
        // A reload may have removed the backend a moment ago.
        Some(set.ok()??.in_effect)
    })
}

/// Every minute: drops what operators have set of servers that discovery has not found for long.
async fn drop_absent(overrides: Arc<Overrides>, active: watch::Receiver<Arc<Active>>) {
    loop {
        tokio::time::sleep(DROP_ABSENT_INTERVAL).await;
        let snapshot = Arc::clone(&active.borrow().snapshot);
        overrides.drop_absent(&snapshot, SystemTime::now()).await;
    }
}

/// Logs workers' warnings, and keeps them.
async fn record_warnings(mut warnings: mpsc::Receiver<String>, journal: Journal) {
    while let Some(text) = warnings.recv().await {
        journal.warn(text);
    }
}

/// Tells the process that this one takes over from that it accepts now.
async fn finish_takeover(taken: TakeoverClient, kept: Vec<usize>) {
    let pid = taken.pid;
    let ready = tokio::task::spawn_blocking(move || taken.ready(&kept)).await;
    match ready.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        Ok(()) => log::info!("took over from process {pid}"),
        Err(error) => log::warn!("took over from process {pid}, which went away: {error}"),
    }
}

/// Opens the admin listener of a process that serves already. If that fails, it is logged and the process goes
/// on without one.
async fn bind_late(config: &Config, user: Option<User>) -> Option<Admin> {
    let bound = Admin::bind(config.admin.as_ref()?, user).await;
    bound
        .map_err(|error| log::error!("there is no admin listener: {error}"))
        .ok()
}

/// What operators have set: what was `received` from the process that this one takes over from, or else what is
/// in the state file, if there is one.
fn overrides(
    config: &Config,
    received: Option<OperatorState>,
    user: Option<User>,
    journal: &Journal,
) -> Result<Overrides, StartError> {
    let Some(path) = &config.global.state_file else {
        return Ok(Overrides::new(
            received.unwrap_or_default(),
            None,
            journal.clone(),
        ));
    };
    let load = || match state_file::load(path) {
        Ok(found) => Ok(found),
        Err(Refused::Unusable(why)) => {
            journal.warn(why);
            Ok(OperatorState::default())
        }
        Err(Refused::NoFile(why)) => Err(StartError::StateFile(why)),
    };
    let found = received.map_or_else(load, Ok)?;
    let file = StateFile::start(path.clone(), user)
        .map_err(|error| StartError::System("cannot start the state file's thread", error))?;
    Ok(Overrides::new(found, Some(file), journal.clone()))
}

fn report_totals(shared: &Shared) {
    let sum = |count: fn(&WorkerCounters) -> &Counter| -> u64 {
        shared
            .workers
            .iter()
            .map(|worker| count(worker).get())
            .sum()
    };
    log::info!(
        "ended after {} sessions, {} bytes from clients, {} bytes from servers, {} failed \
         connects, {} retries, {} shortages, {} receives without a buffer, {} log lines dropped, {} \
         messages dropped",
        sum(|worker| &worker.sessions_ended),
        sum(|worker| &worker.bytes_from_clients),
        sum(|worker| &worker.bytes_from_servers),
        sum(|worker| &worker.connect_failures),
        sum(|worker| &worker.retries),
        sum(|worker| &worker.shortages),
        sum(|worker| &worker.buffer_misses),
        sum(|worker| &worker.log_lines_dropped),
        crate::logging::messages_dropped(),
    );
}
