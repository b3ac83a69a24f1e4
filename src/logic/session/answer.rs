//! Answers of our own, in HTTP mode: what a client is told whose request has no answer from a
//! server.

/// An answer that we give ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// What came is no request, or could be read in two ways.
    BadRequest,
    /// The head of the request did not come in time.
    RequestTimeout,
    /// The head of the request is longer than we read.
    HeadTooLarge,
    /// The server ended before its answer.
    BadGateway,
    /// No server could be had.
    Unavailable,
    /// The server did not answer in time.
    GatewayTimeout,
}

impl Answer {
    /// All of them, in the order of their numbers.
    pub const ALL: [Answer; 6] = [
        Answer::BadRequest,
        Answer::RequestTimeout,
        Answer::HeadTooLarge,
        Answer::BadGateway,
        Answer::Unavailable,
        Answer::GatewayTimeout,
    ];

    /// Its place in [`Answer::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its status code (RFC 9110, RFC 6585).
    pub const fn status(self) -> u16 {
        match self {
            Answer::BadRequest => 400,
            Answer::RequestTimeout => 408,
            Answer::HeadTooLarge => 431,
            Answer::BadGateway => 502,
            Answer::Unavailable => 503,
            Answer::GatewayTimeout => 504,
        }
    }

    /// Its head alone, as a request of method HEAD gets it.
    pub fn head(self) -> &'static str {
        let text = self.text();
        match text.find("\r\n\r\n") {
            Some(end) => &text[..end + 4],
            None => text,
        }
    }

    /// The whole of it, head and body, less than 512 bytes.
    pub const fn text(self) -> &'static str {
        /// The length is that of the body, which a test checks.
        macro_rules! answer {
            ($status:literal, $len:literal, $why:literal) => {
                concat!(
                    "HTTP/1.1 ",
                    $status,
                    "\r\nContent-Type: text/plain\r\nContent-Length: ",
                    $len,
                    "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
                    $status,
                    ": ",
                    $why,
                    "\n"
                )
            };
        }
        match self {
            Answer::BadRequest => answer!(
                "400 Bad Request",
                "68",
                "this is not an HTTP request that can be passed on."
            ),
            Answer::RequestTimeout => answer!(
                "408 Request Timeout",
                "55",
                "the request did not come in time."
            ),
            Answer::HeadTooLarge => answer!(
                "431 Request Header Fields Too Large",
                "74",
                "the head of the request is too long."
            ),
            Answer::BadGateway => answer!(
                "502 Bad Gateway",
                "53",
                "the server ended before its answer."
            ),
            Answer::Unavailable => answer!(
                "503 Service Unavailable",
                "62",
                "no server can take this request now."
            ),
            Answer::GatewayTimeout => answer!(
                "504 Gateway Timeout",
                "56",
                "the server did not answer in time."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_says_what_it_is() {
        for (index, answer) in Answer::ALL.into_iter().enumerate() {
            assert_eq!(answer.index(), index);
            let (head, body) = answer.text().split_once("\r\n\r\n").unwrap();
            let status = format!("HTTP/1.1 {} ", answer.status());
            assert!(head.starts_with(&status), "{head}");
            let length = format!("\r\nContent-Length: {}\r\n", body.len());
            assert!(head.contains(&length), "{head}");
            assert!(head.ends_with("\r\nConnection: close"), "{head}");
            assert_eq!(answer.head(), format!("{head}\r\n\r\n"));
            assert!(answer.text().len() < 512);
        }
    }
}
