//! The configuration of a command line without a file: `ringway tcp --listen ADDR SERVER...`, and
//! `ringway http` with a sticky cookie.
//!
//! The same rules and defaults as in a file; errors are sentences, since there is no line to show.

use std::collections::HashSet;

use super::address::{RawListen, parse_listen, parse_server};
use super::cookie::{hashed_value, parse_name};
use super::discover::{Discover, parse_dns};
use super::listen::canonical;
use super::problem::{Problem, shorten};
use super::resolve::{Resolver, resolve};
use super::sticky::check_prefix;
use super::{
    AccessLog, Algorithm, Backend, Config, EngineChoice, Frontend, Global, HttpMode, Listen, Mode,
    OnDown, Pin, SendProxy, Server, SessionRules, Sticky, defaults,
};

/// Begins an argument that names servers by DNS.
const BY_DNS: &str = "dns:";

impl Config {
    /// One frontend `tcp` and one backend `servers` with the servers `s1`, `s2`, ... in the order given;
    /// everything else by default. Addresses are written as in a file; `dns:NAME:PORT` stands for all
    /// servers that are discovered by that name.
    ///
    /// # Errors
    ///
    /// Every problem of the arguments, each a sentence with its cure.
    pub fn simple(
        listen: &[String],
        balance: Algorithm,
        servers: &[String],
        resolver: Resolver<'_>,
    ) -> Result<Config, Vec<Problem>> {
        let problems = Vec::new();
        Self::assemble(problems, listen, None, balance, servers, resolver)
    }

    /// The same in HTTP mode, its frontend named `http`, with a sticky cookie of the name `cookie`.
    ///
    /// # Errors
    ///
    /// Every problem of the arguments, each a sentence with its cure.
    pub fn simple_http(
        listen: &[String],
        cookie: &str,
        balance: Algorithm,
        servers: &[String],
        resolver: Resolver<'_>,
    ) -> Result<Config, Vec<Problem>> {
        let mut problems = Vec::new();
        let cookie = parse_name(cookie).unwrap_or_else(|problem| {
            problems.push(problem);
            String::new()
        });
        let sticky = Sticky::named(cookie);
        problems.extend(check_prefix(&sticky).err());
        Self::assemble(problems, listen, Some(sticky), balance, servers, resolver)
    }

    /// Unless there are `problems`; `sticky` makes it HTTP mode.
    fn assemble(
        mut problems: Vec<Problem>,
        listen: &[String],
        sticky: Option<Sticky>,
        balance: Algorithm,
        servers: &[String],
        resolver: Resolver<'_>,
    ) -> Result<Config, Vec<Problem>> {
        let listen = listeners(&mut problems, listen, resolver);
        let (names, servers): (Vec<_>, Vec<_>) =
            (servers.iter()).partition(|text| text.starts_with(BY_DNS));
        let discover = discovered(&mut problems, &names);
        let servers = addressed(&mut problems, &servers, discover.is_some());
        if !problems.is_empty() {
            return Err(problems);
        }
        let mode = match sticky {
            Some(_) => Mode::Http(HttpMode::default()),
            None => Mode::Tcp,
        };
        let frontend = Frontend {
            name: mode.to_string(),
            listen,
            mode,
            accept_proxy: None,
            forwarded_for: None,
            backend: Some(0),
            routes: Vec::new(),
            sessions_max: None,
            allow: None,
            deny: None,
            per_client: None,
            log_empty: true,
            backlog: defaults::BACKLOG,
            session: SessionRules::default(),
        };
        let backend = Backend {
            name: "servers".to_owned(),
            balance,
            slow_start: None,
            on_down: OnDown::Keep,
            send_proxy: SendProxy::Off,
            source: Vec::new(),
            health_check: None,
            passive: None,
            sticky,
            discover,
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

impl Default for Global {
    /// What holds when `[global]` is empty.
    fn default() -> Self {
        Self {
            workers: None,
            engine: EngineChoice::Auto,
            pin: Pin::Auto,
            sessions_max: None,
            clients_max: defaults::CLIENTS,
            shutdown_timeout: defaults::SHUTDOWN_TIMEOUT,
            shutdown_grace: defaults::SHUTDOWN_GRACE,
            access_log: AccessLog::Text,
            state_file: None,
            identity: None,
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
            RawListen::Address(address) => resolve(&address, resolver)
                .and_then(canonical)
                .map(Listen::Address),
            RawListen::Descriptor(number) => Ok(Listen::Descriptor(number)),
            RawListen::Systemd(name) => Ok(Listen::Systemd(name)),
            RawListen::Unix(path) => Ok(Listen::Unix(path)),
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

/// How servers are found that are written as names of DNS.
fn discovered(problems: &mut Vec<Problem>, texts: &[&String]) -> Option<Discover> {
    let (first, others) = texts.split_first()?;
    if let Some(other) = others.first() {
        let title = format!("`{first}` and `{}`", shorten(other));
        let cure = format!("name one `{BY_DNS}`; a file may have more, each with a backend");
        problems.push(Problem::new(title, cure));
    }
    match parse_dns(first.trim_start_matches(BY_DNS)) {
        Ok(query) => Some(Discover::by(query)),
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

/// `is_optional`: there are others.
fn addressed(problems: &mut Vec<Problem>, texts: &[&String], is_optional: bool) -> Vec<Server> {
    if texts.is_empty() && !is_optional {
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
    let mut cookies = HashSet::new();
    for (index, text) in texts.iter().enumerate() {
        let name = format!("s{}", index + 1);
        // Of its address, so that clients keep their server when others are added before it; of
        // its name too where that is not enough.
        let mut cookie = hashed_value(text);
        if !cookies.insert(cookie.clone()) {
            cookie = hashed_value(&format!("{text} {name}"));
        }
        match parse_server(text) {
            Ok(address) => servers.push(Server {
                name,
                address,
                weight: defaults::WEIGHT,
                sessions_max: None,
                backup: false,
                cookie,
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

    fn no_names(_: &str, _: u16) -> io::Result<Vec<std::net::SocketAddr>> {
        Err(io::Error::other("no such name"))
    }

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_command_line_is_the_same_as_a_minimal_file() {
        let listen = strings(&["127.0.0.1:0", "127.0.0.1:0", "[::1]:80"]);
        let servers = strings(&["10.0.0.1:80", "10.0.0.2:80"]);
        let balance = Algorithm::LeastConn;
        let tcp = Config::simple(&listen, balance, &servers, &no_names).unwrap();
        let http = Config::simple_http(&listen, "SRV", balance, &servers, &no_names).unwrap();
        let [first, second] = ["10.0.0.1:80", "10.0.0.2:80"].map(hashed_value);
        let file = |mode: &str, sticky: &str| {
            let text = format!(
                r#"
                [frontend.{mode}]
                listen = ["127.0.0.1:0", "127.0.0.1:0", "[::1]:80"]
                mode = "{mode}"
                backend = "servers"
                [backend.servers]
                balance = "least_conn"
                servers = [
                    {{ name = "s1", address = "10.0.0.1:80", cookie = "{first}" }},
                    {{ name = "s2", address = "10.0.0.2:80", cookie = "{second}" }},
                ]
                {sticky}
                "#
            );
            config::parse("x.toml", &text, &no_names).unwrap().config
        };
        assert_eq!(tcp, file("tcp", ""));
        let sticky = "[backend.servers.sticky]\ncookie = \"SRV\"";
        assert_eq!(http, file("http", sticky));
    }

    #[test]
    fn a_server_may_be_a_name_of_dns() {
        let listen = strings(&["127.0.0.1:0"]);
        let config = |servers: &[&str]| {
            Config::simple(&listen, Algorithm::First, &strings(servers), &no_names)
        };
        let alone = config(&["dns:tasks.web:8080"]).unwrap().backends.remove(0);
        let discover = alone.discover.unwrap();
        assert_eq!(discover.query.to_string(), "tasks.web:8080");
        assert!(alone.servers.is_empty());
        let both = config(&["dns:web:80", "10.0.0.1:80"]).unwrap();
        assert_eq!(both.backends[0].servers[0].name, "s1");
        assert!(both.backends[0].discover.is_some());
        let problems = config(&["dns:a:1", "dns:b:1"]).unwrap_err();
        assert_eq!(
            problems[0].to_string(),
            "`dns:a:1` and `dns:b:1`: name one `dns:`; a file may have more, each with a backend"
        );
        let problems = config(&["dns:web"]).unwrap_err();
        assert!(problems[0].title.contains("without a port"), "{problems:?}");
    }

    #[test]
    fn a_server_keeps_its_cookie_whatever_stands_before_it() {
        let cookies = |servers: &[&str]| -> Vec<String> {
            let listen = strings(&["127.0.0.1:0"]);
            let servers = strings(servers);
            let config =
                Config::simple_http(&listen, "SRV", Algorithm::First, &servers, &no_names).unwrap();
            let servers = config.backends[0].servers.iter();
            servers.map(|server| server.cookie.clone()).collect()
        };
        let [a, b] = ["10.0.0.1:80", "10.0.0.2:80"];
        assert_eq!(cookies(&[a, b])[1], cookies(&[b])[0]);
        let twice = cookies(&[a, a, a]);
        assert!(twice[0] != twice[1] && twice[1] != twice[2] && twice[0] != twice[2]);
    }

    #[test]
    fn every_wrong_argument_is_a_sentence() {
        let listen = strings(&[":80", "127.0.0.1:80", "127.0.0.1:80"]);
        let servers = strings(&["10.0.0.1", "db:5432"]);
        let problems = Config::simple(&listen, Algorithm::First, &servers, &no_names).unwrap_err();
        let sentences: Vec<_> = problems.iter().map(Problem::to_string).collect();
        assert_eq!(
            sentences,
            [
                "address without a host: `:80`: write \"0.0.0.0:80\" for IPv4 or \"[::]:80\" for IPv6",
                "`127.0.0.1:80` is listened on twice: remove one of them",
                "address without a port: `10.0.0.1`: write the port after it, such as \"10.0.0.1:80\"",
            ]
        );
        // A name is no problem yet.
        let config = Config::simple(&listen[1..2], Algorithm::First, &servers[1..], &no_names);
        let server = config.unwrap().backends[0].servers.remove(0);
        assert_eq!(server.address.to_string(), "db:5432");
        let problems = Config::simple(&[], Algorithm::First, &[], &no_names).unwrap_err();
        assert_eq!(problems.len(), 2);
        let wrong = strings(&["dns:10.0.0.1:80"]);
        let problems = Config::simple(&listen[1..2], Algorithm::First, &wrong, &no_names);
        assert!(problems.unwrap_err()[0].title.contains("is an address"));
        let problems = Config::simple_http(&[], "a b", Algorithm::First, &[], &no_names);
        let problems = problems.unwrap_err();
        assert_eq!(problems.len(), 3);
        assert_eq!(
            problems[0].to_string(),
            "invalid name of a cookie `a b`: use 1 to 64 letters, digits, `_` and `-`, such as \"SRV\""
        );
        let problems = Config::simple_http(&[], "__Host-a", Algorithm::First, &[], &no_names);
        assert!(problems.unwrap_err()[0].cure.contains("another name"));
    }
}
