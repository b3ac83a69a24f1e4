"""What a measurement needs of this machine, installed when it is missing."""

import subprocess

from running import HERE

ROOT = HERE.parent.parent
# As scripts/packages.sh takes them.
PACKAGES = {
    "wrk": "wrk:wrk",
    "haproxy": "haproxy:haproxy",
    "nginx": "nginx:nginx",
    "nginx-stream": "@/usr/lib/nginx/modules/ngx_stream_module.so:libnginx-mod-stream",
    "openssl": "openssl:openssl",
    "strace": "strace:strace",
    "valgrind": "valgrind:valgrind",
}


def of(scenarios, names, quick):
    """Names of what these scenarios need with these balancers."""
    needed = {"wrk"} | {need for scenario in scenarios for need in scenario.NEEDS}
    for name in names:
        if not any(scenario.takes(name) for scenario in scenarios):
            continue
        if name.startswith("haproxy"):
            needed.add("haproxy")
        if name.startswith("nginx"):
            needed.update(("nginx", "nginx-stream"))
    # The server behind the balancers.
    needed.update(("haproxy",) if quick else ("nginx", "openssl"))
    return needed


def install(needed):
    """Installs what is missing of it, and says so."""
    packages = [PACKAGES[name] for name in PACKAGES if name in needed]
    subprocess.run([ROOT / "scripts" / "packages.sh", *packages], check=True)
