//! Which objects stay the same when configurations and sets of servers change.

use super::*;
use crate::config::Address;
use crate::config::{parse, system_resolver};

/// A frontend of this name before a backend with these servers: name, port, `max_sessions`.
fn config(frontend: &str, backend: &str, servers: &[(&str, u16, u32)]) -> Config {
    let servers: Vec<String> = (servers.iter())
        .map(|(name, port, max)| {
            format!("{{ name = \"{name}\", address = \"[::1]:{port}\", max_sessions = {max} }}")
        })
        .collect();
    let text = format!(
        "[frontend.{frontend}]\nlisten = [\"[::1]:0\"]\nbackend = \"{backend}\"\n\
         [backend.{backend}]\nservers = [{}]\n",
        servers.join(", ")
    );
    match parse("x.toml", &text, &system_resolver) {
        Ok(loaded) => loaded.config,
        Err(report) => panic!("{report}"),
    }
}

#[test]
fn what_is_still_the_same_stays_itself() {
    let mut registry = Registry::new(2);
    let old = registry.snapshot(config("f", "b", &[("s1", 1, 5), ("s2", 2, 5)]));
    // Another order and bound, an address that moved, a new server.
    let new = [("s2", 20, 5), ("s1", 1, 9), ("s3", 3, 5)];
    let new = registry.snapshot(config("f", "b", &new));
    assert_eq!((old.version, new.version), (1, 2));
    assert!(Arc::ptr_eq(&old.frontends[0], &new.frontends[0]));
    assert!(Arc::ptr_eq(&old.backends[0].queue, &new.backends[0].queue));
    assert!(Arc::ptr_eq(&old.server(0, 0), &new.server(0, 1)));
    assert_eq!(
        old.server(0, 0).session_limit.max(),
        Some(9),
        "the new bound"
    );
    assert!(!Arc::ptr_eq(&old.server(0, 1), &new.server(0, 0)));
    let mut ids = vec![old.server(0, 0).id, old.server(0, 1).id];
    ids.extend([new.server(0, 0).id, new.server(0, 2).id]);
    ids.dedup();
    assert_eq!(ids.len(), 4, "{ids:?}");
}

#[test]
fn other_names_are_others() {
    let mut registry = Registry::new(1);
    let old = registry.snapshot(config("f", "b", &[("s", 1, 5)]));
    let new = registry.snapshot(config("g", "c", &[("s", 1, 5)]));
    assert_eq!(new.index_of(&old.frontends[0]), None);
    assert_eq!(new.index_of(&new.frontends[0]), Some(0));
    assert!(!Arc::ptr_eq(&old.backends[0].queue, &new.backends[0].queue));
    assert!(!Arc::ptr_eq(&old.server(0, 0), &new.server(0, 0)));
}

#[test]
fn what_comes_back_is_itself_while_a_session_has_it() {
    let mut registry = Registry::new(1);
    let first = registry.snapshot(config("f", "b", &[("s1", 1, 5), ("s2", 2, 5)]));
    assert!(first.server(0, 1).session_limit.try_acquire());
    let without = registry.snapshot(config("f", "b", &[("s1", 1, 5)]));
    let again = registry.snapshot(config("f", "b", &[("s1", 1, 5), ("s2", 2, 5)]));
    assert_eq!(
        again.server(0, 1).session_limit.used(),
        1,
        "a session is open"
    );
    drop((first, again));
    registry.snapshot(config("f", "b", &[("s1", 1, 5)]));
    let again = registry.snapshot(config("f", "b", &[("s1", 1, 5), ("s2", 2, 5)]));
    assert_eq!(again.server(0, 1).session_limit.used(), 0, "nobody had it");
    drop((without, again));
    let last = registry.snapshot(config("f", "b", &[("s3", 3, 5)]));
    assert_eq!(
        registry.objects.servers_len(),
        1,
        "nothing is kept for good"
    );
    assert_eq!(last.version, 6);
}

/// Servers that the configuration does not have, by name; the port is the number in it.
fn servers(names: &[&str]) -> Vec<Server> {
    let server = |name: &&str| {
        let port: u16 = name[1..].parse().unwrap();
        Server {
            name: (*name).to_owned(),
            address: Address::Ip(([10, 0, 0, 1], port).into()),
            weight: 1,
            sessions_max: None,
            backup: false,
            cookie: format!("cookie-{name}"),
        }
    };
    names.iter().map(server).collect()
}

/// Sets the discovered servers of backend `b`; something changes.
fn discover(registry: &mut Registry, names: &[&str]) -> MembersChange {
    let change = registry.set_members("b", Source::Discovery, servers(names));
    let change = change.unwrap().expect("a change");
    change.publish();
    change
}

fn names(members: &[Member]) -> Vec<&str> {
    let names = members.iter().map(|member| member.server.name.as_str());
    names.collect()
}

#[test]
fn another_set_is_that_of_one_backend_and_keeps_what_stays() {
    let mut registry = Registry::new(1);
    let mut config = config("f", "b", &[("s1", 1, 5)]);
    let mut other = config.backends[0].clone();
    other.name = "other".to_owned();
    config.backends.push(other);
    let snapshot = registry.snapshot(config);
    let version = snapshot.backends[0].version();

    let change = discover(&mut registry, &["d1", "d2"]);
    assert_eq!(names(&change.added), ["d1", "d2"]);
    let members = snapshot.backends[0].members();
    assert_eq!(names(members.servers()), ["s1", "d1", "d2"]);
    assert_ne!(snapshot.backends[0].version(), version);
    assert_eq!(snapshot.backends[1].version(), 0, "another backend");
    let found = members.by_cookie(b"cookie-d2").unwrap();
    assert_eq!(found.server.name, "d2");

    let again = registry.set_members("b", Source::Discovery, servers(&["d1", "d2"]));
    assert!(again.unwrap().is_none(), "nothing has changed");
    let unknown = registry.set_members("c", Source::Discovery, Vec::new());
    assert_eq!(unknown.err(), Some(UnknownBackend));

    let change = discover(&mut registry, &["d3", "d2"]);
    assert_eq!(names(&change.added), ["d3"]);
    assert_eq!(names(&change.removed), ["d1"]);
    let after = snapshot.backends[0].members();
    assert_eq!(names(after.servers()), ["s1", "d3", "d2"]);
    assert_eq!(after.index_of(&members.servers()[2].server), Some(2));
    assert!(Arc::ptr_eq(
        &members.servers()[0].server,
        &after.servers()[0].server
    ));
    assert!(after.by_cookie(b"cookie-d1").is_none());
}

#[test]
fn a_server_that_is_removed_leaves_when_its_last_session_has_ended() {
    let mut registry = Registry::new(1);
    let snapshot = registry.snapshot(config("f", "b", &[("s1", 1, 5)]));
    let d1 = Arc::clone(&discover(&mut registry, &["d1"]).added[0].server);
    assert!(d1.session_limit.try_acquire());
    d1.counters[0].sessions_started.add(1);
    discover(&mut registry, &[]);
    assert!(!d1.availability.is_usable() && d1.availability.is_leaving());
    let members = snapshot.backends[0].members();
    assert_eq!(names(members.servers()), ["s1"]);
    assert_eq!(names(members.leaving()), ["d1"]);
    assert!(Arc::ptr_eq(&members.by_name("d1").unwrap().server, &d1));
    assert!(registry.drop_left().is_empty(), "it has a session");

    // It is back before that: the same.
    let back = discover(&mut registry, &["d1"]);
    assert!(Arc::ptr_eq(&back.added[0].server, &d1));
    assert!(d1.availability.is_usable());
    assert_eq!(d1.counters[0].sessions_started.get(), 1);
    assert!(snapshot.backends[0].members().leaving().is_empty());

    discover(&mut registry, &[]);
    d1.session_limit.release();
    let dropped = registry.drop_left();
    assert_eq!(names(&dropped[0].dropped), ["d1"]);
    dropped[0].publish();
    let forgotten = &snapshot.backends[0].queue.forgotten;
    assert_eq!(forgotten.sessions_started.get(), 1, "the backend had it");
    let members = snapshot.backends[0].members();
    assert_eq!(members.all().count(), 1);
    assert!(registry.drop_left().is_empty());
    let again = discover(&mut registry, &["d1"]);
    assert!(
        !Arc::ptr_eq(&again.added[0].server, &d1),
        "it was forgotten"
    );
}

#[test]
fn who_had_left_is_forgotten_with_the_next_change_too() {
    let mut registry = Registry::new(1);
    let _snapshot = registry.snapshot(config("f", "b", &[("s1", 1, 5)]));
    discover(&mut registry, &["d1", "d2"]);
    let change = discover(&mut registry, &["d2"]);
    assert_eq!(names(change.members.leaving()), ["d1"]);
    let change = discover(&mut registry, &["d3"]);
    assert_eq!(names(&change.dropped), ["d1"]);
    assert_eq!(names(change.members.leaving()), ["d2"]);
}

#[test]
fn another_configuration_of_a_server_is_a_change_of_it() {
    let mut registry = Registry::new(1);
    let snapshot = registry.snapshot(config("f", "b", &[("s1", 1, 5)]));
    let before = discover(&mut registry, &["d1", "d2"]);
    let mut servers = servers(&["d1", "d2"]);
    servers[1].sessions_max = Some(7);
    let change = registry.set_members("b", Source::Discovery, servers);
    let change = change.unwrap().unwrap();
    assert_eq!(names(&change.changed), ["d2"]);
    assert!(change.added.is_empty() && change.removed.is_empty());
    assert!(!change.members.has_servers_of(&before.members));
    assert_eq!(snapshot.server(0, 2).session_limit.max(), Some(7));
}

#[test]
fn a_reload_keeps_what_the_configuration_does_not_have() {
    let mut registry = Registry::new(1);
    let first = registry.snapshot(config("f", "b", &[("s1", 1, 5)]));
    let by_hand = registry.set_members("b", Source::Operator, servers(&["d1", "o2"]));
    by_hand.unwrap().unwrap().publish();
    // One name is taken by an operator, one by the configuration.
    let change = discover(&mut registry, &["d1", "s1", "d4", "d5"]);
    assert_eq!(
        names(change.members.servers()),
        ["s1", "d1", "o2", "d4", "d5"]
    );
    assert_eq!(change.added.len(), 2);
    let d5 = first.server(0, 4);
    assert!(d5.session_limit.try_acquire());
    discover(&mut registry, &["d4"]);

    let second = registry.snapshot(config("f", "b", &[("d4", 9, 5), ("s2", 2, 5)]));
    let members = second.backends[0].members();
    assert_eq!(names(members.servers()), ["d4", "s2", "d1", "o2"]);
    assert_eq!(names(members.leaving()), ["d5"], "it has a session");
    assert!(Arc::ptr_eq(&first.server(0, 1), &second.server(0, 2)));
    assert!(
        !Arc::ptr_eq(&first.server(0, 3), &second.server(0, 0)),
        "it is written"
    );

    registry.snapshot(config("f", "c", &[("s1", 1, 5)]));
    let third = registry.snapshot(config("f", "b", &[("s1", 1, 5)]));
    assert_eq!(
        third.backends[0].members().all().count(),
        1,
        "the backend was gone"
    );
}

#[test]
fn sets_are_freed_by_the_registry_and_not_by_a_worker() {
    let mut registry = Registry::new(1);
    let snapshot = registry.snapshot(config("f", "b", &[("s1", 1, 5)]));
    discover(&mut registry, &["d1"]);
    let of_worker = snapshot.backends[0].members();
    for round in 0..100 {
        discover(
            &mut registry,
            if round % 2 == 0 { &["d2"] } else { &["d3"] },
        );
        registry.drop_left();
    }
    let count = Arc::strong_count(&of_worker);
    assert!(count > 1, "a worker frees what it has no more");
    assert!(
        registry.retired.len() <= 3,
        "{} sets",
        registry.retired.len()
    );
    drop(of_worker);
    registry.drop_left();
    assert!(registry.retired.len() <= 1);
    assert!(
        registry.objects.servers_len() <= 3,
        "{} servers",
        registry.objects.servers_len()
    );
}
