//! How the process stops: which signals ask for it, and how long open sessions may go on.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::control::error::StartError;
use crate::control::workers::Workers;

/// How long an aborted session may take to be torn down.
pub(super) const ABORT_TIMEOUT: Duration = Duration::from_secs(2);

/// How the process is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Open sessions may finish, however long that takes.
    Soft,
    /// Open sessions may finish within `shutdown_timeout`.
    Orderly,
}

impl Stop {
    /// How the process is to end after a further signal; an orderly stop that is asked for twice ends the process.
    pub fn after(self, name: &str, wanted: Stop) -> Stop {
        match (self, wanted) {
            (Stop::Soft | Stop::Orderly, Stop::Soft) => {
                log::info!("{name}: the process is stopping already");
                self
            }
            (Stop::Soft, Stop::Orderly) => Stop::Orderly,
            (Stop::Orderly, Stop::Orderly) => end_at_once(name),
        }
    }

    /// Says how it ends, with so many sessions open, and what a further signal does.
    pub fn announce(self, name: &str, timeout: Duration, open: u32) {
        let next = self.next(name, open);
        match self {
            Stop::Soft => {
                log::info!("{name}: finishing open sessions, without a limit of time: {next}");
            }
            Stop::Orderly => {
                log::info!("{name}: finishing open sessions, at most {timeout:?}: {next}");
            }
        }
    }

    /// How many sessions are open, and what a further signal does.
    pub fn next(self, name: &str, open: u32) -> String {
        let open = match open {
            1 => "1 is open".to_owned(),
            count => format!("{count} are open"),
        };
        match (self, name) {
            (Stop::Soft, _) => format!("{open}; SIGTERM sets a limit"),
            (Stop::Orderly, "SIGINT") => format!("{open}; a second Ctrl-C ends at once"),
            (Stop::Orderly, _) => format!("{open}; a second {name} ends at once"),
        }
    }
}

/// Goes on accepting for `grace`, unless a further signal shortens it.
pub(super) async fn accept_in_grace(
    stop: Stop,
    grace: Duration,
    signals: &mut Signals,
    workers: &mut Workers,
) -> Stop {
    let grace = tokio::time::sleep(grace);
    tokio::pin!(grace);
    loop {
        tokio::select! {
            () = &mut grace => return stop,
            () = workers.any_ended() => return stop,
            (name, wanted) = signals.next() => {
                let next = stop.after(name, wanted);
                if next != stop {
                    return next;
                }
            }
        }
    }
}

/// Waits for the last session, and closes those that take too long.
pub(super) async fn finish_sessions(
    mut stop: Stop,
    timeout: Duration,
    signals: &mut Signals,
    workers: &mut Workers,
) {
    let mut since = tokio::time::Instant::now();
    loop {
        let too_long = async {
            match stop {
                Stop::Soft => std::future::pending().await,
                Stop::Orderly => tokio::time::sleep_until(since + timeout).await,
            }
        };
        tokio::select! {
            () = workers.all_ended() => return,
            (name, wanted) = signals.next() => {
                let next = stop.after(name, wanted);
                if next != stop {
                    next.announce(name, timeout, workers.sessions_open());
                    since = tokio::time::Instant::now();
                    stop = next;
                }
            }
            () = too_long => {
                log::warn!("{} sessions are still open and are cut", workers.sessions_open());
                workers.abort();
                let _ = tokio::time::timeout(ABORT_TIMEOUT, workers.all_ended()).await;
                return;
            }
        }
    }
}

/// Ends the process at once: a second signal asked for it.
fn end_at_once(name: &str) -> ! {
    log::warn!("{name} once more: ending at once");
    log::logger().flush();
    std::process::exit(0);
}

/// The signals that ask to stop, and one that asks for nothing.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    soft_stop: Signal,
    /// SIGUSR2, which does nothing; by default it would end the process.
    unused: Signal,
}

impl Signals {
    pub fn new() -> Result<Self, StartError> {
        Ok(Signals {
            terminate: listen_for(SignalKind::terminate())?,
            interrupt: listen_for(SignalKind::interrupt())?,
            quit: listen_for(SignalKind::quit())?,
            soft_stop: listen_for(SignalKind::user_defined1())?,
            unused: listen_for(SignalKind::user_defined2())?,
        })
    }

    /// The next one that asks to stop, by name, and how.
    pub async fn next(&mut self) -> (&'static str, Stop) {
        loop {
            return tokio::select! {
                _ = self.terminate.recv() => ("SIGTERM", Stop::Orderly),
                _ = self.interrupt.recv() => ("SIGINT", Stop::Orderly),
                _ = self.quit.recv() => ("SIGQUIT", Stop::Orderly),
                _ = self.soft_stop.recv() => ("SIGUSR1", Stop::Soft),
                _ = self.unused.recv() => {
                    log::info!("SIGUSR2 does nothing; SIGHUP reloads the configuration");
                    continue;
                }
            };
        }
    }
}

pub(super) fn listen_for(kind: SignalKind) -> Result<Signal, StartError> {
    signal(kind).map_err(|error| StartError::System("cannot listen for signals", error))
}
