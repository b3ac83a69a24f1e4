//! Answers of our own, in HTTP mode: what a client is told whose request has no answer from a
//! server.

/// An answer that we give ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorResponse {
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

impl ErrorResponse {
    /// All of them, in the order of their numbers.
    pub const ALL: [ErrorResponse; 6] = [
        ErrorResponse::BadRequest,
        ErrorResponse::RequestTimeout,
        ErrorResponse::HeadTooLarge,
        ErrorResponse::BadGateway,
        ErrorResponse::Unavailable,
        ErrorResponse::GatewayTimeout,
    ];

    /// Its place in [`ErrorResponse::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its status code (RFC 9110, RFC 6585).
    pub const fn status(self) -> u16 {
        match self {
            ErrorResponse::BadRequest => 400,
            ErrorResponse::RequestTimeout => 408,
            ErrorResponse::HeadTooLarge => 431,
            ErrorResponse::BadGateway => 502,
            ErrorResponse::Unavailable => 503,
            ErrorResponse::GatewayTimeout => 504,
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
            ErrorResponse::BadRequest => answer!(
                "400 Bad Request",
                "68",
                "this is not an HTTP request that can be passed on."
            ),
            ErrorResponse::RequestTimeout => answer!(
                "408 Request Timeout",
                "55",
                "the request did not come in time."
            ),
            ErrorResponse::HeadTooLarge => answer!(
                "431 Request Header Fields Too Large",
                "74",
                "the head of the request is too long."
            ),
            ErrorResponse::BadGateway => answer!(
                "502 Bad Gateway",
                "53",
                "the server ended before its answer."
            ),
            ErrorResponse::Unavailable => answer!(
                "503 Service Unavailable",
                "62",
                "no server can take this request now."
            ),
            ErrorResponse::GatewayTimeout => answer!(
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
        for (index, answer) in ErrorResponse::ALL.into_iter().enumerate() {
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
