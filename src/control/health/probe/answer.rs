//! The head of an answer to a probe: its status line, what comes before that, and its end.

/// What the first bytes of a response say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusLine {
    /// Its first line is whole.
    Status(u16),
    /// More is needed.
    Incomplete,
    /// It is not HTTP/1.
    Invalid,
}

/// What follows the heads of interim answers, such as 100 or 103 (RFC 9110, section 15.2); `None`: one
/// of them has not ended yet. 101 is final here: nothing was asked that could be switched.
pub fn final_answer(mut answer: &[u8]) -> Option<&[u8]> {
    while let StatusLine::Status(100 | 102..=199) = status_line(answer) {
        answer = &answer[head_len(answer)?..];
    }
    Some(answer)
}

/// How long the head is, if it is whole: through the empty line.
pub fn head_len(answer: &[u8]) -> Option<usize> {
    let mut line_ends = memchr::memchr_iter(b'\n', answer);
    line_ends.find_map(|end| match &answer[end + 1..] {
        [b'\n', ..] => Some(end + 2),
        [b'\r', b'\n', ..] => Some(end + 3),
        _ => None,
    })
}

/// Reads `HTTP/1.1 200 Reason` with its line end (RFC 9112, section 4); the reason may be missing.
pub fn status_line(answer: &[u8]) -> StatusLine {
    const SHAPE: &[u8] = b"HTTP/1.# ###";
    let fits = |(byte, shape): (&u8, &u8)| match shape {
        b'#' => byte.is_ascii_digit(),
        shape => byte == shape,
    };
    if !answer.iter().zip(SHAPE).all(fits) {
        return StatusLine::Invalid;
    }
    let Some(&after) = answer.get(SHAPE.len()) else {
        return StatusLine::Incomplete;
    };
    if !matches!(after, b' ' | b'\r' | b'\n') || answer[9] == b'0' {
        return StatusLine::Invalid;
    }
    if !answer.contains(&b'\n') {
        return StatusLine::Incomplete;
    }
    let digits = answer[9..12].iter();
    StatusLine::Status(digits.fold(0, |status, digit| status * 10 + u16::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_read_as_soon_as_it_is_whole() {
        use StatusLine::{Incomplete, Invalid, Status};
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\n", Status(200)),
            ("HTTP/1.0 404\r\nX: y", Status(404)),
            ("HTTP/1.1 301 \n", Status(301)),
            ("HTTP/1.1 999 \r\n\r\nbody", Status(999)),
            ("", Incomplete),
            ("H", Incomplete),
            ("HTTP/1.1 20", Incomplete),
            ("HTTP/1.1 200", Incomplete),
            ("HTTP/1.1 200 OK", Incomplete),
            ("HTTP/1.1 200 OK\r", Incomplete),
            ("HTTP/1.1 2000\r\n", Invalid),
            ("HTTP/1.1 20 OK\r\n", Invalid),
            ("HTTP/1.1 099 \r\n", Invalid),
            ("HTTP/1.1  200\r\n", Invalid),
            ("HTTP/2 200\r\n", Invalid),
            ("http/1.1 200 OK\r\n", Invalid),
            ("SSH-2.0-x\r\n", Invalid),
            ("\r\n", Invalid),
        ] {
            assert_eq!(status_line(answer.as_bytes()), expected, "{answer:?}");
        }
    }

    #[test]
    fn interim_answers_are_passed_over() {
        let last = "HTTP/1.1 204 \r\n";
        for interim in [
            "",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 \r\n\r\n",
            "HTTP/1.1 199 \nX: y\n\n",
        ] {
            let whole = format!("{interim}{last}");
            let found = final_answer(whole.as_bytes()).map(status_line);
            assert_eq!(found, Some(StatusLine::Status(204)), "{interim:?}");
            for len in 0..whole.len() {
                let found = final_answer(&whole.as_bytes()[..len]);
                let found = found.map_or(StatusLine::Incomplete, status_line);
                assert_eq!(found, StatusLine::Incomplete, "{interim:?} {len}");
            }
        }
        let switched = b"HTTP/1.1 101 \r\n\r\nHTTP/1.1 200 \r\n";
        let found = final_answer(switched).map(status_line);
        assert_eq!(found, Some(StatusLine::Status(101)));
    }

    #[test]
    fn a_head_ends_with_its_empty_line() {
        for (answer, len) in [
            ("HTTP/1.1 200 OK\r\n\r\nbody\r\n\r\n", Some(19)),
            ("HTTP/1.1 200 OK\n\n", Some(17)),
            ("HTTP/1.1 200 OK\r\nX: y\r\n", None),
            ("HTTP/1.1 200 OK\r\nX: y\r\n\r", None),
        ] {
            assert_eq!(head_len(answer.as_bytes()), len, "{answer:?}");
        }
    }

    #[test]
    fn every_prefix_of_a_status_line_waits_for_more() {
        let line = b"HTTP/1.1 204 No Content\r\n";
        for len in 0..line.len() {
            assert_eq!(status_line(&line[..len]), StatusLine::Incomplete, "{len}");
        }
    }
}
