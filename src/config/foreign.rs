//! What other load balancers call things.
//!
//! Words are those of HAProxy's and nginx's manuals. Pure text to text: `schema` asks for the key that an
//! unknown one means, and the program's help for a word alone.

/// Words of HAProxy and nginx, in lower case with `_` between words, and what they are here: a key of
/// the same section, or a sentence.
const WORDS: &[(&[&str], Meaning)] = &[
    (
        &["maxconn", "max_conns", "fullconn"],
        Meaning::Key("max_sessions"),
    ),
    (&["worker_connections"], Meaning::Key("max_sessions")),
    (
        &["nbthread", "nbproc", "worker_processes", "threads"],
        Meaning::Key("workers"),
    ),
    (&["bind"], Meaning::Key("listen")),
    (
        &["default_backend", "use_backend", "proxy_pass"],
        Meaning::Key("backend"),
    ),
    (
        &["timeout_connect", "contimeout", "proxy_connect_timeout"],
        Meaning::Key("connect_timeout"),
    ),
    (
        &[
            "timeout_client",
            "timeout_server",
            "clitimeout",
            "srvtimeout",
            "timeout_http_keep_alive",
            "proxy_timeout",
            "proxy_read_timeout",
            "proxy_send_timeout",
            "keepalive_timeout",
            "client_timeout",
            "server_timeout",
        ],
        Meaning::Key("idle_timeout"),
    ),
    (
        &["timeout_client_fin", "timeout_server_fin"],
        Meaning::Key("half_closed_timeout"),
    ),
    (
        &["timeout_http_request", "client_header_timeout"],
        Meaning::Key("request_timeout"),
    ),
    (&["timeout_queue"], Meaning::Key("queue_timeout")),
    (&["timeout_tunnel"], Meaning::Key("tunnel_timeout")),
    (
        &["timeout", "timeouts"],
        Meaning::Said(
            "write connect_timeout, idle_timeout (`timeout client` and `server`), half_closed_timeout, \
             request_timeout or queue_timeout",
        ),
    ),
    (&["slowstart"], Meaning::Key("slow_start")),
    (&["on_marked_down"], Meaning::Key("on_down")),
    (&["proxy_next_upstream_tries"], Meaning::Key("retries")),
    (
        &[
            "redispatch",
            "option_redispatch",
            "retry_on",
            "proxy_next_upstream",
        ],
        Meaning::Said(
            "a connect that fails is tried again on another server at once, up to `retries` times: `ringway help retries`",
        ),
    ),
    (
        &[
            "clitcpka",
            "srvtcpka",
            "tcpka",
            "option_tcpka",
            "so_keepalive",
        ],
        Meaning::Key("keepalive"),
    ),
    (&["tcp_ut"], Meaning::Key("user_timeout")),
    (
        &["send_proxy_v2", "proxy_protocol"],
        Meaning::Said(
            "write send_proxy = \"v2\" in [backend.NAME], accept_proxy = { from = [\"10.0.0.7\"] } in [frontend.NAME]",
        ),
    ),
    (
        &["forwardfor", "option_forwardfor"],
        Meaning::Said("write forwarded_for = true in [frontend.NAME]"),
    ),
    (
        &["dontlognull", "option_dontlognull"],
        Meaning::Said("write log_empty = false in [frontend.NAME]"),
    ),
    (
        &["stick_table", "stick", "limit_conn", "limit_req"],
        Meaning::Said(
            "write per_client = { max_sessions = 100, rate = \"50/s\" } in [frontend.NAME]; `source_hash` and cookies \
             need no table",
        ),
    ),
    (
        &["tcp_request", "whitelist", "blacklist"],
        Meaning::Said("write allow or deny in [frontend.NAME]"),
    ),
    (
        &["agent_check"],
        Meaning::Said(
            "there are no agents: a script may call `ringway drain` and `ringway weight`",
        ),
    ),
    (
        &["allbackups", "option_allbackups"],
        Meaning::Said("only the first backup that is usable is used: `ringway help balancing`"),
    ),
    (
        &["hard_stop_after", "worker_shutdown_timeout"],
        Meaning::Key("shutdown_timeout"),
    ),
    (&["grace"], Meaning::Key("shutdown_grace")),
    (&["server_state_file"], Meaning::Key("state_file")),
    (&["uid"], Meaning::Key("user")),
    (&["gid"], Meaning::Key("group")),
    (
        &[
            "log",
            "log_format",
            "option_tcplog",
            "option_httplog",
            "tcplog",
            "httplog",
        ],
        Meaning::Said("write access_log = \"text\" in [global]"),
    ),
    (&["inter"], Meaning::Key("interval")),
    (&["fastinter"], Meaning::Key("fast_interval")),
    (&["downinter"], Meaning::Key("down_interval")),
    (&["timeout_check"], Meaning::Key("timeout")),
    (
        &["stats_uri", "monitor_uri"],
        Meaning::Said("write page = \"/haproxy_stats\" in [admin]"),
    ),
    (
        &["uri"],
        Meaning::Said("it is `path` of [backend.NAME.health_check], and `page` of [admin]"),
    ),
    (
        &[
            "check",
            "checks",
            "healthcheck",
            "option_httpchk",
            "httpchk",
            "http_check",
            "tcp_check",
        ],
        Meaning::Said(
            "all servers of a backend are checked by a section [backend.NAME.health_check]",
        ),
    ),
    (
        &["stats", "stats_socket"],
        Meaning::Said(
            "the stats page and the sockets are in [admin]: listen, page, socket; haproxy_socket answers HAProxy's \
             commands",
        ),
    ),
    (
        &["listen_section", "proxy"],
        Meaning::Said("write a [frontend.NAME] and a [backend.NAME]"),
    ),
    (
        &["upstream", "upstreams"],
        Meaning::Said("write [backend.NAME]"),
    ),
    (
        &["server"],
        Meaning::Said(
            "servers are in [backend.NAME]: servers = [{ name = \"web1\", address = \"10.0.0.11:8080\" }]",
        ),
    ),
    (
        &["http", "stream"],
        Meaning::Said("write [frontend.NAME] with mode = \"http\" or \"tcp\", and [backend.NAME]"),
    ),
    (
        &["option", "options"],
        Meaning::Said("there are no options by name: `ringway help` has the topics"),
    ),
    (
        &["least_conn", "leastconn"],
        Meaning::Said("write balance = \"least_conn\""),
    ),
    (
        &["ip_hash", "hash"],
        Meaning::Said("write balance = \"source_hash\""),
    ),
    (
        &["roundrobin"],
        Meaning::Said("write balance = \"round_robin\""),
    ),
    (
        &["disabled", "down"],
        Meaning::Said("`ringway maint BACKEND/SERVER` takes a server out; state_file keeps that"),
    ),
    (
        &["daemon", "pidfile", "master_worker"],
        Meaning::Said("it runs in the foreground: `ringway help systemd`"),
    ),
    (
        &[
            "max_fails",
            "fail_timeout",
            "observe",
            "error_limit",
            "on_error",
        ],
        Meaning::Said("write passive = { failures = 5, within = \"10s\" } in [backend.NAME]"),
    ),
    (
        &["check_ssl", "check_sni"],
        Meaning::Said(
            "write tls = true, or tls = { sni = \"NAME\" }, in [backend.NAME.health_check]",
        ),
    ),
    (
        &["ssl", "tls", "crt", "certificate", "ssl_certificate"],
        Meaning::Said(
            "TLS is passed on as it comes; mode = \"tls\" chooses the backend by its name",
        ),
    ),
    (
        &["ssl_preread", "req_ssl_sni", "inspect_delay"],
        Meaning::Said(
            "write mode = \"tls\" and routes = [{ sni = [\"NAME\"], backend = \"NAME\" }] in [frontend.NAME]",
        ),
    ),
    (
        &["acl", "http_request", "location"],
        Meaning::Said("there are no rules by path or header"),
    ),
    (
        &["resolver", "nameserver", "nameservers"],
        Meaning::Said("write resolvers in [backend.NAME.discover]"),
    ),
];

/// Where a key is that sections of another kind have too, for help on it: words of health checks.
const PLACES: &[(&str, &str)] = &[
    ("inter", "backend.health_check.interval"),
    ("timeout_check", "backend.health_check.timeout"),
];

/// What a word of another program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A key with the same kind of value.
    Key(&'static str),
    /// What to do, in words.
    Said(&'static str),
}

/// What HAProxy's or nginx's word is here.
pub(super) fn meaning(word: &str) -> Option<Meaning> {
    let word = plain(word);
    let found = WORDS.iter().find(|(words, _)| words.contains(&&*word));
    found.map(|(_, meaning)| *meaning)
}

/// As words are written here.
fn plain(word: &str) -> String {
    word.to_lowercase().replace(['-', ' ', '.'], "_")
}

/// A sentence for who asks for help on a word of another program.
pub fn explain(word: &str) -> Option<String> {
    Some(match meaning(word)? {
        Meaning::Key(key) => {
            let word = plain(word);
            let place = PLACES.iter().find(|(known, _)| *known == word);
            let place = place.map_or(key, |(_, place)| place);
            format!("it is `{key}` here: `ringway help {place}`")
        }
        Meaning::Said(text) => text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reference::{all_keys, sections};

    #[test]
    fn every_word_is_written_once_and_means_a_key_that_exists() {
        let mut seen = std::collections::BTreeSet::new();
        for (words, meaning) in WORDS {
            for word in *words {
                assert!(seen.insert(word), "{word} is there twice");
            }
            if let Meaning::Key(key) = meaning {
                let exists = sections().any(|section| all_keys(section).any(|it| it.name == *key));
                assert!(exists, "{key}");
            }
        }
    }

    #[test]
    fn words_are_found_as_they_are_written() {
        for word in [
            "timeout client",
            "timeout-client",
            "TIMEOUT_CLIENT",
            "timeout.client",
        ] {
            assert_eq!(meaning(word), Some(Meaning::Key("idle_timeout")), "{word}");
        }
        assert_eq!(meaning("idle_timeout"), None);
        let explained = explain("maxconn").unwrap();
        assert_eq!(
            explained,
            "it is `max_sessions` here: `ringway help max_sessions`"
        );
        assert_eq!(
            explain("inter").unwrap(),
            "it is `interval` here: `ringway help backend.health_check.interval`"
        );
        assert!(
            explain("option redispatch")
                .unwrap()
                .contains("`ringway help retries`")
        );
    }
}
