//! `ringway drain`, `maint`, `ready`, `weight`: the state of servers, and the wait for their last
//! session; on one process or, the first three, on several nodes. `ringway add`, `remove`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{CLOSE_TIMEOUT, Client};
use super::document::number;
use super::each_node::{Work, each_node};
use super::names;
use super::output::{Failure, complain, say};
use super::path;
use super::status::state;
use crate::cli::{Leave, ServerChange, ServerName, ServersChange};
use crate::config::format_duration;

/// How often the sessions that are left are looked at.
const PERIOD: Duration = Duration::from_millis(250);

/// Gives servers no new sessions, by this state, and waits for the end of the last one if that is
/// wanted.
pub(super) async fn leave(state: &'static str, leave: Leave) -> Result<(), Failure> {
    if leave.change.nodes.is_empty() {
        let client = Client::new(&leave.change.process)?.patient(CLOSE_TIMEOUT);
        return leave_on(&client, state, &leave).await;
    }
    let leave = Arc::new(leave);
    on_all(state, &leave.change, |client| {
        let leave = Arc::clone(&leave);
        Box::pin(async move {
            let client = match leave.close_sessions {
                true => client.patient(CLOSE_TIMEOUT),
                false => client,
            };
            leave_on(&client, state, &leave).await
        })
    })
    .await
}

async fn leave_on(client: &Client, state: &str, leave: &Leave) -> Result<(), Failure> {
    let change = &leave.change;
    let names = chosen(client, change).await?;
    let body = json!({
        "state": state, "reason": change.reason, "close_sessions": leave.close_sessions,
    });
    set_all(client, &names, &body).await?;
    if leave.wait {
        return wait(client, &names, leave.timeout).await;
    }
    Ok(())
}

/// Gives servers sessions again.
pub(super) async fn ready(change: ServersChange) -> Result<(), Failure> {
    if change.nodes.is_empty() {
        return ready_on(&Client::new(&change.process)?, &change).await;
    }
    let change = Arc::new(change);
    on_all("ready", &change, |client| {
        let change = Arc::clone(&change);
        Box::pin(async move { ready_on(&client, &change).await })
    })
    .await
}

async fn ready_on(client: &Client, change: &ServersChange) -> Result<(), Failure> {
    let names = chosen(client, change).await?;
    let body = json!({ "state": "ready", "reason": change.reason });
    set_all(client, &names, &body).await
}

/// Does it on each of the nodes that are named, and says where it failed.
async fn on_all(
    command: &str,
    change: &ServersChange,
    work: impl Fn(Client) -> Work<()>,
) -> Result<(), Failure> {
    let token_file = change.process.token_file.as_deref();
    let results = each_node(&change.nodes, token_file, work).await;
    let mut failed = Vec::new();
    for (node, result) in change.nodes.iter().zip(results) {
        if let Err(why) = result {
            complain(&format!("error: {}", why.of_node(node)));
            failed.push(node.as_str());
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{command} failed on {} of {} nodes: {}",
        failed.len(),
        change.nodes.len(),
        failed.join(", ")
    )))
}

/// The servers that are meant. Nothing is changed if one of them is not there.
async fn chosen(client: &Client, change: &ServersChange) -> Result<Vec<ServerName>, Failure> {
    // The process itself says what is wrong with a single one.
    if change.backends.is_empty() && change.servers.len() == 1 {
        return Ok(change.servers.clone());
    }
    let stats = client.get("/api/v1/stats").await?;
    let mut names: Vec<ServerName> = Vec::new();
    for server in &change.servers {
        names::check_server(&stats, server)?;
        names.push(server.clone());
    }
    for backend in &change.backends {
        names::check_backend(&stats, backend)?;
        let servers = names::staying(&stats, backend);
        if servers.is_empty() {
            return Err(Failure::new(format!("backend {backend} has no server")));
        }
        names.extend(servers);
    }
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.to_string()));
    Ok(names)
}

/// Changes each of them. What went wrong with the last that did is what the command ends with.
async fn set_all(client: &Client, names: &[ServerName], change: &Value) -> Result<(), Failure> {
    let mut failure = None;
    for name in names {
        if let Err(why) = set(client, name, change).await
            && let Some(earlier) = failure.replace(why)
        {
            complain(&format!("error: {}{earlier}", client.label()));
        }
    }
    failure.map_or(Ok(()), Err)
}

/// Sets the weight of a server.
pub(super) async fn set_weight(change: &ServerChange, weight: u16) -> Result<(), Failure> {
    let body = json!({ "weight": weight, "reason": change.reason });
    set(&Client::new(&change.process)?, &change.server, &body).await
}

async fn set(client: &Client, name: &ServerName, change: &Value) -> Result<(), Failure> {
    let server = client.post(&path::server(name), change).await?;
    tell(client, name, &server)
}

/// Adds a server as the body of the request has it.
pub(super) async fn add(change: &ServerChange, server: &Value) -> Result<(), Failure> {
    let client = Client::new(&change.process)?;
    let backend = path::escaped(&change.server.backend);
    let path = format!("/api/v1/backends/{backend}/servers");
    let server = client.post(&path, server).await?;
    tell(&client, &change.server, &server)
}

/// Removes a server that was added.
pub(super) async fn remove(change: &ServerChange, now: bool) -> Result<(), Failure> {
    let client = Client::new(&change.process)?.patient(CLOSE_TIMEOUT);
    let (path, reason) = (path::server(&change.server), path::escaped(&change.reason));
    let server = client
        .delete(&format!("{path}?now={now}&reason={reason}"))
        .await?;
    tell(&client, &change.server, &server)
}

/// Says how a server is after a change.
fn tell(client: &Client, name: &ServerName, server: &Value) -> Result<(), Failure> {
    let label = client.label();
    if let Some(closed) = server["sessions_closed"].as_u64() {
        say(&format!("{label}{name}: sessions closed: {closed}"))?;
    }
    if let Some(warning) = server["warning"].as_str() {
        complain(&format!("warning: {label}{warning}"));
    }
    say(&format!(
        "{label}{name} is {}, weight {}, sessions open: {}",
        state(server),
        number(&server["weight"]),
        number(&server["sessions"]["current"])
    ))
}

/// Says how many sessions are left whenever that changes, until none is.
async fn wait(client: &Client, names: &[ServerName], timeout: Duration) -> Result<(), Failure> {
    let deadline = Instant::now() + timeout;
    let mut said = vec![None; names.len()];
    loop {
        let stats = client.get("/api/v1/stats").await?;
        let mut open = Vec::new();
        for (name, said) in names.iter().zip(&mut said) {
            let left = sessions_left(&stats, name)?;
            if left > 0 {
                open.push((name, left));
            }
            if said.replace(left) == Some(left) {
                continue;
            }
            let label = client.label();
            say(&match left {
                0 => format!("{label}{name} has no session left"),
                left => format!("{label}{name}: sessions left: {left}"),
            })?;
        }
        if open.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(still_open(&open, timeout));
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Why the wait for these servers, with their sessions, ended too early.
fn still_open(open: &[(&ServerName, u64)], timeout: Duration) -> Failure {
    let after = format_duration(timeout);
    Failure::new(match open {
        [(name, left)] => format!(
            "sessions of {name} that are still open after {after}: {left}; `ringway sessions {name}` \
             lists them, `ringway kill --server {name}` closes them"
        ),
        _ => {
            let left: u64 = open.iter().map(|(_, left)| left).sum();
            let names: Vec<String> = open.iter().map(|(name, _)| name.to_string()).collect();
            format!(
                "sessions that are still open after {after}: {left}, of {}; `ringway sessions SERVER` \
                 lists them, `ringway kill --server SERVER` closes them",
                names.join(", ")
            )
        }
    })
}

fn sessions_left(stats: &Value, name: &ServerName) -> Result<u64, Failure> {
    let found = names::servers(stats).find(|(known, _)| known == name);
    // One that a reload took away has sessions all the same, but nobody can wait for them here.
    let gone = || Failure::new(format!("there is no server {name} any more"));
    let (_, server) = found.ok_or_else(gone)?;
    Ok(number(&server["sessions"]["current"]))
}
