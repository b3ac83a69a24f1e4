//! Decisions, and nothing else: no I/O, no clock, no threads.

pub mod balance;
pub mod time;
pub mod timer_wheel;
