//! A frontend: from its settings to the tables of the result.

use std::time::Duration;

use super::bind::Bind;
use super::clients::{self, ClientRules};
use super::document::{Table, list, text, time};
use super::notes::{Notes, Place};
use super::proxy::{ForwardedFor, Mode, Proxy, Settings};
use super::routes::Choice;
use super::sessions::Values;
use super::values;

/// The mode of a frontend here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OurMode {
    Tcp,
    Http,
    Tls,
}

/// A frontend of which all is known but the times of its sessions.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub proxy: &'a Proxy,
    /// Its name here.
    pub name: String,
    pub mode: OurMode,
    pub choice: Choice,
    pub clients: ClientRules,
}

/// One of the frontends that a frontend of the file becomes.
struct Part<'a> {
    /// Its name here.
    name: String,
    /// Its listeners.
    binds: Vec<&'a Bind>,
    /// Who may send PROXY heads; `None`: nobody.
    proxies: Option<Vec<String>>,
}

impl<'a> Plan<'a> {
    /// Decides what a frontend is; `None`: it is left out, which has a note. `backend`: the settings of a backend.
    pub fn make(
        proxy: &'a Proxy,
        choice: Choice,
        backend: impl Fn(&str) -> Option<&'a Settings>,
        notes: &mut Notes,
    ) -> Option<Self> {
        let name = values::name(&proxy.name);
        let place = Place::Frontend(name.clone());
        let settings = &proxy.settings;
        let clients = clients::read(settings, &place, notes);
        let behind = choice.backend.as_deref().and_then(&backend);
        // HAProxy makes HTTP of a connection whose backend wants it.
        let is_http = settings.mode == Mode::Http
            || behind.is_some_and(|settings| settings.mode == Mode::Http);
        let mode = match is_http {
            true => OurMode::Http,
            false if !choice.routes.is_empty() || clients.needs_tls => OurMode::Tls,
            false => OurMode::Tcp,
        };
        let left_out = match (&choice.backend, mode) {
            _ if settings.binds.is_empty() => Some("the frontend is left out: it has no listener"),
            (None, OurMode::Tcp | OurMode::Http) => {
                Some("the frontend is left out: it has no backend")
            }
            (Some(_), _) | (None, OurMode::Tls) => None,
        };
        if let Some(why) = left_out {
            notes.not_translated(&place, &proxy.head, why);
            return None;
        }
        Some(Plan {
            proxy,
            name,
            mode,
            choice,
            clients,
        })
    }

    /// The backends that its sessions may get, by their names in the file.
    pub fn backends(&self) -> impl Iterator<Item = &str> {
        let routes = self
            .choice
            .routes
            .iter()
            .map(|route| route.backend.as_str());
        routes.chain(self.choice.backend.as_deref())
    }

    /// Its tables: two frontends if only some of its listeners take PROXY heads. `behind`: its backend.
    pub fn tables(
        &self,
        behind: Option<&Settings>,
        values: Option<&Values>,
        notes: &mut Notes,
    ) -> Vec<Table> {
        let place = Place::Frontend(self.name.clone());
        let (with, without): (Vec<&Bind>, Vec<&Bind>) = self
            .proxy
            .settings
            .binds
            .iter()
            .partition(|bind| bind.accepts_proxy);
        let by_rule = self.clients.proxies.as_ref();
        let from = || by_rule.cloned().unwrap_or_else(clients::everybody);
        let part = |name: &str, binds, proxies| Part {
            name: name.to_owned(),
            binds,
            proxies,
        };
        let parts = match (with.is_empty(), without.is_empty()) {
            (true, _) => vec![part(&self.name, without, by_rule.cloned())],
            (false, true) => vec![part(&self.name, with, Some(from()))],
            (false, false) => {
                let why = "PROXY heads are for a frontend as a whole: the listeners that take them have one of their own";
                notes.differs(&place, &self.proxy.head, why);
                let other = format!("{}-proxy", self.name);
                vec![
                    part(&self.name, without, None),
                    part(&other, with, Some(from())),
                ]
            }
        };
        let tables = parts.into_iter();
        tables
            .flat_map(|part| self.frontend(part, behind, values, &place, notes))
            .collect()
    }

    fn frontend(
        &self,
        part: Part<'_>,
        behind: Option<&Settings>,
        values: Option<&Values>,
        place: &Place,
        notes: &mut Notes,
    ) -> Vec<Table> {
        let Part {
            name,
            binds,
            proxies,
        } = part;
        let settings = &self.proxy.settings;
        let mut table = Table::new(place, &["frontend", &name]);
        let mut addresses: Vec<String> = Vec::new();
        for address in binds.iter().flat_map(|bind| &bind.addresses) {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        table.line("listen", list(&addresses));
        match self.mode {
            OurMode::Tcp => {}
            OurMode::Http => self.http(&mut table, behind),
            OurMode::Tls => self.tls(&mut table, place, notes),
        }
        if let Some(backend) = &self.choice.backend {
            table.line("backend", text(&values::name(backend)));
        }
        if let Some(count) = settings.sessions_max {
            table.line("max_sessions", count.to_string());
        }
        if let Some(backlog) = binds
            .iter()
            .find_map(|bind| bind.backlog)
            .or(settings.backlog)
        {
            table.line("backlog", backlog.min(BACKLOG_MAX).to_string());
        }
        if settings.skips_empty {
            table.line("log_empty", "false".to_owned());
        }
        for (key, addresses) in [
            ("allow", self.clients.allow.as_ref()),
            ("deny", Some(&self.clients.deny)),
        ] {
            if let Some(addresses) = addresses.filter(|addresses| !addresses.is_empty()) {
                table.line(key, list(addresses));
            }
        }
        for (key, value) in values.into_iter().flatten() {
            table.line(key, value.clone());
        }
        if let Some(from) = proxies {
            let value = format!("{{ from = {}, required = true }}", list(&from));
            match from == clients::everybody() {
                true => table.commented(
                    "accept_proxy",
                    value,
                    "better: the addresses of your proxies",
                ),
                false => table.line("accept_proxy", value),
            }
        }
        let mut tables = vec![table];
        tables.extend(self.per_client(place, &name));
        tables
    }

    fn http(&self, table: &mut Table, behind: Option<&Settings>) {
        let settings = &self.proxy.settings;
        table.line("mode", text("http"));
        let forwarded_for = settings
            .forwarded_for
            .or(behind.and_then(|behind| behind.forwarded_for));
        if settings.closes || behind.is_some_and(|behind| behind.closes) || forwarded_for.is_some()
        {
            table.line("inspect", text("close"));
        }
        if let Some(forwarded_for) = forwarded_for {
            table.line("forwarded_for", "true".to_owned());
            if forwarded_for == ForwardedFor::Append && !self.clients.removes_forwarded_for {
                let comment =
                    "as in HAProxy, what clients send stays; better: the addresses of your proxies";
                table.commented("trust", list(&clients::everybody()), comment);
            }
        }
    }

    fn tls(&self, table: &mut Table, place: &Place, notes: &mut Notes) {
        table.line("mode", text("tls"));
        if let Some((delay, directive)) = &self.proxy.settings.inspect_delay {
            if !delay.is_zero() {
                table.line("hello_timeout", time(*delay));
            }
            if !self.clients.needs_tls {
                let why = "a connection that does not begin with TLS is closed, and does not go to the backend";
                notes.differs(place, directive, why);
            }
        }
        if self.choice.routes.is_empty() {
            return;
        }
        let routes = self.choice.routes.iter().map(|route| {
            let mut fields = Vec::new();
            if !route.sni.is_empty() {
                fields.push(format!("sni = {}", list(&route.sni)));
            }
            if !route.alpn.is_empty() {
                fields.push(format!("alpn = {}", list(&route.alpn)));
            }
            fields.push(format!("backend = {}", text(&values::name(&route.backend))));
            format!("  {{ {} }},\n", fields.join(", "))
        });
        table.line("routes", format!("[\n{}]", routes.collect::<String>()));
    }

    fn per_client(&self, place: &Place, name: &str) -> Option<Table> {
        let clients = &self.clients;
        if clients.sessions_max.is_none() && clients.rate.is_none() {
            return None;
        }
        let mut table = Table::new(place, &["frontend", name, "per_client"]);
        if let Some(count) = clients.sessions_max {
            table.line("max_sessions", count.to_string());
        }
        if let Some((count, period)) = clients.rate {
            table.line("rate", text(&rate(count, period)));
            table.line("burst", count.min(RATE_MAX).to_string());
        }
        Some(table)
    }
}

/// listen(2) keeps it in 16 bits.
const BACKLOG_MAX: u32 = 65_535;

/// More are refused here.
const RATE_MAX: u32 = 1_000_000;

/// So many sessions in a time, as a rate of a second or of a minute: the smallest that is not below it.
fn rate(count: u32, period: Duration) -> String {
    let milliseconds = period.as_millis().max(1);
    let in_second = u128::from(count) * 1000;
    if in_second.is_multiple_of(milliseconds) || in_second / milliseconds >= 100 {
        return format!(
            "{}/s",
            in_second.div_ceil(milliseconds).min(u128::from(RATE_MAX))
        );
    }
    format!(
        "{}/m",
        (in_second * 60)
            .div_ceil(milliseconds)
            .min(u128::from(RATE_MAX))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_one_of_seconds_if_that_is_exact() {
        for (count, seconds, expected) in [
            (20, 1, "20/s"),
            (20, 10, "2/s"),
            (5, 10, "30/m"),
            (100, 3, "2000/m"),
            (1000, 3, "334/s"),
            (1, 3600, "1/m"),
        ] {
            assert_eq!(
                rate(count, Duration::from_secs(seconds)),
                expected,
                "{count} in {seconds} s"
            );
        }
    }
}
