//! Operators' commands: they ask a running process over its admin listener, and print the answer.
//!
//! They are a program of their own inside the same binary: nothing here touches workers or the
//! control plane, and the only way to the process is HTTP.
//!
//! `target` finds the process, `client` asks it; the other modules are the commands. Their options are in
//! [`crate::cli`].

mod client;
mod clients;
mod complete;
mod document;
mod each_node;
mod events;
mod explain;
mod names;
mod nodes;
mod output;
mod path;
mod problems;
mod servers;
mod sessions;
mod status;
mod table;
mod target;
mod top;
mod upgrade;
mod why;

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use crate::cli::OperatorCommand as Command;
use client::{CLOSE_TIMEOUT, Client};
pub use complete::complete;
use output::{Failure, complain, say};

/// How long a reload may take: names are resolved, and every worker takes part.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(90);

/// Runs a command and prints its result. The exit status is 0 if it succeeded, else 1.
pub fn run(command: Command) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("this host has no means left: {error}")));
    // Boxed: `block_on` would hold two copies of its code.
    let done = runtime.and_then(|runtime| runtime.block_on(Box::pin(execute(command))));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // A report on a configuration says so itself.
            match failure.to_string() {
                report if report.starts_with("error: ") => complain(&report),
                sentence => complain(&format!("error: {sentence}")),
            }
            ExitCode::FAILURE
        }
    }
}

async fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::Status {
            process,
            part,
            json,
        } => status::show(&Client::new(&process)?, &part, json).await,
        Command::Top { process, interval } => top::run(&Client::new(&process)?, interval).await,
        Command::Drain(leave) => servers::leave("drain", leave).await,
        Command::Maint(leave) => servers::leave("maint", leave).await,
        Command::Ready(change) => servers::ready(change).await,
        Command::Weight { change, weight } => servers::set_weight(&change, weight).await,
        Command::Add {
            change,
            address,
            weight,
            max_sessions,
            backup,
        } => {
            let server = json!({
                "name": change.server.server, "address": address, "weight": weight,
                "max_sessions": max_sessions, "backup": backup, "reason": change.reason,
            });
            servers::add(&change, &server).await
        }
        Command::Remove { change, now } => servers::remove(&change, now).await,
        Command::Sessions {
            process,
            server,
            backend,
            frontend,
            client,
            limit,
            json,
        } => {
            let wanted = sessions::Wanted {
                server,
                backend,
                frontend,
                client,
                limit,
            };
            sessions::list(&Client::new(&process)?, &wanted, json).await
        }
        Command::Clients { process, top, json } => {
            clients::show(&Client::new(&process)?, top, json).await
        }
        Command::Kill {
            process,
            ids,
            server,
            client: address,
        } => {
            let client = Client::new(&process)?.patient(CLOSE_TIMEOUT);
            match (server, address) {
                (Some(server), _) => sessions::kill_of_server(&client, &server).await,
                (None, Some(address)) => sessions::kill_of_client(&client, address).await,
                (None, None) => sessions::kill(&client, &ids).await,
            }
        }
        Command::Reload { process } => {
            reload(&Client::new(&process)?.patient(RELOAD_TIMEOUT)).await
        }
        Command::Upgrade { process } => {
            upgrade::run(&Client::new(&process)?.patient(RELOAD_TIMEOUT)).await
        }
        Command::Healthcheck { process, ready } => {
            healthcheck(&Client::new(&process)?, ready).await
        }
        Command::Nodes {
            nodes,
            backends,
            token_file,
            json,
        } => nodes::show(&nodes, &backends, token_file.as_deref(), json).await,
        Command::Explain {
            process,
            client,
            frontend,
            cookie,
            sni,
            alpn,
            json,
        } => {
            let wanted = explain::Wanted {
                client,
                frontend,
                cookie,
                sni,
                alpn,
            };
            explain::show(&Client::new(&process)?, &wanted, json).await
        }
        Command::Why {
            process,
            server,
            json,
        } => why::show(&Client::new(&process)?, &server, json).await,
        Command::Events {
            process,
            no_follow,
            since,
            json,
        } => events::show(&Client::new(&process)?, since, no_follow, json).await,
    }
}

/// Succeeds if the process is alive, or `ready` for clients.
async fn healthcheck(client: &Client, ready: bool) -> Result<(), Failure> {
    let path = if ready { "/readyz" } else { "/healthz" };
    say(client.text(path).await?.trim_end())
}

async fn reload(client: &Client) -> Result<(), Failure> {
    let answer = client.post("/api/v1/reload", &json!({})).await?;
    let warnings = answer["warnings"].as_str().unwrap_or_default();
    if !warnings.is_empty() {
        complain(warnings);
    }
    say(&format!(
        "reloaded: version {} of the configuration is in use",
        answer["version"]
    ))
}
