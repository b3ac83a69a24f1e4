#!/bin/sh
# Has BIRD announce the service's address while ringway is ready: on each node, beside bird-node.conf.
# Usage: announce.sh [COMMAND...]; as a service of systemd: Restart=always, After=bird.service.
# COMMAND succeeds within two seconds while ringway is ready; without one it is `ringway healthcheck --ready`.
# BIRD_SOCKET: where BIRD is asked, if not where Debian has it.
set -u
: "${BIRD_SOCKET:=/run/bird/bird.ctl}"
[ $# -gt 0 ] || set -- ringway healthcheck --ready

bird() {
  birdc -s "$BIRD_SOCKET" "$1" ringway >/dev/null
}

trap 'bird disable; exit 0' TERM INT
while :; do
  if timeout 2 "$@" >/dev/null 2>&1; then
    bird enable
  else
    bird disable
  fi
  sleep 1 &
  wait $!
done
