//! Text for a terminal of 80 columns.

use super::markdown::Block;

/// Columns of a line.
const WIDTH: usize = 80;

/// Columns before the text below a title.
const INDENT: usize = 2;

/// Columns between two columns of a table.
const GAP: usize = 2;

/// The whole of a topic.
pub(super) fn render(blocks: &[Block]) -> String {
    let mut text = String::new();
    for (index, block) in blocks.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| &blocks[before]);
        let is_next_item = matches!((before, block), (Some(Block::Item(_)), Block::Item(_)));
        if index > 0 && !is_next_item {
            text.push('\n');
        }
        match block {
            Block::Title(content) | Block::Heading(content) => fill(&mut text, "", "", content),
            Block::Paragraph(content) => fill(&mut text, "  ", "  ", content),
            Block::Item(content) => fill(&mut text, "  - ", "    ", content),
            Block::Table(rows) => table(&mut text, rows),
            Block::Code(lines) => {
                for line in lines.lines() {
                    text += format!("    {line}").trim_end();
                    text.push('\n');
                }
            }
        }
    }
    text
}

/// Adds a text in lines of at most 80 columns; the first one begins with `first`, others with `rest`.
pub fn fill(text: &mut String, first: &str, rest: &str, content: &str) {
    let options = options(WIDTH).initial_indent(first).subsequent_indent(rest);
    *text += &textwrap::fill(content, options);
    text.push('\n');
}

/// Words stay whole, also with a hyphen.
fn options(width: usize) -> textwrap::Options<'static> {
    textwrap::Options::new(width)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
}

/// Adds a table, with an empty line after each row if a row takes several lines.
fn table(text: &mut String, rows: &[Vec<String>]) {
    let widths = widths(rows);
    let mut lines = Vec::new();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| textwrap::wrap(cell, options(*width)))
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or_default();
        let line = |index: usize| {
            let mut line = " ".repeat(INDENT);
            for (cell, width) in cells.iter().zip(&widths) {
                let part = cell.get(index).map_or("", |part| part);
                line += &format!("{part:<width$}", width = width + GAP);
            }
            line.trim_end().to_owned() + "\n"
        };
        lines.push((0..height).map(line).collect::<Vec<_>>());
    }
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let rule = format!("{:INDENT$}{}\n", "", rule.join(&" ".repeat(GAP)));
    let is_loose = lines.iter().any(|row| row.len() > 1);
    for (index, row) in lines.iter().enumerate() {
        if index > 1 && is_loose {
            text.push('\n');
        }
        *text += &row.concat();
        if index == 0 {
            *text += &rule;
        }
    }
}

/// Columns of each column of a table: those of its longest cell, or fewer if it does not fit, but
/// not fewer than those of its longest word.
fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let count = rows.first().map_or(0, Vec::len);
    let longest = |index: usize, of: &dyn Fn(&str) -> usize| {
        let cells = rows.iter().filter_map(|row| row.get(index));
        cells.map(|cell| of(cell)).max().unwrap_or_default()
    };
    let columns = 0..count;
    let words = |cell: &str| cell.split(' ').map(textwrap::core::display_width).max();
    let least: Vec<usize> = columns
        .clone()
        .map(|index| longest(index, &|cell| words(cell).unwrap_or_default()))
        .collect();
    let mut widths: Vec<usize> = columns
        .clone()
        .map(|index| longest(index, &textwrap::core::display_width))
        .collect();
    let room = WIDTH - INDENT - GAP * count.saturating_sub(1);
    while widths.iter().sum::<usize>() > room {
        let shrinking = columns
            .clone()
            .filter(|index| widths[*index] > least[*index]);
        let Some(widest) = shrinking.max_by_key(|index| widths[*index]) else {
            break;
        };
        widths[widest] -= 1;
    }
    widths
}
