//! The same work on several nodes at once.

use std::path::Path;
use std::pin::Pin;

use tokio::sync::oneshot;

use super::client::Client;
use super::output::Failure;
use crate::task;

/// What is done with one node.
pub(super) type Work<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

/// Does `work` with each node at its socket or URL, all at once; the results are in the order of the nodes.
pub(super) async fn each_node<T: Send + 'static>(
    nodes: &[String],
    token_file: Option<&Path>,
    work: impl Fn(Client) -> Work<T>,
) -> Vec<Result<T, Failure>> {
    let begin = |node: &String| {
        let work = work(Client::of_node(node, token_file)?);
        let (send, done) = oneshot::channel();
        task::spawn(async { drop(send.send(work.await)) });
        Ok(done)
    };
    let begun: Vec<_> = nodes.iter().map(begin).collect();
    let mut results = Vec::new();
    for begun in begun {
        results.push(match begun {
            Ok(done) => match done.await {
                Ok(result) => result,
                Err(_) => Err(Failure::new("asking it ended with an internal error")),
            },
            Err(failure) => Err(failure),
        });
    }
    results
}
