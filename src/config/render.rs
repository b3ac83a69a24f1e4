//! Drawing a diagnostic: its line with a caret below, in the form that rustc made known.
//!
//! Whatever is in the line must be drawn sensibly: tabs, wide characters, control characters,
//! thousands of columns. Used by `error` for reports, and by checks that name a second location.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::problem::{Diagnostic, Problem, Severity, Span};

/// The lines of a text, found once for all diagnostics.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    /// Finds the lines of `text`.
    pub fn new(text: &'t str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(ends).collect(),
        }
    }

    /// The position after the last byte.
    pub fn end(&self) -> Span {
        self.text.len()..self.text.len()
    }

    /// The first line that has text and is no comment, without the space around it.
    pub fn first(&self) -> Span {
        let is_text = |line: &str| !line.is_empty() && !line.starts_with('#');
        let lines = (0..self.starts.len()).map(|index| self.line(index));
        let mut lines =
            lines.map(|(line, start)| (line.trim(), start + line.len() - line.trim_start().len()));
        let found = lines.find(|(line, _)| is_text(line));
        found.map_or(0..0, |(line, start)| start..start + line.len())
    }

    /// Index of the line that holds the byte at `offset`, from 0.
    pub fn index(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset) - 1
    }

    /// `line 14, column 1`, for messages that name a second location.
    pub fn location(&self, span: &Span) -> String {
        let (line, columns) = self.place(span);
        format!("line {line}, column {}", columns.start)
    }

    /// The number of the line of a span, from 1, and the columns of the part of the span in it, in
    /// characters from 1.
    pub fn place(&self, span: &Span) -> (usize, Span) {
        let (line, index, part) = self.locate(span);
        let column = |at: usize| line[..at].chars().count() + 1;
        (index + 1, column(part.start)..column(part.end))
    }

    /// The line with this index, without its line end, and where it starts.
    fn line(&self, index: usize) -> (&'t str, usize) {
        let start = self.starts[index];
        let end = self
            .starts
            .get(index + 1)
            .map_or(self.text.len(), |next| next - 1);
        let line = &self.text[start..end];
        (line.strip_suffix('\r').unwrap_or(line), start)
    }

    /// The first line of a span, its index, and the part of the span in it.
    ///
    /// A position on an empty line is moved to the end of the last line before it that has text,
    /// since there is nothing to show. Only the first line of a longer span is shown: it names the
    /// thing.
    fn locate(&self, span: &Span) -> (&'t str, usize, Span) {
        let mut index = self.index(span.start.min(self.text.len()));
        let (mut line, mut start) = self.line(index);
        while line.trim().is_empty() && index > 0 {
            index -= 1;
            (line, start) = self.line(index);
        }
        let inside = |offset: usize| {
            let mut at = offset.saturating_sub(start).min(line.len());
            while !line.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        (
            line,
            index,
            inside(span.start)..inside(span.end.max(span.start)),
        )
    }
}

/// One diagnostic, with its line and a caret below it.
pub(super) fn render(diagnostic: &Diagnostic, name: &str, lines: &Lines<'_>) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let Problem { title, cure } = &diagnostic.problem;
    let (line, index, part) = lines.locate(&diagnostic.span);
    let line = printable(line);
    let mark = AnnotationKind::Primary.span(part).label(cure.as_str());
    // Only that line is given to the renderer, which would otherwise read the whole file each time.
    let snippet = Snippet::source(line)
        .line_start(index + 1)
        .path(name)
        .annotation(mark);
    let group = level.primary_title(title.as_str()).element(snippet);
    let rendered = Renderer::plain().render(&[group]);
    rendered
        .lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Replaces the control characters that the renderer lets through, U+0080 to U+009F, which some
/// terminals apply_change. They have two bytes, as has what stands in for them, so that spans stay right.
fn printable(line: &str) -> String {
    const STAND_IN: char = '\u{b7}';
    let is_passed = |c: char| ('\u{80}'..='\u{9f}').contains(&c);
    line.chars()
        .map(|c| if is_passed(c) { STAND_IN } else { c })
        .collect()
}
