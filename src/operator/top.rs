//! `ringway top`: `ringway status` again and again, with what happens in a second.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant, SystemTime};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use crossterm::{cursor, event, execute, queue, style, terminal};
use serde_json::Value;

use super::client::Client;
use super::output::Failure;
use super::status::{self, list, number};
use super::table::bytes;
use crate::printable::Printable;

/// What is compared from one look to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    sessions: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl Totals {
    fn of(stats: &Value) -> Self {
        let sum = |name: &str| -> u64 {
            let frontends = list(&stats["frontends"]).iter();
            frontends.map(|frontend| number(&frontend[name])).sum()
        };
        Totals {
            sessions: number(&stats["process"]["sessions"]["total"]),
            bytes_in: sum("bytes_from_clients"),
            bytes_out: sum("bytes_from_servers"),
        }
    }

    /// A line of what came since `earlier`, for each second.
    fn rates(self, earlier: Self, passed: Duration) -> String {
        let rate = |now: u64, then: u64| {
            (now.saturating_sub(then) as f64 / passed.as_secs_f64().max(0.001)) as u64
        };
        format!(
            "{} sessions/s, in {}/s, out {}/s",
            rate(self.sessions, earlier.sessions),
            bytes(rate(self.bytes_in, earlier.bytes_in)),
            bytes(rate(self.bytes_out, earlier.bytes_out))
        )
    }
}

/// A terminal that shows a page, and is as it was when this is dropped.
struct Screen;

impl Screen {
    fn enter() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let screen = Screen;
        execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide)?;
        Ok(screen)
    }

    /// Replaces what is shown, cut to what fits.
    fn show(&self, lines: &[String]) -> io::Result<()> {
        let (width, height) = terminal::size()?;
        let mut out = io::stdout().lock();
        queue!(out, cursor::MoveTo(0, 0))?;
        for (row, line) in (0..height).zip(lines) {
            let line = Printable(line).to_string();
            let line: String = line.chars().take(width.into()).collect();
            queue!(out, cursor::MoveTo(0, row), style::Print(line))?;
            queue!(out, terminal::Clear(terminal::ClearType::UntilNewLine))?;
        }
        queue!(out, terminal::Clear(terminal::ClearType::FromCursorDown))?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = execute!(io::stdout(), cursor::Show, terminal::LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}

/// Shows it until a key ends it.
pub(super) async fn run(client: &Client, interval: Duration) -> Result<(), Failure> {
    let broken = |error: io::Error| Failure::new(format!("the terminal can't be used: {error}"));
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::new("top needs a terminal: use `ringway status`"));
    }
    // Before the screen changes, so that what is wrong can be read.
    let mut stats = client.get("/api/v1/stats").await?;
    let (mut totals, mut looked) = (Totals::of(&stats), Instant::now());
    let mut rates = String::new();
    let screen = Screen::enter().map_err(broken)?;
    loop {
        let mut lines = status::text(&stats, SystemTime::now());
        lines[1] = rates.clone();
        lines.insert(2, String::new());
        screen.show(&lines).map_err(broken)?;
        let ended = tokio::task::spawn_blocking(move || ends_within(interval)).await;
        if ended.unwrap_or(Ok(true)).map_err(broken)? {
            return Ok(());
        }
        stats = client.get("/api/v1/stats").await?;
        let now = Totals::of(&stats);
        rates = now.rates(totals, looked.elapsed());
        (totals, looked) = (now, Instant::now());
    }
}

/// Whether a key that ends it is pressed within this time.
fn ends_within(time: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + time;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if !event::poll(left)? {
            return Ok(false);
        }
        if let Event::Key(key) = event::read()?
            && ends(key)
        {
            return Ok(true);
        }
    }
}

fn ends(key: KeyEvent) -> bool {
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => true,
        KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rates_are_those_of_a_second() {
        let stats = |total: u64| {
            json!({
                "process": { "sessions": { "total": total } },
                "frontends": [
                    { "bytes_from_clients": total * 1024, "bytes_from_servers": 0 },
                    { "bytes_from_clients": total * 1024, "bytes_from_servers": total },
                ],
            })
        };
        let (earlier, now) = (Totals::of(&stats(10)), Totals::of(&stats(30)));
        let rates = now.rates(earlier, Duration::from_millis(500));
        assert_eq!(rates, "40 sessions/s, in 80 KiB/s, out 40 B/s");
        let restarted = earlier.rates(now, Duration::from_secs(1));
        assert_eq!(restarted, "0 sessions/s, in 0 B/s, out 0 B/s");
    }
}
