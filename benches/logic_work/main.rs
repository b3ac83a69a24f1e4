//! The logic of a worker at work without a kernel, so that its instructions can be counted.
//!
//! It keeps SESSIONS sessions open and does OPERATIONS of one kind with or beside them. It measures
//! nothing itself: `scripts/bench/scaling.py` runs it under callgrind.
//!
//! Usage: `logic-work WORK SESSIONS OPERATIONS`.

mod backend;
mod logic;

use std::process::ExitCode;

use logic::Logic;

const USAGE: &str = "usage: logic-work request|connection SESSIONS OPERATIONS";
/// More than a worker ever has.
const SESSIONS_MAX: u32 = 10_000_000;
/// Sessions that nothing is done with do not time out meanwhile: see [`logic`].
const OPERATIONS_MAX: u32 = 10_000_000;
/// From one slot to the next. A prime: it leads through all of them, far apart.
const STRIDE: u64 = 2_654_435_761;

/// What is done in each turn of the loop.
#[derive(Clone, Copy)]
enum Work {
    /// A small request and its response, each time in another of the open sessions.
    Request,
    /// A whole session with one exchange, from accept to free, beside the open ones.
    Connection,
}

fn run(work: Work, sessions: u32, operations: u32) {
    let mut logic = Logic::new(sessions);
    for number in 0..u64::from(operations) {
        logic.turn(logic::TURN);
        match work {
            Work::Request => {
                let slot = number * STRIDE % u64::from(sessions);
                logic.exchange(slot as usize);
            }
            Work::Connection => {
                let slot = logic.accept();
                logic.exchange(slot);
                logic.end(slot);
            }
        }
    }
    assert_eq!(logic.sessions_open(), sessions as usize);
}

/// A number from 1 to the greatest that is allowed.
fn count(name: &str, text: &str, max: u32) -> Result<u32, String> {
    match text.parse() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        _ => Err(format!("{name} is a number from 1 to {max}, not `{text}`")),
    }
}

fn parse(arguments: &[String]) -> Result<(Work, u32, u32), String> {
    let [work, sessions, operations] = arguments else {
        return Err(format!("three arguments, not {}", arguments.len()));
    };
    let work = match work.as_str() {
        "request" => Work::Request,
        "connection" => Work::Connection,
        other => return Err(format!("WORK is `request` or `connection`, not `{other}`")),
    };
    let sessions = count("SESSIONS", sessions, SESSIONS_MAX)?;
    let operations = count("OPERATIONS", operations, OPERATIONS_MAX)?;
    Ok((work, sessions, operations))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match parse(&arguments) {
        Ok((work, sessions, operations)) => {
            run(work, sessions, operations);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}
