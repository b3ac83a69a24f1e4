//! The texts are complete, and all of them can be shown.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use pulldown_cmark::{Event, Options, Parser, Tag};

use super::*;

#[test]
fn every_file_is_a_topic() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/topics");
    let paths = fs::read_dir(folder).expect("a folder");
    let paths = paths.map(|entry| entry.expect("an entry").path());
    let texts = paths.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let files: BTreeSet<String> = texts
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    let names: BTreeSet<String> = list().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, files);
    assert_eq!(TOPICS.len(), files.len());
}

#[test]
fn a_topic_is_written_in_what_can_be_shown() {
    for topic in TOPICS {
        assert!(topic.text.starts_with("# "), "{}", topic.name);
        for event in Parser::new_ext(topic.text, Options::all()) {
            let known = match &event {
                Event::Start(tag) => matches!(
                    tag,
                    Tag::Heading { .. }
                        | Tag::Paragraph
                        | Tag::List(None)
                        | Tag::Item
                        | Tag::CodeBlock(_)
                        | Tag::Table(_)
                        | Tag::TableHead
                        | Tag::TableRow
                        | Tag::TableCell
                ),
                Event::Code(code) => !code.contains('`'),
                Event::Text(text) => !text.contains('`'),
                Event::End(_) | Event::SoftBreak => true,
                _ => false,
            };
            assert!(known, "{}: {event:?}", topic.name);
        }
    }
}

#[test]
fn a_topic_fits_a_terminal() {
    for (name, title) in list() {
        let text = help(name).expect(name);
        assert!(text.starts_with(&format!("{title}\n\n")), "{text}");
        assert!(text.ends_with('\n') && !text.contains("\n\n\n"), "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{name}: {line}");
            assert_eq!(line.trim_end(), line, "{name}");
        }
    }
    assert_eq!(help("balancin"), None);
}

#[test]
fn all_words_of_a_text_are_shown() {
    for topic in TOPICS {
        let shown = help(topic.name).expect(topic.name);
        let shown: BTreeSet<&str> = shown.split_whitespace().collect();
        let words = topic.text.replace("```", "").replace("\\|", "|");
        for word in words.split_whitespace() {
            let is_markup = ["|", "---", "#", "##", "-"].contains(&word);
            assert!(is_markup || shown.contains(word), "{}: {word}", topic.name);
        }
    }
}

#[test]
fn a_table_gives_each_column_what_it_needs() {
    let text = "\
# Title

| Name | Means |
| --- | --- |
| `a` | this |
| `long-one` | something that is so long that it does not fit the line, and is continued below |

- one
- two
";
    let shown = terminal::render(&markdown::blocks(text));
    let wanted = "\
Title

  Name        Means
  ----------  ------------------------------------------------------------------
  `a`         this

  `long-one`  something that is so long that it does not fit the line, and is
              continued below

  - one
  - two
";
    assert_eq!(shown, wanted);
}

#[test]
fn what_a_topic_refers_to_is_there() {
    for topic in TOPICS {
        for rest in topic.text.split("`ringway help ").skip(1) {
            let (name, _) = rest.split_once('`').expect("its end");
            assert!(help(name).is_some(), "{}: {name}", topic.name);
        }
    }
}
