"""Starting, watching and stopping the programs of a measurement."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

from task_clock import NoClock, TaskClocks

HERE = Path(__file__).resolve().parent
START_DEADLINE = 10.0
STOP_DEADLINE = 3.0
# What clients with TLS ask for; it is also a name of the host.
TLS_NAME = "localhost"


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


def connect(port, timeout=5, tls=False):
    """A connection, with TLS whose certificate is not looked at if that is asked for."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    if not tls:
        return connection
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname=TLS_NAME)


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
    """A started program, pinned to CPUs, with its children."""

    def __init__(self, name, command, port, cpus, directory, prefix=(), tls=False):
        self.port = port
        # Whether its port speaks TLS.
        self.tls = tls
        self.cpus = cpus
        self.directory = directory
        self.command = [*prefix, "taskset", "-c", ",".join(map(str, cpus)), *map(str, command)]
        self.log_path = directory / f"{name}.log"
        # Seconds from the start to the end of the first exchange.
        self.started_after = None
        # None where the kernel refuses them.
        self.clocks = TaskClocks()
        self.started_at = time.monotonic()
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
        deadline = self.started_at + START_DEADLINE
        while True:
            try:
                with connect(self.port, 1, self.tls) as connection:
                    exchange(connection)
                self.started_after = time.monotonic() - self.started_at
                return
            except OSError as error:
                reason = str(error)
            if self.process.poll() is not None:
                reason = f"ended with status {self.process.returncode}"
            elif time.monotonic() < deadline:
                time.sleep(0.0005)
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
        """CPU time of all threads of all its processes, since this was asked first, and how long they waited for the
        CPU."""
        ran = waited = 0
        for pid in self.pids():
            for task in Path(f"/proc/{pid}/task").iterdir():
                fields = (task / "schedstat").read_text().split()
                ran += self.ran_ns(int(task.name), int(fields[0]))
                waited += int(fields[1])
        return ran / 1000, waited / 1000

    def ran_ns(self, thread, schedstat_ns):
        """How long a thread has run, by the better clock if the kernel lends it."""
        if self.clocks is not None:
            try:
                return self.clocks.nanoseconds(thread)
            except NoClock as error:
                print(f"CPU time by schedstat, which is wrong where others take the CPU: {error}", file=sys.stderr)
                self.clocks.close()
                self.clocks = None
        return schedstat_ns

    def sleeps(self):
        """How often threads of its processes have waited so far."""
        total = 0
        for pid in self.pids():
            for task in Path(f"/proc/{pid}/task").iterdir():
                for line in (task / "status").read_text().splitlines():
                    if line.startswith("voluntary_ctxt_switches:"):
                        total += int(line.split()[1])
        return total

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
        if self.clocks is not None:
            self.clocks.close()
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


class Direct:
    """No balancer: the server behind them, so that its own part of a delay is known."""

    def __init__(self, port, cpus):
        self.port, self.cpus = port, cpus

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def cpu_us(self):
        """As that of a program."""
        return 0, 0

    def sleeps(self):
        """As that of a program."""
        return 0

    def rss_bytes(self):
        """As that of a program."""
        return 0


def serve_in_two_writes(connection):
    """Answers requests of a connection until its end, as many small servers do: the body is written after the head,
    and the kernel keeps it back until the head is acknowledged (Nagle's algorithm)."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    with connection, contextlib.suppress(OSError):
        request = b""
        while True:
            piece = connection.recv(65536)
            if not piece:
                return
            request += piece
            if request.endswith(b"\r\n\r\n"):
                connection.sendall(head)
                connection.sendall(b"x" * 100)
                request = b""


@contextlib.contextmanager
def two_writes_server():
    """A server that writes head and body apart; gives its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        def accept():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=serve_in_two_writes, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        # Ends the thread, which closing alone would not.
        listener.shutdown(socket.SHUT_RDWR)


def http_server(directory, cpu, tls_port=None):
    """The nginx behind the balancers, with its files written below the directory; without a port for TLS, a HAProxy
    that answers with 100 B, which starts at once."""
    port = free_port()
    values = {"LISTEN": port, "TLS": tls_port, "DIR": directory, "BODY100": "x" * 100}
    if tls_port is None:
        config = fill("haproxy-server.cfg", directory / "haproxy-server.cfg", values)
        return Program("server", ["haproxy", "-db", "-f", config], port, [cpu], directory)
    www = directory / "www"
    www.mkdir()
    for name, kib in (("1k", 1), ("4k", 4), ("16k", 16), ("64k", 64), ("256k", 256), ("1m", 1024), ("16m", 16384)):
        (www / name).write_bytes(b"k" * kib * 1024)
    make_certificate(directory)
    config = fill("nginx.conf", directory / "nginx.conf", values)
    return Program("nginx", nginx_command(config, directory), port, [cpu], directory)


def make_certificate(directory):
    """Writes key.pem and certificate.pem, of a curve whose handshakes cost the server little."""
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2",
         "-subj", f"/CN={TLS_NAME}", "-keyout", directory / "key.pem", "-out", directory / "certificate.pem"],
        check=True, capture_output=True)


def nginx_command(config, directory):
    """The command that runs nginx with a configuration of ours and nothing of the system's."""
    return ["nginx", "-e", "stderr", "-p", directory, "-c", config]


class Balancers:
    """The balancers under test: how each is configured and started, in the order of a round."""

    # The baselines of benches/relays, which take no configuration.
    RELAYS = ["relay-floor", "relay-tokio", "relay-tokio-uring"]
    NAMES = ["ringway", "haproxy", "haproxy-splice", "haproxy-forced", "nginx-stream", *RELAYS, "ringway-http",
             "ringway-epoll", "ringway-epoll-http", "haproxy-http", "ringway-2", "haproxy-2",
             "ringway-tls", "ringway-epoll-tls", "haproxy-tls", "ringway-deny", "ringway-epoll-deny", "haproxy-deny", "ringway-all", "ringway-epoll-all", "haproxy-all", "nginx-stream-all", "direct"]
    # Descriptors that a balancer needs besides those of its sessions.
    RESERVED_FILES = 2000

    def __init__(self, binary, variants, directory, server_port, tls_port, cpus):
        self.binary, self.variants, self.directory = binary, variants, directory
        self.server_port, self.tls_port, self.cpus = server_port, tls_port, cpus

    @property
    def sessions_max(self):
        """Open sessions for which every balancer has descriptors."""
        return (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - self.RESERVED_FILES) // 2

    def start(self, name, cpus=None, server_port=None, prefix=(), tls=False):
        """A fresh process in front of the HTTP server, or of another one; use it as a context.

        It runs on the first CPU unless others are given. The prefix are words before its command. With `tls`, or if
        it reads TLS itself, it is in front of the port of the HTTP server that speaks TLS.
        """
        tls = tls or name.partition("+")[0].endswith("-tls")
        if tls and self.tls_port is None:
            raise StartFailed("the server of a quick measurement speaks no TLS")
        server_port = server_port or (self.tls_port if tls else self.server_port)
        if name == "direct":
            return Direct(server_port, self.cpus[:1])
        port = free_port()
        command = self.command(name, port, server_port)
        if not shutil.which(str(command[0])):
            raise StartFailed(f"{command[0]} is not there")
        return Program(name, command, port, cpus or self.cpus[:1], self.directory, prefix, tls)

    def workers(self, mode):
        """A mode without its ending, and the number of workers that this means."""
        rest, _, ending = mode.rpartition("-")
        counts = {"2": 2, "all": len(self.cpus)}
        return (rest, counts[ending]) if ending in counts else (mode, 1)

    def command(self, name, port, server_port):
        """What starts it on this port, in front of a server."""
        if name in self.RELAYS:
            relay = self.binary.parent / "examples" / name
            return [relay, f"127.0.0.1:{port}", f"127.0.0.1:{server_port}"]
        engine = ["--engine", "epoll"] if "-epoll" in name else []
        kind, _, mode = name.partition("+")[0].replace("-epoll", "").partition("-")
        mode, workers = self.workers(mode)
        template = f"{kind}-{mode}" if mode else kind
        template += {"ringway": ".toml", "nginx": ".conf", "haproxy": ".cfg"}[kind]
        values = {"LISTEN": port, "SERVER": server_port, "DIR": self.directory, "WORKERS": workers}
        config = fill(template, self.directory / template, values)
        if kind == "ringway":
            return [self.variants.get(name, self.binary), "run", "-c", config, *engine]
        if kind == "nginx":
            return nginx_command(config, self.directory)
        return ["haproxy", "-db", "-f", config]
