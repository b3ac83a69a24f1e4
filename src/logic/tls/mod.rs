//! TLS by name: what a client says in its ClientHello, and which route that takes. Nothing is decrypted.

mod hello;
mod input;
mod name_pattern;
mod protocols;
mod routes;

pub use hello::{HELLO_LEN_MAX, Hello, HelloFault, HelloProgress, HelloScan, Version, scan_hello};
pub use name_pattern::{NAME_LEN_MAX, NameFault, NamePattern};
pub use protocols::Protocols;
pub use routes::{Conditions, RouteMatch, RouteTable};
