//! What the worker replies to an action at once: [`Reply`].

use super::error_answer::ErrorAnswer;
use super::event::{ConnectFault, Fault};
use super::side::Side;

/// The result of an [`Action`](super::Action), delivered by
/// [`Session::reply`](super::Session::reply) before any further event. Only the last action of a
/// list has one; [`Reply::SendRefused`] alone may come for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`Action::Choose`](super::Action::Choose).
    Choice(Choice),
    /// To [`Action::ChooseBackup`](super::Action::ChooseBackup).
    BackupChoice {
        /// A backup was chosen and one of its slots taken; false: none takes sessions now.
        chosen: bool,
    },
    /// To [`Action::Connect`](super::Action::Connect), if it failed at once.
    ConnectFailed(ConnectFault),
    /// To [`Action::ReadPreface`](super::Action::ReadPreface), while the PROXY head is read
    /// ([`Session::is_reading_proxy_head`](super::Session::is_reading_proxy_head)).
    ProxyHead(ProxyDecision),
    /// To [`Action::ReadPreface`](super::Action::ReadPreface), after that.
    Preface(PrefaceDecision),
    /// To [`Action::ReadResponseHead`](super::Action::ReadResponseHead).
    ResponseHead(ResponseHead),
    /// To [`Action::PrepareError`](super::Action::PrepareError): the response is the oldest chunk
    /// from the server now.
    ErrorPrepared {
        /// False: there was no buffer for it.
        ready: bool,
    },
    /// To [`Action::SpliceIn`](super::Action::SpliceIn).
    SplicedIn {
        /// The side that was read.
        from: Side,
        /// What moved into the kernel pipe.
        result: SpliceResult,
    },
    /// To [`Action::SpliceOut`](super::Action::SpliceOut).
    SplicedOut {
        /// The side that was read.
        from: Side,
        /// What moved out of the kernel pipe.
        result: SpliceResult,
    },
    /// To [`Action::CountUnsent`](super::Action::CountUnsent).
    Unsent {
        /// Bytes that the peer has not acknowledged; the end of the stream counts as 1 more.
        len: u32,
    },
    /// To [`Action::Send`](super::Action::Send), if there is no chunk: an error of ours.
    SendRefused {
        /// The side that was to be written.
        to: Side,
    },
}

/// Result of a choice of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A server was chosen and one of its slots taken.
    Chosen,
    /// Usable servers exist, but none has a free slot.
    Full,
    /// No server is usable.
    NoServer,
    /// Of the usable servers, only those have a free slot that were tried already.
    AllTried,
}

/// What follows from the bytes that a peer has sent which may send a PROXY head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyDecision {
    /// More has to be read, which may come.
    Incomplete {
        /// A signature is there.
        signed: bool,
    },
    /// It is known who the client is: from the head, which was removed, or because there is none and
    /// none is required.
    Settled {
        /// So many bytes that the client itself sent are the only chunk; 0: it sent nothing yet, and
        /// there is no chunk.
        rest: u32,
    },
    /// A malformed head, or none though it is required.
    Wrong,
    /// The client must not come.
    Denied,
    /// There was no buffer for what came.
    NoBuffer,
}

/// What follows from the bytes that a client has sent before a server is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefaceDecision {
    /// More has to be read.
    Incomplete,
    /// All is there, edited as necessary; or it is passed on as it is.
    Complete,
    /// The client gets no server.
    Refused(Refusal),
}

/// How a client is treated whose request is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It gets this answer.
    Respond(ErrorAnswer),
    /// Its connection is closed without a response, which it would not understand.
    Close,
}

/// What was found at the beginning of what a server sent, in HTTP mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseHead {
    /// The head is not complete.
    Partial,
    /// Interim responses, after which the next head begins. They are the oldest chunk now, and
    /// what follows them, if anything came, is the chunk behind it.
    Interim {
        /// There is a chunk behind it.
        more: bool,
    },
    /// A whole head, edited as necessary, or something that is passed on as it is.
    Whole,
    /// A whole head with status 101: a tunnel begins.
    Upgrade,
}

/// Result of one splice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpliceResult {
    /// So many bytes moved, at least 1.
    Bytes(u32),
    /// Nothing could be moved now.
    WouldBlock,
    /// The end of the stream (only into the pipe).
    End,
    /// No kernel pipe could be had (only into the pipe).
    NoPipe,
    /// The connection failed.
    Failed(Fault),
}
