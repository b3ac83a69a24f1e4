//! Names that are resolved by name servers of the tests: in turn, with a search list, by SRV records.

use std::collections::BTreeSet;

use super::super::tests::name_server::{
    A, AAAA, Action, NXDOMAIN, NameServer, Query, Record, SERVFAIL, SRV,
};
use super::*;
use crate::config::parse;

const TIMEOUT: Duration = Duration::from_secs(20);

fn v4(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

fn v6(last: u16) -> IpAddr {
    [0xfd00, 0, 0, 0, 0, 0, 0, last].into()
}

fn by(servers: &[&NameServer], hosts: &str) -> Resolver {
    let servers: Vec<_> = servers.iter().map(|server| server.address).collect();
    Resolver {
        servers: servers.into(),
        hosts: Arc::new(Hosts::parse(hosts)),
        timeout: TIMEOUT,
        family: Family::Any,
    }
}

fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}

/// What was asked, each question once.
fn asked(server: &NameServer) -> BTreeSet<(String, u16)> {
    let queries = server.queries().into_iter();
    queries
        .map(|query| (query.name, query.record_type))
        .collect()
}

#[tokio::test]
async fn name_servers_are_asked_in_turn_until_one_answers() {
    let broken = NameServer::start(|_| Action::Code(SERVFAIL));
    let good = NameServer::start(|query| Action::addresses(query, &[v4(1), v6(1)]));
    let away = NameServer::start(|_| Action::Code(NXDOMAIN));
    let found = HostAnswer {
        v4: Some(Ok(vec![v4(1)])),
        v6: Some(Ok(vec![v6(1)])),
    };
    assert_eq!(by(&[&broken, &good], "").host("web").await, found);
    // What one says is not asked again.
    let nothing = Some(Err(Failure::NxDomain));
    let answer = by(&[&broken, &away, &good], "").host("web").await;
    assert_eq!((&answer.v4, &answer.v6), (&nothing, &nothing));
    assert_eq!(good.queries().len(), 2);
    // The first failure is told.
    let mut resolver = by(&[&broken, &broken], "");
    resolver.family = Family::Ipv4;
    let answer = resolver.host("web").await;
    assert_eq!(answer.v4, Some(Err(Failure::ServFail)));
    assert_eq!(answer.v6, None);
    assert_eq!(
        by(&[], "").host("web").await.v4,
        Some(Err(Failure::Unreachable))
    );
}

#[tokio::test]
async fn a_family_is_asked_for_by_itself() {
    let server = NameServer::start(|query| match query.record_type {
        A => Action::addresses(query, &[v4(1)]),
        _ => Action::Code(SERVFAIL),
    });
    let mut resolver = by(&[&server], "");
    let answer = resolver.host("web").await;
    assert_eq!(answer.v4, Some(Ok(vec![v4(1)])));
    assert_eq!(answer.v6, Some(Err(Failure::ServFail)));
    assert_eq!(asked(&server).len(), 2);
    assert_eq!(server.queries()[0].record_type, A, "A comes first");
    resolver.family = Family::Ipv6;
    assert_eq!(resolver.host("web").await.v4, None);
    let last = server.queries().pop().unwrap();
    assert_eq!((server.queries().len(), last.record_type), (3, AAAA));
}

#[tokio::test]
async fn names_of_the_search_list_are_tried_until_one_exists() {
    let server = NameServer::start(|query| match query.name.as_str() {
        "web.empty" => Action::addresses::<IpAddr>(query, &[]),
        "web.b" => Action::addresses(query, &[v4(2)]),
        "web.broken" => Action::Code(SERVFAIL),
        _ => Action::Code(NXDOMAIN),
    });
    let resolver = by(&[&server], "");
    let all = names(&["web.a", "web.empty", "web.b", "web.c"]);
    let answer = addresses(&resolver, "web", &all).await;
    assert_eq!(answer.v4, Some(Ok(vec![v4(2)])));
    assert!(asked(&server).iter().all(|(name, _)| name != "web.c"));
    // Behind one that fails, another name may be another service.
    let all = names(&["web.a", "web.broken", "web.b"]);
    let answer = addresses(&resolver, "web", &all).await;
    assert_eq!(answer.v4, Some(Err(Failure::ServFail)));
    let answer = addresses(&resolver, "web", &names(&["web.a", "web"])).await;
    assert_eq!(answer.v4, Some(Err(Failure::NxDomain)));
}

#[tokio::test]
async fn what_is_in_the_file_of_hosts_is_not_asked() {
    let server = NameServer::start(|_| Action::Code(NXDOMAIN));
    let resolver = by(&[&server], "10.0.0.7 web\nfd00::7 web\n10.0.0.8 web\n");
    let answer = addresses(&resolver, "web", &names(&["web.a", "web"])).await;
    assert_eq!(answer.v4, Some(Ok(vec![v4(7), v4(8)])));
    assert_eq!(answer.v6, Some(Ok(vec![v6(7)])));
    assert!(server.queries().is_empty());
}

/// A section `discover` with this server alone.
fn section(server: &NameServer, keys: &str) -> Discover {
    let text = format!(
        "[frontend.f]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"b\"\n[backend.b.discover]\n\
         resolvers = [\"{}\"]\ntimeout = \"20s\"\n{keys}\n",
        server.address
    );
    let no_names = |_: &str, _: u16| unreachable!();
    let mut config = parse("x.toml", &text, &no_names).unwrap().config;
    config.backends.remove(0).discover.unwrap()
}

#[tokio::test]
async fn name_servers_that_are_written_get_the_name_as_it_is() {
    let server = NameServer::start(|query| Action::addresses(query, &[v4(1)]));
    let by_dns = section(&server, "dns = \"web:80\"\nfamily = \"ipv4\"");
    let round = discover(&by_dns, &Known::default(), &System::new()).await;
    let answer = HostAnswer {
        v4: Some(Ok(vec![v4(1)])),
        v6: None,
    };
    assert_eq!(round, Round::Addresses(answer, 80));
    assert_eq!(asked(&server), [("web".to_owned(), A)].into());
    let tasks = tasks_of(&by_dns, &System::new()).await;
    assert_eq!(tasks, [v4(1)]);
    assert!(asked(&server).contains(&("tasks.web".to_owned(), A)));
}

/// Services at `a` and `b`; the address of `a` comes with them.
fn services_of(query: &Query) -> Action {
    let addresses: &[IpAddr] = match (query.name.as_str(), query.record_type) {
        ("_http._tcp.web", SRV) => {
            let services = vec![
                Record::service(5, 1, 81, "c"),
                Record::service(1, 1, 80, "a"),
                Record::service(1, 2, 80, "b"),
            ];
            return Action::Records(services, vec![Record::address(v4(1)).of("A")]);
        }
        ("a", _) => &[v4(1), v6(1)],
        ("b", _) => &[v4(2), v6(2)],
        _ => return Action::Code(NXDOMAIN),
    };
    Action::addresses(query, addresses)
}

#[tokio::test]
async fn targets_that_did_not_come_are_asked_for() {
    let server = NameServer::start(services_of);
    let by_srv = section(&server, "srv = \"_http._tcp.web\"");
    let mut known = Known::default();
    let round = discover(&by_srv, &known, &System::new()).await;
    let (servers, failures) = known.update(round, by_srv.on_empty);
    let servers: Vec<_> = servers.unwrap().into_iter().collect();
    let server_at = |ip, weight| (SocketAddr::new(ip, 80), Some(weight));
    let expected = [
        server_at(v4(1), 1),
        server_at(v4(2), 2),
        server_at(v6(2), 2),
    ];
    assert_eq!(servers, expected);
    assert!(failures.is_empty());
    let questions = asked(&server);
    let of_targets = [("b".to_owned(), A), ("b".to_owned(), AAAA)];
    assert_eq!(questions.len(), 1 + of_targets.len());
    assert!(
        of_targets
            .iter()
            .all(|question| questions.contains(question))
    );

    // Once `a` has an address of IPv6, that is asked for when it does not come.
    server.answer_by(|query| match services_of(query) {
        Action::Records(services, mut additional) if query.record_type == SRV => {
            additional.push(Record::address(v6(1)).of("a"));
            Action::Records(services, additional)
        }
        action => action,
    });
    let round = discover(&by_srv, &known, &System::new()).await;
    let (servers, _) = known.update(round, by_srv.on_empty);
    assert_eq!(servers.unwrap().len(), 4);
    server.answer_by(services_of);
    let round = discover(&by_srv, &known, &System::new()).await;
    let (servers, _) = known.update(round, by_srv.on_empty);
    assert_eq!(servers.unwrap().len(), 4);
    let questions = asked(&server);
    assert!(
        questions.contains(&("a".to_owned(), AAAA)) && !questions.contains(&("a".to_owned(), A))
    );
}

#[tokio::test]
async fn hundreds_of_targets_are_asked_for() {
    let server = NameServer::start(|query| match query.record_type {
        SRV => {
            let services = (0..300).map(|index| Record::service(0, 1, 80, &format!("t{index}")));
            Action::Records(services.collect(), Vec::new())
        }
        A => {
            let index: u16 = query.name[1..].parse().unwrap();
            let [high, low] = index.to_be_bytes();
            Action::addresses(query, &[IpAddr::from([10, 0, high, low])])
        }
        _ => Action::addresses::<IpAddr>(query, &[]),
    });
    let by_srv = section(&server, "srv = \"_http._tcp.web\"");
    let round = discover(&by_srv, &Known::default(), &System::new()).await;
    let (servers, failures) = Known::default().update(round, by_srv.on_empty);
    assert_eq!(servers.unwrap().len(), 300);
    assert!(failures.is_empty());
}
