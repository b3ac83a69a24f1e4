//! The sticky cookie in the lines of Cookie and Set-Cookie: finding it, and cutting it out.
//!
//! Names are compared byte by byte. A name without an equals sign is not a cookie. What begins with
//! `$` is an attribute of RFC 2965 and belongs to the cookie before it.

use super::field::{is_space, trim_start};
use super::pairs::{COOKIE, Pairs};

/// The first cookie of this name in the value of a Cookie line: its name, as it stands there, and
/// its value, which may be empty and has its quotes.
#[inline]
pub(super) fn find<'v>(line: &'v [u8], name: &[u8]) -> Option<(&'v [u8], &'v [u8])> {
    Pairs::of(line, COOKIE).find_map(|pair| match pair.value {
        Some(value) if pair.name == name => Some((pair.name, value)),
        Some(_) | None => None,
    })
}

/// What cutting left of a Cookie line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Remains {
    /// All: the cookie was not in it.
    Whole,
    /// Something besides separators and white space.
    Rest,
    /// Nothing that would be worth a line.
    Nothing,
}

/// Appends the value of a Cookie line to `out`, without the cookies of this name and their
/// attributes. The others stay what they were, with the separators before them.
pub(super) fn cut(line: &[u8], name: &[u8], out: &mut Vec<u8>) -> Remains {
    let indent = line.len() - trim_start(line).len();
    let (mut is_cut, mut any_cut, mut any_kept, mut worth) = (false, false, false, false);
    for pair in Pairs::of(line, COOKIE) {
        let ours = pair.name == name && pair.value.is_some();
        is_cut = ours || (is_cut && pair.name.starts_with(b"$"));
        if is_cut {
            any_cut = true;
            continue;
        }
        if any_kept {
            out.extend_from_slice(pair.with_separator);
        } else if any_cut {
            // It moves to the front, where no separator is.
            out.extend_from_slice(&line[..indent]);
            out.extend_from_slice(trim_start(pair.text));
        } else {
            out.extend_from_slice(pair.text);
        }
        any_kept = true;
        worth |= !pair.text.iter().all(|byte| b" \t".contains(byte));
    }
    match (any_cut, worth) {
        (false, _) => Remains::Whole,
        (true, true) => Remains::Rest,
        (true, false) => Remains::Nothing,
    }
}

/// Whether the value of a Set-Cookie field sets the cookie of this name. The lines of a folded
/// field may be in it.
///
/// Of `=NAME=VALUE` browsers make a cookie without a name, whose value they send as it is.
pub(super) fn sets(value: &[u8], name: &[u8]) -> bool {
    let pair = value.split(|&byte| byte == b';').next().unwrap_or_default();
    let pair = trim_folds(pair);
    let pair = pair.strip_prefix(b"=").unwrap_or(pair);
    let equals = pair.iter().position(|&byte| byte == b'=');
    equals.is_some_and(|equals| trim_folds(&pair[..equals]) == name)
}

/// Without the white space around it, line ends included.
fn trim_folds(bytes: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !is_space(*byte) && !matches!(byte, b'\r' | b'\n');
    let start = bytes.iter().position(is_text).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(is_text).map_or(start, |at| at + 1);
    &bytes[start..end]
}
