//! A backend of ten servers that are up, equal and without limit, balanced by `least_conn`.

use std::net::{IpAddr, Ipv4Addr};

use ringway::logic::balance::{Algorithm, Balancer, Choice, Servers};

const SERVERS: usize = 10;
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Open sessions of each server.
struct Table([u32; SERVERS]);

impl Servers for Table {
    fn len(&self) -> usize {
        SERVERS
    }
    fn usable(&self, _: usize) -> bool {
        true
    }
    fn weight(&self, _: usize) -> u32 {
        1
    }
    fn is_backup(&self, _: usize) -> bool {
        false
    }
    fn sessions(&self, index: usize) -> u32 {
        self.0[index]
    }
    fn has_room(&self, _: usize) -> bool {
        true
    }
}

/// Its servers and the balancer before them.
pub struct Backend {
    balancer: Balancer,
    servers: Table,
}

impl Backend {
    /// Without a session.
    pub fn new() -> Self {
        Self {
            balancer: Balancer::new(Algorithm::LeastConn, &["web"; SERVERS], 1),
            servers: Table([0; SERVERS]),
        }
    }

    /// Chooses a server and takes one of its slots.
    pub fn enter(&mut self) -> Option<usize> {
        match self.balancer.choose(CLIENT, &self.servers, &[]) {
            Choice::Server(index) => {
                self.servers.0[index] += 1;
                Some(index)
            }
            Choice::Full | Choice::Tried | Choice::None => None,
        }
    }

    /// Gives a slot back.
    pub fn leave(&mut self, index: usize) {
        self.servers.0[index] -= 1;
    }
}
