//! A server of a backend, as the rest of the program uses it.

use super::address::{Address, parse_server};
use super::cookie::hashed_value;
use super::defaults;
use super::name::check_name;
use super::problem::Problem;

/// One entry of `servers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `[A-Za-z0-9_.-]{1,64}`, or the address of a discovered server; unique in its backend.
    pub name: String,
    /// Where it is reached; the port is never 0.
    pub address: Address,
    /// 0..=256; 0: takes no balanced sessions.
    pub weight: u16,
    /// Sessions over all workers, at least 1; `None`: unlimited.
    pub sessions_max: Option<u32>,
    /// Used only when no other server can be.
    pub backup: bool,
    /// Value of the sticky cookie that names it, unique in its backend: 1 to 64 of RFC 6265's `cookie-octet`;
    /// when not written: a hash of eleven characters of its name.
    pub cookie: String,
}

impl Server {
    /// A server that an operator adds to a running process, by the rules and defaults of an entry of `servers`;
    /// its cookie is the hash of its name.
    ///
    /// # Errors
    ///
    /// The first value that such an entry could not have, with its cure.
    pub fn added(
        name: &str,
        address: &str,
        weight: Option<u16>,
        sessions_max: Option<u32>,
        backup: bool,
    ) -> Result<Self, Problem> {
        check_name(name)?;
        let address = parse_server(address)?;
        let weight = weight.unwrap_or(defaults::WEIGHT);
        let (weights, sessions) = (defaults::WEIGHTS, defaults::SESSIONS);
        if !weights.contains(&weight) {
            let cure = format!("write {} to {}", weights.start(), weights.end());
            return Err(Problem::new("`weight` is out of bounds", cure));
        }
        if sessions_max.is_some_and(|max| !sessions.contains(&max)) {
            let cure = "write at least 1, or leave it out for no limit";
            return Err(Problem::new("`max_sessions` is out of bounds", cure));
        }
        Ok(Server {
            cookie: hashed_value(name),
            name: name.to_owned(),
            address,
            weight,
            sessions_max,
            backup,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_added_server_is_what_a_line_would_make_it() {
        let text = "[frontend.f]\nlisten = [\"[::1]:0\"]\nbackend = \"app\"\n[backend.app]\nservers = [\n\
                    { name = \"a\", address = \"10.0.0.1:80\" },\n\
                    { name = \"b\", address = \"db.test:1\", weight = 0, max_sessions = 7, backup = true },\n]\n";
        let config = crate::config::parse("x.toml", text, &crate::config::system_resolver);
        let written = &config.unwrap().config.backends[0].servers;
        let a = Server::added("a", "10.0.0.1:80", None, None, false);
        let b = Server::added("b", "db.test:1", Some(0), Some(7), true);
        assert_eq!(*written, [a.unwrap(), b.unwrap()]);
    }

    #[test]
    fn a_wrong_value_is_a_sentence_with_its_cure() {
        let added = |name: &str, address: &str, weight, sessions_max| {
            let server = Server::added(name, address, weight, sessions_max, false);
            server.unwrap_err().to_string()
        };
        for (problem, words) in [
            (added("a b", "10.0.0.1:80", None, None), "letters"),
            (
                added("10.0.0.1:80", "10.0.0.1:80", None, None),
                "it has `:`",
            ),
            (added("a", "10.0.0.1", None, None), "address without a port"),
            (added("a", "10.0.0.1:0", None, None), "port 0"),
            (added("a", "10.0.0.1:80", Some(257), None), "write 0 to 256"),
            (added("a", "10.0.0.1:80", None, Some(0)), "at least 1"),
        ] {
            assert!(problem.contains(words), "{problem}");
        }
    }
}
