//! What the service manager is told: sd_notify(3), by the socket that `NOTIFY_SOCKET` names.
//!
//! Without that variable nothing is told. A manager that does not listen is none of our clients'
//! concern, so that is a warning and nothing more.

use sd_notify::NotifyState;

/// The process serves; if another one did before in its place, this is the main one now.
pub fn ready() {
    tell(&[NotifyState::MainPid(std::process::id()), NotifyState::Ready]);
}

/// It reads its configuration again; [`ready`] ends that, however it went.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => log::warn!("cannot tell the service manager of a reload: {error}"),
    }
}

/// It finishes its sessions and ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("cannot tell the service manager how this process is: {error}");
    }
}
