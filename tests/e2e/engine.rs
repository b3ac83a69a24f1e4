//! Which engine the process uses, and what it says of that.

use serde_json::Value;

use crate::clients::{connect, round_trip};
use crate::harness::{Launch, Ringway, ScratchDirectory};
use crate::http::{get, stats};
use crate::servers::Server;
use crate::setup::Setup;

/// What the default profile of Docker 25 and newer forbids of io_uring, and more that it forbids.
const IO_URING: [i64; 3] = [
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];
const OTHERS: [i64; 14] = [
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_open_by_handle_at,
    libc::SYS_kexec_load,
];

/// Starts a process that is told to use this engine.
fn setup(server: &Server, engine: &str) -> Setup {
    Setup::new()
        .admin()
        .global(&format!("engine = \"{engine}\""))
        .server("a", server.address())
}

/// As a user starts it, whatever `RINGWAY_ENGINE` says.
fn launch(server: &Server, engine: &str) -> Launch {
    setup(server, engine).launch().own_engine()
}

/// Fails unless everything that names the engine names this one.
fn uses(ringway: &Ringway, name: &str) {
    ringway.says(&format!("ringway is ready: 2 workers on {name} ("));
    round_trip(&connect(ringway.address()), b"hello");
    let admin = ringway.admin();
    assert_eq!(stats(admin)["process"]["engine"], name);
    let metrics = get(admin, "/metrics").body;
    let info = format!("ringway_build_info{{engine=\"{name}\",");
    assert!(metrics.contains(&info), "{metrics}");
    let page = get(admin, "/").body;
    assert!(page.contains(&format!("2 workers on {name}")), "{page}");
    let status = Ringway::command(&["status", "--admin", &format!("http://{admin}")]);
    let end = format!(" sessions, on {name}\n");
    assert!(status.output.contains(&end), "{status:?}");
}

#[test]
fn each_engine_is_used_when_it_is_wanted() {
    let server = Server::echo();
    for engine in ["io_uring", "epoll"] {
        uses(&launch(&server, engine).start(), engine);
    }
    uses(&launch(&server, "auto").start(), "io_uring");
}

#[test]
fn the_command_line_wins_over_the_file() {
    let server = Server::echo();
    let ringway = launch(&server, "io_uring")
        .argument("--engine=epoll")
        .start();
    uses(&ringway, "epoll");
    let refused = Ringway::command(&[
        "tcp",
        "--listen",
        "127.0.0.1:0",
        "--engine",
        "kqueue",
        "a:1",
    ]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.errors.contains("auto, io_uring, epoll"),
        "{refused:?}"
    );
}

#[test]
fn a_reload_does_not_change_it() {
    let server = Server::echo();
    let ringway = launch(&server, "epoll").start();
    let line = ringway.reload(&setup(&server, "io_uring").text());
    let reason = "a change of `engine` from \"epoll\" to \"io_uring\" needs a restart";
    assert!(line.contains(reason), "{line}");
    uses(&ringway, "epoll");
    // The command line goes on winning.
    let ringway = launch(&server, "auto").argument("--engine=epoll").start();
    let line = ringway.reload(&setup(&server, "io_uring").text());
    assert!(line.contains("reloaded: version 2"), "{line}");
    uses(&ringway, "epoll");
}

#[test]
fn where_io_uring_is_refused_epoll_takes_its_place_with_one_warning() {
    let server = Server::echo();
    for errno in [libc::EPERM, libc::ENOSYS, libc::EACCES, libc::EINVAL] {
        let ringway = launch(&server, "auto")
            .refusing(&[libc::SYS_io_uring_setup], errno)
            .start();
        uses(&ringway, "epoll");
        let errors = ringway.errors_so_far();
        let warnings: Vec<_> = errors
            .lines()
            .filter(|line| line.contains("io_uring"))
            .collect();
        assert_eq!(warnings.len(), 1, "{errors}");
        assert!(warnings[0].contains("WARN"), "{errors}");
        assert!(warnings[0].contains("running on epoll"), "{errors}");
        // Cause and cure.
        if errno == libc::EPERM || errno == libc::ENOSYS {
            assert!(warnings[0].contains("seccomp filter"), "{errors}");
            assert!(warnings[0].contains("allow io_uring_setup"), "{errors}");
        }
    }
}

#[test]
fn where_it_is_wanted_and_refused_the_process_does_not_start() {
    let server = Server::echo();
    for errno in [libc::EPERM, libc::ENOSYS] {
        let mut ringway = launch(&server, "io_uring")
            .refusing(&[libc::SYS_io_uring_setup], errno)
            .spawn();
        assert_eq!(ringway.exit_code(), Some(1));
        let errors = ringway.errors();
        let said: Vec<_> = errors
            .lines()
            .filter(|line| line.contains("io_uring is refused"))
            .collect();
        assert_eq!(said.len(), 1, "{errors}");
        assert!(said[0].contains("seccomp filter"), "{errors}");
        assert!(said[0].contains("allow io_uring_setup"), "{errors}");
        assert!(said[0].contains("engine = \"auto\""), "{errors}");
        assert!(!errors.contains("ready"), "{errors}");
    }
}

#[test]
fn a_shortage_does_not_change_the_engine() {
    let server = Server::echo();
    for (errno, cure) in [
        (libc::ENOMEM, "LimitMEMLOCK"),
        (libc::EMFILE, "LimitNOFILE"),
        (libc::ENFILE, "LimitNOFILE"),
    ] {
        let mut ringway = launch(&server, "auto")
            .refusing(&[libc::SYS_io_uring_setup], errno)
            .spawn();
        assert_eq!(ringway.exit_code(), Some(1));
        let errors = ringway.errors();
        assert!(errors.contains(cure), "{errors}");
        assert!(!errors.contains("epoll"), "{errors}");
    }
}

#[test]
fn it_runs_below_a_filter_like_that_of_a_container() {
    let server = Server::echo();
    let launch = |launch: Launch| {
        launch
            .refusing(&IO_URING, libc::EPERM)
            .refusing(&OTHERS, libc::EPERM)
            .refusing(&[libc::SYS_clone3], libc::ENOSYS)
    };
    uses(&launch(self::launch(&server, "auto")).start(), "epoll");

    let demo = launch(Launch::arguments(&["demo"]).own_engine()).start();
    let address = demo.printed("where it is", |lines| {
        let line = lines
            .iter()
            .find(|line| line.contains("stand behind http://"))?;
        let (_, address) = line.split_once("http://")?;
        address.trim_end_matches('/').parse().ok()
    });
    assert_eq!(get(address, "/").status, 200);

    let mut doctor = launch(Launch::arguments(&["doctor"])).spawn();
    assert_eq!(doctor.exit_code(), Some(0));
    let output = doctor.output();
    assert!(
        output.contains("This host can run ringway, on epoll."),
        "{output}"
    );
    assert!(output.contains("allow io_uring_setup"), "{output}");
}

#[test]
fn a_process_on_one_engine_takes_over_from_one_on_the_other() {
    let server = Server::echo();
    for (old, new) in [("io_uring", "epoll"), ("epoll", "io_uring")] {
        let folder = ScratchDirectory::new();
        let socket = format!(
            "socket = \"{}\"",
            folder.path().join("admin.sock").display()
        );
        let setup = setup(&server, "auto").admin_with(&socket);
        let start = |engine: &str| {
            let launch = setup.launch().own_engine();
            launch.argument(&format!("--engine={engine}"))
        };
        let first = start(old).start();
        let client = connect(first.address());
        round_trip(&client, b"before");
        let second = start(new).argument("--takeover").start();
        second.says("took over from process");
        round_trip(&client, b"still");
        for _ in 0..20 {
            round_trip(&connect(second.address()), b"new");
        }
        let process: Value = stats(second.admin())["process"].clone();
        assert_eq!(process["engine"], new);
        drop(client);
        let mut first = first;
        assert_eq!(first.exit_code(), Some(0));
    }
}
