//! TLS by name: what a client says in its ClientHello, and which route that takes. Nothing is decrypted.

mod name_pattern;
mod routes;

pub use name_pattern::{NAME_LEN_MAX, NameFault, NamePattern};
pub use routes::{Conditions, RouteMatch, RouteTable};
