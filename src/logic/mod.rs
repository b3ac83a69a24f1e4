//! Decisions, and nothing else: no I/O, no clock, no threads, nothing of ours from outside this
//! module. Every machine here takes what happened and says what to do; the worker does it.

pub mod balance;
pub mod client_limits;
pub mod ejection;
pub mod health;
pub mod histogram;
pub mod http;
pub mod load;
pub mod network;
pub mod proxy;
pub mod queues;
pub mod session;
pub mod time;
pub mod timer_wheel;
pub mod tls;
