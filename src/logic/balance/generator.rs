//! Random numbers that depend on nothing but a seed.

/// A generator of random numbers that depend on nothing but its seed: SplitMix64, see Steele, Lea
/// and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
#[derive(Clone, Debug)]
pub(super) struct Generator {
    state: u64,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to but not including `bound`, or 0 if there is none.
    ///
    /// No number is preferred by more than `bound` in 2^64 parts.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::Generator;
    use crate::logic::balance::tests::{Table, balancer, chi_square, pick, server};
    use crate::logic::balance::{Algorithm, Balancer};

    #[test]
    fn the_generator_is_the_published_one() {
        // The first numbers for seed 1234567 that other implementations print.
        let mut generator = Generator::new(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(expected.map(|_| generator.next()), expected);
    }

    #[test]
    fn the_generator_stays_below_its_bound() {
        let mut generator = Generator::new(7);
        assert_eq!(generator.below(0), 0);
        assert_eq!(generator.below(1), 0);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[generator.below(5) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
    }

    #[test]
    fn idle_servers_are_drawn_by_weight() {
        let weights = [1, 2, 3, 10, 50, 256];
        let servers = Table::new(weights.map(server));
        let mut random = balancer(Algorithm::Random, &servers);
        let mut counts = [0; 6];
        for _ in 0..100_000 {
            counts[pick(&mut random, &servers)] += 1;
        }
        let chi_square = chi_square(&counts, &weights.map(f64::from));
        // 99.9 % of all seeds give less than 20.5 with 5 degrees of freedom.
        assert!(chi_square < 20.5, "{chi_square}: {counts:?}");
    }

    #[test]
    fn the_busiest_is_taken_by_no_one_while_there_is_another() {
        let mut servers = Table::new([server(1), server(100), server(1)]);
        servers[1].sessions = 1_000;
        let mut random = balancer(Algorithm::Random, &servers);
        for _ in 0..1_000 {
            assert_ne!(pick(&mut random, &servers), 1);
        }
    }

    #[test]
    fn sessions_that_stay_are_spread_nearly_evenly() {
        let mut servers = Table::new([1; 100].map(server));
        let mut random = balancer(Algorithm::Random, &servers);
        for _ in 0..10_000 {
            let index = pick(&mut random, &servers);
            servers[index].sessions += 1;
        }
        // One draw alone would leave about 100 +- 30.
        for index in 0..100 {
            let sessions = servers[index].sessions;
            assert!((94..=106).contains(&sessions), "{sessions} at {index}");
        }
    }

    #[test]
    fn seeds_decide() {
        let servers = Table::new([1; 10].map(server));
        let names = servers.names();
        let sequence = |seed| {
            let mut random = Balancer::new(Algorithm::Random, &names, seed);
            [(); 20].map(|()| pick(&mut random, &servers))
        };
        assert_eq!(sequence(1), sequence(1));
        assert_ne!(sequence(1), sequence(2));
    }
}
