//! Options of the commands that serve.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Algorithm, EngineChoice, Global, format_duration};

/// The variable of the environment that stands for `--admin-socket`, and for `--admin` of the commands for a
/// running process: images set it.
pub const ADMIN_SOCKET: &str = "RINGWAY_ADMIN_SOCKET";

/// The variable of the environment that stands for `--shutdown-timeout`.
const SHUTDOWN_TIMEOUT: &str = "RINGWAY_SHUTDOWN_TIMEOUT";

/// Listeners and servers of a frontend and its backend that are given without a configuration file.
#[derive(Args, Debug)]
pub struct Pool {
    /// Address to listen on; repeatable
    #[arg(
        long,
        required = true,
        value_name = "ADDR",
        help = "Address to listen on, for example 0.0.0.0:8080 or [::]:8080; repeatable"
    )]
    pub listen: Vec<String>,
    /// How a server is chosen: round_robin, least_conn, random, source_hash or first
    #[arg(long, value_name = "ALG", default_value_t = Algorithm::RoundRobin, value_parser = balance)]
    pub balance: Algorithm,
    /// Check the servers, by a request for PATH (written after a space or after `=`); without PATH by a
    /// connection, and in HTTP mode by a request for /
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true)]
    pub check: Option<Option<String>>,
    /// How long open sessions may finish after SIGTERM
    #[arg(long, value_name = "TIME", env = SHUTDOWN_TIMEOUT, hide_env_values = true, default_value = shutdown_timeout())]
    pub shutdown_timeout: String,
    /// Servers
    #[arg(
        required = true,
        value_name = "SERVER",
        help = "Servers, each as IP:port, [IPv6]:port or host:port; dns:NAME:port for all that DNS finds"
    )]
    pub servers: Vec<String>,
}

/// Options that replace values of the configuration file.
#[derive(Args, Debug)]
pub struct Overrides {
    /// Worker threads [default: what the configuration says, else one per CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
    /// By which interface of the kernel workers move bytes: auto, io_uring, epoll [default: what the configuration says, else auto]
    #[arg(long, value_name = "ENGINE", value_parser = engine)]
    pub engine: Option<EngineChoice>,
    /// Address of the admin listener, on loopback unless it is read-only or there is a token [default: what the configuration says, else none]
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<String>,
    /// Let everybody who reaches the admin listener read, and nobody change anything over it
    #[arg(long, requires = "admin")]
    pub admin_read_only: bool,
    /// A second path of the stats page, such as /haproxy_stats [default: what the configuration says, else none]
    #[arg(long, value_name = "PATH", requires = "admin")]
    pub page: Option<String>,
    /// Unix socket of the admin listener, for the operators' commands [default: what the configuration says, else none]
    #[arg(long, value_name = "PATH", env = ADMIN_SOCKET, hide_env_values = true)]
    pub admin_socket: Option<PathBuf>,
}

/// What holds when nothing is written.
fn shutdown_timeout() -> String {
    format_duration(Global::default().shutdown_timeout)
}

pub(super) fn engine(name: &str) -> Result<EngineChoice, String> {
    one_of(EngineChoice::NAMES, name)
}

fn balance(name: &str) -> Result<Algorithm, String> {
    one_of(Algorithm::NAMES, name)
}

fn one_of<T: Copy>(choices: &[(&str, T)], name: &str) -> Result<T, String> {
    let chosen = choices.iter().find(|(known, _)| *known == name);
    chosen.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        format!("one of {} is needed", names.join(", "))
    })
}
