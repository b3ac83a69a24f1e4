//! Opening a listening socket where a process that has just ended may still have one.
//!
//! The kernel closes what a killed process has given to io_uring after the process is gone, up to a second
//! later. So an address in use is tried again for a while, unless a living process has it.

use std::fmt::Display;
use std::io::{Error, ErrorKind};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::owner::Owner;

/// How long an address may still be in use without a living owner.
const PATIENCE: Duration = Duration::from_secs(5);

/// When it is said that this takes long.
const NOTICE: Duration = Duration::from_secs(1);

/// How often it is tried.
const PERIOD: Duration = Duration::from_millis(50);

/// Why a socket could not be opened.
#[derive(Debug)]
pub struct Refused {
    /// What the kernel said.
    pub error: Error,
    /// Of an address in use: the living process that has it, if one was found.
    pub owner: Option<Owner>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused { error, owner: None }
    }
}

/// Opens it, and tries again while it is in use by no living process. `what` names it in the log; `owner`
/// looks for that process, and may take some milliseconds.
///
/// # Errors
///
/// The last error of `open`.
pub async fn open<T>(
    what: &(dyn Display + Sync),
    mut open: impl FnMut() -> Result<T, Error>,
    owner: impl Fn() -> Option<Owner> + Clone + Send + 'static,
) -> Result<T, Refused> {
    let begin = Instant::now();
    let mut noticed = false;
    loop {
        let error = match open() {
            Ok(opened) => return Ok(opened),
            Err(error) if error.kind() == ErrorKind::AddrInUse => error,
            Err(error) => return Err(error.into()),
        };
        let owner = look_for(owner.clone()).await;
        if owner.is_some() || begin.elapsed() >= PATIENCE {
            return Err(Refused { error, owner });
        }
        if !noticed && begin.elapsed() >= NOTICE {
            noticed = true;
            log::info!(
                "{what} is still in use, though no process is seen that listens there: trying for \
                 {PATIENCE:?}"
            );
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Looks on a thread of its own, which has the rights of this one: those of root may still be needed
/// to see whose socket it is, and threads of the runtime have given them up.
async fn look_for(owner: impl FnOnce() -> Option<Owner> + Send + 'static) -> Option<Owner> {
    let (sender, found) = oneshot::channel();
    let thread = std::thread::Builder::new().name("owner".to_owned());
    // Without a thread the owner stays unknown.
    let _ = thread.spawn(move || sender.send(owner()));
    found.await.ok().flatten()
}
