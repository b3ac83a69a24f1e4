//! Requests that nobody would write, but might: the server gets them byte for byte as they were
//! sent, but for the sticky cookie.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::clients::{connect, read_all};
use crate::servers::{self, Server};
use crate::setup::Setup;

/// Requests for each seed.
const REQUESTS: usize = 300;

/// Where choices come from: xorshift64*, so that a seed repeats them.
struct Choices(u64);

impl Choices {
    /// Below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        number as usize % bound
    }

    fn one_of<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// Up to `len_max` of these characters.
    fn word(&mut self, characters: &str, len_max: usize) -> String {
        let characters: Vec<char> = characters.chars().collect();
        let len = self.below(len_max + 1);
        (0..len)
            .map(|_| characters[self.below(characters.len())])
            .collect()
    }
}

/// A request, and what the server shall get of it.
struct Made {
    sent: Vec<u8>,
    expected: Vec<u8>,
}

const TOKEN: &str = "abcXYZ019!#$%&'*+-.^_`|~";
const VALUE: &str = "abcXYZ 019;,=\"\\/()<>@[]{}?:\t\u{e4}\u{1}";

/// A cookie that is not ours, and that has no quote which another one could close.
fn other_cookie(choices: &mut Choices) -> String {
    let name = choices.one_of(&["a", "srv", "SRVX", "XSRV", "$Path", "__Host-x"]);
    let value = choices.word("abcXYZ019./+=%(){}", 40);
    match choices.below(6) {
        0 => format!("{name}=\"{value}; SRV=quoted\""),
        1 => name.to_owned(),
        2 => format!(" {name} = {value} "),
        _ => format!("{name}={value}"),
    }
}

/// A Cookie line as it is sent, and as it arrives; empty if nothing of it is left.
fn cookie_line(choices: &mut Choices, end: &str) -> (String, String) {
    let name = choices.one_of(&["Cookie", "cookie", "COOKIE"]);
    let indent = choices.one_of(&[" ", "", "\t", "  "]);
    let before: Vec<_> = (0..choices.below(4))
        .map(|_| other_cookie(choices))
        .collect();
    let after: Vec<_> = (0..choices.below(4))
        .map(|_| other_cookie(choices))
        .collect();
    // What follows and begins with a dollar sign would belong to ours.
    let after: Vec<_> = (after.into_iter())
        .filter(|cookie| !cookie.trim_start().starts_with('$'))
        .collect();
    let ours = format!("SRV={}", choices.word("abcXYZ019", 12));
    let line = |cookies: &[String]| {
        let all: Vec<_> = (cookies.iter().enumerate())
            // The first stands where the indentation of the line was; others after a space.
            .map(|(index, cookie)| match index {
                0 => cookie.trim_start().to_owned(),
                _ => format!(" {cookie}"),
            })
            .collect();
        format!("{name}:{indent}{}{end}", all.join(";"))
    };
    let others = [before.clone(), after.clone()].concat();
    let sent = line(&[before, vec![ours], after].concat());
    let arrives = if others.is_empty() {
        String::new()
    } else {
        line(&others)
    };
    (sent, arrives)
}

/// A request that is not ambiguous.
fn make(choices: &mut Choices) -> Made {
    let end = choices.one_of(&["\r\n", "\r\n", "\n"]);
    let blank = choices.one_of(&["", "", "", "\r\n", "\n\r\n"]);
    let method = choices.one_of(&["GET", "POST", "PUT", "OPTIONS", "get", "M-SEARCH", "X!#"]);
    let path = choices.word("abc/?&=%.~;:@!$'()*+,{}|\\^`\"<>[]\u{e4}", 60);
    // In HTTP/1.0 there is no chunked coding.
    let version = 1 + choices.below(9);
    let first = format!("{blank}{method} /{path} HTTP/1.{version}{end}");
    let (mut sent, mut expected) = (first.clone(), first);
    let body = choices.word("body \r\nCookie: SRV=x", 3_000);
    for _ in 0..choices.below(30) {
        if choices.below(6) == 0 {
            let (line, arrives) = cookie_line(choices, end);
            sent += &line;
            expected += &arrives;
            continue;
        }
        let name = choices.word(TOKEN, 30);
        let value = choices.word(VALUE, 80);
        let line = format!("X{name}:{value}{end}");
        sent += &line;
        expected += &line;
    }
    let framing = match choices.below(4) {
        0 => format!("Content-Length: {}{end}", body.len()),
        1 => format!("Transfer-Encoding: chunked{end}"),
        2 => format!(
            "Content-Length: {0}{end}content-length:{0} {end}",
            body.len()
        ),
        _ => String::new(),
    };
    let rest = format!("{framing}{end}{body}");
    Made {
        sent: (sent + &rest).into_bytes(),
        expected: (expected + &rest).into_bytes(),
    }
}

/// Answers with all that it gets until the end, behind a head.
fn mirror() -> Server {
    Server::start(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("no reset");
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("taken");
        stream.write_all(&all).expect("taken");
    })
}

/// Sends a request in pieces, and returns what is behind the head of the answer.
fn reflected(mut client: &TcpStream, sent: &[u8], choices: &mut Choices) -> Vec<u8> {
    let mut rest = sent;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(1 + choices.below(rest.len()));
        client.write_all(piece).expect("taken");
        rest = behind;
    }
    servers::end_of_stream(client);
    let all = read_all(client);
    let at = all.windows(4).position(|window| window == b"\r\n\r\n");
    let at = at.unwrap_or_else(|| panic!("no head in {}", all.escape_ascii()));
    assert!(
        all.starts_with(b"HTTP/1.1 200 OK\r\n"),
        "{}",
        all.escape_ascii()
    );
    all[at + 4..].to_vec()
}

#[test]
fn servers_get_what_clients_send_but_for_the_cookie() {
    let server = mirror();
    let ringway = Setup::http().server("a", server.address()).start();
    for seed in [1, 0x5eed, 0xdead_beef] {
        let mut choices = Choices(seed);
        for number in 0..REQUESTS {
            let Made { sent, expected } = make(&mut choices);
            let client = connect(ringway.address());
            let arrived = reflected(&client, &sent, &mut choices);
            assert!(
                arrived == expected,
                "request {number} of seed {seed}\nsent     {}\nexpected {}\narrived  {}",
                sent.escape_ascii(),
                expected.escape_ascii(),
                arrived.escape_ascii()
            );
        }
    }
}
