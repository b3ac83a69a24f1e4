//! Kernel pipes and splicing.

use ringway::io::{Fault, Pipes, SpliceResult};

use super::{Kernel, Pipe, Socket};
use crate::stream::Pieces;

impl Pipes for Kernel {
    type Pipe = Pipe;

    fn take_pipe(&mut self) -> Option<Pipe> {
        let world = &mut *self.world.borrow_mut();
        if world.fault(world.weather.no_pipe) {
            return None;
        }
        let id = self.idle_pipes.pop().unwrap_or_else(|| {
            let id = world.id();
            self.pipes.insert(id, Pieces::default());
            id
        });
        assert_eq!(self.pipes[&id].len(), 0, "a used pipe was not empty");
        Some(Pipe(id))
    }

    fn return_pipe(&mut self, pipe: Pipe, empty: bool) {
        if empty {
            assert_eq!(
                self.pipes[&pipe.0].len(),
                0,
                "returned as empty, but is not"
            );
            self.idle_pipes.push(pipe.0);
        } else {
            self.pipes.remove(&pipe.0);
        }
    }

    fn splice_in(&mut self, from: &Socket, pipe: &Pipe, len: u32) -> SpliceResult {
        self.check_may_act();
        let connection = self.connections.get_mut(&from.0).expect("open");
        let world = &mut *self.world.borrow_mut();
        if connection.readable > 0 {
            let len = world.amount(connection.readable.min(u64::from(len)));
            let piece = connection.take(len);
            self.pipes.get_mut(&pipe.0).expect("open").push(piece);
            world.spliced += len;
            return Ok(len as u32);
        }
        match connection.end() {
            Some(end) => end.map(|()| 0),
            None => Err(Fault::WouldBlock),
        }
    }

    fn splice_out(&mut self, pipe: &Pipe, to: &Socket, len: u32) -> SpliceResult {
        let connection = self.connections.get_mut(&to.0).expect("open");
        if let Some(fault) = connection.send_fault() {
            return Err(fault);
        }
        let pieces = self.pipes.get_mut(&pipe.0).expect("open");
        assert_eq!(
            pieces.len(),
            u64::from(len),
            "the pipe holds something else"
        );
        let room = connection.room().min(u64::from(len));
        if room == 0 {
            connection.note_sent(len.into(), 0);
            return Err(Fault::WouldBlock);
        }
        let wanted = self.world.borrow_mut().amount(room);
        let mut moved = 0;
        while moved < wanted {
            let piece = pieces.pop(wanted - moved).expect("counted");
            moved += piece.len;
            connection.give(piece);
        }
        connection.note_sent(len.into(), moved);
        Ok(moved as u32)
    }
}
