#!/bin/sh
# Makes a resilient nexthop group (ip-nexthop(8), Linux 5.13) of the multipath route that BIRD keeps in table 100, and
# follows its changes: on a router with Linux, beside bird-router.conf.
# Usage: resilient-routes.sh ADDRESS; as a service of systemd: Restart=always.
#
# Each flow is in one of 512 buckets, and each bucket has a node. When a node goes, its buckets get other nodes, and no
# other bucket moves. A node that comes gets buckets in which no packet was for IDLE seconds: no flow breaks that sends
# more often than that, and the node's share grows as buckets become idle.
set -eu
address="$1"
: "${IDLE:=60}"
group=100

# The identifiers of the nexthops in the group, as in 101/103.
members=""

# Prints GATEWAY DEVICE of each node that announces the address.
announced() {
  ip -oneline route show table 100 "$address" 2>/dev/null |
    grep -o 'via [^ ]* dev [^ ]*' | while read -r _ gateway _ device; do echo "$gateway $device"; done | sort
}

# The identifier of a gateway's nexthop: the last number of its IPv4 address, from 1000 on.
identifier() {
  echo $((1000 + ${1##*.}))
}

follow() {
  new=""
  nodes="$(announced)"
  while read -r gateway device; do
    [ -n "$gateway" ] || continue
    id="$(identifier "$gateway")"
    new="$new${new:+/}$id"
    # The kernel removes nexthops when their device goes down.
    ip nexthop replace id "$id" via "$gateway" dev "$device"
  done <<NODES
$nodes
NODES
  [ "$new" != "$members" ] || return 0
  if [ -z "$new" ]; then
    # With the group goes its route.
    ip nexthop del id "$group" || true
  else
    ip nexthop replace id "$group" group "$new" type resilient buckets 512 idle_timer "$IDLE"
    ip route replace "$address" nhid "$group"
  fi
  for id in $(echo "$members" | tr / ' '); do
    case "/$new/" in
    *"/$id/"*) ;;
    *) ip nexthop del id "$id" || true ;;
    esac
  done
  members="$new"
}

# A group that an earlier run has left is made anew.
ip nexthop del id "$group" 2>/dev/null || true
# Line by line, and once at first, when the monitor runs.
{ echo; exec ip monitor route; } | while read -r _; do
  follow
done
