//! Reads a source file as far as the graph of modules needs it: its `use` declarations, the paths that
//! its code names, and the modules that only tests have.

/// What one source file says.
#[derive(Debug, Default)]
pub struct File {
    /// Every name that a `use` brings into scope.
    pub imports: Vec<Import>,
    /// Every path of at least two segments outside of `use`: `config::load` is `["config", "load"]`.
    pub paths: Vec<Vec<String>>,
    /// Names that occur in the code outside of `use`, other than after `.` or `::`.
    pub names: Vec<String>,
    /// Child modules that are compiled for tests only.
    pub test_modules: Vec<String>,
}

/// One name that a `use` brings into scope.
#[derive(Debug)]
pub struct Import {
    /// The path as it is written.
    pub path: Vec<String>,
    /// The name that it has in this file.
    pub name: String,
    /// Whether others can import it from here.
    pub is_public: bool,
}

/// Reads the text of a source file. Code below `#[cfg(test)]` is left out.
pub fn scan(text: &str) -> File {
    let tokens = without_tests(tokens(text));
    let mut file = File {
        test_modules: tokens.test_modules,
        ..File::default()
    };
    let tokens = tokens.rest;
    let mut at = 0;
    while at < tokens.len() {
        let before = at
            .checked_sub(1)
            .map_or("", |before| tokens[before].as_str());
        if tokens[at] == "use" {
            let end = at + position(&tokens[at..], ";");
            let is_public = before == "pub" || before == ")";
            imports(&tokens[at + 1..end], &[], is_public, &mut file.imports);
            at = end;
        } else if is_name(&tokens[at]) && before != "." && before != "::" {
            let mut path = vec![tokens[at].clone()];
            while at + 2 < tokens.len() && tokens[at + 1] == "::" && is_name(&tokens[at + 2]) {
                path.push(tokens[at + 2].clone());
                at += 2;
            }
            file.names.push(path[0].clone());
            if path.len() > 1 {
                file.paths.push(path);
            }
        }
        at += 1;
    }
    file
}

/// Reads one tree of a `use`: `a::{b, c as d}` behind `prefix`.
fn imports(tree: &[String], prefix: &[String], is_public: bool, found: &mut Vec<Import>) {
    let mut path = prefix.to_vec();
    let mut at = 0;
    while at < tree.len() {
        match tree[at].as_str() {
            "::" => {}
            "{" => {
                let inner = &tree[at + 1..tree.len() - 1];
                for part in split_at_commas(inner) {
                    imports(part, &path, is_public, found);
                }
                return;
            }
            "as" => {
                let name = tree[at + 1].clone();
                found.push(import(path, name, is_public));
                return;
            }
            segment => path.push(segment.to_owned()),
        }
        at += 1;
    }
    if let Some(name) = path.last().cloned() {
        found.push(import(path, name, is_public));
    }
}

/// `a::b::self` is the module `a::b`, by the name `b`.
fn import(mut path: Vec<String>, mut name: String, is_public: bool) -> Import {
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
        if name == "self" {
            name.clone_from(&path[path.len() - 1]);
        }
    }
    Import {
        path,
        name,
        is_public,
    }
}

fn split_at_commas(tokens: &[String]) -> Vec<&[String]> {
    let mut parts = Vec::new();
    let (mut begin, mut depth) = (0, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 0 => {
                parts.push(&tokens[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[begin..]);
    parts.retain(|part| !part.is_empty());
    parts
}

struct WithoutTests {
    rest: Vec<String>,
    test_modules: Vec<String>,
}

/// Leaves out each item below `#[cfg(test)]`.
fn without_tests(tokens: Vec<String>) -> WithoutTests {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut rest = Vec::new();
    let mut test_modules = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if !tokens[at..].iter().take(7).eq(ATTRIBUTE.iter()) {
            rest.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let item = &tokens[at + 7..];
        let end = end_of_item(item);
        if let Some(module) = item[..end].iter().position(|token| token == "mod")
            && item.get(module + 2).is_some_and(|token| token == ";")
        {
            test_modules.push(item[module + 1].clone());
        }
        at += 7 + end;
    }
    WithoutTests { rest, test_modules }
}

/// How many tokens an item has: up to its `;`, or to the end of its block.
fn end_of_item(tokens: &[String]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Splits code into names, `::` and single characters. Comments are left out; a literal of characters is
/// one `"`.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '/' if rest.starts_with("//") => position_in(rest, "\n"),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => 1 + quoted(&rest[1..]),
            'r' | 'b' | 'c' if literal(rest).is_some() => literal(rest).unwrap_or(1),
            '\'' => character(rest),
            ':' if rest.starts_with("::") => 2,
            _ if first.is_alphanumeric() || first == '_' => name_len(rest),
            _ => first.len_utf8(),
        };
        let token = &rest[..len];
        if token.ends_with(['"', '\'', '#']) && len > 1 {
            tokens.push("\"".to_owned());
        } else if !token.starts_with("//") && !token.starts_with("/*") && !first.is_whitespace() {
            tokens.push(token.to_owned());
        }
        rest = &rest[len..];
    }
    tokens
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn name_len(text: &str) -> usize {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    end.unwrap_or(text.len())
}

/// The length of a literal with a prefix, such as `b"x"`, `r#"x"#` and `b'x'`.
fn literal(text: &str) -> Option<usize> {
    let prefix = text.find(|c| !['r', 'b', 'c'].contains(&c))?;
    let (kind, rest) = text.split_at(prefix);
    if rest.starts_with('\'') && kind == "b" {
        return Some(prefix + character(rest));
    }
    let hashes = rest.find(|c| c != '#')?;
    let inner = rest[hashes..].strip_prefix('"')?;
    if !kind.contains('r') {
        return (hashes == 0).then(|| prefix + 1 + quoted(inner));
    }
    let end = format!("\"{}", "#".repeat(hashes));
    Some(prefix + hashes + 1 + position_in(inner, &end) + end.len())
}

/// The length of what follows an opening `"`, with the closing one.
fn quoted(text: &str) -> usize {
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => drop(characters.next()),
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a literal of one character, or of the `'` of a lifetime.
fn character(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => {
            let end = text[3..].find('\'');
            end.map_or(text.len(), |end| 3 + end + 1)
        }
        Some((_, _)) => match characters.next() {
            Some((at, '\'')) => at + 1,
            Some(_) | None => 1,
        },
        None => 1,
    }
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    for (at, _) in text.char_indices() {
        if text[at..].starts_with("/*") {
            depth += 1;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            if depth == 0 {
                return at + 2;
            }
        }
    }
    text.len()
}

fn position(tokens: &[String], wanted: &str) -> usize {
    let found = tokens.iter().position(|token| token == wanted);
    found.unwrap_or(tokens.len())
}

fn position_in(text: &str, wanted: &str) -> usize {
    text.find(wanted).unwrap_or(text.len())
}
