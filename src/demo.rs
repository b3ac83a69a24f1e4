//! `ringway demo`: three small HTTP servers, the balancer before them in HTTP mode and the admin
//! listener, all on loopback.
//!
//! The servers are for looking at, not for use: they answer every request with their name.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::config::{self, Config, EngineChoice};
use crate::console;
use crate::io::Listener;
use crate::privileges;
use crate::serve::{self, StartError};
use crate::task;

/// Names of the servers.
const NAMES: [&str; 3] = ["web1", "web2", "web3"];

/// Where the balancer listens if nobody else does.
const PORT: u16 = 8080;

/// Where the admin listener is if nobody else is there.
const ADMIN_PORT: u16 = 8404;

/// The longest request head that a server reads.
const HEAD_MAX: usize = 16 * 1024;

/// How long a client may take to send the next request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs it until Ctrl-C.
///
/// # Errors
///
/// It could not start.
pub fn run(engine: EngineChoice) -> Result<(), StartError> {
    let servers = start_servers()
        .map_err(|error| StartError::System("cannot start the demo's servers", error))?;
    let mut config = configuration(&servers).map_err(|report| {
        let error = std::io::Error::other(report.to_string());
        StartError::System("the demo's configuration is not valid", error)
    })?;
    config.global.engine = engine;
    serve::run(config, serve::Options::default(), |bound| {
        let address = &bound.frontends[0][0];
        let [page, stats] = bound.admin.map_or_else(Default::default, |admin| {
            [
                format!("The stats page is http://{admin}/\n"),
                format!("    ringway top --admin http://{admin}\n    curl -s http://{admin}/api/v1/stats\n"),
            ]
        });
        let text = format!(
            "\nThree servers, {}, stand behind http://{address}/\n{page}Try:\n\n    \
             for i in 1 2 3 4 5 6; do curl -s http://{address}/; done\n    \
             for i in 1 2 3; do curl -s -b jar -c jar http://{address}/; done\n{stats}\n\
             Each new client goes to the next server, one that keeps its cookie stays with its own;\n\
             the lines below are the access log. Ctrl-C ends the demo.\n\n",
            NAMES.join(", ")
        );
        // Whoever stops the terminal does not stop the balancer.
        let _ = privileges::spawn(None, "demo-text", move || {
            // The balancer does not depend on who reads it.
            let _ = console::print(&text);
        });
    })
}

/// The same that an operator would write for such servers.
fn configuration(servers: &[SocketAddr]) -> Result<Config, config::Report> {
    let entries = NAMES.iter().zip(servers);
    let entries: String = entries
        .map(|(name, address)| format!("{{ name = \"{name}\", address = \"{address}\" }},"))
        .collect();
    let text = format!(
        r#"
        [global]
        shutdown_timeout = "1s"
        [admin]
        listen = "{admin}"
        [frontend.web]
        listen = ["{listen}"]
        mode = "http"
        backend = "app"
        [backend.app]
        servers = [{entries}]
        [backend.app.health_check]
        type = "http"
        [backend.app.sticky]
        cookie = "RINGWAY"
        "#,
        admin = free_address(ADMIN_PORT),
        listen = free_address(PORT),
    );
    config::parse("demo", &text, &serve::resolve_host).map(|loaded| loaded.config)
}

/// This port, or one that the kernel chooses if it is taken.
fn free_address(port: u16) -> SocketAddr {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match Listener::check_free(usual) {
        Ok(()) => usual,
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}

/// Starts all servers on a thread of their own, which ends with the process.
fn start_servers() -> std::io::Result<Vec<SocketAddr>> {
    let listeners: Vec<std::net::TcpListener> = NAMES
        .iter()
        .map(|_| {
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        })
        .collect::<std::io::Result<_>>()?;
    let addresses = listeners
        .iter()
        .map(std::net::TcpListener::local_addr)
        .collect::<std::io::Result<_>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    privileges::spawn(None, "demo-servers", move || {
        runtime.block_on(async {
            for (name, listener) in NAMES.into_iter().zip(listeners) {
                if let Ok(listener) = TcpListener::from_std(listener) {
                    task::spawn(serve(name, listener));
                }
            }
            std::future::pending::<()>().await;
        });
    })?;
    Ok(addresses)
}

async fn serve(name: &'static str, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                task::spawn(async move {
                    // A client that breaks off is no concern of a demo.
                    let _ = answer_all(name, client).await;
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Answers request after request; bodies are not expected.
async fn answer_all(name: &str, mut client: TcpStream) -> std::io::Result<()> {
    let body = format!("hello from {name}\n");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut head = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = head.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            let read = tokio::time::timeout(REQUEST_TIMEOUT, client.read_buf(&mut head)).await;
            if head.len() > HEAD_MAX || !matches!(read, Ok(Ok(1..))) {
                return Ok(());
            }
        };
        head.drain(..end);
        client.write_all(answer.as_bytes()).await?;
    }
}
