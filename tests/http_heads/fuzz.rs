//! Heads that nobody wrote: mutated ones of the corpus, and ones put together from words that mean
//! something. Each is given to the library in one piece and in random pieces, and to the reference;
//! all must agree. A failure prints the bytes, to be put into the corpus.

#[path = "../support/random.rs"]
mod random;

use random::Random;

use super::corpus;
use super::looking::{Request, RequestSetting, Response, ResponseSetting, request, response};
use super::reference;

/// Cases of each test; together more than a million.
const MUTATED_COUNT: usize = 110_000;
const BUILT_COUNT: usize = 230_000;
const COOKIES_COUNT: usize = 330_000;

/// Longer heads of the corpus are left out: they cost time and bring nothing that is new.
const SEED_LEN_MAX: usize = 700;

impl Random {
    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

const BITS: [&[u8]; 38] = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"=",
    b"\"",
    b"\\",
    b"$",
    b"$Path=/",
    b"SRV",
    b"SRV=",
    b"SRV=B",
    b"a=1",
    b"; ",
    b"x",
    b"\xff",
    b"\x7f",
    b"\x16\x03",
    b"PRI * HTTP/2.0",
    b"HTTP/1.1",
    b"HTTP/1.",
    b"GET ",
    b"5",
    b"close",
    b"keep-alive",
    b"upgrade",
    b"private",
    b"no-store",
    b"max-age=1",
    b"public",
    b" \r\n",
    b"/",
];

const NAMES: [&[u8]; 26] = [
    b"Cookie",
    b"cookie",
    b"COOKIE",
    b"Set-Cookie",
    b"set-cookie",
    b"Connection",
    b"connection",
    b"Keep-Alive",
    b"Proxy-Connection",
    b"Upgrade",
    b"Via",
    b"Forwarded",
    b"X-Forwarded-For",
    b"Content-Length",
    b"content-length",
    b"Transfer-Encoding",
    b"Cache-Control",
    b"Expires",
    b"Host",
    b"X",
    b"Content_Length",
    b"transfer_encoding",
    b"",
    b"Cookie ",
    b" Cookie",
    b"Set-Cookie\t",
];

const VALUES: [&[u8]; 39] = [
    b"SRV=B",
    b"a=1; SRV=B; c=3",
    b"SRV=A; SRV=B",
    b"a=\"x; SRV=A\"; SRV=B",
    b"SRV",
    b"SRV=; ;",
    b"$Version=1; SRV=B; $Path=/",
    b"close",
    b"Close",
    b"keep-alive",
    b"keep-alive, Upgrade",
    b"upgrade",
    b"websocket",
    b"5",
    b"6",
    b"5, 5",
    b"5,6",
    b"05",
    b"+5",
    b"",
    b"9223372036854775807",
    b"9223372036854775808",
    b"chunked",
    b"Chunked",
    b"chunked, gzip",
    b"content-length",
    b"a",
    b"A:80",
    b"private",
    b"no-store, max-age=0",
    b"private=\"a, no-store\"",
    b"public",
    b"max-age=60",
    b"",
    b"x: y",
    b"SRV=x; Path=/; HttpOnly",
    b"=SRV=x",
    b"a\rSet-Cookie: SRV=x",
    b"\r\n SRV=x",
];

const FIRST_LINES: [&[u8]; 19] = [
    b"GET / HTTP/1.1",
    b"GET / HTTP/1.1",
    b"POST /a HTTP/1.0",
    b"CONNECT a:80 HTTP/1.1",
    b"GET http://a/ HTTP/1.1",
    b"GET https://b:443?x HTTP/1.0",
    b"GET  /  HTTP/1.1",
    b"GET / HTTP/2.0",
    b"PRI * HTTP/2.0",
    b"GET  / HTTP/1.1",
    b"GET /",
    b"",
    b"GET / HTTP/1.1 ",
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 200",
    b"HTTP/1.0 404 Not Found",
    b"HTTP/1.1 101 Switching",
    b"HTTP/1.1 100 Continue",
    b"HTTP/1.1 302 Found",
];

/// Changes some of it at random.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..1 + random.below(3) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(24)).min(bytes.len());
        match random.below(8) {
            0 | 1 => drop(bytes.splice(at..at, random.pick(&BITS).iter().copied())),
            2 => drop(bytes.splice(at..end.min(at + 4), random.pick(&BITS).iter().copied())),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let twice = bytes[at..end].to_vec();
                bytes.splice(at..at, twice);
            }
            5 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            6 => {
                let from = random.below(other.len() + 1);
                let to = (from + random.below(60)).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            _ if random.below(4) == 0 => bytes.truncate(at),
            _ => {
                // A line end, where lines begin.
                let line = [random.pick(&NAMES), b": ", random.pick(&VALUES), b"\r\n"].concat();
                let newline = bytes[at..].iter().position(|&byte| byte == b'\n');
                let at = newline.map_or(bytes.len(), |newline| at + newline + 1);
                bytes.splice(at..at, line);
            }
        }
    }
}

/// Puts a head together; `first_lines` are those that may be its first.
fn build(random: &mut Random, first_lines: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(160);
    let ending = |random: &mut Random| -> &[u8] {
        match random.below(40) {
            0 => b"\n\r\n",
            1 => b"\r",
            2..=12 => b"\n",
            _ => b"\r\n",
        }
    };
    for _ in 0..random.below(12).saturating_sub(10) * random.below(10) {
        bytes.extend(ending(random));
    }
    bytes.extend(random.pick(first_lines));
    bytes.extend(ending(random));
    for _ in 0..random.below(5) {
        if random.below(12) == 0 {
            bytes.extend(b" folded");
        } else {
            // The last of them are seldom, since they are refused.
            let likely = if random.below(8) == 0 { 26 } else { 20 };
            bytes.extend(random.pick(&NAMES[..likely]));
            bytes.extend(if random.below(30) == 0 {
                random.pick(&BITS)
            } else {
                b":"
            });
            bytes.extend(if random.below(4) == 0 {
                random.pick(&BITS)
            } else {
                b" "
            });
            bytes.extend(random.pick(&VALUES));
        }
        bytes.extend(ending(random));
    }
    if random.below(16) != 0 {
        bytes.extend(ending(random));
    }
    if random.below(8) == 0 {
        bytes.extend(random.pick(&BITS));
    }
    bytes
}

/// Where the pieces end in which bytes come.
fn pieces(random: &mut Random, len: usize) -> Vec<usize> {
    let mut ends: Vec<usize> = (0..random.below(4))
        .map(|_| random.below(len + 1))
        .collect();
    ends.push(len);
    ends.sort_unstable();
    ends
}

fn head_max(random: &mut Random, len: usize) -> u32 {
    match random.below(12) {
        0 => random.below(len + 2) as u32,
        _ => 16_384,
    }
}

fn check_request(random: &mut Random, bytes: &[u8]) -> bool {
    let set = RequestSetting {
        cookie: (random.below(16) != 0).then(|| "SRV".to_owned()),
        head_max: head_max(random, bytes.len()),
    };
    let want = reference::request(bytes, &set);
    let show = || bytes.escape_ascii().to_string();
    let whole = request(bytes, [bytes.len()].into_iter(), &set);
    assert_eq!(whole, want, "\n{set:?}\n{}", show());
    let ends = pieces(random, bytes.len());
    let cut = request(bytes, ends.iter().copied(), &set);
    assert_eq!(cut, want, "\n{set:?} in pieces {ends:?}\n{}", show());
    if let Request::Whole(got) = &want {
        only_lines_differ(&got.head, &got.rewritten, &show());
        only_lines_differ(&got.head, &got.closing, &show());
        return true;
    }
    false
}

fn check_response(random: &mut Random, bytes: &[u8]) -> bool {
    let set = ResponseSetting {
        cookie: (random.below(16) != 0).then(|| "SRV".to_owned()),
        set_cookie: (random.below(3) != 0).then(|| corpus::SET_COOKIE.to_owned()),
        close: random.below(2) == 0,
        method: random.pick(&["GET", "HEAD", "POST", "CONNECT"]).to_owned(),
        head_max: head_max(random, bytes.len()),
    };
    let want = reference::response(bytes, &set);
    let show = || bytes.escape_ascii().to_string();
    let whole = response(bytes, [bytes.len()].into_iter(), &set);
    assert_eq!(whole, want, "\n{set:?}\n{}", show());
    let ends = pieces(random, bytes.len());
    let cut = response(bytes, ends.iter().copied(), &set);
    assert_eq!(cut, want, "\n{set:?} in pieces {ends:?}\n{}", show());
    if let Response::Whole(got) = &want {
        only_lines_differ(&got.head, &got.rewritten, &show());
        return true;
    }
    false
}

/// Every line of the new head is one of the old head, in their order; or a shorter Cookie line; or
/// one of ours, and those are at the end.
fn only_lines_differ(head: &[u8], rewritten: &[u8], context: &str) {
    let lines = |bytes| <[u8]>::split_inclusive(bytes, |&byte| byte == b'\n');
    let mut old = lines(head).peekable();
    let mut added = 0;
    for line in lines(rewritten) {
        let is_cookie = line.len() > 6 && line[..6].eq_ignore_ascii_case(b"cookie");
        let matches = |candidate: &&[u8]| {
            let shorter = candidate.len() > line.len() && candidate.len() > 6;
            *candidate == line
                || is_cookie && shorter && candidate[..6].eq_ignore_ascii_case(b"cookie")
        };
        let from_old = old.clone().position(|candidate| matches(&candidate));
        match from_old {
            Some(skipped) if added == 0 || old.clone().nth(skipped + 1).is_none() => {
                old.nth(skipped);
            }
            _ => {
                added += 1;
                let ours: [&[u8]; 3] = [
                    b"Set-Cookie: SRV=B;",
                    b"Cache-Control: private",
                    b"Connection: close",
                ];
                assert!(
                    ours.iter().any(|ours| line.starts_with(ours)),
                    "{}\n{context}",
                    line.escape_ascii()
                );
            }
        }
    }
    assert!(added <= 3, "{context}");
    assert_eq!(old.next(), None, "the last line stays: {context}");
}

/// A share of the cases must be whole heads, or nothing is tested.
fn enough(whole: usize, count: usize) {
    assert!(whole > count / 5, "only {whole} of {count} were whole");
}

#[test]
fn mutated_requests() {
    // Most of the corpus is refused; those that are not count twice.
    let seeds: Vec<Vec<u8>> = corpus::requests()
        .into_iter()
        .filter(|case| case.bytes.len() <= SEED_LEN_MAX)
        .flat_map(|case| {
            let whole = reference::request(&case.bytes, &case.setting);
            let count = 1 + usize::from(matches!(whole, Request::Whole(_)));
            vec![case.bytes; count]
        })
        .collect();
    let mut random = Random::new(1);
    let mut whole = 0;
    for _ in 0..MUTATED_COUNT {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        let other = random.below(seeds.len());
        mutate(&mut random, &mut bytes, &seeds[other]);
        whole += usize::from(check_request(&mut random, &bytes));
    }
    enough(whole, MUTATED_COUNT);
}

#[test]
fn mutated_responses() {
    let seeds: Vec<Vec<u8>> = corpus::responses()
        .into_iter()
        .map(|case| case.bytes)
        .filter(|bytes| bytes.len() <= SEED_LEN_MAX)
        .collect();
    let mut random = Random::new(2);
    let mut whole = 0;
    for _ in 0..MUTATED_COUNT {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        let other = random.below(seeds.len());
        mutate(&mut random, &mut bytes, &seeds[other]);
        whole += usize::from(check_response(&mut random, &bytes));
    }
    enough(whole, MUTATED_COUNT);
}

#[test]
fn built_requests() {
    let mut random = Random::new(3);
    let mut whole = 0;
    for _ in 0..BUILT_COUNT {
        let likely = if random.below(4) == 0 { 13 } else { 7 };
        let bytes = build(&mut random, &FIRST_LINES[..likely]);
        whole += usize::from(check_request(&mut random, &bytes));
    }
    enough(whole, BUILT_COUNT);
}

#[test]
fn built_responses() {
    let mut random = Random::new(4);
    let mut whole = 0;
    for _ in 0..BUILT_COUNT {
        let bytes = build(&mut random, &FIRST_LINES[13..]);
        whole += usize::from(check_response(&mut random, &bytes));
    }
    enough(whole, BUILT_COUNT);
}

#[test]
fn built_cookie_lines() {
    let parts: [&[u8]; 18] = [
        b"SRV", b"SRV=", b"SRV=B", b"a", b"=", b"=", b";", b";", b"; ", b", ", b",", b" ", b"\t",
        b"\"", b"\"", b"\\", b"$P=1", b"SRV",
    ];
    let mut random = Random::new(5);
    let mut whole = 0;
    for _ in 0..COOKIES_COUNT {
        let mut bytes = b"GET / HTTP/1.1\nCookie:".to_vec();
        for _ in 0..random.below(14) {
            bytes.extend(random.pick(&parts));
        }
        bytes.extend(if random.below(8) == 0 {
            &b"\nCookie:SRV=A"[..]
        } else {
            b""
        });
        bytes.extend(b"\n\n");
        whole += usize::from(check_request(&mut random, &bytes));
    }
    enough(whole, COOKIES_COUNT);
}
