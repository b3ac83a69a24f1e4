//! The two connections of a session, and the operations that the kernel may hold on each.

/// One of the two connections of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The connection that was accepted.
    Client,
    /// The connection that was made to the chosen server.
    Server,
}

impl Side {
    /// Both sides, in the order of their indexes.
    pub const BOTH: [Side; 2] = [Side::Client, Side::Server];

    /// The opposite side.
    pub const fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }

    /// 0 for the client, 1 for the server.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// What an operation on a connection is for. The kernel holds at most one of each for each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// A receive, or a poll for bytes to come.
    Read,
    /// A send, a connect, or a poll for room.
    Write,
    /// A poll for a client that resets its connection while it has to wait.
    Watch,
    /// The cancellation of the others.
    Cancel,
}
