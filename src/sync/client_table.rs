//! The clients of all frontends with limits for each client: open sessions, and when the next may begin.
//!
//! One table for all workers, in [`PARTS`] parts of which each has a lock of its own. The address chooses the part,
//! so that workers meet at a lock only if their clients are in the same part at the same moment: it is
//! held for some hundred nanoseconds. Nothing waits for anything else while it holds one.
//!
//! A part that is full drops the client that has been idle for the longest time, without open sessions, before it
//! takes another one. Each part is full at its share of the table, so that a table with nearly as many clients as
//! it may have drops some a little early. Clients with open sessions are never dropped: their number is
//! bounded by that of the sessions.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{MutexGuard, OnceLock, PoisonError};

use crossbeam_utils::CachePadded;
use hashbrown::HashTable;

use crate::atomics::Mutex;
use crate::logic::client_limits::{ClientLimits, ClientRefusal};
use crate::logic::time::Instant;

/// Parts of the table.
const PARTS: usize = 1 << PART_BITS;

const PART_BITS: u32 = 10;

/// The number of no client.
const NONE: u32 = u32::MAX;

/// Whom a session is counted for, until it is given back by [`ClientTable::release`].
#[derive(Debug)]
#[must_use]
pub struct ClientPlace(NonZeroU32);

impl ClientPlace {
    fn new(part: usize, number: u32) -> Self {
        let both = (number + 1) << PART_BITS | part as u32;
        // It is not zero.
        ClientPlace(NonZeroU32::new(both).unwrap_or(NonZeroU32::MAX))
    }

    fn part(&self) -> usize {
        self.0.get() as usize % PARTS
    }

    /// The number of the client in its part, which it keeps as long as it has open sessions.
    fn number(&self) -> u32 {
        (self.0.get() >> PART_BITS) - 1
    }
}

/// Clients of one part, so that their numbers fit a [`ClientPlace`] with those of as many sessions as there can be.
const PART_CLIENTS_MAX: usize = 1 << 20;

/// What is known of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRecord {
    /// The frontend, by the number that was given with its sessions.
    pub frontend: u64,
    /// The address, with the bits behind its prefix cleared.
    pub address: IpAddr,
    /// Open sessions.
    pub sessions: u32,
    /// Sessions that began.
    pub sessions_started: u32,
    /// Connections that were refused because they came too often, and because too many sessions were open.
    pub refused: [u32; 2],
}

impl ClientRecord {
    /// All refused connections.
    pub fn refused_total(&self) -> u64 {
        self.refused.iter().map(|count| u64::from(*count)).sum()
    }
}

/// Whose client it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    frontend: u64,
    address: [u8; 16],
}

/// A client, on at most two cache lines.
struct Client {
    key: Key,
    due: Instant,
    sessions: u32,
    sessions_started: u32,
    refused: [u32; 2],
    /// Neighbours in the list of idle clients.
    previous: u32,
    next: u32,
}

const _: () = assert!(size_of::<Client>() <= 64);

/// Numbers of the first and the last client of a list.
struct List {
    first: u32,
    last: u32,
}

const EMPTY: List = List {
    first: NONE,
    last: NONE,
};

/// One part of the table.
struct Part {
    clients_max: usize,
    /// Numbers of clients, by the hash of their keys.
    index: HashTable<u32>,
    clients: Vec<Client>,
    /// Clients without open sessions, the longest idle first.
    idle: List,
    dropped: u64,
}

/// How many clients the table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientCounts {
    /// Clients that are known.
    pub known: usize,
    /// Clients that were dropped to make room for others.
    pub dropped: u64,
}

/// The clients of all frontends with limits.
pub struct ClientTable {
    /// Made when it is first needed.
    parts: OnceLock<Box<[CachePadded<Mutex<Part>>]>>,
    /// With random keys, so that nobody can choose addresses that meet in one part.
    hasher: RandomState,
}

impl Default for ClientTable {
    fn default() -> Self {
        ClientTable {
            parts: OnceLock::new(),
            hasher: RandomState::new(),
        }
    }
}

impl std::fmt::Debug for ClientTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientTable").finish_non_exhaustive()
    }
}

impl ClientTable {
    /// Clients that it has at most, unless [`ClientTable::set_max`] says otherwise.
    pub const CLIENTS_MAX: usize = 1_000_000;

    fn parts(&self) -> &[CachePadded<Mutex<Part>>] {
        self.parts.get_or_init(|| {
            let part = || CachePadded::new(Mutex::new(Part::new(Self::CLIENTS_MAX)));
            std::iter::repeat_with(part).take(PARTS).collect()
        })
    }

    /// Changes how many clients it has at most. One that has more already does not grow.
    pub fn set_max(&self, clients_max: usize) {
        for part in self.parts() {
            lock(part).clients_max = Part::share(clients_max);
        }
    }

    /// Decides on a session of the client with this address, at the frontend with this number; if it is admitted,
    /// counts it as open until it is given back.
    ///
    /// # Errors
    ///
    /// Which limit the client has reached; that is counted too.
    pub fn admit(
        &self,
        frontend: u64,
        address: IpAddr,
        limits: &ClientLimits,
        now: Instant,
    ) -> Result<ClientPlace, ClientRefusal> {
        let (key, hash, part) = self.find(frontend, address, limits);
        let mut locked = lock(&self.parts()[part]);
        let number = locked.find_or_insert(&key, hash, |key| self.hash(key));
        locked.admit(number, limits, now)?;
        Ok(ClientPlace::new(part, number))
    }

    /// How many sessions the client with this address has open, and what would be decided on one more. Nothing is
    /// counted.
    pub fn look(
        &self,
        frontend: u64,
        address: IpAddr,
        limits: &ClientLimits,
        now: Instant,
    ) -> (u32, Result<(), ClientRefusal>) {
        let (key, hash, part) = self.find(frontend, address, limits);
        let parts = self.parts.get();
        let (sessions, mut due) = parts.map_or((0, Instant::ZERO), |parts| {
            let part = lock(&parts[part]);
            let is_it = |number: &u32| part.clients[*number as usize].key == key;
            let number = part.index.find(hash, is_it);
            number.map_or((0, Instant::ZERO), |number| {
                let client = &part.clients[*number as usize];
                (client.sessions, client.due)
            })
        });
        (sessions, limits.admit(sessions, &mut due, now))
    }

    /// The key of a client, the hash of that, and the part of the table.
    fn find(&self, frontend: u64, address: IpAddr, limits: &ClientLimits) -> (Key, u64, usize) {
        let address = match limits.client(address) {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let key = Key {
            frontend,
            address: address.octets(),
        };
        let hash = self.hash(&key);
        // The table within the part uses other bits.
        (key, hash, (hash >> 20) as usize % PARTS)
    }

    /// Gives back an open session: it has ended.
    pub fn release(&self, place: ClientPlace) {
        let mut part = lock(&self.parts()[place.part()]);
        part.release(place.number());
    }

    /// How many clients there are. It visits every part.
    pub fn counts(&self) -> ClientCounts {
        let mut counts = ClientCounts::default();
        for part in self.parts.get().into_iter().flatten() {
            let part = lock(part);
            counts.known += part.clients.len();
            counts.dropped += part.dropped;
        }
        counts
    }

    /// Calls `look` with every client, part by part. No part is locked meanwhile.
    pub fn for_each(&self, mut look: impl FnMut(ClientRecord)) {
        for part in self.parts.get().into_iter().flatten() {
            let records: Vec<_> = lock(part).clients.iter().map(Client::record).collect();
            records.into_iter().for_each(&mut look);
        }
    }

    fn hash(&self, key: &Key) -> u64 {
        self.hasher.hash_one(key)
    }
}

/// A thread that ended in between has left nothing half done that matters.
fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Part {
    /// Of a table of this many clients.
    fn new(clients_max: usize) -> Self {
        Part {
            clients_max: Self::share(clients_max),
            index: HashTable::new(),
            clients: Vec::new(),
            idle: EMPTY,
            dropped: 0,
        }
    }

    fn share(clients_max: usize) -> usize {
        clients_max.div_ceil(PARTS).clamp(1, PART_CLIENTS_MAX)
    }

    /// The number of a client, which is idle if it is new.
    fn find_or_insert(&mut self, key: &Key, hash: u64, hasher: impl Fn(&Key) -> u64) -> u32 {
        let clients = &self.clients;
        let is_it = |number: &u32| clients[*number as usize].key == *key;
        if let Some(number) = self.index.find(hash, is_it) {
            return *number;
        }
        let client = Client {
            key: *key,
            due: Instant::ZERO,
            sessions: 0,
            sessions_started: 0,
            refused: [0; 2],
            previous: NONE,
            next: NONE,
        };
        let number = match self.idle.first {
            // With open sessions, too many have to be kept until they end.
            first if self.clients.len() < self.clients_max || first == NONE => {
                self.clients.push(client);
                self.clients.len() as u32 - 1
            }
            first => {
                self.drop_idle(first, &hasher);
                self.clients[first as usize] = client;
                first
            }
        };
        let clients = &self.clients;
        let of_number = |number: &u32| hasher(&clients[*number as usize].key);
        self.index.insert_unique(hash, number, of_number);
        self.append_idle(number);
        number
    }

    /// Takes an idle client out of the list and the index. Its place is free then.
    fn drop_idle(&mut self, number: u32, hasher: &impl Fn(&Key) -> u64) {
        self.remove_idle(number);
        let hash = hasher(&self.clients[number as usize].key);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == number) {
            entry.remove();
        }
        self.dropped += 1;
    }

    fn admit(
        &mut self,
        number: u32,
        limits: &ClientLimits,
        now: Instant,
    ) -> Result<(), ClientRefusal> {
        let client = &mut self.clients[number as usize];
        if let Err(refusal) = limits.admit(client.sessions, &mut client.due, now) {
            let count = &mut client.refused[usize::from(refusal == ClientRefusal::Sessions)];
            *count = count.saturating_add(1);
            if client.sessions == 0 {
                self.remove_idle(number);
                self.append_idle(number);
            }
            return Err(refusal);
        }
        client.sessions += 1;
        client.sessions_started = client.sessions_started.saturating_add(1);
        if client.sessions == 1 {
            self.remove_idle(number);
        }
        Ok(())
    }

    fn release(&mut self, number: u32) {
        let client = &mut self.clients[number as usize];
        debug_assert!(
            client.sessions > 0,
            "a place was given back that was not taken"
        );
        client.sessions -= 1;
        if client.sessions == 0 {
            self.append_idle(number);
        }
    }

    fn append_idle(&mut self, number: u32) {
        let last = std::mem::replace(&mut self.idle.last, number);
        let client = &mut self.clients[number as usize];
        (client.previous, client.next) = (last, NONE);
        match self.clients.get_mut(last as usize) {
            Some(before) => before.next = number,
            None => self.idle.first = number,
        }
    }

    fn remove_idle(&mut self, number: u32) {
        let Client { previous, next, .. } = self.clients[number as usize];
        match self.clients.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => self.idle.first = next,
        }
        match self.clients.get_mut(next as usize) {
            Some(behind) => behind.previous = previous,
            None => self.idle.last = previous,
        }
    }
}

impl Client {
    fn record(&self) -> ClientRecord {
        ClientRecord {
            frontend: self.key.frontend,
            address: Ipv6Addr::from(self.key.address).to_canonical(),
            sessions: self.sessions,
            sessions_started: self.sessions_started,
            refused: self.refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::client_limits::RateLimit;

    const LIMITS: ClientLimits = ClientLimits {
        sessions_max: Some(2),
        rate: None,
        ipv4_prefix: 32,
        ipv6_prefix: 64,
    };

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    fn ip(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(number).into()
    }

    fn admit(table: &ClientTable, address: &str, now: u64) -> Result<ClientPlace, ClientRefusal> {
        table.admit(1, address.parse().unwrap(), &LIMITS, at(now))
    }

    fn records(table: &ClientTable) -> Vec<ClientRecord> {
        let mut records = Vec::new();
        table.for_each(|record| records.push(record));
        records
    }

    #[test]
    fn a_look_decides_and_counts_nothing() {
        let table = ClientTable::default();
        let look = |now| table.look(1, ip(7), &LIMITS, at(now));
        assert_eq!(look(1), (0, Ok(())));
        assert_eq!(table.counts(), ClientCounts::default());
        let places = [2, 3].map(|now| table.admit(1, ip(7), &LIMITS, at(now)).unwrap());
        assert_eq!(look(4), (2, Err(ClientRefusal::Sessions)));
        assert_eq!(records(&table)[0].refused_total(), 0);
        places.into_iter().for_each(|place| table.release(place));
        assert_eq!(look(5), (0, Ok(())));
    }

    #[test]
    fn open_sessions_of_an_address_are_limited_and_given_back() {
        let table = ClientTable::default();
        let first = admit(&table, "10.0.0.1", 1).unwrap();
        let second = admit(&table, "::ffff:10.0.0.1", 2).unwrap();
        assert_eq!(
            admit(&table, "10.0.0.1", 3).unwrap_err(),
            ClientRefusal::Sessions
        );
        let other = admit(&table, "10.0.0.2", 3).unwrap();
        let elsewhere = table.admit(2, "10.0.0.1".parse().unwrap(), &LIMITS, at(3));
        table.release(first);
        let third = admit(&table, "10.0.0.1", 5).unwrap();
        let of_first = records(&table).into_iter();
        let of_first = of_first.filter(|it| it.frontend == 1 && it.address == ip(0x0a00_0001));
        let expected = ClientRecord {
            frontend: 1,
            address: ip(0x0a00_0001),
            sessions: 2,
            sessions_started: 3,
            refused: [0, 1],
        };
        assert_eq!(of_first.collect::<Vec<_>>(), [expected]);
        for place in [second, other, third, elsewhere.unwrap()] {
            table.release(place);
        }
        assert!(records(&table).iter().all(|record| record.sessions == 0));
        let counts = ClientCounts {
            known: 3,
            dropped: 0,
        };
        assert_eq!(table.counts(), counts);
    }

    #[test]
    fn new_sessions_of_a_network_are_limited() {
        let table = ClientTable::default();
        let limits = ClientLimits {
            sessions_max: None,
            rate: Some(RateLimit {
                interval: 10,
                burst: 2,
            }),
            ..LIMITS
        };
        let admit = |address: &str, now| {
            let admitted = table.admit(1, address.parse().unwrap(), &limits, at(now));
            admitted.map(|place| table.release(place))
        };
        for (address, now, expected) in [
            ("2001:db8::1", 100, Ok(())),
            ("2001:db8::2", 100, Ok(())),
            ("2001:db8::3", 100, Err(ClientRefusal::Rate)),
            ("2001:db8:0:1::1", 100, Ok(())),
            ("2001:db8::3", 104, Err(ClientRefusal::Rate)),
            ("2001:db8::3", 110, Ok(())),
        ] {
            assert_eq!(admit(address, now), expected, "{address} at {now}");
        }
    }

    #[test]
    fn the_longest_idle_are_dropped_and_never_those_with_sessions() {
        let table = ClientTable::default();
        table.set_max(PARTS * 4);
        let busy: Vec<_> = (0..PARTS as u32)
            .map(|number| table.admit(1, ip(number), &LIMITS, at(0)).unwrap())
            .collect();
        for round in 1..=20_u64 {
            for number in 0..PARTS as u32 {
                let address = ip((round as u32) << 16 | number);
                let place = table.admit(1, address, &LIMITS, at(round)).unwrap();
                table.release(place);
            }
        }
        let records = records(&table);
        let counts = table.counts();
        assert_eq!(records.len(), counts.known);
        // Parts get different numbers of clients with sessions, and each is full.
        assert!((PARTS * 4..PARTS * 5).contains(&counts.known), "{counts:?}");
        assert_eq!(counts.known as u64 + counts.dropped, 21 * PARTS as u64);
        assert_eq!(records.iter().filter(|it| it.sessions == 1).count(), PARTS);
        let round_of = |record: &ClientRecord| match record.address {
            IpAddr::V4(ip) => ip.to_bits() >> 16,
            IpAddr::V6(_) => 0,
        };
        let idle = records.iter().filter(|it| it.sessions == 0);
        let old = idle.filter(|it| round_of(it) < 8).count();
        assert!(old < PARTS / 100, "{old} that are idle for long are kept");
        for place in busy {
            table.release(place);
        }
    }

    #[test]
    fn many_threads_never_exceed_the_limit() {
        let table = ClientTable::default();
        let open = [const { std::sync::Mutex::new(0) }; 4];
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (table, open) = (&table, &open);
                scope.spawn(move || {
                    for turn in 0..10_000 {
                        let client = (turn + thread) % 4;
                        let address = ip(client as u32);
                        let Ok(place) = table.admit(1, address, &LIMITS, at(turn as u64)) else {
                            continue;
                        };
                        let count = || open[client].lock().unwrap();
                        *count() += 1;
                        assert!(*count() <= 2);
                        *count() -= 1;
                        table.release(place);
                    }
                });
            }
        });
        assert!(records(&table).iter().all(|record| record.sessions == 0));
    }
}
