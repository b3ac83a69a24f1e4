//! Health checks in large numbers and under load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use socket2::{Domain, Socket, Type};

use crate::clients::{ready, reset};
use crate::harness::Ringway;
use crate::http::stats;
use crate::servers::{RefusingPort, Server, wait_for_end};
use crate::setup::Setup;
use crate::wait::{all_through, eventually};

/// Many servers, and how often each is probed.
const SERVERS: usize = 1_000;
const INTERVAL: Duration = Duration::from_secs(2);

/// CPU time of a connection that is reset at once, made without any of our code.
fn plain_connect(address: SocketAddr) -> Duration {
    const COUNT: u32 = 500;
    let cpu = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let before = cpu();
    for _ in 0..COUNT {
        reset(TcpStream::connect(address).expect("it listens"));
    }
    (cpu() - before) / COUNT
}

/// A thousand servers behind these fifty, with checks of this type.
fn a_thousand(ports: &[Server], check: &str) -> Setup {
    let mut setup = Setup::new().health_check("fall = 3").health_check(check);
    for index in 0..SERVERS {
        setup = setup.server(&format!("s{index}"), ports[index % 50].address());
    }
    setup
}

/// Whoever shares the machine may disturb two rounds of probes, but not every two of six.
fn in_one_of_three(mut watch: impl FnMut() -> Result<(), String>) {
    let mut seen = Vec::new();
    while seen.len() < 3 {
        match watch() {
            Ok(()) => return,
            Err(found) => seen.push(found),
        }
    }
    panic!("{seen:?}");
}

#[test]
fn a_thousand_servers_are_probed_evenly() {
    let times = Arc::new(Mutex::new(Vec::new()));
    let ports: Vec<_> = (0..50)
        .map(|_| {
            let times = Arc::clone(&times);
            Server::start(move |mut stream| {
                times.lock().expect("no panic").push(Instant::now());
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
                wait_for_end(stream);
            })
        })
        .collect();
    let ringway = a_thousand(&ports, r#"type = "http""#).start();
    in_one_of_three(|| even(&times));
    assert!(!ringway.errors_so_far().contains("is down"));
}

#[test]
fn a_thousand_servers_are_probed_at_little_cost() {
    let ports: Vec<_> = (0..50).map(|_| Server::hanging()).collect();
    let ringway = a_thousand(&ports, r#"type = "tcp""#).admin().start();
    in_one_of_three(|| cheap(&ringway, ports[0].address()));
    assert!(!ringway.errors_so_far().contains("is down"));
}

/// Watches two rounds of probes of all servers. The error says what they cost.
fn cheap(ringway: &Ringway, address: SocketAddr) -> Result<(), String> {
    let passed = || {
        let stats = stats(ringway.admin());
        let servers = stats["backends"][0]["servers"].as_array().cloned();
        let passed = servers.into_iter().flatten();
        let passed = passed.filter_map(|server| server["checks"]["passed"].as_u64());
        passed.sum::<u64>()
    };
    let before = passed();
    let (cpu, start) = (ringway.cpu_time(), Instant::now());
    all_through("two rounds", 2 * INTERVAL, || true);
    let (cpu, time) = (ringway.cpu_time() - cpu, start.elapsed());
    let probes = passed() - before;
    if probes < SERVERS as u64 {
        return Err(format!("{probes} probes in {time:?}"));
    }
    let share = cpu.as_secs_f64() / time.as_secs_f64();
    // On a machine that is slow or busy the kernel alone may take more than that.
    let (probe, plain) = (cpu / probes as u32, plain_connect(address));
    if share >= 0.05 && probe >= 6 * plain {
        return Err(format!(
            "{share} of a core, {probe:?} for a probe, {plain:?} for the kernel"
        ));
    }
    Ok(())
}

/// Watches two rounds of probes of all servers, which arrive at `times`. The error says what is
/// wrong with them.
fn even(times: &Mutex<Vec<Instant>>) -> Result<(), String> {
    const TENTHS: usize = 10;
    // The first round is over; the next begins within an interval.
    let start = Instant::now() + INTERVAL;
    let count_after = |since| {
        let times = times.lock().expect("no panic");
        times.iter().filter(|time| **time >= since).count()
    };
    eventually("two rounds", || count_after(start) >= 2 * SERVERS);

    let mut tenths = [0; TENTHS];
    for time in times.lock().expect("no panic").iter() {
        let Some(since) = time.checked_duration_since(start) else {
            continue;
        };
        let tenth = (since.as_millis() * TENTHS as u128 / INTERVAL.as_millis()) as usize;
        if tenth < 2 * TENTHS {
            tenths[tenth % TENTHS] += 1;
        }
    }
    let even = 2 * SERVERS / TENTHS;
    let close = |count: &usize| count.abs_diff(even) <= even / 4;
    if tenths.iter().all(close) {
        Ok(())
    } else {
        Err(format!("probes by tenths of the interval: {tenths:?}"))
    }
}

/// A server that serves one connection after the other, takes its time for each, and lets few wait.
fn small_server() -> SocketAddr {
    const BACKLOG: i32 = 4;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("a free port");
    socket.listen(BACKLOG).expect("a bound socket");
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut head = [0; 1024];
            let _ = stream.read(&mut head);
            all_through("a slow answer", Duration::from_millis(15), || true);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        }
    });
    address
}

#[test]
fn many_entries_do_not_overrun_small_servers() {
    const ENTRIES: usize = 200;
    let servers = [(); 3].map(|()| small_server());
    let mut setup = Setup::new()
        .admin()
        .health_check(r#"type = "http""#)
        .health_check("interval = \"3s\"\ntimeout = \"800ms\"");
    for index in 0..ENTRIES {
        setup = setup.server(&format!("s{index}"), servers[index % 3]);
    }
    let ringway = setup.start();
    eventually("every entry was probed twice", || {
        let stats = stats(ringway.admin());
        let entries = stats["backends"][0]["servers"].as_array().cloned();
        let mut passed = entries.into_iter().flatten();
        passed.all(|entry| entry["checks"]["passed"].as_u64() > Some(1))
    });
    assert!(!ringway.errors_so_far().contains("is down"));
}

#[test]
fn a_killed_server_fails_no_request_once_it_is_marked_down() {
    let answering = |mut stream: &TcpStream| {
        let mut question = [0; 4];
        while stream.read_exact(&mut question).is_ok() && stream.write_all(b"pong").is_ok() {}
    };
    let port = RefusingPort::new();
    let dying = Server::start_at(port.address(), answering);
    let living = Server::start(answering);
    let ringway = Setup::new()
        .defaults("retries = 0")
        .server("dying", port.address())
        .server("living", living.address())
        .health_check(r#"interval = "100ms""#)
        .health_check(r#"timeout = "100ms""#)
        .start();

    let (stop, address) = (AtomicBool::new(false), ringway.address());
    let request = || -> std::io::Result<()> {
        let mut stream = ready(TcpStream::connect(address)?);
        stream.write_all(b"ping")?;
        stream.read_exact(&mut [0; 4])
    };
    let failures = Mutex::new(Vec::new());
    let down_at = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let begun = Instant::now();
                    if request().is_err() {
                        failures.lock().expect("no panic").push(begun);
                    }
                }
            });
        }
        eventually("there is load", || dying.accepted() > 100);
        drop(dying);
        ringway.says("server app/dying is down: L4CON connection refused");
        let down_at = Instant::now();
        let before = living.accepted();
        eventually("the load goes on", || living.accepted() > before + 500);
        stop.store(true, Ordering::SeqCst);
        down_at
    });
    let failures = failures.into_inner().expect("no panic");
    let late = failures.iter().filter(|begun| **begun > down_at).count();
    assert_eq!(late, 0, "of {} failures", failures.len());
}

#[test]
fn failing_probes_leave_no_descriptor_open() {
    const PROBES: usize = 300;
    let servers = [
        Server::start(|_| {}),
        Server::hanging(),
        Server::start(|mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 503 Busy\r\n\r\n");
            wait_for_end(stream);
        }),
        Server::start(|mut stream| while stream.write_all(b"nonsense").is_ok() {}),
    ];
    let refusing = RefusingPort::new();
    let setup = || {
        let mut setup = Setup::new().server("refuse", refusing.address());
        for (index, server) in servers.iter().enumerate() {
            setup = setup.server(&format!("s{index}"), server.address());
        }
        setup
    };
    let idle = setup().start().descriptors();
    let ringway = setup()
        .health_check(r#"type = "http""#)
        .health_check(r#"interval = "20ms""#)
        .health_check(r#"timeout = "10ms""#)
        .start();
    eventually("many probes", || {
        servers.iter().all(|server| server.accepted() >= PROBES)
    });
    // Never more than a probe and the rest of an answer for each server, and sometimes none.
    let most = idle + 2 * (servers.len() + 1);
    all_through("few descriptors", Duration::from_millis(300), || {
        ringway.descriptors() <= most
    });
    eventually("none is left between probes", || {
        ringway.descriptors() <= idle
    });
}
