//! What balancing needs to know of a server's health.

use crate::atomics::{AtomicU32, Ordering, fence};

/// Whether new sessions may go to a server, and its weight, in one atomic number, so that no reader sees
/// half of a change. The health thread writes it, workers read it whenever they choose a server.
#[derive(Debug)]
pub struct ServerAvailability(AtomicU32);

/// The bit of a [`ServerAvailability`] that is not weight.
const USABLE: u32 = 1 << 31;

impl ServerAvailability {
    /// Usable, with this weight.
    pub fn new(weight: u32) -> Self {
        ServerAvailability(AtomicU32::new(weight | USABLE))
    }

    /// Changes both. Notify the workers in which sessions wait for the server after this.
    pub fn publish(&self, usable: bool, weight: u32) {
        debug_assert!(weight < USABLE);
        let usable = if usable { USABLE } else { 0 };
        self.0.store(weight | usable, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Whether new sessions may go there.
    pub fn is_usable(&self) -> bool {
        self.0.load(Ordering::SeqCst) & USABLE != 0
    }

    /// Its weight in effect, whether it is usable or not; 0 to 2^31 - 1.
    pub fn weight(&self) -> u32 {
        self.0.load(Ordering::SeqCst) & !USABLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn availability_is_read_as_it_was_published() {
        let availability = ServerAvailability::new(256);
        assert_eq!(
            (availability.is_usable(), availability.weight()),
            (true, 256)
        );
        availability.publish(false, 7);
        assert_eq!(
            (availability.is_usable(), availability.weight()),
            (false, 7)
        );
        availability.publish(true, 0);
        assert_eq!((availability.is_usable(), availability.weight()), (true, 0));
    }
}
