//! What `http-check expect` and `tcp-check expect` want to see.

use regex_lite::Regex;

use super::check::{Rules, Step};
use super::directive::Directive;
use super::notes::{Notes, Place};
use super::values;

/// Reads a line: `expect [min-recv N] [comment TEXT] ... [!] MATCH PATTERN`
pub(super) fn read(rules: &mut Rules, directive: &Directive, place: &Place, notes: &mut Notes) {
    let is_http = directive.words[0] == "http-check";
    let mut rest = directive.from(2);
    let mut is_negated = false;
    loop {
        match rest {
            [word, _, after @ ..]
                if [
                    "min-recv",
                    "comment",
                    "ok-status",
                    "error-status",
                    "tout-status",
                    "on-success",
                    "on-error",
                    "status-code",
                ]
                .contains(&word.as_str()) =>
            {
                rest = after;
            }
            [word, after @ ..] if word == "!" => {
                is_negated = !is_negated;
                rest = after;
            }
            _ => break,
        }
    }
    let [kind, pattern, ..] = rest else {
        return notes.wrong(place, directive, "what is expected is missing");
    };
    let untranslated = match (kind.as_str(), is_http) {
        ("status", true) => match statuses_of_list(pattern) {
            Some(is_expected) => {
                return rules.http.statuses =
                    Some(ranges(|status| is_expected(status) != is_negated));
            }
            None => {
                return notes.wrong(
                    place,
                    directive,
                    format!("`{pattern}` is no list of statuses"),
                );
            }
        },
        ("rstatus", true) => match Regex::new(pattern) {
            Ok(regex) => {
                let statuses = ranges(|status| regex.is_match(&status.to_string()) != is_negated);
                return rules.http.statuses = Some(statuses);
            }
            Err(_) => {
                "the regular expression is of another syntax than that of the crate regex-lite"
            }
        },
        ("string", true) if !is_negated => {
            // Then HAProxy takes any status.
            rules
                .http
                .statuses
                .get_or_insert_with(|| "100-999".to_owned());
            return rules.http.body = Some(pattern.clone());
        }
        ("rstring", true) if !is_negated && Regex::new(pattern).is_ok() => {
            rules
                .http
                .statuses
                .get_or_insert_with(|| "100-999".to_owned());
            return rules.http.body_regex = Some(pattern.clone());
        }
        ("string", false) if !is_negated => {
            return rules.steps.push(Step::Expect(pattern.as_bytes().to_vec()));
        }
        ("binary", false) if !is_negated => match values::bytes_of_hex(pattern) {
            Some(bytes) => return rules.steps.push(Step::Expect(bytes)),
            None => {
                return notes.wrong(place, directive, format!("`{pattern}` is not hexadecimal"));
            }
        },
        ("string" | "rstring" | "binary" | "rbinary" | "string-lf" | "binary-lf", _) => {
            "what must come is a fixed text, in HTTP also a regular expression"
        }
        ("hdr" | "fhdr", true) => "lines of the head of an answer are not looked at",
        (other, _) => return notes.wrong(place, directive, format!("`{other}` can't be expected")),
    };
    notes.not_translated(place, directive, untranslated);
}

/// `200,301-399`
fn statuses_of_list(text: &str) -> Option<impl Fn(u16) -> bool> {
    let range = |part: &str| -> Option<(u16, u16)> {
        let (start, end) = part.split_once('-').unwrap_or((part, part));
        Some((start.trim().parse().ok()?, end.trim().parse().ok()?))
    };
    let ranges: Vec<(u16, u16)> = text.split(',').map(range).collect::<Option<_>>()?;
    Some(move |status| {
        ranges
            .iter()
            .any(|(start, end)| (*start..=*end).contains(&status))
    })
}

/// The statuses that are expected, as we write them.
fn ranges(is_expected: impl Fn(u16) -> bool) -> String {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for status in (100..=999).filter(|status| is_expected(*status)) {
        match ranges.last_mut() {
            Some((_, end)) if *end + 1 == status => *end = status,
            Some(_) | None => ranges.push((status, status)),
        }
    }
    let shown = ranges.iter().map(|(start, end)| match start == end {
        true => start.to_string(),
        false => format!("{start}-{end}"),
    });
    shown.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_written_as_ranges() {
        let of_list = |text| ranges(statuses_of_list(text).expect(text));
        assert_eq!(of_list("200"), "200");
        assert_eq!(of_list("200-399,401"), "200-399,401");
        assert_eq!(of_list("301, 200,201"), "200-201,301");
        let of_regex =
            |text| ranges(|status| Regex::new(text).expect(text).is_match(&status.to_string()));
        assert_eq!(of_regex("^[23][0-9][0-9]"), "200-399");
        assert_eq!(of_regex("(2|3)[0-9][0-9]$"), "200-399");
        assert_eq!(ranges(|status| status != 500), "100-499,501-999");
        assert!(statuses_of_list("2xx").is_none());
    }
}
