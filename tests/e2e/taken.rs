//! Pieces that stay pieces on their way: what is sent next waits until the program at the other end
//! has read what was sent before. The kernel is asked, by sock_diag(7).

use std::net::{IpAddr, SocketAddr, TcpStream};

use socket2::{Domain, Protocol, Socket, Type};

use crate::wait::{DEADLINE, eventually};

/// `AF_NETLINK`, `NETLINK_SOCK_DIAG`, `SOCK_DIAG_BY_FAMILY` and `NLM_F_REQUEST` of Linux.
const NETLINK: i32 = 16;
const SOCK_DIAG: i32 = 4;
const BY_FAMILY: u16 = 20;
const REQUEST: u16 = 1;

/// `AF_INET` and `IPPROTO_TCP`, as they stand in the request.
const INET_TCP: [u8; 4] = [2, 6, 0, 0];

/// Where the answer has the number of bytes that wait to be read, and of those that were sent and
/// not acknowledged.
const UNREAD_AT: usize = 72;
const UNSENT_AT: usize = 76;

/// Waits until the program at the other end of an IPv4 connection within this host has read all that
/// was sent, or has closed.
#[track_caller]
pub fn until_taken(stream: &TcpStream) {
    let netlink = netlink();
    let own = stream.local_addr().expect("an address");
    // It may be gone already.
    let Ok(peer) = stream.peer_addr() else { return };
    let question = question(peer, own);
    eventually("the other side reads", || {
        bytes(&netlink, &question, UNREAD_AT) == 0
    });
}

/// Waits until the kernel at the other end of an IPv4 connection has got all that was sent.
#[track_caller]
pub fn until_delivered(stream: &TcpStream) {
    let netlink = netlink();
    let own = stream.local_addr().expect("an address");
    let peer = stream.peer_addr().expect("it is connected");
    let question = question(own, peer);
    eventually("all has left", || {
        bytes(&netlink, &question, UNSENT_AT) == 0
    });
}

/// A socket for questions about sockets.
fn netlink() -> Socket {
    let netlink = Socket::new(
        Domain::from(NETLINK),
        Type::RAW,
        Some(Protocol::from(SOCK_DIAG)),
    );
    let netlink = netlink.expect("a netlink socket");
    netlink
        .set_read_timeout(Some(DEADLINE))
        .expect("a deadline");
    netlink
}

/// `nlmsghdr` and `inet_diag_req_v2` for the socket with these two ends.
fn question(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let padded = |address: SocketAddr| {
        let mut bytes = [0; 16];
        match address.ip() {
            IpAddr::V4(ip) => bytes[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => panic!("not an address of IPv4: {ip}"),
        }
        bytes
    };
    let mut text = Vec::from(72_u32.to_ne_bytes());
    text.extend(BY_FAMILY.to_ne_bytes());
    text.extend(REQUEST.to_ne_bytes());
    text.extend([0; 8]);
    text.extend(INET_TCP);
    // In any state.
    text.extend(u32::MAX.to_ne_bytes());
    text.extend(local.port().to_be_bytes());
    text.extend(remote.port().to_be_bytes());
    text.extend(padded(local));
    text.extend(padded(remote));
    // On any interface, whichever socket it is.
    text.extend([0; 4]);
    text.extend([0xff; 8]);
    text
}

/// The number at this place of the answer; 0 if there is no such socket any more.
fn bytes(netlink: &Socket, question: &[u8], at: usize) -> u32 {
    use std::io::Read;

    netlink.send(question).expect("the kernel takes it");
    let mut answer = [0; 1024];
    let mut reader = netlink;
    let len = reader.read(&mut answer).expect("an answer");
    let found = answer[4..6] == BY_FAMILY.to_ne_bytes() && len >= at + 4;
    let bytes: [u8; 4] = answer[at..at + 4].try_into().expect("four bytes");
    if found { u32::from_ne_bytes(bytes) } else { 0 }
}
