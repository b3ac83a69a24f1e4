//! A load balancer of this test: a namespace in which ringway runs with the configuration of scripts/ha.

use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::network::{Folder, Namespace, Process, run, with_path};
use super::wait::eventually;

/// How long a node accepts after SIGTERM here.
const GRACE: &str = "3s";

/// What the configuration has for the cookies of HTTP mode, beside that of scripts/ha.
const HTTP: &str = "
[frontend.http]
listen = [\"0.0.0.0:81\"]
mode = \"http\"
backend = \"http\"

[backend.http]
balance = \"random\"
servers = [
  { name = \"web1\", address = \"10.0.0.21:8081\" },
  { name = \"web2\", address = \"10.0.0.22:8081\" },
  { name = \"web3\", address = \"10.0.0.23:8081\" },
]
sticky = { cookie = \"SRV\" }
";

pub struct Node<'f> {
    pub namespace: Namespace,
    folder: &'f Folder,
    config: String,
    pub ringway: Option<Process>,
}

impl<'f> Node<'f> {
    /// A node in this namespace; it does not run.
    pub fn new(folder: &'f Folder, namespace: Namespace) -> Self {
        let name = &namespace.name;
        let socket = format!("/run/{name}.sock");
        let grace = format!("shutdown_grace = \"{GRACE}\"\nworkers = 1");
        let changes = [
            ("/run/ringway/admin.sock", socket.as_str()),
            ("shutdown_grace = \"5s\"", grace.as_str()),
            (
                "interval = \"1s\"",
                "interval = \"200ms\"\ntimeout = \"200ms\"",
            ),
            ("[admin]", &format!("{HTTP}\n[admin]")),
        ];
        let config = folder.adapted("ringway.toml", &format!("{name}.toml"), &changes);
        Node {
            namespace,
            folder,
            config,
            ringway: None,
        }
    }

    /// Starts ringway, and waits until it is ready.
    pub fn start(&mut self) {
        let line = format!("ringway run -c {}", self.config);
        self.ringway = Some(self.namespace.start(self.folder, "ringway", &line));
        eventually("it is ready", || self.is_ready());
    }

    /// The options by which commands find it.
    pub fn options(&self) -> String {
        format!("-c {}", self.config)
    }

    fn is_ready(&self) -> bool {
        let mut command = Command::new("ringway");
        command.args(["healthcheck", "--ready", "-c", &self.config]);
        with_path(&mut command)
            .output()
            .expect("the program")
            .status
            .success()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.ringway.as_ref().expect("it runs").signal(signal);
    }

    /// Waits until it has ended.
    pub fn has_ended(&mut self) {
        let mut ringway = self.ringway.take().expect("it runs");
        eventually("ringway ends", || ringway.has_ended());
    }

    /// Sessions of the frontend `web`: open ones and all so far.
    pub fn sessions(&self) -> (u64, u64) {
        let text = run(&format!("ringway status --json -c {}", self.config));
        let stats: Value = serde_json::from_str(&text).expect("JSON");
        let frontends = stats["frontends"].as_array().expect("a list");
        let web = frontends
            .iter()
            .find(|it| it["name"] == "web")
            .expect("web");
        let count = |key: &str| web["sessions"][key].as_u64().expect("a number");
        (count("current"), count("total"))
    }
}
