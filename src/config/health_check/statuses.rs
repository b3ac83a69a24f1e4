//! Statuses of HTTP that pass a check: how they are written and read.

use std::fmt;
use std::ops::RangeInclusive;

use super::super::defaults;
use super::super::problem::{Problem, shorten};

/// Statuses of HTTP, as in `200-299,301`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusRanges(Vec<RangeInclusive<u16>>);

impl StatusRanges {
    /// Whether `status` is among them.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl Default for StatusRanges {
    fn default() -> Self {
        StatusRanges(vec![defaults::CHECK_EXPECT_STATUS])
    }
}

impl fmt::Display for StatusRanges {
    /// As it is written in a configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (start, end) if start == end => write!(f, "{comma}{start}")?,
                (start, end) => write!(f, "{comma}{start}-{end}")?,
            }
        }
        Ok(())
    }
}

pub(in crate::config) fn parse_status_ranges(text: &str) -> Result<StatusRanges, Problem> {
    let status = |text: &str| -> Option<u16> {
        let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|status| digits && *status >= 100)
    };
    let range = |part: &str| {
        let (start, end) = part.split_once('-').unwrap_or((part, part));
        let (start, end) = (status(start.trim())?, status(end.trim())?);
        (start <= end).then_some(start..=end)
    };
    const CURE: &str = "write statuses and ranges of them, such as \"200-299,301\"";
    if text.trim().is_empty() {
        return Err(Problem::new("`expect_status` is empty", CURE));
    }
    let ranges = text.split(',').map(|part| {
        range(part.trim()).ok_or_else(|| {
            let title = format!("invalid range of statuses `{}`", shorten(part.trim()));
            Problem::new(title, CURE)
        })
    });
    ranges.collect::<Result<_, _>>().map(StatusRanges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_statuses_are_read_and_written() {
        for (text, written) in [
            ("200", "200"),
            ("200-399", "200-399"),
            (" 200 - 299 , 301,100-999", "200-299,301,100-999"),
        ] {
            assert_eq!(parse_status_ranges(text).unwrap().to_string(), written);
        }
        let ranges = parse_status_ranges("200-299,301").unwrap();
        for (status, inside) in [
            (199, false),
            (200, true),
            (299, true),
            (300, false),
            (301, true),
        ] {
            assert_eq!(ranges.contains(status), inside, "{status}");
        }
        let default = StatusRanges::default();
        assert!(default.contains(204) && default.contains(399) && !default.contains(400));
        for wrong in [
            "", " ", "200,", "20", "2000", "399-200", "200-", "2xx", "+20", "099",
        ] {
            assert!(parse_status_ranges(wrong).is_err(), "{wrong}");
        }
    }
}
