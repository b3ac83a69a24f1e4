//! Whether this process should get clients, and if not, why.

use super::state::State;

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
            let members = shared.members();
            let mut servers = members.servers().iter();
            !servers.any(|member| (state.statuses)(&member.server).balanced)
        })
        .map(|(backend, _)| {
            let name = &backend.name;
            let discovery = state.discovery.backend(name);
            match discovery {
                Some(status) if status.last_success.is_none() => {
                    format!("backend {name}: no server discovered yet")
                }
                Some(_) | None => format!("backend {name}: no usable server"),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::config::{parse, system_resolver};
    use crate::control::api::Active;
    use crate::control::api::ServerStatus;
    use crate::shared::Shared;
    use crate::snapshot::Registry;
    use crate::snapshot::ServerShared;

    /// Backends `a` and `b` with two servers each, which balancing may choose or not.
    fn state(balanced: [[bool; 2]; 2]) -> State {
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
        let is_balanced = move |wanted: &ServerShared| {
            let mut all = ids.as_flattened().iter().zip(balanced.as_flattened());
            all.any(|(id, balanced)| *id == wanted.id && *balanced)
        };
        let status = move |server: &ServerShared| ServerStatus {
            operational: crate::logic::health::OperationalState::Up,
            admin: crate::logic::health::AdminState::Ready,
            usable: true,
            balanced: is_balanced(server),
            weight: 1,
            by: None,
            cause: String::new(),
            changed: SystemTime::UNIX_EPOCH,
            ejected: false,
            ejections: 0,
            checks_passed: 0,
            checks_failed: 0,
            checks_failed_while_up: 0,
            connects_failed: 0,
            downs: 0,
            checked: None,
        };
        let bound = Vec::new();
        let (_, active) = tokio::sync::watch::channel(Arc::new(Active {
            snapshot,
            bound,
            listeners: Vec::new(),
        }));
        let reloader = crate::control::api::Reloader::new(active.clone()).0;
        State::new("epoll", active, shared, Box::new(status), reloader)
    }

    #[test]
    fn every_backend_needs_a_server_that_balancing_may_choose() {
        let (up, down) = (true, false);
        let none = |backend: &str| format!("backend {backend}: no usable server");
        for (balanced, expected) in [
            ([[up, up], [up, up]], vec![]),
            ([[up, down], [down, up]], vec![]),
            ([[up, up], [down, down]], vec![none("b")]),
            ([[down, down], [up, down]], vec![none("a")]),
            ([[down, down], [down, down]], vec![none("a"), none("b")]),
        ] {
            assert_eq!(reasons(&state(balanced)), expected, "{balanced:?}");
        }
    }

    #[test]
    fn stopping_is_reason_enough() {
        let state = state([[true; 2]; 2]);
        state.shared.mark_stopping();
        assert_eq!(reasons(&state), ["stopping"]);
    }
}
