#!/usr/bin/env python3
"""Makes seccomp.json: the default profile of Docker, and a rule for io_uring.

Usage: seccomp.py DEFAULT > seccomp.json

DEFAULT is the default profile of a Docker of version 25 or newer, none of which allows io_uring. Debian 13 has it in
the package golang-github-docker-docker-dev, as
/usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json; seccomp.json was made from that of
version 26.1.5, which is under the Apache License 2.0. No engine gives its own away: it is compiled in.
"""

import json
import sys

CALLS = ["io_uring_enter", "io_uring_register", "io_uring_setup"]

RULE = {
    "names": CALLS,
    "action": "SCMP_ACT_ALLOW",
    "comment": "For Ringway. What a program does through io_uring passes no rule of this profile: "
    "the kernel checks the program's rights only.",
}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        profile = json.load(file)
    for rule in profile["syscalls"]:
        if set(rule["names"]) & set(CALLS):
            sys.exit(f"{sys.argv[1]} has a rule for io_uring: take that of Docker 25 or newer")
    profile["syscalls"].append(RULE)
    json.dump(profile, sys.stdout, indent="\t")
    print()


if __name__ == "__main__":
    main()
