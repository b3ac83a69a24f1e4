//! `health_check` of a backend: from the options of its servers, and the lines that say what is asked.

use std::time::Duration;

use super::check::{self, Asked};
use super::document::{Table, file, text, time};
use super::notes::{Notes, Place};
use super::proxy::Settings;
use super::server::Server;
use super::servers;
use super::shared::shared;
use super::values;

/// From one probe to the next unless it is written.
const INTERVAL: Duration = Duration::from_secs(2);

/// From one probe to the next there is at least and at most this here.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(86_400));

/// More are refused here.
const COUNT_MAX: u32 = 1000;

/// The tables of a backend; none: its servers are not checked. `ca_base`: where relative names of certificates begin.
pub(super) fn tables(
    settings: &Settings,
    servers: &[&Server],
    ca_base: Option<&str>,
    place: &Place,
    name: &str,
    notes: &mut Notes,
) -> Vec<Table> {
    let rules = &settings.check;
    let checked: Vec<&Server> = servers
        .iter()
        .copied()
        .filter(|server| server.options.check.is_on)
        .collect();
    let Some(first) = checked.first() else {
        // One in `defaults` is for others.
        let own = rules
            .directive
            .iter()
            .filter(|_| servers.iter().all(|server| !server.options.check.is_on));
        for directive in own.filter(|directive| settings.head_line < directive.line) {
            notes.not_needed(place, directive, "no server has `check`");
        }
        return Vec::new();
    };
    for server in servers.iter().filter(|server| !server.options.check.is_on) {
        notes.differs(
            place,
            &server.directive,
            "all servers of a backend are checked, or none",
        );
    }
    let value = shared(
        &checked,
        "check",
        |server| {
            // Whether it is backed up by a name of its own makes no difference.
            Some(server.options.check.clone())
        },
        place,
        notes,
    );
    let value = value.unwrap_or_default();
    let mut table = Table::new(place, &["backend", name, "health_check"]);
    what_is_asked(&mut table, settings, place, notes);
    let interval = value
        .interval
        .unwrap_or(INTERVAL)
        .clamp(INTERVALS.0, INTERVALS.1);
    table.line("interval", time(interval));
    if let Some(fast) = value.fast_interval {
        table.line("fast_interval", time(fast.clamp(INTERVALS.0, INTERVALS.1)));
    }
    if let Some(down) = value.down_interval {
        table.line("down_interval", time(down.clamp(INTERVALS.0, INTERVALS.1)));
    }
    // Without `timeout check` a probe may take as long as the time to the next one.
    table.line(
        "timeout",
        time(settings.timeouts.check.unwrap_or(interval).min(interval)),
    );
    for (key, count) in [("fall", value.fall), ("rise", value.rise)] {
        if let Some(count) = count {
            table.line(key, count.clamp(1, COUNT_MAX).to_string());
        }
    }
    let port = value.port.or(rules.port);
    if let Some(port) = port {
        table.line("port", port.to_string());
    }
    // TLS of sessions is that of checks, too, unless they have a port of their own.
    let is_tls = value.tls
        || rules.tls
        || matches!(rules.asked, Asked::Tls)
        || (first.options.tls && port.is_none());
    if is_tls {
        let sni = value.sni.as_ref().or(rules.sni.as_ref());
        let verifies = value.verifies.unwrap_or(value.ca.is_some());
        let is_by_address = servers.iter().any(|server| servers::is_ip(&server.address));
        let mut tls = Table::new(place, &["backend", name, "health_check", "tls"]);
        if let Some(sni) = sni {
            tls.line("sni", text(sni));
        }
        match verifies && is_by_address && sni.is_none() {
            true => {
                let why = "a certificate is verified with the name of its server: write `sni`, and verify = true";
                notes.differs(place, &first.directive, why);
                tls.line("verify", "false".to_owned());
            }
            false => tls.line("verify", verifies.to_string()),
        }
        if let Some(ca) = value
            .ca
            .as_deref()
            .filter(|ca| *ca != "@system-ca" && verifies)
        {
            tls.line("ca", file(ca, ca_base));
        }
        return vec![table, tls];
    }
    vec![table]
}

fn what_is_asked(table: &mut Table, settings: &Settings, place: &Place, notes: &mut Notes) {
    let rules = &settings.check;
    let mut bytes = |key: &str, bytes: &[u8]| {
        if !bytes.is_empty() {
            table.line(key, text(&values::literal(bytes)));
        }
    };
    match &rules.asked {
        Asked::Connect | Asked::Tls => {}
        Asked::Protocol { send, expect } => {
            bytes("send", send);
            bytes("expect", expect);
        }
        Asked::Tcp => {
            let (send, expect, is_all) = check::round(&rules.steps);
            bytes("send", &send.unwrap_or_default());
            bytes("expect", &expect.unwrap_or_default());
            if let Some(directive) = rules.directive.as_ref().filter(|_| !is_all) {
                let why = "a probe has one round, the first: servers pass that HAProxy takes down by a later one";
                notes.differs(place, directive, why);
            }
        }
        Asked::Http => {
            let http = &rules.http;
            table.line("type", text("http"));
            table.line("method", text(http.method.as_deref().unwrap_or("OPTIONS")));
            let path = http.path.as_deref().unwrap_or("/");
            let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
            match (is_path, rules.directive.as_ref()) {
                (true, _) => table.line("path", text(path)),
                (false, Some(directive)) => {
                    notes.not_translated(place, directive, format!("`{path}` is no path"))
                }
                (false, None) => {}
            }
            if let Some(host) = &http.host {
                table.line("host", text(host));
            }
            if !http.headers.is_empty() {
                let lines = http
                    .headers
                    .iter()
                    .map(|(name, value)| format!("{} = {}", text(name), text(value)));
                table.line(
                    "headers",
                    format!("{{ {} }}", lines.collect::<Vec<_>>().join(", ")),
                );
            }
            if let Some(statuses) = http
                .statuses
                .as_ref()
                .filter(|statuses| !statuses.is_empty())
            {
                table.line("expect_status", text(statuses));
            }
            match (&http.body, &http.body_regex) {
                (Some(body), _) => table.line("expect_body", text(body)),
                (None, Some(regex)) => table.line("expect_body_regex", text(regex)),
                (None, None) => {}
            }
        }
    }
}
