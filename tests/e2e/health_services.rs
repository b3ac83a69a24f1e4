//! Health checks of real services: what is asked beside the status of HTTP, TLS, and rounds of other protocols.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::harness::{Launch, Ringway, ScratchDirectory};
use crate::http::stats;
use crate::proxy_peers::Program;
use crate::servers::{RefusingPort, Server, wait_for_end};
use crate::setup::Setup;
use crate::wait::eventually;

/// A backend with one server, which is checked often.
struct Check {
    name: &'static str,
    server: SocketAddr,
    /// Keys of its health check.
    keys: String,
    /// What the reason of its state must be.
    reason: &'static str,
}

fn check(name: &'static str, server: SocketAddr, keys: &str, reason: &'static str) -> Check {
    let keys = keys.to_owned();
    Check {
        name,
        server,
        keys,
        reason,
    }
}

/// Starts with all of these checks.
fn start(checks: &[Check]) -> Ringway {
    let mut text = "[admin]\nlisten = \"127.0.0.1:0\"\n".to_owned();
    for Check {
        name, server, keys, ..
    } in checks
    {
        let _ = write!(
            text,
            "[frontend.{name}]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"{name}\"\n\
             [backend.{name}]\nservers = [{{ name = \"s\", address = \"{server}\" }}]\n\
             health_check = {{ interval = \"1s\", {keys} }}\n"
        );
    }
    Launch::config(&text).start()
}

/// Every check finds what it must, and passes if that is good news.
fn assert_found(checks: &[Check]) {
    let ringway = start(checks);
    for (index, Check { name, reason, .. }) in checks.iter().enumerate() {
        let server =
            || -> Value { stats(ringway.admin())["backends"][index]["servers"][0].clone() };
        eventually(name, || server()["reason"] == *reason);
        let is_good = reason.contains("OK");
        assert_eq!(
            server()["state"],
            if is_good { "up" } else { "down" },
            "{name}"
        );
    }
}

/// Runs a program that must succeed.
pub fn run(directory: &Path, program: &str, arguments: &str) {
    let mut command = Command::new(program);
    let output = command
        .current_dir(directory)
        .args(arguments.split(' '))
        .output();
    let output = output.expect("it is installed: see scripts/test.sh");
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// Makes `expired.pem` with its key, signed by `ca.pem`.
fn expired_certificate(directory: &Path) {
    const KEY: &str = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    const DAY: &str = "-startdate 20200101000000Z -enddate 20200102000000Z";
    let authority = "[ca]\ndefault_ca = one\n\
                     [one]\ncertificate = ca.pem\nprivate_key = ca.key\nrand_serial = yes\n\
                     database = issued\nnew_certs_dir = .\ndefault_md = sha256\npolicy = names\n\
                     x509_extensions = leaf\n\
                     [names]\ncommonName = supplied\n\
                     [leaf]\nbasicConstraints = critical,CA:FALSE\nsubjectAltName = DNS:app.internal\n";
    fs::write(directory.join("ca.conf"), authority).expect("a file");
    fs::write(directory.join("issued"), "").expect("a file");
    let request = "-keyout expired.key -out expired.csr -subj /CN=app";
    run(directory, "openssl", &format!("{KEY} {request}"));
    let files = "-config ca.conf -in expired.csr -out expired.pem";
    run(
        directory,
        "openssl",
        &format!("ca -batch -notext {DAY} {files}"),
    );
}

#[test]
fn nginx_is_checked_by_https() {
    let directory = ScratchDirectory::new();
    let path = directory.path();
    const KEY: &str = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    let key = |name: &str, more: &str| {
        let files = format!("-keyout {name}.key -out {name}.pem");
        run(path, "openssl", &format!("{KEY} {files} {more}"));
    };
    key("ca", "-subj /CN=authority");
    let name = "-addext subjectAltName=DNS:app.internal -subj /CN=app";
    key("own", name);
    let signed = "-CA ca.pem -CAkey ca.key -addext basicConstraints=critical,CA:FALSE";
    key("leaf", &format!("{signed} {name}"));
    expired_certificate(path);
    let ports = [
        RefusingPort::new(),
        RefusingPort::new(),
        RefusingPort::new(),
    ];
    let [own, clear, expired] = [0, 1, 2].map(|index: usize| ports[index].address());
    let keys = path.display();
    let nginx = Program::nginx(|chain, path| {
        format!(
            "http {{
                 access_log off; default_type application/json;
                 client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;
                 fastcgi_temp_path {path}/fastcgi; uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;
                 server {{
                     listen {chain} ssl; ssl_certificate {keys}/leaf.pem; ssl_certificate_key {keys}/leaf.key;
                     location = /up {{ return 200 '{{\"status\":\"UP\"}}'; }}
                     location = /actuator/health {{ return 503 '{{\"status\":\"DOWN\"}}'; }}
                     location = /app {{
                         if ($http_x_forwarded_proto != https) {{ return 301 https://app.internal/app; }}
                         return 200 app;
                     }}
                 }}
                 server {{
                     listen {own} ssl; ssl_certificate {keys}/own.pem; ssl_certificate_key {keys}/own.key;
                     ssl_protocols TLSv1.2; location / {{ return 204; }}
                 }}
                 server {{ listen {clear}; location / {{ return 204; }} }}
                 server {{
                     listen {expired} ssl; ssl_certificate {keys}/expired.pem; ssl_certificate_key {keys}/expired.key;
                 }}
             }}"
        )
    });
    let chain = nginx.address;

    let tls = |sni: &str, ca: &str| {
        format!(
            "type = \"http\", path = \"/up\", tls = {{ sni = \"{sni}\", ca = \"{}\" }}",
            path.join(ca).display()
        )
    };
    let health = "type = \"http\", tls = true, path = \"/actuator/health\"";
    let app = "type = \"http\", tls = true, path = \"/app\", expect_status = \"200\"";
    assert_found(&[
        check("chain", chain, &tls("app.internal", "ca.pem"), "L7OK 200"),
        check(
            "pinned",
            chain,
            &tls("app.internal", "leaf.pem"),
            "L7OK 200",
        ),
        check("own", own, &tls("app.internal", "own.pem"), "L7OK 204"),
        check(
            "other_own_name",
            own,
            &tls("other.internal", "own.pem"),
            "L6RSP the certificate is for another name",
        ),
        check(
            "name",
            chain,
            &tls("other.internal", "ca.pem"),
            "L6RSP the certificate is for another name",
        ),
        check(
            "issuer",
            chain,
            &tls("app.internal", "own.pem"),
            "L6RSP the certificate is of an unknown issuer",
        ),
        check(
            "expired",
            expired,
            &tls("app.internal", "ca.pem"),
            "L6RSP the certificate has expired",
        ),
        check(
            "expired_pinned",
            expired,
            &tls("app.internal", "expired.pem"),
            "L6RSP the certificate has expired",
        ),
        check(
            "other_authority",
            own,
            &tls("app.internal", "ca.pem"),
            "L6RSP the certificate is that of an authority, and is not in `ca`",
        ),
        check("unverified", own, "type = \"http\", tls = true", "L7OK 204"),
        check("handshake", chain, "tls = true", "L6OK"),
        check("clear", clear, "tls = true", "L6RSP no TLS"),
        check("status", chain, health, "L7STS 503"),
        check(
            "down",
            chain,
            &format!("{health}, expect_status = \"200,503\", expect_body = '\"status\":\"UP\"'"),
            "L7RSP a body without what is expected",
        ),
        check(
            "matches",
            chain,
            "type = \"http\", tls = true, path = \"/up\", expect_body_regex = '^.\"status\": *\"UP\"}$'",
            "L7OK 200",
        ),
        check("redirect", chain, app, "L7STS 301"),
        check(
            "forwarded",
            chain,
            &format!("{app}, headers = {{ \"X-Forwarded-Proto\" = \"https\" }}"),
            "L7OK 200",
        ),
    ]);
}

#[test]
fn redis_is_checked_by_a_round() {
    let redis = Program::start("redis-server", &["configuration"], |address, _| {
        let (host, port) = (address.ip(), address.port());
        format!("port {port}\nbind {host}\nsave \"\"\n")
    });
    let address = redis.address;
    const OTHER: &str = "L7RSP an answer without what is expected";
    assert_found(&[
        check(
            "ping",
            address,
            r"send = 'PING\r\n', expect = '+PONG\r\n'",
            "L7OK",
        ),
        check(
            "role",
            address,
            r"send = 'ROLE\r\n', expect = 'slave'",
            OTHER,
        ),
    ]);
}

#[test]
fn a_round_sends_and_reads_bytes() {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&taken);
    let binary = Server::start(move |mut stream| {
        let mut bytes = [0; 4];
        let _ = stream.read_exact(&mut bytes);
        seen.lock().expect("no panic").extend(bytes);
        // In two parts.
        let _ = stream.write_all(b"....\xff\x00");
        let _ = stream.flush();
        let _ = stream.write_all(b"\\end");
        wait_for_end(stream);
    });
    let greeting = Server::named("220 mail");
    let closing = Server::start(|_| {});
    let silent = Server::hanging();
    assert_found(&[
        check(
            "bytes",
            binary.address(),
            r"send = '\x00\t\\\xFF', expect = '\xff\x00\\end'",
            "L7OK",
        ),
        check("greeting", greeting.address(), "expect = '220 '", "L7OK"),
        check(
            "other",
            greeting.address(),
            "expect = '250 ', timeout = \"100ms\"",
            "L7RSP an answer without what is expected",
        ),
        check(
            "silent",
            silent.address(),
            "expect = 'x', timeout = \"100ms\"",
            "L7TOUT",
        ),
        check(
            "said",
            silent.address(),
            "send = 'x', timeout = \"100ms\"",
            "L7OK",
        ),
        check(
            "closing",
            closing.address(),
            "expect = 'x'",
            "L7RSP closed without an answer",
        ),
    ]);
    let taken = taken.lock().expect("no panic");
    assert_eq!(taken[..4], *b"\0\t\\\xff");
}

#[test]
fn a_body_is_read_as_its_head_says() {
    let answering = |parts: &'static [&'static [u8]]| {
        Server::start(move |mut stream| {
            let mut byte = [0];
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                head.push(byte[0]);
            }
            for part in parts {
                let _ = stream.write_all(part);
                let _ = stream.flush();
            }
            wait_for_end(stream);
        })
    };
    let chunked = answering(&[
        b"HTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-",
        b"Encoding: chunked\r\n\r\n8\r\n{\"status\r\n",
        b"7\r\n\":\"UP\"}\r\n0\r\n\r\n",
    ]);
    let length = answering(&[b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nDOWNUP"]);
    let open = answering(&[b"HTTP/1.1 200 OK\r\n\r\nis UP"]);
    let expected =
        |text: &str| format!("type = \"http\", expect_body = '{text}', timeout = \"300ms\"");
    const OTHER: &str = "L7RSP a body without what is expected";
    assert_found(&[
        check(
            "chunked",
            chunked.address(),
            &expected("\"status\":\"UP\""),
            "L7OK 200",
        ),
        check("missing", chunked.address(), &expected("DOWN"), OTHER),
        check("length", length.address(), &expected("UP"), OTHER),
        check("open", open.address(), &expected("is UP"), "L7OK 200"),
        check("no_end", open.address(), &expected("DOWN"), "L7TOUT"),
    ]);
}

#[test]
fn headers_are_sent_as_they_are_written() {
    let heads = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&heads);
    let server = Server::start(move |mut stream| {
        let mut head = [0; 1024];
        let len = stream.read(&mut head).unwrap_or(0);
        *seen.lock().expect("no panic") = String::from_utf8_lossy(&head[..len]).into_owned();
        let _ = stream.write_all(b"HTTP/1.1 204 \r\n\r\n");
    });
    let ringway = Setup::new()
        .health_check(r#"type = "http""#)
        .health_check(r#"headers = { B = "2", user-agent = "curl", A = "" }"#)
        .health_check(r#"host = "app""#)
        .server("a", server.address())
        .start();
    assert!(!ringway.errors_so_far().contains("is down"));
    assert_eq!(
        *heads.lock().expect("no panic"),
        "GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\nB: 2\r\nuser-agent: curl\r\nA: \r\n\r\n"
    );
}
