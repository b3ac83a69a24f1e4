//! What an operator sees on the stats page, on a screen of any width and with many servers.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::clients::{connect, round_trip};
use crate::discovery::name_server::{Action, NameServer};
use crate::harness::{Launch, ScratchDirectory};
use crate::http::{get, stats};
use crate::page::{seen, watch, with_token};
use crate::servers::{RefusingPort, Server};
use crate::setup::Setup;
use crate::wait::eventually;

/// What is not seen of name, status and last check of each server of `app`, wherever its table is scrolled to.
const UNSEEN: &str = "(() => {
    const unseen = [];
    const rows = [...document.querySelectorAll('[data-backend=app] tbody tr:not(.sum)')];
    for (const scroll of document.querySelectorAll('.scroll')) {
        for (const left of [0, 200, 1e6]) {
            scroll.scrollLeft = left;
            for (const row of rows) {
                row.scrollIntoView({ block: 'center', inline: 'nearest' });
                for (const part of ['th span', '.status .word', '.check span']) {
                    const element = row.querySelector(part), box = element.getBoundingClientRect();
                    const inside = box.width > 0 && box.left >= 0 && box.right <= document.documentElement.clientWidth;
                    const places = [[box.left + 1, box.top + 1], [box.right - 2, box.bottom - 2]];
                    const open = places.every(([x, y]) => element === document.elementFromPoint(x, y));
                    if (!inside || !open || !element.textContent) unseen.push([row.dataset.row, part, left]);
                }
            }
            scroll.scrollLeft = 0;
        }
    }
    const wider = document.documentElement.scrollWidth > document.documentElement.clientWidth;
    return wider ? ['the page is wider than the screen'] : unseen;
})()";

#[test]
fn name_status_and_last_check_are_seen_on_every_screen() {
    let (folder, server, refusing) = (ScratchDirectory::new(), Server::echo(), RefusingPort::new());
    for setup in [with_token(&folder), Setup::new().admin()] {
        let ringway = setup
            .health_check("interval = \"50ms\"\ntimeout = \"50ms\"")
            .server("web1", server.address())
            .server("down", refusing.address())
            .server("a-name-of-the-usual-length.example", server.address())
            .start();
        let mut browser = watch(&ringway);
        browser.waits_for(&format!(
            "document.querySelector(\"{} .check span\").textContent.startsWith('L4CON')",
            seen("down")
        ));
        for width in [390, 768, 1024, 1400, 1920] {
            browser.resize(width, 900);
            assert_eq!(browser.value(UNSEEN), json!([]), "{width}");
        }
        browser.is_content();
    }
}

#[test]
fn problems_are_on_top_and_lead_to_their_rows() {
    let (server, refusing) = (Server::echo(), RefusingPort::new());
    let mut setup = Setup::new()
        .admin()
        .health_check("interval = \"50ms\"\ntimeout = \"50ms\"");
    for index in 0..60 {
        let address = if index == 50 {
            refusing.address()
        } else {
            server.address()
        };
        setup = setup.server(&format!("web{index}"), address);
    }
    let ringway = setup.start();
    eventually("one is down", || {
        let problems = stats(ringway.admin())["problems"].clone();
        problems.as_array().is_some_and(|all| all.len() == 1)
    });
    let page = get(ringway.admin(), "/").body;
    let (_, rest) = page.split_once("id=\"problems\"").expect("a list");
    let (list, _) = rest.split_once("</ul>").expect("its end");
    assert!(
        list.contains("<a href=\"#server/app/web50\">server app/web50</a>"),
        "{list}"
    );
    assert!(list.contains("DOWN") && list.contains("L4CON"), "{list}");
    assert!(page.contains("id=\"server/app/web50\""), "a row to go to");

    let mut browser = watch(&ringway);
    assert_eq!(browser.text("#problems-head"), "1 problem");
    browser.click("#tools input[type=search]");
    browser.types("web1");
    browser.click("#problems a");
    let row = seen("web50");
    browser.waits_for(&format!(
        "document.activeElement === document.querySelector(\"{row}\")"
    ));
    let place = format!(
        "(() => {{ const box = document.querySelector(\"{row}\").getBoundingClientRect(); \
                         return box.top >= 0 && box.bottom <= innerHeight; }})()"
    );
    assert_eq!(browser.value(&place), true);
    assert_eq!(browser.value("document.querySelector('#filter').value"), "");

    // Without one, nothing but a sentence is left of the tables.
    let _living = Server::named_at(refusing.address(), "back");
    browser.waits_for("document.querySelector('#problems-head').textContent === 'No problems'");
    browser.click("#only");
    browser.waits_for("document.querySelector('#none').textContent === 'Nothing has a problem.'");
    let headings = "[...document.querySelectorAll('#tables h2')].filter(head => head.checkVisibility()).length";
    assert_eq!(browser.value(headings), 0);
    browser.click("#only");
    browser.click("#filter");
    browser.types("zzz");
    browser.waits_for("document.querySelector('#none').textContent === 'Nothing matches “zzz”.'");
    browser.is_content();
}

/// The names of the servers of `app` from top to bottom.
const NAMES: &str = "[...document.querySelectorAll('[data-backend=app] tbody tr:not(.sum) th span')] \
                     .map(name => name.textContent)";

#[test]
fn rows_are_sorted_by_any_column() {
    let server = Server::echo();
    let ringway = Setup::new()
        .workers(1)
        .admin()
        .server_with("web10", server.address(), "weight = 3")
        .server_with("web9", server.address(), "weight = 1")
        .server_with("web1", server.address(), "weight = 2")
        .start();
    let mut browser = watch(&ringway);
    let written = json!(["web10", "web9", "web1"]);
    assert_eq!(browser.value(NAMES), written);
    let head = |text: &str| {
        format!(
            "[...document.querySelectorAll('[data-backend=app] thead th')].find(head => head.textContent === '{text}')"
        )
    };
    let order = |text: &str| format!("{}.getAttribute('aria-sort')", head(text));

    // By a click, the same again, and again.
    browser.click("[data-backend=app] thead th:first-child button");
    assert_eq!(browser.value(NAMES), json!(["web1", "web9", "web10"]));
    assert_eq!(browser.value(&order("Name")), "ascending");
    browser.click("[data-backend=app] thead th:first-child button");
    assert_eq!(browser.value(NAMES), json!(["web10", "web9", "web1"]));
    assert_eq!(browser.value(&order("Name")), "descending");
    browser.click("[data-backend=app] thead th:first-child button");
    assert_eq!(browser.value(&order("Name")), Value::Null);
    assert_eq!(browser.value(NAMES), written);

    // By the keyboard, numbers from the largest.
    browser.value(&format!("{}.querySelector('button').focus()", head("Wght")));
    browser.press("Enter", 13);
    browser.waits_for(&format!("{} === 'descending'", order("Wght")));
    assert_eq!(browser.value(NAMES), json!(["web10", "web1", "web9"]));
    // Every column can be chosen, and no row is lost.
    let all = browser.value(
        "(() => { for (const button of document.querySelectorAll('[data-backend=app] thead button')) button.click(); \
         return document.querySelectorAll('[data-backend=app] thead button').length; })()",
    );
    assert_eq!(all, 28, "columns");
    let count = "document.querySelectorAll('[data-backend=app] tbody tr:not(.sum)').length";
    assert_eq!(browser.value(count), 3);
    // What was chosen stays with the address.
    browser.value(&format!("{}.querySelector('button').click()", head("Wght")));
    browser.waits_for("location.search.startsWith('?sort=')");
    browser.order("Page.reload", json!({}));
    browser.waits_for(&format!(
        "document.readyState === 'complete' && {} === 'descending'",
        order("Wght")
    ));
    browser.waits_for(&format!(
        "JSON.stringify({NAMES}) === '[\"web10\",\"web1\",\"web9\"]'"
    ));
    browser.is_content();
}

#[test]
fn a_thousand_servers_are_usable() {
    const BYTES_MAX: usize = 2_000_000;
    const UPDATE_MAX: f64 = 200.0;
    let (server, refusing) = (Server::echo(), RefusingPort::new());
    let mut setup = Setup::new()
        .admin()
        .health_check("interval = \"5s\"\nfall = 1");
    for index in 0..1000 {
        let address = if index == 777 {
            refusing.address()
        } else {
            server.address()
        };
        setup = setup.server(&format!("web{index:04}"), address);
    }
    let ringway = setup.start();
    let page = get(ringway.admin(), "/").body;
    assert!(page.len() < BYTES_MAX, "{} bytes", page.len());
    let document = get(ringway.admin(), "/api/v1/stats").body;
    assert!(document.len() < BYTES_MAX, "{} bytes", document.len());

    let mut browser = watch(&ringway);
    browser.waits_for(&format!(
        "document.querySelector(\"{}\").dataset.status === 'DOWN'",
        seen("web0777")
    ));
    assert_eq!(browser.text("#servers"), "999 of 1\u{202f}000");
    // Half of the updates take less, on a machine that does other things, too.
    let mut times: Vec<f64> = Vec::new();
    let took = "(() => { const [update] = performance.getEntriesByName('update'); \
                return update ? [update.startTime, update.duration] : [0, 0]; })()";
    let mut last = json!(0);
    eventually("five updates", || {
        let update = browser.value(took);
        if update[0] != last && update[0] != 0 {
            last = update[0].clone();
            times.extend(update[1].as_f64());
        }
        times.len() == 5
    });
    times.sort_by(f64::total_cmp);
    eprintln!(
        "page {} bytes, document {} bytes, updates {times:.0?} ms",
        page.len(),
        document.len()
    );
    assert!(times[2] < UPDATE_MAX, "{times:?} ms");
    browser.click("#only");
    let shown =
        "document.querySelectorAll('[data-backend=app] tbody tr:not(.sum):not([hidden])').length";
    browser.waits_for(&format!("{shown} === 1"));
    browser.is_content();
}

#[test]
fn the_last_hour_of_a_backend_is_drawn_and_told() {
    let server = Server::echo();
    let ringway = Setup::new().admin().server("a", server.address()).start();
    for _ in 0..25 {
        round_trip(&connect(ringway.address()), &[1; 5000]);
    }
    eventually("the first reading", || {
        let hour = get(ringway.admin(), "/api/v1/history?backend=app").json();
        let rates = &hour["backends"][0]["sessions_per_s"];
        assert_eq!(hour["interval_s"], 30);
        rates[0].as_f64().is_some_and(|rate| rate > 0.0)
    });
    let hour = get(ringway.admin(), "/api/v1/history").json();
    assert!(
        hour["backends"][0]["bytes_from_servers_per_s"][0].as_f64() > Some(0.0),
        "{hour}"
    );
    assert!(
        hour["backends"][0]["session_time_p99_us"][0].is_u64(),
        "{hour}"
    );
    let unknown = get(ringway.admin(), "/api/v1/history?backend=ap");
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.error(), "there is no backend ap: did you mean app?");

    let mut browser = watch(&ringway);
    browser.order(
        "Emulation.setTimezoneOverride",
        json!({ "timezoneId": "Asia/Tokyo" }),
    );
    browser.click("[data-backend=app] summary");
    browser.waits_for("document.querySelectorAll('.charts figure').length === 4");
    browser.waits_for("document.querySelector('.charts path').getAttribute('d') !== ''");
    let label = browser.value("document.querySelector('.charts svg').getAttribute('aria-label')");
    assert!(
        label
            .as_str()
            .is_some_and(|label| label.starts_with("New sessions/s: now ")),
        "{label}"
    );
    browser.value("document.querySelector('.charts').focus()");
    browser.press("ArrowLeft", 37);
    browser
        .waits_for("document.querySelector('.hour output').textContent.includes('New sessions/s')");
    let told = browser.text(".hour output");
    assert!(
        told.contains("; Connect time p99 ") && !told.contains("p99 –"),
        "{told}"
    );
    let utc = browser.value("document.querySelector('.hour output').title");
    assert!(
        utc.as_str().is_some_and(|utc| utc.ends_with(" UTC")),
        "{utc}"
    );
    browser.is_content();
}

#[test]
fn times_are_local_and_utc_is_their_hint() {
    let folder = ScratchDirectory::new();
    let server = Server::echo();
    let ringway = with_token(&folder).server("a", server.address()).start();
    let mut browser = crate::browser::Browser::start();
    browser.order(
        "Emulation.setTimezoneOverride",
        json!({ "timezoneId": "Asia/Tokyo" }),
    );
    browser.open(&format!("http://{}/", ringway.admin()));
    browser.waits_for("document.querySelector('#live').textContent === 'live'");
    ringway.reload(&ringway_text(&ringway));
    browser.waits_for("document.querySelector('#events time') !== null");
    // Nine hours are between them.
    let hours = "(() => { const time = document.querySelector('#events time'); \
                 const utc = new Date(time.dateTime).getUTCHours(); \
                 const shown = Number(time.textContent.match(/(\\d+):\\d+:\\d+/)[1]); \
                 return [(shown % 12 - (utc + 9) % 12 + 12) % 12, time.title.includes(` ${String(utc).padStart(2, '0')}:`) && time.title.endsWith(' UTC')]; })()";
    assert_eq!(browser.value(hours), json!([0, true]));
    assert_eq!(browser.text("#zone"), "local time");
    let hint = format!(
        "(() => {{ const since = document.querySelector(\"{} .status small\"); \
         since.dispatchEvent(new MouseEvent('mouseover', {{ bubbles: true }})); return since.title; }})()",
        seen("a")
    );
    browser.waits_for(&format!("{hint}.endsWith(' UTC)')"));
    browser.is_content();
}

/// The configuration that it runs with.
fn ringway_text(ringway: &crate::harness::Ringway) -> String {
    std::fs::read_to_string(ringway.folder().join("ringway.toml")).expect("a file")
}

#[test]
fn discovered_servers_come_and_leave_without_a_new_page() {
    let server = Server::echo();
    let name_server = NameServer::start(|_| Action::Silence);
    name_server.have(vec![IpAddr::from([127, 0, 0, 1])]);
    let text = format!(
        "[frontend.web]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"app\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [backend.app.discover]\ninterval = \"100ms\"\nresolvers = [\"{}\"]\ndns = \"tasks.web:{}\"\n",
        name_server.address,
        server.address().port()
    );
    let ringway = Launch::config(&text).start();
    let open = connect(ringway.address());
    round_trip(&open, b"hello");
    let mut browser = watch(&ringway);
    browser.value("window.same = true, document.querySelector('main').same = true");
    let port = server.address().port();
    let status = |ip: &str| {
        format!("document.querySelector(\"tr[data-row='server app {ip}:{port}']\")?.dataset.status")
    };
    browser.waits_for(&format!("{} === 'no check'", status("127.0.0.1")));
    assert!(
        browser
            .text("[data-backend=app] > p")
            .starts_with("discovered by tasks.web:")
    );

    name_server.have(vec![
        IpAddr::from([127, 0, 0, 2]),
        IpAddr::from([127, 0, 0, 3]),
    ]);
    browser.waits_for(&format!("{} === 'LEAVING'", status("127.0.0.1")));
    browser.waits_for(&format!("{} === 'no check'", status("127.0.0.3")));
    browser.waits_for("document.querySelector('#problems-head').textContent === '1 problem'");
    assert!(browser.text("#problems").contains("LEAVING"));
    drop(open);
    browser.waits_for(&format!("{} === undefined", status("127.0.0.1")));
    assert_eq!(browser.value("document.querySelector('main').same"), true);
    browser.is_content();
}

#[test]
fn what_was_refused_is_counted_with_its_reason() {
    let refusing = RefusingPort::new();
    let ringway = Setup::plain_http()
        .admin()
        .server("gone", refusing.address())
        .start();
    let mut browser = watch(&ringway);
    assert_eq!(
        browser.value("document.querySelector('#refusals').hidden"),
        true
    );
    let answer = get(ringway.address(), "/");
    assert_eq!(answer.status, 503);
    browser.waits_for("document.querySelector('#refusals').checkVisibility()");
    assert_eq!(
        browser.text("#refusals li"),
        "1 HTTP answers 503 of the balancer itself frontend web"
    );
    let page = get(ringway.admin(), "/").body;
    assert!(
        page.contains("<b>1</b> HTTP answers 503 of the balancer itself"),
        "{page}"
    );
    browser.is_content();
}

#[test]
fn routes_are_shown_with_their_sessions() {
    const HELLO: &[u8] = include_bytes!("../tls_hellos/openssl.bin");
    let server = Server::named("any");
    let file = |backend: &str| {
        let address = server.address();
        format!(
            "[admin]\nlisten = \"127.0.0.1:0\"\n[frontend.plain]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"a\"\n\
             [frontend.tls]\nlisten = [\"127.0.0.1:0\"]\nmode = \"tls\"\nroutes = [\n\
             {{ sni = [\"shop.example.com\"], backend = \"{backend}\" }}, {{ alpn = [\"h3\"], backend = \"b\" }}]\n\
             [backend.a]\nservers = [{{ name = \"s\", address = \"{address}\" }}]\n\
             [backend.b]\nservers = [{{ name = \"s\", address = \"{address}\" }}]\n"
        )
    };
    let ringway = Launch::config(&file("a")).start();
    let mut browser = watch(&ringway);
    let shown =
        "[...document.querySelectorAll('.routes li')].map(route => route.textContent).join()";
    let routes = |sessions: u32, backend: &str| {
        format!("{sessions} shop.example.com backend {backend},0 alpn=h3 backend b")
    };
    assert_eq!(browser.value(shown), json!(routes(0, "a")));
    // Only of the frontend that has some.
    let heads = "[...document.querySelectorAll('.routes h2')].map(head => head.textContent).join()";
    assert_eq!(
        browser.value(heads),
        json!("Routes of tls sessions since the start")
    );
    let detail = browser.text("tr[data-row='frontend tls'] th small");
    assert!(detail.ends_with(", tls, 2 routes"), "{detail}");

    let mut stream = connect(ringway.address_of("tls"));
    std::io::Write::write_all(&mut stream, HELLO).expect("taken");
    browser.waits_for(&format!("{shown} === '{}'", routes(1, "a")));
    ringway.reload(&file("b"));
    browser.waits_for(&format!("{shown} === '{}'", routes(1, "b")));
    browser.is_content();
}
