//! Sets of servers that change, with a health thread.

use super::*;
use crate::config::{Address, parse, system_resolver};
use crate::control::health::Health;
use crate::control::journal::Journal;
use crate::control::limits::Limits;
use crate::control::names::Names;
use crate::control::operator_state::OperatorState;
use crate::control::server_change::{Attribution, ServerChange};
use crate::control::workers::WorkerSetup;
use crate::logic::health::AdminState;

/// A backend `app` with one server `fixed`, and no workers.
struct Scene {
    registry: BackendRegistry,
    snapshot: Arc<Snapshot>,
    health: Health,
}

impl Scene {
    fn new() -> Self {
        Self::with("127.0.0.1:1", "")
    }

    /// With `fixed` at this address, and further lines.
    fn with(fixed: &str, lines: &str) -> Self {
        let text = format!(
            "[frontend.f]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"app\"\n[backend.app]\n\
             servers = [{{ name = \"fixed\", address = \"{fixed}\" }}]\n{lines}\n"
        );
        let config = match parse("test", &text, &system_resolver) {
            Ok(loaded) => loaded.config,
            Err(report) => panic!("{report}"),
        };
        let setup = WorkerSetup::new(&Limits::of(&config, 1, 1_000, 0)).unwrap();
        let mut registry = Registry::new(1);
        let snapshot = registry.snapshot(config);
        let health = Health::start(
            (Arc::clone(&snapshot), Vec::new()),
            Names::of_system(),
            None,
            setup.handles().clone(),
            Journal::new(),
        )
        .unwrap();
        let overrides = Overrides::new(OperatorState::default(), None, Journal::new());
        let registry =
            BackendRegistry::new(registry, health.statuses().clone(), Arc::new(overrides));
        Scene {
            registry,
            snapshot,
            health,
        }
    }

    /// Sets the discovered servers, and waits until that is in effect.
    async fn set(&self, names: &[&str]) -> SetMembers {
        let set = (self.registry).set_members("app", Source::Discovery, servers(names));
        let mut set = set.unwrap().expect("a change");
        (&mut set.in_effect).await.unwrap();
        set
    }

    fn names(&self) -> Vec<String> {
        let members = self.snapshot.backends[0].members();
        let servers = members.servers().iter();
        servers.map(|member| member.server.name.clone()).collect()
    }

    /// Sets an administrative state, as an operator does.
    async fn set_state(&self, server: &str, state: AdminState) {
        let (_, member) = self.snapshot.find("app", server).unwrap();
        let change = ServerChange {
            state: Some(state),
            weight: None,
            by: Attribution::default(),
        };
        let overrides = &self.registry.0.overrides;
        overrides.add("app", &member.config, &change);
        let applied = (self.health.statuses()).apply_change(&member.server, change);
        applied.await.unwrap();
    }

    /// Forgets who has left, and waits until that is in effect.
    async fn forget_left(&self) {
        self.registry.forget_left_now();
        // Commands are carried out in their order.
        self.set_state("fixed", AdminState::Ready).await;
    }
}

fn servers(names: &[&str]) -> Vec<Server> {
    let server = |name: &&str| Server {
        name: (*name).to_owned(),
        address: Address::Ip(([127, 0, 0, 1], 1).into()),
        weight: 3,
        sessions_max: None,
        backup: false,
        cookie: (*name).to_owned(),
    };
    names.iter().map(server).collect()
}

#[tokio::test]
async fn a_set_is_in_effect_with_the_health_of_its_servers() {
    let scene = Scene::new();
    let set = scene.set(&["a", "b"]).await;
    assert_eq!(set.count, 3);
    assert_eq!(scene.names(), ["fixed", "a", "b"]);
    let (_, a) = scene.snapshot.find("app", "a").unwrap();
    assert_eq!(scene.health.statuses().server(&a.server).weight, 3);
    scene.set_state("a", AdminState::Drain).await;
    assert_eq!(a.server.availability.published(), (true, 0));

    let set = scene.set(&["b", "c"]).await;
    assert_eq!(set.count, 3);
    assert_eq!(scene.names(), ["fixed", "b", "c"]);
    let same = (scene.registry).set_members("app", Source::Discovery, servers(&["b", "c"]));
    assert!(same.unwrap().is_none());
    let unknown = (scene.registry).set_members("ap", Source::Discovery, Vec::new());
    assert_eq!(unknown.unwrap_err(), UnknownBackend);
}

#[tokio::test]
async fn a_server_that_is_back_before_its_last_session_has_ended_has_its_health() {
    let scene = Scene::new();
    scene.set(&["a"]).await;
    let (_, a) = scene.snapshot.find("app", "a").unwrap();
    let status = || scene.health.statuses().server(&a.server);
    assert!(a.server.session_limit.try_acquire());
    scene.set_state("a", AdminState::Maint).await;
    scene.set(&[]).await;
    assert!(!status().usable, "it leaves");
    scene.set_state("a", AdminState::Ready).await;
    assert!(
        !status().usable && !a.server.availability.is_usable(),
        "whatever its state"
    );
    scene.set_state("a", AdminState::Maint).await;
    scene.forget_left().await;
    let (_, found) = scene.snapshot.find("app", "a").unwrap();
    assert!(Arc::ptr_eq(&found.server, &a.server), "it has a session");
    scene.set(&["a"]).await;
    assert_eq!(status().admin, AdminState::Maint);
    let (_, found) = scene.snapshot.find("app", "a").unwrap();
    assert!(Arc::ptr_eq(&found.server, &a.server));

    scene.set(&[]).await;
    a.server.session_limit.release();
    scene.forget_left().await;
    assert!(
        scene.snapshot.find("app", "a").is_none(),
        "the last session has ended"
    );
    // The thread has forgotten it, so nothing is known.
    assert_eq!(status().admin, AdminState::Ready);

    // What an operator wants of a server of this name holds for the next one too.
    scene.set(&["a"]).await;
    let (_, next) = scene.snapshot.find("app", "a").unwrap();
    assert!(!Arc::ptr_eq(&next.server, &a.server));
    let status = scene.health.statuses().server(&next.server);
    assert_eq!((status.admin, status.usable), (AdminState::Maint, false));
    assert!(!next.server.availability.is_usable());
}

#[tokio::test]
async fn a_thousand_servers_that_are_replaced_again_and_again_leave_nothing_behind() {
    let scene = Scene::new();
    let sets = [0, 1]
        .map(|set| -> Vec<String> { (0..1_000).map(|server| format!("{set}-{server}")).collect() });
    for round in 0..4 {
        let names: Vec<&str> = sets[round % 2].iter().map(String::as_str).collect();
        scene.set(&names).await;
        assert_eq!(scene.names().len(), 1_001);
    }
    scene.set(&[]).await;
    scene.forget_left().await;
    assert_eq!(scene.names(), ["fixed"]);
    assert!(scene.snapshot.backends[0].members().leaving().is_empty());
}

/// A server whose answers the test gives.
struct Answering(std::net::TcpListener);

impl Answering {
    fn new() -> Self {
        Answering(std::net::TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn server(&self, name: &str) -> Server {
        let mut server = servers(&[name]).remove(0);
        server.address = Address::Ip(self.0.local_addr().unwrap());
        server
    }

    /// Answers the next probe.
    fn answer(&self, status: u16) {
        use std::io::{Read, Write};
        let (mut stream, _) = self.0.accept().unwrap();
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).unwrap();
        write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n").unwrap();
    }
}

async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let all = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), all).await;
    assert!(waited.is_ok(), "{what}");
}

#[tokio::test]
async fn a_server_that_joins_gets_no_sessions_before_its_first_result() {
    let (fixed, good, bad, late) = (
        Answering::new(),
        Answering::new(),
        Answering::new(),
        Answering::new(),
    );
    let check = "[backend.app.health_check]\ntype = \"http\"\ninterval = \"1h\"\ntimeout = \"1h\"";
    let scene = Scene::with(&fixed.0.local_addr().unwrap().to_string(), check);
    let usable = |name: &str| {
        let (_, member) = scene.snapshot.find("app", name).unwrap();
        member.server.availability.is_usable()
    };
    let set = async |servers: &[Server]| {
        let set = (scene.registry).set_members("app", Source::Discovery, servers.to_vec());
        set.unwrap().expect("a change").in_effect.await.unwrap();
    };
    assert!(
        usable("fixed"),
        "a server of the configuration counts as up"
    );
    let all = [good.server("good"), bad.server("bad"), late.server("late")];
    set(&all).await;
    assert!(!usable("good") && !usable("bad") && !usable("late"));
    good.answer(200);
    eventually("the first result brings it in", || usable("good")).await;
    bad.answer(500);
    let (_, member) = scene.snapshot.find("app", "bad").unwrap();
    let state = || scene.health.statuses().server(&member.server).operational;
    let down = crate::logic::health::OperationalState::Down;
    eventually("the first failure takes it down", || state() == down).await;
    assert!(!usable("bad") && !usable("late"));

    // Without any other, it gets sessions; not any more once there is one.
    scene.set_state("fixed", AdminState::Maint).await;
    assert!(!usable("late"), "one is left");
    scene.set_state("good", AdminState::Drain).await;
    assert!(usable("late"));
    scene.set_state("fixed", AdminState::Ready).await;
    assert!(!usable("late") && usable("fixed"));
    // One that comes when there is no other.
    scene.set_state("fixed", AdminState::Maint).await;
    let next = Answering::new();
    let all = [all.to_vec(), vec![next.server("next")]].concat();
    set(&all).await;
    assert!(usable("late") && usable("next"));
    late.answer(200);
    eventually("a result of one holds the other back", || !usable("next")).await;
    assert!(usable("late"));
    // What is gone holds nobody back.
    set(&all[..3]).await;
    set(&[]).await;
    scene.forget_left().await;
    assert!(usable("fixed"), "it is ready again");
    set(&[next.server("again")]).await;
    assert!(!usable("again"), "another one is there");
}
