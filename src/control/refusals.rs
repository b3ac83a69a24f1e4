//! Connections that workers refuse for their client's address: one line of the log for many.
//!
//! Workers only count them. A task looks once a second and logs what came since.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::active::Active;
use crate::config::{Config, Frontend};
use crate::logic::client_limits::ClientRefusal;
use crate::shared::Shared;
use crate::snapshot::FrontendShared;

/// Lines about one frontend are at least this far apart.
const INTERVAL: Duration = Duration::from_secs(1);

/// Puts the bound of the table of clients into effect, if one is needed.
pub fn bound_clients(config: &Config, shared: &Shared) {
    if config.frontends.iter().any(|it| it.per_client.is_some()) {
        shared.clients.set_max(config.global.clients_max as usize);
    }
}

/// Logs what is refused, for as long as it is polled.
pub async fn log(mut active: watch::Receiver<Arc<Active>>) {
    let mut seen = Seen::default();
    loop {
        let snapshot = Arc::clone(&active.borrow_and_update().snapshot);
        let frontends = snapshot.config.frontends.iter();
        let all = frontends.zip(&snapshot.frontends);
        let lines: Vec<String> = all
            .filter_map(|(frontend, shared)| seen.line(frontend, shared))
            .collect();
        for line in lines {
            log::warn!("{line}");
        }
        let refuses = snapshot.config.frontends.iter().any(may_refuse);
        drop(snapshot);
        if refuses {
            tokio::time::sleep(INTERVAL).await;
        } else if active.changed().await.is_err() {
            return;
        }
    }
}

fn may_refuse(frontend: &Frontend) -> bool {
    frontend.allow.is_some() || frontend.deny.is_some() || frontend.per_client.is_some()
}

type Counts = [u64; ClientRefusal::ALL.len()];

/// What was logged already.
#[derive(Default)]
struct Seen {
    /// By [`FrontendShared::id`].
    counts: std::collections::HashMap<u64, Counts>,
}

impl Seen {
    /// A line about what came since the last; `None`: nothing.
    fn line(&mut self, frontend: &Frontend, shared: &FrontendShared) -> Option<String> {
        let counts = ClientRefusal::ALL.map(|refusal| refused(shared, refusal));
        let before = self.counts.entry(shared.id).or_default();
        let new: Vec<(ClientRefusal, u64)> = ClientRefusal::ALL
            .into_iter()
            .map(|refusal| (refusal, counts[refusal.index()] - before[refusal.index()]))
            .filter(|(_, count)| *count > 0)
            .collect();
        *before = counts;
        let total: u64 = new.iter().map(|(_, count)| count).sum();
        if total == 0 {
            return None;
        }
        let reasons = new.into_iter().map(|(refusal, count)| match refusal {
            ClientRefusal::Denied => format!("{count} denied"),
            ClientRefusal::NotAllowed => format!("{count} not allowed"),
            ClientRefusal::Rate => format!("{count} beyond the rate of a client"),
            ClientRefusal::Sessions => format!("{count} beyond the sessions of a client"),
        });
        let reasons: Vec<String> = reasons.collect();
        let last = shared
            .counters
            .iter()
            .filter_map(|it| it.last_refused.take());
        let last = last.last().map(|client| format!("; one was {client}"));
        let noun = if total == 1 {
            "connection"
        } else {
            "connections"
        };
        let (name, reasons) = (&frontend.name, reasons.join(", "));
        let last = last.unwrap_or_default();
        Some(format!(
            "frontend {name} refused {total} {noun}: {reasons}{last}"
        ))
    }
}

/// Connections to a frontend that all workers refused for this reason.
pub fn refused(frontend: &FrontendShared, refusal: ClientRefusal) -> u64 {
    let counters = frontend.counters.iter();
    counters
        .map(|worker| worker.refused[refusal.index()].get())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Algorithm, system_resolver};
    use crate::snapshot::Registry;

    #[test]
    fn one_line_tells_of_all_that_came_since_the_last() {
        let [listen, server] = ["127.0.0.1:0", "127.0.0.1:1"].map(|text| vec![text.to_owned()]);
        let config = Config::simple(&listen, Algorithm::First, &server, &system_resolver);
        let snapshot = Registry::new(2).snapshot(config.unwrap());
        let (frontend, shared) = (&snapshot.config.frontends[0], &snapshot.frontends[0]);
        let mut seen = Seen::default();
        assert_eq!(seen.line(frontend, shared), None);
        shared.counters[0].refused[ClientRefusal::Denied.index()].add(3);
        shared.counters[1].refused[ClientRefusal::Denied.index()].add(2);
        shared.counters[1].refused[ClientRefusal::Rate.index()].add(1);
        shared.counters[1]
            .last_refused
            .set("10.0.0.7".parse().unwrap());
        assert_eq!(
            seen.line(frontend, shared).unwrap(),
            "frontend tcp refused 6 connections: 5 denied, 1 beyond the rate of a client; \
             one was 10.0.0.7"
        );
        assert_eq!(seen.line(frontend, shared), None);
        shared.counters[0].refused[ClientRefusal::NotAllowed.index()].add(1);
        assert_eq!(
            seen.line(frontend, shared).unwrap(),
            "frontend tcp refused 1 connection: 1 not allowed"
        );
    }
}
