//! The worker threads: starting them, telling them to stop, noticing that they ended.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use tokio::sync::watch;

use super::StartError;
use super::limits::Limits;
use super::listeners::Listeners;
use crate::config::Config;
use crate::io::{Engine, Features, Listener, SetupError, Uring, UringOptions, Waker, host};
use crate::log::Writer;
use crate::shared::Shared;
use crate::worker::{Command, LogSink, Setup, Worker};

/// Running workers.
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    orders: Vec<Sender<Command>>,
    shared: Arc<Shared>,
    /// Workers that have ended.
    ended: watch::Receiver<usize>,
    features: Features,
}

/// What a worker's thread is given.
struct Thread {
    index: usize,
    cpu: usize,
    options: UringOptions,
    waker: Waker,
    config: Arc<Config>,
    shared: Arc<Shared>,
    listeners: Vec<(u16, Listener)>,
    commands: Receiver<Command>,
    log: LogSink,
    seed: u64,
    ready: Sender<Result<Features, SetupError>>,
}

impl Workers {
    /// Starts them all, and waits until each has its ring.
    ///
    /// # Errors
    ///
    /// A ring or a thread is refused.
    pub fn start(
        config: &Arc<Config>,
        limits: &Limits,
        listeners: Listeners,
        log: &Writer,
    ) -> Result<Self, StartError> {
        let system = |what| move |error| StartError::System(what, error);
        let wakers: Vec<Waker> = (0..limits.workers)
            .map(|_| Waker::new())
            .collect::<Result<_, _>>()
            .map_err(system("cannot make an eventfd"))?;
        let boxed = |waker: &Waker| -> Box<dyn Fn() + Send + Sync> {
            let waker = waker.clone();
            Box::new(move || waker.wake())
        };
        let shared = Arc::new(Shared::new(
            config,
            limits.sessions_max,
            wakers.iter().map(boxed).collect(),
        ));
        let (ready, all_ready) = bounded(limits.workers);
        let (ended_sender, ended) = watch::channel(0);
        let cpus = host::cpus();
        let seed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as u64);
        let mut workers = Workers {
            threads: Vec::new(),
            orders: Vec::new(),
            shared: Arc::clone(&shared),
            ended,
            features: Features::default(),
        };
        for (index, (listeners, waker)) in listeners.by_worker.into_iter().zip(wakers).enumerate() {
            let (order, commands) = unbounded();
            let thread = Thread {
                index,
                cpu: cpus[index % cpus.len()],
                options: UringOptions {
                    features: Features::default(),
                    buffer_bytes_max: limits.buffer_bytes_max,
                    pipes_max: limits.pipes_max,
                },
                waker,
                config: Arc::clone(config),
                shared: Arc::clone(&shared),
                listeners,
                commands,
                log: log.sink(),
                seed: seed.wrapping_add(index as u64),
                ready: ready.clone(),
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
            workers.orders.push(order);
        }
        drop(ready);
        for _ in 0..limits.workers {
            match all_ready.recv() {
                Ok(Ok(features)) => workers.features = features,
                Ok(Err(error)) => return Err(StartError::IoUring(error)),
                Err(_) => return Err(StartError::WorkerFailed),
            }
        }
        Ok(workers)
    }

    /// What they run on, for the log.
    pub fn description(&self) -> String {
        format!(
            "{} workers on io_uring ({})",
            self.threads.len(),
            self.features
        )
    }

    /// What they share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Sessions that are open now.
    pub fn sessions_open(&self) -> u32 {
        self.shared.places.used()
    }

    /// Tells all to stop accepting and to end with their last session.
    pub fn stop(&self) {
        self.order(Command::Stop);
    }

    /// Tells all to end their sessions now.
    pub fn abort(&self) {
        self.order(Command::Abort);
    }

    /// Waits until one has ended.
    pub async fn any_ended(&mut self) {
        let _ = self.ended.wait_for(|ended| *ended > 0).await;
    }

    /// Waits until all have ended.
    pub async fn all_ended(&mut self) {
        let all = self.threads.len();
        let _ = self.ended.wait_for(|ended| *ended >= all).await;
    }

    fn order(&self, command: Command) {
        for (worker, order) in self.orders.iter().enumerate() {
            // One that has ended needs no orders.
            let _ = order.send(command.clone());
            self.shared.wake(worker);
        }
    }
}

/// Tells that a worker's thread has ended, whichever way.
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
        if let Err(error) = host::pin_thread(self.cpu) {
            log::warn!(
                "worker {} can't be pinned to CPU {}: {error}",
                self.index,
                self.cpu
            );
        }
        let mut engine = match Uring::new(&self.options, self.waker) {
            Ok(engine) => engine,
            Err(error) => {
                let _ = self.ready.send(Err(error));
                return;
            }
        };
        let features = engine.features();
        let clock_zero = engine.now();
        let mut worker = Worker::new(Setup {
            index: self.index,
            engine,
            config: self.config,
            shared: self.shared,
            listeners: self.listeners,
            commands: self.commands,
            log: self.log,
            clock_zero,
            seed: self.seed,
        });
        let _ = self.ready.send(Ok(features));
        worker.run();
    }
}
