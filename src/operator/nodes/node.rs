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
            // What answers may be no admin listener: indexing a list by a key would panic.
            if let Some(all) = self.stats.get_mut(list).and_then(Value::as_array_mut)
                && !backends.is_empty()
            {
                all.retain(|it| backends.iter().any(|backend| it[name] == *backend));
            }
        };
        retain("backends", "name");
        retain("frontends", "backend");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_of_another_form_has_nothing_to_keep() {
        for stats in [json!([]), json!("x"), json!(null), json!({ "backends": 1 })] {
            let not_ready = String::new();
            let mut answer = Answer {
                stats: stats.clone(),
                not_ready,
            };
            answer.keep(&["app".to_owned()]);
            assert_eq!(answer.stats, stats);
        }
    }
}
