//! `use_backend` by the name that a client of TLS asks for, as routes of mode = "tls".

use super::acl::{Literal, Test};
use super::directive::Directive;
use super::notes::{Notes, Place};
use super::proxy::{Mode, Settings};

/// Which backends the sessions of a frontend get, by names in the file.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub routes: Vec<Route>,
    /// What no route matches.
    pub backend: Option<String>,
}

/// A route; at least one list has something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub sni: Vec<String>,
    pub alpn: Vec<String>,
    pub backend: String,
}

/// Reads the rules of a frontend; `exists`: whether there is such a backend.
pub(super) fn read(
    settings: &Settings,
    exists: impl Fn(&str) -> bool,
    place: &Place,
    notes: &mut Notes,
) -> Choice {
    let mut choice = Choice::default();
    for directive in &settings.use_backends {
        let name = directive.words[1].as_str();
        if choice.backend.is_some() {
            notes.not_needed(place, directive, "a rule before it has met all connections");
        } else if name.contains("%[") {
            notes.not_translated(
                place,
                directive,
                "a backend is named, and not made of what is in a request",
            );
        } else if !exists(name) {
            notes.wrong(place, directive, format!("there is no backend `{name}`"));
        } else {
            rule(&mut choice, settings, directive, place, notes);
        }
    }
    match &settings.default_backend {
        Some(directive) if choice.backend.is_some() => {
            notes.not_needed(place, directive, "a rule before it has met all connections");
        }
        Some(directive) if exists(&directive.words[1]) => {
            choice.backend = Some(directive.words[1].clone())
        }
        Some(directive) => {
            notes.wrong(
                place,
                directive,
                format!("there is no backend `{}`", directive.words[1]),
            );
        }
        None => {}
    }
    choice
}

fn rule(
    choice: &mut Choice,
    settings: &Settings,
    directive: &Directive,
    place: &Place,
    notes: &mut Notes,
) {
    let backend = &directive.words[1];
    let condition = match settings.acls.condition(directive.from(2)) {
        Ok(condition) => condition,
        Err(what) if what.contains("not simple") => {
            return notes.not_translated(place, directive, what);
        }
        Err(what) => return notes.wrong(place, directive, what),
    };
    if condition.iter().any(Vec::is_empty) {
        choice.backend = Some(backend.clone());
        return;
    }
    let read = |all: &Vec<Literal>| route(all, backend);
    let routes: Option<Vec<(Route, bool)>> = match settings.mode {
        Mode::Tcp => condition.iter().map(read).collect(),
        Mode::Http => None,
    };
    let Some(routes) = routes else {
        let why = match settings.mode {
            Mode::Http => "a backend is not chosen by what is in a request",
            Mode::Tcp => {
                "a backend is chosen by names and ALPN of TLS: exact names, and ends of names after a dot"
            }
        };
        return notes.not_translated(place, directive, why);
    };
    for (route, is_exact) in routes {
        if !is_exact {
            let why = "an end of names begins after a dot here: `example.com` and `*.example.com`";
            notes.differs(place, directive, why);
        }
        add(choice, route, directive, place, notes);
    }
}

/// Adds a route. HAProxy takes the first rule that matches; here the nearest name wins, and any name wins over none.
fn add(
    choice: &mut Choice,
    mut route: Route,
    directive: &Directive,
    place: &Place,
    notes: &mut Notes,
) {
    let is_met = |name: &String| {
        let before = choice.routes.iter().filter(|before| before.alpn.is_empty());
        before
            .flat_map(|before| &before.sni)
            .any(|earlier| covers(earlier, name))
    };
    let (met, left): (Vec<String>, Vec<String>) = route.sni.drain(..).partition(is_met);
    if !met.is_empty() {
        let why = format!("a rule before it has met {}", met.join(", "));
        notes.not_needed(place, directive, why);
        if left.is_empty() {
            return;
        }
    }
    route.sni = left;
    if !route.sni.is_empty() {
        let by_alpn = choice.routes.iter().filter(|before| before.sni.is_empty());
        let both = by_alpn.map(|before| Route {
            sni: route.sni.clone(),
            ..before.clone()
        });
        let both: Vec<Route> = both.collect();
        choice.routes.extend(both);
    }
    choice.routes.push(route);
}

/// Whether a name of a route stands for another one as well.
fn covers(earlier: &str, name: &str) -> bool {
    match earlier.strip_prefix('*') {
        Some(end) => name.ends_with(end),
        None => earlier == name,
    }
}

/// The route of one alternative, and whether it means the same; `None`: it asks for something else.
fn route(all: &[Literal], backend: &str) -> Option<(Route, bool)> {
    let mut route = Route {
        sni: Vec::new(),
        alpn: Vec::new(),
        backend: backend.to_owned(),
    };
    let mut is_exact = true;
    for literal in all {
        let is_of = |fetch: &str| literal.tests.iter().all(|test| test.fetch == fetch);
        if literal.is_negated {
            return None;
        }
        if is_of("req.ssl_sni") && route.sni.is_empty() {
            for test in &literal.tests {
                let (names, exact) = names(test)?;
                route.sni.extend(names);
                is_exact &= exact;
            }
        } else if is_of("req.ssl_alpn") && route.alpn.is_empty() {
            let lists = literal
                .tests
                .iter()
                .map(|test| test.files.is_empty().then_some(&test.patterns));
            route.alpn = lists
                .collect::<Option<Vec<_>>>()?
                .into_iter()
                .flatten()
                .cloned()
                .collect();
        } else if !is_of("req.ssl_hello_type") && !is_of("always_true") {
            return None;
        }
    }
    let is_named = !route.sni.is_empty() || !route.alpn.is_empty();
    is_named.then_some((route, is_exact))
}

/// The names of a test, and whether they mean the same.
fn names(test: &Test) -> Option<(Vec<String>, bool)> {
    if !test.files.is_empty() {
        return None;
    }
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            && !name.starts_with('.')
    };
    let (mut names, mut is_exact) = (Vec::new(), true);
    for pattern in &test.patterns {
        let pattern = pattern.to_ascii_lowercase();
        match test.method.as_str() {
            "" | "str" => names.push(pattern.clone()),
            "end" if pattern.starts_with('.') => names.push(format!("*{pattern}")),
            "end" | "dom" => {
                let name = pattern.trim_start_matches('.');
                names.extend([name.to_owned(), format!("*.{name}")]);
                is_exact = false;
            }
            _ => return None,
        }
    }
    let are_names = names
        .iter()
        .all(|name| is_name(name.strip_prefix("*.").unwrap_or(name)));
    (are_names && !names.is_empty()).then_some((names, is_exact))
}
