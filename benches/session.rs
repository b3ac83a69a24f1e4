//! What a request costs in the session machine alone: a few percent of what the kernel takes.
//!
//! Called by `cargo bench`; the gate runs each once, to see that it still works.

use divan::{Bencher, black_box};
use ringway::logic::session::{
    Action, Actions, Choice, Event, Policy, PrefaceDecision, Protocol, ReadEvent, ReceivedInfo,
    Reply, ResponseHead, Session, Side, SpliceResult, WriteEvent,
};
use ringway::logic::time::Instant;
use std::time::Duration;

fn main() {
    divan::main();
}

fn policy() -> Policy {
    Policy {
        protocol: Protocol::Tcp,
        proxy_heads: None,
        preface_timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(300),
        half_closed_timeout: Duration::from_secs(30),
        queue_timeout: Duration::from_secs(5),
        tunnel_timeout: Duration::from_secs(3600),
        max_age: None,
        retries: 3,
    }
}

/// What a session is told.
#[derive(Clone, Copy)]
enum Step {
    Event(Event),
    Reply(Reply),
}

/// Delivers an event or a reply; returns how many actions it led to, so that no work can vanish.
fn deliver(session: &mut Session, step: Step, policy: &Policy) -> usize {
    let mut actions = Actions::new();
    let now = black_box(Instant::ZERO);
    match step {
        Step::Event(event) => session.handle(now, event, policy, &mut actions),
        Step::Reply(reply) => session.reply(now, reply, policy, &mut actions),
    }
    black_box(actions.as_slice()).len()
}

const ACCEPTED: Step = Step::Event(Event::Accepted);
const CHOSEN: Step = Step::Reply(Reply::Choice(Choice::Chosen));
const CONNECTED: Step = Step::Event(Event::Connected);

fn relaying(policy: &Policy) -> Session {
    let mut session = Session::new(Instant::ZERO, policy);
    for step in [ACCEPTED, CHOSEN, CONNECTED] {
        deliver(&mut session, step, policy);
    }
    session
}

fn read(from: Side, event: ReadEvent) -> Step {
    Step::Event(Event::Read { from, event })
}

fn received(from: Side, len: u32) -> Step {
    let info = ReceivedInfo {
        len,
        more: false,
        armed: false,
    };
    read(from, ReadEvent::Received(info))
}

fn sent(to: Side, len: u32) -> Step {
    let event = WriteEvent::Sent { len, left: 0 };
    Step::Event(Event::Write { to, event })
}

/// A small request and its response: four events.
#[divan::bench]
fn request_and_response(bencher: Bencher) {
    let policy = policy();
    let mut session = relaying(&policy);
    bencher.bench_local(|| {
        let mut actions = 0;
        for (from, len) in [(Side::Client, 40), (Side::Server, 100)] {
            actions += deliver(&mut session, received(from, len), &policy);
            actions += deliver(&mut session, sent(from.other(), len), &policy);
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
            actions += deliver(&mut session, read(from, ReadEvent::Ended), &policy);
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
    let steps = [
        ACCEPTED,
        received(Side::Client, 400),
        Step::Reply(Reply::Preface(PrefaceDecision::Complete)),
        CHOSEN,
        CONNECTED,
        sent(Side::Server, 380),
        received(Side::Server, 900),
        Step::Reply(Reply::ResponseHead(ResponseHead::Whole)),
        sent(Side::Client, 960),
        read(Side::Client, ReadEvent::Ended),
        read(Side::Server, ReadEvent::Ended),
    ];
    bencher.bench_local(|| {
        let mut session = Session::new(Instant::ZERO, &policy);
        let mut actions = 0;
        for step in steps {
            actions += deliver(&mut session, step, &policy);
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
        deliver(&mut session, sent(Side::Client, 65_536), &policy);
    }
    let result = SpliceResult::Bytes(100_000);
    let moved_in = Step::Reply(Reply::SplicedIn { from, result });
    let moved_out = Reply::SplicedOut { from, result };
    deliver(&mut session, moved_in, &policy);
    deliver(&mut session, Step::Reply(moved_out), &policy);
    bencher.bench_local(|| {
        deliver(&mut session, read(from, ReadEvent::Readable), &policy);
        deliver(&mut session, moved_in, &policy);
        let mut actions = Actions::new();
        session.reply(Instant::ZERO, moved_out, &policy, &mut actions);
        assert_eq!(
            actions.as_slice().last(),
            Some(&Action::PollRead { from }),
            "the source is waited for"
        );
    });
}
