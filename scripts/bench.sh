#!/usr/bin/env bash
# Measures ringway against its rivals on this machine: CPU time, throughput, latency, memory, calls
# into the kernel. `scripts/bench.sh --help` lists scenarios and options; scripts/bench/ is the driver.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/packages.sh wrk:wrk haproxy:haproxy nginx:nginx strace:strace valgrind:valgrind gcc:gcc \
  @/usr/lib/nginx/modules/ngx_stream_module.so:libnginx-mod-stream \
  @/usr/lib/python3/dist-packages/matplotlib:python3-matplotlib
# Sends at a fixed rate and counts from when a request was due; Debian does not have it.
[ -x target/oha/bin/oha ] || cargo install --quiet --locked --root target/oha oha@1.16.0
# Files of compiled Python would make the tree dirty.
export PYTHONDONTWRITEBYTECODE=1
# Debian's Python, which has Debian's matplotlib.
PATH="$PATH:/usr/sbin" exec /usr/bin/python3 scripts/bench/bench.py "$@"
