//! The PROXY protocol between us and programs that others wrote: HAProxy and nginx before and behind us
//! name the same clients as we do.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

#[path = "../support/random.rs"]
mod random;

use random::Random;

use crate::clients::{Ending, connect, ending};
use crate::harness::{Ringway, ScratchDirectory};
use crate::http::Answer;
use crate::proxy_heads::{HeadServer, binary, line, named};
use crate::servers::{RefusingPort, Server};
use crate::setup::Setup;
use crate::wait::eventually;

/// A program that others wrote, at an address that was reserved for it.
pub struct Program {
    process: Child,
    pub address: SocketAddr,
    directory: ScratchDirectory,
    _port: RefusingPort,
}

impl Program {
    /// Starts it with a configuration that is made of its address and its directory.
    pub fn start(
        name: &str,
        arguments: &[&str],
        configuration: impl Fn(SocketAddr, &str) -> String,
    ) -> Self {
        let (directory, port) = (ScratchDirectory::new(), RefusingPort::new());
        let address = port.address();
        let text = configuration(address, &directory.path().display().to_string());
        fs::write(directory.path().join("configuration"), text).expect("a file");
        let process = Command::new(name)
            .env(
                "PATH",
                format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()),
            )
            .args(arguments)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let process =
            process.unwrap_or_else(|error| panic!("{name}: {error}: see scripts/test.sh"));
        let program = Self {
            process,
            address,
            directory,
            _port: port,
        };
        eventually(name, || TcpStream::connect(address).is_ok());
        program
    }

    /// HAProxy with one proxy that has these lines; its name is `web`.
    fn haproxy(bind: &str, lines: &str) -> Self {
        Self::start("haproxy", &["-db", "-f", "configuration"], |address, _| {
            format!(
                "global\n  nbthread 1\n\
                 defaults\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
                 listen web\n  bind {address} {bind}\n{lines}\n"
            )
        })
    }

    /// nginx, whose `stream` or `http` block is made of its address and its directory.
    pub fn nginx(block: impl Fn(SocketAddr, &str) -> String) -> Self {
        let arguments = ["-e", "stderr", "-p", ".", "-c", "configuration"];
        Self::start("nginx", &arguments, |address, path| {
            let block = block(address, path);
            format!(
                "load_module /usr/lib/nginx/modules/ngx_stream_module.so;
                 daemon off; master_process off; error_log stderr crit; pid {path}/nginx.pid;
                 events {{ worker_connections 256; }}\n{block}"
            )
        })
    }

    /// The lines of a file that it writes, once there are so many that begin so.
    fn lines(&self, file: &str, begin: &str, count: usize) -> Vec<String> {
        let path = self.directory.path().join(file);
        let read = || -> Vec<String> {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let lines = text.lines().filter(|line| line.starts_with(begin));
            lines.map(str::to_owned).collect()
        };
        eventually("it has logged", || read().len() >= count);
        read()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// nginx that tells whoever speaks HTTP to it, behind a PROXY head, who its client is.
fn telling_nginx() -> Program {
    Program::nginx(|address, path| {
        format!(
            "http {{
                 log_format clients 'client $proxy_protocol_addr:$proxy_protocol_port';
                 access_log {path}/clients clients;
                 client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;
                 fastcgi_temp_path {path}/fastcgi; uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;
                 server {{ listen {address} proxy_protocol;
                           location / {{ return 200 $proxy_protocol_addr:$proxy_protocol_port; }} }}
             }}"
        )
    })
}

/// HAProxy that does the same.
fn telling_haproxy() -> Program {
    Program::haproxy(
        "accept-proxy",
        "  mode http\n  http-request return status 200 content-type text/plain lf-string \
         \"%[src]:%[src_port] %[dst]:%[dst_port] %[fc_pp_unique_id] %[fc_pp_authority]\"",
    )
}

fn ask(stream: &mut TcpStream) -> String {
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).expect("taken");
    Answer::read(stream).expect("an answer").body
}

/// Ringway between one that sends heads and a server that gets them.
fn between(version: &str, server: SocketAddr) -> Ringway {
    Setup::new()
        .frontend("accept_proxy = { from = [\"127.0.0.1\"] }")
        .backend(&format!("send_proxy = \"{version}\""))
        .server("a", server)
        .start()
}

#[test]
fn haproxy_before_us_and_both_behind_us_name_the_same_client() {
    let (nginx, haproxy) = (telling_nginx(), telling_haproxy());
    for send in ["send-proxy", "send-proxy-v2"] {
        for version in ["v1", "v2"] {
            for server in [&nginx, &haproxy] {
                let ringway = between(version, server.address);
                let to = ringway.address();
                let before = Program::haproxy("", &format!("  mode tcp\n  server a {to} {send}"));
                let mut stream = connect(before.address);
                let client = stream.local_addr().expect("an address").to_string();
                let told = ask(&mut stream);
                assert_eq!(
                    told.split(' ').next(),
                    Some(client.as_str()),
                    "{send} {version}"
                );
                if server.address == haproxy.address {
                    assert_eq!(
                        told.split(' ').nth(1),
                        Some(before.address.to_string().as_str())
                    );
                }
                drop(stream);
                // The first connection only asked whether HAProxy is there.
                let lines = ringway.sessions_ended(2);
                assert!(lines.iter().any(|line| line.client == client), "{lines:?}");
                assert!(lines.iter().all(|line| line.code != "PP"), "{lines:?}");
                if server.address == nginx.address {
                    let logged = nginx.lines("clients", "client ", 1);
                    assert!(logged.contains(&format!("client {client}")), "{logged:?}");
                }
            }
        }
    }
}

#[test]
fn nginx_before_us_names_the_same_client() {
    let haproxy = telling_haproxy();
    for version in ["v1", "v2"] {
        let ringway = between(version, haproxy.address);
        let to = ringway.address();
        let before = Program::nginx(|address, path| {
            format!(
                "stream {{
                     log_format clients 'client $remote_addr:$remote_port';
                     access_log {path}/clients clients;
                     server {{ listen {address}; proxy_pass {to}; proxy_protocol on; }}
                 }}"
            )
        });
        let mut stream = connect(before.address);
        let client = stream.local_addr().expect("an address").to_string();
        let told = ask(&mut stream);
        assert_eq!(told.split(' ').next(), Some(client.as_str()));
        drop(stream);
        let lines = ringway.sessions_ended(2);
        assert!(lines.iter().any(|line| line.client == client), "{lines:?}");
        let logged = before.lines("clients", "client ", 2);
        assert!(logged.contains(&format!("client {client}")), "{logged:?}");
    }
}

#[test]
fn what_haproxy_says_beside_addresses_passes_through_us() {
    let behind = telling_haproxy();
    let ringway = between("v2", behind.address);
    let before = Program::haproxy(
        "",
        &format!(
            "  mode http\n  unique-id-format TEST-%[src_port]\n\
             \x20 server a {} send-proxy-v2 proxy-v2-options unique-id,crc32c",
            ringway.address()
        ),
    );
    let mut stream = connect(before.address);
    let port = stream.local_addr().expect("an address").port();
    let told = ask(&mut stream);
    assert_eq!(
        told.split(' ').nth(2),
        Some(format!("TEST-{port}").as_str()),
        "{told}"
    );
}

#[test]
fn checks_of_haproxy_are_no_clients() {
    for (send, code) in [("send-proxy", "--"), ("send-proxy-v2", "--")] {
        let server = Server::echo();
        let ringway = Setup::new()
            .frontend("accept_proxy = { from = [\"127.0.0.1\"] }")
            .server("a", server.address())
            .start();
        let _before = Program::haproxy(
            "",
            &format!(
                "  mode tcp\n  option tcp-check\n  tcp-check send ping\n  tcp-check expect string ping\n\
                 \x20 server a {} {send} check inter 100ms",
                ringway.address()
            ),
        );
        let lines = ringway.sessions_ended(3);
        let checks = lines.iter().filter(|line| line.bytes_from_client == 4);
        assert!(checks.clone().count() > 0, "{lines:?}");
        assert!(
            checks
                .clone()
                .all(|line| line.code != "PP" && line.code.len() == code.len()),
            "{lines:?}"
        );
    }
}

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn address(&mut self, v6: bool) -> String {
        let (host, port) = (self.below(1 << 32), 1 + self.below(65_535));
        match v6 {
            true => format!(
                "[2001:db8:{:x}::{:x}]:{port}",
                host >> 16,
                1 + (host & 0xffff)
            ),
            false => SocketAddr::from(((host as u32).to_be_bytes(), port as u16)).to_string(),
        }
    }

    /// A sound head, or one that is wrong in one place.
    fn head(&mut self) -> Vec<u8> {
        let v6 = self.below(2) == 0;
        let (client, destination) = (self.address(v6), self.address(v6));
        let tlvs = [
            &b""[..],
            b"\x04\0\0",
            b"\x02\0\x03a.b",
            b"\xe0\0\x01x\x04\0\x02ab",
        ][self.below(4)];
        let mut head = match self.below(3) {
            0 => line(&client, &destination),
            _ => named(&client, &destination, tlvs),
        };
        match self.below(6) {
            0 => head = binary(0x20, 0, tlvs),
            // Command, family or length.
            1 if !head.starts_with(b"PROXY") => {
                let at = 12 + self.below(4);
                head[at] = [0, 1, 0x11, 0x12, 0x20, 0x21, 0x22, 0x31, 0x41][self.below(9)];
            }
            2 => {
                let at = self.below(head.len());
                head[at] = b' ';
            }
            _ => {}
        }
        head
    }
}

/// What became of a head and `hello` behind it: the head that a server got, or none.
fn fate(to: SocketAddr, head: &[u8], heads: &HeadServer) -> Option<Option<(String, String)>> {
    let before = heads.count();
    let mut stream = connect(to);
    stream.write_all(&[head, b"hello"].concat()).expect("taken");
    // What is refused may be closed already.
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    match std::io::Read::read_to_end(&mut stream, &mut answer) {
        Ok(_) if answer.ends_with(b"hello") => {
            assert_eq!(heads.count(), before + 1);
            Some(heads.head(before + 1).endpoints)
        }
        Ok(_) | Err(_) => None,
    }
}

#[test]
fn haproxy_and_we_take_the_same_heads() {
    const HEAD_COUNT: usize = 400;
    let (ours, theirs) = (HeadServer::start(), HeadServer::start());
    let ringway = between("v2", ours.address());
    let to = theirs.address();
    let haproxy = Program::haproxy(
        "accept-proxy",
        &format!("  mode tcp\n  server a {to} send-proxy-v2"),
    );
    // What we send, HAProxy takes, and says the same.
    let last = HeadServer::start();
    let to = last.address();
    let chained = Program::haproxy(
        "accept-proxy",
        &format!("  mode tcp\n  server a {to} send-proxy-v2"),
    );
    let chains = ["v1", "v2"].map(|version| between(version, chained.address));
    let random = &mut Random::new(1);
    let (mut taken, mut refused) = (0, 0);
    for number in 0..HEAD_COUNT {
        let head = random.head();
        let shown = format!("head {number}: {}", head.escape_ascii());
        let Some(endpoints) = fate(ringway.address(), &head, &ours) else {
            refused += 1;
            continue;
        };
        taken += 1;
        let of_haproxy = fate(haproxy.address, &head, &theirs);
        let is_peer = |endpoints: &Option<(String, String)>| {
            let client = endpoints.as_ref().map(|(client, _)| client);
            client.is_none_or(|client| client.starts_with("127.0.0.1:"))
        };
        // Where the peer is the client, it is another connection in each case. HAProxy refuses UDP.
        if is_peer(&endpoints) {
            assert!(of_haproxy.as_ref().is_none_or(is_peer), "{shown}");
            continue;
        }
        let of_haproxy = of_haproxy.unwrap_or_else(|| panic!("{shown}"));
        assert_eq!(endpoints, of_haproxy, "{shown}");
        let chain = &chains[number % 2];
        assert_eq!(
            fate(chain.address(), &head, &last),
            Some(endpoints),
            "{shown}"
        );
    }
    assert!(
        taken > HEAD_COUNT / 2 && refused > HEAD_COUNT / 10,
        "{taken} {refused}"
    );
}

#[test]
fn what_haproxy_refuses_we_refuse() {
    let addresses = [127, 0, 0, 1, 127, 0, 0, 1, 0, 42, 5, 57];
    let tlvs = |tlvs: &[u8]| binary(0x21, 0x11, &[&addresses[..], tlvs].concat());
    let heads = [
        b"PROXY TCP4 127.0.0.1 127.0.0.1 1 1\n".to_vec(),
        b"PROXY TCP4 127.0.0.1 127.0.0.1 1 1\r\r".to_vec(),
        b"PROXY TCP7 127.0.0.1 127.0.0.1 1 1\r\n".to_vec(),
        [&b"PROXY UNKNOWN "[..], &[b'x'; 200], b"\r\n"].concat(),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        binary(0x31, 0x11, &addresses),
        binary(0x22, 0x11, &addresses),
        binary(0x21, 0x11, &addresses[..8]),
        binary(0x21, 0x21, &[0; 30]),
        tlvs(b"\x02\0\x0a12345"),
        tlvs(b"\x02\0\x041234x"),
        tlvs(b"\x03\0\x04\0\0\0\0"),
    ];
    let server = HeadServer::start();
    let ringway = between("v2", server.address());
    let to = server.address();
    let haproxy = Program::haproxy(
        "accept-proxy",
        &format!("  mode tcp\n  server a {to} send-proxy-v2"),
    );
    let before = server.accepted();
    for head in heads {
        for to in [haproxy.address, ringway.address()] {
            let mut stream = connect(to);
            stream
                .write_all(&[&head[..], b"hello"].concat())
                .expect("taken");
            let end = ending(&stream);
            assert!(matches!(end, Ending::Closed | Ending::Reset));
            assert_eq!(server.accepted(), before, "{to}: {}", head.escape_ascii());
        }
    }
}
