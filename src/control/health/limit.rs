//! How many probes are under way at once: a start with many servers does not begin them all in one
//! burst, and a small server that stands in many backends is not overrun by its probes.
//!
//! A probe counts against the limit of its address until it ends. Against the limit of the process
//! it counts until it ends, but for no longer than [`BURST_TIME`]: servers that hang would delay
//! the probes of all others otherwise. Addresses take turns.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use socket2::SockAddr;

use crate::logic::time::Instant;

/// Probes that were begun within [`BURST_TIME`] and have not ended.
const BURST_MAX: usize = 32;

/// A probe that takes longer than this waits for its server, and costs nothing meanwhile.
const BURST_TIME: Duration = Duration::from_millis(100);

/// Probes under way to one IP address and port.
const ADDRESS_MAX: usize = 4;

/// A probe that waits: the id of its server, and when it was due.
type Waiting = (u64, Instant);

/// Probes to one address.
#[derive(Debug, Default)]
struct Lane {
    under_way: usize,
    waiting: VecDeque<Waiting>,
}

impl Lane {
    fn can_begin(&self) -> bool {
        self.under_way < ADDRESS_MAX && !self.waiting.is_empty()
    }
}

/// A probe that may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The id of its server.
    pub server: u64,
    /// When it was due.
    pub due: Instant,
    /// To be given back when it ends.
    pub slot: Slot,
}

/// What a probe under way holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    address: SockAddr,
    number: u64,
}

/// All probes that wait or are under way.
#[derive(Debug, Default)]
pub struct Limiter {
    lanes: HashMap<SockAddr, Lane>,
    /// Addresses with a probe that can begin, each once, the next first.
    turns: VecDeque<SockAddr>,
    /// Numbers of probes that count against the limit of the process, oldest first, and when they
    /// began.
    burst: VecDeque<(u64, Instant)>,
    /// Of the newest probe.
    number: u64,
}

impl Limiter {
    /// Adds a probe of this server at this address.
    pub fn add(&mut self, server: u64, address: SockAddr, due: Instant) {
        let lane = self.lanes.entry(address.clone()).or_default();
        let had_turn = lane.can_begin();
        lane.waiting.push_back((server, due));
        if lane.can_begin() && !had_turn {
            self.turns.push_back(address);
        }
    }

    /// The next probe that may begin now. Its slot must be given back to [`Limiter::end`].
    pub fn begin(&mut self, now: Instant) -> Option<Begun> {
        while let Some((_, began)) = self.burst.front()
            && *began + BURST_TIME <= now
        {
            self.burst.pop_front();
        }
        if self.burst.len() >= BURST_MAX {
            return None;
        }
        let address = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(&address)?;
        let (server, due) = lane.waiting.pop_front()?;
        lane.under_way += 1;
        if lane.can_begin() {
            self.turns.push_back(address.clone());
        }
        self.number += 1;
        let number = self.number;
        self.burst.push_back((number, now));
        Some(Begun {
            server,
            due,
            slot: Slot { address, number },
        })
    }

    /// A probe has ended.
    pub fn end(&mut self, slot: Slot) {
        let Slot { address, number } = slot;
        self.burst.retain(|(other, _)| *other != number);
        let Some(lane) = self.lanes.get_mut(&address) else {
            return;
        };
        let had_turn = lane.can_begin();
        lane.under_way -= 1;
        if lane.can_begin() && !had_turn {
            self.turns.push_back(address.clone());
        }
        if lane.under_way == 0 && lane.waiting.is_empty() {
            self.lanes.remove(&address);
        }
    }

    /// When a probe that waits may begin although none has ended.
    pub fn next_begin(&self) -> Option<Instant> {
        if self.turns.is_empty() {
            return None;
        }
        self.burst.front().map(|(_, began)| *began + BURST_TIME)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    const NOW: Instant = Instant::ZERO;

    fn address(port: u16) -> SockAddr {
        SocketAddr::from(([127, 0, 0, 1], port)).into()
    }

    fn all(limiter: &mut Limiter, now: Instant) -> Vec<Begun> {
        std::iter::from_fn(|| limiter.begin(now)).collect()
    }

    #[test]
    fn one_address_has_four_at_once_in_order() {
        let mut limiter = Limiter::default();
        for server in 0..10 {
            limiter.add(server, address(1), NOW);
        }
        let mut begun = all(&mut limiter, NOW);
        let mut order: Vec<_> = begun.iter().map(|begun| begun.server).collect();
        assert_eq!(order, [0, 1, 2, 3]);
        // Time alone gives an address nothing.
        assert_eq!(limiter.next_begin(), None);
        assert_eq!(limiter.begin(NOW + BURST_TIME * 9), None);
        while let Some(ended) = begun.pop() {
            limiter.end(ended.slot);
            let next = all(&mut limiter, NOW);
            assert!(next.len() <= 1);
            order.extend(next.iter().map(|begun| begun.server));
            begun.extend(next);
        }
        assert_eq!(order, (0..10).collect::<Vec<_>>());
        assert!(limiter.lanes.is_empty() && limiter.burst.is_empty());
    }

    #[test]
    fn addresses_take_turns() {
        let mut limiter = Limiter::default();
        for (server, port) in [(0, 1), (1, 1), (2, 1), (3, 2), (4, 3)] {
            limiter.add(server, address(port), NOW);
        }
        let order: Vec<_> = (all(&mut limiter, NOW).iter())
            .map(|begun| begun.server)
            .collect();
        assert_eq!(order, [0, 3, 4, 1, 2]);
    }

    #[test]
    fn a_burst_is_bounded_and_servers_that_hang_do_not_stop_the_others() {
        let mut limiter = Limiter::default();
        for server in 0..100 {
            limiter.add(server, address(server as u16 + 1), NOW);
        }
        let first = all(&mut limiter, NOW);
        assert_eq!(first.len(), BURST_MAX);
        limiter.end(first[5].slot.clone());
        assert_eq!(all(&mut limiter, NOW).len(), 1, "one has ended");
        // None of the others ends.
        let due = limiter.next_begin().unwrap();
        assert_eq!(due, NOW + BURST_TIME);
        assert_eq!(all(&mut limiter, due).len(), BURST_MAX);
        limiter.end(first[6].slot.clone());
        assert_eq!(limiter.begin(due), None, "that one counted no more");
    }
}
