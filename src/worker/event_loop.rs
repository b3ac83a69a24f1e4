//! The event loop. One turn: submit the sends, wait in the kernel, read the clock, handle
//! completions and expired timers, then new connections, what waits for a buffer or a slot, commands and counters.

use std::time::Duration;

use super::config_generations::Route;
use super::context::StopState;
use super::sending::Next;
use super::session_commands::SessionScan;
use super::token::Owner;
use super::{Command, Worker};
use crate::io::Engine;
use crate::logic::session::{Event, KillReason};
use crate::logic::time::Instant;

impl<E: Engine> Worker<E> {
    /// Runs until a command to stop was received and the last session has ended.
    pub fn run(&mut self) {
        self.start();
        while !self.is_done() {
            self.turn();
        }
    }

    /// Begins to accept.
    pub fn start(&mut self) {
        self.read_clock();
        self.engine.watch_waker(Owner::Waker.token());
        self.resume_accepting();
        self.serve_freed();
    }

    /// Whether it is to stop and nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.stop.is_stopping() && self.sessions.is_empty() && self.acceptor.is_done()
    }

    /// One turn of the loop.
    pub fn turn(&mut self) {
        let next = self.hand_over_sends();
        self.engine.wait(self.timeout(next));
        // These sends ended at the beginning of the wait: before the clock is read.
        while let Some((token, sent)) = self.engine.next_sent() {
            self.sent(token, sent);
        }
        self.read_clock();
        self.load_sharing.turn();
        let mut happened = false;
        while let Some((token, done)) = self.engine.next() {
            happened = true;
            self.dispatch(token, done);
        }
        while let Some(slot) = self.timers.expire(self.now) {
            self.expired(slot);
        }
        self.admit_some();
        self.relieve_shortage();
        self.end_shortage();
        self.take_handed_over();
        self.serve_freed();
        self.scan_step();
        self.configs.sweep();
        let (sessions, configs) = (&mut self.sessions, &self.configs);
        let accounting = &mut self.reporting.accounting;
        accounting.scan_bytes(sessions, configs, self.now, happened);
        self.reporting.flush_log();
    }

    /// The engine of this worker, for tests with an engine of their own.
    pub fn engine(&mut self) -> &mut E {
        &mut self.engine
    }

    /// Whether it was ordered to end its sessions.
    pub fn is_aborting(&self) -> bool {
        self.stop.is_aborting()
    }

    /// Number of configurations that sessions or listeners still use, with the newest.
    pub fn snapshots_in_use(&self) -> usize {
        self.configs.len()
    }

    /// Number of open sessions.
    pub fn sessions_open(&self) -> usize {
        self.sessions.len()
    }

    fn read_clock(&mut self) {
        let nanos = self.engine.now().saturating_sub(self.clock_zero);
        self.now = self.now.max(Instant::from_nanos(nanos));
    }

    /// How long the engine may wait for completions. `None`: without limit.
    fn timeout(&self, after_sends: Next) -> Option<Duration> {
        if after_sends == Next::AtOnce {
            return Some(Duration::ZERO);
        }
        if !self.starved.is_empty() && self.engine.buffers_left() > 0 {
            return Some(Duration::ZERO);
        }
        if !self.reporting.session_scans.is_empty()
            || self.notices.are_pending()
            || !self.unadmitted.is_empty()
        {
            return Some(Duration::ZERO);
        }
        let accounting = &self.reporting.accounting;
        let next = [
            self.timers.next_wakeup(),
            self.acceptor.shortage_until(),
            accounting.due(!self.sessions.is_empty(), self.now),
            self.starved_due(),
        ];
        let next = next.into_iter().flatten().min()?;
        Some(next.duration_since(self.now))
    }

    pub(super) fn woken(&mut self) {
        self.engine.watch_waker(Owner::Waker.token());
        self.notices.expect();
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Release(release) => self.release_listeners(&release),
                Command::AcceptAnew => self.accept_anew(),
                Command::Stop => self.stop(),
                Command::Abort => self.abort(),
                Command::Adopt(adoption) => {
                    self.adopt(*adoption);
                    // Limits and servers may have changed.
                    (self.waiting).look_at_all(&self.configs, &mut self.notices);
                    self.resume_accepting();
                }
                Command::Sessions(command) => {
                    let scan = SessionScan::new(command, self.now);
                    self.reporting.session_scans.push_back(scan);
                }
            }
        }
    }

    fn stop(&mut self) {
        if self.stop == StopState::Running {
            self.stop = StopState::Stopping;
            self.close_hand_overs();
            self.stop_accepting();
        }
    }

    fn abort(&mut self) {
        let was_running = !self.stop.is_stopping();
        self.stop = StopState::Aborting;
        if was_running {
            self.close_hand_overs();
            self.stop_accepting();
        }
        self.reset_parked();
        let open: Vec<usize> = self.sessions.iter().map(|(slot, _)| slot).collect();
        for slot in open {
            if self.sessions.contains(slot) {
                self.drive(slot, Event::Killed(KillReason::Operator));
            }
        }
        // Listeners that were kept open by a shortage.
        for index in self.acceptor.indices() {
            self.close_listener(index);
        }
    }

    /// A timer expired. A deadline that moves later does not move its timer, so the session is asked
    /// for its deadline now.
    fn expired(&mut self, slot: u32) {
        let Some(entry) = self.sessions.get(slot as usize) else {
            debug_assert!(false, "a timer outlived its session");
            return;
        };
        let Route {
            config, frontend, ..
        } = entry.route;
        let policy = &self.configs[config].policies[usize::from(frontend)];
        match entry.session.deadline(policy) {
            Some(deadline) if deadline <= self.now => self.drive(slot as usize, Event::TimedOut),
            Some(deadline) => self.timers.schedule(slot, deadline),
            None => {}
        }
    }
}
