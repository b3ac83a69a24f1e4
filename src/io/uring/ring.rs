//! A ring of the kernel: making it with the best flags that the kernel has, entering it, and shutting
//! it down.

use std::io;
#[cfg(test)]
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::time::Duration;

use io_uring::types::{CancelBuilder, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, Submitter, cqueue, squeue};

use super::buffer_ring::{BUFFER_GROUP, BufferRing, RING_BUFFERS};
use super::entries;
use super::features::Features;
use crate::io::setup::SetupError;

/// Entries of the submission queue; a full one is submitted early.
pub const SQ_ENTRIES: u32 = 1024;

/// Entries of the completion queue: several times what one turn completes. The kernel keeps what
/// does not fit.
const CQ_ENTRIES: u32 = 4096;

/// How long the thread sleeps after a refused enter, so that repeating it does not spin.
const REFUSED_ENTER_PAUSE: Duration = Duration::from_millis(1);

/// Rounds of cancelling and reaping after which the shut-down has failed. The first ends
/// everything, the second finds nothing left.
const CANCEL_ROUNDS_MAX: usize = 16;

/// How long one round of cancelling may wait for an operation that is being carried out.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);

/// The ring in memory that does not move, so that a [`Submitter`] of it can be kept.
struct Fixed(NonNull<IoUring>);

impl Fixed {
    fn new(ring: IoUring) -> Self {
        Fixed(NonNull::from(Box::leak(Box::new(ring))))
    }

    fn get(&self) -> &IoUring {
        // SAFETY: (T) the box was leaked by `new` and lives until `self` is dropped; there are
        // shared references to it only.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Fixed {
    fn drop(&mut self) {
        // SAFETY: (T) made by `Box::leak` in `new` and freed here only.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// A ring of this thread.
pub struct Ring {
    // Declared before what it refers to. It knows the index of the registered descriptor.
    submitter: Submitter<'static>,
    ring: Fixed,
    enter_flags: u32,
    pub features: Features,
    /// Operations queued so far.
    queued: u64,
}

impl Ring {
    /// Makes a ring with the features `best`, or fewer if the kernel lacks some. It does nothing
    /// before [`Ring::enable`]. Its features are at most [`Features::Linux6_6`]: whether the kernel
    /// has more, only a trial shows.
    pub fn new(best: Features) -> Result<Self, SetupError> {
        let mut features = best.min(Features::Linux6_6);
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
                    error: io::Error::from_raw_os_error(libc::EINVAL),
                });
            }
        }
        let mut enter_flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        if ring.params().is_feature_no_iowait() {
            // An idle balancer is idle, not waiting for a disk.
            enter_flags |= EnterFlags::NO_IOWAIT;
        }
        let ring = Fixed::new(ring);
        // SAFETY: (T) the ring does not move and is dropped after the submitter, by field order.
        let submitter = unsafe { ring.0.as_ref() }.submitter();
        Ok(Ring {
            submitter,
            ring,
            enter_flags: enter_flags.bits(),
            features,
            queued: 0,
        })
    }

    /// Lets the kernel take buffers from a buffer ring.
    ///
    /// # Safety
    ///
    /// The entries and the memory that they name stay mapped until this ring has been shut down
    /// successfully or as long as the process lives (O).
    pub unsafe fn register_buffers(&self, buffers: &BufferRing) -> io::Result<()> {
        let address = buffers.address();
        // SAFETY: (O) promised by the caller; the address is that of `RING_BUFFERS` entries.
        unsafe {
            self.submitter
                .register_buf_ring_with_flags(address, RING_BUFFERS, BUFFER_GROUP, 0)
        }
    }

    /// Makes the ring ready for operations, and restricts it to those that the engine queues.
    pub fn enable(&mut self) -> io::Result<()> {
        // A precaution: nothing on the data path goes to the kernel's worker threads.
        let _ = self.submitter.register_iowq_max_workers(&mut [1, 1]);
        // Saves the kernel a look-up of the descriptor on each enter.
        let _ = self.submitter.register_ring_fd();
        // If the kernel refuses the restrictions, the ring works without them.
        let _ = self
            .submitter
            .register_restrictions(&mut entries::restrictions());
        self.submitter.register_enable_rings()
    }

    /// Another descriptor of the same ring.
    #[cfg(test)]
    pub fn duplicate(&self) -> OwnedFd {
        // SAFETY: (D) the ring owns its descriptor, which is open.
        let own = unsafe { BorrowedFd::borrow_raw(self.ring.get().as_raw_fd()) };
        own.try_clone_to_owned().expect("a descriptor is left")
    }

    /// Queues an operation, submitting what is queued when there is no room.
    ///
    /// # Safety
    ///
    /// Memory named by `entry` stays valid and untouched until the operation has ended (M).
    pub unsafe fn push(&mut self, entry: &squeue::Entry) {
        loop {
            // SAFETY: (M) promised by the caller.
            let pushed = unsafe { self.submission().push(entry) };
            if pushed.is_ok() {
                self.queued += 1;
                return;
            }
            self.enter(Some(Duration::ZERO));
        }
    }

    fn submission(&mut self) -> squeue::SubmissionQueue<'_> {
        // SAFETY: (T) there is one at a time: it borrows `self` exclusively.
        unsafe { self.ring.get().submission_shared() }
    }

    fn completion(&mut self) -> cqueue::CompletionQueue<'_> {
        // SAFETY: (T) there is one at a time: it borrows `self` exclusively.
        unsafe { self.ring.get().completion_shared() }
    }

    /// How many operations were queued so far.
    pub fn queued(&self) -> u64 {
        self.queued
    }

    /// How many of them the kernel has taken, in the order in which they were queued.
    pub fn submitted(&mut self) -> u64 {
        self.queued - self.submission().len() as u64
    }

    /// The kernel keeps completions that did not fit into the queue; the next enter moves them
    /// there.
    pub fn overflowed(&mut self) -> bool {
        self.submission().cq_overflow()
    }

    /// Submits what is queued, lets deferred work run, and waits for a completion, at most
    /// `timeout`. An interrupted or refused call is an early return: what was not taken stays
    /// queued. A refused call lasts [`REFUSED_ENTER_PAUSE`].
    pub fn enter(&mut self, timeout: Option<Duration>) {
        let queued = self.submission().len() as u32;
        let want = u32::from(timeout != Some(Duration::ZERO));
        self.enter_with(queued, want, timeout);
    }

    fn enter_with(&self, submit: u32, want: u32, timeout: Option<Duration>) {
        let timespec = timeout.map(Timespec::from);
        let arguments = match &timespec {
            Some(timespec) => SubmitArgs::new().timespec(timespec),
            None => SubmitArgs::new(),
        };
        // SAFETY: (M) the kernel reads the arguments and the timespec during the call only; what
        // the queued operations lend was promised when they were pushed.
        let entered =
            unsafe { (self.submitter).enter(submit, want, self.enter_flags, Some(&arguments)) };
        match entered.map_err(|error| error.raw_os_error()) {
            Ok(_) | Err(Some(libc::ETIME | libc::EINTR)) => {}
            Err(_) => std::thread::sleep(REFUSED_ENTER_PAUSE),
        }
    }

    /// Ends every operation in flight and takes back all memory that the kernel was lent. After
    /// success the kernel writes to no memory but the ring's own. What is queued is not submitted.
    pub fn shut_down(&mut self) -> io::Result<()> {
        self.end_operations()?;
        match self.submitter.unregister_buf_ring(BUFFER_GROUP) {
            // There are no buffers: they were refused.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            other => other?,
        }
        match self.submitter.unregister_ring_fd() {
            // It was not registered.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            other => other,
        }
    }

    fn end_operations(&mut self) -> io::Result<()> {
        for _ in 0..CANCEL_ROUNDS_MAX {
            let timeout = Some(CANCEL_TIMEOUT.into());
            let canceled = (self.submitter).register_sync_cancel(timeout, CancelBuilder::any());
            match canceled {
                // There are none; most kernels report success then.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                other => other?,
            }
            // An operation ends when its deferred work runs, which entering makes it do.
            let mut completions = Vec::new();
            self.enter_with(0, 0, Some(Duration::ZERO));
            self.reap(&mut completions);
            while self.overflowed() {
                self.enter_with(0, 0, Some(Duration::ZERO));
                self.reap(&mut completions);
            }
            if completions.is_empty() {
                return Ok(());
            }
        }
        Err(io::Error::from_raw_os_error(libc::EBUSY))
    }

    /// Moves completions that are ready to the end of `into`.
    pub fn reap(&mut self, into: &mut Vec<cqueue::Entry>) {
        into.extend(self.completion());
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
        .setup_r_disabled()
        .dontfork();
    if features >= Features::Linux6_6 {
        builder.setup_no_sqarray();
    }
    builder.build(SQ_ENTRIES)
}

#[cfg(test)]
mod tests;
