//! The socket of `haproxy_socket`: HAProxy's runtime API, as far as scripts and collectors use it.
//!
//! | Module | Concern |
//! | --- | --- |
//! | `command` | what a line asks for, in HAProxy's words |
//! | `execute` | carries a command out, as the HTTP API would |
//! | `info` | `show info`, `show servers state` |
//! | `typed` | the typed and JSON formats of `show stat` and `show info` |
//! | `help` | the lists of commands |
//! | `session` | one client: its lines, the prompt, times |
//!
//! `show stat` has the rows of `/stats.csv`.

mod command;
mod execute;
mod help;
mod info;
mod session;
mod typed;

use std::time::Duration;

use tokio::net::UnixListener;
use tokio::task::AbortHandle;

use super::context::Context;
use super::server::local_peer;
use crate::task;
use session::Idle;

/// Clients at once. One that comes when all are there takes the place of the one that has been silent for the longest
/// time.
const CLIENTS_MAX: usize = 16;

/// Descriptors that it may have open: the listener, the clients, and one that takes a place.
pub(super) const DESCRIPTORS_MAX: u64 = CLIENTS_MAX as u64 + 2;

/// How long accepting pauses when descriptors or memory are short.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// A client that is served.
struct Client {
    task: AbortHandle,
    idle: Idle,
}

/// Serves clients for as long as the runtime runs.
pub(super) async fn accept(listener: UnixListener, context: Context) {
    let mut clients: Vec<Client> = Vec::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(SHORTAGE_PAUSE).await;
            continue;
        };
        let Ok(peer) = local_peer(&stream) else {
            continue;
        };
        clients.retain(|client| !client.task.is_finished());
        if clients.len() == CLIENTS_MAX && !make_room(&mut clients) {
            // All are being answered, so that this one may come again soon.
            continue;
        }
        let idle = Idle::default();
        let served = session::serve(stream, peer, context.clone(), idle.clone());
        let task = task::spawn(served).abort_handle();
        clients.push(Client { task, idle });
    }
}

/// Closes the connection of the client that has been silent for the longest time, if any is.
fn make_room(clients: &mut Vec<Client>) -> bool {
    let idle = clients.iter().enumerate();
    let idle = idle.filter_map(|(index, client)| Some((client.idle.since()?, index)));
    let Some((_, index)) = idle.min() else {
        return false;
    };
    clients.swap_remove(index).task.abort();
    true
}
