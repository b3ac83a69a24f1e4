//! When the next query follows, and which failures are told. Pure.
//!
//! A failure is told when it begins and when it ends, however long it takes: one line each.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::failure::Failure;
use super::found::Failures;
use super::message::RecordType;

/// Failures in a row that do not change the pace.
const FAILURES_IN_PACE: u32 = 2;

/// The longest pause because of failures: queries for a name that is away go on to others' name servers.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// The pause after so many failures in a row.
pub fn pause(interval: Duration, failures: u32) -> Duration {
    let doublings = failures.saturating_sub(FAILURES_IN_PACE).min(16);
    let longer = interval.saturating_mul(1 << doublings);
    longer.min(PAUSE_MAX.max(interval))
}

/// The failures that last, by the type of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Episodes {
    /// With the time of the first, on any clock.
    since: BTreeMap<RecordType, (Failure, Duration)>,
    /// Whole failures in a row.
    in_row: u32,
}

/// What is told of failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// They began, for these types of records.
    Began(Failures),
    /// They ended, for these types; the longest took so long.
    Ended(Vec<RecordType>, Duration),
}

impl Episodes {
    /// Takes the failures of a round that ended at `now`; `whole`: it had no usable answer.
    pub fn update(&mut self, failures: &Failures, whole: bool, now: Duration) -> Vec<Told> {
        self.in_row = if whole {
            self.in_row.saturating_add(1)
        } else {
            0
        };
        let mut told = Vec::new();
        let began: Failures = (failures.iter())
            .filter(|(record_type, _)| !self.since.contains_key(record_type))
            .map(|(record_type, failure)| (*record_type, *failure))
            .collect();
        // Of a whole failure, some parts have no failure of their own; they did not succeed either.
        let ended = |record_type: &RecordType| !whole && !failures.contains_key(record_type);
        let ended: Vec<_> = (self.since.iter())
            .filter(|(record_type, _)| ended(record_type))
            .map(|(record_type, (_, since))| (*record_type, *since))
            .collect();
        if let Some(first) = ended.iter().map(|(_, since)| *since).min() {
            let types = ended.iter().map(|(record_type, _)| *record_type);
            told.push(Told::Ended(types.collect(), now.saturating_sub(first)));
        }
        for (record_type, _) in ended {
            self.since.remove(&record_type);
        }
        for (record_type, failure) in &began {
            self.since.insert(*record_type, (*failure, now));
        }
        if !began.is_empty() {
            told.push(Told::Began(began));
        }
        told
    }

    /// The pause until the next query.
    pub fn pause(&self, interval: Duration) -> Duration {
        pause(interval, self.in_row)
    }
}

impl fmt::Display for RecordType {
    /// As name servers call it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecordType::A => "A",
            RecordType::Aaaa => "AAAA",
            RecordType::Srv => "SRV",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn failures(all: &[(RecordType, Failure)]) -> Failures {
        all.iter().copied().collect()
    }

    #[test]
    fn from_the_third_failure_on_the_pause_grows_to_ten_seconds() {
        let pauses = (0..8).map(|failures| pause(SECOND, failures).as_secs());
        assert_eq!(pauses.collect::<Vec<_>>(), [1, 1, 1, 2, 4, 8, 10, 10]);
        assert_eq!(pause(SECOND, u32::MAX).as_secs(), 10);
        let slow = Duration::from_secs(60);
        assert_eq!([0, 3, 9].map(|failures| pause(slow, failures)), [slow; 3]);
        assert_eq!(pause(Duration::from_millis(100), 3).as_millis(), 200);
    }

    #[test]
    fn a_failure_is_told_when_it_begins_and_when_it_ends() {
        let mut episodes = Episodes::default();
        let away = failures(&[
            (RecordType::A, Failure::NxDomain),
            (RecordType::Aaaa, Failure::NxDomain),
        ]);
        let began = episodes.update(&away, true, SECOND);
        assert_eq!(began, [Told::Began(away.clone())]);
        // Another cause is no other failure.
        let slow = failures(&[
            (RecordType::A, Failure::Timeout),
            (RecordType::Aaaa, Failure::NxDomain),
        ]);
        for seconds in 2..100 {
            assert_eq!(episodes.update(&slow, true, SECOND * seconds), []);
        }
        assert_eq!(episodes.pause(SECOND).as_secs(), 10);
        let part = failures(&[(RecordType::Aaaa, Failure::Timeout)]);
        let ended = Told::Ended(vec![RecordType::A], SECOND * 99);
        assert_eq!(episodes.update(&part, false, SECOND * 100), [ended]);
        assert_eq!(episodes.pause(SECOND), SECOND);
        let ended = Told::Ended(vec![RecordType::Aaaa], SECOND * 100);
        assert_eq!(
            episodes.update(&failures(&[]), false, SECOND * 101),
            [ended]
        );
        assert_eq!(episodes, Episodes::default());
    }

    #[test]
    fn a_part_that_fails_is_told_by_itself() {
        let mut episodes = Episodes::default();
        let part = failures(&[(RecordType::Aaaa, Failure::ServFail)]);
        let began = episodes.update(&part, false, SECOND);
        assert_eq!(began, [Told::Began(part.clone())]);
        // Then all of it, with a cause for one part only.
        let srv = failures(&[(RecordType::Srv, Failure::Empty)]);
        assert_eq!(
            episodes.update(&srv, true, SECOND),
            [Told::Began(srv.clone())]
        );
        let ended = episodes.update(&failures(&[]), false, SECOND * 3);
        let both = vec![RecordType::Aaaa, RecordType::Srv];
        assert_eq!(ended, [Told::Ended(both, SECOND * 2)]);
    }
}
