#!/usr/bin/env bash
# Measures ringway against its rivals on this machine: CPU time, throughput, latency, memory, calls
# into the kernel. `scripts/bench.sh --quick` compares it with HAProxy in three minutes; `--help` lists scenarios
# and options; scripts/bench/ is the driver, which installs what the chosen scenarios need.
set -euo pipefail
cd "$(dirname "$0")/.."
# Files of compiled Python would make the tree dirty.
export PYTHONDONTWRITEBYTECODE=1
# Debian's Python, which has Debian's matplotlib, if that is there: for plots.
python=/usr/bin/python3
[ -x "$python" ] || python=python3
PATH="$PATH:/usr/sbin" exec "$python" scripts/bench/bench.py "$@"
