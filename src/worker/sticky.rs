//! Sticky cookies, prepared for reading and setting them.

use crate::config::Sticky;

/// The sticky cookie of a backend. Its values name servers ([`Server::cookie`](crate::config::Server)).
#[derive(Debug)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// What follows the value in a Set-Cookie line.
    attributes: String,
}

impl Cookie {
    /// As it is configured.
    pub fn new(sticky: &Sticky) -> Self {
        let empty = sticky.set_cookie("");
        let name = sticky.cookie.clone();
        let attributes = empty[name.len() + "=".len()..].to_owned();
        Cookie { name, attributes }
    }

    /// Makes `line` what follows `Set-Cookie: ` for the server that this value names.
    pub fn write(&self, value: &str, line: &mut String) {
        line.clear();
        for part in [&self.name, "=", value, &self.attributes] {
            line.push_str(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{parse, system_resolver};

    #[test]
    fn the_line_is_that_of_the_configuration() {
        let text = "[frontend.f]\nlisten = [\"[::1]:0\"]\nmode = \"http\"\nbackend = \"b\"\n\
                    [backend.b]\nservers = [{ name = \"s\", address = \"[::1]:1\" }]\n\
                    [backend.b.sticky]\ncookie = \"C\"\nmax_age = \"1h\"\n";
        let config = match parse("x.toml", text, &system_resolver) {
            Ok(loaded) => loaded.config,
            Err(report) => panic!("{report}"),
        };
        let sticky = config.backends[0].sticky.as_ref().unwrap();
        let mut line = "old".to_owned();
        Cookie::new(sticky).write("web=1", &mut line);
        assert_eq!(line, sticky.set_cookie("web=1"));
    }
}
