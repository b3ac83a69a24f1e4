//! Values that are one of a few words, with the words.

use std::fmt;
use std::str::FromStr;

use super::problem::{Problem, shorten};
use super::suggest::{one_of, suggest};
use crate::logic::balance::Algorithm;

/// Form of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// One line of text for each session.
    Text,
    /// One JSON object for each session.
    Json,
    /// No access log.
    Off,
}

impl AccessLog {
    /// The names in the configuration.
    pub const NAMES: &[(&str, AccessLog)] = &[
        ("text", AccessLog::Text),
        ("json", AccessLog::Json),
        ("off", AccessLog::Off),
    ];
}

impl fmt::Display for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(AccessLog::NAMES, *self))
    }
}

/// By which interface of the kernel workers move bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    /// io_uring where the kernel allows it, else epoll.
    Auto,
    /// io_uring, or the process does not start.
    IoUring,
    /// epoll.
    Epoll,
}

impl EngineChoice {
    /// The names in the configuration and on the command line.
    pub const NAMES: &[(&str, EngineChoice)] = &[
        ("auto", EngineChoice::Auto),
        ("io_uring", EngineChoice::IoUring),
        ("epoll", EngineChoice::Epoll),
    ];
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(EngineChoice::NAMES, *self))
    }
}

impl FromStr for EngineChoice {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        parse_choice("engine", text, Self::NAMES)
    }
}

/// Whether each worker runs on a CPU of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Where the process may use all CPUs of the host, and there are more than two.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl Pin {
    /// The word beside true and false.
    pub const AUTO: &str = "auto";
}

impl fmt::Display for Pin {
    /// As it is written in a configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pin::Auto => write!(f, "\"{}\"", Pin::AUTO),
            Pin::On => f.write_str("true"),
            Pin::Off => f.write_str("false"),
        }
    }
}

/// What becomes of the open sessions of a server that goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDown {
    /// They go on.
    Keep,
    /// They are cut.
    Close,
}

impl OnDown {
    /// The names in the configuration.
    pub const NAMES: &[(&str, OnDown)] = &[("keep", OnDown::Keep), ("close", OnDown::Close)];
}

impl fmt::Display for OnDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(OnDown::NAMES, *self))
    }
}

impl Algorithm {
    /// The names in the configuration and on the command line.
    pub const NAMES: &[(&str, Algorithm)] = &[
        ("round_robin", Algorithm::RoundRobin),
        ("least_conn", Algorithm::LeastConn),
        ("random", Algorithm::Random),
        ("source_hash", Algorithm::SourceHash),
        ("first", Algorithm::First),
    ];
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(Algorithm::NAMES, *self))
    }
}

impl FromStr for Algorithm {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        parse_choice("balance", text, Self::NAMES)
    }
}

/// The name of a choice; the tables name every variant, which a test checks.
pub(super) fn word<T: PartialEq>(names: &'static [(&'static str, T)], value: T) -> &'static str {
    names
        .iter()
        .find(|(_, named)| *named == value)
        .map_or("", |(word, _)| word)
}

/// A name out of `choices`; `what` names them in messages.
pub(super) fn parse_choice<T: Copy>(
    what: &str,
    text: &str,
    choices: &[(&str, T)],
) -> Result<T, Problem> {
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let words = || choices.iter().map(|(word, _)| *word);
    // HAProxy's words that no likeness finds.
    let foreign = match text {
        "source" | "hash" | "ip_hash" => "source_hash",
        _ => text,
    };
    let cure = match suggest(foreign, words()) {
        Some(word) => format!("did you mean \"{word}\"?"),
        None => format!("use {}", one_of(words())),
    };
    Err(Problem::new(
        format!("unknown {what} `{}`", shorten(text)),
        cure,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inspect, SameSite};

    #[test]
    fn every_choice_has_a_word_that_is_read_back() {
        for (word, balance) in Algorithm::NAMES {
            // A new variant fails to compile here until it is added to this test and to the table.
            match balance {
                Algorithm::RoundRobin
                | Algorithm::LeastConn
                | Algorithm::Random
                | Algorithm::SourceHash
                | Algorithm::First => {}
            }
            assert_eq!(word.parse::<Algorithm>().unwrap(), *balance);
            assert_eq!(balance.to_string(), *word);
        }
        assert_eq!(Algorithm::NAMES.len(), 5);
        for access_log in [AccessLog::Text, AccessLog::Json, AccessLog::Off] {
            assert!(AccessLog::NAMES.contains(&(access_log.to_string().as_str(), access_log)));
        }
        for engine in [
            EngineChoice::Auto,
            EngineChoice::IoUring,
            EngineChoice::Epoll,
        ] {
            assert_eq!(engine.to_string().parse::<EngineChoice>().unwrap(), engine);
        }
        for inspect in [Inspect::First, Inspect::Close] {
            assert!(Inspect::NAMES.contains(&(inspect.to_string().as_str(), inspect)));
        }
        for same_site in [
            SameSite::Lax,
            SameSite::Strict,
            SameSite::None,
            SameSite::Off,
        ] {
            assert!(SameSite::NAMES.contains(&(same_site.to_string().as_str(), same_site)));
        }
        for on_down in [OnDown::Keep, OnDown::Close] {
            assert!(OnDown::NAMES.contains(&(on_down.to_string().as_str(), on_down)));
        }
    }
}
