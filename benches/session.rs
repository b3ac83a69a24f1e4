//! What a request costs in the session machine alone: a few percent of what the kernel takes.
//!
//! Called by `cargo bench`; the gate runs each once, to see that it still works.

use divan::{Bencher, black_box};
use ringway::logic::session::{
    Action, Actions, Event, Head, Policy, Protocol, ReceivedInfo, Session, Side, SpliceResult,
};
use ringway::logic::time::Instant;
use std::time::Duration;

fn main() {
    divan::main();
}

fn policy() -> Policy {
    Policy {
        protocol: Protocol::Tcp,
        request_timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(300),
        half_closed_timeout: Duration::from_secs(30),
        queue_timeout: Duration::from_secs(5),
        retries: 3,
    }
}

/// Delivers one event; returns how many actions it led to, so that no work can vanish.
fn deliver(session: &mut Session, event: Event, policy: &Policy) -> usize {
    let mut actions = Actions::new();
    session.handle(black_box(Instant::ZERO), event, policy, &mut actions);
    black_box(actions.as_slice()).len()
}

fn relaying(policy: &Policy) -> Session {
    let mut session = Session::new(Instant::ZERO, Protocol::Tcp);
    for event in [Event::Accepted, Event::Chosen, Event::Connected] {
        deliver(&mut session, event, policy);
    }
    session
}

fn received(from: Side, len: u32) -> Event {
    let info = ReceivedInfo {
        len,
        full: len == 65_536,
        more: false,
        armed: false,
    };
    Event::Received { from, info }
}

/// A small request and its answer: four events.
#[divan::bench]
fn request_and_answer(bencher: Bencher) {
    let policy = policy();
    let mut session = relaying(&policy);
    bencher.bench_local(|| {
        let mut actions = 0;
        for (event, len) in [(Side::Client, 40), (Side::Server, 100)] {
            actions += deliver(&mut session, received(event, len), &policy);
            let sent = Event::Sent {
                to: event.other(),
                len,
            };
            actions += deliver(&mut session, sent, &policy);
        }
        assert_eq!(actions, 6, "two sends, two receives, two releases");
    });
}

/// A whole session with nothing in it, from accept to free.
#[divan::bench]
fn session_without_bytes(bencher: Bencher) {
    let policy = policy();
    bencher.bench_local(|| {
        let mut session = relaying(&policy);
        let mut actions = 0;
        for from in Side::BOTH {
            actions += deliver(&mut session, Event::Ended { from }, &policy);
        }
        assert_eq!(actions, 2, "the end is passed on once, then all is freed");
    });
}

/// A session of HTTP mode: two heads of one piece each, then both ends.
#[divan::bench]
fn session_with_heads(bencher: Bencher) {
    let policy = Policy {
        protocol: Protocol::Http,
        ..policy()
    };
    let head = |from, len| Event::Head {
        from,
        found: Head::Whole { len },
    };
    let events = [
        Event::Accepted,
        received(Side::Client, 400),
        head(Side::Client, 380),
        Event::Chosen,
        Event::Connected,
        Event::Sent {
            to: Side::Server,
            len: 380,
        },
        received(Side::Server, 900),
        head(Side::Server, 960),
        Event::Sent {
            to: Side::Client,
            len: 960,
        },
        Event::Ended { from: Side::Client },
        Event::Ended { from: Side::Server },
    ];
    bencher.bench_local(|| {
        let mut session = Session::new(Instant::ZERO, Protocol::Http);
        let mut actions = 0;
        for event in events {
            actions += deliver(&mut session, event, &policy);
        }
        assert_eq!(actions, 14, "the last of them frees the slot");
    });
}

/// One move through a kernel pipe: in, out, and waiting for more.
#[divan::bench]
fn splice(bencher: Bencher) {
    let policy = policy();
    let from = Side::Server;
    let mut session = relaying(&policy);
    for _ in 0..2 {
        deliver(&mut session, received(from, 65_536), &policy);
    }
    for _ in 0..2 {
        let sent = Event::Sent {
            to: Side::Client,
            len: 65_536,
        };
        deliver(&mut session, sent, &policy);
    }
    let moved = SpliceResult::Bytes(100_000);
    deliver(&mut session, Event::SplicedIn { from, moved }, &policy);
    deliver(&mut session, Event::SplicedOut { from, moved }, &policy);
    bencher.bench_local(|| {
        deliver(&mut session, Event::Readable { from }, &policy);
        deliver(&mut session, Event::SplicedIn { from, moved }, &policy);
        let mut actions = Actions::new();
        let event = Event::SplicedOut { from, moved };
        session.handle(Instant::ZERO, event, &policy, &mut actions);
        assert_eq!(
            actions.as_slice().last(),
            Some(&Action::PollRead { from }),
            "the source is waited for"
        );
    });
}
