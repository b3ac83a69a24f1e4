//! Taking over: a new process gets the listening sockets of the one that runs, accepts on them,
//! and only then the old one finishes its sessions and ends. At no time does nobody accept at an address.
//!
//! ```text
//!  new                                        old
//!   | -- HTTP upgrade on its admin socket -->  |
//!   |                                          |  refuses reloads and orders of operators
//!   | <----- what there is, the sockets -----  |
//!   |  starts its workers, accepts             |  accepts
//!   | ----- ready, which listeners it has ---> |
//!   |                                          |  gives these and its admin listeners up
//!   | <--------------- released -------------- |
//!   |  opens its admin listeners               |  finishes its sessions, ends
//! ```
//!
//! Of a listener that both have, the old process only closes its handles: connections in its accept queue are
//! accepted by the new one. A listener that the new one does not have is closed as at any other stop.
//!
//! If the new process ends before it is ready, the old one goes on as before. Both sides block in each step,
//! with a time limit.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use tokio::sync::{mpsc, watch};

use super::added_servers::AddedServer;
use super::listeners::{ListenerKey, TransferredListener};
use super::operator_state::OperatorState;
use super::override_entry::Override;
use super::reload::{ListenerTransfer, Reloader, UnderWay};
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

/// Begins the line behind it with the indices of the listeners that the new process has, which an older
/// version does not send.
const KEPT: &str = "kept";

/// The longest such line.
const KEPT_LEN_MAX: usize = 1024 * 1024;

/// The old process has accepted its listeners up.
const RELEASED: &[u8] = b"released\n";

/// The listeners of the old process and the overrides of its operators.
#[derive(Debug, Serialize, Deserialize)]
struct List {
    pid: u32,
    listeners: Vec<Listed>,
    /// What operators set of servers; `None`: the old process is of a version that does not send it.
    #[serde(default)]
    overrides: Option<Vec<Override>>,
    /// Servers that operators added; earlier versions do not send it.
    #[serde(default)]
    added: Vec<AddedServer>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Listed {
    #[serde(flatten)]
    key: ListenerKey,
    /// How many of its sockets follow.
    sockets: usize,
}

/// Sends the listeners, and waits until the new process is ready.
fn transfer(mut to: UnixStream, offer: ListenerTransfer) -> io::Result<AcceptedTakeover> {
    set_timeout(&to, STEP_TIMEOUT)?;
    let listeners = offer.listeners.iter().map(|offered| Listed {
        key: offered.transferred.key.clone(),
        sockets: offered.transferred.sockets.len(),
    });
    let list = List {
        pid: std::process::id(),
        listeners: listeners.collect(),
        overrides: Some(offer.operator_state.overrides),
        added: offer.operator_state.added,
    };
    let list = serde_json::to_vec(&list)?;
    to.write_all(&(list.len() as u32).to_be_bytes())?;
    to.write_all(&list)?;
    let sockets = (offer.listeners.iter()).flat_map(|offered| &offered.transferred.sockets);
    let sockets: Vec<_> = sockets.map(AsFd::as_fd).collect();
    handover::send_descriptors(&to, &sockets)?;
    set_timeout(&to, READY_TIMEOUT)?;
    expect(&mut to, READY)?;
    set_timeout(&to, STEP_TIMEOUT)?;
    let kept = read_kept(&mut to)?.into_iter();
    let kept = kept.filter_map(|index| offer.listeners.get(index));
    let kept = kept
        .flat_map(|offered| {
            offered.file.iter().for_each(|file| file.leave());
            offered.ids.iter().copied()
        })
        .collect();
    Ok(AcceptedTakeover {
        stream: to,
        kept,
        _under_way: offer.under_way,
    })
}

/// The indices of the listeners that the new process uses; empty if it does not send them.
fn read_kept(from: &mut UnixStream) -> io::Result<Vec<usize>> {
    from.set_nonblocking(true)?;
    let mut byte = [0];
    // It came with what was read before, or not at all.
    match from.read(&mut byte) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Vec::new()),
        read => read?,
    };
    from.set_nonblocking(false)?;
    let mut line = Vec::new();
    while byte != *b"\n" {
        line.push(byte[0]);
        if line.len() > KEPT_LEN_MAX {
            return Err(io::Error::other("its list of listeners is too long"));
        }
        from.read_exact(&mut byte)?;
    }
    let line = String::from_utf8_lossy(&line);
    let indices = line.strip_prefix(KEPT).unwrap_or_default();
    Ok(indices
        .split(' ')
        .filter_map(|it| it.parse().ok())
        .collect())
}

/// The side of the old process: sends its listeners to a process that asks by the admin socket. Clones
/// are the same.
#[derive(Clone)]
pub struct TakeoverServer {
    reloader: Reloader,
    accepted: mpsc::Sender<AcceptedTakeover>,
    /// Another process has taken over.
    taken_over: watch::Sender<bool>,
}

/// Another process has taken over and accepts now.
pub struct AcceptedTakeover {
    stream: UnixStream,
    /// Ids of the sockets that the other process uses too.
    pub kept: Vec<u64>,
    _under_way: UnderWay,
}

impl TakeoverServer {
    /// Creates it; the receiver gets a takeover that has succeeded.
    pub fn new(reloader: Reloader) -> (Self, mpsc::Receiver<AcceptedTakeover>) {
        let (accepted, receiver) = mpsc::channel(1);
        let server = TakeoverServer {
            reloader,
            accepted,
            taken_over: watch::Sender::new(false),
        };
        (server, receiver)
    }

    /// The listeners that can be transferred now; no reload begins while they exist.
    ///
    /// # Errors
    ///
    /// A sentence that says why nothing can be transferred now.
    pub async fn offer(&self) -> Result<ListenerTransfer, String> {
        let offer = self.reloader.offer().await;
        offer.inspect_err(|why| log::warn!("nothing is handed over: {why}"))
    }

    /// Waits until another process has taken over.
    pub async fn taken_over(&self) {
        // It cannot be closed while this exists.
        let _ = self.taken_over.subscribe().wait_for(|over| *over).await;
    }

    /// Transfers the listeners to the process at the other end of `to`. A failure is logged, and this process
    /// goes on.
    pub async fn transfer(&self, to: UnixStream, offer: ListenerTransfer) {
        log::info!("another process takes over the listeners");
        let accepted = tokio::task::spawn_blocking(move || transfer(to, offer));
        match accepted
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
        {
            Ok(accepted) => {
                self.taken_over.send_replace(true);
                // Fails only when this process ends.
                let _ = self.accepted.send(accepted).await;
            }
            Err(error) => log::warn!("the other process did not take over: {error}"),
        }
    }
}

impl AcceptedTakeover {
    /// Tells the new process that this one has closed the listeners that both have, and its admin listeners.
    ///
    /// # Errors
    ///
    /// The new process has gone.
    pub fn release(&mut self) -> io::Result<()> {
        self.stream.write_all(RELEASED)
    }
}

/// The side of the new process: what it received.
pub struct TakeoverClient {
    stream: UnixStream,
    /// The process that still runs.
    pub pid: u32,
    /// Its listeners.
    pub transferred: Vec<TransferredListener>,
    /// What operators have set, if it tells.
    pub operator_state: Option<OperatorState>,
}

/// Asks the process behind this admin socket for its listeners.
///
/// # Errors
///
/// A sentence that says why there are none, and what to do.
pub fn take(socket: &Path) -> Result<TakeoverClient, String> {
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

fn talk(mut stream: UnixStream) -> io::Result<TakeoverClient> {
    set_timeout(&stream, STEP_TIMEOUT)?;
    write!(
        stream,
        "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: {PROTOCOL}\r\n\
         Content-Length: 0\r\n\r\n"
    )?;
    let head = read_head(&mut stream)?;
    let status = head.lines().next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 101") {
        let why =
            read_refusal(&mut stream, &head).unwrap_or_else(|| format!("it answers `{status}`"));
        return Err(io::Error::other(why));
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
    let mut transferred = Vec::new();
    for listed in list.listeners {
        let sockets = sockets.by_ref().take(listed.sockets);
        let sockets: Vec<_> = sockets.map(Listener::try_from).collect::<io::Result<_>>()?;
        let key = listed.key;
        transferred.push(TransferredListener { key, sockets });
    }
    Ok(TakeoverClient {
        stream,
        pid: list.pid,
        transferred,
        operator_state: list.overrides.map(|overrides| OperatorState {
            overrides,
            added: list.added,
        }),
    })
}

impl TakeoverClient {
    /// Tells the old process that this one accepts on the listeners with these indices, and waits until the
    /// old one has closed these and its admin listeners. From here on this process serves, whatever is
    /// returned.
    ///
    /// # Errors
    ///
    /// The old process has gone, or takes too long.
    pub fn ready(mut self, kept: &[usize]) -> io::Result<()> {
        let kept: String = kept.iter().map(|index| format!(" {index}")).collect();
        // In one piece: the old process looks whether the line is there.
        let ready = [READY, KEPT.as_bytes(), kept.as_bytes(), b"\n"].concat();
        self.stream.write_all(&ready)?;
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

/// The sentence of a refusal with this head.
fn read_refusal(stream: &mut UnixStream, head: &str) -> Option<String> {
    let len = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_len = name.eq_ignore_ascii_case("content-length");
        is_len.then(|| value.trim().parse::<usize>().ok())?
    })?;
    let mut body = vec![0; len.min(HEAD_MAX)];
    stream.read_exact(&mut body).ok()?;
    let body: serde_json::Value = serde_json::from_slice(&body).ok()?;
    Some(body.get("error")?.as_str()?.to_owned())
}

fn expect(stream: &mut UnixStream, word: &[u8]) -> io::Result<()> {
    let mut read = vec![0; word.len()];
    stream.read_exact(&mut read)?;
    if read == word {
        return Ok(());
    }
    Err(io::Error::other("it says something that is not expected"))
}
