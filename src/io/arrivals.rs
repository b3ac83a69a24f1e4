//! Whether connections wait in the queues of listeners, for a thread that does not accept on them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::listener::Listener;

/// A wait for the next connection at some listeners that is not accepted at once. While it watches a listener, each
/// connection there costs a little more.
#[derive(Debug)]
pub struct Arrivals(AsyncFd<OwnedFd>);

impl Arrivals {
    /// At no listener yet. To be called on a runtime of tokio.
    ///
    /// # Errors
    ///
    /// Out of descriptors or memory.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // SAFETY: (D) the descriptor stays open and the same until `AsyncFd`, which owns it, has deregistered it.
        let registered = unsafe { AsyncFd::register_with_interest(epoll, Interest::READABLE) };
        Ok(Arrivals(registered.map_err(io::Error::from)?))
    }

    /// Watches a listener, until it is closed or [`Arrivals::forget`] is called.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub fn watch(&self, listener: &Listener) -> io::Result<()> {
        let (data, flags) = (epoll::EventData::new_u64(0), epoll::EventFlags::IN);
        match epoll::add(self.0.get_ref(), listener.as_fd(), data, flags) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Watches a listener no more.
    pub fn forget(&self, listener: &Listener) {
        // It fails only for one that is not watched.
        let _ = epoll::delete(self.0.get_ref(), listener.as_fd());
    }

    /// Waits for a connection. It may return without one.
    pub async fn wait(&self) {
        // It fails only when the runtime ends.
        if let Ok(mut ready) = self.0.readable().await {
            ready.clear_ready();
        }
    }
}

/// At which of these listeners connections wait now, by index.
///
/// # Errors
///
/// Out of memory.
pub fn waiting_at<'a>(listeners: impl Iterator<Item = &'a Listener>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<_> = listeners
        .map(|listener| PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN))
        .collect();
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    rustix::io::retry_on_intr(|| poll(&mut polled, Some(&at_once)))?;
    Ok(polled
        .iter()
        .map(|polled| polled.revents().contains(PollFlags::IN))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_connection_is_seen_until_it_is_accepted() {
        let listeners =
            [(); 2].map(|()| Listener::bind("127.0.0.1:0".parse().unwrap(), 16).unwrap());
        let arrivals = Arrivals::new().unwrap();
        for listener in &listeners {
            arrivals.watch(listener).unwrap();
            arrivals.watch(listener).unwrap();
        }
        let short = Duration::from_millis(10);
        let early = tokio::time::timeout(short, arrivals.wait()).await;
        assert!(early.is_err(), "nothing has come");
        assert_eq!(waiting_at(listeners.iter()).unwrap(), [false, false]);
        let address = listeners[1].address().unwrap().as_socket().unwrap();
        let _client = TcpStream::connect(address).unwrap();
        arrivals.wait().await;
        assert_eq!(waiting_at(listeners.iter()).unwrap(), [false, true]);
        let _accepted = listeners[1].accept().unwrap();
        assert_eq!(waiting_at(listeners.iter()).unwrap(), [false, false]);
        let later = tokio::time::timeout(short, arrivals.wait()).await;
        assert!(later.is_err(), "it is accepted");
        arrivals.forget(&listeners[1]);
        let _client = TcpStream::connect(address).unwrap();
        let later = tokio::time::timeout(short, arrivals.wait()).await;
        assert!(later.is_err(), "nobody watches");
        arrivals.watch(&listeners[1]).unwrap();
        arrivals.wait().await;
    }
}
