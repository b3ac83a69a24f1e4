#!/usr/bin/env bash
# Checks the memory that threads share against every interleaving: tests/model.rs, with loom.
# `scripts/model.sh` tries them all; `scripts/model.sh short` those with two preemptions, as the
# gate does. It is built beside the other tests, of whose dependencies it needs most.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-long}" in
  short) preemptions=2 ;;
  long) preemptions=20 ;;
  *) echo "usage: $0 [short|long]" >&2; exit 2 ;;
esac
export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-$preemptions}"
cargo test --test model
