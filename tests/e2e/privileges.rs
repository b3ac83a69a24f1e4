//! What the process may do once it serves: which user it is, which groups and capabilities its threads
//! have. Only root can start it as somebody else, so these tests want to run as root.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::json;

use crate::clients::connect_named;
use crate::harness::{Ringway, ScratchDirectory};
use crate::http::{ask, get, order};
use crate::servers::Server;
use crate::setup::Setup;
use crate::wait::eventually;

/// The user and the group of the tests, which need not have names.
const UID: u32 = 54_321;
const GID: u32 = 54_322;

/// `CAP_NET_BIND_SERVICE` as a set.
const NET_BIND_SERVICE: u64 = 1 << 10;

/// What the kernel says of a thread.
#[derive(Debug, PartialEq, Eq)]
struct Rights {
    uid: String,
    gid: String,
    groups: String,
    /// Permitted, effective, inheritable, ambient, bounding.
    capabilities: [u64; 5],
    no_new_privs: String,
}

impl Rights {
    fn parse(status: &str) -> Self {
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.expect(key).trim().to_owned()
        };
        let sets = ["CapPrm:", "CapEff:", "CapInh:", "CapAmb:", "CapBnd:"];
        Rights {
            uid: value("Uid:"),
            gid: value("Gid:"),
            groups: value("Groups:"),
            capabilities: sets.map(|set| u64::from_str_radix(&value(set), 16).expect("a set")),
            no_new_privs: value("NoNewPrivs:"),
        }
    }

    fn of(uid: u32, gid: u32, groups: &str) -> Self {
        let four = |id: u32| [id.to_string().as_str(); 4].join("\t");
        Rights {
            uid: four(uid),
            gid: four(gid),
            groups: groups.to_owned(),
            capabilities: [NET_BIND_SERVICE, NET_BIND_SERVICE, 0, 0, NET_BIND_SERVICE],
            no_new_privs: "1".to_owned(),
        }
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A folder that is the user's, with a state file and an admin socket in it.
struct Files(ScratchDirectory);

impl Files {
    fn new() -> Self {
        let folder = ScratchDirectory::new();
        chown(folder.path(), Some(UID), Some(GID)).expect("this test runs as root");
        Files(folder)
    }

    fn socket(&self) -> PathBuf {
        self.0.path().join("admin.sock")
    }

    fn setup(&self) -> Setup {
        let path = |name| self.0.path().join(name).display().to_string();
        let token = self.0.path().join("token");
        fs::write(&token, "secret").expect("a file");
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).expect("a file of ours");
        Setup::new()
            .global(&format!("user = \"{UID}\"\ngroup = \"{GID}\""))
            .global(&format!("state_file = \"{}\"", path("state.json")))
            .admin()
            .admin_with(&format!("socket = \"{}\"", path("admin.sock")))
            .admin_with(&format!("token_file = \"{}\"", path("token")))
    }
}

/// All threads have these rights, once the last of them has got that far.
#[track_caller]
fn has_rights(ringway: &Ringway, expected: &Rights) {
    let statuses = ringway.of_threads("status");
    assert!(statuses.len() >= 5, "{statuses:?}");
    for status in statuses {
        assert_eq!(Rights::parse(&status), *expected, "{status}");
    }
}

/// A port below 1024 that nobody has.
fn low_port() -> SocketAddr {
    let free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let port = (600..1024).rev().find(free).expect("a free port");
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
fn root_is_given_up_by_all_threads_and_everything_goes_on() {
    let server = Server::named("a");
    let files = Files::new();
    let setup = files.setup().server("a", server.address());
    let low = low_port();
    let mut ringway = setup.listen(&low.to_string()).start();
    let user = Rights::of(UID, GID, "");
    has_rights(&ringway, &user);
    assert_eq!(connect_named(low).1, "a");
    let messages = ringway.errors_so_far();
    assert!(!messages.contains("running as root"), "{messages}");

    let socket = fs::symlink_metadata(files.socket()).expect("a socket");
    assert_eq!((socket.uid(), socket.gid()), (UID, GID));
    assert_eq!(socket.mode() & 0o777, 0o600);
    let drained = order(
        files.socket().as_path(),
        "/api/v1/servers/app/a",
        &json!({ "state": "drain" }),
    );
    assert!(drained["warning"].is_null(), "{drained}");
    let state = fs::metadata(files.0.path().join("state.json")).expect("a file");
    assert_eq!((state.uid(), state.gid()), (UID, GID));

    // Another port below 1024, by a process that is not root any more.
    let second = low_port();
    let setup = files.setup().server("a", server.address());
    fs::set_permissions(ringway.folder(), fs::Permissions::from_mode(0o755))
        .expect("a folder of ours");
    let said = ringway.reload(&setup.listen(&second.to_string()).text());
    assert!(said.contains("version 2"), "{said}");
    eventually("it listens there", || {
        std::net::TcpStream::connect(second).is_ok()
    });
    has_rights(&ringway, &user);
    ringway.signal(Signal::TERM);
    assert_eq!(ringway.exit_code(), Some(0));
    assert!(!files.socket().exists());
}

#[test]
fn root_has_no_capabilities_but_one_and_is_warned() {
    assert!(is_root(), "this test runs as root");
    let server = Server::named("a");
    let ringway = Setup::new().server("a", server.address()).start();
    ringway.says("running as root: set `user` in [global]");
    assert_eq!(connect_named(ringway.address()).1, "a");
    let own = fs::read_to_string("/proc/self/status").expect("a file");
    has_rights(&ringway, &Rights::of(0, 0, &Rights::parse(&own).groups));
}

#[test]
fn one_process_of_the_user_takes_over_from_another() {
    let server = Server::named("a");
    let files = Files::new();
    let setup = files.setup().server("a", server.address());
    let mut old = setup.start();
    let web = old.address();
    let setup = setup.listen(&web.to_string());
    let new = setup.launch().argument("--takeover").start();
    assert_eq!(old.exit_code(), Some(0));
    assert_eq!(connect_named(web).1, "a");
    has_rights(&new, &Rights::of(UID, GID, ""));
    let stats = ask(files.socket().as_path(), "GET /api/v1/stats", &[], "").json();
    assert_eq!(stats["process"]["pid"], new.pid().as_raw_nonzero().get());
    // The token's file is root's, and was read before that was given up.
    let authorized = [("Authorization", "Bearer secret")];
    assert_eq!(
        ask(new.admin(), "GET /api/v1/stats", &authorized, "").status,
        200
    );
    assert_eq!(get(new.admin(), "/healthz").status, 200);
}

#[test]
fn another_user_needs_a_restart() {
    let server = Server::named("a");
    let setup = |line: &str| Setup::new().global(line).server("a", server.address());
    let ringway = setup("").start();
    let said = ringway.reload(&setup("user = \"root\"").text());
    assert!(
        said.contains("a change of `user` or `group` needs a restart"),
        "{said}"
    );
}

#[test]
fn only_root_becomes_another_user() {
    let server = Server::named("a");
    let setup = Setup::new()
        .global("user = \"1\"")
        .server("a", server.address());
    // Root without the right to become another user, as somebody else is.
    let launch = setup.launch();
    let mut ringway = launch
        .through("setpriv --bounding-set -setuid,-setgid")
        .spawn();
    assert_eq!(ringway.exit_code(), Some(1));
    let errors = ringway.errors();
    assert!(errors.contains("cannot run as user `1`"), "{errors}");
    assert!(
        errors.contains("start as root, or remove `user`"),
        "{errors}"
    );
}

#[test]
fn a_state_file_that_the_user_cannot_write_is_told_of_at_the_start() {
    let server = Server::named("a");
    let files = Files::new();
    chown(files.0.path(), Some(0), Some(0)).expect("this test runs as root");
    fs::set_permissions(files.0.path(), fs::Permissions::from_mode(0o755)).expect("a folder");
    let ringway = files.setup().server("a", server.address()).start();
    ringway.says("can't be written: Permission denied");
}

#[test]
fn unknown_users_and_groups_are_errors_of_the_file() {
    let check = |lines: &str| {
        let setup = Setup::new()
            .global(lines)
            .server("a", ([127, 0, 0, 1], 1).into());
        let mut ringway = setup.launch().command("check").spawn();
        assert_eq!(ringway.exit_code(), Some(1));
        ringway.errors()
    };
    for (lines, what) in [
        (
            "user = \"nobody-of-that-name\"",
            "there is no user `nobody-of-that-name` on this host",
        ),
        (
            "user = \"root\"\ngroup = \"none such\"",
            "there is no group `none such` on this host",
        ),
        ("group = \"root\"", "`group` without `user`"),
        ("user = \"54321\"", "add its group"),
        ("user = 0", "write it in double quotes"),
    ] {
        let errors = check(lines);
        assert!(errors.contains(what), "{errors}");
        assert!(
            errors.contains("ringway.toml:3:") || errors.contains("ringway.toml:4:"),
            "{errors}"
        );
    }
}
