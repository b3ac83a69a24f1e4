//! Three nodes announce one address by BGP to a router, before which the clients are. The servers are there, too.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::moves;
use super::network::{Folder, Namespace, Process, ip};
use super::node::Node;
use super::servers::{self, ADDRESSES, Server};
use super::sessions::{Sessions, chosen};
use super::steady::Steady;
use super::wait::eventually;

/// The address in the files of scripts/ha.
const ADDRESS: &str = "10.0.0.10";

const TCP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 10)), 80);
const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 10)), 81);

/// Clients, each with an address.
const CLIENTS: u8 = 200;

/// Requests with each cookie: enough to reach every node.
const REQUESTS: usize = 12;

/// After how long without a packet a bucket of the group may move, in seconds. Sessions say something more often.
const IDLE: u32 = 3;

/// Nothing, or that BFD is patient in the short form, which may run on a busy machine: a BIRD that had no CPU for 0.3
/// seconds counts as dead.
fn patience() -> (&'static str, &'static str) {
    const FILE: &str = "multiplier 3;";
    let patient = moves().map_or("multiplier 10;", |_| FILE);
    (FILE, patient)
}

/// A node with BIRD and the script that tells it when to announce.
struct Member<'f> {
    node: Node<'f>,
    folder: &'f Folder,
    config: String,
    processes: Vec<Process>,
}

impl<'f> Member<'f> {
    fn new(folder: &'f Folder, router: &Namespace, number: u8) -> Self {
        let (name, address) = (format!("n{number}"), format!("10.0.1.1{number}"));
        let namespace = Namespace::new(&name);
        namespace.join("br0", Some(router), &format!("{address}/24"));
        namespace.ip("route add default via 10.0.1.1");
        namespace.ip(&format!("address add {ADDRESS}/32 dev lo"));
        let own = format!("router id {address}");
        let changes = [("router id 10.0.1.11", own.as_str()), patience()];
        let config = folder.adapted("bird-node.conf", &format!("{name}-bird.conf"), &changes);
        Member {
            node: Node::new(folder, namespace),
            folder,
            config,
            processes: Vec::new(),
        }
    }

    fn start_bird(&mut self) {
        let name = &self.node.namespace.name;
        let socket = format!("/run/{name}-bird.sock");
        let bird = format!("bird -f -c {} -s {socket}", self.config);
        let root = env!("CARGO_MANIFEST_DIR");
        let announce = format!(
            "env BIRD_SOCKET={socket} {root}/scripts/ha/announce.sh ringway healthcheck --ready {}",
            self.node.options()
        );
        for (log, line) in [("bird", bird), ("announce", announce)] {
            self.processes
                .push(self.node.namespace.start(self.folder, log, &line));
        }
    }
}

/// The router and its nodes.
struct Farm<'f> {
    router: Namespace,
    members: Vec<Member<'f>>,
    clients: Vec<Ipv4Addr>,
    servers: Vec<Server>,
    resilient: bool,
    _processes: Vec<Process>,
}

impl<'f> Farm<'f> {
    fn start(folder: &'f Folder, resilient: bool) -> Self {
        let router = Namespace::new("router");
        ip("link add uplink type veth peer name eth0 netns router");
        ip("link set uplink up");
        ip("address add 10.0.2.1/24 dev uplink");
        let clients: Vec<Ipv4Addr> = (1..=CLIENTS)
            .map(|last| Ipv4Addr::new(10, 0, 2, 20 + last))
            .collect();
        for client in &clients {
            ip(&format!("address add {client}/24 dev uplink"));
        }
        router.ip("address add 10.0.2.254/24 dev eth0");
        router.ip("link set eth0 up");
        ip("route add default via 10.0.2.254 src 10.0.2.1");
        for server in ADDRESSES {
            ip(&format!("address add {server}/32 dev lo"));
            router.ip(&format!("route add {server}/32 via 10.0.2.1"));
        }
        router.ip("link add br0 type bridge");
        router.ip("link set br0 up");
        router.ip("address add 10.0.1.1/24 dev br0");
        router.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.fib_multipath_hash_policy=1");
        let servers = servers::start();
        let mut changes = vec![patience()];
        if !resilient {
            changes.push(("    kernel table 100;\n", ""));
        }
        let config = folder.adapted("bird-router.conf", "router-bird.conf", &changes);
        let bird = format!("bird -f -c {config} -s /run/router-bird.sock");
        let mut processes = vec![router.start(folder, "bird", &bird)];
        if resilient {
            let root = env!("CARGO_MANIFEST_DIR");
            let routes = format!("env IDLE={IDLE} {root}/scripts/ha/resilient-routes.sh {ADDRESS}");
            processes.push(router.start(folder, "routes", &routes));
        }
        let mut members: Vec<Member<'_>> = (1..=3)
            .map(|number| Member::new(folder, &router, number))
            .collect();
        for member in &mut members {
            member.node.start();
            member.start_bird();
        }
        let farm = Farm {
            router,
            members,
            clients,
            servers,
            resilient,
            _processes: processes,
        };
        farm.has_nodes(3);
        farm
    }

    /// How many nodes the router sends flows to.
    fn nodes(&self) -> usize {
        let route = self.router.ip(&format!("-oneline route show {ADDRESS}"));
        route.matches("via ").count()
    }

    fn has_nodes(&self, count: usize) {
        eventually("the router has so many nodes", || self.nodes() == count);
    }

    /// How many of the open sessions are on this node.
    fn sessions_of(&self, index: usize) -> usize {
        usize::try_from(self.members[index].node.sessions().0).expect("few")
    }

    /// The setup in a word, for messages.
    fn kind(&self) -> &str {
        if self.resilient { "resilient" } else { "plain" }
    }
}

pub fn only_flows_of_a_lost_node_move(folder: &Folder) {
    let mut farm = Farm::start(folder, true);
    let servers = chosen(&farm.clients, TCP);
    let cookies = cookies(&farm);
    a_planned_stop(&mut farm, &servers);
    a_killed_node(&mut farm, &servers);
    keep_their_servers(&cookies);
    a_lost_server(&farm, &servers);
}

/// Only measured: what the same costs where the router knows no resilient groups.
pub fn without_resilient_groups(folder: &Folder) {
    let mut farm = Farm::start(folder, false);
    let servers = chosen(&farm.clients, TCP);
    a_planned_stop(&mut farm, &servers);
    a_killed_node(&mut farm, &servers);
}

/// How many clients get another server than before.
fn changed(farm: &Farm<'_>, before: &[String]) -> usize {
    let now = chosen(&farm.clients, TCP);
    now.iter()
        .zip(before)
        .filter(|(now, before)| now != before)
        .count()
}

/// A node is stopped in order, and comes back. No connect fails; its sessions break with the route.
fn a_planned_stop(farm: &mut Farm<'_>, servers: &[String]) {
    const INDEX: usize = 0;
    let sessions = Sessions::open(&farm.clients, TCP);
    let of_node = farm.sessions_of(INDEX);
    assert!(of_node > 0, "all nodes have sessions");
    let steady = Steady::start(TCP);
    let stopped = Instant::now();
    farm.members[INDEX].node.signal(Signal::TERM);
    farm.has_nodes(2);
    let withdrawn = stopped.elapsed();
    farm.members[INDEX].node.has_ended();
    let broken = sessions.broken();
    drop(sessions);
    let changed_by_stop = changed(farm, servers);

    let sessions = Sessions::open(&farm.clients, TCP);
    farm.members[INDEX].node.start();
    farm.has_nodes(3);
    let node = &farm.members[INDEX].node;
    eventually("it gets sessions", || node.sessions().1 > 0);
    let broken_by_return = sessions.broken();
    let changed_by_return = changed(farm, servers);
    let noted = steady.end();
    println!(
        "  ECMP, {}, planned stop of one of 3 nodes: withdrawn after {withdrawn:.1?}; of {} connects {} failed, {} \
         connections broke before an answer; of {CLIENTS} long sessions {of_node} were on it, {broken} broke, and of \
         {CLIENTS} others {broken_by_return} when it came back; {changed_by_stop} and {changed_by_return} clients \
         changed server",
        farm.kind(),
        noted.count(),
        noted.not_connected(),
        noted.broken()
    );
    assert_eq!(noted.not_connected(), 0, "{}", noted.errors());
    assert_eq!(
        [changed_by_stop, changed_by_return],
        [0, 0],
        "every node chooses the same servers"
    );
    if farm.resilient {
        assert_eq!(
            (broken, broken_by_return),
            (of_node, 0),
            "only its flows move"
        );
    }
}

/// As if its power was cut.
fn a_killed_node(farm: &mut Farm<'_>, servers: &[String]) {
    const INDEX: usize = 2;
    let sessions = Sessions::open(&farm.clients, TCP);
    let of_node = farm.sessions_of(INDEX);
    assert!(of_node > 0, "all nodes have sessions");
    let steady = Steady::start(TCP);
    let killed = Instant::now();
    let port = farm.members[INDEX].node.namespace.port();
    farm.router.ip(&format!("link set {port} down"));
    farm.has_nodes(2);
    let broken = sessions.broken();
    let changed = changed(farm, servers);
    let noted = steady.end();
    let outage = noted.outage(killed);
    println!(
        "  ECMP, {}, killed node: connects failed or waited for {outage:.1?}; of {} connects {} failed, {} connections \
         broke; of {CLIENTS} long sessions {of_node} were on it, {broken} broke; {changed} clients changed server",
        farm.kind(),
        noted.count(),
        noted.not_connected(),
        noted.broken()
    );
    assert_eq!(changed, 0, "every node chooses the same servers");
    assert!(outage < Duration::from_secs(10), "{outage:?}");
    if farm.resilient {
        assert_eq!(broken, of_node, "only its flows move");
    }
}

/// Only the clients of that server get another one, the same from every node.
fn a_lost_server(farm: &Farm<'_>, before: &[String]) {
    farm.servers[0].stop();
    // From different ports, so by different nodes.
    let rounds = [(); 3].map(|()| chosen(&farm.clients, TCP));
    for (index, before) in before.iter().enumerate() {
        let of_client = rounds.iter().map(|round| &round[index]).collect::<Vec<_>>();
        match before.as_str() {
            "web1" => assert!(
                of_client
                    .iter()
                    .all(|name| *name == of_client[0] && *name != "web1")
            ),
            _ => assert_eq!(of_client, [before; 3]),
        }
    }
    let moved = before.iter().filter(|name| *name == "web1").count();
    println!(
        "  ECMP, lost server: its {moved} of {CLIENTS} clients got another one, the same from every node"
    );
}

/// A cookie of each server, from requests without one.
fn cookies(farm: &Farm<'_>) -> BTreeMap<String, String> {
    let mut cookies = BTreeMap::new();
    eventually("each server has a cookie", || {
        let (server, cookie) = request(None).expect("a response");
        cookies.insert(server, cookie.expect("a cookie"));
        cookies.len() == farm.servers.len()
    });
    keep_their_servers(&cookies);
    cookies
}

/// Each cookie leads to its server from every node.
fn keep_their_servers(cookies: &BTreeMap<String, String>) {
    for (server, cookie) in cookies {
        for _ in 0..REQUESTS {
            let (found, set) = request(Some(cookie)).expect("a response");
            assert_eq!((&found, set), (server, None), "by whichever node");
        }
    }
}

/// Asks by a connection of its own; returns the server's name and the cookie that was set.
fn request(cookie: Option<&str>) -> io::Result<(String, Option<String>)> {
    let mut stream = TcpStream::connect(HTTP)?;
    let cookie = cookie.map_or_else(String::new, |cookie| format!("Cookie: {cookie}\r\n"));
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: farm\r\n{cookie}\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or(io::ErrorKind::InvalidData)?;
    let mut lines = head.lines();
    let set = lines.find_map(|line| {
        line.to_lowercase()
            .starts_with("set-cookie: ")
            .then(|| line[12..].to_owned())
    });
    let set = set.map(|set| set.split(';').next().unwrap_or_default().to_owned());
    Ok((body.to_owned(), set))
}
