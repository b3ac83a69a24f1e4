//! What the worker holds: sockets, listeners, buffers, pipes. Whatever is dropped and not given
//! back is a leak, and a panic.

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

/// A buffer with what was received into it; `None` once it was given back or lent.
#[derive(Debug)]
pub struct Buffer(pub(super) Option<Content>);

impl Buffer {
    pub(super) fn content(&self) -> &Content {
        self.0.as_ref().expect("it is here")
    }

    pub(super) fn content_mut(&mut self) -> &mut Content {
        self.0.as_mut().expect("it is here")
    }

    pub(super) fn of(piece: Piece) -> Self {
        Buffer(Some(Content {
            piece,
            ..Content::default()
        }))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.0.is_some() {
            panic!("a buffer was dropped, not released");
        }
    }
}

/// A kernel pipe.
#[derive(Debug)]
pub struct Pipe(pub(super) u64);
