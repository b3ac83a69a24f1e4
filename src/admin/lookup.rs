//! Backends and servers by their names, with near names for those that are unknown.

use super::error::Refusal;
use crate::snapshot::{Member, Snapshot};

/// Names that are at least this near to one that is unknown are proposed for it.
const NEAR: f64 = 0.7;

/// Names that are proposed at most.
const NEAR_MAX: usize = 3;

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

/// Refuses a name that is none of these.
fn unknown(kind: &str, wanted: &str, names: impl Iterator<Item = String>) -> Refusal {
    let near = near(wanted, names);
    Refusal::not_found(match near.as_slice() {
        [] => format!("there is no {kind} {wanted}: /api/v1/stats has the names"),
        near => format!(
            "there is no {kind} {wanted}: did you mean {}?",
            near.join(" or ")
        ),
    })
}

/// The names that are most like this one, the most first.
fn near(wanted: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    let likeness = |name: &str| strsim::jaro_winkler(wanted, name);
    let mut names: Vec<(f64, String)> = names.map(|name| (likeness(&name), name)).collect();
    names.retain(|(likeness, _)| *likeness >= NEAR);
    names.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    names.truncate(NEAR_MAX);
    names.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_near_are_proposed() {
        let all = ["app/web1", "app/web2", "db/primary"].map(str::to_owned);
        let near = |wanted| near(wanted, all.clone().into_iter());
        assert_eq!(near("app/wbe1"), ["app/web1", "app/web2"]);
        assert_eq!(near("db/primray"), ["db/primary"]);
        assert_eq!(near("zzz/zzz"), Vec::<String>::new());
    }
}
