//! Lines for systemd's journal: a priority before each, and no time, which the journal has itself.
//!
//! systemd names the journal's end of standard output and standard error in `JOURNAL_STREAM`
//! (systemd.exec(5)); a stream that was redirected elsewhere is another file.

use std::os::fd::AsFd;

use log::Level;

/// What stands before the text of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stamp {
    /// The time and the level, for whoever reads the stream itself.
    #[default]
    Time,
    /// The priority, for the journal.
    Priority,
}

impl Stamp {
    /// What the reader of this stream needs.
    pub fn of(stream: impl AsFd) -> Self {
        let named = std::env::var("JOURNAL_STREAM").unwrap_or_default();
        let file = rustix::fs::fstat(stream);
        match file {
            Ok(file) if is_journal(&named, file.st_dev, file.st_ino) => Stamp::Priority,
            Ok(_) | Err(_) => Stamp::Time,
        }
    }
}

/// Whether `named`, the value of `JOURNAL_STREAM`, is the file with this device and inode.
fn is_journal(named: &str, device: u64, inode: u64) -> bool {
    named == format!("{device}:{inode}")
}

/// The text as its reader needs it: for the journal with a priority before each line, because each is an
/// entry of its own there (sd-daemon(3)).
pub(super) fn prefixed(stamp: Stamp, level: Level, text: &str) -> String {
    match stamp {
        Stamp::Time => text.to_owned(),
        Stamp::Priority => {
            let priority = priority(level);
            let lines = text.split_inclusive('\n');
            lines.map(|line| format!("<{priority}>{line}")).collect()
        }
    }
}

/// The number that syslog(3) has for a level.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_gets_a_priority_for_each_line() {
        let text = "no such file\nname another\n";
        assert_eq!(
            prefixed(Stamp::Priority, Level::Warn, text),
            "<4>no such file\n<4>name another\n"
        );
        assert_eq!(prefixed(Stamp::Time, Level::Warn, text), text);
        let all = [Level::Error, Level::Info, Level::Debug, Level::Trace];
        assert_eq!(all.map(priority), [3, 6, 7, 7]);
    }

    #[test]
    fn only_the_named_file_is_the_journal() {
        assert!(is_journal("8:4711", 8, 4711));
        for named in ["", "8:47", "8", "9:4711", "8:4711:1"] {
            assert!(!is_journal(named, 8, 4711), "{named}");
        }
    }
}
