//! Random numbers for the algorithms.

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
}
