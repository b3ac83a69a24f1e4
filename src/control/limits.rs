//! How many sessions, buffers and kernel pipes this process may have.

use crate::config::Config;
use crate::io::host;

/// Descriptors for standard streams, rings, wakers, signals and the control plane, before workers
/// and listeners are counted.
const DESCRIPTORS_BASE: u64 = 64;

/// Descriptors of one worker: its ring and its waker.
const DESCRIPTORS_WORKER: u64 = 2;

/// Descriptors of a server that is checked: a probe, and the rest of the answer to the last one.
const DESCRIPTORS_CHECK: u64 = 2;

/// Servers that discovery may find are counted with at most this share of all open files: one eighth. Most
/// services have far fewer than `max_servers` replicas, and few probes take place at the same time.
const DISCOVERED_SHARE: u64 = 8;

/// Descriptors of the queries of one backend that are under way.
const DESCRIPTORS_DISCOVERY: u64 = 16;

/// Descriptors of a session: one for each side.
const DESCRIPTORS_SESSION: u64 = 2;

/// One kernel pipe, with two descriptors, for so many sessions: a pipe is held only while bytes
/// are in it.
const SESSIONS_PER_PIPE: u64 = 8;

/// Sessions that the tables of the workers can hold.
const SESSIONS_MAX: u64 = 1 << 24;

/// Share of the memory of the host, or of the control group, that all buffers together may take: one
/// eighth.
const MEMORY_SHARE: u64 = 8;

/// Limits of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions of all workers.
    pub sessions_max: u32,
    /// Kernel pipes of one worker.
    pub pipes_max: usize,
    /// Bytes of buffers of one worker.
    pub buffer_bytes_max: u64,
    /// Workers.
    pub workers: usize,
    memory: host::Memory,
    /// Open files that the process may have.
    files_max: u64,
    /// Sessions that the limit of open files allows.
    sessions_by_files: u32,
}

impl Limits {
    /// What `files_max` open files and the memory of this host or container allow. The admin listener has at
    /// most `admin_descriptors` of these files open.
    pub fn of(config: &Config, workers: usize, files_max: u64, admin_descriptors: u64) -> Self {
        // One for each worker, and a handle of the control plane on it.
        let frontends = config.frontends.iter();
        let listeners: usize = frontends.map(|frontend| frontend.listen.len()).sum();
        let backends = config.backends.iter();
        let checked = backends.filter(|backend| backend.health_check.is_some());
        let checked: usize = checked.map(|backend| backend.servers.len()).sum();
        let discovered = discovered(config).min(files_max / DISCOVERED_SHARE);
        let admin = config.admin.as_ref().map_or(0, |_| admin_descriptors);
        let reserve = DESCRIPTORS_BASE
            + workers as u64 * DESCRIPTORS_WORKER
            + checked as u64 * DESCRIPTORS_CHECK
            + discovered
            + (2 * listeners * workers) as u64
            + admin;
        let free = files_max.saturating_sub(reserve);
        // 2 for a session and 2/8 for its share of a pipe.
        let by_files = free * SESSIONS_PER_PIPE / (DESCRIPTORS_SESSION * SESSIONS_PER_PIPE + 2);
        let by_files = by_files.clamp(1, SESSIONS_MAX) as u32;
        let sessions_max = config.global.sessions_max.unwrap_or(by_files);
        let sessions_max = sessions_max.min(SESSIONS_MAX as u32);
        let memory = host::memory();
        let pipes = u64::from(sessions_max.min(by_files)) / SESSIONS_PER_PIPE;
        Limits {
            sessions_max,
            pipes_max: (pipes as usize / workers).max(1),
            buffer_bytes_max: memory.bytes / MEMORY_SHARE / workers as u64,
            workers,
            memory,
            files_max,
            sessions_by_files: by_files,
        }
    }

    /// Sessions that the limit of open files allows.
    pub fn sessions_by_files(&self) -> u32 {
        self.sessions_by_files
    }

    /// Says in the log what was found, and warns of a limit that can't be kept.
    pub fn report(&self, config: &Config) {
        if let Some(file) = &self.memory.bounded_by {
            log::info!(
                "buffers take at most {} MiB, an eighth of the {} MiB that {} allows",
                (self.memory.bytes / MEMORY_SHARE) >> 20,
                self.memory.bytes >> 20,
                file.display()
            );
        }
        match config.global.sessions_max {
            None if self.sessions_by_files == 1 => log::warn!(
                "max_sessions = 1: of {} open files hardly any are left for sessions (raise \
                 LimitNOFILE= or `ulimit -n`)",
                self.files_max
            ),
            None => log::info!(
                "max_sessions = {} (derived from {} open files)",
                self.sessions_max,
                self.files_max
            ),
            Some(wanted) if wanted > self.sessions_by_files => log::warn!(
                "max_sessions = {wanted} needs about {} open files, but the limit is {}: new \
                 sessions will pause at about {} (raise LimitNOFILE= or `ulimit -n`)",
                u64::from(wanted) * 9 / 4 + DESCRIPTORS_BASE,
                self.files_max,
                self.sessions_by_files
            ),
            Some(wanted) => log::info!("max_sessions = {wanted}"),
        }
    }
}

/// Descriptors for servers that discovery may find, and for finding them.
fn discovered(config: &Config) -> u64 {
    let backends = config.backends.iter();
    let each = backends.filter_map(|backend| {
        let servers = u64::from(backend.discover.as_ref()?.servers_max);
        let checks = match backend.health_check {
            Some(_) => servers * DESCRIPTORS_CHECK,
            None => 0,
        };
        Some(checks + DESCRIPTORS_DISCOVERY)
    });
    each.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn servers_that_may_come_are_counted_but_do_not_take_all() {
        let text = |keys: &str| {
            let text = format!(
                "[frontend.f]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"b\"\n\
                 [backend.b.discover]\ndns = \"web:80\"\nmax_servers = 500\n{keys}\n"
            );
            config::parse("x.toml", &text, &config::system_resolver)
                .unwrap()
                .config
        };
        let free = |keys: &str, files| {
            let limits = Limits::of(&text(keys), 2, files, 0);
            // 64 - 2 * 2 - 2 * 2 are for the process.
            files - 72 - u64::from(limits.sessions_max) * 9 / 4
        };
        let check = "[backend.b.health_check]";
        assert!((16..20).contains(&free("", 20_000)), "{}", free("", 20_000));
        assert!((1_016..1_020).contains(&free(check, 20_000)));
        assert!((128..132).contains(&free(check, 1_024)));
    }

    fn config(sessions_max: Option<u32>) -> Config {
        let mut config = config::Config::simple(
            &["127.0.0.1:0".to_string()],
            config::Algorithm::RoundRobin,
            &["127.0.0.1:1".to_string()],
            &config::system_resolver,
        )
        .unwrap();
        config.global.sessions_max = sessions_max;
        config
    }

    #[test]
    fn sessions_follow_from_open_files() {
        let limits = Limits::of(&config(None), 2, 20_000, 0);
        // 20,000 - 64 - 2 * 2 - 2 * 2 = 19,928 descriptors at 2.25 each.
        assert_eq!(limits.sessions_max, 8_856);
        assert_eq!(limits.pipes_max, 553);
    }

    #[test]
    fn a_written_limit_stands() {
        assert_eq!(Limits::of(&config(Some(5)), 2, 20_000, 0).sessions_max, 5);
        assert_eq!(
            Limits::of(&config(Some(50_000)), 2, 1_000, 0).sessions_max,
            50_000
        );
    }

    #[test]
    fn there_is_always_room_for_one() {
        let limits = Limits::of(&config(None), 64, 16, 0);
        assert_eq!(limits.sessions_max, 1);
        assert_eq!(limits.pipes_max, 1);
    }
}
