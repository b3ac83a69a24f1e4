//! `ringway explain` says what a connection meets before it is made.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;

use crate::clients::{connect, connect_from, connect_named, read_line, round_trip};
use crate::harness::{Launch, Ringway};
use crate::http::{Answer, get, order, stats};
use crate::http_servers::HttpServer;
use crate::servers::{RefusingPort, Server};
use crate::setup::Setup;
use crate::wait::eventually;

/// The explanation of a client with these further parameters.
fn explain(ringway: &Ringway, client: &str, more: &str) -> Value {
    get(
        ringway.admin(),
        &format!("/api/v1/explain?client={client}{more}"),
    )
    .json()
}

/// Rules and what each does.
fn steps(explanation: &Value) -> Vec<String> {
    let steps = explanation["steps"].as_array().expect("a list").iter();
    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    steps
        .map(|step| format!("{} {}", word(&step["rule"]), word(&step["result"])))
        .collect()
}

/// What is said of a server: its chance, then why.
fn said(explanation: &Value, server: &str) -> String {
    let servers = explanation["servers"].as_array().expect("a list").iter();
    let mut found = servers.filter(|it| it["name"] == server);
    let found = found.next().expect("the server");
    format!(
        "{} {}",
        found["chance"].as_str().expect("a word"),
        found["text"].as_str().expect("a text")
    )
}

/// The server that a connection gets for certain.
fn chosen(explanation: &Value) -> String {
    let servers = explanation["servers"].as_array().expect("a list").iter();
    let mut chosen = servers.filter(|it| it["chance"] == "chosen");
    chosen.next().expect("one is chosen")["name"]
        .as_str()
        .expect("a name")
        .to_owned()
}

#[test]
fn what_is_explained_is_what_is_chosen() {
    let servers = ["a", "b", "c"].map(|name| (name, Server::named(name)));
    for balance in ["source_hash", "least_conn", "first"] {
        let mut setup = Setup::new()
            .admin()
            .backend(&format!("balance = \"{balance}\""));
        for (weight, (name, server)) in servers.iter().enumerate() {
            let keys = format!("weight = {}, max_sessions = 9", weight + 1);
            setup = setup.server_with(name, server.address(), &keys);
        }
        let ringway = setup.start();
        let mut clients = Vec::new();
        for last in 1..=20 {
            let client = Ipv4Addr::new(127, 0, 7, last);
            let explanation = explain(&ringway, &client.to_string(), "");
            let stream = connect_from(IpAddr::V4(client), ringway.address());
            let got = read_line(&stream);
            clients.push(stream);
            // Servers that are equally busy take turns.
            match said(&explanation, &got) {
                said if balance == "least_conn" => {
                    assert!(!said.starts_with("no "), "{explanation}")
                }
                _ => assert_eq!(chosen(&explanation), got, "{explanation}"),
            }
        }
    }
}

#[test]
fn each_server_says_what_it_lacks() {
    let server = Server::named("x");
    let refusing = RefusingPort::new();
    let mut setup = Setup::new()
        .admin()
        .health_check("interval = \"50ms\"\ntimeout = \"50ms\"")
        .backend("balance = \"round_robin\"");
    for (name, keys) in [
        ("one", "max_sessions = 1"),
        ("two", ""),
        ("three", "weight = 2"),
        ("idle", "weight = 0"),
        ("spare", "backup = true"),
    ] {
        setup = setup.server_with(name, server.address(), keys);
    }
    let folder = crate::harness::ScratchDirectory::new();
    let socket = folder.path().join("admin.sock");
    let ringway = setup
        .server("down", refusing.address())
        .server("drained", server.address())
        .admin_with(&format!("socket = \"{}\"", socket.display()))
        .start();
    order(
        &*socket,
        "/api/v1/servers/app/drained",
        &serde_json::json!({ "state": "drain", "reason": "tests" }),
    );
    let mut clients = Vec::new();
    let statistics = || stats(ringway.admin())["backends"][0]["servers"].clone();
    eventually("one is full, and down is down", || {
        clients.push(connect_named(ringway.address()));
        statistics()[0]["sessions"]["current"] == 1 && statistics()[5]["state"] == "down"
    });
    let explanation = explain(&ringway, "10.0.0.7", "");
    for (name, text) in [
        (
            "one",
            "no is full: it has 1 sessions, as many as max_sessions allows",
        ),
        ("two", "possible `round_robin`, in turn by weight"),
        ("three", "possible `round_robin`, in turn by weight"),
        ("spare", "no is a backup, and another server is usable"),
    ] {
        assert_eq!(said(&explanation, name), text);
    }
    for (name, text) in [
        ("idle", "its weight is 0"),
        ("down", "its health check fails, since "),
        ("drained", "it drains, ordered by uid"),
    ] {
        let said = said(&explanation, name);
        assert!(
            said.starts_with("no gets no new sessions") && said.contains(text),
            "{said}"
        );
    }
    let verdict = "one of two, three: `round_robin`, in turn by weight";
    assert_eq!(explanation["verdict"], verdict);
    let admin = format!("http://{}", ringway.admin());
    let text = Ringway::command(&["explain", "10.0.0.7", "--admin", &admin]).done();
    assert!(
        text.starts_with(&format!("10.0.0.7 at frontend web: {verdict}\n")),
        "{text}"
    );
    let wrong = [
        "explain",
        "10.0.0.7",
        "--frontend",
        "wev",
        "--admin",
        &admin,
    ];
    let error = Ringway::command(&wrong).one_error();
    assert_eq!(error, "there is no frontend wev: did you mean web?");
    assert_eq!(Ringway::command(&["explain", "nobody"]).code, Some(2));
}

#[test]
fn lists_limits_and_queues_are_asked_in_their_order() {
    let server = Server::echo();
    let ringway = Setup::new()
        .admin()
        .frontend("max_sessions = 50\nallow = [\"127.0.0.0/8\", \"10.0.0.0/8\"]\ndeny = [\"10.6.0.0/16\"]")
        .frontend("accept_proxy = { from = [\"10.1.0.0/16\"], required = false }")
        .frontend("per_client = { max_sessions = 1, ipv4_prefix = 24 }")
        .server_with("only", server.address(), "max_sessions = 1")
        .start();
    let before = [
        "max_sessions pass",
        "max_sessions pass",
        "accept_proxy pass",
    ];
    for (client, rest, verdict) in [
        (
            "10.6.1.1",
            &["deny refuse"][..],
            "`deny` has 10.6.1.1: the connection is reset",
        ),
        (
            "192.0.2.1",
            &["allow refuse"],
            "`allow` does not have 192.0.2.1: the connection is reset",
        ),
        (
            "::ffff:10.1.0.1",
            &[
                "deny pass",
                "allow pass",
                "per_client pass",
                "balance choose",
            ],
            "server only: it is the only server",
        ),
    ] {
        let explanation = explain(&ringway, client, "");
        assert_eq!(
            steps(&explanation),
            [&before[..], rest].concat(),
            "{client}"
        );
        assert_eq!(explanation["verdict"], verdict);
    }
    let proxy = explain(&ringway, "10.1.0.1", "")["steps"][2]["text"].to_string();
    assert!(
        proxy.contains("its PROXY header says who the client is"),
        "{proxy}"
    );
    let session = connect(ringway.address());
    round_trip(&session, b"it has its server");
    let full = explain(&ringway, "127.0.0.99", "");
    assert_eq!(steps(&full).last().expect("a step"), "per_client refuse");
    assert_eq!(
        full["verdict"],
        "127.0.0.0 has 1 of 1 sessions: the connection is reset"
    );
    assert_eq!(full["servers"], serde_json::json!([]));
    let waits = explain(&ringway, "10.0.0.1", "");
    assert_eq!(steps(&waits).last().expect("a step"), "queue wait");
    assert!(said(&waits, "only").starts_with("no is full"), "{waits}");
    // Nothing was counted by asking.
    let clients = get(ringway.admin(), "/api/v1/clients").json();
    assert_eq!(clients["known"], 1, "{clients}");
}

#[test]
fn a_cookie_leads_to_its_server_or_to_none() {
    let servers = ["a", "b"].map(HttpServer::named);
    let folder = crate::harness::ScratchDirectory::new();
    let socket = folder.path().join("admin.sock");
    let ringway = Setup::http()
        .admin_with(&format!(
            "listen = \"127.0.0.1:0\"\nsocket = \"{}\"",
            socket.display()
        ))
        .server_with("a", servers[0].address(), "cookie = \"aa\"")
        .server_with("b", servers[1].address(), "cookie = \"bb\"")
        .start();
    let pinned = explain(&ringway, "127.0.0.1", "&cookie=bb");
    assert_eq!(chosen(&pinned), "b");
    assert_eq!(
        said(&pinned, "a"),
        "no is not the one that the cookie names"
    );
    let answer: Answer = crate::http::ask(ringway.address(), "GET /", &[("Cookie", "SRV=bb")], "");
    assert_eq!(answer.body, "b");
    for (cookie, text) in [
        ("cc", "no server of backend app has SRV=cc"),
        (
            "aa",
            "SRV=aa names server a, which gets no new sessions: it is in maint",
        ),
    ] {
        order(
            &*socket,
            "/api/v1/servers/app/a",
            &serde_json::json!({ "state": "maint" }),
        );
        let explanation = explain(&ringway, "127.0.0.1", &format!("&cookie={cookie}"));
        assert_eq!(steps(&explanation)[1..], ["sticky pass", "balance choose"]);
        let found = explanation["steps"][1]["text"].as_str().expect("a text");
        assert!(found.starts_with(text), "{found}");
    }
}

#[test]
fn names_and_protocols_lead_to_the_backend_of_their_route() {
    let ringway = Launch::config(
        "[admin]\nlisten = \"127.0.0.1:0\"\n[frontend.tls]\nlisten = [\"127.0.0.1:0\"]\nmode = \"tls\"\n\
         routes = [{ sni = [\"*.example.com\"], backend = \"shop\" }, { alpn = [\"acme-tls/1\"], backend = \"acme\" }]\n\
         [backend.shop]\nservers = [{ name = \"s\", address = \"127.0.0.1:1\" }]\n\
         [backend.acme]\nservers = [{ name = \"a\", address = \"127.0.0.1:1\" }]\n",
    )
    .start();
    for (hello, backend, text) in [
        (
            "&sni=a.Example.com.",
            "shop",
            "leads to backend shop, by its name *.example.com",
        ),
        ("&alpn=h2,acme-tls/1", "acme", "leads to backend acme"),
        (
            "&sni=other.test",
            "",
            "closed with the alert unrecognized_name",
        ),
    ] {
        let explanation = explain(&ringway, "10.0.0.7", hello);
        assert_eq!(explanation["backend"].as_str().unwrap_or_default(), backend);
        let route = explanation["steps"][1].to_string();
        assert!(route.contains("routes") && route.contains(text), "{route}");
    }
}
