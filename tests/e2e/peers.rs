//! Programs that others wrote on both sides: curl through us to nginx. Both are there wherever these
//! tests count, so their absence is a failure.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use crate::harness::ScratchDirectory;
use crate::pattern::Pattern;
use crate::servers::RefusingPort;
use crate::setup::Setup;
use crate::wait::eventually;

/// A running nginx that serves the files of a directory.
pub struct Nginx {
    process: Child,
    address: SocketAddr,
    directory: ScratchDirectory,
    _port: RefusingPort,
}

impl Nginx {
    /// Starts it on a port that is reserved for it, and waits until it answers.
    pub fn start() -> Self {
        let directory = ScratchDirectory::new();
        let path = directory.path().display();
        let port = RefusingPort::new();
        let address = port.address();
        let configuration = format!(
            "daemon off; master_process off; error_log stderr; pid {path}/nginx.pid;
             events {{ worker_connections 256; }}
             http {{
                 access_log off;
                 client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;
                 fastcgi_temp_path {path}/fastcgi; uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;
                 server {{ listen {address}; root {path}; }}
             }}"
        );
        fs::write(directory.path().join("nginx.conf"), configuration).expect("a file");
        let process = Command::new("nginx")
            .env(
                "PATH",
                format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()),
            )
            .args(["-e", "stderr", "-p"])
            .arg(directory.path())
            .args(["-c", "nginx.conf"])
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx is installed: see scripts/test.sh");
        let nginx = Self {
            process,
            address,
            directory,
            _port: port,
        };
        eventually("nginx answers", || TcpStream::connect(address).is_ok());
        nginx
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds a file of this length to what it serves, and returns its content.
    pub fn serve(&self, name: &str, length: usize) -> Vec<u8> {
        let content = Pattern::new(length as u64).message(length);
        fs::write(self.directory.path().join(name), &content).expect("a file");
        content
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs curl and returns what it prints.
pub fn curl(arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--fail",
            "--noproxy",
            "*",
            "--max-time",
            "20",
        ])
        .args(arguments);
    let output = command
        .output()
        .expect("curl is installed: see scripts/test.sh");
    assert!(output.status.success(), "{command:?}: {output:?}");
    output.stdout
}

#[test]
fn curl_gets_files_of_nginx() {
    let nginx = Nginx::start();
    let ringway = Setup::new().server("nginx", nginx.address).start();
    let url = |name: &str| format!("http://{}/{name}", ringway.address());

    for (name, length) in [("small", 100), ("middle", 100_000), ("large", 20_000_000)] {
        let content = nginx.serve(name, length);
        assert!(curl(&[&url(name)]) == content, "{name} differs");
    }
}

#[test]
fn curl_keeps_its_connection() {
    let nginx = Nginx::start();
    let ringway = Setup::new().server("nginx", nginx.address).start();
    nginx.serve("page", 5_000);
    let url = format!("http://{}/page", ringway.address());

    let report = [
        "--write-out",
        "%{http_code} %{num_connects}\n",
        "--output",
        "/dev/null",
    ];
    let mut arguments = Vec::from(report);
    arguments.push(&url);
    for _ in 0..4 {
        arguments.extend(["--output", "/dev/null", &url]);
    }

    let printed = String::from_utf8(curl(&arguments)).expect("text");
    assert_eq!(
        printed.lines().collect::<Vec<_>>(),
        ["200 1", "200 0", "200 0", "200 0", "200 0"]
    );
    assert_eq!(ringway.session_ended().code, "--");
}

#[test]
fn nginx_is_checked() {
    let mut nginx = Nginx::start();
    nginx.serve("health", 100_000);
    let setup = |path: &str| {
        Setup::new()
            .server("nginx", nginx.address)
            .health_check(r#"type = "http""#)
            .health_check(&format!("path = \"{path}\""))
            .health_check(r#"interval = "100ms""#)
            .health_check(r#"timeout = "100ms""#)
    };
    let ringway = setup("/health").start();
    setup("/missing")
        .start()
        .says("server app/nginx is down: L7STS 404, 1/1 checks failed");

    curl(&[&format!("http://{}/health", ringway.address())]);
    assert!(!ringway.errors_so_far().contains("is down"));

    let _ = nginx.process.kill();
    let _ = nginx.process.wait();
    ringway.says("server app/nginx is down: L4CON connection refused, 3/3 checks failed, was up");
}
