//! What must hold for any input: no panic, every report finished, and printing that is read back.

use std::fs;

use proptest::prelude::*;
use ringway::config;

use super::{files, resolver};

/// Reads a text, and checks what holds for every outcome.
fn check(text: &str) {
    match config::parse("any.toml", text, &resolver) {
        Ok(loaded) => {
            let printed = config::effective(&loaded);
            let again = config::parse("printed", &printed, &resolver)
                .unwrap_or_else(|report| panic!("{printed}\n{report}"));
            assert_eq!(again.config, loaded.config, "{printed}");
        }
        Err(report) => {
            assert!(report.errors() > 0);
            let shown = report.to_string();
            assert!(
                shown.starts_with("error: ") || shown.starts_with("warning: "),
                "{shown}"
            );
            let control = |c: char| c.is_control() && c != '\n';
            assert!(!shown.contains(control), "{shown:?}");
        }
    }
}

/// All valid fixtures, to be mutated.
fn fixtures() -> Vec<String> {
    files("valid", "toml")
        .into_iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

/// Pieces that are likely to matter where they are put.
const PIECES: &[&str] = &[
    "\"",
    "'",
    "\"\"\"",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    ".",
    "#",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "\\",
    "\\u0000",
    "0",
    "-1",
    "1e9",
    "99999999999999999999",
    "0x",
    "true",
    "nan",
    "1979-05-27",
    "\"5m\"",
    "\"5\"",
    "\"fd:3\"",
    "\"a:1\"",
    "é",
    "日本",
    "\u{301}",
    "\u{202e}",
    "\u{feff}",
    "\u{0}",
    "\u{7f}",
    "[frontend.x]",
    "[[frontend]]",
    "[backend.app.servers]",
    "\nservers = 1\n",
    "\nlisten = []\n",
    "mode = \"http\"\n",
    "head_max = \"9KiB\"\n",
    "cookie = \"SRV\"\n",
    "sticky = { cookie = \"a\" }\n",
    "[backend.app.sticky]\n",
    "sticky",
    "frontend",
    "backend.",
];

/// A change of a text: where (as a share of its length), how much is cut, what is put there.
type Change = (prop::sample::Index, usize, usize);

fn mutate(text: &str, changes: &[Change]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (place, cut, piece) in changes {
        let start = place.index(chars.len() + 1);
        let end = (start + cut).min(chars.len());
        let piece = PIECES.get(*piece).copied().unwrap_or_default();
        chars.splice(start..end, piece.chars());
    }
    chars.into_iter().collect()
}

/// Values of any type and depth, as TOML text.
fn value() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "\"5m\"",
        "\"auto\"",
        "\"tcp\"",
        "\"http\"",
        "\"app\"",
        "\"web\"",
        "\"127.0.0.1:80\"",
        "\"db.example:1\"",
        "\"x.invalid:1\"",
        "\"least_conn\"",
        "\"16KiB\"",
        "\"close\"",
        "\"None\"",
        "\"SRV\"",
        "\"__Host-x\"",
        "\"/x\"",
        "\"example.com\"",
        "\"off\"",
        "''",
        "1.5",
        "true",
        "1979-05-27T07:32:00Z",
    ]);
    let leaf = prop_oneof![
        word.prop_map(str::to_owned),
        any::<i64>().prop_map(|n| n.to_string()),
        (0..300i64).prop_map(|n| n.to_string()),
        "[a-z0-9 .:]{0,12}".prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let pair = (key(), inner.clone()).prop_map(|(key, value)| format!("{key} = {value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|list| format!("[{}]", list.join(", "))),
            prop::collection::vec(pair, 0..5).prop_map(|table| format!("{{{}}}", table.join(", "))),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "global",
        "defaults",
        "frontend",
        "backend",
        "admin",
        "workers",
        "pin",
        "max_sessions",
        "shutdown_timeout",
        "shutdown_grace",
        "state_file",
        "user",
        "group",
        "socket",
        "haproxy_socket",
        "socket_group",
        "token_file",
        "page",
        "access_log",
        "connect_timeout",
        "request_timeout",
        "queue_timeout",
        "retries",
        "listen",
        "mode",
        "head_max",
        "inspect",
        "backlog",
        "servers",
        "server",
        "balance",
        "name",
        "address",
        "weight",
        "backup",
        "cookie",
        "sticky",
        "http_only",
        "secure",
        "same_site",
        "domain",
        "max_age",
        "health_check",
        "slow_start",
        "on_down",
        "type",
        "path",
        "expect_status",
        "interval",
        "timeout",
        "fall",
        "web",
        "app",
        "x.y",
        "\"\"",
        "\"ü b\"",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => "[a-z_]{1,9}"]
}

/// A file of sections and keys that is right in its syntax, mostly.
fn tree() -> impl Strategy<Value = String> {
    let header = prop_oneof![
        Just(String::new()),
        key().prop_map(|key| format!("[{key}]")),
        (key(), key()).prop_map(|(a, b)| format!("[{a}.{b}]")),
        (key(), key(), key()).prop_map(|(a, b, c)| format!("[[{a}.{b}.{c}]]")),
    ];
    let pair = (key(), value()).prop_map(|(key, value)| format!("{key} = {value}\n"));
    let section = (header, prop::collection::vec(pair, 0..5))
        .prop_map(|(header, pairs)| format!("{header}\n{}", pairs.concat()));
    prop::collection::vec(section, 0..5).prop_map(|sections| sections.concat())
}

/// A valid file in HTTP mode, with what is sticky in it: attributes, and the values of two servers.
fn sticky_file() -> impl Strategy<Value = (String, [String; 2])> {
    let line = |key: &'static str, values: &'static str| {
        prop::option::of(values).prop_map(move |value| {
            value.map_or_else(String::new, |value| format!("{key} = \"{value}\"\n"))
        })
    };
    let same_site = prop::sample::select(vec!["Lax", "Strict", "None", "off"]);
    let switches = (any::<bool>(), same_site);
    let attributes = (
        line("path", "/[!-:<-\\[\\]-~&&[^\"]]{0,1023}"),
        line("domain", "([a-z0-9-]{1,63}\\.){0,2}[a-z]{1,63}"),
        line("max_age", "[1-3]?[0-9]{1,2}d1s|400d|[1-9][0-9]{0,3}m"),
    );
    let mode = (
        line("head_max", "[1-9]KiB|[1-5][0-9]KiB|64KiB|1[0-9]{4}B"),
        line("inspect", "first|close"),
        line("request_timeout", "[1-9][0-9]{0,3}(ms|s|m)"),
    );
    let values = prop::array::uniform2("[!#-+\\--:<-\\[\\]-~]{1,64}")
        .prop_filter("unique", |[first, second]| first != second);
    let name = "[!#$%&'*+.^`|~A-Za-z0-9-]{1,64}";
    (name, switches, attributes, mode, values).prop_map(
        |(
            name,
            (http_only, same_site),
            (path, domain, max_age),
            (head, inspect, request),
            values,
        )| {
            let [first, second] = &values;
            let text = format!(
                "[frontend.web]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"app\"\nmode = \"http\"\n\
                 {head}{inspect}{request}\
                 [backend.app]\nservers = [\n\
                 {{ name = \"a\", address = \"127.0.0.1:1\", cookie = \"{first}\" }},\n\
                 {{ name = \"b\", address = \"127.0.0.1:2\", cookie = \"{second}\" }},\n]\n\
                 [backend.app.sticky]\ncookie = \"{name}\"\nsecure = true\n\
                 http_only = {http_only}\nsame_site = \"{same_site}\"\n{path}{domain}{max_age}"
            );
            (text, values)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn pieces_never_panic(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        check(&pieces.concat());
    }

    #[test]
    fn mutated_fixtures_never_panic(
        fixture in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..20usize, 0..PIECES.len() + 9), 1..6),
    ) {
        let fixtures = fixtures();
        check(&mutate(&fixtures[fixture.index(fixtures.len())], &changes));
    }

    #[test]
    fn trees_never_panic(text in tree()) {
        check(&text);
    }

    #[test]
    fn whatever_is_sticky_is_printed_and_makes_one_line((text, values) in sticky_file()) {
        check(&text);
        let loaded = config::parse("any.toml", &text, &resolver);
        let config = loaded.map_err(|report| TestCaseError::fail(report.to_string()))?.config;
        let backend = &config.backends[0];
        for (server, value) in backend.servers.iter().zip(&values) {
            prop_assert_eq!(&server.cookie, value);
            let sticky = backend.sticky.as_ref().unwrap();
            let line = sticky.set_cookie(value);
            let visible = line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            prop_assert!(line.len() < 2048 && visible, "{}", line);
            let mut parts = line.split("; ");
            let pair = format!("{}={value}", sticky.cookie);
            prop_assert_eq!(parts.next(), Some(pair.as_str()));
            let names: Vec<&str> = parts.map(|part| part.split('=').next().unwrap()).collect();
            let all = ["Path", "HttpOnly", "SameSite", "Domain", "Max-Age", "Secure"];
            let expected: Vec<&str> = all.into_iter().filter(|name| names.contains(name)).collect();
            prop_assert_eq!(names, expected);
        }
    }
}
