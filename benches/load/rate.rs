//! Load at a fixed rate, whose latencies the kernel measures: `scripts/bench.sh` builds and runs it.
//!
//! `load-rate ADDRESS PATH RATE CONNECTIONS SECONDS [HEADER]...` sends RATE requests a second over so many
//! kept-alive connections for SECONDS, and prints one line as `scripts/bench/summary.lua` does for wrk, with
//! percentiles of the latencies in microseconds.
//!
//! A latency ends when the kernel received the last packet of the answer (`SO_TIMESTAMPNS`, socket(7)), so that
//! it does not contain the time that this program waits for its core. It begins when the request was sent, or,
//! if no connection was free when the request was due, at the time at which it was due: what stalls is charged
//! for the requests that had to wait (coordinated omission).

use std::collections::VecDeque;
use std::env;
use std::io::{IoSliceMut, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use rustix::event::{Timespec, epoll};

/// How long after the last request its answer may take.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The most events of one call of `epoll_wait`.
const EVENTS: usize = 64;

/// One kept-alive connection, which has one request under way at most.
struct Connection {
    stream: TcpStream,
    /// When the request began that is under way.
    began: Option<Duration>,
    /// What came of its answer: the head whole, then nothing.
    head: Vec<u8>,
    /// Bytes of the body that have not come, once the head has.
    missing: Option<usize>,
}

/// What the answers were.
#[derive(Default)]
struct Counts {
    /// Latencies in nanoseconds.
    latencies: Vec<u64>,
    /// Connections that ended or failed.
    broken: u64,
    /// Answers that were not 200.
    wrong_status: u64,
}

/// The wall clock, which the kernel's time stamps count on.
fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock that is set")
}

impl Connection {
    fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        setsockopt(&stream, sockopt::ReceiveTimestampns, &true)?;
        Ok(Self {
            stream,
            began: None,
            head: Vec::new(),
            missing: None,
        })
    }

    /// Sends a request. `due` is given if it waited for a connection.
    fn ask(&mut self, request: &[u8], due: Option<Duration>) -> std::io::Result<()> {
        self.began = Some(due.unwrap_or_else(now));
        self.head.clear();
        self.missing = None;
        self.stream.write_all(request)
    }

    /// Reads what there is. True once an answer is complete; its latency and status are counted then.
    fn read(&mut self, buffer: &mut [u8], counts: &mut Counts) -> Result<bool, ()> {
        loop {
            let mut space = nix::cmsg_space!(TimeSpec);
            let mut parts = [IoSliceMut::new(buffer)];
            let received = recvmsg::<()>(
                self.stream.as_raw_fd(),
                &mut parts,
                Some(&mut space),
                MsgFlags::empty(),
            );
            let (length, stamp) = match received {
                Ok(message) => {
                    let stamp = message
                        .cmsgs()
                        .map_err(drop)?
                        .find_map(|control| match control {
                            ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
                            _ => None,
                        });
                    (message.bytes, stamp)
                }
                Err(nix::errno::Errno::EAGAIN) => return Ok(false),
                Err(_) => return Err(()),
            };
            if length == 0 || self.began.is_none() {
                return Err(());
            }
            if self.take(&buffer[..length])? {
                let began = self.began.take().ok_or(())?;
                let ended = stamp.unwrap_or_else(now);
                counts
                    .latencies
                    .push(u64::try_from(ended.saturating_sub(began).as_nanos()).map_err(drop)?);
                if !self.head.starts_with(b"HTTP/1.1 200") {
                    counts.wrong_status += 1;
                }
                return Ok(true);
            }
        }
    }

    /// Takes bytes of an answer; true once it is complete.
    fn take(&mut self, bytes: &[u8]) -> Result<bool, ()> {
        let missing = match self.missing {
            Some(missing) => missing.checked_sub(bytes.len()).ok_or(())?,
            None => {
                self.head.extend_from_slice(bytes);
                let Some(end) = self.head.windows(4).position(|part| part == b"\r\n\r\n") else {
                    return Ok(false);
                };
                let text = std::str::from_utf8(&self.head[..end]).map_err(drop)?;
                let length: usize = text
                    .lines()
                    .filter_map(|line| line.split_once(':'))
                    .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                    .and_then(|(_, value)| value.trim().parse().ok())
                    .ok_or(())?;
                (end + 4 + length).checked_sub(self.head.len()).ok_or(())?
            }
        };
        self.missing = Some(missing);
        Ok(missing == 0)
    }
}

/// What to send, how often, for how long.
struct Plan {
    address: SocketAddr,
    request: Vec<u8>,
    rate: f64,
    connections: usize,
    time: Duration,
}

impl Plan {
    fn read(words: &[String]) -> Option<Self> {
        let [address, path, rate, connections, seconds, headers @ ..] = words else {
            return None;
        };
        let address: SocketAddr = address.parse().ok()?;
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n");
        for header in headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        let rate: f64 = rate.parse().ok().filter(|rate| *rate > 0.0)?;
        Some(Self {
            address,
            request: request.into_bytes(),
            rate,
            connections: connections.parse().ok().filter(|count| *count > 0)?,
            time: Duration::from_secs(seconds.parse().ok()?),
        })
    }

    /// When a request is due, from the start.
    fn due(&self, number: u64) -> Duration {
        Duration::from_secs_f64(number as f64 / self.rate)
    }

    /// How many requests are due after this time.
    fn due_by(&self, elapsed: Duration) -> u64 {
        ((self.rate * elapsed.min(self.time).as_secs_f64()) as u64 + 1).min(self.total())
    }

    fn total(&self) -> u64 {
        (self.rate * self.time.as_secs_f64()) as u64
    }
}

/// A run of a plan.
struct Run<'a> {
    plan: &'a Plan,
    poll: OwnedFd,
    connections: Vec<Connection>,
    /// Those without a request under way.
    free: VecDeque<usize>,
    /// Requests that were sent.
    sent: u64,
    /// Requests that were due while no connection was free, and those before them.
    waited: u64,
    counts: Counts,
    buffer: Vec<u8>,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan) -> std::io::Result<Self> {
        let mut run = Run {
            plan,
            poll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            connections: Vec::with_capacity(plan.connections),
            free: (0..plan.connections).collect(),
            sent: 0,
            waited: 0,
            counts: Counts::default(),
            buffer: vec![0; 256 * 1024],
        };
        let requests = usize::try_from(plan.total()).unwrap_or_default();
        run.counts.latencies.reserve(requests);
        for place in 0..plan.connections {
            let connection = run.open(place)?;
            run.connections.push(connection);
        }
        Ok(run)
    }

    /// Opens the connection of this place.
    fn open(&self, place: usize) -> std::io::Result<Connection> {
        let connection = Connection::open(self.plan.address)?;
        let data = epoll::EventData::new_u64(place as u64);
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&self.poll, &connection.stream, data, flags)?;
        Ok(connection)
    }

    /// Runs; returns how long it took.
    fn run(&mut self) -> std::io::Result<Duration> {
        let data = epoll::EventData::new_u64(0);
        let flags = epoll::EventFlags::empty();
        let mut events = [epoll::Event { flags, data }; EVENTS];
        let (started, started_at) = (Instant::now(), now());
        let total = self.plan.total();
        loop {
            let elapsed = started.elapsed();
            self.send_due(elapsed, started_at);
            let is_busy = self.free.len() < self.connections.len();
            if self.sent == total && (!is_busy || elapsed > self.plan.time + LAST_ANSWERS) {
                return Ok(elapsed);
            }
            // While all are busy only an answer ends the wait.
            let is_full = self.free.is_empty();
            let wait = match is_full || self.sent == total {
                true => Duration::from_millis(100),
                false => self.plan.due(self.sent).saturating_sub(started.elapsed()),
            };
            let wait = Timespec {
                tv_sec: wait.as_secs() as i64,
                tv_nsec: i64::from(wait.subsec_nanos()),
            };
            let ready = epoll::wait(&self.poll, &mut events, Some(&wait))?;
            if is_full {
                self.waited = self.plan.due_by(started.elapsed());
            }
            for event in &events[..ready] {
                self.read(event.data.u64() as usize)?;
            }
        }
    }

    /// Sends the requests that are due, as long as a connection is free.
    fn send_due(&mut self, elapsed: Duration, started_at: Duration) {
        while self.sent < self.plan.due_by(elapsed)
            && let Some(place) = self.free.pop_front()
        {
            let has_waited = self.sent < self.waited;
            let due = has_waited.then(|| started_at + self.plan.due(self.sent));
            if self.connections[place]
                .ask(&self.plan.request, due)
                .is_err()
            {
                self.counts.broken += 1;
            }
            self.sent += 1;
        }
    }

    /// Reads what has come on a connection. One that has failed is replaced; its request is lost.
    fn read(&mut self, place: usize) -> std::io::Result<()> {
        let connection = &mut self.connections[place];
        match connection.read(&mut self.buffer, &mut self.counts) {
            Ok(true) => self.free.push_back(place),
            Ok(false) => {}
            Err(()) => {
                self.counts.broken += 1;
                if connection.began.is_some() {
                    self.free.push_back(place);
                }
                self.connections[place] = self.open(place)?;
            }
        }
        Ok(())
    }
}

/// The latency that this share of the requests stays below, in microseconds.
fn percentile(sorted: &[u64], share: f64) -> u64 {
    let place = (sorted.len() as f64 * share) as usize;
    sorted
        .get(place.min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0)
        / 1000
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let Some(plan) = Plan::read(&words) else {
        eprintln!("usage: load-rate ADDRESS PATH RATE CONNECTIONS SECONDS [HEADER]...");
        return ExitCode::from(2);
    };
    // The sleep between two requests shall end when it is asked to, not 50 µs later.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    let done = Run::new(&plan).and_then(|mut run| run.run().map(|elapsed| (run.counts, elapsed)));
    let (mut counts, elapsed) = match done {
        Ok(done) => done,
        Err(error) => {
            eprintln!("load-rate: {error}");
            return ExitCode::FAILURE;
        }
    };
    counts.latencies.sort_unstable();
    let sorted = &counts.latencies;
    println!(
        "RESULT requests={} duration_us={} connect=0 read={} write=0 status={} timeout=0 p50_us={} p99_us={} p999_us={}",
        sorted.len(),
        elapsed.as_micros(),
        counts.broken,
        counts.wrong_status,
        percentile(sorted, 0.5),
        percentile(sorted, 0.99),
        percentile(sorted, 0.999),
    );
    ExitCode::SUCCESS
}
