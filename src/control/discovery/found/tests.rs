//! Sets of servers after rounds of answers and failures.

use proptest::prelude::*;

use super::*;

fn v4(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

fn v6(last: u16) -> IpAddr {
    [0xfd00, 0, 0, 0, 0, 0, 0, last].into()
}

fn by_dns(v4: FamilyAnswer, v6: FamilyAnswer) -> Round {
    Round::Addresses(HostAnswer { v4, v6 }, 80)
}

fn ok(lasts: &[u8]) -> FamilyAnswer {
    Some(Ok(lasts.iter().map(|last| v4(*last)).collect()))
}

fn ok6(lasts: &[u16]) -> FamilyAnswer {
    Some(Ok(lasts.iter().map(|last| v6(*last)).collect()))
}

fn shown(servers: Option<Servers>) -> Option<Vec<String>> {
    Some(servers?.keys().map(ToString::to_string).collect())
}

fn failures(all: &[(RecordType, Failure)]) -> Failures {
    all.iter().copied().collect()
}

const BOTH: [&str; 3] = ["10.0.0.1:80", "10.0.0.2:80", "[fd00::1]:80"];

#[test]
fn both_families_make_the_set() {
    let mut known = Known::default();
    let (servers, failed) = known.update(by_dns(ok(&[2, 1, 2]), ok6(&[1])), OnEmpty::Keep);
    assert_eq!(shown(servers).unwrap(), BOTH);
    assert!(failed.is_empty());
    // Docker has no address of IPv6, and says so.
    let (servers, failed) = known.update(by_dns(ok(&[1]), ok6(&[])), OnEmpty::Keep);
    assert_eq!(shown(servers).unwrap(), ["10.0.0.1:80"]);
    assert!(failed.is_empty());
    // An address that nobody can connect to, and one of IPv4 as one of IPv6.
    let strange = Some(Ok(vec![
        "::".parse().unwrap(),
        "ff02::1".parse().unwrap(),
        "::ffff:10.0.0.1".parse().unwrap(),
    ]));
    let (servers, _) = known.update(by_dns(ok(&[1]), strange), OnEmpty::Keep);
    assert_eq!(shown(servers).unwrap(), ["10.0.0.1:80"]);
}

#[test]
fn a_family_that_fails_stays_as_it_was() {
    let mut known = Known::default();
    known.update(by_dns(ok(&[1, 2]), ok6(&[1])), OnEmpty::Keep);
    let (servers, failed) = known.update(
        by_dns(Some(Err(Failure::Timeout)), ok6(&[7])),
        OnEmpty::Keep,
    );
    let expected = ["10.0.0.1:80", "10.0.0.2:80", "[fd00::7]:80"];
    assert_eq!(shown(servers).unwrap(), expected);
    assert_eq!(failed, failures(&[(RecordType::A, Failure::Timeout)]));
    let (servers, failed) = known.update(
        by_dns(ok(&[3]), Some(Err(Failure::ServFail))),
        OnEmpty::Keep,
    );
    assert_eq!(shown(servers).unwrap(), ["10.0.0.3:80", "[fd00::7]:80"]);
    assert_eq!(failed, failures(&[(RecordType::Aaaa, Failure::ServFail)]));
    let both = by_dns(Some(Err(Failure::Timeout)), Some(Err(Failure::Refused)));
    let (servers, failed) = known.update(both, OnEmpty::Keep);
    assert_eq!((servers, failed.len()), (None, 2));
    // A family that is not asked for any more has no servers.
    let (servers, _) = known.update(by_dns(ok(&[3]), None), OnEmpty::Keep);
    assert_eq!(shown(servers).unwrap(), ["10.0.0.3:80"]);
}

#[test]
fn what_is_empty_is_a_failure_or_an_answer() {
    let away = || by_dns(Some(Err(Failure::NxDomain)), Some(Err(Failure::NxDomain)));
    let empty = || by_dns(ok(&[]), ok6(&[]));
    let mut known = Known::default();
    known.update(by_dns(ok(&[1]), ok6(&[1])), OnEmpty::Keep);
    let before = known.clone();
    let (servers, failed) = known.update(away(), OnEmpty::Keep);
    assert_eq!((servers, failed.len()), (None, 2));
    let (servers, failed) = known.update(empty(), OnEmpty::Keep);
    assert_eq!(servers, None);
    let expected = [
        (RecordType::A, Failure::Empty),
        (RecordType::Aaaa, Failure::Empty),
    ];
    assert_eq!(failed, failures(&expected));
    assert_eq!(known, before, "a failure changes nothing");

    for round in [away(), empty()] {
        let mut known = before.clone();
        let (servers, failed) = known.update(round, OnEmpty::Drop);
        assert_eq!(servers, Some(Servers::new()));
        assert!(failed.is_empty());
    }
    // A failure is none.
    let half = by_dns(Some(Err(Failure::NxDomain)), Some(Err(Failure::Timeout)));
    let (servers, failed) = known.update(half, OnEmpty::Drop);
    assert_eq!(shown(servers).unwrap(), ["[fd00::1]:80"]);
    assert_eq!(failed, failures(&[(RecordType::Aaaa, Failure::Timeout)]));
}

fn service(priority: u16, weight: u16, port: u16, target: &str) -> Service {
    Service {
        priority,
        weight,
        port,
        target: target.to_owned(),
    }
}

fn by_srv(services: &[Service], answers: &[(&str, HostAnswer)]) -> Round {
    let answers = answers.iter();
    let answers = answers.map(|(name, answer)| ((*name).to_owned(), answer.clone()));
    Round::Services(Ok((services.to_vec(), answers.collect())))
}

fn host(lasts: &[u8]) -> HostAnswer {
    HostAnswer {
        v4: ok(lasts),
        v6: ok6(&[]),
    }
}

#[test]
fn services_have_ports_and_weights_of_their_own() {
    let mut known = Known::default();
    let services = [
        service(1, 10, 8080, "a"),
        service(1, 20, 8081, "a"),
        service(1, 0, 80, "b"),
        service(1, 5, 80, "b"),
    ];
    let round = by_srv(&services, &[("a", host(&[1])), ("b", host(&[2, 3]))]);
    let (servers, failed) = known.update(round, OnEmpty::Keep);
    let found: Vec<_> = servers.unwrap().into_iter().collect();
    let server = |last, port, weight| (SocketAddr::new(v4(last), port), Some(weight));
    let expected = [
        server(1, 8080, 10),
        server(1, 8081, 20),
        server(2, 80, 5),
        server(3, 80, 5),
    ];
    assert_eq!(found, expected);
    assert!(failed.is_empty());
}

#[test]
fn a_target_that_fails_keeps_its_servers() {
    let mut known = Known::default();
    let services = [service(1, 1, 80, "a"), service(1, 1, 80, "b")];
    let round = by_srv(&services, &[("a", host(&[1])), ("b", host(&[2]))]);
    known.update(round, OnEmpty::Keep);
    assert!(known.target("a").unwrap().has(RecordType::A));
    assert!(!known.target("a").unwrap().has(RecordType::Aaaa));
    let failed_host = HostAnswer {
        v4: Some(Err(Failure::Timeout)),
        v6: ok6(&[]),
    };
    let round = by_srv(&services, &[("a", failed_host), ("b", host(&[3]))]);
    let (servers, failed) = known.update(round, OnEmpty::Keep);
    assert_eq!(shown(servers).unwrap(), ["10.0.0.1:80", "10.0.0.3:80"]);
    assert_eq!(failed, failures(&[(RecordType::A, Failure::Timeout)]));
    // A target that is not named any more is gone.
    let (servers, _) = known.update(by_srv(&services[1..], &[("b", host(&[3]))]), OnEmpty::Keep);
    assert_eq!(shown(servers).unwrap(), ["10.0.0.3:80"]);
    assert!(known.target("a").is_none());

    let before = known.clone();
    for failure in [Failure::NxDomain, Failure::ServFail] {
        let (servers, failed) = known.update(Round::Services(Err(failure)), OnEmpty::Keep);
        assert_eq!(
            (servers, failed),
            (None, failures(&[(RecordType::Srv, failure)]))
        );
    }
    let (servers, failed) = known.update(by_srv(&[], &[]), OnEmpty::Keep);
    assert_eq!(servers, None);
    assert_eq!(failed, failures(&[(RecordType::Srv, Failure::Empty)]));
    assert_eq!(known, before);
    let (servers, failed) = known.update(Round::Services(Err(Failure::NxDomain)), OnEmpty::Drop);
    assert_eq!((servers, failed), (Some(Servers::new()), Failures::new()));
}

#[test]
fn only_the_best_priority_that_is_there_counts() {
    let found = best(vec![
        service(2, 1, 80, "c"),
        service(1, 1, 80, "a"),
        service(0, 1, 80, ""),
        service(0, 1, 0, "z"),
        service(1, 2, 80, "b"),
    ]);
    let targets: Vec<_> = found
        .iter()
        .map(|service| service.target.as_str())
        .collect();
    assert_eq!(targets, ["a", "b"]);
    assert!(best(vec![service(0, 0, 80, "")]).is_empty());
}

#[test]
fn weights_are_scaled_when_they_are_too_large() {
    let all = |weights: &[u16]| -> Vec<u16> {
        let largest = *weights.iter().max().unwrap();
        weights
            .iter()
            .map(|weight| scaled(*weight, largest))
            .collect()
    };
    assert_eq!(all(&[0, 1, 10, 256]), [1, 1, 10, 256]);
    assert_eq!(all(&[0, 100, 1000, 512]), [1, 26, 256, 131]);
    assert_eq!(all(&[1, 65_535, 32_768]), [1, 256, 128]);
    assert_eq!(all(&[0, 0]), [1, 1]);
}

fn family() -> impl Strategy<Value = Option<Result<Vec<u8>, Failure>>> {
    let failure =
        prop::sample::select(vec![Failure::NxDomain, Failure::Timeout, Failure::ServFail]);
    let answer = prop_oneof![
        3 => prop::collection::vec(0..20u8, 0..6).prop_map(Ok),
        2 => failure.prop_map(Err),
    ];
    prop::option::weighted(0.9, answer)
}

proptest! {
    /// Against the rule as it is written: families by themselves, and what an empty set means.
    #[test]
    fn any_rounds_make_the_set_of_the_rule(
        rounds in prop::collection::vec((family(), family()), 1..20),
        drop in any::<bool>(),
    ) {
        let on_empty = if drop { OnEmpty::Drop } else { OnEmpty::Keep };
        let mut known = Known::default();
        let mut model: [Vec<IpAddr>; 2] = Default::default();
        for (four, six) in rounds {
            let addresses = |answer: Option<Result<Vec<u8>, Failure>>, of: fn(u8) -> IpAddr| {
                answer.map(|it| it.map(|all| all.into_iter().map(of).collect::<Vec<_>>()))
            };
            let six = addresses(six, |last| v6(u16::from(last) + 1));
            let four = addresses(four, |last| v4(last + 1));
            let mut next = model.clone();
            let mut usable = false;
            for (answer, known) in [&four, &six].into_iter().zip(&mut next) {
                match answer {
                    Some(Ok(all)) => (usable, *known) = (true, all.clone()),
                    Some(Err(Failure::NxDomain)) if drop => (usable, *known) = (true, Vec::new()),
                    Some(Err(_)) => {}
                    None => known.clear(),
                }
            }
            let expected: Servers = next.iter().flatten()
                .map(|ip| (SocketAddr::new(*ip, 80), None))
                .collect();
            usable &= drop || !expected.is_empty();
            let asked = usize::from(four.is_some()) + usize::from(six.is_some());
            let (servers, failed) = known.update(by_dns(four, six), on_empty);
            if usable {
                model = next;
                prop_assert_eq!(servers, Some(expected));
                prop_assert!(failed.len() < asked);
            } else {
                prop_assert_eq!(servers, None);
                prop_assert_eq!(failed.len(), asked);
            }
        }
    }
}
