//! `bind`: section 5.1 of HAProxy's manual.

use std::time::Duration;

use super::directive::Directive;
use super::notes::{Notes, Place, Verdict};
use super::parameters;
use super::values;

/// Listeners of one line that have a translation.
#[derive(Clone, Debug)]
pub(super) struct Bind {
    pub addresses: Vec<String>,
    pub accepts_proxy: bool,
    pub backlog: Option<u32>,
    pub user_timeout: Option<Duration>,
}

/// Ports of a range that are written out at most.
const RANGE_MAX: u32 = 1000;

/// Parameters of TLS with an argument, beyond those that servers have as well.
const TLS_VALUES: &[&str] = &[
    "crt",
    "crt-list",
    "ca-file",
    "ca-ignore-err",
    "ca-sign-file",
    "ca-sign-pass",
    "ca-verify-file",
    "ciphers",
    "ciphersuites",
    "crl-file",
    "crt-ignore-err",
    "curves",
    "ecdhe",
    "ssl-max-ver",
    "ssl-min-ver",
    "tls-ticket-keys",
    "verify",
    "sigalgs",
    "client-sigalgs",
    "ocsp-update",
    "ech",
    "renegotiate",
];

/// Parameters of TLS without one.
const TLS_FLAGS: &[&str] = &[
    "allow-0rtt",
    "default-crt",
    "force-sslv3",
    "force-tlsv10",
    "force-tlsv11",
    "force-tlsv12",
    "force-tlsv13",
    "generate-certificates",
    "no-alpn",
    "no-ca-names",
    "no-sslv3",
    "no-tls-tickets",
    "tls-tickets",
    "no-tlsv10",
    "no-tlsv11",
    "no-tlsv12",
    "no-tlsv13",
    "prefer-client-ciphers",
    "strict-sni",
    "no-strict-sni",
    "ktls",
];

/// Reads the line; `None`: nothing of it listens here, which has a note.
pub(super) fn read(directive: &Directive, place: &Place, notes: &mut Notes) -> Option<Bind> {
    let Some(addresses) = directive.word(1) else {
        notes.wrong(place, directive, "`bind` needs an address");
        return None;
    };
    let mut parameters = Parameters::default();
    let mut rest = directive.from(2);
    while let Some((word, after)) = rest.split_first() {
        match parameters.set(word, after) {
            Ok(used) => rest = after.get(used..).unwrap_or_default(),
            Err(what) => {
                notes.wrong(place, directive, what);
                return None;
            }
        }
    }
    if parameters.is_tls {
        let why = "TLS of clients is not ended here; in mode = \"tls\" it is passed on, and servers are chosen by its name";
        notes.not_translated(place, directive, why);
        return None;
    }
    for (verdict, why) in parameters.notes {
        notes.add(place, directive, verdict, why);
    }
    let mut bind = Bind {
        addresses: Vec::new(),
        accepts_proxy: parameters.accepts_proxy,
        backlog: parameters.backlog,
        user_timeout: parameters.user_timeout,
    };
    for address in addresses.split(',') {
        match listeners(address, parameters.both, parameters.only_v6) {
            Ok(found) => bind.addresses.extend(found),
            Err(Unlistenable::Wrong(what)) => notes.wrong(place, directive, what),
            Err(Unlistenable::Other(why)) => notes.not_translated(place, directive, why),
        }
    }
    (!bind.addresses.is_empty()).then_some(bind)
}

/// What stands behind the addresses.
#[derive(Default)]
struct Parameters {
    is_tls: bool,
    accepts_proxy: bool,
    backlog: Option<u32>,
    user_timeout: Option<Duration>,
    /// A listener of IPv6 takes IPv4 as well.
    both: bool,
    only_v6: bool,
    /// Those without a translation.
    notes: Vec<(Verdict, String)>,
}

impl Parameters {
    /// Sets a parameter and returns how many words behind it are its own.
    fn set(&mut self, word: &str, after: &[String]) -> Result<usize, String> {
        let value = || after.first().ok_or(format!("`{word}` needs an argument"));
        match word {
            "ssl" => self.is_tls = true,
            "accept-proxy" => self.accepts_proxy = true,
            "v4v6" => self.both = true,
            "v6only" => self.only_v6 = true,
            "backlog" => {
                self.backlog = Some(values::number(value()?, u32::MAX)?);
                return Ok(1);
            }
            "tcp-ut" => {
                self.user_timeout = Some(values::time(value()?)?);
                return Ok(1);
            }
            word if TLS_VALUES.contains(&word) => return value().map(|_| 1),
            word if TLS_FLAGS.contains(&word) => {}
            word => match parameters::bind(word) {
                Some((count, verdict, why)) => {
                    self.notes.push((verdict, format!("`{word}`: {why}")));
                    return Ok(count);
                }
                None => return Err(format!("unknown parameter `{word}` of `bind`")),
            },
        }
        Ok(0)
    }
}

enum Unlistenable {
    /// HAProxy would refuse it.
    Wrong(String),
    /// There is nothing like it here.
    Other(&'static str),
}

/// An address of `bind` as entries of `listen`.
fn listeners(text: &str, both: bool, only_v6: bool) -> Result<Vec<String>, Unlistenable> {
    if let Some(descriptor) = text.strip_prefix("fd@") {
        return Ok(vec![format!("fd:{descriptor}")]);
    }
    let path = ["unix@", "uxst@"]
        .iter()
        .find_map(|kind| text.strip_prefix(kind))
        .unwrap_or(text);
    if path.starts_with('/') {
        return Ok(vec![format!("unix:{path}")]);
    }
    if ["unix@", "uxst@", "abns@", "abnsz@", "sockpair@"]
        .iter()
        .any(|kind| text.starts_with(kind))
    {
        return Err(Unlistenable::Other(
            "a frontend listens on addresses of TCP, or on the path of a Unix socket",
        ));
    }
    if text.starts_with("quic4@") || text.starts_with("quic6@") || text.starts_with("udp") {
        return Err(Unlistenable::Other(
            "there is TCP only, neither QUIC nor UDP",
        ));
    }
    let family = ["ipv4@", "ipv6@", "tcp4@", "tcp6@", "tcp@"]
        .iter()
        .find(|kind| text.starts_with(**kind));
    let bare = family.map_or(text, |kind| &text[kind.len()..]);
    let wrong = || Unlistenable::Wrong(format!("`{text}` is no address with a port"));
    let (host, ports) = bare.rsplit_once(':').ok_or_else(wrong)?;
    let (start, end) = ports.split_once('-').unwrap_or((ports, ports));
    let port = |text: &str| values::number(text, 65_535).ok().filter(|port| *port > 0);
    let (start, end) = port(start)
        .zip(port(end))
        .filter(|(start, end)| start <= end)
        .ok_or_else(wrong)?;
    if end - start >= RANGE_MAX {
        return Err(Unlistenable::Other(
            "so many ports are not written out: list those that are used",
        ));
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_v6 =
        host.contains(':') || (host.is_empty() && family.is_some_and(|kind| kind.contains('6')));
    let hosts: &[&str] = match host {
        "" | "*" if !is_v6 => &["0.0.0.0"],
        // As Linux has it by default, such a socket takes IPv4 as well.
        "" | "::" if both || !only_v6 => &["[::]", "0.0.0.0"],
        "" | "::" => &["[::]"],
        _ => &[],
    };
    let own = if is_v6 {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let hosts = if hosts.is_empty() {
        vec![own.as_str()]
    } else {
        hosts.to_vec()
    };
    let ports = start..=end;
    Ok(ports
        .flat_map(|port| hosts.iter().map(move |host| format!("{host}:{port}")))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_every_form_are_read() {
        for (text, both, only_v6, expected) in [
            (":80", false, false, Some(&["0.0.0.0:80"][..])),
            ("*:80", false, false, Some(&["0.0.0.0:80"])),
            (":::80", false, false, Some(&["[::]:80", "0.0.0.0:80"])),
            ("[::]:80", false, true, Some(&["[::]:80"])),
            ("[2001:db8::1]:80", true, false, Some(&["[2001:db8::1]:80"])),
            ("2001:db8::1:80", true, false, Some(&["[2001:db8::1]:80"])),
            (
                "ipv4@10.0.0.1:8000-8002",
                false,
                false,
                Some(&["10.0.0.1:8000", "10.0.0.1:8001", "10.0.0.1:8002"]),
            ),
            ("web.local:80", false, false, Some(&["web.local:80"])),
            ("fd@5", false, false, Some(&["fd:5"])),
            ("10.0.0.1", false, false, None),
            ("10.0.0.1:0", false, false, None),
            ("/run/x.sock", false, false, Some(&["unix:/run/x.sock"])),
            ("abns@x", false, false, None),
            ("quic4@:443", false, false, None),
            (":1-65535", false, false, None),
        ] {
            let found = listeners(text, both, only_v6).ok();
            let expected = expected.map(|list| {
                list.iter()
                    .map(|text| (*text).to_owned())
                    .collect::<Vec<_>>()
            });
            assert_eq!(found, expected, "{text}");
        }
    }
}
