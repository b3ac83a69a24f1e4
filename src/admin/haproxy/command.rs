//! A command of HAProxy's runtime API, read from a line: what is asked for, or what HAProxy says against it.
//!
//! Words and messages are those of HAProxy 2.6 (management guide, section 9.3).

use std::time::Duration;

use super::super::rows::{Hidden, number};
use crate::control::api::AdminState;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// `show stat`
    Stat(StatFilter<'a>),
    /// `show info`
    Info(Format),
    /// `show servers state`, of one backend or of all.
    ServersState(Option<&'a str>),
    /// `show errors`
    Errors,
    /// `show backend`
    Backends,
    /// `show version`
    Version,
    /// `set server B/S state`, `disable server`
    SetState(ServerRef<'a>, AdminState),
    /// `enable server`: it leaves maintenance, and stays in a drain.
    Enable(ServerRef<'a>),
    /// `set weight`, `set server B/S weight`
    SetWeight(ServerRef<'a>, Weight),
    /// `get weight`
    GetWeight(ServerRef<'a>),
    /// `shutdown sessions server`
    ShutdownSessions(ServerRef<'a>),
    /// `help`
    Help,
    /// `prompt`
    Prompt,
    /// `quit`
    Quit,
    /// `set timeout cli`
    Timeout(Duration),
}

/// A server as a command names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerRef<'a> {
    pub backend: &'a str,
    pub server: &'a str,
}

/// A weight as a command gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// 0 to 256.
    Absolute(u16),
    /// So many per cent of the weight of the configuration.
    Percent(u32),
}

/// How `show stat` and `show info` write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// CSV, or a name and a value in each line.
    #[default]
    Plain,
    /// A line for each value, with its type.
    Typed,
    Json,
}

/// Which rows of `show stat` are wanted, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatFilter<'a> {
    /// A name or a number (`iid`); `None`: every frontend and backend.
    pub proxy: Option<&'a str>,
    /// Bits by the value of the column `type`; `None`: every one.
    pub kinds: Option<u32>,
    /// The number of a server (`sid`); `None`: every one.
    pub server: Option<u32>,
    /// Servers that are left out.
    pub hidden: Hidden,
    pub format: Format,
}

/// Why a command is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such command.
    Unknown,
    /// In HAProxy's words, or our own.
    Said(String),
}

/// The longest time that a client may be silent.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// The greatest weight.
pub const WEIGHT_MAX: u16 = 256;

const SERVER_USAGE: &str = "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send \
                            | check-addr | check-port | fqdn | health | ssl | state | weight";

/// Commands of HAProxy that are not ours, and what is instead, by the words that they begin with.
const ELSEWHERE: &[(&str, &str)] = &[
    ("add server", "`ringway add BACKEND/SERVER ADDRESS`"),
    ("del server", "`ringway remove BACKEND/SERVER`"),
    ("show sess", "`ringway sessions`"),
    ("shutdown session", "`ringway kill ID`"),
    (
        "shutdown frontend",
        "a change of the configuration and `ringway reload`",
    ),
    (
        "disable frontend",
        "a change of the configuration and `ringway reload`",
    ),
    (
        "enable frontend",
        "a change of the configuration and `ringway reload`",
    ),
    (
        "set maxconn",
        "`max_sessions` of the configuration and `ringway reload`",
    ),
    (
        "set rate-limit",
        "`rate` of [frontend.NAME.per_client] and `ringway reload`",
    ),
    (
        "show acl",
        "`allow` and `deny` of a frontend, whose files `ringway reload` reads again",
    ),
    (
        "add acl",
        "`allow` and `deny` of a frontend, whose files `ringway reload` reads again",
    ),
    (
        "del acl",
        "`allow` and `deny` of a frontend, whose files `ringway reload` reads again",
    ),
    ("show table", "`ringway clients`"),
    ("set table", "[frontend.NAME.per_client]"),
    ("clear table", "[frontend.NAME.per_client]"),
    (
        "clear counters",
        "a restart: counters count from the start of the process",
    ),
    ("show events", "`ringway events`"),
    ("show resolvers", "`ringway status`"),
    ("show servers conn", "`ringway sessions BACKEND/SERVER`"),
    (
        "show schema",
        "the schema of HAProxy, which `show stat json` keeps to",
    ),
    ("show activity", "`ringway status --json`"),
    ("show threads", "`ringway status --json`"),
    ("show pools", "`ringway status --json`"),
    ("disable health", "`set server BACKEND/SERVER state maint`"),
    ("enable health", "`set server BACKEND/SERVER state ready`"),
    ("disable agent", "`set server BACKEND/SERVER state maint`"),
    ("enable agent", "`set server BACKEND/SERVER state ready`"),
];

/// Reads one command.
///
/// # Errors
///
/// See [`Refused`].
pub fn parse(line: &str) -> Result<Command<'_>, Refused> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    Ok(match words.as_slice() {
        ["help", ..] => Command::Help,
        ["prompt"] => Command::Prompt,
        ["quit"] => Command::Quit,
        ["show", "stat", rest @ ..] => Command::Stat(stat_filter(rest)?),
        ["show", "info", rest @ ..] => Command::Info(format(rest)?),
        ["show", "servers", "state", backend @ ..] => {
            Command::ServersState(backend.first().copied())
        }
        ["show", "errors", ..] => Command::Errors,
        ["show", "backend"] => Command::Backends,
        ["show", "version"] => Command::Version,
        ["disable", "server", rest @ ..] => Command::SetState(server(rest)?, AdminState::Maint),
        ["enable", "server", rest @ ..] => Command::Enable(server(rest)?),
        ["get", "weight", rest @ ..] => Command::GetWeight(server(rest)?),
        ["set", "weight", rest @ ..] => {
            Command::SetWeight(server(rest)?, weight(rest.get(1).copied())?)
        }
        ["set", "server", rest @ ..] => set_server(server(rest)?, &rest[1..])?,
        ["shutdown", "sessions", "server", rest @ ..] => Command::ShutdownSessions(server(rest)?),
        ["set", "timeout", "cli", time] => {
            let seconds: Option<u64> = time.trim_end_matches('s').parse().ok();
            let Some(seconds) = seconds else {
                return said("Invalid timeout value.");
            };
            Command::Timeout(Duration::from_secs(seconds).min(TIMEOUT_MAX))
        }
        _ => return Err(elsewhere(&words)),
    })
}

fn said<T>(words: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::Said(words.into()))
}

/// The server that the first of these words names.
fn server<'a>(words: &[&'a str]) -> Result<ServerRef<'a>, Refused> {
    let named = words.first().and_then(|word| word.split_once('/'));
    match named {
        Some((backend, server)) if !backend.is_empty() && !server.is_empty() => {
            Ok(ServerRef { backend, server })
        }
        Some(_) | None => said("Require 'backend/server'."),
    }
}

fn set_server<'a>(server: ServerRef<'a>, words: &[&str]) -> Result<Command<'a>, Refused> {
    let state = |word: &str| {
        AdminState::ALL
            .into_iter()
            .find(|state| state.as_str() == word)
    };
    match words {
        ["state", word, ..] if let Some(state) = state(word) => {
            Ok(Command::SetState(server, state))
        }
        ["state", ..] => said("'set server <srv> state' expects 'ready', 'drain' and 'maint'."),
        ["weight", rest @ ..] => Ok(Command::SetWeight(server, weight(rest.first().copied())?)),
        ["addr" | "fqdn", ..] => said(
            "Ringway changes no address of a server that is there: change the configuration and `ringway reload`, or \
             add another server with `ringway add BACKEND/SERVER ADDRESS`",
        ),
        [
            word @ ("agent" | "agent-addr" | "agent-port" | "agent-send" | "check-addr"
            | "check-port" | "health" | "ssl"),
            ..,
        ] => said(format!(
            "Ringway has no `set server <srv> {word}`: use `state`, or change the configuration and `ringway reload`"
        )),
        _ => said(SERVER_USAGE),
    }
}

fn weight(word: Option<&str>) -> Result<Weight, Refused> {
    let Some(word) = word else {
        return said("Require <weight> or <weight%>.");
    };
    let (digits, is_percent) = match word.strip_suffix('%') {
        Some(digits) => (digits, true),
        None => (word, false),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return said("Empty weight string empty or preceded by garbage");
    }
    let Ok(number) = digits.parse::<u32>() else {
        return said("Trailing garbage in weight string");
    };
    if is_percent {
        return Ok(Weight::Percent(number));
    }
    match u16::try_from(number) {
        Ok(number) if number <= WEIGHT_MAX => Ok(Weight::Absolute(number)),
        Ok(_) | Err(_) => said("Absolute weight can only be between 0 and 256 inclusive."),
    }
}

/// `[domain proxy] [{<iid>|<proxy>} <type> <sid>] [typed|json] [up|no-maint]`
fn stat_filter<'a>(words: &[&'a str]) -> Result<StatFilter<'a>, Refused> {
    let words = match words {
        ["domain", "proxy", rest @ ..] => rest,
        ["domain", ..] => return said("Invalid statistics domain."),
        words => words,
    };
    // As with HAProxy, three words are always a proxy, kinds and a server.
    let (filter, rest) = match words {
        [proxy, kinds, server, rest @ ..] => {
            let some = |word: &str| u32::try_from(number(word)).ok();
            let filter = StatFilter {
                proxy: (number(proxy) >= 0).then_some(*proxy),
                kinds: some(kinds),
                server: some(server),
                ..StatFilter::default()
            };
            (filter, rest)
        }
        words => (StatFilter::default(), words),
    };
    let hidden = match (rest.contains(&"up"), rest.contains(&"no-maint")) {
        (true, _) => Hidden::Down,
        (false, true) => Hidden::Maint,
        (false, false) => Hidden::Nothing,
    };
    Ok(StatFilter {
        hidden,
        format: format(rest)?,
        ..filter
    })
}

/// The last of these words that names a format. Others are not looked at, as with HAProxy.
fn format(words: &[&str]) -> Result<Format, Refused> {
    if words.contains(&"desc") {
        return said(
            "Ringway describes no fields: HAProxy's management guide does, in section 9.1",
        );
    }
    let named = words.iter().rev().find_map(|word| match *word {
        "typed" => Some(Format::Typed),
        "json" => Some(Format::Json),
        _ => None,
    });
    Ok(named.unwrap_or_default())
}

/// What is said of a command that is not ours.
fn elsewhere(words: &[&str]) -> Refused {
    let line = words.join(" ");
    let begins = |known: &str| {
        let rest = line.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let found = ELSEWHERE.iter().find(|(known, _)| begins(known));
    found.map_or(Refused::Unknown, |(known, ours)| {
        Refused::Said(format!("Ringway has no '{known}': its place has {ours}"))
    })
}

/// Commands of a line; `\;` separates none.
pub fn split(line: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    line.split(move |c: char| {
        let separates = c == ';' && !escaped;
        escaped = c == '\\' && !escaped;
        separates
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB1: ServerRef<'_> = ServerRef {
        backend: "app",
        server: "web1",
    };

    fn refused(line: &str) -> String {
        match parse(line) {
            Err(Refused::Said(words)) => words,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn commands_are_read_as_haproxy_reads_them() {
        let filter = |proxy, kinds, server| {
            Command::Stat(StatFilter {
                proxy,
                kinds,
                server,
                ..StatFilter::default()
            })
        };
        let written = |hidden, format| {
            Command::Stat(StatFilter {
                hidden,
                format,
                ..StatFilter::default()
            })
        };
        for (line, command) in [
            ("show stat", Command::Stat(StatFilter::default())),
            (" show  stat\t-1 4 -1", filter(None, Some(4), None)),
            ("show stat app 6 2", filter(Some("app"), Some(6), Some(2))),
            (
                "show stat domain proxy 3 1 0",
                filter(Some("3"), Some(1), Some(0)),
            ),
            ("show stat typed", written(Hidden::Nothing, Format::Typed)),
            (
                "show stat typed json",
                written(Hidden::Nothing, Format::Json),
            ),
            (
                "show stat -1 -1 -1 foo up typed no-maint",
                written(Hidden::Down, Format::Typed),
            ),
            (
                "show stat typed app 4",
                filter(Some("typed"), Some(0), Some(4)),
            ),
            ("show stat no-maint", written(Hidden::Maint, Format::Plain)),
            ("show info", Command::Info(Format::Plain)),
            ("show info json float typed", Command::Info(Format::Typed)),
            ("show servers state app", Command::ServersState(Some("app"))),
            (
                "disable server app/web1",
                Command::SetState(WEB1, AdminState::Maint),
            ),
            ("enable server app/web1", Command::Enable(WEB1)),
            (
                "set server app/web1 state drain",
                Command::SetState(WEB1, AdminState::Drain),
            ),
            (
                "set server app/web1 weight 50%",
                Command::SetWeight(WEB1, Weight::Percent(50)),
            ),
            (
                "set weight app/web1 256",
                Command::SetWeight(WEB1, Weight::Absolute(256)),
            ),
            ("get weight app/web1", Command::GetWeight(WEB1)),
            (
                "shutdown sessions server app/web1",
                Command::ShutdownSessions(WEB1),
            ),
            ("set timeout cli 86400000", Command::Timeout(TIMEOUT_MAX)),
        ] {
            assert_eq!(parse(line), Ok(command), "{line}");
        }
        for (line, words) in [
            (
                "set server app/web1 state foo",
                "expects 'ready', 'drain' and 'maint'",
            ),
            (
                "set server app/web1",
                "usage: set server <backend>/<server> addr",
            ),
            ("set server app", "Require 'backend/server'."),
            ("set weight app/web1", "Require <weight> or <weight%>."),
            ("set weight app/web1 257", "between 0 and 256 inclusive"),
            ("set weight app/web1 99999999999", "Trailing garbage"),
            ("set weight app/web1 -1", "preceded by garbage"),
            ("set server app/web1 addr 10.0.0.1", "`ringway reload`"),
            ("show sess 0x12", "`ringway sessions`"),
            ("show stat typed desc", "describes no fields"),
            ("show schema json", "the schema of HAProxy"),
        ] {
            let found = refused(line);
            assert!(found.contains(words), "{line}: {found}");
        }
        for line in ["", "foo", "show", "show sessions", "QUIT"] {
            assert_eq!(parse(line), Err(Refused::Unknown), "{line}");
        }
    }

    #[test]
    fn a_line_has_commands_between_semicolons() {
        let commands = |line| split(line).collect::<Vec<_>>();
        assert_eq!(commands("show info;show stat"), ["show info", "show stat"]);
        assert_eq!(commands(r"a\;b;c"), [r"a\;b", "c"]);
        assert_eq!(commands(""), [""]);
    }
}
