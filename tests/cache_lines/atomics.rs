//! Atomics and locks that note which cache lines this thread touches.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::Location;
use std::path::Path;
use std::sync::{LockResult, MutexGuard, TryLockResult, atomic};

pub use std::sync::atomic::{Ordering, fence};

/// Bytes that are kept apart: a line and its neighbour, which processors fetch together (`CachePadded`).
const LINE_BYTES: usize = 128;

/// How a line was touched.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// The file that did it, without its folder and extension.
    pub kind: &'static str,
    /// How often it was written, or might have been: one that compares takes the line in any case.
    pub writes: usize,
}

/// Lines by their number: the address by the size.
pub type Lines = BTreeMap<usize, Access>;

thread_local! {
    static NOTED: RefCell<Lines> = const { RefCell::new(Lines::new()) };
}

/// The lines that `run` touches.
pub fn noted(run: impl FnOnce()) -> Lines {
    NOTED.take();
    run();
    NOTED.take()
}

#[track_caller]
fn touch<T>(object: &T, writes: usize) {
    let file = Path::new(Location::caller().file());
    let kind = file.file_stem().and_then(|stem| stem.to_str());
    let access = Access {
        kind: kind.unwrap_or_default(),
        writes: 0,
    };
    let line = std::ptr::from_ref(object).addr() / LINE_BYTES;
    NOTED.with_borrow_mut(|lines| lines.entry(line).or_insert(access).writes += writes);
}

/// An atomic of the standard library with these operations.
macro_rules! atomic {
    ($name:ident, $value:ty, { $($fetch:ident)* }) => {
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub struct $name(atomic::$name);

        impl $name {
            pub const fn new(value: $value) -> Self {
                $name(atomic::$name::new(value))
            }

            #[track_caller]
            pub fn load(&self, order: Ordering) -> $value {
                touch(self, 0);
                self.0.load(order)
            }

            #[track_caller]
            pub fn store(&self, value: $value, order: Ordering) {
                touch(self, 1);
                self.0.store(value, order);
            }

            #[track_caller]
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                touch(self, 1);
                self.0.swap(value, order)
            }

            #[track_caller]
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                touch(self, 1);
                self.0.compare_exchange(current, new, success, failure)
            }

            #[track_caller]
            pub fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                // One that never fails without a reason is a weak one, too.
                self.compare_exchange(current, new, success, failure)
            }

            #[track_caller]
            pub fn fetch_update(
                &self,
                set: Ordering,
                fetch: Ordering,
                change: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                touch(self, 1);
                self.0.fetch_update(set, fetch, change)
            }

            $(
                #[track_caller]
                pub fn $fetch(&self, value: $value, order: Ordering) -> $value {
                    touch(self, 1);
                    self.0.$fetch(value, order)
                }
            )*
        }
    };
}

atomic!(AtomicBool, bool, {});
atomic!(AtomicU32, u32, { fetch_add fetch_sub fetch_max });
atomic!(AtomicU64, u64, { fetch_add fetch_sub fetch_max });
atomic!(AtomicUsize, usize, { fetch_add fetch_sub fetch_max });

/// A lock. To take it is one write, to give it back another one; what it protects follows it in memory.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Mutex(std::sync::Mutex::new(value))
    }

    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        touch(self, 2);
        self.0.lock()
    }

    #[track_caller]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        touch(self, 2);
        self.0.try_lock()
    }
}
