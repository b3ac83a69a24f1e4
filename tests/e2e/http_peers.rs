//! Programs that others wrote, through HTTP mode: curl and its cookie jar, wrk, websockets, and a
//! browser. All are there wherever these tests count, so their absence is a failure.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::harness::ScratchDirectory;
use crate::http_servers::{HttpServer, answer};
use crate::peers::{Nginx, curl};
use crate::servers::LOOPBACK;
use crate::setup::Setup;

/// Three servers that say their names, and the process before them.
fn named() -> ([HttpServer; 3], Setup) {
    let servers = ["a", "b", "c"].map(HttpServer::named);
    let setup = (servers.iter().zip(["a", "b", "c"]))
        .fold(Setup::http(), |setup, (server, name)| {
            setup.server(name, server.address())
        });
    (servers, setup)
}

/// Runs a program for at most this many seconds, and returns what it prints; it must succeed.
#[track_caller]
fn run(seconds: u32, program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("timeout");
    command
        .arg(seconds.to_string())
        .arg(program)
        .args(arguments);
    let output = command.output().expect("coreutils are installed");
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn curl_with_a_cookie_jar_returns_to_its_server() {
    let (_servers, setup) = named();
    let ringway = setup.start();
    let directory = ScratchDirectory::new();
    let url = format!("http://{}/", ringway.address());

    let mut all = BTreeSet::new();
    for client in 0..6 {
        let jar = directory.path().join(format!("jar-{client}"));
        let jar = jar.display().to_string();
        let ask = || curl(&["--cookie", &jar, "--cookie-jar", &jar, &url]);
        let first = ask();
        assert!((0..4).all(|_| ask() == first));
        all.insert(first);
    }
    assert_eq!(all.len(), 3, "{all:?}");
    let lines = ringway.sessions_ended(30);
    let new = lines.iter().filter(|line| line.code == "--NI").count();
    let known = lines.iter().filter(|line| line.code == "--VN").count();
    assert_eq!((new, known), (6, 24), "{lines:?}");
}

#[test]
fn curl_uploads_what_it_asks_leave_for() {
    let nginx = Nginx::start();
    let content = nginx.serve("page", 3_000_000);
    let ringway = Setup::http().server("nginx", nginx.address()).start();
    let url = format!("http://{}/page", ringway.address());

    assert!(curl(&["--http1.0", &url]) == content);
    assert!(curl(&[&url]) == content);
    // nginx has nobody who takes it; that it says so is its answer.
    let file = ScratchDirectory::new();
    let body = file.path().join("body");
    std::fs::write(&body, &content).expect("a file");
    let upload = format!("@{}", body.display());
    let head = ["--header", "Expect: 100-continue", "--data-binary", &upload];
    let status = [
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
        "--no-fail",
    ];
    let status = curl(&[&head[..], &status[..], &[&url]].concat());
    assert!(
        ["405", "413"].contains(&&*String::from_utf8_lossy(&status)),
        "{status:?}"
    );
}

#[test]
fn wrk_sees_no_error() {
    let nginx = Nginx::start();
    nginx.serve("small", 100);
    nginx.serve("large", 300_000);
    let ringway = Setup::http().server("nginx", nginx.address()).start();
    let url = |name: &str| format!("http://{}/{name}", ringway.address());
    let (small, large) = (url("small"), url("large"));
    let close = ["-H", "Connection: close"];

    let load = ["-t", "2", "-c", "32", "-d", "1s"];
    for (more, url) in [(&[][..], &small), (&[], &large), (&close, &small)] {
        let report = run(20, "wrk", &[&load[..], more, &[url]].concat());
        assert!(report.contains("requests in"), "{report}");
        assert!(!report.contains("Socket errors"), "{report}");
        assert!(!report.contains("Non-2xx"), "{report}");
    }
}

/// A server of Debian's python3-websockets that sends back what it gets.
struct WebSocketEcho {
    process: Child,
    address: SocketAddr,
}

/// The interpreter that Debian's modules belong to.
const PYTHON: &str = "/usr/bin/python3";

impl WebSocketEcho {
    fn start() -> Self {
        let script = "
import asyncio, websockets
async def echo(socket):
    async for message in socket:
        await socket.send(message)
async def main():
    async with websockets.serve(echo, '127.0.0.1', 0, max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())
";
        let mut command = Command::new(PYTHON);
        command
            .args(["-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut process = command.spawn().expect("Python is installed");
        let mut line = String::new();
        let output = process.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let port = line
            .trim()
            .parse()
            .expect("python3-websockets is installed");
        Self {
            process,
            address: SocketAddr::new(LOOPBACK, port),
        }
    }
}

impl Drop for WebSocketEcho {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_websocket_is_a_tunnel() {
    let servers = [WebSocketEcho::start(), WebSocketEcho::start()];
    let ringway = Setup::http()
        .server("a", servers[0].address)
        .server("b", servers[1].address)
        .start();
    let script = "
import asyncio, os, sys, websockets
async def use(cookie):
    lines = {'Cookie': cookie} if cookie else {}
    async with websockets.connect(sys.argv[1], max_size=None, extra_headers=lines) as socket:
        for size in [0, 1, 125, 126, 65535, 65536, 3000000, 7]:
            message = os.urandom(size)
            await socket.send(message)
            assert await socket.recv() == message
        await socket.send('text')
        assert await socket.recv() == 'text'
        return socket.response_headers.get('Set-Cookie')
async def main():
    set_cookie = await use(None)
    print(set_cookie)
    print(await use(set_cookie.split(';')[0]))
asyncio.run(main())
";
    let url = format!("ws://{}/", ringway.address());
    let printed = run(20, PYTHON, &["-c", script, &url]);
    let [set, again] = printed.lines().collect::<Vec<_>>()[..] else {
        panic!("{printed}");
    };
    assert!(set.starts_with("SRV=") && again == "None", "{printed}");
    let lines = ringway.sessions_ended(2);
    assert_eq!(lines[0].server, lines[1].server);
    assert!(
        lines.iter().all(|line| line.status == Some(101)),
        "{lines:?}"
    );
}

/// Images of the page.
const IMAGES: usize = 8;

/// A server of a page with its name and with images, all of which are fetched anew each time.
fn page(name: &'static str) -> HttpServer {
    HttpServer::start(move |mut stream, request| {
        let image = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1\" height=\"1\"/>";
        let (kind, body) = match request.target() {
            "/" => {
                let images = (0..IMAGES).map(|index| format!("<img src=\"/image/{index}\">"));
                (
                    "text/html",
                    format!("<p>served by {name}</p>{}", images.collect::<String>()),
                )
            }
            _ => ("image/svg+xml", image.to_owned()),
        };
        let kind = format!("Content-Type: {kind}");
        let lines = [kind.as_str(), "Cache-Control: no-store"];
        stream.write_all(&answer("200 OK", &lines, &body)).is_ok()
    })
}

#[test]
fn a_browser_stays_with_its_server() {
    let servers = ["a", "b", "c"].map(page);
    let setup = (servers.iter().zip(["a", "b", "c"]))
        .fold(Setup::http(), |setup, (server, name)| {
            setup.server(name, server.address())
        });
    let ringway = setup.sticky(r#"max_age = "1h""#).start();
    let profile = ScratchDirectory::new();
    let profile = format!("--user-data-dir={}", profile.path().display());
    let url = format!("http://{}/", ringway.address());

    let load = || {
        let dom = run(
            60,
            "chromium",
            &[
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-proxy-server",
                &profile,
                "--dump-dom",
                &url,
            ],
        );
        let (_, name) = dom
            .split_once("served by ")
            .unwrap_or_else(|| panic!("{dom}"));
        name[..1].to_owned()
    };
    let names = [load(), load()];

    assert_eq!(names[0], names[1]);
    let [asked]: [_; 1] = (servers.iter().zip(["a", "b", "c"]))
        .filter(|(server, _)| !server.requests().is_empty())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap_or_else(|asked: Vec<_>| panic!("{} servers were asked", asked.len()));
    assert_eq!(asked.1, names[0]);
    let requests = asked.0.requests();
    let count = |beginning: &str| {
        let targets = requests.iter().map(|request| request.target());
        targets
            .filter(|target| target.starts_with(beginning))
            .count()
    };
    let pages = requests
        .iter()
        .filter(|request| request.target() == "/")
        .count();
    assert_eq!((pages, count("/image/")), (2, 2 * IMAGES));
}
