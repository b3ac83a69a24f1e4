//! What is wrong with a configuration: collected by all stages, counted, and put in order.
//!
//! Readers and checks push [`Diagnostic`]s, which carry byte spans; a [`Report`] is the finished
//! text, which `render` draws. Nothing here knows any rule of the configuration.

use std::fmt;
use std::ops::Range;

use super::problem::{Diagnostic, Problem, Severity, Span};
use super::render::{Lines, render};

/// More than this many errors are counted, but not shown: nobody reads them, and a file of garbage
/// would fill the screen and the log.
const SHOWN_MAX: usize = 500;

/// Collects the diagnostics of one file.
#[derive(Debug, Default)]
pub(super) struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds an error at `span`.
    pub fn error(&mut self, span: Span, problem: Problem) {
        self.list.push(Diagnostic {
            severity: Severity::Error,
            span,
            problem,
        });
    }

    /// Adds a warning at `span`.
    pub fn warning(&mut self, span: Span, problem: Problem) {
        self.list.push(Diagnostic {
            severity: Severity::Warning,
            span,
            problem,
        });
    }

    /// Keeps only those that `keep` accepts.
    pub fn retain(&mut self, keep: impl FnMut(&Diagnostic) -> bool) {
        self.list.retain(keep);
    }

    /// Whether there is any error; warnings do not count.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// The finished text, in the order of the file.
    pub fn into_report(mut self, name: &str, text: &str) -> Report {
        self.list.sort_by_key(|d| (d.span.start, d.span.end));
        let count = |severity| self.list.iter().filter(|d| d.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        let lines = Lines::new(text);
        let mut blocks: Vec<String> = self
            .list
            .iter()
            .take(SHOWN_MAX)
            .map(|d| render(d, name, &lines))
            .collect();
        if self.list.len() > SHOWN_MAX {
            blocks.push(format!("only the first {SHOWN_MAX} are shown"));
        }
        if let Some(summary) = summary(errors, warnings) {
            blocks.push(summary);
        }
        let place = |diagnostic: Diagnostic| {
            let (line, columns) = lines.place(&diagnostic.span);
            Finding {
                severity: diagnostic.severity,
                line: Some(line),
                columns,
                problem: diagnostic.problem,
            }
        };
        Report {
            text: blocks.join("\n\n"),
            errors,
            warnings,
            findings: self.list.into_iter().map(place).collect(),
        }
    }
}

/// All errors and warnings of one run, ready to be printed: its `Display` is the whole text,
/// without a final newline, and empty when there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    text: String,
    errors: usize,
    warnings: usize,
    findings: Vec<Finding>,
}

/// One error or warning and its place, for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether the file is refused for it.
    pub severity: Severity,
    /// The line, from 1; `None`: it is about the file as a whole.
    pub line: Option<usize>,
    /// The columns in the line, in characters, from 1; the end is the first that does not belong to it.
    pub columns: Range<usize>,
    /// What is wrong and what to do.
    pub problem: Problem,
}

impl Report {
    /// One sentence about a file that could not be looked into.
    pub(super) fn sentence(problem: &Problem) -> Self {
        Self {
            text: format!("error: {problem}"),
            errors: 1,
            warnings: 0,
            findings: vec![Finding {
                severity: Severity::Error,
                line: None,
                columns: 0..0,
                problem: problem.clone(),
            }],
        }
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// All of them, in the order of the file.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Report {}

/// `2 errors, 1 warning`; what there is none of is left out.
fn summary(errors: usize, warnings: usize) -> Option<String> {
    let count = |n: usize, what: &str| match n {
        0 => None,
        1 => Some(format!("1 {what}")),
        n => Some(format!("{n} {what}s")),
    };
    let parts: Vec<String> = [count(errors, "error"), count(warnings, "warning")]
        .into_iter()
        .flatten()
        .collect();
    if parts.is_empty() {
        None
    } else {
        Some(parts.join(", "))
    }
}
