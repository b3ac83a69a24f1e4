//! Open sessions: what is listed is what is open, and one can be closed.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::clients::{Ending, connect, connect_from, ending, is_silent, round_trip};
use crate::harness::{Ringway, ScratchDirectory};
use crate::http::{ask, get};
use crate::servers::Server;
use crate::setup::Setup;
use crate::wait::eventually;

fn with_socket(folder: &ScratchDirectory) -> (Setup, PathBuf) {
    let socket = folder.path().join("admin.sock");
    let line = format!("socket = \"{}\"", socket.display());
    (Setup::new().admin().admin_with(&line), socket)
}

#[track_caller]
fn list(ringway: &Ringway, query: &str) -> Value {
    get(ringway.admin(), &format!("/api/v1/sessions{query}")).json()
}

#[track_caller]
fn count(ringway: &Ringway, query: &str) -> u64 {
    list(ringway, query)["count"].as_u64().expect("a number")
}

#[test]
fn open_sessions_are_described() {
    let folder = ScratchDirectory::new();
    let (setup, _) = with_socket(&folder);
    let server = Server::echo();
    // Without a log nobody else needs to know the client.
    let ringway = setup
        .global("access_log = \"off\"")
        .server("a", server.address())
        .start();
    let client = connect(ringway.address());
    round_trip(&client, &[1; 1000]);

    let all = list(&ringway, "");

    assert_eq!(all["count"], 1);
    let session = &all["sessions"][0];
    let address = client.local_addr().expect("an address").to_string();
    assert_eq!(session["client"], address);
    let names = ["frontend", "backend", "server", "state"].map(|name| session[name].clone());
    assert_eq!(json!(names), json!(["web", "app", "a", "relaying"]));
    assert_eq!(
        (&session["bytes_from_client"], &session["bytes_from_server"]),
        (&json!(1000), &json!(1000))
    );
    let age = session["age_ms"].as_u64().expect("a number");
    assert!(session["idle_ms"].as_u64().expect("a number") <= age);
    drop(client);
    eventually("it is gone", || count(&ringway, "") == 0);
    assert_eq!(list(&ringway, "")["sessions"], json!([]));
}

#[test]
fn sessions_are_found_by_what_they_are() {
    let folder = ScratchDirectory::new();
    let (setup, _) = with_socket(&folder);
    let [a, b] = [Server::echo(), Server::echo()];
    let text = setup
        .workers(1)
        .server("a", a.address())
        .server("b", b.address())
        .text();
    let text = text + "[frontend.other]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"app\"\n";
    let ringway = crate::harness::Launch::config(&text).start();
    let [web, other] = ["web", "other"].map(|frontend| ringway.address_of(frontend));
    let near: IpAddr = "127.0.0.7".parse().expect("an address");
    let clients = [
        connect(web),
        connect(web),
        connect(other),
        connect_from(near, web),
    ];
    for client in &clients {
        round_trip(client, b"hello");
    }

    for (query, expected) in [
        ("", 4),
        ("?frontend=web", 3),
        ("?frontend=other", 1),
        ("?frontend=none", 0),
        ("?backend=app", 4),
        ("?backend=ap", 0),
        ("?server=a", 2),
        ("?backend=app&server=b", 2),
        ("?client=127.0.0.7", 1),
        ("?client=::ffff:127.0.0.7", 1),
        ("?client=127.0.0.1&frontend=other", 1),
        ("?client=127.0.0.9", 0),
    ] {
        assert_eq!(count(&ringway, query), expected, "{query}");
    }
    let two = list(&ringway, "?limit=2");
    let sessions = two["sessions"].as_array().expect("a list");
    assert_eq!((two["count"].as_u64(), sessions.len()), (Some(4), 2));
    let ages: Vec<_> = sessions
        .iter()
        .map(|session| session["age_ms"].as_u64())
        .collect();
    assert!(ages[0] >= ages[1], "the oldest first: {ages:?}");
    assert_eq!(list(&ringway, "?limit=0")["sessions"], json!([]));
    assert_eq!(
        get(ringway.admin(), "/api/v1/sessions?limit=10001").status,
        400
    );
}

#[test]
fn many_sessions_are_listed_while_bytes_flow() {
    const COUNT: usize = 700;
    let folder = ScratchDirectory::new();
    let (setup, _) = with_socket(&folder);
    let server = Server::echo();
    let ringway = setup.server("a", server.address()).start();
    let clients: Vec<_> = (0..COUNT).map(|_| connect(ringway.address())).collect();
    for client in &clients {
        round_trip(client, b"hello");
    }

    let all = list(&ringway, "?limit=10000");

    let sessions = all["sessions"].as_array().expect("a list");
    assert_eq!(sessions.len(), COUNT);
    let mut ids: Vec<_> = sessions
        .iter()
        .map(|session| session["id"].as_str())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), COUNT, "each has a name of its own");
    assert_eq!(
        list(&ringway, "")["sessions"].as_array().map(Vec::len),
        Some(100)
    );
    round_trip(&clients[0], b"still there");
}

#[test]
fn one_session_is_closed_and_no_other() {
    let folder = ScratchDirectory::new();
    let (setup, socket) = with_socket(&folder);
    let server = Server::echo();
    let ringway = setup.server("a", server.address()).start();
    let clients = [(); 3].map(|()| connect(ringway.address()));
    for client in &clients {
        round_trip(client, b"hello");
    }
    let address: SocketAddr = clients[1].local_addr().expect("an address");
    let all = list(&ringway, "");
    let mut sessions = all["sessions"].as_array().expect("a list").iter();
    let session = sessions.find(|session| session["client"] == address.to_string());
    let id = session.expect("it is listed")["id"]
        .as_str()
        .expect("a name");
    let kill = |id: &str| {
        ask(
            socket.as_path(),
            &format!("DELETE /api/v1/sessions/{id}"),
            &[],
            "",
        )
    };

    let answer = kill(id);

    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({ "sessions_closed": 1 }))
    );
    assert_eq!(ending(&clients[1]), Ending::Reset);
    assert!(is_silent(&clients[0]) && is_silent(&clients[2]));
    assert_eq!(ringway.session_ended().code, "KD");
    for gone in [id, "0-0-0", "99-0-0", "nonsense", "0-4294967295-1"] {
        let answer = kill(gone);
        assert_eq!(answer.status, 404, "{gone}: {answer:?}");
        assert!(answer.error().contains("there is no session"), "{answer:?}");
    }
    assert_eq!(count(&ringway, ""), 2);
}
