//! The command line: commands, options and their help.
//!
//! `program` has all commands but those for a running process, which are in `operator`; `serving` has the options
//! of commands that serve, `arguments` reads the words. Nothing is done
//! here: `main` and [`crate::operator`] do what is asked.

mod arguments;
mod file;
mod operator;
mod program;
mod serving;

pub use file::File;
pub use operator::{
    Command as OperatorCommand, Leave, Part, Process, ServerChange, ServerName, ServersChange,
};
pub(crate) use program::HELP_TOPIC;
pub use program::{CheckOptions, Cli, Command, Format};
pub use serving::{ADMIN_SOCKET, Overrides, Pool};
