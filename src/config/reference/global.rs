//! The keys of `[global]`.

use super::super::page::quoted;
use super::super::{AccessLog, EngineChoice, Global, Pin, defaults};
use super::entry::{Default, Key, Kind, Section, Text, Value, duration, whole, words};

pub(super) const SECTION: Section = Section {
    kind: Kind::Global,
    path: "global",
    title: "[global]",
    about: "What concerns the process as a whole.",
    keys: KEYS,
    also: None,
    one_needed: &[],
};

const KEYS: &[Key] = &[
    Key {
        name: "workers",
        value: Value::IntegerOr("auto", || whole(&defaults::WORKERS)),
        meaning: "How many worker threads run; \"auto\" starts one for each CPU that the process \
                  may run on, or as many as its CPU quota allows.",
        default: Default::Value(|| quoted("auto")),
        example: "4",
        note: "A change needs a restart. `--workers N` on the command line wins over it.",
        ..Key::BASE
    },
    Key {
        name: "engine",
        value: Value::Choice(|| words(EngineChoice::NAMES)),
        meaning: "By which interface of the kernel workers move bytes. `io_uring`: the process does \
                  not start where the kernel refuses it. `epoll`: runs everywhere. `auto`: io_uring, \
                  or epoll with a warning where the kernel refuses io_uring or is older than 6.1.",
        default: Default::Value(|| quoted(Global::default().engine)),
        example: "\"io_uring\"",
        note: "A change needs a restart. `--engine ENGINE` on the command line wins over it. \
               `ringway help engines` says what each is good for.",
        ..Key::BASE
    },
    Key {
        name: "pin",
        value: Value::BooleanOr(Pin::AUTO),
        meaning: "Whether each worker runs on a CPU of its own. `auto`: if the process may use all CPUs \
                  of the host, there are more than two, and its CPU quota is not less.",
        default: Default::Value(|| Global::default().pin.to_string()),
        example: "true",
        note: "A change needs a restart. Pinned workers carry more where the host has nothing else to do, \
               and less where other programs want the same CPUs.",
        ..Key::BASE
    },
    Key {
        name: "max_sessions",
        value: Value::Integer(|| whole(&defaults::SESSIONS)),
        meaning: "How many sessions may be open at once, over all workers.",
        default: Default::Words("derived from the limit of open files"),
        example: "50000",
        ..Key::BASE
    },
    Key {
        name: "max_clients",
        value: Value::Integer(|| whole(&defaults::CLIENT_COUNTS)),
        meaning: "How many clients with limits are remembered at once, over all frontends.",
        default: Default::Value(|| defaults::CLIENTS.to_string()),
        example: "100000",
        note: "Each takes 60 to 100 bytes. Those that have been without a session for longest are \
               forgotten first, those with open sessions never.",
        ..Key::BASE
    },
    Key {
        name: "shutdown_timeout",
        value: Value::Duration(defaults::SHUTDOWN_TIMEOUTS),
        meaning: "How long open sessions may go on after the first signal to stop.",
        default: Default::Value(|| duration(Global::default().shutdown_timeout)),
        example: "\"1m\"",
        ..Key::BASE
    },
    Key {
        name: "shutdown_grace",
        value: Value::Duration(defaults::SHUTDOWN_TIMEOUTS),
        meaning: "How long the process still accepts connections after that signal, while \
                  `/readyz` already reports that it is not ready.",
        default: Default::Value(|| duration(Global::default().shutdown_grace)),
        example: "\"5s\"",
        ..Key::BASE
    },
    Key {
        name: "access_log",
        value: Value::Choice(|| words(AccessLog::NAMES)),
        meaning: "The form of the line that is logged for each ended session.",
        default: Default::Value(|| quoted(Global::default().access_log)),
        example: "\"json\"",
        ..Key::BASE
    },
    Key {
        name: "state_file",
        value: Value::Text(Text::FILE),
        meaning: "A file that keeps the administrative states and weights of servers, and the \
                  servers that were added, over a restart.",
        default: Default::Words("none: they are forgotten"),
        bounds: "the path of a regular file",
        example: "\"/var/lib/ringway/state.json\"",
        note: "A state holds as long as the server's entry in the configuration stays the same.",
        ..Key::BASE
    },
    Key {
        name: "user",
        value: Value::Text(Text::USER),
        meaning: "As whom the process serves, once everything is open that only root may open.",
        default: Default::Words("whoever starts it"),
        bounds: "a user of this host, or its number",
        example: "\"nobody\"",
        note: "Only root can name another user than the one that it runs as. A change needs a \
               restart.",
        ..Key::BASE
    },
    Key {
        name: "group",
        value: Value::Text(Text::USER),
        meaning: "The only group of the process; needs `user`.",
        default: Default::Words("that of `user`"),
        bounds: "a group of this host, or its number",
        example: "\"nogroup\"",
        note: "A change needs a restart.",
        ..Key::BASE
    },
];
