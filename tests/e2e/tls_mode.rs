//! TLS mode: clients and servers that others wrote reach each other by name through one port, and what is no
//! ClientHello reaches nobody.

use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::json;

use crate::browser::Browser;
use crate::clients::{Ending, connect, ending, read_all};
use crate::harness::{Launch, Ringway, ScratchDirectory};
use crate::health_services::run;
use crate::http::stats;
use crate::proxy_heads::HeadServer;
use crate::proxy_peers::Program;
use crate::servers::{RefusingPort, Server};
use crate::wait::eventually;

/// The hello of OpenSSL for `shop.example.com`, with `h2` and `http/1.1`.
const HELLO: &[u8] = include_bytes!("../tls_hellos/openssl.bin");

/// The alert `unrecognized_name`: fatal, 112.
const ALERT: &[u8] = &[21, 3, 1, 0, 2, 2, 112];

/// Three servers of nginx, each of which has a certificate of its own and answers with its name.
struct Nginx {
    program: Program,
    others: [RefusingPort; 2],
    certificates: ScratchDirectory,
}

impl Nginx {
    fn start() -> Self {
        let certificates = ScratchDirectory::new();
        let path = certificates.path();
        for name in ["shop", "web", "acme"] {
            let key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
            let files = format!("-keyout {name}.key -out {name}.pem -subj /CN={name}");
            let names =
                format!("-addext subjectAltName=DNS:{name}.example.com,DNS:*.{name}.example.com");
            run(path, "openssl", &format!("{key} {files} {names}"));
        }
        let others = [RefusingPort::new(), RefusingPort::new()];
        let keys = path.display();
        let program = Program::nginx(|first, path| {
            let addresses = [first, others[0].address(), others[1].address()];
            let servers = addresses.iter().zip(["shop", "web", "acme"]);
            let servers: String = servers
                .map(|(address, name)| {
                    format!(
                        "server {{ listen {address} ssl http2; ssl_certificate {keys}/{name}.pem;
                             ssl_certificate_key {keys}/{name}.key; location / {{ return 200 {name}; }} }}\n"
                    )
                })
                .collect();
            format!(
                "http {{
                     access_log off;
                     client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;
                     fastcgi_temp_path {path}/fastcgi; uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;
                     {servers}
                 }}"
            )
        });
        Nginx {
            program,
            others,
            certificates,
        }
    }

    /// A balancer before all three.
    fn balanced(&self) -> Ringway {
        let [web, acme] = [0, 1].map(|index: usize| self.others[index].address());
        let routes =
            "{ sni = [\"shop.example.com\", \"*.Shop.example.com.\"], backend = \"shop\" },
             { alpn = [\"acme-tls/1\"], backend = \"acme\" },";
        let servers = [("shop", self.program.address), ("web", web), ("acme", acme)];
        start("backend = \"web\"", routes, &servers)
    }

    fn certificate(&self, name: &str) -> String {
        let path = self.certificates.path().join(format!("{name}.pem"));
        path.display().to_string()
    }
}

/// Starts with these keys and routes of the frontend, and backends with one server each.
fn start(keys: &str, routes: &str, backends: &[(&str, SocketAddr)]) -> Ringway {
    let mut text = format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n[frontend.tls]\nlisten = [\"127.0.0.1:0\"]\nmode = \"tls\"\n\
         {keys}\nroutes = [\n{routes}\n]\n"
    );
    for (name, address) in backends {
        text +=
            &format!("[backend.{name}]\nservers = [{{ name = \"s\", address = \"{address}\" }}]\n");
    }
    Launch::config(&text).start()
}

/// What a program prints, without more input than this; it need not end well.
fn output_of(program: &str, arguments: &[&str], input: &str) -> String {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{program}: {error}: see scripts/test.sh"));
    let mut stdin = child.stdin.take().expect("a pipe");
    // It may have ended.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let [out, error] =
        [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    out + &error
}

/// The first line of the access log that has this in it.
fn logged(ringway: &Ringway, part: &str) -> String {
    ringway.printed(part, |lines| {
        let line = lines.iter().find(|line| line.contains(part))?;
        Some(line.clone())
    })
}

fn tls_of(ringway: &Ringway) -> serde_json::Value {
    stats(ringway.admin())["frontends"][0].clone()
}

#[test]
fn clients_of_all_kinds_reach_three_servers_by_name_through_one_port() {
    let nginx = Nginx::start();
    let ringway = nginx.balanced();
    let port = ringway.address_of("tls").port();
    for (name, server, version) in [
        ("shop.example.com", "shop", "--http2"),
        ("a.b.shop.example.com", "shop", "--http1.1"),
        ("web.example.com", "web", "--http2"),
    ] {
        let place = format!("{name}:{port}:127.0.0.1");
        let url = format!("https://{name}:{port}/");
        let (write, ca) = ("%{http_version} ", nginx.certificate(server));
        // The name of two labels is not covered by a wildcard, so there only the server is asked for.
        let trust = match name.matches('.').count() {
            2 => ["--cacert", &ca],
            _ => ["--insecure", "--tlsv1.2"],
        };
        let arguments = ["-sS", version, "--resolve", &place, "-w", write, &url];
        let said = output_of("curl", &[&arguments[..], &trust].concat(), "");
        let expected = if version == "--http2" { "2" } else { "1.1" };
        assert_eq!(said, format!("{server}{expected} "), "{name}");
    }
    let line = logged(&ringway, " shop.example.com ");
    let end = "shop.example.com TLSv1.3 h2,http/1.1 \"shop.example.com\"";
    assert!(
        line.ends_with(end) && line.contains(" tls shop/s "),
        "{line}"
    );
    let line = logged(&ringway, "web.example.com");
    assert!(
        line.ends_with("web.example.com TLSv1.3 h2,http/1.1 \"-\""),
        "{line}"
    );

    let place = format!("127.0.0.1:{port}");
    let s_client = |arguments: &[&str]| {
        let common = ["s_client", "-connect", &place];
        output_of("openssl", &[&common, arguments].concat(), "")
    };
    let said = s_client(&["-servername", "SHOP.example.com", "-tls1_2"]);
    assert!(said.contains("subject=CN = shop"), "{said}");
    assert!(logged(&ringway, " SHOP.").ends_with("TLSv1.2 - \"shop.example.com\""));
    let said = s_client(&["-noservername", "-alpn", "acme-tls/1"]);
    // nginx does not speak it, and says so.
    assert!(said.contains("no application protocol"), "{said}");
    assert!(logged(&ringway, " acme/s ").ends_with(" - TLSv1.3 acme-tls/1 \"alpn=acme-tls/1\""));

    let port = port.to_string();
    let arguments = [
        "--insecure",
        "--sni-hostname=x.shop.example.com",
        "127.0.0.1",
        "-p",
        &port,
    ];
    let said = output_of("gnutls-cli", &arguments, "");
    assert!(said.contains("subject `CN=shop'"), "{said}");

    assert_eq!(
        rustls_reads(ringway.address_of("tls"), "shop.example.com"),
        "shop"
    );
    eventually("all are counted", || {
        let tls = tls_of(&ringway);
        let routes = [&tls["routes"][0]["sessions"], &tls["routes"][1]["sessions"]];
        routes == [5, 1] && tls["sessions"]["total"] == 7
    });
}

#[test]
fn a_browser_reaches_three_servers_by_name_through_one_port() {
    let nginx = Nginx::start();
    let [web, acme] = [0, 1].map(|index: usize| nginx.others[index].address());
    let servers = [
        ("shop", nginx.program.address),
        ("web", web),
        ("acme", acme),
    ];
    let routes = servers
        .map(|(name, _)| format!("{{ sni = [\"{name}.example.com\"], backend = \"{name}\" }}"));
    let ringway = start("", &routes.join(",\n"), &servers);
    let port = ringway.address_of("tls").port();
    let mut browser = Browser::start_with(&[
        "--host-resolver-rules=MAP *.example.com 127.0.0.1",
        "--ignore-certificate-errors",
    ]);
    for (name, _) in servers {
        browser.open(&format!("https://{name}.example.com:{port}/"));
        assert_eq!(browser.text("body"), name);
        let protocol =
            browser.value("performance.getEntriesByType('navigation')[0].nextHopProtocol");
        assert_eq!(protocol, "h2", "{name}");
    }
    let name = "other.example.com";
    let opened = browser.order(
        "Page.navigate",
        json!({ "url": format!("https://{name}:{port}/") }),
    );
    assert_eq!(
        opened["errorText"], "net::ERR_SSL_UNRECOGNIZED_NAME_ALERT",
        "{opened}"
    );
    // Its sessions end with it.
    drop(browser);
    for (name, _) in servers {
        let line = logged(&ringway, &format!(" {name}/s "));
        let end = format!("{name}.example.com TLSv1.3 h2,http/1.1 \"{name}.example.com\"");
        assert!(line.ends_with(&end), "{line}");
    }
    eventually("all are counted", || {
        let tls = tls_of(&ringway);
        let routes = tls["routes"].as_array().expect("routes").clone();
        routes
            .iter()
            .all(|route| route["sessions"].as_u64() >= Some(1))
            && tls["unrouted"].as_u64() >= Some(1)
    });
}

/// What rustls reads from a server of this name, whatever its certificate.
fn rustls_reads(address: SocketAddr, name: &str) -> String {
    use std::io::Read;
    use tokio_rustls::rustls::client::danger::{
        HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
    };
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use tokio_rustls::rustls::{
        ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
    };

    #[derive(Debug)]
    struct Anybody;

    impl ServerCertVerifier for Anybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ECDSA_NISTP256_SHA256]
        }
    }

    let config = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = StreamOwned::new(client, connect(address));
    let request = b"GET / HTTP/1.0\r\n\r\n";
    stream.write_all(request).expect("taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn each_byte_of_a_hello_may_come_in_a_packet_of_its_own() {
    let servers = [Server::echo(), Server::named("other")];
    let backends = [("a", servers[0].address()), ("b", servers[1].address())];
    let routes =
        "{ sni = [\"shop.example.com\"], backend = \"a\" }, { sni = [\"x\"], backend = \"b\" }";
    let ringway = start("", routes, &backends);
    let address = ringway.address_of("tls");
    let all = [HELLO, b" and what follows"].concat();
    // Cut at every offset, by clients that are there at the same time.
    let cuts = (1..all.len()).map(|cut| {
        let mut stream = connect(address);
        stream.set_nodelay(true).expect("an option");
        stream.write_all(&all[..cut]).expect("taken");
        (stream, cut)
    });
    for (mut stream, cut) in cuts.collect::<Vec<_>>() {
        stream.write_all(&all[cut..]).expect("taken");
        stream.shutdown(Shutdown::Write).expect("an end");
        assert_eq!(read_all(&stream), all, "cut at {cut}");
    }
    let mut stream = connect(address);
    stream.set_nodelay(true).expect("an option");
    for byte in &all {
        stream.write_all(&[*byte]).expect("taken");
    }
    stream.shutdown(Shutdown::Write).expect("an end");
    assert_eq!(read_all(&stream), all);
    assert_eq!(servers[1].accepted(), 0);
    assert_eq!(tls_of(&ringway)["routes"][0]["sessions"], all.len());
}

#[test]
fn what_nobody_serves_gets_an_alert_and_what_is_no_hello_is_closed() {
    let server = Server::echo();
    let routes = "{ sni = [\"a.example\"], backend = \"a\" }";
    let ringway = start(
        "hello_timeout = \"300ms\"",
        routes,
        &[("a", server.address())],
    );
    let address = ringway.address_of("tls");
    let mut stream = connect(address);
    stream.write_all(HELLO).expect("taken");
    assert_eq!(read_all(&stream), ALERT);
    drop(stream);
    let line = logged(&ringway, " shop.example.com ");
    assert!(
        line.contains(" tls -/<NOSRV> 0/-1/") && line.contains(" PR 0 "),
        "{line}"
    );
    let place = address.to_string();
    let said = output_of(
        "openssl",
        &["s_client", "-connect", &place, "-servername", "b.c"],
        "",
    );
    assert!(said.contains("unrecognized name"), "{said}");

    let wrong: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10",
        &[HELLO[0], 3, 1, 0x3f, 0xff, 1, 1, 0, 0],
        &HELLO[1..],
    ];
    for bytes in wrong {
        let mut stream = connect(address);
        stream.write_all(bytes).expect("taken");
        let _: Ending = ending(&stream);
    }
    let mut late = connect(address);
    late.write_all(&HELLO[..100]).expect("taken");
    assert_eq!(read_all(&late), b"");
    drop(connect(address));
    eventually("all are counted", || {
        let tls = tls_of(&ringway);
        [&tls["hellos_wrong"], &tls["hellos_late"], &tls["unrouted"]] == [4, 1, 2]
    });
    for code in [" PT ", " cT ", " CT "] {
        assert!(logged(&ringway, code).ends_with(" - - - \"-\""), "{code}");
    }
    assert_eq!(server.accepted(), 0);
}

#[test]
fn servers_are_told_the_name_and_the_protocols() {
    let server = HeadServer::start();
    let ringway = Launch::config(&format!(
        "[frontend.tls]\nlisten = [\"127.0.0.1:0\"]\nmode = \"tls\"\nbackend = \"a\"\n\
         [backend.a]\nsend_proxy = \"v2\"\nservers = [{{ name = \"s\", address = \"{}\" }}]\n",
        server.address()
    ));
    let ringway = ringway.start();
    let mut stream = connect(ringway.address_of("tls"));
    stream.write_all(HELLO).expect("taken");
    let tlvs = b"\x01\0\x0e\0\x0c\x02h2\x08http/1.1\x02\0\x10shop.example.com";
    assert_eq!(server.head(1).tlvs, tlvs);
}

#[test]
fn routes_change_by_a_reload_and_keep_their_counts() {
    let servers = [Server::named("one"), Server::named("two")];
    let file = |shop: usize| {
        let [one, two] = [0, 1].map(|index: usize| servers[index].address());
        format!(
            "[admin]\nlisten = \"127.0.0.1:0\"\n[frontend.tls]\nlisten = [\"127.0.0.1:0\"]\nmode = \"tls\"\n\
             routes = [{{ sni = [\"shop.example.com\"], backend = \"b{shop}\" }}, {{ sni = [\"x\"], backend = \"b0\" }}]\n\
             [backend.b0]\nservers = [{{ name = \"s\", address = \"{one}\" }}]\n\
             [backend.b1]\nservers = [{{ name = \"s\", address = \"{two}\" }}]\n"
        )
    };
    let ringway = Launch::config(&file(0)).start();
    let served_by = || {
        let mut stream = connect(ringway.address_of("tls"));
        stream.write_all(HELLO).expect("taken");
        crate::clients::read_line(&stream)
    };
    assert_eq!(served_by(), "one");
    ringway.reload(&file(1));
    assert_eq!(served_by(), "two");
    let route = tls_of(&ringway)["routes"][0].clone();
    assert_eq!(
        (&route["sessions"], &route["backend"]),
        (&2.into(), &"b1".into())
    );
}

/// The same hello with padding (RFC 7685) that makes its message this long, in records of at most `record_len` bytes.
fn padded_hello(message_len: usize, record_len: usize) -> Vec<u8> {
    let mut message = HELLO[5..].to_vec();
    let padding = (message_len - message.len() - 4) as u16;
    // Behind versions and random bytes: the session, the suites, the compressions, then the extensions.
    let mut at = 4 + 2 + 32;
    at += 1 + usize::from(message[at]);
    at += 2 + usize::from(u16::from_be_bytes([message[at], message[at + 1]]));
    at += 1 + usize::from(message[at]);
    let extensions_len = (message.len() - at - 2) as u16 + 4 + padding;
    message[at..at + 2].copy_from_slice(&extensions_len.to_be_bytes());
    message.extend([0, 21]);
    message.extend(padding.to_be_bytes());
    message.resize(message_len, 0);
    let body_len = (message_len as u32 - 4).to_be_bytes();
    message[1..4].copy_from_slice(&body_len[1..]);
    let records = message.chunks(record_len).map(|record| {
        let len = (record.len() as u16).to_be_bytes();
        [&[22, 3, 1, len[0], len[1]], record].concat()
    });
    records.collect::<Vec<_>>().concat()
}

/// Sends this, and waits until the only session has read it.
fn send_and_wait(ringway: &Ringway, stream: &mut std::net::TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("taken");
    eventually("it was read", || {
        let sessions = crate::http::get(ringway.admin(), "/api/v1/sessions").json();
        sessions["sessions"][0]["bytes_from_client"] == bytes.len()
    });
}

#[test]
fn the_longest_hello_in_many_records_comes_through_with_all_behind_it() {
    let server = Server::echo();
    let routes = "{ sni = [\"shop.example.com\"], backend = \"a\" }";
    let ringway = start("", routes, &[("a", server.address())]);
    for record_len in [16_384, 6] {
        let hello = padded_hello(16_384, record_len);
        // Early data, as much as one receive can bring.
        let all = [&hello[..], &[7; 60_000]].concat();
        for kept in [hello.len() - 1, hello.len() / 2] {
            let mut stream = connect(ringway.address_of("tls"));
            send_and_wait(&ringway, &mut stream, &all[..kept]);
            let rest = &all[kept..];
            let sender = stream.try_clone().expect("a descriptor");
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    (&sender).write_all(rest).expect("taken");
                    sender.shutdown(Shutdown::Write).expect("an end");
                });
                assert!(read_all(&stream) == all, "{record_len} {kept}");
            });
            eventually("it has ended", || {
                tls_of(&ringway)["sessions"]["current"] == 0
            });
        }
    }
    let long = padded_hello(16_385, 16_384);
    let stream = connect(ringway.address_of("tls"));
    (&stream).write_all(&long[..12]).expect("taken");
    // At its first bytes, which say how long it will be.
    assert_eq!(read_all(&stream), b"");
    assert_eq!(tls_of(&ringway)["hellos_wrong"], 1);
}

#[test]
fn a_hello_that_was_begun_before_a_reload_takes_the_new_routes() {
    let server = Server::named("one");
    let file = |name: &str| {
        let address = server.address();
        format!(
            "[admin]\nlisten = \"127.0.0.1:0\"\n[frontend.tls]\nlisten = [\"127.0.0.1:0\"]\nmode = \"tls\"\n\
             routes = [{{ sni = [\"{name}\"], backend = \"a\" }}]\n\
             [backend.a]\nservers = [{{ name = \"s\", address = \"{address}\" }}]\n"
        )
    };
    let ringway = Launch::config(&file("other.example")).start();
    let mut stream = connect(ringway.address_of("tls"));
    send_and_wait(&ringway, &mut stream, &HELLO[..100]);
    ringway.reload(&file("shop.example.com"));
    stream.write_all(&HELLO[100..]).expect("taken");
    assert_eq!(crate::clients::read_line(&stream), "one");
    assert_eq!(tls_of(&ringway)["routes"][0]["sessions"], 1);
}

#[test]
fn who_waits_goes_over_to_a_configuration_with_another_hello_timeout() {
    let servers = [Server::named("one"), Server::named("two")];
    let file = |name: &str, timeout: &str, servers: &[&Server]| {
        let entries = servers.iter().enumerate().map(|(index, server)| {
            let address = server.address();
            format!("{{ name = \"s{index}\", address = \"{address}\", max_sessions = 1 }}")
        });
        format!(
            "[admin]\nlisten = \"127.0.0.1:0\"\n[defaults]\nqueue_timeout = \"1m\"\n\
             [frontend.tls]\nlisten = [\"127.0.0.1:0\"]\nmode = \"tls\"\nhello_timeout = \"{timeout}\"\n\
             routes = [{{ sni = [\"{name}\"], backend = \"a\" }}]\n\
             [backend.a]\nservers = [{}]\n",
            entries.collect::<Vec<_>>().join(", ")
        )
    };
    let [one, two] = [&servers[0], &servers[1]];
    let ringway = Launch::config(&file("shop.example.com", "1m", &[one])).start();
    let address = ringway.address_of("tls");
    let open = connect(address);
    (&open).write_all(HELLO).expect("taken");
    assert_eq!(crate::clients::read_line(&open), "one");
    let waiting = connect(address);
    (&waiting).write_all(HELLO).expect("taken");
    eventually("it waits", || {
        stats(ringway.admin())["backends"][0]["sessions_waiting"] == 1
    });
    // One whose hello is not whole keeps the time that it had when it came: the new one would be over.
    let begun = connect(address);
    (&begun).write_all(&HELLO[..100]).expect("taken");
    eventually("it was read", || {
        let sessions = crate::http::get(ringway.admin(), "/api/v1/sessions").json();
        let sessions = sessions["sessions"].as_array().expect("a list").clone();
        sessions.iter().any(|it| it["bytes_from_client"] == 100)
    });
    ringway.reload(&file("shop.example.com", "1ms", &[one, two]));
    assert_eq!(crate::clients::read_line(&waiting), "two");
    drop(waiting);
    crate::wait::pause(std::time::Duration::from_millis(50));
    (&begun).write_all(&HELLO[100..]).expect("taken");
    assert_eq!(crate::clients::read_line(&begun), "two");
    assert_eq!(tls_of(&ringway)["hellos_late"], 0);
}
