//! What the worker holds: sockets, listeners, buffers, pipes. Whatever is dropped and not given
//! back is a leak, and a panic.

use super::connection::Connection;
use crate::stream::{Content, Piece};

/// A socket of the worker. Dropping it without closing it is a leak.
#[derive(Debug)]
pub struct Socket(pub(super) u64);

impl Drop for Socket {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("socket {} was dropped, not closed", self.0);
        }
    }
}

/// A connection on its way from one worker to another.
#[derive(Debug)]
pub struct Detached {
    pub(super) socket: Socket,
    pub(super) connection: Connection,
}

/// A listener of the worker, the same way.
#[derive(Debug)]
pub struct Listener(pub(super) u64);

impl Drop for Listener {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("listener {} was dropped, not closed", self.0);
        }
    }
}

/// A buffer with what was received into it.
#[derive(Debug)]
pub struct Buffer {
    /// `None` once it was given back or lent.
    pub(super) content: Option<Content>,
    /// Its bytes, if it is memory of their size.
    pub(super) sized: Option<usize>,
}

impl Buffer {
    pub(super) fn content(&self) -> &Content {
        self.content.as_ref().expect("it is here")
    }

    pub(super) fn content_mut(&mut self) -> &mut Content {
        self.content.as_mut().expect("it is here")
    }

    pub(super) fn of(piece: Piece) -> Self {
        Buffer::with(Content {
            piece,
            ..Content::default()
        })
    }

    pub(super) fn with(content: Content) -> Self {
        Buffer {
            content: Some(content),
            sized: None,
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.content.is_some() {
            panic!("a buffer was dropped, not released");
        }
    }
}

/// A kernel pipe.
#[derive(Debug)]
pub struct Pipe(pub(super) u64);
