//! `ringway drain`, `ready`, `maint`, `weight`: the state of a server, and the wait for its last
//! session; `ringway add`, `remove`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{CLOSE_TIMEOUT, Client};
use super::output::{Failure, complain, say};
use super::path;
use super::status::{list, number, state, word};
use crate::cli::{Leave, ServerChange, ServerName};
use crate::config::format_duration;

/// How often the sessions that are left are looked at.
const PERIOD: Duration = Duration::from_millis(250);

/// Gives a server no new sessions, by this state, and waits for the end of the last one if that is
/// wanted.
pub(super) async fn leave(state: &str, leave: &Leave) -> Result<(), Failure> {
    let change = &leave.change;
    let client = Client::new(&change.process)?.patient(CLOSE_TIMEOUT);
    let body = json!({
        "state": state, "reason": change.reason, "close_sessions": leave.close_sessions,
    });
    set(&client, &change.server, &body).await?;
    if leave.wait {
        return wait(&client, &change.server, leave.timeout).await;
    }
    Ok(())
}

/// Gives a server sessions again.
pub(super) async fn ready(change: &ServerChange) -> Result<(), Failure> {
    let body = json!({ "state": "ready", "reason": change.reason });
    set(&Client::new(&change.process)?, &change.server, &body).await
}

/// Sets the weight of a server.
pub(super) async fn set_weight(change: &ServerChange, weight: u16) -> Result<(), Failure> {
    let body = json!({ "weight": weight, "reason": change.reason });
    set(&Client::new(&change.process)?, &change.server, &body).await
}

async fn set(client: &Client, name: &ServerName, change: &Value) -> Result<(), Failure> {
    let server = client.post(&path::server(name), change).await?;
    tell(name, &server)
}

/// Adds a server as the body of the request has it.
pub(super) async fn add(change: &ServerChange, server: &Value) -> Result<(), Failure> {
    let client = Client::new(&change.process)?;
    let backend = path::escaped(&change.server.backend);
    let path = format!("/api/v1/backends/{backend}/servers");
    tell(&change.server, &client.post(&path, server).await?)
}

/// Removes a server that was added.
pub(super) async fn remove(change: &ServerChange, now: bool) -> Result<(), Failure> {
    let client = Client::new(&change.process)?.patient(CLOSE_TIMEOUT);
    let (path, reason) = (path::server(&change.server), path::escaped(&change.reason));
    let server = client
        .delete(&format!("{path}?now={now}&reason={reason}"))
        .await?;
    tell(&change.server, &server)
}

/// Says how a server is after a change.
fn tell(name: &ServerName, server: &Value) -> Result<(), Failure> {
    if let Some(closed) = server["sessions_closed"].as_u64() {
        say(&format!("{name}: sessions closed: {closed}"))?;
    }
    if let Some(warning) = server["warning"].as_str() {
        complain(&format!("warning: {warning}"));
    }
    say(&format!(
        "{name} is {}, weight {}, sessions open: {}",
        state(server),
        number(&server["weight"]),
        number(&server["sessions"]["current"])
    ))
}

/// Says how many sessions are left whenever that changes, until none is.
async fn wait(client: &Client, name: &ServerName, timeout: Duration) -> Result<(), Failure> {
    let deadline = Instant::now() + timeout;
    let mut said = None;
    loop {
        let left = sessions_left(client, name).await?;
        if left == 0 {
            return say(&format!("{name} has no session left"));
        }
        if said != Some(left) {
            say(&format!("{name}: sessions left: {left}"))?;
            said = Some(left);
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(format!(
                "sessions of {name} that are still open after {}: {left}; `ringway sessions {name}` \
                 lists them, `ringway kill --server {name}` closes them",
                format_duration(timeout)
            )));
        }
        tokio::time::sleep(PERIOD).await;
    }
}

async fn sessions_left(client: &Client, name: &ServerName) -> Result<u64, Failure> {
    let stats = client.get("/api/v1/stats").await?;
    let mut backends = list(&stats["backends"]).iter();
    let server = backends
        .find(|backend| word(&backend["name"]) == name.backend)
        .and_then(|backend| {
            let mut servers = list(&backend["servers"]).iter();
            servers.find(|server| word(&server["name"]) == name.server)
        });
    // One that a reload took away has sessions all the same, but nobody can wait for them here.
    let gone = || Failure::new(format!("there is no server {name} any more"));
    Ok(number(&server.ok_or_else(gone)?["sessions"]["current"]))
}
