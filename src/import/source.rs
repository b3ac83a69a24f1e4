//! The file as sections of directives, in order; what a directive means is decided elsewhere.

use super::conditions;
use super::directive::Directive;
use super::notes::{Notes, Place};
use super::words::{self, Variables};
use crate::near;

/// Keywords that begin a section.
const SECTIONS: &[&str] = &[
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "resolvers",
    "peers",
    "mailers",
    "userlist",
    "cache",
    "program",
    "http-errors",
    "ring",
    "log-forward",
    "fcgi-app",
    "crt-store",
    "traces",
    "log-profile",
    "acme",
    "healthcheck",
];

/// A section with its lines.
#[derive(Debug)]
pub(super) struct Section {
    /// One of [`SECTIONS`], by its first line.
    pub kind: String,
    /// Empty for a section without one.
    pub name: String,
    /// The `defaults` that it names by `from`.
    pub from: Option<String>,
    /// The line that begins it.
    pub head: Directive,
    pub directives: Vec<Directive>,
}

/// Reads the sections of a file; what is wrong with its form goes to `notes`.
pub(super) fn read(text: &str, variables: &Variables, notes: &mut Notes) -> Vec<Section> {
    let mut reader = Reader {
        variables: variables.clone(),
        sections: Vec::new(),
        branches: Vec::new(),
        notes,
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        reader.line(index + 1, line);
    }
    if let Some(branch) = reader.branches.pop() {
        let what = "`.if` has no `.endif`";
        reader.notes.wrong(&Place::Top, &branch.begin, what);
    }
    reader.sections
}

/// A conditional block that is open.
struct Branch {
    begin: Directive,
    /// Lines of the alternative that is being read count.
    is_taken: bool,
    /// An alternative was taken; no further one is.
    is_decided: bool,
}

struct Reader<'a> {
    /// As changed by `setenv` and the like so far.
    variables: Variables,
    sections: Vec<Section>,
    branches: Vec<Branch>,
    notes: &'a mut Notes,
}

impl Reader<'_> {
    fn line(&mut self, line: usize, text: &str) {
        let trimmed = text.trim();
        let mut directive = Directive {
            line,
            text: trimmed.to_owned(),
            words: Vec::new(),
        };
        let split = match words::split(trimmed, &self.variables) {
            Ok(split) if split.words.is_empty() => return,
            Ok(split) => split,
            Err(what) => {
                if self.is_taken() {
                    self.notes.wrong(&Place::Top, &directive, what);
                }
                return;
            }
        };
        directive.text = trimmed[..split.end].trim_end().to_owned();
        directive.words = split.words;
        if directive.words[0].starts_with('.') {
            return self.condition(directive);
        }
        if !self.is_taken() {
            let why = "its condition does not hold here";
            self.notes.not_needed(&Place::Top, &directive, why);
            return;
        }
        if directive.words.iter().any(|word| word.contains('\u{fffd}')) {
            self.notes
                .wrong(&Place::Top, &directive, "the line is not UTF-8");
            return;
        }
        if !split.missing.is_empty() {
            let names = split.missing.join(", ");
            let what =
                format!("not set: {names}: set variables for this command as HAProxy has them");
            return self.notes.wrong(&Place::Top, &directive, what);
        }
        if !split.variables.is_empty() {
            let why = format!(
                "written out with the value of now: {}",
                split.variables.join(", ")
            );
            self.notes.differs(&Place::Top, &directive, why);
        }
        self.directive(directive);
    }

    fn is_taken(&self) -> bool {
        self.branches.iter().all(|branch| branch.is_taken)
    }

    fn condition(&mut self, directive: Directive) {
        let rest = directive.from(1).join(" ");
        let mut holds = |variables: &Variables, directive: &Directive| {
            let holds = conditions::holds(&rest, variables);
            holds.unwrap_or_else(|what| {
                self.notes.wrong(&Place::Top, directive, what);
                false
            })
        };
        match directive.words[0].as_str() {
            ".if" => {
                let is_taken = holds(&self.variables, &directive);
                self.branches.push(Branch {
                    begin: directive,
                    is_taken,
                    is_decided: is_taken,
                });
            }
            word @ (".elif" | ".else" | ".endif") if self.branches.is_empty() => {
                let what = format!("`{word}` has no `.if`");
                self.notes.wrong(&Place::Top, &directive, what);
            }
            ".endif" => drop(self.branches.pop()),
            word @ (".elif" | ".else") => {
                let is_taken = word == ".else" || holds(&self.variables, &directive);
                if let Some(branch) = self.branches.last_mut() {
                    branch.is_taken = is_taken && !branch.is_decided;
                    branch.is_decided |= is_taken;
                }
            }
            ".diag" | ".notice" | ".warning" | ".alert" => {
                let why = "it only prints a message";
                self.notes.not_needed(&Place::Top, &directive, why);
            }
            word => {
                let what = format!("unknown directive `{word}`");
                self.notes.wrong(&Place::Top, &directive, what);
            }
        }
    }

    fn directive(&mut self, directive: Directive) {
        if SECTIONS.contains(&directive.words[0].as_str()) {
            return self.section(directive);
        }
        let Some(section) = self.sections.last_mut() else {
            let what = unknown_section(&directive.words[0]);
            return self.notes.wrong(&Place::Top, &directive, what);
        };
        if section.kind == "global" {
            set_variable(&mut self.variables, &directive.words);
        }
        section.directives.push(directive);
    }

    fn section(&mut self, head: Directive) {
        let kind = head.words[0].clone();
        let at = head.words.iter().position(|word| word == "from");
        let from = at.and_then(|at| head.word(at + 1)).map(str::to_owned);
        let name = head
            .word(1)
            .filter(|_| at != Some(1))
            .unwrap_or_default()
            .to_owned();
        let is_named = !["global", "defaults", "traces"].contains(&kind.as_str());
        if name.is_empty() && is_named {
            self.notes
                .wrong(&Place::Top, &head, format!("`{kind}` needs a name"));
        }
        if let Some(address) = head.word(2)
            && ["frontend", "listen"].contains(&kind.as_str())
            && address != "from"
        {
            let what = format!("an address has a line of its own: `bind {address}`");
            self.notes.wrong(&Place::Top, &head, what);
        }
        if !is_name(&name) && is_named {
            let what = format!(
                "the name `{name}` has other characters than letters, digits, `_`, `.`, `-` and `:`"
            );
            self.notes.wrong(&Place::Top, &head, what);
        }
        self.sections.push(Section {
            kind,
            name,
            from,
            head,
            directives: Vec::new(),
        });
    }
}

/// Whether HAProxy takes the name of a section or of a server.
pub(super) fn is_name(name: &str) -> bool {
    name.chars()
        .all(|c| c.is_ascii_alphanumeric() || "_.-:".contains(c))
}

fn unknown_section(word: &str) -> String {
    match near::near(word, SECTIONS.iter().map(|name| (*name).to_owned())).as_slice() {
        [] => format!("`{word}` stands before the first section"),
        near => format!(
            "`{word}` stands before the first section: did you mean {}?",
            near.join(" or ")
        ),
    }
}

/// Does what `setenv`, `presetenv`, `unsetenv` and `resetenv` ask for.
fn set_variable(variables: &mut Variables, words: &[String]) {
    let value = |words: &[String]| words.get(2).cloned().unwrap_or_default();
    match words {
        [keyword, names @ ..] if keyword == "unsetenv" => {
            variables.retain(|name, _| !names.contains(name));
        }
        [keyword, names @ ..] if keyword == "resetenv" => {
            variables.retain(|name, _| names.contains(name));
        }
        [keyword, name, ..] if keyword == "setenv" => {
            variables.insert(name.clone(), value(words));
        }
        [keyword, name, ..] if keyword == "presetenv" => {
            variables
                .entry(name.clone())
                .or_insert_with(|| value(words));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_with_faults(text: &str) -> (Vec<Section>, Vec<(usize, String)>) {
        let mut notes = Notes::default();
        let sections = read(text, &Variables::new(), &mut notes);
        let faults = notes
            .faults
            .into_iter()
            .map(|fault| (fault.line, fault.what));
        (sections, faults.collect())
    }

    #[test]
    fn sections_have_names_parents_and_lines() {
        let text = "\u{feff}global\r\n  daemon # yes\n\ndefaults from base\nfrontend web from d\n bind :80\n";
        let (sections, faults) = read_with_faults(text);
        assert_eq!(faults, []);
        let heads: Vec<_> = sections
            .iter()
            .map(|s| (&*s.kind, &*s.name, s.from.as_deref()))
            .collect();
        assert_eq!(
            heads,
            [
                ("global", "", None),
                ("defaults", "", Some("base")),
                ("frontend", "web", Some("d"))
            ]
        );
        let daemon = &sections[0].directives[0];
        assert_eq!((daemon.line, &*daemon.text), (2, "daemon"));
    }

    #[test]
    fn only_the_alternative_whose_condition_holds_is_read() {
        let text = "global\n setenv A 1\n.if defined(A)\n x\n .if 0\n y\n .endif\n.elif 1\n z\n.else\n w\n.endif\n v";
        let (sections, faults) = read_with_faults(text);
        assert_eq!(faults, []);
        let words: Vec<_> = sections[0]
            .directives
            .iter()
            .map(|d| &*d.words[0])
            .collect();
        assert_eq!(words, ["setenv", "x", "v"]);
    }

    #[test]
    fn faults_have_their_lines() {
        let text =
            "bind :80\nfrontend\nlisten a b\n x \"y\nbackend ü\n.if x(\n.endif\n.else\n.if 1";
        let (_, faults) = read_with_faults(text);
        let lines: Vec<usize> = faults.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 6, 8, 9], "{faults:?}");
    }
}
