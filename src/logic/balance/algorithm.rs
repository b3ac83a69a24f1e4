//! The balancing algorithms.

/// How a backend spreads its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// In turn, smoothly, by weight.
    RoundRobin,
    /// To the server with the fewest sessions per weight.
    LeastConn,
    /// To the better of two servers drawn at random by weight.
    Random,
    /// By the address of the client, which stays with its server while that can be had.
    SourceHash,
    /// To the first server in the order of the file that has room.
    First,
}
