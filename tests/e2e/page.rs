//! The stats page: what it shows without a script, and what it does with one.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::browser::Browser;
use crate::clients::{connect, round_trip};
use crate::harness::{Ringway, ScratchDirectory};
use crate::http::{Answer, ask, get, stats};
use crate::servers::{RefusingPort, Server};
use crate::setup::Setup;
use crate::wait::eventually;

const TOKEN: &str = "correct-horse-battery-staple";

/// With a token file in `folder`.
pub fn with_token(folder: &ScratchDirectory) -> Setup {
    let path = folder.path().join("token");
    std::fs::write(&path, TOKEN).expect("the scratch directory takes files");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&path, mode).expect("it is ours");
    let line = format!("token_file = \"{}\"", path.display());
    Setup::new().admin().admin_with(&line)
}

fn nowhere() -> SocketAddr {
    "127.0.0.1:9".parse().expect("an address")
}

/// The piece of a page from here up to there, which it has.
#[track_caller]
fn piece<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    let begin = page
        .find(from)
        .unwrap_or_else(|| panic!("no {from} in {page}"));
    let rest = &page[begin..];
    &rest[..rest.find(to).unwrap_or_else(|| panic!("no {to} in {rest}"))]
}

/// What stands between the tags.
fn words(html: &str) -> Vec<String> {
    let texts = html.split('<').filter_map(|part| part.split_once('>'));
    let texts = texts.map(|(_, text)| text.trim().to_owned());
    texts.filter(|text| !text.is_empty()).collect()
}

/// The row of a server of `app`.
#[track_caller]
fn row<'a>(page: &'a Answer, server: &str) -> &'a str {
    let row = format!("data-row=\"server app {server}\"");
    let row = piece(&page.body, &row, "</tr>");
    assert!(row.contains("<th"), "{row}");
    row
}

#[test]
fn it_is_complete_without_a_script() {
    let (server, refusing) = (Server::echo(), RefusingPort::new());
    let ringway = Setup::new()
        .admin()
        .admin_with("page = \"/haproxy_stats\"")
        .health_check("interval = \"50ms\"\ntimeout = \"50ms\"")
        .server_with("a", server.address(), "weight = 7, max_sessions = 500")
        .server("gone", refusing.address())
        .start();
    let admin = ringway.admin();
    for _ in 0..1234 {
        round_trip(&connect(ringway.address()), b"12345");
    }
    ringway.sessions_ended(1234);
    eventually("the check has failed", || {
        stats(admin)["backends"][0]["servers"][1]["status"] == "DOWN"
    });

    for path in ["/", "/haproxy_stats", "/haproxy_stats?old=bookmark"] {
        let page = get(admin, path);
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        let up = words(row(&page, "a"));
        assert_eq!(up[..2], ["a".to_owned(), server.address().to_string()]);
        for word in ["UP", "L4OK", "7", "500", "1\u{202f}234", "6.2 kB"] {
            assert!(up.contains(&word.to_owned()), "{word}: {up:?}");
        }
        let down = words(row(&page, "gone"));
        assert!(down.contains(&"DOWN".to_owned()), "{down:?}");
        assert!(
            down.iter().any(|word| word.starts_with("L4CON")),
            "{down:?}"
        );
        let frontend = words(piece(&page.body, "data-row=\"frontend web\"", "</tr>"));
        assert!(frontend.contains(&"OPEN".to_owned()), "{frontend:?}");
        let backend = words(piece(&page.body, "data-row=\"backend app\"", "</tr>"));
        assert!(backend.contains(&"1\u{202f}234".to_owned()), "{backend:?}");
        let events = piece(&page.body, "id=\"events\"", "</ol>");
        assert!(events.contains("server app/gone is down"), "{events}");
        let workers = page.body.matches("data-row=\"worker ").count();
        assert_eq!(workers, 2);
    }
}

#[test]
fn the_heads_are_those_of_haproxy_in_its_order_behind_what_matters_most() {
    let ringway = Setup::new().admin().server("a", nowhere()).start();

    let page = get(ringway.admin(), "/");

    let head = words(piece(&page.body, "<thead>", "</thead>"));
    let expected = "Name|Status|LastChk|Actions|Queue|Session rate|Sessions|Bytes|Errors|Warn.|Server|\
        Connect time|Session time|Cur|Cur|Max|5 minutes|Cur|Max|Limit|Total|In|Out|Conn|Resp|Retr|Wght|Act|Bck|\
        Chk|Dwn|Ejc|p50|p90|p99|p50|p90|p99";
    assert_eq!(head.join("|"), expected);
}

#[test]
fn nothing_is_asked_for_elsewhere_and_nothing_else_may_run() {
    let ringway = Setup::new().admin().server("a", nowhere()).start();
    let [one, two] = [(), ()].map(|()| get(ringway.admin(), "/"));

    let policy = one.header("content-security-policy").expect("a policy");
    let nonce = piece(policy, "'nonce-", "';").trim_start_matches("'nonce-");
    assert_eq!(nonce.len(), 32, "{policy}");
    assert_eq!(
        policy,
        format!(
            "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; \
             connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
    );
    assert_ne!(two.header("content-security-policy"), Some(policy));
    assert_eq!(one.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(one.body.matches(&format!("nonce=\"{nonce}\"")).count(), 2);
    assert_eq!(one.body.matches("<script").count(), 1);
    // Only names of kinds of documents.
    let rest = one.body.replace("http://www.w3.org/2000/svg", "");
    for word in ["http://", "https://", " src=", "url(", "@import", " style="] {
        assert!(!rest.contains(word), "{word}");
    }
    assert!(!one.body.contains("{{"), "a place that was not filled");
}

#[test]
fn what_is_asked_for_is_shown_and_nothing_of_it_is_believed() {
    let (server, refusing) = (Server::echo(), RefusingPort::new());
    let ringway = Setup::new()
        .admin()
        .health_check("interval = \"50ms\"\ntimeout = \"50ms\"")
        .server("apple", server.address())
        .server("pear", refusing.address())
        .start();
    let admin = ringway.admin();
    eventually("the check has failed", || {
        stats(admin)["backends"][0]["servers"][1]["status"] == "DOWN"
    });
    let hidden = |query: &str| {
        let page = get(admin, query);
        ["apple", "pear"]
            .map(|server| piece(row(&page, server), "data-row", ">").contains(" hidden"))
    };

    assert_eq!(hidden("/"), [false, false]);
    assert_eq!(hidden("/?filter=PPL"), [false, true]);
    assert_eq!(hidden("/?filter=+pear+"), [true, false]);
    assert_eq!(hidden("/?filter=app"), [false, false], "of its backend");
    assert_eq!(hidden("/?problems=on"), [true, false]);
    assert_eq!(hidden("/?filter=apple&problems=on"), [true, true]);
    let evil = get(
        admin,
        "/?filter=%22%3E%3Cscript%3Ealert(1)%3C/script%3E%7B%7Bnonce%7D%7D",
    );
    assert!(
        evil.body
            .contains("value=\"&quot;&gt;&lt;script&gt;alert(1)"),
        "{}",
        piece(&evil.body, "<form", "</form>")
    );
    assert!(!evil.body.contains("<script>"));
    assert_eq!(evil.body.matches("<script").count(), 1);
}

#[test]
fn who_may_not_read_gets_a_frame_that_asks_for_the_token() {
    let folder = ScratchDirectory::new();
    let ringway = with_token(&folder).server("secret", nowhere()).start();

    // Whoever has the token may call this host by any name.
    for header in [("Authorization", "Bearer wrong"), ("Host", "lb.example")] {
        let page = ask(ringway.admin(), "GET /", &[header], "");
        assert_eq!(page.status, 401, "{header:?}");
        assert_eq!(page.header("www-authenticate"), Some("Bearer"));
        assert!(page.body.contains("needs a token"));
        assert!(!page.body.contains("secret"));
    }
    let known = [
        ("Authorization", &*format!("Bearer {TOKEN}")),
        ("Host", "lb.example"),
    ];
    let page = ask(ringway.admin(), "GET /", &known, "");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("server app secret"));

    let without = Setup::new().admin().server("secret", nowhere()).start();
    let stranger = ask(without.admin(), "GET /", &[("Host", "evil.example")], "");
    assert_eq!(stranger.status, 421);
}

/// A browser that has the page open, and sees it live.
#[track_caller]
pub fn watch(ringway: &Ringway) -> Browser {
    let mut browser = Browser::start();
    browser.open(&format!("http://{}/", ringway.admin()));
    browser.waits_for("document.querySelector('#live').textContent === 'live'");
    browser
}

/// How the browser finds a row of a server of `app`.
pub fn seen(server: &str) -> String {
    format!("tr[data-row='server app {server}']")
}

fn has_status(server: &str, status: &str) -> String {
    let row = seen(server);
    format!(
        "document.querySelector(\"{row}\").dataset.status === '{status}' && \
         document.querySelector(\"{row} .word\").textContent === '{status}'"
    )
}

#[test]
fn a_browser_sees_a_server_die_and_drains_another() {
    let folder = ScratchDirectory::new();
    let (port, living) = (RefusingPort::new(), Server::echo());
    let dying = Server::named_at(port.address(), "dying");
    // One, so that each server gets one of two sessions.
    let ringway = with_token(&folder)
        .workers(1)
        .health_check("interval = \"200ms\"\ntimeout = \"200ms\"\nfall = 2")
        .server("dying", port.address())
        .server("living", living.address())
        .start();
    let admin = ringway.admin();
    let mut browser = watch(&ringway);
    browser.waits_for(&has_status("dying", "UP"));
    let open = [(), ()].map(|()| connect(ringway.address()));
    eventually("each has a session", || {
        let all = stats(admin);
        [0, 1].map(|server| all["backends"][0]["servers"][server]["sessions"]["current"].clone())
            == [1, 1]
    });

    drop(dying);
    browser.waits_for(&has_status("dying", "DOWN"));
    browser.waits_for(
        "document.querySelector('#events').textContent.includes('app/dying is down: L4CON')",
    );
    browser.waits_for("document.title === '(1) Ringway'");
    assert!(browser.text("#servers").contains("1 of 2"));
    assert!(
        browser
            .text(&format!("{} .check", seen("dying")))
            .contains("L4CON")
    );

    // It asks for the token once.
    browser.click(&format!("{} button[value=drain]", seen("living")));
    browser.waits_for("document.querySelector('#ask').open");
    browser.types("wrong");
    browser.press("Enter", 13);
    browser.waits_for("document.querySelector('#said').textContent.startsWith('wrong token')");
    browser.waits_for("document.querySelector('#ask').open");
    // The dialog itself says so, and a reader of it is told.
    assert!(browser.text("#ask-wrong").starts_with("wrong token"));
    let told = "document.querySelector('#ask-wrong').checkVisibility() && \
                document.querySelector('#ask-wrong').getAttribute('role')";
    assert_eq!(browser.value(told), "alert");
    browser.types(TOKEN);
    browser.press("Enter", 13);
    browser.waits_for(&has_status("living", "DRAIN"));
    assert_eq!(
        stats(admin)["backends"][0]["servers"][1]["admin_state"],
        "drain"
    );
    assert_eq!(
        browser.text("#said"),
        "app/living is drain, 1 session left",
        "{:#}",
        stats(admin)
    );
    assert_eq!(
        browser.text(&format!("{} .acts small", seen("living"))),
        "1 session left"
    );
    drop(open);
    let left = format!(
        "document.querySelector(\"{} .acts small\").textContent === 'no session left'",
        seen("living")
    );
    browser.waits_for(&left);
    let operator = stats(admin)["backends"][0]["servers"][1]["operator"].clone();
    assert_eq!(operator["reason"], "stats page");

    browser.click(&format!("{} button[value=ready]", seen("living")));
    browser.waits_for(&has_status("living", "UP"));
    assert_eq!(browser.value("document.querySelector('#ask').open"), false);
    let stored = "localStorage.length + sessionStorage.length + document.cookie.length";
    assert_eq!(
        browser.value(stored),
        0,
        "the token is nowhere but in memory"
    );
}

#[test]
fn script_and_server_write_the_same() {
    let (server, refusing) = (Server::echo(), RefusingPort::new());
    let ringway = Setup::new()
        .admin()
        .server_with("a", server.address(), "max_sessions = 12345, weight = 3")
        .server_with("gone", refusing.address(), "backup = true")
        .start();
    let open = connect(ringway.address());
    for _ in 0..20 {
        round_trip(&open, &[1; 5000]);
    }
    round_trip(&connect(ringway.address()), b"short");
    let mut browser = watch(&ringway);

    // Neither ages nor the moment: what rests is to be the same, and all of it was written by the script.
    let same = "(async () => {
        const rests = cell => !cell.closest('small, time') && !['since', 'ago', 'age', 'reload'].includes(cell.dataset.k);
        const cells = page => [...page.querySelectorAll('main .proxy td, main .proxy td span, main [data-k], #problems a, #refusals li')]
            .filter(cell => rests(cell) && !cell.closest('col, td.acts, .set') && !cell.querySelector('small') && !cell.hasAttribute('data-p'))
            .map(cell => [cell.closest('[data-row]')?.dataset.row, cell.textContent].join(' '));
        const text = await (await fetch('/')).text();
        const main = text.slice(text.indexOf('<main'), text.indexOf('</main>'));
        const [told, shown] = [new DOMParser().parseFromString(main, 'text/html'), document].map(cells);
        const different = shown.filter((cell, index) => cell !== told[index]);
        const all = told.length > 100 && told.length === shown.length;
        return all ? different : [`${told.length} of ${shown.length}`];
    })()";
    let median = format!(
        "(() => {{ const row = document.querySelector(\"{}\"); \
         const cols = [...row.closest('table').querySelectorAll('col')]; \
         const at = cols.findIndex(col => col.dataset.v === '/connect_time/p50_us'); \
         return row.cells[at].textContent !== '–'; }})()",
        seen("a")
    );
    browser.waits_for(&median);
    eventually("they agree", || {
        let different = browser.value(same);
        // Shown when the test fails.
        eprintln!("{different:#}");
        different == json!([])
    });
    let lines = "[...document.querySelectorAll('#tables svg polyline')].every(line => line.getAttribute('points') !== '')";
    browser.waits_for(lines);
    // Where no actions are taken, none are offered.
    let seen_buttons =
        "[...document.querySelectorAll('.acts')].filter(cell => cell.offsetWidth > 0).length";
    assert_eq!(browser.value(seen_buttons), 0);
    assert!(browser.text("#tools").contains("only reads"));
    browser.is_content();
}

#[test]
fn the_page_follows_reloads_and_the_filter() {
    let server = Server::echo();
    let setup = |names: &[&str]| {
        let add = |setup: Setup, name: &&str| setup.server(name, server.address());
        names.iter().fold(Setup::new().admin(), add)
    };
    let ringway = setup(&["apple"]).start();
    let mut browser = watch(&ringway);

    ringway.reload(&setup(&["apple", "pear"]).text());
    browser.waits_for(&format!(
        "document.querySelector(\"{}\") !== null",
        seen("pear")
    ));
    browser.waits_for("document.querySelector('[data-v=\"/reload/version\"]').textContent === '2'");

    browser.press("/", 191);
    browser.waits_for("document.activeElement.id === 'filter'");
    browser.types("pear");
    let hidden = |server: &str| format!("document.querySelector(\"{}\").hidden", seen(server));
    browser.waits_for(&hidden("apple"));
    assert_eq!(browser.value(&hidden("pear")), json!(false));
    assert_eq!(browser.value("location.search"), "?filter=pear");
    browser.is_content();
}
