//! Keys, and what is shown after them.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::super::rates::Rates;
use super::super::rows::rows;
use super::*;

/// So many servers, of which one is down and one drains.
fn stats(count: usize, down: usize, drain: usize) -> Value {
    let server = |index: usize| {
        let (status, state) = if index == down {
            ("DOWN", "down")
        } else if index == drain {
            ("DRAIN", "up")
        } else {
            ("UP", "up")
        };
        json!({
            "name": format!("web{index}"), "address": format!("10.0.0.{index}:80"), "status": status,
            "state": state, "admin_state": if index == drain { "drain" } else { "ready" },
            "since": "1970-01-01T00:00:10.000Z", "weight": 1, "reason": if index == down { "L4CON" } else { "L4OK" },
            "sessions": { "current": index, "limit": null, "total": index }, "connect_failures": 0,
            "connect_time": { "p99_us": 1500 }, "session_time": { "p99_us": null },
        })
    };
    let servers: Vec<Value> = (0..count).map(server).collect();
    json!({ "backends": [{ "name": "app", "servers": servers }] })
}

fn rows_of(stats: &Value) -> Vec<Row> {
    rows(
        stats,
        &Rates::new(stats),
        UNIX_EPOCH + Duration::from_secs(70),
    )
}

fn press(view: &mut View, rows: &[Row], keys: &str) -> KeyAction {
    let mut action = KeyAction::Draw;
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            c => KeyCode::Char(c),
        };
        action = view.key(code.into(), rows);
    }
    action
}

/// The names of the servers that are seen, and which one is selected.
fn seen(view: &mut View, rows: &[Row], height: usize) -> (Vec<String>, String) {
    let lines = view.lines(vec!["above".to_owned()], rows, height);
    assert_eq!(lines.len(), height);
    let name = |line: &Line| line.0.split(' ').next().unwrap_or_default().to_owned();
    let of_rows = lines
        .iter()
        .take(height - 2)
        .filter(|line| line.0.starts_with("app/"));
    let selected = lines
        .iter()
        .find(|line| line.1 == Style::Selected)
        .map(name);
    (of_rows.map(name).collect(), selected.unwrap_or_default())
}

#[test]
fn problems_are_on_top_however_many_servers_there_are() {
    let rows = rows_of(&stats(200, 150, 170));
    let mut view = View::new();
    let (names, selected) = seen(&mut view, &rows, 24);
    assert_eq!(names.len(), 20);
    assert_eq!(names[..3], ["app/web150", "app/web170", "app/web0"]);
    assert_eq!(selected, "app/web150");
    let lines = view.lines(Vec::new(), &rows, 24);
    assert!(lines[0].0.starts_with("SERVER"), "{lines:?}");
    assert!(lines[0].0.contains("STATEv"), "{lines:?}");
    assert!(lines[1].0.contains("  down       1m0s"), "{lines:?}");
    assert!(lines[1].0.contains("1.5ms"), "{lines:?}");
    assert!(
        lines[22]
            .0
            .starts_with("app/web150, 10.0.0.150:80, down for 1m0s: L4CON; weight 1"),
        "{lines:?}"
    );
    assert!(lines[23].0.starts_with("200 of 200 | s sort"), "{lines:?}");
}

#[test]
fn the_choice_scrolls_and_stays_with_its_server() {
    let stats = stats(50, 49, 48);
    let rows = rows_of(&stats);
    let mut view = View::new();
    seen(&mut view, &rows, 14);
    press(&mut view, &rows, "jjj");
    assert_eq!(seen(&mut view, &rows, 14).1, "app/web1");
    press(&mut view, &rows, "G");
    let (names, selected) = seen(&mut view, &rows, 14);
    assert_eq!(selected, "app/web47");
    assert_eq!(names.last().unwrap(), "app/web47");
    view.key(KeyCode::PageUp.into(), &rows);
    assert_eq!(seen(&mut view, &rows, 14).1, "app/web37");
    // Sorted by sessions, the largest first.
    press(&mut view, &rows, "ss");
    let (names, selected) = seen(&mut view, &rows, 14);
    assert_eq!(selected, "app/web37", "{names:?}");
    press(&mut view, &rows, "g");
    assert_eq!(seen(&mut view, &rows, 14).0[0], "app/web49");
    press(&mut view, &rows, "ig");
    assert_eq!(seen(&mut view, &rows, 14).0[0], "app/web0");
    // Any height will do.
    for height in 2..30 {
        let lines = view.lines(Vec::new(), &rows, height);
        assert!(lines.len() >= height, "{height}");
    }
}

#[test]
fn what_is_typed_filters() {
    let rows = rows_of(&stats(30, 3, 4));
    let mut view = View::new();
    press(&mut view, &rows, "/WEB2q");
    assert_eq!(seen(&mut view, &rows, 24).0, Vec::<String>::new());
    let lines = view.lines(Vec::new(), &rows, 24);
    assert!(
        lines[1].0.starts_with("no server matches `WEB2q`"),
        "{lines:?}"
    );
    view.key(KeyCode::Backspace.into(), &rows);
    press(&mut view, &rows, "\n");
    assert_eq!(seen(&mut view, &rows, 24).0.len(), 11);
    press(&mut view, &rows, "p");
    assert_eq!(seen(&mut view, &rows, 24).0.len(), 0);
    press(&mut view, &rows, "/\x1b");
    assert_eq!(seen(&mut view, &rows, 24).0, ["app/web3", "app/web4"]);
    press(&mut view, &rows, "p/l4con\n");
    assert_eq!(seen(&mut view, &rows, 24).0, ["app/web3"]);
}

#[test]
fn a_change_is_made_only_after_a_question() {
    let rows = rows_of(&stats(5, 3, 9));
    let mut view = View::new();
    assert_eq!(press(&mut view, &rows, "jd"), KeyAction::Draw);
    let lines = view.lines(Vec::new(), &rows, 10);
    assert!(
        lines[9].0.starts_with("drain app/web0? y: yes"),
        "{lines:?}"
    );
    assert_eq!(press(&mut view, &rows, "n"), KeyAction::Draw);
    assert_eq!(view.message, "app/web0 stays as it is");
    assert_eq!(press(&mut view, &rows, "q"), KeyAction::End);
    let change = |state| {
        KeyAction::Change(Change {
            server: "app/web0".parse().unwrap(),
            state,
        })
    };
    for (key, state) in [("d", "drain"), ("m", "maint"), ("r", "ready")] {
        press(&mut view, &rows, key);
        assert_eq!(press(&mut view, &rows, "y"), change(state));
    }
    assert_eq!(press(&mut view, &[], "d"), KeyAction::Draw);
    assert_eq!(view.message, "no server is shown");
    let end = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(view.key(end, &rows), KeyAction::End);
}
