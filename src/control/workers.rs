//! The worker threads: starts them, stops them, and notices when one has ended.

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use tokio::sync::{mpsc, watch};

use super::engine::EngineKind;
use super::error::StartError;
use super::limits::Limits;
use crate::config::Pin;
use crate::io::{
    Engine, Epoll, Features, Listener, ResourceLimits, Socket, System, Uring, Waker, host,
    monotonic_nanos,
};
use crate::logging::Writer;
use crate::privileges::{self, User};
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::worker::{Command, HandOvers, Listening, LogSink, Release, Setup, Worker};

/// How long workers may take to close listeners that another process has too.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// Sends commands to all workers, also before they are started.
#[derive(Clone)]
pub struct WorkerHandles {
    senders: Vec<Sender<Command<Listener>>>,
    shared: Arc<Shared>,
    hand_overs: Arc<HandOvers<Socket>>,
}

impl WorkerHandles {
    /// Sends a command to every worker, and wakes it.
    pub fn send(&self, command: impl Fn() -> Command<Listener>) {
        self.send_each(self.senders.iter().map(|_| command()));
    }

    /// Sends each worker its command, by index, and wakes it.
    pub fn send_each(&self, commands: impl Iterator<Item = Command<Listener>>) {
        for (sender, command) in self.senders.iter().zip(commands) {
            // A worker that has ended needs no command.
            let _ = sender.send(command);
        }
        for worker in 0..self.senders.len() {
            self.shared.wake(worker);
        }
    }

    /// Connections on their way between workers, and how loaded these are.
    pub fn hand_overs(&self) -> &Arc<HandOvers<Socket>> {
        &self.hand_overs
    }

    /// What the workers share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// What workers need before they are started.
pub struct WorkerSetup {
    handles: WorkerHandles,
    /// By index of the worker.
    ends: Vec<(Waker, Receiver<Command<Listener>>)>,
}

impl WorkerSetup {
    /// Creates it for `limits.workers` workers.
    ///
    /// # Errors
    ///
    /// The system has no eventfd for one.
    pub fn new(limits: &Limits) -> Result<Self, StartError> {
        let wakers: Vec<Waker> = (0..limits.workers)
            .map(|_| Waker::new())
            .collect::<Result<_, _>>()
            .map_err(|error| StartError::System("cannot make an eventfd", error))?;
        let boxed = |waker: &Waker| -> Box<dyn Fn() + Send + Sync> {
            let waker = waker.clone();
            Box::new(move || waker.wake())
        };
        let wake = wakers.iter().map(boxed).collect();
        let shared = Arc::new(Shared::new(limits.sessions_max, wake));
        let (senders, receivers): (Vec<_>, Vec<_>) = wakers.iter().map(|_| unbounded()).unzip();
        Ok(WorkerSetup {
            handles: WorkerHandles {
                senders,
                shared,
                hand_overs: Arc::new(HandOvers::new(limits.workers)),
            },
            ends: wakers.into_iter().zip(receivers).collect(),
        })
    }

    /// Sends commands to the workers.
    pub fn handles(&self) -> &WorkerHandles {
        &self.handles
    }
}

/// Running workers.
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    handles: WorkerHandles,
    /// Workers that have ended.
    ended: watch::Receiver<usize>,
    /// What their engines are and make use of.
    engine: String,
    clock_zero: u64,
}

/// What a worker's thread needs.
struct Thread {
    index: usize,
    cpu: Option<usize>,
    engine: EngineKind,
    limits: ResourceLimits,
    waker: Waker,
    snapshot: Arc<Snapshot>,
    shared: Arc<Shared>,
    hand_overs: Arc<HandOvers<Socket>>,
    listeners: Vec<Listening<Listener>>,
    commands: Receiver<Command<Listener>>,
    log: LogSink,
    clock_zero: u64,
    seed: u64,
    /// Gets a description of the engine.
    ready: Sender<Result<String, StartError>>,
    user: Option<User>,
}

impl Workers {
    /// Starts them all as `user`, and waits until each has its engine.
    ///
    /// # Errors
    ///
    /// An engine or a thread is refused, or it could not become `user`.
    pub fn start(
        engine: EngineKind,
        snapshot: &Arc<Snapshot>,
        user: Option<User>,
        limits: &Limits,
        setup: WorkerSetup,
        listeners: Vec<Vec<Listening<Listener>>>,
        log: &Writer,
    ) -> Result<Self, StartError> {
        let system = |what| move |error| StartError::System(what, error);
        let shared = Arc::clone(&setup.handles.shared);
        let (ready, all_ready) = bounded(limits.workers);
        let (ended_sender, ended) = watch::channel(0);
        let cpus = cpus_to_pin(snapshot.config.global.pin);
        // One for all: what a worker notes of a time is compared by others.
        let clock_zero = monotonic_nanos();
        let seed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as u64);
        let mut workers = Workers {
            threads: Vec::new(),
            handles: setup.handles,
            ended,
            engine: String::new(),
            clock_zero,
        };
        let workers_made = listeners.into_iter().zip(setup.ends);
        for (index, (listeners, (waker, commands))) in workers_made.enumerate() {
            let thread = Thread {
                index,
                cpu: cpus.get(index % cpus.len().max(1)).copied(),
                engine,
                limits: ResourceLimits {
                    buffer_bytes_max: limits.buffer_bytes_max,
                    pipes_max: limits.pipes_max,
                },
                waker,
                snapshot: Arc::clone(snapshot),
                shared: Arc::clone(&shared),
                hand_overs: Arc::clone(&workers.handles.hand_overs),
                listeners,
                commands,
                log: log.sink(),
                clock_zero,
                seed: seed.wrapping_add(index as u64),
                ready: ready.clone(),
                user,
            };
            let ended = Ended {
                count: ended_sender.clone(),
                shared: Arc::clone(&shared),
            };
            let thread = std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || {
                    let _ended = ended;
                    thread.run();
                })
                .map_err(system("cannot start a worker's thread"))?;
            workers.threads.push(thread);
        }
        drop(ready);
        for _ in 0..limits.workers {
            match all_ready.recv() {
                Ok(Ok(engine)) => workers.engine = engine,
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(StartError::WorkerFailed),
            }
        }
        Ok(workers)
    }

    /// How many workers there are and which CPUs they run on, for the log.
    pub fn description(&self) -> String {
        format!("{} workers on {}", self.threads.len(), self.engine)
    }

    /// Sends commands to the workers.
    pub fn handles(&self) -> &WorkerHandles {
        &self.handles
    }

    /// What they share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.handles.shared
    }

    /// Time of the system's clock at the start of the workers' clock, in nanoseconds.
    pub fn clock_zero(&self) -> u64 {
        self.clock_zero
    }

    /// Sessions that are open now.
    pub fn sessions_open(&self) -> u32 {
        self.handles.shared.session_limit.used()
    }

    /// Makes all workers close their handles of these listeners, which another process has too, and waits
    /// until they have.
    pub async fn release(&self, listeners: &[u64]) {
        let (alive, mut all_closed) = mpsc::channel::<()>(1);
        let release = Release {
            listeners: listeners.into(),
            closed: Arc::new(alive),
        };
        self.handles.send(|| Command::Release(release.clone()));
        drop(release);
        // Ends when the last worker has dropped its end. A worker that is late closes them all the same.
        let _ = tokio::time::timeout(RELEASE_TIMEOUT, all_closed.recv()).await;
    }

    /// Makes all workers stop accepting, and end with their last session.
    pub fn stop(&self) {
        self.handles.send(|| Command::Stop);
    }

    /// Makes all workers close their sessions now.
    pub fn abort(&self) {
        self.handles.send(|| Command::Abort);
    }

    /// Waits until any worker has ended.
    pub async fn any_ended(&mut self) {
        let _ = self.ended.wait_for(|ended| *ended > 0).await;
    }

    /// Waits until all workers have ended.
    pub async fn all_ended(&mut self) {
        let all = self.threads.len();
        let _ = self.ended.wait_for(|ended| *ended >= all).await;
    }
}

/// The CPUs to which workers are pinned in turn; none if they are not.
fn cpus_to_pin(pin: Pin) -> Vec<usize> {
    let (cpus, parallelism) = (host::cpus(), host::parallelism());
    match pin {
        Pin::On => cpus,
        Pin::Off => Vec::new(),
        // They would be stopped on their CPUs, while others are idle.
        Pin::Auto if parallelism < cpus.len() => {
            log::info!(
                "the CPU quota of the control group allows {parallelism} of {} CPUs: workers are not pinned",
                cpus.len()
            );
            Vec::new()
        }
        // Others want these CPUs too, as far as anybody can tell.
        Pin::Auto if cpus.len() <= 2 || cpus.len() < host::cpus_online() => Vec::new(),
        Pin::Auto => cpus,
    }
}

/// Reports the end of a worker's thread when it is dropped, also by a panic.
struct Ended {
    count: watch::Sender<usize>,
    shared: Arc<Shared>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.mark_failed();
        }
        self.count.send_modify(|count| *count += 1);
    }
}

impl Thread {
    fn run(self) {
        if let Some(cpu) = self.cpu
            && let Err(error) = host::pin_thread(cpu)
        {
            log::warn!(
                "worker {} can't be pinned to CPU {cpu}: {error}",
                self.index
            );
        }
        let waker = self.waker.clone();
        let refused = match self.engine {
            EngineKind::IoUring => match Uring::new(Features::default(), &self.limits, waker) {
                Ok(engine) => return self.serve(engine),
                Err(error) => StartError::IoUring(error),
            },
            EngineKind::Epoll => match System::new(&self.limits, waker) {
                Ok(system) => return self.serve(Epoll::new(system)),
                Err(error) => StartError::Epoll(error),
            },
        };
        let _ = self.ready.send(Err(refused));
    }

    /// Serves on this engine until the worker has ended.
    fn serve<E>(self, engine: E)
    where
        E: Engine<Listener = Listener, Detached = Socket> + fmt::Display,
    {
        // Not before: an engine may need more than `user` may do.
        if let Err(error) = privileges::give_up(self.user) {
            let error = StartError::System("a worker can't give up root's rights", error);
            let _ = self.ready.send(Err(error));
            return;
        }
        let description = engine.to_string();
        let mut worker = Worker::new(Setup {
            index: self.index,
            engine,
            snapshot: self.snapshot,
            shared: self.shared,
            hand_overs: self.hand_overs,
            listeners: self.listeners,
            commands: self.commands,
            log: self.log,
            clock_zero: self.clock_zero,
            seed: self.seed,
        });
        let _ = self.ready.send(Ok(description));
        worker.run();
    }
}
