//! Limits on one client: how many sessions it has open, and how many it begins in a time.
//!
//! The rate is limited by the generic cell rate algorithm (ITU-T I.371, virtual scheduling): of a client one point
//! in time is kept, and a session may begin if that is not too far ahead of now. Sessions that begin
//! evenly are never refused, and up to `burst` may begin at once.

use std::net::IpAddr;

use super::network::{Network, Networks};
use super::time::Instant;

/// Why a connection was refused for its client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientRefusal {
    /// `deny` has the address.
    Denied,
    /// `allow` does not have the address.
    NotAllowed,
    /// Its client begins sessions too often.
    Rate,
    /// Its client has as many open sessions as it may have.
    Sessions,
}

impl ClientRefusal {
    /// All reasons, by [`ClientRefusal::index`].
    pub const ALL: [ClientRefusal; 4] = [
        ClientRefusal::Denied,
        ClientRefusal::NotAllowed,
        ClientRefusal::Rate,
        ClientRefusal::Sessions,
    ];

    /// Its place in [`ClientRefusal::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name in statistics, metrics and the log.
    pub const fn name(self) -> &'static str {
        match self {
            ClientRefusal::Denied => "denied",
            ClientRefusal::NotAllowed => "not_allowed",
            ClientRefusal::Rate => "rate",
            ClientRefusal::Sessions => "sessions",
        }
    }
}

/// How much the times of two workers may differ, in nanoseconds: each reads the clock once in a turn of its loop.
const CLOCK_SKEW: u64 = 1_000_000;

/// How often a client may begin sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Nanoseconds from one session to the next, if they come evenly; at least 1.
    pub interval: u64,
    /// Sessions that may begin at once; at least 1.
    pub burst: u32,
}

impl RateLimit {
    /// Decides on a session that would begin now, `true`: it is admitted. `due` is kept for the client, at first
    /// [`Instant::ZERO`]: when one more session would come evenly.
    pub fn admit(&self, due: &mut Instant, now: Instant) -> bool {
        let all = self.interval.saturating_mul(u64::from(self.burst));
        // Further ahead only after a change of the limit: the new one is what counts.
        *due = (*due).min(Instant::from_nanos(now.as_nanos().saturating_add(all)));
        let ahead = due.as_nanos().saturating_sub(now.as_nanos());
        let next = ahead.saturating_add(self.interval);
        // Less than an interval, so that it never admits one more.
        let skew = CLOCK_SKEW.min(self.interval / 2);
        let is_admitted = next <= all.saturating_add(skew);
        if is_admitted {
            *due = Instant::from_nanos(now.as_nanos().saturating_add(next));
        }
        is_admitted
    }
}

/// Whether the lists of a frontend let a client with this address in, or one without an address: `deny` wins over
/// `allow`, and without `allow` everybody else may come.
///
/// # Errors
///
/// Which list is against it.
pub fn check_lists(
    allow: Option<&Networks>,
    deny: Option<&Networks>,
    client: Option<IpAddr>,
) -> Result<(), ClientRefusal> {
    let is_in = |list: &Networks| client.is_some_and(|client| list.contains(client));
    if deny.is_some_and(is_in) {
        return Err(ClientRefusal::Denied);
    }
    match allow {
        Some(allow) if !is_in(allow) => Err(ClientRefusal::NotAllowed),
        Some(_) | None => Ok(()),
    }
}

/// The limits of each client of a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Open sessions, at least 1; `None`: not limited.
    pub sessions_max: Option<u32>,
    /// New sessions; `None`: not limited.
    pub rate: Option<RateLimit>,
    /// Addresses of IPv4 with the same first bits count as one client, 1..=32.
    pub ipv4_prefix: u8,
    /// Addresses of IPv6 with the same first bits count as one client, 1..=128.
    pub ipv6_prefix: u8,
}

impl ClientLimits {
    /// Decides on one more session of a client that has `sessions` open. `due` is kept for it: see
    /// [`RateLimit::admit`].
    ///
    /// # Errors
    ///
    /// Which limit it has reached.
    pub fn admit(
        &self,
        sessions: u32,
        due: &mut Instant,
        now: Instant,
    ) -> Result<(), ClientRefusal> {
        if self.sessions_max.is_some_and(|max| sessions >= max) {
            return Err(ClientRefusal::Sessions);
        }
        match self.rate {
            Some(rate) if !rate.admit(due, now) => Err(ClientRefusal::Rate),
            Some(_) | None => Ok(()),
        }
    }

    /// The address that the client with this one is counted by: its first bits, the others cleared. IPv4-mapped
    /// addresses count as IPv4.
    pub fn client(&self, address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            ip @ IpAddr::V4(_) => Network::new(ip, self.ipv4_prefix).address(),
            ip @ IpAddr::V6(_) => Network::new(ip, self.ipv6_prefix).address(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * MS)
    }

    /// How many of so many sessions that would begin at once are admitted.
    fn admitted(limit: RateLimit, due: &mut Instant, now: Instant, count: u32) -> u32 {
        (0..count).filter(|_| limit.admit(due, now)).count() as u32
    }

    #[test]
    fn a_burst_is_admitted_and_then_one_for_each_interval() {
        // 50 a second.
        let limit = RateLimit {
            interval: 20 * MS,
            burst: 5,
        };
        let mut due = Instant::ZERO;
        assert_eq!(admitted(limit, &mut due, at(1000), 9), 5);
        assert_eq!(admitted(limit, &mut due, at(1018), 9), 0);
        assert_eq!(admitted(limit, &mut due, at(1020), 9), 1);
        assert_eq!(admitted(limit, &mut due, at(1060), 9), 2);
        // What was refused does not count.
        assert_eq!(admitted(limit, &mut due, at(3000), 9), 5);
        // Evenly, for as long as one wants.
        let mut due = Instant::ZERO;
        let evenly = (0..1000).map(|n| admitted(limit, &mut due, at(20 * n), 1));
        assert_eq!(evenly.sum::<u32>(), 1000);
    }

    #[test]
    fn a_burst_of_one_is_an_interval() {
        let limit = RateLimit {
            interval: 20 * MS,
            burst: 1,
        };
        let mut due = Instant::ZERO;
        assert_eq!(
            admitted(limit, &mut due, at(0), 2),
            1,
            "at the start of the process"
        );
        assert_eq!(admitted(limit, &mut due, at(18), 2), 0);
        assert_eq!(admitted(limit, &mut due, at(20), 2), 1);
    }

    #[test]
    fn a_worker_whose_time_is_a_little_earlier_admits_the_whole_burst() {
        let limit = RateLimit {
            interval: 60_000 * MS,
            burst: 3,
        };
        let mut due = Instant::ZERO;
        assert_eq!(admitted(limit, &mut due, at(11), 1), 1);
        assert_eq!(admitted(limit, &mut due, at(10), 9), 2);
    }

    #[test]
    fn a_smaller_limit_counts_at_once() {
        let old = RateLimit {
            interval: 1000 * MS,
            burst: 3600,
        };
        let mut due = Instant::ZERO;
        admitted(old, &mut due, at(0), 3600);
        let new = RateLimit {
            interval: MS,
            burst: 1,
        };
        assert_eq!(admitted(new, &mut due, at(10), 1), 0);
        assert_eq!(admitted(new, &mut due, at(11), 2), 1);
        let far = RateLimit {
            interval: u64::MAX,
            burst: u32::MAX,
        };
        assert!(
            far.admit(&mut Instant::ZERO.clone(), at(5)),
            "sums stop at their end"
        );
    }

    #[test]
    fn clients_are_counted_by_their_prefix() {
        let limits = ClientLimits {
            sessions_max: Some(1),
            rate: None,
            ipv4_prefix: 24,
            ipv6_prefix: 64,
        };
        for (address, client) in [
            ("10.1.2.3", "10.1.2.0"),
            ("::ffff:10.1.2.3", "10.1.2.0"),
            ("2001:db8::1:2:3:4", "2001:db8::"),
        ] {
            let found = limits.client(address.parse().unwrap());
            assert_eq!(found, client.parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn reasons_are_numbered_in_their_order() {
        for (index, refusal) in ClientRefusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal.index(), index, "{}", refusal.name());
        }
    }
}
