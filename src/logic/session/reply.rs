//! What the worker replies to an action at once: [`Reply`].

use super::error_response::ErrorResponse;
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
    /// To [`Action::ReadPreface`](super::Action::ReadPreface).
    Preface(Preface),
    /// To [`Action::ReadResponseHead`](super::Action::ReadResponseHead).
    ResponseHead(ResponseHead),
    /// To [`Action::PrepareError`](super::Action::PrepareError): the response is the oldest chunk
    /// from the server now.
    ErrorPrepared {
        /// Its bytes; 0: there was no buffer for it.
        len: u32,
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
    /// To [`Action::Send`](super::Action::Send), if the oldest chunk has another length than the
    /// session counted: an error of ours. Nothing is sent.
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

/// What the first bytes of a client are, which are read before a server is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preface {
    /// More has to be read.
    Incomplete,
    /// All is there, edited as necessary; or it is passed on as it is.
    Complete {
        /// Bytes of the chunk now: the preface and what came after it.
        len: u32,
    },
    /// The client gets no server.
    Refused(Refusal),
}

/// How a client is treated whose request is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It gets this response.
    Respond(ErrorResponse),
    /// Its connection is closed without a response, which it would not understand.
    Close,
}

/// What was found at the beginning of what a server sent, in HTTP mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseHead {
    /// The head is not complete.
    Partial,
    /// Interim responses, after which the next head begins. They are the oldest chunk now, and
    /// what follows them is the chunk behind it.
    Interim {
        /// Bytes of the oldest chunk.
        len: u32,
    },
    /// A whole head, edited as necessary, or something that is passed on as it is.
    Whole {
        /// Bytes of the chunk now: the head and what came after it.
        len: u32,
    },
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
