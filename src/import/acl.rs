//! Conditions behind `if` and `unless`, with the ACLs that they name: sections 7.1 and 7.2 of HAProxy's manual.

use std::collections::HashMap;

/// What an ACL looks at, and with what it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Test {
    /// The sample with its arguments and converters, by its name of today: `req.ssl_sni`.
    pub fetch: String,
    /// The method behind `-m`; empty: that of the sample.
    pub method: String,
    /// Files of patterns, behind `-f`.
    pub files: Vec<String>,
    pub patterns: Vec<String>,
}

/// A test, or several that share a name, of which one must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    pub is_negated: bool,
    pub tests: Vec<Test>,
}

/// Alternatives, of each of which all literals must hold. Without a condition: one alternative without literals.
pub(super) type Condition = Vec<Vec<Literal>>;

/// ACLs by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Acls(HashMap<String, Vec<Test>>);

impl Acls {
    /// Adds an ACL: its name, and what follows it.
    ///
    /// # Errors
    ///
    /// It is malformed: a sentence.
    pub fn add(&mut self, name: &str, words: &[String]) -> Result<(), String> {
        let test = test(words)?;
        self.0.entry(name.to_owned()).or_default().push(test);
        Ok(())
    }

    /// Reads what follows an action: nothing, or `if` or `unless` with a condition.
    ///
    /// # Errors
    ///
    /// It is malformed, or names an ACL that does not exist: a sentence.
    pub fn condition(&self, words: &[String]) -> Result<Condition, String> {
        match words.split_first() {
            None => Ok(vec![Vec::new()]),
            Some((word, rest)) if word == "if" => self.alternatives(rest),
            Some((word, rest)) if word == "unless" => {
                let negated = negate(self.alternatives(rest)?);
                negated.ok_or("a condition behind `unless` that is not simple".to_owned())
            }
            Some((word, _)) => Err(format!("`{word}` stands where `if` or `unless` may")),
        }
    }

    fn alternatives(&self, words: &[String]) -> Result<Condition, String> {
        let mut alternatives = vec![Vec::new()];
        let mut rest = words;
        let mut is_negated = false;
        while let Some((word, after)) = rest.split_first() {
            rest = after;
            let literal = |tests| Literal { is_negated, tests };
            let found = match word.as_str() {
                "or" | "||" => {
                    alternatives.push(Vec::new());
                    continue;
                }
                "!" => {
                    is_negated = !is_negated;
                    continue;
                }
                "{" | "!{" => {
                    is_negated ^= word.starts_with('!');
                    let end = after.iter().position(|word| word == "}");
                    let end = end.ok_or("`{` has no `}` of its own")?;
                    rest = &after[end + 1..];
                    Literal {
                        is_negated,
                        tests: vec![test(&after[..end])?],
                    }
                }
                name => match name.strip_prefix('!') {
                    Some(name) => Literal {
                        is_negated: !is_negated,
                        tests: self.named(name)?,
                    },
                    None => literal(self.named(name)?),
                },
            };
            is_negated = false;
            alternatives
                .last_mut()
                .expect("there is always one")
                .push(found);
        }
        match alternatives.iter().any(Vec::is_empty) {
            true => Err("a condition is missing".to_owned()),
            false => Ok(alternatives),
        }
    }

    /// The tests of a name: one of the file, else one that HAProxy has.
    fn named(&self, name: &str) -> Result<Vec<Test>, String> {
        if let Some(tests) = self.0.get(name) {
            return Ok(tests.clone());
        }
        let words: &[&str] = match name {
            "TRUE" => &["always_true"],
            "FALSE" => &["always_false"],
            "LOCALHOST" => &["src", "127.0.0.1/8", "::1"],
            "REQ_CONTENT" => &["req.len", "gt", "0"],
            "WAIT_END" => &["wait_end"],
            "RDP_COOKIE" => &["req.rdp_cookie_cnt", "gt", "0"],
            "HTTP" => &["req.proto_http"],
            "HTTP_1.0" | "HTTP_1.1" | "HTTP_2.0" | "HTTP_CONTENT" | "HTTP_URL_ABS"
            | "HTTP_URL_SLASH" | "HTTP_URL_STAR" | "METH_CONNECT" | "METH_DELETE" | "METH_GET"
            | "METH_HEAD" | "METH_OPTIONS" | "METH_POST" | "METH_PUT" | "METH_TRACE" => &["method"],
            _ => return Err(format!("there is no ACL `{name}`")),
        };
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Ok(vec![test(&words)?])
    }
}

/// The opposite, if it is not too large to be written out.
fn negate(condition: Condition) -> Option<Condition> {
    let flip = |literal: Literal| Literal {
        is_negated: !literal.is_negated,
        ..literal
    };
    match <[Vec<Literal>; 1]>::try_from(condition) {
        Ok([all]) => Some(all.into_iter().map(|literal| vec![flip(literal)]).collect()),
        Err(any) => {
            let single = any
                .into_iter()
                .map(|all| <[Literal; 1]>::try_from(all).ok());
            let flipped: Option<Vec<Literal>> = single
                .map(|one| one.map(|[literal]| flip(literal)))
                .collect();
            Some(vec![flipped?])
        }
    }
}

/// Names that samples had before, or have as ACLs, and their names of today.
const OLD_NAMES: &[(&str, &str)] = &[
    ("req_ssl_sni", "req.ssl_sni"),
    ("req_ssl_hello_type", "req.ssl_hello_type"),
    ("rep_ssl_hello_type", "res.ssl_hello_type"),
    ("req_ssl_ver", "req.ssl_ver"),
    ("req_len", "req.len"),
    ("req_proto_http", "req.proto_http"),
];

fn test(words: &[String]) -> Result<Test, String> {
    let (name, mut rest) = words.split_first().ok_or("an ACL has no criterion")?;
    let name = OLD_NAMES
        .iter()
        .find(|(old, _)| old == name)
        .map_or(name.as_str(), |(_, new)| new);
    // Suffixes of names are methods: `req.ssl_sni_end` has none, but a few samples do.
    let mut test = Test {
        fetch: name.strip_suffix(",lower").unwrap_or(name).to_owned(),
        method: String::new(),
        files: Vec::new(),
        patterns: Vec::new(),
    };
    while let Some((flag, after)) = rest.split_first() {
        rest = after;
        let mut argument = || -> Result<String, String> {
            let (argument, after) = rest
                .split_first()
                .ok_or(format!("`{flag}` needs an argument"))?;
            rest = after;
            Ok(argument.clone())
        };
        match flag.as_str() {
            "-i" | "-n" => {}
            "-m" => test.method = argument()?,
            "-f" => test.files.push(argument()?),
            "-M" | "-u" => drop(argument()?),
            "--" => {
                test.patterns.extend(rest.iter().cloned());
                break;
            }
            pattern => test.patterns.push(pattern.to_owned()),
        }
    }
    Ok(test)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn acls() -> Acls {
        let mut acls = Acls::default();
        for text in [
            "lan src 10.0.0.0/8",
            "lan src -f more.txt",
            "shop req_ssl_sni -i shop.example",
        ] {
            let words = words(text);
            acls.add(&words[0], &words[1..]).expect(text);
        }
        acls
    }

    /// Alternatives as text: `!` for a negation, `a|b` for ACLs of one name.
    fn shown(text: &str) -> Result<Vec<String>, String> {
        let literal = |literal: &Literal| {
            let tests: Vec<&str> = literal.tests.iter().map(|test| &*test.fetch).collect();
            format!(
                "{}{}",
                if literal.is_negated { "!" } else { "" },
                tests.join("|")
            )
        };
        let condition = acls().condition(&words(text))?;
        let shown = condition
            .iter()
            .map(|all| all.iter().map(literal).collect::<Vec<_>>().join(" "));
        Ok(shown.collect())
    }

    #[test]
    fn conditions_are_alternatives_of_literals() {
        for (text, expected) in [
            ("", &[""][..]),
            ("if lan", &["src|src"]),
            (
                "if !lan shop or { path /x }",
                &["!src|src req.ssl_sni", "path"],
            ),
            ("unless lan", &["!src|src"]),
            ("unless lan shop", &["!src|src", "!req.ssl_sni"]),
            ("unless lan || shop", &["!src|src !req.ssl_sni"]),
            ("if ! { src 1.2.3.4 } TRUE", &["!src always_true"]),
            ("if !{ src 1.2.3.4 }", &["!src"]),
        ] {
            assert_eq!(shown(text).expect(text), expected, "{text}");
        }
        for wrong in [
            "if",
            "if none",
            "if { src 1.2.3.4",
            "when lan",
            "if lan or",
            "if { }",
            "if { src -f }",
        ] {
            assert!(shown(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn flags_are_parted_from_patterns() {
        let test = test(&words(
            "req.ssl_sni,lower -i -m end -f a.txt -- -x .example.com",
        ))
        .expect("a test");
        assert_eq!(
            (test.fetch.as_str(), test.method.as_str()),
            ("req.ssl_sni", "end")
        );
        assert_eq!(
            (test.files, test.patterns),
            (words("a.txt"), words("-x .example.com"))
        );
    }
}
