//! The stats page, at `/` and at `[admin] page`.
//!
//! It is complete without a script: the tables are filled in here. With one, the browser keeps it up to
//! date from `/api/v1/stats/stream` and `/api/v1/events`, and offers actions. Frame, style and script are
//! all in the answer, and nothing else is asked for or allowed. Who may not read gets the frame alone, which asks for a token.
//!
//! | Module | Concern |
//! | --- | --- |
//! | `frame` | the frame, the style and the script |
//! | `table`, `columns` | the tables |
//! | `parts` | the head, the filter, the last changes |
//! | `value`, `format` | how values are written |

mod columns;
mod format;
mod frame;
mod parts;
mod table;
mod value;

use std::time::SystemTime;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{self, Extension, Query};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{Markup, html};
use serde_json::Value;

use super::access::Peer;
use super::context::Context;
use super::document::Stats;
use super::error::Refusal;
use super::history::Subject;
use frame::FRAME;
use parts::{Wanted, rates};
use table::Proxy;
use value::{View, list};

/// The routes.
pub(super) fn routes(context: &Context) -> Router<Context> {
    let mut router = Router::new().route("/", get(page));
    if let Some(path) = &context.page {
        router = router.route(path, get(page));
    }
    router
}

async fn page(
    extract::State(context): extract::State<Context>,
    Extension(peer): Extension<Peer>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(wanted) = wanted.map_err(|why| Refusal::bad_request(why.body_text()))?;
    let actions = match peer {
        Peer::Local { .. } => "open",
        Peer::Remote(_) if context.guard.takes_actions(peer) => "token",
        Peer::Remote(_) => "none",
    };
    let (status, main) = match context.guard.check_read(peer, &headers) {
        Ok(()) => (StatusCode::OK, tables(&context, &wanted, actions)),
        // Whoever has the token may call this host by any name, and the frame tells nothing.
        Err(Refusal {
            status: StatusCode::UNAUTHORIZED | StatusCode::MISDIRECTED_REQUEST,
            ..
        }) if actions == "token" => (StatusCode::UNAUTHORIZED, closed()),
        Err(refusal) => return Err(refusal),
    };
    let nonce = nonce()?;
    // The tables come last, so that nothing in them is taken for a placeholder.
    let body = FRAME
        .replace("{{nonce}}", &nonce)
        .replacen("{{main}}", &main.into_string(), 1);
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    let mut answer = (status, axum::response::Html(body)).into_response();
    let policy = HeaderValue::try_from(policy).map_err(|_| no_nonce())?;
    let mut set = |name: HeaderName, value| answer.headers_mut().insert(name, value);
    set(header::CONTENT_SECURITY_POLICY, policy);
    if status == StatusCode::UNAUTHORIZED {
        set(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    Ok(answer)
}

/// A random nonce for the content security policy of one response.
fn nonce() -> Result<String, Refusal> {
    let mut bytes = [0; 16];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    match filled {
        Ok(16) => Ok(format!("{:032x}", u128::from_ne_bytes(bytes))),
        Ok(_) | Err(_) => Err(no_nonce()),
    }
}

fn no_nonce() -> Refusal {
    let why = "the kernel has no random numbers: try again";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why)
}

/// For who may not read.
fn closed() -> Markup {
    html! {
        main {
            div.bar { h1 { "Ringway" } span id="live" role="status" { "needs a token" } }
            p { "What this page shows is for those who know the token of " code { "token_file" } "." }
        }
    }
}

fn tables(context: &Context, wanted: &Wanted, actions: &str) -> Markup {
    let state = &context.state;
    let stats = Stats::read(state);
    let servers = stats.backends.iter();
    let ids: Vec<Vec<u64>> = servers
        .map(|backend| backend.servers.iter().map(|server| server.id).collect())
        .collect();
    // What cannot be written as JSON is not in the document.
    let stats = serde_json::to_value(stats).unwrap_or_default();
    let view = View {
        now: SystemTime::now(),
        filter: (wanted.filter.as_deref())
            .unwrap_or_default()
            .trim()
            .to_lowercase(),
        only_problems: wanted.problems.is_some(),
    };
    let frontends: Vec<Proxy> = (list(&stats, "frontends").iter())
        .map(|object| {
            let name = object["name"].as_str().unwrap_or_default();
            Proxy {
                object,
                rates: vec![rates(state, &Subject::Frontend(name.to_owned()))],
            }
        })
        .collect();
    let backends = list(&stats, "backends").iter().zip(&ids);
    let backends = backends.map(|(object, ids)| Proxy {
        object,
        rates: (ids.iter())
            .map(|id| rates(state, &Subject::Server(*id)))
            .collect(),
    });
    let total = |worker: &Value| worker["sessions"]["total"].as_f64().unwrap_or_default();
    let workers = list(&stats, "workers");
    let all = workers.iter().map(total).sum::<f64>().max(1.0);
    let workers: Vec<_> = (workers.iter())
        .map(|worker| (worker, total(worker) / all))
        .collect();
    html! {
        main data-actions=(actions) {
            (parts::header(state, &stats, &view))
            (parts::problems(&stats, &view))
            (parts::tools(wanted, actions != "none"))
            div id="tables" {
                (table::frontends(&view, &frontends))
                (parts::routes(&stats, &view))
                @for proxy in backends { (table::backend(&view, &proxy)) }
                p.quiet id="none" role="status" hidden { }
            }
            (parts::refusals(&stats))
            (table::workers(&view, &workers))
            (parts::events(&context.actions.journal, &view))
            (table::templates(&view))
        }
    }
}
