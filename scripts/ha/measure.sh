#!/usr/bin/env bash
# Measures what breaks when a node goes or comes, with keepalived and with ECMP: the numbers of
# `ringway help several-machines`. The gate has a short form of the same test. It needs root and takes four minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."

scripts/packages.sh ip:iproute2 keepalived:keepalived bird:bird2 sysctl:procps
RINGWAY_HA_MOVES=20 exec cargo test --test ha
