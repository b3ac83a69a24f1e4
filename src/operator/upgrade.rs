//! `ringway upgrade`: the running process starts its program again, which takes over.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::Client;
use super::document::{number, word};
use super::output::{Failure, say};

/// How long the new process may take to open its admin listener, after the old one has closed its own.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is looked for.
const PERIOD: Duration = Duration::from_millis(50);

/// Waits until the new process answers, and says which it is.
pub(super) async fn run(client: &Client) -> Result<(), Failure> {
    let old = process(client).await?;
    let pid = |process: &Value| number(&process["pid"]);
    let asked = client.post("/api/v1/upgrade", &json!({})).await;
    let deadline = Instant::now() + OPEN_TIMEOUT;
    let new = loop {
        // The old process may end before its answer is read.
        match (process(client).await, &asked) {
            (Ok(now), _) if pid(&now) != pid(&old) => break now,
            (Ok(_), Err(why)) => return Err(why.clone()),
            (Err(why), _) if Instant::now() >= deadline => return Err(why),
            (Ok(_), Ok(_)) if Instant::now() >= deadline => {
                let why = "a new process has taken over, but has no admin listener: see its log";
                return Err(Failure::new(why));
            }
            (Ok(_) | Err(_), _) => tokio::time::sleep(PERIOD).await,
        }
    };
    say(&format!(
        "process {} (version {}) has taken over from process {} (version {}), which finishes its \
         sessions",
        pid(&new),
        word(&new["version"]),
        pid(&old),
        word(&old["version"]),
    ))
}

async fn process(client: &Client) -> Result<Value, Failure> {
    let mut stats = client.get("/api/v1/stats").await?;
    Ok(stats["process"].take())
}
