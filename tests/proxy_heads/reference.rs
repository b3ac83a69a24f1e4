//! The PROXY protocol in the most obvious way: each rule of `proxy-protocol.txt` on its own, with copies of
//! everything, without regard to speed.

use std::net::SocketAddr;

/// What the beginning of a connection is.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Partial {
        signed: bool,
    },
    Absent,
    Malformed,
    Whole {
        len: usize,
        addresses: Option<(SocketAddr, SocketAddr)>,
        tlvs: Vec<u8>,
    },
}

const V2: [u8; 12] = [
    0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
];

pub fn read(bytes: &[u8]) -> Found {
    let is_v1 = bytes.len() >= 5 && bytes[..5] == *b"PROXY";
    let is_v2 = bytes.len() >= 12 && bytes[..12] == V2;
    if is_v1 {
        return version_1(bytes);
    }
    if is_v2 {
        return version_2(bytes);
    }
    for signature in [&b"PROXY"[..], &V2] {
        // What is there may be its beginning.
        if bytes.len() < signature.len() && bytes[..] == signature[..bytes.len()] {
            return Found::Partial { signed: false };
        }
    }
    Found::Absent
}

fn version_1(bytes: &[u8]) -> Found {
    let mut line = Vec::new();
    for (at, byte) in bytes.iter().enumerate() {
        line.push(*byte);
        if line.len() > 107 || *byte == b'\n' && !line.ends_with(b"\r\n") {
            return Found::Malformed;
        }
        if at > 0 && bytes[at - 1] == b'\r' && *byte != b'\n' {
            return Found::Malformed;
        }
        if line.ends_with(b"\r\n") {
            break;
        }
    }
    if !line.ends_with(b"\r\n") {
        return match line.len() {
            107.. => Found::Malformed,
            _ => Found::Partial { signed: true },
        };
    }
    let len = line.len();
    line.truncate(len - 2);
    if line.starts_with(b"PROXY UNKNOWN") {
        return Found::Whole {
            len,
            addresses: None,
            tlvs: Vec::new(),
        };
    }
    let Ok(text) = String::from_utf8(line) else {
        return Found::Malformed;
    };
    let words: Vec<&str> = text.split(' ').collect();
    let [
        "PROXY",
        family @ ("TCP4" | "TCP6"),
        client,
        destination,
        from,
        to,
    ] = words[..]
    else {
        return Found::Malformed;
    };
    let address = |ip: &str, port: &str| -> Option<SocketAddr> {
        let number: u32 = port.parse().ok()?;
        if number.to_string() != port || number > 65535 || (family == "TCP6") != ip.contains(':') {
            return None;
        }
        Some(unmapped(SocketAddr::new(ip.parse().ok()?, number as u16)))
    };
    match (address(client, from), address(destination, to)) {
        (Some(client), Some(destination)) => Found::Whole {
            len,
            addresses: Some((client, destination)),
            tlvs: Vec::new(),
        },
        _ => Found::Malformed,
    }
}

fn version_2(bytes: &[u8]) -> Found {
    let partial = Found::Partial { signed: true };
    if bytes.len() < 13 {
        return partial;
    }
    if bytes[12] != 0x20 && bytes[12] != 0x21 {
        return Found::Malformed;
    }
    if bytes.len() < 16 {
        return partial;
    }
    let len = 16 + usize::from(bytes[14]) * 256 + usize::from(bytes[15]);
    if len > 16384 {
        return Found::Malformed;
    }
    if bytes.len() < len {
        return partial;
    }
    let head = bytes[..len].to_vec();
    let peer = Found::Whole {
        len,
        addresses: None,
        tlvs: Vec::new(),
    };
    if head[12] == 0x20 {
        return peer;
    }
    let size = match head[13] {
        0x11 => 4,
        0x21 => 16,
        0x00 | 0x01 | 0x02 | 0x10 | 0x12 | 0x20 | 0x22 | 0x30 | 0x31 | 0x32 => return peer,
        _ => return Found::Malformed,
    };
    let start = 16 + 2 * size + 4;
    if len < start {
        return Found::Malformed;
    }
    let address = |at: usize, port: usize| {
        let text: String = match size {
            4 => head[at..at + 4]
                .iter()
                .map(|byte| format!(".{byte}"))
                .collect(),
            _ => head[at..at + 16]
                .chunks(2)
                .map(|pair| format!(":{:02x}{:02x}", pair[0], pair[1]))
                .collect(),
        };
        let port = u16::from(head[port]) * 256 + u16::from(head[port + 1]);
        unmapped(SocketAddr::new(
            text[1..].parse().expect("an address"),
            port,
        ))
    };
    let ports = 16 + 2 * size;
    let addresses = (address(16, ports), address(16 + size, ports + 2));
    let mut rest = &head[start..];
    let mut checksums = 0;
    while !rest.is_empty() {
        if rest.len() < 3 {
            return Found::Malformed;
        }
        let value_len = usize::from(rest[1]) * 256 + usize::from(rest[2]);
        if rest.len() < 3 + value_len {
            return Found::Malformed;
        }
        if rest[0] == 3 {
            checksums += 1;
            if value_len != 4 || checksums > 1 {
                return Found::Malformed;
            }
            let at = len - rest.len() + 3;
            let mut zeroed = head.clone();
            zeroed[at..at + 4].fill(0);
            if crc32c(&zeroed).to_be_bytes() != head[at..at + 4] {
                // A second one would be malformed as well.
                return Found::Malformed;
            }
        }
        rest = &rest[3 + value_len..];
    }
    Found::Whole {
        len,
        addresses: Some(addresses),
        tlvs: head[start..].to_vec(),
    }
}

/// Bit by bit.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
