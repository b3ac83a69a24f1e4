//! Whether this process should get clients, and if not, why.

use super::State;

/// The reasons against it, one a line; empty: it is ready.
pub(super) fn reasons(state: &State) -> Vec<String> {
    if state.shared.is_stopping() {
        return vec!["stopping".to_owned()];
    }
    let backends = state.config.backends.iter().enumerate();
    backends
        .filter(|(index, backend)| {
            !(0..backend.servers.len()).any(|server| takes_sessions(state, *index, server))
        })
        .map(|(_, backend)| format!("backend {}: no usable server", backend.name))
        .collect()
}

/// Whether balancing may choose this server, others or not.
fn takes_sessions(state: &State, backend: usize, server: usize) -> bool {
    let status = (state.statuses)(backend, server);
    status.usable && status.weight > 0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::config::{parse, system_resolver};
    use crate::control::health::ServerStatus;
    use crate::shared::Shared;

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
        let config = Arc::new(parse("x.toml", text, &system_resolver).unwrap().config);
        let shared = Arc::new(Shared::new(&config, 10, Vec::new()));
        let status = move |backend: usize, server: usize| ServerStatus {
            operational: "up",
            admin: "ready",
            usable: weights[backend][server].is_some(),
            weight: weights[backend][server].unwrap_or(1),
            cause: String::new(),
            changed: SystemTime::UNIX_EPOCH,
            checks_passed: 0,
            checks_failed: 0,
            connects_failed: 0,
            downs: 0,
        };
        State::new(config, shared, Box::new(status), Vec::new())
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
