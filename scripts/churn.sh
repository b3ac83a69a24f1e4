#!/usr/bin/env bash
# What it costs when all servers of a backend are replaced every second. Usage: scripts/churn.sh [SERVERS [SECONDS [KEYS]]]
# KEYS are further lines of the backend, for example $'[backend.app.health_check]\ninterval = "2s"'.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --profile dist --bin ringway --example churn
exec target/dist/examples/churn target/dist/ringway "$@"
