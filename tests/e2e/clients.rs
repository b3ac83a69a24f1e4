//! Clients: short names for what a test does with a connection. Every blocking call ends at the deadline.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::wait::DEADLINE;

/// How a stream ended, seen by its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// An orderly end of stream.
    Closed,
    /// A reset.
    Reset,
}

/// A connection whose reads and writes fail at the deadline.
pub fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect_timeout(&address, DEADLINE);
    ready(socket.unwrap_or_else(|error| panic!("connect to {address}: {error}")))
}

/// A connection from a given address of this host.
pub fn connect_from(source: IpAddr, address: SocketAddr) -> TcpStream {
    let connected = try_connect_from(source, address);
    connected.unwrap_or_else(|error| panic!("connect to {address}: {error}"))
}

/// The same, or why there is none: a reset may be faster than our look at the connection.
pub fn try_connect_from(source: IpAddr, address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    let source = SocketAddr::new(source, 0);
    socket.bind(&source.into()).expect("an address of loopback");
    socket.connect_timeout(&address.into(), DEADLINE)?;
    Ok(ready(socket.into()))
}

/// A connection with a small receive buffer, so that a reader who stops is noticed early.
pub fn connect_narrow(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(32 * 1024).expect("a size");
    let connected = socket.connect_timeout(&address.into(), DEADLINE);
    connected.unwrap_or_else(|error| panic!("connect to {address}: {error}"));
    ready(socket.into())
}

/// Gives a connection its deadlines.
pub fn ready(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    stream
        .set_write_timeout(Some(DEADLINE))
        .expect("a deadline");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// Reads one line and returns it without its end.
pub fn read_line(mut stream: &TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match stream.read(&mut byte) {
            Ok(1) if byte[0] == b'\n' => return String::from_utf8(line).expect("text"),
            Ok(1) => line.push(byte[0]),
            other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&line)),
        }
    }
}

/// Connects, and returns the connection with the name of the server that it got.
pub fn connect_named(address: SocketAddr) -> (TcpStream, String) {
    let stream = connect(address);
    let name = read_line(&stream);
    (stream, name)
}

/// Sends a message to a server that echoes, and reads it back.
pub fn round_trip(mut stream: &TcpStream, message: &[u8]) {
    stream.write_all(message).expect("the message is taken");
    let mut answer = vec![0; message.len()];
    stream
        .read_exact(&mut answer)
        .expect("the message comes back");
    assert!(
        answer == message,
        "an echo of {} bytes differs",
        message.len()
    );
}

/// Whether nothing can be read now: no byte, no end, no reset.
pub fn is_silent(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a mode");
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).expect("a mode");
    matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// Reads all until the stream ends in order.
#[track_caller]
pub fn read_all(mut stream: &TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let read = stream.read_to_end(&mut all);
    read.unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&all)));
    all
}

/// Reads on until the stream ends, and says how it ended.
pub fn ending(mut stream: &TcpStream) -> Ending {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ending::Closed,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ending::Reset,
            Err(error) => panic!("neither end nor reset: {error}"),
        }
    }
}

/// Connects, and says how the stream ends; for connections that are to get nothing else.
pub fn connect_to_end(address: SocketAddr) -> Ending {
    ending_of(TcpStream::connect_timeout(&address, DEADLINE), address)
}

/// The same from a given address of this host.
pub fn connect_to_end_from(source: IpAddr, address: SocketAddr) -> Ending {
    ending_of(try_connect_from(source, address), address)
}

fn ending_of(connected: std::io::Result<TcpStream>, address: SocketAddr) -> Ending {
    match connected {
        Ok(stream) => ending(&ready(stream)),
        // The reset was faster than our look at the connection.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ending::Reset,
        Err(error) => panic!("connect to {address}: {error}"),
    }
}

/// Ends a connection by a reset.
pub fn reset(stream: TcpStream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .expect("linger");
}
