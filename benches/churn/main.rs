//! What it costs when all servers of a backend are replaced again and again: `scripts/churn.sh` builds this and the
//! program, and runs it.
//!
//! `churn RINGWAY [SERVERS [SECONDS [KEYS]]]` starts the program at the path RINGWAY with a backend of SERVERS
//! servers that a name server of this process has, and replaces all of them every second for SECONDS. KEYS are
//! further lines of the backend, such as a section `health_check`. Printed are, without and with changes:
//!
//! - the CPU time of the control plane (all threads but workers), in percent of a core,
//! - the CPU time of the workers for each replacement, which bounds the pause that one makes from above,
//! - the round trips of a client with an open session, in microseconds: a pause of the worker delays one,
//! - the resident memory, every ten seconds.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[path = "../../tests/support/name_server.rs"]
mod name_server;

use name_server::{Action, NameServer};

/// From one set of servers to the next.
const PERIOD: Duration = Duration::from_secs(1);

/// From one round trip of the client to the next.
const TRIP_PAUSE: Duration = Duration::from_millis(1);

/// The program, which ends with this.
struct Program {
    child: Child,
    address: SocketAddr,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    fn start(binary: &str, folder: &Path, port: u16, server: SocketAddr, keys: &str) -> Self {
        let text = format!(
            "[global]\nworkers = 1\n[frontend.web]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"app\"\n\
             [backend.app]\n{keys}\n[backend.app.discover]\nresolvers = [\"{server}\"]\n\
             dns = \"tasks.web:{port}\"\ninterval = \"200ms\"\nmax_servers = 10000\n"
        );
        let file = folder.join("ringway.toml");
        fs::write(&file, text).expect("a file");
        let mut command = Command::new(binary);
        command.arg("run").arg("-c").arg(&file);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut address = None;
        loop {
            let line = lines.next().expect("it is ready").expect("text");
            if let Some((_, rest)) = line.split_once("frontend web listens on ") {
                address = rest.parse().ok();
            }
            if line.contains("ringway is ready") {
                break;
            }
        }
        thread::spawn(move || lines.for_each(drop));
        Program {
            address: address.expect("an address"),
            child,
        }
    }

    /// CPU time of its workers and of all its other threads.
    fn cpu_times(&self) -> [Duration; 2] {
        let mut times = [Duration::ZERO; 2];
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        for task in tasks.expect("it runs").flatten() {
            let read = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let (name, stat) = (read("comm"), read("schedstat"));
            let nanos = stat.split(' ').next().and_then(|it| it.parse().ok());
            let is_other = usize::from(!name.starts_with("worker"));
            times[is_other] += Duration::from_nanos(nanos.unwrap_or(0));
        }
        times
    }

    /// Resident memory in KiB.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        number.expect("a number")
    }
}

/// The addresses of a set: each has others.
fn addresses(set: u32, count: u32) -> Vec<IpAddr> {
    let base = u32::from(Ipv4Addr::new(127, 16, 0, 0)) + (set % 200) * 0x1_0000;
    (0..count)
        .map(|at| Ipv4Addr::from(base + 1 + at).into())
        .collect()
}

/// Sends what it gets, on all addresses of loopback.
fn echo() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = stream.set_nodelay(true);
            thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    port
}

/// Round trips in one session, and short sessions beside them, which choose servers.
fn trips(address: SocketAddr, stop: &AtomicBool) -> Vec<Duration> {
    let open = || {
        let stream = TcpStream::connect(address).expect("it accepts");
        stream.set_nodelay(true).expect("an option");
        stream
    };
    let trip = |stream: &TcpStream| {
        let start = Instant::now();
        { stream }.write_all(b"x").expect("it is taken");
        let mut byte = [0];
        { stream }.read_exact(&mut byte).expect("it comes back");
        start.elapsed()
    };
    let stream = open();
    trip(&stream);
    let mut all = Vec::new();
    for count in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        if count.is_multiple_of(20) {
            trip(&open());
        }
        all.push(trip(&stream));
        thread::sleep(TRIP_PAUSE);
    }
    all
}

fn quantiles(mut trips: Vec<Duration>) -> String {
    trips.sort_unstable();
    let at = |share: f64| trips[((trips.len() - 1) as f64 * share) as usize].as_micros();
    let late = trips
        .iter()
        .filter(|trip| **trip > Duration::from_millis(1));
    format!(
        "round trips: p50 {} µs, p99 {} µs, p99.9 {} µs, max {} µs; {} of {} over 1 ms",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        late.count(),
        trips.len()
    )
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let binary = arguments.next().expect("the path of the program");
    let mut number = |default| {
        arguments
            .next()
            .map_or(default, |it| it.parse().expect("a number"))
    };
    let (count, seconds) = (number(1_000), number(60));
    let keys = arguments.next().unwrap_or_default();
    let folder = std::env::temp_dir().join(format!("ringway-churn-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let set = Arc::new(AtomicU32::new(0));
    let current = Arc::clone(&set);
    let name_server = NameServer::start(move |query| {
        let all = addresses(current.load(Ordering::SeqCst), count);
        Action::addresses(query, &all)
    });
    let program = Program::start(&binary, &folder, echo(), name_server.address, &keys);
    for is_changing in [false, true] {
        println!("{count} servers, all replaced each second: {is_changing}");
        let stop = Arc::new(AtomicBool::new(false));
        let (address, stopped) = (program.address, Arc::clone(&stop));
        let client = thread::spawn(move || trips(address, &stopped));
        let before = program.cpu_times();
        let start = Instant::now();
        for second in 1..=seconds {
            thread::sleep((start + PERIOD * second).saturating_duration_since(Instant::now()));
            if is_changing {
                set.fetch_add(1, Ordering::SeqCst);
            }
            if second % 10 == 0 {
                println!("  after {second} s: {} KiB", program.memory());
            }
        }
        let after = program.cpu_times();
        let took = start.elapsed();
        let [workers, control] = [0, 1].map(|of| after[of].saturating_sub(before[of]));
        stop.store(true, Ordering::Relaxed);
        let trips = client.join().expect("it does not panic");
        println!(
            "  control plane: {:.1} % of a core; workers: {} µs of CPU for each second",
            100.0 * control.as_secs_f64() / took.as_secs_f64(),
            (workers / seconds).as_micros()
        );
        println!("  {}", quantiles(trips));
    }
    drop(program);
    let _ = fs::remove_dir_all(&folder);
}
