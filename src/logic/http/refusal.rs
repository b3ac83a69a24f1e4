//! Why a request is not passed on, and what the client is answered.

/// Why a request is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Not HTTP/1, or a head that could be read in two ways.
    Malformed,
    /// No end of the head within its limit.
    TooLong,
    /// The preface of HTTP/2.
    Http2,
    /// The hello of TLS.
    Tls,
}

impl Refusal {
    /// The status of our answer; none if the connection is closed without one.
    pub fn status(self) -> Option<u16> {
        match self {
            Self::Malformed | Self::Http2 => Some(400),
            Self::TooLong => Some(431),
            Self::Tls => None,
        }
    }
}
