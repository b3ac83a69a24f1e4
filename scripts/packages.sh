#!/usr/bin/env bash
# Installs packages of Debian whose programs or files are missing.
# Usage: packages.sh PROGRAM:PACKAGE... @/FILE:PACKAGE...
set -euo pipefail

missing=()
for pair in "$@"; do
  what="${pair%%:*}"
  if [ "${what#@}" != "$what" ]; then
    [ -e "${what#@}" ] || missing+=("${pair##*:}")
  else
    PATH="$PATH:/usr/sbin" command -v "$what" >/dev/null || missing+=("${pair##*:}")
  fi
done
[ "${#missing[@]}" -eq 0 ] && exit 0

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "installing from Debian: ${missing[*]}" >&2
"${as_root[@]}" apt-get update -qq
# Debian starts a service as it installs it; tests and measurements want the programs only. An engine of Docker would
# even change the netfilter of this host. Whoever has such a policy keeps it.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
fi
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
