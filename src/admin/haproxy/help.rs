//! The lists of commands that `help` and an unknown command are answered with.

use std::fmt::Write;

/// Commands with what they do, in HAProxy's words.
const COMMANDS: &[(&str, &str)] = &[
    (
        "disable server (DEPRECATED)",
        "disable a server for maintenance (use 'set server' instead)",
    ),
    (
        "enable server  (DEPRECATED)",
        "enable a disabled server (use 'set server' instead)",
    ),
    ("get weight <bk>/<srv>", "report a server's current weight"),
    (
        "set server <bk>/<srv> [opts]",
        "change a server's state or weight",
    ),
    ("set timeout [cli] <delay>", "change a timeout setting"),
    (
        "set weight <bk>/<srv>  (DEPRECATED)",
        "change a server's weight (use 'set server' instead)",
    ),
    (
        "show backend",
        "list backends in the current running config",
    ),
    (
        "show errors [<px>] [request|response]",
        "report last request and/or response errors for each proxy",
    ),
    (
        "show info [typed|json]",
        "report information about the running process",
    ),
    (
        "show servers state [<backend>]",
        "dump volatile server information (all or for a single backend)",
    ),
    (
        "show stat [{<iid>|<px>} <type> <sid>] [typed|json] [up|no-maint]",
        "report counters for each proxy and server",
    ),
    ("show version", "show version of the current process"),
    (
        "shutdown sessions server <bk>/<srv>",
        "kill sessions on a server",
    ),
];

/// Commands of the session itself.
const ALWAYS: &[(&str, &str)] = &[
    ("help [<command>]", "list matching or all commands"),
    ("prompt", "toggle interactive mode with prompt"),
    ("quit", "disconnect"),
];

/// All commands.
pub fn help() -> String {
    list(
        "The following commands are valid at this level:",
        COMMANDS.iter(),
    )
}

/// What is said of an unknown command: the commands that begin with the same word, or all.
pub fn unknown(line: &str) -> String {
    let first = line.split_ascii_whitespace().next().unwrap_or_default();
    let begins = |command: &str| !first.is_empty() && command.split(' ').next() == Some(first);
    let alike: Vec<_> = COMMANDS
        .iter()
        .filter(|(command, _)| begins(command))
        .collect();
    if alike.is_empty() {
        let title = "Unknown command. Please enter one of the following commands only:";
        return list(title, COMMANDS.iter());
    }
    let title = "Unknown command, but maybe one of the following ones is a better match:";
    list(title, alike.into_iter())
}

fn list(
    title: &str,
    commands: impl Iterator<Item = &'static (&'static str, &'static str)>,
) -> String {
    let mut text = format!("{title}\n");
    for (command, does) in commands.chain(ALWAYS) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {command:<40}: {does}");
    }
    text
}
