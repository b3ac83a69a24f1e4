//! Heads of HTTP/1 messages: finding them, reading the little we need, and editing them.
//!
//! In HTTP mode the worker scans the beginning of what a client sends until a whole head is there
//! ([`scan_request`]), lets its cookie choose the server, and sends the head on without that cookie
//! ([`RequestHead::rewrite`]). It does the same with the answer, to add the cookie
//! ([`scan_response`], [`ResponseHead::rewrite`]). What follows these heads is a tunnel.
//!
//! Requests come from strangers: a head that two readers could read differently is refused, never
//! guessed at. Responses come from servers that an operator chose: what can't be read passes as it
//! is. In both every byte outside of the removed and the added lines stays what it was, so nothing
//! is normalised here. This is no HTTP implementation: bodies, later messages of a connection and
//! what fields mean to servers are none of its business.
//!
//! A scan gives the same result however its bytes were cut on their way: it is that of the shortest
//! beginning that has one. All of it costs time linear in the bytes, also when they come one by
//! one, and no memory.

mod caching;
mod cookie;
mod field;
mod framing;
mod lines;
mod pairs;
mod refusal;
mod request;
mod request_line;
mod response;
mod target;

#[cfg(test)]
mod tests;

pub use refusal::Refusal;
pub use request::{Forwarded, RequestHead, RequestScan, scan_request};
pub use response::{ResponseEdit, ResponseHead, ResponseScan, Rewritten, scan_response};
