//! Opens a listening socket at an address that a process which has just ended may still occupy.
//!
//! The kernel closes what a killed process has given to io_uring after the process is gone, up to a second
//! later. So an address in use is tried again for a while, unless a living process has it.

use std::fmt::Display;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::owner::Owner;

/// How long an address may still be in use without a living owner.
const PATIENCE: Duration = Duration::from_secs(5);

/// After how long a log line says that the address is still in use.
const NOTICE: Duration = Duration::from_secs(1);

/// From one attempt to the next.
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

/// A sentence that says why no listener can be opened at an address, and what to do.
pub fn refusal(address: &SocketAddr, refused: &Refused) -> String {
    let (error, port) = (&refused.error, address.port());
    match (error.kind(), &refused.owner) {
        (ErrorKind::AddrInUse, Some(owner)) if owner.is_self() => {
            "this process listens there already, by an inherited socket or its admin listener: \
             choose another address"
                .to_owned()
        }
        (ErrorKind::AddrInUse, Some(owner)) => format!(
            "another program listens there already: {owner}; stop it, or choose another address"
        ),
        (ErrorKind::AddrInUse, None) => format!(
            "the address is in use already, by no process that this one can see; look with \
             `sudo ss -tanp 'sport = :{port}'`"
        ),
        (ErrorKind::PermissionDenied, _) => format!(
            "port {port} is privileged; grant CAP_NET_BIND_SERVICE or use a port of 1024 and above"
        ),
        (ErrorKind::AddrNotAvailable, _) => format!(
            "this host does not have the address {}; see `ip address`",
            address.ip()
        ),
        (_, _) => error.to_string(),
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
