//! Taking over: a new process gets the listening sockets of the one that runs, accepts on them,
//! and only then the old one finishes its sessions and ends. No address is ever without somebody
//! who accepts.
//!
//! ```text
//!  new                                        old
//!   | -- HTTP upgrade on its admin socket -->  |
//!   | <----- what there is, the sockets -----  |
//!   |  starts its workers, accepts             |  accepts
//!   | ----------------- ready ---------------> |
//!   |                                          |  gives its admin listeners up
//!   | <--------------- released -------------- |
//!   |  opens its admin listeners               |  finishes its sessions, ends
//! ```
//!
//! If the new process ends before it is ready, the old one goes on as if nothing had been. The
//! conversation blocks, each side with a time limit.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use tokio::sync::mpsc;

use super::listeners::{Handed, What};
use super::reload::{Offer, Reloader};
use crate::io::{Listener, handover};

/// What the upgrade is called, with the version of what follows.
pub const PROTOCOL: &str = "ringway-takeover/1";

/// Where it is asked for.
pub const PATH: &str = "/api/v1/takeover";

/// How long the new process may take to be ready: its first health checks are among it.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// How long any other step may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest head of an answer, and the longest list of listeners.
const HEAD_MAX: usize = 16 * 1024;
const LIST_MAX: u32 = 16 * 1024 * 1024;

/// The new process accepts.
const READY: &[u8] = b"ready\n";

/// The old process has given its admin listeners up.
const RELEASED: &[u8] = b"released\n";

/// What the old process has.
#[derive(Debug, Serialize, Deserialize)]
struct List {
    pid: u32,
    listeners: Vec<Listed>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Listed {
    #[serde(flatten)]
    what: What,
    /// How many sockets of it follow.
    sockets: usize,
}

/// Hands over what there is, and waits until the new process is ready. Returns the stream.
fn give(mut to: UnixStream, offer: &[Handed]) -> io::Result<UnixStream> {
    set_timeout(&to, STEP_TIMEOUT)?;
    let listeners = offer.iter().map(|handed| Listed {
        what: handed.what.clone(),
        sockets: handed.sockets.len(),
    });
    let list = List {
        pid: std::process::id(),
        listeners: listeners.collect(),
    };
    let list = serde_json::to_vec(&list)?;
    to.write_all(&(list.len() as u32).to_be_bytes())?;
    to.write_all(&list)?;
    let sockets = offer.iter().flat_map(|handed| &handed.sockets);
    let sockets: Vec<_> = sockets.map(AsFd::as_fd).collect();
    handover::send_descriptors(&to, &sockets)?;
    set_timeout(&to, READY_TIMEOUT)?;
    expect(&mut to, READY)?;
    Ok(to)
}

/// Hands over to whoever asks for it by the admin socket. Clones are the same.
#[derive(Clone)]
pub struct Giver {
    reloader: Reloader,
    given: mpsc::Sender<Given>,
}

/// Another process accepts in our place.
pub struct Given {
    stream: UnixStream,
    _offer: Offer,
}

impl Giver {
    /// One, with what tells that it has succeeded.
    pub fn new(reloader: Reloader) -> (Self, mpsc::Receiver<Given>) {
        let (given, receiver) = mpsc::channel(1);
        (Giver { reloader, given }, receiver)
    }

    /// Hands over to the process behind this stream, if it gets as far as accepting.
    pub async fn give(&self, to: UnixStream) {
        let offer = match self.reloader.offer().await {
            Ok(offer) => offer,
            Err(why) => {
                log::warn!("nothing is handed over: {why}");
                return;
            }
        };
        log::info!("another process takes over the listeners");
        let given = tokio::task::spawn_blocking(move || {
            let stream = give(to, &offer.listeners)?;
            Ok::<_, io::Error>(Given {
                stream,
                _offer: offer,
            })
        });
        match given
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
        {
            Ok(given) => {
                // Fails only when this process ends.
                let _ = self.given.send(given).await;
            }
            Err(error) => log::warn!("the other process did not take over: {error}"),
        }
    }
}

impl Given {
    /// Says that the admin listeners are given up.
    ///
    /// # Errors
    ///
    /// The new process has gone.
    pub fn release(&mut self) -> io::Result<()> {
        self.stream.write_all(RELEASED)
    }
}

/// What the new process got.
pub struct Taken {
    stream: UnixStream,
    /// The process that still runs.
    pub pid: u32,
    /// Its listeners.
    pub handed: Vec<Handed>,
}

/// The new process: asks the one behind this admin socket for its listeners.
///
/// # Errors
///
/// A sentence that says why there are none, and what to do.
pub fn take(socket: &Path) -> Result<Taken, String> {
    let shown = socket.display();
    let stream = UnixStream::connect(socket).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            format!("nobody listens at {shown}: start without `--takeover`")
        }
        ErrorKind::PermissionDenied => {
            format!("this user may not connect to {shown}: run as the user of that process")
        }
        _ => format!("cannot connect to {shown}: {error}"),
    })?;
    talk(stream).map_err(|error| format!("the process behind {shown} hands nothing over: {error}"))
}

fn talk(mut stream: UnixStream) -> io::Result<Taken> {
    set_timeout(&stream, STEP_TIMEOUT)?;
    write!(
        stream,
        "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: {PROTOCOL}\r\n\
         Content-Length: 0\r\n\r\n"
    )?;
    let head = read_head(&mut stream)?;
    let status = head.lines().next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 101") {
        return Err(io::Error::other(format!("it answers `{status}`")));
    }
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let len = u32::from_be_bytes(len);
    if len > LIST_MAX {
        return Err(io::Error::other("its list of listeners is too long"));
    }
    let mut list = vec![0; len as usize];
    stream.read_exact(&mut list)?;
    let list: List = serde_json::from_slice(&list)?;
    let count = list.listeners.iter().map(|listed| listed.sockets).sum();
    let mut sockets = handover::receive_descriptors(&stream, count)?.into_iter();
    let mut handed = Vec::new();
    for listed in list.listeners {
        let sockets = sockets.by_ref().take(listed.sockets);
        let sockets: Vec<_> = sockets.map(Listener::try_from).collect::<io::Result<_>>()?;
        let what = listed.what;
        handed.push(Handed { what, sockets });
    }
    handed.retain(|handed| !handed.sockets.is_empty());
    Ok(Taken {
        stream,
        pid: list.pid,
        handed,
    })
}

impl Taken {
    /// The new process: says that it accepts, and waits until the old one has given its admin
    /// listeners up. Whatever happens, it is on its own from here on.
    ///
    /// # Errors
    ///
    /// The old process has gone, or takes too long.
    pub fn ready(mut self) -> io::Result<()> {
        self.stream.write_all(READY)?;
        expect(&mut self.stream, RELEASED)
    }
}

fn set_timeout(stream: &UnixStream, timeout: Duration) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))
}

/// Reads an answer's head, and nothing beyond: descriptors come with the bytes behind it.
fn read_head(stream: &mut UnixStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
        if head.len() > HEAD_MAX {
            return Err(io::Error::other("its answer is too long"));
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn expect(stream: &mut UnixStream, word: &[u8]) -> io::Result<()> {
    let mut read = vec![0; word.len()];
    stream.read_exact(&mut read)?;
    if read == word {
        return Ok(());
    }
    Err(io::Error::other("it says something that is not expected"))
}
