//! `resolvers`: section 5.3.2 of HAProxy's manual.

use std::time::Duration;

use super::notes::{Notes, Place};
use super::source::Section;
use super::values;

/// Name servers, and how they are asked.
#[derive(Debug)]
pub(super) struct Resolvers {
    pub name: String,
    /// Empty: those of `/etc/resolv.conf`.
    pub addresses: Vec<String>,
    pub interval: Duration,
    pub timeout: Duration,
}

/// Reads a section.
pub(super) fn read(section: &Section, notes: &mut Notes) -> Resolvers {
    let second = Duration::from_secs(1);
    let mut resolvers = Resolvers {
        name: section.name.clone(),
        addresses: Vec::new(),
        interval: second,
        timeout: second,
    };
    let place = &Place::Top;
    for directive in &section.directives {
        let word = |index| directive.word(index).unwrap_or_default();
        match (word(0), word(1)) {
            ("nameserver", _) => match address(word(2)) {
                Some(address) => resolvers.addresses.push(address),
                None => notes.not_translated(
                    place,
                    directive,
                    "a name server is an IP address with a port",
                ),
            },
            ("parse-resolv-conf", _) => resolvers.addresses.clear(),
            ("timeout", "resolve" | "retry") => match values::time(word(2)) {
                // The least that is asked for here is every 100 ms.
                Ok(time) => {
                    let time = time.max(Duration::from_millis(100));
                    match word(1) {
                        "resolve" => resolvers.interval = time.min(Duration::from_secs(3600)),
                        _ => resolvers.timeout = time.min(Duration::from_secs(10)),
                    }
                }
                Err(what) => notes.wrong(place, directive, what),
            },
            ("hold", "obsolete") => {
                let why = "a server that is missing in an answer gets no new sessions at once, and keeps those that it has";
                notes.differs(place, directive, why);
            }
            ("hold", _) => {
                let why = "without an answer the servers stay as they are, without a limit of time";
                notes.not_needed(place, directive, why);
            }
            ("resolve_retries" | "accepted_payload_size", _) => {
                let why = "the name servers are asked one after the other, by TCP if an answer is too long";
                notes.not_needed(place, directive, why);
            }
            (other, _) => notes.wrong(place, directive, format!("unknown keyword `{other}`")),
        }
    }
    resolvers
}

/// An address of a name server, as we write it.
fn address(text: &str) -> Option<String> {
    let bare = ["ipv4@", "ipv6@", "udp@", "udp4@", "udp6@", "tcp@"]
        .iter()
        .find_map(|kind| text.strip_prefix(kind));
    let bare = bare.unwrap_or(text);
    if let Ok(address) = bare.parse::<std::net::SocketAddr>() {
        return Some(address.to_string());
    }
    let (host, port) = bare.rsplit_once(':').unwrap_or((bare, "53"));
    let address: std::net::IpAddr = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()?;
    Some(std::net::SocketAddr::new(address, port.parse().ok()?).to_string())
}
