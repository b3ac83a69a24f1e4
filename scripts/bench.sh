#!/usr/bin/env bash
# Measures ringway against its rivals on this machine: CPU time for each request, memory for each
# idle session. `scripts/bench.sh --help` lists the options; scripts/bench/ is the driver.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/packages.sh
# Files of compiled Python would make the tree dirty.
export PYTHONDONTWRITEBYTECODE=1
PATH="$PATH:/usr/sbin" exec python3 scripts/bench/bench.py "$@"
