//! What each worker counts for each frontend and each server.

use std::net::IpAddr;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::logic::client_limits::ClientRefusal;
use crate::logic::histogram::{CONNECT, QUEUE, SESSION, Scale};
use crate::logic::session::{ErrorResponse, Summary};
use crate::sync::{Counter, Last};

/// What one worker counts for one frontend.
#[derive(Debug, Default)]
pub struct FrontendCounters {
    /// Sessions that began.
    pub sessions_started: Counter,
    /// Bytes read from clients.
    pub bytes_from_clients: Counter,
    /// Bytes read from servers.
    pub bytes_from_servers: Counter,
    /// Answers of our own, by [`ErrorResponse::index`].
    pub answers: [Counter; ErrorResponse::ALL.len()],
    /// Responses of servers that were relayed unchanged, because they are not HTTP or their head is
    /// too long.
    pub unparsed_responses: Counter,
    /// Connections that were refused, by [`ClientRefusal::index`].
    pub refused: [Counter; ClientRefusal::ALL.len()],
    /// The client that was refused last.
    pub last_refused: Last<IpAddr>,
    /// Requests for a backend with a sticky cookie that came through a proxy, which may put
    /// several users on one connection.
    pub requests_via_proxy: Counter,
    /// PROXY heads that were malformed, or missing though they are required.
    pub proxy_heads_wrong: Counter,
    /// PROXY heads that were not whole in time.
    pub proxy_heads_late: Counter,
    /// TLS mode: what was no ClientHello, or a wrong one.
    pub hellos_wrong: Counter,
    /// TLS mode: ClientHellos that were not whole in time.
    pub hellos_late: Counter,
    /// TLS mode: sessions that no route matched, in a frontend without a backend.
    pub unrouted: Counter,
}

/// What one worker counts for one route.
#[derive(Debug, Default)]
pub struct RouteCounters {
    /// Sessions that took it.
    pub sessions: Counter,
}

/// What one worker counts for one server.
#[derive(Debug, Default)]
pub struct ServerCounters {
    /// Sessions that it was given, with those that got another server after a failed connect.
    pub sessions_started: Counter,
    /// Bytes read from clients for it.
    pub bytes_from_clients: Counter,
    /// Bytes read from it.
    pub bytes_from_server: Counter,
    /// Connect attempts to it that failed.
    pub connect_failures: Counter,
    /// Sessions in HTTP mode that ended, by the server or by a timeout, before it had answered.
    pub answer_failures: Counter,
    /// Connect attempts to it that were not the first of their session.
    pub retries: Counter,
    /// Those of them that followed a failed one to this same server.
    pub reconnects: Counter,
    /// Connect attempts to other servers that followed a failed one to this.
    pub redispatches: Counter,
    /// How long its sessions took.
    pub times: Times,
}

impl ServerCounters {
    /// Adds what all workers counted for a server, but for how long its sessions took.
    pub(super) fn add(&self, server: &ByWorker<ServerCounters>) {
        for worker in server {
            let pairs = [
                (&self.sessions_started, &worker.sessions_started),
                (&self.bytes_from_clients, &worker.bytes_from_clients),
                (&self.bytes_from_server, &worker.bytes_from_server),
                (&self.connect_failures, &worker.connect_failures),
                (&self.answer_failures, &worker.answer_failures),
                (&self.retries, &worker.retries),
                (&self.reconnects, &worker.reconnects),
                (&self.redispatches, &worker.redispatches),
            ];
            for (sum, counter) in pairs {
                sum.add(counter.get());
            }
        }
    }
}

/// How often a duration fell into each bucket of a scale, as one worker counts it.
#[derive(Debug)]
pub struct Histogram<const BUCKETS: usize> {
    /// By index of the bucket.
    pub counts: [Counter; BUCKETS],
    /// All durations together, in microseconds.
    pub sum: Counter,
}

impl<const BUCKETS: usize> Default for Histogram<BUCKETS> {
    fn default() -> Self {
        Histogram {
            counts: std::array::from_fn(|_| Counter::default()),
            sum: Counter::default(),
        }
    }
}

impl<const BUCKETS: usize> Histogram<BUCKETS> {
    fn record(&self, scale: Scale<BUCKETS>, duration: Duration) {
        self.counts[scale.bucket(duration)].add(1);
        self.sum.add(duration.as_micros() as u64);
    }
}

/// Durations of the ended sessions of a server that were connected to it.
#[derive(Debug, Default)]
pub struct Times {
    /// In the queue, on the scale [`QUEUE`].
    pub queue: Histogram<{ QUEUE.buckets() }>,
    /// From the first choice of a server to the connection, on the scale [`CONNECT`].
    pub connect: Histogram<{ CONNECT.buckets() }>,
    /// From accept to the end, on the scale [`SESSION`].
    pub session: Histogram<{ SESSION.buckets() }>,
}

// There is one for each server and worker.
const _: () = assert!(size_of::<Times>() < 1024);

impl Times {
    /// Counts a session that ended. One that never was connected is not counted.
    pub fn record(&self, summary: &Summary) {
        if let Some(connect) = summary.connect {
            self.queue.record(QUEUE, summary.waited);
            self.connect.record(CONNECT, connect);
            self.session.record(SESSION, summary.total);
        }
    }
}

/// One element for each worker, which alone writes it, in cache lines of its own.
pub type ByWorker<T> = Box<[CachePadded<T>]>;

/// One element for each of this many workers.
pub(super) fn by_worker<T: Default>(workers: usize) -> ByWorker<T> {
    (0..workers).map(|_| CachePadded::default()).collect()
}
