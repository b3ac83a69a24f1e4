//! What HAProxy has for each server, and Ringway for a backend as a whole.

use super::notes::{Notes, Place};
use super::server::Server;

/// What all servers have; that of the first one, with a note on each that differs.
pub(super) fn shared<T: Default + PartialEq>(
    servers: &[&Server],
    what: &str,
    of: impl Fn(&Server) -> T,
    place: &Place,
    notes: &mut Notes,
) -> T {
    let Some((first, others)) = servers.split_first() else {
        return T::default();
    };
    let value = of(first);
    for server in others.iter().filter(|server| of(server) != value) {
        let why = format!("`{what}` is for a backend as a whole: that of its first server holds");
        notes.differs(place, &server.directive, why);
    }
    value
}
