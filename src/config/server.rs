//! A server of a backend, as the rest of the program uses it.

use super::address::Address;

/// One entry of `servers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `[A-Za-z0-9_.-]{1,64}`, or the address of a discovered server; unique in its backend.
    pub name: String,
    /// Where it is reached; the port is never 0.
    pub address: Address,
    /// 0..=256; 0: takes no balanced sessions.
    pub weight: u16,
    /// Sessions over all workers, at least 1; `None`: unlimited.
    pub sessions_max: Option<u32>,
    /// Used only when no other server can be.
    pub backup: bool,
    /// Value of the sticky cookie that names it, unique in its backend: 1 to 64 of RFC 6265's `cookie-octet`;
    /// when not written: a hash of eleven characters of its name.
    pub cookie: String,
}
