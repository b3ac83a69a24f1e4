//! Who may do what: over the Unix socket everything, over TCP what the token and the address allow.
//!
//! A request that reads passes [`Guard::reads`], one that acts [`Guard::acts`]; `/healthz` and `/readyz`
//! pass neither, so that any probe can ask them. The rules against web pages that a browser of
//! somebody on this host has open are the same for both: the name in `Host` must be one that no
//! stranger's domain can have, and the page must be one of ours.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;

use super::error::Refusal;
use crate::token::Token;

/// Who asks; requests carry it as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// A process of this host, over the Unix socket.
    Local {
        uid: u32,
        /// `None`: the kernel does not tell.
        pid: Option<i32>,
    },
    /// Somebody over TCP.
    Remote(SocketAddr),
}

impl Peer {
    /// Whether it is the user that this process runs as, or root, over the Unix socket.
    pub fn is_owner(self) -> bool {
        match self {
            Peer::Local { uid, .. } => uid == 0 || uid == rustix::process::geteuid().as_raw(),
            Peer::Remote(_) => false,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Local {
                uid,
                pid: Some(pid),
            } => write!(f, "uid {uid}, pid {pid}"),
            Peer::Local { uid, pid: None } => write!(f, "uid {uid}"),
            Peer::Remote(address) => write!(f, "{address}"),
        }
    }
}

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    Read,
    Act,
}

/// What the configuration says of rights over TCP.
#[derive(Debug, Default)]
pub(super) struct Rights {
    /// The token that allows everything.
    pub token: Option<Token>,
    /// Everybody may read, by any name of this host.
    pub read_only: bool,
}

/// Checks requests before they reach a route.
#[derive(Clone)]
pub(super) struct Guard(Arc<Rights>);

impl Guard {
    /// With the rights of the configuration.
    pub fn new(rights: Rights) -> Self {
        Guard(Arc::new(rights))
    }

    /// Whether this request may read; for a route that has an answer for who may not.
    pub fn check_read(&self, peer: Peer, headers: &HeaderMap) -> Result<(), Refusal> {
        check(peer, &self.0, Wants::Read, headers)
    }

    /// Whether actions are taken at all from there.
    pub fn takes_actions(&self, peer: Peer) -> bool {
        matches!(peer, Peer::Local { .. }) || self.0.token.is_some()
    }

    /// Before a route that changes nothing.
    pub fn reads<S: Clone + Send + Sync + 'static>(
        &self,
        route: MethodRouter<S>,
    ) -> MethodRouter<S> {
        route.route_layer(middleware::from_fn_with_state(self.clone(), may_read))
    }

    /// Before a route that changes something.
    pub fn acts<S: Clone + Send + Sync + 'static>(
        &self,
        route: MethodRouter<S>,
    ) -> MethodRouter<S> {
        route.route_layer(middleware::from_fn_with_state(self.clone(), may_act))
    }
}

async fn may_read(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    pass(&guard, Wants::Read, request, next).await
}

async fn may_act(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    pass(&guard, Wants::Act, request, next).await
}

async fn pass(guard: &Guard, wants: Wants, request: Request, next: Next) -> Response {
    let refusal = match request.extensions().get::<Peer>() {
        Some(peer) => check(*peer, &guard.0, wants, request.headers()),
        // Every connection says who is behind it.
        None => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "it is not known who asks",
        )),
    };
    match refusal {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// The rules.
fn check(peer: Peer, rights: &Rights, wants: Wants, headers: &HeaderMap) -> Result<(), Refusal> {
    let token = rights.token.as_ref();
    let address = match peer {
        Peer::Local { .. } => return same_origin(wants, headers),
        Peer::Remote(address) => address,
    };
    if rights.read_only && wants == Wants::Read {
        return Ok(());
    }
    let unauthorized = |why: &str| Err(Refusal::new(StatusCode::UNAUTHORIZED, why));
    let authorized = match (token, headers.get(header::AUTHORIZATION)) {
        (None, _) => false,
        (Some(token), Some(written)) if is_bearer(token, written.as_bytes()) => true,
        (Some(_), Some(_)) => {
            return unauthorized(
                "wrong token: send `Authorization: Bearer TOKEN` with that of token_file",
            );
        }
        (Some(_), None) => false,
    };
    // Whoever has the token is no page of a stranger, and may call this host by any name.
    if !authorized {
        own_host(headers)?;
    }
    same_origin(wants, headers)?;
    match (wants, token) {
        _ if authorized => Ok(()),
        (Wants::Act, None) => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "over TCP this only reads: use the admin socket, or set token_file in [admin] and not read_only",
        )),
        (Wants::Read, None) => Ok(()),
        (Wants::Read, Some(_)) if is_loopback(address.ip()) => Ok(()),
        (Wants::Read | Wants::Act, Some(_)) => {
            unauthorized("a token is needed: send `Authorization: Bearer TOKEN`")
        }
    }
}

/// The scheme's name in any case, as RFC 9110 has it, then the token.
fn is_bearer(token: &Token, written: &[u8]) -> bool {
    const SCHEME: &[u8] = b"bearer ";
    match written.split_at_checked(SCHEME.len()) {
        Some((scheme, word)) if scheme.eq_ignore_ascii_case(SCHEME) => token.is(word.trim_ascii()),
        Some(_) | None => false,
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Refuses names that a stranger could have pointed at this host. Who sends none is no browser.
fn own_host(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(host) = headers.get(header::HOST) else {
        return Ok(());
    };
    let own = host.to_str().is_ok_and(|host| {
        let name = without_port(host);
        let name = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
            .unwrap_or(name);
        name.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost")
    });
    if own {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::MISDIRECTED_REQUEST,
        "the Host header names another host: ask by IP address or by localhost",
    ))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

/// Refuses actions that a page of another origin had a browser ask for.
fn same_origin(wants: Wants, headers: &HeaderMap) -> Result<(), Refusal> {
    if wants == Wants::Read {
        // Browsers do not show such a page the answer.
        return Ok(());
    }
    let text = |value: &axum::http::HeaderValue| value.to_str().map(str::to_owned).ok();
    let host = headers.get(header::HOST).and_then(text);
    let origin_is_ours = headers.get(header::ORIGIN).is_none_or(|origin| {
        let origin = text(origin);
        let authority = origin.as_deref().and_then(|origin| {
            origin
                .strip_prefix("http://")
                .or_else(|| origin.strip_prefix("https://"))
        });
        authority.is_some() && authority == host.as_deref()
    });
    let fetch_is_ours = headers
        .get("sec-fetch-site")
        .is_none_or(|site| matches!(site.as_bytes(), b"same-origin" | b"none"));
    if origin_is_ours && fetch_is_ours {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::FORBIDDEN,
        "actions are not taken from pages of other origins",
    ))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const LOCAL: Peer = Peer::Local { uid: 0, pid: None };

    fn remote(address: &str) -> Peer {
        Peer::Remote(address.parse().unwrap())
    }

    fn token() -> Token {
        let path = std::env::temp_dir().join(format!(
            "ringway-access-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::write(&path, "s3cret").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, mode).unwrap();
        let token = Token::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        token
    }

    fn rights(token: Option<Token>) -> Rights {
        Rights {
            token,
            read_only: false,
        }
    }

    /// The status of the refusal, 0 for none.
    fn status(peer: Peer, rights: &Rights, wants: Wants, headers: &[(&str, &str)]) -> u16 {
        let headers = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        let refusal = check(peer, rights, wants, &headers.collect()).err();
        refusal.map_or(0, |refusal| refusal.status.as_u16())
    }

    #[test]
    fn rights_follow_from_the_way_the_token_and_the_address() {
        let (near, far) = (remote("127.0.0.1:5"), remote("192.0.2.1:5"));
        let mapped = remote("[::ffff:127.0.0.1]:5");
        let (none, some) = (&rights(None), &rights(Some(token())));
        let open = &Rights {
            token: None,
            read_only: true,
        };
        let (right, wrong) = ("Bearer s3cret", "Bearer secret");
        // Who, whether there is a token, what is sent; answers to reading and to acting.
        for (peer, rights, sent, read, act) in [
            (LOCAL, none, None, 0, 0),
            (LOCAL, some, None, 0, 0),
            (LOCAL, some, Some(wrong), 0, 0),
            (near, none, None, 0, 403),
            (near, none, Some(right), 0, 403),
            (near, some, None, 0, 401),
            (mapped, some, None, 0, 401),
            (near, some, Some(right), 0, 0),
            (near, some, Some("bEARER  s3cret "), 0, 0),
            (near, some, Some(wrong), 401, 401),
            (near, some, Some("Basic s3cret"), 401, 401),
            (near, some, Some("Bearer"), 401, 401),
            (far, some, None, 401, 401),
            (far, some, Some(right), 0, 0),
            (far, some, Some(wrong), 401, 401),
            (LOCAL, open, None, 0, 0),
            (near, open, None, 0, 403),
            (far, open, None, 0, 403),
            (far, open, Some(right), 0, 403),
        ] {
            let headers: Vec<_> = sent.iter().map(|sent| ("authorization", *sent)).collect();
            let found =
                [Wants::Read, Wants::Act].map(|wants| status(peer, rights, wants, &headers));
            assert_eq!(found, [read, act], "{peer:?} {rights:?} {sent:?}");
        }
    }

    #[test]
    fn names_of_strangers_are_refused() {
        let near = remote("127.0.0.1:5");
        let (none, token) = (rights(None), rights(Some(token())));
        let open = Rights {
            token: None,
            read_only: true,
        };
        for (host, expected) in [
            ("127.0.0.1:8404", 0),
            ("127.0.0.1", 0),
            ("[::1]:8404", 0),
            ("[::1]", 0),
            ("192.0.2.7:80", 0),
            ("localhost:8404", 0),
            ("LocalHost", 0),
            ("lb.example", 421),
            ("localhost.evil.example:8404", 421),
            ("127.0.0.1.evil.example", 421),
            ("a", 421),
            ("", 421),
        ] {
            assert_eq!(
                status(near, &none, Wants::Read, &[("host", host)]),
                expected,
                "{host}"
            );
            assert_eq!(
                status(LOCAL, &none, Wants::Read, &[("host", host)]),
                0,
                "{host}"
            );
            assert_eq!(status(near, &open, Wants::Read, &[("host", host)]), 0);
            let known = [("host", host), ("authorization", "Bearer s3cret")];
            assert_eq!(status(near, &token, Wants::Read, &known), 0, "{host}");
            assert_eq!(status(near, &token, Wants::Act, &known), 0, "{host}");
        }
    }

    #[test]
    fn pages_of_other_origins_may_not_act() {
        let token = rights(Some(token()));
        let near = remote("127.0.0.1:5");
        for (name, value, expected) in [
            ("origin", "http://127.0.0.1:8404", 0),
            ("origin", "https://127.0.0.1:8404", 0),
            ("origin", "http://127.0.0.1:8405", 403),
            ("origin", "http://127.0.0.1", 403),
            ("origin", "http://evil.example", 403),
            ("origin", "null", 403),
            ("sec-fetch-site", "same-origin", 0),
            ("sec-fetch-site", "none", 0),
            ("sec-fetch-site", "same-site", 403),
            ("sec-fetch-site", "cross-site", 403),
        ] {
            let headers = [
                ("host", "127.0.0.1:8404"),
                ("authorization", "Bearer s3cret"),
                (name, value),
            ];
            for peer in [near, LOCAL] {
                let act = status(peer, &token, Wants::Act, &headers);
                assert_eq!(act, expected, "{peer:?} {name}: {value}");
                assert_eq!(status(peer, &token, Wants::Read, &headers), 0);
            }
        }
    }

    #[test]
    fn who_asks_has_a_name() {
        let local = Peer::Local {
            uid: 1000,
            pid: Some(42),
        };
        assert_eq!(local.to_string(), "uid 1000, pid 42");
        assert_eq!(LOCAL.to_string(), "uid 0");
        assert_eq!(remote("[::1]:5").to_string(), "[::1]:5");
    }
}
