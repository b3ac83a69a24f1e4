//! Tasks of the control plane.

use std::future::Future;
use std::pin::Pin;

use tokio::task::JoinHandle;

/// Begins a task on the current runtime. The future is boxed, so that tokio's code for a task is compiled once
/// and not for each kind of them.
pub fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let task: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(task);
    tokio::spawn(task)
}
