//! Names of the running process for the completion scripts of shells.
//!
//! A script gives the line up to the cursor; the last word of it is the one to be completed. Whatever goes
//! wrong, nothing is printed: a shell shows no error while somebody types.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::client::Client;
use super::names;
use super::output::say;
use crate::cli::{ADMIN_SOCKET, File, Process};

/// Nobody waits longer for a key.
const TIMEOUT: Duration = Duration::from_secs(1);

/// What a word of the line is the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    Servers,
    Backends,
    Frontends,
    /// `BACKEND/`, which a new name follows.
    NewServer,
}

/// The words of a line, the one at its end last, which is empty behind a space.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let begins_word = quote.is_none() && c.is_whitespace();
        match (c, quote, words.last_mut()) {
            _ if begins_word => {
                if words.last().is_some_and(|word| !word.is_empty()) {
                    words.push(String::new());
                }
            }
            ('\'' | '"', None, _) => quote = Some(c),
            (c, Some(end), _) if c == end => quote = None,
            ('\\', None, Some(word)) => word.extend(chars.next()),
            (c, _, Some(word)) => word.push(c),
            (_, _, None) => {}
        }
    }
    words
}

/// What the last of these words is the name of; the first is the program.
fn wanted(words: &[String]) -> Option<Names> {
    let [_, command, earlier @ .., last] = words else {
        return None;
    };
    let before = earlier.last().map_or("", String::as_str);
    // An option with its value in one word is completed by nobody.
    if last.starts_with('-') {
        return None;
    }
    let other = [
        "-c",
        "--config",
        "--admin",
        "--token-file",
        "--nodes",
        "--reason",
        "--timeout",
        "--limit",
        "--weight",
        "--max-sessions",
        "--client",
    ];
    match (command.as_str(), before) {
        ("drain" | "maint" | "ready" | "status" | "sessions" | "nodes", "--backend") => {
            Some(Names::Backends)
        }
        ("sessions" | "explain", "--frontend") => Some(Names::Frontends),
        ("kill", "--server") => Some(Names::Servers),
        (_, option) if other.contains(&option) => None,
        ("drain" | "maint" | "ready" | "weight" | "why" | "remove" | "sessions", _) => {
            Some(Names::Servers)
        }
        ("add", _) => Some(Names::NewServer),
        _ => None,
    }
}

/// The process that the line means.
fn process(words: &[String]) -> Process {
    let value = |names: &[&str]| {
        let mut pairs = words.windows(2);
        let apart = pairs.find(|pair| names.contains(&pair[0].as_str()));
        let apart = apart.map(|pair| pair[1].clone());
        let joined = words.iter().find_map(|word| {
            let (name, value) = word.split_once('=')?;
            names.contains(&name).then(|| value.to_owned())
        });
        apart.or(joined)
    };
    let file = value(&["-c", "--config"]).map(|path| File { path: path.into() });
    Process {
        admin: value(&["--admin"]).or_else(|| std::env::var(ADMIN_SOCKET).ok()),
        token_file: value(&["--token-file"]).map(Into::into),
        file: file.unwrap_or_else(File::usual),
    }
}

fn candidates(stats: &Value, names: Names) -> Vec<String> {
    match names {
        Names::Backends => names::of(stats, "backends"),
        Names::Frontends => names::of(stats, "frontends"),
        Names::Servers => {
            let names = names::servers(stats).map(|(name, _)| name.to_string());
            names.collect()
        }
        Names::NewServer => {
            let backends = names::of(stats, "backends").into_iter();
            backends.map(|name| format!("{name}/")).collect()
        }
    }
}

/// Prints the names that the last word of this line may become.
pub fn complete(line: &str) -> ExitCode {
    let words = words(line);
    let asked = async {
        let wanted = wanted(&words)?;
        let client = Client::new(&process(&words)).ok()?.patient(TIMEOUT);
        let stats = client.get("/api/v1/stats").await.ok()?;
        Some(candidates(&stats, wanted))
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let names = runtime.ok().and_then(|runtime| runtime.block_on(asked));
    let begun = words.last().map_or("", String::as_str);
    let given = &words[..words.len() - 1];
    for name in names.unwrap_or_default() {
        if name.starts_with(begun) && !given.contains(&name) && say(&name).is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        assert_eq!(words("ringway drain "), ["ringway", "drain", ""]);
        assert_eq!(words("ringway  drain ap"), ["ringway", "drain", "ap"]);
        assert_eq!(words(r#"a 'b c' d\ e "f"#), ["a", "b c", "d e", "f"]);
        assert_eq!(words(""), [""]);
    }

    #[test]
    fn the_last_word_is_the_name_of_something() {
        for (line, names) in [
            ("ringway drain ", Some(Names::Servers)),
            ("ringway drain app/web1 ap", Some(Names::Servers)),
            ("ringway drain --wait app", Some(Names::Servers)),
            ("ringway drain --backend ", Some(Names::Backends)),
            ("ringway status --backend a", Some(Names::Backends)),
            ("ringway sessions --frontend w", Some(Names::Frontends)),
            ("ringway kill --server ", Some(Names::Servers)),
            ("ringway add ", Some(Names::NewServer)),
            ("ringway drain --w", None),
            ("ringway drain -c ", None),
            ("ringway drain --reason ", None),
            ("ringway kill ", None),
            ("ringway dra", None),
            ("ringway", None),
            ("", None),
        ] {
            assert_eq!(wanted(&words(line)), names, "{line}");
        }
    }

    #[test]
    fn the_process_is_that_of_the_line() {
        let found = process(&words(
            "ringway drain -c x.toml --admin=a/b --token-file t ",
        ));
        assert_eq!(found.file.path, std::path::Path::new("x.toml"));
        assert_eq!(found.admin.as_deref(), Some("a/b"));
        assert_eq!(found.token_file, Some("t".into()));
    }
}
