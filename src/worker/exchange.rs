//! What the access log shows of the first request of a session and its response.

/// What the client's cookie was; the third letter of the end code, as HAProxy uses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestCookie {
    /// There is no sticky cookie, or the request was not read.
    #[default]
    Unread,
    /// The client had none.
    None,
    /// It names no server.
    Invalid,
    /// Its server takes no sessions.
    Down,
    /// Its server may take the session.
    Valid,
}

/// What became of the cookie in the response; the fourth letter of the end code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseCookie {
    /// There is no sticky cookie.
    #[default]
    Unread,
    /// None was set.
    None,
    /// Ours was set.
    Inserted,
    /// One of the server's was removed, and ours not set.
    Deleted,
}

/// What the access log shows of a request and its response.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// Status of the first final response, ours or the server's; 0: there was none that we could
    /// read.
    pub status: u16,
    /// Method of the request, or what came instead of one in angle brackets.
    pub method: Box<[u8]>,
    /// Target of the request as it came, cut to 1024 bytes.
    pub target: Box<[u8]>,
    /// What the client's cookie was.
    pub request_cookie: RequestCookie,
    /// What became of the cookie in the response.
    pub response_cookie: ResponseCookie,
}

impl Exchange {
    /// The third and the fourth letter of the end code.
    pub fn cookie_code(&self) -> [u8; 2] {
        let request = match self.request_cookie {
            RequestCookie::Unread => b'-',
            RequestCookie::None => b'N',
            RequestCookie::Invalid => b'I',
            RequestCookie::Down => b'D',
            RequestCookie::Valid => b'V',
        };
        let response = match self.response_cookie {
            ResponseCookie::Unread => b'-',
            ResponseCookie::None => b'N',
            ResponseCookie::Inserted => b'I',
            ResponseCookie::Deleted => b'D',
        };
        [request, response]
    }
}
