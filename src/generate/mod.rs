//! `ringway completions`, `ringway man` and `ringway help`: made from the definition of the command
//! line, from the reference of the configuration and from the topics, so that they are never behind
//! them.

mod completions;

use std::io;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};

use crate::cli::Cli;
use crate::config;
use crate::console;
use crate::topics;
pub use completions::completions;

/// The manual page of the configuration, which is also the name of the file that it describes.
const CONFIG_PAGE: &str = "ringway.toml";

/// The manual page of the topics.
const TOPICS_PAGE: &str = "ringway.7";

/// Names that are at least this near to an unknown one are proposed for it.
const NEAR: f64 = 0.8;

/// How much less near than the nearest one they may be.
const NEAR_SPREAD: f64 = 0.08;

/// Names that are proposed at most.
const NEAR_MAX: usize = 3;

/// Returns the page of the program, or of the configuration or the topics if `page` is its name; for
/// any other `page`, writes all pages into this folder, which is made if need be.
///
/// # Errors
///
/// The folder takes no files.
pub fn man_pages(page: Option<&Path>) -> io::Result<Option<Vec<u8>>> {
    let Some(folder) = page else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        return Ok(Some(page));
    };
    if folder == Path::new(CONFIG_PAGE) {
        return Ok(Some(config::man_page().into_bytes()));
    }
    if folder == Path::new(TOPICS_PAGE) {
        return Ok(Some(topics::man_page().into_bytes()));
    }
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)?;
    for (section, file, page) in [
        ("man5", &*format!("{CONFIG_PAGE}.5"), config::man_page()),
        ("man7", TOPICS_PAGE, topics::man_page()),
    ] {
        let folder = folder_of(section, folder);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(file), page)?;
    }
    Ok(None)
}

/// Where pages of another section go: `man` looks for them in `man5` and `man7`, beside `man1`.
fn folder_of(section: &str, folder: &Path) -> PathBuf {
    match folder.file_name() {
        Some(name) if name == "man1" => folder.with_file_name(section),
        Some(_) | None => folder.to_owned(),
    }
}

/// What `ringway help` prints.
pub struct Help {
    command: Option<clap::Error>,
    reference: Option<String>,
}

impl Help {
    /// Prints it to standard output.
    ///
    /// # Errors
    ///
    /// Not all of it was taken.
    pub fn print(&self) -> io::Result<()> {
        if let Some(help) = &self.command {
            help.print()?;
            if self.reference.is_some() {
                console::print(&"\nIn the configuration file:\n\n")?;
            }
        }
        console::print(&self.reference.as_deref().unwrap_or_default())
    }
}

/// The help of the program, of a command, a topic, or a section, key or rule of the configuration.
///
/// # Errors
///
/// There is nothing of this name: a sentence.
pub fn help(topic: &[String]) -> Result<Help, String> {
    let command = match topic {
        [] => command_help(&[]),
        [name] => command_help(&[name]),
        _ => None,
    };
    let name = topic.join(".");
    let reference = config::help(&name).or_else(|| topics::help(&name));
    if command.is_none() && reference.is_none() {
        return Err(unknown_topic(&name));
    }
    Ok(Help { command, reference })
}

/// What clap prints for `--help` of a command, if there is one.
fn command_help(command: &[&str]) -> Option<clap::Error> {
    let cli = Cli::command();
    let is_known = command
        .iter()
        .all(|name| cli.find_subcommand(name).is_some());
    let arguments = ["ringway"].iter().chain(command).chain(&["--help"]);
    is_known
        .then(|| Cli::try_parse_from(arguments).err())
        .flatten()
}

fn unknown_topic(name: &str) -> String {
    if let Some(cure) = config::explain_foreign_word(name) {
        return format!("`{name}` is a word of HAProxy or nginx: {cure}");
    }
    let cure = match near(name).as_slice() {
        [] => "`ringway help` has the commands and topics, `ringway man ringway.toml` the keys"
            .to_owned(),
        near => format!("did you mean {}?", near.join(" or ")),
    };
    format!("there is no command, topic, section or key `{name}`: {cure}")
}

/// The names that are most like this one, the most first.
fn near(wanted: &str) -> Vec<String> {
    // The name of a section before it says nothing of a misspelled key.
    let alone = wanted.rsplit('.').next().unwrap_or(wanted);
    let likeness = |name: &str| match name.contains('.') {
        true => strsim::jaro_winkler(wanted, name),
        false => strsim::jaro_winkler(alone, name),
    };
    let names = completions::help_topics().into_iter();
    let mut names: Vec<(f64, String)> = names.map(|name| (likeness(&name), name)).collect();
    names.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let best = names.first().map_or(0.0, |(likeness, _)| *likeness);
    names.retain(|(likeness, _)| *likeness >= NEAR.max(best - NEAR_SPREAD));
    names.truncate(NEAR_MAX);
    names.into_iter().map(|(_, name)| name).collect()
}
