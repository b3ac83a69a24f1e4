//! Opening the listeners of all frontends, one for each worker, or saying in a sentence why not.

use std::collections::HashMap;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;

use super::StartError;
use crate::config::{Config, Listen};
use crate::io::{Listener, socket};

/// The first descriptor that systemd passes.
const LISTEN_FDS_START: i32 = 3;

/// Open listeners of all frontends.
pub struct Listeners {
    /// For each worker: listeners with the index of their frontend.
    pub by_worker: Vec<Vec<(u16, Listener)>>,
    /// For each frontend: the addresses, in the order of the configuration.
    pub addresses: Vec<Vec<SocketAddr>>,
}

/// Opens everything that `config` names.
///
/// # Errors
///
/// The first listener that can't be had.
pub fn open(config: &Config, workers: usize) -> Result<Listeners, StartError> {
    let activated = Activated::from_environment();
    let mut listeners = Listeners {
        by_worker: (0..workers).map(|_| Vec::new()).collect(),
        addresses: Vec::new(),
    };
    for (index, frontend) in config.frontends.iter().enumerate() {
        let mut addresses = Vec::new();
        for listen in &frontend.listen {
            let opened = match listen {
                Listen::Address(address) => bind(*address, frontend.backlog, workers),
                Listen::Descriptor(descriptor) => inherit(*descriptor, workers),
                Listen::Systemd(name) => activated
                    .descriptor(name)
                    .and_then(|descriptor| inherit(descriptor, workers)),
            };
            let (address, opened) = opened.map_err(|error| StartError::Listen {
                what: format!("{} (frontend {})", name_of(listen), frontend.name),
                why: reason(listen, &error),
            })?;
            addresses.push(address);
            for (worker, listener) in listeners.by_worker.iter_mut().zip(opened) {
                worker.push((index as u16, listener));
            }
        }
        listeners.addresses.push(addresses);
    }
    Ok(listeners)
}

/// One socket for each worker, all on the same address; the kernel spreads connections over them.
fn bind(
    address: SocketAddr,
    backlog: u32,
    workers: usize,
) -> Result<(SocketAddr, Vec<Listener>), Error> {
    if address.port() != 0 {
        socket::check_free(address)?;
    }
    let first = Listener::bind(address, backlog)?;
    let bound = first.address()?;
    let mut listeners = vec![first];
    for _ in 1..workers {
        listeners.push(Listener::bind(bound, backlog)?);
    }
    Ok((bound, listeners))
}

/// One inherited socket, on which all workers accept.
fn inherit(descriptor: i32, workers: usize) -> Result<(SocketAddr, Vec<Listener>), Error> {
    let first = Listener::inherit(descriptor)?;
    let address = first.address()?;
    let mut listeners = Vec::new();
    for _ in 1..workers {
        listeners.push(first.share()?);
    }
    listeners.push(first);
    Ok((address, listeners))
}

fn name_of(listen: &Listen) -> String {
    match listen {
        Listen::Address(address) => address.to_string(),
        Listen::Descriptor(descriptor) => format!("fd:{descriptor}"),
        Listen::Systemd(name) => format!("systemd:{name}"),
    }
}

fn reason(listen: &Listen, error: &Error) -> String {
    match listen {
        Listen::Address(address) => refusal(address, error),
        Listen::Descriptor(_) | Listen::Systemd(_) => {
            format!("{error}; the parent process must pass an open listening TCP socket")
        }
    }
}

/// Why an address can't be listened on, and what to do.
pub(super) fn refusal(address: &SocketAddr, error: &Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!(
            "another program listens there already; find it with `ss -ltnp 'sport = :{}'`",
            address.port()
        ),
        ErrorKind::PermissionDenied => format!(
            "port {} is privileged; grant CAP_NET_BIND_SERVICE or use a port of 1024 and above",
            address.port()
        ),
        ErrorKind::AddrNotAvailable => format!(
            "this host does not have the address {}; see `ip address`",
            address.ip()
        ),
        _ => error.to_string(),
    }
}

/// What systemd's socket activation passed: see sd_listen_fds(3).
struct Activated {
    descriptors: HashMap<String, i32>,
}

impl Activated {
    fn from_environment() -> Self {
        let variable = |name| std::env::var(name).unwrap_or_default();
        let for_us = variable("LISTEN_PID") == std::process::id().to_string();
        let count: i32 = variable("LISTEN_FDS").parse().unwrap_or(0);
        let names = variable("LISTEN_FDNAMES");
        let descriptors = if for_us {
            names
                .split(':')
                .zip(LISTEN_FDS_START..LISTEN_FDS_START.saturating_add(count))
                .map(|(name, descriptor)| (name.to_string(), descriptor))
                .collect()
        } else {
            HashMap::new()
        };
        Activated { descriptors }
    }

    fn descriptor(&self, name: &str) -> Result<i32, Error> {
        self.descriptors.get(name).copied().ok_or_else(|| {
            Error::other(format!(
                "systemd passed no socket of this name (FileDescriptorName={name})"
            ))
        })
    }
}
