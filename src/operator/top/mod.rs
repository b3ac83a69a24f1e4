//! `ringway top`: the process and its servers live, with what happens in a second.
//!
//! | Module | Concern |
//! | --- | --- |
//! | `rates` | what happens in a second |
//! | `rows` | the servers, by column |
//! | `view` | what is shown, what keys do |

mod rates;
mod rows;
mod view;

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, SystemTime};

use crossterm::event::Event;
use crossterm::style::{Attribute, Color};
use crossterm::{cursor, event, execute, queue, style, terminal};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::client::Client;
use super::document::{list, number};
use super::output::Failure;
use super::path;
use super::problems::servers_up;
use super::status::{self, state};
use crate::printable::Printable;
use rates::Rates;
use rows::rows;
use view::{Change, KeyAction, Line, Style, View};

/// Frontends that are shown at most: the lines are for servers.
const FRONTENDS_MAX: usize = 4;

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
    fn show(&self, lines: &[Line], (width, height): (u16, u16)) -> io::Result<()> {
        let mut out = io::stdout().lock();
        queue!(out, cursor::MoveTo(0, 0))?;
        for (row, (line, style)) in (0..height).zip(lines) {
            let line = Printable(line).to_string();
            let line: String = line.chars().take(width.into()).collect();
            queue!(out, cursor::MoveTo(0, row))?;
            match style {
                Style::Plain => {}
                Style::Heading => queue!(out, style::SetAttribute(Attribute::Bold))?,
                Style::Selected => queue!(out, style::SetAttribute(Attribute::Reverse))?,
                Style::Error => queue!(out, style::SetForegroundColor(Color::Red))?,
                Style::Notice => queue!(out, style::SetForegroundColor(Color::Yellow))?,
            }
            queue!(out, style::Print(line))?;
            if *style != Style::Plain {
                queue!(
                    out,
                    style::ResetColor,
                    style::SetAttribute(Attribute::Reset)
                )?;
            }
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
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::new("top needs a terminal: use `ringway status`"));
    }
    // Before the screen changes, so that what is wrong can be read.
    let stats = client.get("/api/v1/stats").await?;
    let screen = Screen::enter().map_err(broken)?;
    let (sender, answers) = mpsc::channel(1);
    let keys = read_keys().map_err(broken)?;
    tokio::select! {
        () = poll(client, interval, sender) => Ok(()),
        ended = show(client, &screen, stats, answers, keys) => ended,
    }
}

fn broken(error: io::Error) -> Failure {
    Failure::new(format!("the terminal can't be used: {error}"))
}

/// Asks again and again. No answer is no end: a process that is replaced or restarted comes back.
async fn poll(client: &Client, interval: Duration, answers: mpsc::Sender<Result<Value, Failure>>) {
    loop {
        tokio::time::sleep(interval).await;
        if answers
            .send(client.get("/api/v1/stats").await)
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Reads what the terminal sends, on a thread that ends with the process.
fn read_keys() -> io::Result<mpsc::Receiver<io::Result<Event>>> {
    let (sender, keys) = mpsc::channel(16);
    let read = move || {
        loop {
            let event = event::read();
            let is_last = event.is_err();
            if sender.blocking_send(event).is_err() || is_last {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("keys".to_owned())
        .spawn(read)?;
    Ok(keys)
}

async fn show(
    client: &Client,
    screen: &Screen,
    mut stats: Value,
    mut answers: mpsc::Receiver<Result<Value, Failure>>,
    mut keys: mpsc::Receiver<io::Result<Event>>,
) -> Result<(), Failure> {
    let mut rates = Rates::new(&stats);
    let mut view = View::new();
    let mut silent = false;
    loop {
        let shown = rows(&stats, &rates, SystemTime::now());
        let size = terminal::size().map_err(broken)?;
        let lines = view.lines(above(&stats, &rates), &shown, size.1.into());
        screen.show(&lines, size).map_err(broken)?;
        tokio::select! {
            Some(answer) = answers.recv() => match answer {
                Ok(newer) => {
                    stats = newer;
                    rates.update(&stats);
                    if std::mem::take(&mut silent) {
                        view.message.clear();
                    }
                }
                Err(why) => {
                    silent = true;
                    view.message = format!("no answer, it is asked again: {why}");
                }
            },
            event = keys.recv() => {
                let Some(event) = event else { return Ok(()) };
                if let Event::Key(key) = event.map_err(broken)? {
                    match view.key(key, &shown) {
                        KeyAction::Draw => {}
                        KeyAction::End => return Ok(()),
                        KeyAction::Change(change) => view.message = set_state(client, change).await,
                    }
                }
            }
        }
    }
}

/// The lines above the servers.
fn above(stats: &Value, rates: &Rates) -> Vec<String> {
    let mut lines = vec![
        status::process(&stats["process"]),
        format!("{}; {}", rates.line(), servers_up(stats)),
        String::new(),
    ];
    let mut frontends = status::frontends(stats).lines();
    let all = list(&stats["frontends"]).len();
    if all > FRONTENDS_MAX {
        frontends.truncate(FRONTENDS_MAX);
        let more = all + 1 - FRONTENDS_MAX;
        frontends.push(format!("and {more} more: `ringway status` has all"));
    }
    lines.extend(frontends);
    lines.push(String::new());
    lines
}

/// Sets the state of a server, and says how that went.
async fn set_state(client: &Client, change: Change) -> String {
    let Change {
        server: name,
        state: wanted,
    } = change;
    let body = json!({ "state": wanted, "reason": "ringway top" });
    match client.post(&path::server(&name), &body).await {
        Ok(server) => match server["warning"].as_str() {
            Some(warning) => format!("warning: {warning}"),
            None => format!(
                "{name} is {}, sessions open: {}",
                state(&server),
                number(&server["sessions"]["current"])
            ),
        },
        Err(why) => format!("error: {why}"),
    }
}
