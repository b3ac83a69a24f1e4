//! Memory that the kernel reads and writes: mapped in blocks, or of the size of some bytes.

use std::alloc::{self, Layout};
use std::io;
use std::ptr::NonNull;
use std::sync::{Arc, LazyLock};

/// Anonymous memory, unmapped when dropped.
#[derive(Debug)]
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

/// From so many bytes on, a copy is a mapping of its own: what the allocator frees of that size stays
/// with the process, a mapping goes back to the kernel.
const MAPPED_BYTES_MIN: usize = 8 * 1024;

/// The most copies that are mappings, in all threads together. The kernel allows a process 65,530
/// mappings of all kinds, unless `vm.max_map_count` says otherwise.
const MAPPED_MAX: usize = 1 << 14;

/// The unit of mappings; where pages are larger, so are these.
const PAGE_BYTES: usize = 4096;

/// Its clones count the copies that are mappings.
static MAPPED: LazyLock<Arc<()>> = LazyLock::new(Arc::default);

/// A copy of some bytes in memory of their size, freed when dropped.
#[derive(Debug)]
pub struct SizedCopy(Place);

#[derive(Debug)]
enum Place {
    /// Allocated by `Box`.
    Heap(NonNull<[u8]>),
    /// The first `len` bytes of a mapping.
    Mapped {
        mapping: Mapping,
        len: usize,
        _counted: Arc<()>,
    },
}

impl SizedCopy {
    /// `None`: there is no memory for it.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        Self::mapped(bytes, MAPPED_MAX).or_else(|| Self::on_heap(bytes))
    }

    /// `None`: it has too few bytes for a mapping, or there are `max` such mappings, or the kernel refuses one.
    fn mapped(bytes: &[u8], max: usize) -> Option<Self> {
        if bytes.len() < MAPPED_BYTES_MIN {
            return None;
        }
        let counted = Arc::clone(&MAPPED);
        // One is that of the static itself.
        if Arc::strong_count(&counted) > max + 1 {
            return None;
        }
        let mut copy = SizedCopy(Place::Mapped {
            mapping: Mapping::new(whole_pages(bytes.len())).ok()?,
            len: 0,
            _counted: counted,
        });
        copy.refill(bytes).then_some(copy)
    }

    fn on_heap(bytes: &[u8]) -> Option<Self> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len()).ok()?;
        copy.extend_from_slice(bytes);
        let copy = Box::leak(copy.into_boxed_slice());
        Some(SizedCopy(Place::Heap(NonNull::from(copy))))
    }

    /// Copies other bytes, into the memory it has if that has their size. Like the allocation of a `Vec`, it
    /// ends the process if there is no memory for them.
    pub fn replace(&mut self, bytes: &[u8]) {
        if !self.refill(bytes) {
            // What is not needed is given back first.
            *self = SizedCopy::default();
            *self = SizedCopy::of(bytes)
                .unwrap_or_else(|| alloc::handle_alloc_error(Layout::for_value(bytes)));
        }
    }

    /// Copies other bytes into its mapping. False: it has none, or one of another size than theirs.
    fn refill(&mut self, bytes: &[u8]) -> bool {
        match &mut self.0 {
            Place::Mapped { mapping, len, .. } if mapping.len == whole_pages(bytes.len()) => {
                let base = mapping.base.as_ptr();
                // SAFETY: (M) the mapping has room for them, and is here exclusively: only a pool lends a
                // copy to the kernel, and it replaces none.
                unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), base, bytes.len()) };
                *len = bytes.len();
                true
            }
            Place::Mapped { .. } | Place::Heap(_) => false,
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: (M) the memory is ours and has a value; a pool, which writes by `base`, reads and writes
        // its copies by the rules of its buffers instead.
        unsafe { std::slice::from_raw_parts(self.base().as_ptr(), self.len()) }
    }

    /// Its first byte.
    pub(super) fn base(&self) -> NonNull<u8> {
        match &self.0 {
            Place::Heap(bytes) => bytes.cast(),
            Place::Mapped { mapping, .. } => mapping.base(),
        }
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> usize {
        match &self.0 {
            Place::Heap(bytes) => bytes.len(),
            Place::Mapped { len, .. } => *len,
        }
    }

    /// The memory that it takes, beside what allocator and kernel keep about it.
    pub(super) fn footprint(&self) -> usize {
        match &self.0 {
            Place::Heap(bytes) => bytes.len(),
            Place::Mapped { mapping, .. } => mapping.len,
        }
    }
}

impl Default for SizedCopy {
    /// A copy of nothing, which takes no memory.
    fn default() -> Self {
        SizedCopy(Place::Heap(NonNull::from(&mut [])))
    }
}

impl Drop for SizedCopy {
    fn drop(&mut self) {
        if let Place::Heap(bytes) = self.0 {
            // SAFETY: (M) made by `Box::leak` in `on_heap`, or empty, and freed here only: if a pool has
            // lent it to the kernel, that has returned it.
            drop(unsafe { Box::from_raw(bytes.as_ptr()) });
        }
    }
}

fn whole_pages(len: usize) -> usize {
    len.next_multiple_of(PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_mapped(copy: &SizedCopy) -> bool {
        matches!(copy.0, Place::Mapped { .. })
    }

    #[test]
    fn a_copy_has_its_bytes_and_is_a_mapping_if_there_are_many() {
        for len in [0, 1, 8191, 8192, 8193, 60_000, 1 << 17] {
            let bytes: Vec<u8> = (0..len).map(|index| index as u8).collect();
            let copy = SizedCopy::of(&bytes).unwrap();
            assert_eq!((copy.bytes(), copy.len()), (&bytes[..], len));
            assert_eq!(is_mapped(&copy), len >= 8192, "{len}");
            assert!((len..len + PAGE_BYTES).contains(&copy.footprint()));
        }
    }

    #[test]
    fn further_bytes_take_the_place_of_the_old_ones() {
        let mut copy = SizedCopy::default();
        for len in [0, 9000, 9001, 12_288, 12_289, 9000, 7, 8, 0] {
            let before = is_mapped(&copy).then(|| (copy.base(), copy.footprint()));
            copy.replace(&vec![len as u8; len]);
            assert_eq!(copy.bytes(), vec![len as u8; len]);
            if let Some((base, footprint)) = before
                && footprint == whole_pages(len)
            {
                assert_eq!(copy.base(), base, "{len}");
            }
        }
    }

    #[test]
    fn beyond_the_limit_a_copy_is_no_mapping() {
        let bytes = [7; MAPPED_BYTES_MIN];
        let first = SizedCopy::mapped(&bytes, MAPPED_MAX).unwrap();
        assert!(SizedCopy::mapped(&bytes, 1).is_none(), "that one counts");
        assert_eq!(first.bytes(), SizedCopy::on_heap(&bytes).unwrap().bytes());
    }
}
