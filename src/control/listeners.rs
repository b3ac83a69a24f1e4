//! The listeners of all frontends: opens them, one socket for each worker, and finds out at a reload which stay,
//! come and go.
//!
//! The control plane keeps a handle of its own on each. That is what lets it refuse new clients at
//! an address that goes away, on all its sockets at once, before the workers take what still waits
//! there: what is in the queue of a listening socket when it is closed is reset.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::active::WorkerListener;
use super::binding::{self, Refused};
use super::bound::Bound;
use super::error::StartError;
use super::owner;
use super::socket_file::{self, SocketFile};
use crate::config::{Config, Frontend, Listen, overlap};
use crate::io::{Listener, SocketOptions};
use crate::worker::{Listening, socket_options};

/// The mode of the file of a Unix socket: its folder decides who may connect.
const UNIX_MODE: u32 = 0o666;

/// An address or an inherited socket on which all workers accept.
struct Entry {
    key: ListenerKey,
    /// The length of its queues.
    backlog: u32,
    /// The options of connections that come to it; `None`: not known.
    options: Option<SocketOptions>,
    /// Handles on the sockets with their ids, by index of the worker.
    sockets: Vec<(u64, Arc<Listener>)>,
    /// The file of a Unix socket that this process made, or was handed over.
    file: Option<Arc<SocketFile>>,
}

/// What identifies a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerKey {
    /// As it was written when it was opened.
    listen: String,
    /// The name of the frontend that it is for.
    frontend: String,
    /// Where it is bound.
    pub address: Bound,
}

impl ListenerKey {
    /// Whether the socket came from another process, which may have it still: systemd, a supervisor.
    fn is_inherited(&self) -> bool {
        ["fd:", "systemd:"].map(|form| self.listen.starts_with(form)) != [false; 2]
    }

    /// Whether `listen` of this frontend names this listener.
    fn serves(&self, listen: &Listen, frontend: &str) -> bool {
        match listen {
            Listen::Address(address) if address.port() != 0 => self.address == Bound::Ip(*address),
            // Any port is right; the one that the frontend has had so far is.
            Listen::Address(_) => self.listen == listen.to_string() && self.frontend == frontend,
            Listen::Descriptor(_) | Listen::Systemd(_) | Listen::Unix(_) => {
                self.listen == listen.to_string()
            }
        }
    }
}

/// A listener that one process transfers to another.
pub struct TransferredListener {
    /// Which listener it is.
    pub key: ListenerKey,
    /// Handles on its sockets, at least one.
    pub sockets: Vec<Listener>,
}

/// A listener that is offered to another process.
pub struct Offered {
    /// What the other process receives.
    pub transferred: TransferredListener,
    /// Ids of its sockets.
    pub ids: Vec<u64>,
    /// The file of a Unix socket, which is the other process's once that has the listener.
    pub file: Option<Arc<SocketFile>>,
}

/// All open listeners.
#[derive(Default)]
pub struct Listeners {
    entries: Vec<Entry>,
    /// Of the newest socket.
    id: u64,
}

/// A listener of the next configuration.
enum Found {
    /// It is open already: its index.
    Open(usize),
    /// It was opened for that configuration, with a socket for each worker.
    New(Entry, Vec<Listener>),
}

/// All listeners of the next configuration, open and not in use yet. Dropping it changes nothing.
pub struct Prepared {
    /// By index of the frontend, in the order of the configuration.
    found: Vec<Vec<Found>>,
    /// Lengths of queues, by index of the frontend.
    backlogs: Vec<u32>,
    options: Vec<SocketOptions>,
    names: Vec<String>,
    /// Of the newest socket.
    id: u64,
    /// Indices of listeners that the next configuration does not have.
    removed: Vec<usize>,
    /// Indices of the transferred listeners that the configuration names.
    kept: Vec<usize>,
}

impl Prepared {
    /// Whether it closes a listener.
    pub fn removes(&self) -> bool {
        !self.removed.is_empty()
    }
}

/// The listeners of the configuration that is in use now.
pub struct Applied {
    /// By index of the worker: all its listeners.
    pub by_worker: Vec<Vec<Listening<Listener>>>,
    /// By index of the frontend: the addresses, in the order of the configuration.
    pub addresses: Vec<Vec<Bound>>,
    /// The sockets of all workers.
    pub sockets: Vec<WorkerListener>,
    /// Indices of the transferred listeners that are in use.
    pub kept: Vec<usize>,
}

/// When listeners are opened.
pub enum OpenMode {
    /// At the start of the process: sockets may be inherited, and these listeners were transferred.
    Start(Vec<TransferredListener>),
    /// At a reload: only sockets that were inherited at the start can stay. A descriptor number may belong to
    /// any other file of this process by now.
    Reload,
}

impl Listeners {
    /// Opens the listeners of `config` that are not open yet.
    ///
    /// # Errors
    ///
    /// The first listener that cannot be opened.
    pub async fn prepare(
        &self,
        config: &Config,
        workers: usize,
        mode: OpenMode,
    ) -> Result<Prepared, StartError> {
        let mut unused: Vec<usize> = (0..self.entries.len()).collect();
        let mut opening = Opening::new(&self.entries, workers, mode, self.id);
        let wanted = |frontend: &Frontend| frontend.listen.iter().map(|_| None).collect();
        let mut found: Vec<Vec<Option<Found>>> = config.frontends.iter().map(wanted).collect();
        // Port 0 comes last: the kernel must not choose a port that another entry names.
        for any_port in [false, true] {
            for (frontend, found) in config.frontends.iter().zip(&mut found) {
                for (listen, found) in frontend.listen.iter().zip(found) {
                    if listen.is_repeatable() != any_port {
                        continue;
                    }
                    let open = (unused.iter()).position(|index| {
                        let what = &self.entries[*index].key;
                        what.serves(listen, &frontend.name)
                    });
                    *found = Some(match open {
                        Some(position) => Found::Open(unused.remove(position)),
                        None => opening.open(listen, frontend).await?,
                    });
                }
            }
        }
        let frontends = config.frontends.iter();
        let all = found.into_iter();
        Ok(Prepared {
            found: all
                .map(|found| found.into_iter().flatten().collect())
                .collect(),
            backlogs: frontends.clone().map(|frontend| frontend.backlog).collect(),
            options: frontends
                .clone()
                .map(|it| socket_options(&it.session))
                .collect(),
            names: frontends.map(|frontend| frontend.name.clone()).collect(),
            id: opening.id,
            removed: unused,
            kept: opening.kept,
        })
    }

    /// Further handles on all sockets, for another process.
    ///
    /// # Errors
    ///
    /// Out of descriptors.
    pub fn offer(&self) -> Result<Vec<Offered>, Error> {
        let share = |entry: &Entry| {
            let sockets = entry.sockets.iter().map(|(_, socket)| socket.share());
            Ok(Offered {
                transferred: TransferredListener {
                    key: entry.key.clone(),
                    sockets: sockets.collect::<Result<_, Error>>()?,
                },
                ids: entry.sockets.iter().map(|(id, _)| *id).collect(),
                file: entry.file.clone(),
            })
        };
        self.entries.iter().map(share).collect()
    }

    /// Refuses new clients where `prepared` closes listeners. Those whose connection is being
    /// established still come to their queues. An inherited socket stays as it is: there is one for all workers, and
    /// whoever passed it still has it, for whom it must not be deaf.
    pub fn refuse_new(&mut self, prepared: &Prepared) {
        for index in &prepared.removed {
            let entry = &mut self.entries[*index];
            // Without its file nobody can connect to a Unix socket. It has no interface.
            entry.file = None;
            if entry.key.address.ip().is_none() || entry.key.is_inherited() {
                continue;
            }
            for (_, socket) in &entry.sockets {
                if let Err(error) = socket.refuse_new() {
                    let address = &entry.key.address;
                    log::warn!(
                        "a client that connects while {address} closes may be reset: {error}"
                    );
                }
            }
        }
    }

    /// Puts `prepared` into use, and drops the handles on listeners that it does not have. Send the result to
    /// the workers.
    pub fn apply(&mut self, prepared: Prepared, workers: usize) -> Applied {
        let mut old: Vec<Option<Entry>> = self.entries.drain(..).map(Some).collect();
        let mut applied = Applied {
            by_worker: (0..workers).map(|_| Vec::new()).collect(),
            addresses: Vec::new(),
            sockets: Vec::new(),
            kept: prepared.kept,
        };
        for (frontend, found) in prepared.found.into_iter().enumerate() {
            let mut addresses = Vec::new();
            for found in found {
                let (mut entry, opened) = match found {
                    Found::New(entry, opened) => (entry, opened.into_iter().map(Some).collect()),
                    Found::Open(index) => match old[index].take() {
                        Some(entry) => (entry, Vec::new()),
                        None => continue,
                    },
                };
                entry.set_backlog(prepared.backlogs[frontend]);
                entry.set_options(prepared.options[frontend]);
                entry.key.frontend.clone_from(&prepared.names[frontend]);
                addresses.push(entry.key.address.clone());
                let mut opened = opened.into_iter();
                let is_unix = entry.key.address.ip().is_none();
                for (worker, (id, socket)) in entry.sockets.iter().enumerate() {
                    applied.sockets.push(WorkerListener {
                        worker: worker % workers,
                        frontend: frontend as u16,
                        is_unix,
                        socket: Arc::downgrade(socket),
                    });
                    applied.by_worker[worker % workers].push(Listening {
                        id: *id,
                        frontend: frontend as u16,
                        is_unix,
                        opened: opened.next().flatten(),
                    });
                }
                self.entries.push(entry);
            }
            applied.addresses.push(addresses);
        }
        self.id = prepared.id;
        applied
    }
}

/// Opening what is not open yet.
struct Opening {
    /// All that this process has open.
    held: Vec<Held>,
    workers: usize,
    mode: OpenMode,
    /// Transferred listeners that are not in use yet, with their indices.
    transferred: Vec<(usize, TransferredListener)>,
    /// Indices of transferred listeners that are in use.
    kept: Vec<usize>,
    /// Of the newest socket.
    id: u64,
    /// Descriptors that were inherited, each by one listener.
    inherited: Vec<i32>,
}

/// Sockets of this process on an address.
struct Held {
    address: Bound,
    inodes: Vec<u64>,
}

impl Held {
    fn new<'a>(address: &Bound, sockets: impl Iterator<Item = &'a Listener>) -> Self {
        Held {
            address: address.clone(),
            inodes: sockets.filter_map(|socket| socket.inode().ok()).collect(),
        }
    }
}

impl Opening {
    fn new(entries: &[Entry], workers: usize, mut mode: OpenMode, id: u64) -> Self {
        let mut held: Vec<Held> = (entries.iter())
            .map(|entry| {
                let sockets = entry.sockets.iter().map(|(_, socket)| &**socket);
                Held::new(&entry.key.address, sockets)
            })
            .collect();
        let transferred = match &mut mode {
            OpenMode::Start(transferred) => std::mem::take(transferred),
            OpenMode::Reload => Vec::new(),
        };
        let all = transferred.iter();
        held.extend(all.map(|it| Held::new(&it.key.address, it.sockets.iter())));
        Opening {
            held,
            workers,
            mode,
            transferred: transferred.into_iter().enumerate().collect(),
            kept: Vec::new(),
            id,
            inherited: Vec::new(),
        }
    }

    async fn open(&mut self, listen: &Listen, frontend: &Frontend) -> Result<Found, StartError> {
        let opened = match (self.take_transferred(listen, frontend), listen, &self.mode) {
            (Some(transferred), _, _) => self.complete(transferred, listen, frontend.backlog),
            (None, Listen::Address(address), _) => self.bind(*address, frontend.backlog).await,
            (None, Listen::Unix(path), _) => self.bind_unix(path, frontend.backlog).await,
            (None, Listen::Descriptor(descriptor), OpenMode::Start(_)) => self.inherit(*descriptor),
            (None, Listen::Systemd(name), OpenMode::Start(_)) => activated(name)
                .map_err(Refused::from)
                .and_then(|descriptor| self.inherit(descriptor)),
            (None, Listen::Descriptor(_) | Listen::Systemd(_), OpenMode::Reload) => {
                let why = "a socket is inherited at the start only: this needs a restart";
                return Err(StartError::Listen {
                    what: format!("{listen} (frontend {})", frontend.name),
                    why: why.to_owned(),
                });
            }
        };
        let shared = opened.and_then(|opened| {
            let sockets = opened.sockets.iter();
            let for_workers: Result<Vec<_>, Error> = sockets.map(Listener::share).collect();
            Ok((opened, for_workers?))
        });
        let (opened, for_workers) = shared.map_err(|refused| StartError::Listen {
            what: format!("{listen} (frontend {})", frontend.name),
            why: reason(listen, &refused),
        })?;
        let Opened {
            address,
            sockets,
            file,
        } = opened;
        self.held.push(Held::new(&address, sockets.iter()));
        let numbered = sockets.into_iter().map(|socket| {
            self.id += 1;
            (self.id, Arc::new(socket))
        });
        let entry = Entry {
            sockets: numbered.collect(),
            key: ListenerKey {
                listen: listen.to_string(),
                frontend: frontend.name.clone(),
                address,
            },
            backlog: frontend.backlog,
            options: None,
            file: file.map(Arc::new),
        };
        Ok(Found::New(entry, for_workers))
    }

    fn take_transferred(
        &mut self,
        listen: &Listen,
        frontend: &Frontend,
    ) -> Option<TransferredListener> {
        let mut all = self.transferred.iter();
        let position = all.position(|(_, it)| it.key.serves(listen, &frontend.name))?;
        let (index, transferred) = self.transferred.remove(position);
        self.kept.push(index);
        Some(transferred)
    }

    /// Completes a transferred listener, so that each worker has a socket of it and each socket has a worker.
    fn complete(
        &self,
        transferred: TransferredListener,
        listen: &Listen,
        backlog: u32,
    ) -> Result<Opened, Refused> {
        let address = transferred.key.address;
        let mut sockets = transferred.sockets;
        for socket in &sockets {
            socket.set_backlog(backlog)?;
        }
        while sockets.len() < self.workers {
            sockets.push(match (listen, &address) {
                (Listen::Address(_), Bound::Ip(address)) => {
                    match Listener::bind(*address, backlog) {
                        // The socket was inherited once: no other can be bound to its address.
                        Err(error) if error.kind() == ErrorKind::AddrInUse => sockets[0].share()?,
                        bound => bound?,
                    }
                }
                (_, _) => sockets[0].share()?,
            });
        }
        let file = match listen {
            Listen::Unix(path) => SocketFile::of(path).ok(),
            Listen::Address(_) | Listen::Descriptor(_) | Listen::Systemd(_) => None,
        };
        Ok(Opened {
            address,
            sockets,
            file,
        })
    }

    /// One inherited socket, on which all workers accept.
    fn inherit(&mut self, descriptor: i32) -> Result<Opened, Refused> {
        if self.inherited.contains(&descriptor) {
            let why = format!("descriptor {descriptor} is another listener already");
            return Err(Error::other(why).into());
        }
        let first = Listener::inherit(descriptor)?;
        self.inherited.push(descriptor);
        let address = bound(&first)?;
        self.share(address, first, None)
    }

    /// One Unix socket, on which all workers accept. Whoever may enter the folder of its file may connect.
    async fn bind_unix(&self, path: &Arc<Path>, backlog: u32) -> Result<Opened, Refused> {
        let open = || {
            let socket = socket_file::bind(path, UNIX_MODE)?;
            // The umask does not count.
            socket_file::set_mode(&socket_file::open(path)?, UNIX_MODE)?;
            let file = SocketFile::of(path)?;
            Ok((Listener::listen(socket, backlog)?, file))
        };
        let asked = Arc::clone(path);
        let holder = move || owner::of_path(&asked);
        let (first, file) = binding::open(&path.display(), open, holder).await?;
        self.share(Bound::Unix(Arc::clone(path)), first, Some(file))
    }

    /// A listener with one socket for all workers.
    fn share(
        &self,
        address: Bound,
        first: Listener,
        file: Option<SocketFile>,
    ) -> Result<Opened, Refused> {
        let mut sockets = Vec::new();
        for _ in 1..self.workers {
            sockets.push(first.share()?);
        }
        sockets.push(first);
        Ok(Opened {
            address,
            sockets,
            file,
        })
    }

    /// One socket for each worker, all on the same address; the kernel spreads connections over
    /// them.
    async fn bind(&self, address: SocketAddr, backlog: u32) -> Result<Opened, Refused> {
        let held = self.held.iter();
        let ours: Vec<u64> = held
            .filter(|held| held.address.ip().is_some_and(|it| overlap(it, address)))
            .flat_map(|held| held.inodes.iter().copied())
            .collect();
        let open = || {
            check_free(address, &ours)?;
            Listener::bind(address, backlog)
        };
        let first = binding::open(&address, open, move || owner::of_address(address)).await?;
        let bound = bound(&first)?;
        let address = bound.ip().unwrap_or(address);
        let mut sockets = vec![first];
        for _ in 1..self.workers {
            sockets.push(Listener::bind(address, backlog)?);
        }
        Ok(Opened {
            address: bound,
            sockets,
            file: None,
        })
    }
}

/// An address, and a socket on it for each worker.
struct Opened {
    address: Bound,
    sockets: Vec<Listener>,
    /// That of a Unix socket which this process made, or was handed over.
    file: Option<SocketFile>,
}

/// Where a listener is bound.
fn bound(listener: &Listener) -> Result<Bound, Error> {
    let address = listener.address()?;
    match (address.as_socket(), address.as_pathname()) {
        (Some(address), _) => Ok(Bound::Ip(address)),
        (None, Some(path)) => Ok(Bound::Unix(path.into())),
        (None, None) => Err(Error::other("it has neither an IP address nor a path")),
    }
}

impl Entry {
    fn set_options(&mut self, options: SocketOptions) {
        if self.options != Some(options) {
            self.options = Some(options);
            for (_, socket) in &self.sockets {
                socket.set_options(&options);
            }
        }
    }

    fn set_backlog(&mut self, backlog: u32) {
        if self.backlog != backlog {
            self.backlog = backlog;
            for (_, socket) in &self.sockets {
                // listen(2) on a socket that listens already only changes the length.
                let _ = socket.set_backlog(backlog);
            }
        }
    }
}

/// Whether nobody else listens on an address. With `SO_REUSEPORT` the kernel would let another process
/// of the same user share its clients silently, be it a second one of ours: so it is asked without, and
/// where sockets of `ours` are on the address already, all others are looked for.
fn check_free(address: SocketAddr, ours: &[u64]) -> Result<(), Error> {
    if address.port() == 0 {
        return Ok(());
    }
    if ours.is_empty() {
        return Listener::check_free(address);
    }
    match owner::listening(address).iter().all(|it| ours.contains(it)) {
        true => Ok(()),
        false => Err(ErrorKind::AddrInUse.into()),
    }
}

fn reason(listen: &Listen, refused: &Refused) -> String {
    match listen {
        Listen::Address(address) => binding::refusal(address, refused),
        Listen::Unix(path) => socket_file::refusal(path, refused),
        Listen::Descriptor(_) | Listen::Systemd(_) => {
            let error = &refused.error;
            format!("{error}; the parent process must pass an open listening stream socket")
        }
    }
}

/// The descriptor of the socket that systemd passed under this name: see sd_listen_fds(3).
fn activated(name: &str) -> Result<i32, Error> {
    let mut passed = sd_notify::listen_fds_with_names()?;
    let found = passed.find(|(_, passed)| passed == name);
    found.map(|(descriptor, _)| descriptor).ok_or_else(|| {
        Error::other(format!(
            "systemd passed no socket of this name (FileDescriptorName={name})"
        ))
    })
}

#[cfg(test)]
mod tests;
