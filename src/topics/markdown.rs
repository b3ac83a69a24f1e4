//! The Markdown of the topics, as blocks.

use std::mem::take;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, TagEnd};

/// A part of a text. Code within it stands between backquotes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// The title of the whole text.
    Title(String),
    /// The title of what follows.
    Heading(String),
    Paragraph(String),
    /// An entry of a list.
    Item(String),
    /// Rows of as many cells as there are in the first one, which has the titles of the columns.
    Table(Vec<Vec<String>>),
    /// Lines that are shown as they are.
    Code(String),
}

/// The blocks of a text. What else Markdown has is left out; a test finds no topic that uses it.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    // What was read of blocks that have not ended yet.
    let (mut content, mut cells, mut rows) = (String::new(), Vec::new(), Vec::new());
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Text(text) => content += &text,
            Event::Code(code) => content += &format!("`{code}`"),
            Event::SoftBreak => content.push(' '),
            Event::End(TagEnd::Heading(HeadingLevel::H1)) => {
                blocks.push(Block::Title(take(&mut content)));
            }
            Event::End(TagEnd::Heading(_)) => blocks.push(Block::Heading(take(&mut content))),
            Event::End(TagEnd::Paragraph) => blocks.push(Block::Paragraph(take(&mut content))),
            Event::End(TagEnd::Item) => blocks.push(Block::Item(take(&mut content))),
            Event::End(TagEnd::CodeBlock) => blocks.push(Block::Code(take(&mut content))),
            Event::End(TagEnd::TableCell) => cells.push(take(&mut content)),
            Event::End(TagEnd::TableHead | TagEnd::TableRow) => rows.push(take(&mut cells)),
            Event::End(TagEnd::Table) => blocks.push(Block::Table(take(&mut rows))),
            _ => {}
        }
    }
    blocks
}
