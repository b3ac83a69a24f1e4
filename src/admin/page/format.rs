//! How the page writes numbers. The script writes them the same way: `frame/format.js` has these functions
//! by the same names.

/// Stands for what there is none of.
pub(super) const NONE: &str = "–";

/// Between three digits: thin, and no line is broken there.
const THIN: char = '\u{202f}';

/// A number with its thousands set apart.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(THIN);
        }
        text.push(digit);
    }
    text
}

/// A number with one decimal while it is small.
fn short(value: f64) -> String {
    let tenths = (value * 10.0).round() / 10.0;
    if value < 9.95 && tenths.fract() != 0.0 {
        format!("{tenths:.1}")
    } else {
        count(value.round() as u64)
    }
}

/// So many in a second.
pub(super) fn rate(value: f64) -> String {
    short(value)
}

/// Bytes, in powers of ten.
pub(super) fn bytes(value: f64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = value;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{} {}", short(value), UNITS[unit])
}

/// A duration that was measured.
pub(super) fn micros(value: u64) -> String {
    let value = value as f64;
    for (below, unit, name) in [
        (1e3, 1.0, "µs"),
        (1e6, 1e3, "ms"),
        (60e6, 1e6, "s"),
        (3600e6, 60e6, "min"),
    ] {
        if value < below {
            return format!("{} {name}", short(value / unit));
        }
    }
    format!("{} h", short(value / 3600e6))
}

/// How long something has lasted, in the two largest units.
pub(super) fn age(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if minutes == 0 {
        format!("{seconds}s")
    } else if hours == 0 {
        format!("{minutes}m {}s", seconds % 60)
    } else if days == 0 {
        format!("{hours}h {}m", minutes % 60)
    } else {
        format!("{days}d {}h", hours % 24)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_exact_enough() {
        for (value, written) in [
            (0, "0"),
            (999, "999"),
            (1000, "1\u{202f}000"),
            (1_234_567, "1\u{202f}234\u{202f}567"),
        ] {
            assert_eq!(count(value), written);
        }
        for (value, written) in [
            (0.0, "0"),
            (0.04, "0"),
            (0.25, "0.3"),
            (2.0, "2"),
            (9.94, "9.9"),
            (9.96, "10"),
            (57.4, "57"),
            (12_345.6, "12\u{202f}346"),
        ] {
            assert_eq!(rate(value), written);
        }
        for (value, written) in [
            (0.0, "0 B"),
            (999.0, "999 B"),
            (999.6, "1 kB"),
            (1250.0, "1.3 kB"),
            (17_200.0, "17 kB"),
            (999_499.0, "999 kB"),
            (999_500.0, "1 MB"),
            (2.5e12, "2.5 TB"),
            (7e18, "7\u{202f}000 PB"),
        ] {
            assert_eq!(bytes(value), written);
        }
    }

    #[test]
    fn times_have_the_unit_that_suits_them() {
        for (value, written) in [
            (0, "0 µs"),
            (215, "215 µs"),
            (1722, "1.7 ms"),
            (13_777, "14 ms"),
            (1_500_000, "1.5 s"),
            (90_000_000, "1.5 min"),
            (7_200_000_000, "2 h"),
        ] {
            assert_eq!(micros(value), written);
        }
        for (value, written) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m 0s"),
            (3_599, "59m 59s"),
            (11_520, "3h 12m"),
            (200_000, "2d 7h"),
        ] {
            assert_eq!(age(value), written);
        }
    }
}
