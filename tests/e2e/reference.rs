//! `ringway help`, `man` and `schema`: the reference of the configuration and the topics, as users
//! ask for them.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Ringway, ScratchDirectory};

/// What a command prints if it succeeds.
#[track_caller]
fn printed(arguments: &[&str]) -> String {
    let finished = Ringway::command(arguments);
    let outcome = (finished.code, finished.errors.as_str());
    assert_eq!(outcome, (Some(0), ""), "{finished:?}");
    finished.output
}

#[test]
fn help_of_a_command_is_what_its_option_prints() {
    assert_eq!(printed(&["help"]), printed(&["--help"]));
    for command in ["run", "check", "man", "drain", "help"] {
        let help = printed(&["help", command]);
        assert_eq!(help, printed(&[command, "--help"]));
        assert!(!help.contains("In the configuration file"), "{help}");
    }
}

#[test]
fn help_of_a_key_says_all_of_it() {
    let interval = "\
interval in [backend.NAME.health_check]

  The time from one probe of a server to the next while the server is up.

  Default: \"2s\"
  Bounds:  \"10ms\" to \"1d\"; not less than `timeout`
  Example: interval = \"5s\"

  `ringway help durations` says how durations are written.
";
    let both = printed(&["help", "interval"]);
    assert!(
        both.starts_with(&format!(
            "{interval}\ninterval in [backend.NAME.discover]\n"
        )),
        "{both}"
    );
    assert_eq!(
        printed(&["help", "backend.health_check.interval"]),
        interval
    );
    assert_eq!(printed(&["help", "health_check", "interval"]), interval);
    let section = printed(&["help", "admin"]);
    assert!(section.starts_with("[admin]\n"), "{section}");
    assert!(section.contains("\n  token_file  "), "{section}");
    assert!(printed(&["help", "durations"]).contains("\"1m30s\""));
}

#[test]
fn a_name_of_a_command_and_a_key_has_both() {
    let help = printed(&["help", "weight"]);
    assert!(help.starts_with(&printed(&["weight", "--help"])), "{help}");
    assert!(
        help.contains("\nweight in an entry of `servers`\n"),
        "{help}"
    );
}

#[test]
fn an_unknown_name_is_refused_with_near_ones() {
    for (name, near) in [
        ("intervall", "`intervall`: did you mean interval?"),
        ("rum", "did you mean run?"),
        ("global.worker", "did you mean workers?"),
        ("durration", "did you mean durations?"),
        ("balancin", "did you mean balancing or balance?"),
        ("zzz", "`ringway help` has the commands"),
    ] {
        let finished = Ringway::command(&["help", name]);
        assert_eq!((finished.code, finished.output.as_str()), (Some(2), ""));
        assert!(finished.errors.contains(near), "{finished:?}");
        assert_eq!(finished.errors.lines().count(), 1, "{finished:?}");
    }
}

#[test]
fn shells_complete_commands_and_keys_after_help() {
    let script = printed(&["completions", "bash"]);
    let (_, help) = script.split_once("ringway__subcmd__help)").expect("help");
    let (help, _) = help.split_once(";;").expect("its end");
    for name in [
        "drain",
        "retries",
        "backend.health_check",
        "sizes",
        "balancing",
    ] {
        assert!(help.contains(name), "{help}");
    }
}

#[test]
fn help_lists_every_topic_and_shows_it() {
    let list = printed(&["help"]);
    let (_, list) = list.split_once("\nTopics ").expect("a list");
    let (list, _) = list.split_once("\n\n").expect("its end");
    let topics: Vec<(&str, &str)> = ringway::topics::list().collect();
    let lines = list.lines().skip(1);
    let listed: Vec<(&str, &str)> = lines
        .filter_map(|line| line.trim().split_once("  "))
        .map(|(name, title)| (name, title.trim()))
        .collect();
    assert_eq!(listed, topics);
    for (name, title) in topics {
        let help = printed(&["help", name]);
        assert!(help.starts_with(&format!("{title}\n")), "{help}");
    }
    for rule in ringway::config::rule_names() {
        assert!(list.contains(rule), "{list}");
    }
}

#[test]
fn the_paths_of_the_admin_listener_are_those_of_its_description() {
    let document: Value = serde_json::from_str(&printed(&["openapi"])).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let help = printed(&["help", "admin-listener"]);
    for (path, methods) in paths {
        for method in methods.as_object().expect("methods").keys() {
            let is_line = |line: &str| {
                let is_path = line.contains(&format!("`{path}`"));
                is_path && line.contains(&format!(" {} ", method.to_uppercase()))
            };
            assert!(help.lines().any(is_line), "{method} {path}");
        }
    }
}

/// What `man` shows of a page, which must have no fault.
#[track_caller]
fn shown(page: &str) -> String {
    let folder = ScratchDirectory::new();
    let path = folder.path().join("page");
    fs::write(&path, page).expect("it is written");
    let output = Command::new("man")
        .args(["--warnings", "-E", "ascii", "-P", "cat", "-l"])
        .arg(&path)
        .env("MANWIDTH", "200")
        .output()
        .expect("man is installed");
    let faults = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && faults.is_empty(), "{faults}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_page_of_the_topics_has_all_of_them_and_no_fault() {
    let shown = shown(&printed(&["man", "ringway.7"]));
    assert!(shown.starts_with("ringway(7)"), "{shown}");
    for (name, title) in ringway::topics::list() {
        let heading = format!("\n{}\n", name.to_uppercase());
        let (_, topic) = shown.split_once(&heading).expect(name);
        assert!(topic.trim_start().starts_with(title), "{topic}");
    }
    for words in [
        // A row of two cells, one of three, a list, code.
        "L7STS 503\n              another status\n",
        "When: its head is larger than head_max\n              Code: PR\n",
        "- it has two Host lines, or a target with another host than Host;\n",
        "\n       listen = \"127.0.0.1:8404\"            # reads; changes need the token\n",
        "are shown as \\u{1b}.",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    // A paragraph, whose words are spread over its lines.
    let words: Vec<&str> = shown.split_whitespace().collect();
    let sentence = "A reset is passed on as a reset.";
    assert!(words.join(" ").contains(sentence), "{shown}");
}

#[test]
fn the_page_of_the_configuration_has_every_key_and_no_fault() {
    let page = printed(&["man", "ringway.toml"]);
    let shown = shown(&page);
    for words in [
        "ringway.toml(5)",
        "[backend.NAME.health_check]",
        "Bounds: \"10ms\" to \"1d\"; not less than timeout",
        "Example: { weight = 2, ... }",
        "1 to 64 visible ASCII characters other than \" , ; \\;",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn all_pages_go_into_their_folders() {
    let folder = ScratchDirectory::new();
    let pages = ["ringway.toml", "ringway.7"].map(|name| printed(&["man", name]));
    for (into, paths) in [
        ("man1", ["man5/ringway.toml.5", "man7/ringway.7"]),
        ("pages", ["pages/ringway.toml.5", "pages/ringway.7"]),
    ] {
        printed(&["man", &folder.path().join(into).display().to_string()]);
        for (path, page) in paths.iter().zip(&pages) {
            let written = fs::read_to_string(folder.path().join(path));
            assert_eq!(&written.expect(path), page);
        }
        let command = folder.path().join(into).join("ringway-drain.1");
        assert!(command.exists(), "{}", command.display());
    }
}

#[test]
fn the_schema_is_printed() {
    assert_eq!(printed(&["schema"]), ringway::config::json_schema());
}
