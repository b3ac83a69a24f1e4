//! One query to one name server: by UDP, and by TCP if the answer is too long for that (RFC 7766).
//!
//! Each query has an id and a source port of its own, which nobody can guess; what does not belong to
//! it is ignored.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout_at;

use super::failure::Failure;
use super::message::{self, Answer, Question, Reply};

/// The largest message.
const MESSAGE_LEN_MAX: usize = 65_535;

/// Asks one name server. A query may take `timeout`; one that is repeated by TCP or without EDNS, as
/// long again.
///
/// # Errors
///
/// There is no usable answer.
pub async fn ask(
    server: SocketAddr,
    question: &Question,
    timeout: Duration,
) -> Result<Answer, Failure> {
    let mut edns = true;
    let mut reply = in_time(timeout, by_udp(server, question, edns, timeout)).await?;
    if reply == Reply::WithoutEdns {
        edns = false;
        reply = in_time(timeout, by_udp(server, question, edns, timeout)).await?;
    }
    if reply == Reply::Truncated {
        reply = in_time(timeout, by_tcp(server, question, edns)).await?;
    }
    match reply {
        Reply::Answer(answer) => answer,
        // What is cut even by TCP, or answers something else there.
        Reply::Truncated | Reply::Foreign => Err(Failure::Malformed),
        Reply::WithoutEdns => Err(Failure::Other),
    }
}

async fn in_time(
    timeout: Duration,
    reply: impl Future<Output = Result<Reply, Failure>>,
) -> Result<Reply, Failure> {
    let reply = tokio::time::timeout(timeout, reply).await;
    reply.unwrap_or(Err(Failure::Timeout))
}

async fn by_udp(
    server: SocketAddr,
    question: &Question,
    edns: bool,
    timeout: Duration,
) -> Result<Reply, Failure> {
    let end = tokio::time::Instant::now() + timeout;
    let id = random_id()?;
    let query = message::query(id, question, edns)?;
    let any = match server {
        SocketAddr::V4(_) => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
        SocketAddr::V6(_) => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0),
    };
    // The kernel chooses a port at random.
    let socket = UdpSocket::bind(any).await.map_err(unreachable)?;
    // Only datagrams of the name server are received from now on.
    socket.connect(server).await.map_err(unreachable)?;
    socket.send(&query).await.map_err(unreachable)?;
    let mut bytes = Vec::with_capacity(MESSAGE_LEN_MAX);
    let mut late = Failure::Timeout;
    loop {
        bytes.clear();
        let Ok(received) = timeout_at(end, socket.recv_buf(&mut bytes)).await else {
            return Err(late);
        };
        received.map_err(unreachable)?;
        match message::read(&bytes, id, question) {
            // A late answer to an older query, or a forged one: ours may still come.
            Reply::Foreign => late = Failure::Malformed,
            reply => return Ok(reply),
        }
    }
}

async fn by_tcp(server: SocketAddr, question: &Question, edns: bool) -> Result<Reply, Failure> {
    let id = random_id()?;
    let query = message::query(id, question, edns)?;
    let mut stream = TcpStream::connect(server).await.map_err(unreachable)?;
    let mut framed = Vec::with_capacity(2 + query.len());
    // A query has at most 300 bytes.
    framed.extend((query.len() as u16).to_be_bytes());
    framed.extend(query);
    stream.write_all(&framed).await.map_err(unreachable)?;
    let len = stream.read_u16().await.map_err(cut_off)?;
    let mut bytes = vec![0; usize::from(len)];
    stream.read_exact(&mut bytes).await.map_err(cut_off)?;
    Ok(message::read(&bytes, id, question))
}

fn unreachable(_: io::Error) -> Failure {
    Failure::Unreachable
}

/// The connection ended, or broke, within an answer or before it.
fn cut_off(_: io::Error) -> Failure {
    Failure::Malformed
}

fn random_id() -> Result<u16, Failure> {
    let mut bytes = [0; 2];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    match filled {
        Ok(2) => Ok(u16::from_ne_bytes(bytes)),
        // It fails only before the kernel has gathered randomness.
        Ok(_) | Err(_) => Err(Failure::Other),
    }
}

#[cfg(test)]
mod tests;
