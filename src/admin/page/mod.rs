//! The stats page, at `/` and at `[admin] page`.
//!
//! It is complete without a script: the tables are filled in here. With one, the browser keeps it up to
//! date from `/api/v1/stats/stream` and `/api/v1/events`, and offers actions. The folder `frame` has
//! the frame, the style and the script; all of it is in the answer, and nothing else is asked for or
//! allowed. Who may not read gets the frame alone, which asks for a token.
//!
//! | Module | Concern |
//! | --- | --- |
//! | `table`, `columns` | the tables |
//! | `parts` | the head, the filter, the last changes |
//! | `value`, `format` | how values are written |

mod columns;
mod format;
mod parts;
mod table;
mod value;

use std::sync::LazyLock;
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
use parts::{Wanted, rates};
use table::Proxy;
use value::{View, list};

/// The frame, with the style and the script, in the form in which they are sent.
static FRAME: LazyLock<String> = LazyLock::new(|| {
    let [groups, labels, left_out] = columns::style();
    let style = include_str!("frame/style.css")
        .replace("@columns-that-begin-a-group", &groups)
        .replace("@labels-of-columns", &labels)
        .replace("@columns-that-small-screens-leave-out", &left_out);
    let style = compact(
        &style,
        &[
            ("; }", "}"),
            (" }", "}"),
            ("; ", ";"),
            (" { ", " {"),
            (", ", ","),
            (": ", ":"),
            (":#", ": #"),
        ],
    );
    let script = [
        include_str!("frame/format.js"),
        include_str!("frame/rows.js"),
        include_str!("frame/hour.js"),
        include_str!("frame/live.js"),
    ];
    let operators = [
        " => ", " = ", " === ", " !== ", " && ", " || ", " < ", " > ", " + ", " ? ", " : ", " - ",
        " * ", " / ", " % ", " ?? ", " ??= ", " ||= ", " += ",
    ];
    let without_spaces = operators.map(|operator| (operator, operator.trim()));
    let statements = [("if (", "if("), ("for (", "for("), (") {", "){")];
    [
        include_str!("frame/head.html").to_owned(),
        style,
        include_str!("frame/body.html").to_owned(),
        compact(
            &script.concat(),
            &[&without_spaces[..], &statements].concat(),
        ),
        include_str!("frame/end.html").to_owned(),
    ]
    .concat()
});

/// Without indentation, lines of comments, and what these pairs leave out.
fn compact(text: &str, shorter: &[(&str, &str)]) -> String {
    let lines = text.lines().map(str::trim_start);
    let lines = lines.filter(|line| !line.starts_with("//") && !line.is_empty());
    let text = lines.flat_map(|line| [line, "\n"]).collect();
    let shorten = |text: String, (long, short): &(&str, &str)| text.replace(long, short);
    shorter.iter().fold(text, shorten)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// The colours of the two themes, by name: as in `--name: #rrggbb;`.
    fn themes() -> [std::collections::HashMap<&'static str, [f64; 3]>; 2] {
        let channel = |text: &str| -> f64 {
            let value = f64::from(u8::from_str_radix(text, 16).unwrap()) / 255.0;
            // WCAG 2.2, relative luminance.
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        let mut roots = FRAME.split(":root {").skip(1);
        [(); 2].map(|()| {
            let (colours, _) = roots.next().unwrap().split_once('}').unwrap();
            let colours = colours.split(';').filter_map(|line| {
                let (name, colour) = line.trim().strip_prefix("--")?.split_once(": #")?;
                let channels = [0, 2, 4].map(|at| channel(&colour[at..at + 2]));
                Some((name, channels))
            });
            colours.collect()
        })
    }

    fn contrast(one: [f64; 3], two: [f64; 3]) -> f64 {
        let luminance = |[r, g, b]: [f64; 3]| 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
        let (one, two) = (luminance(one), luminance(two));
        one.max(two) / one.min(two)
    }

    #[test]
    fn every_text_can_be_read() {
        for theme in themes() {
            assert_eq!(theme.len(), 17, "{theme:?}");
            let colour = |name: &str| *theme.get(name).unwrap_or_else(|| panic!("no {name}"));
            let mut pairs = Vec::new();
            for ground in ["ground", "surface", "head"] {
                for text in ["ink", "quiet", "accent", "up", "down", "drain", "maint"] {
                    pairs.push((text.to_owned(), ground.to_owned()));
                }
            }
            for word in ["up", "down", "drain", "maint", "unknown"] {
                pairs.push((word.to_owned(), format!("{word}-ground")));
            }
            for (text, ground) in pairs {
                let contrast = contrast(colour(&text), colour(&ground));
                assert!(contrast >= 4.5, "{text} on {ground}: {contrast:.2}");
            }
        }
        assert!((contrast([0.0; 3], [1.0; 3]) - 21.0).abs() < 1e-9);
    }

    #[test]
    fn the_frame_is_small_and_has_all_its_places() {
        assert!(FRAME.len() < 40_000, "{}", FRAME.len());
        for (place, count) in [("{{nonce}}", 2), ("{{main}}", 1), ("{{", 3)] {
            assert_eq!(FRAME.matches(place).count(), count, "{place}");
        }
    }
}
