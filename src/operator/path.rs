//! Paths of the HTTP API that have names in them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::cli::ServerName;

/// All that means nothing in a path or a query stands as it is (RFC 3986, section 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// As it can stand in a path or a query.
pub(super) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// The path of a server.
pub(super) fn server(name: &ServerName) -> String {
    let [backend, server] = [&name.backend, &name.server].map(|part| escaped(part));
    format!("/api/v1/servers/{backend}/{server}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_discovered_servers_are_escaped() {
        let path = |name: &str| server(&name.parse().unwrap());
        assert_eq!(path("app/web-1.a_b"), "/api/v1/servers/app/web-1.a_b");
        assert_eq!(
            path("app/[fd00::4]:8080"),
            "/api/v1/servers/app/%5Bfd00%3A%3A4%5D%3A8080"
        );
    }
}
