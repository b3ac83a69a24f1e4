//! Reads a head from the first bytes of a connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use super::checksum::checksum;
use super::{
    CRC32C_LEN, Endpoints, FIXED_LEN, LINE_LEN_MAX, PROXY_HEAD_LEN_MAX, SIGNATURE_V1, SIGNATURE_V2,
    TLV_LEN_MIN, TYPE_CRC32C,
};

/// What the beginning of a connection's bytes is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyScan<'b> {
    /// Nothing yet: more bytes are needed.
    Partial {
        /// A signature is there, so a head must follow.
        signed: bool,
    },
    /// No head: the bytes do not begin with a signature.
    Absent,
    /// A signature, and behind it what the specification forbids.
    Malformed,
    /// A whole head.
    Whole(ProxyHead<'b>),
}

/// A whole head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyHead<'b> {
    /// Its length in bytes: what follows belongs to the client. At most [`PROXY_HEAD_LEN_MAX`].
    pub len: usize,
    /// Between whom the connection is; addresses of IPv4 that are mapped into IPv6 are of IPv4. `None`: the
    /// peer is the client (UNKNOWN, LOCAL, or another family than TCP over IPv4 or IPv6).
    pub endpoints: Option<Endpoints>,
    /// The TLVs of version 2, as they came: each a type, a length in two bytes, and a value. Empty without
    /// endpoints. The checksum among them was right.
    pub tlvs: &'b [u8],
}

/// Scans what has come so far; `bytes` begins with the first byte of the connection. The answer never
/// changes when more bytes come, unless it was `Partial`.
pub fn scan_proxy(bytes: &[u8]) -> ProxyScan<'_> {
    let begins = |signature: &[u8]| {
        let len = bytes.len().min(signature.len());
        bytes[..len] == signature[..len]
    };
    if bytes.starts_with(SIGNATURE_V1) {
        scan_line(bytes)
    } else if bytes.starts_with(SIGNATURE_V2) {
        scan_binary(bytes)
    } else if begins(SIGNATURE_V1) || begins(SIGNATURE_V2) {
        ProxyScan::Partial { signed: false }
    } else {
        ProxyScan::Absent
    }
}

/// Version 1.
fn scan_line(bytes: &[u8]) -> ProxyScan<'_> {
    let window = &bytes[..bytes.len().min(LINE_LEN_MAX)];
    let end = window.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let end = match end {
        Some(end) if window[end..].starts_with(b"\r\n") => end,
        Some(end) if window[end..] != *b"\r" => return ProxyScan::Malformed,
        Some(_) | None if window.len() == LINE_LEN_MAX => return ProxyScan::Malformed,
        Some(_) | None => return ProxyScan::Partial { signed: true },
    };
    match parse_line(&window[SIGNATURE_V1.len()..end]) {
        Some(endpoints) => ProxyScan::Whole(ProxyHead {
            len: end + 2,
            endpoints,
            tlvs: &[],
        }),
        None => ProxyScan::Malformed,
    }
}

/// What follows `PROXY` in a line. `None`: it is malformed.
fn parse_line(rest: &[u8]) -> Option<Option<Endpoints>> {
    let rest = rest.strip_prefix(b" ")?;
    if rest.starts_with(b"UNKNOWN") {
        // Whatever follows it is to be ignored.
        return Some(None);
    }
    let mut words = std::str::from_utf8(rest).ok()?.split(' ');
    let parse: fn(&str) -> Option<IpAddr> = match words.next()? {
        "TCP4" => |text| text.parse().ok().map(IpAddr::V4),
        "TCP6" => |text| text.parse().ok().map(IpAddr::V6),
        _ => return None,
    };
    let [client, destination] = [words.next()?, words.next()?].map(parse);
    let [client_port, port] = [words.next()?, words.next()?].map(parse_port);
    if words.next().is_some() {
        return None;
    }
    let client = SocketAddr::new(client?, client_port?);
    let destination = SocketAddr::new(destination?, port?);
    Some(Some(Endpoints::new(client, destination)))
}

/// A number of at most 65535 without zeros before it.
fn parse_port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || text.len() > 1 && text.starts_with('0') {
        return None;
    }
    text.parse().ok()
}

/// Version 2.
fn scan_binary(bytes: &[u8]) -> ProxyScan<'_> {
    /// Version 2 in the upper half.
    const LOCAL: u8 = 0x20;
    const PROXY: u8 = 0x21;
    let signed = ProxyScan::Partial { signed: true };
    let Some(command) = bytes.get(SIGNATURE_V2.len()) else {
        return signed;
    };
    if !matches!(*command, LOCAL | PROXY) {
        return ProxyScan::Malformed;
    }
    let Some(fixed) = bytes.get(..FIXED_LEN) else {
        return signed;
    };
    let len = FIXED_LEN + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if len > PROXY_HEAD_LEN_MAX {
        return ProxyScan::Malformed;
    }
    let Some(head) = bytes.get(..len) else {
        return signed;
    };
    let found = match *command {
        LOCAL => Some((None, &[][..])),
        _ => parse_addresses(head, fixed[13]),
    };
    match found {
        Some((endpoints, tlvs)) => ProxyScan::Whole(ProxyHead {
            len,
            endpoints,
            tlvs,
        }),
        None => ProxyScan::Malformed,
    }
}

/// Endpoints and TLVs of a head of this family. `None`: it is malformed.
fn parse_addresses(head: &[u8], family: u8) -> Option<(Option<Endpoints>, &[u8])> {
    const TCP4: u8 = 0x11;
    const TCP6: u8 = 0x21;
    let rest = &head[FIXED_LEN..];
    let (endpoints, len) = match family {
        TCP4 => {
            let (client, rest) = rest.split_first_chunk::<4>()?;
            let (destination, rest) = rest.split_first_chunk::<4>()?;
            let ip = |bytes: &[u8; 4]| IpAddr::V4(Ipv4Addr::from(*bytes));
            (endpoints(ip(client), ip(destination), rest)?, 12)
        }
        TCP6 => {
            let (client, rest) = rest.split_first_chunk::<16>()?;
            let (destination, rest) = rest.split_first_chunk::<16>()?;
            let ip = |bytes: &[u8; 16]| IpAddr::V6(Ipv6Addr::from(*bytes));
            (endpoints(ip(client), ip(destination), rest)?, 36)
        }
        // The halves are family and transport: unspecified, of the Internet, of Unix; streams, datagrams.
        _ if family >> 4 <= 3 && family & 0xf <= 2 => return Some((None, &[])),
        _ => return None,
    };
    let start = FIXED_LEN + len;
    let crc = find_checksum(head, start)?;
    if let Some(field) = crc {
        let written = u32::from_be_bytes(*head[field.clone()].first_chunk()?);
        if written != checksum(head, field) {
            return None;
        }
    }
    Some((Some(endpoints), &head[start..]))
}

/// Where the checksum is among the TLVs, which begin at `start`. `None`: the TLVs are malformed.
pub(super) fn find_checksum(head: &[u8], start: usize) -> Option<Option<Range<usize>>> {
    let mut found = None;
    let mut at = start;
    while at < head.len() {
        let [kind, high, low] = *head[at..].first_chunk::<TLV_LEN_MIN>()?;
        let value = at + TLV_LEN_MIN;
        let end = value + usize::from(u16::from_be_bytes([high, low]));
        if end > head.len() {
            return None;
        }
        if kind == TYPE_CRC32C {
            if end - value != CRC32C_LEN || found.is_some() {
                return None;
            }
            found = Some(value..end);
        }
        at = end;
    }
    Some(found)
}

/// Endpoints of these addresses, with the two ports that `rest` begins with.
fn endpoints(client: IpAddr, destination: IpAddr, rest: &[u8]) -> Option<Endpoints> {
    let [a, b, c, d] = *rest.first_chunk()?;
    let client = SocketAddr::new(client, u16::from_be_bytes([a, b]));
    let destination = SocketAddr::new(destination, u16::from_be_bytes([c, d]));
    Some(Endpoints::new(client, destination))
}
