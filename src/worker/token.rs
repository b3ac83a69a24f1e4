//! The owner of an operation, packed into the 44 bits of its token, which the kernel returns with the
//! completion.
//!
//! ```text
//! session:  slot 24 | generation 16 | 0 | side 1 | use 2
//! worker:   listener index 40       | 1 | what 3
//! ```

use crate::io;
use crate::logic::session::{Side, Use};

/// Identifies a session of a worker: its slot in the table of sessions, and its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Index in the table, below 2^24, which is more than the limit of sessions.
    pub slot: u32,
    /// Differs from that of earlier sessions in the same slot, unless 2^16 sessions began in between.
    pub generation: u16,
}

/// What an operation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A session's operation on one side.
    Session {
        /// The session.
        key: Key,
        /// The connection.
        side: Side,
        /// The kind of operation.
        used: Use,
    },
    /// Accepting on a listener of this worker.
    Listener(usize),
    /// The worker's waker.
    Waker,
}

const WORKER: u64 = 1 << 3;
const WAKER: u64 = 1;

const USES: [Use; 4] = [Use::Read, Use::Write, Use::Watch, Use::Cancel];

impl Owner {
    /// Packs it.
    pub fn token(self) -> io::Token {
        io::Token(match self {
            Owner::Session { key, side, used } => {
                (u64::from(key.slot) << 20)
                    | (u64::from(key.generation) << 4)
                    | ((side as u64) << 2)
                    | used as u64
            }
            Owner::Listener(index) => ((index as u64) << 4) | WORKER,
            Owner::Waker => WORKER | WAKER,
        })
    }

    /// Unpacks what [`Owner::token`] packed.
    pub fn of(token: io::Token) -> Owner {
        let bits = token.0;
        if bits & WORKER != 0 {
            return match bits & WAKER {
                0 => Owner::Listener((bits >> 4) as usize),
                _ => Owner::Waker,
            };
        }
        Owner::Session {
            key: Key {
                slot: (bits >> 20) as u32,
                generation: (bits >> 4) as u16,
            },
            side: Side::BOTH[(bits >> 2) as usize & 1],
            used: USES[bits as usize & 3],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_went() {
        let mut owners = vec![Owner::Waker, Owner::Listener(0), Owner::Listener(70_000)];
        for slot in [0, 1, (1 << 24) - 1] {
            for generation in [0, 1, u16::MAX] {
                for side in Side::BOTH {
                    for used in USES {
                        let key = Key { slot, generation };
                        owners.push(Owner::Session { key, side, used });
                    }
                }
            }
        }
        for owner in owners {
            assert!(owner.token().0 < 1 << io::Token::BITS, "{owner:?}");
            assert_eq!(Owner::of(owner.token()), owner);
        }
    }
}
