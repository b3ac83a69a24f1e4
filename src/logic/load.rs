//! Which worker a new session goes to: the one that accepted it, or the least loaded one.

/// Whether a worker hands a session over instead of beginning it. `own`: how many sessions it would have with that
/// one; `least`: how many the least loaded of the others has.
///
/// It does if it would have at least two more, and more than nine eighths. So of few sessions no worker has more than
/// one beyond another, and of many a worker keeps what is about its share: a hand-over costs more than it is worth.
pub fn hands_over(own: u32, least: u32) -> bool {
    let (own, least) = (u64::from(own), u64::from(least));
    own >= least + 2 && own * 8 > least * 9
}

/// The least loaded of these workers, with its number of sessions; among equals the first that comes after `own` in
/// the order of their indices, so that workers which hand over do not all choose the same one.
pub fn least_loaded(
    workers: impl Iterator<Item = (usize, u32)>,
    own: usize,
) -> Option<(usize, u32)> {
    workers
        .filter(|(worker, _)| *worker != own)
        .min_by_key(|(worker, sessions)| (*sessions, *worker < own, *worker))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_keeps_what_is_about_its_share() {
        for (own, least, expected) in [
            (1, 0, false),
            (2, 0, true),
            (2, 1, false),
            (3, 1, true),
            (9, 7, true),
            (10, 8, true),
            (17, 16, false),
            (18, 16, false),
            (19, 16, true),
            (1_125, 1_000, false),
            (1_126, 1_000, true),
            (u32::MAX, u32::MAX, false),
            (u32::MAX, 0, true),
        ] {
            assert_eq!(hands_over(own, least), expected, "{own} beside {least}");
        }
    }

    #[test]
    fn equals_take_turns_by_who_asks() {
        let loads = [(0, 3), (1, 2), (2, 5), (3, 2)];
        let chosen = |own| least_loaded(loads.into_iter(), own);
        assert_eq!(chosen(0), Some((1, 2)));
        assert_eq!(chosen(1), Some((3, 2)));
        assert_eq!(chosen(2), Some((3, 2)));
        assert_eq!(chosen(3), Some((1, 2)));
        assert_eq!(least_loaded([(0, 3)].into_iter(), 0), None);
    }

    /// However sessions are accepted, they end up spread: 32 on 8 workers, 4 on each.
    #[test]
    fn sessions_that_all_come_to_one_worker_are_spread() {
        for (workers, sessions, most) in [(8, 32, 5), (4, 8, 3), (3, 1_000, 376)] {
            let mut loads = vec![0_u32; workers];
            for _ in 0..sessions {
                let others = loads.iter().copied().enumerate();
                let (receiver, least) = least_loaded(others, 0).unwrap();
                let worker = match hands_over(loads[0] + 1, least) {
                    true => receiver,
                    false => 0,
                };
                loads[worker] += 1;
            }
            let busiest = *loads.iter().max().unwrap();
            assert!(busiest <= most, "{loads:?}");
        }
    }
}
