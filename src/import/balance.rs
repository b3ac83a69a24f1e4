//! `balance`: section 4.2 of HAProxy's manual.

use super::directive::Directive;
use super::notes::{Notes, Place};

/// The algorithm here; `None`: turns.
pub(super) fn read(
    algorithm: &str,
    directive: &Directive,
    place: &Place,
    notes: &mut Notes,
) -> Option<&'static str> {
    let (name, argument) = match algorithm.split_once('(') {
        Some((name, argument)) => (name, argument.trim_end_matches(')')),
        None => (algorithm, directive.word(2).unwrap_or_default()),
    };
    match name {
        "roundrobin" | "static-rr" => Some("round_robin"),
        "leastconn" => Some("least_conn"),
        "random" => Some("random"),
        "first" => Some("first"),
        "source" => Some("source_hash"),
        "hash" if argument == "src" => Some("source_hash"),
        "uri" | "url_param" | "hdr" | "hash" | "rdp-cookie" | "log-hash" | "sticky" => {
            let why = "servers are not chosen by what is in a request: they take turns";
            notes.not_translated(place, directive, why);
            None
        }
        other => {
            notes.wrong(place, directive, format!("there is no algorithm `{other}`"));
            None
        }
    }
}
