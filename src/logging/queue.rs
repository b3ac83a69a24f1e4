//! The lines for standard error, between the threads that log and the one that writes.
//!
//! A pipe that nobody reads, or a terminal that is stopped by Ctrl-S, blocks whoever writes to it.
//! So only the thread that is started here writes; all others leave their line in a queue of
//! bounded size. Lines that find no room are dropped and counted, and one line says how many were
//! as soon as there is room again.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use log::Level;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use super::journal::{Stamp, prefixed};
use crate::privileges::{self, User};
use crate::timestamp::rfc3339;

/// Bytes of lines that may wait for the writer.
const BYTES_MAX: usize = 1024 * 1024;

/// After the first dropped line, others are accepted again only when so few bytes wait: a reader that is
/// slower than the log costs one line for each gap, not one for each line.
const BYTES_RESUME: usize = BYTES_MAX / 2;

/// Lines on their way to one descriptor.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// A line came, or the last one was written.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    lines: VecDeque<Vec<u8>>,
    /// Of all `lines`.
    bytes: usize,
    /// The writer has taken a line out and writes it.
    writing: bool,
    /// Lines that were dropped since the last line that tells of them.
    untold: u64,
    /// Lines that were dropped since the start.
    dropped: u64,
    /// What stands before each line.
    stamp: Stamp,
}

impl State {
    fn add(&mut self, line: Vec<u8>) {
        self.bytes += line.len();
        self.lines.push_back(line);
    }

    /// Adds the line that tells how many lines are missing before it.
    fn tell_dropped(&mut self) {
        let count = std::mem::take(&mut self.untold);
        if count > 0 {
            let text = format!("lines dropped here because nobody read standard error: {count}\n");
            let line = match self.stamp {
                Stamp::Time => format!("[{} WARN ] {text}", rfc3339(SystemTime::now())),
                Stamp::Priority => prefixed(self.stamp, Level::Warn, &text),
            };
            self.add(line.into_bytes());
        }
    }

    fn is_full(&self, len: usize) -> bool {
        let max = if self.untold > 0 {
            BYTES_RESUME
        } else {
            BYTES_MAX
        };
        // One line of any length is accepted when no other waits.
        !self.lines.is_empty() && self.bytes + len > max
    }
}

impl Queue {
    /// An empty one.
    pub const fn new() -> Self {
        Queue {
            state: Mutex::new(State {
                lines: VecDeque::new(),
                bytes: 0,
                writing: false,
                untold: 0,
                dropped: 0,
                stamp: Stamp::Time,
            }),
            changed: Condvar::new(),
        }
    }

    /// Adds a line, which ends with a newline, or drops and counts it. Never waits for the reader.
    pub fn push(&self, line: Vec<u8>) {
        let mut state = self.state();
        if state.is_full(line.len()) {
            state.untold += 1;
            state.dropped += 1;
            return;
        }
        state.tell_dropped();
        state.add(line);
        self.changed.notify_all();
    }

    /// Says what stands before each line; without this it is the time.
    pub fn set_stamp(&self, stamp: Stamp) {
        self.state().stamp = stamp;
    }

    /// What stands before each line.
    pub fn stamp(&self) -> Stamp {
        self.state().stamp
    }

    /// Lines that were dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.state().dropped
    }

    /// Waits until all lines are written, but not for longer than this.
    pub fn flush(&self, timeout: Duration) {
        let waited = self
            .changed
            .wait_timeout_while(self.state(), timeout, |state| {
                state.writing || !state.lines.is_empty()
            });
        drop(waited);
    }

    /// Starts the thread that writes the lines to `descriptor`, as `user` if there is one. It ends
    /// with the process.
    ///
    /// # Errors
    ///
    /// No thread could be made, or it could not become `user`.
    pub fn start_writer(
        &'static self,
        user: Option<User>,
        descriptor: BorrowedFd<'static>,
    ) -> io::Result<()> {
        privileges::spawn(user, "log", move || {
            loop {
                // If nobody can read, the lines are lost as they would be without the queue.
                let _ = write_all(descriptor, &self.next());
            }
        })?;
        Ok(())
    }

    /// Waits for the next line. The one before it has been written.
    fn next(&self) -> Vec<u8> {
        let mut state = self.state();
        state.writing = false;
        loop {
            if state.lines.is_empty() {
                state.tell_dropped();
            }
            if let Some(line) = state.lines.pop_front() {
                state.bytes -= line.len();
                state.writing = true;
                return line;
            }
            self.changed.notify_all();
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Every write under the lock is whole, so a panic elsewhere leaves nothing half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes all of it. Not by [`io::stderr`], whose lock would make others wait for this thread.
fn write_all(descriptor: BorrowedFd<'_>, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(descriptor, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            // Somebody who shares the terminal has made it non-blocking.
            Err(Errno::AGAIN) => {
                let mut ready = [PollFd::new(&descriptor, PollFlags::OUT)];
                match poll(&mut ready, None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Vec<u8> {
        format!("{text}\n").into_bytes()
    }

    fn taken(queue: &Queue) -> Vec<String> {
        let mut taken = Vec::new();
        while !queue.state().lines.is_empty() || queue.state().untold > 0 {
            taken.push(String::from_utf8(queue.next()).unwrap());
        }
        taken
    }

    #[test]
    fn what_finds_no_room_is_dropped_counted_and_told_of_where_it_is_missing() {
        let queue = Queue::new();
        let half = "x".repeat(BYTES_RESUME - 1);
        queue.push(line(&half));
        queue.push(line(&half));
        queue.push(line("dropped"));
        queue.push(line("dropped too"));
        assert_eq!(queue.dropped(), 2);
        assert_eq!(queue.next(), line(&half));
        queue.push(line("still more than half of the room is taken"));
        assert_eq!(queue.dropped(), 3);
        assert_eq!(queue.next(), line(&half));
        queue.push(line("accepted"));

        let taken = taken(&queue);
        assert!(taken[0].contains("read standard error: 3\n"), "{taken:?}");
        assert_eq!(taken[1..], ["accepted\n"]);
        assert_eq!(queue.dropped(), 3);
    }

    #[test]
    fn dropped_lines_are_told_of_without_a_further_one() {
        let queue = Queue::new();
        queue.push(line(&"x".repeat(BYTES_MAX)));
        queue.push(line("dropped"));
        let taken = taken(&queue);
        assert_eq!(taken.len(), 2);
        assert!(
            taken[1].contains("read standard error: 1\n"),
            "{}",
            taken[1]
        );
    }

    #[test]
    fn a_flush_ends_in_time_and_when_all_is_written() {
        static QUEUE: Queue = Queue::new();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let writer: &'static _ = Box::leak(Box::new(writer));
        // More than the kernel's pipe takes.
        let text = line(&"x".repeat(200_000));
        QUEUE.push(text.clone());
        use rustix::fd::AsFd;
        QUEUE.start_writer(None, writer.as_fd()).unwrap();
        QUEUE.flush(Duration::from_millis(20));
        assert!(QUEUE.state().writing, "nobody reads");

        let reading = std::thread::spawn(move || {
            let mut read = vec![0; 200_001];
            let mut file = std::fs::File::from(reader);
            io::Read::read_exact(&mut file, &mut read).unwrap();
            read
        });
        QUEUE.flush(Duration::from_secs(60));
        assert!(!QUEUE.state().writing);
        assert_eq!(reading.join().unwrap(), text);
    }
}
