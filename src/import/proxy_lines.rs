//! The lines of `defaults`, `frontend`, `listen` and `backend`.

use std::time::Duration;

use super::admin;
use super::balance;
use super::bind;
use super::check;
use super::cookie;
use super::directive::Directive;
use super::expect;
use super::keywords;
use super::notes::{Notes, Place};
use super::options;
use super::proxy::{ForwardedFor, Kind, Mode, Settings};
use super::server::{self, Server};
use super::sides;
use super::source::Section;
use super::timeouts;
use super::values;

/// Reads a section whose settings begin as `inherited`.
pub(super) fn read(
    section: &Section,
    kind: Kind,
    inherited: Settings,
    notes: &mut Notes,
) -> Settings {
    let mut reader = Reader {
        kind,
        name: values::name(&section.name),
        settings: inherited,
    };
    reader.settings.head_line = section.head.line;
    for directive in &section.directives {
        reader.line(directive, notes);
    }
    reader.settings
}

struct Reader {
    kind: Kind,
    name: String,
    settings: Settings,
}

impl Reader {
    /// The section of the result that a line is for.
    fn place(&self, words: &[String]) -> Place {
        match self.kind {
            Kind::Defaults => Place::Defaults,
            Kind::Backend => Place::Backend(self.name.clone()),
            Kind::Listen if !sides::is_of_frontend(words) => Place::Backend(self.name.clone()),
            Kind::Frontend | Kind::Listen => Place::Frontend(self.name.clone()),
        }
    }

    fn line(&mut self, directive: &Directive, notes: &mut Notes) {
        let words = &directive.words;
        let is_negated = ["no", "default"].contains(&words[0].as_str()) && words.len() > 1;
        let place = self.place(if is_negated { &words[1..] } else { words });
        let done = match is_negated {
            true => self.negated(&words[1..], directive, &place, notes),
            false => self.set(directive, &place, notes),
        };
        if let Err(what) = done {
            notes.wrong(&place, directive, what);
        }
    }

    /// Does what a line asks for.
    ///
    /// # Errors
    ///
    /// The line is malformed: a sentence.
    fn set(
        &mut self,
        directive: &Directive,
        place: &Place,
        notes: &mut Notes,
    ) -> Result<(), String> {
        let words = &directive.words;
        let settings = &mut self.settings;
        // The value of most keywords.
        let value = || {
            directive
                .word(1)
                .ok_or(format!("`{}` needs a value", words[0]))
        };
        let number = || value().and_then(|text| values::number(text, u32::MAX));
        match words[0].as_str() {
            "mode" => match value()? {
                "tcp" => settings.mode = Mode::Tcp,
                "http" => settings.mode = Mode::Http,
                "log" | "spop" | "haterm" => {
                    notes.not_translated(
                        place,
                        directive,
                        "there are connections of TCP and HTTP only",
                    );
                }
                other => return Err(format!("there is no mode `{other}`")),
            },
            "timeout" => timeouts::read(&mut settings.timeouts, directive, place, notes)?,
            "clitimeout" => settings.timeouts.client = Some(values::time(value()?)?),
            "srvtimeout" => settings.timeouts.server = Some(values::time(value()?)?),
            "contimeout" => settings.timeouts.connect = Some(values::time(value()?)?),
            "maxconn" => settings.sessions_max = Some(number()?).filter(|count| *count > 0),
            "backlog" => settings.backlog = Some(number()?).filter(|count| *count > 0),
            "retries" => settings.retries = Some(number()?),
            "balance" => settings.balance = balance::read(value()?, directive, place, notes),
            "cookie" => settings.cookie = cookie::read(directive, place, notes),
            "source" => self.source(directive, place, notes),
            "log" => self.log(directive, place, notes),
            "option" => options::set(settings, directive, place, notes)?,
            "stats" => admin::stats(&mut settings.stats, directive, notes)?,
            "clitcpka-idle" | "srvtcpka-idle" => settings.keepalive.idle = Some(seconds(value()?)?),
            "clitcpka-intvl" | "srvtcpka-intvl" => {
                settings.keepalive.interval = Some(seconds(value()?)?)
            }
            "clitcpka-cnt" | "srvtcpka-cnt" => settings.keepalive.count = Some(number()?),
            "http-check" | "tcp-check" if directive.word(1) == Some("expect") => {
                expect::read(&mut settings.check, directive, place, notes);
            }
            "http-check" | "tcp-check" => check::line(&mut settings.check, directive, place, notes),
            "acl" => settings.acls.add(value()?, directive.from(2))?,
            "tcp-request" | "stick-table" => self.rule(directive, place, notes),
            "http-request" if concerns_clients(words) => settings.rules.push(directive.clone()),
            "http-request" if is_forwarded_for(words) => {
                settings.forwarded_for = Some(ForwardedFor::Replace);
            }
            "default_backend" => {
                value()?;
                settings.default_backend = Some(directive.clone());
            }
            "use_backend" => {
                value()?;
                settings.use_backends.push(directive.clone());
            }
            "bind" if self.kind != Kind::Backend => {
                settings.binds.extend(bind::read(directive, place, notes));
            }
            "default-server" => {
                let options = &mut settings.server_defaults;
                server::read(options, directive.from(1), place, directive, notes);
            }
            "server" | "server-template" if self.kind != Kind::Frontend => {
                self.server(directive, place, notes)?;
            }
            "disabled" => settings.is_disabled = true,
            "enabled" => settings.is_disabled = false,
            word => match keywords::proxy(word) {
                Some((verdict, why)) => notes.add(place, directive, verdict, why),
                None => return Err(unknown(word)),
            },
        }
        Ok(())
    }

    /// `no option X`, `no log`: what was said before holds no longer.
    ///
    /// # Errors
    ///
    /// Nothing is negated by these words: a sentence.
    fn negated(
        &mut self,
        words: &[String],
        directive: &Directive,
        place: &Place,
        notes: &mut Notes,
    ) -> Result<(), String> {
        let settings = &mut self.settings;
        match words {
            [log, ..] if log == "log" => settings.is_logged = false,
            [option, name, ..] if option == "option" => {
                options::unset(settings, name, directive, place, notes)?;
            }
            words => return Err(format!("`{}` can't be negated", words[0])),
        }
        Ok(())
    }

    fn source(&mut self, directive: &Directive, place: &Place, notes: &mut Notes) {
        let text = directive.word(1).unwrap_or_default();
        match server::source_address(text) {
            Some(address) => self.settings.source = address,
            None => {
                notes.not_translated(place, directive, "a source is an IP address without a port")
            }
        }
        let mut options = server::Options::default();
        server::read(&mut options, directive.from(2), place, directive, notes);
    }

    fn log(&mut self, directive: &Directive, place: &Place, notes: &mut Notes) {
        self.settings.is_logged = true;
        notes.not_needed(place, directive, keywords::LOG);
    }

    /// A line that says which connections are taken, kept for when all ACLs are known.
    fn rule(&mut self, directive: &Directive, place: &Place, notes: &mut Notes) {
        let settings = &mut self.settings;
        match (directive.word(0), directive.word(1), directive.word(2)) {
            (Some("tcp-request"), Some("inspect-delay"), Some(time)) => match values::time(time) {
                Ok(time) => settings.inspect_delay = Some((time, directive.clone())),
                Err(what) => notes.wrong(place, directive, what),
            },
            (Some("tcp-request"), Some("connection" | "session" | "content"), Some(_))
            | (Some("stick-table"), ..)
                if self.kind != Kind::Backend =>
            {
                settings.rules.push(directive.clone())
            }
            (Some("tcp-request"), Some("content" | "inspect-delay"), _)
            | (Some("stick-table"), ..) => {
                let why = "who may connect is decided in the frontend, and sessions are bound without a table";
                notes.not_translated(place, directive, why);
            }
            _ => notes.wrong(place, directive, "this rule is malformed"),
        }
    }

    fn server(
        &mut self,
        directive: &Directive,
        place: &Place,
        notes: &mut Notes,
    ) -> Result<(), String> {
        let is_template = directive.words[0] == "server-template";
        let needed = if is_template { 4 } else { 3 };
        if directive.words.len() < needed {
            return Err(format!(
                "`{}` needs a name and an address",
                directive.words[0]
            ));
        }
        let template = match is_template {
            true => Some(template_count(&directive.words[2])?),
            false => None,
        };
        let mut options = self.settings.server_defaults.clone();
        server::read(
            &mut options,
            directive.from(needed),
            place,
            directive,
            notes,
        );
        let server = Server {
            directive: directive.clone(),
            name: directive.words[1].clone(),
            address: directive.words[needed - 1].clone(),
            template,
            options,
        };
        self.settings.servers.push(server);
        Ok(())
    }
}

/// How many servers a template has: `5`, or `3-7`.
fn template_count(text: &str) -> Result<u32, String> {
    let (start, end) = text.split_once('-').unwrap_or(("1", text));
    let (start, end) = (values::number(start, 65_535)?, values::number(end, 65_535)?);
    match start >= 1 && end >= start {
        true => Ok(end - start + 1),
        false => Err(format!("`{text}` is no number of servers")),
    }
}

/// Seconds without a unit, or a time with one.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(count) => Ok(Duration::from_secs(count)),
        Err(_) => values::time(text),
    }
}

/// Whether `http-request` refuses or accepts clients.
fn concerns_clients(words: &[String]) -> bool {
    let action = words.get(1).map(String::as_str).unwrap_or_default();
    ["deny", "reject", "allow", "silent-drop", "tarpit"].contains(&action) || action.starts_with("track-sc")
        // A line of the client that is removed before the own one is added.
        || (action == "del-header" && is_named_forwarded_for(words))
}

fn is_named_forwarded_for(words: &[String]) -> bool {
    words
        .get(2)
        .is_some_and(|name| name.eq_ignore_ascii_case("x-forwarded-for"))
}

/// Whether the line sets `X-Forwarded-For` to the client's address.
fn is_forwarded_for(words: &[String]) -> bool {
    words.get(1).is_some_and(|action| action == "set-header")
        && is_named_forwarded_for(words)
        && words[3..] == ["%[src]".to_owned()]
}

fn unknown(word: &str) -> String {
    const KNOWN: &[&str] = &[
        "mode",
        "timeout",
        "maxconn",
        "backlog",
        "retries",
        "balance",
        "cookie",
        "source",
        "log",
        "option",
        "stats",
        "http-check",
        "tcp-check",
        "acl",
        "tcp-request",
        "stick-table",
        "http-request",
        "default_backend",
        "use_backend",
        "bind",
        "default-server",
        "server",
        "server-template",
        "errorfile",
        "http-response",
    ];
    let near = crate::near::near(word, KNOWN.iter().map(|name| (*name).to_owned()));
    match near.first() {
        Some(near) => format!("unknown keyword `{word}`: did you mean {near}?"),
        None => format!("unknown keyword `{word}`"),
    }
}
