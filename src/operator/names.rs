//! Names that an operator gives, against those that the running process has.

use serde_json::Value;

use super::document::{list, word};
use super::output::Failure;
use crate::cli::ServerName;
use crate::near;

/// Where all names are.
const ALL: &str = "`ringway status`";

/// Names of the backends or frontends of the document of `/api/v1/stats`.
pub(super) fn of(stats: &Value, what: &str) -> Vec<String> {
    let objects = list(&stats[what]).iter();
    objects.map(|it| word(&it["name"]).to_owned()).collect()
}

/// The servers of all backends, each with its name.
pub(super) fn servers(stats: &Value) -> impl Iterator<Item = (ServerName, &Value)> {
    list(&stats["backends"]).iter().flat_map(|backend| {
        let servers = list(&backend["servers"]).iter();
        servers.map(move |server| {
            let name = ServerName {
                backend: word(&backend["name"]).to_owned(),
                server: word(&server["name"]).to_owned(),
            };
            (name, server)
        })
    })
}

/// Those of a backend that are not leaving: what is to go is not changed any more.
pub(super) fn staying(stats: &Value, backend: &str) -> Vec<ServerName> {
    servers(stats)
        .filter(|(name, server)| name.backend == backend && server["leaving"] != true)
        .map(|(name, _)| name)
        .collect()
}

/// Fails if there is no such backend.
pub(super) fn check_backend(stats: &Value, name: &str) -> Result<(), Failure> {
    check("backend", name, of(stats, "backends"))
}

/// Fails if there is no such frontend.
pub(super) fn check_frontend(stats: &Value, name: &str) -> Result<(), Failure> {
    check("frontend", name, of(stats, "frontends"))
}

/// Fails if there is no such server.
pub(super) fn check_server(stats: &Value, name: &ServerName) -> Result<(), Failure> {
    let names = servers(stats).map(|(name, _)| name.to_string());
    check("server", &name.to_string(), names.collect())
}

fn check(kind: &str, wanted: &str, names: Vec<String>) -> Result<(), Failure> {
    if names.iter().any(|name| name == wanted) {
        return Ok(());
    }
    let why = near::unknown(kind, wanted, names.into_iter(), ALL);
    Err(Failure::new(why))
}
