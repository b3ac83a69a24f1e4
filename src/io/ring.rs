//! Setting up a ring with the best flags that the kernel has, entering it, and saying why it was
//! refused.

use std::fmt;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use io_uring::types::{Fd, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};

use super::buffers::{ARMED_BYTES, RECEIVE_BYTES};
use super::engine::Receive;

/// Entries of the submission queue; a full one is submitted early.
pub(super) const SQ_ENTRIES: u32 = 1024;

/// Entries of the completion queue: several times what one turn brings. More waits in the kernel.
const CQ_ENTRIES: u32 = 4096;

/// How far to step down from the best ring, for kernels that lack something or for tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Features {
    /// Linux 6.1: `SINGLE_ISSUER`, `DEFER_TASKRUN`.
    Linux6_1,
    /// Linux 6.6: also `NO_SQARRAY`.
    Linux6_6,
    /// Linux 6.17: also a multishot receive that ends by itself after so many bytes. Without the
    /// bound it could not be stopped before a slow peer's bytes fill all buffers.
    #[default]
    Linux6_17,
}

/// The one group of provided buffers.
pub(super) const BUFFER_GROUP: u16 = 0;

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Features::Linux6_17 => {
                "single issuer, deferred task work, no submission array, bounded multishot receives"
            }
            Features::Linux6_6 => "single issuer, deferred task work, no submission array",
            Features::Linux6_1 => "single issuer, deferred task work",
        })
    }
}

/// Why a ring could not be made. [`super::probe::explain`] turns it into a sentence with a cure.
#[derive(Debug)]
pub struct SetupError {
    /// What was tried.
    pub step: &'static str,
    /// What the kernel said.
    pub error: std::io::Error,
}

impl SetupError {
    pub(super) fn new(step: &'static str) -> impl FnOnce(std::io::Error) -> SetupError {
        move |error| SetupError { step, error }
    }
}

/// A ring of this thread.
pub(super) struct Ring {
    ring: IoUring,
    /// What to enter with: the index of the registered descriptor, or the descriptor itself.
    enter: RawFd,
    enter_flags: u32,
    pub features: Features,
    /// Operations queued so far.
    queued: u64,
}

impl Ring {
    /// Makes a ring, stepping down from `best` as far as the kernel demands.
    pub fn new(best: Features) -> Result<Self, SetupError> {
        let mut features = best;
        let ring = loop {
            match build(features) {
                Ok(ring) => break ring,
                Err(error)
                    if error.raw_os_error() == Some(libc::EINVAL)
                        && features >= Features::Linux6_6 =>
                {
                    features = Features::Linux6_1;
                }
                Err(error) => {
                    return Err(SetupError {
                        step: "io_uring_setup",
                        error,
                    });
                }
            }
        };
        for (has, name) in [
            (ring.params().is_feature_nodrop(), "IORING_FEAT_NODROP"),
            (ring.params().is_feature_ext_arg(), "IORING_FEAT_EXT_ARG"),
            (
                ring.params().is_feature_skip_cqe_on_success(),
                "IORING_FEAT_CQE_SKIP",
            ),
            (
                ring.params().is_feature_submit_stable(),
                "IORING_FEAT_SUBMIT_STABLE",
            ),
        ] {
            if !has {
                return Err(SetupError {
                    step: name,
                    error: std::io::Error::from_raw_os_error(libc::EINVAL),
                });
            }
        }
        // A guard, not a need: nothing on the data path goes to the kernel's worker threads.
        let _ = ring.submitter().register_iowq_max_workers(&mut [1, 1]);
        let mut enter_flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        if ring.params().is_feature_no_iowait() {
            // An idle balancer is idle, not waiting for a disk.
            enter_flags |= EnterFlags::NO_IOWAIT;
        }
        let mut ring = Ring {
            enter: ring.as_raw_fd(),
            enter_flags: enter_flags.bits(),
            features,
            queued: 0,
            ring,
        };
        ring.register_descriptor();
        Ok(ring)
    }

    /// Spares the kernel a look-up of the descriptor on each enter, where it can (5.18).
    fn register_descriptor(&mut self) {
        const IORING_REGISTER_RING_FDS: libc::c_uint = 20;
        const IORING_ENTER_REGISTERED_RING: u32 = 1 << 4;

        #[repr(C)]
        struct Update {
            offset: u32,
            reserved: u32,
            data: u64,
        }
        let descriptor = self.ring.as_raw_fd();
        let mut update = Update {
            offset: u32::MAX,
            reserved: 0,
            data: descriptor as u64,
        };
        // SAFETY: (M) the kernel reads and writes one `Update` during the call only.
        let registered = unsafe {
            libc::syscall(
                libc::SYS_io_uring_register,
                descriptor,
                IORING_REGISTER_RING_FDS,
                &raw mut update,
                1,
            )
        };
        if registered == 1 {
            self.enter = update.offset as RawFd;
            self.enter_flags |= IORING_ENTER_REGISTERED_RING;
        }
    }

    pub fn get(&mut self) -> &mut IoUring {
        &mut self.ring
    }

    /// Queues an operation, submitting what is queued when there is no room.
    ///
    /// # Safety
    ///
    /// Memory named by `entry` stays valid and untouched until the operation has ended (M).
    pub unsafe fn push(&mut self, entry: &squeue::Entry) {
        loop {
            // SAFETY: (M) promised by the caller.
            let pushed = unsafe { self.ring.submission().push(entry) };
            if pushed.is_ok() {
                self.queued += 1;
                return;
            }
            self.enter(Some(Duration::ZERO));
        }
    }

    /// How many operations were queued so far.
    pub fn queued(&self) -> u64 {
        self.queued
    }

    /// How many of them the kernel has taken, in the order in which they were queued.
    pub fn submitted(&mut self) -> u64 {
        self.queued - self.ring.submission().len() as u64
    }

    /// The kernel keeps completions that did not fit into the queue; the next enter brings them.
    pub fn overflowed(&mut self) -> bool {
        self.ring.submission().cq_overflow()
    }

    /// Submits what is queued, lets deferred work run, and waits for a completion, at most
    /// `timeout`. An interrupted or refused call is as good as an early return: what was not
    /// taken stays queued.
    pub fn enter(&mut self, timeout: Option<Duration>) {
        #[repr(C)]
        struct Arguments {
            sigmask: u64,
            sigmask_len: u32,
            min_wait_usec: u32,
            timespec: u64,
        }
        let queued = self.ring.submission().len() as u32;
        let want = u32::from(timeout != Some(Duration::ZERO));
        let timespec = timeout.map(Timespec::from);
        let arguments = Arguments {
            sigmask: 0,
            sigmask_len: 0,
            min_wait_usec: 0,
            timespec: timespec
                .as_ref()
                .map_or(0, |t| std::ptr::from_ref(t) as u64),
        };
        // SAFETY: (M) the kernel reads the arguments and the timespec during the call only; what
        // the queued operations lend was promised when they were pushed.
        unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                self.enter,
                queued,
                want,
                self.enter_flags,
                &raw const arguments,
                size_of::<Arguments>(),
            )
        };
    }

    /// A receive into provided buffers, as [`super::Engine::receive`] describes it.
    pub fn receive(&self, socket: Fd, how: Receive, poll_first: bool) -> squeue::Entry {
        /// `ioprio` of a receive: poll before the first try.
        const POLL_FIRST: u16 = 1 << 0;
        /// `ioprio` of a receive: go on after the first.
        const MULTISHOT: u16 = 1 << 1;
        /// Where an entry has `optlen`, the bytes after which a multishot receive ends. The crate
        /// does not know it yet. A single piece may go beyond it, up to the entry's length.
        const OPTLEN_OFFSET: usize = 44;

        let poll_first = if poll_first { POLL_FIRST } else { 0 };
        let receive = |len, ioprio| {
            opcode::Recv::new(socket, std::ptr::null_mut(), len)
                .ioprio(ioprio)
                .buf_group(BUFFER_GROUP)
                .build()
                .flags(squeue::Flags::BUFFER_SELECT)
        };
        match how {
            Receive::Once(len) => return receive(len, poll_first),
            Receive::Stream if self.features < Features::Linux6_17 => {
                return receive(RECEIVE_BYTES, poll_first);
            }
            Receive::Stream => {}
        }
        let mut entry = receive(RECEIVE_BYTES, poll_first | MULTISHOT);
        const { assert!(size_of::<squeue::Entry>() == 64) };
        let optlen = (&raw mut entry).cast::<u8>().wrapping_add(OPTLEN_OFFSET);
        // SAFETY: (M) an entry is the kernel's 64 bytes, of which these four are `optlen`, 4-byte
        // aligned like the whole.
        unsafe { optlen.cast::<u32>().write(ARMED_BYTES) };
        entry
    }

    /// Moves completions that are ready to the end of `into`.
    pub fn reap(&mut self, into: &mut Vec<cqueue::Entry>) {
        into.extend(self.ring.completion());
    }
}

fn build(features: Features) -> std::io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_submit_all()
        .setup_taskrun_flag()
        .setup_cqsize(CQ_ENTRIES)
        .setup_clamp()
        .dontfork();
    if features >= Features::Linux6_6 {
        builder.setup_no_sqarray();
    }
    builder.build(SQ_ENTRIES)
}
