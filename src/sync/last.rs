//! An address that one thread replaces and another one looks at from time to time.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// The last address of many. The lock is held for a copy, so that nobody waits for it longer than that.
#[derive(Debug, Default)]
pub struct LastAddress(Mutex<Option<IpAddr>>);

impl LastAddress {
    /// Replaces it.
    pub fn set(&self, address: IpAddr) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    /// Takes it away; `None`: there was none since the last time.
    pub fn take(&self) -> Option<IpAddr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
