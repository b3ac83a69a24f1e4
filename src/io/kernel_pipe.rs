//! Kernel pipes for splicing, kept in a small pool.
//!
//! One direction of a session holds a kernel pipe only while bytes are in it, so that few pipes
//! serve many sessions and the same ones stay hot.

use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use super::calls::SpliceResult;
use super::socket::Socket;

/// Capacity asked for. The kernel counts it in pages, each of which may hold one fragment of a
/// packet, so that small packets fill it with fewer bytes.
const PIPE_CAPACITY: usize = 256 * 1024;

/// Idle pipes that are kept open.
const IDLE_MAX: usize = 16;

/// A kernel pipe.
#[derive(Debug)]
pub struct KernelPipe {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl KernelPipe {
    /// Moves up to `len` bytes from a socket into the pipe without waiting.
    pub(super) fn fill(&self, from: &Socket, len: u32) -> SpliceResult {
        splice_now(from.descriptor(), &self.writer, len)
    }

    /// Moves up to `len` bytes from the pipe to a socket without waiting.
    pub(super) fn drain(&self, to: &Socket, len: u32) -> SpliceResult {
        splice_now(&self.reader, to.descriptor(), len)
    }
}

fn splice_now(from: &OwnedFd, to: &OwnedFd, len: u32) -> SpliceResult {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    let moved = splice(from, None, to, None, len as usize, flags)?;
    // At most `len`.
    Ok(moved as u32)
}

/// The kernel pipes of one worker.
#[derive(Debug)]
pub(super) struct KernelPipes {
    idle: Vec<KernelPipe>,
    open: usize,
    open_max: usize,
}

impl KernelPipes {
    /// A pool of at most `open_max` pipes.
    pub fn new(open_max: usize) -> Self {
        KernelPipes {
            idle: Vec::new(),
            open: 0,
            open_max,
        }
    }

    /// An empty pipe, if the bound and the kernel allow one.
    pub fn take(&mut self) -> Option<KernelPipe> {
        if let Some(pipe) = self.idle.pop() {
            return Some(pipe);
        }
        if self.open >= self.open_max {
            return None;
        }
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        // It is refused beyond the limit of unprivileged users (pipe(7), `pipe-user-pages-soft`);
        // the default capacity serves too.
        let _ = fcntl_setpipe_size(&writer, PIPE_CAPACITY);
        self.open += 1;
        Some(KernelPipe { reader, writer })
    }

    /// Gives a pipe back; one with bytes in it is closed.
    pub fn put(&mut self, pipe: KernelPipe, empty: bool) {
        if empty && self.idle.len() < IDLE_MAX {
            self.idle.push(pipe);
        } else {
            self.open -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_and_reused() {
        let mut pipes = KernelPipes::new(2);
        let first = pipes.take().unwrap();
        let second = pipes.take().unwrap();
        assert!(pipes.take().is_none(), "the bound holds");
        pipes.put(first, true);
        let again = pipes.take().unwrap();
        pipes.put(again, false);
        assert_eq!(pipes.idle.len(), 0, "a pipe with bytes is not used again");
        assert!(pipes.take().is_some(), "closing one makes room for another");
        pipes.put(second, true);
    }
}
