//! Which connections one listener of the admin server has, and which of them makes room for a new one.
//!
//! A connection counts as silent until the whole head of a request has come, and again when that is
//! answered. When all slots are taken, the one that has been silent for longest is closed. Requests but
//! those of probes leave some slots free, so that `/healthz` and `/readyz` are answered whatever others do.

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
    table: Mutex<Slab<(Connection, Doing)>>,
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
    pub async fn admit(self: &Arc<Self>, connection: &Connection) -> Arc<Client> {
        loop {
            match self.try_admit(connection, Instant::now()) {
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
    fn try_admit(&self, connection: &Connection, now: Instant) -> Result<usize, Duration> {
        let mut table = self.table();
        if table.len() < self.bounds.requests + self.bounds.reserve {
            return Ok(table.insert((connection.clone(), Doing::Silent(now))));
        }
        let silent = table.iter_mut().filter_map(|(_, client)| match client.1 {
            Doing::Silent(since) => Some((since, client)),
            Doing::Probe | Doing::Request | Doing::Closing => None,
        });
        let Some((since, oldest)) = silent.min_by_key(|(since, _)| *since) else {
            return Err(SILENCE_MIN);
        };
        let silence = now.saturating_duration_since(since);
        if silence < SILENCE_MIN {
            return Err(SILENCE_MIN - silence);
        }
        oldest.1 = Doing::Closing;
        oldest.0.cut();
        Err(SILENCE_MIN)
    }

    fn table(&self) -> MutexGuard<'_, Slab<(Connection, Doing)>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// The whole head of a request for this path has come. `None`: there are too many requests.
    pub fn answer(self: &Arc<Self>, path: &str) -> Option<Answering> {
        let mut table = self.clients.table();
        let doing = match path {
            "/healthz" | "/readyz" => Doing::Probe,
            _ => Doing::Request,
        };
        let requests = table.iter().filter(|(_, (_, it))| *it == Doing::Request);
        if doing == Doing::Request && requests.count() >= self.clients.bounds.requests {
            return None;
        }
        table[self.key].1 = doing;
        Some(Answering(Arc::clone(self)))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let client = &self.0;
        client.clients.table()[client.key].1 = Doing::Silent(Instant::now());
        client.clients.changed.notify_one();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.clients.table().remove(self.key);
        self.clients.changed.notify_one();
    }
}
