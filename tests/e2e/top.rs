//! `ringway top` in a terminal.

use crate::clients::{connect, round_trip};
use crate::harness::ScratchDirectory;
use crate::http::stats;
use crate::servers::{RefusingPort, Server};
use crate::setup::Setup;
use crate::terminal::Terminal;
use crate::wait::eventually;

/// `ringway top` with these arguments.
fn top(arguments: &str) -> Terminal {
    let binary = env!("CARGO_BIN_EXE_ringway");
    Terminal::run(&format!("'{binary}' top {arguments}"))
}

#[test]
fn the_one_of_many_that_is_down_is_on_top_and_any_can_be_drained() {
    let folder = ScratchDirectory::new();
    let (server, refusing) = (Server::echo(), RefusingPort::new());
    let socket = folder.path().join("admin.sock").display().to_string();
    let mut setup = Setup::new()
        .admin()
        .admin_with(&format!("socket = \"{socket}\""))
        .health_check("interval = \"200ms\"\ntimeout = \"200ms\"");
    for index in 1..=200 {
        let address = if index == 150 {
            refusing.address()
        } else {
            server.address()
        };
        setup = setup.server(&format!("web{index}"), address);
    }
    let ringway = setup.start();
    eventually("the check has failed", || {
        stats(ringway.admin())["backends"][0]["servers"][149]["status"] == "DOWN"
    });
    let open = connect(ringway.address());
    round_trip(&open, b"hello");

    let mut top = top(&format!("--admin {socket} --interval 100ms"));
    top.shows("the server that is down is the first", |lines| {
        let head = lines.iter().position(|line| line.starts_with("SERVER"));
        head.is_some_and(|head| {
            lines[head + 1].starts_with("app/web150 ") && lines[head + 1].contains("L4CON")
        })
    });
    top.shows("all are counted", |lines| {
        lines.len() == 24 && lines[1].ends_with("servers up: 199 of 200")
    });

    // The filter, and a change after a question.
    top.press("/web20\r");
    top.shows("two match", |lines| {
        lines[23].starts_with("2 of 200 /web20 ")
    });
    top.press("j");
    top.press("d");
    top.shows("it asks", |lines| {
        lines[23].starts_with("drain app/web200? y: yes")
    });
    top.press("n");
    top.shows("nothing is done", |lines| {
        lines[22] == "app/web200 stays as it is"
    });
    let state = || stats(ringway.admin())["backends"][0]["servers"][199]["admin_state"].clone();
    assert_eq!(state(), "ready");
    top.press("d");
    top.shows("it asks again", |lines| {
        lines[23].starts_with("drain app/web200?")
    });
    top.press("y");
    top.shows("it says how it went", |lines| {
        lines[22].starts_with("app/web200 is drain, up, sessions open: ")
    });
    assert_eq!(state(), "drain");
    top.press("/");
    top.shows("the filter is typed", |lines| {
        lines[23].starts_with("filter: web20_")
    });
    top.press("zz");
    top.shows("nothing is found", |lines| {
        lines
            .iter()
            .any(|line| line.starts_with("no server matches `web20zz`"))
    });
    top.press("\x1b");
    top.shows("all are shown", |lines| {
        lines[23].starts_with("200 of 200 |")
    });

    // Rates of each server.
    top.press("sss");
    for _ in 0..20 {
        round_trip(&open, &[1; 1000]);
    }
    top.shows("it is sorted by new sessions", |lines| {
        lines.iter().any(|line| line.contains("NEW/Sv"))
    });
    // What is not there is asked for again; q ends it all the same.
    drop(ringway);
    top.shows("it says that nobody answers", |lines| {
        lines[22].starts_with("no answer, it is asked again: no process listens at ")
    });
    top.press("q");
    assert_eq!(top.ends(), Some(0));
}
