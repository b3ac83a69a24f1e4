//! Carries commands out, by the same actions as the HTTP API.

use std::sync::Arc;
use std::time::SystemTime;

use super::super::access::Peer;
use super::super::context::Context;
use super::super::csv;
use super::super::document::Stats;
use super::super::rows::{Filter, rows};
use super::super::servers::close_sessions;
use super::command::{Command, Format, ServerRef, StatFilter, WEIGHT_MAX, Weight};
use super::{help, info, typed};
use crate::control::api::{AdminState, Attribution, ServerChange, Target};
use crate::snapshot::{Member, Snapshot};

/// Carries a command out and returns what is answered: nothing, if all went well and nothing was asked for.
pub async fn execute(context: &Context, peer: Peer, command: Command<'_>) -> String {
    let done = match command {
        Command::Stat(filter) => stat(context, filter),
        Command::Info(format) => Ok(info::info(&Stats::read(&context.state), format)),
        Command::ServersState(backend) => {
            let stats = Stats::read(&context.state);
            let state = info::servers_state(&stats, backend, SystemTime::now());
            state.ok_or_else(|| "Can't find backend.".to_owned())
        }
        Command::Errors => Ok(info::errors()),
        Command::Backends => {
            let snapshot = snapshot(context);
            let names = snapshot
                .config
                .backends
                .iter()
                .map(|it| format!("{}\n", it.name));
            Ok(format!("# name\n{}", names.collect::<String>()))
        }
        Command::Version => Ok(format!("{}\n", env!("CARGO_PKG_VERSION"))),
        Command::SetState(server, state) => change(context, peer, server, Some(state), None).await,
        Command::Enable(server) => enable(context, peer, server).await,
        Command::SetWeight(server, weight) => set_weight(context, peer, server, weight).await,
        Command::GetWeight(server) => find(&snapshot(context), server).map(|member| {
            let weight = (context.state.statuses)(&member.server).weight;
            format!("{weight} (initial {})\n", member.config.weight)
        }),
        Command::ShutdownSessions(server) => shutdown_sessions(context, peer, server).await,
        // The session answers the others of these itself.
        Command::Help | Command::Prompt | Command::Quit | Command::Timeout(_) => Ok(help::help()),
    };
    done.unwrap_or_else(|words| format!("{words}\n"))
}

fn snapshot(context: &Context) -> Arc<Snapshot> {
    Arc::clone(&context.state.active().snapshot)
}

fn stat(context: &Context, filter: StatFilter<'_>) -> Result<String, String> {
    let stats = Stats::read(&context.state);
    let wanted = Filter {
        proxy: filter.proxy,
        kinds: filter.kinds,
        server: filter.server,
        hidden: filter.hidden,
    };
    if wanted.names_nothing(&stats) {
        return Err("No such proxy.".to_owned());
    }
    match filter.format {
        Format::Plain => csv::text(&stats, &wanted).map_err(|error| error.to_string()),
        Format::Typed => Ok(typed::stat_typed(&rows(&stats, &wanted))),
        Format::Json => Ok(typed::stat_json(&rows(&stats, &wanted))),
    }
}

fn find(snapshot: &Snapshot, server: ServerRef<'_>) -> Result<Member, String> {
    let ServerRef { backend, server } = server;
    if let Some((_, member)) = snapshot.find(backend, server) {
        return Ok(member);
    }
    let mut backends = snapshot.config.backends.iter();
    Err(match backends.any(|it| it.name == backend) {
        true => "No such server.".to_owned(),
        false => "No such backend.".to_owned(),
    })
}

fn attribution(peer: Peer) -> Result<Attribution, String> {
    Attribution::now(format!("haproxy_socket, {peer}"), None)
}

/// Changes a server.
async fn change(
    context: &Context,
    peer: Peer,
    server: ServerRef<'_>,
    state: Option<AdminState>,
    weight: Option<u16>,
) -> Result<String, String> {
    let member = find(&snapshot(context), server)?;
    let target = Target {
        backend: server.backend,
        server: &member.config,
        shared: &member.server,
    };
    let change = ServerChange {
        state,
        weight,
        by: attribution(peer)?,
    };
    let warning = context.actions.set_server(&target, change).await?;
    Ok(warning.map_or_else(String::new, |warning| format!("{warning}\n")))
}

/// A server in maintenance is ready. One that drains goes on to, as with HAProxy.
async fn enable(context: &Context, peer: Peer, server: ServerRef<'_>) -> Result<String, String> {
    let member = find(&snapshot(context), server)?;
    match (context.state.statuses)(&member.server).admin {
        AdminState::Maint => change(context, peer, server, Some(AdminState::Ready), None).await,
        AdminState::Ready | AdminState::Drain => Ok(String::new()),
    }
}

async fn set_weight(
    context: &Context,
    peer: Peer,
    server: ServerRef<'_>,
    weight: Weight,
) -> Result<String, String> {
    let configured = find(&snapshot(context), server)?.config.weight;
    let weight = match weight {
        Weight::Absolute(weight) => weight,
        Weight::Percent(percent) => {
            let share = u64::from(configured) * u64::from(percent);
            // A part of a unit is one, as with HAProxy: only 0 % is nothing.
            let weight = share.div_ceil(100).min(WEIGHT_MAX.into());
            weight as u16
        }
    };
    change(context, peer, server, None, Some(weight)).await
}

async fn shutdown_sessions(
    context: &Context,
    peer: Peer,
    server: ServerRef<'_>,
) -> Result<String, String> {
    find(&snapshot(context), server)?;
    let by = attribution(peer)?;
    let name = (server.backend, server.server);
    let closed = close_sessions(&context.actions, name, &by).await;
    closed.map(|_| String::new()).map_err(|refusal| refusal.why)
}
