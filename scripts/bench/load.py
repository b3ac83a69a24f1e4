"""The loads: wrk as fast as it goes, oha at a fixed rate, connections that only stay open."""

import contextlib
import json
import shlex
import socket
import subprocess
from pathlib import Path

from running import HERE, TLS_NAME, StartFailed, exchange

ROOT = HERE.parent.parent
# Installed there by scripts/bench.sh, since Debian does not have it.
OHA = ROOT / "target" / "oha" / "bin" / "oha"


def wrk_command(port, path, connections, headers=(), script="summary.lua", seconds=1, tls=False):
    """One run of wrk; its script prints the line that is read back."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(HERE / script)]
    for header in headers:
        command += ["-H", header]
    return [*command, f"https://{TLS_NAME}:{port}{path}" if tls else f"http://127.0.0.1:{port}{path}"]


def run_wrk(command):
    """Runs wrk; returns the fields of the line that summary.lua prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            result = {key: int(value) for key, value in (pair.split("=") for pair in line.split()[1:])}
            result["errors"] = sum(result[kind] for kind in ("connect", "read", "write", "status", "timeout"))
            return result
    raise StartFailed(f"wrk gave no result: {(done.stdout + done.stderr).strip()[-400:]}")


def oha_command(port, path, connections, headers=(), rate=1, seconds=1):
    """One run of oha at so many requests a second.

    Latencies count from the moment when a request was due, not from when it was sent: a balancer
    that stalls is charged for those that had to wait meanwhile (coordinated omission).
    """
    command = [str(OHA), "--no-tui", "--output-format", "json", "--latency-correction", "--disable-compression",
               "-q", str(rate), "-c", str(connections), "-z", f"{seconds}s"]
    for header in headers:
        command += ["-H", header]
    return [*command, f"http://127.0.0.1:{port}{path}"]


def run_oha(command):
    """Runs oha; returns requests, seconds, errors and latencies in µs."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        result = json.loads(done.stdout)
    except ValueError as error:
        raise StartFailed(f"oha gave no result: {(done.stdout + done.stderr).strip()[-400:]}") from error
    good = result["statusCodeDistribution"].get("200", 0)
    # Requests that are still on their way when the time is up are no errors of the balancer.
    failed = sum(count for what, count in result["errorDistribution"].items() if "deadline" not in what)
    bad_status = sum(result["statusCodeDistribution"].values()) - good
    latencies = result["latencyPercentiles"]
    return {
        "requests": good,
        "duration_us": result["summary"]["total"] * 1e6,
        "errors": failed + bad_status,
        "p50_us": round(latencies["p50"] * 1e6),
        "p99_us": round(latencies["p99"] * 1e6),
        "p999_us": round(latencies["p99.9"] * 1e6),
    }


@contextlib.contextmanager
def held_open(port, count):
    """Sessions that exchanged one small message and wait from then on."""
    with contextlib.ExitStack() as stack:
        sessions = []
        for _ in range(count):
            sessions.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5)))
            exchange(sessions[-1])
        yield sessions
        for session in sessions[:1] + sessions[-1:]:
            exchange(session)


@contextlib.contextmanager
def stalled_readers(port, count, path):
    """Clients that ask for much and read nothing of it."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            reader = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            reader.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        yield


def shown(command, port):
    """A command as it is written into the results."""
    return shlex.join(map(str, command)).replace(f":{port}/", ":PORT/").replace(f"{ROOT}/", "")


def read_strace(path):
    """Calls by name out of a summary of `strace -c`."""
    calls = {}
    for line in Path(path).read_text().splitlines():
        fields = line.split()
        if len(fields) >= 5 and fields[0].replace(".", "").isdigit() and fields[-1] != "total":
            calls[fields[-1]] = int(fields[3])
    return calls
