#!/usr/bin/env bash
# Checks the manifests of this folder against the schemas of Kubernetes, unknown fields included, by
# kubernetes-validate of PyPI, which has the schemas of its version in it.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=1.37.0
tool="target/kubernetes-validate-$version"
if [ ! -x "$tool/bin/kubernetes-validate" ]; then
  python3 -c 'import ensurepip' 2>/dev/null || scripts/packages.sh "@/usr/share/doc/python3-venv:python3-venv"
  rm -rf "$tool"
  python3 -m venv "$tool"
  "$tool/bin/pip" install --quiet --disable-pip-version-check "kubernetes-validate==$version"
fi
"$tool/bin/kubernetes-validate" --strict --quiet scripts/kubernetes/*.yaml
echo "the manifests are valid for Kubernetes ${version%.*}"
