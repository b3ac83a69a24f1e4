//! What `ringway doctor` prints: lines with what to do. The checks make them.

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// All is well.
    Good,
    /// It runs, but not as well as it could.
    Advice,
    /// It does not run.
    Bad,
}

/// One line of the report.
#[derive(Debug)]
pub(super) struct Finding {
    pub level: Level,
    /// What was found.
    pub text: String,
    /// What to do; empty when all is well.
    pub cure: String,
}

impl Finding {
    /// All is well.
    pub fn good(text: String) -> Self {
        Finding {
            level: Level::Good,
            text,
            cure: String::new(),
        }
    }

    /// It could be better, and how.
    pub fn advice(text: String, cure: String) -> Self {
        Finding {
            level: Level::Advice,
            text,
            cure,
        }
    }

    /// It does not run, and what to do.
    pub fn bad(text: String, cure: String) -> Self {
        Finding {
            level: Level::Bad,
            text,
            cure,
        }
    }
}
