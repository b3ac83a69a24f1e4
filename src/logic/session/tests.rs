//! What the tests of the session machine have in common: a session with its time, and short words
//! for actions. The tables hold every state and every event, the others the stories that matter.

mod buffers;
mod clearing;
mod flushing;
mod heads;
mod http_table;
mod opening;
mod splicing;
mod table;
mod times;

use super::*;

const CLIENT: Side = Side::Client;
const SERVER: Side = Side::Server;

/// The watched client is gone, and the watch has ended.
const GONE: Event = Event::ClientGone { armed: false };

/// A buffer's worth of bytes.
const FULL: u32 = 64 * 1024;

fn policy() -> Policy {
    Policy {
        protocol: Protocol::Tcp,
        request_timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(300),
        half_closed_timeout: Duration::from_secs(30),
        queue_timeout: Duration::from_secs(3),
        retries: 1,
    }
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

/// A session and the time, for stories.
struct Story {
    session: Session,
    policy: Policy,
    now: Instant,
}

impl Story {
    fn new() -> Self {
        Story {
            session: Session::new(at(0), Protocol::Tcp),
            policy: policy(),
            now: at(0),
        }
    }

    /// One in HTTP mode, before anything happened.
    fn http() -> Self {
        Story {
            session: Session::new(at(0), Protocol::Http),
            policy: Policy {
                protocol: Protocol::Http,
                ..policy()
            },
            now: at(0),
        }
    }

    /// One in HTTP mode that has a request of 40 bytes, without a server yet.
    fn requested() -> Self {
        Story::http().after(&[
            Event::Accepted,
            received(CLIENT, 40),
            head(CLIENT, Head::Whole { len: 40 }),
        ])
    }

    /// One in HTTP mode that is connected; the head of 40 bytes is on its way to the server.
    fn sending() -> Self {
        Story::requested().after(&[Event::Chosen, Event::Connected])
    }

    /// One in HTTP mode whose server has the request: receives of both sides are in flight.
    fn awaiting() -> Self {
        Story::sending().after(&[sent(SERVER, 40)])
    }

    /// Delivers one event; the actions in short form.
    fn on(&mut self, event: Event) -> String {
        let mut out = Actions::new();
        self.session.handle(self.now, event, &self.policy, &mut out);
        let actions: Vec<String> = out.as_slice().iter().map(short).collect();
        actions.join(" ")
    }

    /// Delivers events whose actions are of no interest.
    fn after(mut self, events: &[Event]) -> Self {
        for event in events {
            let _ = self.on(*event);
        }
        self
    }

    fn relaying() -> Self {
        Story::new().after(&[Event::Accepted, Event::Chosen, Event::Connected])
    }

    fn code(&self) -> String {
        let summary = self.session.summary(self.now);
        String::from_iter(summary.outcome.code().map(char::from))
    }
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Client => "c",
        Side::Server => "s",
    }
}

fn short(action: &Action) -> String {
    match action {
        Action::Choose { failed: false } => "choose".to_string(),
        Action::Choose { failed: true } => "choose-other".to_string(),
        Action::ChooseBackup => "backup".to_string(),
        Action::ForgetTried => "forget".to_string(),
        Action::Connect => "connect".to_string(),
        Action::Enqueue => "enqueue".to_string(),
        Action::Dequeue => "dequeue".to_string(),
        Action::WatchClient => "watch".to_string(),
        Action::Receive { from, .. } => format!("recv-{}", side(*from)),
        Action::LeaveServer => "leave".to_string(),
        Action::ReadHead { from } => format!("read-{}", side(*from)),
        Action::PrepareError(answer) => format!("answer-{}", answer.status()),
        Action::Send { to, len } => format!("send-{}:{len}", side(*to)),
        Action::Release { from } => format!("release-{}", side(*from)),
        Action::SpliceIn { from, .. } => format!("in-{}", side(*from)),
        Action::SpliceOut { from, len } => format!("out-{}:{len}", side(*from)),
        Action::ReturnPipe { from, empty: true } => format!("pipe-{}", side(*from)),
        Action::ReturnPipe { from, .. } => format!("drop-pipe-{}", side(*from)),
        Action::PollRead { from } => format!("pollin-{}", side(*from)),
        Action::PollWrite { to } => format!("pollout-{}", side(*to)),
        Action::CountUnsent { to } => format!("unsent-{}", side(*to)),
        Action::ShutdownWrite { to } => format!("end-{}", side(*to)),
        Action::Cancel { side: of } => format!("cancel-{}", side(*of)),
        Action::Free(CloseMode::Graceful) => "free".to_string(),
        Action::Free(CloseMode::Reset) => "reset".to_string(),
    }
}

const fn received(from: Side, len: u32) -> Event {
    let info = ReceivedInfo {
        len,
        full: len == FULL,
        more: false,
        armed: false,
    };
    Event::Received { from, info }
}

const fn sent(to: Side, len: u32) -> Event {
    Event::Sent { to, len }
}

const fn head(from: Side, found: Head) -> Event {
    Event::Head { from, found }
}

const fn canceled(side: Side, used: Use) -> Event {
    Event::Canceled { side, used }
}

fn state_name(state: State) -> &'static str {
    match state {
        State::ReadingHead => "reading",
        State::Choosing => "choosing",
        State::ChoosingBackup => "choosing-backup",
        State::Queued { .. } => "queued",
        State::Pausing { .. } => "pausing",
        State::Backoff { .. } => "short",
        State::Connecting { .. } => "connecting",
        State::Relaying => "relaying",
        State::ClosingServer { .. } => "clearing",
        State::SendingError { .. } => "answering",
        State::Lingering { .. } => "lingering",
        State::Flushing { .. } => "flushing",
        State::Closing { .. } => "closing",
    }
}
