//! A value that some threads replace and another one looks at from time to time.

use std::sync::PoisonError;

use crate::atomics::Mutex;

/// The last value of many. The lock is held for a move, so that nobody waits for it longer than that.
#[derive(Debug)]
pub struct Last<T>(Mutex<Option<T>>);

impl<T> Default for Last<T> {
    fn default() -> Self {
        Last(Mutex::new(None))
    }
}

impl<T> Last<T> {
    /// Replaces it.
    pub fn set(&self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    }

    /// Takes it away; `None`: there was none since the last time.
    pub fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
