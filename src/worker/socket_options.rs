//! What a frontend's configuration says about the kernel's end of connections.

use crate::config::Frontend;
use crate::io::{KeepaliveProbes, SocketOptions};

/// The options of connections of this frontend, to clients and to servers.
pub fn socket_options(frontend: &Frontend) -> SocketOptions {
    SocketOptions {
        keepalive: frontend.keepalive.map(|keepalive| KeepaliveProbes {
            idle: keepalive.idle,
            interval: keepalive.interval,
            count: keepalive.count,
        }),
        user_timeout: frontend.user_timeout,
    }
}
