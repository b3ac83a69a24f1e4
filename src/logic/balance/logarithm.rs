//! The natural logarithm, of which every machine computes the same bits.
//!
//! `f64::ln` is that of the platform's C library, whose last bits differ between versions. This one
//! consists of additions, multiplications and divisions in a fixed order, which IEEE 754 defines
//! exactly.

use std::f64::consts::{LN_2, SQRT_2};

/// Terms of the series: the next one is below 2^-56 of the sum.
const TERMS: u32 = 11;

/// The natural logarithm of a positive, normal number, to about two units of the last place.
///
/// With `x = 2^k * m`, `m` from `sqrt(1/2)` to `sqrt(2)`, and `s = (m - 1) / (m + 1)`:
/// `ln x = k ln 2 + 2 (s + s^3/3 + s^5/5 + ...)`.
pub fn ln(x: f64) -> f64 {
    debug_assert!(x.is_normal() && x > 0.0);
    const FRACTION: u64 = (1 << 52) - 1;
    const ONE: u64 = 1.0_f64.to_bits();
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i32 - 1023;
    let mut m = f64::from_bits(bits & FRACTION | ONE);
    if m > SQRT_2 {
        m /= 2.0;
        exponent += 1;
    }
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    // From the smallest term on.
    let series = (1..TERMS).rev().fold(0.0, |sum, term| {
        (sum + 1.0 / f64::from(2 * term + 1)) * square
    });
    f64::from(exponent) * LN_2 + (2.0 * s + 2.0 * s * series)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_platforms_logarithm() {
        let mut u = 0.5 / (1_u64 << 52) as f64;
        while u < 2.0 {
            let (ours, platforms) = (ln(u), u.ln());
            let error = (ours - platforms).abs();
            assert!(
                error <= 4.0 * f64::EPSILON * platforms.abs(),
                "ln {u}: {ours} {platforms}"
            );
            u *= 1.000_37;
        }
    }

    #[test]
    fn is_exact_at_one_and_near_it() {
        assert_eq!(ln(1.0).to_bits(), 0);
        let below = 1.0 - 0.5 / (1_u64 << 52) as f64;
        assert_eq!(ln(below), -f64::EPSILON / 2.0);
    }

    /// Values from another program, with these operations in this order.
    #[test]
    fn every_machine_computes_these_bits() {
        let values = [0.5, 0.1, 0.9, 1e-9, 0.706, 0.708];
        let bits = values.map(|u| ln(u).to_bits());
        assert_eq!(
            bits,
            [
                0xbfe6_2e42_fefa_39ef,
                0xc002_6bb1_bbb5_5515,
                0xbfba_f8e8_210a_415c,
                0xc034_b927_f32b_ffb8,
                0xbfd6_47ed_2b27_dd62,
                0xbfd6_1994_15f0_6e92,
            ]
        );
    }
}
