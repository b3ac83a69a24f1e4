//! ringway.toml(5), the manual page of the configuration.

use roff::{Roff, bold, roman};

use super::entry::Kind;
use super::entry::{Key, Section, Value, bounds, default, example};
use super::rules::{self, RULES};
use super::sections::{self, sections};
use crate::topics::inlines;

const EXAMPLE: &str = r#"[frontend.web]
listen = ["0.0.0.0:80", "[::]:80"]
backend = "app"

[backend.app]
balance = "least_conn"
servers = [
  { name = "web1", address = "10.0.0.11:8080" },
  { name = "web2", address = "10.0.0.12:8080", weight = 2, max_sessions = 500 },
  { name = "spare", address = "10.0.0.13:8080", backup = true },
]

[backend.app.health_check]
type = "http"
path = "/health"

[admin]
listen = "127.0.0.1:8404"
socket = "/run/ringway/admin.sock""#;

/// The page in roff, for `man -l`.
pub fn man_page() -> String {
    let version = concat!("ringway ", env!("CARGO_PKG_VERSION"));
    let mut page = Roff::new();
    page.control("TH", ["ringway.toml", "5", "", version]);
    page.control("SH", ["NAME"]);
    page.text([roman(
        "ringway.toml - configuration of the load balancer ringway",
    )]);
    page.control("SH", ["DESCRIPTION"]);
    paragraph(&mut page, &rules::file());
    for rule in RULES {
        page.control("TP", []);
        page.text([bold(rule.name)]);
        page.text(inlines(rule.text));
    }
    page.control("SH", ["EXAMPLE"]);
    page.control("EX", []);
    for line in EXAMPLE.lines() {
        page.text([roman(line)]);
    }
    page.control("EE", []);
    for section in sections() {
        tell_section(&mut page, section);
    }
    page.control("SH", ["FILES"]);
    page.control("TP", []);
    page.text([bold("/etc/ringway/ringway.toml")]);
    page.text([
        roman("The file that is read unless another one is named with "),
        bold("-c"),
    ]);
    page.control("SH", ["SEE ALSO"]);
    page.text([
        bold("ringway"),
        roman("(1), "),
        bold("ringway-check"),
        roman("(1), "),
        bold("ringway"),
        roman("(7)"),
    ]);
    page.render()
}

fn tell_section(page: &mut Roff, section: &Section) {
    match section.kind {
        Kind::Root => page.control("SH", ["SECTIONS"]),
        Kind::Server => page.control("SH", ["AN ENTRY OF servers"]),
        _ => page.control("SH", [section.title]),
    };
    paragraph(page, section.about);
    for key in section.keys {
        tell_key(page, section, key);
    }
    if let Some(also) = section.also {
        let title = sections::section(also).title;
        let told = format!("The keys of {title} may be written here as well.");
        paragraph(page, &told);
    }
}

fn tell_key(page: &mut Roff, section: &Section, key: &Key) {
    page.control("TP", []);
    let name = match (&key.value, section.kind) {
        (Value::NamedSections(_), _) => format!("[{}.NAME]", key.name),
        (Value::Section(_), Kind::Root) => format!("[{}]", key.name),
        _ => key.name.to_owned(),
    };
    page.text([bold(name)]);
    page.text(inlines(key.meaning));
    for (name, told) in [
        ("Default: ", default(key)),
        ("Bounds: ", bounds(key)),
        ("Example: ", example(section, key)),
    ] {
        if !told.is_empty() {
            page.control("br", []);
            let mut line = vec![roman(name)];
            line.extend(inlines(&told));
            page.text(line);
        }
    }
    if !key.note.is_empty() {
        page.control("br", []);
        page.text(inlines(key.note));
    }
}

fn paragraph(page: &mut Roff, text: &str) {
    page.control("PP", []);
    page.text(inlines(text));
}
