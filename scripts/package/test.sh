#!/usr/bin/env bash
# Installs the package into a fresh Debian that systemd runs, and does there what README says, then what an
# operator does later: another boot, an upgrade, the removal.
# Usage: test.sh PACKAGE
#
# The fresh Debian is made once by debootstrap, in target/package; each run works on an overlay of it.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ "$(id -u)" -eq 0 ] || exec sudo -- "$0" "$@"
package="$(realpath "$1")"
scripts/packages.sh debootstrap:debootstrap systemd-nspawn:systemd-container lintian:lintian curl:curl ip:iproute2

base="$PWD/target/package/debian"
if [ ! -e "$base/complete" ]; then
  rm -rf "$base"
  mkdir -p "$base"
  debootstrap --variant=minbase --include=systemd-sysv,python3 bookworm "$base/root" >&2
  touch "$base/complete"
fi

work="$(mktemp -d)"
container=
finish() {
  local status=$?
  [ "$status" -eq 0 ] || [ ! -d "$work/root/var" ] || inside journalctl -q --no-pager -u ringway >&2 || true
  power_off
  mountpoint -q "$work/root" && umount -l "$work/root"
  mountpoint -q "$work" && umount -l "$work"
  rmdir "$work"
  exit "$status"
}

# Starts the system, and waits until it is up.
boot() {
  systemd-nspawn -q -D "$work/root" --register=no --keep-unit --private-network -b < /dev/null > "$work/console" 2>&1 &
  container=$!
  local tries=0
  until leader="$(pgrep -P "$container")" && inside systemctl is-system-running --wait > "$work/state" 2>/dev/null ||
    grep -qs degraded "$work/state"; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || { cat "$work/console" >&2; exit 1; }
    sleep 0.1
  done
  network ip link set lo up
  local last
  for last in 1 2 3; do
    network ip address add "10.0.0.1$last/32" dev lo
    inside systemd-run -q --unit "web$last" --working-directory "/srv/web$last" \
      python3 -m http.server --bind "10.0.0.1$last" 8080
  done
}

power_off() {
  [ -n "$container" ] || return 0
  # SIGRTMIN+4: systemd(1) powers off.
  kill -RTMIN+4 "$leader" 2>/dev/null || true
  wait "$container" || true
  container=
}

# Runs a command in the system.
inside() {
  nsenter -t "$leader" --mount --uts --ipc --net --pid --cgroup --root --wd env -i \
    PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"
}

# Runs a command of this host in the network of the system.
network() {
  nsenter -t "$leader" --net "$@"
}

# Runs a command until it succeeds.
until_true() {
  local tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || { echo "never: $*" >&2; return 1; }
    sleep 0.1
  done
}

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# The blocks of code of README's section On Debian in a language.
blocks() {
  sed -n '/^## On Debian/,/^## /p' README.md | sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/{/^\`\`\`/d;p}"
}

# What the file system holds, but for what systemd, apt and useradd(8) themselves leave.
files() {
  (cd "$work/root" && find . -xdev \( -path ./proc -o -path ./sys -o -path ./run -o -path ./tmp -o -path ./var/log \
    -o -path ./var/cache -o -path ./var/lib/dpkg -o -path ./var/lib/apt -o -path ./var/lib/systemd -o -path ./var/tmp \
    -o -path ./dev -o -path './etc/*-' \) -prune -o -print | sort)
}

echo "== lintian" >&2
lintian --fail-on error "$package" 2>&1 | grep -v '^running with root' >&2 || [ "${PIPESTATUS[0]}" -eq 0 ]

trap finish EXIT
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/overlay" "$work/root"
mount -t overlay overlay -o "lowerdir=$base/root,upperdir=$work/upper,workdir=$work/overlay" "$work/root"
for last in 1 2 3; do
  mkdir -p "$work/root/srv/web$last"
  echo "web$last" > "$work/root/srv/web$last/index.html"
done
mkdir -p "$work/root/root/target/package" "$work/root/root/scripts"
cp "$package" "$work/root/root/target/package/"
# README builds the package first.
printf '#!/bin/sh\n' > "$work/root/root/scripts/package.sh"
# Root is there already.
printf '#!/bin/sh\nexec "$@"\n' > "$work/root/usr/local/bin/sudo"
chmod 755 "$work/root/root/scripts/package.sh" "$work/root/usr/local/bin/sudo"

echo "== what README says" >&2
boot
files > "$work/before"
cp "$work/root/etc/passwd" "$work/root/etc/group" "$work/"
step=0
blocks sh > "$work/steps"
while read -r line; do
  step=$((step + 1))
  # The configuration stands between the installation and the check.
  if [ "$step" -eq 3 ]; then
    until_true network curl -sf -o /dev/null http://127.0.0.1:8404/readyz
    blocks toml >> "$work/root/etc/ringway/ringway.toml"
  fi
  inside sh -ec "cd /root && $line" < /dev/null > "$work/out" 2>&1 || { cat "$work/out" >&2; fail "$line"; }
  if grep -i warning "$work/out" | grep -v 'unsandboxed\|apt does not have a stable' >&2; then fail "$line warns"; fi
done < "$work/steps"
[ "$step" -eq 5 ] || fail "README has $step steps"
until_true network curl -sf -o /dev/null http://127.0.0.1:8404/readyz
until_true inside sh -c 'ringway status | grep -c "^app/web.* up " | grep -qx 3' || { inside ringway status; fail "three servers are up"; }
cookie="$(network curl -sf -c "$work/jar" http://127.0.0.1/)"
for _ in 1 2 3; do
  [ "$(network curl -sf -b "$work/jar" http://127.0.0.1/)" = "$cookie" ] || fail "the cookie is sticky"
done
inside journalctl -q -u ringway -p err --no-pager | grep . && fail "there are errors"
inside journalctl -q -u ringway -p warning --no-pager -o cat > "$work/out"
grep -q '^warning: no frontend' "$work/out" || fail "the warning of a file without a frontend has no priority"
grep -q 'is ready' "$work/out" && fail "what is no warning has the priority of one"
inside journalctl -q -u ringway --no-pager -o cat | grep -q '^ringway is ready' || fail "a line has a second time"

echo "== who may do what" >&2
inside useradd --create-home joe
inside runuser -u joe -- ringway status > /dev/null 2> "$work/out" && fail "anybody may use the socket"
grep -q 'for members of' "$work/out" || fail "$(cat "$work/out")"
inside usermod -aG ringway-admin joe
inside runuser -u joe -- ringway drain app/web1 > /dev/null
inside runuser -u joe -- ringway ready app/web1 > /dev/null
inside runuser -u joe -- ringway upgrade > /dev/null 2>&1 && fail "a member of the group may upgrade"
inside userdel --remove joe
exposure="$(inside systemd-analyze security --no-pager ringway.service | sed -n 's/.*exposure level.*: \([0-9]*\)\.\([0-9]*\).*/\1\2/p')"
[ "$exposure" -le 20 ] || fail "systemd-analyze security says $exposure tenths"

echo "== upgrade" >&2
main() { inside systemctl show -P MainPID ringway; }
old="$(main)"
# A session that is open meanwhile.
inside python3 - <<'END' &
import socket, time
client = socket.create_connection(("127.0.0.1", 80))
client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
open("/root/open", "w").close()
while __import__("os").path.exists("/root/open"):
    time.sleep(0.05)
client.sendall(b"Connection: close\r\n\r\n")
answer = b""
while part := client.recv(4096):
    answer += part
assert b"200" in answer.split(b"\r\n")[0] and b"web" in answer, answer
END
session=$!
until_true test -e "$work/root/root/open"
inside apt-get install -y -qq --reinstall "./root/target/package/$(basename "$package")" > "$work/out" 2>&1 || { cat "$work/out" >&2; fail "reinstall"; }
new="$(main)"
[ "$new" != "$old" ] && [ "$new" != 0 ] || fail "the main process is still $old"
[ "$(inside systemctl show -P NRestarts ringway)" = 0 ] || fail "it was restarted"
rm "$work/root/root/open"
wait "$session" || fail "the session was lost"
until_true inside sh -c "! kill -0 $old" 2>/dev/null
inside systemctl is-active -q ringway
network curl -sf -o /dev/null http://127.0.0.1/
inside ringway status > /dev/null
inside grep -q 'CapEff.*0400' "/proc/$new/status" || fail "it lost CAP_NET_BIND_SERVICE"
# Another new process, by hand; then what is not to be noticed by anybody but systemd.
inside ringway upgrade > /dev/null
[ "$(main)" != "$new" ] || fail "the main process is still $new"
killed="$(main)"
inside sh -c "kill -KILL $killed"
until_true inside sh -c "systemctl is-active -q ringway && [ \$(systemctl show -P MainPID ringway) != $killed ]"
until_true network curl -sf -o /dev/null http://127.0.0.1/

echo "== a token" >&2
printf 'secret' > "$work/token"
install -D -m 600 "$work/token" "$work/root/etc/credstore/ringway.token"
cp "$work/root/etc/ringway/ringway.toml" "$work/ringway.toml"
sed -i 's,^socket = .*,&\ntoken_file = "/run/credentials/ringway.service/ringway.token",' "$work/root/etc/ringway/ringway.toml"
inside systemctl restart ringway
network curl -sf -o /dev/null -H 'Authorization: Bearer secret' -H 'Content-Type: application/json' \
  -d '{"state": "drain"}' http://127.0.0.1:8404/api/v1/servers/app/web2 || fail "the token is not known"
inside ringway upgrade > /dev/null
rm -r "$work/root/etc/credstore"
cp "$work/ringway.toml" "$work/root/etc/ringway/ringway.toml"

echo "== another boot" >&2
power_off
boot
until_true network curl -sf -o /dev/null http://127.0.0.1/
inside ringway status | grep -q drain || fail "what operators set has not survived"

echo "== removal" >&2
inside apt-get remove -y -qq ringway > /dev/null 2>&1
inside test -e /etc/ringway/ringway.toml || fail "the configuration went with the program"
inside systemctl is-active -q ringway && fail "it still runs"
inside apt-get purge -y -qq ringway > /dev/null 2>&1
files > "$work/after"
diff "$work/before" "$work/after" >&2 || fail "purge leaves files"
for file in passwd group; do
  diff "$work/$file" "$work/root/etc/$file" >&2 || fail "purge leaves users"
done
[ -z "$(inside find /run -name '*ringway*')" ] || fail "purge leaves $(inside find /run -name '*ringway*')"
echo "the package is in order" >&2
