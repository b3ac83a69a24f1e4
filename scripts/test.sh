#!/usr/bin/env bash
# THE gate: what must hold before a change is taken. Runs everything, on any Debian with Rust.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/packages.sh nginx:nginx haproxy:haproxy wrk:wrk curl:curl python3:python3 chromium:chromium ip:iproute2 \
  promtool:prometheus prometheus-haproxy-exporter:prometheus-haproxy-exporter \
  hatop:hatop collectd:collectd-core @/usr/share/doc/libpython3.11:libpython3.11 pip3:python3-pip \
  man:man-db redis-server:redis-server openssl:openssl gnutls-cli:gnutls-bin dockerd:docker.io docker:docker.io \
  docker-compose:docker-compose keepalived:keepalived bird:bird2 sysctl:procps \
  @/usr/share/doc/haproxy/examples/quick-test.cfg:haproxy \
  @/usr/share/doc/busybox-static:busybox-static @/usr/lib/nginx/modules/ngx_stream_module.so:libnginx-mod-stream \
  @/usr/lib/python3/dist-packages/websockets:python3-websockets \
  @/usr/lib/python3/dist-packages/jsonschema:python3-jsonschema
export PATH="$PATH:/usr/sbin"
# Builds from nothing gain nothing from being incremental.
export CARGO_INCREMENTAL=0
# The end-to-end tests mostly wait.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-4}"

run() {
  echo "== $* (${SECONDS} s)" >&2
  "$@"
}

run cargo fmt --check
run cargo clippy --all-targets -- -D warnings
run cargo test --lib --bins --tests
# On the other engine too: the tests in which bytes, connections or listeners are what matters. How the process is
# configured and asked does not depend on the engine. Which one is chosen when, `engine` tests in the run before.
run env RINGWAY_ENGINE=epoll cargo test --test e2e -- broken_peers buffers client_rules first_answer half_closed \
  http_failures http_heads http_load http_peers http_random http_streams lifetimes limits metrics:: peers pressure \
  proxy_ relaying reload retries shortage stopping takeover timeouts tls_mode unix_sockets unread
run scripts/model.sh short
run scripts/sanitize.sh --quick
run scripts/kubernetes/check.sh
run env RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps
# The package, of the program that the tests have used, in a fresh Debian under systemd.
package="$(run scripts/package.sh --program target/debug/ringway)"
run scripts/package/test.sh "$package"
# Every micro-benchmark once: they must keep working, their numbers are of no interest here.
# With the profile of the tests, whose dependencies are built by now.
run cargo bench --profile test -- --test
