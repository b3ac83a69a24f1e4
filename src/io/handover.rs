//! Handing open sockets to another process: SCM_RIGHTS over a Unix socket, see unix(7).

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Descriptors in one message; the kernel allows 253.
const MESSAGE_MAX: usize = 64;

/// Room for them.
const SPACE: usize = rustix::cmsg_space!(ScmRights(MESSAGE_MAX));

/// Sends descriptors over a blocking socket. The receiver gets its own ones for the same open files.
///
/// # Errors
///
/// The other process has gone, or the socket's time is up.
pub fn send_descriptors(to: &UnixStream, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    for some in descriptors.chunks(MESSAGE_MAX) {
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fits = control.push(SendAncillaryMessage::ScmRights(some));
        debug_assert!(fits, "there is room for as many");
        // They travel with a byte.
        sendmsg(to, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

/// Receives so many descriptors, as [`send_descriptors`] sent them, over a blocking socket.
///
/// # Errors
///
/// Fewer came: the other process has gone, the socket's time is up, or this process may not have
/// as many open files.
pub fn receive_descriptors(from: &UnixStream, count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut received = Vec::new();
    while received.len() < count {
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let message = recvmsg(
            from,
            &mut [IoSliceMut::new(&mut byte)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        if message.bytes == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let before = received.len();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                received.extend(descriptors);
            }
        }
        let expected = (count - before).min(MESSAGE_MAX);
        if received.len() - before != expected {
            let why = "not all sockets arrived: the limit of open files is too low";
            return Err(io::Error::other(why));
        }
    }
    Ok(received)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn descriptors_arrive_in_their_order() {
        let (near, far) = UnixStream::pair().unwrap();
        let pairs: Vec<_> = (0..150).map(|_| UnixStream::pair().unwrap()).collect();
        let sent: Vec<_> = pairs.iter().map(|(end, _)| end.as_fd()).collect();
        send_descriptors(&near, &sent).unwrap();
        let received = receive_descriptors(&far, 150).unwrap();
        for (number, (descriptor, (_, other))) in received.into_iter().zip(&pairs).enumerate() {
            let mut end = UnixStream::from(descriptor);
            end.write_all(&[number as u8]).unwrap();
            let mut byte = [0];
            let mut other = other;
            other.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [number as u8]);
        }
    }

    #[test]
    fn too_few_are_an_error() {
        let (near, far) = UnixStream::pair().unwrap();
        send_descriptors(&near, &[far.as_fd()]).unwrap();
        drop(near);
        assert!(receive_descriptors(&far, 2).is_err());
    }
}
