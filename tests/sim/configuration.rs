//! Draws the configurations of a run, and its weather.

use ringway::config::{self, Address, Config, Server};

use crate::kernel::Weather;
use crate::random::Random;
use crate::tls::NAMES;

/// What the configurations of one run have in common.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    pub looked: Looked,
    pub protocol: Protocol,
    pub variety: Variety,
}

/// Whether somebody looks at statistics, so that the bytes of open sessions are counted.
#[derive(Clone, Copy, Debug)]
pub enum Looked {
    At,
    Not,
}

impl From<&mut Random> for Looked {
    fn from(random: &mut Random) -> Self {
        if random.chance(30) {
            Looked::At
        } else {
            Looked::Not
        }
    }
}

/// What clients and servers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Anything: all frontends are in TCP mode.
    Any,
    /// Anything, behind PROXY heads: all frontends are in TCP mode.
    Proxied,
    /// HTTP: frontends are in HTTP mode, but for some where configurations vary.
    Http,
    /// ClientHellos, and then anything: all frontends are in TLS mode.
    Tls,
}

/// How configurations differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variety {
    /// There is one only.
    Single,
    /// Frontends and backends come and go, and change.
    Varied,
}

/// Draws a configuration.
pub fn configuration(random: &mut Random, theme: Theme) -> Config {
    let varied = theme.variety == Variety::Varied;
    let mut text = format!("[global]\nmax_sessions = {}\n", random.up_to(20));
    let unlogged = if varied { 5 } else { 20 };
    if theme.protocol == Protocol::Http && random.chance(unlogged) {
        text += "access_log = \"off\"\n";
    }
    text += &format!(
        "[defaults]\nconnect_timeout = \"500ms\"\nidle_timeout = \"2s\"\n\
         half_closed_timeout = \"1s\"\nqueue_timeout = \"{}ms\"\nretries = {}\n\
         request_timeout = \"300ms\"\n",
        1 + random.below(2_000),
        random.below(4),
    );
    if let Looked::At = theme.looked {
        text += "[admin]\nlisten = \"127.0.0.1:0\"\n";
    }
    let both = ["f", "g"];
    let frontends = match random.below(3) {
        1 if varied => &both[1..],
        2 if varied => &both[..],
        _ => &both[..1],
    };
    // An address belongs to one of them, not always to the same.
    let mut ports: Vec<u16> = (1..=4).collect();
    // Backends of frontends in TCP mode.
    let mut plain = Vec::new();
    for frontend in frontends {
        let count = if varied { random.up_to(2) } else { 1 };
        let listen: Vec<String> = (0..count)
            .map(|_| {
                let index = random.below(ports.len() as u64) as usize;
                format!("\"127.0.0.1:{}\"", ports.remove(index))
            })
            .collect();
        let backend = if varied && random.chance(40) {
            "c"
        } else {
            "b"
        };
        text += &format!("[frontend.{frontend}]\nlisten = [{}]\n", listen.join(", "));
        let is_tls = theme.protocol == Protocol::Tls;
        let routes = match is_tls {
            true => routes(random, if varied { &["b", "c"] } else { &["b", "e"] }),
            false => String::new(),
        };
        if routes.is_empty() || random.chance(60) {
            text += &format!("backend = \"{backend}\"\n");
        }
        if is_tls {
            text += &format!("mode = \"tls\"\nhello_timeout = \"300ms\"\n{routes}");
        }
        if random.chance(30) {
            text += &format!("max_sessions = {}\n", random.up_to(5));
        }
        if random.chance(10) {
            text += "max_age = \"1s\"\n";
        }
        if random.chance(10) {
            // All clients have one address, unless PROXY heads say otherwise.
            let sessions_max = random.up_to(4);
            text += &format!("per_client = {{ max_sessions = {sessions_max}, rate = \"10/s\" }}\n");
        }
        if theme.protocol == Protocol::Http && !(varied && random.chance(10)) {
            text += http_mode(random, theme.variety);
        } else {
            plain.push(backend);
        }
        if theme.protocol == Protocol::Proxied {
            text += &format!(
                "accept_proxy = {{ from = [\"127.0.0.0/8\"], required = {}, timeout = \"{}ms\" }}\n",
                random.chance(40),
                1 + random.below(200),
            );
        }
    }
    let backends: &[(&str, u64)] = match (varied, theme.protocol) {
        (true, _) => &[("b", 0), ("c", 100)],
        (false, Protocol::Tls) => &[("b", 0), ("e", 100)],
        (false, _) => &[("b", 0)],
    };
    for (name, first_port) in backends {
        text += &backend(random, name, *first_port, theme);
        if theme.protocol == Protocol::Http && !plain.contains(name) && random.chance(80) {
            let cookie = if varied && random.chance(10) {
                "OTHER"
            } else {
                "SRV"
            };
            text += &format!("[backend.{name}.sticky]\ncookie = \"{cookie}\"\n");
        }
    }
    match config::parse("sim.toml", &text, &config::system_resolver) {
        Ok(loaded) => loaded.config,
        Err(report) => panic!("{report}"),
    }
}

/// Routes to these backends, maybe none.
fn routes(random: &mut Random, backends: &[&str]) -> String {
    let mut routes = String::new();
    for name in NAMES {
        if random.chance(50) {
            let backend = backends[random.below(backends.len() as u64) as usize];
            routes += &format!("{{ sni = [\"{name}\"], backend = \"{backend}\" }}, ");
        }
    }
    match routes.is_empty() {
        true => routes,
        false => format!("routes = [{routes}]\n"),
    }
}

fn http_mode(random: &mut Random, variety: Variety) -> &'static str {
    let close = random.chance(match variety {
        Variety::Single => 25,
        Variety::Varied => 15,
    });
    let long = variety == Variety::Varied && random.chance(10);
    match (close, long) {
        (false, false) => "mode = \"http\"\nhead_max = \"1KiB\"\n",
        (true, false) => "mode = \"http\"\nhead_max = \"1KiB\"\ninspect = \"close\"\n",
        (false, true) => "mode = \"http\"\nhead_max = \"2KiB\"\n",
        (true, true) => "mode = \"http\"\nhead_max = \"2KiB\"\ninspect = \"close\"\n",
    }
}

fn backend(random: &mut Random, name: &str, first_port: u64, theme: Theme) -> String {
    let algorithms = [
        "round_robin",
        "least_conn",
        "random",
        "source_hash",
        "first",
    ];
    let algorithm = algorithms[random.below(5) as usize];
    let mut text = format!("[backend.{name}]\nbalance = \"{algorithm}\"\n");
    if theme.protocol == Protocol::Proxied {
        let version = ["off", "v1", "v2"][random.below(3) as usize];
        text += &format!("send_proxy = \"{version}\"\n");
    }
    text += "servers = [\n";
    let first = match theme.variety {
        Variety::Single => 0,
        Variety::Varied => random.below(3),
    };
    for server in first + 1..=first + random.up_to(4) {
        let port = first_port + server;
        text += &format!("{{ name = \"s{server}\", address = \"127.0.0.1:{port}\"");
        if random.chance(40) {
            text += &format!(", max_sessions = {}", random.up_to(4));
        }
        if random.chance(30) {
            text += &format!(", weight = {}", random.below(4));
        }
        if random.chance(20) {
            text += ", backup = true";
        }
        text += " },\n";
    }
    text += "]\n";
    if random.chance(40) {
        let failures = random.up_to(3);
        text +=
            &format!("passive = {{ failures = {failures}, within = \"1s\", pause = \"100ms\" }}\n");
    }
    text
}

/// Draws servers that a backend may have beside those of its configuration.
pub fn more_servers(random: &mut Random, backend: &str) -> Vec<Server> {
    let first_port = if backend == "c" { 300 } else { 200 };
    let mut servers = Vec::new();
    for number in 1..=4 {
        if random.chance(40) {
            let name = format!("d{number}");
            servers.push(Server {
                address: Address::Ip(([127, 0, 0, 1], first_port + number).into()),
                weight: random.up_to(3) as u16,
                sessions_max: random.chance(40).then(|| random.up_to(4) as u32),
                backup: false,
                cookie: format!("cookie-{name}"),
                name,
            });
        }
    }
    servers
}

/// Draws how unfriendly the kernel is.
pub fn weather(random: &mut Random) -> Weather {
    let bulk = random.chance(30);
    let multishot = random.chance(70);
    let mut sometimes = |max: u64| {
        if random.chance(40) {
            random.below(max)
        } else {
            0
        }
    };
    Weather {
        bulk,
        multishot,
        partial: sometimes(100),
        refuse: sometimes(60),
        silent: sometimes(40),
        shortage: sometimes(30),
        no_pipe: sometimes(100),
        accept_fault: sometimes(30),
        no_memory: sometimes(100),
        memory_refused: random.chance(20),
        buffers_max: match random.below(4) {
            0 => 1,
            1 => 5,
            _ => 1_000,
        },
    }
}
