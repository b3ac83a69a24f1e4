//! `ringway import`: configurations of HAProxy and what becomes of them.
//!
//! `import/NAME.cfg` must become exactly `import/NAME.toml`; run with `UPDATE_EXPECTED=1` to write it anew, and read
//! the difference before keeping it. HAProxy itself must take all of them but `broken.cfg`.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use ringway::config::{self, Loaded};
use ringway::import::{Imported, translate};

/// How many fixtures there are: one that is lost is noticed.
const COUNT: usize = 12;

/// Sample files of HAProxy's package; scripts/test.sh installs it.
const EXAMPLES: &str = "/usr/share/doc/haproxy/examples";

fn import(name: &str, text: &str) -> Imported {
    translate(name, text, std::iter::empty())
}

fn fixtures() -> Vec<PathBuf> {
    let entries = fs::read_dir("tests/import").expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "cfg"))
        .collect();
    paths.sort();
    assert_eq!(paths.len(), COUNT);
    paths
}

fn name(path: &Path) -> String {
    path.file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned()
}

/// The result as it is read; every host name has an address.
#[track_caller]
fn check(name: &str, imported: &Imported) -> Loaded {
    let resolver = |_: &str, port: u16| -> io::Result<Vec<SocketAddr>> {
        Ok(vec![SocketAddr::from(([192, 0, 2, 1], port))])
    };
    let loaded = config::check_text("ringway.toml", &imported.text, &resolver);
    loaded.unwrap_or_else(|report| panic!("{name}:\n{}\n{report}", imported.text))
}

fn haproxy() -> Command {
    let mut command = Command::new("haproxy");
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin"));
    command
}

#[test]
fn every_fixture_becomes_what_is_expected_and_passes_the_check() {
    let mut wrong = String::new();
    for path in fixtures() {
        let name = name(&path);
        let imported = import(&name, &fs::read_to_string(&path).expect("text"));
        assert_eq!(
            imported.faults.is_empty(),
            name != "broken.cfg",
            "{name}: {:?}",
            imported.faults
        );
        check(&name, &imported);
        let expected = path.with_extension("toml");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&expected, &imported.text).expect("a file");
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        if imported.text != expected {
            let _ = writeln!(
                wrong,
                "{name}: expected\n{expected}\nbut got\n{}",
                imported.text
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn haproxy_takes_every_fixture() {
    for path in fixtures() {
        let output = haproxy().args(["-c", "-f"]).arg(&path).output();
        let output = output.expect("haproxy is installed: see scripts/test.sh");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.success(),
            name(&path) != "broken.cfg",
            "{}: {errors}",
            path.display()
        );
    }
}

#[test]
fn every_line_is_translated_or_has_a_comment() {
    // Lines whose translation is a key; all others must be named.
    const TRANSLATED: &[&str] = &[
        "global",
        "defaults",
        "frontend",
        "backend",
        "listen",
        "bind",
        "server",
        "default-server",
        "server-template",
        "mode",
        "timeout",
        "balance",
        "cookie",
        "option",
        "http-check",
        "tcp-check",
        "stats",
        "maxconn",
        "nbthread",
        "retries",
        "default_backend",
        "use_backend",
        "acl",
        "tcp-request",
        "http-request",
        "stick-table",
        "hard-stop-after",
        "grace",
        "source",
        "resolvers",
        "nameserver",
        "parse-resolv-conf",
        ".if",
        ".endif",
        ".else",
    ];
    for path in fixtures() {
        let text = fs::read_to_string(&path).expect("text");
        let imported = import(&name(&path), &text);
        for (index, line) in text.lines().enumerate() {
            let word = line.split_whitespace().next().unwrap_or("#");
            let is_named = imported.text.contains(&format!("# line {}, ", index + 1));
            assert!(
                is_named || word.starts_with('#') || TRANSLATED.contains(&word),
                "{}:{}: {line}",
                path.display(),
                index + 1
            );
        }
    }
}

#[test]
fn the_examples_of_haproxy_are_imported_and_pass_the_check() {
    let mut count = 0;
    for entry in fs::read_dir(EXAMPLES).expect("the package haproxy has its documentation") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "cfg") {
            continue;
        }
        let name = name(&path);
        let imported = import(&name, &fs::read_to_string(&path).expect("text"));
        assert_eq!(imported.faults, [], "{name}");
        let loaded = check(&name, &imported);
        let frontends: Vec<&str> = loaded
            .config
            .frontends
            .iter()
            .map(|frontend| frontend.name.as_str())
            .collect();
        let expected: &[&str] = match name.as_str() {
            "basic-config-edge.cfg" => &["pub1"],
            "content-sw-sample.cfg" => &["public"],
            // Its only server is whatever host a request names.
            "option-http_proxy.cfg" => &[],
            "quick-test.cfg" => &["p"],
            "socks4.cfg" => &["SMTP-20025", "SSL-20080"],
            "transparent_proxy.cfg" => &["MyFrontend"],
            "wurfl-example.cfg" => &["TheFrontend"],
            other => panic!("what is expected of {other}?"),
        };
        assert_eq!(frontends, expected, "{name}");
        count += 1;
    }
    assert!(count >= 7, "only {count} examples");
}

#[test]
fn the_configuration_that_debian_installs_is_imported() {
    let text = "global\n\tlog /dev/log\tlocal0\n\tchroot /var/lib/haproxy\n\tstats socket /run/haproxy/admin.sock mode 660 level admin\n\
                defaults\n\tlog\tglobal\n\tmode\thttp\n\terrorfile 400 /etc/haproxy/errors/400.http\n";
    let imported = import("haproxy.cfg", text);
    assert_eq!(imported.faults, []);
    let loaded = check("haproxy.cfg", &imported);
    assert!(
        loaded
            .config
            .admin
            .is_some_and(|admin| admin.socket.is_some())
    );
}

#[test]
fn no_keyword_of_haproxy_is_taken_for_a_fault() {
    let output = haproxy().args(["-dKcfg", "-c", "-f", "/dev/null"]).output();
    let output = output.expect("haproxy is installed: see scripts/test.sh");
    let text = String::from_utf8(output.stdout).expect("text");
    // Lines that begin a section of the list have no indentation.
    let mut section = "";
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if !line.starts_with(char::is_whitespace) {
            section = words.first().copied().unwrap_or_default();
            continue;
        }
        let (begin, keyword, rest): (&str, &str, &[&str]) = match (section, words.as_slice()) {
            ("global", [word, ..]) => ("global", *word, &[]),
            ("listen", ["bind", "<addr>", "ssl", word, rest @ ..]) => {
                ("listen l\n bind :80 ssl", *word, rest)
            }
            ("listen", ["bind", "<addr>", word, rest @ ..]) => ("listen l\n bind :80", *word, rest),
            ("listen", ["server", "<name>", "<addr>", word, rest @ ..]) => {
                ("backend b\n server s 1.2.3.4:5", *word, rest)
            }
            ("listen", ["bind" | "server", ..]) => continue,
            ("listen", [word, ..]) => ("listen l", *word, &[]),
            _ => continue,
        };
        let end = if begin.contains(" :80") || begin.contains("server") {
            " "
        } else {
            "\n "
        };
        let value = if rest == ["+1"] { " 1" } else { "" };
        let imported = import("x", &format!("{begin}{end}{keyword}{value}\n"));
        let unknown = imported
            .faults
            .iter()
            .filter(|(_, what)| what.contains("unknown"));
        wrong.extend(unknown.map(|(_, what)| format!("{section}: {line}: {what}")));
        seen.insert(begin);
    }
    assert_eq!(seen.len(), 5, "{text}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_broken_file_gives_its_errors_by_line_and_the_rest() {
    let imported = import(
        "broken.cfg",
        &fs::read_to_string("tests/import/broken.cfg").expect("text"),
    );
    let lines: Vec<usize> = imported.faults.iter().map(|(line, _)| *line).collect();
    let expected = [
        1, 3, 4, 7, 8, 9, 10, 13, 14, 17, 18, 19, 20, 21, 23, 27, 28, 29, 30, 31, 32, 33, 34, 35,
        36, 40, 42,
    ];
    assert_eq!(lines, expected, "{:#?}", imported.faults);
    let loaded = check("broken.cfg", &imported);
    let servers = &loaded.config.backends[1].servers;
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0].name, "ok");
}

#[test]
fn a_message_is_one_short_line_whatever_stands_in_the_file() {
    let long = "x".repeat(1_000_000);
    let text = format!(
        "listen l\n bind :80\n server a 10.0.0.1:80\n option \"a\\nb\\r\"\n {long}\n option {long}\n timeout connect {long}\n"
    );
    let start = Instant::now();
    let imported = import("odd.cfg", &text);
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(imported.faults.len(), 4);
    for (_, what) in &imported.faults {
        assert!(what.len() < 1000 && !what.contains(char::is_control));
    }
    assert_eq!(imported.faults[0].1, "there is no option `a\\nb\\r`");
    check("odd.cfg", &imported);
}

#[test]
fn variables_that_double_each_other_come_to_an_end() {
    let doubled = " setenv A \"$A$A\"\n".repeat(40);
    let text = format!("global\n setenv A aaaaaaaaaa\n{doubled}");
    let imported = import("doubled.cfg", &text);
    let (line, what) = &imported.faults[0];
    assert_eq!(*line, 15, "{:?}", imported.faults);
    assert_eq!(what, "the line has more than 64 KiB of values of variables");
}

#[test]
fn an_address_behind_the_name_of_a_frontend_is_an_error_with_its_cure() {
    let text = "defaults d\nfrontend a 10.0.0.1:80\n default_backend b\nlisten b :25 from d\n server s 10.0.0.2:25\n";
    let imported = import("old.cfg", text);
    let whats: Vec<&str> = imported.faults.iter().map(|(_, what)| &**what).collect();
    assert_eq!(
        whats,
        [
            "an address has a line of its own: `bind 10.0.0.1:80`",
            "an address has a line of its own: `bind :25`"
        ]
    );
}

#[test]
fn the_socket_of_commands_answers_those_of_haproxy_too() {
    let socket = |line: &str| {
        let text =
            format!("global\n stats socket {line}\nlisten l\n bind :80\n server a 10.0.0.1:80\n");
        let imported = import("socket.cfg", &text);
        assert_eq!(imported.faults, [], "{line}");
        let admin = check("socket.cfg", &imported).config.admin;
        admin.and_then(|admin| admin.haproxy_socket)
    };
    let ours = Some(PathBuf::from("/run/ringway/haproxy.sock"));
    for line in [
        "/run/haproxy/admin.sock mode 660 level admin",
        "unix@/run/x level user",
    ] {
        assert_eq!(socket(line), ours, "{line}");
    }
    for line in ["ipv4@127.0.0.1:9999 level admin", "*:9999"] {
        assert_eq!(socket(line), None, "{line}");
    }
}

#[test]
fn ten_thousand_lines_take_less_than_a_second() {
    let mut text =
        "defaults\n mode http\n timeout connect 5s\n timeout client 1m\n timeout server 1m\n"
            .to_owned();
    for index in 0..1000 {
        let _ = writeln!(
            text,
            "frontend f{index}\n bind 10.0.0.1:{}\n acl a src 10.0.0.0/8\n http-request deny if a\n default_backend b{index}\n\
             backend b{index}\n balance leastconn\n cookie S insert\n server s1 10.0.0.1:80 check cookie a\n server s2 10.0.0.2:80 check cookie b",
            index + 1
        );
    }
    assert!(text.lines().count() > 10_000);
    let start = Instant::now();
    let imported = import("large.cfg", &text);
    let time = start.elapsed();
    assert_eq!(check("large.cfg", &imported).config.frontends.len(), 1000);
    assert!(time < Duration::from_secs(1), "{time:?}");
}

/// All words of the fixtures.
static VOCABULARY: LazyLock<Vec<String>> = LazyLock::new(|| {
    let texts = fixtures()
        .into_iter()
        .map(|path| fs::read_to_string(path).expect("text"));
    let text: String = texts.collect();
    let words: BTreeSet<&str> = text.split_whitespace().collect();
    words.into_iter().map(str::to_owned).collect()
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_file_panics(lines in proptest::collection::vec(proptest::collection::vec(any::<proptest::sample::Index>(), 1..7), 1..25)) {
        let line = |indices: &Vec<proptest::sample::Index>| {
            let words: Vec<&str> = indices.iter().map(|index| index.get(&VOCABULARY).as_str()).collect();
            words.join(" ")
        };
        let sections = ["frontend web", "backend app", "listen both", "defaults", "global", "resolvers r"];
        let text = lines.iter().enumerate().map(|(index, indices)| format!("{}\n{}\n", sections[index % 6], line(indices)));
        let text: String = text.collect();
        let imported = import("random.cfg", &text);
        // Whatever it is, it is TOML.
        prop_assert!(imported.text.parse::<toml::Table>().is_ok(), "{text}\n{}", imported.text);
    }
}
