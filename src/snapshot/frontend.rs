//! A frontend and its routes as all workers share them.

use super::counters::{ByWorker, FrontendCounters, RouteCounters};
use crate::sync::{SessionLimit, WaitRegistry};

/// A frontend as all workers share it. A reload keeps the object if the name is the same.
#[derive(Debug)]
pub struct FrontendShared {
    /// Unique in this process.
    pub id: u64,
    /// Its open sessions.
    pub session_limit: SessionLimit,
    /// Workers with listeners that accept nothing because this limit is reached.
    pub paused: WaitRegistry,
    /// What each worker counts.
    pub counters: ByWorker<FrontendCounters>,
}

/// A route of a frontend as all workers share it. A reload keeps the object if the frontend and what tells
/// the route from others are the same.
#[derive(Debug)]
pub struct RouteShared {
    /// What each worker counts.
    pub counters: ByWorker<RouteCounters>,
}
