//! Backends and servers by their names, with near names for those that are unknown.

use super::error::Refusal;
use crate::near;
use crate::snapshot::{Member, Snapshot};

/// The server of this name in the backend of this name.
pub(super) fn find_server(
    snapshot: &Snapshot,
    backend: &str,
    server: &str,
) -> Result<Member, Refusal> {
    let found = snapshot.find(backend, server);
    found.map(|(_, member)| member).ok_or_else(|| {
        let backends = snapshot.config.backends.iter().zip(&snapshot.backends);
        let all = backends.flat_map(|(backend, shared)| {
            let members = shared.members();
            let names = members.all().map(|member| member.server.name.as_str());
            let names = names.map(|server| format!("{}/{server}", backend.name));
            names.collect::<Vec<_>>()
        });
        let wanted = format!("{backend}/{server}");
        unknown("server", &wanted, all)
    })
}

/// Refuses the name of a backend.
pub(super) fn unknown_backend(snapshot: &Snapshot, backend: &str) -> Refusal {
    let backends = snapshot.config.backends.iter();
    unknown("backend", backend, backends.map(|it| it.name.clone()))
}

/// Refuses the name of a frontend.
pub(super) fn unknown_frontend(snapshot: &Snapshot, frontend: &str) -> Refusal {
    let frontends = snapshot.config.frontends.iter();
    unknown("frontend", frontend, frontends.map(|it| it.name.clone()))
}

/// Refuses a name that is none of these.
fn unknown(kind: &str, wanted: &str, names: impl Iterator<Item = String>) -> Refusal {
    Refusal::not_found(near::unknown(kind, wanted, names, "/api/v1/stats"))
}
