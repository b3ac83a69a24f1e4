//! What the configuration says about the kernel's end of connections.

use crate::config::SessionRules;
use crate::io::{KeepaliveProbes, SocketOptions};

/// The options of connections with these rules.
pub fn socket_options(rules: &SessionRules) -> SocketOptions {
    SocketOptions {
        keepalive: rules.keepalive.map(|keepalive| KeepaliveProbes {
            idle: keepalive.idle,
            interval: keepalive.interval,
            count: keepalive.count,
        }),
        user_timeout: rules.user_timeout,
    }
}
