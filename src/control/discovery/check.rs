//! What `ringway check` says of discovery: it asks once.

use std::net::IpAddr;
use std::time::Duration;

use super::found::{Known, Servers};
use super::notice::{reason, virtual_address};
use super::resolver;
use super::system::System;
use crate::config::{Config, Discover, DiscoverQuery};

/// How long all answers together are waited for.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// What was found, in sentences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many servers each backend has now.
    pub found: Vec<String>,
    /// What cannot be found now, which is no error, and names that are probably not meant.
    pub warnings: Vec<String>,
}

/// Asks once for the servers of every backend that discovers them.
pub async fn check(config: &Config) -> Checked {
    let system = System::new();
    let mut checked = Checked::default();
    for backend in &config.backends {
        let Some(discover) = &backend.discover else {
            continue;
        };
        let found = tokio::time::timeout(WAIT_MAX, check_one(discover, &system)).await;
        let late = || {
            (
                None,
                Some(format!("there is no answer within {WAIT_MAX:?}")),
            )
        };
        let (count, warning) = found.unwrap_or_else(|_| late());
        let of_backend = |text| format!("backend {}: {text}", backend.name);
        checked.warnings.extend(warning.map(of_backend));
        let count = count.map(|count| match count {
            1 => format!("1 server by `{}`", discover.query),
            _ => format!("{count} servers by `{}`", discover.query),
        });
        checked.found.extend(count.map(of_backend));
    }
    checked
}

/// How many servers there are, if that is known, and a warning.
async fn check_one(discover: &Discover, system: &System) -> (Option<usize>, Option<String>) {
    let mut known = Known::default();
    let round = resolver::discover(discover, &known, system).await;
    let (found, failures) = known.update(round, discover.on_empty);
    if !failures.is_empty() {
        let query = &discover.query;
        let reason = reason(&failures);
        let why = format!(
            "cannot discover servers by `{query}` now: {reason}; a running process asks again and again"
        );
        return (None, Some(why));
    }
    let count = found.as_ref().map(|servers| servers.len());
    let only = found.and_then(|servers| only_address(discover, &servers));
    let Some(only) = only else {
        return (count, None);
    };
    let tasks = resolver::tasks_of(discover, system).await;
    (count, virtual_address(&discover.query, only, &tasks))
}

/// The one address of a name, if that could be a virtual one of Swarm.
pub fn only_address(discover: &Discover, servers: &Servers) -> Option<IpAddr> {
    let mut servers = servers.keys();
    let (Some(only), None) = (servers.next(), servers.next()) else {
        return None;
    };
    match &discover.query {
        DiscoverQuery::Addresses { name, .. } if !name.starts_with("tasks.") => Some(only.ip()),
        DiscoverQuery::Addresses { .. } | DiscoverQuery::Services { .. } => None,
    }
}
