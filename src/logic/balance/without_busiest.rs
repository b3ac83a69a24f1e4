//! What the servers of a backend would carry if the busiest of them failed: whether one more than is needed is there.

use super::rules::Servers;

/// The busiest server of a backend, and the others without it. Shares are parts of all sessions of these servers.
#[derive(Clone, Debug, PartialEq)]
pub struct WithoutBusiest {
    /// Its index: the one with the most sessions, among equals that of the greatest weight, then the first.
    pub busiest: usize,
    /// Its open sessions.
    pub sessions: u32,
    /// The share that it carries: of the sessions, or, while there is none, of the weights.
    pub share: f64,
    /// How many others balancing would choose from: those that it does now, or else the backup.
    pub others: usize,
    /// The greatest share that one of them would carry by its weight; 0 if there is none.
    pub others_share: f64,
    /// How many more sessions they may have; `None`: no limit.
    pub free: Option<u64>,
}

impl WithoutBusiest {
    /// Whether the others may have the sessions of the busiest.
    pub fn fits(&self) -> bool {
        self.others > 0 && self.free.is_none_or(|free| free >= self.sessions.into())
    }
}

/// Looks at servers as they are now; `free` says how many more sessions the server of an index may have, `None` for
/// one without a limit. `None`: balancing has no server to choose.
pub fn without_busiest(
    servers: &impl Servers,
    free: impl Fn(usize) -> Option<u32>,
) -> Option<WithoutBusiest> {
    let chosen_from = |backup: bool| {
        let usable = (0..servers.len())
            .filter(move |&index| servers.usable(index) && servers.is_backup(index) == backup);
        usable.filter(|&index| servers.weight(index) > 0)
    };
    let backup = chosen_from(true).next();
    let mut candidates: Vec<usize> = chosen_from(false).collect();
    let mut spare = backup;
    if candidates.is_empty() {
        // The first backup has all sessions, and the next would follow it.
        candidates.extend(backup);
        spare = chosen_from(true).nth(1);
    }
    // Of equals the last is the greatest.
    let busiest = candidates
        .iter()
        .rev()
        .copied()
        .max_by_key(|&index| (servers.sessions(index), servers.weight(index)))?;
    let sum = |of: &dyn Fn(usize) -> u32| -> f64 {
        candidates.iter().map(|&index| f64::from(of(index))).sum()
    };
    let sessions = servers.sessions(busiest);
    let share = match sum(&|index| servers.sessions(index)) {
        0.0 => f64::from(servers.weight(busiest)) / sum(&|index| servers.weight(index)),
        all => f64::from(sessions) / all,
    };
    let mut others: Vec<usize> = candidates
        .into_iter()
        .filter(|&index| index != busiest)
        .collect();
    if others.is_empty() {
        others.extend(spare);
    }
    let weights = || others.iter().map(|&index| f64::from(servers.weight(index)));
    let all = weights().sum::<f64>();
    let others_share = weights().fold(0.0, |most: f64, weight| most.max(weight / all));
    let free = others.iter().map(|&index| free(index).map(u64::from));
    Some(WithoutBusiest {
        busiest,
        sessions,
        share,
        others: others.len(),
        others_share,
        free: free.sum(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::balance::tests::{Entry, Table, server};

    fn with_sessions(weight: u32, sessions: u32) -> Entry {
        Entry {
            sessions,
            ..server(weight)
        }
    }

    fn backup(sessions: u32) -> Entry {
        Entry {
            backup: true,
            ..with_sessions(1, sessions)
        }
    }

    /// Busiest, its share, others, their greatest share, whether it fits; each other has this many free slots.
    fn look(entries: &[Entry], free: Option<u32>) -> Option<(usize, f64, usize, f64, bool)> {
        let servers = Table::new(entries.iter().cloned());
        let found = without_busiest(&servers, |_| free)?;
        let (share, others_share) = (found.share, found.others_share);
        Some((
            found.busiest,
            share,
            found.others,
            others_share,
            found.fits(),
        ))
    }

    #[test]
    fn the_busiest_is_the_one_with_most_sessions_and_the_others_share_by_weight() {
        let entries = [
            with_sessions(1, 10),
            with_sessions(1, 20),
            with_sessions(3, 10),
        ];
        assert_eq!(look(&entries, None), Some((1, 0.5, 2, 0.75, true)));
        assert_eq!(look(&entries, Some(10)), Some((1, 0.5, 2, 0.75, true)));
        assert_eq!(look(&entries, Some(9)), Some((1, 0.5, 2, 0.75, false)));
        let idle = [server(1), server(3), server(3)];
        assert_eq!(look(&idle, Some(0)), Some((1, 3.0 / 7.0, 2, 0.75, true)));
    }

    #[test]
    fn what_gets_no_balanced_sessions_does_not_help_but_a_backup_does() {
        let down = Entry {
            usable: false,
            ..server(9)
        };
        let alone = [down.clone(), with_sessions(2, 4), server(0)];
        assert_eq!(look(&alone, None), Some((1, 1.0, 0, 0.0, false)));
        let backed = [with_sessions(2, 4), backup(0), backup(0)];
        assert_eq!(look(&backed, Some(4)), Some((0, 1.0, 1, 1.0, true)));
        assert_eq!(look(&backed, Some(3)), Some((0, 1.0, 1, 1.0, false)));
        let backups = [down.clone(), backup(4), backup(0)];
        assert_eq!(look(&backups, None), Some((1, 1.0, 1, 1.0, true)));
        assert_eq!(look(&[down], None), None);
        assert_eq!(look(&[], None), None);
    }
}
