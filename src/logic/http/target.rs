//! The target of a request: which of its forms it has, and whether it names the host that Host
//! names.
//!
//! After RFC 9112, section 3.2. Of a host in the target and another one in Host some servers take
//! the one, and others the other.

/// Whether the target has one of the four forms, and names no other host than `host`, the value of
/// Host without white space around it, if there is one.
#[inline]
pub(super) fn is_sound(method: &[u8], target: &[u8], host: Option<&[u8]>) -> bool {
    let names_host =
        |authority, default_port| host.is_none_or(|host| is_same(authority, host, default_port));
    if method == b"CONNECT" {
        return names_host(target, b":80") || names_host(target, b":443");
    }
    match target {
        [b'/', ..] | b"*" => true,
        _ => absolute(target).is_some_and(|(scheme, authority)| {
            let is_https = scheme.eq_ignore_ascii_case(b"https");
            names_host(authority, if is_https { b":443" } else { b":80" })
        }),
    }
}

/// Scheme and authority of a target such as `http://a.example/path`.
fn absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = target.iter().position(|&byte| byte == b':')?;
    let (scheme, rest) = target.split_at(colon);
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    let rest = rest.strip_prefix(b"://").filter(|_| is_scheme)?;
    let end = rest.iter().position(|byte| b"/?#".contains(byte));
    let authority = &rest[..end.unwrap_or(rest.len())];
    (!authority.is_empty()).then_some((scheme, authority))
}

/// Whether an authority is this host: letters of any case, with the default port or without. One
/// with a user name is none: what of it is the host depends on the reader.
fn is_same(authority: &[u8], host: &[u8], default_port: &[u8]) -> bool {
    fn bare<'h>(host: &'h [u8], port: &[u8]) -> &'h [u8] {
        host.strip_suffix(port).unwrap_or(host)
    }
    let (authority, host) = (bare(authority, default_port), bare(host, default_port));
    !authority.contains(&b'@') && authority.eq_ignore_ascii_case(host)
}
