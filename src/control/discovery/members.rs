//! The discovered servers of a backend, and what a new set of them changes. Pure.

use std::net::SocketAddr;

use super::found::Servers;

/// The servers that are in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    servers: Servers,
}

/// What a new set has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// In order.
    pub joined: Vec<SocketAddr>,
    /// In order.
    pub left: Vec<SocketAddr>,
    /// Whether a server that stays has another weight.
    pub reweighted: bool,
    /// Servers of the set that there was no room for.
    pub left_out: usize,
}

impl Change {
    /// Whether the servers are as they were.
    pub fn is_none(&self) -> bool {
        self.joined.is_empty() && self.left.is_empty() && !self.reweighted
    }
}

impl Members {
    /// The servers that are in, in the order of their addresses, IPv4 first.
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// Takes a new set. If it has more than `max`, servers that are in stay in; then those with the lowest
    /// addresses are taken.
    pub fn update(&mut self, found: &Servers, max: usize) -> Change {
        let is_in = |address: &SocketAddr| self.servers.contains_key(address);
        let (stay, new): (Vec<_>, Vec<_>) = found.iter().partition(|(address, _)| is_in(address));
        let servers: Servers = (stay.into_iter().chain(new))
            .take(max)
            .map(|(address, weight)| (*address, *weight))
            .collect();
        let without = |some: &Servers, others: &Servers| -> Vec<SocketAddr> {
            let some = some.keys().copied();
            some.filter(|one| !others.contains_key(one)).collect()
        };
        let change = Change {
            joined: without(&servers, &self.servers),
            left: without(&self.servers, &servers),
            reweighted: servers.iter().any(|(address, weight)| {
                let before = self.servers.get(address);
                before.is_some_and(|before| before != weight)
            }),
            left_out: found.len() - servers.len(),
        };
        self.servers = servers;
        change
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn address(last: u8) -> SocketAddr {
        ([10, 0, 0, last], 80).into()
    }

    fn set(lasts: impl IntoIterator<Item = u8>) -> Servers {
        let all = lasts.into_iter();
        all.map(|last| (address(last), None)).collect()
    }

    #[test]
    fn a_change_says_who_joined_and_who_left() {
        let mut members = Members::default();
        let change = members.update(&set([2, 1]), 10);
        assert_eq!(change.joined, [address(1), address(2)]);
        assert!(change.left.is_empty());
        assert!(members.update(&set([1, 2]), 10).is_none());
        let change = members.update(&set([2, 3]), 10);
        assert_eq!(change.joined, [address(3)]);
        assert_eq!(change.left, [address(1)]);
        let reweighted = Servers::from([(address(2), Some(7)), (address(3), None)]);
        let change = members.update(&reweighted, 10);
        assert!(change.reweighted && !change.is_none());
        assert!(change.joined.is_empty() && change.left.is_empty());
        assert_eq!(members.servers(), &reweighted);
    }

    #[test]
    fn who_is_in_stays_in_then_the_lowest_are_taken() {
        let mut members = Members::default();
        members.update(&set([5, 9]), 3);
        let change = members.update(&set([1, 2, 3, 5, 9]), 3);
        assert_eq!(members.servers(), &set([1, 5, 9]));
        assert_eq!(change.left_out, 2);
        // A lower limit takes some away.
        let change = members.update(&set([1, 2, 3, 5, 9]), 2);
        assert_eq!(members.servers(), &set([1, 5]));
        assert_eq!((change.left, change.left_out), (vec![address(9)], 3));
    }

    proptest! {
        /// Against the rule as it is written.
        #[test]
        fn members_are_what_the_rule_says(
            rounds in prop::collection::vec((prop::collection::btree_set(0..40u8, 0..30), 1..20usize), 1..20)
        ) {
            let mut members = Members::default();
            let mut model: BTreeSet<u8> = BTreeSet::new();
            for (found, max) in rounds {
                let before = model.clone();
                let stay: Vec<u8> = before.intersection(&found).copied().collect();
                let new: Vec<u8> = found.difference(&before).copied().collect();
                model = stay.into_iter().chain(new).take(max).collect();
                let change = members.update(&set(found.iter().copied()), max);
                prop_assert_eq!(members.servers(), &set(model.iter().copied()));
                let addresses = |lasts: BTreeSet<u8>| -> Vec<SocketAddr> {
                    lasts.into_iter().map(address).collect()
                };
                prop_assert_eq!(change.joined, addresses(&model - &before));
                prop_assert_eq!(change.left, addresses(&before - &model));
                prop_assert_eq!(change.left_out, found.len() - model.len());
                prop_assert!(!change.reweighted);
            }
        }
    }
}
