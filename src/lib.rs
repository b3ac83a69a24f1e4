//! Ringway, a layer-4 TCP load balancer for Linux on io_uring.
#![allow(missing_docs)]
pub mod cli;
pub mod config;
pub mod control;
pub mod demo;
pub mod doctor;
pub mod io;
pub mod log;
pub mod logic;
pub mod shared;
pub mod worker;
