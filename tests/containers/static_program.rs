//! The program once more, as an example: see `program.rs`.

#[path = "../../src/main.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
