//! What the balancer says of its servers.

use std::collections::BTreeSet;

/// The names of the servers of the first backend that get new sessions and have passed a check, in a document of
/// `/api/v1/stats`. One that was not checked yet may be taken down by its first check.
pub fn usable(stats: &str) -> BTreeSet<String> {
    let stats: serde_json::Value = serde_json::from_str(stats).expect("JSON");
    let servers = stats["backends"][0]["servers"].as_array().expect("a list");
    let usable = servers.iter().filter(|server| {
        let has_passed = server["checks"]["passed"].as_u64() > Some(0);
        server["leaving"] != true && server["state"] == "up" && has_passed
    });
    usable
        .map(|server| server["name"].as_str().expect("text").to_owned())
        .collect()
}
