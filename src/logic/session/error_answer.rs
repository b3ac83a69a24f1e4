//! What a client is told by us before it is closed.

use super::error_response::ErrorResponse;

/// An answer of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorAnswer {
    /// HTTP mode: a response.
    Http(ErrorResponse),
    /// TLS mode: the alert `unrecognized_name`.
    UnrecognizedName,
}

impl ErrorAnswer {
    /// A record of the fatal alert `unrecognized_name` (RFC 8446, 6.2), in the version that every client takes before
    /// one is agreed on.
    pub const UNRECOGNIZED_NAME: &[u8] = &[21, 3, 1, 0, 2, 2, 112];
}

impl From<ErrorResponse> for ErrorAnswer {
    fn from(response: ErrorResponse) -> Self {
        ErrorAnswer::Http(response)
    }
}
