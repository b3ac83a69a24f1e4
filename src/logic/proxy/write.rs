//! Writes a head.

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv6Addr};

use super::checksum::checksum;
use super::scan::find_checksum;
use super::{Endpoints, FIXED_LEN, ProxyVersion, SIGNATURE_V2};

/// Writes a head into `out`, which is cleared first. Without endpoints it says that the peer is the client:
/// UNKNOWN in version 1, LOCAL in version 2. `tlvs` are those of a head that came
/// ([`ProxyHead::tlvs`](super::ProxyHead::tlvs)): version 2 passes them on, with the checksum of the new
/// head if they have one; version 1 has no room for them, and neither has LOCAL.
pub fn write_proxy_head(
    version: ProxyVersion,
    endpoints: Option<&Endpoints>,
    tlvs: &[u8],
    out: &mut Vec<u8>,
) {
    out.clear();
    match version {
        ProxyVersion::V1 => write_line(endpoints, out),
        ProxyVersion::V2 => write_binary(endpoints, tlvs, out),
    }
}

fn write_line(endpoints: Option<&Endpoints>, out: &mut Vec<u8>) {
    let Some(Endpoints {
        client,
        destination,
    }) = endpoints
    else {
        out.extend_from_slice(b"PROXY UNKNOWN\r\n");
        return;
    };
    let (ports, line) = ((client.port(), destination.port()), &mut Line(out));
    // Writing to memory does not fail.
    let _ = match (client.ip(), destination.ip()) {
        (IpAddr::V4(client), IpAddr::V4(destination)) => {
            let (from, to) = ports;
            write!(line, "PROXY TCP4 {client} {destination} {from} {to}\r\n")
        }
        (client, destination) => {
            let [client, destination] = [client, destination].map(to_v6).map(Groups);
            let (from, to) = ports;
            write!(line, "PROXY TCP6 {client} {destination} {from} {to}\r\n")
        }
    };
}

fn write_binary(endpoints: Option<&Endpoints>, tlvs: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE_V2);
    let Some(Endpoints {
        client,
        destination,
    }) = endpoints
    else {
        out.extend_from_slice(&[0x20, 0, 0, 0]);
        return;
    };
    // The length is filled in below.
    match (client.ip(), destination.ip()) {
        (IpAddr::V4(client), IpAddr::V4(destination)) => {
            out.extend_from_slice(&[0x21, 0x11, 0, 0]);
            out.extend_from_slice(&client.octets());
            out.extend_from_slice(&destination.octets());
        }
        (client, destination) => {
            out.extend_from_slice(&[0x21, 0x21, 0, 0]);
            out.extend_from_slice(&to_v6(client).octets());
            out.extend_from_slice(&to_v6(destination).octets());
        }
    }
    out.extend_from_slice(&client.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
    let start = out.len();
    out.extend_from_slice(tlvs);
    // TLVs came in a head of at most 16 KiB.
    let len = (out.len() - FIXED_LEN) as u16;
    out[FIXED_LEN - 2..FIXED_LEN].copy_from_slice(&len.to_be_bytes());
    if let Some(Some(field)) = find_checksum(out, start) {
        let crc = checksum(out, field.clone());
        out[field].copy_from_slice(&crc.to_be_bytes());
    }
}

/// The same address in IPv6.
fn to_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// Appends text.
struct Line<'o>(&'o mut Vec<u8>);

impl Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// An address in groups of hexadecimal digits alone, as version 1 wants it.
struct Groups(Ipv6Addr);

impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.to_ipv4_mapped() {
            Some(_) => {
                let [.., high, low] = self.0.segments();
                write!(f, "::ffff:{high:x}:{low:x}")
            }
            None => self.0.fmt(f),
        }
    }
}
