//! `global`: from its lines to `[global]`.

use std::time::Duration;

use super::admin::Sockets;
use super::directive::Directive;
use super::document::{Table, text, time};
use super::keywords;
use super::notes::{Notes, Place};
use super::source::Section;
use super::values;

/// What `global` asks for.
#[derive(Debug, Default)]
pub(super) struct Process {
    pub sessions_max: Option<u32>,
    pub workers: Option<u32>,
    pub shutdown_timeout: Option<Duration>,
    pub shutdown_grace: Option<Duration>,
    pub keeps_state: bool,
    pub sockets: Sockets,
    pub ca_base: Option<String>,
}

impl Process {
    /// Reads a section; there may be several.
    pub fn read(&mut self, section: &Section, notes: &mut Notes) {
        for directive in &section.directives {
            if let Err(what) = self.line(directive, notes) {
                notes.wrong(&Place::Global, directive, what);
            }
        }
    }

    fn line(&mut self, directive: &Directive, notes: &mut Notes) -> Result<(), String> {
        let place = &Place::Global;
        let word = directive.words[0].as_str();
        let value = || directive.word(1).ok_or(format!("`{word}` needs a value"));
        match word {
            "maxconn" => {
                self.sessions_max =
                    Some(values::number(value()?, u32::MAX)?).filter(|count| *count > 0)
            }
            "nbthread" => self.workers = Some(values::number(value()?, 1024)?.max(1)),
            "hard-stop-after" => self.shutdown_timeout = Some(values::time(value()?)?),
            "grace" => self.shutdown_grace = Some(values::time(value()?)?),
            "server-state-file" => {
                self.keeps_state = true;
                let why = "the file is one of our own, in JSON, and is written by itself";
                notes.differs(place, directive, why);
            }
            "log" => notes.not_needed(place, directive, keywords::LOG),
            "stats" => match value()? {
                "socket" => self.sockets.read(directive, notes)?,
                _ => notes.not_needed(&Place::Admin, directive, "a command ends when it is done"),
            },
            "ca-base" => {
                self.ca_base = directive.word(1).map(str::to_owned);
                notes.not_needed(
                    place,
                    directive,
                    "names of certificates are written out with it",
                );
            }
            "no" | "default" => {
                let words = directive.from(1);
                match words.first().and_then(|word| keywords::global(word)) {
                    Some(_) => notes.not_needed(place, directive, "it is negated"),
                    None => return Err("this can't be negated".to_owned()),
                }
            }
            word => match keywords::global(word) {
                Some((verdict, why)) => notes.add(place, directive, verdict, why),
                None => {
                    let near =
                        crate::near::near(word, GLOBAL.iter().map(|name| (*name).to_owned()));
                    return Err(match near.first() {
                        Some(near) => {
                            format!("unknown keyword `{word}` of `global`: did you mean {near}?")
                        }
                        None => format!("unknown keyword `{word}` of `global`"),
                    });
                }
            },
        }
        Ok(())
    }

    /// `[global]`. `is_logged`: a frontend logs its sessions.
    pub fn table(&self, is_logged: bool) -> Table {
        let mut table = Table::new(&Place::Global, &["global"]);
        if let Some(workers) = self.workers {
            table.line("workers", workers.to_string());
        }
        if let Some(count) = self.sessions_max {
            table.line("max_sessions", count.to_string());
        }
        if let Some(timeout) = self.shutdown_timeout {
            table.line("shutdown_timeout", time(timeout));
        }
        if let Some(grace) = self.shutdown_grace {
            table.line("shutdown_grace", time(grace));
        }
        table.line("access_log", text(if is_logged { "text" } else { "off" }));
        if self.keeps_state {
            table.line("state_file", text("/var/lib/ringway/state.json"));
        }
        table
    }
}

/// Keywords that are proposed for unknown ones.
const GLOBAL: &[&str] = &[
    "maxconn",
    "nbthread",
    "hard-stop-after",
    "grace",
    "server-state-file",
    "log",
    "stats",
    "daemon",
    "user",
    "group",
    "chroot",
    "pidfile",
    "spread-checks",
    "ulimit-n",
    "ca-base",
    "crt-base",
];
