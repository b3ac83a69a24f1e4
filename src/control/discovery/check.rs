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

/// Asks once for the servers of every backend that discovers them. Returns sentences about those that cannot
/// be found now, which is no error, and about names that are probably not meant.
pub async fn check(config: &Config) -> Vec<String> {
    let system = System::new();
    let mut warnings = Vec::new();
    for backend in &config.backends {
        let Some(discover) = &backend.discover else {
            continue;
        };
        let found = tokio::time::timeout(WAIT_MAX, check_one(discover, &system)).await;
        let late = || Some(format!("there is no answer within {WAIT_MAX:?}"));
        let warning = found.unwrap_or_else(|_| late());
        warnings.extend(warning.map(|text| format!("backend {}: {text}", backend.name)));
    }
    warnings
}

async fn check_one(discover: &Discover, system: &System) -> Option<String> {
    let mut known = Known::default();
    let round = resolver::discover(discover, &known, system).await;
    let (found, failures) = known.update(round, discover.on_empty);
    if !failures.is_empty() {
        let query = &discover.query;
        let reason = reason(&failures);
        return Some(format!(
            "cannot discover servers by `{query}` now: {reason}; a running process asks again and again"
        ));
    }
    let only = only_address(discover, found.as_ref()?)?;
    let tasks = resolver::tasks_of(discover, system).await;
    virtual_address(&discover.query, only, &tasks)
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
