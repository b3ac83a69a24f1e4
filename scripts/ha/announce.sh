#!/bin/sh
# Has BIRD announce the service's address while ringway is ready: on each node, beside bird-node.conf.
# Usage: announce.sh [OPTION-OF-HEALTHCHECK...]; as a service of systemd: Restart=always, After=bird.service.
# BIRD_SOCKET: where BIRD is asked, if not where Debian has it.
set -u
: "${BIRD_SOCKET:=/run/bird/bird.ctl}"

bird() {
  birdc -s "$BIRD_SOCKET" "$1" ringway >/dev/null
}

trap 'bird disable; exit 0' TERM INT
while :; do
  if ringway healthcheck --ready "$@" >/dev/null 2>&1; then
    bird enable
  else
    bird disable
  fi
  sleep 1 &
  wait $!
done
