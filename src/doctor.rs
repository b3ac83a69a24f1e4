//! `ringway doctor`: what this host gives the balancer, and what to change.

mod configuration;
mod finding;
mod kernel_faults;

use std::path::Path;
use std::process::ExitCode;

use crate::config::EngineChoice;
use crate::console;
use crate::control::engine;
use crate::io::{Features, SetupError, System, host, probe};
use finding::{Finding, Level};

/// Listen queue that frontends ask for by default.
const BACKLOG: u64 = 4096;

/// Open files below which a busy balancer is too small.
const FILES_WANTED: u64 = 65_536;

/// Ports below which connects to one server may run out.
const PORTS_WANTED: u64 = 20_000;

/// Prints the report, of the configuration in `file` as well if there is one. Exit status 1 if the balancer
/// can't run here.
pub fn run(file: Option<&Path>) -> ExitCode {
    let engine = engine::choose(EngineChoice::Auto);
    let mut findings = vec![
        kernel(&host::kernel_release(), host::kernel_version()),
        io_uring(probe::try_ring()),
        epoll(System::try_one()),
        files(host::file_limits()),
        listen_queue(host::kernel_setting("/proc/sys/net/core/somaxconn")),
        ports(host::kernel_setting(
            "/proc/sys/net/ipv4/ip_local_port_range",
        )),
        cpus(host::cpus().len(), host::parallelism()),
        memory(&host::memory()),
    ];
    findings.extend(kernel_faults::findings(
        &host::kernel_release(),
        host::kernel_setting("/proc/sys/net/ipv4/tcp_migrate_req").as_deref(),
    ));
    findings.extend(file.into_iter().flat_map(configuration::findings));
    let mut text = String::new();
    for finding in &findings {
        let level = match finding.level {
            Level::Good => "ok    ",
            Level::Advice => "advice",
            Level::Bad => "FAILED",
        };
        text += &format!("{level}  {}\n", finding.text);
        if !finding.cure.is_empty() {
            text += &format!("        -> {}\n", finding.cure);
        }
    }
    let done = if findings.iter().any(|finding| finding.level == Level::Bad) {
        let what = file.map_or_else(|| "ringway".to_owned(), |file| file.display().to_string());
        text += &format!("\nThis host can't run {what} as it is.\n");
        ExitCode::FAILURE
    } else {
        if let Ok((engine, _)) = engine {
            text += &format!("\nThis host can run ringway, on {engine}.\n");
        }
        ExitCode::SUCCESS
    };
    console::exit_code(console::print(&text), done)
}

fn kernel(release: &str, version: (u32, u32)) -> Finding {
    let (major, minor) = probe::KERNEL_MIN;
    if version >= probe::KERNEL_MIN {
        Finding::good(format!("Linux {release}"))
    } else {
        Finding::advice(
            format!("Linux {release} is too old for io_uring: epoll takes its place"),
            format!("use Linux {major}.{minor} or newer"),
        )
    }
}

fn io_uring(tried: Result<Features, SetupError>) -> Finding {
    let error = match tried {
        Ok(features) => return Finding::good(format!("io_uring is allowed ({features})")),
        Err(error) => error,
    };
    let probe::Refusal { call, cause, cure } = probe::explain(&error);
    if probe::is_refusal(&error) {
        let text = format!("io_uring is refused ({call}): {cause}; epoll takes its place");
        Finding::advice(text, cure)
    } else {
        Finding::bad(format!("io_uring fails ({call}): {cause}"), cure)
    }
}

fn epoll(tried: Result<(), SetupError>) -> Finding {
    match tried {
        Ok(()) => Finding::good("epoll is allowed".to_string()),
        Err(SetupError { step, error }) => Finding::bad(
            format!("epoll fails ({step}: {error})"),
            "raise the limit of open files (LimitNOFILE=, `ulimit -n`) or of memory".to_string(),
        ),
    }
}

fn files((soft, hard): (u64, u64)) -> Finding {
    let text = format!("{hard} open files (soft limit {soft}, raised at start)");
    if hard >= FILES_WANTED {
        Finding::good(text)
    } else {
        Finding::advice(
            format!("{text}: room for about {} sessions", hard * 4 / 9),
            "set LimitNOFILE=1048576 in the unit, or raise `nofile` in /etc/security/limits.conf"
                .to_string(),
        )
    }
}

fn listen_queue(somaxconn: Option<String>) -> Finding {
    let max: u64 = somaxconn.and_then(|text| text.parse().ok()).unwrap_or(0);
    let text = format!("listen queues of up to {max} connections");
    if max >= BACKLOG {
        Finding::good(text)
    } else {
        Finding::advice(
            format!("{text}, less than the default backlog of {BACKLOG}"),
            format!("sysctl -w net.core.somaxconn={BACKLOG}"),
        )
    }
}

fn ports(range: Option<String>) -> Finding {
    let range = range.unwrap_or_default();
    let mut ends = range
        .split_whitespace()
        .map(|end| end.parse::<u64>().unwrap_or(0));
    let (low, high) = (ends.next().unwrap_or(0), ends.next().unwrap_or(0));
    let count = (high + 1).saturating_sub(low);
    let text = format!("{count} local ports for connections to each server ({low}-{high})");
    if count >= PORTS_WANTED {
        Finding::good(text)
    } else {
        Finding::advice(
            text,
            "sysctl -w net.ipv4.ip_local_port_range='1024 65535'".to_string(),
        )
    }
}

fn cpus(all: usize, parallelism: usize) -> Finding {
    Finding::good(if parallelism < all {
        format!(
            "{all} CPUs, of which the quota of the control group allows {parallelism}: as many \
             workers by default, not pinned"
        )
    } else {
        format!("{all} CPUs: as many workers by default")
    })
}

fn memory(memory: &host::Memory) -> Finding {
    let bound = match &memory.bounded_by {
        Some(file) => format!(", as {} allows", file.display()),
        None => String::new(),
    };
    Finding::good(format!(
        "{} MiB of memory{bound}: an eighth for buffers",
        memory.bytes >> 20
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kernel_is_told_and_a_new_one_is_good() {
        assert_eq!(kernel("5.15.0", (5, 15)).level, Level::Advice);
        assert_eq!(kernel("6.1.0", (6, 1)).level, Level::Good);
        assert_eq!(kernel("7.0.1", (7, 0)).level, Level::Good);
    }

    #[test]
    fn a_refused_ring_is_no_failure_and_a_shortage_is_one() {
        let fails = |errno| {
            io_uring(Err(SetupError {
                step: "io_uring_setup",
                error: std::io::Error::from_raw_os_error(errno),
            }))
        };
        let (eperm, enomem) = (1, 12);
        let refused = fails(eperm);
        assert_eq!(refused.level, Level::Advice);
        assert!(refused.text.contains("epoll takes its place"));
        assert_eq!(fails(enomem).level, Level::Bad);
        assert_eq!(io_uring(Ok(Features::default())).level, Level::Good);
        assert_eq!(epoll(Ok(())).level, Level::Good);
    }

    #[test]
    fn small_limits_are_told_with_their_cure() {
        assert_eq!(files((1024, 1_048_576)).level, Level::Good);
        let few = files((1024, 4096));
        assert_eq!(few.level, Level::Advice);
        assert!(few.cure.contains("LimitNOFILE"));
        let queue = listen_queue(Some("128".to_string()));
        assert_eq!(queue.level, Level::Advice);
        assert!(queue.cure.contains("somaxconn"));
        assert_eq!(listen_queue(Some("4096".to_string())).level, Level::Good);
        assert_eq!(ports(Some("32768\t60999".to_string())).level, Level::Good);
        let narrow = ports(Some("60000 60999".to_string()));
        assert_eq!(narrow.level, Level::Advice);
        assert!(narrow.text.starts_with("1000 local ports"));
    }

    #[test]
    fn the_bounds_of_a_container_are_told() {
        assert_eq!(cpus(2, 2).text, "2 CPUs: as many workers by default");
        let text = cpus(64, 2).text;
        assert!(text.contains("allows 2: as many workers"), "{text}");
        let of = |bounded_by: Option<&str>| {
            memory(&host::Memory {
                bytes: 256 << 20,
                bounded_by: bounded_by.map(Into::into),
            })
            .text
        };
        assert_eq!(of(None), "256 MiB of memory: an eighth for buffers");
        assert_eq!(
            of(Some("/x/memory.max")),
            "256 MiB of memory, as /x/memory.max allows: an eighth for buffers"
        );
    }
}
