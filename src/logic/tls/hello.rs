//! Reading a ClientHello (RFC 8446, 4.1.2; RFC 5246, 7.4.1.2), the first message of TLS, as far as it says what the
//! client asks for.
//!
//! It comes in one or more records of at most 16 KiB (RFC 8446, 5.1), and these in any number of packets. What was
//! found is the same whatever the division.

use std::fmt;

use super::input::Input;
use super::protocols::Protocols;

/// The longest hello, with the four bytes before its body. Those with post-quantum keys have about 1,800 bytes.
pub const HELLO_LEN_MAX: usize = 16 << 10;

/// The most bytes in which a hello may come: records as small as seven bytes, and their headers.
const BYTES_MAX: usize = 2 * HELLO_LEN_MAX;

/// The header of a record: type, version, length.
const RECORD_HEADER_LEN: usize = 5;

/// The longest record before it is encrypted (RFC 8446, 5.1).
const RECORD_LEN_MAX: usize = 1 << 14;

/// The header of a message: type, length.
const MESSAGE_HEADER_LEN: usize = 4;

/// Bytes of a name (RFC 6066 sets no bound; no host has a longer one).
const SERVER_NAME_LEN_MAX: usize = 255;

const RECORD_HANDSHAKE: u8 = 22;
const MESSAGE_CLIENT_HELLO: u8 = 1;
const NAME_TYPE_HOST: u8 = 0;
const EXTENSION_SERVER_NAME: u16 = 0;
const EXTENSION_ALPN: u16 = 16;
const EXTENSION_SUPPORTED_VERSIONS: u16 = 43;

/// How far a hello that is incomplete was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HelloProgress {
    /// Bytes of the records that are whole.
    records: u32,
    /// Bytes of the message in them.
    message: u32,
}

/// What was found at the beginning of what a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelloScan<'b> {
    /// More must come.
    Partial,
    /// A whole hello; what comes behind it was not looked at.
    Whole(Hello<'b>),
    /// Something else, whatever may follow.
    Refused(HelloFault),
}

/// What is wrong with what a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloFault {
    /// It is no TLS, or does not begin with a ClientHello.
    NotTls,
    /// A ClientHello that is malformed or too long, or asks for a wrong name or several.
    Malformed,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello<'b> {
    /// The server that it wants (RFC 6066, 3): 1 to 255 printable characters of ASCII, as they were sent. With
    /// Encrypted Client Hello it is the outer one.
    pub server_name: Option<&'b str>,
    /// The protocols that it offers (RFC 7301).
    pub protocols: Protocols<'b>,
    /// The highest version that it offers.
    pub version: Version,
}

/// A version of TLS, as it is sent: 0x0304 is TLS 1.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u16);

impl fmt::Display for Version {
    /// As OpenSSL names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0x0300 => f.write_str("SSLv3"),
            0x0301 => f.write_str("TLSv1"),
            version @ 0x0302..=0x03ff => write!(f, "TLSv1.{}", version - 0x0301),
            other => write!(f, "0x{other:04x}"),
        }
    }
}

/// Looks for a whole hello at the beginning of `bytes`, which is all that came so far. `progress` is that of the
/// last call with fewer of them. A hello in several records is put together in `scratch`.
pub fn scan_hello<'b>(
    bytes: &'b [u8],
    progress: &mut HelloProgress,
    scratch: &'b mut Vec<u8>,
) -> HelloScan<'b> {
    let fault = match find_end(bytes, progress) {
        Ok(None) if bytes.len() > BYTES_MAX => HelloFault::Malformed,
        Ok(None) => return HelloScan::Partial,
        Ok(Some(len)) => {
            let message = match bytes.get(RECORD_HEADER_LEN..) {
                Some(first) if record_len(bytes) >= Some(len) => &first[..len],
                _ => {
                    gather(bytes, len, scratch);
                    &scratch[..]
                }
            };
            let body = message.get(MESSAGE_HEADER_LEN..).unwrap_or_default();
            match read_body(Input(body)) {
                Some(hello) => return HelloScan::Whole(hello),
                None => HelloFault::Malformed,
            }
        }
        Err(fault) => fault,
    };
    HelloScan::Refused(fault)
}

/// The length of the message, once all of it is there.
fn find_end(bytes: &[u8], progress: &mut HelloProgress) -> Result<Option<usize>, HelloFault> {
    loop {
        let (at, have) = (progress.records as usize, progress.message as usize);
        let record = bytes.get(at..).unwrap_or_default();
        check_record_header(record)?;
        let fragment = record.get(RECORD_HEADER_LEN..).unwrap_or_default();
        let record_len = record_len(record);
        let fragment = &fragment[..fragment.len().min(record_len.unwrap_or(0))];
        if have == 0 {
            match fragment.first() {
                Some(&MESSAGE_CLIENT_HELLO) | None => {}
                Some(_) => return Err(HelloFault::NotTls),
            }
        }
        let there = have + fragment.len();
        if let Some(len) = message_len(bytes, there) {
            if len > HELLO_LEN_MAX {
                return Err(HelloFault::Malformed);
            }
            if there >= len {
                return Ok(Some(len));
            }
        }
        if record_len != Some(fragment.len()) {
            return Ok(None);
        }
        progress.records = (at + RECORD_HEADER_LEN + fragment.len()) as u32;
        progress.message = there as u32;
    }
}

/// Fails as soon as what has come of it cannot be the header of a handshake record.
fn check_record_header(record: &[u8]) -> Result<(), HelloFault> {
    let is_tls = record.first().is_none_or(|kind| *kind == RECORD_HANDSHAKE)
        && record.get(1).is_none_or(|major| *major == 3);
    if !is_tls {
        return Err(HelloFault::NotTls);
    }
    match record_len(record) {
        Some(len) if !(1..=RECORD_LEN_MAX).contains(&len) => Err(HelloFault::Malformed),
        Some(_) | None => Ok(()),
    }
}

/// Bytes of the record that begins here, without its header.
fn record_len(record: &[u8]) -> Option<usize> {
    match record {
        [_, _, _, high, low, ..] => Some(usize::from(u16::from_be_bytes([*high, *low]))),
        _ => None,
    }
}

/// Bytes of the message, of which `there` are in records that begin in `bytes`, if its header is among them.
fn message_len(bytes: &[u8], there: usize) -> Option<usize> {
    if there < MESSAGE_HEADER_LEN {
        return None;
    }
    let mut header = fragments(bytes).flatten();
    header.next();
    let body = header
        .take(3)
        .fold(0, |len, byte| len << 8 | usize::from(*byte));
    Some(MESSAGE_HEADER_LEN + body)
}

/// What the records that begin in `bytes` have, the last as far as it is there.
fn fragments(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let len = record_len(bytes)?;
        let rest = &bytes[RECORD_HEADER_LEN..];
        let (fragment, rest) = rest.split_at(len.min(rest.len()));
        bytes = rest;
        Some(fragment)
    })
}

fn gather(bytes: &[u8], len: usize, message: &mut Vec<u8>) {
    message.clear();
    for fragment in fragments(bytes) {
        let left = len - message.len();
        message.extend_from_slice(&fragment[..fragment.len().min(left)]);
        if message.len() == len {
            break;
        }
    }
}

/// Reads the body of a hello, all of which is there; `None`: it is malformed.
fn read_body(mut body: Input<'_>) -> Option<Hello<'_>> {
    let legacy = body.u16()?;
    body.take(32)?;
    let session_id = body.list8()?;
    let suites = body.list16()?;
    let compressions = body.list8()?;
    let is_valid = legacy >> 8 == 3
        && session_id.len() <= 32
        && suites.len() >= 2
        && suites.len() % 2 == 0
        && !compressions.is_empty();
    if !is_valid {
        return None;
    }
    let mut hello = Hello {
        server_name: None,
        protocols: Protocols::default(),
        version: Version(legacy),
    };
    let mut has_versions = false;
    // A hello without extensions has no length of them (RFC 5246, 7.4.1.2).
    let mut extensions = match body.is_empty() {
        true => Input(&[]),
        false => Input(body.list16()?),
    };
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let mut data = Input(extensions.list16()?);
        match kind {
            EXTENSION_SERVER_NAME if hello.server_name.is_none() => {
                hello.server_name = Some(read_server_name(&mut data)?);
            }
            EXTENSION_ALPN if hello.protocols.is_empty() => {
                hello.protocols = Protocols::read(data.0)?;
                data = Input(&[]);
            }
            EXTENSION_SUPPORTED_VERSIONS if !has_versions => {
                has_versions = true;
                hello.version = read_versions(&mut data)?.unwrap_or(hello.version);
            }
            EXTENSION_SERVER_NAME | EXTENSION_ALPN | EXTENSION_SUPPORTED_VERSIONS => return None,
            _ => continue,
        }
        if !data.is_empty() {
            return None;
        }
    }
    body.is_empty().then_some(hello)
}

/// The one name of the extension `server_name`.
fn read_server_name<'b>(data: &mut Input<'b>) -> Option<&'b str> {
    let mut list = Input(data.list16()?);
    let kind = list.u8()?;
    let name = list.list16()?;
    let is_valid = kind == NAME_TYPE_HOST
        && list.is_empty()
        && (1..=SERVER_NAME_LEN_MAX).contains(&name.len())
        && name.iter().all(u8::is_ascii_graphic);
    is_valid.then(|| str::from_utf8(name).ok())?
}

/// The highest version of the extension `supported_versions`, if it has one that is no draft and no GREASE
/// (RFC 8701).
fn read_versions(data: &mut Input<'_>) -> Option<Option<Version>> {
    let list = data.list8()?;
    if list.is_empty() || list.len() % 2 != 0 {
        return None;
    }
    let versions = list.chunks_exact(2);
    let versions = versions.map(|version| Version(u16::from_be_bytes([version[0], version[1]])));
    Some(versions.filter(|version| version.0 >> 8 == 3).max())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_the_names_that_openssl_gives_them() {
        let names = [0x0300, 0x0301, 0x0303, 0x0304, 0x0a0a].map(|it| Version(it).to_string());
        assert_eq!(names, ["SSLv3", "TLSv1", "TLSv1.2", "TLSv1.3", "0x0a0a"]);
    }

    #[test]
    fn what_cannot_become_a_hello_is_refused_at_its_first_wrong_byte() {
        let refused = |bytes: &[u8]| {
            let mut scratch = Vec::new();
            match scan_hello(bytes, &mut HelloProgress::default(), &mut scratch) {
                HelloScan::Refused(fault) => Some(fault),
                HelloScan::Partial => None,
                HelloScan::Whole(hello) => panic!("{hello:?}"),
            }
        };
        use HelloFault::{Malformed, NotTls};
        for (bytes, fault) in [
            (&b"G"[..], Some(NotTls)),
            (b"SSH-2.0-OpenSSH", Some(NotTls)),
            // SSL 2.0: a length with its highest bit set, the message, the version.
            (b"\x80\x2e\x01\x03\x01", Some(NotTls)),
            (b"\x16\x02", Some(NotTls)),
            (b"\x16\x03\x01\x00\x00", Some(Malformed)),
            (b"\x16\x03\x01\x40\x01", Some(Malformed)),
            (b"\x16\x03\x01\x40\x00", None),
            // A ServerHello.
            (b"\x16\x03\x01\x02\x00\x02", Some(NotTls)),
            // An alert, and application data.
            (b"\x15\x03\x01", Some(NotTls)),
            (b"\x17\x03\x03", Some(NotTls)),
            (b"\x16\x03\x01\x02\x00\x01\x00\x3f\xfc", None),
            (b"\x16\x03\x01\x02\x00\x01\x00\x3f\xfd", Some(Malformed)),
            (b"\x16\x03\x01\x02\x00\x01\xff", None),
            // Another record before the hello is whole.
            (b"\x16\x03\x01\x00\x02\x01\x00\x17\x03\x03", Some(NotTls)),
        ] {
            assert_eq!(refused(bytes), fault, "{bytes:x?}");
        }
        // Records of one byte each, without an end.
        let endless = b"\x16\x03\x01\x00\x01\x01".repeat(BYTES_MAX);
        assert_eq!(refused(&endless), Some(Malformed));
    }
}
