//! What streams begin with in HTTP mode: heads as programs send them, and what is none.

use ringway::config::{Config, Mode, Server};

use crate::random::Random;

/// Name of the sticky cookie in most configurations.
const COOKIE: &str = "SRV";

/// What the heads of a run are made from.
#[derive(Clone, Debug, Default)]
pub struct Heads {
    /// Values of the sticky cookie: of all servers that there were so far.
    values: Vec<String>,
    /// The longest head that any configuration allows.
    head_max: u32,
}

impl Heads {
    /// Heads are to be made for this configuration too.
    pub fn learn(&mut self, config: &Config) {
        for frontend in &config.frontends {
            if let Mode::Http(mode) = frontend.mode {
                self.head_max = self.head_max.max(mode.head_max);
            }
        }
        let servers = config.backends.iter().flat_map(|backend| &backend.servers);
        self.learn_servers(servers);
    }

    /// Cookies are to name these servers too.
    pub fn learn_servers<'a>(&mut self, servers: impl IntoIterator<Item = &'a Server>) {
        for server in servers {
            if !self.values.contains(&server.cookie) {
                self.values.push(server.cookie.clone());
            }
        }
    }

    /// What a client begins with.
    pub fn request(&self, random: &mut Random) -> Vec<u8> {
        if random.chance(10) {
            return self.no_request(random);
        }
        let end = line_end(random);
        let method = pick(random, &["GET", "GET", "HEAD", "POST", "OPTIONS"]);
        let mut lines = vec![format!("{method} /{} HTTP/1.1", random.below(1_000))];
        lines.push("Host: sim.example".to_string());
        if random.chance(20) {
            lines.push("Connection: keep-alive".to_string());
        }
        if random.chance(70) {
            lines.push(self.cookies(random));
        }
        if random.chance(10) {
            lines.push("Via: 1.1 proxy".to_string());
        }
        if random.chance(30) {
            lines.push(format!(
                "X-Filler: {}",
                "x".repeat(random.up_to(700) as usize)
            ));
        }
        if random.chance(20) {
            lines.push(self.cookies(random));
        }
        head(&lines, end)
    }

    /// A Cookie line, mostly with the sticky cookie.
    fn cookies(&self, random: &mut Random) -> String {
        let mut cookies = Vec::new();
        for _ in 0..=random.below(3) {
            cookies.push(if random.chance(60) {
                let value = if random.chance(85) {
                    let index = random.below(self.values.len() as u64);
                    self.values[index as usize].clone()
                } else {
                    "nobody".to_string()
                };
                format!("{COOKIE}={value}")
            } else {
                format!("c{}={}", random.below(10), random.below(1_000))
            });
        }
        format!("Cookie: {}", cookies.join("; "))
    }

    fn no_request(&self, random: &mut Random) -> Vec<u8> {
        match random.below(6) {
            0 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            1 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            2 => b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n".to_vec(),
            3 => b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
                .to_vec(),
            4 => b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
            _ => {
                let filler = "x".repeat(self.head_max as usize);
                format!("GET / HTTP/1.1\r\nX-Filler: {filler}\r\n\r\n").into_bytes()
            }
        }
    }

    /// What a server begins with, and how much of it are interim answers that it sends before the
    /// rest.
    pub fn answers(&self, random: &mut Random) -> (Vec<u8>, usize) {
        if random.chance(8) {
            return (no_answer(random, self.head_max), 0);
        }
        let end = line_end(random);
        let mut text = Vec::new();
        if random.chance(30) {
            for _ in 0..random.up_to(3) {
                let interim = [
                    "HTTP/1.1 100 Continue",
                    "HTTP/1.1 103 Early Hints\nLink: </a>",
                ];
                text.extend(head(&[pick(random, &interim).to_string()], end));
            }
        }
        let interim_len = if random.chance(50) { text.len() } else { 0 };
        let status = pick(
            random,
            &[
                "200 OK",
                "200 OK",
                "301 SpliceResult",
                "404 Not Found",
                "503 Busy",
                "101 Switching",
            ],
        );
        let mut lines = vec![format!("HTTP/1.1 {status}")];
        if random.chance(30) {
            lines.push(format!("Set-Cookie: {COOKIE}=mine; Path=/"));
        }
        if random.chance(30) {
            lines.push("Set-Cookie: other=1".to_string());
        }
        if random.chance(30) {
            lines.push("Cache-Control: max-age=60".to_string());
        }
        if random.chance(30) {
            lines.push("Connection: keep-alive".to_string());
        }
        if random.chance(30) {
            lines.push(format!(
                "X-Filler: {}",
                "x".repeat(random.up_to(900) as usize)
            ));
        }
        text.extend(head(&lines, end));
        (text, interim_len)
    }
}

fn no_answer(random: &mut Random, head_max: u32) -> Vec<u8> {
    match random.below(3) {
        0 => b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        1 => b"HTTP/1.1 999 What\r\n\r\n".to_vec(),
        _ => {
            let filler = "x".repeat(head_max as usize);
            format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-Filler: {filler}\r\n\r\n")
                .into_bytes()
        }
    }
}

fn line_end(random: &mut Random) -> &'static str {
    if random.chance(90) { "\r\n" } else { "\n" }
}

fn head(lines: &[String], end: &str) -> Vec<u8> {
    let mut text = lines.join("\n").replace('\n', end);
    text += end;
    text += end;
    text.into_bytes()
}

fn pick<'a>(random: &mut Random, of: &[&'a str]) -> &'a str {
    of[random.below(of.len() as u64) as usize]
}
