//! What the last minutes were like: rates every few seconds, and quantiles of recent sessions.
//!
//! A task reads the counters every [`PERIOD`] and keeps what they grew by, for five minutes. All that
//! is shown of rates and quantiles comes from here, however many look.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::document::Quantiles;
use super::hour::{Growth, Hour, quantile_us};
use crate::control::api::Active;
use crate::logic::histogram::{CONNECT, SESSION, Scale};
use crate::shared::Shared;
use crate::snapshot::{ByWorker, Histogram, Member, ServerCounters, ServerShared};
use crate::sync::Counter;

/// From one reading to the next.
pub(super) const PERIOD: Duration = Duration::from_secs(5);

/// Readings that are kept: five minutes.
pub(super) const READINGS: usize = 60;

/// What has a history.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// All of it.
    Process,
    /// A frontend, by name.
    Frontend(String),
    /// A server, by [`ServerShared::id`].
    Server(u64),
}

/// What happened from one reading to the next, for each second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rate {
    pub sessions: f64,
    pub bytes_from_clients: f64,
    pub bytes_from_servers: f64,
}

/// What is known of one subject.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    /// The newest last.
    pub rates: VecDeque<Rate>,
    /// The most sessions in a second, over one period.
    pub sessions_max: f64,
    /// Of the last five to ten minutes.
    pub connect_time: Quantiles,
    pub session_time: Quantiles,
    totals: [u64; 3],
    windows: Option<Box<Windows>>,
}

impl Past {
    /// The last rate; none before the second reading.
    pub fn rate(&self) -> Rate {
        self.rates.back().copied().unwrap_or_default()
    }

    /// Returns what the totals have grown by.
    fn add(&mut self, totals: [u64; 3], seconds: f64) -> [u64; 3] {
        let grown = [0, 1, 2].map(|index| totals[index].saturating_sub(self.totals[index]));
        let [sessions, bytes_from_clients, bytes_from_servers] =
            grown.map(|count| count as f64 / seconds);
        self.totals = totals;
        self.sessions_max = self.sessions_max.max(sessions);
        if self.rates.len() == READINGS {
            self.rates.pop_front();
        }
        self.rates.push_back(Rate {
            sessions,
            bytes_from_clients,
            bytes_from_servers,
        });
        grown
    }

    /// Adds to `growth` the sessions that have ended since the last reading.
    fn look(&mut self, server: &ServerShared, turn: bool, growth: &mut Growth) {
        let connect = counts(&server.counters, |all| &all.times.connect);
        let session = counts(&server.counters, |all| &all.times.session);
        let windows = self.windows.get_or_insert_default();
        self.connect_time = windows.connect.quantiles(CONNECT, &connect);
        self.session_time = windows.session.quantiles(SESSION, &session);
        windows.connect.read(&connect, &mut growth.connect);
        windows.session.read(&session, &mut growth.session);
        if turn {
            windows.connect.turn(connect);
            windows.session.turn(session);
        }
    }
}

/// Counts of histograms as they were: what came since is recent.
#[derive(Clone, Debug, Default)]
struct Windows {
    connect: Window<{ CONNECT.buckets() }>,
    session: Window<{ SESSION.buckets() }>,
}

#[derive(Clone, Debug)]
struct Window<const BUCKETS: usize> {
    /// Five to ten minutes ago.
    old: [u64; BUCKETS],
    /// Up to five minutes ago.
    young: [u64; BUCKETS],
    /// At the last reading.
    last: [u64; BUCKETS],
}

impl<const BUCKETS: usize> Default for Window<BUCKETS> {
    fn default() -> Self {
        Window {
            old: [0; BUCKETS],
            young: [0; BUCKETS],
            last: [0; BUCKETS],
        }
    }
}

impl<const BUCKETS: usize> Window<BUCKETS> {
    /// Quantiles of what came since the old counts.
    fn quantiles(&self, scale: Scale<BUCKETS>, now: &[u64; BUCKETS]) -> Quantiles {
        let recent = std::array::from_fn(|index| now[index].saturating_sub(self.old[index]));
        let micros = |quantile| quantile_us(scale, &recent, quantile);
        Quantiles {
            p50_us: micros(0.5),
            p90_us: micros(0.9),
            p99_us: micros(0.99),
        }
    }

    /// Adds to `growth` what came since the last reading.
    fn read(&mut self, now: &[u64; BUCKETS], growth: &mut [u64; BUCKETS]) {
        for (bucket, growth) in growth.iter_mut().enumerate() {
            *growth += now[bucket].saturating_sub(self.last[bucket]);
        }
        self.last = *now;
    }

    fn turn(&mut self, now: [u64; BUCKETS]) {
        self.old = std::mem::replace(&mut self.young, now);
    }
}

/// The sum of a count over all workers.
pub(super) fn sum<T>(counters: &ByWorker<T>, count: fn(&T) -> &Counter) -> u64 {
    let workers = counters.iter();
    workers.map(|worker| count(worker).get()).sum()
}

/// The sum of a histogram's counts over all workers, by bucket.
pub(super) fn counts<const BUCKETS: usize>(
    counters: &ByWorker<ServerCounters>,
    histogram: fn(&ServerCounters) -> &Histogram<BUCKETS>,
) -> [u64; BUCKETS] {
    let mut counts = [0; BUCKETS];
    for worker in counters {
        for (count, counter) in counts.iter_mut().zip(&histogram(worker).counts) {
            *count += counter.get();
        }
    }
    counts
}

/// The past of everything that is in use.
#[derive(Debug, Default)]
pub(super) struct History {
    pasts: Mutex<HashMap<Subject, Past>>,
    /// By the names of backends.
    hours: Mutex<HashMap<String, Hour>>,
}

impl History {
    /// What is known of a subject; nothing of one that is new.
    pub fn of<T>(&self, subject: &Subject, read: impl FnOnce(&Past) -> T) -> T {
        match self.pasts().get(subject) {
            Some(past) => read(past),
            None => read(&Past::default()),
        }
    }

    /// Every write under the lock is whole, so a panic elsewhere leaves nothing half done.
    fn pasts(&self) -> MutexGuard<'_, HashMap<Subject, Past>> {
        self.pasts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hours(&self) -> MutexGuard<'_, HashMap<String, Hour>> {
        self.hours.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last hour of a backend; nothing of one that is new.
    pub fn hour<T>(&self, backend: &str, read: impl FnOnce(&Hour) -> T) -> T {
        match self.hours().get(backend) {
            Some(hour) => read(hour),
            None => read(&Hour::default()),
        }
    }

    /// Reads all counters once more, `time` after the last reading or the start. `turn`: what was
    /// recent is so no longer.
    pub fn read(&self, shared: &Shared, active: &Active, time: Duration, turn: bool) {
        let mut before = std::mem::take(&mut *self.pasts());
        let mut after = HashMap::with_capacity(before.len());
        let mut grown = |subject: &Subject, totals: [u64; 3]| {
            let mut past = before.remove(subject).unwrap_or_default();
            let growth = past.add(totals, time.as_secs_f64());
            (past, growth)
        };
        let workers = &shared.workers;
        let totals = [
            sum(workers, |worker| &worker.sessions_started),
            sum(workers, |worker| &worker.bytes_from_clients),
            sum(workers, |worker| &worker.bytes_from_servers),
        ];
        let (past, _) = grown(&Subject::Process, totals);
        after.insert(Subject::Process, past);
        let frontends = &active.snapshot.config.frontends;
        for (config, shared) in frontends.iter().zip(&active.snapshot.frontends) {
            let totals = [
                sum(&shared.counters, |all| &all.sessions_started),
                sum(&shared.counters, |all| &all.bytes_from_clients),
                sum(&shared.counters, |all| &all.bytes_from_servers),
            ];
            let subject = Subject::Frontend(config.name.clone());
            let (past, _) = grown(&subject, totals);
            after.insert(subject, past);
        }
        let mut hours_before = std::mem::take(&mut *self.hours());
        let mut hours = HashMap::with_capacity(hours_before.len());
        let backends = &active.snapshot.config.backends;
        for (config, backend) in backends.iter().zip(&active.snapshot.backends) {
            let mut all = Growth::default();
            for Member { server, .. } in backend.members().all() {
                let totals = [
                    sum(&server.counters, |all| &all.sessions_started),
                    sum(&server.counters, |all| &all.bytes_from_clients),
                    sum(&server.counters, |all| &all.bytes_from_server),
                ];
                let subject = Subject::Server(server.id);
                let (mut past, growth) = grown(&subject, totals);
                all.sessions += growth[0];
                all.bytes_from_clients += growth[1];
                all.bytes_from_servers += growth[2];
                past.look(server, turn, &mut all);
                after.insert(subject, past);
            }
            let mut hour = hours_before.remove(&config.name).unwrap_or_default();
            hour.add(&all, time, SystemTime::now());
            hours.insert(config.name.clone(), hour);
        }
        *self.hours() = hours;
        *self.pasts() = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_between_readings_and_old_ones_go() {
        let mut past = Past::default();
        past.add([10, 1000, 0], 5.0);
        assert_eq!(
            past.rate(),
            Rate {
                sessions: 2.0,
                bytes_from_clients: 200.0,
                bytes_from_servers: 0.0,
            }
        );
        for reading in 1..=READINGS as u64 {
            past.add([10 + reading * 3, 1000, 0], 3.0);
        }
        assert_eq!(past.rates.len(), READINGS);
        assert!(past.rates.iter().all(|rate| rate.sessions == 1.0));
        assert_eq!(past.sessions_max, 2.0);
        past.add([5, 0, 0], 5.0);
        assert_eq!(past.rate().sessions, 0.0, "it is another of that name");
    }

    #[test]
    fn quantiles_are_of_the_last_two_windows() {
        const BUCKETS: usize = CONNECT.buckets();
        fn median(window: &Window<BUCKETS>, now: &[u64; BUCKETS]) -> Option<u64> {
            window.quantiles(CONNECT, now).p50_us
        }
        let mut window = Window::default();
        let mut now = [0; BUCKETS];
        assert_eq!(median(&window, &now), None);
        now[3] = 100;
        assert_eq!(median(&window, &now), Some(76));
        window.turn(now);
        assert_eq!(median(&window, &now), Some(76));
        now[7] += 50;
        window.turn(now);
        assert_eq!(median(&window, &now), Some(304), "the first are forgotten");
        window.turn(now);
        assert_eq!(median(&window, &now), None);
    }
}
