//! Where words go: messages to standard error, the access log to standard output.
//!
//! No thread waits for either, but the two here that write. Whoever logs a message leaves it in a
//! queue; workers hand records of ended sessions to the other thread, which formats and writes
//! them.

mod journal;
mod queue;
mod tls_fields;

use std::cell::Cell;
use std::fmt::Display;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, Sender, bounded};
use env_logger::fmt::Formatter;
use log::kv::{Key, Value, VisitSource};
use log::{Level, Log, Metadata, Record};

use crate::config::{AccessLog, Config, Mode};
use crate::logic::session::Side;
use crate::printable::{self, Printable, percent_encoded};
use crate::privileges::{self, User};
use crate::timestamp::rfc3339;
use crate::worker::{AccessRecord, LogBatch, LogSink};
use journal::Stamp;
use queue::Queue;
use tls_fields::TlsFields;

/// Target of the access log's lines.
pub const ACCESS: &str = "access";

/// Batches that may wait for the writer. A batch is what one turn of one worker brings.
const BATCHES_MAX: usize = 1024;

/// How long the end of the process waits for the reader of the access log.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);

/// How long it waits for the reader of the messages.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// All that goes to standard error while the process serves.
static MESSAGES: Queue = Queue::new();

/// Lines for standard error that were dropped because nobody read it in time.
pub fn messages_dropped() -> u64 {
    MESSAGES.dropped()
}

/// Leaves a text of one or more lines for standard error as it is: a report, or why the process
/// ends. The journal is told that it is of this level.
pub fn print(level: Level, text: &dyn Display) {
    let text = format!("{}\n", Printable(text));
    MESSAGES.push(journal::prefixed(MESSAGES.stamp(), level, &text).into_bytes());
}

/// Where `env_logger` writes messages: one call for each, with all of it.
struct ToQueue;

impl Write for ToQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        MESSAGES.push(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Two loggers: one for the access log, one for everything else.
struct Split {
    access: env_logger::Logger,
    messages: env_logger::Logger,
}

impl Split {
    fn of(&self, metadata: &Metadata<'_>) -> &env_logger::Logger {
        if metadata.target() == ACCESS {
            &self.access
        } else {
            &self.messages
        }
    }
}

impl Log for Split {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.of(metadata).enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        self.of(record.metadata()).log(record);
    }

    /// Waits for the reader of the messages, but not for long.
    fn flush(&self) {
        MESSAGES.flush(FLUSH_TIMEOUT);
    }
}

thread_local! {
    /// The form of the line that this thread writes next.
    static FORM: Cell<AccessLog> = const { Cell::new(AccessLog::Text) };
}

/// Sets logging up for the process. `RUST_LOG` chooses the messages (default `info`); a line of the
/// access log has the form that the configuration of its session says. Panics are messages too. The
/// thread that writes is one of `user`.
///
/// # Errors
///
/// No thread could be made, or it could not become `user`.
pub fn init(user: Option<User>) -> io::Result<Flush> {
    let stamp = Stamp::of(rustix::stdio::stderr());
    MESSAGES.set_stamp(stamp);
    MESSAGES.start_writer(user, rustix::stdio::stderr())?;
    let mut messages = env_logger::Builder::new();
    messages
        .parse_filters(&std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_string()))
        .target(env_logger::Target::Pipe(Box::new(ToQueue)))
        .format(move |out, record| {
            let (level, text) = (record.level(), Printable(record.args()));
            match stamp {
                Stamp::Priority => {
                    write!(
                        out,
                        "{}",
                        journal::prefixed(stamp, level, &format!("{text}\n"))
                    )
                }
                Stamp::Time => {
                    let time = rfc3339(SystemTime::now());
                    writeln!(out, "[{time} {level:<5}] {text}")
                }
            }
        });
    let access_stamp = Stamp::of(rustix::stdio::stdout());
    let mut lines = env_logger::Builder::new();
    lines
        .filter_level(log::LevelFilter::Info)
        .target(env_logger::Target::Stdout)
        .format(move |out, record| match (FORM.get(), access_stamp) {
            (AccessLog::Json, _) => json_line(out, record),
            (AccessLog::Text | AccessLog::Off, Stamp::Time) => {
                let time = rfc3339(SystemTime::now());
                writeln!(out, "[{time}] {}", record.args())
            }
            (AccessLog::Text | AccessLog::Off, Stamp::Priority) => {
                writeln!(out, "{}", record.args())
            }
        });
    let split = Split {
        access: lines.build(),
        messages: messages.build(),
    };
    log::set_max_level(split.messages.filter().max(log::LevelFilter::Info));
    // A second call, as tests may make it, keeps the first logger.
    let _ = log::set_boxed_logger(Box::new(split));
    std::panic::set_hook(Box::new(report_panic));
    Ok(Flush(()))
}

/// While this exists, messages are taken; when it is dropped, those that wait are written, unless
/// nobody reads.
#[must_use]
pub struct Flush(());

impl Drop for Flush {
    fn drop(&mut self) {
        MESSAGES.flush(FLUSH_TIMEOUT);
    }
}

/// What the standard library writes to standard error itself, which may block.
fn report_panic(info: &std::panic::PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    let backtrace = std::backtrace::Backtrace::capture();
    let backtrace = match backtrace.status() {
        std::backtrace::BacktraceStatus::Captured => format!("\n{backtrace}"),
        _ => String::new(),
    };
    // Whatever `RUST_LOG` says.
    print(
        Level::Error,
        &format_args!("thread '{name}' {info}{backtrace}"),
    );
}

/// One JSON object: the time, then the record's fields in their order.
fn json_line(out: &mut Formatter, record: &Record<'_>) -> std::io::Result<()> {
    struct Fields(serde_json::Map<String, serde_json::Value>);

    impl<'kvs> VisitSource<'kvs> for Fields {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
            let value = match (value.to_i64(), value.to_borrowed_str()) {
                (Some(number), _) => number.into(),
                (None, Some(text)) => text.into(),
                (None, None) => value.to_string().into(),
            };
            self.0.insert(key.to_string(), value);
            Ok(())
        }
    }
    let mut fields = Fields(serde_json::Map::new());
    let time = rfc3339(SystemTime::now());
    fields.0.insert("time".to_string(), time.into());
    let _ = record.key_values().visit(&mut fields);
    let line = serde_json::Value::Object(fields.0).to_string();
    writeln!(out, "{}", printable::json(&line))
}

/// The thread that writes the access log.
pub struct Writer {
    sender: Sender<LogBatch>,
    /// Told of workers' warnings.
    warned: Arc<dyn Fn(String) + Send + Sync>,
    /// Closed when the thread ends.
    ended: Receiver<()>,
}

impl Writer {
    /// Starts it as `user`. Workers' warnings are passed to `warned`, which must not block.
    ///
    /// # Errors
    ///
    /// No thread could be made, or it could not become `user`.
    pub fn start(
        user: Option<User>,
        warned: impl Fn(String) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (sender, receiver) = bounded(BATCHES_MAX);
        let (alive, ended) = bounded(0);
        privileges::spawn(user, "access-log", move || {
            write_all(&receiver);
            drop::<Sender<()>>(alive);
        })?;
        let warned = Arc::new(warned);
        Ok(Writer {
            sender,
            warned,
            ended,
        })
    }

    /// A worker's end.
    pub fn sink(&self) -> LogSink {
        LogSink::new(self.sender.clone(), Arc::clone(&self.warned))
    }

    /// Writes what is left, once the workers have ended. A reader that takes nothing is not waited
    /// for: the process ends without the rest.
    pub fn finish(self) {
        drop(self.sender);
        let _ = self.ended.recv_timeout(FINISH_TIMEOUT);
    }
}

fn write_all(receiver: &Receiver<LogBatch>) {
    for LogBatch { snapshot, records } in receiver {
        FORM.set(snapshot.config.global.access_log);
        for record in &records {
            write_access(record, &snapshot.config);
        }
    }
}

fn write_access(record: &AccessRecord, config: &Config) {
    let frontend = &config.frontends[usize::from(record.frontend)];
    let backend = record.backend.map(|it| &config.backends[it as usize]);
    let backend = backend.map_or("-", |backend| backend.name.as_str());
    let server = record.server.as_ref();
    let server = server.map_or("<NOSRV>", |server| server.name.as_str());
    let client = record
        .client
        .map_or_else(|| "-".to_string(), |client| client.to_string());
    let summary = &record.summary;
    let code = summary.outcome.code().map(char::from);
    let mut code = String::from_iter(code);
    if let Some(exchange) = &record.exchange {
        code.extend(exchange.cookie_code().map(char::from));
    }
    let (wait, total) = (millis(summary.waited), millis(summary.total));
    let connect = summary.connect.map_or(-1, millis);
    let from_client = summary.bytes[Side::Client.index()];
    let from_server = summary.bytes[Side::Server.index()];
    let text = format!(
        "{client} {} {}/{server} {wait}/{connect}/{total} {from_client}/{from_server} {code} {}",
        frontend.name, backend, summary.retries
    );
    // The fields of a line are known at compile time, so each mode has its own.
    macro_rules! line {
        ($text:expr $(, $field:ident = $value:expr)*) => {
            log::info!(
                target: ACCESS,
                client = client.as_str(),
                frontend = frontend.name.as_str(),
                backend = backend,
                server = server,
                wait_ms = wait,
                connect_ms = connect,
                total_ms = total,
                bytes_from_client = from_client,
                bytes_from_server = from_server,
                code = code.as_str(),
                retries = summary.retries
                $(, $field = $value)*;
                "{}", $text
            )
        };
    }
    // Beside the client it says which balancer named it.
    let peer = frontend.accept_proxy.as_ref().and(record.peer);
    let peer = peer.map(|peer| peer.to_string());
    if let Mode::Tls(_) = frontend.mode {
        let tls = TlsFields::of(record.hello_info.as_deref(), frontend);
        let text = format_args!("{text} {tls}");
        let (sni, version) = (tls.sni.as_str(), tls.version.as_str());
        let (alpn, route) = (tls.alpn.as_str(), tls.route.as_str());
        return match &peer {
            None => line!(
                text,
                sni = sni,
                tls_version = version,
                alpn = alpn,
                route = route
            ),
            Some(peer) => line!(
                text,
                peer = peer.as_str(),
                sni = sni,
                tls_version = version,
                alpn = alpn,
                route = route
            ),
        };
    }
    match (&record.exchange, &peer) {
        (None, None) => line!(text),
        (None, Some(peer)) => line!(text, peer = peer.as_str()),
        (Some(exchange), _) => {
            let status = match exchange.status {
                0 => -1,
                status => i32::from(status),
            };
            let [method, target] = [&exchange.method, &exchange.target];
            let request = format!("{} {}", percent_encoded(method), percent_encoded(target));
            let request = request.trim_end();
            let [method, target] = [method, target].map(|bytes| String::from_utf8_lossy(bytes));
            let text = format_args!("{text} {status} \"{request}\"");
            let (method, target) = (&*method, &*target);
            match &peer {
                None => line!(text, status = status, method = method, target = target),
                Some(peer) => line!(
                    text,
                    peer = peer.as_str(),
                    status = status,
                    method = method,
                    target = target
                ),
            }
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
