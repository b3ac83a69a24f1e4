//! The tables: one for each frontend and backend, one for the workers.
//!
//! `columns` says what is in them; a column is described there for the server and the script.

use maud::{Markup, html};
use serde_json::Value;

use super::columns::{Column, Group, Of, QUEUE, RATES, SERVER, TIMES, TRAFFIC, head};
use super::format::NONE;
use super::value::{Kind, View, is_fine, list, text};

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

    fn render(&self, view: &View, hidden: bool, class: Option<&str>) -> Markup {
        let is_server = matches!(self.of, Of::Server);
        let small = |path: &str, kind: Kind| {
            let value = self.object.pointer(path).unwrap_or(&Value::Null);
            html! { small { (kind.write(value, view.now).unwrap_or_default()) } }
        };
        let left = Kind::Left.write(self.object, view.now).unwrap_or_default();
        // A link to it leads here without a script, too.
        let id = (class.is_none() && !is_fine(self.status())).then(|| self.key.replace(' ', "/"));
        html! {
            tr class=[class] id=[id] data-row=(self.key) data-status=(self.status()) hidden[hidden] {
                th scope="row" { span { (self.name) } small { (self.detail) } }
                td.status { span.word { (self.status()) } (small("/since", Kind::Since)) }
                td.check {
                    @if is_server {
                        span { (text(self.object, "reason")) } (small("/checks/last", Kind::Ago)) small.left { (left) }
                    }
                }
                td.acts { @if is_server { small { (left) } } }
                (self.group(&QUEUE, view)) (self.group(&RATES, view))
                td data-p=[self.rates.as_deref()] {}
                @for some in &TRAFFIC { (self.group(some, view)) }
                (self.group(&SERVER, view))
                @for some in &TIMES { (self.group(some, view)) }
            }
        }
    }

    fn group(&self, group: &Group, view: &View) -> Markup {
        html! { @for column in group.columns { (self.cell(view, column)) } }
    }

    fn cell(&self, view: &View, column: &Column) -> Markup {
        let path = column.paths[self.of as usize];
        if path.is_empty() {
            return html! { td {} };
        }
        let value = self.object.pointer(path).unwrap_or(&Value::Null);
        let text = column.kind.write(value, view.now);
        html! { td { (text.as_deref().unwrap_or(NONE)) } }
    }
}

/// A frontend, a server or a backend with its history.
pub(super) struct Proxy<'a> {
    pub object: &'a Value,
    /// Rates of new sessions, the oldest first: of a frontend, or of each server.
    pub rates: Vec<String>,
}

/// The table of the frontends.
pub(super) fn frontends(view: &View, proxies: &[Proxy]) -> Markup {
    let rows: Vec<Row> = (proxies.iter())
        .map(|proxy| {
            let name = text(proxy.object, "name");
            Row {
                of: Of::Frontend,
                key: format!("frontend {name}"),
                name,
                detail: where_to(proxy.object),
                object: proxy.object,
                rates: proxy.rates.first().cloned(),
            }
        })
        .collect();
    let heading = html! { h2 id="frontends" { "Frontends" } };
    section(view, "frontends", None, &heading, &rows, None)
}

/// Where a frontend listens, and where its sessions go.
fn where_to(frontend: &Value) -> String {
    let listen = list(frontend, "listen").iter();
    let listen: Vec<&str> = listen.filter_map(Value::as_str).collect();
    let mut told = format!("{}, {}", listen.join(" "), text(frontend, "mode"));
    if let Some(backend) = frontend["backend"].as_str() {
        told += &format!(" to {backend}");
    }
    match list(frontend, "routes").len() {
        0 => {}
        1 => told += ", 1 route",
        count => told += &format!(", {count} routes"),
    }
    told
}

/// The table of a backend.
pub(super) fn backend(view: &View, proxy: &Proxy) -> Markup {
    let name = text(proxy.object, "name");
    let servers = proxy.object["servers"].as_array().into_iter().flatten();
    let rows: Vec<Row> = (servers.zip(&proxy.rates))
        .map(|(object, rates)| server(name, object, Some(rates.clone())))
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
        h2 id={ "backend/" (name) } tabindex="-1" { small.kind { "Backend" } " " (name) " " small { (text(proxy.object, "balance")) } }
        @if proxy.object["discovery"].is_object() {
            p.quiet data-row={ "discovery " (name) } { (view.small(proxy.object, "/discovery", Kind::Discovery)) }
        }
    };
    let id = format!("backend/{name}");
    section(view, &id, Some(name), &heading, &rows, Some(&sum))
}

fn server<'a>(backend: &str, object: &'a Value, rates: Option<String>) -> Row<'a> {
    let (name, address) = (text(object, "name"), text(object, "address"));
    Row {
        of: Of::Server,
        key: format!("server {backend} {name}"),
        name,
        // A discovered one is named by its address.
        detail: if name == address {
            "discovered"
        } else {
            address
        }
        .to_owned(),
        object,
        rates,
    }
}

/// What the script makes rows of servers from, and the buttons of each.
pub(super) fn templates(view: &View) -> Markup {
    html! {
        template id="server" { (server("", &Value::Null, None).render(view, false, None)) }
        template id="set" {
            span.set role="group" {
                @for state in ["ready", "drain", "maint"] { button type="button" value=(state) { (state) } }
            }
        }
    }
}

/// Rows under a heading; nothing of it is seen while none of them is.
fn section(
    view: &View,
    id: &str,
    backend: Option<&str>,
    heading: &Markup,
    rows: &[Row],
    sum: Option<&Row>,
) -> Markup {
    let hidden = |row: &Row| !view.shows(&row.words(), row.status());
    let none = rows.iter().all(hidden);
    let of = backend.map_or(Of::Frontend, |_| Of::Server);
    html! {
        section.proxy data-proxy data-backend=[backend] hidden[none] aria-labelledby=(id) {
            (heading)
            div.scroll tabindex="0" role="region" aria-labelledby=(id) {
                table {
                    (head(of))
                    tbody {
                        @for row in rows { (row.render(view, hidden(row), None)) }
                        @if let Some(sum) = sum { (sum.render(view, none, Some("sum"))) }
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
