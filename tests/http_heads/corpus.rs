//! Reads the corpus: heads, each with what is to become of it.
//!
//! ```text
//! == Firefox, with our cookie among others       the name of the case
//! |GET / HTTP/1.1                                a line of the head
//! -Cookie: a=1; SRV=B; c=3                       a line of it that is removed by rewriting
//! +Cookie: a=1; c=3                              a line that is not in it, and added
//! |
//! .body                                          bytes behind the head
//! => whole cookie=B                              the result, and how to look
//! ```
//!
//! So a case is a difference between what comes and what goes on. Lines end with CR LF unless they
//! end with `\n` themselves, or with a lone backslash: then with nothing. `\r`, `\n`, `\t`, `\0`, `\xHH` and `\\`
//! are single bytes; `{TEXT*COUNT}` is a text so many times. Lines with `#` between cases are
//! comments.
//!
//! Results of requests: `partial`, `malformed`, `too-long`, `http2`, `tls`, or `whole` with
//! `cookie=VALUE`, `through-proxy` and `upgrade` where these are so. How to look: `name=NAME` of
//! the cookie (`SRV` unless said), `max=BYTES` of the head (16384), and `close`: what it is
//! like with `Connection: close`.
//!
//! Results of answers: `partial`, `opaque`, `interim`, or `whole` with the status, and `removed` if a
//! cookie of ours was. How to look: `name`, `max` and `close` as above, `method=NAME` (GET), and
//! `valid`: the client came with a valid cookie, so that none is set.

use super::looking::{Request, RequestSetting, Response, ResponseSetting};
use ringway::logic::http::Refusal;

/// The line of ours in the answers of the corpus.
pub const SET_COOKIE: &str = "SRV=B; Path=/; HttpOnly; SameSite=Lax";

const REQUESTS: [(&str, &str); 4] = [
    ("clients.txt", include_str!("clients.txt")),
    ("requests.txt", include_str!("requests.txt")),
    ("hostile.txt", include_str!("hostile.txt")),
    ("cookies.txt", include_str!("cookies.txt")),
];
const RESPONSES: [(&str, &str); 1] = [("responses.txt", include_str!("responses.txt"))];

/// A head with what is to become of it.
pub struct Case<S> {
    pub name: String,
    /// What comes.
    pub bytes: Vec<u8>,
    pub setting: S,
    /// How long the head is.
    head_len: usize,
    /// What goes on in its place.
    rewritten: Vec<u8>,
    /// The words of its result.
    words: Vec<String>,
}

impl<S> Case<S> {
    fn has(&self, word: &str) -> bool {
        self.words.iter().any(|known| known == word)
    }

    fn value(&self, key: &str) -> Option<Vec<u8>> {
        value(&self.words, key)
    }

    /// Whether what was looked at is what is written here.
    fn same<T: PartialEq + std::fmt::Debug>(
        &self,
        what: &str,
        got: T,
        want: T,
    ) -> Result<(), String> {
        if got == want {
            return Ok(());
        }
        Err(format!("{what}: {got:?}\nwanted {want:?}"))
    }

    fn text(&self, what: &str, got: &[u8], want: &[u8]) -> Result<(), String> {
        if got == want {
            return Ok(());
        }
        let show = |bytes: &[u8]| bytes.escape_ascii().to_string();
        self.same(what, show(got), show(want))
    }
}

impl Case<RequestSetting> {
    /// Whether it became of this request what is written here.
    pub fn check(&self, got: &Request) -> Result<(), String> {
        let word = match got {
            Request::Partial => "partial",
            Request::Refused(Refusal::Malformed) => "malformed",
            Request::Refused(Refusal::TooLong) => "too-long",
            Request::Refused(Refusal::Http2) => "http2",
            Request::Refused(Refusal::Tls) => "tls",
            Request::Whole(_) => "whole",
        };
        self.same("result", word, &self.words[0])?;
        let Request::Whole(got) = got else {
            return Ok(());
        };
        self.text("head", &got.head, &self.bytes[..self.head_len])?;
        self.same("cookie", &got.cookie, &self.value("cookie"))?;
        self.same(
            "through-proxy",
            got.through_proxy,
            self.has("through-proxy"),
        )?;
        self.same("upgrade", got.upgrade, self.has("upgrade"))?;
        let rewritten = if self.has("close") {
            &got.closing
        } else {
            &got.rewritten
        };
        self.text("rewritten", rewritten, &self.rewritten)
    }
}

impl Case<ResponseSetting> {
    /// Whether it became of this answer what is written here.
    pub fn check(&self, got: &Response) -> Result<(), String> {
        let word = match got {
            Response::Partial => "partial",
            Response::Opaque => "opaque",
            Response::Interim(_) => "interim",
            Response::Whole(_) => "whole",
        };
        self.same("result", word, &self.words[0])?;
        match got {
            Response::Partial | Response::Opaque => Ok(()),
            Response::Interim(len) => self.same("length", *len, self.head_len),
            Response::Whole(got) => {
                self.text("head", &got.head, &self.bytes[..self.head_len])?;
                self.same("status", &got.status.to_string(), &self.words[1])?;
                self.same("removed", got.removed_cookie, self.has("removed"))?;
                self.text("rewritten", &got.rewritten, &self.rewritten)
            }
        }
    }
}

/// All requests of the corpus.
pub fn requests() -> Vec<Case<RequestSetting>> {
    let known = [
        "partial",
        "malformed",
        "too-long",
        "http2",
        "tls",
        "whole",
        "cookie",
        "through-proxy",
        "upgrade",
        "name",
        "max",
        "close",
    ];
    read(&REQUESTS, &known, |words| RequestSetting {
        cookie: Some(name(words)),
        head_max: head_max(words),
    })
}

/// All answers of the corpus.
pub fn responses() -> Vec<Case<ResponseSetting>> {
    let known = [
        "partial", "opaque", "interim", "whole", "removed", "name", "max", "close", "method",
        "valid",
    ];
    read(&RESPONSES, &known, |words| ResponseSetting {
        cookie: Some(name(words)),
        set_cookie: (!words.iter().any(|word| word == "valid")).then(|| SET_COOKIE.to_owned()),
        close: words.iter().any(|word| word == "close"),
        method: value(words, "method").map_or("GET".into(), text),
        head_max: head_max(words),
    })
}

fn name(words: &[String]) -> String {
    value(words, "name").map_or("SRV".into(), text)
}

fn head_max(words: &[String]) -> u32 {
    value(words, "max").map_or(16_384, |max| text(max).parse().expect("a number"))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

fn value(words: &[String], key: &str) -> Option<Vec<u8>> {
    let mut values = words
        .iter()
        .filter_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    values.next().map(bytes_of)
}

fn read<S>(
    files: &[(&str, &str)],
    known: &[&str],
    setting: impl Fn(&[String]) -> S,
) -> Vec<Case<S>> {
    let mut cases: Vec<Case<S>> = Vec::new();
    for (file, content) in files {
        let mut open: Option<(String, [Vec<u8>; 3])> = None;
        for (number, line) in content.lines().enumerate() {
            let place = format!("{file}:{}", number + 1);
            let mut split = line.chars();
            let mark = split.next();
            let rest = split.as_str();
            match (mark, &mut open) {
                (None | Some('#'), None) => {}
                (Some('='), None) => {
                    let title = rest
                        .strip_prefix("= ")
                        .unwrap_or_else(|| panic!("{place}: title"));
                    open = Some((format!("{place} {title}"), Default::default()));
                }
                (Some('|'), Some((_, [head, _, rewritten]))) => {
                    head.extend(line_of(rest));
                    rewritten.extend(line_of(rest));
                }
                (Some('-'), Some((_, [head, _, _]))) => head.extend(line_of(rest)),
                (Some('+'), Some((_, [_, _, rewritten]))) => rewritten.extend(line_of(rest)),
                (Some('.'), Some((_, [_, body, _]))) => body.extend(line_of(rest)),
                (Some('='), Some(_)) => {
                    let result = rest
                        .strip_prefix("> ")
                        .unwrap_or_else(|| panic!("{place}: result"));
                    let words: Vec<String> = result.split(' ').map(str::to_owned).collect();
                    for word in &words {
                        let key = word.split('=').next().unwrap();
                        let is_status = key.parse::<u16>().is_ok();
                        assert!(is_status || known.contains(&key), "{place}: {word}");
                    }
                    let (name, [head, body, rewritten]) = open.take().expect("an open case");
                    cases.push(Case {
                        name,
                        head_len: head.len(),
                        bytes: [head, body].concat(),
                        setting: setting(&words),
                        rewritten,
                        words,
                    });
                }
                _ => panic!("{place}: out of place"),
            }
        }
        assert!(open.is_none(), "{file}: the last case has no result");
    }
    cases
}

/// The bytes of a line of the corpus, with its ending.
fn line_of(line: &str) -> Vec<u8> {
    if let Some(cut) = line.strip_suffix('\\')
        && !cut.ends_with('\\')
    {
        return bytes_of(cut);
    }
    let mut bytes = bytes_of(line);
    if !line.ends_with("\\n") {
        bytes.extend(b"\r\n");
    }
    bytes
}

fn bytes_of(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((repeated, behind)) = repetition(rest) {
            bytes.extend(repeated);
            rest = behind;
            continue;
        }
        rest = &rest[first.len_utf8()..];
        if first != '\\' {
            bytes.extend(first.to_string().as_bytes());
            continue;
        }
        let (escape, behind) = rest.split_at(1);
        rest = behind;
        bytes.push(match escape {
            "r" => b'\r',
            "n" => b'\n',
            "t" => b'\t',
            "0" => 0,
            "\\" => b'\\',
            "x" => {
                let (digits, behind) = rest.split_at(2);
                rest = behind;
                u8::from_str_radix(digits, 16).expect("two hexadecimal digits")
            }
            other => panic!("unknown escape \\{other} in {text}"),
        });
    }
    bytes
}

/// `{TEXT*COUNT}` at the beginning.
fn repetition(text: &str) -> Option<(Vec<u8>, &str)> {
    let (inner, behind) = text.strip_prefix('{')?.split_once('}')?;
    let (repeated, count) = inner.rsplit_once('*')?;
    Some((bytes_of(repeated).repeat(count.parse().ok()?), behind))
}
