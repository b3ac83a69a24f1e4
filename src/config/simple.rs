//! The configuration of a command line without a file: `ringway tcp --listen ADDR SERVER...`.
//!
//! The same rules and defaults as in a file; errors are sentences, since there is no line to show.

use std::collections::HashSet;

use super::address::{RawListen, check_admin, parse_admin, parse_listen, parse_server};
use super::error::Problem;
use super::resolve::{Resolver, resolve};
use super::{
    AccessLog, Admin, Backend, Balance, Config, Frontend, Global, Listen, OnDown, Server, Timeouts,
    defaults,
};

impl Config {
    /// One frontend `tcp` and one backend `servers` with the servers `s1`, `s2`, ... in the order given;
    /// everything else by default. Addresses are written as in a file.
    ///
    /// # Errors
    ///
    /// Every problem of the arguments, each a sentence with its cure.
    pub fn simple(
        listen: &[String],
        balance: Balance,
        servers: &[String],
        resolver: Resolver<'_>,
    ) -> Result<Config, Vec<Problem>> {
        let mut problems = Vec::new();
        let listen = listeners(&mut problems, listen, resolver);
        let servers = addressed(&mut problems, servers, resolver);
        if !problems.is_empty() {
            return Err(problems);
        }
        let frontend = Frontend {
            name: "tcp".to_owned(),
            listen,
            backend: 0,
            sessions_max: None,
            backlog: defaults::BACKLOG,
            timeouts: Timeouts::default(),
            retries: defaults::RETRIES,
        };
        let backend = Backend {
            name: "servers".to_owned(),
            balance,
            slow_start: None,
            on_down: OnDown::Keep,
            health_check: None,
            servers,
        };
        Ok(Config {
            global: Global::default(),
            admin: None,
            frontends: vec![frontend],
            backends: vec![backend],
        })
    }
}

impl Config {
    /// Puts the admin listener on `address`, written as in a file, whatever the file says.
    ///
    /// # Errors
    ///
    /// It can't be there, or a frontend is.
    pub fn set_admin(&mut self, address: &str, resolver: Resolver<'_>) -> Result<(), Problem> {
        let listen = resolve(&parse_admin(address)?, resolver)?;
        check_admin(&listen)?;
        let mut taken = self.frontends.iter().flat_map(|f| &f.listen);
        if listen.port() != 0 && taken.any(|taken| *taken == Listen::Address(listen)) {
            let title = format!("`{listen}` is listened on twice");
            return Err(Problem::new(
                title,
                "name another address for the admin listener",
            ));
        }
        self.admin = Some(Admin { listen });
        Ok(())
    }
}

impl Default for Global {
    /// What holds when `[global]` is empty.
    fn default() -> Self {
        Self {
            workers: None,
            sessions_max: None,
            shutdown_timeout: defaults::SHUTDOWN_TIMEOUT,
            access_log: AccessLog::Text,
        }
    }
}

impl Default for Timeouts {
    /// What holds when no timeout is written.
    fn default() -> Self {
        Self {
            connect: defaults::CONNECT_TIMEOUT,
            idle: defaults::IDLE_TIMEOUT,
            half_closed: defaults::HALF_CLOSED_TIMEOUT,
            queue: defaults::CONNECT_TIMEOUT,
        }
    }
}

fn listeners(problems: &mut Vec<Problem>, texts: &[String], resolver: Resolver<'_>) -> Vec<Listen> {
    if texts.is_empty() {
        problems.push(Problem::new(
            "no address to listen on",
            "add --listen 0.0.0.0:80",
        ));
    }
    let mut seen = HashSet::new();
    let mut listens = Vec::new();
    for text in texts {
        let listen = parse_listen(text).and_then(|listen| match listen {
            RawListen::Address(address) => resolve(&address, resolver).map(Listen::Address),
            RawListen::Descriptor(number) => Ok(Listen::Descriptor(number)),
            RawListen::Systemd(name) => Ok(Listen::Systemd(name)),
        });
        match listen {
            Ok(listen) if !listen.is_repeatable() && !seen.insert(listen.clone()) => {
                let title = format!("`{listen}` is listened on twice");
                problems.push(Problem::new(title, "remove one of them"));
            }
            Ok(listen) => listens.push(listen),
            Err(problem) => problems.push(problem),
        }
    }
    listens
}

fn addressed(problems: &mut Vec<Problem>, texts: &[String], resolver: Resolver<'_>) -> Vec<Server> {
    if texts.is_empty() {
        problems.push(Problem::new(
            "no server",
            "add at least one, such as 10.0.0.11:8080",
        ));
    }
    if texts.len() > defaults::SERVERS_MAX {
        let title = format!("{} servers", texts.len());
        let cure = format!("a backend may have at most {}", defaults::SERVERS_MAX);
        problems.push(Problem::new(title, cure));
    }
    let mut servers = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match parse_server(text).and_then(|address| resolve(&address, resolver)) {
            Ok(address) => servers.push(Server {
                name: format!("s{}", index + 1),
                address,
                weight: defaults::WEIGHT,
                sessions_max: None,
                backup: false,
            }),
            Err(problem) => problems.push(problem),
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use std::io;

    fn no_names(_: &str, _: u16) -> io::Result<std::net::SocketAddr> {
        Err(io::Error::other("no such name"))
    }

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_command_line_is_the_same_as_a_minimal_file() {
        let listen = strings(&["127.0.0.1:0", "127.0.0.1:0", "[::1]:80"]);
        let servers = strings(&["10.0.0.1:80", "10.0.0.2:80"]);
        let simple = Config::simple(&listen, Balance::LeastConn, &servers, &no_names).unwrap();
        let file = r#"
            [frontend.tcp]
            listen = ["127.0.0.1:0", "127.0.0.1:0", "[::1]:80"]
            backend = "servers"
            [backend.servers]
            balance = "least_conn"
            servers = [
                { name = "s1", address = "10.0.0.1:80" },
                { name = "s2", address = "10.0.0.2:80" },
            ]
        "#;
        assert_eq!(
            simple,
            config::parse("x.toml", file, &no_names).unwrap().config
        );
    }

    #[test]
    fn the_admin_listener_is_put_elsewhere_or_refused() {
        let listen = strings(&["127.0.0.1:80"]);
        let servers = strings(&["10.0.0.1:80"]);
        let mut config = Config::simple(&listen, Balance::First, &servers, &no_names).unwrap();
        assert_eq!(config.admin, None);
        config.set_admin("[::1]:0", &no_names).unwrap();
        let expected = Some(Admin {
            listen: "[::1]:0".parse().unwrap(),
        });
        assert_eq!(config.admin, expected);
        for (text, sentence) in [
            ("127.0.0.1:80", "`127.0.0.1:80` is listened on twice"),
            ("0.0.0.0:8404", "loopback only: write \"127.0.0.1:8404\""),
            ("10.0.0.1:8404", "loopback only: write \"127.0.0.1:8404\""),
            (":8404", "write \"127.0.0.1:8404\""),
            ("fd:3", "cannot be inherited"),
            ("127.0.0.1", "address without a port"),
            ("db:1", "cannot resolve `db`"),
        ] {
            let problem = config.set_admin(text, &no_names).unwrap_err().to_string();
            assert!(problem.contains(sentence), "{problem}");
            assert_eq!(config.admin, expected, "it stays");
        }
    }

    #[test]
    fn every_wrong_argument_is_a_sentence() {
        let listen = strings(&[":80", "127.0.0.1:80", "127.0.0.1:80"]);
        let servers = strings(&["10.0.0.1", "db:5432"]);
        let problems = Config::simple(&listen, Balance::First, &servers, &no_names).unwrap_err();
        let sentences: Vec<_> = problems.iter().map(Problem::to_string).collect();
        assert_eq!(
            sentences,
            [
                "address without a host: `:80`: write \"0.0.0.0:80\" for IPv4 or \"[::]:80\" for IPv6",
                "`127.0.0.1:80` is listened on twice: remove one of them",
                "address without a port: `10.0.0.1`: write the port after it, such as \"10.0.0.1:80\"",
                "cannot resolve `db`: no such name; correct the name or write an IP address",
            ]
        );
        let problems = Config::simple(&[], Balance::First, &[], &no_names).unwrap_err();
        assert_eq!(problems.len(), 2);
    }
}
