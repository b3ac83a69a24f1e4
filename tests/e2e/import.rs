//! HAProxy, and Ringway with what `ringway import` makes of the same file: the same requests get the same servers and
//! cookies, and sessions end alike. `ringway help haproxy` lists the differences that are meant.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::clients::{
    Ending, connect, connect_from, connect_named, connect_to_end, ending, read_all, read_line,
    try_connect_from,
};
use crate::harness::{Launch, Ringway, ScratchDirectory};
use crate::http::{Answer, send};
use crate::http_servers::{HttpServer, answer};
use crate::proxy_heads::{HeadServer, line};
use crate::proxy_peers::Program;
use crate::servers::{RefusingPort, Server, end_of_stream};
use crate::wait::{eventually, pause};

/// Both programs with one configuration.
struct Both {
    haproxy: Program,
    ringway: Ringway,
    _file: ScratchDirectory,
}

/// Imports a file, which must leave nothing untranslated, and returns the configuration.
#[track_caller]
fn imported(directory: &ScratchDirectory, text: &str) -> String {
    let path = directory.path().join("haproxy.cfg");
    fs::write(&path, text).expect("a file");
    let finished = Ringway::command(&["import", path.to_str().expect("text")]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(
        finished
            .errors
            .contains("; not translated: 0, differing: 0, "),
        "{finished:?}"
    );
    finished.output
}

impl Both {
    /// `BIND` stands for the address of the frontend `web`.
    #[track_caller]
    fn start(lines: &str) -> Self {
        let text = |bind: SocketAddr| {
            format!(
                "global\n  nbthread 1\n{}",
                lines.replace("BIND", &bind.to_string())
            )
        };
        let haproxy = Program::start("haproxy", &["-db", "-f", "configuration"], |address, _| {
            text(address)
        });
        let file = ScratchDirectory::new();
        let configuration = imported(&file, &text(haproxy.address));
        let listen = format!("\"{}\"", haproxy.address);
        assert_eq!(configuration.matches(&listen).count(), 1, "{configuration}");
        let ringway = Launch::config(&configuration.replace(&listen, "\"127.0.0.1:0\"")).start();
        Self {
            haproxy,
            ringway,
            _file: file,
        }
    }

    fn addresses(&self) -> [SocketAddr; 2] {
        [self.haproxy.address, self.ringway.address()]
    }

    /// What is seen with both, which must be the same.
    #[track_caller]
    fn same<T: PartialEq + std::fmt::Debug>(&self, what: &str, see: impl Fn(SocketAddr) -> T) -> T {
        let [theirs, ours] = self.addresses().map(see);
        assert_eq!(theirs, ours, "HAProxy and Ringway differ: {what}");
        ours
    }
}

/// Answers with its name and the cookies that it was sent; its check passes or fails.
fn web(name: &'static str, is_well: bool) -> HttpServer {
    HttpServer::start(move |mut stream, request| {
        let status = match request.target() {
            "/check" if !is_well => "503 Service Unavailable",
            _ => "200 OK",
        };
        // HAProxy writes names of lines in small letters.
        let lines = request
            .cookie_lines()
            .into_iter()
            .filter_map(|line| line.split_once(':'));
        let cookies: Vec<&str> = lines.map(|(_, value)| value.trim()).collect();
        let body = format!("{name}: {}", cookies.join(" | "));
        // Shared caches might store it.
        let lines = ["Cache-Control: max-age=60"];
        stream.write_all(&answer(status, &lines, &body)).is_ok()
    })
}

/// A request on a connection of its own.
fn ask(address: SocketAddr, lines: &str) -> Answer {
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n");
    send(address, request.as_bytes()).expect("an answer")
}

/// What matters of an answer: status, body, cookies with their attributes, and who may store it.
fn seen(answer: &Answer) -> (u16, String, Vec<Vec<String>>, Vec<String>) {
    let cookie = |text: &&str| {
        let (pair, attributes) = text.split_once(';').unwrap_or((text, ""));
        let attributes = attributes
            .split(';')
            .map(|part| part.trim().to_ascii_lowercase());
        // Browsers ignore a dot before a domain (RFC 6265 section 5.2.3).
        let attributes = attributes.map(|part| part.replace("domain=.", "domain="));
        let mut attributes: Vec<String> = attributes.filter(|part| !part.is_empty()).collect();
        attributes.sort();
        [vec![pair.to_owned()], attributes].concat()
    };
    let cookies = answer.headers("set-cookie").iter().map(cookie).collect();
    let mut cache: Vec<String> = (answer.headers("cache-control").into_iter())
        .map(str::to_owned)
        .collect();
    cache.sort();
    (answer.status, answer.body.clone(), cookies, cache)
}

#[test]
fn the_same_servers_are_chosen_and_the_same_cookies_set() {
    let servers = [web("web1", true), web("web2", true), web("web3", false)];
    let lines = |cookie: &str| {
        let lines = servers.iter().enumerate().map(|(index, server)| {
            format!(
                "  server web{0} {1} check cookie s{0}\n",
                index + 1,
                server.address()
            )
        });
        format!(
            "defaults\n  mode http\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
             frontend web\n  bind BIND\n  default_backend app\n\
             backend app\n  balance roundrobin\n  cookie {cookie}\n  option httpchk GET /check\n\
             \x20 http-check expect status 200\n  default-server inter 100ms fall 1 rise 1\n{}",
            lines.collect::<String>()
        )
    };
    for cookie in [
        "SERVERID insert indirect nocache",
        "SERVERID insert indirect nocache httponly secure domain .example.com attr \"SameSite=Lax\"",
    ] {
        let both = Both::start(&lines(cookie));
        for address in both.addresses() {
            eventually("the third server is down", || {
                !ask(address, "Cookie: SERVERID=s3\r\n")
                    .body
                    .starts_with("web3")
            });
            eventually("it is the turn of the first server", || {
                ask(address, "").body.starts_with("web2")
            });
        }
        for lines in [
            "",
            "",
            "",
            "Cookie: SERVERID=s2\r\n",
            "Cookie: SERVERID=s2\r\n",
            "Cookie: SERVERID=s1\r\n",
            "Cookie: a=1; SERVERID=s1; b=2\r\n",
            "Cookie: SERVERID=s1\r\nCookie: a=1\r\n",
            "Cookie: SERVERID=nobody\r\n",
            "Cookie: SERVERID=s3\r\n",
            "Cookie: SERVERID=\r\n",
            "Cookie: serverid=s1\r\n",
            "Cookie: XSERVERID=s1\r\n",
            "",
        ] {
            both.same(&format!("{cookie} {lines:?}"), |address| {
                seen(&ask(address, lines))
            });
        }
    }
}

#[test]
fn clients_are_told_of_and_refused_alike() {
    let server = HttpServer::start(|mut stream, request| {
        let lines = request.head.lines();
        let told = lines.filter(|line| line.to_ascii_lowercase().starts_with("x-forwarded-for:"));
        let addresses: Vec<&str> = told
            .flat_map(|line| line.split(':').nth(1))
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .collect();
        stream
            .write_all(&answer("200 OK", &[], &addresses.join(",")))
            .is_ok()
    });
    let both = Both::start(&format!(
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
         listen web\n  bind BIND\n  option forwardfor\n\
         \x20 tcp-request connection reject if {{ src 127.0.0.3/32 }}\n  server a {}\n",
        server.address()
    ));
    for (lines, expected) in [
        ("", "127.0.0.1"),
        ("X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7,127.0.0.1"),
        (
            "X-Forwarded-For: 192.0.2.7, 10.0.0.1\r\n",
            "192.0.2.7,10.0.0.1,127.0.0.1",
        ),
    ] {
        assert_eq!(
            both.same(lines, |address| ask(address, lines).body),
            expected
        );
    }
    let is_served = |address| {
        let from = |last| IpAddr::from([127, 0, 0, last]);
        [2, 3].map(|last| {
            let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            let stream = try_connect_from(from(last), address).ok();
            stream.is_some_and(|mut stream| {
                stream.write_all(request).is_ok() && Answer::read(stream).is_some()
            })
        })
    };
    assert_eq!(both.same("who is served", is_served), [true, false]);
}

#[test]
fn backups_and_the_least_loaded_are_chosen_alike() {
    let dead = RefusingPort::new();
    let [a, b, c] = ["a", "b", "c"].map(Server::named);
    let head = "defaults\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\nlisten web\n  bind BIND\n";
    let both = Both::start(&format!(
        "{head}  default-server inter 100ms fall 1 rise 1 check\n  server dead {}\n  server b {} backup\n  server c {} backup\n",
        dead.address(),
        b.address(),
        c.address()
    ));
    for address in both.addresses() {
        eventually("the first backup is used", || {
            let stream = connect(address);
            let mut byte = [0];
            std::io::Read::read(&mut &stream, &mut byte).is_ok_and(|count| count == 1)
        });
    }
    both.same("backups", |address| {
        [0; 4].map(|_| connect_named(address).1)
    });

    let both = Both::start(&format!(
        "{head}  balance leastconn\n  server a {} weight 2\n  server b {} weight 1\n",
        a.address(),
        b.address()
    ));
    let shares = |address| {
        let sessions: Vec<_> = (0..9).map(|_| connect_named(address)).collect();
        sessions.iter().filter(|(_, name)| name == "a").count()
    };
    assert_eq!(both.same("least_conn", shares), 6);

    let both = Both::start(&format!(
        "{head}  balance first\n  server a {} maxconn 2\n  server b {}\n",
        a.address(),
        b.address()
    ));
    let filled = |address| {
        let sessions: Vec<_> = (0..4).map(|_| connect_named(address)).collect();
        sessions
            .into_iter()
            .map(|(_, name)| name)
            .collect::<Vec<_>>()
    };
    assert_eq!(both.same("first", filled), ["a", "a", "b", "b"]);

    let both = Both::start(&format!(
        "{head}  balance source\n  server a {}\n  server b {}\n",
        a.address(),
        b.address()
    ));
    let stays = |address| {
        let of = |last| read_line(&connect_from(IpAddr::from([127, 0, 1, last]), address));
        (1..6).all(|last| of(last) == of(last))
    };
    assert!(both.same("a client stays with its server", stays));
}

#[test]
fn sessions_end_alike() {
    let head = "defaults\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n";
    let sink = Server::hash_sink();
    let both = Both::start(&format!(
        "{head}listen web\n  bind BIND\n  server a {}\n",
        sink.address()
    ));
    both.same("after the client's end", |address| {
        let mut stream = connect(address);
        stream.write_all(b"some bytes").expect("taken");
        end_of_stream(&stream);
        read_all(&stream)
    });

    // Ends each connection once it has spoken.
    let short = Server::start(|mut stream| drop(stream.write_all(b"short\n")));
    let both = Both::start(&format!(
        "{head}listen web\n  bind BIND\n  server a {}\n",
        short.address()
    ));
    both.same("after the server's end", |address| {
        let (stream, name) = connect_named(address);
        (name, ending(&stream))
    });

    let hanging = Server::hanging();
    let both = Both::start(&format!(
        "{head}listen web\n  bind BIND\n  timeout client 300ms\n  server a {}\n",
        hanging.address()
    ));
    let idle = |address| {
        let start = std::time::Instant::now();
        // How an idle session ends, by a reset or in order, is a difference that is meant.
        let _: Ending = connect_to_end(address);
        let time = start.elapsed();
        time >= Duration::from_millis(290) && time < Duration::from_secs(10)
    };
    assert!(both.same("an idle client", idle));
    let busy = |address| {
        let mut stream = connect(address);
        (0..4).all(|_| {
            pause(Duration::from_millis(100));
            stream.write_all(b"x").is_ok()
        })
    };
    assert!(both.same("a client that speaks in time", busy));
}

/// The ClientHello of rustls for a name, and these protocols.
fn hello(name: &str, protocols: &[&str]) -> Vec<u8> {
    use tokio_rustls::rustls::pki_types::ServerName;
    use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};

    let mut config = ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("a hello");
    hello
}

/// A hello in which a name is written in capitals: rustls writes small letters.
fn hello_in_capitals(name: &str) -> Vec<u8> {
    let mut hello = hello(name, &[]);
    let at = hello
        .windows(name.len())
        .position(|bytes| bytes == name.as_bytes());
    let at = at.expect("the name is not encrypted");
    hello[at..at + name.len()].make_ascii_uppercase();
    hello
}

/// The fixture, with servers that say the name of their backend; without what those could not do, and without the
/// line that has no translation.
fn tls_by_name(servers: &[(&str, Server)]) -> String {
    let lines = include_str!("../import/tls_by_name.cfg").lines();
    let lines = lines.filter(|line| !line.contains(" sub") && !line.contains("ssl-hello-chk"));
    let mut backend = "";
    let lines = lines.map(|line| {
        backend = line.strip_prefix("backend ").unwrap_or(backend);
        match line.trim().split(' ').collect::<Vec<_>>().as_slice() {
            ["server", name, ..] => {
                let server = servers.iter().find(|(name, _)| *name == backend);
                let address = server.expect("a server for each backend").1.address();
                format!("    server {name} {address}\n")
            }
            ["frontend", ..] => "frontend web\n".to_owned(),
            ["bind", ..] => "    bind BIND\n".to_owned(),
            ["tcp-request", "inspect-delay", ..] => {
                "    tcp-request inspect-delay 500ms\n".to_owned()
            }
            _ => format!("{line}\n"),
        }
    });
    lines.collect()
}

#[test]
fn names_of_tls_get_the_same_servers() {
    let servers = ["acme", "shop", "mail", "late", "web"].map(|name| (name, Server::named(name)));
    let text = tls_by_name(&servers);
    let both = Both::start(&text);
    // Each hello comes in two pieces.
    let served = |hello: &[u8], address| {
        let mut stream = connect(address);
        let (begin, end) = hello.split_at(hello.len() / 2);
        stream.write_all(begin).expect("taken");
        stream.write_all(end).expect("taken");
        let name = read_line(&stream);
        end_of_stream(&stream);
        (name, ending(&stream))
    };
    let acme: &[&str] = &["acme-tls/1"];
    for (name, protocols, expected) in [
        ("shop.example.com", &[][..], "shop"),
        ("www.shop.example.com", &["h2", "http/1.1"], "shop"),
        ("a.shop.example.com", &[], "shop"),
        ("a.b.shop.example.com", &[], "shop"),
        ("eu.shop.example.com", &[], "shop"),
        ("xshop.example.com", &[], "web"),
        ("example.com", &["h2"], "web"),
        ("imap.example.com", &[], "mail"),
        ("smtp.example.com", &[], "mail"),
        ("a.smtp.example.com", &[], "web"),
        // For an address there is no name.
        ("192.0.2.1", &[], "web"),
        ("shop.example.com", acme, "acme"),
        ("imap.example.com", acme, "acme"),
        ("other.example.com", acme, "acme"),
        ("192.0.2.1", acme, "acme"),
    ] {
        let hello = hello(name, protocols);
        let seen = both.same(name, |address| served(&hello, address));
        let expected = (expected.to_owned(), Ending::Closed);
        assert_eq!(seen, expected, "{name} {protocols:?}");
    }
    for (name, expected) in [("shop.example.com", "shop"), ("imap.example.com", "mail")] {
        let hello = hello_in_capitals(name);
        assert_eq!(
            both.same(name, |address| served(&hello, address)).0,
            expected,
            "{name}"
        );
    }

    // Nobody serves these: no server is connected to, and the session ends.
    let sum = || {
        let counts = servers.iter().map(|(_, server)| server.accepted());
        counts.sum::<usize>()
    };
    let before = sum();
    let whole = hello("shop.example.com", &[]);
    let refused = |both: &Both, what: &str, sent: &[u8]| {
        both.same(what, |address| {
            let mut stream = connect(address);
            stream.write_all(sent).expect("taken");
            // How it ends, with an alert, by a reset or in order, is a difference that is meant.
            let _: Ending = ending(&stream);
            sum()
        })
    };
    assert_eq!(refused(&both, "no TLS", b"GET / HTTP/1.1\r\n\r\n"), before);
    assert_eq!(refused(&both, "half of a hello", &whole[..60]), before);
    assert_eq!(refused(&both, "silence", b""), before);
    drop(both);
    let both = Both::start(&text.replace("    default_backend web\n", ""));
    let unknown = hello("example.com", &[]);
    assert_eq!(refused(&both, "an unknown name", &unknown), before);
    let nameless = hello("192.0.2.1", &[]);
    assert_eq!(refused(&both, "no name", &nameless), before);
    let seen = both.same("a known name", |address| served(&whole, address));
    assert_eq!(seen.0, "shop");
}

#[test]
fn the_same_client_is_told_by_a_head_that_was_told_by_one() {
    for (option, version) in [("send-proxy", 1), ("send-proxy-v2", 2)] {
        let server = HeadServer::start();
        let both = Both::start(&format!(
            "defaults\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
             listen web\n  bind BIND accept-proxy\n  server a {} {option}\n",
            server.address()
        ));
        let head = both.same(option, |address| {
            let before = server.count();
            let mut stream = connect(address);
            stream
                .write_all(&line("192.0.2.7:4711", "198.51.100.1:80"))
                .expect("taken");
            stream.write_all(b"hello\n").expect("taken");
            assert_eq!(read_line(&stream), "hello");
            server.head(before + 1)
        });
        assert_eq!(head.version, version);
        let endpoints = ("192.0.2.7:4711".to_owned(), "198.51.100.1:80".to_owned());
        assert_eq!(head.endpoints, Some(endpoints));
    }
}

#[test]
fn the_command_says_how_it_ended() {
    let directory = ScratchDirectory::new();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let good = file("good.cfg", "listen web\n bind :80\n server a 10.0.0.1:80\n");
    let target = directory.path().join("ringway.toml").display().to_string();
    let finished = Ringway::command(&["import", &good, "-o", &target]);
    assert_eq!(
        (finished.code, finished.output.as_str()),
        (Some(0), ""),
        "{finished:?}"
    );
    Ringway::command(&["check", "-c", &target])
        .output
        .contains("is valid")
        .then_some(())
        .expect("valid");

    let broken = file(
        "broken.cfg",
        "listen web\n bind :80\n server a 10.0.0.1:80\n balanse roundrobin\n",
    );
    let finished = Ringway::command(&["import", &broken]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let error = "error: broken.cfg:4: unknown keyword `balanse`: did you mean balance?\n";
    assert!(finished.errors.starts_with(error), "{finished:?}");
    assert!(
        finished
            .output
            .contains("{ name = \"a\", address = \"10.0.0.1:80\" }"),
        "{finished:?}"
    );

    let missing = Ringway::command(&["import", "/nowhere/haproxy.cfg"]);
    assert!(missing.one_error().contains("can't be read"), "{missing:?}");
    let unwritable = Ringway::command(&["import", &good, "-o", "/nowhere/ringway.toml"]);
    assert!(
        unwritable.one_error().contains("can't be written"),
        "{unwritable:?}"
    );
    let itself = Ringway::command(&["import", &good, "-o", &good]);
    assert!(
        itself.one_error().contains("would be overwritten"),
        "{itself:?}"
    );
    let linked = directory.path().join("linked.cfg").display().to_string();
    fs::hard_link(&good, &linked).expect("a link");
    let itself = Ringway::command(&["import", &good, "-o", &linked]);
    assert!(
        itself.one_error().contains("would be overwritten"),
        "{itself:?}"
    );
    let endless = Ringway::command(&["import", "/dev/zero"]);
    assert!(
        endless.one_error().contains("larger than 8MiB"),
        "{endless:?}"
    );
    let empty = Ringway::command(&["import", "-"]);
    assert!(
        empty.output.starts_with("# Made of standard input by")
            && empty.errors.starts_with("standard input: 0 lines"),
        "{empty:?}"
    );
    // Nobody takes the messages.
    let full = fs::File::options().write(true).open("/dev/full");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    let command = command
        .args(["import", &broken])
        .stdout(Stdio::null())
        .stderr(full.expect("a device"));
    assert_eq!(command.status().expect("it ends").code(), Some(1));
    for wrong in [&["import"][..], &["import", &good, "--other"]] {
        assert_eq!(Ringway::command(wrong).code, Some(2), "{wrong:?}");
    }
}
