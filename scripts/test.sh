#!/usr/bin/env bash
# THE gate: what must hold before a change is taken. Runs everything, on any Debian with Rust.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/packages.sh
export PATH="$PATH:/usr/sbin"

run() {
  echo "== $*" >&2
  "$@"
}

run cargo fmt --check
run cargo clippy --all-targets -- -D warnings
run cargo test
run env RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps
# Every micro-benchmark once: they must keep working, their numbers are of no interest here.
# With the profile of the tests, whose dependencies are built by now.
run cargo bench --profile test -- --test
