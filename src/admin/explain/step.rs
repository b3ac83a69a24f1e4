//! Rules that a connection meets, in their order, and what each would do.

use schemars::JsonSchema;
use serde::Serialize;

/// A rule, and what it would do with the connection.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Step {
    /// The rule: the key of the configuration that has it, or `queue`.
    rule: &'static str,
    /// What it would do.
    result: Effect,
    /// A sentence.
    pub text: String,
}

/// What a rule would do with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The next rule is asked.
    Pass,
    /// The connection is reset.
    Refuse,
    /// It waits.
    Wait,
    /// It gets a server.
    Choose,
    /// There is no server for it: it is reset, or answered with an error in HTTP mode.
    Fail,
}

/// The rules that were asked.
#[derive(Debug, Default)]
pub struct Steps(Vec<Step>);

impl Steps {
    /// Adds one, and returns what it would do.
    pub fn add(&mut self, rule: &'static str, result: Effect, text: impl Into<String>) -> Effect {
        let text = text.into();
        self.0.push(Step { rule, result, text });
        result
    }

    /// All of them.
    pub fn into_list(self) -> Vec<Step> {
        self.0
    }
}
