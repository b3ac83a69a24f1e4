//! `first`: fills one server after the other, in the order of the file.
//!
//! For backends that should use as few servers as they can, so that the others may sleep. It makes
//! sense only with a limit of sessions on each server, and looks at weights only to leave out those
//! of 0. Ends at the first open server.

use super::candidates::{Open, Servers};

/// The algorithm `first`, which remembers nothing.
#[derive(Clone, Debug)]
pub struct First;

impl First {
    pub(super) fn choose<S: Servers>(&self, open: &Open<'_, S>) -> Option<usize> {
        open.iter().next().map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use crate::logic::balance::tests::{Table, balancer, choose, server};
    use crate::logic::balance::{Algorithm, Choice};

    #[test]
    fn fills_in_the_order_of_the_file_and_falls_back_to_earlier_ones() {
        let mut servers = Table::new([server(1), server(256), server(1)]);
        let mut first = balancer(Algorithm::First, &servers);
        for index in 0..3 {
            for _ in 0..4 {
                assert_eq!(choose(&mut first, &servers), Choice::Server(index));
            }
            servers[index].full = true;
        }
        assert_eq!(choose(&mut first, &servers), Choice::Full);
        servers[1].full = false;
        assert_eq!(choose(&mut first, &servers), Choice::Server(1));
    }
}
