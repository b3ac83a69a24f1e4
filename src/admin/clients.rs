//! Which connections one listener of the admin server has, and which of them makes room for a new one.
//!
//! A connection counts as silent until the whole head of a request has come, and again when that is
//! answered. When all slots are taken, the address with the most silent connections loses the one that has
//! been silent for longest. Requests but those of probes leave some slots free, so that `/healthz` and `/readyz` are answered whatever others do.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use slab::Slab;
use tokio::sync::Notify;

use super::connection::Connection;

/// How long a connection may be silent when others want its slot. It bounds how often clients that connect
/// again and again push others out: a request's head usually comes with the connection.
const SILENCE_MIN: Duration = Duration::from_millis(100);

/// All connections of a listener.
pub(super) struct Clients {
    bounds: Bounds,
    table: Mutex<Slab<Entry>>,
    /// A slot is free, or a connection has become silent.
    changed: Notify,
}

/// How many there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Requests that are being answered, but those of probes.
    pub requests: usize,
    /// Further connections.
    pub reserve: usize,
}

impl Bounds {
    /// Descriptors for them all, and for one that waits for room.
    pub const fn descriptors(self) -> u64 {
        (self.requests + self.reserve + 1) as u64
    }
}

/// A connection that has a slot.
struct Entry {
    connection: Connection,
    /// The client's address over TCP.
    address: Option<IpAddr>,
    doing: Doing,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// There is no whole head of a request since then.
    Silent(Instant),
    /// A probe is answered.
    Probe,
    /// Another request is answered.
    Request,
    /// It is being closed to make room.
    Closing,
}

/// The slot of a connection, free again when this is dropped.
pub(super) struct Client {
    clients: Arc<Clients>,
    key: usize,
}

/// A request that is being answered, until this is dropped.
pub(super) struct Answering(Arc<Client>);

impl Clients {
    pub fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Clients {
            bounds,
            table: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Waits for a slot. Called by one task alone.
    pub async fn admit(
        self: &Arc<Self>,
        connection: &Connection,
        address: Option<IpAddr>,
    ) -> Arc<Client> {
        loop {
            match self.try_admit(connection, address, Instant::now()) {
                Ok(key) => {
                    let clients = Arc::clone(self);
                    return Arc::new(Client { clients, key });
                }
                Err(look_again) => {
                    let _ = tokio::time::timeout(look_again, self.changed.notified()).await;
                }
            }
        }
    }

    /// Takes a slot, or has one freed and says when to look again.
    fn try_admit(
        &self,
        connection: &Connection,
        address: Option<IpAddr>,
        now: Instant,
    ) -> Result<usize, Duration> {
        let mut table = self.table();
        if table.len() < self.bounds.requests + self.bounds.reserve {
            return Ok(table.insert(Entry {
                connection: connection.clone(),
                address,
                doing: Doing::Silent(now),
            }));
        }
        let Some((key, since)) = longest_silent(&table) else {
            return Err(SILENCE_MIN);
        };
        let silence = now.saturating_duration_since(since);
        if silence < SILENCE_MIN {
            return Err(SILENCE_MIN - silence);
        }
        table[key].doing = Doing::Closing;
        table[key].connection.cut();
        Err(SILENCE_MIN)
    }

    fn table(&self) -> MutexGuard<'_, Slab<Entry>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection that makes room, and since when it is silent: of the address that has the most silent
/// ones, so that a client with a long way is not pushed out by many of somebody else.
fn longest_silent(table: &Slab<Entry>) -> Option<(usize, Instant)> {
    let silent = || {
        table.iter().filter_map(|(key, entry)| match entry.doing {
            Doing::Silent(since) => Some((key, entry.address, since)),
            Doing::Probe | Doing::Request | Doing::Closing => None,
        })
    };
    let mut counts: HashMap<Option<IpAddr>, usize> = HashMap::new();
    for (_, address, _) in silent() {
        *counts.entry(address).or_default() += 1;
    }
    let most = counts.values().copied().max()?;
    silent()
        .filter(|(_, address, _)| counts[address] == most)
        .min_by_key(|(_, _, since)| *since)
        .map(|(key, _, since)| (key, since))
}

impl Client {
    /// The whole head of a request for this path has come. `None`: there are too many requests.
    pub fn answer(self: &Arc<Self>, path: &str) -> Option<Answering> {
        let mut table = self.clients.table();
        let doing = match path {
            "/healthz" | "/readyz" => Doing::Probe,
            _ => Doing::Request,
        };
        let requests = table
            .iter()
            .filter(|(_, entry)| entry.doing == Doing::Request);
        if doing == Doing::Request && requests.count() >= self.clients.bounds.requests {
            return None;
        }
        table[self.key].doing = doing;
        Some(Answering(Arc::clone(self)))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let client = &self.0;
        client.clients.table()[client.key].doing = Doing::Silent(Instant::now());
        client.clients.changed.notify_one();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.clients.table().remove(self.key);
        self.clients.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_with_the_most_silent_connections_makes_room() {
        let mut table = Slab::new();
        let begin = Instant::now();
        let mut enter = |address: [u8; 4], doing| {
            table.insert(Entry {
                connection: Connection::for_test(),
                address: Some(IpAddr::from(address)),
                doing,
            })
        };
        let at = |millis| begin + Duration::from_millis(millis);
        // It came first, and is alone.
        enter([192, 0, 2, 1], Doing::Silent(at(0)));
        enter([192, 0, 2, 2], Doing::Request);
        enter([192, 0, 2, 2], Doing::Silent(at(3)));
        let oldest_of_many = enter([192, 0, 2, 2], Doing::Silent(at(2)));
        enter([192, 0, 2, 2], Doing::Silent(at(4)));
        assert_eq!(longest_silent(&table), Some((oldest_of_many, at(2))));
        table.retain(|_, entry| !matches!(entry.doing, Doing::Silent(_)));
        assert_eq!(longest_silent(&table), None);
    }
}
