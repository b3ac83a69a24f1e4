"""Starting, watching and stopping the programs of a measurement."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
START_DEADLINE = 10.0
STOP_DEADLINE = 3.0


class StartFailed(Exception):
    """A program did not answer through its port in time; the text says why."""


def free_port():
    """A port of the loopback address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fill(template, target, values):
    """Writes the template with every @KEY@ replaced, and returns the path written."""
    text = (HERE / template).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    target.write_text(text)
    return target


def exchange(connection, path="/100"):
    """One request over an open connection; returns when its whole answer was read."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.recv(65536)
        if not piece:
            raise OSError("closed before the answer was complete")
        answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise OSError(f"unexpected answer {head[:40]!r}")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            raise OSError("closed before the answer was complete")
        body += piece


class Program:
    """A started program, pinned to one CPU, with its children."""

    def __init__(self, name, command, port, cpu, directory):
        self.port = port
        self.cpu = cpu
        self.command = ["taskset", "-c", str(cpu), *map(str, command)]
        self.log_path = directory / f"{name}.log"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self):
        try:
            self.wait_until_it_answers()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_until_it_answers(self):
        """Returns once a whole HTTP exchange went through the port."""
        deadline = time.monotonic() + START_DEADLINE
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                    exchange(connection)
                return
            except OSError as error:
                reason = str(error)
            if self.process.poll() is not None:
                reason = f"ended with status {self.process.returncode}"
            elif time.monotonic() < deadline:
                time.sleep(0.005)
                continue
            said = self.log_path.read_text(errors="replace").strip()[-400:]
            raise StartFailed(f"{reason}; it said: {said or '(nothing)'}")

    def pids(self):
        """The process and all its descendants."""
        children = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parent = int(stat.rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += children.get(pid, [])
        return found

    def cpu_us(self):
        """CPU time of all threads of all its processes so far, and how long they waited for the CPU."""
        ran = waited = 0
        for pid in self.pids():
            for task in Path(f"/proc/{pid}/task").iterdir():
                fields = (task / "schedstat").read_text().split()
                ran += int(fields[0])
                waited += int(fields[1])
        return ran / 1000, waited / 1000

    def rss_bytes(self):
        """Resident memory, summed over its processes."""
        total = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1]) * 1024
        return total

    def stop(self):
        """Ends the program, so that it can reap its children, or by force when it lingers."""
        if self.process.poll() is not None:
            return
        pids = self.pids()
        self.process.terminate()
        try:
            self.process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()


def http_server(directory, cpu):
    """The nginx behind the balancers, with its files written below the directory."""
    www = directory / "www"
    www.mkdir()
    (www / "16k").write_bytes(b"k" * 16 * 1024)
    (www / "1m").write_bytes(b"m" * 1024 * 1024)
    port = free_port()
    values = {"LISTEN": port, "DIR": directory, "BODY100": "x" * 100}
    config = fill("nginx.conf", directory / "nginx.conf", values)
    return Program("nginx", nginx_command(config, directory), port, cpu, directory)


def nginx_command(config, directory):
    """The command that runs nginx with a configuration of ours and nothing of the system's."""
    return ["nginx", "-e", "stderr", "-p", directory, "-c", config]


class Balancers:
    """The balancers under test: how each is configured and started, in the order of a round."""

    # The baselines of benches/relays, which take no configuration.
    RELAYS = ["relay-floor", "relay-tokio", "relay-tokio-uring"]
    NAMES = ["ringway", "haproxy", "haproxy-splice", "nginx-stream", *RELAYS, "ringway-http", "haproxy-http"]

    def __init__(self, binary, directory, server_port, cpu):
        self.binary, self.directory = binary, directory
        self.server_port, self.cpu = server_port, cpu

    def template(self, name):
        """The configuration it runs with, a file beside this one."""
        kinds = {"ringway": "toml", "nginx": "conf", "haproxy": "cfg"}
        return f"{name}.{kinds[name.partition('-')[0]]}"

    def start(self, name):
        """A fresh process in front of the HTTP server; use it as a context."""
        port = free_port()
        command = self.command(name, port)
        if not shutil.which(str(command[0])):
            raise StartFailed(f"{command[0]} is not there")
        return Program(name, command, port, self.cpu, self.directory)

    def command(self, name, port):
        """What starts it on this port."""
        if name in self.RELAYS:
            relay = self.binary.parent / "examples" / name
            return [relay, f"127.0.0.1:{port}", f"127.0.0.1:{self.server_port}"]
        values = {"LISTEN": port, "SERVER": self.server_port, "DIR": self.directory}
        template = self.template(name)
        config = fill(template, self.directory / template, values)
        if name.startswith("ringway"):
            return [self.binary, "run", "-c", config]
        if name == "nginx-stream":
            return nginx_command(config, self.directory)
        return ["haproxy", "-db", "-f", config]
