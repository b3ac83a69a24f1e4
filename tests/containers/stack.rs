//! `scripts/docker/stack.yaml` in a Swarm of one node, as it is: it is scaled, updated and harmed.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::client::{get, load, ok};
use super::engine::{Engine, NODE};
use super::servers::usable;
use super::wait::{available, eventually};

/// How long the balancer still takes clients after it was told to stop, with the file of this test.
const GRACE: Duration = Duration::from_secs(2);

/// How long the balancer's own service may be away while it is updated.
const GAP_MAX: Duration = Duration::from_secs(15);

fn port(port: u16) -> SocketAddr {
    SocketAddr::new(NODE.parse().expect("an address"), port)
}

/// The stack of the tutorial.
struct Stack<'e> {
    engine: &'e Engine,
}

impl Stack<'_> {
    fn deploy(engine: &Engine) -> Stack<'_> {
        engine.docker(&["swarm", "init", "--advertise-addr", NODE]);
        engine.docker(&[
            "stack",
            "deploy",
            "--compose-file",
            "scripts/docker/stack.yaml",
            "demo",
        ]);
        Stack { engine }
    }

    /// The container of the balancer.
    fn balancer(&self) -> String {
        available("the balancer runs", || {
            let filter = "label=com.docker.swarm.service.name=demo_lb";
            let ids = self.engine.docker(&["ps", "--quiet", "--filter", filter]);
            (!ids.is_empty() && !ids.contains('\n')).then_some(ids)
        })
    }

    /// The names of the servers that get new sessions.
    fn usable(&self) -> BTreeSet<String> {
        let text = self
            .engine
            .docker(&["exec", &self.balancer(), "ringway", "status", "--json"]);
        usable(&text)
    }

    fn has_replicas(&self, count: usize) {
        eventually("the balancer follows", || self.usable().len() == count);
    }

    fn scale(&self, count: usize) {
        let replicas = format!("demo_web={count}");
        self.engine
            .docker(&["service", "scale", "--detach=true", &replicas]);
        self.has_replicas(count);
    }

    /// Replaces the tasks of a service one by one, and waits for the end.
    fn update(&self, service: &str, options: &[&str]) {
        let update = ["service", "update", "--detach=false", "--quiet"];
        self.engine.docker(&[&update, options, &[service]].concat());
    }
}

pub fn the_file_works_as_it_is(engine: &Engine) {
    let stack = Stack::deploy(engine);
    let web = port(80);
    eventually("it answers", || {
        get(web, "/", None).is_ok_and(|answer| answer.status == 200)
    });
    stack.has_replicas(5);
    all_replicas_are_reached(web);
    a_cookie_sticks(web);
    the_page_answers();
    scaling_and_an_update_fail_no_request(&stack, web);
    a_killed_replica_is_noticed(&stack, web);
    the_balancer_is_updated(&stack, web);
    six_requests_reach_replicas_in_turn(&stack, web);
    the_balancer_is_healthy(&stack);
    a_stop_is_announced_before(&stack, web);
    remove(engine);
    engine.docker(&["swarm", "leave", "--force"]);
}

/// Removes the stack: its network goes when the last task has left it, which the engine does not wait for.
fn remove(engine: &Engine) {
    eventually("the stack is removed", || {
        let removed = engine
            .command("docker")
            .args(["stack", "rm", "demo"])
            .output();
        removed.is_ok_and(|output| output.status.success())
    });
}

fn all_replicas_are_reached(web: SocketAddr) {
    let mut names = BTreeSet::new();
    eventually("all replicas are reached", || {
        names.insert(ok(web, "/", None).body);
        names.len() == 5
    });
}

fn a_cookie_sticks(web: SocketAddr) {
    let first = ok(web, "/", None);
    let cookie = first.cookie.expect("a cookie");
    assert!(cookie.starts_with("SERVERID="), "{cookie}");
    for _ in 0..10 {
        let again = ok(web, "/", Some(&cookie));
        assert_eq!(again.body, first.body);
        assert_eq!(again.cookie, None);
    }
}

fn the_page_answers() {
    let page = ok(port(9000), "/haproxy_stats", None).body;
    assert!(
        page.contains("<h1>Ringway</h1>") && page.contains(":8080"),
        "{page}"
    );
}

fn scaling_and_an_update_fail_no_request(stack: &Stack, web: SocketAddr) {
    let load = load(web);
    for count in [31, 2, 5] {
        stack.scale(count);
        load.goes_on(50);
    }
    let before = stack.usable();
    stack.update("demo_web", &["--force"]);
    stack.has_replicas(5);
    assert!(
        before.is_disjoint(&stack.usable()),
        "all have been replaced"
    );
    load.ends_without_failure();
}

fn a_killed_replica_is_noticed(stack: &Stack, web: SocketAddr) {
    let before = stack.usable();
    let filter = "label=com.docker.swarm.service.name=demo_web";
    let replicas = stack.engine.docker(&["ps", "--quiet", "--filter", filter]);
    let replica = replicas.lines().next().expect("a replica");
    stack.engine.docker(&["kill", replica]);
    eventually("the balancer leaves it out", || {
        !before.is_subset(&stack.usable())
    });
    let load = load(web);
    stack.has_replicas(5);
    load.ends_without_failure();
}

/// It gets a file in place of its command line, and one CPU. Ports of the host are for one task at a time, so there is
/// a gap; what was under way is finished before it.
fn the_balancer_is_updated(stack: &Stack, web: SocketAddr) {
    let load = load(web);
    let before = stack.balancer();
    let own = std::fs::read_to_string("scripts/docker/ringway.toml").expect("a file");
    let own = own.replace("SERVERID", "LB");
    let grace = format!(
        "shutdown_grace = \"{}s\"\nshutdown_timeout",
        GRACE.as_secs()
    );
    let file = stack
        .engine
        .file("config.toml", &own.replace("shutdown_timeout", &grace));
    stack
        .engine
        .docker(&["config", "create", "lb", &file.display().to_string()]);
    let config = "source=lb,target=/etc/ringway/ringway.toml";
    stack.update(
        "demo_lb",
        &["--limit-cpu", "1", "--config-add", config, "--args", "run"],
    );
    assert_ne!(stack.balancer(), before);
    let failures = load.end();
    for failure in &failures {
        let refused = ["refused", "unreachable", "reset"]
            .iter()
            .any(|word| failure.why.contains(word));
        assert!(refused, "{}", failure.why);
    }
    let gap = match &failures[..] {
        [first, .., last] => last.at - first.at,
        _ => Duration::ZERO,
    };
    println!("  the balancer's own update: nobody was served for {gap:.1?}");
    assert!(gap < GAP_MAX, "{gap:?}");
    let cookie = ok(web, "/", None).cookie.expect("a cookie");
    assert!(cookie.starts_with("LB="), "{cookie}");
}

/// With one CPU there is one worker.
fn six_requests_reach_replicas_in_turn(stack: &Stack, web: SocketAddr) {
    stack.has_replicas(5);
    let names: Vec<String> = (0..6).map(|_| ok(web, "/", None).body).collect();
    let different: BTreeSet<&String> = names.iter().collect();
    assert_eq!((different.len(), &names[5]), (5, &names[0]), "{names:?}");
}

fn the_balancer_is_healthy(stack: &Stack) {
    let format = "{{.State.Health.Status}}";
    let health = || {
        stack
            .engine
            .docker(&["inspect", "--format", format, &stack.balancer()])
    };
    eventually("it is healthy", || health() == "healthy");
}

/// Whoever asks `/readyz` at the host's port can move clients to another node before this one refuses them.
fn a_stop_is_announced_before(stack: &Stack<'_>, web: SocketAddr) {
    stack.engine.docker(&["service", "rm", "demo_lb"]);
    let is_ready = || get(port(9000), "/readyz", None).is_ok_and(|answer| answer.status == 200);
    eventually("it is not ready any more", || !is_ready());
    let begun = Instant::now();
    eventually("it takes no clients any more", || {
        get(web, "/", None).is_err()
    });
    let took = begun.elapsed();
    println!("  the balancer is stopped: not ready for {took:.1?} before it takes nobody");
    assert!(took > GRACE / 2, "{took:?}");
}
