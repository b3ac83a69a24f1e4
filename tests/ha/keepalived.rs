//! Two nodes with keepalived: the clients, the servers and the two nodes are on one bridge.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::moves;
use super::network::{Folder, Namespace, Process, ip, run};
use super::node::Node;
use super::servers::{self, ADDRESSES};
use super::sessions::Sessions;
use super::steady::{Noted, Steady};
use super::wait::{eventually, pause};

/// The virtual address in scripts/ha/keepalived.conf.
const SERVICE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 10)), 80);

/// Planned stops in the short form.
const FEW_MOVES: usize = 2;

/// Long sessions at a time.
const SESSIONS: u8 = 50;

/// How long the nodes do not see each other.
const CUT: Duration = Duration::from_secs(5);

/// A node with keepalived.
struct Member<'f> {
    node: Node<'f>,
    folder: &'f Folder,
    config: String,
    keepalived: Option<Process>,
}

impl<'f> Member<'f> {
    fn new(folder: &'f Folder, name: &str, address: &str) -> Self {
        let namespace = Namespace::new(name);
        namespace.join("br0", None, address);
        let node = Node::new(folder, namespace);
        let script = "/usr/bin/ringway healthcheck --ready";
        let program = env!("CARGO_BIN_EXE_ringway");
        let adapted = format!("{program} healthcheck --ready {}", node.options());
        let changes = [
            (script, adapted.as_str()),
            ("    enable_script_security\n", ""),
        ];
        let config = folder.adapted("keepalived.conf", &format!("{name}.conf"), &changes);
        Member {
            node,
            folder,
            config,
            keepalived: None,
        }
    }

    fn name(&self) -> &str {
        &self.node.namespace.name
    }

    /// Starts what does not run, and waits until keepalived counts the node as ready.
    fn start(&mut self) {
        let before = self.times_ready();
        if self.node.ringway.is_none() {
            self.node.start();
        }
        if self.keepalived.is_none() {
            let name = self.name();
            let line = format!(
                "keepalived --dont-fork --log-console --log-detail --vrrp --use-file={} --pid=/run/{name}.pid \
                 --vrrp_pid=/run/{name}-vrrp.pid",
                self.config
            );
            self.keepalived = Some(self.node.namespace.start(self.folder, "keepalived", &line));
        }
        eventually("keepalived finds it ready", || self.times_ready() > before);
    }

    /// How many times keepalived has found the node ready.
    fn times_ready(&self) -> usize {
        let log = self
            .keepalived
            .as_ref()
            .map(Process::log)
            .unwrap_or_default();
        log.matches("VRRP_Script(ringway) succeeded").count()
    }

    fn has_address(&self) -> bool {
        let line = format!("-oneline address show to {}", SERVICE.ip());
        !self.node.namespace.ip(&line).is_empty()
    }
}

/// The pair, of which one has the address.
struct Pair<'f> {
    members: [Member<'f>; 2],
}

impl Pair<'_> {
    /// Which one has the address, once exactly one has it.
    fn holder(&self) -> usize {
        let mut found = 0;
        eventually("one node has the address", || {
            let has = [0, 1].map(|index| self.members[index].has_address());
            found = usize::from(has[1]);
            has[0] != has[1]
        });
        found
    }

    /// Waits until the other node alone has it.
    fn moves_from(&self, index: usize) {
        let [one, other] = [&self.members[index], &self.members[1 - index]];
        eventually("the address moves", || {
            other.has_address() && !one.has_address()
        });
    }
}

pub fn the_address_follows_readiness(folder: &Folder) {
    ip("link add br0 type bridge");
    ip("link set br0 up");
    ip("address add 10.0.0.1/24 dev br0");
    for address in ADDRESSES {
        ip(&format!("address add {address}/24 dev br0"));
    }
    let clients: Vec<Ipv4Addr> = (1..=SESSIONS)
        .map(|last| Ipv4Addr::new(10, 0, 0, 100 + last))
        .collect();
    for client in &clients {
        ip(&format!("address add {client}/24 dev br0"));
    }
    let _servers = servers::start();
    let members = [("a", "10.0.0.11/24"), ("b", "10.0.0.12/24")];
    let members = members.map(|(name, address)| Member::new(folder, name, address));
    let mut pair = Pair { members };
    for member in &mut pair.members {
        member.start();
    }
    planned_stops(&mut pair, &clients, moves().unwrap_or(FEW_MOVES));
    a_node_without_servers_gives_the_address_away(&pair);
    a_killed_process(&mut pair, &clients);
    if moves().is_some() {
        a_cut_between_the_nodes(&pair, &clients);
    }
    a_killed_node(&mut pair, &clients);
}

/// No connect fails, because the address has moved before the listeners close.
fn planned_stops(pair: &mut Pair<'_>, clients: &[Ipv4Addr], count: usize) {
    let (mut connections, mut failed, mut broken, mut lost) = (0, 0, 0, 0);
    let mut slowest = Duration::ZERO;
    for _ in 0..count {
        let holder = pair.holder();
        let sessions = Sessions::open(clients, SERVICE);
        let steady = Steady::start(SERVICE);
        let stopped = Instant::now();
        pair.members[holder].node.signal(Signal::TERM);
        pair.moves_from(holder);
        slowest = slowest.max(stopped.elapsed());
        pair.members[holder].node.has_ended();
        lost += sessions.broken();
        // It comes back, and the address stays.
        pair.members[holder].start();
        assert_eq!(pair.holder(), 1 - holder);
        let noted = steady.end();
        assert_eq!(noted.not_connected(), 0, "{}", noted.errors());
        connections += noted.count();
        failed += noted.not_connected();
        broken += noted.broken();
    }
    println!(
        "  keepalived, {count} planned stops: the address has moved after at most {slowest:.1?}; of {connections} \
         connects {failed} failed, {broken} connections broke before an answer; of {} long sessions {lost} broke",
        count * clients.len()
    );
    assert!(broken <= count * 8, "{broken} connections broke");
}

fn a_node_without_servers_gives_the_address_away(pair: &Pair<'_>) {
    let holder = pair.holder();
    let namespace = &pair.members[holder].node.namespace;
    let begun = Instant::now();
    for address in ADDRESSES {
        namespace.ip(&format!("route add prohibit {address}/32"));
    }
    pair.moves_from(holder);
    println!(
        "  keepalived, no server reached: the address has moved after {:.1?}",
        begun.elapsed()
    );
    let before = pair.members[holder].times_ready();
    for address in ADDRESSES {
        namespace.ip(&format!("route del prohibit {address}/32"));
    }
    eventually("it is ready again", || {
        pair.members[holder].times_ready() > before
    });
    assert_eq!(pair.holder(), 1 - holder);
}

fn a_killed_process(pair: &mut Pair<'_>, clients: &[Ipv4Addr]) {
    let holder = pair.holder();
    let sessions = Sessions::open(clients, SERVICE);
    let steady = Steady::start(SERVICE);
    let killed = Instant::now();
    pair.members[holder].node.signal(Signal::KILL);
    pair.moves_from(holder);
    report("killed process", clients, &sessions, steady.end(), killed);
    pair.members[holder].node.has_ended();
    pair.members[holder].start();
    assert_eq!(pair.holder(), 1 - holder);
}

/// As if its power was cut.
fn a_killed_node(pair: &mut Pair<'_>, clients: &[Ipv4Addr]) {
    let holder = pair.holder();
    let sessions = Sessions::open(clients, SERVICE);
    let steady = Steady::start(SERVICE);
    let killed = Instant::now();
    ip(&format!(
        "link set {} down",
        pair.members[holder].node.namespace.port()
    ));
    let other = &pair.members[1 - holder];
    eventually("the other node takes the address", || other.has_address());
    report("killed node", clients, &sessions, steady.end(), killed);
}

/// Says what an unplanned end has cost.
fn report(what: &str, clients: &[Ipv4Addr], sessions: &Sessions, noted: Noted, since: Instant) {
    let outage = noted.outage(since);
    println!(
        "  keepalived, {what}: connects failed or waited for {outage:.1?}; of {} connects {} failed, {} connections \
         broke; of {} long sessions {} broke",
        noted.count(),
        noted.not_connected(),
        noted.broken(),
        clients.len(),
        sessions.broken()
    );
    assert!(outage < Duration::from_secs(10), "{outage:?}");
}

/// The nodes do not see each other, the clients see both: both claim the address.
fn a_cut_between_the_nodes(pair: &Pair<'_>, clients: &[Ipv4Addr]) {
    let sessions = Sessions::open(clients, SERVICE);
    let ports = || {
        pair.members
            .iter()
            .map(|member| member.node.namespace.port())
    };
    let steady = Steady::start(SERVICE);
    for port in ports() {
        run(&format!("bridge link set dev {port} isolated on"));
    }
    eventually("both have the address", || {
        pair.members.iter().all(Member::has_address)
    });
    pause(CUT);
    for port in ports() {
        run(&format!("bridge link set dev {port} isolated off"));
    }
    pair.holder();
    let noted = steady.end();
    println!(
        "  keepalived, nodes that do not see each other for {CUT:?}: of {} connects {} failed, {} connections broke; \
         of {} long sessions {} broke",
        noted.count(),
        noted.not_connected(),
        noted.broken(),
        clients.len(),
        sessions.broken()
    );
}
