//! Durations and sizes as an operator writes them: `"1m30s"`, `"64KiB"`.
//!
//! Pure text to value and back; it knows no keys and no bounds (`value` adds them). Called by the
//! readers of `value`, by `print`, and free for any other part that shows a duration.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::problem::Problem;

/// The bounds of a duration of which nothing is known.
const ANY_DURATION: RangeInclusive<Duration> = Duration::ZERO..=Duration::MAX;

/// The bounds of a size of which nothing is known.
const ANY_SIZE: RangeInclusive<u64> = 0..=u64::MAX;

/// Units of durations in milliseconds, from large to small: the order of a compound.
const DURATIONS: &[(&str, u64)] = &[
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Units of sizes in bytes. The binary ones come first: [`format_size`] uses only those.
const SIZES: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
];

/// Reads a duration: whole numbers with the units `ms`, `s`, `m`, `h`, `d`, the larger unit first
/// (`"1m30s"`), no unit twice, no spaces; numbers may have `_` between digits.
///
/// # Errors
///
/// The problem with its cure when the text is anything else, or does not fit 64 bits of
/// milliseconds.
pub fn parse_duration(text: &str) -> Result<Duration, Problem> {
    let parts = split(text, "duration", "5s")?;
    if let [(number, "")] = parts[..] {
        return Err(bare_duration(number, &ANY_DURATION));
    }
    let mut total: u64 = 0;
    let mut smallest = u64::MAX;
    for (number, unit) in parts {
        let scale = scale(DURATIONS, unit)
            .ok_or_else(|| unknown_unit(unit, "duration", "use ms, s, m, h or d"))?;
        if scale >= smallest {
            return Err(Problem::new(
                "units out of order in a duration",
                "write each unit once, the larger first, such as \"1m30s\"",
            ));
        }
        smallest = scale;
        total = number
            .checked_mul(scale)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| too_large("duration"))?;
    }
    Ok(Duration::from_millis(total))
}

/// Reads a size in bytes: one whole number with `B`, `KiB`, `MiB`, `GiB`, or `KB`, `MB`, `GB` for
/// powers of ten; numbers may have `_` between digits.
///
/// # Errors
///
/// The problem with its cure when the text is anything else, or does not fit 64 bits.
pub fn parse_size(text: &str) -> Result<u64, Problem> {
    let parts = split(text, "size", "64KiB")?;
    match parts[..] {
        [(number, "")] => Err(bare_size(number, &ANY_SIZE)),
        [(number, unit)] => {
            let scale = scale(SIZES, unit)
                .ok_or_else(|| unknown_unit(unit, "size", "use B, KiB, MiB, GiB, or KB, MB, GB"))?;
            number.checked_mul(scale).ok_or_else(|| too_large("size"))
        }
        _ => Err(Problem::new(
            format!("invalid size `{text}`"),
            "write one number with one unit, such as \"64KiB\"",
        )),
    }
}

/// Writes a duration so that [`parse_duration`] gives it back; what is below a millisecond is cut.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, scale) in DURATIONS {
        if rest >= *scale {
            text.push_str(&format!("{}{unit}", rest / scale));
            rest %= scale;
        }
    }
    text
}

/// Writes a size in the largest binary unit that holds it exactly.
pub fn format_size(bytes: u64) -> String {
    let exact = SIZES
        .iter()
        .find(|(_, scale)| bytes >= *scale && bytes.is_multiple_of(*scale));
    exact.map_or_else(
        || "0B".to_owned(),
        |(unit, scale)| format!("{}{unit}", bytes / scale),
    )
}

/// The number of a text that has no unit, if it is one.
pub(super) fn bare_number(text: &str) -> Option<u64> {
    whole_number(text, "number")?.ok()
}

/// The problem of a number without a unit, proposing what may have been meant: the number is taken
/// for seconds as well as for milliseconds, if that is within bounds.
pub(super) fn bare_duration(number: u64, bounds: &RangeInclusive<Duration>) -> Problem {
    let of = |number: u64, scale: u64| Some(Duration::from_millis(number.checked_mul(scale)?));
    let all = [
        // 30000 is more likely 30 s in milliseconds than 8 hours.
        number
            .is_multiple_of(1_000)
            .then(|| (format!("{}s", number / 1_000), of(number / 1_000, 1_000))),
        Some((format!("{number}s"), of(number, 1_000))).filter(|_| !number.is_multiple_of(1_000)),
        Some((format!("{number}ms"), of(number, 1))).filter(|_| number != 0),
    ];
    let within = |time: &Option<Duration>| time.is_some_and(|time| bounds.contains(&time));
    let proposed = all.into_iter().flatten().filter(|(_, time)| within(time));
    let (start, end) = (
        format_duration(*bounds.start()),
        format_duration(*bounds.end()),
    );
    let cure = proposal(proposed.map(|(text, _)| text), &start, &end);
    Problem::new("bare number where a duration is needed", cure)
}

/// The problem of a number without a unit, in the same way.
pub(super) fn bare_size(number: u64, bounds: &RangeInclusive<u64>) -> Problem {
    let whole = number > 0 && number.is_multiple_of(1_024);
    let all = match whole {
        true => [
            (format!("{}KiB", number / 1_024), Some(number)),
            (format!("{number}B"), Some(number)),
        ],
        false => [
            (format!("{number}B"), Some(number)),
            (format!("{number}KiB"), number.checked_mul(1_024)),
        ],
    };
    let within = |size: &Option<u64>| size.is_some_and(|size| bounds.contains(&size));
    let proposed = all.into_iter().filter(|(_, size)| within(size));
    let (start, end) = (format_size(*bounds.start()), format_size(*bounds.end()));
    let cure = proposal(proposed.map(|(text, _)| text), &start, &end);
    Problem::new("bare number where a size is needed", cure)
}

/// What to write, or between which values if nothing is likely.
fn proposal(proposed: impl Iterator<Item = String>, start: &str, end: &str) -> String {
    let proposed: Vec<String> = proposed.map(|text| format!("\"{text}\"")).collect();
    match proposed.as_slice() {
        [] => format!("write \"{start}\" to \"{end}\", with its unit"),
        some => format!("write {}", some.join(" or ")),
    }
}

/// Cuts `12ab34c` into `(12, ab)`, `(34, c)`: every part has a number, only the last may have no
/// unit. At least one part.
fn split<'t>(text: &'t str, what: &str, example: &str) -> Result<Vec<(u64, &'t str)>, Problem> {
    let invalid = || {
        let shown = super::problem::shorten(text);
        Problem::new(
            format!("invalid {what} `{shown}`"),
            format!("write it like \"{example}\""),
        )
    };
    if text.contains(|c: char| c.is_whitespace()) {
        return Err(Problem::new(
            format!("space in a {what}"),
            format!("write it without spaces, such as \"{example}\""),
        ));
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let is_digit = |c: char| c.is_ascii_digit() || c == '_';
        let digits = rest.find(|c| !is_digit(c)).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        if tail.starts_with(['.', ',']) && !number.is_empty() {
            return Err(Problem::new(
                format!("fraction in a {what}"),
                "write whole numbers with a smaller unit",
            ));
        }
        let unit = tail.find(is_digit).unwrap_or(tail.len());
        parts.push((
            whole_number(number, what).ok_or_else(invalid)??,
            &tail[..unit],
        ));
        rest = &tail[unit..];
    }
    // A second part without a unit, as in `1m30`, is not a bare number.
    let loose_end = parts.len() > 1 && parts.last().is_some_and(|(_, unit)| unit.is_empty());
    if parts.is_empty() || loose_end {
        Err(invalid())
    } else {
        Ok(parts)
    }
}

/// A number with TOML's underscores; `None` when it is none, an error when it is too large.
fn whole_number(digits: &str, what: &str) -> Option<Result<u64, Problem>> {
    let misplaced = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    if digits.is_empty() || misplaced {
        return None;
    }
    Some(digits.replace('_', "").parse().map_err(|_| too_large(what)))
}

fn scale(units: &[(&str, u64)], unit: &str) -> Option<u64> {
    units
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, scale)| *scale)
}

fn unknown_unit(unit: &str, what: &str, cure: &str) -> Problem {
    Problem::new(
        format!(
            "unknown unit `{}` in a {what}",
            super::problem::shorten(unit)
        ),
        cure,
    )
}

fn too_large(what: &str) -> Problem {
    Problem::new(
        format!("this {what} is too large"),
        "write a smaller number",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(text: &str) -> String {
        parse_duration(text).unwrap_err().to_string()
    }

    #[test]
    fn durations_are_read() {
        let cases = [
            ("0s", 0),
            ("5s", 5_000),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("100d", 8_640_000_000),
            ("1_000ms", 1_000),
        ];
        for (text, milliseconds) in cases {
            assert_eq!(
                parse_duration(text).unwrap().as_millis(),
                milliseconds,
                "{text}"
            );
        }
    }

    #[test]
    fn wrong_durations_tell_the_cure() {
        let cases = [
            (
                "5000",
                "bare number where a duration is needed: write \"5s\" or \"5000ms\"",
            ),
            (
                "30",
                "bare number where a duration is needed: write \"30s\" or \"30ms\"",
            ),
            ("0", "bare number where a duration is needed: write \"0s\""),
            (
                "5sec",
                "unknown unit `sec` in a duration: use ms, s, m, h or d",
            ),
            ("5S", "unknown unit `S` in a duration: use ms, s, m, h or d"),
            (
                "5us",
                "unknown unit `us` in a duration: use ms, s, m, h or d",
            ),
            (
                "1.5s",
                "fraction in a duration: write whole numbers with a smaller unit",
            ),
            (
                "5 s",
                "space in a duration: write it without spaces, such as \"5s\"",
            ),
            ("", "invalid duration ``: write it like \"5s\""),
            ("-5s", "invalid duration `-5s`: write it like \"5s\""),
            ("1m30", "invalid duration `1m30`: write it like \"5s\""),
            ("_5s", "invalid duration `_5s`: write it like \"5s\""),
            ("5__0s", "invalid duration `5__0s`: write it like \"5s\""),
            (
                "99999999999999999999s",
                "this duration is too large: write a smaller number",
            ),
            (
                "999999999999999999d",
                "this duration is too large: write a smaller number",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(problem(text), expected, "{text}");
        }
        for text in ["30s1m", "1s1s", "1ms1s"] {
            assert!(problem(text).starts_with("units out of order"), "{text}");
        }
    }

    #[test]
    fn sizes_are_read() {
        let cases = [
            ("0B", 0),
            ("16KiB", 16_384),
            ("16KB", 16_000),
            ("1MiB", 1_048_576),
            ("1_0MB", 10_000_000),
            ("2GiB", 2_147_483_648),
            ("1GB", 1_000_000_000),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
        }
        let cases = [
            (
                "16384",
                "bare number where a size is needed: write \"16KiB\" or \"16384B\"",
            ),
            (
                "100",
                "bare number where a size is needed: write \"100B\" or \"100KiB\"",
            ),
            (
                "16kb",
                "unknown unit `kb` in a size: use B, KiB, MiB, GiB, or KB, MB, GB",
            ),
            (
                "1MiB1KiB",
                "invalid size `1MiB1KiB`: write one number with one unit, such as \"64KiB\"",
            ),
            (
                "99999999999GiB",
                "this size is too large: write a smaller number",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(
                parse_size(text).unwrap_err().to_string(),
                expected,
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn durations_round_trip(milliseconds in any::<u64>()) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse_duration(&format_duration(duration)).unwrap(), duration);
        }

        #[test]
        fn sizes_round_trip(bytes in any::<u64>(), shift in 0u32..40) {
            for bytes in [bytes, (bytes >> shift) << shift, bytes >> shift] {
                prop_assert_eq!(parse_size(&format_size(bytes)).unwrap(), bytes);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,12}", close in "[0-9_]{0,22}[.a-zA-Z ]{0,3}[0-9_]{0,3}[a-zA-Z]{0,3}") {
            for text in [&text, &close] {
                let _ = parse_duration(text);
                let _ = parse_size(text);
            }
        }
    }
}
