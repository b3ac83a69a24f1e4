//! Whole discoveries against a name server of the tests.

#[path = "../../../tests/support/name_server.rs"]
pub(super) mod name_server;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::config::{self, Config};
use crate::control::journal::Kind;
use name_server::{AAAA, Action, NXDOMAIN, NameServer, SERVFAIL};

/// For what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A discovery, and what it hands on.
struct Bench {
    discovery: Discovery,
    changes: mpsc::UnboundedReceiver<MembersChange>,
    journal: Journal,
    name_server: NameServer,
}

impl Bench {
    /// With a name server that has these addresses.
    fn new(lasts: &[u8]) -> Self {
        let (sender, changes) = mpsc::unbounded_channel();
        let sink: Sink = Arc::new(move |change| {
            // The test may have ended.
            let _ = sender.send(change);
            None
        });
        let journal = Journal::new();
        let name_server = NameServer::start(|_| Action::Silence);
        name_server.have(ips(lasts));
        Bench {
            discovery: Discovery::new(sink, journal.clone()),
            changes,
            journal,
            name_server,
        }
    }

    /// Backends by their names and the keys of their sections `discover`, next to the common ones.
    fn config(&self, backends: &[(&str, &str)]) -> Config {
        let mut text = "[frontend.f]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"fixed\"\n\
                        [backend.fixed]\nservers = [{ name = \"s\", address = \"[::1]:1\" }]\n"
            .to_owned();
        for (name, keys) in backends {
            text += &format!(
                "[backend.{name}.discover]\nresolvers = [\"{}\"]\ninterval = \"100ms\"\n{keys}\n",
                self.name_server.address
            );
        }
        let no_names = |_: &str, _: u16| unreachable!();
        match config::parse("x.toml", &text, &no_names) {
            Ok(loaded) => loaded.config,
            Err(report) => panic!("{report}"),
        }
    }

    fn adopt(&mut self, backends: &[(&str, &str)]) {
        let config = self.config(backends);
        self.discovery.adopt(&config);
    }

    async fn change(&mut self) -> MembersChange {
        let change = timeout(PATIENCE, self.changes.recv()).await;
        change.expect("a change").expect("a discovery")
    }

    /// The servers after the next change.
    async fn servers(&mut self) -> Vec<String> {
        let change = self.change().await;
        change
            .servers
            .into_iter()
            .map(|server| server.name)
            .collect()
    }

    /// Waits for so many answers more; what they bring about has been done then.
    async fn rounds(&self, count: usize) {
        let asked = || self.name_server.queries().len();
        // Two questions a round; one round may be under way.
        let enough = asked() + 2 * (count + 1);
        let all = async {
            while asked() < enough {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, all).await.expect("questions");
    }

    /// Waits for an event with these words.
    async fn event(&self, words: &str) -> String {
        let all = async {
            loop {
                if let Some(text) = self.texts().into_iter().find(|it| it.contains(words)) {
                    return text;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = timeout(PATIENCE, all).await;
        found.unwrap_or_else(|_| panic!("no {words:?} in {:#?}", self.texts()))
    }

    fn texts(&self) -> Vec<String> {
        let events = self.journal.since(0);
        events
            .iter()
            .map(|event| event.entry.text.clone())
            .collect()
    }

    fn status(&self) -> Status {
        self.discovery.statuses().backend("app").expect("a status")
    }
}

fn ips(lasts: &[u8]) -> Vec<IpAddr> {
    lasts.iter().map(|last| [10, 0, 0, *last].into()).collect()
}

fn at(last: u8) -> SocketAddr {
    ([10, 0, 0, last], 80).into()
}

const APP: (&str, &str) = ("app", "dns = \"tasks.web:80\"");

#[tokio::test]
async fn servers_come_and_go_with_the_answers() {
    let mut bench = Bench::new(&[2, 1]);
    bench.adopt(&[APP]);
    let first = bench.change().await;
    assert_eq!((&*first.backend, first.joined), ("app", vec![at(1), at(2)]));
    assert_eq!(first.servers[0].name, "10.0.0.1:80");
    assert_eq!(first.servers[0].address.ip(), Some(at(1)));
    // The same set in another order is no change.
    bench.name_server.have(ips(&[1, 2]));
    bench.rounds(2).await;
    bench.name_server.have(ips(&[2, 3, 4]));
    let second = bench.change().await;
    assert_eq!(second.joined, [at(3), at(4)]);
    assert_eq!(second.left, [at(1)]);
    assert_eq!(second.servers.len(), 3);
    // All at once.
    bench.name_server.have(ips(&[7, 8]));
    assert_eq!(bench.servers().await, ["10.0.0.7:80", "10.0.0.8:80"]);
    let expected = [
        "backend app: servers discovered by `tasks.web:80`: added 2 (10.0.0.1:80, 10.0.0.2:80); now 2",
        "backend app: servers discovered by `tasks.web:80`: added 2 (10.0.0.3:80, 10.0.0.4:80), \
         removed 1 (10.0.0.1:80); now 3",
        "backend app: servers discovered by `tasks.web:80`: added 2 (10.0.0.7:80, 10.0.0.8:80), \
         removed 3 (10.0.0.2:80, 10.0.0.3:80, 10.0.0.4:80); now 2",
    ];
    assert_eq!(bench.texts(), expected);
    let event = &bench.journal.since(0)[1].entry;
    assert_eq!(
        (event.kind, event.server.as_deref()),
        (Kind::Discovery, Some("app"))
    );
    let status = bench.status();
    assert_eq!((status.servers, status.failures), (2, [0; 8]));
    let age = status
        .last_success
        .map(|time| SystemTime::now().duration_since(time));
    assert!(age.is_some_and(|age| age.unwrap_or_default() < PATIENCE));
}

#[tokio::test]
async fn a_failure_keeps_the_servers_and_is_told_once() {
    let mut bench = Bench::new(&[1, 2]);
    bench.adopt(&[APP]);
    assert_eq!(bench.servers().await.len(), 2);
    bench.name_server.answer_by(|_| Action::Code(NXDOMAIN));
    bench.event("NXDOMAIN (A, AAAA)").await;
    bench.name_server.answer_by(|_| Action::Code(SERVFAIL));
    bench.rounds(2).await;
    bench.name_server.have::<IpAddr>(Vec::new());
    bench.rounds(1).await;
    bench.name_server.have(ips(&[1, 2, 3]));
    let change = bench.change().await;
    assert_eq!(change.joined, [at(3)]);
    assert!(change.left.is_empty());
    let texts = bench.texts();
    assert_eq!(
        texts[1],
        "backend app: cannot discover servers by `tasks.web:80`: NXDOMAIN (A, AAAA); the 2 discovered \
         servers stay"
    );
    let again = "backend app: discovers servers by `tasks.web:80` again (A, AAAA), after ";
    assert!(texts[2].starts_with(again), "{texts:?}");
    assert_eq!(texts.len(), 4, "{texts:?}");
    let status = bench.status();
    let count = |failure: Failure| status.failures[failure as usize];
    assert!(count(Failure::NxDomain) >= 2 && count(Failure::ServFail) >= 2);
    assert!(count(Failure::Empty) >= 2 && count(Failure::Timeout) == 0);
}

#[tokio::test]
async fn a_start_without_an_answer_waits_for_one() {
    let mut bench = Bench::new(&[]);
    bench.adopt(&[APP]);
    let text = bench.event("cannot discover").await;
    assert!(
        text.contains("an empty answer (A, AAAA); there is no discovered server"),
        "{text}"
    );
    assert_eq!(bench.status().last_success, None);
    bench.name_server.have(ips(&[1]));
    assert_eq!(bench.servers().await, ["10.0.0.1:80"]);
    assert_eq!(bench.status().servers, 1);
}

#[tokio::test]
async fn an_empty_answer_may_mean_that_there_are_none() {
    let mut bench = Bench::new(&[1, 2]);
    bench.adopt(&[("app", "dns = \"tasks.web:80\"\non_empty = \"drop\"")]);
    assert_eq!(bench.servers().await.len(), 2);
    bench.name_server.answer_by(|_| Action::Code(NXDOMAIN));
    let change = bench.change().await;
    assert_eq!((change.servers.len(), change.left.len()), (0, 2));
    bench.name_server.have(ips(&[2]));
    assert_eq!(bench.servers().await, ["10.0.0.2:80"]);
    assert!(bench.texts().iter().all(|text| !text.contains("cannot")));
}

#[tokio::test]
async fn a_part_that_fails_does_not_slow_the_other_down() {
    let mut bench = Bench::new(&[]);
    let script = |lasts: &'static [u8]| {
        move |query: &name_server::Query| match query.record_type {
            AAAA => Action::Code(SERVFAIL),
            _ => Action::addresses(query, &ips(lasts)),
        }
    };
    bench.name_server.answer_by(script(&[1]));
    bench.adopt(&[APP]);
    for lasts in [&[1][..], &[1, 2], &[2], &[2, 3], &[3], &[4], &[5], &[6]] {
        bench.name_server.answer_by(script(lasts));
        let names: Vec<_> = lasts.iter().map(|last| at(*last).to_string()).collect();
        while bench.servers().await != names {}
    }
    let told = bench
        .texts()
        .into_iter()
        .filter(|text| text.contains("cannot"));
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("SERVFAIL (AAAA)"), "{told:?}");
}

#[tokio::test]
async fn a_reload_disturbs_only_what_it_changes() {
    let mut bench = Bench::new(&[1, 2, 3]);
    let other = ("other", "dns = \"other:81\"");
    bench.adopt(&[APP, other]);
    let names = [bench.change().await.backend, bench.change().await.backend];
    assert!(names.contains(&"app".to_owned()) && names.contains(&"other".to_owned()));
    bench.adopt(&[APP, other]);
    bench.rounds(2).await;
    assert!(bench.changes.try_recv().is_err(), "nothing has changed");
    // Weights and limits hold at once, for the servers that are there.
    let narrow = "dns = \"tasks.web:80\"\nweight = 7\nmax_sessions = 5\nmax_servers = 2";
    bench.adopt(&[("app", narrow), other]);
    let change = bench.change().await;
    assert_eq!((&*change.backend, change.left), ("app", vec![at(3)]));
    let values = change.servers.iter().map(|it| (it.weight, it.sessions_max));
    assert_eq!(values.collect::<Vec<_>>(), [(7, Some(5)); 2]);
    bench
        .event("1 servers that `tasks.web:80` finds are left out: max_servers is 2")
        .await;
    assert_eq!(bench.status().left_out, 1);
    // Another name: the servers stay until it has an answer.
    bench
        .name_server
        .answer_by(|query| match query.name.as_str() {
            "tasks.new" => Action::Silence,
            _ => Action::addresses(query, &ips(&[1, 2, 3])),
        });
    bench.adopt(&[("app", "dns = \"tasks.new:80\""), other]);
    assert_eq!(bench.change().await.servers.len(), 2);
    bench.name_server.have(ips(&[2, 9]));
    let mut change = bench.change().await;
    while change.backend != "app" {
        change = bench.change().await;
    }
    assert_eq!((change.joined, change.left), (vec![at(9)], vec![at(1)]));
    bench.event("no server that").await;
    // Without the section, the servers go and nobody asks any more.
    bench.adopt(&[other]);
    while !bench.change().await.servers.is_empty() {}
    assert_eq!(bench.discovery.statuses().backend("app"), None);
    bench.rounds(1).await;
    let before = bench.name_server.queries().len();
    bench.rounds(2).await;
    let queries = bench.name_server.queries();
    assert!(queries[before..].iter().all(|query| query.name == "other"));
}

#[tokio::test]
async fn the_one_address_of_a_service_of_swarm_is_told() {
    let mut bench = Bench::new(&[]);
    bench
        .name_server
        .answer_by(|query| match query.name.as_str() {
            "tasks.web" => Action::addresses(query, &ips(&[5, 6])),
            _ => Action::addresses(query, &ips(&[2])),
        });
    bench.adopt(&[("app", "dns = \"web:80\"")]);
    let text = bench.event("virtual").await;
    assert_eq!(
        text,
        "backend app: `web` has one address, 10.0.0.2, but `tasks.web` has 2: the one is a virtual \
         address of Docker Swarm, behind which Swarm balances; write `tasks.web` to discover the servers"
    );
    bench.rounds(3).await;
    let texts = bench.texts();
    let warnings = texts.iter().filter(|text| text.contains("virtual"));
    assert_eq!(warnings.count(), 1);
    // With `dnsrr`, both have the same.
    bench.name_server.have(ips(&[5]));
    bench.adopt(&[("app", "dns = \"web:81\"")]);
    while bench.servers().await != ["10.0.0.5:81"] {}
    bench.rounds(3).await;
    let texts = bench.texts();
    let warnings = texts.iter().filter(|text| text.contains("virtual"));
    assert_eq!(warnings.count(), 1);
}

#[tokio::test]
async fn all_of_a_thousand_servers_are_replaced_at_once() {
    let mut bench = Bench::new(&[]);
    let all = |network: u8| -> Vec<IpAddr> {
        let all = (0..1000_u16).map(|index| {
            let [high, low] = index.to_be_bytes();
            IpAddr::from([10, network, high, low])
        });
        all.collect()
    };
    bench.name_server.have(all(0));
    bench.adopt(&[APP]);
    assert_eq!(bench.change().await.servers.len(), 1000);
    for network in 1..5 {
        bench.name_server.have(all(network));
        let change = bench.change().await;
        assert_eq!((change.joined.len(), change.left.len()), (1000, 1000));
    }
    let text = bench.texts().pop().unwrap();
    assert!(
        text.contains("added 1000 (10.4.0.0:80, ")
            && text.contains(" and 992 more), removed 1000 (")
    );
    assert!(text.len() < 500, "{text}");
}

#[tokio::test]
async fn it_ends_when_it_is_dropped() {
    let mut bench = Bench::new(&[1]);
    bench.adopt(&[APP]);
    bench.change().await;
    let Bench {
        discovery,
        mut changes,
        ..
    } = bench;
    drop(discovery);
    // The last holder of the sink is gone.
    let ended = timeout(PATIENCE, async { while changes.recv().await.is_some() {} }).await;
    assert!(ended.is_ok());
}
