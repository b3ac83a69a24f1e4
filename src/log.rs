//! Where words go: messages to standard error, the access log to standard output.
//!
//! Workers never wait for either. They hand records to a thread of their own here, which formats
//! and writes them.

use std::cell::Cell;
use std::io::Write;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use env_logger::fmt::Formatter;
use log::kv::{Key, Value, VisitSource};
use log::{Log, Metadata, Record};

use crate::config::{AccessLog, Config};
use crate::logic::session::Side;
use crate::worker::{AccessRecord, LogMessage, LogSink};

/// Target of the access log's lines.
pub const ACCESS: &str = "access";

/// Batches that may wait for the writer. A batch is what one turn of one worker brings.
const BATCHES_MAX: usize = 1024;

/// How long the end of the process waits for the reader of the log.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);

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

    fn flush(&self) {
        self.access.flush();
        self.messages.flush();
    }
}

thread_local! {
    /// The form of the line that this thread writes next.
    static FORM: Cell<AccessLog> = const { Cell::new(AccessLog::Text) };
}

/// Sets logging up for the process. `RUST_LOG` chooses the messages (default `info`); a line of the
/// access log has the form that the configuration of its session says.
pub fn init() {
    let mut messages = env_logger::Builder::new();
    messages
        .parse_filters(&std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_string()))
        .target(env_logger::Target::Stderr)
        .format(|out, record| {
            let time = out.timestamp_millis();
            writeln!(out, "[{time} {:<5}] {}", record.level(), record.args())
        });
    let mut lines = env_logger::Builder::new();
    lines
        .filter_level(log::LevelFilter::Info)
        .target(env_logger::Target::Stdout)
        .format(|out, record| match FORM.get() {
            AccessLog::Json => json_line(out, record),
            AccessLog::Text | AccessLog::Off => {
                let time = out.timestamp_millis();
                writeln!(out, "[{time}] {}", record.args())
            }
        });
    let split = Split {
        access: lines.build(),
        messages: messages.build(),
    };
    log::set_max_level(split.messages.filter().max(log::LevelFilter::Info));
    // A second call, as tests may make it, keeps the first logger.
    let _ = log::set_boxed_logger(Box::new(split));
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
    let time = out.timestamp_millis().to_string();
    fields.0.insert("time".to_string(), time.into());
    let _ = record.key_values().visit(&mut fields);
    writeln!(out, "{}", serde_json::Value::Object(fields.0))
}

/// The thread that writes what workers have to say.
pub struct Writer {
    sender: Sender<LogMessage>,
    /// Closed when the thread ends.
    ended: Receiver<()>,
}

impl Writer {
    /// Starts it. Workers' warnings are told to `warned` too.
    ///
    /// # Errors
    ///
    /// No thread could be made.
    pub fn start(warned: impl Fn(&str) + Send + 'static) -> std::io::Result<Self> {
        let (sender, receiver) = bounded(BATCHES_MAX);
        let (alive, ended) = bounded(0);
        std::thread::Builder::new()
            .name("log".to_string())
            .spawn(move || {
                write_all(&receiver, warned);
                drop::<Sender<()>>(alive);
            })?;
        Ok(Writer { sender, ended })
    }

    /// A worker's end.
    pub fn sink(&self) -> LogSink {
        LogSink::new(self.sender.clone())
    }

    /// Writes what is left, once the workers have ended. A reader that takes nothing is not waited
    /// for: the process ends without the rest.
    pub fn finish(self) {
        drop(self.sender);
        let _ = self.ended.recv_timeout(FINISH_TIMEOUT);
    }
}

fn write_all(receiver: &Receiver<LogMessage>, warned: impl Fn(&str)) {
    for message in receiver {
        match message {
            LogMessage::Warning(text) => {
                log::warn!("{text}");
                warned(&text);
            }
            LogMessage::Sessions(snapshot, records) => {
                FORM.set(snapshot.config.global.access_log);
                for record in &records {
                    write_access(record, &snapshot.config);
                }
            }
        }
    }
}

fn write_access(record: &AccessRecord, config: &Config) {
    let frontend = &config.frontends[usize::from(record.frontend)];
    let backend = &config.backends[frontend.backend];
    let server = record.server.map_or("<NOSRV>", |index| {
        backend.servers[usize::from(index)].name.as_str()
    });
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
        frontend.name, backend.name, summary.retries
    );
    // The fields of a line are known at compile time, so each mode has its own.
    macro_rules! line {
        ($text:expr $(, $field:ident = $value:expr)*) => {
            log::info!(
                target: ACCESS,
                client = client.as_str(),
                frontend = frontend.name.as_str(),
                backend = backend.name.as_str(),
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
    match &record.exchange {
        None => line!(text),
        Some(exchange) => {
            let status = match exchange.status {
                0 => -1,
                status => i32::from(status),
            };
            let (method, target) = (&*exchange.method, &*exchange.target);
            // A quote would end the field too early.
            let request = format!("{method} {target}").replace('"', "%22");
            let request = request.trim_end();
            line!(
                format_args!("{text} {status} \"{request}\""),
                status = status,
                method = method,
                target = target
            );
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
