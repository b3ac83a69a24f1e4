//! A line of HAProxy's configuration cut into words: quotes, escapes, comments, variables.
//!
//! Source: HAProxy's configuration manual, sections 2.2 (quoting) and 2.3 (environment variables).

use std::collections::HashMap;

/// Variables of the environment, as HAProxy would have them.
pub(super) type Variables = HashMap<String, String>;

/// Bytes of values that variables put into a line at most.
const VALUES_LEN_MAX: usize = 64 << 10;

/// The words of a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub words: Vec<String>,
    /// Names of the variables that were written out.
    pub variables: Vec<String>,
    /// Names of variables that have no value and no default; nothing stands for them.
    pub missing: Vec<String>,
    /// Where the comment begins, or the line ends: an index of bytes.
    pub end: usize,
}

/// Cuts a line into words.
///
/// # Errors
///
/// A quote has no end, an escape no digits, a variable no name, or values are longer than [`VALUES_LEN_MAX`]: a
/// sentence.
pub(super) fn split(line: &str, variables: &Variables) -> Result<Words, String> {
    Cutter {
        line,
        at: 0,
        variables,
        word: None,
        values_len: 0,
        found: Words::default(),
    }
    .cut()
}

struct Cutter<'a> {
    line: &'a str,
    /// The next byte to look at.
    at: usize,
    variables: &'a Variables,
    /// The word as it grows; quotes alone are an empty one.
    word: Option<String>,
    /// Bytes of values so far.
    values_len: usize,
    found: Words,
}

impl Cutter<'_> {
    fn cut(mut self) -> Result<Words, String> {
        let mut is_quoted = false;
        self.found.end = self.line.len();
        while let Some(next) = self.peek() {
            match next {
                '#' if !is_quoted => {
                    self.found.end = self.at;
                    break;
                }
                ' ' | '\t' if !is_quoted => {
                    self.at += 1;
                    self.found.words.extend(self.word.take());
                }
                '"' => {
                    self.at += 1;
                    is_quoted = !is_quoted;
                    self.word.get_or_insert_default();
                }
                '\'' if !is_quoted => self.strong_quote()?,
                '\\' => self.escape()?,
                '$' if is_quoted => self.variable()?,
                other => {
                    self.at += other.len_utf8();
                    self.push(other);
                }
            }
        }
        if is_quoted {
            return Err("a double quote has no end".to_owned());
        }
        self.found.words.extend(self.word.take());
        Ok(self.found)
    }

    fn rest(&self) -> &str {
        &self.line[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn push(&mut self, next: char) {
        self.word.get_or_insert_default().push(next);
    }

    /// From one single quote to the next one nothing has a meaning.
    fn strong_quote(&mut self) -> Result<(), String> {
        let inner = &self.line[self.at + 1..];
        let len = inner.find('\'').ok_or("a single quote has no end")?;
        self.word.get_or_insert_default().push_str(&inner[..len]);
        self.at += len + 2;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let after = &self.line[self.at + 1..];
        let (meant, len) = match after.chars().next() {
            Some(same @ (' ' | '\t' | '#' | '\\' | '"' | '\'' | '$')) => (same, 1),
            Some('n') => ('\n', 1),
            Some('r') => ('\r', 1),
            Some('t') => ('\t', 1),
            Some('x') => {
                let byte = after
                    .get(1..3)
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let byte = byte.filter(u8::is_ascii);
                let wrong = "`\\x` needs two hexadecimal digits, of an ASCII character";
                (char::from(byte.ok_or(wrong)?), 3)
            }
            // A backslash before anything else is one.
            Some(_) | None => ('\\', 0),
        };
        self.at += 1 + len;
        self.push(meant);
        Ok(())
    }

    /// `$NAME`, `${NAME}`, `${NAME-default}` or `${NAME[*]}`, which is cut into words.
    fn variable(&mut self) -> Result<(), String> {
        let after = &self.line[self.at + 1..];
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name_of = |text: &str| text.find(|c| !is_name(c)).unwrap_or(text.len());
        let (name, tail, len) = match after.strip_prefix('{') {
            Some(inner) => {
                let end = inner.find('}').ok_or("`${` has no `}`")?;
                let (name, tail) = inner[..end].split_at(name_of(&inner[..end]));
                (name, tail, end + 2)
            }
            None => {
                let len = name_of(after);
                (&after[..len], "", len)
            }
        };
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(
                "`$` needs the name of a variable; write `\\$` for the character".to_owned(),
            );
        }
        let default = tail.strip_prefix('-');
        let value = self.variables.get(name).map(String::as_str).or(default);
        match value {
            Some(_) => self.found.variables.push(name.to_owned()),
            None => self.found.missing.push(name.to_owned()),
        }
        let value = value.unwrap_or_default();
        self.values_len += value.len();
        if self.values_len > VALUES_LEN_MAX {
            return Err("the line has more than 64 KiB of values of variables".to_owned());
        }
        if tail == "[*]" {
            let mut parts = value.split_whitespace();
            let first = parts.next().unwrap_or_default();
            self.word.get_or_insert_default().push_str(first);
            for part in parts {
                self.found.words.extend(self.word.replace(part.to_owned()));
            }
        } else {
            self.word.get_or_insert_default().push_str(value);
        }
        self.at += 1 + len;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn variables() -> Variables {
        let pairs = [("HOST", "10.0.0.1"), ("LIST", "a b  c"), ("EMPTY", "")];
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    fn words(line: &str) -> Vec<String> {
        split(line, &variables()).expect(line).words
    }

    #[test]
    fn quotes_and_escapes_are_those_of_the_manual() {
        for (line, expected) in [
            ("  bind :80  # all", &["bind", ":80"][..]),
            ("a\tb", &["a", "b"]),
            (r"log-format %{+Q}o\ %t", &["log-format", "%{+Q}o %t"]),
            (r#"x "a b"' c'\ d"#, &["x", "a b c d"]),
            (
                r"x 'a\nb' a\nb \\ \# \q",
                &["x", "a\\nb", "a\nb", "\\", "#", "\\q"],
            ),
            (r#"x "" '' "a # b" a\x41"#, &["x", "", "", "a # b", "aA"]),
            (r#"x "it's" '"' "\"""#, &["x", "it's", "\"", "\""]),
            ("# nothing", &[]),
            ("", &[]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn variables_stand_for_their_values_within_double_quotes_only() {
        for (line, expected) in [
            (r#""$HOST:80""#, &["10.0.0.1:80"][..]),
            (
                r#""${HOST}x" $HOST '$HOST'"#,
                &["10.0.0.1x", "$HOST", "$HOST"],
            ),
            (
                r#""${NONE-1.2.3.4}:514" "${EMPTY-x}""#,
                &["1.2.3.4:514", ""],
            ),
            (r#"x "${LIST[*]}" y"#, &["x", "a", "b", "c", "y"]),
            (r#""\$HOST""#, &["$HOST"]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
        let found = split(r#""$HOST" "$NONE""#, &variables()).expect("words");
        assert_eq!(
            (found.variables, found.missing),
            (vec!["HOST".into()], vec!["NONE".into()])
        );
    }

    #[test]
    fn what_has_no_end_is_an_error() {
        for line in [
            "a \"b",
            "a 'b",
            r#""${HOST""#,
            r#""$""#,
            r#""$1a""#,
            r"\xg0",
            r"\x4",
            r"\xff",
        ] {
            assert!(split(line, &variables()).is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "\\PC{0,40}", close in "[ \\\\\"'${}#x\\[*\\]A-F0-9-]{0,30}") {
            for line in [&line, &close] {
                let _ = split(line, &variables());
            }
        }
    }
}
