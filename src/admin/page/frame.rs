//! The frame of the page, with the style and the script that are in the folder of the same name.

use std::sync::LazyLock;

use super::columns;

/// What strings of the style and most of the script stand in.
const QUOTE: char = '"';

/// All of it, in the form in which it is sent.
pub(super) static FRAME: LazyLock<String> = LazyLock::new(|| {
    let [groups, labels, left_out] = columns::style();
    let style = include_str!("frame/style.css")
        .replace("@columns-that-begin-a-group", &groups)
        .replace("@labels-of-columns", &labels)
        .replace("@columns-that-small-screens-leave-out", &left_out);
    let script = [
        include_str!("frame/format.js"),
        include_str!("frame/rows.js"),
        include_str!("frame/hour.js"),
        include_str!("frame/live.js"),
    ];
    [
        include_str!("frame/head.html"),
        &compact(&style, may_go_in_style),
        include_str!("frame/body.html"),
        &compact(&script.concat(), may_go_in_script),
        include_str!("frame/end.html"),
    ]
    .concat()
});

/// Without indentation, empty lines, lines of comments, and the spaces that may go: `may_go` is told the characters
/// before and behind each. What is within quotes stays as it is. No string may span lines.
fn compact(text: &str, may_go: fn(char, char) -> bool) -> String {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
    let mut short = String::with_capacity(text.len());
    for line in lines {
        debug_assert!(line.matches('`').count() % 2 == 0, "{line}");
        if line.contains(['`', '\'', '\\']) {
            // Quotes within quotes: such a line is not taken apart.
            short += line;
        } else {
            debug_assert!(line.matches(QUOTE).count() % 2 == 0, "{line}");
            for (index, part) in line.split(QUOTE).enumerate() {
                match index {
                    0 => {}
                    _ => short.push(QUOTE),
                }
                match index % 2 {
                    0 => short += &without_spaces(part, may_go),
                    _ => short += part,
                }
            }
        }
        short.push('\n');
    }
    short
}

/// A part of a line that is not within quotes, without the spaces that may go.
fn without_spaces(part: &str, may_go: fn(char, char) -> bool) -> String {
    let mut short = String::with_capacity(part.len());
    let mut rest = part.chars().peekable();
    while let Some(c) = rest.next() {
        let before = short.chars().next_back().unwrap_or(QUOTE);
        let behind = rest.peek().copied().unwrap_or(QUOTE);
        if c != ' ' || !may_go(before, behind) {
            short.push(c);
        }
    }
    short
}

/// Spaces are needed between words, and between signs that would become another one. Lines stay, since they may
/// end statements.
fn may_go_in_script(before: char, behind: char) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || "_$".contains(c);
    let is_sign = |c: char| "+-/".contains(c);
    !(is_word(before) && is_word(behind) || is_sign(before) && is_sign(behind))
}

/// Only those around braces, and behind what ends a declaration, a selector or the name of a property.
fn may_go_in_style(before: char, behind: char) -> bool {
    "{};,:".contains(before) || "{}".contains(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The colours of the two themes, by name: as in `--name:#rrggbb;`.
    fn themes() -> [std::collections::HashMap<&'static str, [f64; 3]>; 2] {
        let channel = |text: &str| -> f64 {
            let value = f64::from(u8::from_str_radix(text, 16).unwrap()) / 255.0;
            // WCAG 2.2, relative luminance.
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        let mut roots = FRAME.split(":root{").skip(1);
        [(); 2].map(|()| {
            let (colours, _) = roots.next().unwrap().split_once('}').unwrap();
            let colours = colours.split(';').filter_map(|line| {
                let (name, colour) = line.trim().strip_prefix("--")?.split_once(":#")?;
                let channels = [0, 2, 4].map(|at| channel(&colour[at..at + 2]));
                Some((name, channels))
            });
            colours.collect()
        })
    }

    fn contrast(one: [f64; 3], two: [f64; 3]) -> f64 {
        let luminance = |[r, g, b]: [f64; 3]| 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
        let (one, two) = (luminance(one), luminance(two));
        one.max(two) / one.min(two)
    }

    #[test]
    fn every_text_can_be_read() {
        for theme in themes() {
            assert_eq!(theme.len(), 17, "{theme:?}");
            let colour = |name: &str| *theme.get(name).unwrap_or_else(|| panic!("no {name}"));
            let mut pairs = Vec::new();
            for ground in ["ground", "surface", "head"] {
                for text in ["ink", "quiet", "accent", "up", "down", "drain", "maint"] {
                    pairs.push((text.to_owned(), ground.to_owned()));
                }
            }
            for word in ["up", "down", "drain", "maint", "unknown"] {
                pairs.push((word.to_owned(), format!("{word}-ground")));
            }
            for (text, ground) in pairs {
                let contrast = contrast(colour(&text), colour(&ground));
                assert!(contrast >= 4.5, "{text} on {ground}: {contrast:.2}");
            }
        }
        assert!((contrast([0.0; 3], [1.0; 3]) - 21.0).abs() < 1e-9);
    }

    #[test]
    fn the_frame_is_small_and_has_all_its_places() {
        assert!(FRAME.len() < 40_000, "{}", FRAME.len());
        for (place, count) in [("{{nonce}}", 2), ("{{main}}", 1), ("{{", 3)] {
            assert_eq!(FRAME.matches(place).count(), count, "{place}");
        }
    }

    #[test]
    fn only_spaces_of_code_are_left_out() {
        for (script, short) in [
            (
                "  const a = b - 1;\n\n  // why\n  f(a, {});\n",
                "const a=b-1;\nf(a,{});\n",
            ),
            (
                "return \"a - b\" + c === \"\"\n",
                "return\"a - b\"+c===\"\"\n",
            ),
            ("a + +b - -c; i++ + j\n", "a+ +b- -c;i++ +j\n"),
            ("typeof a in b ? -1 : _c\n", "typeof a in b?-1:_c\n"),
            (
                "x = `a - ${b + \"c = d\"}`\n",
                "x = `a - ${b + \"c = d\"}`\n",
            ),
            ("x = 'a - \"b\"'\n", "x = 'a - \"b\"'\n"),
            ("x = \"a \\\" - b\"\n", "x = \"a \\\" - b\"\n"),
        ] {
            assert_eq!(compact(script, may_go_in_script), short);
        }
        for (style, short) in [
            ("a > b, c { d: e f; }\n", "a > b,c{d:e f;}\n"),
            (
                "a :hover::after { content: \"b, c { \"; }\n",
                "a :hover::after{content:\"b, c { \";}\n",
            ),
            (
                "a { width: calc(1px + 2px) }\n",
                "a{width:calc(1px + 2px)}\n",
            ),
        ] {
            assert_eq!(compact(style, may_go_in_style), short);
        }
    }
}
