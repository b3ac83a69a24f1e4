//! Where a listener is bound.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The address of a listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Bound {
    /// With the port that the kernel chose.
    Ip(SocketAddr),
    /// The path of a Unix socket.
    Unix(Arc<Path>),
}

impl Bound {
    /// The IP address; a Unix socket has none.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Bound::Ip(address) => Some(*address),
            Bound::Unix(_) => None,
        }
    }
}

impl fmt::Display for Bound {
    /// As it is written in a configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Ip(address) => address.fmt(f),
            Bound::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl From<Bound> for String {
    fn from(bound: Bound) -> Self {
        bound.to_string()
    }
}

impl TryFrom<String> for Bound {
    type Error = std::net::AddrParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.strip_prefix("unix:") {
            Some(path) => Ok(Bound::Unix(Path::new(path).into())),
            None => text.parse().map(Bound::Ip),
        }
    }
}
