//! Unix sockets: servers on them, and frontends that listen on them.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use rustix::process::Signal;

use crate::clients::{connect, round_trip};
use crate::harness::{Launch, Ringway, ScratchDirectory};
use crate::http::{get, stats};
use crate::pattern;
use crate::proxy_heads::{CLIENT, named};
use crate::servers::Server;
use crate::setup::Setup;
use crate::wait::{DEADLINE, eventually};

/// What is sent in one direction where much is sent: it is spliced.
const MUCH: usize = 8 * 1024 * 1024;

/// Sessions in which the last bytes and the end of the stream come together.
const ROUNDS: usize = 300;

/// A server on a Unix socket that sends back what comes; its file goes with it.
struct UnixServer(PathBuf);

impl UnixServer {
    fn echo(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("a free path");
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                thread::spawn(move || {
                    let mut bytes = vec![0; 64 * 1024];
                    while let Ok(count @ 1..) = stream.read(&mut bytes) {
                        if stream.write_all(&bytes[..count]).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        UnixServer(path.to_owned())
    }
}

impl Drop for UnixServer {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn unix(path: &Path) -> String {
    format!("unix:{}", path.display())
}

fn connect_unix(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).expect("somebody listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("an option");
    stream
}

/// Sends this, ends, and reads what comes back until the end.
fn exchange(mut stream: UnixStream, bytes: &[u8]) -> Vec<u8> {
    stream.write_all(bytes).expect("taken");
    stream.shutdown(Shutdown::Write).expect("open");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an end");
    answer
}

/// Sends much and reads it back, at the same time.
fn exchange_much(stream: &UnixStream) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut bytes = pattern::Pattern::new(7).message(MUCH);
            (&mut &*stream).write_all(&bytes).expect("taken");
            bytes.clear();
            stream.shutdown(Shutdown::Write).expect("open");
        });
        pattern::receive(stream, 7, MUCH);
    });
}

#[test]
fn both_sides_are_relayed_to_their_ends() {
    let folder = ScratchDirectory::new();
    let (web, app) = (
        folder.path().join("web.sock"),
        folder.path().join("app.sock"),
    );
    let _server = UnixServer::echo(&app);
    let ringway = Setup::new()
        .listen(&unix(&web))
        .server_on("a", &unix(&app))
        .start();
    ringway.says(&format!("listens on {}", unix(&web)));
    let mode = fs::metadata(&web).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    for round in 0..ROUNDS {
        let bytes = vec![round as u8; 1 + round * 97];
        assert_eq!(exchange(connect_unix(&web), &bytes), bytes, "round {round}");
    }
    exchange_much(&connect_unix(&web));
    let ended = ringway.sessions_ended(ROUNDS + 1);
    for session in &ended {
        assert_eq!(session.code, "--");
        assert_eq!(session.bytes_from_client, session.bytes_from_server);
        assert_eq!(session.client, "-");
    }
    ringway.signal(Signal::TERM);
    eventually("its file goes with it", || !web.exists());
}

#[test]
fn a_unix_socket_stands_on_either_side_of_tcp() {
    let folder = ScratchDirectory::new();
    let (web, app) = (
        folder.path().join("web.sock"),
        folder.path().join("app.sock"),
    );
    let _server = UnixServer::echo(&app);
    let to_unix = Setup::new().admin().server_on("a", &unix(&app)).start();
    let client = connect(to_unix.address());
    round_trip(&client, b"there and back");
    let answer = stats(to_unix.admin());
    let server = &answer["backends"][0]["servers"][0];
    assert_eq!(server["address"], unix(&app));
    assert_eq!(server["addresses"][0], unix(&app));

    let tcp = Server::echo();
    let from_unix = Setup::new()
        .admin()
        .listen(&unix(&web))
        .server("a", tcp.address())
        .start();
    exchange_much(&connect_unix(&web));
    assert_eq!(
        stats(from_unix.admin())["frontends"][0]["listen"][0],
        unix(&web)
    );
}

#[test]
fn a_check_sees_a_server_come_and_go() {
    let folder = ScratchDirectory::new();
    let app = folder.path().join("app.sock");
    let ringway = Setup::new()
        .admin()
        .server_on("a", &unix(&app))
        .health_check("type = \"tcp\"\nsend = \"ping\"\nexpect = \"ping\"\ninterval = \"100ms\"\ntimeout = \"100ms\"")
        .start();
    let is = |state: &str| {
        let answer = stats(ringway.admin());
        answer["backends"][0]["servers"][0]["state"] == *state
    };
    eventually("it is down before it is there", || is("down"));
    for _ in 0..2 {
        let server = UnixServer::echo(&app);
        eventually("it is up", || is("up"));
        round_trip(&connect(ringway.address()), b"hello");
        drop(server);
        eventually("it is down", || is("down"));
        assert_eq!(get(ringway.admin(), "/readyz").status, 503);
    }
}

#[test]
fn a_server_that_is_not_there_refuses_and_is_tried_again() {
    let folder = ScratchDirectory::new();
    let missing = folder.path().join("missing.sock");
    let left = folder.path().join("left.sock");
    drop(UnixListener::bind(&left).expect("a free path"));
    let tcp = Server::echo();
    let ringway = Setup::new()
        .admin()
        .server_on("a", &unix(&missing))
        .server_on("b", &unix(&left))
        .server("c", tcp.address())
        .start();
    for _ in 0..9 {
        round_trip(&connect(ringway.address()), b"it goes to another");
    }
    let answer = stats(ringway.admin());
    for server in 0..2 {
        let failures = &answer["backends"][0]["servers"][server]["connect_failures"];
        assert!(failures.as_u64() > Some(0), "{failures}");
    }
}

#[test]
fn a_file_is_replaced_reloaded_and_handed_over() {
    let folder = ScratchDirectory::new();
    let (first, second) = (folder.path().join("a.sock"), folder.path().join("b.sock"));
    let admin = format!(
        "socket = \"{}\"",
        folder.path().join("admin.sock").display()
    );
    let server = Server::echo();
    let setup = |web: &Path| {
        let setup = Setup::new().admin_with(&admin).listen(&unix(web));
        setup.server("a", server.address())
    };
    // What a process left behind.
    drop(UnixListener::bind(&first).expect("a free path"));
    let mut old = setup(&first).start();
    assert_eq!(exchange(connect_unix(&first), b"one"), b"one");

    // Another process does not get it.
    let mut other = Launch::config(
        &Setup::new()
            .listen(&unix(&first))
            .server("a", server.address())
            .text(),
    )
    .spawn();
    assert_eq!(other.exit_code(), Some(1));
    let why = other.errors();
    assert!(why.contains("another process listens there"), "{why}");

    old.reload(&setup(&second).text());
    assert!(!first.exists(), "nobody listens there any more");
    assert_eq!(exchange(connect_unix(&second), b"two"), b"two");

    // An open session stays with the old process; the file is the new one's.
    let session = connect_unix(&second);
    let mut new = setup(&second).launch().argument("--takeover").start();
    assert_eq!(exchange(session, b"three"), b"three");
    assert_eq!(old.exit_code(), Some(0));
    assert_eq!(exchange(connect_unix(&second), b"four"), b"four");
    new.signal(Signal::TERM);
    assert_eq!(new.exit_code(), Some(0));
    assert!(!second.exists());
}

/// Only the kernel sees that they are one: a folder can have several names.
#[test]
fn two_paths_to_one_file_are_not_another_process() {
    let folder = ScratchDirectory::new();
    let (first, link) = (folder.path().join("web.sock"), folder.path().join("link"));
    std::os::unix::fs::symlink(folder.path(), &link).expect("a new link");
    let text = Setup::new()
        .listen(&unix(&first))
        .server_on("a", "127.0.0.1:1")
        .text();
    let one = format!("\"{}\"", unix(&first));
    let both = format!("{one}, \"{}\"", unix(&link.join("web.sock")));
    let mut process = Launch::config(&text.replace(&one, &both)).spawn();
    assert_eq!(process.exit_code(), Some(1));
    let why = process.errors();
    assert!(why.contains("this process listens there already"), "{why}");
}

/// A process that listens on this path, with these keys, before a server that sends back what comes.
fn with_keys(web: &Path, keys: &str, server: &Server) -> Ringway {
    Setup::new()
        .admin()
        .listen(&unix(web))
        .frontend(keys)
        .server("a", server.address())
        .start()
}

#[test]
fn its_clients_have_no_address_unless_a_proxy_head_has_one() {
    let folder = ScratchDirectory::new();
    let web = folder.path().join("web.sock");
    let server = Server::echo();
    let limits = "deny = [\"10.0.0.0/8\"]\nper_client = { max_sessions = 1, rate = \"1/m\" }";
    let open = with_keys(&web, limits, &server);
    for _ in 0..3 {
        assert_eq!(exchange(connect_unix(&web), b"nobody"), b"nobody");
    }
    drop(open);

    let listed = with_keys(&web, "allow = [\"127.0.0.1\"]", &server);
    assert_eq!(connect_unix(&web).read(&mut [0]).unwrap_or(0), 0);
    eventually("it is counted", || {
        stats(listed.admin())["frontends"][0]["refused"]["not_allowed"] == 1
    });
    drop(listed);

    let proxied = "accept_proxy = { from = [\"10.0.0.1\"] }\nallow = [\"192.0.2.0/24\"]";
    let ringway = with_keys(&web, proxied, &server);
    let head = |client: &str| {
        let mut stream = connect_unix(&web);
        let head = named(client, "192.0.2.9:443", &[]);
        stream.write_all(&head).expect("taken");
        stream
    };
    assert_eq!(exchange(head(CLIENT), b"known"), b"known");
    assert_eq!(ringway.session_ended().client, CLIENT);
    assert_eq!(head("10.1.1.1:99").read(&mut [0]).unwrap_or(0), 0);
    eventually("it is counted", || {
        stats(ringway.admin())["frontends"][0]["refused"]["not_allowed"] == 1
    });
}
