//! What `check` accepts, a start opens, and so do a reload and a takeover from any other configuration
//! that it accepts.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;

use proptest::collection::vec;
use proptest::prelude::*;
use socket2::{Domain, Protocol, Socket, Type};

use super::*;
use crate::config::{Problem, parse, system_resolver};

const WORKERS: usize = 2;

/// A port that nobody else is given and that is free for us: it is bound, and nobody listens.
struct Port {
    number: u16,
    _held: Vec<Socket>,
}

impl Port {
    fn reserve() -> Self {
        let hold = |address: SocketAddr| {
            let socket = Socket::new(
                Domain::for_address(address),
                Type::STREAM,
                Some(Protocol::TCP),
            )
            .unwrap();
            socket.set_reuse_address(true).unwrap();
            socket.set_reuse_port(true).unwrap();
            if address.is_ipv6() {
                socket.set_only_v6(true).unwrap();
            }
            socket.bind(&address.into()).map(|()| socket)
        };
        loop {
            let first = hold("0.0.0.0:0".parse().unwrap()).unwrap();
            let number = first.local_addr().unwrap().as_socket().unwrap().port();
            if let Ok(second) = hold(SocketAddr::new([0_u16; 8].into(), number)) {
                return Port {
                    number,
                    _held: vec![first, second],
                };
            }
        }
    }
}

/// An entry of `listen`: how its address is written, and which of two ports or any it names.
type Entry = (&'static str, Option<usize>);

fn entry() -> impl Strategy<Value = Entry> {
    let host = prop::sample::select(vec![
        "127.0.0.1",
        "127.0.0.2",
        "0.0.0.0",
        "localhost",
        "[::ffff:127.0.0.1]",
        "[::ffff:0.0.0.0]",
        "[::1]",
        "[::1%1]",
        "[::]",
        "[fe80::1]",
        "224.0.0.1",
    ]);
    (host, prop::option::weighted(0.8, 0..2_usize))
}

/// Up to three frontends, and perhaps an admin listener.
fn listeners() -> impl Strategy<Value = (Vec<Vec<Entry>>, Option<Entry>)> {
    (
        vec(vec(entry(), 1..4), 1..4),
        prop::option::weighted(0.3, entry()),
    )
}

fn text((frontends, admin): &(Vec<Vec<Entry>>, Option<Entry>), ports: &[Port; 2]) -> String {
    let written = |(host, port): &Entry| {
        let port = port.map_or(0, |index| ports[index].number);
        format!("\"{host}:{port}\"")
    };
    let mut text =
        "[backend.app]\nservers = [{ name = \"a\", address = \"127.0.0.1:1\" }]\n".to_owned();
    if let Some(admin) = admin {
        text += &format!(
            "[admin]\nlisten = {}\ntoken_file = \"/t\"\n",
            written(admin)
        );
    }
    for (index, listen) in frontends.iter().enumerate() {
        let listen: Vec<_> = listen.iter().map(written).collect();
        text += &format!(
            "[frontend.f{index}]\nlisten = [{}]\nbackend = \"app\"\n",
            listen.join(", ")
        );
    }
    text
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

/// Opens all that a configuration needs, and looks whether each address is there once.
fn open(listeners: &mut Listeners, config: &Config, mode: OpenMode) -> Vec<Vec<SocketAddr>> {
    let prepared = run(listeners.prepare(config, WORKERS, mode));
    let applied = listeners.apply(prepared.unwrap(), WORKERS);
    let mut seen = std::collections::HashSet::new();
    for address in applied.addresses.iter().flatten() {
        assert!(seen.insert(address), "{address} is there twice");
    }
    let frontends = applied.addresses.iter();
    let ip = |address: &Bound| address.ip().expect("no Unix socket");
    frontends.map(|all| all.iter().map(ip).collect()).collect()
}

fn start(config: &Config) -> Listeners {
    let mut listeners = Listeners::default();
    open(&mut listeners, config, OpenMode::Start(Vec::new()));
    listeners
}

/// What another process gets.
fn offered(listeners: &Listeners) -> Vec<TransferredListener> {
    let all = listeners.offer().unwrap().into_iter();
    all.map(|offered| offered.transferred).collect()
}

/// The admin listener as `run` opens it, before those of frontends.
fn admin(config: &Config) -> Option<std::net::TcpListener> {
    let address = config.admin.as_ref()?.listen?;
    Some(std::net::TcpListener::bind(address).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn what_check_accepts_is_opened_however_it_comes(before in listeners(), after in listeners()) {
        let ports = [Port::reserve(), Port::reserve()];
        let [before, after] = [before, after].map(|written| {
            let loaded = parse("x.toml", &text(&written, &ports), &system_resolver);
            loaded.map(|loaded| loaded.config).ok()
        });
        prop_assume!(before.is_some());
        let Some(before) = before else {
            return Ok(());
        };
        // Started at once, and once more.
        let admin_before = admin(&before);
        drop(start(&before));
        let mut listeners = start(&before);
        let Some(mut after) = after else {
            return Ok(());
        };
        // A reload does not change the admin listener: as `check` would, with the one that there is.
        let mut reloaded = after.clone();
        reloaded.admin = before.admin.clone();
        let fits = before.admin.as_ref().and_then(|admin| admin.listen).is_none_or(|address| {
            let set: Result<(), Problem> = reloaded.set_admin(&address.to_string(), false, &system_resolver);
            set.is_ok()
        });
        if fits {
            open(&mut listeners, &reloaded, OpenMode::Reload);
            open(&mut listeners, &before, OpenMode::Reload);
        }
        drop(admin_before);
        // A takeover.
        let transferred = offered(&listeners);
        let mut next = Listeners::default();
        open(&mut next, &after, OpenMode::Start(transferred));
        drop(listeners);
        after.admin.take();
        open(&mut next, &after, OpenMode::Reload);
    }
}

fn config(listen: &[String]) -> Config {
    let frontends = listen.iter().enumerate().map(|(index, listen)| {
        format!("[frontend.f{index}]\nlisten = [\"{listen}\"]\nbackend = \"app\"\n")
    });
    let text: String = frontends.collect();
    let text = text + "[backend.app]\nservers = [{ name = \"a\", address = \"127.0.0.1:1\" }]\n";
    parse("x.toml", &text, &system_resolver).unwrap().config
}

#[test]
fn the_specific_address_wins_over_the_wildcard() {
    let port = Port::reserve();
    let number = port.number;
    let wild = format!("0.0.0.0:{number}");
    let specific = format!("127.0.0.1:{number}");
    for listen in [[&wild, &specific], [&specific, &wild]] {
        let listeners = start(&config(&listen.map(Clone::clone)));
        let entry = |text: &String| {
            let mut entries = listeners.entries.iter();
            entries.find(|entry| entry.key.listen == *text).unwrap()
        };
        let mut clients = Vec::new();
        for (address, text) in [("127.0.0.1", &specific), ("127.0.0.2", &wild)] {
            let mut client = TcpStream::connect((address, number)).unwrap();
            client.write_all(b"x").unwrap();
            clients.push(client);
            let mut sockets = entry(text).sockets.iter();
            let accepted = sockets.any(|(_, socket)| {
                let socket =
                    std::net::TcpListener::from(socket.as_fd().try_clone_to_owned().unwrap());
                let accepted = socket.accept();
                accepted.is_ok_and(|(mut client, _)| client.read(&mut [0]).is_ok())
            });
            assert!(accepted, "{address} comes to {text}");
        }
    }
}

#[test]
fn a_port_that_is_named_is_not_given_to_who_takes_any() {
    let mut listeners = Listeners::default();
    let any = config(&["127.0.0.1:0".to_owned()]);
    let addresses = open(&mut listeners, &any, OpenMode::Start(Vec::new()));
    let named = addresses[0][0].to_string();
    let both = config(&["127.0.0.1:0".to_owned(), named.clone()]);
    let addresses = open(&mut listeners, &both, OpenMode::Reload);
    assert_eq!(addresses[1][0].to_string(), named);
    let transferred = offered(&listeners);
    let mut next = Listeners::default();
    let both = config(&["127.0.0.1:0".to_owned(), named.clone()]);
    let addresses = open(&mut next, &both, OpenMode::Start(transferred));
    assert_eq!(addresses[1][0].to_string(), named);
}

#[test]
fn another_program_beside_an_address_of_ours_is_noticed() {
    let port = Port::reserve();
    let [wild, specific] = ["0.0.0.0", "127.0.0.1"].map(|ip| format!("{ip}:{}", port.number));
    // It shares the address with whoever wants to, as a second process of ours does.
    let other = Listener::bind(specific.parse().unwrap(), 1).unwrap();
    let mut listeners = Listeners::default();
    let prepared = run(listeners.prepare(
        &config(std::slice::from_ref(&wild)),
        WORKERS,
        start_moment(),
    ));
    let refused = prepared.map(drop).unwrap_err().to_string();
    assert!(refused.contains("already"), "{refused}");
    drop(other);
    open(
        &mut listeners,
        &config(std::slice::from_ref(&wild)),
        start_moment(),
    );
    let other = Listener::bind(specific.parse().unwrap(), 1).unwrap();
    let both = config(&[wild, specific]);
    let prepared = run(listeners.prepare(&both, WORKERS, OpenMode::Reload));
    let refused = prepared.map(drop).unwrap_err().to_string();
    assert!(refused.contains("already"), "{refused}");
    drop(other);
    open(&mut listeners, &both, OpenMode::Reload);
}

fn start_moment() -> OpenMode {
    OpenMode::Start(Vec::new())
}

#[test]
fn an_inherited_socket_is_had_by_its_address_too_with_more_workers() {
    let inherited = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = inherited.local_addr().unwrap();
    let transferred = TransferredListener {
        key: ListenerKey {
            listen: "fd:3".to_owned(),
            frontend: "f".to_owned(),
            address: Bound::Ip(address),
        },
        sockets: vec![std::os::fd::OwnedFd::from(inherited).try_into().unwrap()],
    };
    let mut listeners = Listeners::default();
    let named = config(&[address.to_string()]);
    let addresses = open(&mut listeners, &named, OpenMode::Start(vec![transferred]));
    assert_eq!(addresses, [[address]]);
    assert_eq!(listeners.entries[0].sockets.len(), WORKERS);
}
