//! Calls on sockets and listeners.

use std::net::{IpAddr, SocketAddr};

use ringway::io::{Fault, SocketOptions, Sockets};
use socket2::SockAddr;

use super::connection::Connection;
use super::readiness::Edges;
use super::world::client_address;
use super::{Detached, Kernel, Listener, Socket};
use crate::control::first_address;

impl Sockets for Kernel {
    type Socket = Socket;
    type Listener = Listener;
    type Detached = Detached;

    fn set_options(&mut self, _socket: &Socket, _options: &SocketOptions) {}

    fn bind(&mut self, _socket: &Socket, _source: IpAddr) -> Result<(), Fault> {
        Ok(())
    }

    fn has_source_for(&mut self, _address: &SockAddr) -> bool {
        true
    }

    fn open(&mut self, address: &SockAddr) -> Result<Socket, Fault> {
        let address = address.as_socket().expect("an IP address");
        let address = &first_address(address);
        let world = &mut *self.world.borrow_mut();
        if world.fault(world.weather.shortage) {
            return Err(Fault::NoDescriptors);
        }
        let peer = world.server();
        let mut connection = Connection::new(peer);
        connection.connected = false;
        connection.silent = world.fault(world.weather.silent);
        world.refused.extend(connection.silent.then_some(*address));
        connection.address = Some(*address);
        connection.arrival.may_skip_head = world.proxied;
        let open = world.open_by_address.entry(*address).or_default();
        *open += 1;
        let most = world.open_max_by_address.entry(*address).or_default();
        *most = (*most).max(world.open_by_address[address]);
        let id = world.id();
        self.connections.insert(id, connection);
        Ok(Socket(id))
    }

    fn speak_first(&mut self, socket: &Socket) {
        assert!(!self.connections[&socket.0].connected, "too late");
    }

    fn acknowledge(&mut self, socket: &Socket) {
        assert!(self.connections[&socket.0].connected, "too early");
    }

    fn peer(&mut self, socket: &Socket) -> Option<SocketAddr> {
        Some(client_address(socket.0))
    }

    fn local(&mut self, _socket: &Socket) -> Option<SocketAddr> {
        Some(SocketAddr::from(([127, 0, 0, 1], 1)))
    }

    fn send_first(&mut self, socket: &Socket, bytes: &[u8], _more: bool) -> Result<(), Fault> {
        self.check_may_act();
        let connection = self.connections.get_mut(&socket.0).expect("open");
        assert!(connection.connected, "too early");
        assert_eq!(connection.arrival.bytes, 0, "not the first");
        if let Some(fault) = connection.send_fault() {
            return Err(fault);
        }
        connection.give_text(bytes);
        Ok(())
    }

    fn unsent(&mut self, socket: &Socket) -> u32 {
        self.connections[&socket.0].unsent as u32
    }

    fn shutdown_write(&mut self, socket: &Socket) {
        self.check_may_act();
        let connection = self.connections.get_mut(&socket.0).expect("open");
        assert!(!connection.arrival.ended, "ended twice");
        connection.arrival.ended = true;
        connection.held_back = None;
    }

    fn close(&mut self, socket: Socket) {
        self.remove(socket.0, false);
        std::mem::forget(socket);
    }

    fn reset(&mut self, socket: Socket) {
        self.remove(socket.0, true);
        std::mem::forget(socket);
    }

    fn close_listener(&mut self, listener: Listener) {
        assert!(
            self.pending
                .iter()
                .all(|pending| pending.socket != listener.0),
            "a listener was closed under its accept"
        );
        self.listeners.retain(|id| *id != listener.0);
        std::mem::forget(listener);
    }

    fn detach(&mut self, socket: Socket) -> Detached {
        let mut connection = self.connections.remove(&socket.0).expect("open");
        let mut pending = self.pending.iter();
        assert!(
            pending.all(|pending| pending.socket != socket.0),
            "something is in flight"
        );
        connection.edges = Edges::default();
        Detached { socket, connection }
    }

    fn attach(&mut self, detached: Detached) -> Result<Socket, Fault> {
        let Detached { socket, connection } = detached;
        let before = self.connections.insert(socket.0, connection);
        assert!(before.is_none(), "attached twice");
        self.world.borrow_mut().handed_over += 1;
        Ok(socket)
    }

    fn accept_now(&mut self, _listener: &Listener) -> Result<Socket, Fault> {
        let world = &mut *self.world.borrow_mut();
        let Some(peer) = world.backlog.pop_front() else {
            return Err(Fault::WouldBlock);
        };
        if world.fault(world.weather.accept_fault) {
            world.backlog.push_front(peer);
            return Err(Fault::NoDescriptors);
        }
        let mut connection = Connection::new(peer);
        connection.configuration = world.newest(&self.adopted);
        let id = world.id();
        self.connections.insert(id, connection);
        Ok(Socket(id))
    }
}
