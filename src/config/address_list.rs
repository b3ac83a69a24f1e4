//! Lists of addresses: `allow` and `deny` of a frontend, whose entries are addresses, networks, or files of them.
//!
//! The files are read while the configuration is, so that a reload takes new ones and workers never
//! wait for one.

use std::fmt;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;

use super::error::Diagnostics;
use super::network::parse_network;
use super::problem::{Problem, shorten};
use crate::logic::network::{Network, Networks};

/// Begins an entry that names a file.
const FILE: &str = "file:";

/// Bytes of one file: five million networks of IPv6.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Wrong lines of a file that are reported.
const LINES_SHOWN: usize = 5;

/// A list of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressList {
    /// Its entries as they are written.
    pub written: Vec<String>,
    /// The addresses of all entries, those of files among them.
    pub networks: Arc<Networks>,
}

/// One entry as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RawAddresses {
    Network(Network),
    File(PathBuf),
}

impl fmt::Display for RawAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RawAddresses::Network(network) => network.fmt(f),
            RawAddresses::File(path) => write!(f, "{FILE}{}", path.display()),
        }
    }
}

/// Reads an entry.
pub(super) fn parse(text: &str) -> Result<RawAddresses, Problem> {
    let Some(path) = text.strip_prefix(FILE) else {
        return parse_network(text)
            .map(RawAddresses::Network)
            .map_err(|problem| match text.starts_with(['/', '.']) {
                true => Problem {
                    cure: format!("write \"{FILE}{}\" for a file of them", shorten(text)),
                    ..problem
                },
                false => problem,
            });
    };
    if path.is_empty() || path.ends_with('/') || path.contains(char::is_control) {
        let title = format!("invalid path `{}` of a file", shorten(path));
        let cure = "write it like \"file:/etc/ringway/deny.txt\"";
        return Err(Problem::new(title, cure));
    }
    Ok(RawAddresses::File(PathBuf::from(path)))
}

/// The list, with the contents of its files; `None` after something was reported.
pub(super) fn load_addresses(
    out: &mut Diagnostics,
    key: &str,
    written: &Spanned<Vec<Spanned<RawAddresses>>>,
) -> Option<AddressList> {
    let entries = written.get_ref();
    let mut networks = Vec::new();
    let mut complete = true;
    for entry in entries {
        match entry.get_ref() {
            RawAddresses::Network(network) => networks.push(*network),
            RawAddresses::File(path) => {
                for problem in read_file(path, &mut networks) {
                    complete = false;
                    out.error(entry.span(), problem);
                }
            }
        }
    }
    let networks: Networks = networks.into_iter().collect();
    if complete && key == "allow" && networks.is_empty() {
        let title = format!("`{key}` has no address: nobody could connect");
        let cure = "write addresses into the file, or remove the key";
        out.error(written.span(), Problem::new(title, cure));
        return None;
    }
    complete.then(|| AddressList {
        written: entries
            .iter()
            .map(|entry| entry.get_ref().to_string())
            .collect(),
        networks: Arc::new(networks),
    })
}

/// Reads a file with one address or network in each line; what stands behind `#` is a comment. Returns what is
/// wrong with it.
fn read_file(path: &Path, networks: &mut Vec<Network>) -> Vec<Problem> {
    let bytes = match read_bytes(path) {
        Ok(bytes) => bytes,
        Err(problem) => return vec![problem],
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut problems = Vec::new();
    let mut wrong = 0;
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        match parse_network(&String::from_utf8_lossy(line)) {
            Ok(network) => networks.push(network),
            Err(problem) => {
                wrong += 1;
                if wrong <= LINES_SHOWN {
                    let place = format!("{}:{}", path.display(), number + 1);
                    let title = format!("{place}: {}", problem.title);
                    problems.push(Problem::new(title, problem.cure));
                }
            }
        }
    }
    if wrong > LINES_SHOWN {
        let title = format!(
            "{}: {} more lines are wrong",
            path.display(),
            wrong - LINES_SHOWN
        );
        problems.push(Problem::new(title, "one address or network in each line"));
    }
    problems
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, Problem> {
    let unreadable = |why: &str| {
        let title = format!("cannot read {}: {why}", path.display());
        Problem::new(
            title,
            "name a file with one address or network in each line",
        )
    };
    let mut bytes = Vec::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(unreadable(&error.to_string())),
        Ok(_) if bytes.len() as u64 > FILE_BYTES_MAX => {
            let limit = super::format_size(FILE_BYTES_MAX);
            Err(unreadable(&format!("it is larger than {limit}")))
        }
        Ok(_) => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, contents: &[u8]) -> PathBuf {
        let name = format!("ringway-list-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, contents).unwrap();
        path
    }

    fn read(name: &str, contents: &[u8]) -> (Vec<String>, Vec<String>) {
        let path = file(name, contents);
        let mut networks = Vec::new();
        let problems = read_file(&path, &mut networks);
        fs::remove_file(&path).unwrap();
        let place = path.display().to_string();
        let problems = problems
            .iter()
            .map(|it| it.to_string().replace(&place, "FILE"));
        let networks = networks.iter().map(Network::to_string);
        (networks.collect(), problems.collect())
    }

    #[test]
    fn a_file_has_an_address_or_network_in_each_line() {
        let text = b"\xef\xbb\xbf# known\r\n10.0.0.0/8\r\n\n  10.1.2.3 # one\n2001:db8::/32";
        let (networks, problems) = read("good", text);
        assert_eq!(networks, ["10.0.0.0/8", "10.1.2.3", "2001:db8::/32"]);
        assert_eq!(problems, [""; 0]);
        assert_eq!(read("empty", b""), (vec![], vec![]));
    }

    #[test]
    fn a_wrong_line_is_named() {
        let (networks, problems) =
            read("bad", b"10.0.0.7\n10.0.0.1/8\n\nweb1\n10.0.0.0/33\n\xff\n");
        assert_eq!(networks, ["10.0.0.7"]);
        let expected = [
            "FILE:2: `10.0.0.1/8` has bits behind its prefix: write 10.0.0.0/8, or the address alone",
            "FILE:4: `web1` is neither an address nor a network: write it like 10.0.0.7, 10.0.0.0/8 \
             or 2001:db8::/32",
            "FILE:5: `10.0.0.0/33` has no valid prefix: write 0 to 32 behind the slash",
            "FILE:6: `\u{fffd}` is neither an address nor a network: write it like 10.0.0.7, \
             10.0.0.0/8 or 2001:db8::/32",
        ];
        assert_eq!(problems, expected);
        let (_, problems) = read("garbage", "x\n".repeat(100).as_bytes());
        assert_eq!(problems.len(), LINES_SHOWN + 1);
        assert_eq!(
            problems[LINES_SHOWN],
            "FILE: 95 more lines are wrong: one address or network in each line"
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error() {
        let problems = read_file(Path::new("/nonexistent/deny.txt"), &mut Vec::new());
        let text = problems[0].to_string();
        assert!(
            text.starts_with("cannot read /nonexistent/deny.txt: No such file"),
            "{text}"
        );
    }
}
