//! Before all else, for a peer that may send one: reading the PROXY head that says who the client is.
//!
//! The worker examines what has come; here is how long it is waited for, and what follows.
//!
//! ```text
//!               a signature            the rest
//!   Unsigned ---------------> Signed --------------> settled
//!     |  |
//!     |  +-- no signature, and none is required ---> settled
//!     |
//!     |  timed out or ended, and none is required
//!     +--> Over --nothing is in flight-------------> settled
//! ```

use super::action::{Action, Actions, ChooseReason, CloseMode};
use super::event::{Event, ReadEvent};
use super::policy::{Policy, Protocol};
use super::proxy_stage::{ProxyFault, ProxyStage};
use super::reply::ProxyDecision;
use super::side::Side;
use super::termination::{TerminationCause, TerminationPhase};
use super::{Session, State};
use crate::logic::time::Instant;

impl Session {
    /// A session that was accepted at `now` from a peer that may send a PROXY head, by the rules of
    /// [`Policy::proxy_heads`].
    pub fn behind_proxy(now: Instant, policy: &Policy) -> Self {
        let mut session = Session::new(now, policy);
        if let Some(rules) = policy.proxy_heads {
            session.state = State::ReadingProxyHead {
                deadline: now + rules.timeout,
                stage: ProxyStage::Unsigned,
            };
            session.pipe(Side::Client).expect_head();
        }
        session
    }

    /// Whether the PROXY head is what it reads.
    pub fn is_reading_proxy_head(&self) -> bool {
        matches!(self.state, State::ReadingProxyHead { .. })
    }

    /// Whether no more of a PROXY head will come: a part of a signature is data.
    pub fn proxy_head_is_over(&self) -> bool {
        matches!(
            self.state,
            State::ReadingProxyHead {
                stage: ProxyStage::Over,
                ..
            }
        )
    }

    // Apart from what happens with every byte.
    #[inline(never)]
    pub(super) fn on_reading_proxy_head(
        &mut self,
        stage: ProxyStage,
        event: Event,
        policy: &Policy,
        out: &mut Actions,
    ) {
        let is_required = policy.proxy_heads.is_none_or(|rules| rules.required);
        let must_come = is_required || stage == ProxyStage::Signed;
        match event {
            // A balancer sends its head at once.
            Event::Accepted => self.pipe(Side::Client).start(true, out),
            Event::Read { from, event: read } => match (read, stage) {
                (ReadEvent::Received(info), ProxyStage::Over) => {
                    self.pipe(from).received_head_part(info);
                    self.settle_without_head(out);
                }
                (ReadEvent::Received(info), _) => {
                    self.pipe(from).received(info, out);
                }
                (ReadEvent::Ended, _) if must_come && self.pipe(from).has_head_part() => {
                    self.pipe(from).reading = false;
                    self.refuse_proxy_head(out);
                }
                (ReadEvent::Ended, _) if must_come => self.client_left(CloseMode::Graceful, out),
                // The end can be read again.
                (ReadEvent::Ended, _) | (ReadEvent::Canceled, ProxyStage::Over) => {
                    self.pipe(from).reading = false;
                    self.settle_without_head(out);
                }
                (ReadEvent::Failed, _) => self.client_left(CloseMode::Reset, out),
                (ReadEvent::Readable, _)
                | (ReadEvent::Canceled, ProxyStage::Unsigned | ProxyStage::Signed) => {
                    self.impossible(event, out);
                }
            },
            Event::TimedOut if stage == ProxyStage::Over => {}
            Event::TimedOut if must_come => {
                self.proxy_fault = Some(ProxyFault::Late);
                let (who, phase) = (TerminationCause::ClientTimeout, TerminationPhase::Request);
                self.end(who, phase, CloseMode::Graceful, out);
            }
            Event::TimedOut => {
                self.proxy_stage(ProxyStage::Over);
                self.cancel(Side::Client, out);
            }
            Event::CancelEnded { side } if stage == ProxyStage::Over => {
                self.canceling[side.index()] = false;
                self.settle_without_head(out);
            }
            Event::Killed(reason) => self.kill(reason, TerminationPhase::Request, out),
            Event::SlotFreed
            | Event::Connected
            | Event::ConnectFailed(_)
            | Event::Write { .. }
            | Event::Watch(_)
            | Event::CancelEnded { .. } => self.impossible(event, out),
        }
    }

    pub(super) fn on_proxy_head(
        &mut self,
        now: Instant,
        decision: ProxyDecision,
        policy: &Policy,
        out: &mut Actions,
    ) {
        match decision {
            ProxyDecision::Incomplete { signed } => {
                self.proxy_stage(match signed {
                    true => ProxyStage::Signed,
                    false => ProxyStage::Unsigned,
                });
                self.pipe(Side::Client).receive(out);
            }
            ProxyDecision::Settled { rest } => self.settle(now, rest, policy, out),
            ProxyDecision::Wrong => self.refuse_proxy_head(out),
            ProxyDecision::Denied => self.reset_proxy(TerminationCause::Proxy, out),
            ProxyDecision::NoBuffer => self.reset_proxy(TerminationCause::Resource, out),
        }
    }

    /// No head will come. Once nothing is in flight, what has come, if anything, is examined for the last time.
    fn settle_without_head(&mut self, out: &mut Actions) {
        self.proxy_stage(ProxyStage::Over);
        if !self.in_flight(Side::Client) {
            self.pipe(Side::Client).read_head(out);
        }
    }

    /// It is known who the client is, which has sent `rest` bytes: if any, they are the only chunk.
    fn settle(&mut self, now: Instant, rest: u32, policy: &Policy, out: &mut Actions) {
        self.pipe(Side::Client).bytes = u64::from(rest);
        let more = rest > 0;
        match self.protocol {
            Protocol::Tcp => {
                self.pipe(Side::Client).head_taken(more);
                self.state = State::Choosing;
                out.push(Action::Choose(ChooseReason::New));
            }
            Protocol::Http | Protocol::Tls => {
                self.state = State::ReadingPreface {
                    deadline: now + policy.preface_timeout,
                };
                self.pipe(Side::Client).next_head(more, out);
            }
        }
    }

    fn refuse_proxy_head(&mut self, out: &mut Actions) {
        self.proxy_fault = Some(ProxyFault::Wrong);
        let (who, phase) = (TerminationCause::Proxy, TerminationPhase::ProxyHead);
        self.end(who, phase, CloseMode::Graceful, out);
    }

    fn reset_proxy(&mut self, cause: TerminationCause, out: &mut Actions) {
        self.end(cause, TerminationPhase::Request, CloseMode::Reset, out);
    }

    fn proxy_stage(&mut self, to: ProxyStage) {
        if let State::ReadingProxyHead { stage, .. } = &mut self.state {
            *stage = to;
        }
    }
}
