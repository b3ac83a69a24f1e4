//! The 64 bits that an operation carries and its completion returns.
//!
//! | Bits | Content |
//! | --- | --- |
//! | 0 to 15 | the index of the buffer that a send lends |
//! | 16 to 19 | what the operation is |
//! | 20 to 63 | the worker's token |

use crate::io::buffer::{BufferId, BufferKind};
use crate::io::operation::Token;

/// What an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Accept,
    Connect,
    Receive,
    Send,
    Poll,
    Cancel,
    Wake,
    /// Its completion is ignored.
    Silent,
    Watch,
}

impl Kind {
    const ALL: [Kind; 9] = [
        Kind::Accept,
        Kind::Connect,
        Kind::Receive,
        Kind::Send,
        Kind::Poll,
        Kind::Cancel,
        Kind::Wake,
        Kind::Silent,
        Kind::Watch,
    ];
}

/// The code of a [`Kind::Send`] whose buffer is memory of its size.
const SEND_SIZED: u64 = 15;

/// The user data of an operation that lends no buffer.
pub fn encode(token: Token, kind: Kind) -> u64 {
    let none = BufferId {
        kind: BufferKind::Block,
        index: 0,
    };
    encode_lending(token, kind, none)
}

/// The user data of an operation that lends this buffer.
pub fn encode_lending(token: Token, kind: Kind, buffer: BufferId) -> u64 {
    debug_assert!(token.0 < 1 << Token::BITS);
    let code = match (kind, buffer.kind) {
        (Kind::Send, BufferKind::Sized) => SEND_SIZED,
        _ => kind as u64,
    };
    (token.0 << 20) | (code << 16) | u64::from(buffer.index)
}

/// What [`encode`] or [`encode_lending`] was given.
pub fn decode(user_data: u64) -> (Token, Kind, BufferId) {
    let (operation, kind) = match (user_data >> 16) & 15 {
        SEND_SIZED => (Kind::Send, BufferKind::Sized),
        code => {
            let kind = Kind::ALL.get(code as usize).copied();
            (kind.unwrap_or(Kind::Silent), BufferKind::Block)
        }
    };
    let index = user_data as u16;
    (Token(user_data >> 20), operation, BufferId { kind, index })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for token in [0, 1, (1 << Token::BITS) - 1].map(Token) {
            for kind in Kind::ALL {
                let (found, what, _) = decode(encode(token, kind));
                assert_eq!((found, what), (token, kind));
            }
            for kind in [BufferKind::Block, BufferKind::Sized] {
                for index in [0, 7, u16::MAX] {
                    let buffer = BufferId { kind, index };
                    let user_data = encode_lending(token, Kind::Send, buffer);
                    assert_eq!(decode(user_data), (token, Kind::Send, buffer));
                }
            }
        }
    }
}
