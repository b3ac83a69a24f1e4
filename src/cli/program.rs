//! The commands and options of the program.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::file::File;
use super::operator;
use super::serving::{Overrides, Pool, engine};
use crate::config::{self, EngineChoice};
use crate::topics;

/// The cookie of `ringway http` unless it is named.
const STICKY_COOKIE: &str = "RINGWAY";

/// A layer-4 TCP load balancer for Linux on io_uring, or on epoll where that is refused.
#[derive(Debug, Parser)]
#[command(name = "ringway", version, about, after_help = topics_and_examples(), disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  ringway demo
  ringway tcp --listen 127.0.0.1:8080 10.0.0.11:80 10.0.0.12:80
  ringway http --listen 127.0.0.1:8080 10.0.0.11:80 10.0.0.12:80
  ringway check -c ringway.toml && ringway run -c ringway.toml";

/// What `ringway help` shows below the commands.
fn topics_and_examples() -> String {
    let mut text = "Topics (ringway help TOPIC):\n".to_owned();
    for (name, title) in topics::list() {
        text += &format!("  {name:<16}  {title}\n");
    }
    let rules: Vec<&str> = config::rule_names().collect();
    text + &format!("  {}\n\n{EXAMPLES}", rules.join(", "))
}

const RUN_EXAMPLES: &str = "\
Examples:
  ringway run
  ringway run -c ringway.toml --workers 4 --admin 127.0.0.1:8404
  ringway run -c ringway.toml --takeover

SIGTERM or SIGINT: stop accepting, finish open sessions, exit. A second one: exit at once.
Messages go to standard error (RUST_LOG=debug for more), the access log to standard output.";

const CHECK_EXAMPLES: &str = "\
Examples:
  ringway check -c ringway.toml
  ringway check ringway.toml --print-effective
  ringway check - --no-resolve --format json < ringway.toml

Exit status: 0 the configuration is valid, 1 it is not, 2 wrong usage.";

const IMPORT_EXAMPLES: &str = "\
Examples:
  ringway import /etc/haproxy/haproxy.cfg -o ringway.toml && ringway check -c ringway.toml
  cat haproxy.cfg conf.d/*.cfg | ringway import - > ringway.toml

Variables of the environment are written out: set them as HAProxy has them.
What differs, and what is translated: ringway help haproxy

Exit status: 0 every line is translated or has a comment, 1 the file has errors
(the rest is translated), 2 wrong usage.";

const TCP_EXAMPLES: &str = "\
Examples:
  ringway tcp --listen 127.0.0.1:8080 10.0.0.11:80 10.0.0.12:80
  ringway tcp --listen 0.0.0.0:80 --check dns:tasks.web:8080
  ringway tcp --listen [::]:5432 --balance least_conn db1.internal:5432 db2.internal:5432";

const HTTP_EXAMPLES: &str = "\
Examples:
  ringway http --listen 127.0.0.1:8080 10.0.0.11:80 10.0.0.12:80
  ringway http --listen [::]:80 --cookie SRV --balance least_conn app1.internal:80 app2.internal:80
  ringway http --listen 0.0.0.0:80 --check /health --admin 0.0.0.0:9000 --admin-read-only \\
    --page /haproxy_stats dns:tasks.web:8080

A client that comes back with the cookie reaches the same server.";

const DEMO_EXAMPLES: &str = "\
Examples:
  ringway demo

Everything stays on loopback. Ctrl-C ends it.";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  ringway doctor
  ringway doctor -c /etc/ringway/ringway.toml

Exit status: 0 this host can run the balancer, 1 it can't.";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  ringway completions bash > /etc/bash_completion.d/ringway
  ringway completions zsh > /usr/local/share/zsh/site-functions/_ringway

In bash, zsh and fish, names of servers, backends and frontends are those of the running process.";

const MAN_EXAMPLES: &str = "\
Examples:
  ringway man | man -l -
  ringway man ringway.toml | man -l -
  ringway man ringway.7 | man -l -
  ringway man /usr/local/share/man/man1

ringway.toml.5 and ringway.7 go into the folder as well, or beside a folder man1 into man5 and man7.";

const SCHEMA_EXAMPLES: &str = "\
Examples:
  ringway schema > /usr/local/share/ringway/ringway.schema.json

Editors find it by the first line of a configuration file:
  #:schema /usr/local/share/ringway/ringway.schema.json";

const OPENAPI_EXAMPLES: &str = "\
Examples:
  ringway openapi > ringway.openapi.json

The admin listener has it as /api/v1/openapi.json.";

const HELP_EXAMPLES: &str = "\
Examples:
  ringway help run
  ringway help retries
  ringway help backend.health_check.interval
  ringway help durations
  ringway help balancing

The manual page ringway.toml(5) has all of the configuration: ringway man ringway.toml | man -l -
The manual page ringway(7) has all topics: ringway man ringway.7 | man -l -";

/// The argument of `ringway help`, for which completions offer all topics.
pub(crate) const HELP_TOPIC: &str = "topic";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run in the foreground with a configuration file
    #[command(after_help = RUN_EXAMPLES)]
    Run {
        /// The file
        #[command(flatten)]
        file: File,
        /// What is to hold instead of what the file says
        #[command(flatten)]
        overrides: Overrides,
        /// Take the listeners over from the running process, which then finishes its sessions and
        /// ends; by this admin socket [default: what the configuration says]
        #[arg(long, value_name = "SOCKET", num_args = 0..=1, require_equals = true)]
        takeover: Option<Option<PathBuf>>,
    },
    /// Validate a configuration file: prints every error of it
    #[command(after_help = CHECK_EXAMPLES)]
    Check {
        /// The file
        #[command(flatten)]
        file: File,
        /// The same without -c
        #[arg(value_name = "FILE", conflicts_with = "path")]
        #[arg(help = "Configuration file, without -c; - is standard input")]
        named: Option<PathBuf>,
        /// How it is checked and shown
        #[command(flatten)]
        options: CheckOptions,
    },
    /// Translate a configuration of HAProxy, with a comment on each line that has no exact translation
    #[command(after_help = IMPORT_EXAMPLES)]
    Import {
        /// The file of HAProxy; - is standard input
        #[arg(value_name = "FILE")]
        path: PathBuf,
        /// Where the configuration goes [default: standard output]
        #[arg(short = 'o', long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Balance TCP connections without a configuration file
    #[command(after_help = TCP_EXAMPLES)]
    Tcp {
        /// Listeners and servers
        #[command(flatten)]
        pool: Pool,
        /// What is to hold instead of the defaults
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Balance HTTP with a sticky cookie, without a configuration file
    #[command(after_help = HTTP_EXAMPLES)]
    Http {
        /// Listeners and servers
        #[command(flatten)]
        pool: Pool,
        /// Name of the cookie that binds a client to its server
        #[arg(long, value_name = "NAME", default_value = STICKY_COOKIE)]
        cookie: String,
        /// What is to hold instead of the defaults
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Three small servers and the balancer before them, to try it out
    #[command(after_help = DEMO_EXAMPLES)]
    Demo {
        /// By which interface of the kernel workers move bytes: auto, io_uring, epoll
        #[arg(long, value_name = "ENGINE", value_parser = engine, default_value_t = EngineChoice::Auto)]
        engine: EngineChoice,
    },
    /// Say whether this host can run the balancer, and what to change
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor {
        /// Whether it can run this configuration here: ports, folders, token, names, limits
        #[arg(short = 'c', long = "config", value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Ask a running process
    #[command(flatten)]
    Operator(operator::Command),
    /// Print the script that completes this command line in a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        #[arg(required_unless_present = "candidates")]
        shell: Option<clap_complete::Shell>,
        /// For the scripts: the names that complete this line, of the process that runs, one in each line
        #[arg(long, value_name = "LINE", hide = true, conflicts_with = "shell")]
        candidates: Option<String>,
    },
    /// Print a manual page, or write all of them into a folder
    #[command(after_help = MAN_EXAMPLES)]
    Man {
        /// `ringway.toml` for the page of the configuration, `ringway.7` for that of the topics, or the
        /// folder [default: the page of the program]
        #[arg(value_name = "ringway.toml|ringway.7|FOLDER")]
        page: Option<PathBuf>,
    },
    /// Print the JSON Schema of the configuration, for editors
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema,
    /// Print the OpenAPI document of the admin listener's HTTP API
    #[command(after_help = OPENAPI_EXAMPLES)]
    Openapi,
    /// Print this message, or the help of a command, a topic, or a section or key of the configuration
    #[command(after_help = HELP_EXAMPLES)]
    Help {
        /// A command; a topic; a section, a key or a rule of the configuration
        #[arg(id = HELP_TOPIC, value_name = "COMMAND|TOPIC|KEY")]
        topic: Vec<String>,
    },
}

/// How a configuration is checked.
#[derive(Args, Debug)]
pub struct CheckOptions {
    /// Print the whole configuration with every value filled in, and where it comes from
    #[arg(long)]
    pub print_effective: bool,
    /// Do not look host names of servers up, and discover none
    #[arg(long)]
    pub no_resolve: bool,
    /// How to print what was found: json is for editors and scripts
    #[arg(long, value_enum, default_value_t = Format::Text, conflicts_with = "print_effective")]
    pub format: Format,
}

/// A form of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn http_is_tcp_with_a_cookie() {
        let arguments = ["--listen", "[::]:80", "--workers", "2", "a:1", "b:2"];
        let parse = |command| Cli::parse_from(["ringway", command].iter().chain(&arguments));
        let Command::Tcp { pool: tcp, .. } = parse("tcp").command else {
            panic!("another command")
        };
        let Command::Http {
            pool,
            cookie,
            overrides,
        } = parse("http").command
        else {
            panic!("another command")
        };
        assert_eq!((cookie.as_str(), overrides.workers), ("RINGWAY", Some(2)));
        assert_eq!((pool.listen, pool.servers), (tcp.listen, tcp.servers));
    }

    #[test]
    fn a_check_takes_a_path_and_leaves_servers_alone() {
        let parse = |arguments: &[&str]| {
            let start = ["ringway", "http", "--listen", "[::]:80"];
            let arguments = start.iter().chain(arguments).map(|word| (*word).into());
            match Cli::from_arguments(arguments).expect("valid").command {
                Command::Http { pool, .. } => (pool.check, pool.servers.join(" ")),
                _ => panic!("another command"),
            }
        };
        let health = || Some(Some("/health".to_owned()));
        assert_eq!(parse(&["a:1"]), (None, "a:1".to_owned()));
        assert_eq!(
            parse(&["--check", "a:1", "b:2"]),
            (Some(None), "a:1 b:2".to_owned())
        );
        assert_eq!(
            parse(&["--check", "/health", "a:1"]),
            (health(), "a:1".to_owned())
        );
        assert_eq!(
            parse(&["a:1", "--check=/health"]),
            (health(), "a:1".to_owned())
        );
        assert_eq!(parse(&["a:1", "--check"]), (Some(None), "a:1".to_owned()));
    }

    #[test]
    fn every_help_has_an_example() {
        let mut cli = Cli::command();
        for command in cli.get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            let example = format!("  ringway {}", command.get_name());
            assert!(help.contains(&example), "{help}");
        }
        assert!(cli.render_long_help().to_string().contains("Examples:"));
    }
}
