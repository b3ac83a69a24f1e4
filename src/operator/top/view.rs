//! What is shown of the rows, and what keys change of it. It touches no terminal.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::rows::{COLUMNS, Row, STATE, Severity};
use crate::cli::ServerName;
use crate::operator::table::Table;

/// What keys mean now.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mode {
    Browse,
    /// They are text of the filter.
    Filter,
    /// `y` makes the change, every other key does not.
    Question(Change),
    Help,
}

/// A state that an operator wants for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub server: ServerName,
    pub state: &'static str,
}

/// What is to be done after a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyAction {
    /// Draw the screen as the view is now.
    Draw,
    /// Change the state of a server.
    Change(Change),
    /// End the program.
    End,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Heading,
    Selected,
    Error,
    Notice,
}

/// A line of the screen.
pub(super) type Line = (String, Style);

/// All keys, as `?` shows them.
const HELP: &[&str] = &[
    "up, down, k, j       the server above, below",
    "PgUp, PgDn, g, G     a page up, down; the first, the last",
    "s, S                 sort by the next, the last column; at first by STATE, problems on top",
    "i                    invert the order",
    "/                    filter by name, address, state or reason; Enter keeps it, Esc drops it",
    "p                    only servers with problems, or all",
    "d, m, r              drain, maint, ready for the server, after a question",
    "q, Ctrl-C            end",
    "",
    "NEW/S, IN/S and OUT/S are of the time since the last look, P99 of the last five to ten minutes.",
];

/// What is shown.
pub(super) struct View {
    sort: usize,
    inverted: bool,
    filter: String,
    only_problems: bool,
    /// The name of the selected server, so that it stays the same one when the order changes.
    selected: Option<String>,
    /// The first row that is seen.
    top: usize,
    /// Rows that fit.
    page: usize,
    mode: Mode,
    /// How the last change went, or why there is no answer.
    pub message: String,
}

impl View {
    pub fn new() -> Self {
        View {
            sort: STATE,
            inverted: false,
            filter: String::new(),
            only_problems: false,
            selected: None,
            top: 0,
            page: 1,
            mode: Mode::Browse,
            message: String::new(),
        }
    }

    /// The rows that are shown, in their order.
    fn shown<'r>(&self, rows: &'r [Row]) -> Vec<&'r Row> {
        let filter = self.filter.to_lowercase();
        let mut shown: Vec<&Row> = rows
            .iter()
            .filter(|row| row.is_found_by(&filter))
            .filter(|row| !self.only_problems || row.severity != Severity::Fine)
            .collect();
        let order = COLUMNS[self.sort].order;
        // Equal ones stay in the order of the configuration.
        shown.sort_by(|a, b| match self.inverted {
            false => order(a, b),
            true => order(b, a),
        });
        shown
    }

    /// The index of the selected server; 0, if it is not shown.
    fn selected_index(&self, shown: &[&Row]) -> usize {
        let at = shown
            .iter()
            .position(|row| Some(&row.name) == self.selected.as_ref());
        at.unwrap_or(0)
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent, rows: &[Row]) -> KeyAction {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return KeyAction::End;
        }
        self.message.clear();
        match std::mem::replace(&mut self.mode, Mode::Browse) {
            Mode::Browse => return self.browse(key.code, rows),
            Mode::Filter => self.type_filter(key.code),
            Mode::Question(change) if key.code == KeyCode::Char('y') => {
                return KeyAction::Change(change);
            }
            Mode::Question(change) => {
                self.message = format!("{} stays as it is", change.server);
            }
            Mode::Help => {}
        }
        KeyAction::Draw
    }

    fn type_filter(&mut self, code: KeyCode) {
        self.mode = Mode::Filter;
        match code {
            KeyCode::Char(c) => self.filter.push(c),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Enter => self.mode = Mode::Browse,
            KeyCode::Esc => {
                self.filter.clear();
                self.mode = Mode::Browse;
            }
            _ => {}
        }
    }

    fn browse(&mut self, code: KeyCode, rows: &[Row]) -> KeyAction {
        let shown = self.shown(rows);
        let page = self.page.max(1) as isize;
        let all = shown.len() as isize;
        match code {
            KeyCode::Char('q') | KeyCode::Esc => return KeyAction::End,
            KeyCode::Up | KeyCode::Char('k') => self.step(&shown, -1),
            KeyCode::Down | KeyCode::Char('j') => self.step(&shown, 1),
            KeyCode::PageUp => self.step(&shown, -page),
            KeyCode::PageDown => self.step(&shown, page),
            KeyCode::Home | KeyCode::Char('g') => self.step(&shown, -all),
            KeyCode::End | KeyCode::Char('G') => self.step(&shown, all),
            KeyCode::Char('s' | '>') => self.sort = (self.sort + 1) % COLUMNS.len(),
            KeyCode::Char('S' | '<') => {
                self.sort = (self.sort + COLUMNS.len() - 1) % COLUMNS.len();
            }
            KeyCode::Char('i') => self.inverted = !self.inverted,
            KeyCode::Char('p') => self.only_problems = !self.only_problems,
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            KeyCode::Char('d') => self.ask(&shown, "drain"),
            KeyCode::Char('m') => self.ask(&shown, "maint"),
            KeyCode::Char('r') => self.ask(&shown, "ready"),
            _ => {}
        }
        KeyAction::Draw
    }

    fn step(&mut self, shown: &[&Row], by: isize) {
        let at = self.selected_index(shown).saturating_add_signed(by);
        let row = shown.get(at.min(shown.len().saturating_sub(1)));
        self.selected = row.map(|row| row.name.clone());
    }

    fn ask(&mut self, shown: &[&Row], state: &'static str) {
        let Some(row) = shown.get(self.selected_index(shown)) else {
            self.message = "no server is shown".to_owned();
            return;
        };
        // The question is about this one, however the order changes meanwhile.
        self.selected = Some(row.name.clone());
        self.mode = Mode::Question(Change {
            server: row.server.clone(),
            state,
        });
    }

    /// The lines of the screen: `above`, then the rows that fit, then two lines about the selected one and the keys.
    pub fn lines(&mut self, above: Vec<String>, rows: &[Row], height: usize) -> Vec<Line> {
        let mut lines: Vec<Line> = above.into_iter().map(|line| (line, Style::Plain)).collect();
        if self.mode == Mode::Help {
            lines.extend(HELP.iter().map(|line| ((*line).to_owned(), Style::Plain)));
            lines.truncate(height.saturating_sub(1));
            lines.push(("any key: back".to_owned(), Style::Heading));
            return lines;
        }
        let shown = self.shown(rows);
        let selected = self.selected_index(&shown);
        self.page = height.saturating_sub(lines.len() + 3).max(1);
        self.top = self.top.clamp(
            (selected + 1).saturating_sub(self.page),
            selected.min(shown.len().saturating_sub(self.page)),
        );
        let seen = &shown[self.top.min(shown.len())..];
        let seen = &seen[..seen.len().min(self.page)];
        let mut cells = table(seen, self.sort, self.inverted).into_iter();
        lines.extend(cells.next().map(|head| (head, Style::Heading)));
        for (index, (line, row)) in cells.zip(seen).enumerate() {
            let style = match row.severity {
                _ if self.top + index == selected => Style::Selected,
                Severity::Error => Style::Error,
                Severity::Notice => Style::Notice,
                Severity::Fine => Style::Plain,
            };
            lines.push((line, style));
        }
        if shown.is_empty() {
            lines.push((self.nothing(rows.len()), Style::Plain));
        }
        lines.resize(height.saturating_sub(2), (String::new(), Style::Plain));
        lines.push((self.about(&shown, selected), Style::Plain));
        lines.push((self.keys(shown.len(), rows.len()), Style::Heading));
        lines
    }

    /// Why no row is shown.
    fn nothing(&self, all: usize) -> String {
        match (all, self.filter.is_empty()) {
            (0, _) => "there is no server".to_owned(),
            (_, true) => "no server has a problem: p shows all".to_owned(),
            (_, false) => format!("no server matches `{}`: / and Esc drop it", self.filter),
        }
    }

    fn about(&self, shown: &[&Row], selected: usize) -> String {
        if !self.message.is_empty() {
            return self.message.clone();
        }
        let row = shown.get(selected);
        row.map_or_else(String::new, |row| row.detail())
    }

    fn keys(&self, shown: usize, all: usize) -> String {
        match &self.mode {
            Mode::Question(change) => format!(
                "{} {}? y: yes, any other key: no",
                change.state, change.server
            ),
            Mode::Filter => format!("filter: {}_  (Enter keeps it, Esc drops it)", self.filter),
            Mode::Browse | Mode::Help => {
                let filter = match self.filter.as_str() {
                    "" => String::new(),
                    filter => format!(" /{filter}"),
                };
                let problems = if self.only_problems { " problems" } else { "" };
                format!(
                    "{shown} of {all}{problems}{filter} | s sort  / filter  p problems  d drain  m maint  r ready  \
                     ? help  q quit"
                )
            }
        }
    }
}

/// The head and a line for each row. The column that they are sorted by is marked.
fn table(rows: &[&Row], sort: usize, inverted: bool) -> Vec<String> {
    let mark = if inverted { '^' } else { 'v' };
    let heads: Vec<String> = (COLUMNS.iter().enumerate())
        .map(|(index, column)| match index == sort {
            true => format!("{}{mark}", column.head),
            false => column.head.to_owned(),
        })
        .collect();
    let columns = heads.iter().map(String::as_str);
    let columns: Vec<_> = columns
        .zip(COLUMNS.iter().map(|column| column.align))
        .collect();
    let mut table = Table::new(&columns);
    for row in rows {
        table.row(COLUMNS.iter().map(|column| (column.cell)(row)).collect());
    }
    table.lines()
}

#[cfg(test)]
mod tests;
