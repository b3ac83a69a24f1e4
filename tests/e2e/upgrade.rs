//! `ringway upgrade`: the process starts its program again, and the service manager is told which one it is
//! to look after before the old one may end.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::clients::{connect, connect_named, round_trip};
use crate::harness::{Finished, Ringway, ScratchDirectory};
use crate::http::ask;
use crate::servers::Server;
use crate::setup::Setup;
use crate::wait::{DEADLINE, eventually};

/// Stands in for systemd.
struct Manager {
    socket: UnixDatagram,
    directory: ScratchDirectory,
}

impl Manager {
    fn new() -> Self {
        let directory = ScratchDirectory::new();
        let socket = UnixDatagram::bind(directory.path().join("notify")).expect("a socket");
        let deadline = socket.set_read_timeout(Some(DEADLINE));
        deadline.expect("a deadline");
        Manager { socket, directory }
    }

    /// The next message, as words.
    fn told(&self) -> String {
        let mut message = [0; 4096];
        let len = self.socket.recv(&mut message).expect("a message");
        let text = str::from_utf8(&message[..len]).expect("text");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn admin(&self) -> String {
        self.directory
            .path()
            .join("admin.sock")
            .display()
            .to_string()
    }

    fn setup(&self, server: &Server) -> Setup {
        let line = format!("socket = \"{}\"", self.admin());
        Setup::new().admin_with(&line).server("a", server.address())
    }

    /// Starts the process as systemd does.
    fn start(&self, setup: &Setup) -> Ringway {
        let notify = self.directory.path().join("notify");
        let launch = setup.launch();
        let launch = launch.variable("NOTIFY_SOCKET", &notify.display().to_string());
        let ringway = launch.start();
        let ready = format!("MAINPID={} READY=1", ringway.pid().as_raw_nonzero());
        assert_eq!(self.told(), ready);
        ringway
    }

    fn upgrade(&self) -> Finished {
        Ringway::command(&["upgrade", "--admin", &self.admin()])
    }
}

/// A process that this one did not start; it is killed when dropped.
struct Stranger(Pid);

impl Stranger {
    fn runs(&self) -> bool {
        test_kill_process(self.0).is_ok()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

/// The process that answers at the socket.
fn pid(socket: &str) -> Pid {
    let stats = ask(Path::new(socket), "GET /api/v1/stats", &[], "").json();
    let pid = stats["process"]["pid"].as_i64().expect("a number");
    Pid::from_raw(i32::try_from(pid).expect("small")).expect("not 0")
}

#[test]
fn the_program_takes_over_from_itself_and_no_session_is_lost() {
    let server = Server::echo();
    let manager = Manager::new();
    let mut old = manager.start(&manager.setup(&server));
    let web = old.address();
    let client = connect(web);
    round_trip(&client, b"before");

    let upgraded = manager.upgrade();
    assert_eq!(upgraded.code, Some(0), "{upgraded:?}");
    let new = Stranger(pid(&manager.admin()));
    assert_ne!(new.0, old.pid());
    let number = new.0.as_raw_nonzero();
    let said = format!("process {number} (version {})", env!("CARGO_PKG_VERSION"));
    assert!(upgraded.output.starts_with(&said), "{upgraded:?}");
    // Before the old one was released, and when all is ready.
    assert_eq!(manager.told(), format!("MAINPID={number}"));
    assert_eq!(manager.told(), format!("MAINPID={number} READY=1"));

    round_trip(&client, b"after");
    round_trip(&connect(web), b"another");
    assert!(old.runs());
    drop(client);
    assert_eq!(old.exit_code(), Some(0));

    // The new one can be replaced as well, and is no child of the old one.
    let upgraded = manager.upgrade();
    assert_eq!(upgraded.code, Some(0), "{upgraded:?}");
    let newest = Stranger(pid(&manager.admin()));
    assert_ne!(newest.0, new.0);
    eventually("the second one ends", || !new.runs());
    round_trip(&connect(web), b"the third");
    kill_process(newest.0, Signal::TERM).expect("it runs");
    eventually("the third one ends", || !newest.runs());
    assert!(!Path::new(&manager.admin()).exists());
}

#[test]
fn a_version_that_does_not_start_changes_nothing() {
    let server = Server::named("a");
    let manager = Manager::new();
    let mut ringway = manager.start(&manager.setup(&server));

    ringway.configure("[frontend.web]\n");
    let failed = manager.upgrade();
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(
        failed.errors.contains("its messages in the log say why"),
        "{failed:?}"
    );
    ringway.says("missing key `listen`");
    let reload = Ringway::command(&["reload", "--admin", &manager.admin()]);
    assert!(
        reload.errors.starts_with("error: missing key"),
        "{reload:?}"
    );
    // With the file at hand, the command itself says what is wrong.
    let file = ringway.folder().join("ringway.toml").display().to_string();
    let admin = manager.admin();
    let refused = Ringway::command(&["upgrade", "-c", &file, "--admin", &admin]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.errors.contains("missing key `listen`"),
        "{refused:?}"
    );
    assert_eq!(pid(&admin), ringway.pid());
    assert_eq!(connect_named(ringway.address()).1, "a");
    assert!(ringway.runs());
}

#[test]
fn without_a_service_manager_it_says_what_to_do() {
    let server = Server::named("a");
    let manager = Manager::new();
    let ringway = manager.setup(&server).start();
    let refused = manager.upgrade();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.errors.contains("`ringway run --takeover`"),
        "{refused:?}"
    );
    assert_eq!(pid(&manager.admin()), ringway.pid());
}
