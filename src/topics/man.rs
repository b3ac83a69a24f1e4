//! ringway(7), the manual page of all topics.

use roff::{Inline, Roff, bold, roman};

use super::markdown::{self, Block};
use super::{TOPICS, list};

/// The page in roff, for `man -l`.
pub fn man_page() -> String {
    let version = concat!("ringway ", env!("CARGO_PKG_VERSION"));
    let mut page = Roff::new();
    page.control("TH", ["ringway", "7", "", version]);
    page.control("SH", ["NAME"]);
    page.text([roman("ringway - how the load balancer ringway behaves")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text(inlines("`ringway help TOPIC` shows one of these topics:"));
    for (name, title) in list() {
        entry(&mut page, name, title);
    }
    for topic in TOPICS {
        page.control("SH", [topic.name.to_uppercase().as_str()]);
        for block in markdown::blocks(topic.text) {
            show(&mut page, &block);
        }
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([
        bold("ringway"),
        roman("(1), "),
        bold("ringway.toml"),
        roman("(5)"),
    ]);
    page.render()
}

fn show(page: &mut Roff, block: &Block) {
    match block {
        Block::Title(content) => {
            page.control("PP", []);
            page.text([bold(content.as_str())]);
        }
        Block::Heading(content) => {
            page.control("SS", [content.as_str()]);
        }
        Block::Paragraph(content) => {
            page.control("PP", []);
            page.text(inlines(content));
        }
        Block::Item(content) => {
            page.control("IP", ["-", "2"]);
            page.text(inlines(content));
        }
        Block::Table(rows) => table(page, rows),
        Block::Code(lines) => {
            page.control("PP", []);
            page.control("EX", []);
            for line in lines.lines() {
                page.text([roman(line)]);
            }
            page.control("EE", []);
        }
    }
}

/// An entry for each row; what stands in further columns begins with their titles.
fn table(page: &mut Roff, rows: &[Vec<String>]) {
    let Some((titles, rows)) = rows.split_first() else {
        return;
    };
    for row in rows {
        let mut cells = row.iter().zip(titles);
        let Some((name, _)) = cells.next() else {
            continue;
        };
        page.control("TP", []);
        page.text([bold(name.replace('`', ""))]);
        if row.len() == 2 {
            page.text(inlines(&row[1]));
            continue;
        }
        let cells = cells.filter(|(cell, _)| !cell.is_empty());
        for (index, (cell, title)) in cells.enumerate() {
            if index > 0 {
                page.control("br", []);
            }
            page.text(inlines(&format!("{title}: {cell}")));
        }
    }
}

fn entry(page: &mut Roff, name: &str, content: &str) {
    page.control("TP", []);
    page.text([bold(name)]);
    page.text(inlines(content));
}

/// What stands between backquotes is bold.
pub fn inlines(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    let inline = |(index, part): (usize, &str)| match index % 2 {
        0 => roman(part),
        _ => bold(part),
    };
    parts.map(inline).collect()
}
