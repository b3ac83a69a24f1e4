//! Memory that the kernel reads and writes: mapped in blocks, or allocated in exactly the size of
//! some bytes.

use std::io;
use std::ptr::NonNull;

/// Anonymous memory, unmapped when dropped.
pub(super) struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// Maps `len` bytes of zeros, which take memory only when they are touched.
    pub fn new(len: usize) -> io::Result<Self> {
        // SAFETY: (M) a new private mapping at an address of the kernel's choice overlaps no
        // memory in use.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        match NonNull::new(base.cast::<u8>()) {
            Some(base) if base.as_ptr().cast() != libc::MAP_FAILED => Ok(Mapping { base, len }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Its first byte.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Dropping it will not unmap it.
    pub fn leak(&mut self) {
        self.len = 0;
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.len == 0 {
            return;
        }
        // SAFETY: (M, O) the mapping is ours alone: an engine that has lent it to the kernel has taken
        // it back before, or has leaked it.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// A copy of some bytes in memory of their size, freed when dropped.
pub(super) struct SizedCopy(NonNull<[u8]>);

impl SizedCopy {
    /// `None`: there is no memory for it.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len()).ok()?;
        copy.extend_from_slice(bytes);
        Some(SizedCopy(NonNull::from(Box::leak(copy.into_boxed_slice()))))
    }

    /// Its first byte.
    pub fn base(&self) -> NonNull<u8> {
        self.0.cast()
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Drop for SizedCopy {
    fn drop(&mut self) {
        // SAFETY: (M) made by `Box::leak` in `of` and freed here only, when its `Buffer` was given
        // back: the kernel has returned it.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
