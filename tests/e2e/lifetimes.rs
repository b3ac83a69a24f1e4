//! How long connections last: their greatest age, tunnels, peers that vanish without a word; and from which
//! addresses of this host servers are connected to.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::clients::{
    Ending, connect, connect_named, ending, is_silent, read_line, ready, round_trip,
};
use crate::harness::Ringway;
use crate::http::Answer;
use crate::http_heads::once;
use crate::namespace::in_namespace;
use crate::servers::{self, Server};
use crate::setup::Setup;
use crate::wait::{all_through, eventually};

#[test]
fn an_old_session_is_closed_in_order_once_it_is_idle() {
    let server = Server::named("a");
    let ringway = Setup::new()
        .defaults(r#"max_age = "1s""#)
        .server("a", server.address())
        .start();
    let (client, _) = connect_named(ringway.address());
    assert_eq!(ending(&client), Ending::Closed);
    let line = ringway.session_ended();
    assert_eq!(line.code, "AD");
    // A tenth at most is added.
    assert!((1000..4000).contains(&line.total_ms), "{line:?}");
}

#[test]
fn an_old_session_that_is_busy_is_not_cut_off() {
    let server = Server::echo();
    let ringway = Setup::new()
        .defaults(r#"max_age = "1s""#)
        .server("a", server.address())
        .start();
    let client = connect(ringway.address());
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2500) {
        round_trip(&client, b"still here");
        std::thread::yield_now();
    }
    assert_eq!(ending(&client), Ending::Closed);
    let line = ringway.session_ended();
    assert_eq!(line.code, "AD");
    assert!(line.total_ms >= 3400, "{line:?}");
}

#[test]
fn a_tunnel_has_an_idle_timeout_of_its_own() {
    let server = once(|mut stream, _, _| {
        let head =
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: own\r\nConnection: Upgrade\r\n\r\n";
        stream.write_all(head).expect("taken");
        servers::wait_for_end(stream);
    });
    let ringway = Setup::plain_http()
        .defaults("idle_timeout = \"300ms\"\ntunnel_timeout = \"1h\"")
        .server("a", server.address())
        .start();
    let mut client = connect(ringway.address());
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: own\r\nConnection: Upgrade\r\n\r\n";
    client.write_all(head).expect("taken");
    assert_eq!(Answer::read_head(&client).expect("an answer").status, 101);
    all_through("the tunnel stays open", Duration::from_millis(900), || {
        is_silent(&client)
    });
}

/// A network namespace with one host, which is connected to the namespace of the test by a cable.
struct OtherHost {
    server: Child,
}

impl OtherHost {
    const ADDRESS: &str = "10.99.0.2:7000";

    /// A server in there that accepts and is silent.
    fn new() -> Self {
        let server = r#"
import socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
print("up", flush=True); sys.stdin.readline()
s.bind(("10.99.0.2", 7000)); s.listen(64); print("listening", flush=True)
kept = []
while True: kept.append(s.accept())
"#;
        let mut server = Command::new("unshare")
            .args(["--net", "python3", "-c", server])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare(1) and python3 are installed");
        let mut said = BufReader::new(server.stdout.take().expect("a pipe"));
        let mut line = String::new();
        said.read_line(&mut line).expect("it is up");
        let host = Self { server };
        let pid = host.server.id();
        run(&format!(
            "ip link add cable type veth peer name far netns {pid}"
        ));
        run("ip addr add 10.99.0.1/24 dev cable");
        run("ip link set cable up");
        host.inside("ip addr add 10.99.0.2/24 dev far");
        host.inside("ip link set far up");
        let mut host = host;
        let input = host.server.stdin.as_mut().expect("a pipe");
        input.write_all(b"go\n").expect("it reads");
        said.read_line(&mut line).expect("it listens");
        assert!(line.ends_with("listening\n"), "{line}");
        host
    }

    fn inside(&self, command: &str) {
        run(&format!("nsenter -t {} -n {command}", self.server.id()));
    }

    /// Takes its interface down: nothing comes from there any more, no reset either.
    fn vanish(&self) {
        self.inside("ip link set far down");
    }
}

impl Drop for OtherHost {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[track_caller]
fn run(command: &str) {
    let status = Command::new("sh").args(["-c", command]).status();
    assert!(status.is_ok_and(|status| status.success()), "{command}");
}

fn before_the_other_host(key: &str) -> Ringway {
    let address: SocketAddr = OtherHost::ADDRESS.parse().expect("an address");
    let ringway = Setup::new().defaults(key).server("far", address).start();
    eventually("the server is there", || {
        TcpStream::connect(address).is_ok()
    });
    ringway
}

#[test]
fn a_server_that_vanishes_is_noticed_by_keepalive() {
    in_namespace(
        "lifetimes::a_server_that_vanishes_is_noticed_by_keepalive",
        || {
            let host = OtherHost::new();
            let key = r#"keepalive = { idle = "1s", interval = "1s", count = 2 }"#;
            let ringway = before_the_other_host(key);
            let mut client = connect(ringway.address());
            client.write_all(b"hello").expect("taken");
            // The bytes are acknowledged: from here on both are silent.
            all_through("the session is open", Duration::from_millis(500), || {
                is_silent(&client)
            });
            host.vanish();
            let start = Instant::now();
            let _ = client.read(&mut [0]);
            assert!(
                start.elapsed() < Duration::from_secs(8),
                "{:?}",
                start.elapsed()
            );
            assert_eq!(ringway.session_ended().code, "SD");
        },
    );
}

#[test]
fn a_server_that_takes_nothing_any_more_is_noticed_by_user_timeout() {
    in_namespace(
        "lifetimes::a_server_that_takes_nothing_any_more_is_noticed_by_user_timeout",
        || {
            let host = OtherHost::new();
            let ringway = before_the_other_host(r#"user_timeout = "1s""#);
            let mut client = connect(ringway.address());
            client.write_all(b"hello").expect("taken");
            all_through("the session is open", Duration::from_millis(500), || {
                is_silent(&client)
            });
            host.vanish();
            client.write_all(b"are you there?").expect("taken");
            let start = Instant::now();
            let _ = client.read(&mut [0]);
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{:?}",
                start.elapsed()
            );
            assert_eq!(ringway.session_ended().code, "SD");
        },
    );
}

/// A server that names itself and notes where its connections come from.
fn noting(peers: &Arc<Mutex<Vec<IpAddr>>>) -> Server {
    let peers = Arc::clone(peers);
    Server::start(move |stream| {
        let peer = stream.peer_addr().expect("connected").ip();
        peers.lock().expect("no panic under the lock").push(peer);
        let mut stream = stream;
        let _ = stream.write_all(b"a\n");
        servers::wait_for_end(stream);
    })
}

#[test]
fn two_source_addresses_have_twice_the_ports() {
    in_namespace(
        "lifetimes::two_source_addresses_have_twice_the_ports",
        || {
            let peers = Arc::default();
            let server = noting(&peers);
            let ringway = Setup::new()
                .workers(2)
                .defaults("retries = 0")
                .backend(r#"source = ["127.0.0.2", "127.0.0.3"]"#)
                .server("a", server.address())
                .start();
            // Ten ports, for connects from now on.
            fs::write("/proc/sys/net/ipv4/ip_local_port_range", "20000 20009").expect("root");
            let open: Vec<_> = (1..=20)
                .map(|number| {
                    // From other ports: the kernel uses no port for a connect that a bind has taken.
                    let source = SocketAddr::from(([127, 0, 0, 1], 30_000 + number));
                    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
                    socket.bind(&source.into()).expect("a free port");
                    socket
                        .connect(&ringway.address().into())
                        .expect("connected");
                    let client = ready(socket.into());
                    assert_eq!(read_line(&client), "a", "session {number}");
                    client
                })
                .collect();
            let peers = peers.lock().expect("no panic under the lock").clone();
            assert_eq!(peers.len(), 20);
            let both: BTreeSet<IpAddr> = peers.into_iter().collect();
            let expected = [[127, 0, 0, 2], [127, 0, 0, 3]].map(IpAddr::from);
            assert!(both.iter().eq(&expected), "{both:?}");
            drop(open);
            assert!(
                ringway
                    .sessions_ended(20)
                    .iter()
                    .all(|line| line.retries == 0)
            );
        },
    );
}

#[test]
fn a_source_address_that_this_host_does_not_have_is_told() {
    let server = Server::named("a");
    let ringway = Setup::new()
        .defaults("retries = 0")
        .backend(r#"source = ["192.0.2.1"]"#)
        .server("a", server.address())
        .start();
    ringway.says("192.0.2.1 of `source` in backend app is no address of this host");
    assert_eq!(
        crate::clients::connect_to_end(ringway.address()),
        Ending::Reset
    );
    assert_eq!(ringway.session_ended().code, "SC");
    assert_eq!(server.accepted(), 0);
}
