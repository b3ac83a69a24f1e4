//! README can be followed: its commands and configurations are valid, its links lead somewhere. The
//! end-to-end test of the same name runs its first configuration.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use clap::CommandFactory;
use ringway::cli::Cli;
use ringway::config;

/// Lines of README at most: it is the entrance, not the reference.
const LINES_MAX: usize = 400;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).expect(name)
}

/// The blocks of code in this language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("\n```{language}\n");
    let blocks = text.split(&fence).skip(1);
    let blocks = blocks.map(|rest| rest.split("\n```").next().expect("a block").to_owned());
    blocks.collect()
}

/// The text without its blocks of code.
fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split("\n```").collect();
    assert_eq!(parts.len() % 2, 1, "a block has no end");
    parts.into_iter().step_by(2).collect()
}

/// What stands between backquotes.
fn code(line: &str) -> impl Iterator<Item = String> {
    let parts = line.split('`').skip(1).step_by(2);
    parts.map(|code| code.replace("\\|", "|"))
}

/// The rows of the table whose first line begins like this, without its head.
fn rows<'a>(text: &'a str, head: &str) -> Vec<&'a str> {
    let (_, table) = text.split_once(&format!("\n| {head} |")).expect(head);
    let lines = table.lines().skip(2);
    lines.take_while(|line| line.starts_with('|')).collect()
}

#[test]
fn it_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= LINES_MAX, "README has {lines} lines");
}

/// The anchors of the headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_somewhere() {
    for (folder, name) in [("", "README.md"), ("bench-results/", "README.md")] {
        let text = read(&format!("{folder}{name}"));
        let prose = prose(&text);
        let links = prose.split("](").skip(1);
        let links = links.map(|rest| rest.split(')').next().expect("an end"));
        let mut count = 0;
        for link in links.filter(|link| !link.starts_with("https://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = match path {
                "" => format!("{folder}{name}"),
                path => format!("{folder}{path}"),
            };
            let target = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path);
            assert!(target.exists(), "{folder}{name}: {link}");
            if !anchor.is_empty() {
                assert!(
                    anchors(&read(&path)).contains(anchor),
                    "{folder}{name}: {link}"
                );
            }
            count += 1;
        }
        assert!(
            count > 10,
            "only {count} links were found in {folder}{name}"
        );
    }
}

#[test]
fn every_configuration_is_valid() {
    let blocks = blocks(&read("README.md"), "toml");
    assert!(blocks.len() >= 2);
    for (index, block) in blocks.iter().enumerate() {
        let name = format!("ringway-readme-{}-{index}.toml", std::process::id());
        let file = std::env::temp_dir().join(name);
        fs::write(&file, block).expect("a file");
        let output = Command::new(env!("CARGO_BIN_EXE_ringway"))
            .args(["check", "-c"])
            .arg(&file)
            .output();
        fs::remove_file(&file).expect("it is there");
        let output = output.expect("the program starts");
        let [out, err] = [output.stdout, output.stderr].map(String::from_utf8);
        let [out, err] = [out.expect("text"), err.expect("text")];
        assert!(output.status.success(), "{block}\n{out}{err}");
        assert!(!(out + &err).contains("warning"), "{block}");
    }
}

/// The lines that `check` prints to standard error for a configuration, which must be valid.
#[track_caller]
fn warnings(text: &str) -> String {
    let resolver = &config::system_resolver;
    let loaded = config::parse("ringway.toml", text, resolver);
    let loaded = loaded.unwrap_or_else(|report| panic!("{text}\n{report}"));
    loaded.warnings.to_string()
}

#[test]
fn the_configurations_of_the_package_are_valid() {
    // The package makes the group.
    let installed = read("scripts/package/ringway.toml").replace("\"ringway-admin\"", "\"root\"");
    assert!(warnings(&installed).starts_with("warning: no frontend"));
    let (keys, example) = installed
        .split_once("# [frontend.web]")
        .expect("an example");
    let example = example.replace("\n# ", "\n").replace("\n#\n", "\n");
    assert_eq!(warnings(&format!("{keys}[frontend.web]{example}")), "");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/package/examples");
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("a folder") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("text");
        let expected = if text.contains("[frontend.") {
            ""
        } else {
            "warning: no frontend"
        };
        assert!(warnings(&text).starts_with(expected), "{text}");
        assert_eq!(warnings(&text).is_empty(), expected.is_empty(), "{text}");
        count += 1;
    }
    assert!(count > 3, "only {count} examples");
}

/// The words of a command line of the shell; comments are left out.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (c, quote) {
            ('#', None) if word.is_empty() => break,
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(end)) if c == end => quote = None,
            (' ', None) => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            (c, _) => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// Fails unless the command line of the program takes these arguments.
#[track_caller]
fn check_arguments(arguments: &[String]) {
    let name = "ringway".to_owned();
    let words = std::iter::once(&name).chain(arguments).map(Into::into);
    let parsed = Cli::from_arguments(words);
    assert!(parsed.is_ok(), "{arguments:?}: {}", parsed.unwrap_err());
}

#[test]
fn every_command_line_is_valid() {
    let text = read("README.md");
    let shell = blocks(&text, "sh").join("\n").replace("\\\n", " ");
    let mut lines: Vec<&str> = shell.lines().collect();
    lines.extend(text.lines().filter_map(|line| line.strip_prefix("$ ")));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for line in lines {
        let mut words = words(line);
        if words.first().is_some_and(|word| word == "sudo") {
            words.remove(0);
        }
        let Some((program, arguments)) = words.split_first() else {
            continue;
        };
        let after = |word: &str| {
            let at = arguments.iter().position(|argument| argument == word);
            at.map(|at| &arguments[at + 1..])
        };
        match program.as_str() {
            "ringway" | "/usr/bin/ringway" => check_arguments(arguments),
            "cargo" if arguments[0] == "run" => check_arguments(after("--").expect("arguments")),
            "docker" if ["run", "exec"].contains(&arguments[0].as_str()) => {
                check_arguments(after("ringway").expect("the program"));
            }
            // tests/containers does the same.
            "docker" if ["compose", "stack"].contains(&arguments[0].as_str()) => {
                let file = after("-f").or_else(|| after("-c")).expect("a file");
                assert!(root.join(&file[0]).exists(), "{line}");
            }
            "docker" => assert_eq!(arguments[0], "service", "{line}"),
            "cargo" => assert_eq!(arguments, ["build", "--profile", "dist"], "{line}"),
            // The last but one is a file that is there, or that earlier lines made.
            "install" => {
                let from = &arguments[arguments.len() - 2];
                let made = ["target/dist/ringway", "ringway.toml"];
                assert!(
                    made.contains(&from.as_str()) || root.join(from).exists(),
                    "{line}"
                );
            }
            // The end-to-end test runs them.
            "for" | "mkdir" | "python3" | "done" | "curl" => {}
            // scripts/package/test.sh runs them.
            "systemctl" | "apt" => {}
            script => assert!(
                script.starts_with("scripts/") && root.join(script).exists(),
                "{line}"
            ),
        }
        count += 1;
    }
    assert!(count > 25, "only {count} command lines were found");
}

#[test]
fn every_command_that_is_named_exists_with_its_options() {
    let text = read("README.md");
    let cli = Cli::command();
    let mut named = BTreeSet::new();
    for code in prose(&text).lines().flat_map(code) {
        let Some(arguments) = code.strip_prefix("ringway ") else {
            continue;
        };
        let mut words = arguments.split(' ');
        let name = words.next().expect("a word");
        let command = cli.find_subcommand(name);
        let command = command.unwrap_or_else(|| panic!("`{code}`"));
        for option in words.filter_map(|word| word.trim_start_matches('[').strip_prefix("--")) {
            let end = option.find(|c: char| !c.is_ascii_lowercase() && c != '-');
            let option = &option[..end.unwrap_or(option.len())];
            let mut known = command.get_arguments().filter_map(clap::Arg::get_long);
            assert!(known.any(|known| known == option), "`{code}`: --{option}");
        }
        if name == "help" && !arguments.contains('[') {
            check_arguments(&[name.to_owned()]);
            let topic = arguments.trim_start_matches("help").trim();
            let is_known = config::help(topic).or_else(|| ringway::topics::help(topic));
            let is_named = !["", "TOPIC"].contains(&topic);
            assert!(!is_named || is_known.is_some(), "`{code}`");
        }
        named.insert(name.to_owned());
    }
    let table = rows(&text, "Command").join("\n");
    for command in cli.get_subcommands() {
        let name = command.get_name();
        let code = format!("`ringway {name}");
        assert!(table.contains(&code), "the table has no `{name}`");
        named.remove(name);
    }
    assert_eq!(named, BTreeSet::new());
}

#[test]
fn what_containers_are_given_is_valid() {
    for name in ["compose.yaml", "stack.yaml"] {
        let text = read(&format!("scripts/docker/{name}"));
        let (_, command) = text.split_once("    command:\n").expect("a command");
        let lines = command
            .lines()
            .map_while(|line| line.strip_prefix("      - "));
        let words: Vec<String> = lines.flat_map(words).collect();
        assert!(words.len() > 5, "{words:?}");
        check_arguments(&words);
        let lines = text.lines().filter(|line| line.contains("# change: "));
        assert_eq!(lines.count(), 3, "{name}");
    }
    let manifest = read("scripts/kubernetes/ringway.yaml");
    let (_, file) = manifest.split_once("  ringway.toml: |\n").expect("a file");
    let (file, _) = file.split_once("\n---\n").expect("its end");
    for text in [read("scripts/docker/ringway.toml"), file.to_owned()] {
        let loaded = config::parse("ringway.toml", &text, &config::system_resolver);
        let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    }
}

#[test]
fn what_users_of_haproxy_are_told_exists() {
    let text = read("README.md");
    let rows = rows(&text, "haproxy.cfg");
    assert!(rows.len() > 20);
    for row in rows {
        let column = row.split(" | ").nth(1).expect("a column");
        let mut keys = 0;
        for code in code(column).filter(|code| !code.starts_with(['[', '"'])) {
            let fields = code.trim_matches(|c| "{} ".contains(c)).split(", ");
            for field in fields.filter(|field| !field.starts_with('"')) {
                let key = field.split(" = ").next().expect("a key");
                assert!(config::help(key).is_some(), "{row}: {key}");
                keys += 1;
            }
        }
        assert!(keys > 0, "{row}");
    }
}

#[test]
fn results_are_those_of_their_page() {
    let page = read("bench-results/README.md");
    let lines: BTreeSet<&str> = page.lines().collect();
    let text = read("README.md");
    let (_, results) = text.split_once("\n## Results\n").expect("results");
    let (results, _) = results.split_once("\n## ").expect("their end");
    let rows: Vec<&str> = results
        .lines()
        .filter(|line| line.starts_with('|'))
        .collect();
    assert!(rows.len() > 10);
    for row in rows {
        assert!(lines.contains(row), "{row}");
    }
}
