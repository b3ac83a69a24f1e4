//! Whether this process should get clients, and if not, why.

use super::State;
use crate::snapshot::ServerShared;

/// The reasons against it, one a line; empty: it is ready.
pub(super) fn reasons(state: &State) -> Vec<String> {
    if state.shared.is_stopping() {
        return vec!["stopping".to_owned()];
    }
    let active = state.active();
    let snapshot = &active.snapshot;
    let backends = snapshot.config.backends.iter().zip(&snapshot.backends);
    backends
        .filter(|(_, shared)| {
            let mut servers = shared.servers.iter();
            !servers.any(|server| takes_sessions(state, server))
        })
        .map(|(backend, _)| format!("backend {}: no usable server", backend.name))
        .collect()
}

/// Whether balancing may choose this server, others or not.
fn takes_sessions(state: &State, server: &ServerShared) -> bool {
    let status = (state.statuses)(server);
    status.usable && status.weight > 0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::config::{parse, system_resolver};
    use crate::control::Active;
    use crate::control::health::ServerStatus;
    use crate::shared::Shared;
    use crate::snapshot::Registry;

    /// Backends `a` and `b` with two servers each, usable with these weights or not at all.
    fn state(weights: [[Option<u32>; 2]; 2]) -> State {
        let text = r#"
            [frontend.f]
            listen = ["127.0.0.1:0"]
            backend = "a"
            [backend.a]
            servers = [{ name = "1", address = "[::1]:1" }, { name = "2", address = "[::1]:2" }]
            [backend.b]
            servers = [{ name = "1", address = "[::1]:1" }, { name = "2", address = "[::1]:2" }]
        "#;
        let config = parse("x.toml", text, &system_resolver).unwrap().config;
        let snapshot = Registry::new(0).snapshot(config);
        let shared = Arc::new(Shared::new(10, Vec::new()));
        let ids = [0, 1].map(|backend| [0, 1].map(|server| snapshot.server(backend, server).id));
        let weight = move |wanted: &ServerShared| {
            let mut all = ids.as_flattened().iter().zip(weights.as_flattened());
            all.find_map(|(id, weight)| (*id == wanted.id).then_some(*weight))
        };
        let status = move |server: &ServerShared| ServerStatus {
            operational: "up",
            admin: "ready",
            usable: weight(server).flatten().is_some(),
            weight: weight(server).flatten().unwrap_or(1),
            cause: String::new(),
            changed: SystemTime::UNIX_EPOCH,
            checks_passed: 0,
            checks_failed: 0,
            connects_failed: 0,
            downs: 0,
        };
        let bound = Vec::new();
        let (_, active) = tokio::sync::watch::channel(Arc::new(Active { snapshot, bound }));
        let reloader = crate::control::reload::Reloader::new(active.clone()).0;
        State::new(active, shared, Box::new(status), reloader)
    }

    #[test]
    fn every_backend_needs_a_server_that_balancing_may_choose() {
        let (up, light, down) = (Some(1), Some(0), None);
        let none = |backend: &str| format!("backend {backend}: no usable server");
        for (weights, expected) in [
            ([[up, up], [up, up]], vec![]),
            ([[up, down], [light, up]], vec![]),
            ([[up, up], [down, down]], vec![none("b")]),
            ([[light, down], [up, down]], vec![none("a")]),
            ([[light, light], [down, light]], vec![none("a"), none("b")]),
        ] {
            assert_eq!(reasons(&state(weights)), expected, "{weights:?}");
        }
    }

    #[test]
    fn stopping_is_reason_enough() {
        let state = state([[None; 2]; 2]);
        state.shared.mark_stopping();
        assert_eq!(reasons(&state), ["stopping"]);
    }
}
