//! The rules of HTTP mode in the most obvious way: lines in vectors, bytes one by one, nothing
//! remembered, nothing fast. What the library does differently is a mistake in one of the two.

use super::looking::{
    Request, RequestSetting, Response, ResponseSetting, WholeRequest, WholeResponse,
};
use ringway::logic::http::Refusal;

const BLANK_LINES_MAX: usize = 8;
const OPENING_LEN: usize = 64;
const METHOD_LEN_MAX: usize = 32;

/// A line without LF, and whether there was one.
type Line<'b> = (&'b [u8], bool);

fn lines(bytes: &[u8]) -> Vec<Line<'_>> {
    bytes
        .split_inclusive(|&byte| byte == b'\n')
        .map(|line| match line.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (line, false),
        })
        .collect()
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn ending(line: &[u8]) -> &'static [u8] {
    if line.ends_with(b"\r") {
        b"\r\n"
    } else {
        b"\n"
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

fn is_target_byte(byte: u8) -> bool {
    byte > 0x20 && byte != 0x7f
}

fn trim(bytes: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !b" \t".contains(byte);
    match bytes.iter().position(is_text) {
        Some(first) => &bytes[first..=bytes.iter().rposition(is_text).unwrap()],
        None => &[],
    }
}

/// What a request is that can't be HTTP/1.
fn refusal(request: &[u8]) -> Refusal {
    if request.starts_with(&[0x16, 3]) {
        Refusal::Tls
    } else if request.starts_with(b"PRI * HTTP/2") {
        Refusal::Http2
    } else {
        Refusal::Malformed
    }
}

/// Whether more bytes can make a first line of this beginning.
fn may_become_a_first_line(beginning: &[u8]) -> bool {
    let beginning = &beginning[..beginning.len().min(OPENING_LEN)];
    if beginning == [0x16] || beginning == b"\r" {
        return true;
    }
    let words = parts(beginning);
    let last = words.len() - 1;
    words.iter().enumerate().all(|(index, word)| {
        let complete = index < last;
        match index {
            0 => {
                word.len() <= METHOD_LEN_MAX
                    && word.iter().all(|&byte| is_token_byte(byte))
                    && !(complete && word.is_empty())
            }
            1 => word.iter().all(|&byte| is_target_byte(byte)) && !(complete && word.is_empty()),
            2 => {
                let mut version = word.to_vec();
                if let Some(minor) = version.get_mut(7)
                    && minor.is_ascii_digit()
                {
                    *minor = b'1';
                }
                b"HTTP/1.1\r".starts_with(&version)
            }
            _ => false,
        }
    })
}

/// The parts of a first line, and the empty ones where spaces are at its ends.
fn parts(line: &[u8]) -> Vec<&[u8]> {
    let all: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let last = all.len() - 1;
    all.into_iter()
        .enumerate()
        .filter(|&(index, part)| index == 0 || index == last || !part.is_empty())
        .map(|(_, part)| part)
        .collect()
}

fn first_line(line: &[u8]) -> Option<(&[u8], &[u8], u8)> {
    let [method, target, version] = parts(line)[..] else {
        return None;
    };
    let [
        b'H',
        b'T',
        b'T',
        b'P',
        b'/',
        b'1',
        b'.',
        minor @ b'0'..=b'9',
    ] = *version
    else {
        return None;
    };
    let is_target = !target.is_empty() && target.iter().all(|&byte| is_target_byte(byte));
    (is_token(method) && method.len() <= METHOD_LEN_MAX && is_target)
        .then_some((method, target, minor))
}

/// The number of a Content-Length, without its leading zeros.
fn length(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let digits = text.trim_start_matches('0');
    let max = i64::MAX.to_string();
    let fits = digits.len() < max.len() || (digits.len() == max.len() && digits <= &max[..]);
    (is_number && fits).then(|| digits.to_owned())
}

/// Whether the end of the request is where everybody sees it.
fn is_framed(fields: &[(Vec<u8>, &[u8], &[u8])], minor: u8) -> bool {
    let members = |wanted: &str| -> Vec<Vec<u8>> {
        fields
            .iter()
            .filter(|(name, _, _)| name == wanted.as_bytes())
            .flat_map(|(_, value, _)| value.split(|&byte| byte == b','))
            .map(|member| trim(member).to_ascii_lowercase())
            .collect()
    };
    let lengths: Vec<_> = fields
        .iter()
        .filter(|(name, _, _)| name == b"content-length")
        .map(|(_, value, _)| length(trim(value)))
        .collect();
    let codings = members("transfer-encoding");
    let named = ["content_length", "transfer_encoding"];
    let lookalike = fields
        .iter()
        .any(|(name, _, _)| named.iter().any(|known| name == known.as_bytes()));
    let dropped = members("connection")
        .iter()
        .any(|option| option == b"content-length" || option == b"transfer-encoding");
    let lengths_fit = lengths
        .iter()
        .all(|length| length.is_some() && *length == lengths[0]);
    let codings_fit = match &codings[..] {
        [] => true,
        [only] => only == b"chunked" && lengths.is_empty() && minor != b'0',
        _ => false,
    };
    lengths_fit && codings_fit && !lookalike && !dropped
}

/// Whether target and Host lines name one host at most.
fn names_one_host(method: &[u8], target: &[u8], hosts: &[&[u8]]) -> bool {
    let lower = |bytes: &[u8]| -> String {
        let lower = trim(bytes).to_ascii_lowercase();
        lower.into_iter().map(char::from).collect()
    };
    let hosts: Vec<String> = hosts.iter().map(|host| lower(host)).collect();
    if hosts.len() > 1 {
        return false;
    }
    let is_host = |authority: &str, port: &str| {
        let bare = |host: &str| host.strip_suffix(port).unwrap_or(host).to_owned();
        hosts
            .iter()
            .all(|host| !authority.contains('@') && bare(host) == bare(authority))
    };
    let target = lower(target);
    if method == b"CONNECT" {
        return is_host(&target, ":80") || is_host(&target, ":443");
    }
    if target.starts_with('/') || target == "*" {
        return true;
    }
    let Some((scheme, rest)) = target.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().expect("one at least");
    let mut letters = scheme.chars();
    let is_scheme = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
    let port = if scheme == "https" { ":443" } else { ":80" };
    is_scheme && !authority.is_empty() && is_host(authority, port)
}

/// What is to become of a request.
pub fn request(bytes: &[u8], set: &RequestSetting) -> Request {
    let max = set.head_max as usize;
    let window = &bytes[..bytes.len().min(max)];
    let all = lines(window);
    let blank = all
        .iter()
        .take_while(|&&(line, ended)| ended && without_cr(line).is_empty())
        .count();
    if blank > BLANK_LINES_MAX {
        return Request::Refused(Refusal::Malformed);
    }
    let before: usize = all[..blank].iter().map(|(line, _)| line.len() + 1).sum();
    let from_request = &window[before..];
    let mut taken: Vec<&[u8]> = Vec::new();
    for &(line, ended) in &all[blank..] {
        let is_first = taken.is_empty();
        let text = without_cr(line);
        let refused = if text.contains(&0) || text.contains(&b'\r') {
            true
        } else if !ended {
            is_first && !may_become_a_first_line(line)
        } else if is_first {
            first_line(text).is_none()
        } else if text.is_empty() {
            taken.push(line);
            return whole_request(&all[..blank], &taken, set);
        } else {
            let colon = text.iter().position(|&byte| byte == b':');
            !colon.is_some_and(|colon| is_token(&text[..colon]))
        };
        if refused {
            return Request::Refused(refusal(from_request));
        }
        if ended {
            taken.push(line);
        }
    }
    if window.len() == max {
        return Request::Refused(Refusal::TooLong);
    }
    Request::Partial
}

/// Name in lower case, and value with its white space.
fn field(line: &[u8]) -> (Vec<u8>, &[u8]) {
    let text = without_cr(line);
    match text.iter().position(|&byte| byte == b':') {
        Some(colon) => (
            trim(&text[..colon]).to_ascii_lowercase(),
            &text[colon + 1..],
        ),
        None => (Vec::new(), text),
    }
}

const KEEPING: [&[u8]; 3] = [b"connection", b"keep-alive", b"proxy-connection"];

fn whole_request(blank: &[Line<'_>], taken: &[&[u8]], set: &RequestSetting) -> Request {
    let (first, fields) = (taken[0], &taken[1..taken.len() - 1]);
    let (method, target, minor) = first_line(without_cr(first)).expect("was looked at");
    let fields: Vec<(Vec<u8>, &[u8], &[u8])> = fields
        .iter()
        .map(|line| {
            let (name, value) = field(line);
            (name, value, *line)
        })
        .collect();
    let values = |wanted: &str| -> Vec<&[u8]> {
        let wanted = wanted.as_bytes();
        let with_name = fields.iter().filter(|(name, _, _)| name == wanted);
        with_name.map(|&(_, value, _)| value).collect()
    };
    let members = |wanted: &str| -> Vec<&[u8]> {
        let values = values(wanted).into_iter();
        values
            .flat_map(|value| value.split(|&byte| byte == b',').map(trim))
            .collect()
    };

    if !is_framed(&fields, minor) || !names_one_host(method, target, &values("host")) {
        return Request::Refused(Refusal::Malformed);
    }

    let cookie = set.cookie.as_ref().and_then(|name| {
        let mut all = values("cookie").into_iter().flat_map(cookies);
        all.find_map(|cookie| (cookie.name == name.as_bytes()).then_some(cookie.value?))
    });
    let wants_upgrade = members("connection")
        .iter()
        .any(|member| member.eq_ignore_ascii_case(b"upgrade"));
    let upgrade = method == b"CONNECT" || (wants_upgrade && !values("upgrade").is_empty());
    let proxies = ["via", "forwarded", "x-forwarded-for"];

    let write = |close: bool| {
        let closes = !close || upgrade || is_closing(&fields);
        let mut out = Vec::new();
        for (line, _) in blank {
            out.extend([line, &b"\n"[..]].concat());
        }
        out.extend([first, b"\n"].concat());
        for (name, value, line) in &fields {
            if !closes && KEEPING.contains(&&name[..]) {
                continue;
            }
            if name == b"cookie"
                && let Some(ours) = &set.cookie
            {
                if let Some(rest) = cut(value, ours.as_bytes()) {
                    let colon = line.iter().position(|&byte| byte == b':').unwrap();
                    out.extend([&line[..=colon], &rest, ending(line)].concat());
                }
                continue;
            }
            out.extend([line, &b"\n"[..]].concat());
        }
        if !closes {
            out.extend([b"Connection: close", ending(first)].concat());
        }
        out.extend([taken[taken.len() - 1], b"\n"].concat());
        out
    };
    let head: Vec<u8> = blank
        .iter()
        .map(|(line, _)| *line)
        .chain(taken.iter().copied())
        .flat_map(|line| [line, b"\n"].concat())
        .collect();
    Request::Whole(Box::new(WholeRequest {
        head,
        method: method.to_vec(),
        target: target.to_vec(),
        cookie: cookie.map(|value| value.to_vec()),
        through_proxy: proxies.iter().any(|name| !values(name).is_empty()),
        upgrade,
        rewritten: write(false),
        closing: write(true),
    }))
}

/// Whether `Connection: close` is there already, and nothing else of the kind.
fn is_closing(fields: &[(Vec<u8>, &[u8], &[u8])]) -> bool {
    let all: Vec<_> = fields
        .iter()
        .filter(|(name, _, _)| KEEPING.contains(&&name[..]))
        .collect();
    match &all[..] {
        [(name, value, _)] => name == b"connection" && trim(value).eq_ignore_ascii_case(b"close"),
        _ => false,
    }
}

/// A member of a Cookie line.
struct Cookie<'v> {
    /// From separator to separator.
    text: &'v [u8],
    separator: Option<u8>,
    name: &'v [u8],
    value: Option<&'v [u8]>,
}

/// Where the quote is that closes one, behind which `bytes` begin.
fn closing_quote(bytes: &[u8]) -> Option<usize> {
    let mut escaped = false;
    bytes.iter().position(|&byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

/// The members of a Cookie line.
fn cookies(line: &[u8]) -> Vec<Cookie<'_>> {
    let mut found = Vec::new();
    let (mut start, mut separator) = (0, None);
    let mut equals = None;
    let mut at = 0;
    let mut quotes_count = true;
    loop {
        let byte = line.get(at).copied();
        match byte {
            None | Some(b';' | b',') => {
                found.push(Cookie {
                    text: &line[start..at],
                    separator,
                    name: trim(&line[start..equals.unwrap_or(at)]),
                    value: equals.map(|equals| trim(&line[equals + 1..at])),
                });
                if byte.is_none() {
                    return found;
                }
                (start, separator, equals) = (at + 1, byte, None);
            }
            Some(b'=') if equals.is_none() => equals = Some(at),
            Some(b'"') if equals.is_some() && quotes_count => {
                match closing_quote(&line[at + 1..]) {
                    Some(len) => at += len + 1,
                    None => quotes_count = false,
                }
            }
            Some(_) => {}
        }
        at += 1;
    }
}

/// The value of a Cookie line without the cookies of this name; none if the line goes.
fn cut(line: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let mut kept: Vec<Cookie<'_>> = Vec::new();
    let mut count = 0;
    let mut is_cut = false;
    for cookie in cookies(line) {
        let is_ours = cookie.name == name && cookie.value.is_some();
        is_cut = is_ours || (is_cut && cookie.name.first() == Some(&b'$'));
        count += 1;
        if !is_cut {
            kept.push(cookie);
        }
    }
    if kept.len() == count {
        return Some(line.to_vec());
    }
    if kept.iter().all(|cookie| trim(cookie.text).is_empty()) {
        return None;
    }
    let mut out = Vec::new();
    for (index, cookie) in kept.iter().enumerate() {
        let is_moved = index == 0 && cookie.separator.is_some();
        if is_moved {
            out.extend(line.iter().take_while(|byte| b" \t".contains(byte)));
            out.extend(cookie.text.iter().skip_while(|byte| b" \t".contains(byte)));
        } else {
            out.extend(cookie.separator);
            out.extend(cookie.text);
        }
    }
    Some(out)
}

/// What is to become of an answer.
pub fn response(bytes: &[u8], set: &ResponseSetting) -> Response {
    let max = set.head_max as usize;
    let window = &bytes[..bytes.len().min(max)];
    for (index, &byte) in window.iter().take(13).enumerate() {
        let fits = match index {
            0..=6 => byte == b"HTTP/1."[index],
            7 | 9..=11 => byte.is_ascii_digit(),
            8 => byte == b' ',
            _ => b" \r\n".contains(&byte) && window[9] != b'0',
        };
        if !fits {
            return Response::Opaque;
        }
    }
    let all = lines(window);
    let end = all
        .iter()
        .position(|&(line, ended)| ended && without_cr(line).is_empty());
    let Some(end) = end else {
        let too_long = window.len() == max;
        return if too_long {
            Response::Opaque
        } else {
            Response::Partial
        };
    };
    let head: Vec<&[u8]> = all[..=end].iter().map(|(line, _)| *line).collect();
    let head_bytes: Vec<u8> = head
        .iter()
        .flat_map(|line| [*line, b"\n"].concat())
        .collect();
    let status: u16 = String::from_utf8_lossy(&window[9..12])
        .parse()
        .expect("digits");
    if status < 200 && status != 101 {
        return Response::Interim(head_bytes.len());
    }
    let (rewritten, removed_cookie) = rewrite_response(&head, status, set);
    Response::Whole(Box::new(WholeResponse {
        head: head_bytes,
        status,
        rewritten,
        removed_cookie,
    }))
}

fn rewrite_response(head: &[&[u8]], status: u16, set: &ResponseSetting) -> (Vec<u8>, bool) {
    // A field, with the lines in which it goes on.
    let mut fields: Vec<(Vec<u8>, Vec<&[u8]>)> = Vec::new();
    for line in &head[1..head.len() - 1] {
        let is_folded = line.starts_with(b" ") || line.starts_with(b"\t");
        match fields.last_mut() {
            Some((_, lines)) if is_folded => lines.push(line),
            None if is_folded => fields.push((Vec::new(), vec![line])),
            _ => fields.push((field(line).0, vec![line])),
        }
    }
    let is_tunnel = status == 101 || (set.method == "CONNECT" && status < 300);
    let keeping: Vec<_> = fields
        .iter()
        .filter(|(name, _)| KEEPING.contains(&&name[..]))
        .collect();
    let closes_already = match &keeping[..] {
        [(name, lines)] => {
            name == b"connection"
                && lines.len() == 1
                && trim(field(lines[0]).1).eq_ignore_ascii_case(b"close")
        }
        _ => false,
    };
    let close = set.close && !is_tunnel && !closes_already;

    let mut out = [head[0], b"\n"].concat();
    let mut removed = false;
    for (name, lines) in &fields {
        let is_folded = lines[0].starts_with(b" ") || lines[0].starts_with(b"\t");
        let ours =
            !is_folded && (set.cookie.as_ref()).is_some_and(|ours| sets(lines, ours.as_bytes()));
        removed |= ours;
        if ours || (close && KEEPING.contains(&&name[..])) {
            continue;
        }
        for line in lines {
            out.extend([line, &b"\n"[..]].concat());
        }
    }
    let new_line = |out: &mut Vec<u8>, line: &str| {
        out.extend([line.as_bytes(), ending(head[0])].concat());
    };
    if let Some(set_cookie) = &set.set_cookie {
        new_line(&mut out, &format!("Set-Cookie: {set_cookie}"));
        if may_be_shared(&fields, status, &set.method) {
            new_line(&mut out, "Cache-Control: private");
        }
    }
    if close {
        new_line(&mut out, "Connection: close");
    }
    out.extend([head[head.len() - 1], b"\n"].concat());
    (out, removed)
}

/// Whether a field sets this cookie, for a browser that joins its lines, or one that takes a bare CR
/// for the end of a line.
fn sets(lines: &[&[u8]], ours: &[u8]) -> bool {
    let joined = lines.join(&b'\n');
    let behind_cr = joined.split(|&byte| byte == b'\r').skip(1);
    [&joined[..]].into_iter().chain(behind_cr).any(|text| {
        let Some(colon) = text.iter().position(|&byte| byte == b':') else {
            return false;
        };
        let unfold = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes)
                .trim_matches([' ', '\t', '\r', '\n'])
                .to_owned()
        };
        let value = unfold(
            text[colon + 1..]
                .split(|&byte| byte == b';')
                .next()
                .unwrap(),
        );
        let value = value.strip_prefix('=').unwrap_or(&value);
        let Some((cookie, _)) = value.split_once('=') else {
            return false;
        };
        let name = &text[..colon];
        let is_indented = name.starts_with(b" ") || name.starts_with(b"\t");
        !is_indented
            && trim(name).eq_ignore_ascii_case(b"set-cookie")
            && unfold(cookie.as_bytes()).as_bytes() == ours
    })
}

fn may_be_shared(fields: &[(Vec<u8>, Vec<&[u8]>)], status: u16, method: &str) -> bool {
    if status == 101 {
        return false;
    }
    let mut allowed = fields.iter().any(|(name, _)| name == b"expires");
    for (_, lines) in fields.iter().filter(|(name, _)| name == b"cache-control") {
        for (index, line) in lines.iter().enumerate() {
            let value = if index == 0 {
                field(line).1
            } else {
                without_cr(line)
            };
            for (name, has_value) in directives(value) {
                match (&name[..], has_value) {
                    (b"no-store", _) | (b"private", false) => return false,
                    (b"public" | b"max-age" | b"s-maxage", _) => allowed = true,
                    _ => {}
                }
            }
        }
    }
    let by_default = [
        200, 203, 204, 206, 300, 301, 304, 308, 404, 405, 410, 414, 501,
    ];
    allowed || (["GET", "HEAD"].contains(&method) && by_default.contains(&status))
}

/// The directives of Cache-Control: their names in lower case, and whether there is a value.
fn directives(value: &[u8]) -> Vec<(Vec<u8>, bool)> {
    // A semicolon is no separator here, so it must not look like one.
    let only_commas: Vec<u8> = value
        .iter()
        .map(|&byte| if byte == b';' { b'.' } else { byte })
        .collect();
    cookies(&only_commas)
        .iter()
        .map(|pair| (pair.name.to_ascii_lowercase(), pair.value.is_some()))
        .collect()
}
