//! A value that is replaced as a whole.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::atomics::{AtomicU64, Ordering, fence};

/// A value that never changes until another one takes its place. Whoever has seen a version looks for a newer
/// value with one load.
#[derive(Debug)]
pub struct Published<T> {
    value: ArcSwap<T>,
    version: AtomicU64,
}

impl<T> Published<T> {
    /// This value, of version 0.
    pub fn new(value: Arc<T>) -> Self {
        Published {
            value: ArcSwap::new(value),
            version: AtomicU64::new(0),
        }
    }

    /// The value now. One that was read after its version is at least as new as that.
    pub fn load(&self) -> Arc<T> {
        self.value.load_full()
    }

    /// The number of values that there were before.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// Replaces the value. Only one thread at a time calls this. Look into the wait registry after this, and
    /// notify workers: either this thread sees that one waits, or that one sees the new version.
    pub fn publish(&self, value: Arc<T>) {
        self.value.store(value);
        self.version.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_at_least_as_new_as_the_version_that_was_read_before_it() {
        let published = Published::new(Arc::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for value in 1..=10_000 {
                    published.publish(Arc::new(value));
                }
            });
            let mut seen = 0;
            while seen < 10_000 {
                let version = published.version();
                let value = *published.load();
                assert!(version >= seen && value >= version, "{value} at {version}");
                seen = version;
            }
        });
        assert_eq!((published.version(), *published.load()), (10_000, 10_000));
    }
}
