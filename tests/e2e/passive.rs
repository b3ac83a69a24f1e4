//! Passive ejection: a server with which sessions fail is left out for a time.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::clients::{connect, connect_named, connect_to_end, read_all};
use crate::harness::{Ringway, ScratchDirectory};
use crate::http::{get, stats};
use crate::http_servers::{HttpServer, answer};
use crate::servers::{RefusingPort, Server};
use crate::setup::Setup;
use crate::wait::eventually;

fn server(ringway: &Ringway, index: usize) -> Value {
    stats(ringway.admin())["backends"][0]["servers"][index].clone()
}

#[test]
fn a_server_that_refuses_is_left_out_for_longer_each_time() {
    let refusing = RefusingPort::new();
    let other = Server::named("other");
    let ringway = Setup::new()
        .admin()
        .backend(r#"passive = { failures = 2, within = "10s", pause = "500ms" }"#)
        .server("bad", refusing.address())
        .server("good", other.address())
        .start();
    let mut clients = Vec::new();
    for pause in ["500ms", "1s", "2s"] {
        let line = format!("server app/bad is left out for {pause}: 2 failed sessions within 10s");
        eventually("it is left out", || {
            let (client, name) = connect_named(ringway.address());
            assert_eq!(name, "other");
            clients.push(client);
            ringway.errors_so_far().contains(&line)
        });
        if pause == "2s" {
            // Long enough to be looked at.
            let bad = server(&ringway, 0);
            assert_eq!(
                (&bad["status"], &bad["ejected"]),
                (&"EJECTED".into(), &true.into())
            );
            assert_eq!(bad["reason"], "2 failed sessions within 10s");
            assert_eq!(bad["state"], "no check");
        }
        let line = format!("server app/bad takes sessions again: left out for {pause}");
        eventually("it is in again", || ringway.errors_so_far().contains(&line));
    }
    let bad = server(&ringway, 0);
    assert_eq!(
        (&bad["ejections"], &bad["ejected"]),
        (&3.into(), &false.into())
    );
    assert_eq!(bad["status"], "no check");
    // Two for each time, and what was under way.
    let failures = bad["connect_failures"].as_u64().expect("a number");
    assert!((6..12).contains(&failures), "{failures}");
    assert_eq!(server(&ringway, 1)["ejections"], 0);
    let metrics = get(ringway.admin(), "/metrics").body;
    let count = r#"ringway_server_ejections_total{backend="app",server="bad"} 3"#;
    assert!(metrics.contains(count), "{metrics}");
    let events = get(ringway.admin(), "/api/v1/events?follow=false").json();
    let events = events["events"].as_array().expect("events").iter();
    let passive: Vec<_> = events.filter(|event| event["kind"] == "passive").collect();
    assert_eq!(passive.len(), 6, "{passive:?}");
    assert_eq!(
        (&passive[0]["from"], &passive[0]["to"]),
        (&"no check".into(), &"ejected".into())
    );
}

#[test]
fn the_last_usable_server_is_not_left_out() {
    let refusing = RefusingPort::new();
    let drained = Server::named("drained");
    let ringway = Setup::new()
        .admin()
        .defaults("retries = 0")
        .backend(r#"passive = { failures = 1, pause = "5m" }"#)
        .server("only", refusing.address())
        .server_with("drained", drained.address(), "weight = 0")
        .start();
    for _ in 0..5 {
        connect_to_end(ringway.address());
    }
    eventually("all have failed", || {
        server(&ringway, 0)["connect_failures"] == 5
    });
    assert_eq!(server(&ringway, 0)["ejections"], 0);
    assert!(!ringway.errors_so_far().contains("left out"));
}

/// What a client with this cookie is answered.
fn with_cookie(ringway: &Ringway, cookie: &str) -> String {
    let mut client = connect(ringway.address());
    let request =
        format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: SRV={cookie}\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).expect("a request");
    String::from_utf8_lossy(&read_all(&client)).into_owned()
}

#[test]
fn clients_of_a_server_without_answers_move_and_come_back() {
    let works = Arc::new(AtomicBool::new(true));
    let does = Arc::clone(&works);
    let moody = HttpServer::start(move |mut stream, _| {
        let answer = answer("200 OK", &["Connection: close"], "moody");
        let _ = does.load(Ordering::SeqCst) && stream.write_all(&answer).is_ok();
        false
    });
    let steady = HttpServer::start(|mut stream, _| {
        let answer = answer("200 OK", &["Connection: close"], "steady");
        let _ = stream.write_all(&answer);
        false
    });
    let ringway = Setup::http()
        .admin()
        .backend(r#"passive = { failures = 3, pause = "1s" }"#)
        .server_with("moody", moody.address(), "cookie = \"m\"")
        .server_with("steady", steady.address(), "cookie = \"s\"")
        .start();
    assert!(with_cookie(&ringway, "m").ends_with("moody"));
    works.store(false, Ordering::SeqCst);
    for _ in 0..3 {
        let answer = with_cookie(&ringway, "m");
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    }
    let line = "server app/moody is left out for 1s: 3 failed sessions within 10s";
    ringway.says(line);
    works.store(true, Ordering::SeqCst);
    let answer = with_cookie(&ringway, "m");
    assert!(
        answer.ends_with("steady") && answer.contains("SRV=s"),
        "{answer}"
    );
    ringway.says("server app/moody takes sessions again: left out for 1s");
    assert!(with_cookie(&ringway, "m").ends_with("moody"));
    let moody = server(&ringway, 0);
    assert_eq!(
        (&moody["answer_failures"], &moody["connect_failures"]),
        (&3.into(), &0.into())
    );
}

#[test]
fn an_operator_or_a_reload_ends_a_pause() {
    let refusing = RefusingPort::new();
    let other = Server::named("other");
    let directory = ScratchDirectory::new();
    let socket = directory.path().join("admin.sock");
    let socket = socket.to_str().expect("text");
    let setup = |passive: &str| {
        Setup::new()
            .admin_with(&format!("socket = \"{socket}\""))
            .backend(passive)
            .server("bad", refusing.address())
            .server("good", other.address())
    };
    let rules = r#"passive = { failures = 1, pause = "5m" }"#;
    let ringway = setup(rules).start();
    let leaves_out = |times: usize| {
        eventually("it is left out", || {
            connect_named(ringway.address());
            let errors = ringway.errors_so_far();
            errors
                .matches("server app/bad is left out for 5m: 1 failed session")
                .count()
                == times
        });
    };
    leaves_out(1);
    for order in ["maint", "ready"] {
        let done = Ringway::command(&[order, "app/bad", "--admin", socket]);
        assert_eq!(done.code, Some(0), "{done:?}");
    }
    ringway.says("server app/bad takes sessions again: operator");
    leaves_out(2);
    ringway.reload(&setup("").text());
    ringway.says("server app/bad takes sessions again: configuration");
}
