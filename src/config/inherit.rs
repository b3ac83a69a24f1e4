//! The timeouts and retries of a frontend's sessions: from its backend, itself, `[defaults]`, or
//! the built-in default.
//!
//! `validate` takes the values from here, and `print` the sections that they come from.

use std::time::Duration;

use super::defaults;
use super::field::Field;
use super::keepalive::Keepalive;
use super::raw::{RawBackend, RawFrontend, RawSession};
use super::session_rules::{SessionRules, Timeouts};

/// Who a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The frontend's backend.
    Backend,
    /// The frontend itself.
    Frontend,
    /// `[defaults]`.
    Defaults,
    /// Nobody wrote it.
    BuiltIn,
}

/// A value and who it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inherited<T> {
    pub value: T,
    pub origin: Origin,
}

impl<T> Inherited<T> {
    /// The same with another form of the value.
    pub fn map<U>(self, form: impl FnOnce(T) -> U) -> Inherited<U> {
        Inherited {
            value: form(self.value),
            origin: self.origin,
        }
    }
}

/// What holds for the sessions of one frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SessionValues {
    pub connect: Inherited<Duration>,
    pub idle: Inherited<Duration>,
    pub half_closed: Inherited<Duration>,
    pub request: Inherited<Duration>,
    pub queue: Inherited<Duration>,
    pub tunnel: Inherited<Duration>,
    pub max_age: Inherited<Option<Duration>>,
    pub keepalive: Inherited<Option<Keepalive>>,
    pub user_timeout: Inherited<Option<Duration>>,
    pub retries: Inherited<u32>,
}

impl SessionValues {
    /// Finds them; a `backend` of `None` is one that was written wrong.
    pub fn find(
        backend: Option<&RawBackend>,
        frontend: &RawFrontend,
        defaults: &RawSession,
    ) -> Self {
        let nothing = RawSession::default();
        let sources = [
            (
                backend.map_or(&nothing, |backend| &backend.session),
                Origin::Backend,
            ),
            (&frontend.session, Origin::Frontend),
            (defaults, Origin::Defaults),
        ];
        let connect = first(sources, |s| &s.connect, defaults::CONNECT_TIMEOUT);
        let idle = first(sources, |s| &s.idle, defaults::IDLE_TIMEOUT);
        Self {
            connect,
            idle,
            half_closed: first(sources, |s| &s.half_closed, defaults::HALF_CLOSED_TIMEOUT),
            request: first(sources, |s| &s.request, defaults::REQUEST_TIMEOUT),
            queue: first(sources, |s| &s.queue, connect.value),
            tunnel: first(sources, |s| &s.tunnel, idle.value),
            max_age: first(sources, |s| &s.max_age, None),
            keepalive: first(sources, |s| &s.keepalive, None),
            user_timeout: first(sources, |s| &s.user_timeout, None),
            retries: first(sources, |s| &s.retries, defaults::RETRIES),
        }
    }

    /// The values alone.
    pub fn rules(&self) -> SessionRules {
        SessionRules {
            timeouts: Timeouts {
                connect: self.connect.value,
                idle: self.idle.value,
                half_closed: self.half_closed.value,
                request: self.request.value,
                queue: self.queue.value,
                tunnel: self.tunnel.value,
                max_age: self.max_age.value,
            },
            keepalive: self.keepalive.value,
            user_timeout: self.user_timeout.value,
            retries: self.retries.value,
        }
    }
}

/// The first source that has the value.
fn first<'r, T: Copy + 'r>(
    sources: [(&'r RawSession, Origin); 3],
    field: impl Fn(&'r RawSession) -> &'r Field<T>,
    built_in: T,
) -> Inherited<T> {
    sources
        .into_iter()
        .find_map(|(source, origin)| {
            field(source).get().map(|value| Inherited {
                value: *value,
                origin,
            })
        })
        .unwrap_or(Inherited {
            value: built_in,
            origin: Origin::BuiltIn,
        })
}
