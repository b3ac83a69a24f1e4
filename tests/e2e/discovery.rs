//! Servers that are found by DNS: they come and go while sessions go on.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpStream};

use serde_json::Value;

use crate::clients::{connect_named, read_line, round_trip};
use crate::harness::{Launch, Ringway};
use crate::http::{get, stats, try_get};
use crate::servers::Server;
use crate::wait::eventually;

#[path = "../support/name_server.rs"]
pub mod name_server;

use name_server::{Action, NXDOMAIN, NameServer, Record, SRV};

/// Servers on addresses of loopback with one port. Each sends its name and then echoes.
struct Service {
    servers: Vec<Server>,
}

impl Service {
    fn new(count: u8) -> Self {
        let first = Self::server((ip(2), 0).into());
        let port = first.address().port();
        let others = (1..count).map(|index| Self::server((ip(2 + index), port).into()));
        Service {
            servers: std::iter::once(first).chain(others).collect(),
        }
    }

    fn server(address: SocketAddr) -> Server {
        Server::start_at(address, |mut stream| {
            let local = stream.local_addr().expect("an address");
            let _ = stream.write_all(format!("{local}\n").as_bytes());
            let mut reader = stream;
            let _ = std::io::copy(&mut reader, &mut stream);
        })
    }

    fn port(&self) -> u16 {
        self.servers[0].address().port()
    }

    fn names(&self, indices: &[u8]) -> Vec<String> {
        let names = indices.iter().map(|index| self.name(*index));
        names.collect()
    }

    fn name(&self, index: u8) -> String {
        format!("{}:{}", ip(2 + index), self.port())
    }
}

fn ip(last: u8) -> IpAddr {
    [127, 0, 0, last].into()
}

fn ips(indices: &[u8]) -> Vec<IpAddr> {
    indices.iter().map(|index| ip(2 + index)).collect()
}

/// One worker, and backend `app` with a section `discover`.
fn configuration(discover: &str, others: &str) -> String {
    format!(
        "[global]\nworkers = 1\n[frontend.web]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"app\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n[backend.app.discover]\ninterval = \"100ms\"\n\
         {discover}\n{others}\n"
    )
}

/// By the addresses of `tasks.web`.
fn by_dns(name_server: &NameServer, service: &Service, others: &str) -> String {
    let keys = format!(
        "resolvers = [\"{}\"]\ndns = \"tasks.web:{}\"",
        name_server.address,
        service.port()
    );
    configuration(&keys, others)
}

/// The backend, as the statistics have it.
fn backend(ringway: &Ringway) -> Value {
    stats(ringway.admin())["backends"][0].clone()
}

/// The names of its servers.
fn servers(ringway: &Ringway) -> Vec<String> {
    let backend = backend(ringway);
    let servers = backend["servers"].as_array().expect("a list").iter();
    let name = |server: &Value| server["name"].as_str().expect("a name").to_owned();
    servers.map(name).collect()
}

/// The servers that so many new sessions get, each once, in order.
fn reached(address: SocketAddr, sessions: usize) -> Vec<String> {
    let mut names: Vec<String> = (0..sessions).map(|_| connect_named(address).1).collect();
    names.sort();
    names.dedup();
    names
}

fn has(ringway: &Ringway, names: &[String]) {
    eventually("the servers are these", || servers(ringway) == names);
}

/// A session with the name of its server.
fn session(ringway: &Ringway) -> (TcpStream, String) {
    let stream = crate::clients::connect(ringway.address());
    let name = read_line(&stream);
    (stream, name)
}

#[test]
fn a_service_that_is_scaled_is_followed_and_sessions_go_on() {
    let service = Service::new(5);
    let name_server = NameServer::start(|_| Action::Silence);
    name_server.have(ips(&[0, 1]));
    let ringway = Launch::config(&by_dns(&name_server, &service, "")).start();
    // The first answer is there when it is ready.
    assert_eq!(reached(ringway.address(), 4), service.names(&[0, 1]));
    let line = ringway.says("servers discovered by");
    let expected = format!(
        "backend app: servers discovered by `tasks.web:{}`: added 2 ({}, {}); now 2",
        service.port(),
        service.name(0),
        service.name(1)
    );
    assert!(line.ends_with(&expected), "{line}");

    name_server.have(ips(&[4, 0, 2, 1, 3]));
    has(&ringway, &service.names(&[0, 1, 2, 3, 4]));
    assert_eq!(
        reached(ringway.address(), 10),
        service.names(&[0, 1, 2, 3, 4])
    );

    // A server that leaves gets no new sessions; those that it has go on, and it is shown until they end.
    let (stream, name) = session(&ringway);
    let stays: Vec<u8> = (0..5)
        .filter(|index| service.name(*index) != name)
        .collect();
    name_server.have(ips(&stays));
    let mut shown = service.names(&stays);
    shown.push(name.clone());
    has(&ringway, &shown);
    assert_eq!(reached(ringway.address(), 12), service.names(&stays));
    round_trip(&stream, b"still there");
    let last = backend(&ringway)["servers"][4].clone();
    assert_eq!(last["sessions"]["current"], 1, "{last}");
    assert_eq!(
        (&last["status"], &last["leaving"]),
        (&"LEAVING".into(), &true.into())
    );
    let csv = get(ringway.admin(), "/stats.csv").body;
    let row = csv
        .lines()
        .find(|line| line.starts_with(&format!("app,{name},")));
    assert_eq!(row.expect("a row").split(',').nth(17), Some("DRAIN"));
    let page = get(ringway.admin(), "/").body;
    assert!(
        page.contains("LEAVING") && page.contains("1 session left"),
        "{page}"
    );
    let query = format!("discovered by tasks.web:{}, last answer ", service.port());
    assert!(page.contains(&query), "{page}");
    let status = Ringway::command(&["status", "--admin", &format!("http://{}", ringway.admin())]);
    let discovered = format!("app      tasks.web:{} ", service.port());
    let line = status
        .output
        .lines()
        .find(|line| line.starts_with(&discovered));
    assert!(line.expect("a line").contains("s ago"), "{status:?}");
    let line = status
        .output
        .lines()
        .find(|line| line.contains(&format!("app/{name} ")));
    assert!(
        line.expect("a line").contains("leaving, no check"),
        "{status:?}"
    );
    drop(stream);
    has(&ringway, &service.names(&stays));

    // All of them at once.
    let one = stays[0];
    name_server.have(ips(&[one]));
    has(&ringway, &service.names(&[one]));
    let others: Vec<u8> = stays[1..].to_vec();
    name_server.have(ips(&others));
    has(&ringway, &service.names(&others));
    assert_eq!(reached(ringway.address(), 6), service.names(&others));
}

#[test]
fn a_server_that_comes_back_before_its_sessions_end_is_the_same() {
    let service = Service::new(2);
    let name_server = NameServer::start(|_| Action::Silence);
    name_server.have(ips(&[0]));
    let ringway = Launch::config(&by_dns(&name_server, &service, "")).start();
    let (stream, _) = session(&ringway);
    name_server.have(ips(&[1]));
    has(&ringway, &service.names(&[1, 0]));
    name_server.have(ips(&[0, 1]));
    has(&ringway, &service.names(&[0, 1]));
    let first = backend(&ringway)["servers"][0].clone();
    assert_eq!(first["sessions"]["total"], 1, "{first}");
    assert_eq!(first["sessions"]["current"], 1, "{first}");
    round_trip(&stream, b"still there");
}

#[test]
fn a_failure_keeps_the_servers_and_is_shown() {
    let service = Service::new(2);
    let name_server = NameServer::start(|_| Action::Silence);
    name_server.have(ips(&[0, 1]));
    let ringway = Launch::config(&by_dns(&name_server, &service, "")).start();
    has(&ringway, &service.names(&[0, 1]));
    name_server.answer_by(|_| Action::Code(NXDOMAIN));
    let line = ringway.says("cannot discover servers");
    assert!(
        line.contains("WARN") && line.contains("NXDOMAIN (A, AAAA)"),
        "{line}"
    );
    let failures = || backend(&ringway)["discovery"]["failures"]["nxdomain"].as_u64();
    eventually("failures are counted", || failures() > Some(4));
    assert_eq!(reached(ringway.address(), 4), service.names(&[0, 1]));
    let metrics = get(ringway.admin(), "/metrics").body;
    for name in [
        "ringway_discovery_servers{backend=\"app\"} 2\n",
        "ringway_discovery_failures_total{backend=\"app\",cause=\"servfail\"} 0\n",
        "ringway_discovery_failures_total{backend=\"app\",cause=\"nxdomain\"} ",
        "ringway_discovery_last_success_timestamp_seconds{backend=\"app\"} ",
    ] {
        assert!(metrics.contains(name), "{name}\n{metrics}");
    }
    name_server.have(ips(&[1]));
    ringway.says("discovers servers by");
    has(&ringway, &service.names(&[1]));
}

#[test]
fn a_start_without_an_answer_is_no_error() {
    let service = Service::new(1);
    let name_server = NameServer::start(|_| Action::Silence);
    let ringway = Launch::config(&by_dns(&name_server, &service, "timeout = \"100ms\"")).start();
    let ready = || try_get(ringway.admin(), "/readyz").expect("an answer");
    let answer = ready();
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body, "backend app: no server discovered yet\n");
    // A session waits for the first server.
    let waiting = crate::clients::connect(ringway.address());
    eventually("it waits", || backend(&ringway)["sessions_waiting"] == 1);
    name_server.have(ips(&[0]));
    assert_eq!(read_line(&waiting), service.name(0));
    eventually("it is ready", || ready().status == 200);
    assert_eq!(connect_named(ringway.address()).1, service.name(0));
}

#[test]
fn a_reload_keeps_discovered_servers() {
    let service = Service::new(3);
    let name_server = NameServer::start(|_| Action::Silence);
    name_server.have(ips(&[0, 1]));
    let written = by_dns(&name_server, &service, "");
    let ringway = Launch::config(&written).start();
    has(&ringway, &service.names(&[0, 1]));
    let (stream, _) = session(&ringway);
    name_server.answer_by(|_| Action::Silence);
    ringway.reload(&by_dns(
        &name_server,
        &service,
        "weight = 7\nmax_sessions = 9",
    ));
    has(&ringway, &service.names(&[0, 1]));
    eventually("they have new limits", || {
        let backend = backend(&ringway);
        let server = &backend["servers"][0];
        server["weight"] == 7 && server["sessions"]["limit"] == 9
    });
    assert_eq!(reached(ringway.address(), 4), service.names(&[0, 1]));
    // Without discovery, what was discovered goes.
    let fixed = format!(
        "[global]\nworkers = 1\n[frontend.web]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"app\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n[backend.app]\n\
         servers = [{{ name = \"fixed\", address = \"{}\" }}]\n",
        service.name(2)
    );
    ringway.reload(&fixed);
    eventually("only the fixed server gets sessions", || {
        connect_named(ringway.address()).1 == service.name(2)
    });
    assert_eq!(reached(ringway.address(), 4), service.names(&[2]));
    round_trip(&stream, b"still there");
}

#[test]
fn services_of_srv_records_have_ports_and_weights() {
    let (a, b) = (Service::new(1), Service::new(1));
    let ports = [a.port(), b.port()];
    let name_server = NameServer::start(move |query| match query.record_type {
        SRV => Action::Records(
            vec![
                Record::service(1, 30, ports[0], "a.test"),
                Record::service(1, 10, ports[1], "b.test"),
                Record::service(2, 10, 1, "c.test"),
            ],
            Vec::new(),
        ),
        _ => Action::addresses(query, &[ip(2)]),
    });
    let keys = format!(
        "resolvers = [\"{}\"]\nsrv = \"_http._tcp.web.test\"",
        name_server.address
    );
    let ringway = Launch::config(&configuration(&keys, "")).start();
    eventually("both are there", || servers(&ringway).len() == 2);
    let names: Vec<_> = (0..8).map(|_| connect_named(ringway.address()).1).collect();
    let of_a = names.iter().filter(|name| **name == a.name(0)).count();
    assert_eq!(of_a, 6, "{names:?}");
}

#[test]
fn a_name_may_stand_on_the_command_line() {
    use crate::namespace::{EtcFile, in_namespace};
    in_namespace("discovery::a_name_may_stand_on_the_command_line", || {
        let service = Service::new(2);
        let _hosts = EtcFile::new("hosts", "127.0.0.2 web\n127.0.0.3 web\n");
        let server = format!("dns:web:{}", service.port());
        let arguments = ["tcp", "--listen", "127.0.0.1:0", &server];
        let ringway = Launch::arguments(&arguments).start();
        let address = ringway.addresses("")[0];
        assert_eq!(reached(address, 4), service.names(&[0, 1]));
    });
}

#[test]
fn the_resolver_of_the_host_is_asked_with_its_search_list() {
    use crate::namespace::{EtcFile, in_namespace};
    in_namespace(
        "discovery::the_resolver_of_the_host_is_asked_with_its_search_list",
        || {
            let service = Service::new(2);
            let udp = std::net::UdpSocket::bind("127.0.0.1:53").expect("a port of our own");
            let tcp = std::net::TcpListener::bind("127.0.0.1:53").expect("a port of our own");
            let name_server = NameServer::on(udp, tcp, |query| match query.name.as_str() {
                "web.corp.test" => Action::addresses(query, &ips(&[1])),
                _ => Action::Code(NXDOMAIN),
            });
            let text = "nameserver 127.0.0.1\nsearch other.test corp.test\n";
            let resolv_conf = EtcFile::new("resolv.conf", text);
            let hosts = EtcFile::new("hosts", "");
            let keys = format!("dns = \"web:{}\"", service.port());
            let ringway = Launch::config(&configuration(&keys, "")).start();
            has(&ringway, &service.names(&[1]));
            let asked = |name: &str| name_server.queries().iter().any(|it| it.name == name);
            assert!(asked("web.other.test") && !asked("web"));
            // Both files are read again when they change.
            hosts.write("127.0.0.2 web\n");
            has(&ringway, &service.names(&[0]));
            hosts.write("");
            resolv_conf.write("nameserver 127.0.0.1\nsearch corp.test\noptions ndots:0\n");
            has(&ringway, &service.names(&[1]));
            eventually("the name is asked for as it is", || asked("web"));
        },
    );
}

#[test]
fn a_check_asks_once() {
    let service = Service::new(1);
    let name_server = NameServer::start(|_| Action::Code(NXDOMAIN));
    let check = |name: &str| {
        let keys = format!(
            "resolvers = [\"{}\"]\ndns = \"{name}:{}\"",
            name_server.address,
            service.port()
        );
        let mut check = Launch::config(&configuration(&keys, ""))
            .command("check")
            .spawn();
        assert_eq!(check.exit_code(), Some(0));
        check.errors()
    };
    let errors = check("tasks.web");
    assert!(
        errors.contains("warning: backend app: cannot discover servers by `tasks.web:"),
        "{errors}"
    );
    name_server.answer_by(|query| match query.name.as_str() {
        "web" => Action::addresses(query, &ips(&[0])),
        _ => Action::addresses(query, &ips(&[1, 2])),
    });
    let errors = check("web");
    assert!(
        errors.contains("is a virtual address of Docker Swarm"),
        "{errors}"
    );
    assert_eq!(check("tasks.web"), "");
}
