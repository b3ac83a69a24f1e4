//! Why a query has no answer that can be used.

use std::fmt;

/// A cause; `/metrics` counts each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    /// The name does not exist.
    NxDomain,
    /// The name server could not find out.
    ServFail,
    /// The name server does not answer us.
    Refused,
    /// No answer in time.
    Timeout,
    /// What came is not an answer to the query.
    Malformed,
    /// The name exists and has no record of this type.
    Empty,
    /// The name server cannot be reached, or there is none.
    Unreachable,
    /// The name server answered with another code of RFC 6895.
    Other,
}

impl Failure {
    /// All of them.
    pub const ALL: [Failure; 8] = [
        Failure::NxDomain,
        Failure::ServFail,
        Failure::Refused,
        Failure::Timeout,
        Failure::Malformed,
        Failure::Empty,
        Failure::Unreachable,
        Failure::Other,
    ];

    /// Its word in `/metrics`.
    pub fn label(self) -> &'static str {
        match self {
            Failure::NxDomain => "nxdomain",
            Failure::ServFail => "servfail",
            Failure::Refused => "refused",
            Failure::Timeout => "timeout",
            Failure::Malformed => "malformed",
            Failure::Empty => "empty",
            Failure::Unreachable => "unreachable",
            Failure::Other => "other",
        }
    }

    /// Whether the name server has answered the query: another one is not asked then.
    pub fn is_answer(self) -> bool {
        match self {
            Failure::NxDomain | Failure::Empty => true,
            Failure::ServFail
            | Failure::Refused
            | Failure::Timeout
            | Failure::Malformed
            | Failure::Unreachable
            | Failure::Other => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::NxDomain => "NXDOMAIN",
            Failure::ServFail => "SERVFAIL",
            Failure::Refused => "REFUSED",
            Failure::Timeout => "no answer in time",
            Failure::Malformed => "a malformed answer",
            Failure::Empty => "an empty answer",
            Failure::Unreachable => "no name server can be reached",
            Failure::Other => "an error of the name server",
        })
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_place_and_words_of_its_own() {
        for (index, failure) in Failure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, index);
            let same = |other: &Failure| {
                other.label() == failure.label() || other.to_string() == failure.to_string()
            };
            assert_eq!(Failure::ALL.iter().filter(|other| same(other)).count(), 1);
        }
    }
}
