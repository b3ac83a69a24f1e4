//! Reads a ClientHello in the most obvious way: byte by byte, everything anew each time.

/// What there is at the beginning of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Partial,
    NotTls,
    Malformed,
    Whole {
        server_name: Option<String>,
        protocols: Vec<Vec<u8>>,
        version: u16,
    },
}

pub fn read(bytes: &[u8]) -> Found {
    let mut message = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let header = &bytes[at..bytes.len().min(at + 5)];
        if header[0] != 22 || header.len() > 1 && header[1] != 3 {
            return Found::NotTls;
        }
        if header.len() < 5 {
            return Found::Partial;
        }
        let len = usize::from(header[3]) * 256 + usize::from(header[4]);
        if len == 0 || len > 16384 {
            return Found::Malformed;
        }
        for offset in 0..len {
            let Some(byte) = bytes.get(at + 5 + offset) else {
                break;
            };
            message.push(*byte);
            if message.len() == 1 && *byte != 1 {
                return Found::NotTls;
            }
            if message.len() >= 4 {
                let body = [1, 2, 3].map(|at| usize::from(message[at]));
                let whole = 4 + body[0] * 65536 + body[1] * 256 + body[2];
                if whole > 16384 {
                    return Found::Malformed;
                }
                if message.len() == whole {
                    return read_body(&message[4..]).unwrap_or(Found::Malformed);
                }
            }
        }
        at += 5 + len;
    }
    match bytes.len() > 32768 {
        true => Found::Malformed,
        false => Found::Partial,
    }
}

/// The next number of `size` bytes.
fn number(bytes: &mut Vec<u8>, size: usize) -> Option<usize> {
    let taken = cut(bytes, size)?;
    Some(
        taken
            .iter()
            .fold(0, |sum, byte| sum * 256 + usize::from(*byte)),
    )
}

/// The next `len` bytes.
fn cut(bytes: &mut Vec<u8>, len: usize) -> Option<Vec<u8>> {
    (len <= bytes.len()).then(|| bytes.drain(..len).collect())
}

/// The next bytes, with their number before them.
fn list(bytes: &mut Vec<u8>, size: usize) -> Option<Vec<u8>> {
    let len = number(bytes, size)?;
    cut(bytes, len)
}

fn read_body(body: &[u8]) -> Option<Found> {
    let mut body = body.to_vec();
    let legacy = number(&mut body, 2)?;
    cut(&mut body, 32)?;
    let session = list(&mut body, 1)?;
    let suites = list(&mut body, 2)?;
    let compressions = list(&mut body, 1)?;
    if legacy / 256 != 3 || session.len() > 32 || suites.is_empty() || suites.len() % 2 == 1 {
        return None;
    }
    if compressions.is_empty() {
        return None;
    }
    let mut extensions = Vec::new();
    if !body.is_empty() {
        let mut all = list(&mut body, 2)?;
        while !all.is_empty() {
            let kind = number(&mut all, 2)?;
            extensions.push((kind, list(&mut all, 2)?));
        }
    }
    if !body.is_empty() {
        return None;
    }
    let find = |wanted: usize| {
        let mut found = extensions.iter().filter(|(kind, _)| *kind == wanted);
        let first = found.next().map(|(_, data)| data.clone());
        match found.next() {
            Some(_) => Err(()),
            None => Ok(first),
        }
    };
    let mut server_name = None;
    if let Some(mut data) = find(0).ok()? {
        let mut names = list(&mut data, 2)?;
        let kind = number(&mut names, 1)?;
        let name = list(&mut names, 2)?;
        let shown = name.iter().all(|byte| (0x21..=0x7e).contains(byte));
        if !data.is_empty() || !names.is_empty() || kind != 0 || !shown {
            return None;
        }
        if name.is_empty() || name.len() > 255 {
            return None;
        }
        server_name = Some(String::from_utf8(name).unwrap());
    }
    let mut protocols = Vec::new();
    if let Some(mut data) = find(16).ok()? {
        let mut names = list(&mut data, 2)?;
        if names.is_empty() || !data.is_empty() {
            return None;
        }
        while !names.is_empty() {
            let name = list(&mut names, 1)?;
            if name.is_empty() {
                return None;
            }
            protocols.push(name);
        }
    }
    let mut version = legacy;
    if let Some(mut data) = find(43).ok()? {
        let mut versions = list(&mut data, 1)?;
        if versions.is_empty() || versions.len() % 2 == 1 || !data.is_empty() {
            return None;
        }
        let mut highest = None;
        while !versions.is_empty() {
            let one = number(&mut versions, 2)?;
            if one / 256 == 3 {
                highest = highest.max(Some(one));
            }
        }
        version = highest.unwrap_or(legacy);
    }
    Some(Found::Whole {
        server_name,
        protocols,
        version: version as u16,
    })
}
