//! Tables for terminals: columns as wide as what is in them, numbers to the right.

use std::collections::HashSet;

/// Which side of its column a cell is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Rows of cells below a heading.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
    /// Row and column of cells that are to be seen at once.
    marked: HashSet<(usize, usize)>,
}

/// A piece of a line, and whether it is marked.
pub(super) type Piece = (String, bool);

impl Table {
    /// Without rows.
    pub fn new(columns: &[(&str, Align)]) -> Self {
        let columns = columns.iter();
        Table {
            columns: columns
                .map(|(name, align)| ((*name).to_owned(), *align))
                .collect(),
            rows: Vec::new(),
            marked: HashSet::new(),
        }
    }

    /// Adds a row with a cell for each column.
    pub fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// Adds a row in which cells may be marked.
    pub fn marked_row(&mut self, cells: Vec<Piece>) {
        let (cells, marks): (Vec<_>, Vec<_>) = cells.into_iter().unzip();
        let row = self.rows.len();
        let marked = marks.into_iter().enumerate().filter(|(_, marked)| *marked);
        self.marked.extend(marked.map(|(column, _)| (row, column)));
        self.row(cells);
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Its lines, the heading first.
    pub fn lines(&self) -> Vec<String> {
        let text = |pieces: Vec<Piece>| pieces.into_iter().map(|(text, _)| text).collect();
        let lines = self.pieces().into_iter().map(text);
        lines
            .map(|line: String| line.trim_end().to_owned())
            .collect()
    }

    /// The same in pieces; of a marked cell only the text is marked, not the space around it.
    pub fn pieces(&self) -> Vec<Vec<Piece>> {
        let heading: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let rows = || std::iter::once(&heading).chain(&self.rows);
        let width = |column: usize| rows().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| width(column).unwrap_or(0))
            .collect();
        let line = |(index, row): (usize, &Vec<String>)| {
            let mut pieces = Vec::new();
            for (column, cell) in row.iter().enumerate() {
                let space = " ".repeat(widths[column] - cell.chars().count());
                // The heading is row 0 here.
                let marked = index > 0 && self.marked.contains(&(index - 1, column));
                let gap = if column > 0 { "  " } else { "" };
                let (before, after) = match self.columns[column].1 {
                    Align::Left => (String::new(), space),
                    Align::Right => (space, String::new()),
                };
                pieces.push((format!("{gap}{before}"), false));
                pieces.push((cell.clone(), marked));
                pieces.push((after, false));
            }
            pieces
        };
        rows().enumerate().map(line).collect()
    }
}

/// A number of bytes with three or four digits and a unit.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64;
    let mut unit = "";
    for name in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = name;
    }
    if value < 10.0 {
        format!("{value:.1} {unit}")
    } else {
        format!("{value:.0} {unit}")
    }
}

/// A time with its two largest units.
pub(super) fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{}m", minutes % 60),
        (_, _, _) => format!("{days}d{}h", hours % 24),
    }
}

/// The same for milliseconds.
pub(super) fn millis(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis}ms"),
        1_000..10_000 => format!("{:.1}s", millis as f64 / 1000.0),
        10_000.. => duration(millis / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let mut table = Table::new(&[("NAME", Align::Left), ("N", Align::Right)]);
        table.row(vec!["ä".into(), "5".into()]);
        table.row(vec!["longer".into(), "1000".into()]);
        assert_eq!(
            table.lines(),
            ["NAME       N", "ä          5", "longer  1000"]
        );
    }

    #[test]
    fn marks_are_around_the_text_alone() {
        let mut table = Table::new(&[("NAME", Align::Left), ("STATE", Align::Left)]);
        table.marked_row(vec![("a".into(), false), ("up".into(), true)]);
        assert_eq!(table.lines(), ["NAME  STATE", "a     up"]);
        let pieces = table.pieces();
        let marked = pieces.iter().flatten().filter(|(_, marked)| *marked);
        assert_eq!(marked.collect::<Vec<_>>(), [&("up".to_owned(), true)]);
    }

    #[test]
    fn sizes_and_times_are_short() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (10 * 1024, "10 KiB"),
            (3 << 30, "3.0 GiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        for (count, text) in [
            (0, "0ms"),
            (9_949, "9.9s"),
            (59_000, "59s"),
            (61_000, "1m1s"),
            (3_660_000, "1h1m"),
            (90_000_000, "1d1h"),
        ] {
            assert_eq!(millis(count), text);
        }
    }
}
