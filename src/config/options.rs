//! What options of the command line set in a configuration, whether it comes from a file or from `simple`.
//!
//! The same rules as in a file; errors are sentences, since there is no line to show.

use std::path::Path;

use super::address::parse_admin;
use super::admin::{Admin, check_reach, check_socket_len, parse_page, same_path_problem};
use super::health_check::{CheckKind, HealthCheck, HttpCheck, parse_path};
use super::listen::{admin_conflict, admin_path_problem, admin_problem, canonical};
use super::problem::{Problem, shorten};
use super::resolve::resolve;
use super::units::{format_duration, parse_duration};
use super::{Config, Listen, Mode, Resolver, defaults};

impl Config {
    /// Puts the admin listener on `address`, written as in a file, whatever the file says; its other keys
    /// stay, but that it is read-only if that is wanted here.
    ///
    /// # Errors
    ///
    /// It can't be there: a frontend is, or it is beyond loopback, not read-only, and there is no token. Or it
    /// would be read-only and have a token.
    pub fn set_admin(
        &mut self,
        address: &str,
        read_only: bool,
        resolver: Resolver<'_>,
    ) -> Result<(), Problem> {
        let listen = canonical(resolve(&parse_admin(address)?, resolver)?)?;
        let written = self.admin.as_ref();
        let token = written.is_some_and(|admin| admin.token_file.is_some());
        let read_only = read_only || written.is_some_and(|admin| admin.read_only);
        if read_only && token {
            return Err(Problem::new(
                "it would be read-only, and [admin] has `token_file`",
                "leave --admin-read-only out, or remove `token_file`",
            ));
        }
        check_reach(&listen, token || read_only)?;
        for taken in self.frontends.iter().flat_map(|f| &f.listen) {
            if let Listen::Address(taken) = taken
                && admin_conflict(listen, *taken)
            {
                return Err(admin_problem(listen, *taken));
            }
        }
        let admin = self.admin.get_or_insert_with(|| Admin::on(listen));
        admin.listen = Some(listen);
        admin.read_only = read_only;
        Ok(())
    }

    /// The stats page has `path` too; there is an admin listener.
    ///
    /// # Errors
    ///
    /// It is no path, or one that the admin listener has already; or there is no admin listener.
    pub fn set_page(&mut self, path: &str) -> Result<(), Problem> {
        let page = parse_page(path)?;
        let admin = self.admin.as_mut();
        let admin = admin.ok_or_else(|| Problem::new("there is no page", "add --admin ADDR"))?;
        admin.page = Some(page);
        Ok(())
    }

    /// Opens the Unix socket of the admin listener at `path`, whatever the file says.
    ///
    /// # Errors
    ///
    /// The path is too long, or that of `haproxy_socket` or of a frontend.
    pub fn set_admin_socket(&mut self, path: &Path) -> Result<(), Problem> {
        check_socket_len(path, "the path")?;
        let written = self.admin.as_ref();
        if written.and_then(|admin| admin.haproxy_socket.as_deref()) == Some(path) {
            return Err(same_path_problem());
        }
        let mut taken = self.frontends.iter().flat_map(|it| &it.listen);
        if taken.any(|it| matches!(it, Listen::Unix(taken) if **taken == *path)) {
            return Err(admin_path_problem(path));
        }
        let admin = self.admin.get_or_insert_with(Admin::default);
        admin.socket = Some(path.to_owned());
        Ok(())
    }

    /// The servers of all backends are checked: in HTTP mode, and with a `path`, by a request for it (`/`
    /// unless it is named), else by a connection.
    ///
    /// # Errors
    ///
    /// It is no path.
    pub fn set_check(&mut self, path: Option<&str>) -> Result<(), Problem> {
        let is_http = |mode: &Mode| match mode {
            Mode::Http(_) => true,
            Mode::Tcp | Mode::Tls(_) => false,
        };
        let path = match path {
            Some(path) => Some(parse_path(path)?),
            None if self
                .frontends
                .iter()
                .any(|frontend| is_http(&frontend.mode)) =>
            {
                Some(defaults::CHECK_PATH.to_owned())
            }
            None => None,
        };
        let kind = match path {
            Some(path) => CheckKind::Http(HttpCheck::get(path)),
            None => CheckKind::Tcp,
        };
        for backend in &mut self.backends {
            backend.health_check = Some(HealthCheck::by(kind.clone()));
        }
        Ok(())
    }

    /// Open sessions may finish within this time after the first signal to stop, written as in a file.
    ///
    /// # Errors
    ///
    /// It is no duration, or out of bounds.
    pub fn set_shutdown_timeout(&mut self, text: &str) -> Result<(), Problem> {
        let timeout = parse_duration(text)?;
        let max = *defaults::SHUTDOWN_TIMEOUTS.end();
        if timeout > max {
            let title = format!("`{}` is too long", shorten(text));
            let cure = format!("write at most {}", format_duration(max));
            return Err(Problem::new(title, cure));
        }
        self.global.shutdown_timeout = timeout;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Algorithm};
    use std::io;
    use std::net::SocketAddr;
    use std::path::PathBuf;
    use std::time::Duration;

    fn no_names(_: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Err(io::Error::other("no such name"))
    }

    fn config(mode: &str) -> Config {
        let listen = ["127.0.0.1:80".to_owned()];
        let servers = ["10.0.0.1:80".to_owned()];
        let config = match mode {
            "http" => Config::simple_http(&listen, "SRV", Algorithm::First, &servers, &no_names),
            _ => Config::simple(&listen, Algorithm::First, &servers, &no_names),
        };
        config.unwrap()
    }

    /// The check of a file with these lines in the section.
    fn written(lines: &str) -> Option<HealthCheck> {
        let text = format!(
            "[frontend.f]\nlisten = [\"127.0.0.1:80\"]\nbackend = \"b\"\n\
             [backend.b]\nservers = [{{ name = \"s\", address = \"10.0.0.1:80\" }}]\n\
             [backend.b.health_check]\n{lines}\n"
        );
        let mut config = config::parse("x.toml", &text, &no_names).unwrap().config;
        config.backends.remove(0).health_check
    }

    #[test]
    fn a_check_is_that_of_a_section_with_the_same_words() {
        let cases = [
            ("tcp", None, ""),
            (
                "tcp",
                Some("/health"),
                "type = \"http\"\npath = \"/health\"",
            ),
            ("http", None, "type = \"http\""),
            ("http", Some("/a?b"), "type = \"http\"\npath = \"/a?b\""),
        ];
        for (mode, path, lines) in cases {
            let mut config = config(mode);
            assert_eq!(config.backends[0].health_check, None);
            config.set_check(path).unwrap();
            assert_eq!(config.backends[0].health_check, written(lines), "{lines}");
        }
        let problem = config("http").set_check(Some("health")).unwrap_err();
        assert!(problem.to_string().contains("begins with a slash"));
    }

    #[test]
    fn a_page_needs_a_listener_and_a_path() {
        let mut config = config("http");
        let problem = config.set_page("/haproxy_stats").unwrap_err();
        assert_eq!(problem.to_string(), "there is no page: add --admin ADDR");
        config.set_admin("127.0.0.1:9000", true, &no_names).unwrap();
        assert!(config.set_page("/metrics").is_err());
        config.set_page("/haproxy_stats").unwrap();
        let page = config.admin.unwrap().page;
        assert_eq!(page.as_deref(), Some("/haproxy_stats"));
    }

    #[test]
    fn a_socket_is_added_to_what_there_is() {
        let mut config = config("tcp");
        let long = "x".repeat(108);
        let problem = config.set_admin_socket(Path::new(&long)).unwrap_err();
        assert!(problem.to_string().contains("at most 107"), "{problem}");
        assert_eq!(config.admin, None);
        config.set_admin_socket(Path::new("/run/a")).unwrap();
        config.set_admin("127.0.0.1:9000", true, &no_names).unwrap();
        let admin = config.admin.unwrap();
        assert_eq!(admin.socket, Some(PathBuf::from("/run/a")));
        assert!(admin.listen.is_some() && admin.read_only);
    }

    #[test]
    fn the_admin_socket_has_a_path_of_its_own() {
        let mut config = config("tcp");
        config.admin = Some(Admin {
            haproxy_socket: Some(PathBuf::from("/run/haproxy")),
            ..Admin::default()
        });
        let frontend = Path::new("/run/frontend");
        config.frontends[0]
            .listen
            .push(Listen::Unix(frontend.into()));
        for (path, sentence) in [
            ("/run/haproxy", "are the same path"),
            ("/run/frontend", "a frontend and the admin listener"),
        ] {
            let problem = config.set_admin_socket(Path::new(path)).unwrap_err();
            assert!(problem.to_string().contains(sentence), "{problem}");
        }
        config.set_admin_socket(Path::new("/run/own")).unwrap();
    }

    #[test]
    fn a_time_to_finish_is_bounded_as_in_a_file() {
        let mut config = config("tcp");
        config.set_shutdown_timeout("8s").unwrap();
        assert_eq!(config.global.shutdown_timeout, Duration::from_secs(8));
        for (text, sentence) in [
            ("8", "write \"8s\""),
            ("101d", "at most 100d"),
            ("", "duration"),
        ] {
            let problem = config.set_shutdown_timeout(text).unwrap_err().to_string();
            assert!(problem.contains(sentence), "{problem}");
        }
    }
}
