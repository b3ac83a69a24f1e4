//! The configuration of most tests: frontend `web` on a free port of loopback, backend `app`.

use std::fmt::Write;
use std::net::SocketAddr;

use crate::harness::{Launch, Ringway};

/// A configuration in the making; every part that a test does not mention is as users get it.
pub struct Setup {
    workers: usize,
    listen: String,
    global: String,
    admin: String,
    defaults: String,
    frontend: String,
    backend: String,
    servers: String,
    health_check: String,
    sticky: String,
}

impl Setup {
    /// Two workers, and the servers that [`Setup::server`] adds.
    pub fn new() -> Self {
        Self {
            workers: 2,
            listen: "127.0.0.1:0".into(),
            global: String::new(),
            admin: String::new(),
            defaults: String::new(),
            frontend: String::new(),
            backend: String::new(),
            servers: String::new(),
            health_check: String::new(),
            sticky: String::new(),
        }
    }

    /// The same in HTTP mode, with the sticky cookie `SRV`.
    pub fn http() -> Self {
        Self::plain_http().sticky(r#"cookie = "SRV""#)
    }

    /// The same in HTTP mode, without a sticky cookie.
    pub fn plain_http() -> Self {
        Self::new().frontend(r#"mode = "http""#)
    }

    /// Adds a server.
    pub fn server(self, name: &str, address: SocketAddr) -> Self {
        self.server_with(name, address, "")
    }

    /// Adds a server at a host name.
    pub fn server_named(self, name: &str, host: &str, port: u16) -> Self {
        self.server_at(name, &format!("{host}:{port}"), "")
    }

    /// Adds a server with further keys, as in `weight = 2`.
    pub fn server_with(self, name: &str, address: SocketAddr, keys: &str) -> Self {
        self.server_at(name, &address.to_string(), keys)
    }

    /// Adds a server at an address as it is written.
    pub fn server_on(self, name: &str, address: &str) -> Self {
        self.server_at(name, address, "")
    }

    fn server_at(mut self, name: &str, address: &str, keys: &str) -> Self {
        let comma = if keys.is_empty() { "" } else { ", " };
        writeln!(
            self.servers,
            "  {{ name = \"{name}\", address = \"{address}\"{comma}{keys} }},"
        )
        .expect("memory");
        self
    }

    /// Another number of workers.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = count;
        self
    }

    /// Another address to listen on, or an inherited one.
    pub fn listen(mut self, address: &str) -> Self {
        self.listen = address.into();
        self
    }

    /// Adds a line to `[global]`.
    pub fn global(mut self, line: &str) -> Self {
        writeln!(self.global, "{line}").expect("memory");
        self
    }

    /// An admin listener on a free port.
    pub fn admin(self) -> Self {
        self.admin_with("listen = \"127.0.0.1:0\"")
    }

    /// Adds a line to `[admin]`, which makes that section.
    pub fn admin_with(mut self, line: &str) -> Self {
        if self.admin.is_empty() {
            self.admin = "[admin]\n".into();
        }
        writeln!(self.admin, "{line}").expect("memory");
        self
    }

    /// Adds a line to `[defaults]`.
    pub fn defaults(mut self, line: &str) -> Self {
        writeln!(self.defaults, "{line}").expect("memory");
        self
    }

    /// Adds a line to `[frontend.web]`.
    pub fn frontend(mut self, line: &str) -> Self {
        writeln!(self.frontend, "{line}").expect("memory");
        self
    }

    /// Adds a line to `[backend.app]`.
    pub fn backend(mut self, line: &str) -> Self {
        writeln!(self.backend, "{line}").expect("memory");
        self
    }

    /// Adds a line to `[backend.app.health_check]`, which makes that section.
    pub fn health_check(mut self, line: &str) -> Self {
        writeln!(self.health_check, "{line}").expect("memory");
        self
    }

    /// Adds a line to `[backend.app.sticky]`, which makes that section.
    pub fn sticky(mut self, line: &str) -> Self {
        writeln!(self.sticky, "{line}").expect("memory");
        self
    }

    /// The text of the configuration.
    pub fn text(&self) -> String {
        let Self {
            workers,
            listen,
            global,
            admin,
            defaults,
            frontend,
            backend,
            servers,
            health_check,
            sticky,
        } = self;
        let mut text = format!(
            "[global]\nworkers = {workers}\n{global}\n{admin}[defaults]\n{defaults}\n\
             [frontend.web]\nlisten = [\"{listen}\"]\nbackend = \"app\"\n{frontend}\n\
             [backend.app]\n{backend}servers = [\n{servers}]\n"
        );
        if !health_check.is_empty() {
            text += &format!("[backend.app.health_check]\n{health_check}");
        }
        if !sticky.is_empty() {
            text += &format!("[backend.app.sticky]\n{sticky}");
        }
        text
    }

    /// The process with this configuration, for a test that starts it in a special way.
    pub fn launch(&self) -> Launch {
        Launch::config(&self.text())
    }

    /// Starts the process and waits until it is ready.
    pub fn start(&self) -> Ringway {
        self.launch().start()
    }
}
