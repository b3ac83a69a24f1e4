//! What balancing needs to know of a server: whether it can be used, and its weight.

use crate::atomics::{AtomicU32, Ordering, fence};

/// Whether new sessions may go to a server, and its weight, in one atomic number, so that no reader sees
/// half of a change. The health thread writes it, workers read it whenever they choose a server. Beside that
/// it says whether the server was removed.
#[derive(Debug)]
pub struct ServerAvailability(AtomicU32);

/// Health and operators allow new sessions.
const ALLOWED: u32 = 1 << 31;

/// The server was removed from its backend.
const LEAVING: u32 = 1 << 30;

/// The weight.
const WEIGHT: u32 = LEAVING - 1;

impl ServerAvailability {
    /// Usable, with this weight.
    pub fn new(weight: u32) -> Self {
        ServerAvailability(AtomicU32::new(weight | ALLOWED))
    }

    /// Changes whether new sessions are allowed, and the weight. Notify the workers in which sessions wait for
    /// the server after this.
    pub fn publish(&self, usable: bool, weight: u32) {
        debug_assert!(weight <= WEIGHT);
        let allowed = if usable { ALLOWED } else { 0 };
        self.change(|old| (old & LEAVING) | allowed | weight);
    }

    /// Notes that the server was removed, or that it is there again. Notify the workers as after
    /// [`ServerAvailability::publish`].
    pub fn set_leaving(&self, leaving: bool) {
        let leaving = if leaving { LEAVING } else { 0 };
        self.change(|old| (old & !LEAVING) | leaving);
    }

    /// The health thread and who changes the set of servers may both write.
    fn change(&self, new: impl Fn(u32) -> u32) {
        let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
        // It never fails, because a new value is always given.
        let _ = self.0.fetch_update(set, fetch, |old| Some(new(old)));
        fence(Ordering::SeqCst);
    }

    /// Whether new sessions may go there.
    pub fn is_usable(&self) -> bool {
        self.0.load(Ordering::SeqCst) & (ALLOWED | LEAVING) == ALLOWED
    }

    /// Whether it was removed: it gets no new sessions, whatever was published of its health.
    pub fn is_leaving(&self) -> bool {
        self.0.load(Ordering::SeqCst) & LEAVING != 0
    }

    /// What was published last: whether new sessions are allowed, and the weight.
    pub fn published(&self) -> (bool, u32) {
        let value = self.0.load(Ordering::SeqCst);
        (value & ALLOWED != 0, value & WEIGHT)
    }

    /// Its weight in effect, whether it is usable or not; 0 to 2^30 - 1.
    pub fn weight(&self) -> u32 {
        self.0.load(Ordering::SeqCst) & WEIGHT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn availability_is_read_as_it_was_published() {
        let availability = ServerAvailability::new(256);
        let read = || (availability.is_usable(), availability.weight());
        assert_eq!(read(), (true, 256));
        availability.publish(false, 7);
        assert_eq!(read(), (false, 7));
        availability.publish(true, 0);
        assert_eq!(read(), (true, 0));
    }

    #[test]
    fn a_server_that_was_removed_is_not_usable_until_it_is_there_again() {
        let availability = ServerAvailability::new(5);
        availability.set_leaving(true);
        assert!(!availability.is_usable() && availability.is_leaving());
        availability.publish(true, 9);
        assert!(!availability.is_usable(), "whatever its health");
        assert_eq!(availability.published(), (true, 9));
        availability.set_leaving(false);
        assert!(availability.is_usable() && !availability.is_leaving());
        assert_eq!(availability.weight(), 9);
        availability.set_leaving(true);
        availability.publish(false, 3);
        availability.set_leaving(false);
        assert!(!availability.is_usable(), "it went down meanwhile");
    }
}
