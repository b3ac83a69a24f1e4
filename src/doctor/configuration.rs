//! `ringway doctor -c FILE`: whether this host gives a configuration what it needs: ports, folders, the token,
//! names, limits.
//!
//! It looks with the rights of whoever runs it, and changes nothing: an address is bound for a moment, and not
//! listened on.

use std::net::SocketAddr;
use std::path::Path;

use rustix::fs::{Access, access};

use super::finding::Finding;
use crate::admin;
use crate::config::{self, Config, Listen, Loaded, Servers};
use crate::control::binding::{self, Refused};
use crate::control::limits::Limits;
use crate::control::owner;
use crate::io::{Listener, host};
use crate::serve;
use crate::token::Token;

/// Where systemd puts what `LoadCredential=` names, as long as the unit runs.
const CREDENTIALS: &str = "/run/credentials/";

/// What there is to say about a file.
pub(super) fn findings(path: &Path) -> Vec<Finding> {
    let shown = path.display();
    let checked = config::check(path, Servers::Resolve, &serve::resolve_host);
    let loaded = match checked {
        Ok(loaded) => loaded,
        Err(report) => {
            let count = match report.errors() {
                1 => "1 error".to_owned(),
                count => format!("{count} errors"),
            };
            let cure = format!("`ringway check {shown}` shows what to change");
            return vec![Finding::bad(format!("{shown} has {count}"), cure)];
        }
    };
    let mut findings = vec![match loaded.warnings.warnings() {
        0 => Finding::good(format!("{shown} is valid")),
        count => Finding::advice(
            format!("{shown} is valid, with warnings: {count}"),
            format!("`ringway check {shown}` shows them"),
        ),
    }];
    findings.extend(names(&loaded));
    findings.extend(listeners(&loaded.config));
    findings.extend(files(&loaded.config));
    findings.push(sessions(&loaded.config));
    findings
}

fn names(loaded: &Loaded) -> Vec<Finding> {
    let found = loaded.names.iter().map(|(name, addresses)| {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        Finding::good(format!("{name} is {}", addresses.join(", ")))
    });
    let discovery = serve::check_discovery(&loaded.config);
    let discovered = discovery.found.into_iter().map(Finding::good);
    let warnings = discovery.warnings.into_iter().map(|text| {
        let cure = "see `ringway help discovery`".to_owned();
        Finding::advice(text, cure)
    });
    found.chain(discovered).chain(warnings).collect()
}

fn listeners(config: &Config) -> Vec<Finding> {
    let frontends = config.frontends.iter().flat_map(|frontend| {
        let what = format!("frontend {}", frontend.name);
        let listens = frontend.listen.iter();
        listens.filter_map(move |listen| match listen {
            Listen::Address(address) => Some((what.clone(), *address)),
            // Whoever starts the process passes it; `files` looks at the folder of a Unix socket.
            Listen::Descriptor(_) | Listen::Systemd(_) | Listen::Unix(_) => None,
        })
    });
    let admin = config.admin.as_ref().and_then(|admin| admin.listen);
    let admin = admin.map(|address| ("the admin listener".to_owned(), address));
    let all = frontends.chain(admin);
    all.map(|(what, address)| listener(&what, address))
        .collect()
}

fn listener(what: &str, address: SocketAddr) -> Finding {
    let error = match Listener::check_free(address) {
        Ok(()) => return Finding::good(format!("{what} can listen on {address}")),
        Err(error) => error,
    };
    let owner = owner::of_address(address);
    if let Some(owner) = owner.as_ref().filter(|owner| owner.is_ringway()) {
        return Finding::good(format!("{what}: {owner} listens on {address} already"));
    }
    let refused = Refused { error, owner };
    Finding::bad(
        format!("{what} can't listen on {address}"),
        binding::refusal(&address, &refused),
    )
}

fn files(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for frontend in &config.frontends {
        for listen in &frontend.listen {
            if let Listen::Unix(path) = listen {
                findings.push(folder_of(&format!("frontend {}", frontend.name), path));
            }
        }
    }
    if let Some(file) = &config.global.state_file {
        findings.push(folder_of("state_file", file));
    }
    let Some(admin) = &config.admin else {
        return findings;
    };
    if let Some(socket) = &admin.socket {
        findings.push(folder_of("socket", socket));
    }
    if let Some(socket) = &admin.haproxy_socket {
        findings.push(folder_of("haproxy_socket", socket));
    }
    if let Some(file) = &admin.token_file {
        findings.push(match Token::read(file) {
            Ok(_) => Finding::good(format!("token_file {} has a token", file.display())),
            Err(_) if file.starts_with(CREDENTIALS) && !file.exists() => Finding::advice(
                format!(
                    "token_file {} is there only while the unit runs",
                    file.display()
                ),
                "its LoadCredential= names the file that the token comes from".to_owned(),
            ),
            Err(why) => {
                let (title, cure) = why.rsplit_once(": ").unwrap_or((&why, ""));
                Finding::bad(title.to_owned(), cure.to_owned())
            }
        });
    }
    findings
}

/// Whether a file can be made.
fn folder_of(key: &str, file: &Path) -> Finding {
    let folder = match file.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    };
    let shown = folder.display();
    if access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok() {
        return Finding::good(format!("{key}: this user may make files in {shown}"));
    }
    match folder.is_dir() {
        true => Finding::advice(
            format!("{key}: this user may not make files in {shown}"),
            "the user that the process runs as needs to: `ringway help privileges`".to_owned(),
        ),
        false => Finding::advice(
            format!("{key}: there is no folder {shown}"),
            format!(
                "`mkdir -p {shown}`; systemd makes it for a unit with RuntimeDirectory= or StateDirectory="
            ),
        ),
    }
}

fn sessions(config: &Config) -> Finding {
    let workers = config.global.workers.unwrap_or_else(host::parallelism);
    let (_, files) = host::file_limits();
    let possible = Limits::of(config, workers, files, admin::DESCRIPTORS_MAX).sessions_by_files();
    let cure = "raise the hard limit: LimitNOFILE= in the unit, or /etc/security/limits.conf";
    match config.global.sessions_max {
        Some(wanted) if wanted > possible => Finding::advice(
            format!("max_sessions is {wanted}, and {files} open files are enough for {possible}"),
            cure.to_owned(),
        ),
        None if possible == 1 => Finding::advice(
            format!("{files} open files are enough for one session at a time"),
            cure.to_owned(),
        ),
        Some(_) | None => Finding::good(format!("up to {possible} sessions at once")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    /// The findings for a file with this text.
    fn of(name: &str, text: &str) -> Vec<Finding> {
        let name = format!("ringway-doctor-{}-{name}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        let found = findings(&path);
        std::fs::remove_file(&path).unwrap();
        found
    }

    fn find<'f>(all: &'f [Finding], words: &str) -> &'f Finding {
        let found = all.iter().find(|finding| finding.text.contains(words));
        found.unwrap_or_else(|| panic!("{words}: {all:?}"))
    }

    #[test]
    fn an_invalid_file_is_one_finding() {
        let all = of("invalid", "[frontend.web]\n");
        assert_eq!((all.len(), all[0].level), (1, Level::Bad));
        assert!(all[0].cure.contains("ringway check"), "{all:?}");
    }

    #[test]
    fn what_a_file_needs_is_looked_at() {
        let address = |listener: std::net::TcpListener| listener.local_addr().unwrap();
        let free = address(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let held = held.local_addr().map(|address| (address, held)).unwrap();
        let text = format!(
            "[global]\nmax_sessions = 16_000_000\nstate_file = \"/nowhere/state.json\"\n\
             [admin]\nlisten = \"{free}\"\ntoken_file = \"/nowhere/token\"\nsocket = \"/tmp/x.sock\"\n\
             [frontend.web]\nlisten = [\"{}\", \"unix:/nowhere-else/web.sock\"]\nbackend = \"app\"\n\
             [backend.app]\nservers = [{{ name = \"a\", address = \"localhost:1\" }}]\n",
            held.0
        );
        let all = of("needs", &text);
        assert_eq!(find(&all, "the admin listener can").level, Level::Good);
        let refused = find(&all, "frontend web can't listen on");
        assert_eq!(refused.level, Level::Bad);
        assert!(refused.cure.contains("another"), "{refused:?}");
        assert_eq!(find(&all, "no folder /nowhere").level, Level::Advice);
        let folder = find(&all, "frontend web: there is no folder /nowhere-else");
        assert_eq!(folder.level, Level::Advice);
        assert_eq!(find(&all, "make files in /tmp").level, Level::Good);
        assert_eq!(find(&all, "token_file /nowhere/token").level, Level::Bad);
        assert!(find(&all, "localhost is ").text.contains("127.0.0.1"));
    }
}
