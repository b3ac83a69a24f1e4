//! Health checks in large numbers and under load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::clients::{ready, reset};
use crate::harness::Ringway;
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

#[test]
fn a_thousand_servers_are_probed_evenly_and_at_little_cost() {
    let times = Arc::new(Mutex::new(Vec::new()));
    let ports: Vec<_> = (0..50)
        .map(|_| {
            let times = Arc::clone(&times);
            Server::start(move |stream| {
                times.lock().expect("no panic").push(Instant::now());
                wait_for_end(stream);
            })
        })
        .collect();
    let mut setup = Setup::new().health_check("fall = 3");
    for index in 0..SERVERS {
        setup = setup.server(&format!("s{index}"), ports[index % 50].address());
    }
    let ringway = setup.start();
    // Whoever shares the machine may disturb two rounds, but not every two of six.
    let mut seen = Vec::new();
    while seen.len() < 3 {
        match even_and_cheap(&ringway, &times, ports[0].address()) {
            Ok(()) => break,
            Err(found) => seen.push(found),
        }
    }
    assert!(seen.len() < 3, "{seen:?}");
    assert!(!ringway.errors_so_far().contains("is down"));
}

/// Watches two rounds of probes of all servers, which arrive at `times`. The error says what is
/// wrong with them.
fn even_and_cheap(
    ringway: &Ringway,
    times: &Mutex<Vec<Instant>>,
    address: SocketAddr,
) -> Result<(), String> {
    const TENTHS: usize = 10;
    // The first round is over; the next begins within an interval.
    let start = Instant::now() + INTERVAL;
    let count_after = |since| {
        let times = times.lock().expect("no panic");
        times.iter().filter(|time| **time >= since).count()
    };
    eventually("a calm probe", || count_after(start) > 0);
    let (cpu, measured) = (ringway.cpu_time(), Instant::now());
    eventually("two rounds", || count_after(start) >= 2 * SERVERS);
    let (cpu, probes) = (ringway.cpu_time() - cpu, count_after(measured));
    let share = cpu.as_secs_f64() / measured.elapsed().as_secs_f64();
    // On a machine that is slow or busy the kernel alone may take more than that.
    let (probe, plain) = (cpu / probes as u32, plain_connect(address));
    if share >= 0.05 && probe >= 6 * plain {
        return Err(format!(
            "{share} of a core, {probe:?} for a probe, {plain:?} for the kernel"
        ));
    }

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
