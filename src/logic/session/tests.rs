//! What the tests of the session machine have in common: a session with its time, and short names
//! for actions. The tables hold every state, every event and every reply, the others sequences.

mod buffers;
mod closing_server;
mod flushing;
mod heads;
mod hello;
mod http_table;
mod opening;
mod proxy_head;
mod splicing;
mod table;
mod times;

use super::*;

const CLIENT: Side = Side::Client;
const SERVER: Side = Side::Server;

/// A buffer's worth of bytes.
const FULL: u32 = 64 * 1024;

fn policy() -> Policy {
    Policy {
        protocol: Protocol::Tcp,
        proxy_heads: None,
        preface_timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(300),
        half_closed_timeout: Duration::from_secs(30),
        queue_timeout: Duration::from_secs(3),
        tunnel_timeout: Duration::from_secs(3600),
        max_age: None,
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
    /// Lengths of the chunks from each side, the oldest first, as a worker keeps them.
    chunks: [Vec<u32>; 2],
}

impl Story {
    fn new() -> Self {
        Story::with(policy())
    }

    /// One in HTTP mode, before anything happened.
    fn http() -> Self {
        Story::with(Policy {
            protocol: Protocol::Http,
            ..policy()
        })
    }

    fn with(policy: Policy) -> Self {
        Story {
            session: Session::new(at(0), &policy),
            policy,
            now: at(0),
            chunks: [Vec::new(), Vec::new()],
        }
    }

    /// Bytes read from `from` that were not sent yet.
    fn buffered(&self, from: Side) -> u32 {
        let chunks: u32 = self.chunks[from.index()].iter().sum();
        let pipe = &self.session.pipes[from.index()];
        let buffered = chunks + pipe.in_pipe;
        assert_eq!(pipe.has_buffered(), buffered > 0);
        buffered
    }

    /// One in HTTP mode that has a request of 40 bytes, without a server yet.
    fn requested() -> Self {
        Story::http().after(&[ACCEPTED, received(CLIENT, 40), preface(40)])
    }

    /// One in HTTP mode that is connected; the head of 40 bytes is on its way to the server.
    fn sending() -> Self {
        Story::requested().after(&[CHOSEN, CONNECTED])
    }

    /// One in HTTP mode whose server has the request: receives of both sides are in flight.
    fn awaiting() -> Self {
        Story::sending().after(&[sent(SERVER, 40)])
    }

    /// Delivers one event or reply; the actions in short form.
    fn on(&mut self, step: Step) -> String {
        let mut out = Actions::new();
        match self.keep_chunks(step) {
            Step::Event(event) => self.session.handle(self.now, event, &self.policy, &mut out),
            Step::Reply(reply) | Step::Chunk(reply, _) => {
                self.session.reply(self.now, reply, &self.policy, &mut out);
            }
        }
        let mut actions = Vec::new();
        for action in out.as_slice() {
            actions.push(match *action {
                Action::Send { to } => {
                    let len = self.chunks[to.other().index()].first();
                    format!("{}:{}", short(action), len.expect("a chunk to send"))
                }
                _ => short(action),
            });
            if let Action::Release { from } = *action {
                self.chunks[from.index()].remove(0);
            }
        }
        actions.join(" ")
    }

    /// Does to the chunks what a worker does before it delivers this, and says what is left of them.
    fn keep_chunks(&mut self, step: Step) -> Step {
        let [from_client, from_server] = &mut self.chunks;
        match step {
            Step::Event(Event::Read {
                from,
                event: ReadEvent::Received(info),
            }) => {
                let is_joined = self.session.has_head_part(from);
                let chunks = &mut self.chunks[from.index()];
                let count = chunks.len();
                match chunks.last_mut() {
                    Some(newest) if is_joined || count == 2 => *newest += info.len,
                    Some(_) | None => chunks.push(info.len),
                }
            }
            Step::Event(Event::Write {
                to,
                event: WriteEvent::Sent { len, .. },
            }) => {
                let oldest = self.chunks[to.other().index()].first_mut();
                let left = oldest.map_or(0, |oldest| {
                    *oldest -= len;
                    *oldest
                });
                return write(to, WriteEvent::Sent { len, left });
            }
            Step::Chunk(Reply::ResponseHead(ResponseHead::Interim { .. }), len) => {
                let newest = from_server.pop().unwrap_or(len);
                from_server.push(len);
                let more = newest > len;
                if more {
                    from_server.push(newest - len);
                }
                return Step::Reply(Reply::ResponseHead(ResponseHead::Interim { more }));
            }
            Step::Chunk(Reply::ErrorPrepared { ready: true }, len) => from_server.push(len),
            Step::Chunk(Reply::ProxyHead(_), 0) => from_client.clear(),
            Step::Chunk(Reply::Preface(_) | Reply::ProxyHead(_), len) => {
                from_client.pop();
                from_client.push(len);
            }
            Step::Chunk(Reply::ResponseHead(_), len) => {
                from_server.pop();
                from_server.push(len);
            }
            Step::Event(_) | Step::Reply(_) | Step::Chunk(..) => {}
        }
        step
    }

    /// Delivers events and replies whose actions are of no interest.
    fn after(mut self, steps: &[Step]) -> Self {
        for step in steps {
            let _ = self.on(*step);
        }
        self
    }

    fn relaying() -> Self {
        Story::new().after(&[ACCEPTED, CHOSEN, CONNECTED])
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
        Action::Choose(ChooseReason::New) => "choose".to_string(),
        Action::Choose(ChooseReason::Woken) => "choose-woken".to_string(),
        Action::Choose(ChooseReason::Failed) => "choose-other".to_string(),
        Action::ChooseBackup => "backup".to_string(),
        Action::ForgetTried => "forget".to_string(),
        Action::Connect => "connect".to_string(),
        Action::Enqueue => "enqueue".to_string(),
        Action::Dequeue => "dequeue".to_string(),
        Action::WatchClient => "watch".to_string(),
        Action::Receive { from, .. } => format!("recv-{}", side(*from)),
        Action::LeaveServer => "leave".to_string(),
        Action::ReadPreface => "read-c".to_string(),
        Action::ReadResponseHead => "read-s".to_string(),
        Action::PrepareError(ErrorAnswer::Http(response)) => format!("error-{}", response.status()),
        Action::PrepareError(ErrorAnswer::UnrecognizedName) => "alert".to_string(),
        Action::Send { to } => format!("send-{}", side(*to)),
        Action::Release { from } => format!("release-{}", side(*from)),
        Action::SpliceIn { from, len } if *len < PIPE_BYTES_MAX => {
            format!("in-{}:{len}", side(*from))
        }
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

/// What is delivered to a session: an event, or the reply to its last action.
#[derive(Clone, Copy, Debug)]
enum Step {
    Event(Event),
    Reply(Reply),
    /// A reply, and how many bytes a chunk has then.
    Chunk(Reply, u32),
}

const ACCEPTED: Step = Step::Event(Event::Accepted);
const CONNECTED: Step = Step::Event(Event::Connected);
const SLOT_FREED: Step = Step::Event(Event::SlotFreed);
const TIMED_OUT: Step = Step::Event(Event::TimedOut);
const CHOSEN: Step = Step::Reply(Reply::Choice(Choice::Chosen));
const NO_SLOT: Step = Step::Reply(Reply::Choice(Choice::Full));
const NO_SERVER: Step = Step::Reply(Reply::Choice(Choice::NoServer));
const ALL_TRIED: Step = Step::Reply(Reply::Choice(Choice::AllTried));
const BACKUP: Step = Step::Reply(Reply::BackupChoice { chosen: true });
const NO_BACKUP: Step = Step::Reply(Reply::BackupChoice { chosen: false });
const SHORTAGE: Step = Step::Reply(Reply::ConnectFailed(ConnectFault::Shortage));
/// A further address of the server is tried, and that fails for a shortage.
const SHORTAGE_LATER: Step = Step::Event(Event::ConnectFailed(ConnectFault::Shortage));
const SEND_REFUSED: Step = Step::Reply(Reply::SendRefused { to: Side::Server });
const INCOMPLETE: Step = Step::Reply(Reply::Preface(PrefaceDecision::Incomplete));
const PARTIAL: Step = Step::Reply(Reply::ResponseHead(ResponseHead::Partial));

/// The watched client is gone, and the watch has ended.
const GONE: Step = Step::Event(Event::Watch(WatchEvent::Gone { armed: false }));
/// The watched client is gone, and the watch is still in flight.
const GONE_BUT_WATCHED: Step = Step::Event(Event::Watch(WatchEvent::Gone { armed: true }));

const fn read(from: Side, event: ReadEvent) -> Step {
    Step::Event(Event::Read { from, event })
}

const fn write(to: Side, event: WriteEvent) -> Step {
    Step::Event(Event::Write { to, event })
}

const fn received_info(from: Side, info: ReceivedInfo) -> Step {
    read(from, ReadEvent::Received(info))
}

const fn received(from: Side, len: u32) -> Step {
    let info = ReceivedInfo {
        len,
        more: false,
        armed: false,
    };
    received_info(from, info)
}

const fn ended(from: Side) -> Step {
    read(from, ReadEvent::Ended)
}

const fn receive_failed(from: Side) -> Step {
    read(from, ReadEvent::Failed)
}

const fn readable(from: Side) -> Step {
    read(from, ReadEvent::Readable)
}

const fn sent(to: Side, len: u32) -> Step {
    // What is left is known when it is delivered.
    write(to, WriteEvent::Sent { len, left: 0 })
}

const fn send_failed(to: Side, fault: Fault) -> Step {
    write(to, WriteEvent::Failed(fault))
}

const fn writable(to: Side) -> Step {
    write(to, WriteEvent::Writable)
}

/// An operation on this side has ended without effect.
const fn canceled(side: Side, used: Use) -> Step {
    Step::Event(match used {
        Use::Read => return read(side, ReadEvent::Canceled),
        Use::Write => return write(side, WriteEvent::Canceled),
        Use::Watch => Event::Watch(WatchEvent::Ended),
        Use::Cancel => Event::CancelEnded { side },
    })
}

const fn connect_failed(fault: Fault) -> Step {
    Step::Event(Event::ConnectFailed(ConnectFault::Fault(fault)))
}

const fn killed(reason: KillReason) -> Step {
    Step::Event(Event::Killed(reason))
}

const fn preface(len: u32) -> Step {
    Step::Chunk(Reply::Preface(PrefaceDecision::Complete), len)
}

/// The PROXY head was removed, and `len` bytes are left.
const fn settled(len: u32) -> Step {
    Step::Chunk(Reply::ProxyHead(ProxyDecision::Settled { rest: len }), len)
}

const fn refused(refusal: Refusal) -> Step {
    Step::Reply(Reply::Preface(PrefaceDecision::Refused(refusal)))
}

const fn interim(len: u32) -> Step {
    // Whether there is more is known when it is delivered.
    let more = false;
    Step::Chunk(Reply::ResponseHead(ResponseHead::Interim { more }), len)
}

const fn whole_head(len: u32) -> Step {
    Step::Chunk(Reply::ResponseHead(ResponseHead::Whole), len)
}

const fn prepared(len: u32) -> Step {
    let ready = len > 0;
    Step::Chunk(Reply::ErrorPrepared { ready }, len)
}

const fn spliced_in(from: Side, result: SpliceResult) -> Step {
    Step::Reply(Reply::SplicedIn { from, result })
}

const fn spliced_out(from: Side, result: SpliceResult) -> Step {
    Step::Reply(Reply::SplicedOut { from, result })
}

const fn unsent(len: u32) -> Step {
    Step::Reply(Reply::Unsent { len })
}

fn state_name(state: State) -> &'static str {
    match state {
        State::ReadingProxyHead { .. } => "reading-proxy",
        State::ReadingPreface { .. } => "reading",
        State::Choosing => "choosing",
        State::ChoosingBackup => "choosing-backup",
        State::Queued { .. } => "queued",
        State::Pausing { .. } => "pausing",
        State::Backoff { .. } => "backoff",
        State::Connecting { .. } => "connecting",
        State::Relaying => "relaying",
        State::ClosingServer { .. } => "closing-server",
        State::SendingError { .. } => "sending-error",
        State::Lingering { .. } => "lingering",
        State::Flushing { .. } => "flushing",
        State::Closing { .. } => "closing",
    }
}
