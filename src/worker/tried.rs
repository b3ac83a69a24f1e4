//! The servers of a session whose connect failed. Most sessions have none, and keep no more than that.

use std::sync::Arc;

use crate::snapshot::ServerShared;

/// Servers whose connect failed, in order.
#[derive(Debug, Default)]
pub struct Tried(Option<Box<List>>);

const _: () = assert!(size_of::<Tried>() == 8);

#[derive(Debug, Default)]
struct List {
    servers: Vec<Arc<ServerShared>>,
    /// How many of them failed before the last pause: they may be tried again.
    before: usize,
}

impl Tried {
    /// Appends one.
    pub fn push(&mut self, server: Arc<ServerShared>) {
        self.0.get_or_insert_default().servers.push(server);
    }

    /// The one that failed last.
    pub fn last(&self) -> Option<&Arc<ServerShared>> {
        self.0.as_ref()?.servers.last()
    }

    /// Those that are not tried again without a pause.
    pub fn lately(&self) -> &[Arc<ServerShared>] {
        self.0
            .as_ref()
            .map_or(&[], |list| &list.servers[list.before..])
    }

    /// There was a pause: all of them may be tried again.
    pub fn forget(&mut self) {
        if let Some(list) = &mut self.0 {
            list.before = list.servers.len();
        }
    }
}
