//! Notifications for the service manager: sd_notify(3), by the socket that `NOTIFY_SOCKET` names.
//!
//! Without that variable nothing is sent. A notification that fails, or that the manager does not read in
//! time, is logged as a warning; the process goes on.

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;

/// How long a message may take to be sent: the queue of the manager's socket may be full.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The process serves; if another one did before in its place, this is the main one now.
pub async fn ready() {
    tell(|| {
        Ok(vec![
            NotifyState::MainPid(std::process::id()),
            NotifyState::Ready,
        ])
    })
    .await;
}

/// This is the main process now, in place of one that goes on until its sessions have ended. The manager reads
/// this before it hears of the end of that one, if it is sent before: notifications come first.
pub async fn main_process() {
    tell(|| Ok(vec![NotifyState::MainPid(std::process::id())])).await;
}

/// It reads its configuration again; [`ready`] ends that, however it went.
pub async fn reloading() {
    tell(|| {
        let now = NotifyState::monotonic_usec_now()?;
        Ok(vec![NotifyState::Reloading, now])
    })
    .await;
}

/// It finishes its sessions and ends.
pub async fn stopping() {
    tell(|| Ok(vec![NotifyState::Stopping])).await;
}

async fn tell(states: impl FnOnce() -> io::Result<Vec<NotifyState<'static>>> + Send + 'static) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let sent = tokio::task::spawn_blocking(move || sd_notify::notify(&states()?));
    let told = match tokio::time::timeout(TIMEOUT, sent).await {
        Ok(sent) => sent.unwrap_or_else(|error| Err(io::Error::other(error))),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    if let Err(error) = told {
        log::warn!("cannot tell the service manager how this process is: {error}");
    }
}
