//! A minimal relay on tokio: what a runtime on epoll costs for each request.
//!
//! Not a balancer: one server, no timeouts, no limits. `scripts/bench.sh` measures it beside the
//! balancers. Usage: `relay-tokio LISTEN SERVER`.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};

/// As much as the other relays and the balancer receive at once.
const BUFFER_BYTES: usize = 64 * 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut address = || -> Result<SocketAddr, Box<dyn std::error::Error>> {
        Ok(arguments.next().ok_or("usage: LISTEN SERVER")?.parse()?)
    };
    let (listen, server) = (address()?, address()?);
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?
        .block_on(async {
            let listener = TcpListener::bind(listen).await?;
            loop {
                let (client, _) = listener.accept().await?;
                tokio::spawn(async move {
                    // A session that fails ends, as all there is to do.
                    let _ = relay(client, server).await;
                });
            }
        })
}

async fn relay(mut client: TcpStream, server: SocketAddr) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER_BYTES, BUFFER_BYTES).await?;
    Ok(())
}
