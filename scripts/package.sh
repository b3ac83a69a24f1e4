#!/usr/bin/env bash
# Makes a Debian package of the program, or with --tarball an archive of one static program for any Linux.
# Usage: package.sh [--program FILE] [--tarball]
#   --program FILE  packages this program instead of building one with the profile `dist`
# Prints the path of what it made, in target/package.
set -euo pipefail
cd "$(dirname "$0")/.."

program=
tarball=
while [ $# -gt 0 ]; do
  case "$1" in
    --program) program="$(realpath "$2")" && shift 2 ;;
    --tarball) tarball=yes && shift ;;
    *) sed -n '2,6s/^# //p' "$0" >&2 && exit 2 ;;
  esac
done

scripts/packages.sh dpkg-deb:dpkg dpkg-shlibdeps:dpkg-dev strip:binutils gzip:gzip >&2
version="$(sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)"
out=target/package
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
umask 022
mkdir -p "$out"

# What both have: the program, its pages and completions, the dashboard, the examples, below $1.
share() {
  install -D -m 755 -s "$program" "$1/bin/ringway"
  "$program" man "$1/share/man/man1"
  gzip -9n "$1"/share/man/man*/*
  install -d "$1/share/bash-completion/completions" "$1/share/zsh/vendor-completions" "$1/share/fish/vendor_completions.d"
  "$program" completions bash > "$1/share/bash-completion/completions/ringway"
  "$program" completions zsh > "$1/share/zsh/vendor-completions/_ringway"
  "$program" completions fish > "$1/share/fish/vendor_completions.d/ringway.fish"
  install -D -m 644 -t "$1/share/ringway/grafana" scripts/grafana/ringway.json
  "$program" schema > "$1/share/ringway/ringway.schema.json"
  "$program" openapi > "$1/share/ringway/ringway.openapi.json"
  install -D -m 644 -t "$1/share/doc/ringway/examples" scripts/package/examples/*.toml
  install -D -m 644 -t "$1/share/doc/ringway/examples/ha" scripts/ha/{ringway.toml,*.conf}
  install -m 755 -t "$1/share/doc/ringway/examples/ha" scripts/ha/{announce,resilient-routes}.sh
}

if [ -n "$tarball" ]; then
  [ -n "$program" ] || program="$(scripts/static.sh)"
  target="$(rustc -vV | sed -n 's/^host: //p')"
  name="ringway-$version-${target%%-*}-linux"
  share "$work/$name"
  install -m 644 -t "$work/$name" README.md LICENSE-APACHE LICENSE-MIT
  install -D -m 644 -t "$work/$name/systemd" scripts/systemd/*
  install -m 644 -t "$work/$name" scripts/package/ringway.toml
  tar -C "$work" --owner=0 --group=0 --sort=name -czf "$out/$name.tar.gz" "$name"
  echo "$out/$name.tar.gz"
  exit
fi

if [ -z "$program" ]; then
  cargo build --profile dist --bin ringway >&2
  program=target/dist/ringway
fi
arch="$(dpkg --print-architecture)"
root="$work/root"
share "$root/usr"
install -D -m 644 -t "$root/lib/systemd/system" scripts/systemd/ringway.service scripts/systemd/ringway.socket
install -D -m 644 scripts/systemd/ringway.sysusers "$root/usr/lib/sysusers.d/ringway.conf"
install -D -m 644 scripts/systemd/ringway.tmpfiles "$root/usr/lib/tmpfiles.d/ringway.conf"
install -D -m 644 -t "$root/etc/ringway" scripts/package/ringway.toml

doc="$root/usr/share/doc/ringway"
maintainer="$(git config user.name || echo Ringway) <$(git config user.email || echo ringway@localhost)>"
date="$(git log -1 --format=%cD 2>/dev/null || date -R)"
printf 'ringway (%s) unstable; urgency=medium\n\n  * Version %s.\n\n -- %s  %s\n' \
  "$version" "$version" "$maintainer" "$date" | gzip -9n > "$doc/changelog.gz"
{
  printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: ringway\n\n'
  printf 'Files: *\nCopyright: %s\nLicense: Apache-2.0 or Expat\n\n' "$(sed -n 's/^Copyright *(c) *//Ip' LICENSE-MIT)"
  printf 'License: Apache-2.0\n On Debian systems, the full text of the Apache License, Version 2.0, is in\n'
  printf ' /usr/share/common-licenses/Apache-2.0.\n\nLicense: Expat\n'
  sed -n '/^Permission/,$s/^$/./;/^Permission/,$s/^/ /p' LICENSE-MIT
} > "$doc/copyright"

mkdir -p "$work/shlibs/debian" "$root/DEBIAN"
printf 'Source: ringway\n\nPackage: ringway\nArchitecture: any\n' > "$work/shlibs/debian/control"
libraries="$(cd "$work/shlibs" && dpkg-shlibdeps -O "$root/usr/bin/ringway" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')"
cat > "$root/DEBIAN/control" <<EOF
Package: ringway
Version: $version
Architecture: $arch
Maintainer: $maintainer
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Pre-Depends: init-system-helpers (>= 1.54~)
Depends: $libraries, systemd
Section: net
Priority: optional
Description: layer-4 TCP load balancer on io_uring or epoll
 Ringway balances TCP connections, and HTTP ones by a sticky cookie, over
 servers that it checks and discovers. A reload and a new version lose no
 connection. It has a stats page, metrics for Prometheus and an HTTP API.
EOF
echo /etc/ringway/ringway.toml > "$root/DEBIAN/conffiles"
install -m 755 -t "$root/DEBIAN" scripts/package/postinst scripts/package/prerm scripts/package/postrm
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
deb="$out/ringway_${version}_$arch.deb"
dpkg-deb --root-owner-group --build "$root" "$deb" >/dev/null
echo "$deb"
