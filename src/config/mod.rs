//! The configuration: from the text that an operator wrote to what is true for this process.
//!
//! `text -> RawConfig (what was written, with spans) -> Config (complete, checked, immutable)`.
//! Everything that can be wrong with a file is found here, all of it in one run; nothing behind
//! this module meets an unchecked value. It opens no socket and starts no thread; its only I/O is
//! resolving host names, looking users up, and reading the file and those that it names.
//!
//! The way of a file: `load` gets its text, `read` makes a `RawConfig` of it by `section`,
//! `schema`, `value`, `units` and `address`; `validate` and `backends` make a [`Config`] of that by
//! `inherit`, `defaults`, `listen` and `resolve`; `error` and `render` show what went wrong, `print` and
//! `page` what is in effect. Keys that belong together have a file of their own for all of that:
//! `admin`, `identity`, `mode`, `http_mode`, `tls_mode`, `keepalive`, `address_list`, `per_client`, `health_check`, `passive`, `discover`,
//! `proxy`, `sticky` with `cookie`. `reference` tells users what each key is for. A command line without a file takes
//! the short way of `simple`; `options` has what the command line may set in either.

mod address;
mod address_list;
mod admin;
mod backends;
mod choice;
mod cookie;
mod defaults;
mod discover;
mod error;
mod field;
mod foreign;
mod health_check;
mod http_mode;
mod identity;
mod inherit;
mod keepalive;
mod listen;
mod load;
mod mode;
mod name;
mod network;
mod options;
mod page;
mod passive;
mod per_client;
mod print;
mod problem;
mod proxy;
mod raw;
mod read;
mod reference;
mod render;
mod resolve;
mod schema;
mod section;
mod server;
mod session_rules;
mod simple;
mod sticky;
mod suggest;
mod syntax;
mod tls_mode;
mod types;
mod units;
mod validate;
mod value;

pub use crate::logic::balance::Algorithm;
pub use crate::logic::ejection::EjectionRules;
pub use address::Address;
pub use address_list::AddressList;
pub use admin::Admin;
pub use choice::{AccessLog, EngineChoice, OnDown, Pin};
pub use defaults::{FILE_BYTES_MAX, SERVERS_MAX};
pub use discover::{Discover, DiscoverQuery, Family, OnEmpty};
pub use error::{Finding, Report};
pub use foreign::explain as explain_foreign_word;
pub use health_check::{
    CheckKind, CheckTls, Exchange, ExpectBody, HealthCheck, HttpCheck, Literal, Roots,
    StatusRanges, name_of_host,
};
pub use http_mode::{ForwardedFor, HttpMode, Inspect};
pub use identity::{Group, Identity};
pub use keepalive::Keepalive;
pub use listen::{Listen, overlap};
pub use load::{Loaded, STANDARD_INPUT, Servers, check, check_text, load, parse};
pub use mode::Mode;
pub(crate) use page::{Page, quoted};
pub use per_client::{PerClient, Period, Rate};
pub use print::effective;
pub use problem::{Problem, Severity};
pub use proxy::{AcceptProxy, SendProxy};
pub(crate) use read::quoted_key;
pub use reference::{help, help_names, json_schema, man_page, rule_names};
pub use resolve::{Resolver, system as system_resolver};
pub use server::Server;
pub use session_rules::{SessionRules, Timeouts};
pub use sticky::{SameSite, Sticky};
pub use tls_mode::{Route, TlsMode};
pub use types::{Backend, Config, Frontend, Global};
pub use units::{format_duration, format_size, parse_duration, parse_size};
