//! `ringway nodes`: the processes of several nodes side by side.
//!
//! `node` is what one has said, `compare` finds what is different, `view` shows it.

mod compare;
mod node;
mod view;

use std::path::Path;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::client::Client;
use super::each_node::each_node;
use super::names;
use super::output::{Failure, complain, say, say_json, say_pieces};
use node::{Answer, Node};

/// Prints the nodes, and these backends of them, or all.
pub(super) async fn show(
    nodes: &[String],
    backends: &[String],
    token_file: Option<&Path>,
    json: bool,
) -> Result<(), Failure> {
    let answers = each_node(nodes, token_file, |client| Box::pin(ask(client))).await;
    let names = nodes.iter().cloned();
    let mut nodes: Vec<Node> = (names.zip(answers))
        .map(|(name, answer)| Node { name, answer })
        .collect();
    for backend in backends {
        check_backend(&nodes, backend)?;
    }
    for node in &mut nodes {
        if let Ok(answer) = &mut node.answer {
            answer.keep(backends);
        }
    }
    let differences = compare::differences(&nodes);
    match json {
        true => say_json(&document(&nodes, &differences))?,
        false => {
            for line in view::lines(&nodes, SystemTime::now()) {
                say_pieces(&line)?;
            }
            say("")?;
            say_pieces(&view::summary(&nodes, &differences))?;
        }
    }
    let mut failed = 0;
    for node in &nodes {
        if let Err(why) = &node.answer {
            complain(&format!("error: {}", why.of_node(&node.name)));
            failed += 1;
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::new(format!(
            "{failed} of {} nodes gave no answer that can be shown",
            nodes.len()
        ))),
    }
}

async fn ask(client: Client) -> Result<Answer, Failure> {
    let stats = client.get("/api/v1/stats").await?;
    if !stats["process"].is_object() {
        return Err(Failure::new("what answers is no admin listener of ringway"));
    }
    let not_ready = match client.readiness().await? {
        Ok(()) => String::new(),
        Err(reasons) => reasons.lines().collect::<Vec<_>>().join(", "),
    };
    Ok(Answer { stats, not_ready })
}

/// Fails if nodes have answered and none has such a backend.
fn check_backend(nodes: &[Node], name: &str) -> Result<(), Failure> {
    let answers = nodes.iter().filter_map(|node| node.answer.as_ref().ok());
    let mut failure = Ok(());
    for answer in answers {
        failure = names::check_backend(&answer.stats, name);
        if failure.is_ok() {
            return Ok(());
        }
    }
    failure
}

fn document(nodes: &[Node], differences: &[String]) -> Value {
    let node = |node: &Node| match &node.answer {
        Ok(answer) => json!({
            "node": node.name, "error": null,
            "ready": answer.not_ready.is_empty(), "not_ready": answer.not_ready,
            "process": answer.stats["process"], "frontends": answer.stats["frontends"],
            "backends": answer.stats["backends"],
        }),
        Err(why) => json!({ "node": node.name, "error": why.to_string() }),
    };
    json!({
        "nodes": nodes.iter().map(node).collect::<Vec<_>>(),
        "differences": differences,
    })
}
