//! The program: reads the command line, does what it says, chooses the exit status.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use log::Level;
use ringway::cli::{Cli, Command, File, OperatorCommand, Overrides, Pool};
use ringway::config::{self, Config, Identity, Loaded, Problem};
use ringway::serve::{Options, Program, Source, StartError};
use ringway::{admin, check, console, demo, doctor, generate, import, logging, operator, serve};

/// Does what the command line says.
pub fn main() -> ExitCode {
    let cli = match Cli::from_arguments(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => error.exit(),
        // The help or the version, as asked for.
        Err(error) => return console::exit_code(error.print(), ExitCode::SUCCESS),
    };
    match cli.command {
        Command::Run {
            file,
            overrides,
            takeover,
        } => run(file, overrides, takeover),
        Command::Check {
            file,
            named,
            options,
        } => check::run(&named.unwrap_or(file.path), &options),
        Command::Import { path, output } => import::run(&path, output.as_deref()),
        Command::Tcp { pool, overrides } => {
            let resolver = &serve::resolve_host;
            let config = Config::simple(&pool.listen, pool.balance, &pool.servers, resolver);
            logged(None, || serve_simple(config, &pool, overrides))
        }
        Command::Http {
            pool,
            cookie,
            overrides,
        } => {
            let resolver = &serve::resolve_host;
            let (listen, servers) = (&pool.listen, &pool.servers);
            let config = Config::simple_http(listen, &cookie, pool.balance, servers, resolver);
            logged(None, || serve_simple(config, &pool, overrides))
        }
        Command::Demo { engine } => logged(None, || finish(demo::run(engine))),
        Command::Doctor { file } => doctor::run(file.as_deref()),
        Command::Operator(OperatorCommand::Upgrade { process })
            if !is_valid(&process.file.path) =>
        {
            ExitCode::FAILURE
        }
        Command::Operator(command) => operator::run(command),
        Command::Completions { shell, candidates } => match (shell, candidates) {
            (Some(shell), _) => print(&String::from_utf8_lossy(&generate::completions(shell))),
            (None, line) => operator::complete(&line.unwrap_or_default()),
        },
        Command::Man { page } => match generate::man_pages(page.as_deref()) {
            Ok(Some(page)) => print(&String::from_utf8_lossy(&page)),
            Ok(None) => ExitCode::SUCCESS,
            Err(error) => {
                console::complain(&format_args!("error: the pages can't be written: {error}"));
                ExitCode::FAILURE
            }
        },
        Command::Schema => print(&config::json_schema()),
        Command::Openapi => print(&admin::openapi()),
        Command::Help { topic } => match generate::help(&topic) {
            Ok(help) => console::exit_code(help.print(), ExitCode::SUCCESS),
            Err(why) => {
                console::complain(&format_args!("error: {why}"));
                ExitCode::from(2)
            }
        },
    }
}

/// Runs a command that serves. All its messages to standard error go through the log, whose thread runs as
/// the user that `config` names.
fn logged(config: Option<&Config>, serve: impl FnOnce() -> ExitCode) -> ExitCode {
    match logging::init(config.and_then(serve::user)) {
        // Dropped at the end, which writes what is left.
        Ok(_flush) => serve(),
        Err(error) => {
            console::complain(
                &match config.and_then(|config| config.global.identity.as_ref()) {
                    Some(Identity { user, .. }) => format!(
                        "error: cannot run as user `{user}`: {error}: start as root, or remove `user`"
                    ),
                    None => format!("error: cannot start the log's thread: {error}"),
                },
            );
            ExitCode::FAILURE
        }
    }
}

/// `takeover`: from the process behind this admin socket, or that of the configuration.
fn run(file: File, overrides: Overrides, takeover: Option<Option<PathBuf>>) -> ExitCode {
    match config::load(&file.path, &serve::resolve_host) {
        Ok(loaded) => {
            let config = loaded.config.clone();
            logged(Some(&config), || {
                run_loaded(loaded, file, overrides, takeover)
            })
        }
        Err(report) => logged(None, || {
            logging::print(Level::Error, &report);
            ExitCode::FAILURE
        }),
    }
}

fn run_loaded(
    loaded: Loaded,
    file: File,
    overrides: Overrides,
    takeover: Option<Option<PathBuf>>,
) -> ExitCode {
    if !loaded.warnings.is_empty() {
        logging::print(Level::Warn, &loaded.warnings);
    }
    let config = loaded.config;
    let own = config.admin.as_ref().and_then(|admin| admin.socket.clone());
    let socket = takeover.map(|named| named.or(own));
    if socket == Some(None) {
        logging::print(
            Level::Error,
            &"error: there is no admin socket to take over by: set `socket` in [admin], or \
              write `--takeover=SOCKET`",
        );
        return ExitCode::FAILURE;
    }
    serve(config, overrides, Some(file), socket.flatten())
}

/// Whether this version of the program takes a file that is there; prints what is wrong with it. A file that is
/// not there is for whoever needs it to miss.
fn is_valid(path: &Path) -> bool {
    let report = match path.exists() {
        true => config::load(path, &serve::resolve_host).err(),
        false => None,
    };
    report.inspect(|report| console::complain(report)).is_none()
}

fn serve_simple(
    config: Result<Config, Vec<Problem>>,
    pool: &Pool,
    overrides: Overrides,
) -> ExitCode {
    let config = config
        .map_err(|problems| problems.iter().map(Problem::to_string).collect())
        .and_then(|mut config| match apply_pool(pool, &mut config) {
            Ok(()) => Ok(config),
            Err(problem) => Err(vec![problem]),
        });
    match config {
        Ok(config) => serve(config, overrides, None, None),
        Err(problems) => {
            for problem in problems {
                logging::print(Level::Error, &format_args!("error: {problem}"));
            }
            ExitCode::FAILURE
        }
    }
}

/// Sets what the command line says of how servers are checked and how the process stops.
fn apply_pool(pool: &Pool, config: &mut Config) -> Result<(), String> {
    if let Some(path) = &pool.check {
        let set = config.set_check(path.as_deref());
        set.map_err(|problem| format!("--check: {problem}"))?;
    }
    let timeout = &pool.shutdown_timeout;
    let set = config.set_shutdown_timeout(timeout);
    set.map_err(|problem| format!("--shutdown-timeout {timeout}: {problem}"))
}

/// Runs until a signal ends it. `file`: where the configuration comes from, and a reload finds the
/// next one. `takeover`: the admin socket of the process to take over from.
fn serve(
    mut config: Config,
    overrides: Overrides,
    file: Option<File>,
    takeover: Option<PathBuf>,
) -> ExitCode {
    if let Err(problem) = apply(&overrides, &mut config) {
        logging::print(Level::Error, &format_args!("error: {problem}"));
        return ExitCode::FAILURE;
    }
    let source = file.map(|file| -> Source {
        Arc::new(move || {
            let loaded = config::load(&file.path, &serve::resolve_host)
                .map_err(|report| report.to_string())?;
            let warnings = loaded.warnings.to_string();
            let mut config = loaded.config;
            apply(&overrides, &mut config)?;
            Ok((config, warnings))
        })
    });
    let program = source.as_ref().and_then(|_| {
        let own = std::env::current_exe().ok()?;
        Some(Program::new(std::env::args_os(), own))
    });
    let options = Options {
        source,
        takeover,
        program,
    };
    finish(serve::run(config, options, |_| {}))
}

/// Replaces values of the configuration by options of the command line.
fn apply(overrides: &Overrides, config: &mut Config) -> Result<(), String> {
    if let Some(workers) = overrides.workers {
        config.global.workers = Some(usize::from(workers));
    }
    if let Some(engine) = overrides.engine {
        config.global.engine = engine;
    }
    if let Some(address) = &overrides.admin {
        let set = config.set_admin(address, overrides.admin_read_only, &serve::resolve_host);
        set.map_err(|problem| format!("--admin {address}: {problem}"))?;
    }
    if let Some(path) = &overrides.page {
        let set = config.set_page(path);
        set.map_err(|problem| format!("--page: {problem}"))?;
    }
    if let Some(path) = &overrides.admin_socket {
        let set = config.set_admin_socket(path);
        set.map_err(|problem| format!("--admin-socket {}: {problem}", path.display()))?;
    }
    Ok(())
}

/// Prints what was made.
fn print(text: &str) -> ExitCode {
    console::exit_code(console::print(&text), ExitCode::SUCCESS)
}

fn finish(result: Result<(), StartError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logging::print(Level::Error, &format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}
