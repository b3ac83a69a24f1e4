#!/usr/bin/env bash
# Builds the program as one static file, with the profile `dist` and without symbols, and prints its path.
set -euo pipefail
cd "$(dirname "$0")/.."

# A folder of its own, so that `cargo build --profile dist` and this do not replace each other's program.
cargo rustc --locked --profile dist --target-dir target/static --bin ringway -- \
  -C target-feature=+crt-static -C strip=symbols >&2
echo target/static/dist/ringway
