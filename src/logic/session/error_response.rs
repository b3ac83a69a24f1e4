//! The error responses of HTTP mode: what a client gets whose request has no response from a server.

/// A response of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorResponse {
    /// What came is no request, or is ambiguous.
    BadRequest,
    /// The head of the request did not come in time.
    RequestTimeout,
    /// The head of the request is longer than `head_max`.
    HeadTooLarge,
    /// The server ended before the head of its response was whole.
    BadGateway,
    /// No server was usable, reachable or free in time.
    Unavailable,
    /// The server did not respond in time.
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

    /// Its index in [`ErrorResponse::ALL`].
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
        macro_rules! response {
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
            ErrorResponse::BadRequest => response!(
                "400 Bad Request",
                "68",
                "this is not an HTTP request that can be passed on."
            ),
            ErrorResponse::RequestTimeout => response!(
                "408 Request Timeout",
                "55",
                "the request did not come in time."
            ),
            ErrorResponse::HeadTooLarge => response!(
                "431 Request Header Fields Too Large",
                "74",
                "the head of the request is too long."
            ),
            ErrorResponse::BadGateway => response!(
                "502 Bad Gateway",
                "53",
                "the server ended before its answer."
            ),
            ErrorResponse::Unavailable => response!(
                "503 Service Unavailable",
                "62",
                "no server can take this request now."
            ),
            ErrorResponse::GatewayTimeout => response!(
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
        for (index, response) in ErrorResponse::ALL.into_iter().enumerate() {
            assert_eq!(response.index(), index);
            let (head, body) = response.text().split_once("\r\n\r\n").unwrap();
            let status = format!("HTTP/1.1 {} ", response.status());
            assert!(head.starts_with(&status), "{head}");
            let length = format!("\r\nContent-Length: {}\r\n", body.len());
            assert!(head.contains(&length), "{head}");
            assert!(head.ends_with("\r\nConnection: close"), "{head}");
            assert_eq!(response.head(), format!("{head}\r\n\r\n"));
            assert!(response.text().len() < 512);
        }
    }
}
