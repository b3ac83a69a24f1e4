//! A service behind DNS is scaled and rolled under load, with the order of events that Swarm has: no request fails.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::discovery::name_server::{Action, NXDOMAIN, NameServer};
use crate::harness::{Launch, Ringway, ScratchDirectory};
use crate::http::stats;
use crate::servers::Server;
use crate::wait::eventually;

#[path = "../support/load.rs"]
mod load;

use load::{CLIENTS, Load};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Between two requests of a client of the load.
const BETWEEN: Duration = Duration::from_millis(5);

/// The replicas of a service, and the name server that has their addresses.
struct Service {
    port: u16,
    /// By the last byte of their address.
    replicas: BTreeMap<u8, Server>,
    /// The last byte of the newest one.
    newest: u8,
    name_server: NameServer,
}

impl Service {
    /// With this number of replicas.
    fn new(count: usize) -> Self {
        let first = replica((ip(2), 0).into());
        let mut service = Service {
            port: first.address().port(),
            replicas: BTreeMap::from([(2, first)]),
            newest: 2,
            name_server: NameServer::start(|_| Action::Silence),
        };
        for _ in 1..count {
            service.start();
        }
        service.publish();
        service
    }

    /// Starts a replica at an address that no other had; its record comes later.
    fn start(&mut self) {
        self.newest += 1;
        let replica = replica((ip(self.newest), self.port).into());
        self.replicas.insert(self.newest, replica);
    }

    /// The name server has exactly these replicas.
    fn publish(&self) {
        let all: Vec<IpAddr> = self.replicas.keys().map(|last| ip(*last)).collect();
        self.name_server.have(all);
    }

    fn configuration(&self, folder: &ScratchDirectory, more: &str) -> String {
        format!(
            "[global]\nworkers = 2\n[defaults]\nqueue_timeout = \"30s\"\n\
             [frontend.web]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"app\"\n\
             [admin]\nlisten = \"127.0.0.1:0\"\nsocket = \"{}\"\n\
             [backend.app.health_check]\ninterval = \"1s\"\n\
             [backend.app.discover]\nresolvers = [\"{}\"]\ndns = \"tasks.web:{}\"\n\
             interval = \"100ms\"\n{more}\n",
            folder.path().join("admin.sock").display(),
            self.name_server.address,
            self.port
        )
    }

    /// As many replicas as this: first new ones start, and then have records; or records go, the balancer
    /// follows, and then the replicas end, the newest first.
    fn scale(&mut self, ringway: &Ringway, count: usize) {
        while self.replicas.len() < count {
            self.start();
        }
        let mut gone = Vec::new();
        while self.replicas.len() > count {
            gone.extend(self.replicas.pop_last());
        }
        self.publish();
        self.is_followed_by(ringway);
        drop(gone);
    }

    /// Each replica is replaced: its record goes, it ends, a new one starts elsewhere and has a record.
    fn roll(&mut self, ringway: &Ringway) {
        for old in self.replicas.keys().copied().collect::<Vec<_>>() {
            let replica = self.replicas.remove(&old);
            self.publish();
            self.is_followed_by(ringway);
            drop(replica);
            self.start();
            self.publish();
            self.is_followed_by(ringway);
        }
    }

    /// All replicas are replaced at once.
    fn replace(&mut self, ringway: &Ringway) {
        let old = std::mem::take(&mut self.replicas);
        for _ in &old {
            self.start();
        }
        self.publish();
        self.is_followed_by(ringway);
        drop(old);
    }

    /// Waits until new sessions are given to all of the replicas and to nothing else.
    fn is_followed_by(&self, ringway: &Ringway) {
        let wanted: Vec<String> = (self.replicas.keys())
            .map(|last| format!("{}:{}", ip(*last), self.port))
            .collect();
        eventually("the balancer follows", || {
            let stats = stats(ringway.admin());
            let servers = stats["backends"][0]["servers"].as_array().expect("a list");
            let stays = servers.iter().filter(|server| server["leaving"] != true);
            let usable = |server: &&Value| server["state"] != "down";
            let names = stays.filter(usable).map(|server| &server["name"]);
            names.eq(&wanted)
        });
    }
}

fn ip(last: u8) -> IpAddr {
    [127, 0, 3, last].into()
}

/// Sends a line, then what it gets.
fn replica(address: SocketAddr) -> Server {
    Server::start_at(address, |mut stream| {
        let _ = stream.write_all(b"hello\n");
        let mut reader = stream;
        let _ = std::io::copy(&mut reader, &mut stream);
    })
}

/// Clients that ask again and again.
fn load(address: SocketAddr) -> Load {
    Load::start(BETWEEN, move || request(address))
}

/// A greeting, a question and its answer.
fn request(address: SocketAddr) -> std::io::Result<()> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    (&stream).write_all(b"question")?;
    let mut answer = [0; 8];
    reader.read_exact(&mut answer)?;
    if line == "hello\n" && answer == *b"question" {
        return Ok(());
    }
    Err(std::io::Error::other(format!("{line:?} {answer:?}")))
}

#[test]
fn a_service_is_scaled_and_rolled_and_no_request_fails() {
    let folder = ScratchDirectory::new();
    let mut service = Service::new(5);
    let ringway = Launch::config(&service.configuration(&folder, "")).start();
    service.is_followed_by(&ringway);
    let load = load(ringway.address());
    for count in [31, 60, 2, 5] {
        service.scale(&ringway, count);
        load.goes_on(20);
    }
    service.roll(&ringway);
    for _ in 0..8 {
        service.replace(&ringway);
    }
    load.ends_without_failure();
}

#[test]
fn a_name_that_does_not_exist_for_a_while_costs_no_request() {
    let folder = ScratchDirectory::new();
    let mut service = Service::new(5);
    let ringway = Launch::config(&service.configuration(&folder, "")).start();
    service.is_followed_by(&ringway);
    let load = load(ringway.address());
    // As in the middle of an update of a service with one replica.
    service.name_server.answer_by(|_| Action::Code(NXDOMAIN));
    let failures = || {
        let stats = stats(ringway.admin());
        let failures = &stats["backends"][0]["discovery"]["failures"];
        failures["nxdomain"].as_u64().expect("a number")
    };
    eventually("it is asked for in vain", || failures() >= 6);
    load.goes_on(100);
    service.scale(&ringway, 7);
    load.ends_without_failure();
}

#[test]
fn who_comes_while_there_is_no_replica_waits_for_the_first() {
    let folder = ScratchDirectory::new();
    let mut service = Service::new(3);
    let text = service.configuration(&folder, "on_empty = \"drop\"");
    let ringway = Launch::config(&text).start();
    service.is_followed_by(&ringway);
    let load = load(ringway.address());
    service.scale(&ringway, 0);
    eventually("they wait", || {
        stats(ringway.admin())["backends"][0]["sessions_waiting"] == CLIENTS
    });
    service.scale(&ringway, 3);
    load.ends_without_failure();
}

#[test]
fn reloads_and_takeovers_meanwhile_cost_no_request() {
    let folder = ScratchDirectory::new();
    let mut service = Service::new(5);
    let text = service.configuration(&folder, "");
    let mut ringway = Launch::config(&text).start();
    service.is_followed_by(&ringway);
    let load = load(ringway.address());
    for (count, weight) in [(31, 2), (4, 1), (12, 3)] {
        let line = ringway.reload(&format!("{text}weight = {weight}\n"));
        assert!(line.contains("reloaded: version"), "{line}");
        service.scale(&ringway, count);
        load.goes_on(20);
    }
    for count in [40, 6] {
        let next = Launch::config(&text).argument("--takeover").start();
        service.scale(&next, count);
        let mut before = std::mem::replace(&mut ringway, next);
        assert_eq!(before.exit_code(), Some(0));
        load.goes_on(20);
    }
    load.ends_without_failure();
}
