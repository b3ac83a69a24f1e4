//! Section `[admin]`: the addresses of the admin listener, and who has access to it.
//!
//! Its keys belong together, so its reader, its checks and its part of the configuration are here;
//! `read`, `validate` and the command line call them. It opens none of the files that it names.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::address::RawListen;
use super::error::Diagnostics;
use super::field::Field;
use super::identity::{Group, validate_group};
use super::problem::{Problem, Span, shorten};

/// Bytes of the path of a Unix socket (unix(7): 108 with the final zero).
pub(super) const SOCKET_LEN_MAX: usize = 107;

/// Bytes of `page`.
pub(super) const PAGE_LEN_MAX: usize = 256;

/// The paths that the admin listener answers itself.
const OWN_PAGES: &[&str] = &["/", "/healthz", "/readyz", "/metrics", "/stats.csv", "/api"];

/// Section `[admin]`; at least one of `listen` and `socket` is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens; port 0 lets the kernel choose. Beyond loopback there is a `token_file`, or it is
    /// `read_only`.
    pub listen: Option<SocketAddr>,
    /// Path of a Unix socket, 1 to 107 bytes.
    pub socket: Option<PathBuf>,
    /// Path of a Unix socket at which scripts for HAProxy's runtime API are answered, another one.
    pub haproxy_socket: Option<PathBuf>,
    /// The group that may use both sockets as well; then there is one.
    pub socket_group: Option<Group>,
    /// File with the token that actions over `listen` need; not yet read.
    pub token_file: Option<PathBuf>,
    /// Over `listen` everybody may read and nobody may change anything. Then there is no `token_file`.
    pub read_only: bool,
    /// A second path of the stats page: begins with `/`, and is none of the listener's own.
    pub page: Option<String>,
}

impl Admin {
    /// Only a listener, without a token: it is to be on loopback.
    pub fn on(listen: SocketAddr) -> Self {
        Self {
            listen: Some(listen),
            ..Self::default()
        }
    }
}

/// What an operator wrote.
#[derive(Clone, Debug)]
pub(super) struct RawAdmin {
    /// Where the section begins.
    pub span: Span,
    pub listen: Field<RawListen>,
    pub socket: Field<PathBuf>,
    pub haproxy_socket: Field<PathBuf>,
    pub socket_group: Field<String>,
    pub token_file: Field<PathBuf>,
    pub read_only: Field<bool>,
    pub page: Field<String>,
}

/// Checks what concerns more than one value; `listen` is the written one, resolved, unless it was
/// reported.
pub(super) fn validate_admin(
    out: &mut Diagnostics,
    raw: &RawAdmin,
    listen: Option<SocketAddr>,
) -> Admin {
    if matches!((&raw.listen, &raw.socket), (Field::Absent, Field::Absent)) {
        let problem = Problem::new(
            "[admin] has neither `listen` nor `socket`",
            "add listen = \"127.0.0.1:8404\"",
        );
        out.error(raw.span.clone(), problem);
    }
    let token = !matches!(raw.token_file, Field::Absent);
    let read_only = raw.read_only.get().copied().unwrap_or_default();
    if let Some(written) = raw.read_only.written()
        && read_only
        && token
    {
        let problem = Problem::new(
            "[admin] has `token_file` and is read-only",
            "remove `token_file`: nobody can change anything over TCP; or remove `read_only`",
        );
        out.error(written.span(), problem);
    }
    if let (Some(group), Field::Absent) = (raw.socket_group.written(), &raw.socket) {
        let problem = Problem::new(
            "`socket_group` without `socket`",
            "add socket = \"/run/ringway/admin.sock\"",
        );
        out.error(group.span(), problem);
    }
    if let Some(written) = raw.haproxy_socket.written()
        && raw.socket.get() == Some(written.get_ref())
    {
        out.error(written.span(), same_path_problem());
    }
    if let (Some(written), Some(listen)) = (raw.listen.written(), listen)
        && let Err(problem) = check_reach(&listen, token || read_only)
    {
        out.error(written.span(), problem);
    }
    Admin {
        listen,
        socket: raw.socket.get().cloned(),
        haproxy_socket: raw.haproxy_socket.get().cloned(),
        socket_group: validate_group(out, &raw.socket_group),
        token_file: raw.token_file.get().cloned(),
        read_only,
        page: raw.page.get().cloned(),
    }
}

/// What is wrong with one path for both sockets.
pub(super) fn same_path_problem() -> Problem {
    Problem::new(
        "`socket` and `haproxy_socket` are the same path",
        "give each a path of its own, as in haproxy_socket = \"/run/ringway/haproxy.sock\"",
    )
}

/// Whether the admin listener may listen on `address`: beyond loopback anybody could ask it, which has to
/// be `limited` by a token or to reading.
pub(super) fn check_reach(address: &SocketAddr, limited: bool) -> Result<(), Problem> {
    if limited || address.ip().is_loopback() {
        return Ok(());
    }
    Err(Problem::new(
        format!("the admin listener on `{address}` is beyond loopback and has no token"),
        format!(
            "add token_file = \"/etc/ringway/token\" to [admin], or read_only = true if everybody who \
             reaches it may read; or write \"127.0.0.1:{}\"",
            address.port()
        ),
    ))
}

/// Whether the kernel takes a path of this length for a Unix socket; `name` is what messages call it.
pub(super) fn check_socket_len(path: &Path, name: &str) -> Result<(), Problem> {
    let len = path.as_os_str().len();
    if len <= SOCKET_LEN_MAX {
        return Ok(());
    }
    let title = format!("{name} has {len} bytes");
    let cure = format!("the kernel takes at most {SOCKET_LEN_MAX}: write a shorter one");
    Err(Problem::new(title, cure))
}

pub(super) fn parse_page(text: &str) -> Result<String, Problem> {
    let refused = |cure: &str| {
        let title = format!("invalid page `{}`", shorten(text));
        Err(Problem::new(title, cure))
    };
    let valid = |b: u8| b.is_ascii_alphanumeric() || b"/_.-~".contains(&b);
    if !text.starts_with('/') {
        return refused("it begins with a slash, such as \"/haproxy_stats\"");
    }
    if text.len() > PAGE_LEN_MAX || !text.bytes().all(valid) {
        return refused(
            "write a path alone: at most 256 letters, digits, `/`, `_`, `.`, `-` and `~`",
        );
    }
    if OWN_PAGES.contains(&text) || text.starts_with("/api/") {
        return refused("the admin listener has it already: write another one, or remove it");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Algorithm;
    use crate::config::Config;
    use std::io;

    fn no_names(_: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Err(io::Error::other("no such name"))
    }

    fn config() -> Config {
        let listen = ["127.0.0.1:80".to_owned()];
        let servers = ["10.0.0.1:80".to_owned()];
        Config::simple(&listen, Algorithm::First, &servers, &no_names).unwrap()
    }

    #[test]
    fn the_admin_listener_is_put_elsewhere_or_refused() {
        let mut config = config();
        assert_eq!(config.admin, None);
        let set = |config: &mut Config, text| config.set_admin(text, false, &no_names);
        set(&mut config, "[::1]:0").unwrap();
        let expected = Some(Admin::on("[::1]:0".parse().unwrap()));
        assert_eq!(config.admin, expected);
        for (text, sentence) in [
            ("127.0.0.1:80", "give the admin listener a port of its own"),
            ("0.0.0.0:8404", "is beyond loopback and has no token"),
            ("10.0.0.1:8404", "or write \"127.0.0.1:8404\""),
            (":8404", "write \"127.0.0.1:8404\""),
            ("fd:3", "cannot be inherited"),
            ("127.0.0.1", "address without a port"),
            ("db:1", "cannot resolve `db`"),
        ] {
            let problem = set(&mut config, text).unwrap_err().to_string();
            assert!(problem.contains(sentence), "{problem}");
            assert_eq!(config.admin, expected, "it stays");
        }
        config.set_admin("0.0.0.0:8404", true, &no_names).unwrap();
        assert!(config.admin.unwrap().read_only);
    }

    #[test]
    fn what_else_the_file_says_stays_when_the_listener_is_put_elsewhere() {
        let mut config = config();
        let written = Admin {
            listen: None,
            socket: Some(PathBuf::from("/run/ringway/admin.sock")),
            haproxy_socket: Some(PathBuf::from("/run/ringway/haproxy.sock")),
            socket_group: None,
            token_file: Some(PathBuf::from("/etc/ringway/token")),
            read_only: false,
            page: Some("/lb".to_owned()),
        };
        config.admin = Some(written.clone());
        config.set_admin("10.0.0.1:8404", false, &no_names).unwrap();
        let listen = Some("10.0.0.1:8404".parse().unwrap());
        assert_eq!(config.admin, Some(Admin { listen, ..written }));
        let problem = config.set_admin("10.0.0.1:8404", true, &no_names);
        assert!(problem.unwrap_err().to_string().contains("token_file"));
    }

    #[test]
    fn a_page_is_a_path_of_its_own() {
        for page in ["/haproxy_stats", "/lb/", "/~a/b-c.html", "/apis", "/stats"] {
            assert_eq!(parse_page(page).unwrap(), page);
        }
        let long = format!("/{}", "x".repeat(256));
        for page in [
            "",
            "stats",
            "/",
            "/healthz",
            "/readyz",
            "/metrics",
            "/stats.csv",
            "/api",
            "/api/v1/stats",
            "/haproxy?stats",
            "/a b",
            "/{a}",
            "/*a",
            "/:a",
            "/ä",
            &long,
        ] {
            assert!(parse_page(page).is_err(), "{page}");
        }
    }
}
