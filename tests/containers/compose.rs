//! `scripts/docker/compose.yaml`, as it is.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::client::{get, load, ok};
use super::engine::{Engine, NODE};
use super::servers::usable;
use super::wait::eventually;

const FILE: &str = "scripts/docker/compose.yaml";

pub fn the_file_works_as_it_is(engine: &Engine) {
    let compose = |arguments: &[&str]| {
        let project = ["--project-name", "demo", "--file", FILE];
        engine.compose(&[&project, arguments].concat())
    };
    compose(&["up", "--detach"]);
    let web = SocketAddr::new(NODE.parse().expect("an address"), 80);
    let admin = SocketAddr::new(web.ip(), 9000);
    let reached = |count: usize| {
        eventually("all replicas have passed a check", || {
            let stats = get(admin, "/api/v1/stats", None);
            stats.is_ok_and(|stats| usable(&stats.body).len() == count)
        });
        let mut names = BTreeSet::new();
        eventually("all replicas are reached", || {
            names.insert(ok(web, "/", None).body);
            names.len() == count
        });
    };
    reached(5);
    let load = load(web);
    compose(&["up", "--detach", "--scale", "web=8"]);
    reached(8);
    load.ends_without_failure();
    compose(&["down", "--timeout", "1"]);
}
