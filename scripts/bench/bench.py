#!/usr/bin/env python3
"""Measures what a balancer costs: CPU time for each request, memory for each idle session.

The balancer is alone on one core, wrk and the nginx behind it share another. Rounds are
interleaved (A B C, A B C), so that a disturbance of the machine meets all alike, and each sample
has a process of its own that is warmed up first. Called through scripts/bench.sh.
"""

import argparse
import datetime
import os
import resource
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import machine
import report
from running import HERE, Balancers, StartFailed, exchange, http_server

ROOT = HERE.parent.parent
IDLE_SESSIONS = 8000
# Descriptors that a balancer needs besides those of its sessions.
RESERVED_FILES = 2000
CLOSE = "Connection: close"
# The cookie that names the server in both configurations of HTTP mode.
COOKIE = "Cookie: theme=dark; SRV=w"
# Name -> path, connections, headers.
WRK_SCENARIOS = {
    "small": ("/100", 64, []),
    "16k": ("/16k", 64, []),
    "1m": ("/1m", 16, []),
    "churn": ("/100", 64, [CLOSE]),
    "http-small": ("/100", 64, [COOKIE]),
    "http-churn": ("/100", 64, [COOKIE, CLOSE]),
}
SCENARIOS = [*WRK_SCENARIOS, "idle"]


def names_of(known):
    """A parser for a comma-separated list out of the known names."""

    def parse(text):
        names = [name for name in text.split(",") if name]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"`{name}` is none of {', '.join(known)}")
        return names

    return parse


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="samples for each cell (default %(default)s)")
    parser.add_argument("--seconds", type=int, default=5, help="length of a wrk run (default %(default)s)")
    parser.add_argument("--only", type=names_of(Balancers.NAMES), default=Balancers.NAMES,
                        metavar="NAME,...", help=f"of {', '.join(Balancers.NAMES)}")
    parser.add_argument("--scenario", type=names_of(SCENARIOS), default=SCENARIOS,
                        metavar="NAME,...", help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument("--binary", type=Path, help="measure this ringway instead of building one")
    parser.add_argument("--name", help="ending of the results' folder (default: the short revision)")
    parser.add_argument("--dry", action="store_true",
                        help="write to a temporary folder; allowed with uncommitted changes")
    return parser.parse_args()


def build():
    """Builds the release binary; returns its path even when that failed, for the notice later."""
    subprocess.run(["cargo", "build", "--release", "--quiet", "--bins", "--examples"], cwd=ROOT, check=False)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target.resolve() / "release" / "ringway"


def takes_part(name, scenario):
    """Whether the balancer is measured in this scenario: each mode has its own."""
    return name.endswith("-http") == scenario.startswith("http-")


def wrk_command(port, path, connections, headers, seconds):
    """The load of one run."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(HERE / "summary.lua")]
    for header in headers:
        command += ["-H", header]
    return [*command, f"http://127.0.0.1:{port}{path}"]


def run_wrk(command):
    """Runs wrk; returns the fields of the line that summary.lua prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return {key: int(value) for key, value in (pair.split("=") for pair in line.split()[1:])}
    raise StartFailed(f"wrk gave no result: {(done.stdout + done.stderr).strip()[-400:]}")


def measure_requests(balancer, scenario, seconds):
    """CPU time of the balancer for each request of a wrk run, after a warm-up."""
    path, connections, headers = WRK_SCENARIOS[scenario]
    run_wrk(wrk_command(balancer.port, path, connections, headers, 1))
    ran_before, waited_before = balancer.cpu_us()
    stolen_before = machine.stolen_us(balancer.cpu)
    result = run_wrk(wrk_command(balancer.port, path, connections, headers, seconds))
    ran, waited = balancer.cpu_us()
    cpu_us = ran - ran_before
    disturbed_us = waited - waited_before + machine.stolen_us(balancer.cpu) - stolen_before
    seconds = result["duration_us"] / 1e6
    return {
        "value": cpu_us / max(result["requests"], 1),
        "unit": "µs/request",
        "requests": result["requests"],
        "seconds": round(seconds, 3),
        "requests_per_second": round(result["requests"] / seconds),
        "cpu_us": round(cpu_us),
        "disturbed_us": round(disturbed_us),
        "errors": sum(result[kind] for kind in ("connect", "read", "write", "status", "timeout")),
        "p50_us": result["p50_us"],
        "p99_us": result["p99_us"],
    }


def measure_idle(balancer, count):
    """Growth of resident memory for each session that exchanged one small message and waits."""
    before = balancer.rss_bytes()
    sessions, errors = [], 0
    try:
        for _ in range(count):
            session = socket.create_connection(("127.0.0.1", balancer.port), timeout=5)
            sessions.append(session)
            exchange(session)
        after = balancer.rss_bytes()
        for session in (sessions[0], sessions[-1]):
            exchange(session)
    except OSError as error:
        print(f"    after {len(sessions)} sessions: {error}")
        after, errors = balancer.rss_bytes(), 1
    finally:
        for session in sessions:
            session.close()
    return {
        "value": (after - before) / max(len(sessions), 1),
        "unit": "bytes/session",
        "requests": len(sessions),
        "seconds": 0,
        "requests_per_second": 0,
        "cpu_us": 0,
        "disturbed_us": 0,
        "errors": errors,
        "p50_us": 0,
        "p99_us": 0,
    }


def those_that_start(balancers, names):
    """The balancers that answer here, and a notice for each that does not."""
    running, notices = [], []
    for name in names:
        try:
            with balancers.start(name):
                running.append(name)
        except StartFailed as error:
            notices.append(f"{name}: {error}")
            print(f"left out: {notices[-1]}", file=sys.stderr)
    return running, notices


def measure(options, balancers, names):
    """All samples, round by round."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    idle_sessions = min(IDLE_SESSIONS, (hard - RESERVED_FILES) // 2)
    samples = []
    for scenario in options.scenario:
        for number in range(1, options.rounds + 1):
            for name in names:
                if not takes_part(name, scenario):
                    continue
                with balancers.start(name) as balancer:
                    if scenario == "idle":
                        sample = measure_idle(balancer, idle_sessions)
                    else:
                        sample = measure_requests(balancer, scenario, options.seconds)
                samples.append({"scenario": scenario, "round": number, "balancer": name, **sample})
                mark = f"   ERRORS: {sample['errors']}" if sample["errors"] else ""
                print(f"  {scenario:10} {number:2} {name:15} {sample['value']:10.1f} {sample['unit']}{mark}", flush=True)
    return samples


def results_directory(options):
    """Where the results go; refuses to publish what no commit describes."""
    if options.dry:
        return Path(tempfile.mkdtemp(prefix="ringway-bench-results-"))
    if machine.tree_is_dirty():
        sys.exit("the tree has uncommitted changes: commit them, or use --dry")
    name = options.name or machine.output_of("git", "rev-parse", "--short", "HEAD")
    directory = ROOT / "bench-results" / f"{datetime.date.today()}-{name}"
    if directory.exists():
        sys.exit(f"{directory} exists: choose another --name")
    return directory


def main():
    """One measurement from the first check to the written results."""
    options = arguments()
    os.chdir(ROOT)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = results_directory(options)
    binary = options.binary.resolve() if options.binary else build()
    cpus = sorted(os.sched_getaffinity(0))
    balancer_cpu, load_cpu = cpus[0], cpus[-1]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    with tempfile.TemporaryDirectory(prefix="ringway-bench-", dir="/dev/shm") as scratch, \
            machine.congestion_control("cubic"):
        facts = machine.facts(binary)
        os.sched_setaffinity(0, {load_cpu})
        scratch = Path(scratch)
        # nginx's workers run as another user when it was started by root.
        scratch.chmod(0o755)
        with http_server(scratch, load_cpu) as server:
            balancers = Balancers(binary, scratch, server.port, balancer_cpu)
            names, notices = those_that_start(balancers, options.only)
            if not names:
                sys.exit("nothing to measure")
            samples = measure(options, balancers, names)
            commands = [
                shlex.join(wrk_command("PORT", *WRK_SCENARIOS[scenario], options.seconds)).replace(f"{ROOT}/", "")
                for scenario in options.scenario if scenario in WRK_SCENARIOS
            ]
    if balancer_cpu == load_cpu:
        notices.append("only one CPU: the balancer shared it with the load")
    facts.append(("CPUs", f"balancer on {balancer_cpu}, wrk and nginx on {load_cpu}"))
    facts.append(("rounds", f"{options.rounds}, {options.seconds} s each after 1 s of warm-up"))
    directory.mkdir(parents=True, exist_ok=True)
    invocation = shlex.join(["scripts/bench.sh", *sys.argv[1:]])
    report.write(directory, samples, facts, invocation, commands, notices)
    print("\n" + report.table(report.summarise(samples)))
    print(f"written to {directory}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
