//! How the program behaves, in topics: `ringway help TOPIC` and the manual page ringway(7).
//!
//! A topic is a file of this folder, in simple Markdown: a title, then headings, paragraphs, lists,
//! tables and code. `markdown` makes blocks of it, which `terminal` and `man` show. The keys of the
//! configuration are no topics: they are described beside their readers, in `config`. The texts
//! are what users may rely on: who changes what the program does changes its topic.

mod man;
mod markdown;
mod terminal;
#[cfg(test)]
mod tests;

pub use man::{inlines, man_page};
pub use terminal::fill;

/// One text about how the program behaves.
struct Topic {
    /// How `ringway help` calls it.
    name: &'static str,
    /// Its file.
    text: &'static str,
}

/// Topics by the names of their files.
macro_rules! topics {
    ($($name:literal),* $(,)?) => {
        &[$(Topic { name: $name, text: include_str!(concat!($name, ".md")) }),*]
    };
}

/// The topics, in the order of the manual page.
static TOPICS: &[Topic] = topics![
    "listeners",
    "unix-sockets",
    "proxy-protocol",
    "balancing",
    "connecting",
    "host-names",
    "discovery",
    "health",
    "relaying",
    "engines",
    "http-mode",
    "tls-mode",
    "shortages",
    "limits",
    "client-rules",
    "reloading",
    "stopping",
    "several-machines",
    "takeover",
    "privileges",
    "systemd",
    "server-states",
    "admin-listener",
    "statistics",
    "stats-page",
    "metrics",
    "stats-csv",
    "haproxy-socket",
    "access-log",
    "haproxy",
];

impl Topic {
    /// What it is about, in a few words: the first line of its file.
    fn title(&self) -> &'static str {
        let line = self.text.lines().next().unwrap_or_default();
        line.trim_start_matches("# ")
    }
}

/// The names and titles of all topics.
pub fn list() -> impl Iterator<Item = (&'static str, &'static str)> {
    TOPICS.iter().map(|topic| (topic.name, topic.title()))
}

/// What `ringway help` prints of a topic; `None`: there is none of this name.
pub fn help(name: &str) -> Option<String> {
    let topic = TOPICS.iter().find(|topic| topic.name == name)?;
    Some(terminal::render(&markdown::blocks(topic.text)))
}
