//! What a session in TLS mode keeps of its ClientHello.

use crate::logic::proxy::{TLV_ALPN, TLV_AUTHORITY, append_tlv, append_tlvs_but};
use crate::logic::tls::{Hello, Protocols, Version};

/// Servers take heads of some hundred bytes at least; no client has a longer list.
const ALPN_TLV_LEN_MAX: usize = 512;

/// What the ClientHello of a session says, and the route that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelloInfo {
    /// The name of the server, then the extension with the protocols.
    bytes: Box<[u8]>,
    /// Bytes of the name; 0: there is none.
    name_len: u8,
    /// The highest version that it offers.
    pub version: Version,
    /// Index of the route that it takes in its frontend; `None`: none matches.
    pub route: Option<u32>,
    /// It has a backend: that of its route, or of the frontend.
    pub is_routed: bool,
}

impl HelloInfo {
    /// What this hello says; no route is taken yet.
    pub fn new(hello: &Hello<'_>) -> Self {
        let name = hello.server_name.unwrap_or_default();
        HelloInfo {
            bytes: [name.as_bytes(), hello.protocols.extension()]
                .concat()
                .into(),
            name_len: name.len() as u8,
            version: hello.version,
            route: None,
            is_routed: false,
        }
    }

    /// The name of the server, as it was sent.
    pub fn server_name(&self) -> Option<&str> {
        let (name, _) = self.bytes.split_at(self.name_len.into());
        str::from_utf8(name).ok().filter(|name| !name.is_empty())
    }

    /// The protocols that are offered.
    pub fn protocols(&self) -> Protocols<'_> {
        let (_, extension) = self.bytes.split_at(self.name_len.into());
        Protocols::of(extension)
    }

    /// The TLVs of a PROXY head for the server: those that came, but for what the hello says itself.
    pub fn tlvs(&self, came: &[u8]) -> Vec<u8> {
        let mut tlvs = Vec::new();
        append_tlvs_but(came, &[TLV_ALPN, TLV_AUTHORITY], &mut tlvs);
        let protocols = self.protocols().extension();
        if (1..=ALPN_TLV_LEN_MAX).contains(&protocols.len()) {
            append_tlv(TLV_ALPN, protocols, &mut tlvs);
        }
        if let Some(name) = self.server_name() {
            append_tlv(TLV_AUTHORITY, name.as_bytes(), &mut tlvs);
        }
        tlvs
    }
}
