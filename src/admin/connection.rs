//! How long a connection of the admin listener may go on; the routes change it.

use std::time::Duration;

use tokio::sync::watch;

/// How long a request may take in all, and a client to take its answer.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the answer to a request may take from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// So long in all.
    Within(Duration),
    /// As long as the client takes what comes.
    Endless,
    /// It has taken too long.
    Over,
}

/// The connection that a request came on; requests carry it as an extension.
#[derive(Clone, Debug)]
pub(super) struct Connection(pub(super) watch::Sender<Pace>);

impl Connection {
    /// One that nobody serves.
    #[cfg(test)]
    pub fn for_test() -> Self {
        Connection(watch::Sender::new(Pace::Endless))
    }

    /// The answer needs as much time as this.
    pub fn allow(&self, time: Duration) {
        self.0.send_replace(Pace::Within(time));
    }

    /// The answer has no end. Whoever sends it sees to it that the client takes it.
    pub fn allow_endless(&self) {
        self.0.send_replace(Pace::Endless);
    }

    /// The rest of an endless answer is like any other.
    pub fn end(&self) {
        self.0.send_replace(Pace::Within(REQUEST_TIMEOUT));
    }

    /// The client is not waited for any longer: the connection is closed.
    pub fn cut(&self) {
        self.0.send_replace(Pace::Over);
    }
}
