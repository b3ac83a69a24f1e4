//! The program as it is put into the image: linked statically, without what only debuggers need.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the program to the run in the namespaces.
pub const VARIABLE: &str = "RINGWAY_CONTAINERS_PROGRAM";

/// The example that is the program: an example and not the program itself, whose place in `target` other tests use,
/// and which shares all that they have built.
const EXAMPLE: &str = "ringway-static";

/// Builds it with the profile of the tests, and returns where it is. `scripts/static.sh` builds that of users with
/// `dist`, by the same flags.
pub fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let config = folder.join("containers.toml");
    std::fs::write(&config, profile(root)).expect("a file");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(root)
        .args([
            "rustc",
            "--quiet",
            "--locked",
            "--example",
            EXAMPLE,
            "--target-dir",
        ])
        .arg(folder.parent().expect("the folder of all that is built"))
        .arg("--config")
        .arg(config)
        .args([
            "--",
            "-C",
            "target-feature=+crt-static",
            "-C",
            "strip=symbols",
        ])
        .status();
    assert!(
        status.expect("cargo runs").success(),
        "the program is not built"
    );
    folder
        .with_file_name("debug")
        .join("examples")
        .join(EXAMPLE)
}

/// The profile `dev` with what Cargo.toml says of `test`: `cargo rustc` takes that for a wish to build tests.
fn profile(root: &Path) -> String {
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).expect("a file");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let test = manifest["profile"]["test"].clone();
    let dev = toml::Table::from_iter([("dev".to_owned(), test)]);
    let whole = toml::Table::from_iter([("profile".to_owned(), dev.into())]);
    toml::to_string(&whole).expect("TOML")
}
