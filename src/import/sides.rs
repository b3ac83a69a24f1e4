//! Which side of a `listen` a line concerns: its frontend or its backend.

/// Whether a line concerns the frontend; all others concern the backend. `words`: at least one.
pub(super) fn is_of_frontend(words: &[String]) -> bool {
    let second = words.get(1).map(String::as_str).unwrap_or_default();
    match words[0].as_str() {
        "option" => OPTIONS.contains(&second),
        "timeout" => TIMES.contains(&second),
        word => KEYWORDS.contains(&word),
    }
}

/// Keywords that concern a frontend.
const KEYWORDS: &[&str] = &[
    "bind",
    "acl",
    "maxconn",
    "backlog",
    "default_backend",
    "use_backend",
    "tcp-request",
    "http-request",
    "capture",
    "log",
    "log-format",
    "log-tag",
    "monitor-uri",
    "monitor",
    "stats",
    "rate-limit",
    "stick-table",
    "unique-id-format",
    "unique-id-header",
    "clitcpka-idle",
    "clitcpka-cnt",
    "clitcpka-intvl",
    "filter",
    "compression",
    "errorfile",
    "http-error",
    "mode",
    "id",
    "description",
    "declare",
    "error-log-format",
];

/// Options, in the same way.
const OPTIONS: &[&str] = &[
    "httplog",
    "httpslog",
    "tcplog",
    "dontlognull",
    "dontlog-normal",
    "logasap",
    "forwardfor",
    "httpclose",
    "http-server-close",
    "http-keep-alive",
    "clitcpka",
    "tcpka",
    "socket-stats",
    "contstats",
    "http-ignore-probes",
    "log-separate-errors",
    "accept-invalid-http-request",
    "tcp-smart-accept",
    "http-buffer-request",
];

/// Times, in the same way.
const TIMES: &[&str] = &[
    "client",
    "client-fin",
    "http-request",
    "http-keep-alive",
    "tarpit",
];
