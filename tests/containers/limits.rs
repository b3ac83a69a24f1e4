//! A container that may have little memory and half a CPU.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::engine::{Engine, NODE};
use super::image;
use super::wait::eventually;

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
            let listener = TcpListener::bind((NODE, 0)).await.expect("an address");
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

    let clients: Vec<TcpStream> = (0..CLIENTS).map(|_| connect(address)).collect();
    for mut client in &clients {
        client
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("an option");
        client.read_exact(&mut [0; 1024]).expect("all are served");
    }
    let shown = || -> serde_json::Value {
        let text = engine.docker(&["exec", "lb", "ringway", "status", "--json"]);
        serde_json::from_str(&text).expect("JSON")
    };
    // Once nobody takes any more, nothing moves.
    let mut last = 0;
    eventually("all are full", || {
        let stats = shown();
        assert_eq!(stats["process"]["sessions"]["current"], CLIENTS);
        let bytes = stats["frontends"][0]["bytes_out"]
            .as_u64()
            .expect("a number");
        std::mem::replace(&mut last, bytes) == bytes
    });
    let state = "{{.State.Status}} {{.State.OOMKilled}} {{.RestartCount}}";
    assert_eq!(
        engine.docker(&["inspect", "--format", state, "lb"]),
        "running false 0"
    );
    // One more is served as well.
    let mut one = connect(address);
    one.set_read_timeout(Some(Duration::from_secs(30)))
        .expect("an option");
    one.read_exact(&mut [0; 1024]).expect("it is served");
}
