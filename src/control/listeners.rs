//! The listeners of all frontends: opening them, one for each worker, or saying in a sentence why
//! not; and what a reload makes of them.
//!
//! The control plane keeps a handle of its own on each. That is what lets it refuse new clients at
//! an address that goes away, on all its sockets at once, before the workers take what still waits
//! there: what is in the queue of a listening socket when it is closed is reset.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::binding::{self, Refused};
use super::error::StartError;
use super::owner;
use crate::config::{Config, Frontend, Listen, overlap};
use crate::io::Listener;
use crate::worker::Listening;

/// An address or an inherited socket on which all workers accept.
struct Entry {
    what: What,
    /// The length of its queues.
    backlog: u32,
    /// Handles on the sockets, by index of the worker, with what the worker calls them.
    sockets: Vec<(u64, Listener)>,
}

/// What tells an entry from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct What {
    /// As it was written when it was opened.
    listen: String,
    /// The name of the frontend that it is for.
    frontend: String,
    /// With the port that the kernel chose.
    pub address: SocketAddr,
}

impl What {
    /// Whether it is what this entry of a frontend asks for.
    fn serves(&self, listen: &Listen, frontend: &str) -> bool {
        match listen {
            Listen::Address(address) if address.port() != 0 => self.address == *address,
            // Any port is right; the one that the frontend has had so far is.
            Listen::Address(_) => self.listen == listen.to_string() && self.frontend == frontend,
            Listen::Descriptor(_) | Listen::Systemd(_) => self.listen == listen.to_string(),
        }
    }
}

/// An entry that goes from one process to another.
pub struct TransferredListener {
    /// What it is.
    pub what: What,
    /// Handles on its sockets, at least one.
    pub sockets: Vec<Listener>,
}

/// An entry that another process may have too.
pub struct Offered {
    /// What it gets.
    pub handed: TransferredListener,
    /// What the workers call the sockets.
    pub ids: Vec<u64>,
}

/// All that is open.
#[derive(Default)]
pub struct Listeners {
    entries: Vec<Entry>,
    /// Of the newest socket.
    id: u64,
}

/// An entry of the configuration that is to come.
enum Found {
    /// It is open: its index.
    Open(usize),
    /// It was opened for it, with what each worker is to get.
    New(Entry, Vec<Listener>),
}

/// Everything that a configuration needs, open and not in use yet. Dropping it leaves things as
/// they were.
pub struct Prepared {
    /// By index of the frontend, in the order of the configuration.
    found: Vec<Vec<Found>>,
    /// Lengths of queues, by index of the frontend.
    backlogs: Vec<u32>,
    names: Vec<String>,
    /// Of the newest socket.
    id: u64,
    /// Indices of entries that are not wanted any more.
    removed: Vec<usize>,
    /// Which of the entries that were handed over are wanted, by their index.
    kept: Vec<usize>,
}

impl Prepared {
    /// Whether something is closed by it.
    pub fn removes(&self) -> bool {
        !self.removed.is_empty()
    }
}

/// What a configuration means for workers and readers.
pub struct Applied {
    /// By index of the worker: all its listeners.
    pub by_worker: Vec<Vec<Listening<Listener>>>,
    /// By index of the frontend: the addresses, in the order of the configuration.
    pub addresses: Vec<Vec<SocketAddr>>,
    /// Which of the entries that were handed over are in use, by their index.
    pub kept: Vec<usize>,
}

/// When listeners are opened.
pub enum OpenMode {
    /// Sockets may be inherited, and these have been handed over.
    Start(Vec<TransferredListener>),
    /// What was inherited stays, and nothing else can be: a number may mean any descriptor of this
    /// process by now.
    Reload,
}

impl Listeners {
    /// Opens what `config` needs and is not open.
    ///
    /// # Errors
    ///
    /// The first listener that can't be had.
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
        // Whoever takes any port is not to take one that another entry names.
        for any_port in [false, true] {
            for (frontend, found) in config.frontends.iter().zip(&mut found) {
                for (listen, found) in frontend.listen.iter().zip(found) {
                    if listen.is_repeatable() != any_port {
                        continue;
                    }
                    let open = (unused.iter()).position(|index| {
                        let what = &self.entries[*index].what;
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
                handed: TransferredListener {
                    what: entry.what.clone(),
                    sockets: sockets.collect::<Result<_, Error>>()?,
                },
                ids: entry.sockets.iter().map(|(id, _)| *id).collect(),
            })
        };
        self.entries.iter().map(share).collect()
    }

    /// Refuses new clients where `prepared` closes listeners. Those whose connection is being
    /// established still come to their queues.
    pub fn refuse_new(&self, prepared: &Prepared) {
        for index in &prepared.removed {
            for (_, socket) in &self.entries[*index].sockets {
                // Failing that, more clients may meet a closing door.
                let _ = socket.refuse_new();
            }
        }
    }

    /// Makes `prepared` what is open, and gives up the handles on what is not wanted any more. The
    /// workers are to get what comes back.
    pub fn apply(&mut self, prepared: Prepared, workers: usize) -> Applied {
        let mut old: Vec<Option<Entry>> = self.entries.drain(..).map(Some).collect();
        let mut applied = Applied {
            by_worker: (0..workers).map(|_| Vec::new()).collect(),
            addresses: Vec::new(),
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
                entry.what.frontend.clone_from(&prepared.names[frontend]);
                addresses.push(entry.what.address);
                let mut opened = opened.into_iter();
                for (worker, (id, _)) in entry.sockets.iter().enumerate() {
                    applied.by_worker[worker % workers].push(Listening {
                        id: *id,
                        frontend: frontend as u16,
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
    /// What was handed over and is not in use yet, with its index.
    handed: Vec<(usize, TransferredListener)>,
    /// Indices of what was handed over and is in use.
    kept: Vec<usize>,
    /// Of the newest socket.
    id: u64,
    /// Descriptors that have been taken over, each for one entry.
    inherited: Vec<i32>,
}

/// Sockets of this process on an address.
struct Held {
    address: SocketAddr,
    inodes: Vec<u64>,
}

impl Held {
    fn new<'a>(address: SocketAddr, sockets: impl Iterator<Item = &'a Listener>) -> Self {
        let inodes = sockets.filter_map(|socket| socket.inode().ok()).collect();
        Held { address, inodes }
    }
}

impl Opening {
    fn new(entries: &[Entry], workers: usize, mut mode: OpenMode, id: u64) -> Self {
        let mut held: Vec<Held> = (entries.iter())
            .map(|entry| {
                let sockets = entry.sockets.iter().map(|(_, socket)| socket);
                Held::new(entry.what.address, sockets)
            })
            .collect();
        let handed = match &mut mode {
            OpenMode::Start(handed) => std::mem::take(handed),
            OpenMode::Reload => Vec::new(),
        };
        let all = handed.iter();
        held.extend(all.map(|it| Held::new(it.what.address, it.sockets.iter())));
        Opening {
            held,
            workers,
            mode,
            handed: handed.into_iter().enumerate().collect(),
            kept: Vec::new(),
            id,
            inherited: Vec::new(),
        }
    }

    async fn open(&mut self, listen: &Listen, frontend: &Frontend) -> Result<Found, StartError> {
        let opened = match (self.take_handed(listen, frontend), listen, &self.mode) {
            (Some(handed), _, _) => self.complete(handed, listen, frontend.backlog),
            (None, Listen::Address(address), _) => self.bind(*address, frontend.backlog).await,
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
        let shared = opened.and_then(|(address, sockets)| {
            let for_workers: Result<Vec<_>, Error> = sockets.iter().map(Listener::share).collect();
            Ok((address, sockets, for_workers?))
        });
        let (address, sockets, for_workers) = shared.map_err(|refused| StartError::Listen {
            what: format!("{listen} (frontend {})", frontend.name),
            why: reason(listen, &refused),
        })?;
        self.held.push(Held::new(address, sockets.iter()));
        let numbered = sockets.into_iter().map(|socket| {
            self.id += 1;
            (self.id, socket)
        });
        let entry = Entry {
            sockets: numbered.collect(),
            what: What {
                listen: listen.to_string(),
                frontend: frontend.name.clone(),
                address,
            },
            backlog: frontend.backlog,
        };
        Ok(Found::New(entry, for_workers))
    }

    fn take_handed(&mut self, listen: &Listen, frontend: &Frontend) -> Option<TransferredListener> {
        let mut all = self.handed.iter();
        let position = all.position(|(_, it)| it.what.serves(listen, &frontend.name))?;
        let (index, handed) = self.handed.remove(position);
        self.kept.push(index);
        Some(handed)
    }

    /// Sees to it that each worker has a socket of an address that was handed over, and each socket
    /// a worker.
    fn complete(&self, handed: TransferredListener, listen: &Listen, backlog: u32) -> Opened {
        let address = handed.what.address;
        let mut sockets = handed.sockets;
        for socket in &sockets {
            socket.set_backlog(backlog)?;
        }
        while sockets.len() < self.workers {
            sockets.push(match listen {
                Listen::Address(_) => match Listener::bind(address, backlog) {
                    // It was inherited once, so that nobody can have the address beside it.
                    Err(error) if error.kind() == ErrorKind::AddrInUse => sockets[0].share()?,
                    bound => bound?,
                },
                Listen::Descriptor(_) | Listen::Systemd(_) => sockets[0].share()?,
            });
        }
        Ok((address, sockets))
    }

    /// One inherited socket, on which all workers accept.
    fn inherit(&mut self, descriptor: i32) -> Opened {
        if self.inherited.contains(&descriptor) {
            let why = format!("descriptor {descriptor} is another listener already");
            return Err(Error::other(why).into());
        }
        let first = Listener::inherit(descriptor)?;
        self.inherited.push(descriptor);
        let address = first.address()?;
        let mut listeners = Vec::new();
        for _ in 1..self.workers {
            listeners.push(first.share()?);
        }
        listeners.push(first);
        Ok((address, listeners))
    }

    /// One socket for each worker, all on the same address; the kernel spreads connections over
    /// them.
    async fn bind(&self, address: SocketAddr, backlog: u32) -> Opened {
        let held = self.held.iter();
        let ours: Vec<u64> = held
            .filter(|held| overlap(held.address, address))
            .flat_map(|held| held.inodes.iter().copied())
            .collect();
        let open = || {
            check_free(address, &ours)?;
            Listener::bind(address, backlog)
        };
        let first = binding::open(&address, open, move || owner::of_address(address)).await?;
        let bound = first.address()?;
        let mut listeners = vec![first];
        for _ in 1..self.workers {
            listeners.push(Listener::bind(bound, backlog)?);
        }
        Ok((bound, listeners))
    }
}

/// An address, and a socket on it for each worker.
type Opened = Result<(SocketAddr, Vec<Listener>), Refused>;

impl Entry {
    fn set_backlog(&mut self, backlog: u32) {
        if self.backlog != backlog {
            self.backlog = backlog;
            for (_, socket) in &self.sockets {
                // It listens already, so nothing speaks against listening with another length.
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
        Listen::Descriptor(_) | Listen::Systemd(_) => {
            let error = &refused.error;
            format!("{error}; the parent process must pass an open listening TCP socket")
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
