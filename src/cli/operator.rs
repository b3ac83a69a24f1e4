//! The commands for a running process, with their options.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use super::file::File;
use super::serving::ADMIN_SOCKET;
use crate::config::parse_duration;

const STATUS_EXAMPLES: &str = "\
Examples:
  ringway status
  ringway status --problems
  ringway status --backend app
  ringway status --json
  ringway status --admin http://10.0.0.5:8404 --token-file token";

const TOP_EXAMPLES: &str = "\
Examples:
  ringway top
  ringway top --interval 500ms

Servers with problems are on top, and each has its rates and the 99th percentile of its times.
Keys: up and down choose a server; s sorts, i inverts; / filters, p shows only problems;
d drains, m sets maint, r ready, after a question; ? shows all keys, q ends it.";

const DRAIN_EXAMPLES: &str = "\
Examples:
  ringway drain app/web1
  ringway drain app/web1 --wait --timeout 5m --reason 'kernel update'
  ringway drain app/web1 app/web2
  ringway drain --backend app --wait
  ringway drain app/web1 --nodes http://10.0.0.11:8404,http://10.0.0.12:8404 --token-file token

Exit status with --wait: 0 no session is left, 1 some are at the end of the time.
With --nodes: 1 if it failed on one of them; it is done on the others.";

const READY_EXAMPLES: &str = "\
Examples:
  ringway ready app/web1
  ringway ready app/web1 app/web2
  ringway ready --backend app";

const MAINT_EXAMPLES: &str = "\
Examples:
  ringway maint app/web1 --reason 'disk replaced'
  ringway maint app/web1 app/web2 --close-sessions
  ringway maint --backend app";

const WEIGHT_EXAMPLES: &str = "\
Examples:
  ringway weight app/web1 10
  ringway weight app/web1 0";

const ADD_EXAMPLES: &str = "\
Examples:
  ringway add app/web4 10.0.0.14:8080
  ringway add app/web4 10.0.0.14:8080 --weight 2 --max-sessions 500 --reason 'more load'
  ringway add app/spare 10.0.0.19:8080 --backup

It stays over reloads until it is removed, and with `state_file` over a restart.";

const REMOVE_EXAMPLES: &str = "\
Examples:
  ringway remove app/web4
  ringway remove app/web4 --now --reason 'host is gone'

Its open sessions go on, without --now. Only a server that was added can be removed.";

const SESSIONS_EXAMPLES: &str = "\
Examples:
  ringway sessions
  ringway sessions app/web1 --limit 1000
  ringway sessions --client 10.0.0.7 --json";

const CLIENTS_EXAMPLES: &str = "\
Examples:
  ringway clients
  ringway clients --top 100 --json

Only frontends with [frontend.NAME.per_client] count their clients.";

const KILL_EXAMPLES: &str = "\
Examples:
  ringway kill 0-12-48211034
  ringway kill --server app/web1
  ringway kill --client 10.0.0.7";

const RELOAD_EXAMPLES: &str = "\
Examples:
  ringway reload

Exit status: 0 the new configuration holds, 1 it is refused and the old one holds.";

const UPGRADE_EXAMPLES: &str = "\
Examples:
  ringway upgrade

After a new version was installed: the running process starts it, hands its listeners over and
finishes its sessions. For a process that systemd has started. Exit status: 0 the new process serves,
1 it does not and the old one serves on.";

const NODES_EXAMPLES: &str = "\
Examples:
  ringway nodes http://10.0.0.11:8404 http://10.0.0.12:8404 --token-file token
  ringway nodes http://lb1:8404 http://lb2:8404 --backend app --json

What is different on a node is red on a terminal, and named in the last line. All are asked at once.
Exit status: 0 all have answered, 1 one has not.";

const EVENTS_EXAMPLES: &str = "\
Examples:
  ringway events
  ringway events --no-follow
  ringway events --json";

const WHY_EXAMPLES: &str = "\
Examples:
  ringway why app/web1
  ringway why app/10.0.3.4:8080 --json

What took it down or up, its last 20 health checks, the sessions that failed with it, and who
ordered what. Of servers that are gone, the last 256 are remembered.";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  ringway explain 10.0.0.7
  ringway explain 10.0.0.7 --frontend web --cookie web1
  ringway explain 2001:db8::7 --frontend tls --sni shop.example.com --alpn h2 --json

As it is now: nothing is taken or counted, and the next connection gets what it would have got.";

const HEALTHCHECK_EXAMPLES: &str = "\
Examples:
  ringway healthcheck
  ringway healthcheck --ready --admin http://127.0.0.1:8404

For HEALTHCHECK of a container, and for scripts that move an address to another host.
Exit status: 0 it does, 1 it does not, or nobody answers: the reasons are printed.";

/// What operators ask of a running process.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show frontends and servers of the running process
    #[command(after_help = STATUS_EXAMPLES)]
    Status {
        /// The process
        #[command(flatten)]
        process: Process,
        /// Which part
        #[command(flatten)]
        part: Part,
        /// As JSON: all numbers, as /api/v1/stats answers, or that part of them
        #[arg(long)]
        json: bool,
    },
    /// Show the running process live in the terminal
    #[command(after_help = TOP_EXAMPLES)]
    Top {
        /// The process
        #[command(flatten)]
        process: Process,
        /// Time between two looks
        #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
        interval: Duration,
    },
    /// Give servers no new sessions but those that a cookie leads there
    #[command(after_help = DRAIN_EXAMPLES)]
    Drain(Leave),
    /// Give servers sessions again
    #[command(after_help = READY_EXAMPLES)]
    Ready(ServersChange),
    /// Give servers no new sessions at all, and do not check them
    #[command(after_help = MAINT_EXAMPLES)]
    Maint(Leave),
    /// Set the weight of a server
    #[command(after_help = WEIGHT_EXAMPLES)]
    Weight {
        /// The server
        #[command(flatten)]
        change: ServerChange,
        /// Its share among the servers of its backend, 0 to 256; 0: no new balanced sessions
        #[arg(value_parser = clap::value_parser!(u16).range(0..=256))]
        weight: u16,
    },
    /// Add a server to a backend of the running process
    #[command(after_help = ADD_EXAMPLES)]
    Add {
        /// The server
        #[command(flatten)]
        change: ServerChange,
        /// Where it is reached
        #[arg(
            value_name = "ADDRESS",
            help = "Where it is reached: IP:port, [IPv6]:port or host:port"
        )]
        address: String,
        /// Its share among the servers of its backend, 0 to 256 [default: 1]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=256))]
        weight: Option<u16>,
        /// Its sessions at once at most [default: no limit]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        max_sessions: Option<u32>,
        /// It is used only when no other server can be
        #[arg(long)]
        backup: bool,
    },
    /// Remove a server that was added
    #[command(after_help = REMOVE_EXAMPLES)]
    Remove {
        /// The server
        #[command(flatten)]
        change: ServerChange,
        /// Close its open sessions
        #[arg(long)]
        now: bool,
    },
    /// List open sessions, the oldest first
    #[command(after_help = SESSIONS_EXAMPLES)]
    Sessions {
        /// The process
        #[command(flatten)]
        process: Process,
        /// Only those of this server
        #[arg(value_name = "BACKEND/SERVER")]
        server: Option<ServerName>,
        /// Only those of this backend
        #[arg(long, value_name = "NAME", conflicts_with = "server", value_parser = name)]
        backend: Option<String>,
        /// Only those of this frontend
        #[arg(long, value_name = "NAME", value_parser = name)]
        frontend: Option<String>,
        /// Only those of clients with this address
        #[arg(long, value_name = "IP")]
        client: Option<IpAddr>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// As JSON: what /api/v1/sessions answers
        #[arg(long)]
        json: bool,
    },
    /// Show which clients have most sessions, and which are refused most
    #[command(after_help = CLIENTS_EXAMPLES)]
    Clients {
        /// The process
        #[command(flatten)]
        process: Process,
        /// At most so many of each
        #[arg(long, value_name = "N", default_value_t = 20)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
        top: u32,
        /// As JSON: what /api/v1/clients answers
        #[arg(long)]
        json: bool,
    },
    /// Close open sessions
    #[command(after_help = KILL_EXAMPLES)]
    Kill {
        /// The process
        #[command(flatten)]
        process: Process,
        /// Their names, as `ringway sessions` shows them
        #[arg(value_name = "ID", required_unless_present_any = ["server", "client"], value_parser = name)]
        ids: Vec<String>,
        /// All of this server
        #[arg(long, value_name = "BACKEND/SERVER", conflicts_with = "ids")]
        server: Option<ServerName>,
        /// All of clients with this address
        #[arg(long, value_name = "IP", conflicts_with_all = ["ids", "server"])]
        client: Option<IpAddr>,
    },
    /// Have the running process read its configuration file again
    #[command(after_help = RELOAD_EXAMPLES)]
    Reload {
        /// The process
        #[command(flatten)]
        process: Process,
    },
    /// Have the program as it is installed now take over from the running process, losing no session
    #[command(after_help = UPGRADE_EXAMPLES)]
    Upgrade {
        /// The process
        #[command(flatten)]
        process: Process,
    },
    /// Say whether the running process is alive, or ready for clients
    #[command(after_help = HEALTHCHECK_EXAMPLES)]
    Healthcheck {
        /// The process
        #[command(flatten)]
        process: Process,
        /// Ask whether it takes sessions and has a server for every backend, too
        #[arg(long)]
        ready: bool,
    },
    /// Show the processes of several nodes side by side, and what is different
    #[command(after_help = NODES_EXAMPLES)]
    Nodes {
        /// Their admin listeners
        #[arg(value_name = "SOCKET-OR-URL", required = true)]
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        nodes: Vec<String>,
        /// Only this backend; repeatable
        #[arg(id = "backends", long = "backend", value_name = "NAME", value_parser = name)]
        backends: Vec<String>,
        /// File with their token
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
        /// As JSON: the statistics of each node, and the names of what is different
        #[arg(long)]
        json: bool,
    },
    /// Say why a server gets sessions, or gets none
    #[command(after_help = WHY_EXAMPLES)]
    Why {
        /// The process
        #[command(flatten)]
        process: Process,
        /// The server
        #[arg(value_name = "BACKEND/SERVER")]
        server: ServerName,
        /// As JSON: what /api/v1/servers/BACKEND/SERVER/why answers
        #[arg(long)]
        json: bool,
    },
    /// Say which rules a new connection of a client would meet, and which server it would get
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain {
        /// The process
        #[command(flatten)]
        process: Process,
        /// The address of the client
        #[arg(value_name = "ADDRESS")]
        client: IpAddr,
        /// The frontend that it connects to; it may be left out if there is only one
        #[arg(long, value_name = "NAME", value_parser = name)]
        frontend: Option<String>,
        /// The value of the sticky cookie that it sends
        #[arg(long, value_name = "VALUE")]
        cookie: Option<String>,
        /// The name that its ClientHello asks for
        #[arg(long, value_name = "NAME")]
        sni: Option<String>,
        /// A protocol that its ClientHello offers; repeatable
        #[arg(long, value_name = "PROTOCOL")]
        alpn: Vec<String>,
        /// As JSON: what /api/v1/explain answers
        #[arg(long)]
        json: bool,
    },
    /// Show what happened last, and what happens
    #[command(after_help = EVENTS_EXAMPLES)]
    Events {
        /// The process
        #[command(flatten)]
        process: Process,
        /// End with what happened so far
        #[arg(long)]
        no_follow: bool,
        /// Only what is newer than the event of this number
        #[arg(long, value_name = "ID")]
        since: Option<u64>,
        /// One JSON object in each line
        #[arg(long)]
        json: bool,
    },
}

/// Which process is meant.
#[derive(Args, Debug)]
pub struct Process {
    /// Admin socket or URL of the process [default: what the configuration file says]
    #[arg(long, value_name = "SOCKET-OR-URL", env = ADMIN_SOCKET, hide_env_values = true)]
    pub admin: Option<String>,
    /// File with the token for actions over TCP [default: what the configuration file says]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Where its addresses are looked up
    #[command(flatten)]
    pub file: File,
}

/// A change of a server's state.
#[derive(Args, Debug)]
pub struct ServerChange {
    /// The process
    #[command(flatten)]
    pub process: Process,
    /// The server
    #[arg(value_name = "BACKEND/SERVER")]
    pub server: ServerName,
    /// Why: it is shown beside the state
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub reason: String,
}

/// Which part of the status is shown.
#[derive(Args, Debug)]
pub struct Part {
    /// Only what an operator should look at now
    #[arg(long)]
    pub problems: bool,
    /// Only this backend, with its servers and frontends
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub backend: Option<String>,
}

/// A change of the state of several servers.
#[derive(Args, Debug)]
pub struct ServersChange {
    /// The process
    #[command(flatten)]
    pub process: Process,
    /// The servers
    #[arg(value_name = "BACKEND/SERVER", required_unless_present = "backends")]
    pub servers: Vec<ServerName>,
    /// All servers of this backend; repeatable
    #[arg(id = "backends", long = "backend", value_name = "NAME", value_parser = name)]
    pub backends: Vec<String>,
    /// On each of these nodes, in place of the one that --admin names
    #[arg(long, value_name = "SOCKET-OR-URL,...", value_delimiter = ',')]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub nodes: Vec<String>,
    /// Why: it is shown beside the state
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub reason: String,
}

/// Servers take no new sessions.
#[derive(Args, Debug)]
pub struct Leave {
    /// The servers
    #[command(flatten)]
    pub change: ServersChange,
    /// Close their open sessions
    #[arg(long)]
    pub close_sessions: bool,
    /// Wait until no session of them is open
    #[arg(long)]
    pub wait: bool,
    /// For how long at most
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "wait")]
    #[arg(value_parser = duration)]
    pub timeout: Duration,
}

/// `BACKEND/SERVER`. A discovered server is named by its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerName {
    /// Name of the backend.
    pub backend: String,
    /// Name of the server.
    pub server: String,
}

impl FromStr for ServerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("a server is named BACKEND/SERVER, as in app/web1, and not `{text}`");
        let (backend, server) = text.split_once('/').ok_or_else(form)?;
        let backend = name(backend).map_err(|_| form())?;
        let server = match server.parse::<SocketAddr>() {
            // However it is written, the name is what Ringway writes.
            Ok(address) => address.to_string(),
            Err(_) => name(server).map_err(|_| form())?,
        };
        Ok(ServerName { backend, server })
    }
}

impl std::fmt::Display for ServerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.backend, self.server)
    }
}

/// A name as the configuration allows it.
fn name(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("a name is 1 to 64 of A-Z a-z 0-9 _ . -".to_owned())
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|problem| problem.to_string())
}

fn interval(text: &str) -> Result<Duration, String> {
    const MIN: Duration = Duration::from_millis(100);
    let interval = duration(text)?;
    if interval < MIN {
        return Err("at least 100ms, or the process would be asked too often".to_owned());
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_by_backend_and_name() {
        let name: ServerName = "app.v1/web-1".parse().unwrap();
        assert_eq!(
            (name.backend.as_str(), name.server.as_str()),
            ("app.v1", "web-1")
        );
        assert_eq!(name.to_string(), "app.v1/web-1");
        for (written, name) in [
            ("app/10.0.3.4:8080", "app/10.0.3.4:8080"),
            ("app/[fd00::4]:8080", "app/[fd00::4]:8080"),
            ("app/[FD00:0::4]:8080", "app/[fd00::4]:8080"),
        ] {
            let parsed: ServerName = written.parse().unwrap();
            assert_eq!(parsed.to_string(), name);
        }
        for wrong in [
            "web1",
            "app/",
            "/web1",
            "app/web 1",
            "a/b/c",
            "app/web1?x",
            "app/10.0.3.4:",
            "app/[fd00::4]",
            "app/web1:80",
            "",
        ] {
            let problem = wrong.parse::<ServerName>().unwrap_err();
            assert!(problem.contains("BACKEND/SERVER"), "{problem}");
        }
    }
}
