//! What the configuration says about the sessions of a frontend.

use std::time::Duration;

/// What a session reads of the bytes that it relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Nothing.
    Tcp,
    /// The heads of the first request and of its response.
    Http,
    /// The ClientHello.
    Tls,
}

/// How the PROXY head of a peer that may send one is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeads {
    /// Without one, the session ends.
    pub required: bool,
    /// From accept to the end of the head.
    pub timeout: Duration,
}

/// What the configuration says about sessions of one frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What its sessions read of the bytes that they relay.
    pub protocol: Protocol,
    /// The rules for peers that may send a PROXY head; `None`: there are none.
    pub proxy_heads: Option<ProxyHeads>,
    /// HTTP and TLS mode: from accept, or from the end of a PROXY head, to the end of the request's head or of
    /// the ClientHello.
    pub preface_timeout: Duration,
    /// One connect attempt.
    pub connect_timeout: Duration,
    /// No byte in either direction.
    pub idle_timeout: Duration,
    /// HTTP mode: no byte in either direction, after a response with status 101.
    pub tunnel_timeout: Duration,
    /// The age from which on a session is closed once it is idle; `None`: there is none.
    pub max_age: Option<Duration>,
    /// One direction ended, the other idle.
    pub half_closed_timeout: Duration,
    /// Waiting in the queue for a slot.
    pub queue_timeout: Duration,
    /// Further connect attempts after the first.
    pub retries: u32,
}
