//! `ringway completions` and `ringway man`: made from the definition of the command line, so that
//! they are never behind it.

use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;

/// The script that completes the command line in a shell.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ringway", &mut script);
    script
}

/// Writes a page for the program and one for each command into a folder, which is made if need be;
/// without a folder, returns the page of the program.
///
/// # Errors
///
/// The folder takes no files.
pub fn man_pages(folder: Option<&Path>) -> io::Result<Option<Vec<u8>>> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        return Ok(Some(page));
    };
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)?;
    Ok(None)
}
