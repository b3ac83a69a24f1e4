//! The layers of the design hold: read from the sources, so that a wrong import fails here.

#[path = "layers/graph.rs"]
mod graph;
#[path = "layers/scan.rs"]
mod scan;

use std::fs;
use std::path::{Path, PathBuf};

use graph::Graph;

/// All sources below `src`, with their paths relative to it.
fn sources() -> Vec<(String, String)> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 40, "only {} sources were found", files.len());
    files
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).expect("below src");
            let text = fs::read_to_string(&path).expect("readable");
            (name.display().to_string(), text)
        })
        .collect()
}

/// Lines of code: without comments and string contents, roughly.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or_default()))
}

/// Fails for every line of code in files that `concerns` in which `wrong` finds something.
fn forbid(concerns: impl Fn(&str) -> bool, wrong: impl Fn(&str) -> Option<&'static str>) {
    let mut found = Vec::new();
    let mut seen = 0;
    for (name, text) in sources() {
        if !concerns(&name) {
            continue;
        }
        seen += 1;
        for (number, line) in code(&text) {
            if let Some(what) = wrong(line) {
                found.push(format!("src/{name}:{number}: {what}: {}", line.trim()));
            }
        }
    }
    assert!(seen > 0, "the rule concerns no file");
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

fn contains_any(line: &str, words: &[&str]) -> bool {
    words.iter().any(|word| line.contains(word))
}

/// Modules of ours that a line names by `crate::`.
fn ours(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("crate::").map(|(at, found)| {
        let rest = &line[at + found.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        &rest[..end.unwrap_or(rest.len())]
    })
}

#[test]
fn logic_knows_only_itself_and_does_no_io() {
    forbid(
        |name| name.starts_with("logic/"),
        |line| {
            if ours(line).any(|module| module != "logic") {
                return Some("logic imports something else of ours");
            }
            let io = [
                "std::fs",
                "std::io",
                "std::thread",
                "std::sync",
                "std::os",
                "std::env",
                "std::process",
                "TcpStream",
                "TcpListener",
                "SystemTime",
                "Instant::now",
                "libc::",
                "rustix::",
                "tokio::",
                "io_uring::",
                "socket2::",
                "log::",
            ];
            contains_any(line, &io).then_some("logic does I/O, shares, or reads a clock")
        },
    );
}

#[test]
fn io_knows_nothing_of_ours() {
    forbid(
        |name| name.starts_with("io/"),
        |line| {
            ours(line)
                .any(|module| module != "io")
                .then_some("io imports something of ours")
        },
    );
}

#[test]
fn only_the_worker_sees_both_io_and_logic() {
    let knows = |text: &str, wanted: &str| {
        code(text).any(|(_, line)| ours(line).any(|module| module == wanted))
    };
    let mut both = Vec::new();
    for (name, text) in sources() {
        if !name.starts_with("worker/") && knows(&text, "io") && knows(&text, "logic") {
            both.push(name);
        }
    }
    assert!(both.is_empty(), "{both:?}");
}

#[test]
fn nothing_is_printed_by_macros_that_panic() {
    forbid(
        |_| true,
        |line| {
            contains_any(line, &["print!(", "println!("])
                .then_some("it panics if nobody takes it: see `console`")
        },
    );
}

#[test]
fn unsafe_code_is_only_in_io() {
    forbid(
        |name| !name.starts_with("io/"),
        |line| {
            let words = ["unsafe {", "unsafe fn", "unsafe impl", "allow(unsafe_code)"];
            contains_any(line, &words).then_some("unsafe code outside of io")
        },
    );
}

#[test]
fn orderings_of_atomics_are_only_in_sync() {
    // The buffer ring's tail is shared with the kernel, not with our threads; pools are numbered.
    let exempt = ["io/uring/buffer_ring.rs", "io/pool.rs"];
    forbid(
        |name| !name.starts_with("sync/") && !exempt.contains(&name),
        |line| {
            let words = [
                "Ordering::SeqCst",
                "Ordering::Relaxed",
                "Ordering::Acq",
                "Ordering::Rel",
            ];
            contains_any(line, &words).then_some("an ordering outside of src/sync")
        },
    );
}

#[test]
fn the_worker_reads_the_clock_in_one_place() {
    let reads: Vec<String> = sources()
        .into_iter()
        .filter(|(name, _)| name.starts_with("worker/"))
        .flat_map(|(name, text)| {
            let lines: Vec<String> = code(&text)
                .filter(|(_, line)| contains_any(line, &["engine.now()", "Instant::now"]))
                .map(|(number, _)| format!("{name}:{number}"))
                .collect();
            lines
        })
        .collect();
    assert_eq!(reads.len(), 1, "{reads:?}");
    assert!(reads[0].starts_with("worker/event_loop.rs"), "{reads:?}");
}

#[test]
fn every_module_says_what_it_is_for() {
    for (name, text) in sources() {
        assert!(text.starts_with("//! "), "src/{name} has no module doc");
    }
}

/// The rooms of `src`, each with what it may use: those before it, and itself.
const ROOMS: &[&str] = &[
    // Re-exports the atomics of the standard library.
    "lib",
    "logic",
    "io",
    "console",
    "near",
    "printable",
    "privileges",
    "task",
    "timestamp",
    "token",
    "sync",
    "topics",
    "config",
    "snapshot",
    "shared",
    "worker",
    "logging",
    "control",
    "admin",
    "serve",
    "cli",
    "generate",
    "import",
    "operator",
    "demo",
    "check",
    "doctor",
    "main",
];

#[test]
fn no_modules_use_each_other_in_a_circle() {
    let graph = Graph::of(&sources());
    let circles = graph.circles();
    let mut arrows = String::new();
    for circle in &circles {
        for (from, to, items) in graph.arrows_within(circle) {
            arrows += &format!("{from} uses {items:?} of {to}\n");
        }
    }
    assert!(circles.is_empty(), "\n{arrows}");
}

#[test]
fn rooms_use_only_rooms_below_them() {
    let rank = |module: &str| {
        let room = module.split('/').next().unwrap_or_default();
        let found = ROOMS.iter().position(|known| *known == room);
        found.unwrap_or_else(|| panic!("the room {room} is not in the list"))
    };
    let graph = Graph::of(&sources());
    let mut wrong = Vec::new();
    for (from, to, items) in graph.all_arrows() {
        if rank(from) < rank(to) {
            wrong.push(format!("{from} uses {items:?} of {to}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn admin_uses_control_by_its_interface_only() {
    forbid(
        |name| name.starts_with("admin/"),
        |line| {
            let others = line.replace("crate::control::api", "");
            contains_any(&others, &["crate::control"])
                .then_some("admin names a part of control that is not in control::api")
        },
    );
}

#[test]
fn circles_are_found_through_re_exports_and_others() {
    let graph = |files: &[(&str, &str)]| {
        let file = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Graph::of(&files.iter().map(file).collect::<Vec<_>>())
    };
    let declares = ("a/mod.rs", "mod b;\nmod c;\npub use b::B;\npub use c::C;");
    let no_circle = [
        declares,
        ("a/b.rs", "pub struct B;"),
        ("a/c.rs", "use super::B;"),
    ];
    assert!(graph(&no_circle).circles().is_empty());
    let by_re_export = [
        declares,
        ("a/b.rs", "use crate::a::C;"),
        ("a/c.rs", "use super::B;"),
    ];
    assert_eq!(graph(&by_re_export).circles(), [["a/b", "a/c"]]);
    let defines = [
        ("a/mod.rs", "mod b;\nuse b::B;\npub struct A(B);"),
        ("a/b.rs", "use super::A; // \"quoted"),
    ];
    assert_eq!(graph(&defines).circles(), [["a", "a/b"]]);
    let by_path = [
        (
            "a.rs",
            "use crate::{b::{self, X}, c as d};\nfn f() { b::g(\"d::h\"); }",
        ),
        ("b.rs", "fn g() { let _ = 'x'; crate::c::h::<'static>() }"),
        ("c.rs", "fn h() { crate::a::f() }"),
    ];
    assert_eq!(graph(&by_path).circles(), [["a", "b", "c"]]);
    let in_tests = [
        (
            "a.rs",
            "#[cfg(test)]\nmod tests { use crate::b::g; }\npub fn f() {}",
        ),
        (
            "b.rs",
            "use crate::a::f;\nmod inner;\n#[cfg(test)]\nmod tests;",
        ),
        ("b/tests.rs", "use super::inner::x;"),
        (
            "b/inner.rs",
            "/* crate::b::g */ const X: &str = r#\"crate::b::g\"#;",
        ),
    ];
    assert!(graph(&in_tests).circles().is_empty());
}
