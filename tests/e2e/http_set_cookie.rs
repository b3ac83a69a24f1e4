//! The sticky cookie in answers: how it is written, what goes with it, and what of the server's
//! gives way.

use crate::http::{self, Answer};
use crate::http_cookie::{SET_A, ask, set, stays};
use crate::http_servers::{HttpServer, answer};
use crate::setup::Setup;

#[test]
fn all_attributes_are_set_as_configured() {
    let server = HttpServer::named("a");
    let ringway = Setup::plain_http()
        .server_with("a", server.address(), r#"cookie = "A""#)
        .sticky(r#"cookie = "__Secure-x""#)
        .sticky("http_only = false\nsecure = true\nsame_site = \"None\"")
        .sticky("path = \"/app\"\ndomain = \"app.example\"\nmax_age = \"8h\"")
        .start();

    let answer = ask(&ringway, "Cookie: SRV=A\r\n");

    let expected =
        "__Secure-x=A; Path=/app; SameSite=None; Domain=app.example; Max-Age=28800; Secure";
    assert_eq!(answer.headers("set-cookie"), [expected]);
    assert_eq!(server.last_request().cookie_lines(), ["Cookie: SRV=A"]);
}

#[test]
fn a_cookie_of_the_same_name_from_the_server_is_removed() {
    let lines = [
        "Set-Cookie: SRV=evil; Path=/",
        "Set-Cookie: session=1; HttpOnly",
        "X: 1",
        "set-cookie:  SRV = other",
        "Set-Cookie: SRVX=2",
        "Set-Cookie: x=SRV=3",
    ];
    let kept = [lines[1], lines[2], lines[4], lines[5]];
    let server = HttpServer::answering(answer("200 OK", &lines, "hello"));
    let ringway = Setup::http()
        .workers(1)
        .server_with("a", server.address(), r#"cookie = "A""#)
        .start();
    let expected = |more: &[&str]| {
        let all = [
            &["HTTP/1.1 200 OK"],
            &kept[..],
            &["Content-Length: 5"],
            more,
        ];
        all.concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };

    let set = format!("Set-Cookie: {SET_A}");
    let without = ask(&ringway, "");
    assert_eq!(without.lines, expected(&[&set, "Cache-Control: private"]));
    assert_eq!(ringway.session_ended().code, "--NI");
    let with = ask(&ringway, "Cookie: SRV=A\r\n");
    assert_eq!((with.lines, with.body.as_str()), (expected(&[]), "hello"));

    assert_eq!(ringway.sessions_ended(2)[1].code, "--VD");
}

#[test]
fn what_may_be_cached_is_made_private_beside_a_new_cookie() {
    let cases: &[(&str, &str, &[&str], bool)] = &[
        ("GET", "200 OK", &[], true),
        ("GET", "200 OK", &["Cache-Control: max-age=60"], true),
        (
            "GET",
            "200 OK",
            &["Cache-Control: public, s-maxage=60"],
            true,
        ),
        ("GET", "200 OK", &["Cache-Control: no-cache"], true),
        ("GET", "200 OK", &["Cache-Control: no-store"], false),
        (
            "GET",
            "200 OK",
            &["Cache-Control: max-age=60", "cache-control: Private"],
            false,
        ),
        ("GET", "404 Not Found", &[], true),
        ("GET", "302 Found", &[], false),
        (
            "GET",
            "302 Found",
            &["Expires: Thu, 01 Jan 2032 00:00:00 GMT"],
            true,
        ),
        ("GET", "500 Oh", &[], false),
        ("POST", "200 OK", &[], false),
        ("POST", "200 OK", &["Cache-Control: public"], true),
    ];
    for (method, status, lines, is_made) in cases {
        let server = HttpServer::answering(answer(status, lines, "x"));
        let ringway = Setup::http().server("a", server.address()).start();
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n");
        let ask = |cookie: &str| {
            let request = format!("{request}{cookie}\r\n");
            http::send(ringway.address(), request.as_bytes()).expect("an answer")
        };
        let what = format!("{method} {status} {lines:?}");
        let made = |answer: &Answer| {
            answer
                .lines
                .iter()
                .any(|line| line == "Cache-Control: private")
        };

        let first = ask("");
        assert_eq!(made(&first), *is_made, "{what}");
        // Nothing is anyone's own in an answer without it.
        let value = set(&first).expect("a cookie");
        assert!(!made(&ask(&format!("Cookie: SRV={value}\r\n"))), "{what}");
    }
}

#[test]
fn two_nodes_agree_and_tell_no_names() {
    let servers = ["web1", "web2"].map(HttpServer::named);
    let [one, two] = &servers;
    let forwards = Setup::http()
        .server("web1", one.address())
        .server("web2", two.address());
    let backwards = Setup::http()
        .server("web2", two.address())
        .server("web1", one.address());
    let nodes = [forwards.start(), backwards.start()];

    for _ in 0..4 {
        let answer = ask(&nodes[0], "");
        let value = set(&answer).expect("a cookie");
        assert!(value.len() == 11 && !value.contains("web"), "{value}");
        for node in &nodes {
            stays(node, &value, &answer.body);
        }
    }
}

#[test]
fn without_a_section_sticky_cookies_are_nobodys_business() {
    let server = HttpServer::answering(answer("200 OK", &["Set-Cookie: SRV=1"], ""));
    let ringway = Setup::plain_http().server("a", server.address()).start();

    let answer = ask(&ringway, "Cookie: SRV=A\r\n");

    assert_eq!(answer.headers("set-cookie"), ["SRV=1"]);
    assert_eq!(answer.header("cache-control"), None);
    assert_eq!(server.last_request().cookie_lines(), ["Cookie: SRV=A"]);
    let line = ringway.session_ended();
    assert_eq!(line.code, "----");
}

#[test]
fn the_longest_cookie_fits_into_the_longest_head() {
    const HEAD_MAX: usize = 65_536;
    let (first, last) = ("HTTP/1.1 200 OK\r\nX: ", "\r\nContent-Length: 4\r\n\r\n");
    let filling = "x".repeat(HEAD_MAX - first.len() - last.len());
    let server = HttpServer::answering(format!("{first}{filling}{last}body"));
    let (name, value) = ("n".repeat(64), "v".repeat(64));
    let (path, label) = (format!("/{}", "p".repeat(1_023)), "d".repeat(60));
    let domain = [label.as_str(); 4].join(".");
    let ringway = Setup::plain_http()
        .frontend("head_max = \"64KiB\"\ninspect = \"close\"")
        .server_with("a", server.address(), &format!("cookie = \"{value}\""))
        .sticky(&format!(
            "cookie = \"{name}\"\npath = \"{path}\"\ndomain = \"{domain}\""
        ))
        .sticky("secure = true\nsame_site = \"Strict\"\nmax_age = \"400d\"")
        .start();

    let answer = ask(&ringway, "");

    let set = format!(
        "{name}={value}; Path={path}; HttpOnly; SameSite=Strict; Domain={domain}; \
         Max-Age=34560000; Secure"
    );
    assert_eq!(answer.headers("set-cookie"), [set]);
    assert_eq!(answer.header("x"), Some(filling.as_str()));
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(answer.body, "body");
}
