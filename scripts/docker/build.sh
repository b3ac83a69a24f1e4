#!/usr/bin/env bash
# Builds the image `ringway`, or one of another name, from scratch: one static program, user 65534.
# Usage: scripts/docker/build.sh [--program FILE] [NAME[:TAG]]
# --program: this static program, in place of that of scripts/static.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Bytes of the program at most: 12 MB.
BYTES_MAX=12000000

usage() {
  echo "usage: $0 [--program FILE] [NAME[:TAG]]" >&2
  exit 2
}

program=
if [ "${1-}" = --program ]; then
  program="${2-}"
  [ -f "$program" ] || usage
  shift 2
fi
case "$#:${1-}" in
  0: | 1:[!-]*) name="${1-ringway}" ;;
  *) usage ;;
esac
if ! command -v docker >/dev/null; then
  echo "$0: there is no docker: install it (Debian: docker.io)" >&2
  exit 1
fi

if [ -z "$program" ]; then
  program="$(scripts/static.sh)"
  bytes="$(stat -c %s "$program")"
  if [ "$bytes" -gt "$BYTES_MAX" ]; then
    echo "$0: the program has $bytes bytes, more than $BYTES_MAX" >&2
    exit 1
  fi
fi
if ldd "$program" 2>/dev/null | grep -q '=>'; then
  echo "$0: $program is not static: nothing in the image would load it" >&2
  exit 1
fi

root="$(mktemp -d)"
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
install -D -m 755 "$program" "$root/usr/bin/ringway"
install -D -m 644 scripts/docker/ringway.toml "$root/etc/ringway/ringway.toml"
# For every user that the container may run as.
install -d -m 1777 "$root/run/ringway"
docker build --quiet --tag "$name" --file scripts/docker/Dockerfile "$root" >/dev/null
echo "$name is built: $(docker image inspect --format '{{.Size}}' "$name") bytes"
