//! `haproxy_socket` answers as HAProxy 2.6 does, which is asked the same.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::clients::{connect, connect_named, ending, round_trip};
use crate::harness::{Ringway, ScratchDirectory};
use crate::http::{get, stats};
use crate::servers::{RefusingPort, Server};
use crate::setup::Setup;
use crate::wait::{DEADLINE, eventually};

/// A program of Debian that runs until the end of the test.
pub struct Peer(Child);

impl Peer {
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new(program);
        command
            .env("PATH", path)
            .args(arguments)
            .stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Peer(child.unwrap_or_else(|error| panic!("{program}: {error}: see scripts/test.sh")))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn open(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket);
    let stream = stream.unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
    stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    stream
}

/// All that is answered to these bytes, until the other side closes.
fn say(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = open(socket);
    stream.write_all(bytes).expect("it is taken");
    // A session with a prompt ends with what the client sends.
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an end");
    String::from_utf8(answer).expect("text")
}

fn ask(socket: &Path, command: &str) -> String {
    say(socket, format!("{command}\n").as_bytes())
}

/// Backend `app` of `a`, a server with weight 4, and of `down`, which is.
pub fn ringway(
    folder: &ScratchDirectory,
    server: SocketAddr,
    refusing: SocketAddr,
) -> (Ringway, PathBuf) {
    let socket = folder.path().join("haproxy.sock");
    let ringway = Setup::new()
        .admin()
        .admin_with(&format!("haproxy_socket = \"{}\"", socket.display()))
        .health_check("interval = \"50ms\"\ntimeout = \"50ms\"")
        .server_with("a", server, "weight = 4")
        .server("down", refusing)
        .start();
    eventually("the check has failed", || {
        stats(ringway.admin())["backends"][0]["servers"][1]["status"] == "DOWN"
    });
    (ringway, socket)
}

/// HAProxy with the same.
fn haproxy(folder: &ScratchDirectory, server: SocketAddr, refusing: SocketAddr) -> (Peer, PathBuf) {
    let socket = folder.path().join("theirs.sock");
    let port = RefusingPort::new();
    let text = format!(
        "global\n  stats socket {} mode 600 level admin\n\
         defaults\n  mode tcp\n  timeout connect 1s\n  timeout client 20s\n  timeout server 20s\n\
         frontend web\n  bind {}\n  default_backend app\n\
         backend app\n  default-server inter 50ms\n  server a {server} check weight 4\n\
         \x20 server down {refusing} check\n",
        socket.display(),
        port.address()
    );
    let file = folder.path().join("haproxy.cfg");
    fs::write(&file, text).expect("a file");
    let haproxy = Peer::start("haproxy", &["-db", "-f", &file.display().to_string()]);
    eventually("HAProxy answers", || {
        UnixStream::connect(&socket).is_ok()
            && ask(&socket, "show stat").contains("app,down,0,0,0,0,,0,0,0,,0,,0,0,0,0,DOWN")
    });
    (haproxy, socket)
}

/// The rows of `show stat`: names, status and check.
fn rows(csv: &str) -> Vec<[String; 4]> {
    let mut lines = csv.lines();
    let header: Vec<&str> = lines
        .next()
        .expect("a header")
        .trim_start_matches("# ")
        .split(',')
        .collect();
    let column = |name: &str| header.iter().position(|it| *it == name).expect("a column");
    let columns = ["pxname", "svname", "status", "check_status"].map(column);
    let rows = lines.filter(|line| !line.is_empty());
    rows.map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        columns.map(|column| cells[column].to_owned())
    })
    .collect()
}

#[test]
fn it_answers_as_haproxy_does() {
    let folder = ScratchDirectory::new();
    let (server, refusing) = (Server::named("a"), RefusingPort::new());
    let (_ringway, ours) = ringway(&folder, server.address(), refusing.address());
    let (_haproxy, theirs) = haproxy(&folder, server.address(), refusing.address());
    // To the byte, and so are the changes that they make.
    for command in [
        "disable server app/none",
        "disable server none/a",
        "disable server",
        "set server app",
        "set server app/a",
        "set server app/a foo",
        "set server app/a state",
        "set server app/a state foo",
        "set server app/a weight",
        "set server app/a weight 257",
        "get weight app/a",
        "get weight app/none",
        "get weight",
        "set weight app/a",
        "set weight app/a 50%",
        "get weight app/a",
        "set server app/a weight 1;get weight app/a",
        "set weight app/a 100%;get weight app/a",
        "show servers state none",
        "show stat none -1 -1",
        "show stat none 4 -1 json",
        "show stat typed app 4",
        "shutdown sessions server",
        "shutdown sessions server app/none",
        "shutdown sessions server app/a",
        "show backend",
        "enable server app/a",
        "set timeout cli 10",
        "prompt",
        "quit",
        "show errors;quit;show info",
        "disable server app/a;get weight app/a;enable server app/a",
    ] {
        // The time of `show errors` differs.
        let [our, their] = [&ours, &theirs].map(|socket| {
            let answer = ask(socket, command);
            answer.split(" on [").next().map(str::to_owned)
        });
        assert_eq!(our, their, "{command}");
    }
    // Of what is answered to others, the first line, which says what it is.
    for command in ["foo", "", "show nothing at all", "help"] {
        let first = |socket: &Path| ask(socket, command).lines().next().map(str::to_owned);
        let [our, their] = [&ours, &theirs].map(|socket| first(socket).expect("a line"));
        assert!(
            our.starts_with(&their[..15]),
            "{command:?}: {our} and {their}"
        );
    }
    // A session with a prompt.
    let session = b"prompt\nshow backend\nget weight app/a;get weight app/none\nquit\n";
    assert_eq!(say(&ours, session), say(&theirs, session));

    for state in ["ready", "drain", "maint", "ready"] {
        let order = format!("set server app/a state {state}");
        for socket in [&ours, &theirs] {
            assert_eq!(ask(socket, &order), "\n");
        }
        // A server that comes from maintenance is as checked as it was.
        eventually(state, || {
            let [our, their] = [&ours, &theirs].map(|socket| ask(socket, "show stat"));
            let columns = |csv: &str| -> Vec<String> {
                let header = csv.lines().next().expect("a header").split(',');
                header.take(103).map(str::to_owned).collect()
            };
            assert_eq!(columns(&our), columns(&their));
            rows(&our) == rows(&their)
        });
        // All but who was when, and what nobody chose: ids, times, rise and fall.
        let states = |socket: &Path| -> Vec<Vec<String>> {
            let text = ask(socket, "show servers state app");
            let lines = text.lines().filter(|line| !line.is_empty());
            let cells = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
            let mut lines: Vec<Vec<String>> = lines.map(cells).collect();
            for line in lines.iter_mut().skip(2) {
                for column in [0, 9, 12] {
                    line[column].clear();
                }
                if line[6] == "1" {
                    // The last check before the maintenance, which we do not tell here.
                    line[10].clear();
                }
            }
            lines
        };
        eventually("the same servers", || states(&ours) == states(&theirs));
    }
    let kinds =
        |socket: &Path, filter: &str| rows(&ask(socket, &format!("show stat {filter}"))).len();
    for filter in ["-1 4 -1", "-1 1 -1", "app 6 -1", "app 4 2"] {
        assert_eq!(kinds(&ours, filter), kinds(&theirs, filter), "{filter}");
    }
    for hidden in ["up", "no-maint", "-1 -1 -1 up", "up no-maint", "foo up"] {
        let [our, their] =
            [&ours, &theirs].map(|socket| rows(&ask(socket, &format!("show stat {hidden}"))));
        assert_eq!(our, their, "{hidden}");
        let down = our.iter().any(|[_, server, ..]| server == "down");
        assert_eq!(down, !hidden.contains("up"), "{hidden}");
    }
}

/// Pieces of an answer without the values in them, and without the number of the proxy, which nobody chose.
fn without_values(answer: &str, piece: &str, value: &str, proxy: &str) -> BTreeSet<String> {
    let pieces = answer.split(piece).filter(|piece| !piece.trim().is_empty());
    pieces
        .map(|piece| {
            let end = piece.find(value).unwrap_or_else(|| panic!("{piece}"));
            let end = end
                + value.len()
                + piece[end + value.len()..]
                    .find([',', ':'])
                    .expect("a value");
            let begin = &piece[..end];
            let Some((object, rest)) = begin.split_once(proxy) else {
                return begin.to_owned();
            };
            format!(
                "{object}{proxy}{}",
                rest.trim_start_matches(char::is_numeric)
            )
        })
        .collect()
}

#[test]
fn its_typed_and_json_formats_are_those_of_haproxy() {
    let folder = ScratchDirectory::new();
    let (server, refusing) = (Server::named("a"), RefusingPort::new());
    let (ringway, ours) = ringway(&folder, server.address(), refusing.address());
    let (_haproxy, theirs) = haproxy(&folder, server.address(), refusing.address());
    assert_eq!(connect_named(ringway.address()).1, "a");
    // What is there, it is as there: objects, positions, names, tags and types, to the byte.
    let typed = ("\n", ":", ".");
    let json = (",{\"objType", "\"value\":{\"type\":", "\"proxyId\":");
    let info = (",{\"field", "\"value\":{\"type\":", "\"proxyId\":");
    for (command, (piece, value, proxy), least) in [
        ("show stat typed", typed, 70),
        ("show stat -1 4 -1 json typed", typed, 40),
        ("show info typed", typed, 29),
        ("show info desk json float typed", typed, 29),
        ("show stat json", json, 70),
        ("show stat -1 4 -1 json", json, 40),
        ("show info json", info, 29),
    ] {
        let [our, their] = [&ours, &theirs]
            .map(|socket| without_values(&ask(socket, command), piece, value, proxy));
        assert!(our.len() >= least, "{command}: {}", our.len());
        let strange: Vec<_> = our.difference(&their).collect();
        assert!(strange.is_empty(), "{command}: {strange:#?}");
    }
    for line in [
        "S.2.1.7.stot.1:MCP:u64:1",
        "S.2.1.18.weight.1:MaP:u32:4",
        "S.2.2.17.status.1:SGP:str:DOWN",
        "B.2.0.19.act.1:MGP:u32:1",
    ] {
        let answer = ask(&ours, "show stat typed");
        assert!(answer.lines().any(|it| it == line), "{line}: {answer}");
    }
    // Both are JSON, of the same shape.
    let json = |socket: &Path, command: &str| -> Value {
        serde_json::from_str(&ask(socket, command)).expect("JSON")
    };
    let [our, their] = [&ours, &theirs].map(|socket| json(socket, "show stat json"));
    let [ours_of, theirs_of] = [&our, &their].map(|all| all.as_array().expect("rows").len());
    assert_eq!(ours_of, theirs_of);
    let total = |row: &Value| {
        let fields = row.as_array().expect("fields").iter();
        let mut fields = fields.filter(|field| field["field"]["name"] == "stot");
        fields.next().expect("a total")["value"]["value"].clone()
    };
    assert_eq!(total(&our[0]), 1);
    assert_eq!(
        ask(&ours, "show stat 77 -1 -1 json"),
        ask(&theirs, "show stat 77 -1 -1 json")
    );
}

#[test]
fn what_is_ordered_is_attributed_and_other_commands_are_pointed_to_ours() {
    let folder = ScratchDirectory::new();
    let (server, refusing) = (Server::named("a"), RefusingPort::new());
    let (ringway, socket) = ringway(&folder, server.address(), refusing.address());
    let metadata = fs::symlink_metadata(&socket).expect("a socket");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let (session, name) = connect_named(ringway.address());
    assert_eq!(name, "a");
    ask(
        &socket,
        "set server app/a state drain;shutdown sessions server app/a",
    );
    ending(&session);
    let who = format!(
        "haproxy_socket, uid {}, pid {}",
        rustix::process::geteuid().as_raw(),
        std::process::id()
    );
    let operator = stats(ringway.admin())["backends"][0]["servers"][0]["operator"].clone();
    assert_eq!(operator["who"], who.as_str());
    let why = get(ringway.admin(), "/api/v1/servers/app/a/why").body;
    assert!(
        why.contains(&format!("it drains, ordered by {who}")),
        "{why}"
    );
    let events = get(ringway.admin(), "/api/v1/events?follow=false").body;
    assert!(
        events.contains(&format!(
            "1 session of server app/a closed: operator ({who})"
        )),
        "{events}"
    );
    for (command, ours) in [
        ("show sess", "`ringway sessions`"),
        (
            "set server app/a addr 127.0.0.2 port 80",
            "`ringway reload`",
        ),
        (
            "add server app/b 127.0.0.1:80",
            "`ringway add BACKEND/SERVER ADDRESS`",
        ),
        ("show stat typed desc", "describes no fields"),
        ("clear counters all", "a restart"),
    ] {
        let answer = ask(&socket, command);
        assert!(
            answer.contains(ours) && answer.ends_with("\n\n"),
            "{command}: {answer}"
        );
    }
    let info = ask(&socket, "show info");
    assert!(
        info.starts_with("Name: Ringway\nVersion: ") && info.contains("\nCurrConns: "),
        "{info}"
    );
    ringway.signal(Signal::TERM);
    eventually("the file goes with the process", || !socket.exists());
}

#[test]
fn clients_and_lines_are_bounded() {
    let folder = ScratchDirectory::new();
    let (server, refusing) = (Server::echo(), RefusingPort::new());
    let (ringway, socket) = ringway(&folder, server.address(), refusing.address());
    let long = say(&socket, &[b'x'; 20_000]);
    assert_eq!(long, "A line has at most 16384 bytes.\n\n");
    let many = ask(&socket, &"get weight app/a;".repeat(200));
    assert!(
        many.ends_with("A line has at most 100 commands.\n\n"),
        "{many}"
    );
    assert_eq!(many.matches("4 (initial 4)").count(), 100);
    for garbage in [
        &b"\0\xff\xfe;;;;\n"[..],
        b"\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"help",
    ] {
        let answer = say(&socket, garbage);
        assert!(answer.contains("  quit  "), "{answer}");
    }
    // Those that are silent make room, the longest silent first.
    let mut silent: Vec<UnixStream> = (0..20).map(|_| open(&socket)).collect();
    assert!(ask(&socket, "show info").starts_with("Name: "));
    let closed = silent[0].read(&mut [0]).expect("closed");
    assert_eq!(closed, 0);
    // Whoever sets a shorter time is closed after it, and whoever takes nothing harms nobody.
    let mut short = open(&socket);
    short
        .write_all(b"prompt\nset timeout cli 1\n")
        .expect("taken");
    let mut answer = String::new();
    short.read_to_string(&mut answer).expect("an end");
    assert_eq!(answer, "\n> \n> ");
    let mut greedy = open(&socket);
    greedy.write_all(&b"help;".repeat(90)).expect("taken");
    greedy.write_all(b"\n").expect("taken");
    round_trip(&connect(ringway.address()), b"sessions go on");
    assert!(ask(&socket, "show version").contains(env!("CARGO_PKG_VERSION")));
}
