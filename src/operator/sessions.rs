//! `ringway sessions` and `ringway kill`.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::client::Client;
use super::document::{list as items, number, word};
use super::names;
use super::output::{Failure, complain, say, say_json};
use super::path::{self, escaped};
use super::table::{Align, Table, bytes, millis};
use crate::cli::ServerName;

/// Which sessions.
pub(super) struct Wanted {
    pub server: Option<ServerName>,
    pub backend: Option<String>,
    pub frontend: Option<String>,
    pub client: Option<IpAddr>,
    pub limit: u32,
}

impl Wanted {
    fn path(&self) -> String {
        let mut path = format!("/api/v1/sessions?limit={}", self.limit);
        if let Some(name) = &self.server {
            let [backend, server] = [&name.backend, &name.server].map(|it| escaped(it));
            path += &format!("&backend={backend}&server={server}");
        }
        if let Some(backend) = &self.backend {
            path += &format!("&backend={backend}");
        }
        if let Some(frontend) = &self.frontend {
            path += &format!("&frontend={frontend}");
        }
        if let Some(client) = &self.client {
            path += &format!("&client={}", escaped(&client.to_string()));
        }
        path
    }
}

/// Prints them.
pub(super) async fn list(client: &Client, wanted: &Wanted, json: bool) -> Result<(), Failure> {
    let answer = client.get(&wanted.path()).await?;
    if json {
        return say_json(&answer);
    }
    let sessions = items(&answer["sessions"]);
    if sessions.is_empty() {
        check(client, wanted).await?;
        return say("no open session matches");
    }
    let mut lines = table(sessions).lines();
    let (shown, count) = (sessions.len() as u64, number(&answer["count"]));
    if shown < count {
        lines.push(format!("{shown} of {count} sessions; --limit shows more"));
    }
    say(&lines.join("\n"))
}

/// Fails if what is wanted has a name that is not there.
async fn check(client: &Client, wanted: &Wanted) -> Result<(), Failure> {
    let stats = client.get("/api/v1/stats").await?;
    if let Some(server) = &wanted.server {
        names::check_server(&stats, server)?;
    }
    if let Some(backend) = &wanted.backend {
        names::check_backend(&stats, backend)?;
    }
    match &wanted.frontend {
        Some(frontend) => names::check_frontend(&stats, frontend),
        None => Ok(()),
    }
}

fn table(sessions: &[Value]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("ID", Left),
        ("CLIENT", Left),
        ("FRONTEND", Left),
        ("SERVER", Left),
        ("STATE", Left),
        ("AGE", Right),
        ("IDLE", Right),
        ("IN", Right),
        ("OUT", Right),
    ]);
    for session in sessions {
        let server = session["server"].as_str().unwrap_or("-");
        table.row(vec![
            word(&session["id"]).to_owned(),
            session["client"].as_str().unwrap_or("-").to_owned(),
            word(&session["frontend"]).to_owned(),
            format!("{}/{server}", session["backend"].as_str().unwrap_or("-")),
            word(&session["state"]).to_owned(),
            millis(number(&session["age_ms"])),
            millis(number(&session["idle_ms"])),
            bytes(number(&session["bytes_from_client"])),
            bytes(number(&session["bytes_from_server"])),
        ]);
    }
    table
}

/// Closes all sessions of a server.
pub(super) async fn kill_of_server(client: &Client, name: &ServerName) -> Result<(), Failure> {
    let order = json!({ "close_sessions": true });
    let answer = client.post(&path::server(name), &order).await?;
    let closed = number(&answer["sessions_closed"]);
    say(&format!("{name}: sessions closed: {closed}"))
}

/// Closes all sessions of clients with this address.
pub(super) async fn kill_of_client(client: &Client, address: IpAddr) -> Result<(), Failure> {
    let shown = escaped(&address.to_string());
    let answer = client
        .delete(&format!("/api/v1/clients/{shown}/sessions"))
        .await?;
    match number(&answer["sessions_closed"]) {
        0 => Err(Failure::new(format!(
            "no session of {address} is open: `ringway sessions` lists those that are"
        ))),
        closed => say(&format!("{address}: sessions closed: {closed}")),
    }
}

/// Closes the sessions of these names.
pub(super) async fn kill(client: &Client, ids: &[String]) -> Result<(), Failure> {
    // Each is tried; what went wrong with the last that did is what the command ends with.
    let mut failure = None;
    for id in ids {
        match client.delete(&format!("/api/v1/sessions/{id}")).await {
            Ok(_) => say(&format!("session {id} closed"))?,
            Err(why) => {
                if let Some(earlier) = failure.replace(why) {
                    complain(&format!("error: {earlier}"));
                }
            }
        }
    }
    failure.map_or(Ok(()), Err)
}
