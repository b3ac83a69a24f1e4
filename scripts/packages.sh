#!/usr/bin/env bash
# Installs what the tests and measurements need from Debian, when it is missing.
set -euo pipefail

missing=()
for pair in nginx:nginx haproxy:haproxy wrk:wrk curl:curl python3:python3 chromium:chromium \
  promtool:prometheus; do
  PATH="$PATH:/usr/sbin" command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || missing+=(libnginx-mod-stream)
[ -e /usr/lib/python3/dist-packages/websockets ] || missing+=(python3-websockets)
[ "${#missing[@]}" -eq 0 ] && exit 0

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "installing from Debian: ${missing[*]}" >&2
"${as_root[@]}" apt-get update -qq
# Debian starts a service as it installs it; a measurement wants the programs only.
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
