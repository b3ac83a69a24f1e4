#!/usr/bin/env bash
# Looks for wrong uses of memory in src/io, the only unsafe code, under AddressSanitizer.
# Usage: scripts/sanitize.sh [--quick]
# --quick: for the gate, the tests of src/io once, in a crate of its own with the few dependencies
# that it has, so that little has to be built. Without: those of the whole library, ten times over.
# Needs the nightly toolchain; without it there is nothing to do.
set -euo pipefail
cd "$(dirname "$0")/.."

mode=full
case "${1-}" in
  "") ;;
  --quick) mode=quick ;;
  *)
    echo "usage: $0 [--quick]" >&2
    exit 2
    ;;
esac

if ! rustup toolchain list 2>/dev/null | grep -q '^nightly'; then
  echo "sanitize: skipped, no nightly toolchain is installed (rustup toolchain install nightly)"
  exit 0
fi
host="$(rustc -vV | sed -n 's/^host: //p')"
# Has its own folder: other flags would build everything else anew.
export CARGO_TARGET_DIR="$PWD/target/sanitize"

# `cargo test` with these arguments, under AddressSanitizer. The standard library is not
# instrumented: what our own code does with memory is seen, and what it lets the kernel do is not.
address() {
  RUSTFLAGS="-Zsanitizer=address -Cdebuginfo=line-tables-only" \
    cargo +nightly test --quiet --target "$host" "$@"
}

# A crate of src/io alone, which imports nothing of ours.
io_crate() {
  local crate="$CARGO_TARGET_DIR/io"
  mkdir -p "$crate"
  {
    printf '[package]\nname = "ringway-io"\nversion = "0.0.0"\nedition = "2024"\n'
    printf '[workspace]\n[lib]\npath = "lib.rs"\n[dependencies]\n'
    sed -n '/^\[dependencies\]/,/^\[dev-/p' Cargo.toml |
      grep -E '^(io-uring|libc|rustix|slab|socket2|tokio) = '
  } >"$crate/Cargo.toml"
  printf '#[path = "%s/src/io/mod.rs"]\npub mod io;\n' "$PWD" >"$crate/lib.rs"
  cp Cargo.lock "$crate/Cargo.lock"
  echo "$crate/Cargo.toml"
}

case "$mode" in
  quick)
    address --manifest-path "$(io_crate)" --lib
    ;;
  full)
    for _ in {1..10}; do
      address --lib
    done
    ;;
esac
