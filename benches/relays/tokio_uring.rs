//! A minimal relay on tokio-uring: what its layer between a program and the ring costs.
//!
//! Not a balancer: one server, no timeouts, no limits. `scripts/bench.sh` measures it beside the
//! balancers. Usage: `relay-tokio-uring LISTEN SERVER`.

use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;

use tokio_uring::buf::BoundedBuf;
use tokio_uring::net::{TcpListener, TcpStream};

/// As much as the other relays and the balancer receive at once.
const BUFFER_BYTES: usize = 64 * 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut address = || -> Result<SocketAddr, Box<dyn std::error::Error>> {
        Ok(arguments.next().ok_or("usage: LISTEN SERVER")?.parse()?)
    };
    let (listen, server) = (address()?, address()?);
    tokio_uring::start(async {
        let listener = TcpListener::bind(listen)?;
        loop {
            let (client, _) = listener.accept().await?;
            tokio_uring::spawn(async move {
                // A session that fails ends, as all there is to do.
                let _ = relay(client, server).await;
            });
        }
    })
}

async fn relay(client: TcpStream, server: SocketAddr) -> std::io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client, server) = (Rc::new(client), Rc::new(server));
    let there = tokio_uring::spawn(copy(Rc::clone(&client), Rc::clone(&server)));
    let back = copy(server, client).await;
    let there = there.await;
    back.and(there.unwrap_or(Ok(())))
}

/// Passes bytes on until the stream ends, then its end.
async fn copy(from: Rc<TcpStream>, to: Rc<TcpStream>) -> std::io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let (read, whole) = from.read(buffer).await;
        let len = read?;
        if len == 0 {
            return to.shutdown(Shutdown::Write);
        }
        let (written, part) = to.write_all(whole.slice(..len)).await;
        written?;
        buffer = part.into_inner();
    }
}
