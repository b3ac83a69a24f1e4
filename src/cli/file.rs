//! The option that names the configuration file.

use std::path::PathBuf;

use clap::Args;

/// Where the configuration file is, if the command line does not say.
const CONFIG_FILE: &str = "/etc/ringway/ringway.toml";

/// The configuration file.
#[derive(Args, Debug)]
pub struct File {
    /// Configuration file
    #[arg(short = 'c', long = "config", value_name = "FILE", default_value = CONFIG_FILE)]
    pub path: PathBuf,
}

impl File {
    /// The one that is meant if the command line does not say.
    pub fn usual() -> Self {
        File {
            path: CONFIG_FILE.into(),
        }
    }
}
