//! `/api/v1/explain`: which rules a new connection of a client would meet, and which server it would get.
//!
//! It asks the same functions that the workers ask, and changes nothing: no place is taken, nothing is counted, and no
//! turn of an algorithm is used.

mod servers;
mod step;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{self, Query};
use axum::routing::get;
use axum::{Json, Router};
use rustix::time::{ClockId, clock_gettime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::error::Refusal;
use super::lookup::unknown_frontend;
use super::state::State;
use crate::config::{AddressList, Backend, Frontend, Mode};
use crate::logic::client_limits::{ClientRefusal, check_lists};
use crate::logic::network::Networks;
use crate::logic::time::Instant;
use crate::logic::tls::RouteTable;
use crate::snapshot::{FrontendShared, Snapshot};
use crate::sync::SessionLimit;
use servers::{Choice, ExplainedServer};
use step::{Effect, Step, Steps};

/// The routes.
pub(super) fn routes(context: &Context) -> Router<Context> {
    Router::new().route("/api/v1/explain", context.guard.reads(get(explain)))
}

/// What may stand behind the question mark.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The address of the client.
    client: IpAddr,
    /// The frontend that it connects to; it may be left out if there is only one.
    frontend: Option<String>,
    /// The value of the sticky cookie that it sends; without it, none.
    cookie: Option<String>,
    /// The name that its ClientHello asks for (SNI); without it, none.
    sni: Option<String>,
    /// The protocols that its ClientHello offers (ALPN), separated by commas; without it, none.
    alpn: Option<String>,
}

/// What a new connection of a client would meet, now.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Explanation {
    /// The frontend.
    frontend: String,
    /// The address of the client.
    client: IpAddr,
    /// The outcome in a sentence.
    verdict: String,
    /// The rules in the order in which they are asked; the last one has decided.
    steps: Vec<Step>,
    /// The backend that the connection would be given to; null: none.
    backend: Option<String>,
    /// What would become of each server of the backend; empty: the connection does not come so far.
    servers: Vec<ExplainedServer>,
}

async fn explain(
    extract::State(state): extract::State<Arc<State>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Explanation>, Refusal> {
    let Query(wanted) = wanted.map_err(|why| Refusal::bad_request(why.body_text()))?;
    let snapshot = Arc::clone(&state.active().snapshot);
    let index = find_frontend(&snapshot, wanted.frontend.as_deref())?;
    Ok(Json(Case::new(&state, &snapshot, index, &wanted).explain()))
}

/// The index of the frontend of this name, or of the only one.
fn find_frontend(snapshot: &Snapshot, name: Option<&str>) -> Result<usize, Refusal> {
    let frontends = &snapshot.config.frontends;
    match (name, frontends.as_slice()) {
        (None, [_]) => Ok(0),
        (None, _) => {
            let names: Vec<&str> = frontends.iter().map(|it| it.name.as_str()).collect();
            Err(Refusal::bad_request(format!(
                "there are several frontends: name one of {}",
                names.join(", ")
            )))
        }
        (Some(name), _) => {
            let index = frontends.iter().position(|it| it.name == name);
            index.ok_or_else(|| unknown_frontend(snapshot, name))
        }
    }
}

/// A connection that is explained.
struct Case<'a> {
    state: &'a State,
    snapshot: &'a Snapshot,
    frontend: &'a Frontend,
    shared: &'a FrontendShared,
    client: IpAddr,
    cookie: Option<&'a str>,
    sni: Option<&'a str>,
    alpn: Option<&'a str>,
    steps: Steps,
}

impl<'a> Case<'a> {
    fn new(state: &'a State, snapshot: &'a Snapshot, frontend: usize, wanted: &'a Wanted) -> Self {
        Case {
            state,
            snapshot,
            frontend: &snapshot.config.frontends[frontend],
            shared: &snapshot.frontends[frontend],
            client: wanted.client.to_canonical(),
            cookie: wanted.cookie.as_deref(),
            sni: wanted.sni.as_deref(),
            alpn: wanted.alpn.as_deref(),
            steps: Steps::default(),
        }
    }

    /// Asks one rule after the other, until one decides.
    fn explain(mut self) -> Explanation {
        let mut backend = None;
        let mut servers = Vec::new();
        if self.limits() != Effect::Wait {
            self.proxy();
            if self.lists() == Effect::Pass
                && self.client_limits() == Effect::Pass
                && let Some(index) = self.find_backend()
            {
                backend = Some(self.backend(index).name.clone());
                servers = self.choose(index);
            }
        }
        let steps = self.steps.into_list();
        let verdict = steps.last().map(|step| step.text.clone());
        Explanation {
            frontend: self.frontend.name.clone(),
            client: self.client,
            verdict: verdict.unwrap_or_default(),
            steps,
            backend,
            servers,
        }
    }

    /// The index of the backend that its ClientHello leads to, or that of the frontend.
    fn find_backend(&mut self) -> Option<usize> {
        let Frontend { name, mode, .. } = self.frontend;
        if !matches!(mode, Mode::Tls(_)) {
            if self.sni.or(self.alpn).is_some() {
                let text = format!(
                    "frontend {name} has mode = \"{}\": no ClientHello is looked at",
                    mode.as_str()
                );
                self.steps.add("mode", Effect::Pass, text);
            }
            return self.frontend.backend;
        }
        let routes = &self.frontend.routes;
        let table = RouteTable::new(routes.iter().map(|route| route.conditions.clone()));
        let protocols = self.alpn.into_iter().flat_map(|all| all.split(','));
        let protocols = protocols.map(|protocol| protocol.trim().as_bytes());
        let found = table.find(self.sni, protocols);
        if let Some(found) = found {
            let route = &routes[found.index];
            let by = found.name.map(|name| format!(", by its name {name}"));
            let text = format!(
                "route {} (`{route}`) leads to backend {}{}",
                found.index + 1,
                self.backend(route.backend).name,
                by.unwrap_or_default()
            );
            self.steps.add("routes", Effect::Pass, text);
            return Some(route.backend);
        }
        match self.frontend.backend {
            Some(backend) => {
                let other = &self.backend(backend).name;
                let text = format!("no route matches: backend {other} is for all others");
                self.steps.add("routes", Effect::Pass, text);
            }
            None => {
                let text = format!(
                    "no route of frontend {name} matches: the connection is closed with the alert unrecognized_name"
                );
                self.steps.add("routes", Effect::Refuse, text);
            }
        }
        self.frontend.backend
    }

    fn backend(&self, index: usize) -> &'a Backend {
        &self.snapshot.config.backends[index]
    }

    /// Which server of the backend it would get.
    fn choose(&mut self, backend: usize) -> Vec<ExplainedServer> {
        let mut cookie = self.cookie;
        let mode = &self.frontend.mode;
        if !matches!(mode, Mode::Http(_)) && cookie.take().is_some() {
            let text = format!(
                "frontend {} has mode = \"{}\": no cookie is looked at",
                self.frontend.name,
                mode.as_str()
            );
            self.steps.add("mode", Effect::Pass, text);
        }
        let choice = Choice {
            state: self.state,
            backend: self.backend(backend),
            shared: &self.snapshot.backends[backend],
            client: self.client,
            cookie,
        };
        choice.explain(&mut self.steps)
    }

    /// The limits of all connections.
    fn limits(&mut self) -> Effect {
        let process = &self.state.shared.session_limit;
        let name = &self.frontend.name;
        let of_frontend = format!("frontend {name}");
        for (limit, of) in [
            (process, "the process"),
            (&self.shared.session_limit, of_frontend.as_str()),
        ] {
            let Some(max) = limit.max() else { continue };
            let used = limit.used();
            if is_full(limit) {
                let text = format!(
                    "{of} has {used} of {max} sessions: the connection waits until one ends"
                );
                return self.steps.add("max_sessions", Effect::Wait, text);
            }
            let text = format!("{of} has {used} of {max} sessions");
            self.steps.add("max_sessions", Effect::Pass, text);
        }
        Effect::Pass
    }

    fn proxy(&mut self) {
        let Some(rules) = &self.frontend.accept_proxy else {
            return;
        };
        let client = self.client;
        let senders: Networks = rules.from.iter().copied().collect();
        let text = if !senders.contains(client) {
            format!("{client} is not in `from`: a PROXY header of it is data")
        } else {
            let else_refused = if rules.required {
                ", and without one the connection is closed"
            } else {
                ""
            };
            format!(
                "{client} is in `from`: its PROXY header says who the client is{else_refused}; the rest is for a \
                 client with this address"
            )
        };
        self.steps.add("accept_proxy", Effect::Pass, text);
    }

    fn lists(&mut self) -> Effect {
        let networks = |list: &'a Option<AddressList>| Some(&*list.as_ref()?.networks);
        let (allow, deny) = (
            networks(&self.frontend.allow),
            networks(&self.frontend.deny),
        );
        let client = self.client;
        let decided = check_lists(allow, deny, Some(client));
        let reset = "the connection is reset";
        match decided {
            Err(ClientRefusal::Denied) => self.steps.add(
                "deny",
                Effect::Refuse,
                format!("`deny` has {client}: {reset}"),
            ),
            Err(_) => {
                let text = format!("`allow` does not have {client}: {reset}");
                self.steps.add("allow", Effect::Refuse, text)
            }
            Ok(()) => {
                if deny.is_some() {
                    let text = format!("`deny` does not have {client}");
                    self.steps.add("deny", Effect::Pass, text);
                }
                if allow.is_some() {
                    self.steps
                        .add("allow", Effect::Pass, format!("`allow` has {client}"));
                }
                Effect::Pass
            }
        }
    }

    fn client_limits(&mut self) -> Effect {
        let Some(limits) = self.frontend.per_client.as_ref().map(|it| it.limits()) else {
            return Effect::Pass;
        };
        let clients = &self.state.shared.clients;
        let (open, decided) = clients.look(self.shared.id, self.client, &limits, now());
        let counted = limits.client(self.client);
        let has = match limits.sessions_max {
            Some(max) => format!("{counted} has {open} of {max} sessions"),
            None => format!("{counted} has {open} sessions"),
        };
        match decided {
            Ok(()) => self.steps.add(
                "per_client",
                Effect::Pass,
                format!("{has}: one more may begin"),
            ),
            Err(ClientRefusal::Rate) => {
                let text =
                    format!("{has}, and begins them faster than `rate`: the connection is reset");
                self.steps.add("per_client", Effect::Refuse, text)
            }
            Err(_) => {
                let text = format!("{has}: the connection is reset");
                self.steps.add("per_client", Effect::Refuse, text)
            }
        }
    }
}

fn is_full(limit: &SessionLimit) -> bool {
    limit.max().is_some_and(|max| limit.used() >= max)
}

/// The clock of the workers.
fn now() -> Instant {
    let now = clock_gettime(ClockId::Monotonic);
    Instant::from_nanos(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}
