//! The graph of the modules: an arrow runs from the file that names an item to the file that defines it.
//!
//! - `use a::b::Item` and the path `b::Item` in code are arrows; `mod b;` is none.
//! - A `pub use` is followed to the definition and is no arrow by itself, so that a `mod.rs` that only
//!   declares and re-exports its children has no arrows. It is one if the file uses the name as well.
//! - An import of an item that a `mod.rs` defines is an arrow to that `mod.rs`: if it also uses an item of
//!   the importing child, the two are a circle.
//! - Methods and fields are not seen: `self.state.poll()` names no file.
//! - Code and modules below `#[cfg(test)]` do not count: tests may name what they test.

use std::collections::{BTreeMap, BTreeSet};

use super::scan::{self, File};

/// The modules of the library and the program. A module is named by its path below `src` without `.rs` and
/// `/mod.rs`; the roots are `lib` and `main`.
pub struct Graph {
    /// From a module to those that it uses, each with the names of the items.
    arrows: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

type Path = Vec<String>;

/// All files, by the path of their module below `crate`.
struct Modules {
    files: BTreeMap<Path, File>,
}

impl Graph {
    /// Reads it from sources: their paths below `src`, and their texts.
    pub fn of(sources: &[(String, String)]) -> Self {
        let modules = Modules::of(sources);
        let mut arrows = BTreeMap::new();
        for module in modules.files.keys() {
            let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for (definer, item) in modules.uses(module) {
                if definer != *module {
                    used.entry(name(&definer)).or_default().insert(item);
                }
            }
            arrows.insert(name(module), used);
        }
        Graph { arrows }
    }

    /// Groups of modules each of which uses every other, directly or through others.
    pub fn circles(&self) -> Vec<Vec<String>> {
        let reached: BTreeMap<&str, BTreeSet<&str>> = (self.arrows.keys())
            .map(|module| (module.as_str(), self.reached_from(module)))
            .collect();
        let mut circles = BTreeSet::new();
        for (module, reaches) in &reached {
            let circle: Vec<String> = (reaches.iter())
                .filter(|other| reached[*other].contains(module))
                .map(|other| (*other).to_owned())
                .collect();
            if !circle.is_empty() {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    /// All arrows: who uses, of whom, and which items.
    pub fn all_arrows(&self) -> impl Iterator<Item = (&str, &str, &BTreeSet<String>)> {
        self.arrows.iter().flat_map(|(from, used)| {
            let used = used.iter();
            used.map(move |(to, items)| (from.as_str(), to.as_str(), items))
        })
    }

    /// The arrows from one of these modules to another of them.
    pub fn arrows_within(
        &self,
        modules: &[String],
    ) -> impl Iterator<Item = (&str, &str, &BTreeSet<String>)> {
        let is_member = |name: &str| modules.iter().any(|module| module == name);
        let arrows = self.all_arrows();
        arrows.filter(move |(from, to, _)| is_member(from) && is_member(to))
    }

    fn reached_from(&self, module: &str) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&str> = self.arrows[module].keys().map(String::as_str).collect();
        while let Some(module) = next.pop() {
            if reached.insert(module) {
                next.extend(self.arrows[module].keys().map(String::as_str));
            }
        }
        reached
    }
}

impl Modules {
    fn of(sources: &[(String, String)]) -> Self {
        let mut files: BTreeMap<Path, File> = (sources.iter())
            .map(|(path, text)| (module(path), scan::scan(text)))
            .collect();
        let tests: BTreeSet<Path> = (files.iter())
            .flat_map(|(module, file)| file.test_modules.iter().map(|test| child(module, test)))
            .collect();
        files.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
        Modules { files }
    }

    /// What a module uses: the module that defines it, and the item.
    fn uses(&self, module: &Path) -> Vec<(Path, String)> {
        let file = &self.files[module];
        let imported = (file.imports.iter())
            .filter(|import| !import.is_public || file.names.contains(&import.name))
            .map(|import| import.path.clone());
        let named = file.paths.iter().map(|path| {
            let first = file.imports.iter().find(|import| import.name == path[0]);
            first.map_or(path.clone(), |first| [&first.path, &path[1..]].concat())
        });
        imported
            .chain(named)
            .filter_map(|path| self.define(module, &path, 0))
            .collect()
    }

    /// The module that defines what `path`, whose first segment is no import, names inside of `module`, and
    /// the name of the item there.
    /// `None`: it is a whole module, or nothing of ours.
    fn define(&self, module: &Path, path: &[String], depth: usize) -> Option<(Path, String)> {
        assert!(depth < 20, "{path:?} in {module:?} leads nowhere");
        let mut rest = path;
        let mut at = module.clone();
        let first = rest.first()?.as_str();
        match first {
            "crate" | "ringway" => at = Path::new(),
            "self" | "super" => {}
            _ if self.files.contains_key(&child(module, first)) => at = child(module, first),
            // Of another crate.
            _ => return None,
        }
        if first != "super" {
            rest = &rest[1..];
        }
        while let Some((segment, after)) = rest.split_first() {
            if segment == "super" {
                at.pop();
            } else if self.files.contains_key(&child(&at, segment)) {
                at = child(&at, segment);
            } else {
                break;
            }
            rest = after;
        }
        let item = rest.first()?;
        let re_export = self.files[&at]
            .imports
            .iter()
            .find(|import| import.name == *item);
        match re_export {
            Some(import) if at != *module => {
                let whole = [&import.path, &rest[1..]].concat();
                self.define(&at, &whole, depth + 1)
            }
            Some(_) | None => Some((at, item.clone())),
        }
    }
}

/// `config/mod.rs` is `["config"]`, `lib.rs` is `[]`.
fn module(path: &str) -> Path {
    let path = path.strip_suffix(".rs").expect("a source file");
    let mut module: Path = path.split('/').map(str::to_owned).collect();
    if module
        .last()
        .is_some_and(|last| last == "mod" || path == "lib" && last == "lib")
    {
        module.pop();
    }
    module
}

fn child(module: &Path, name: &str) -> Path {
    let mut child = module.clone();
    child.push(name.to_owned());
    child
}

fn name(module: &Path) -> String {
    if module.is_empty() {
        "lib".to_owned()
    } else {
        module.join("/")
    }
}
