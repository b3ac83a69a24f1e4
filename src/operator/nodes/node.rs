//! A node that was asked, and its answer.

use serde_json::Value;

use super::super::output::Failure;

/// What a node has said of itself.
#[derive(Debug)]
pub(super) struct Answer {
    /// The document of `/api/v1/stats`.
    pub stats: Value,
    /// Why it wants no clients; empty: it is ready for them.
    pub not_ready: String,
}

/// A node that was asked.
#[derive(Debug)]
pub(super) struct Node {
    /// Its socket or URL, as it was written.
    pub name: String,
    pub answer: Result<Answer, Failure>,
}

impl Answer {
    /// Leaves only these backends and the frontends that use them, if any are named.
    pub fn keep(&mut self, backends: &[String]) {
        let mut retain = |list: &str, name: &str| {
            if let Some(all) = self.stats[list].as_array_mut()
                && !backends.is_empty()
            {
                all.retain(|it| backends.iter().any(|backend| it[name] == *backend));
            }
        };
        retain("backends", "name");
        retain("frontends", "backend");
    }
}
