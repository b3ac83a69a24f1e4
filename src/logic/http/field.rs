//! Fields of a head: which of them matter here, and simple reading of their values.

/// A field by its name, as far as we care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    CacheControl,
    Connection,
    ContentLength,
    Cookie,
    Expires,
    Forwarded,
    /// What becomes X-Forwarded-For where servers take `_` for `-`.
    ForwardedLookalike,
    /// What becomes a field of the framing where servers take `_` for `-`, as CGI has it.
    FramingLookalike,
    Host,
    KeepAlive,
    ProxyConnection,
    SetCookie,
    TransferEncoding,
    Upgrade,
    Via,
    XForwardedFor,
    Other,
}

impl Field {
    /// The field of this name, in letters of any case.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        let candidates: &[(&str, Self)] = match name.len() {
            3 => &[("via", Self::Via)],
            4 => &[("host", Self::Host)],
            6 => &[("cookie", Self::Cookie)],
            7 => &[("upgrade", Self::Upgrade), ("expires", Self::Expires)],
            9 => &[("forwarded", Self::Forwarded)],
            10 => &[
                ("connection", Self::Connection),
                ("set-cookie", Self::SetCookie),
                ("keep-alive", Self::KeepAlive),
            ],
            13 => &[("cache-control", Self::CacheControl)],
            14 => &[
                ("content-length", Self::ContentLength),
                ("content_length", Self::FramingLookalike),
            ],
            15 => &[
                ("x-forwarded-for", Self::XForwardedFor),
                ("x_forwarded_for", Self::ForwardedLookalike),
                ("x-forwarded_for", Self::ForwardedLookalike),
                ("x_forwarded-for", Self::ForwardedLookalike),
            ],
            16 => &[("proxy-connection", Self::ProxyConnection)],
            17 => &[
                ("transfer-encoding", Self::TransferEncoding),
                ("transfer_encoding", Self::FramingLookalike),
            ],
            _ => &[],
        };
        candidates
            .iter()
            .find(|(candidate, _)| name.eq_ignore_ascii_case(candidate.as_bytes()))
            .map_or(Self::Other, |&(_, field)| field)
    }

    /// Whether it says how long the connection is kept: what `Connection: close` takes the place
    /// of.
    pub fn keeps_connection(self) -> bool {
        matches!(
            self,
            Self::Connection | Self::KeepAlive | Self::ProxyConnection
        )
    }
}

/// The line that makes a message the last of its connection, without its ending.
pub(super) const CONNECTION_CLOSE: &[u8] = b"Connection: close";

/// What the fields that keep a connection say together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Persistence {
    /// There is none of them.
    #[default]
    Unsaid,
    /// There is one, and it is `Connection: close`.
    Closes,
    /// Anything else.
    Other,
}

impl Persistence {
    /// With one more line of a field that [keeps the connection](Field::keeps_connection).
    pub fn and(self, field: Field, value: &[u8]) -> Self {
        let closes = field == Field::Connection && trim(value).eq_ignore_ascii_case(b"close");
        match self {
            Self::Unsaid if closes => Self::Closes,
            Self::Unsaid | Self::Closes | Self::Other => Self::Other,
        }
    }
}

/// Which bytes a token may have (RFC 9110, section 5.6.2).
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut index = 0;
    while index < marks.len() {
        table[marks[index] as usize] = true;
        index += 1;
    }
    table
};

/// How many bytes at the beginning are those of a token.
#[inline]
pub(super) fn token_len(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|&byte| !TOKEN[usize::from(byte)])
        .unwrap_or(bytes.len())
}

/// Name and value of a line of a request; none if it is not a token, a colon right behind it, and
/// a value. The value has its white space still.
#[inline]
pub(super) fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = line.split_at(token_len(line));
    match rest {
        [b':', value @ ..] if !name.is_empty() => Some((name, value)),
        _ => None,
    }
}

/// Whether the byte is a space or a tab.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Without the spaces and tabs at its beginning.
pub(super) fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_space(*first)
    {
        bytes = rest;
    }
    bytes
}

/// Without the spaces and tabs at its end.
pub(super) fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., last] = bytes
        && is_space(*last)
    {
        bytes = rest;
    }
    bytes
}

/// Without the spaces and tabs around it.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    trim_start(trim_end(bytes))
}

/// The members of a list with commas, without the white space around them.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim)
}
