//! The order in which the operations of a ready socket or listener are tried.

/// What is examined next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The watch of a socket.
    Watch,
    /// The write of a socket.
    Write,
    /// The read of a socket.
    Read,
    /// The end of the stream, if it is known to follow the bytes that were read.
    End,
    /// The accept of a listener, which may take so many more connections.
    Accept(u32),
}
