//! Which process has a listening socket, found in `/proc`: for the error of a start that cannot have an
//! address, and to tell a living owner from a process that has just been killed.
//!
//! Processes of other users show their descriptors to root only, so that an owner may stay unknown.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::overlap;

/// The state of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// The bit of SIGKILL in the masks of `/proc/PID/status`.
const KILL_BIT: u64 = 1 << 8;

/// The flag of a process that ends, field 9 of `/proc/PID/stat` (`PF_EXITING` of the kernel).
const EXITING: u64 = 4;

/// A living process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its number.
    pub pid: u32,
    /// The name of its command.
    name: String,
}

impl Owner {
    /// Whether it is this process.
    pub fn is_self(&self) -> bool {
        self.pid == std::process::id()
    }

    /// Whether it is a process of this program.
    pub fn is_ringway(&self) -> bool {
        self.name == "ringway"
    }

    /// A process, if it is not about to end.
    fn living(pid: u32) -> Option<Self> {
        let file = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
        let ends = ends(&file("stat").ok()?, &file("status").ok()?);
        let name = file("comm").ok()?.trim_end().to_owned();
        (!ends).then_some(Owner { pid, name })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.pid, self.name)
    }
}

/// Whether a process with these files in `/proc` has been killed or ends already.
fn ends(stat: &str, status: &str) -> bool {
    // Behind the name, which may contain anything, fields 3 and 9 are the first and the seventh.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = fields.split_whitespace();
    let dead = matches!(fields.next(), None | Some("Z" | "X"));
    let flags = fields.nth(5).and_then(|flags| flags.parse::<u64>().ok());
    let pending = status.lines().filter_map(|line| {
        let mask = line.strip_prefix("SigPnd:");
        let mask = mask.or_else(|| line.strip_prefix("ShdPnd:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    });
    let mut pending = pending;
    dead || flags.unwrap_or(0) & EXITING != 0 || pending.any(|mask| mask & KILL_BIT != 0)
}

/// A living process that listens where a listener on this address would.
pub fn of_address(address: SocketAddr) -> Option<Owner> {
    let mut sockets = listening(address);
    if sockets.is_empty() && address.is_ipv4() {
        // A socket for IPv6 may take IPv4 connections too.
        sockets = match address.ip() {
            IpAddr::V4(ip) if !ip.is_unspecified() => {
                let mapped = SocketAddr::new(ip.to_ipv6_mapped().into(), address.port());
                listening(mapped)
            }
            IpAddr::V4(_) | IpAddr::V6(_) => {
                listening(SocketAddr::new([0_u16; 8].into(), address.port()))
            }
        };
    }
    of_sockets(&sockets)
}

/// The living process that listens on this Unix socket; it stays unknown while its queue is full.
pub fn of_path(path: &Path) -> Option<Owner> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.connect(&SockAddr::unix(path).ok()?).ok()?;
    let peer = rustix::net::sockopt::socket_peercred(&socket).ok()?;
    Owner::living(u32::try_from(peer.pid.as_raw_nonzero().get()).ok()?)
}

/// The inodes of all sockets that listen where a listener on this address would.
pub fn listening(address: SocketAddr) -> Vec<u64> {
    let file = match address {
        SocketAddr::V4(_) => "/proc/net/tcp",
        SocketAddr::V6(_) => "/proc/net/tcp6",
    };
    let Ok(file) = fs::File::open(file) else {
        return Vec::new();
    };
    let lines = BufReader::new(file).lines().map_while(Result::ok).skip(1);
    // Those that listen come before all others.
    lines
        .map_while(|line| listener(&line))
        .filter(|(at, _)| overlap(*at, address))
        .map(|(_, inode)| inode)
        .collect()
}

/// The address and the inode in a line of `/proc/net/tcp` or `tcp6`, if that socket listens.
fn listener(line: &str) -> Option<(SocketAddr, u64)> {
    let mut fields = line.split_whitespace();
    let (ip, port) = fields.nth(1)?.split_once(':')?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    // Words of 32 bits in the order of this host, each of bytes as on the network.
    let word = |at: usize| u32::from_str_radix(ip.get(at..at + 8)?, 16).ok();
    let words: Option<Vec<_>> = (0..ip.len()).step_by(8).map(word).collect();
    let bytes: Vec<u8> = words?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => IpAddr::from(bytes),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?),
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::new(ip, port), inode))
}

/// A living process that has one of these sockets open.
fn of_sockets(inodes: &[u64]) -> Option<Owner> {
    if inodes.is_empty() {
        return None;
    }
    let sockets: Vec<_> = inodes.iter().map(|it| format!("socket:[{it}]")).collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has_it = |pid: &u32| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd"));
        let mut descriptors = descriptors.into_iter().flatten().flatten();
        descriptors.any(|entry| {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            sockets.iter().any(|socket| target == Path::new(socket))
        })
    };
    pids.filter(has_it).find_map(Owner::living)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_owner_of_an_address_is_found() {
        for bound in ["127.0.0.1:0", "0.0.0.0:0"] {
            let listener = TcpListener::bind(bound).unwrap();
            let port = listener.local_addr().unwrap().port();
            for asked in ["127.0.0.1", "0.0.0.0"] {
                let owner = of_address(format!("{asked}:{port}").parse().unwrap()).unwrap();
                assert!(owner.is_self(), "{owner}");
            }
            drop(listener);
            assert_eq!(
                of_address(format!("127.0.0.1:{port}").parse().unwrap()),
                None
            );
        }
        let Ok(both) = TcpListener::bind("[::]:0") else {
            return;
        };
        let port = both.local_addr().unwrap().port();
        let owner = of_address(format!("127.0.0.1:{port}").parse().unwrap()).unwrap();
        assert!(owner.is_self(), "{owner}");
    }

    #[test]
    fn lines_of_the_kernel_are_read() {
        let line = |address: &str, state: &str| {
            format!(
                "   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  \
                 1000        0 4711 1 0000000031e857b2 100 0 0 10 0"
            )
        };
        let word = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        let v4 = word([127, 0, 0, 1]) + ":1F90";
        let found = Some(("127.0.0.1:8080".parse().unwrap(), 4711));
        assert_eq!(listener(&line(&v4, "0A")), found);
        assert_eq!(listener(&line(&v4, "01")), None);
        let v6 = word([0; 4]).repeat(3) + &word([0, 0, 0, 1]) + ":0050";
        let found = Some(("[::1]:80".parse().unwrap(), 4711));
        assert_eq!(listener(&line(&v6, "0A")), found);
        assert_eq!(listener("nonsense"), None);
    }

    #[test]
    fn a_killed_process_is_not_alive() {
        let stat = |state: &str, flags: u64| format!("7 (a) b) {state} 1 7 7 0 -1 {flags} 8 0");
        let status = |pending: &str| format!("Name:\ta\nSigPnd:\t{pending}\nShdPnd:\t0\n");
        let none = status("0000000000000000");
        assert!(!ends(&stat("S", 4_194_304), &none));
        assert!(ends(&stat("S", 4_194_308), &none));
        assert!(ends(&stat("Z", 4_194_304), &none));
        assert!(ends(&stat("S", 4_194_304), &status("0000000000000100")));
        assert!(ends("", &none));
        let this = Owner::living(std::process::id()).unwrap();
        assert!(this.is_self());
    }
}
