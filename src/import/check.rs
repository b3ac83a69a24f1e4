//! `option httpchk`, `http-check`, `option tcp-check`, `tcp-check` and the checks of protocols: section 4.2 of
//! HAProxy's manual.

use super::directive::Directive;
use super::notes::{Notes, Place};
use super::values;

/// What a probe asks, as far as it has been read.
#[derive(Clone, Debug, Default)]
pub(super) enum Asked {
    /// Whether the server takes connections.
    #[default]
    Connect,
    Http,
    /// By the lines `tcp-check`.
    Tcp,
    /// What a check of a protocol sends and expects.
    Protocol {
        send: Vec<u8>,
        expect: Vec<u8>,
    },
    /// A handshake of TLS.
    Tls,
}

/// The lines of a proxy that say how servers are checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub asked: Asked,
    /// The line that says so.
    pub directive: Option<Directive>,
    pub http: Http,
    /// What is sent and expected, in order.
    pub steps: Vec<Step>,
    /// The port of `http-check connect` or `tcp-check connect`.
    pub port: Option<u32>,
    pub tls: bool,
    pub sni: Option<String>,
}

/// The request of a probe, and what its answer must be.
#[derive(Clone, Debug, Default)]
pub(super) struct Http {
    pub method: Option<String>,
    pub path: Option<String>,
    pub host: Option<String>,
    pub headers: Vec<(String, String)>,
    pub statuses: Option<String>,
    pub body: Option<String>,
    pub body_regex: Option<String>,
}

/// A step of `tcp-check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Send(Vec<u8>),
    Expect(Vec<u8>),
}

/// Reads a check of `option`; false: it is another option.
pub(super) fn option(
    rules: &mut Rules,
    directive: &Directive,
    place: &Place,
    notes: &mut Notes,
) -> bool {
    let asked = match directive.word(1).unwrap_or_default() {
        "httpchk" => {
            http_option(&mut rules.http, directive, place, notes);
            Asked::Http
        }
        "tcp-check" => Asked::Tcp,
        "ssl-hello-chk" => Asked::Tls,
        "redis-check" => Asked::Protocol {
            send: b"*1\r\n$4\r\nPING\r\n".to_vec(),
            expect: b"+PONG\r\n".to_vec(),
        },
        "mysql-check" => {
            if directive.word(2).is_some() {
                let why = "the greeting is looked at, and nobody logs in";
                notes.differs(place, directive, why);
            }
            // The third byte of a small length, the number of the first packet, version 10 of the protocol.
            Asked::Protocol {
                send: Vec::new(),
                expect: b"\x00\x00\x0a".to_vec(),
            }
        }
        "pgsql-check" => {
            let user = directive.word(3).unwrap_or_default();
            // StartupMessage: its length, version 3.0, the user.
            let mut body = b"\x00\x03\x00\x00user\x00".to_vec();
            body.extend_from_slice(user.as_bytes());
            body.extend_from_slice(b"\x00\x00");
            let len = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
            // Whatever way to log in the server asks for.
            Asked::Protocol {
                send: [&len.to_be_bytes()[..], &body].concat(),
                expect: b"R\x00\x00\x00".to_vec(),
            }
        }
        "smtpchk" => {
            let why = "the greeting is looked at, and no command is sent";
            notes.differs(place, directive, why);
            Asked::Protocol {
                send: Vec::new(),
                expect: b"220".to_vec(),
            }
        }
        // An anonymous BindRequest of LDAP 3, and the result `success`.
        "ldap-check" => Asked::Protocol {
            send: b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00".to_vec(),
            expect: b"\x0a\x01\x00".to_vec(),
        },
        _ => return false,
    };
    rules.asked = asked;
    rules.directive = Some(directive.clone());
    true
}

/// `option httpchk [METHOD] [URI] [VERSION]`; the version may have lines of a head behind it.
fn http_option(http: &mut Http, directive: &Directive, place: &Place, notes: &mut Notes) {
    let words = directive.from(2);
    let (method, uri, version) = match words {
        [] => (None, None, None),
        [uri] => (None, Some(uri), None),
        [method, uri] => (Some(method), Some(uri), None),
        [method, uri, version, ..] => (Some(method), Some(uri), Some(version)),
    };
    http.method = method.cloned();
    http.path = uri.cloned();
    for line in version
        .into_iter()
        .flat_map(|text| text.split("\r\n").skip(1))
    {
        match line.split_once(':') {
            Some((name, value)) => header(http, name, value.trim()),
            None if line.is_empty() => {}
            None => {
                notes.not_translated(place, directive, format!("`{line}` is no line of a head"))
            }
        }
    }
}

fn header(http: &mut Http, name: &str, value: &str) {
    match name.eq_ignore_ascii_case("host") {
        true => http.host = Some(value.to_owned()),
        false if name.eq_ignore_ascii_case("connection") => {}
        false => http.headers.push((name.to_owned(), value.to_owned())),
    }
}

/// Reads a line `http-check` or `tcp-check` other than what is expected.
pub(super) fn line(rules: &mut Rules, directive: &Directive, place: &Place, notes: &mut Notes) {
    let is_http = directive.words[0] == "http-check";
    let Some(action) = directive.word(1) else {
        return notes.wrong(place, directive, "an action is missing");
    };
    match action {
        "send" if is_http => http_send(&mut rules.http, directive, place, notes),
        "connect" => connect(rules, directive, place, notes),
        "send" | "send-binary" => {
            let data = directive.word(2).unwrap_or_default();
            let bytes = match action {
                "send" => Some(data.as_bytes().to_vec()),
                _ => values::bytes_of_hex(data),
            };
            match bytes.filter(|bytes| !bytes.is_empty()) {
                Some(bytes) => rules.steps.push(Step::Send(bytes)),
                None => notes.wrong(
                    place,
                    directive,
                    "what is to be sent is missing or malformed",
                ),
            }
        }
        "comment" => notes.not_needed(place, directive, "a failed check says what it expected"),
        "disable-on-404" => {
            let why = "a status passes or fails; `ringway drain` lets a server finish its sessions";
            notes.not_translated(place, directive, why);
        }
        "send-state" | "set-var" | "set-var-fmt" | "unset-var" | "send-lf" | "send-binary-lf" => {
            notes.not_translated(place, directive, "what a probe sends is fixed");
        }
        other => notes.wrong(place, directive, format!("unknown action `{other}`")),
    }
}

/// `http-check send meth GET uri / ver HTTP/1.1 hdr NAME VALUE`
fn http_send(http: &mut Http, directive: &Directive, place: &Place, notes: &mut Notes) {
    let mut rest = directive.from(2);
    while let Some((word, after)) = rest.split_first() {
        let argument = after.first().map(String::as_str);
        let used = match (word.as_str(), argument) {
            ("meth", Some(method)) => {
                http.method = Some(method.to_owned());
                1
            }
            ("uri", Some(uri)) => {
                http.path = Some(uri.to_owned());
                1
            }
            ("ver" | "comment", Some(_)) => 1,
            ("hdr", Some(name)) if after.len() > 1 => {
                match after[1].contains('%') {
                    true => notes.not_translated(
                        place,
                        directive,
                        format!("`hdr {name}`: what a probe sends is fixed"),
                    ),
                    false => header(http, name, &after[1]),
                }
                2
            }
            ("body" | "body-lf" | "uri-lf", Some(_)) => {
                notes.not_translated(
                    place,
                    directive,
                    format!("`{word}`: a probe is a head without a body"),
                );
                1
            }
            _ => {
                let what = format!("`{word}` is unknown here or lacks an argument");
                return notes.wrong(place, directive, what);
            }
        };
        rest = after.get(used..).unwrap_or_default();
    }
}

/// `http-check connect` and `tcp-check connect`
fn connect(rules: &mut Rules, directive: &Directive, place: &Place, notes: &mut Notes) {
    let mut rest = directive.from(2);
    while let Some((word, after)) = rest.split_first() {
        let argument = after.first().map(String::as_str);
        let used = match (word.as_str(), argument) {
            ("default" | "linger" | "send-proxy", _) => 0,
            ("ssl", _) => {
                rules.tls = true;
                0
            }
            ("port", Some(port)) => {
                match values::number(port, 65_535) {
                    Ok(port) => rules.port = Some(port).filter(|port| *port > 0),
                    Err(_) => notes.not_translated(
                        place,
                        directive,
                        format!("`port {port}`: a port is a number"),
                    ),
                }
                1
            }
            ("sni", Some(name)) => {
                rules.sni = Some(name.to_owned());
                1
            }
            ("comment", Some(_)) => 1,
            ("addr" | "alpn" | "proto" | "via-socks4" | "if" | "unless", _) => {
                let why =
                    format!("`{word}`: a server is checked at its own address, by HTTP/1 or bytes");
                return notes.not_translated(place, directive, why);
            }
            _ => {
                let what = format!("`{word}` is unknown here or lacks an argument");
                return notes.wrong(place, directive, what);
            }
        };
        rest = after.get(used..).unwrap_or_default();
    }
}

/// What is sent and expected in the one round that a probe has, and whether that is all of `steps`.
pub(super) fn round(steps: &[Step]) -> (Option<Vec<u8>>, Option<Vec<u8>>, bool) {
    let sent = |steps: &[Step]| -> Vec<u8> {
        let bytes = steps.iter().filter_map(|step| match step {
            Step::Send(bytes) => Some(bytes.as_slice()),
            Step::Expect(_) => None,
        });
        bytes.collect::<Vec<_>>().concat()
    };
    // Redis takes commands at once, and its role is what matters.
    let role = steps.iter().find_map(|step| match step {
        Step::Expect(bytes) if bytes.starts_with(b"role:") => Some(bytes.clone()),
        Step::Expect(_) | Step::Send(_) => None,
    });
    if role.is_some() {
        return (Some(sent(steps)), role, true);
    }
    let first = steps
        .iter()
        .position(|step| matches!(step, Step::Expect(_)));
    let (before, after) = steps.split_at(first.unwrap_or(steps.len()));
    let expect = after.first().and_then(|step| match step {
        Step::Expect(bytes) => Some(bytes.clone()),
        Step::Send(_) => None,
    });
    let send = Some(sent(before)).filter(|bytes| !bytes.is_empty());
    // Good manners at the end, such as QUIT, make no difference.
    let is_all = after.len() <= 1 || after[1..].iter().all(|step| matches!(step, Step::Send(_)));
    (send, expect, is_all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_has_one_round() {
        let send = |text: &str| Step::Send(text.as_bytes().to_vec());
        let expect = |text: &str| Step::Expect(text.as_bytes().to_vec());
        let text =
            |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8(bytes).expect("text"));
        for (steps, sent, expected, is_all) in [
            (&[][..], None, None, true),
            (&[expect("220")], None, Some("220"), true),
            (
                &[send("PING"), send("\r\n"), expect("+PONG")],
                Some("PING\r\n"),
                Some("+PONG"),
                true,
            ),
            (&[expect("220"), send("QUIT")], None, Some("220"), true),
            (
                &[send("a"), expect("b"), send("c"), expect("d")],
                Some("a"),
                Some("b"),
                false,
            ),
            (
                &[
                    send("PING\r\n"),
                    expect("+PONG"),
                    send("info\r\n"),
                    expect("role:master"),
                ],
                Some("PING\r\ninfo\r\n"),
                Some("role:master"),
                true,
            ),
        ] {
            let (found_sent, found_expected, found_all) = round(steps);
            assert_eq!(
                (
                    text(found_sent).as_deref(),
                    text(found_expected).as_deref(),
                    found_all
                ),
                (sent, expected, is_all)
            );
        }
    }
}
