//! Nodes with the same configuration choose the same server for a client and for a cookie, without asking each other:
//! whenever they were started, in whichever order they have the servers, and however often they were reloaded.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ringway::config::{self, Config, Server as ConfiguredServer};
use ringway::logic::balance::{Algorithm, Balancer, Choice};
use ringway::snapshot::{Members, Registry, Snapshot, Source};

use crate::clients::{connect_from, read_line};
use crate::discovery::name_server::NameServer;
use crate::harness::{Launch, Ringway};
use crate::http::stats;
use crate::servers::Server;
use crate::wait::eventually;

/// Clients of the test without processes, half of them of each family.
const CLIENTS: u32 = 10_000;

/// Clients of the test with processes, each with an address of loopback.
const FEW_CLIENTS: u8 = 60;

/// Fixed servers in the order of the file, by their numbers: one has another weight, one a cookie of its own.
fn configuration(servers: &[u8]) -> Config {
    let entry = |number: &u8| {
        let other = match number {
            2 => ", weight = 5",
            3 => ", cookie = \"third\"",
            _ => "",
        };
        format!("{{ name = \"web{number}\", address = \"10.0.0.{number}:80\"{other} }},\n")
    };
    let entries: String = servers.iter().map(entry).collect();
    let text = format!(
        "[frontend.web]\nlisten = [\"[::1]:0\"]\nmode = \"http\"\nbackend = \"app\"\n\
         [backend.app]\nbalance = \"source_hash\"\nservers = [\n{entries}]\nsticky = {{ cookie = \"SRV\" }}\n\
         [backend.app.discover]\ndns = \"tasks.web:8080\"\n"
    );
    match config::parse("node.toml", &text, &config::system_resolver) {
        Ok(loaded) => loaded.config,
        Err(report) => panic!("{report}"),
    }
}

/// A node without workers: what its workers would choose from.
struct Node {
    registry: Registry,
    snapshot: Arc<Snapshot>,
}

impl Node {
    fn new(servers: &[u8]) -> Self {
        let mut registry = Registry::new(1);
        let snapshot = registry.snapshot(configuration(servers));
        Node { registry, snapshot }
    }

    fn reload(&mut self, servers: &[u8]) {
        self.snapshot = self.registry.snapshot(configuration(servers));
    }

    /// These hosts were discovered, in this order.
    fn discovers(&mut self, hosts: &[u8]) {
        let discover = self.snapshot.config.backends[0].discover.clone();
        let discover = discover.expect("it is configured");
        let server = |host: &u8| -> ConfiguredServer {
            let address = match host % 2 {
                0 => SocketAddr::from(([10, 0, 3, *host], 8080)),
                _ => (
                    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, (*host).into()),
                    8080,
                )
                    .into(),
            };
            discover.server(address, None)
        };
        let servers = hosts.iter().map(server).collect();
        let change = self.registry.set_members("app", Source::Discovery, servers);
        if let Some(change) = change.expect("it has the backend") {
            change.publish();
        }
    }

    fn members(&self) -> Arc<Members> {
        self.snapshot.backends[0].members()
    }

    /// The name of the server for each client, by a worker that began with this set.
    fn choices(&self, seed: u64) -> Vec<String> {
        let members = self.members();
        let mut balancer = Balancer::new(Algorithm::SourceHash, &names(&members), seed);
        choices(&mut balancer, &members)
    }
}

fn names(members: &Members) -> Vec<&str> {
    let servers = members.servers().iter();
    servers.map(|member| member.config.name.as_str()).collect()
}

fn clients() -> impl Iterator<Item = IpAddr> {
    (0..CLIENTS).map(|number| match number % 2 {
        0 => Ipv4Addr::from(0x0a00_0000 + number * 7919).into(),
        _ => Ipv6Addr::from((0x2001_0db8_u128 << 96) + (u128::from(number) << 64)).into(),
    })
}

fn choices(balancer: &mut Balancer, members: &Members) -> Vec<String> {
    let choose = |client| match balancer.choose(client, members, &[]) {
        Choice::Server(index) => members.servers()[index].config.name.clone(),
        Choice::Full | Choice::Tried | Choice::None => panic!("all servers are usable"),
    };
    clients().map(choose).collect()
}

#[test]
fn three_nodes_choose_the_same_server_for_each_client_and_each_cookie() {
    let mut first = Node::new(&[1, 2, 3, 4]);
    first.discovers(&[4, 5, 6, 7]);
    // Its workers have served since before anything was discovered, and a server has come and gone.
    let mut second = Node::new(&[1, 2, 3, 4]);
    let early = second.members();
    let mut balancer = Balancer::new(Algorithm::SourceHash, &names(&early), 11);
    second.discovers(&[7, 9, 4, 6, 5]);
    let members = second.members();
    let former: Vec<Option<usize>> = (members.servers().iter())
        .map(|member| early.index_of(&member.server))
        .collect();
    balancer.update(&names(&members), &former);
    let early = members;
    second.discovers(&[7, 4, 6, 5]);
    let members = second.members();
    let former: Vec<Option<usize>> = (members.servers().iter())
        .map(|member| early.index_of(&member.server))
        .collect();
    balancer.update(&names(&members), &former);
    // Another order of the file, from a reload, before which it had fewer servers.
    let mut third = Node::new(&[3, 1]);
    third.discovers(&[5]);
    third.discovers(&[6, 5, 4, 7]);
    third.reload(&[4, 3, 2, 1]);

    let expected = first.choices(1);
    assert_eq!(choices(&mut balancer, &second.members()), expected);
    assert_eq!(third.choices(3), expected);
    let chosen: BTreeSet<&String> = expected.iter().collect();
    assert_eq!(chosen.len(), 8, "all servers have clients: {chosen:?}");

    let nodes = [first.members(), second.members(), third.members()];
    for member in nodes[0].servers() {
        let cookie = member.config.cookie.as_bytes();
        for node in &nodes {
            let found = node.by_cookie(cookie).expect("a server");
            assert_eq!(found.config.name, member.config.name);
        }
    }
    // When a server is lost on all of them, its clients go to the same others.
    for (node, order) in [(&mut first, [7, 5, 4]), (&mut third, [4, 5, 7])] {
        node.discovers(&order);
    }
    let without = first.choices(1);
    assert_eq!(third.choices(3), without);
    let moved = expected
        .iter()
        .zip(&without)
        .filter(|(before, now)| before != now);
    assert!(moved.clone().all(|(before, _)| before == "10.0.3.6:8080"));
    assert!(moved.count() > 100);
}

#[test]
fn three_processes_send_each_client_to_the_same_server() {
    let servers: Vec<Server> = (1..=3)
        .map(|number| Server::named(&format!("web{number}")))
        .collect();
    let first = Server::named_on([127, 0, 0, 2].into(), "10");
    let port = first.address().port();
    let others: Vec<Server> = (3..=4)
        .map(|last| Server::named_at(([127, 0, 0, last], port).into(), &last.to_string()))
        .collect();
    let name_server = NameServer::start(|_| unreachable!("it is told what to answer first"));
    let configuration = |order: &[usize]| {
        let entry = |index: &usize| {
            format!(
                "{{ name = \"web{}\", address = \"{}\" }}, ",
                index + 1,
                servers[*index].address()
            )
        };
        let entries: String = order.iter().map(entry).collect();
        format!(
            "[global]\nworkers = 2\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [frontend.web]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"app\"\n\
             [backend.app]\nbalance = \"source_hash\"\nservers = [{entries}]\n\
             [backend.app.discover]\ndns = \"tasks.web:{port}\"\nresolvers = [\"{}\"]\ninterval = \"100ms\"\n",
            name_server.address
        )
    };
    let found = |ringway: &Ringway| {
        eventually("all are discovered", || {
            let stats = stats(ringway.admin());
            stats["backends"][0]["servers"]
                .as_array()
                .is_some_and(|all| all.len() == 6)
        });
    };
    let ip = |last: u8| IpAddr::from([127, 0, 0, last]);
    name_server.have(vec![ip(2), ip(3), ip(4)]);
    let one = Launch::config(&configuration(&[0, 1, 2])).start();
    found(&one);
    name_server.have(vec![ip(4), ip(2), ip(3)]);
    let two = Launch::config(&configuration(&[2, 1, 0])).start();
    let three = Launch::config(&configuration(&[1])).start();
    three.reload(&configuration(&[1, 2, 0]));
    found(&two);
    found(&three);
    let chosen = |ringway: &Ringway| -> Vec<String> {
        let clients = (1..=FEW_CLIENTS).map(|last| IpAddr::from([127, 0, 1, last]));
        clients
            .map(|client| read_line(&connect_from(client, ringway.address())))
            .collect()
    };
    let expected = chosen(&one);
    assert_eq!(chosen(&two), expected);
    assert_eq!(chosen(&three), expected);
    let names: BTreeSet<&String> = expected.iter().collect();
    assert_eq!(names.len(), 6, "all servers have clients: {names:?}");
    drop((first, others));
}
