//! The connection of a probe, in clear or within TLS.

use std::io::{ErrorKind, Result};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A connection that stands.
pub enum Connection {
    /// Bytes go as they are.
    Plain(TcpStream),
    /// They go within TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// Sends all of it.
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Connection::Plain(stream) => stream.write_all(bytes).await,
            Connection::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// Appends what comes; 0: the connection has ended, in order or, within TLS, without saying so.
    pub async fn read(&mut self, into: &mut Vec<u8>) -> Result<usize> {
        if into.capacity() == into.len() {
            into.reserve(into.len().max(1024));
        }
        match self {
            Connection::Plain(stream) => stream.read_buf(into).await,
            Connection::Tls(stream) => match stream.read_buf(into).await {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
                read => read,
            },
        }
    }

    /// The server has ended the connection, so that no reset is needed.
    pub fn close_in_order(self) {
        let stream = match &self {
            Connection::Plain(stream) => stream,
            Connection::Tls(stream) => stream.get_ref().0,
        };
        let _ = SockRef::from(stream).set_linger(None);
    }
}

/// From here on, whatever drops the connection resets it.
pub fn reset_at_close(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
