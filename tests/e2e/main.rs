//! End-to-end tests: the real binary, before servers and clients of ours that behave in every way
//! that is allowed and in some that are not.
//!
//! A test reads from top to bottom: servers, [`setup::Setup`] with what is special about the
//! configuration, clients, and what must be seen. Nothing here knows how the program works inside;
//! what may be relied on is what users may rely on: command line, configuration, log lines, bytes.
//!
//! Rules: no fixed port (everything listens on port 0), no sleep as a means of waiting (all waiting
//! is in [`wait`] or in a blocking read with a deadline), and no test without a look at the end
//! whether the process still ran, had not panicked and had no worker thread of the kernel's io_uring.

mod browser;
mod clients;
mod harness;
mod http;
mod http_servers;
mod log_lines;
mod namespace;
mod pattern;
mod proxy_heads;
mod servers;
mod setup;
mod taken;
mod wait;

mod admin;
mod admin_access;
mod admin_actions;
mod admin_events;
mod admin_sessions;
mod agreement;
mod broken_peers;
mod buffers;
mod check;
mod choosing;
mod client_rules;
mod commands;
mod console;
mod container;
mod discovery;
mod engine;
mod explain;
mod first_answer;
mod flags;
mod half_closed;
mod haproxy_socket;
mod haproxy_tools;
mod health;
mod health_load;
mod health_services;
mod http_answers;
mod http_cookie;
mod http_failures;
mod http_forms;
mod http_heads;
mod http_inspect;
mod http_load;
mod http_peers;
mod http_random;
mod http_set_cookie;
mod http_streams;
mod http_unavailable;
mod import;
mod lifetimes;
mod limits;
mod load_sharing;
mod logging;
mod members;
mod metrics;
mod names;
mod nodes;
mod openapi;
mod operators;
mod page;
mod page_seen;
mod passive;
mod peers;
mod pressure;
mod privileges;
mod proxy_accept;
mod proxy_http;
mod proxy_peers;
mod proxy_send;
mod readme;
mod reference;
mod relaying;
mod reload;
mod retries;
mod scaling;
mod shortage;
mod starting;
mod state_file;
mod stopping;
mod takeover;
mod terminal;
mod timeouts;
mod tls_mode;
mod top;
mod unix_sockets;
mod unread;
mod upgrade;
mod why;
