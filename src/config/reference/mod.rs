//! The reference of the configuration: what every section and every key is for.
//!
//! One table for each section says what its keys mean, what they may be and what holds without
//! them. Everything that knows keys is made from it: the check for unknown keys in `schema`,
//! `ringway help KEY` (`help`), the manual page ringway.toml(5) (`man`) and the JSON Schema for
//! editors (`json_schema`). A key is documented by one entry in the file of its section; bounds and
//! defaults are the constants that the readers use. The readers are in `read` and in the files of
//! `admin`, `http_mode`, `address_list`, `per_client`, `health_check`, `passive`, `discover`, `proxy`, `tls_mode` and `sticky`.

mod admin;
mod backend;
mod check_tls;
mod discover;
mod entry;
mod frontend;
mod global;
mod health_check;
mod help;
mod json_schema;
mod keepalive;
mod man;
mod passive;
mod per_client;
mod proxy;
mod route;
mod rules;
mod sections;
mod server;
mod session;
mod sticky;
#[cfg(test)]
mod tests;

pub(super) use entry::Kind;
pub use help::{help, help_names, rule_names};
pub use json_schema::json_schema;
pub use man::man_page;
pub(super) use sections::{all_keys, section, sections};
