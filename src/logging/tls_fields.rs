//! What the access log shows of a session in TLS mode: what its ClientHello asks for, and its route.

use std::fmt;

use crate::config::Frontend;
use crate::printable::percent_encoded;
use crate::worker::HelloInfo;

/// What a field has that is not known.
const NONE: &str = "-";

/// The fields, in the order of the line.
pub struct TlsFields {
    /// The name of the server.
    pub sni: String,
    /// The highest version that was offered.
    pub version: String,
    /// The protocols that were offered, without those that stand for nothing (GREASE).
    pub alpn: String,
    /// The route: its first name, and its protocols.
    pub route: String,
}

impl TlsFields {
    /// Of a session of this frontend; `hello` is `None` if no whole ClientHello came.
    pub fn of(hello: Option<&HelloInfo>, frontend: &Frontend) -> Self {
        let shown = |text: Option<String>| match text {
            Some(text) if !text.is_empty() => text,
            Some(_) | None => NONE.to_owned(),
        };
        let sni = hello.and_then(HelloInfo::server_name);
        let alpn = hello.map(|hello| {
            let names: Vec<String> = hello.protocols().meant().map(percent_encoded).collect();
            names.join(",")
        });
        let route = hello.and_then(|hello| frontend.routes.get(hello.route? as usize));
        TlsFields {
            sni: shown(sni.map(|sni| percent_encoded(sni.as_bytes()))),
            version: shown(hello.map(|hello| hello.version.to_string())),
            alpn: shown(alpn),
            route: shown(route.map(ToString::to_string)),
        }
    }
}

impl fmt::Display for TlsFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TlsFields {
            sni,
            version,
            alpn,
            route,
        } = self;
        write!(f, "{sni} {version} {alpn} \"{route}\"")
    }
}
