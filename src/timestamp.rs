//! Points in time as text: RFC 3339 in UTC, to the millisecond.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The beginning of the year 10000, which has no date in RFC 3339; seconds after that of 1970.
const END_S: u64 = 253_402_300_800;

/// The names that HTTP and the common log format give to months.
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A point in time as the log shows it: `2026-11-26T14:00:05.250Z`.
///
/// One before 1970 or after 9999, of a clock that is wrong, is shown as the beginning of 1970.
pub fn rfc3339(time: SystemTime) -> String {
    let end = UNIX_EPOCH + Duration::from_secs(END_S);
    let has_date = (UNIX_EPOCH..end).contains(&time);
    let time = if has_date { time } else { UNIX_EPOCH };
    humantime::format_rfc3339_millis(time).to_string()
}

/// The point in time of which this is the text, with any fraction of a second; `None`: it is not of this form.
pub fn parse(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(text).ok()
}

/// A point in time as HAProxy shows it: `26/Nov/2026:14:00:05.250`.
pub fn common_log(time: SystemTime) -> String {
    let text = rfc3339(time);
    let (year, month, day, clock) = (&text[..4], &text[5..7], &text[8..10], &text[11..23]);
    let month = month.parse().map_or("", |month: usize| MONTHS[month - 1]);
    format!("{day}/{month}/{year}:{clock}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-26, 14:00:05.250 UTC.
    fn afternoon() -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_795_701_605_250)
    }

    #[test]
    fn a_time_is_shown_to_the_millisecond() {
        assert_eq!(rfc3339(afternoon()), "2026-11-26T14:00:05.250Z");
        let later = afternoon() + Duration::from_micros(999);
        assert_eq!(rfc3339(later), "2026-11-26T14:00:05.250Z", "cut off");
        assert_eq!(rfc3339(UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_time_without_a_date_is_the_beginning_of_1970() {
        let beginning = rfc3339(UNIX_EPOCH);
        assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_nanos(1)), beginning);
        let end = UNIX_EPOCH + Duration::from_secs(END_S);
        assert_eq!(rfc3339(end), beginning);
        let last = end - Duration::from_nanos(1);
        assert_eq!(rfc3339(last), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_text_is_read_as_it_was_written() {
        assert_eq!(parse(&rfc3339(afternoon())), Some(afternoon()));
        assert_eq!(
            parse("2026-11-26T14:00:05Z"),
            Some(afternoon() - Duration::from_millis(250))
        );
        for wrong in [
            "",
            "never",
            "2026-11-26",
            "2026-13-26T14:00:05Z",
            "é".repeat(12).as_str(),
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn haproxy_shows_the_month_by_name() {
        assert_eq!(common_log(afternoon()), "26/Nov/2026:14:00:05.250");
        assert_eq!(common_log(UNIX_EPOCH), "01/Jan/1970:00:00:00.000");
    }
}
