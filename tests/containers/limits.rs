//! A container that may have little memory and half a CPU.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

use super::engine::{Engine, NODE};
use super::image;
use super::wait::{DEADLINE, eventually};

/// Clients that read nothing.
const CLIENTS: usize = 2000;

/// Small, so that the host holds little for them.
const RECEIVE_BUFFER: usize = 4096;

/// Serves bytes without end to everybody, as fast as they are taken.
fn endless_server() -> SocketAddr {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let socket = TcpSocket::new_v4().expect("a socket");
            let address = SocketAddr::new(NODE.parse().expect("an address"), 0);
            socket.bind(address).expect("an address");
            // All may come at once.
            let listener = socket.listen(2 * CLIENTS as u32).expect("it listens");
            send.send(listener.local_addr().expect("an address"))
                .expect("somebody waits");
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(
                    async move { while stream.write_all(&[b'x'; 16384]).await.is_ok() {} },
                );
            }
        });
    });
    receive.recv().expect("it listens")
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket
        .set_recv_buffer_size(RECEIVE_BUFFER)
        .expect("an option");
    socket.connect(&address.into()).expect("a connection");
    socket.into()
}

pub fn slow_readers_do_not_exhaust_a_small_container(engine: &Engine) {
    ringway::io::host::raise_file_limit();
    let server = endless_server().to_string();
    let options = ["--memory", "128m", "--memory-swap", "128m", "--cpus", "0.5"];
    let address = image::run(
        engine,
        &options,
        &["tcp", "--listen", "0.0.0.0:80", &server],
    );
    let said = engine.logs("lb");
    assert!(said.contains("1 workers on "), "{said}");
    assert!(
        said.contains("buffers take at most 16 MiB, an eighth of the 128 MiB"),
        "{said}"
    );

    // They read nothing: who waits longest for a buffer is ended for the others, and the process goes on.
    let clients: Vec<TcpStream> = (0..CLIENTS).map(|_| connect(address)).collect();
    let sessions = || -> (u64, u64, u64) {
        let text = engine.docker(&["exec", "lb", "ringway", "status", "--json"]);
        let stats: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let sessions = &stats["process"]["sessions"];
        let number = |value: &serde_json::Value| value.as_u64().expect("a number");
        let bytes = number(&stats["workers"][0]["bytes_from_servers"]);
        (
            number(&sessions["total"]),
            number(&sessions["current"]),
            bytes,
        )
    };
    let mut last = (0, 0, 0);
    eventually("all have come, and nothing moves any more", || {
        let now = sessions();
        std::mem::replace(&mut last, now) == now && now.0 == CLIENTS as u64
    });
    let state = "{{.State.Status}} {{.State.OOMKilled}} {{.RestartCount}} {{.State.Pid}}";
    let state = engine.docker(&["inspect", "--format", state, "lb"]);
    let pid = state.strip_prefix("running false 0 ").expect(&state);
    let memory = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let peak = memory
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("a line");
    let peak: usize = peak
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    assert!(peak < 64 << 10, "{peak} KiB");
    // One more is served as well, in the place of one of them if need be.
    let mut one = connect(address);
    one.set_read_timeout(Some(DEADLINE)).expect("an option");
    one.read_exact(&mut [0; 1024]).expect("it is served");
    drop(clients);
}
