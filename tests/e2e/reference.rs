//! `ringway help`, `man` and `schema`: the reference of the configuration, as users ask for it.

use std::fs;
use std::process::Command;

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
    assert_eq!(printed(&["help", "interval"]), interval);
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
    for name in ["drain", "retries", "backend.health_check", "sizes"] {
        assert!(help.contains(name), "{help}");
    }
}

#[test]
fn the_page_of_the_configuration_has_every_key_and_no_fault() {
    let page = printed(&["man", "ringway.toml"]);
    let folder = ScratchDirectory::new();
    let path = folder.path().join("ringway.toml.5");
    fs::write(&path, &page).expect("it is written");
    let output = Command::new("man")
        .args(["--warnings", "-E", "ascii", "-P", "cat", "-l"])
        .arg(&path)
        .env("MANWIDTH", "200")
        .output()
        .expect("man is installed");
    let faults = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && faults.is_empty(), "{faults}");
    let shown = String::from_utf8_lossy(&output.stdout);
    for words in [
        "ringway.toml(5)",
        "[backend.NAME.health_check]",
        "Bounds: \"10ms\" to \"1d\"; not less than timeout",
        "Example: { weight = 2, ... }",
        "1 to 64 visible ASCII characters other than \" , ; \\;",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }

    let man1 = folder.path().join("man1");
    printed(&["man", &man1.display().to_string()]);
    let installed = fs::read_to_string(folder.path().join("man5/ringway.toml.5"));
    assert_eq!(installed.expect("a page"), page);
    let flat = folder.path().join("pages");
    printed(&["man", &flat.display().to_string()]);
    let beside = fs::read_to_string(flat.join("ringway.toml.5"));
    assert_eq!(beside.expect("a page"), page);
}

#[test]
fn the_schema_is_printed() {
    assert_eq!(printed(&["schema"]), ringway::config::json_schema());
}
