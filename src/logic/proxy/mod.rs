//! Heads of the PROXY protocol, versions 1 and 2: what a balancer writes before the bytes of a client, so
//! that the server learns who that is (HAProxy, `proxy-protocol.txt`).
//!
//! `scan` reads a head, `write` makes one, `checksum` is the CRC32C of version 2, `tlv` what version 2 has beside
//! addresses. Nothing here knows who may send one.

mod checksum;
mod scan;
#[cfg(test)]
mod tests;
mod tlv;
mod write;

use std::net::SocketAddr;

use super::network::canonical;
pub use scan::{ProxyHead, ProxyScan, scan_proxy};
pub use tlv::{TLV_ALPN, TLV_AUTHORITY, append_tlv, append_tlvs_but};
pub use write::write_proxy_head;

/// Begins a head of version 1.
const SIGNATURE_V1: &[u8] = b"PROXY";

/// Begins a head of version 2.
const SIGNATURE_V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest line of version 1, with its CR LF.
const LINE_LEN_MAX: usize = 107;

/// Bytes of version 2 before the addresses: signature, version and command, family, length.
const FIXED_LEN: usize = 16;

/// The longest head that is taken. Version 2 allows 64 KiB; HAProxy takes what fits into its buffer, by
/// default this.
pub const PROXY_HEAD_LEN_MAX: usize = 16 << 10;

/// Type and length of a TLV.
const TLV_LEN_MIN: usize = 3;

/// The type of the TLV that has the checksum of the head.
const TYPE_CRC32C: u8 = 0x03;

/// Bytes of a checksum.
const CRC32C_LEN: usize = 4;

/// The version of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary, with room for more than addresses.
    V2,
}

/// Between whom a connection is. Neither address is one of IPv4 that is mapped into IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The client.
    pub client: SocketAddr,
    /// The address that it connected to; of another family only where one of the two was mapped.
    pub destination: SocketAddr,
}

impl Endpoints {
    /// Of these addresses, which may be mapped.
    pub fn new(client: SocketAddr, destination: SocketAddr) -> Self {
        Endpoints {
            client: canonical(client),
            destination: canonical(destination),
        }
    }
}
