"""The loads: wrk as fast as it goes, one at a fixed rate, connections that only stay open."""

import contextlib
import shlex
import socket
import subprocess
from pathlib import Path

from running import HERE, TLS_NAME, StartFailed, exchange

ROOT = HERE.parent.parent


def wrk_command(port, path, connections, headers=(), script="summary.lua", seconds=1, tls=False):
    """One run of wrk; its script prints the line that is read back."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(HERE / script)]
    for header in headers:
        command += ["-H", header]
    return [*command, f"https://{TLS_NAME}:{port}{path}" if tls else f"http://127.0.0.1:{port}{path}"]


def run(command):
    """Runs wrk, or a load that prints the same line; returns the fields of the line that summary.lua prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            result = {key: int(value) for key, value in (pair.split("=") for pair in line.split()[1:])}
            result["errors"] = sum(result[kind] for kind in ("connect", "read", "write", "status", "timeout"))
            return result
    raise StartFailed(f"{command[0]} gave no result: {(done.stdout + done.stderr).strip()[-400:]}")


def rate_command(examples, port, path, connections, headers=(), rate=1, seconds=1):
    """One run at so many requests a second, of benches/load/rate.rs in the folder of built examples: the kernel
    measures the latencies, and what a balancer stalls counts (coordinated omission)."""
    return [examples / "load-rate", f"127.0.0.1:{port}", path, str(int(rate)), str(connections), str(seconds), *headers]


def refused_command(examples, port, rate, seconds):
    """So many connections a second from an address that the configurations `-deny` refuse."""
    return [examples / "load-refused", f"127.0.0.1:{port}", "127.0.0.9", str(rate), str(seconds)]


def check_refused(printed):
    """Takes what such a run printed.

    Raises StartFailed if a connection was not reset.
    """
    counts = {key: int(value) for key, value in (pair.split("=") for pair in printed.split())}
    if counts.get("otherwise") != 0 or counts["opened"] != counts["reset"]:
        raise StartFailed(f"not all connections were refused: {printed.strip() or '(nothing)'}")


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
    return shlex.join(map(str, command)).replace(f":{port}", ":PORT").replace(f"{ROOT}/", "")


def read_strace(path):
    """Calls by name out of a summary of `strace -c`."""
    calls = {}
    for line in Path(path).read_text().splitlines():
        fields = line.split()
        if len(fields) >= 5 and fields[0].replace(".", "").isdigit() and fields[-1] != "total":
            calls[fields[-1]] = int(fields[3])
    return calls
