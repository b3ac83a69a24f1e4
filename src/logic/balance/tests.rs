//! The rules that hold for every algorithm, and what the tests of the algorithms share.

use super::*;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::{Index, IndexMut};

const ALGORITHMS: [Algorithm; 5] = [
    Algorithm::RoundRobin,
    Algorithm::LeastConn,
    Algorithm::Random,
    Algorithm::SourceHash,
    Algorithm::First,
];

/// One server as a test wants it to be.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) usable: bool,
    pub(super) weight: u32,
    pub(super) backup: bool,
    pub(super) sessions: u32,
    pub(super) full: bool,
}

/// A server that is up and idle.
pub(super) fn server(weight: u32) -> Entry {
    Entry {
        usable: true,
        weight,
        backup: false,
        sessions: 0,
        full: false,
    }
}

fn backup(weight: u32) -> Entry {
    Entry {
        backup: true,
        ..server(weight)
    }
}

fn down(entry: Entry) -> Entry {
    Entry {
        usable: false,
        ..entry
    }
}

fn full(entry: Entry) -> Entry {
    Entry {
        full: true,
        ..entry
    }
}

/// Servers `s0`, `s1`, and so on.
#[derive(Clone, Debug)]
pub(super) struct Table {
    entries: Vec<Entry>,
    names: Vec<String>,
}

impl Table {
    pub(super) fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let names = (0..entries.len())
            .map(|index| format!("s{index}"))
            .collect();
        Self { entries, names }
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }
}

impl Index<usize> for Table {
    type Output = Entry;
    fn index(&self, index: usize) -> &Entry {
        &self.entries[index]
    }
}

impl IndexMut<usize> for Table {
    fn index_mut(&mut self, index: usize) -> &mut Entry {
        &mut self.entries[index]
    }
}

impl Servers for Table {
    fn len(&self) -> usize {
        self.entries.len()
    }
    fn usable(&self, index: usize) -> bool {
        self[index].usable
    }
    fn weight(&self, index: usize) -> u32 {
        self[index].weight
    }
    fn is_backup(&self, index: usize) -> bool {
        self[index].backup
    }
    fn sessions(&self, index: usize) -> u32 {
        self[index].sessions
    }
    fn has_room(&self, index: usize) -> bool {
        !self[index].full
    }
}

pub(super) fn balancer(algorithm: Algorithm, servers: &Table) -> Balancer {
    Balancer::new(algorithm, &servers.names(), 42)
}

/// The client of this number; they are spread over addresses of both kinds.
pub(super) fn client(number: u32) -> IpAddr {
    if number.is_multiple_of(2) {
        Ipv4Addr::from_bits(0x0a00_0000 + number / 2).into()
    } else {
        Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(number)).into()
    }
}

pub(super) fn choose(balancer: &mut Balancer, servers: &Table) -> Choice {
    choose_again(balancer, servers, &[])
}

pub(super) fn choose_again(balancer: &mut Balancer, servers: &Table, tried: &[u16]) -> Choice {
    balancer.choose(client(0), servers, tried)
}

pub(super) fn pick(balancer: &mut Balancer, servers: &Table) -> usize {
    pick_for(balancer, client(0), servers)
}

pub(super) fn pick_for(balancer: &mut Balancer, client: IpAddr, servers: &Table) -> usize {
    match balancer.choose(client, servers, &[]) {
        Choice::Server(index) => index,
        other => panic!("a server is open, but the choice is {other:?}"),
    }
}

/// How far counts are from what the weights let expect: Pearson's statistic.
pub(super) fn chi_square(counts: &[u32], weights: &[f64]) -> f64 {
    let unit = f64::from(counts.iter().sum::<u32>()) / weights.iter().sum::<f64>();
    counts
        .iter()
        .zip(weights)
        .map(|(count, weight)| (f64::from(*count) - weight * unit).powi(2) / (weight * unit))
        .sum()
}

/// What the rules allow: any of these servers.
const ANY_OF_0_AND_2: &[usize] = &[0, 2];

/// A line of the table: what it shows, the servers, those tried, and the servers that may be
/// chosen, or the answer instead.
type Case = (
    &'static str,
    Vec<Entry>,
    &'static [u16],
    Result<&'static [usize], Choice>,
);

fn cases() -> Vec<Case> {
    let (s, b) = (server, backup);
    vec![
        ("no server at all", vec![], &[], Err(Choice::None)),
        (
            "all down",
            vec![down(s(1)), down(b(1))],
            &[],
            Err(Choice::None),
        ),
        ("weight 0 only", vec![s(0), s(0)], &[], Err(Choice::None)),
        ("the only one", vec![s(1)], &[], Ok(&[0])),
        (
            "weight 0 is left out",
            vec![s(1), s(0), s(256)],
            &[],
            Ok(ANY_OF_0_AND_2),
        ),
        (
            "down is left out",
            vec![s(1), down(s(9)), s(2)],
            &[],
            Ok(ANY_OF_0_AND_2),
        ),
        (
            "backups are left out",
            vec![s(1), b(256), s(1)],
            &[],
            Ok(ANY_OF_0_AND_2),
        ),
        (
            "full is left out",
            vec![s(1), full(s(256)), s(1)],
            &[],
            Ok(ANY_OF_0_AND_2),
        ),
        (
            "tried is left out",
            vec![s(1), s(256), s(1)],
            &[1],
            Ok(ANY_OF_0_AND_2),
        ),
        ("one is left", vec![s(1), s(256), s(1)], &[1, 2], Ok(&[0])),
        (
            "all tried",
            vec![s(1), down(s(1)), s(1)],
            &[0, 2],
            Err(Choice::Tried),
        ),
        (
            "all tried, one full",
            vec![s(1), full(s(1)), s(1)],
            &[0, 1, 2],
            Err(Choice::Tried),
        ),
        (
            "the untried is full",
            vec![s(1), full(s(1)), s(1)],
            &[0, 2],
            Err(Choice::Tried),
        ),
        (
            "tried is remembered of the down",
            vec![s(1), down(s(1)), s(1)],
            &[1],
            Ok(ANY_OF_0_AND_2),
        ),
        (
            "all full",
            vec![full(s(1)), full(s(2))],
            &[],
            Err(Choice::Full),
        ),
        (
            "all full and tried",
            vec![full(s(1)), full(s(2))],
            &[0, 1],
            Err(Choice::Full),
        ),
        (
            "full but for the down",
            vec![full(s(1)), down(s(2))],
            &[],
            Err(Choice::Full),
        ),
        (
            "full but for weight 0",
            vec![full(s(1)), s(0)],
            &[],
            Err(Choice::Full),
        ),
        (
            "no spill to backups",
            vec![full(s(1)), b(1)],
            &[],
            Err(Choice::Full),
        ),
        ("a backup before a retry", vec![s(1), b(1)], &[0], Ok(&[1])),
        (
            "no backup before an untried one",
            vec![s(1), b(1), s(1)],
            &[0],
            Ok(&[2]),
        ),
        (
            "a backup, since one was tried and one is full",
            vec![s(1), b(1), full(s(1))],
            &[0],
            Ok(&[1]),
        ),
        (
            "a full backup is not waited for beside tried ones",
            vec![s(1), full(b(1))],
            &[0],
            Err(Choice::Tried),
        ),
        (
            "all tried, the backup too",
            vec![s(1), b(1)],
            &[0, 1],
            Err(Choice::Tried),
        ),
        ("the next backup", vec![s(1), b(1), b(1)], &[0, 1], Ok(&[2])),
        (
            "the only backup, tried and full",
            vec![down(s(1)), full(b(1))],
            &[1],
            Err(Choice::Full),
        ),
        (
            "the first backup",
            vec![down(s(1)), b(1), b(256)],
            &[],
            Ok(&[1]),
        ),
        ("backup beside weight 0", vec![s(0), b(1)], &[], Ok(&[1])),
        (
            "the first usable backup",
            vec![down(s(1)), down(b(1)), b(1), b(1)],
            &[],
            Ok(&[2]),
        ),
        (
            "backup of weight 0",
            vec![down(s(1)), b(0), b(1)],
            &[],
            Ok(&[2]),
        ),
        (
            "a full backup is waited for",
            vec![down(s(1)), full(b(1)), b(1)],
            &[],
            Err(Choice::Full),
        ),
        (
            "the second backup",
            vec![down(s(1)), b(1), b(1)],
            &[1],
            Ok(&[2]),
        ),
        (
            "backups of weight 0 only",
            vec![down(s(1)), b(0)],
            &[],
            Err(Choice::None),
        ),
    ]
}

#[test]
fn rules() {
    for (title, entries, tried, expected) in cases() {
        let servers = Table::new(entries);
        for algorithm in ALGORITHMS {
            let mut balancer = balancer(algorithm, &servers);
            for number in 0..50 {
                let choice = balancer.choose(client(number), &servers, tried);
                let allowed = match (expected, choice) {
                    (Ok(allowed), Choice::Server(index)) => allowed.contains(&index),
                    (Ok(_), Choice::Full | Choice::Tried | Choice::None) => false,
                    (Err(expected), choice) => expected == choice,
                };
                assert!(allowed, "{title}, {algorithm:?}: {choice:?}");
            }
        }
    }
}

#[test]
fn every_open_server_gets_sessions() {
    for algorithm in ALGORITHMS
        .into_iter()
        .filter(|one| *one != Algorithm::First)
    {
        let mut servers = Table::new([1, 256, 7, 30].map(server));
        let mut balancer = balancer(algorithm, &servers);
        for number in 0..5_000 {
            let index = pick_for(&mut balancer, client(number), &servers);
            servers[index].sessions += 1;
        }
        assert!(
            servers.entries.iter().all(|entry| entry.sessions > 0),
            "{algorithm:?}: {servers:?}"
        );
    }
}

#[test]
fn a_backup_stands_in_and_steps_back() {
    for algorithm in ALGORITHMS {
        let mut servers = Table::new([server(1), server(1), backup(1)]);
        let mut balancer = balancer(algorithm, &servers);
        for _ in 0..3 {
            assert_ne!(pick(&mut balancer, &servers), 2, "{algorithm:?}");
            servers[0].usable = false;
            assert_eq!(pick(&mut balancer, &servers), 1, "{algorithm:?}");
            servers[1].usable = false;
            assert_eq!(pick(&mut balancer, &servers), 2, "{algorithm:?}");
            servers[0].usable = true;
            assert_eq!(pick(&mut balancer, &servers), 0, "{algorithm:?}");
            servers[1].usable = true;
        }
    }
}

/// Servers of which other workers take the last places while the choice is being made.
struct Vanishing {
    answers_left: std::cell::Cell<u32>,
}

impl Servers for Vanishing {
    fn len(&self) -> usize {
        3
    }
    fn usable(&self, _: usize) -> bool {
        true
    }
    fn weight(&self, _: usize) -> u32 {
        5
    }
    fn is_backup(&self, _: usize) -> bool {
        false
    }
    fn sessions(&self, _: usize) -> u32 {
        0
    }
    fn has_room(&self, _: usize) -> bool {
        let left = self.answers_left.get();
        self.answers_left.set(left.saturating_sub(1));
        left > 0
    }
}

#[test]
fn places_may_vanish_during_the_choice() {
    for algorithm in ALGORITHMS {
        let mut balancer = Balancer::new(algorithm, &["a", "b", "c"], 1);
        for answers in 0..20 {
            let servers = Vanishing {
                answers_left: answers.into(),
            };
            let choice = balancer.choose(client(0), &servers, &[]);
            assert_ne!(choice, Choice::None, "{algorithm:?}, {answers}");
            if answers < 2 {
                assert_eq!(choice, Choice::Full, "{algorithm:?}, {answers}");
            }
        }
    }
}

#[test]
fn a_backup_helps_out_only_when_all_others_are_full() {
    let spare = |entries: &[Entry], tried: &[u16]| {
        super::spare(&Table::new(entries.iter().cloned()), tried)
    };
    let (s, b) = (server, backup);
    assert_eq!(spare(&[full(s(1)), b(1), b(1)], &[]), Some(1));
    assert_eq!(spare(&[full(s(1)), full(b(1)), b(1)], &[]), Some(2));
    assert_eq!(spare(&[full(s(1)), b(1), b(1)], &[1]), Some(2));
    assert_eq!(spare(&[full(s(1)), b(1)], &[1]), None);
    assert_eq!(spare(&[full(s(1)), b(0), down(b(1))], &[]), None);
    assert_eq!(spare(&[full(s(1)), b(1), s(1)], &[]), None);
    assert_eq!(spare(&[full(s(1)), b(1), s(0), down(s(1))], &[]), Some(1));
}
