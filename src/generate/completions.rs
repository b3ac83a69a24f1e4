//! `ringway completions`: the scripts of clap, which know all words of the command line, and behind them what
//! asks the running process for names of its servers, backends and frontends.

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, CommandFactory};
use clap_complete::Shell;

use crate::cli::{Cli, HELP_TOPIC};
use crate::config;
use crate::topics;

/// How the command line calls the name of a server, and of a backend or frontend.
const SERVER: &str = "BACKEND/SERVER";
const NAME: &str = "NAME";

/// For bash: names replace the options that clap's script offers. Bash begins a word behind each colon, so what
/// is before the last one is cut off.
const BASH: &str = r#"
_ringway_names() {
    _ringway "$@"
    local line=${COMP_LINE:0:COMP_POINT} word names name prefix=
    word=${line##*[[:space:]]}
    [[ $word == -* ]] && return 0
    names=$("${COMP_WORDS[0]}" completions --candidates "$line" 2>/dev/null)
    [[ -n $names ]] || return 0
    [[ $word == *:* && $COMP_WORDBREAKS == *:* ]] && prefix=${word%"${word##*:}"}
    COMPREPLY=()
    while IFS= read -r name; do
        COMPREPLY+=("${name#"$prefix"}")
    done <<<"$names"
}
complete -F _ringway_names -o bashdefault -o default ringway
"#;

/// For zsh: stands where clap's script has `_default` for a name.
const ZSH: &str = r#"
(( $+functions[_ringway_names] )) ||
_ringway_names() {
    local -a names
    names=(${(f)"$(${${(z)LBUFFER}[1]} completions --candidates "$LBUFFER" 2>/dev/null)"})
    compadd -a names
}
"#;

/// For fish.
const FISH: &str = r#"
function __fish_ringway_names
    set -l words (commandline -opc)
    $words[1] completions --candidates (commandline -pc | string collect) 2>/dev/null
end
"#;

/// The script that completes the command line in a shell.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    let topics = PossibleValuesParser::new(help_topics());
    let mut cli = Cli::command().mut_subcommand("help", |help| {
        help.mut_arg(HELP_TOPIC, |topic| topic.value_parser(topics))
    });
    clap_complete::generate(shell, &mut cli, "ringway", &mut script);
    match shell {
        Shell::Bash => script.extend(BASH.bytes()),
        Shell::Zsh => return zsh(&String::from_utf8_lossy(&script)).into_bytes(),
        Shell::Fish => script.extend(fish(&cli).bytes()),
        _ => {}
    }
    script
}

/// Names have a function of ours instead of files.
fn zsh(script: &str) -> String {
    let ends = [format!(":{SERVER}:_default"), format!(":{NAME}:_default")];
    let lines = script.lines().map(|line| {
        let is_server = line.contains("-- The server") || line.contains("of this server");
        let is_named = ends.iter().any(|end| line.contains(end.as_str()));
        match is_server || is_named {
            true => line.replace(":_default", ":_ringway_names") + "\n",
            false => format!("{line}\n"),
        }
    });
    let script: String = lines.collect();
    // Before the last lines, which run or register the function.
    match script.rfind("\nif [ \"$funcstack[1]\"") {
        Some(at) => format!("{}{ZSH}{}", &script[..at], &script[at..]),
        None => script + ZSH,
    }
}

fn fish(cli: &Command) -> String {
    let is = |argument: &Arg, name: &str| {
        let names = argument.get_value_names().unwrap_or_default();
        names.iter().any(|known| known == name)
    };
    let mut script = FISH.to_owned();
    for command in cli.get_subcommands() {
        let condition = format!("__fish_ringway_using_subcommand {}", command.get_name());
        for argument in command.get_arguments() {
            let option = match argument.get_long() {
                None if is(argument, SERVER) => " -f".to_owned(),
                Some(long) if is(argument, SERVER) || is(argument, NAME) => {
                    format!(" -x -l {long}")
                }
                _ => continue,
            };
            script += &format!(
                "complete -c ringway -n \"{condition}\"{option} -a \"(__fish_ringway_names)\"\n"
            );
        }
    }
    script
}

/// Everything that can be asked for help on.
pub(crate) fn help_topics() -> Vec<String> {
    let cli = Cli::command();
    let commands = cli.get_subcommands().map(clap::Command::get_name);
    let mut names: Vec<String> = commands.map(str::to_owned).collect();
    let topics = topics::list().map(|(name, _)| name);
    for name in config::help_names().into_iter().chain(topics) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}
