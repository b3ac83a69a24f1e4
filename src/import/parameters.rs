//! Options of `server` and parameters of `bind` that have no translation, as `keywords` has keywords.

use super::keywords::{AS_IT_IS, NO_HTTP_2, NO_RULES, NO_TLS, OWN_TUNING};
use super::notes::Verdict::{self, NotNeeded, NotTranslated};

/// Words with the number of their arguments and one reason.
type Row = (&'static str, usize, Verdict, &'static str);

/// Options of a server without a translation, each with the number of its arguments.
const SERVER: &[Row] = &[
    (
        "check-alpn check-proto alpn npn proto ws",
        1,
        NotTranslated,
        NO_HTTP_2,
    ),
    (
        "ciphers ciphersuites curves sigalgs client-sigalgs crl-file crt ssl-max-ver ssl-min-ver \
         renegotiate no-renegotiate",
        1,
        NotTranslated,
        NO_TLS,
    ),
    (
        "allow-0rtt force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13 no-sslv3 \
         no-tlsv10 no-tlsv11 no-tlsv12 no-tlsv13 no-tls-tickets tls-tickets ssl-reuse \
         no-ssl-reuse no-verifyhost sni-auto no-sni-auto check-sni-auto no-check-sni-auto \
         check-reuse-pool ktls",
        0,
        NotTranslated,
        NO_TLS,
    ),
    (
        "agent-check no-agent-check",
        0,
        NotTranslated,
        "no agent is asked; `ringway weight`, `drain` and `maint` do what one orders",
    ),
    (
        "agent-addr agent-inter agent-port agent-send",
        1,
        NotTranslated,
        "no agent is asked; `ringway weight`, `drain` and `maint` do what one orders",
    ),
    (
        "on-error id guid hash-key init-addr enabled init-state",
        1,
        NotNeeded,
        AS_IT_IS,
    ),
    (
        "log-proto log-bufsize shard strict-maxconn",
        1,
        NotNeeded,
        OWN_TUNING,
    ),
    (
        "max-reuse pool-low-conn pool-max-conn pool-purge-delay idle-ping pool-conn-name",
        1,
        NotNeeded,
        "a connection to a server serves one client",
    ),
    (
        "maxqueue minconn",
        1,
        NotTranslated,
        "a queue is bounded by `queue_timeout`, and the limit of a server does not change with the load",
    ),
    (
        "namespace interface",
        1,
        NotTranslated,
        "connects are made in the network namespace of the process, by its routes",
    ),
    ("non-stick stick", 0, NotNeeded, "there are no stick tables"),
    ("redir", 1, NotTranslated, NO_RULES),
    (
        "socks4",
        1,
        NotTranslated,
        "servers are connected to without a proxy",
    ),
    (
        "check-via-socks4",
        0,
        NotTranslated,
        "servers are connected to without a proxy",
    ),
    (
        "tfo no-tfo mptcp",
        0,
        NotTranslated,
        "there is nothing like it",
    ),
    (
        "track",
        1,
        NotTranslated,
        "each backend checks its own servers",
    ),
    (
        "resolve-net resolve-opts",
        1,
        NotTranslated,
        "all addresses of a name are taken",
    ),
    (
        "proxy-v2-options set-proxy-v2-tlv-fmt cc",
        1,
        NotTranslated,
        "a head that is sent has the addresses, and what the head that came had beside them",
    ),
];

/// Parameters of `bind` without a translation, each with the number of its arguments; those of TLS are apart.
const BIND: &[Row] = &[
    (
        "name id guid label",
        1,
        NotNeeded,
        "a listener is known by its address",
    ),
    (
        "nice process thread shards severity-output level expose-fd group user uid gid mode \
         quic-cc-algo quic-socket",
        1,
        NotNeeded,
        "every worker has its own socket for each address",
    ),
    (
        "mss interface namespace cc",
        1,
        NotTranslated,
        "listeners have addresses only",
    ),
    (
        "maxconn",
        1,
        NotTranslated,
        "`max_sessions` is for a frontend as a whole",
    ),
    (
        "transparent tfo mptcp quic-force-retry idle-ping",
        0,
        NotTranslated,
        "there is nothing like it",
    ),
    (
        "defer-accept",
        0,
        NotTranslated,
        "a connection is accepted before its first byte",
    ),
    (
        "accept-netscaler-cip",
        1,
        NotTranslated,
        "of such protocols there is PROXY: `ringway help proxy-protocol`",
    ),
    ("proto alpn npn", 1, NotTranslated, NO_HTTP_2),
];

fn row(rows: &'static [Row], word: &str) -> Option<(usize, Verdict, &'static str)> {
    let found = rows
        .iter()
        .find(|(words, ..)| words.split_whitespace().any(|known| known == word));
    found.map(|(_, count, verdict, why)| (*count, *verdict, *why))
}

/// What becomes of an option of a server, and how many arguments it has.
pub(super) fn server(word: &str) -> Option<(usize, Verdict, &'static str)> {
    row(SERVER, word)
}

/// What becomes of a parameter of `bind`, and how many arguments it has.
pub(super) fn bind(word: &str) -> Option<(usize, Verdict, &'static str)> {
    row(BIND, word)
}
