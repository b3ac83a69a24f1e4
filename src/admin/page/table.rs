//! The tables: one for each frontend and backend, one for the workers.
//!
//! `columns` says what is in them; a column is described there for the server and the script.

use maud::{Markup, html};
use serde_json::Value;

use super::columns::{Column, Group, Of, QUEUE, RATES, SERVER, TIMES, TRAFFIC, head};
use super::format::NONE;
use super::value::{Kind, View};

/// A frontend, a server or a backend.
struct Row<'a> {
    of: Of,
    /// As the script names it.
    key: String,
    name: &'a str,
    /// Under the name.
    detail: String,
    object: &'a Value,
    /// Sessions a second in the last minutes, for the line.
    rates: Option<String>,
}

impl Row<'_> {
    fn status(&self) -> &str {
        self.object["status"].as_str().unwrap_or_default()
    }

    /// What the filter looks at.
    fn words(&self) -> String {
        format!("{} {}", self.key, self.detail).to_lowercase()
    }

    fn render(&self, view: &View, hidden: bool, class: &str) -> Markup {
        let group = |group: &Group| {
            html! {
                @for (index, column) in group.columns.iter().enumerate() {
                    (self.cell(view, column, if index == 0 { "first" } else { "" }))
                }
            }
        };
        let rest = |group: &Group| html! { @for column in group.columns { (self.cell(view, column, "")) } };
        html! {
            tr class=(class) data-row=(self.key) data-status=(self.status())
                data-find=[class.is_empty().then(|| self.words())] hidden[hidden]
            {
                th scope="row" title=(self.name) { (self.name) small title=(self.detail) { (self.detail) } }
                (group(&QUEUE)) (group(&RATES))
                td.spark data-label="5 minutes" {
                    @if let Some(rates) = &self.rates {
                        svg.line viewBox="0 0 59 20" preserveAspectRatio="none" aria-hidden="true"
                            data-r="/sessions/rate" data-points=(rates) { polyline points=(points(rates)) {} }
                    }
                }
                @for some in &TRAFFIC { (group(some)) }
                td.status.first.left {
                    span.word data-v="/status" data-k="text" { (self.status()) }
                    (view.small(self.object, "/since", Kind::Since))
                }
                td.check.left data-label=[matches!(self.of, Of::Server).then_some("Last check")] {
                    @if let Of::Server = self.of {
                        @let reason = self.object["reason"].as_str().unwrap_or_default();
                        span title=(reason) data-v="/reason" data-k="text" data-none="" { (reason) }
                        (view.small(self.object, "/checks/last", Kind::Ago))
                    }
                }
                (rest(&SERVER))
                @for some in &TIMES { (group(some)) }
                td.acts.left {
                    @if let Of::Server = self.of { (self.actions(view)) }
                }
            }
        }
    }

    fn cell(&self, view: &View, column: &Column, class: &str) -> Markup {
        let path = column.paths[self.of as usize];
        if path.is_empty() {
            return html! { td class=(class) {} };
        }
        let value = self.object.pointer(path).unwrap_or(&Value::Null);
        let text = column.kind.write(value, view.now);
        let minor = if column.label.is_empty() { "minor" } else { "" };
        html! {
            td.(class).(minor) data-label=(column.label) data-v=(path) data-k=(column.kind.as_str()) {
                (text.as_deref().unwrap_or(NONE))
            }
        }
    }

    fn actions(&self, view: &View) -> Markup {
        let is = |state: &str| self.object["admin_state"] == *state;
        html! {
            span.set role="group" aria-label={ "State of " (self.name) } {
                @for state in ["ready", "drain", "maint"] {
                    button type="button" value=(state) aria-pressed=(is(state)) { (state) }
                }
            }
            " " (view.small(self.object, "", Kind::Left))
        }
    }
}

/// A frontend, a server or a backend with its history.
pub(super) struct Proxy<'a> {
    pub object: &'a Value,
    /// Rates of new sessions, the oldest first: of a frontend, or of each server.
    pub rates: Vec<String>,
}

/// The table of a frontend.
pub(super) fn frontend(view: &View, proxy: &Proxy) -> Markup {
    let name = text(proxy.object, "name");
    let listen = proxy.object["listen"].as_array().into_iter().flatten();
    let listen: Vec<&str> = listen.filter_map(Value::as_str).collect();
    let row = Row {
        of: Of::Frontend,
        key: format!("frontend {name}"),
        name,
        detail: format!(
            "{}, {} to {}",
            listen.join(" "),
            text(proxy.object, "mode"),
            text(proxy.object, "backend")
        ),
        object: proxy.object,
        rates: proxy.rates.first().cloned(),
    };
    let heading = html! { h2.sr id={ "frontend-" (name) } { "Frontend " (name) } };
    section(view, "frontend", name, &heading, &[row], None)
}

/// The table of a backend.
pub(super) fn backend(view: &View, proxy: &Proxy) -> Markup {
    let name = text(proxy.object, "name");
    let servers = proxy.object["servers"].as_array().into_iter().flatten();
    let rows: Vec<Row> = (servers.zip(&proxy.rates))
        .map(|(server, rates)| Row {
            of: Of::Server,
            key: format!("server {name} {}", text(server, "name")),
            name: text(server, "name"),
            detail: text(server, "address").to_owned(),
            object: server,
            rates: Some(rates.clone()),
        })
        .collect();
    let sum = Row {
        of: Of::Backend,
        key: format!("backend {name}"),
        name: "Backend",
        detail: String::new(),
        object: proxy.object,
        rates: None,
    };
    let heading = html! {
        h2 id={ "backend-" (name) } { small { "Backend" } " " (name) " " small { (text(proxy.object, "balance")) } }
        @if proxy.object["discovery"].is_object() {
            p.quiet data-row={ "discovery " (name) } { (view.small(proxy.object, "/discovery", Kind::Discovery)) }
        }
    };
    section(view, "backend", name, &heading, &rows, Some(&sum))
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

/// Rows under a heading; nothing of it is seen while none of them is.
fn section(
    view: &View,
    what: &str,
    name: &str,
    heading: &Markup,
    rows: &[Row],
    sum: Option<&Row>,
) -> Markup {
    let hidden = |row: &Row| !view.shows(&row.words(), row.status());
    let none = rows.iter().all(hidden);
    let id = format!("{what}-{name}");
    html! {
        section.proxy.(what) data-proxy hidden[none] aria-labelledby=(id) {
            (heading)
            div.scroll tabindex="0" role="region" aria-labelledby=(id) {
                table {
                    (head())
                    tbody {
                        @for row in rows { (row.render(view, hidden(row), "")) }
                        @if let Some(sum) = sum { (sum.render(view, none, "sum")) }
                    }
                }
            }
        }
    }
}

/// The table of the workers. `share` is how many of all sessions each began, from 0 to 1.
pub(super) fn workers(view: &View, workers: &[(&Value, f64)]) -> Markup {
    let columns = [
        ("Sessions", "/sessions/current", Kind::Count),
        ("Total", "/sessions/total", Kind::Count),
        ("Bytes in", "/bytes_from_clients", Kind::Bytes),
        ("Bytes out", "/bytes_from_servers", Kind::Bytes),
        ("Failed connects", "/connect_failures", Kind::Count),
        ("Retries", "/retries", Kind::Count),
        ("Shortages", "/shortages", Kind::Count),
        ("Log lines dropped", "/log_lines_dropped", Kind::Count),
    ];
    // Nobody wants to see them while they are what they should be.
    let if_any = [
        ("Buffer misses", "/buffer_misses", Kind::Count),
        ("Stale completions", "/stale_completions", Kind::Count),
    ];
    let any = |path: &str| {
        let counts = workers.iter().map(|(worker, _)| worker.pointer(path));
        counts.flatten().any(|count| count.as_u64() != Some(0))
    };
    let shown = if_any.into_iter().filter(|(_, path, _)| any(path));
    let columns: Vec<_> = columns.into_iter().chain(shown).collect();
    html! {
        section.workers aria-labelledby="workers" {
            h2 id="workers" { "Workers" small { "how sessions are spread over them" } }
            div.scroll tabindex="0" role="region" aria-labelledby="workers" {
                table {
                    thead { tr {
                        th scope="col" { "Worker" } th scope="col" colspan="2" { "Share of all sessions" }
                        @for (head, _, _) in &columns { th scope="col" { (head) } }
                    } }
                    tbody {
                        @for (worker, share) in workers {
                            @let index = worker["index"].as_u64().unwrap_or_default();
                            tr data-row={ "worker " (index) } {
                                th scope="row" { (index) }
                                td { meter min="0" max="1" value=(share) data-m="/share" aria-label={ "Share of worker " (index) } {} }
                                td data-label="Share" data-v="/share" data-k="percent" {
                                    (Kind::Percent.write(&Value::from(*share), view.now).unwrap_or_default())
                                }
                                @for (head, path, kind) in &columns {
                                    td data-label=(head) data-v=(path) data-k=(kind.as_str()) {
                                        (worker.pointer(path).and_then(|value| kind.write(value, view.now)).as_deref().unwrap_or(NONE))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The sparkline of these rates: 60 points, the newest at the right, scaled to the largest.
pub(super) fn points(rates: &str) -> String {
    const PLACES: usize = 60;
    let rates: Vec<f64> = rates
        .split(' ')
        .filter_map(|rate| rate.parse().ok())
        .collect();
    let most = rates.iter().copied().fold(1.0, f64::max);
    let from = PLACES.saturating_sub(rates.len());
    let places = rates.iter().enumerate();
    let places =
        places.map(|(index, rate)| format!("{},{:.1}", from + index, 19.0 - 17.0 * rate / most));
    places.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn odd_counts_of_workers_are_shown_where_there_are_any() {
        let view = View {
            now: std::time::SystemTime::UNIX_EPOCH,
            filter: String::new(),
            only_problems: false,
        };
        for (misses, stale) in [(0, 0), (1, 0), (0, 1)] {
            let calm = json!({ "index": 0, "buffer_misses": 0, "stale_completions": 0 });
            let odd = json!({ "index": 1, "buffer_misses": misses, "stale_completions": stale });
            let html = workers(&view, &[(&calm, 0.5), (&odd, 0.5)]).into_string();
            assert!(html.contains("Log lines dropped"));
            assert_eq!(html.contains("Buffer misses"), misses > 0, "{html}");
            assert_eq!(html.contains("Stale completions"), stale > 0, "{html}");
        }
    }
}
