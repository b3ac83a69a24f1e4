//! Three servers in the namespace of the clients: each says its name first and echoes then, or answers by HTTP.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Their addresses in the files of scripts/ha.
pub const ADDRESSES: [Ipv4Addr; 3] = [
    Ipv4Addr::new(10, 0, 0, 21),
    Ipv4Addr::new(10, 0, 0, 22),
    Ipv4Addr::new(10, 0, 0, 23),
];

const TCP_PORT: u16 = 8080;
const HTTP_PORT: u16 = 8081;

/// Its open connections by a number.
type Open = Arc<Mutex<HashMap<u64, TcpStream>>>;

/// A server that runs until it is stopped.
pub struct Server {
    addresses: [SocketAddr; 2],
    stopped: Arc<AtomicBool>,
    open: Open,
}

/// Starts all of them; `web1` is the first.
pub fn start() -> Vec<Server> {
    let numbered = ADDRESSES.iter().zip(1..);
    numbered
        .map(|(address, number)| Server::start(&format!("web{number}"), *address))
        .collect()
}

impl Server {
    fn start(name: &str, address: Ipv4Addr) -> Self {
        let (stopped, open) = (Arc::<AtomicBool>::default(), Open::default());
        let addresses = [TCP_PORT, HTTP_PORT].map(|port| (IpAddr::V4(address), port).into());
        let serve: [fn(&TcpStream, &str) -> io::Result<()>; 2] = [echo, answer];
        for (address, serve) in addresses.into_iter().zip(serve) {
            let listener = TcpListener::bind(address).expect("an address of this namespace");
            let (name, stopped, open) = (name.to_owned(), Arc::clone(&stopped), Arc::clone(&open));
            thread::spawn(move || accept(&listener, &name, &stopped, &open, serve));
        }
        Server {
            addresses,
            stopped,
            open,
        }
    }

    /// Closes its listeners and resets its connections.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        for address in self.addresses {
            // Wakes the thread that accepts.
            let _ = TcpStream::connect(address);
        }
        for stream in self.open.lock().expect("no panic").values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn accept(
    listener: &TcpListener,
    name: &str,
    stopped: &AtomicBool,
    open: &Open,
    serve: fn(&TcpStream, &str) -> io::Result<()>,
) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    for stream in listener.incoming() {
        if stopped.load(Ordering::SeqCst) {
            return;
        }
        // A check may be gone already.
        let Ok(stream) = stream else { continue };
        let Ok(other) = stream.try_clone() else {
            continue;
        };
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        open.lock().expect("no panic").insert(number, other);
        let (name, open) = (name.to_owned(), Arc::clone(open));
        let serving = move || {
            // Clients and nodes that break connections are what is tested.
            let _ = serve(&stream, &name);
            open.lock().expect("no panic").remove(&number);
        };
        thread::Builder::new()
            .stack_size(64 << 10)
            .spawn(serving)
            .expect("a thread");
    }
}

fn echo(mut stream: &TcpStream, name: &str) -> io::Result<()> {
    stream.write_all(format!("{name}\n").as_bytes())?;
    for line in BufReader::new(stream).lines() {
        stream.write_all(format!("{}\n", line?).as_bytes())?;
    }
    Ok(())
}

fn answer(mut stream: &TcpStream, name: &str) -> io::Result<()> {
    for line in BufReader::new(stream).lines() {
        if line?.is_empty() {
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\n";
            return stream.write_all(format!("{head}{name}").as_bytes());
        }
    }
    Ok(())
}
