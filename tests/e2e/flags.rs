//! What a container is given on the command line and by its environment, without a file.

use rustix::process::Signal;

use crate::harness::{Launch, Ringway, ScratchDirectory};
use crate::http::{get, stats};
use crate::http_servers::{HttpServer, answer};
use crate::wait::eventually;

/// A server that is well on `/health` alone.
fn server() -> HttpServer {
    HttpServer::start(|mut stream, request| {
        use std::io::Write;
        let status = match request.target() {
            "/health" => "200 OK",
            _ => "503 Service Unavailable",
        };
        stream.write_all(&answer(status, &[], "")).is_ok()
    })
}

/// A balancer in this mode, with an admin listener and more on its command line.
fn launch(mode: &str, more: &[&str]) -> Launch {
    let listeners = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    Launch::arguments(&[&[mode], &listeners[..], more].concat())
}

/// The state of the only server, once it is known.
fn checked(ringway: &Ringway) -> String {
    let mut state = String::new();
    eventually("it is checked", || {
        let stats = stats(ringway.admin());
        let server = &stats["backends"][0]["servers"][0];
        state = server["state"].as_str().expect("a state").to_owned();
        server["checks"]["probes"] != 0
    });
    state
}

#[test]
fn servers_are_checked_as_the_command_line_says() {
    let server = server();
    let address = server.address().to_string();
    for (arguments, state) in [
        (&["http", "--check", "/health", &address] as &[&str], "up"),
        (&["http", "--check=/health", &address], "up"),
        (&["http", "--check", &address], "down"),
        (&["tcp", &address, "--check", "/"], "down"),
        (&["tcp", "--check", "/health", &address], "up"),
        (&["tcp", "--check", &address], "up"),
    ] {
        let ringway = launch(arguments[0], &arguments[1..]).start();
        assert_eq!(checked(&ringway), state, "{arguments:?}");
    }
}

#[test]
fn the_page_is_put_where_the_command_line_says() {
    let server = server();
    let address = server.address().to_string();
    let ringway = launch("http", &["--page", "/haproxy_stats", &address]).start();
    let page = get(ringway.admin(), "/haproxy_stats");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<h1>Ringway</h1>"), "{}", page.body);
}

#[test]
fn an_image_names_the_socket_and_the_time_to_finish() {
    let server = server();
    let folder = ScratchDirectory::new();
    let socket = folder.path().join("admin.sock");
    let socket = socket.to_str().expect("text");
    let address = server.address().to_string();
    let arguments = ["tcp", "--listen", "127.0.0.1:0", &address];
    let mut ringway = Launch::arguments(&arguments)
        .variable("RINGWAY_ADMIN_SOCKET", socket)
        .variable("RINGWAY_SHUTDOWN_TIMEOUT", "1234ms")
        .start();
    // As HEALTHCHECK of an image runs it.
    let mut check = Launch::arguments(&["healthcheck"])
        .variable("RINGWAY_ADMIN_SOCKET", socket)
        .spawn();
    assert_eq!(check.exit_code(), Some(0), "{}", check.errors());
    ringway.signal(Signal::TERM);
    ringway.says("finishing open sessions, at most 1.234s");
    assert_eq!(ringway.exit_code(), Some(0));
}

#[test]
fn what_is_wrong_on_the_command_line_is_a_sentence() {
    for (option, value, sentence) in [
        ("--check", "=health", "it begins with a slash"),
        ("--shutdown-timeout", "=8", "write \"8s\""),
        ("--shutdown-timeout", "=101d", "at most 100d"),
        ("--page", "=/metrics", "the admin listener has it already"),
    ] {
        let option = format!("{option}{value}");
        let mut ringway = launch("http", &[&option, "127.0.0.1:9"]).spawn();
        assert_eq!(ringway.exit_code(), Some(1));
        let errors = ringway.errors();
        assert!(errors.contains(sentence), "{errors}");
    }
}
