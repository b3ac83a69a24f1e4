//! Waits until all workers use a configuration, with a time limit: a worker that is stuck must not hold up
//! takeovers and signals.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc;

/// Workers to which a configuration was sent.
pub struct Adopting {
    /// Receives the index of each worker that uses it.
    adopted: mpsc::UnboundedReceiver<usize>,
    /// Indices of the workers that do not use it yet.
    late: BTreeSet<usize>,
}

impl Adopting {
    /// For this many workers; each has to call its function once it uses the configuration.
    pub fn new(workers: usize) -> (Self, Vec<Box<dyn FnOnce() + Send>>) {
        let (sender, adopted) = mpsc::unbounded_channel();
        let adopting = Adopting {
            adopted,
            late: (0..workers).collect(),
        };
        let call = |worker| -> Box<dyn FnOnce() + Send> {
            let sender = sender.clone();
            Box::new(move || {
                // The receiver is gone after a timeout.
                let _ = sender.send(worker);
            })
        };
        (adopting, (0..workers).map(call).collect())
    }

    /// Waits for all workers, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// A sentence that names the workers that do not use it yet.
    pub async fn wait(&mut self, timeout: Duration) -> Result<(), String> {
        let all = async {
            while !self.late.is_empty() {
                match self.adopted.recv().await {
                    Some(worker) => self.late.remove(&worker),
                    // Those that are left have ended, and need no configuration.
                    None => return self.late.clear(),
                };
            }
        };
        // Those that are done already count with a timeout of zero too.
        let _ = tokio::time::timeout(timeout, all).await;
        let late: Vec<_> = self.late.iter().map(usize::to_string).collect();
        match late.len() {
            0 => Ok(()),
            1 => Err(format!("worker {} has not taken it yet", late[0])),
            _ => Err(format!("workers {} have not taken it yet", late.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_worker_that_is_stuck_is_named_and_not_waited_for() {
        let (mut adopting, mut calls) = Adopting::new(3);
        let last = calls.pop().unwrap();
        for call in calls.drain(1..) {
            call();
        }
        let waited = adopting.wait(Duration::from_millis(5)).await.unwrap_err();
        assert_eq!(waited, "workers 0, 2 have not taken it yet");
        last();
        let waited = adopting.wait(Duration::ZERO).await.unwrap_err();
        assert_eq!(waited, "worker 0 has not taken it yet");
        // It has ended.
        drop(calls);
        adopting.wait(Duration::ZERO).await.unwrap();
    }
}
