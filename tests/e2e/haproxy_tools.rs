//! Programs that others wrote for HAProxy's socket find what they need at `haproxy_socket`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;

use crate::clients::{connect, round_trip};
use crate::haproxy_socket::{Peer, ringway};
use crate::harness::{Ringway, ScratchDirectory};
use crate::http::{get, stats};
use crate::servers::{RefusingPort, Server};
use crate::terminal::Terminal;
use crate::wait::eventually;

#[test]
fn the_exporter_of_prometheus_collects_from_it() {
    let folder = ScratchDirectory::new();
    let (server, refusing) = (Server::named("a"), RefusingPort::new());
    let (_ringway, socket) = ringway(&folder, server.address(), refusing.address());
    // It stays taken, so that nobody else gets it before the exporter listens.
    let port = RefusingPort::new();
    let listen = port.address();
    let _exporter = Peer::start(
        "prometheus-haproxy-exporter",
        &[
            &format!("--haproxy.scrape-uri=unix:{}", socket.display()),
            &format!("--web.listen-address={listen}"),
        ],
    );
    let mut metrics = String::new();
    eventually("the exporter answers", || {
        // Nobody listens at first.
        let curl = Command::new("curl")
            .args(["-s", &format!("http://{listen}/metrics")])
            .output();
        metrics = String::from_utf8(curl.expect("see scripts/test.sh").stdout).expect("text");
        metrics.contains("haproxy_up")
    });
    for line in [
        "haproxy_up 1",
        "haproxy_exporter_csv_parse_failures_total 0",
        "haproxy_server_up{backend=\"app\",server=\"a\"} 1",
        "haproxy_server_up{backend=\"app\",server=\"down\"} 0",
        "haproxy_server_weight{backend=\"app\",server=\"a\"} 4",
        "haproxy_backend_up{backend=\"app\"} 1",
    ] {
        assert!(
            metrics.lines().any(|it| it == line),
            "{line} is not in {metrics}"
        );
    }
}

/// The plugin for collectd, of PyPI: `collectd-haproxy` 1.2.1, which is kept for the next run.
fn plugin() -> PathBuf {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("collectd-haproxy-1.2.1");
    if !kept.exists() {
        let folder = ScratchDirectory::new();
        let target = folder.path().join("plugin");
        let install = Command::new("pip3")
            .args(["install", "--quiet", "--no-deps", "--target"])
            .arg(&target)
            .arg("collectd-haproxy==1.2.1")
            .output()
            .expect("see scripts/test.sh");
        let said = String::from_utf8_lossy(&install.stderr);
        assert!(install.status.success(), "{said}");
        // Below the same folder, so that it is there as a whole or not at all.
        let new = kept.with_extension(std::process::id().to_string());
        let copied = Command::new("cp").arg("-r").args([&target, &new]).status();
        assert!(copied.expect("cp").success());
        fs::rename(&new, &kept).expect("the same file system");
    }
    kept
}

/// Sessions that send and get this many bytes each, until all of them are counted.
fn traffic(ringway: &Ringway, sessions: u64, bytes: usize) {
    for _ in 0..sessions {
        round_trip(&connect(ringway.address()), &vec![b'x'; bytes]);
    }
    eventually("all is counted", || {
        let server = &stats(ringway.admin())["backends"][0]["servers"][0];
        server["bytes_from_server"] == sessions * bytes as u64 && server["sessions"]["current"] == 0
    });
}

/// What collectd has written last, by plugin instance, type and type instance: `app.a/counter-session_count`.
fn written(folder: &Path) -> HashMap<String, f64> {
    let mut values = HashMap::new();
    let instances = fs::read_dir(folder).into_iter().flatten();
    for instance in instances.map(|entry| entry.expect("an entry")) {
        let name = instance.file_name().into_string().expect("text");
        let name = name
            .strip_prefix("haproxy-")
            .expect("of the plugin")
            .to_owned();
        for file in fs::read_dir(instance.path()).expect("a folder") {
            let file = file.expect("a file");
            let text = fs::read_to_string(file.path()).expect("readable");
            // A line that is not whole yet does not count. The first one has the names of the columns.
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let last = whole.lines().skip(1).last();
            let Some((_, value)) = last.and_then(|line| line.split_once(',')) else {
                continue;
            };
            let metric = file.file_name().into_string().expect("text");
            // The day follows, in ten characters.
            let metric = &metric[..metric.len() - "-2001-01-01".len()];
            values.insert(format!("{name}/{metric}"), value.parse().expect("a number"));
        }
    }
    values
}

#[test]
fn collectd_writes_the_numbers_of_the_traffic() {
    let folder = ScratchDirectory::new();
    let (server, refusing) = (Server::echo(), RefusingPort::new());
    let (ringway, socket) = ringway(&folder, server.address(), refusing.address());
    traffic(&ringway, 5, 1234);
    let open = connect(ringway.address());
    round_trip(&open, b"it stays");
    let path = folder.path().display();
    let text = format!(
        "Interval 0.2\nHostname \"node\"\nBaseDir \"{path}\"\nPIDFile \"{path}/pid\"\n\
         PluginDir \"/usr/lib/collectd\"\nTypesDB \"/usr/share/collectd/types.db\"\n\
         LoadPlugin csv\n<Plugin csv>\n  DataDir \"{path}/csv\"\n</Plugin>\n\
         <LoadPlugin python>\n  Globals true\n</LoadPlugin>\n\
         <Plugin python>\n  ModulePath \"{}\"\n  Import \"collectd_haproxy\"\n\
         \x20 <Module haproxy>\n    Socket \"{}\"\n  </Module>\n</Plugin>\n",
        plugin().display(),
        socket.display(),
    );
    let file = folder.path().join("collectd.conf");
    fs::write(&file, text).expect("a file");
    let _collectd = Peer::start("collectd", &["-f", "-C", &file.display().to_string()]);
    let values = folder.path().join("csv/node");
    let bytes = f64::from(5 * 1234);
    for (metric, value) in [
        ("web.FRONTEND/counter-session_count", 6.0),
        ("web.FRONTEND/gauge-current_session_count", 1.0),
        ("app.a/counter-session_count", 6.0),
        ("app.a/gauge-current_session_count", 1.0),
        ("app.a/gauge-server_weight", 4.0),
        ("app.a/counter-down_transition_count", 0.0),
        ("app.down/counter-session_count", 0.0),
        ("app.down/counter-down_transition_count", 1.0),
        ("app.BACKEND/counter-session_count", 6.0),
        ("app.BACKEND/gauge-active_server_count", 1.0),
        ("haproxy/counter-connection_count", 6.0),
        ("haproxy/gauge-current_connections", 1.0),
        (
            "haproxy/gauge-pid",
            f64::from(ringway.pid().as_raw_nonzero().get()),
        ),
        // The open session has eight more.
        ("app.a/gauge-bytes_in", bytes + 8.0),
        ("app.a/gauge-bytes_out", bytes + 8.0),
        ("web.FRONTEND/gauge-bytes_in", bytes + 8.0),
        ("app.BACKEND/gauge-bytes_out", bytes + 8.0),
    ] {
        eventually(metric, || written(&values).get(metric) == Some(&value));
    }
    // What comes then is collected too.
    for _ in 0..3 {
        round_trip(&connect(ringway.address()), b"more");
    }
    eventually("the new sessions", || {
        written(&values).get("app.a/counter-session_count") == Some(&9.0)
    });
}

#[test]
fn hatop_shows_and_orders() {
    let folder = ScratchDirectory::new();
    let (server, refusing) = (Server::echo(), RefusingPort::new());
    let (ringway, socket) = ringway(&folder, server.address(), refusing.address());
    traffic(&ringway, 7, 10);
    let mut hatop = Terminal::run(&format!("hatop -i 1 -s '{}'", socket.display()));
    for part in [
        "Ringway Version",
        ">>> web",
        ">>> app",
        "L4OK",
        "DOWN",
        "L4CON",
    ] {
        eventually(part, || hatop.output().contains(part));
    }
    // Its command line, on the fifth of its pages.
    hatop.press("5");
    eventually("the command line", || hatop.output().contains("> "));
    hatop.press("set server app/a state drain\r");
    eventually("it drains", || {
        stats(ringway.admin())["backends"][0]["servers"][0]["admin_state"] == "drain"
    });
    let why = get(ringway.admin(), "/api/v1/servers/app/a/why").body;
    let who = format!("haproxy_socket, uid {}", geteuid().as_raw());
    assert!(why.contains(&who), "{why}");
    hatop.press("\x1b1");
    eventually("it shows that", || hatop.output().contains("DRAIN"));
    hatop.press("q");
    hatop.ends();
}
