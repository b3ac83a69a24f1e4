//! Options of `server`, `default-server` and `server-template`: section 5.2 of HAProxy's manual.

use std::net::IpAddr;
use std::time::Duration;

use super::directive::Directive;
use super::keywords;
use super::notes::{Notes, Place, Verdict};
use super::parameters;
use super::values;

/// Which PROXY head servers get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    V1,
    V2,
}

/// The options that have a translation; what is not written is as HAProxy has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Options {
    pub weight: Option<u32>,
    pub sessions_max: Option<u32>,
    pub cookie: Option<String>,
    pub is_backup: bool,
    pub is_disabled: bool,
    pub slow_start: Option<Duration>,
    pub closes_on_down: bool,
    pub send_proxy: Option<Head>,
    pub source: Option<IpAddr>,
    pub user_timeout: Option<Duration>,
    /// The section of name servers by which its name is looked up again and again.
    pub resolvers: Option<String>,
    pub family: Option<&'static str>,
    /// TLS of sessions, which there is not; checks inherit it.
    pub tls: bool,
    /// `observe`, with `error-limit`.
    pub observes: bool,
    pub error_limit: Option<u32>,
    pub check: Check,
}

/// How a server is checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Check {
    pub is_on: bool,
    pub interval: Option<Duration>,
    pub fast_interval: Option<Duration>,
    pub down_interval: Option<Duration>,
    pub rise: Option<u32>,
    pub fall: Option<u32>,
    pub port: Option<u32>,
    pub tls: bool,
    pub verifies: Option<bool>,
    pub ca: Option<String>,
    /// The name that is told: of `check-sni`, else of `sni` or `verifyhost`.
    pub sni: Option<String>,
}

/// A server, or the template of some.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub directive: Directive,
    pub name: String,
    pub address: String,
    /// How many servers a template has.
    pub template: Option<u32>,
    pub options: Options,
}

/// Reads options into `options`; those without a translation become notes.
pub(super) fn read(
    options: &mut Options,
    words: &[String],
    place: &Place,
    directive: &Directive,
    notes: &mut Notes,
) {
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        if let Some((count, verdict, why)) = parameters::server(word) {
            let argument = rest
                .get(..count)
                .map(|words| words.join(" "))
                .unwrap_or_default();
            rest = rest.get(count..).unwrap_or_default();
            let shown = format!("`{}`: {why}", format!("{word} {argument}").trim_end());
            notes.add(place, directive, verdict, shown);
            continue;
        }
        if set_flag(options, word) {
            continue;
        }
        match word.as_str() {
            "ssl" => {
                options.tls = true;
                let why = "`ssl`: the bytes of clients go to the server as they come, without TLS of our own";
                notes.not_translated(place, directive, why);
                continue;
            }
            "send-proxy-v2-ssl" | "send-proxy-v2-ssl-cn" => {
                options.send_proxy = Some(Head::V2);
                let why = format!("`{word}`: the head says nothing of TLS");
                notes.differs(place, directive, why);
                continue;
            }
            "usesrc" => {
                rest = rest.get(1..).unwrap_or_default();
                let why = "`usesrc`: servers are connected to from addresses of this host; `send_proxy` and \
                           `forwarded_for` tell them the client's";
                notes.not_translated(place, directive, why);
                continue;
            }
            _ => {}
        }
        let Some((argument, after)) = rest.split_first() else {
            let what = match takes_argument(word) {
                true => format!("`{word}` needs an argument"),
                false => unknown(word),
            };
            notes.wrong(place, directive, what);
            return;
        };
        match set(options, word, argument) {
            Ok(Set::Done) => rest = after,
            Ok(Set::Differs(verdict, why)) => {
                rest = after;
                notes.add(
                    place,
                    directive,
                    verdict,
                    format!("`{word} {argument}`: {why}"),
                );
            }
            Ok(Set::Unknown) => return notes.wrong(place, directive, unknown(word)),
            Err(what) => {
                rest = after;
                notes.wrong(place, directive, format!("`{word}`: {what}"));
            }
        }
    }
}

fn unknown(word: &str) -> String {
    let names = VALUES.iter().chain(FLAGS).map(|name| (*name).to_owned());
    match crate::near::near(word, names).first() {
        Some(near) => format!("unknown option `{word}` of a server: did you mean {near}?"),
        None => format!("unknown option `{word}` of a server"),
    }
}

/// Options without an argument, for proposals.
const FLAGS: &[&str] = &[
    "check",
    "backup",
    "disabled",
    "check-ssl",
    "ssl",
    "send-proxy",
    "send-proxy-v2",
];

/// Options with an argument.
const VALUES: &[&str] = &[
    "weight",
    "maxconn",
    "cookie",
    "slowstart",
    "on-marked-down",
    "on-marked-up",
    "source",
    "tcp-ut",
    "resolvers",
    "resolve-prefer",
    "observe",
    "error-limit",
    "inter",
    "fastinter",
    "downinter",
    "rise",
    "fall",
    "port",
    "addr",
    "verify",
    "ca-file",
    "sni",
    "check-sni",
    "verifyhost",
];

fn takes_argument(word: &str) -> bool {
    VALUES.contains(&word)
}

/// Sets an option without an argument, if it is one.
fn set_flag(options: &mut Options, word: &str) -> bool {
    match word {
        "check" => options.check.is_on = true,
        "no-check" => options.check.is_on = false,
        "backup" => options.is_backup = true,
        "no-backup" => options.is_backup = false,
        "disabled" => options.is_disabled = true,
        "check-ssl" => options.check.tls = true,
        "no-check-ssl" => options.check.tls = false,
        "no-ssl" => options.tls = false,
        "send-proxy" => options.send_proxy = Some(Head::V1),
        "send-proxy-v2" => options.send_proxy = Some(Head::V2),
        "no-send-proxy"
        | "no-send-proxy-v2"
        | "no-send-proxy-v2-ssl"
        | "no-send-proxy-v2-ssl-cn" => {
            options.send_proxy = None;
        }
        // Checks begin with the head of sessions, here as there.
        "check-send-proxy" | "no-check-send-proxy" => {}
        _ => return false,
    }
    true
}

/// What became of an option with an argument.
enum Set {
    Done,
    Differs(Verdict, &'static str),
    Unknown,
}

fn set(options: &mut Options, word: &str, argument: &str) -> Result<Set, String> {
    let time = || {
        let time = values::time(argument)?;
        if time.is_zero() {
            Err("the time is 0".to_owned())
        } else {
            Ok(Some(time))
        }
    };
    let count = |max| values::number(argument, max).map(Some);
    let check = &mut options.check;
    match word {
        "weight" => options.weight = count(256)?,
        "maxconn" => options.sessions_max = count(u32::MAX)?.filter(|count| *count > 0),
        "cookie" => options.cookie = Some(argument.to_owned()),
        "slowstart" => {
            options.slow_start = Some(values::time(argument)?).filter(|time| !time.is_zero())
        }
        "on-marked-down" => options.closes_on_down = argument == "shutdown-sessions",
        "on-marked-up" => {
            return Ok(Set::Differs(
                Verdict::NotTranslated,
                "sessions of backups go on when another server is back",
            ));
        }
        "source" => match source_address(argument) {
            Some(address) => options.source = address,
            None => {
                return Ok(Set::Differs(
                    Verdict::NotTranslated,
                    "a source is an IP address without a port",
                ));
            }
        },
        "tcp-ut" => options.user_timeout = time()?,
        "resolvers" => options.resolvers = Some(argument.to_owned()),
        "resolve-prefer" => {
            options.family = match argument {
                "ipv4" => Some("ipv4"),
                "ipv6" => Some("ipv6"),
                _ => return Err("write ipv4 or ipv6".to_owned()),
            }
        }
        "observe" => options.observes = true,
        "error-limit" => options.error_limit = count(u32::MAX)?,
        "inter" => check.interval = time()?,
        "fastinter" => check.fast_interval = time()?,
        "downinter" => check.down_interval = time()?,
        "rise" => check.rise = count(u32::MAX)?,
        "fall" => check.fall = count(u32::MAX)?,
        "port" => check.port = count(65_535)?.filter(|port| *port > 0),
        "addr" => {
            return Ok(Set::Differs(
                Verdict::NotTranslated,
                "a server is checked at its own address",
            ));
        }
        "verify" => {
            check.verifies = match argument {
                "none" => Some(false),
                "required" => Some(true),
                _ => return Err("write none or required".to_owned()),
            }
        }
        "ca-file" => check.ca = Some(argument.to_owned()),
        "check-sni" => check.sni = Some(argument.to_owned()),
        "verifyhost" => {
            check.sni.get_or_insert_with(|| argument.to_owned());
        }
        "sni" => {
            let fixed = argument
                .strip_prefix("str(")
                .and_then(|rest| rest.strip_suffix(')'));
            match fixed {
                Some(name) => check.sni = check.sni.take().or(Some(name.to_owned())),
                None => return Ok(Set::Differs(Verdict::NotTranslated, keywords::NO_TLS)),
            }
        }
        _ => return Ok(Set::Unknown),
    }
    Ok(Set::Done)
}

/// The address of `source`; the inner `None`: any address of this host.
pub(super) fn source_address(text: &str) -> Option<Option<IpAddr>> {
    let text = text
        .strip_prefix("ipv4@")
        .or(text.strip_prefix("ipv6@"))
        .unwrap_or(text);
    let text = text
        .strip_suffix(":0")
        .filter(|rest| !rest.contains(':'))
        .unwrap_or(text);
    let text = text.trim_start_matches('[').trim_end_matches(']');
    if text == "*" {
        return Some(None);
    }
    let address: IpAddr = text.parse().ok()?;
    Some(Some(address).filter(|address| !address.is_unspecified()))
}
