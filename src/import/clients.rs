//! Rules on clients: from `tcp-request`, `http-request deny` and stick tables to `allow`, `deny` and `per_client`.

use std::time::Duration;

use super::acl::{Condition, Literal, Test};
use super::directive::Directive;
use super::notes::{Notes, Place};
use super::proxy::Settings;
use super::values;

/// Who may connect, and how often.
#[derive(Debug, Default)]
pub(super) struct ClientRules {
    pub allow: Option<Vec<String>>,
    pub deny: Vec<String>,
    /// Open sessions of one client.
    pub sessions_max: Option<u32>,
    /// New sessions of one client, and in which time.
    pub rate: Option<(u32, Duration)>,
    /// Who sends a PROXY head, by a rule.
    pub proxies: Option<Vec<String>>,
    /// What a client says of its address is removed.
    pub removes_forwarded_for: bool,
    /// Connections that do not begin with TLS are refused.
    pub needs_tls: bool,
}

/// What a condition asks of a connection.
#[derive(Debug, PartialEq, Eq)]
enum Asks {
    Always,
    /// The address is one of these.
    Source(Vec<String>),
    /// The address is none of these.
    OtherSource(Vec<String>),
    /// The client has more open sessions than this.
    Sessions(u32),
    /// The client began more sessions than this lately.
    Rate(u32),
    /// It begins with TLS.
    Tls,
    NoTls,
    /// The first bytes are there.
    Bytes,
}

/// Reads the rules of a frontend.
pub(super) fn read(settings: &Settings, place: &Place, notes: &mut Notes) -> ClientRules {
    let mut reader = Reader {
        settings,
        place,
        rules: ClientRules::default(),
        accepted: Vec::new(),
        accepts_tls: false,
        period: None,
        is_over: false,
    };
    for directive in &settings.rules {
        reader.rule(directive, notes);
    }
    reader.rules
}

struct Reader<'a> {
    settings: &'a Settings,
    place: &'a Place,
    rules: ClientRules,
    /// Who is accepted by the rules so far, whatever comes later.
    accepted: Vec<String>,
    accepts_tls: bool,
    /// The time in which a stick table counts new sessions.
    period: Option<Duration>,
    /// All connections have met a rule.
    is_over: bool,
}

impl Reader<'_> {
    fn rule(&mut self, directive: &Directive, notes: &mut Notes) {
        let words = &directive.words;
        if words[0] == "stick-table" {
            return self.table(directive, notes);
        }
        // The stage, the action, and what follows it.
        let (stage, action) = match words[0].as_str() {
            "tcp-request" => (words[1].as_str(), words[2].as_str()),
            _ => ("http", words[1].as_str()),
        };
        let rest = directive.from(if stage == "http" { 2 } else { 3 });
        match action {
            "del-header" => self.rules.removes_forwarded_for = true,
            action if action.starts_with("track-sc") => {
                if rest.first().is_none_or(|sample| sample != "src") {
                    let why = "clients are counted by their address";
                    notes.not_translated(self.place, directive, why);
                }
            }
            "expect-proxy" => self.expect_proxy(directive, notes),
            "accept" | "allow" | "reject" | "deny" | "silent-drop" | "tarpit" => {
                let at = rest
                    .iter()
                    .position(|word| word == "if" || word == "unless");
                let condition = &rest[at.unwrap_or(rest.len())..];
                let accepts = ["accept", "allow"].contains(&action);
                match self.settings.acls.condition(condition) {
                    Ok(condition) => self.judge(accepts, stage, &condition, directive, notes),
                    Err(what) if what.contains("not simple") => {
                        notes.not_translated(self.place, directive, what);
                    }
                    Err(what) => notes.wrong(self.place, directive, what),
                }
            }
            "capture" => {
                let why =
                    "the access log has the name, ALPN and version that a client of TLS offers";
                notes.not_needed(self.place, directive, why);
            }
            _ => {
                let why =
                    "of the first bytes only the name of TLS and the head of HTTP are looked at";
                notes.not_translated(self.place, directive, why);
            }
        }
    }

    /// `stick-table type ip size 1m expire 10s store conn_cur,conn_rate(10s)`
    fn table(&mut self, directive: &Directive, notes: &mut Notes) {
        let words = &directive.words;
        let is_of_addresses = words
            .windows(2)
            .any(|pair| pair[0] == "type" && pair[1].starts_with("ip"));
        let stored = words
            .windows(2)
            .filter(|pair| pair[0] == "store")
            .flat_map(|pair| pair[1].split(','));
        let mut others = Vec::new();
        for counter in stored {
            let period = counter
                .strip_prefix("conn_rate(")
                .and_then(|rest| rest.strip_suffix(')'));
            match period.map(values::time) {
                Some(Ok(period)) if !period.is_zero() => self.period = Some(period),
                Some(_) => {
                    return notes.wrong(self.place, directive, format!("`{counter}` has no time"));
                }
                None if counter == "conn_cur" => {}
                None => others.push(counter),
            }
        }
        if !is_of_addresses || !others.is_empty() {
            let why = "of a client its open and its new sessions are counted, by its address: `ringway help client-rules`";
            notes.not_translated(self.place, directive, why);
        }
    }

    fn expect_proxy(&mut self, directive: &Directive, notes: &mut Notes) {
        let condition = directive
            .words
            .iter()
            .position(|word| word == "if" || word == "unless");
        let condition = condition.map_or(&[][..], |at| directive.from(at));
        let asks = self
            .settings
            .acls
            .condition(condition)
            .ok()
            .and_then(|condition| asks(&condition));
        match asks.as_deref() {
            Some([Asks::Source(from)]) => self.rules.proxies = Some(from.clone()),
            Some([Asks::Always]) => self.rules.proxies = Some(everybody()),
            _ => notes.not_translated(
                self.place,
                directive,
                "`from` of accept_proxy has addresses and networks",
            ),
        }
    }

    fn judge(
        &mut self,
        accepts: bool,
        stage: &str,
        condition: &Condition,
        directive: &Directive,
        notes: &mut Notes,
    ) {
        if self.is_over {
            return notes.not_needed(
                self.place,
                directive,
                "a rule before it has met all connections",
            );
        }
        let Some(asks) = asks(condition) else {
            let why = "a client is refused by its address, its open and its new sessions only";
            return notes.not_translated(self.place, directive, why);
        };
        let is_by_address = asks
            .iter()
            .any(|asks| matches!(asks, Asks::Source(_) | Asks::OtherSource(_)));
        if is_by_address
            && stage == "connection"
            && self.settings.binds.iter().any(|bind| bind.accepts_proxy)
        {
            let why = "it judges the address of the proxy, and here that of the client behind it would be judged";
            return notes.not_translated(self.place, directive, why);
        }
        for asks in asks {
            match accepts {
                true => self.accept(asks, stage, directive, notes),
                false => self.reject(asks, stage, directive, notes),
            }
        }
    }

    fn accept(&mut self, asks: Asks, stage: &str, directive: &Directive, notes: &mut Notes) {
        match asks {
            Asks::Always => self.is_over = true,
            Asks::Source(list) => self.accepted.extend(list),
            Asks::Tls if stage == "content" => self.accepts_tls = true,
            Asks::Bytes | Asks::Tls => {
                let why = "what is accepted at the end is so without a rule";
                notes.not_needed(self.place, directive, why);
            }
            Asks::OtherSource(_) | Asks::Sessions(_) | Asks::Rate(_) | Asks::NoTls => {
                let why = "a rule that accepts names addresses";
                notes.not_translated(self.place, directive, why);
            }
        }
    }

    fn reject(&mut self, asks: Asks, stage: &str, directive: &Directive, notes: &mut Notes) {
        let has_exceptions = !self.accepted.is_empty();
        let mut untranslated = |why: &str| notes.not_translated(self.place, directive, why);
        match asks {
            Asks::Always if self.accepts_tls => {
                self.is_over = true;
                return self.rules.needs_tls = true;
            }
            Asks::NoTls => return self.rules.needs_tls = true,
            Asks::Always | Asks::OtherSource(_) if self.rules.allow.is_some() => {
                return untranslated("there is one list `allow`");
            }
            Asks::Always if !has_exceptions => return untranslated("nobody could connect"),
            Asks::Always => {
                self.is_over = true;
                self.rules.allow = Some(self.accepted.clone());
            }
            Asks::OtherSource(list) => {
                self.rules.allow = Some([list, self.accepted.clone()].concat());
            }
            Asks::Source(_) if has_exceptions => {
                return untranslated(
                    "`deny` wins over `allow`: those who were accepted before would be refused",
                );
            }
            Asks::Source(list) => self.rules.deny.extend(list),
            Asks::Sessions(count) => self.rules.sessions_max = Some(count.max(1)),
            Asks::Rate(count) => match self.period {
                Some(period) => self.rules.rate = Some((count.max(1), period)),
                None => {
                    return untranslated("no stick table says in which time sessions are counted");
                }
            },
            Asks::Tls | Asks::Bytes => {
                return untranslated("a client is refused before its first bytes");
            }
        }
        let is_limit = self.rules.rate.is_some() || self.rules.sessions_max.is_some();
        match stage {
            "http" => notes.differs(
                self.place,
                directive,
                "the connection is reset, without an answer 403",
            ),
            _ if is_limit && has_exceptions => {
                notes.differs(self.place, directive, "the limit is for all clients");
            }
            _ => {}
        }
    }
}

/// All addresses.
pub(super) fn everybody() -> Vec<String> {
    vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()]
}

/// What each alternative of a condition asks; `None`: something else.
fn asks(condition: &Condition) -> Option<Vec<Asks>> {
    condition.iter().map(|all| ask(all)).collect()
}

fn ask(all: &[Literal]) -> Option<Asks> {
    let all: Vec<&Literal> = all.iter().filter(|literal| !is_true(literal)).collect();
    match all.as_slice() {
        [] => Some(Asks::Always),
        [one] if !one.is_negated && is_of(one, "req.ssl_hello_type") => Some(Asks::Tls),
        [one] if is_of(one, "req.ssl_hello_type") => Some(Asks::NoTls),
        [one]
            if ["wait_end", "req.len", "req.proto_http", "res.len"]
                .iter()
                .any(|name| is_of(one, name)) =>
        {
            Some(Asks::Bytes)
        }
        [one] if !one.is_negated && is_of(one, "src") => Some(Asks::Source(addresses(&one.tests)?)),
        [one] if !one.is_negated => limit(&one.tests),
        several
            if several
                .iter()
                .all(|literal| literal.is_negated && is_of(literal, "src")) =>
        {
            let lists = several.iter().map(|literal| addresses(&literal.tests));
            Some(Asks::OtherSource(
                lists.collect::<Option<Vec<_>>>()?.concat(),
            ))
        }
        _ => None,
    }
}

fn is_true(literal: &Literal) -> bool {
    is_of(
        literal,
        if literal.is_negated {
            "always_false"
        } else {
            "always_true"
        },
    )
}

fn is_of(literal: &Literal, fetch: &str) -> bool {
    literal.tests.iter().all(|test| test.fetch == fetch)
}

/// Addresses, networks and files of them; `None`: there are others.
fn addresses(tests: &[Test]) -> Option<Vec<String>> {
    let mut list = Vec::new();
    for test in tests {
        if !["", "ip"].contains(&test.method.as_str()) {
            return None;
        }
        for pattern in &test.patterns {
            list.push(values::network(pattern)?);
        }
        list.extend(test.files.iter().map(|file| format!("file:{file}")));
    }
    Some(list).filter(|list| !list.is_empty())
}

/// A counter that is above a number: `sc0_conn_cur gt 10`, `src_conn_rate ge 100`.
fn limit(tests: &[Test]) -> Option<Asks> {
    let [test] = tests else {
        return None;
    };
    let [operator, number] = test.patterns.as_slice() else {
        return None;
    };
    let number: u32 = number.parse().ok()?;
    let above = match operator.as_str() {
        "gt" => number,
        "ge" => number.checked_sub(1)?,
        _ => return None,
    };
    let name = test.fetch.split('(').next().unwrap_or_default();
    let counter = name.strip_prefix("src_").or_else(|| {
        let rest = name.strip_prefix("sc")?;
        rest.trim_start_matches(|c: char| c.is_ascii_digit())
            .strip_prefix('_')
    });
    match counter? {
        "conn_cur" => Some(Asks::Sessions(above)),
        "conn_rate" => Some(Asks::Rate(above)),
        _ => None,
    }
}
