//! The reference says what the readers do.

use std::net::SocketAddr;
use std::time::Duration;

use toml::{Table, Value as Toml};

use super::super::page::quoted;
use super::super::units::format_size;
use super::entry::{Default, Key, Kind, Section, Value, duration};
use super::*;
use crate::config::{Loaded, effective, parse};

/// A file with every section, in which each key can be set to each of its values.
const BASE: &str = r#"
global = { user = "root" }
defaults = {}
[admin]
listen = "127.0.0.1:1"
socket = "/socket"
[frontend.web]
listen = ["127.0.0.1:8080"]
backend = "app"
mode = "http"
accept_proxy = { from = ["10.0.0.9"] }
[frontend.tls]
listen = ["127.0.0.1:8443"]
mode = "tls"
routes = [{ sni = ["a.example"], alpn = ["h2"], backend = "app" }]
[frontend.web.per_client]
max_sessions = 5
rate = "50/s"
[backend.app]
servers = [{ name = "s", address = "10.0.0.1:80" }]
[backend.app.health_check]
type = "http"
interval = "1d"
timeout = "1ms"
[backend.app.health_check.tls]
sni = "x"
ca = "tests/config/ca.pem"
[backend.app.passive]
[backend.app.sticky]
cookie = "x"
secure = true
[backend.app.discover]
dns = "web:80"
"#;

/// A certificate.
const CA: &str = "tests/config/ca.pem";

/// The table of a section in a file.
fn table(root: &mut Table, kind: Kind) -> &mut Table {
    let path: &[&str] = match kind {
        Kind::Root => &[],
        Kind::Global => &["global"],
        Kind::Admin => &["admin"],
        Kind::Defaults => &["defaults"],
        Kind::Frontend => &["frontend", "web"],
        Kind::AcceptProxy => &["frontend", "web", "accept_proxy"],
        Kind::Route => &["frontend", "tls", "routes"],
        Kind::Keepalive => &["frontend", "web", "keepalive"],
        Kind::PerClient => &["frontend", "web", "per_client"],
        Kind::Backend => &["backend", "app"],
        Kind::Server => &["backend", "app", "servers"],
        Kind::HealthCheck => &["backend", "app", "health_check"],
        Kind::CheckTls => &["backend", "app", "health_check", "tls"],
        Kind::Passive => &["backend", "app", "passive"],
        Kind::Sticky => &["backend", "app", "sticky"],
        Kind::Discover => &["backend", "app", "discover"],
    };
    path.iter().fold(root, |table, name| {
        match table.get_mut(*name).expect("a section") {
            Toml::Array(list) => list[0].as_table_mut().expect("a table"),
            value => value.as_table_mut().expect("a table"),
        }
    })
}

/// The file with this value of the key, or without it.
fn load_with(section: &Section, key: &Key, value: Option<&str>) -> Option<Loaded> {
    let mut root: Table = BASE.parse().expect("TOML");
    if section.kind != Kind::Sticky {
        // A sticky backend is for HTTP only.
        table(&mut root, Kind::Backend).remove("sticky");
    } else {
        let frontends = root.get_mut("frontend").and_then(Toml::as_table_mut);
        frontends.expect("a table").remove("tls");
    }
    if section.kind == Kind::Keepalive {
        // Not in all tests: it wins over that of [defaults].
        let keepalive = Toml::Table(Table::new());
        table(&mut root, Kind::Frontend).insert("keepalive".to_owned(), keepalive);
    }
    let table = table(&mut root, section.kind);
    table.remove(key.name);
    if key.only_with == Some(("type", "tcp")) {
        table.remove("type");
    }
    if key.only_with == Some(("mode", "tls")) {
        table.insert("mode".to_owned(), "tls".into());
    }
    // Exactly one of two is written, and certificates are verified by a name.
    match (section.kind, key.name, value) {
        (Kind::CheckTls, "sni", None) => drop(table.remove("ca")),
        (Kind::Discover, "srv", Some(_)) => drop(table.remove("dns")),
        (Kind::Discover, "dns", None) => drop(table.insert("srv".to_owned(), "_a._tcp.b".into())),
        (Kind::Frontend, "backend", None) => {
            let routes: Table = r#"v = [{ sni = ["a.example"], backend = "app" }]"#
                .parse()
                .expect("TOML");
            table.insert("mode".to_owned(), "tls".into());
            table.insert("routes".to_owned(), routes["v"].clone());
        }
        // They need others.
        (Kind::Frontend, "forwarded_for", Some(_)) => {
            table.insert("inspect".to_owned(), "close".into());
        }
        (Kind::Frontend, "trust", Some(_)) => {
            table.insert("inspect".to_owned(), "close".into());
            table.insert("forwarded_for".to_owned(), true.into());
        }
        _ => {}
    }
    // The file of the example is no file of this host.
    let value = match (section.kind, key.name) {
        (Kind::CheckTls, "ca") => value.map(|value| value.replace("/etc/ssl/ca.pem", CA)),
        _ => value.map(str::to_owned),
    };
    if let Some(value) = value {
        let written: Table = format!("v = {value}").parse().expect("TOML");
        table.insert(key.name.to_owned(), written["v"].clone());
    }
    let resolver = |_: &str, _: u16| -> std::io::Result<Vec<SocketAddr>> { unreachable!() };
    let loaded = parse("test.toml", &root.to_string(), &resolver);
    loaded.ok()
}

#[track_caller]
fn check(section: &Section, key: &Key, value: &str, taken: bool) {
    let loaded = load_with(section, key, Some(value));
    let name = format!("{} {} = {value}", section.title, key.name);
    assert_eq!(loaded.is_some(), taken, "{name}");
}

/// Every key that has a value, with each section that it may be written in.
fn keys() -> impl Iterator<Item = (&'static Section, &'static Key)> {
    let sections = sections().filter(|section| section.kind != Kind::Root);
    let all = sections.flat_map(|section| all_keys(section).map(move |key| (section, key)));
    all.filter(|(_, key)| !matches!(key.value, Value::Section(_)))
}

#[test]
fn every_kind_has_a_section_without_a_key_twice() {
    for kind in [
        Kind::Root,
        Kind::Global,
        Kind::Admin,
        Kind::Defaults,
        Kind::Frontend,
        Kind::AcceptProxy,
        Kind::Route,
        Kind::Keepalive,
        Kind::PerClient,
        Kind::Backend,
        Kind::Server,
        Kind::HealthCheck,
        Kind::CheckTls,
        Kind::Passive,
        Kind::Sticky,
        Kind::Discover,
    ] {
        let section = section(kind);
        assert_eq!(section.kind, kind);
        let mut names: Vec<&str> = all_keys(section).map(|key| key.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{}", section.title);
    }
    assert_eq!(sections().count(), 16);
}

#[test]
fn the_readers_take_what_is_within_bounds_and_nothing_else() {
    let millisecond = Duration::from_millis(1);
    for (section, key) in keys() {
        let check = |value: &str, taken| check(section, key, value, taken);
        match &key.value {
            Value::Boolean => {
                for (value, taken) in [("true", true), ("false", true), ("1", false)] {
                    check(value, taken);
                }
            }
            Value::BooleanOr(word) => {
                for value in ["true", "false", &quoted(word)] {
                    check(value, true);
                }
                check("1", false);
                check("\"true\"", false);
            }
            Value::Integer(bounds) | Value::IntegerOr(_, bounds) => {
                let (start, end) = bounds().into_inner();
                check(&start.to_string(), true);
                check(&end.to_string(), true);
                check(&(start as i64 - 1).to_string(), false);
                check(&(end + 1).to_string(), false);
                check("\"auto\"", matches!(key.value, Value::IntegerOr("auto", _)));
            }
            Value::Duration(bounds) => {
                check(&duration(*bounds.start()), true);
                check(&duration(*bounds.end()), true);
                check(&duration(*bounds.end() + millisecond), false);
                if let Some(below) = bounds.start().checked_sub(millisecond) {
                    check(&duration(below), false);
                }
            }
            Value::DurationOr(word, bounds) => {
                check(&quoted(word), true);
                check(&duration(*bounds.start()), true);
                check(&duration(*bounds.end()), true);
                check(&duration(*bounds.start() - millisecond), false);
                check(&duration(*bounds.end() + millisecond), false);
            }
            Value::SectionOr(word, _) => {
                check(&quoted(word), true);
                check("{}", true);
                check("true", false);
            }
            Value::Size(bounds) => {
                for (size, taken) in [
                    (*bounds.start(), true),
                    (*bounds.end(), true),
                    (bounds.start() - 1, false),
                    (bounds.end() + 1, false),
                ] {
                    check(&quoted(format_size(size)), taken);
                }
            }
            Value::Choice(words) => {
                for word in words() {
                    check(&quoted(word), true);
                }
                check("\"other\"", false);
            }
            Value::Text(text) => {
                for len in text.len_max.into_iter() {
                    let longest = format!("/{}", "x".repeat(len - 1));
                    check(&quoted(&longest), true);
                    check(&quoted(longest + "x"), false);
                }
                check("1", false);
            }
            Value::Texts(_) => {
                for wrong in ["[]", "[1]", "\"127.0.0.1:80\""] {
                    check(wrong, false);
                }
            }
            Value::NamedTexts { .. } => {
                for (value, taken) in [
                    ("{}", true),
                    ("{ a = 1 }", false),
                    ("[\"a\"]", false),
                    ("\"a\"", false),
                ] {
                    check(value, taken);
                }
            }
            Value::BooleanOrSection(_) => {
                for (value, taken) in [
                    ("true", true),
                    ("false", true),
                    ("{}", true),
                    ("\"true\"", false),
                ] {
                    check(value, taken);
                }
            }
            Value::Tables(..) => {
                for wrong in ["[]", "[1]", "{}"] {
                    check(wrong, false);
                }
            }
            Value::Section(_) | Value::NamedSections(_) => unreachable!(),
        }
    }
}

#[test]
fn an_example_is_taken_and_makes_a_difference() {
    for (section, key) in keys() {
        let name = format!("{} {}", section.title, key.name);
        let with = load_with(section, key, Some(key.example));
        let with = with.unwrap_or_else(|| panic!("{name} = {}", key.example));
        let without = load_with(section, key, None);
        let is_required = matches!(key.default, Default::Required);
        assert_eq!(without.is_none(), is_required, "{name}");
        if let Some(without) = without
            // Frontends without timeouts have those of their backend.
            && section.also.is_none()
        {
            assert_ne!(with.config, without.config, "{name}");
        }
    }
}

#[test]
fn a_key_that_is_not_written_has_its_documented_default() {
    for (section, key) in keys() {
        let Default::Value(default) = &key.default else {
            continue;
        };
        let name = format!("{} {}", section.title, key.name);
        let loaded = load_with(section, key, None).expect(&name);
        let mut printed: Table = effective(&loaded).parse().expect("TOML");
        // Timeouts are shown where they take effect.
        let shown = match section.also.unwrap_or(section.kind) {
            Kind::Defaults if section.keys.iter().all(|k| k.name != key.name) => Kind::Frontend,
            Kind::Defaults if section.kind == Kind::Defaults => Kind::Frontend,
            _ => section.kind,
        };
        let written: Table = format!("v = {}", default()).parse().expect("TOML");
        assert_eq!(
            table(&mut printed, shown).get(key.name),
            Some(&written["v"]),
            "{name}"
        );
    }
}

#[test]
fn a_condition_names_a_choice_of_its_section() {
    for (section, key) in keys() {
        let Some((other, choice)) = key.only_with else {
            continue;
        };
        let other = section.keys.iter().find(|key| key.name == other);
        let Some(Value::Choice(words)) = other.map(|other| &other.value) else {
            panic!("{} {}", section.title, key.name)
        };
        assert!(words().contains(&choice), "{choice}");
    }
}

#[test]
fn help_finds_a_key_by_each_of_its_names() {
    for name in [
        "interval",
        "health_check.interval",
        "backend.health_check.interval",
        "backend.app.health_check.interval",
    ] {
        let text = help(name).expect(name);
        assert!(
            text.starts_with("interval in [backend.NAME.health_check]\n"),
            "{text}"
        );
        assert!(text.contains("\n  Default: \"2s\"\n"), "{text}");
        assert!(text.contains("\"10ms\" to \"1d\"; not less than"), "{text}");
    }
    let retries = help("retries").expect("a key");
    let title = "retries in [defaults], [frontend.NAME], [backend.NAME]\n";
    assert!(retries.starts_with(title), "{retries}");
    assert_eq!(help("backend.retries"), Some(retries));
    let cookies = help("cookie").expect("two keys");
    for title in [
        "cookie in an entry of `servers`\n",
        "cookie in [backend.NAME.sticky]\n",
    ] {
        assert!(cookies.contains(title), "{cookies}");
    }
    for name in [
        "",
        ".",
        "nterval",
        "global.interval",
        "health_check.",
        "defaults.listen",
    ] {
        assert_eq!(help(name), None, "{name}");
    }
    for name in help_names() {
        let text = help(name).expect(name);
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }
}
