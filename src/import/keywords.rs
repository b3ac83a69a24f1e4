//! Keywords of HAProxy that have no translation, with the reason why; those with one are where it is made.
//!
//! Complete for the keywords of HAProxy 2.6 to 3.2, so that every other one is a fault of the file. Source:
//! HAProxy's configuration manual, and `haproxy -dKall`.

use super::notes::Verdict::{self, NotNeeded, NotTranslated};

/// Words with one reason; one that ends in `*` stands for all that begin so.
type Row = (&'static str, Verdict, &'static str);

pub(super) const NO_RULES: &str =
    "requests and answers are not changed, and not chosen by what is in them";
pub(super) const NO_TLS: &str = "TLS is not ended here, and not spoken to servers";
pub(super) const OWN_TUNING: &str = "what HAProxy tunes by it does not exist here";
const LOGGING: &str =
    "messages go to standard error, and `access_log` to standard output; journald keeps both";
const COUNTED: &str = "the numbers are on the page, in /metrics and in `ringway status`";
const FOREGROUND: &str = "it runs in the foreground: `ringway help systemd`";
const OWN_USER: &str = "the unit of the package has a user of its own; elsewhere `user` and `group` of [global]: `ringway help privileges`";
pub(super) const NO_HTTP_2: &str = "there is HTTP/1 only";
const NO_EXTENSION: &str = "there are no scripts, filters and extensions";
const KEPT_ALIVE: &str = "a connection is relayed on after its first answer, to the same server";
pub(super) const AS_IT_IS: &str = "it is so here without being asked for";

/// Keywords of `global`.
const GLOBAL: &[Row] = &[
    (
        "daemon pidfile master-worker mworker-max-reloads quiet zero-warning",
        NotNeeded,
        FOREGROUND,
    ),
    (
        "user group uid gid chroot insecure-setuid-wanted set-dumpable setcap",
        NotNeeded,
        OWN_USER,
    ),
    (
        "insecure-fork-wanted external-check",
        NotNeeded,
        "no other program is ever started",
    ),
    (
        "log-send-hostname log-tag node description localpeer dns-accept-family",
        NotNeeded,
        LOGGING,
    ),
    (
        "setenv presetenv unsetenv resetenv",
        NotNeeded,
        "its value is written out where it is used",
    ),
    (
        "nbproc cpu-map cpu-policy cpu-set numa-cpu-mapping thread-group thread-groups \
         thread-hard-limit max-threads-per-group shm-stats-file*",
        NotNeeded,
        "each worker has its own CPU of those that the process may use",
    ),
    (
        "ulimit-n fd-hard-limit strict-limits",
        NotNeeded,
        "the limit of open files is raised as far as allowed, and a lack of them is warned of",
    ),
    (
        "noepoll nopoll nokqueue noevports nosplice noreuseport nogetaddrinfo busy-polling \
         no-memory-trimming maxpipes no-quic",
        NotNeeded,
        "the engine chooses by itself: `ringway help engines`",
    ),
    (
        "tune.* profiling.* prealloc-fd limited-quic force-cfg-parser-pause",
        NotNeeded,
        OWN_TUNING,
    ),
    (
        "spread-checks max-spread-checks",
        NotNeeded,
        "probes are spread evenly over their interval",
    ),
    (
        "stats.* warn-blocked-traffic-after close-spread-time",
        NotTranslated,
        "there is nothing like it",
    ),
    (
        "ssl-* ca-base crt-base key-base issuers-chain-path maxsslconn maxsslrate acme.* \
         ocsp-update.* jwt.* harden.*",
        NotNeeded,
        NO_TLS,
    ),
    (
        "maxconnrate maxsessrate",
        NotTranslated,
        "only the sessions of each client have a rate: `ringway help client-rules`",
    ),
    (
        "maxcomprate maxcompcpuusage maxzlibmem",
        NotNeeded,
        "nothing is compressed",
    ),
    (
        "lua-* lua.* wurfl-* 51degrees-* deviceatlas-* module-* httpclient.* anonkey set-var \
         set-var-fmt",
        NotTranslated,
        NO_EXTENSION,
    ),
    (
        "default-path",
        NotNeeded,
        "names of files begin where the process is started",
    ),
    (
        "server-state-base cluster-secret",
        NotNeeded,
        "`state_file` has a path of its own",
    ),
    (
        "h1-* h2-* http-err-codes http-fail-codes unix-bind pp2-never-send-local \
         expose-experimental-directives expose-deprecated-directives email-alert",
        NotNeeded,
        OWN_TUNING,
    ),
];

/// Keywords of `defaults`, `frontend`, `listen` and `backend`.
const PROXY: &[Row] = &[
    (
        "dynamic-cookie-key",
        NotNeeded,
        "the value is a hash of the address of a server",
    ),
    (
        "http-request http-response http-after-response tcp-response declare capture compression \
         redirect reqrep reqadd reqdel rspadd rspdel rsprep block http-send-name-header \
         unique-id-format unique-id-header use-server",
        NotTranslated,
        NO_RULES,
    ),
    (
        "errorfile errorfiles errorloc errorloc302 errorloc303 http-error",
        NotTranslated,
        "the answers of the load balancer itself are short texts: `ringway help http-mode`",
    ),
    (
        "log-format log-format-sd error-log-format log-tag log-steps",
        NotTranslated,
        "the access log has two forms, text and JSON: `ringway help access-log`",
    ),
    (
        "monitor-uri monitor monitor-net",
        NotTranslated,
        "the admin listener answers /healthz and /readyz: `ringway help admin-listener`",
    ),
    (
        "filter use-fcgi-app external-check",
        NotTranslated,
        NO_EXTENSION,
    ),
    (
        "email-alert",
        NotTranslated,
        "nobody is mailed: `ringway events` and the log have every change",
    ),
    (
        "fullconn",
        NotTranslated,
        "the limit of a server does not change with the load",
    ),
    (
        "hash-type hash-balance-factor hash-preserve-affinity",
        NotTranslated,
        "`source_hash` is a weighted rendezvous hash: when a server is lost, only its clients move",
    ),
    (
        "stick appsession",
        NotTranslated,
        "sessions are bound by a cookie, or by balance = \"source_hash\", which needs no table",
    ),
    (
        "persist force-persist ignore-persist",
        NotTranslated,
        "a cookie binds unless its server is down",
    ),
    (
        "rate-limit",
        NotTranslated,
        "only the sessions of each client have a rate: `ringway help client-rules`",
    ),
    (
        "retry-on",
        NotTranslated,
        "only a connect is tried again, no request",
    ),
    (
        "http-reuse max-keep-alive-queue max-session-srv-conns",
        NotNeeded,
        "a connection to a server serves one client",
    ),
    (
        "id description guid bind-process load-server-state-from-file server-state-file-name acme",
        NotNeeded,
        "there is nothing to number, describe or assign here",
    ),
    (
        "dispatch transparent",
        NotTranslated,
        "a session needs a server: write it as one",
    ),
];

/// Options: words behind `option`.
const OPTION: &[Row] = &[
    (
        "http-keep-alive prefer-last-server http-pretend-keepalive http-tunnel http-no-delay \
         idle-close-on-response",
        NotNeeded,
        KEPT_ALIVE,
    ),
    (
        "http-server-close",
        NotTranslated,
        "a connection keeps its server: with inspect = \"close\" each request gets one of its own",
    ),
    (
        "splice-auto splice-request splice-response tcp-smart-accept tcp-smart-connect contstats \
         socket-stats log-health-checks independent-streams redispatch",
        NotNeeded,
        AS_IT_IS,
    ),
    (
        "dontlog-normal logasap log-separate-errors",
        NotTranslated,
        "each session has one line when it ends",
    ),
    (
        "http-ignore-probes",
        NotTranslated,
        "`log_empty = false` leaves such connections out of the access log",
    ),
    (
        "abortonclose",
        NotTranslated,
        "a client that ends its stream while it waits is still served; one that resets its connection has left",
    ),
    (
        "allbackups",
        NotTranslated,
        "only the first backup that is usable is used",
    ),
    (
        "originalto http-use-proxy-header http-restrict-req-hdr-names checkcache \
         http-buffer-request http-drop-request-trailers http-drop-response-trailers",
        NotTranslated,
        NO_RULES,
    ),
    (
        "accept-invalid-http-request accept-invalid-http-response \
         accept-unsafe-violations-in-http-request accept-unsafe-violations-in-http-response",
        NotTranslated,
        "which requests are refused is fixed: `ringway help http-mode`",
    ),
    (
        "h1-case-adjust-bogus-client h1-case-adjust-bogus-server http-use-htx",
        NotNeeded,
        "names are passed on as they are written",
    ),
    ("disable-h2-upgrade", NotNeeded, NO_HTTP_2),
    (
        "nolinger transparent http_proxy",
        NotTranslated,
        "there is nothing like it",
    ),
    (
        "persist",
        NotTranslated,
        "a cookie binds unless its server is down",
    ),
    (
        "external-check spop-check httplog-errors",
        NotTranslated,
        NO_EXTENSION,
    ),
];

fn row(rows: &'static [Row], word: &str) -> Option<(Verdict, &'static str)> {
    let is = |known: &str| match known.strip_suffix('*') {
        Some(begin) => word.starts_with(begin),
        None => known == word,
    };
    let found = rows
        .iter()
        .find(|(words, ..)| words.split_whitespace().any(is));
    found.map(|(_, verdict, why)| (*verdict, *why))
}

/// What becomes of a keyword of `global`.
pub(super) fn global(word: &str) -> Option<(Verdict, &'static str)> {
    row(GLOBAL, word)
}

/// What becomes of a keyword of a proxy.
pub(super) fn proxy(word: &str) -> Option<(Verdict, &'static str)> {
    row(PROXY, word)
}

/// What becomes of an option of a proxy.
pub(super) fn option(word: &str) -> Option<(Verdict, &'static str)> {
    row(OPTION, word)
}

/// Why a section as a whole is not translated.
pub(super) fn section(kind: &str) -> (Verdict, &'static str) {
    match kind {
        "peers" => (
            NotNeeded,
            "nodes share no state: `source_hash` and cookies agree by themselves",
        ),
        "mailers" => (
            NotTranslated,
            "nobody is mailed: `ringway events` and the log have every change",
        ),
        "userlist" => (NotTranslated, "clients are not asked for a password"),
        "cache" => (NotTranslated, "nothing is cached"),
        "program" => (
            NotTranslated,
            "no other program is started: systemd does that",
        ),
        "http-errors" => (
            NotTranslated,
            "the answers of the load balancer itself are short texts: `ringway help http-mode`",
        ),
        "ring" | "log-forward" | "log-profile" | "traces" => (NotNeeded, LOGGING),
        "crt-store" | "acme" => (NotTranslated, NO_TLS),
        _ => (NotTranslated, NO_EXTENSION),
    }
}

/// Words of `log` and of the statistics that only concern the process's own output.
pub(super) const LOG: &str = LOGGING;

/// Why a parameter of the page has no effect.
pub(super) const STATS: &str = COUNTED;
