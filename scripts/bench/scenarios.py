"""What is measured: each scenario with its load, its unit and the goal that ringway has in it."""

import collections
import signal
import socket
import statistics
import subprocess
import time
from dataclasses import dataclass, field

import load
import machine
from running import StartFailed, exchange, two_writes_server

CLOSE = "Connection: close"
# The cookie that names the server in both configurations of HTTP mode.
COOKIE = "Cookie: theme=dark; SRV=w"
IDLE_SESSIONS = 8000
STALLED_READERS = 100
FIRST_ANSWERS = 200
# What a fixed rate is a share of: the throughput of the slowest.
RATE_SHARE = 0.5


@dataclass(frozen=True)
class Goal:
    """The most that ringway's value may be of another's; the best of several is the one that counts."""

    ratio: float
    against: tuple
    # Who is to reach it; in HTTP mode the one of this name with `-http`.
    own: str = "ringway"


@dataclass
class Bench:
    """What the scenarios of one measurement share."""

    balancers: object
    seconds: int
    # Commands that were run, as they are published.
    commands: set = field(default_factory=set)
    notices: list = field(default_factory=list)
    # (scenario, balancer) -> calls by name and requests, summed over the rounds.
    calls: dict = field(default_factory=dict)


def sample(balancer, before, result, value, unit):
    """One row of the results, from what was counted before a run and what the load tells of it."""
    ran, waited, sleeps, stolen = before
    ran_after, waited_after = balancer.cpu_us()
    seconds = result["duration_us"] / 1e6
    cpu_us = ran_after - ran
    row = {
        "value": 0,
        "unit": unit,
        "requests": result["requests"],
        "seconds": round(seconds, 3),
        "requests_per_second": round(result["requests"] / seconds) if seconds else 0,
        "cpu_us": round(cpu_us),
        "cpu_us_per_request": round(cpu_us / max(result["requests"], 1), 3),
        "disturbed_us": round(waited_after - waited + machine.stolen_us(balancer.cpus) - stolen),
        "sleeps": balancer.sleeps() - sleeps,
        "errors": result["errors"],
        "p50_us": result.get("p50_us", 0),
        "p99_us": result.get("p99_us", 0),
        "p999_us": result.get("p999_us", 0),
        "rss_bytes": balancer.rss_bytes(),
    }
    row["value"] = value(row) if callable(value) else value
    return row


def counted(balancer):
    """What is counted before a run."""
    return *balancer.cpu_us(), balancer.sleeps(), machine.stolen_us(balancer.cpus)


class Scenario:
    """How something is measured, for which balancers, and what ringway is to reach."""

    def __init__(self, name, about, goals=(), http=False, only=None):
        self.name, self.about, self.goals, self.http, self.only = name, about, goals, http, only

    def takes(self, name):
        """Whether this balancer is measured: each mode has its own, and two workers only where asked."""
        plain = name.partition("+")[0]
        if self.only is not None:
            return plain in self.only
        return plain.endswith("-http") == self.http and not plain.endswith("-2") and plain != "direct"

    def prepare(self, bench, names):
        """Once before the rounds."""

    def measure(self, bench, name):
        """One sample."""
        raise NotImplementedError


class Requests(Scenario):
    """CPU time for each request of wrk, which goes as fast as it can."""

    def __init__(self, name, about, path, connections, *, headers=(), script="summary.lua", held=0, stalled=0,
                 two_cpus=False, **options):
        super().__init__(name, about, **options)
        self.path, self.connections, self.headers, self.script = path, connections, headers, script
        self.held, self.stalled, self.two_cpus = held, stalled, two_cpus

    def command(self, balancer, seconds):
        """The load on this balancer."""
        return load.wrk_command(balancer.port, self.path, self.connections, self.headers, self.script, seconds)

    def measure(self, bench, name):
        with bench.balancers.start(name, two_cpus=self.two_cpus) as balancer, \
                load.held_open(balancer.port, self.held), \
                load.stalled_readers(balancer.port, self.stalled, "/16m"):
            command = self.command(balancer, bench.seconds)
            bench.commands.add(load.shown(command, balancer.port))
            load.run_wrk(self.command(balancer, 1))
            before = counted(balancer)
            result = load.run_wrk(command)
            return sample(balancer, before, result, lambda row: row["cpu_us_per_request"], "µs/request")


class FixedRate(Scenario):
    """The latency that 99 % of the requests stay below, at a rate that all can serve with ease."""

    def __init__(self, name, about, path, connections, *, headers=(), **options):
        super().__init__(name, about, **options)
        self.path, self.connections, self.headers = path, connections, headers
        self.rate = 0

    def prepare(self, bench, names):
        rates = {}
        for name in names:
            with bench.balancers.start(name) as balancer:
                command = load.wrk_command(balancer.port, self.path, self.connections, self.headers, seconds=2)
                result = load.run_wrk(command)
                rates[name] = result["requests"] * 1e6 / result["duration_us"]
        slowest = min(rates, key=rates.get)
        self.rate = round(rates[slowest] * RATE_SHARE, -2)
        bench.notices.append(f"{self.name}: {self.rate:.0f} requests a second, "
                             f"half of what {slowest} reached ({rates[slowest]:.0f})")

    def measure(self, bench, name):
        with bench.balancers.start(name) as balancer:
            def command(seconds):
                return load.oha_command(
                    balancer.port, self.path, self.connections, self.headers, int(self.rate), seconds)

            load.run_oha(command(1))
            before = counted(balancer)
            # Twice as long as the others: the percentiles are of rare requests.
            full = command(2 * bench.seconds)
            bench.commands.add(load.shown(full, balancer.port))
            result = load.run_oha(full)
            return sample(balancer, before, result, lambda row: row["p99_us"], "µs p99")


class FirstAnswer(Scenario):
    """How long the first answer takes from a server that writes head and body apart: half of the connections stay
    below it. Ringway's may be longer than HAProxy's by a millisecond."""

    def measure(self, bench, name):
        with two_writes_server() as server_port, bench.balancers.start(name, server_port=server_port) as balancer:
            before = counted(balancer)
            started = time.monotonic()
            times = []
            for _ in range(FIRST_ANSWERS):
                with socket.create_connection(("127.0.0.1", balancer.port), timeout=5) as connection:
                    asked = time.monotonic()
                    exchange(connection)
                    times.append((time.monotonic() - asked) * 1e6)
            percentiles = statistics.quantiles(times, n=100)
            result = {
                "requests": len(times), "duration_us": (time.monotonic() - started) * 1e6, "errors": 0,
                "p50_us": round(percentiles[49]), "p99_us": round(percentiles[98]),
            }
            return sample(balancer, before, result, lambda row: row["p50_us"], "µs p50")


class Idle(Scenario):
    """Resident memory for each session that exchanged one small message and waits."""

    def measure(self, bench, name):
        count = min(IDLE_SESSIONS, bench.balancers.sessions_max)
        with bench.balancers.start(name) as balancer:
            empty = balancer.rss_bytes()
            before = counted(balancer)
            with load.held_open(balancer.port, count):
                per_session = (balancer.rss_bytes() - empty) / count
                result = {"requests": count, "duration_us": 0, "errors": 0}
                return sample(balancer, before, result, per_session, "bytes/session")


class StartUp(Scenario):
    """Time from the start of the program to the end of the first exchange through it."""

    def measure(self, bench, name):
        with bench.balancers.start(name) as balancer:
            result = {"requests": 1, "duration_us": 0, "errors": 0}
            return sample(balancer, counted(balancer), result, balancer.started_after * 1000, "ms")


class Syscalls(Requests):
    """Calls into the kernel for each request. Tracing slows the balancer, so more events are
    gathered for each call than without."""

    def measure(self, bench, name):
        with bench.balancers.start(name) as balancer:
            load.run_wrk(self.command(balancer, 1))
            summary = balancer.directory / "strace.txt"
            targets = [word for pid in balancer.pids() for word in ("-p", str(pid))]
            tracer = subprocess.Popen(["strace", "-f", "-c", "-q", "-o", summary, *targets])
            try:
                before = counted(balancer)
                result = load.run_wrk(self.command(balancer, bench.seconds))
            finally:
                tracer.send_signal(signal.SIGINT)
                tracer.wait()
            calls = load.read_strace(summary)
            total = bench.calls.setdefault((self.name, name), (collections.Counter(), collections.Counter()))
            total[0].update(calls)
            total[1].update(requests=result["requests"])
            if not calls:
                raise StartFailed(f"strace saw no calls: {summary.read_text()[-200:]}")
            per_request = sum(calls.values()) / max(result["requests"], 1)
            return sample(balancer, before, result, per_request, "calls/request")


class Instructions(Scenario):
    """Counted once before the others, of the logic alone."""

    def takes(self, name):
        return False


HAPROXY = ("haproxy",)
EPOLL = "ringway-epoll"
SPLICING = ("haproxy-splice", "haproxy-forced")
WITH_COOKIE = ("haproxy-http",)
FLOOR = ("relay-floor",)
RIVALS = ("haproxy", "haproxy-splice", "haproxy-forced", "nginx-stream")
BOTH = ("ringway", "haproxy")

SCENARIOS = {scenario.name: scenario for scenario in [
    Requests("small-1", "100 B answers, 1 kept-alive connection", "/100", 1),
    Requests("small", "100 B answers, 64 kept-alive connections", "/100", 64,
             goals=(Goal(0.92, HAPROXY), Goal(1.05, FLOOR), Goal(0.95, HAPROXY, EPOLL))),
    Requests("small-1000", "100 B answers, 1,000 kept-alive connections", "/100", 1000),
    Requests("1k", "1 KB answers, 64 kept-alive connections", "/1k", 64),
    Requests("4k", "4 KB answers, 64 kept-alive connections", "/4k", 64),
    Requests("16k", "16 KB answers, 64 kept-alive connections", "/16k", 64, goals=(Goal(0.65, RIVALS),)),
    Requests("64k", "64 KB answers, 64 kept-alive connections", "/64k", 64),
    Requests("256k", "256 KB answers, 32 kept-alive connections", "/256k", 32),
    Requests("1m", "1 MB answers, 16 kept-alive connections", "/1m", 16,
             goals=(Goal(0.65, SPLICING), Goal(0.30, ("haproxy-splice",), EPOLL))),
    Requests("16m", "16 MB answers, 8 kept-alive connections", "/16m", 8, goals=(Goal(0.65, SPLICING),)),
    Requests("upload-1m", "1 MB uploads, 16 kept-alive connections", "/upload", 16, script="upload.lua"),
    Requests("churn", "100 B answers, a connection for each request, 64 at a time", "/100", 64, headers=[CLOSE],
             goals=(Goal(0.88, RIVALS), Goal(0.90, HAPROXY, EPOLL))),
    Requests("http-small", "HTTP mode, sticky cookie, 100 B answers, 64 kept-alive connections", "/100", 64,
             headers=[COOKIE], http=True, goals=(Goal(0.68, WITH_COOKIE), Goal(0.75, WITH_COOKIE, EPOLL))),
    Requests("http-churn", "HTTP mode, sticky cookie, a connection for each request, 64 at a time", "/100", 64,
             headers=[COOKIE, CLOSE], http=True),
    FixedRate("rate", "p99 of 100 B answers at a fixed rate, 64 kept-alive connections", "/100", 64,
              goals=(Goal(1.0, RIVALS),)),
    FixedRate("http-rate", "p99 of HTTP mode with a sticky cookie at a fixed rate, 64 kept-alive connections", "/100",
              64, headers=[COOKIE], http=True, goals=(Goal(1.0, WITH_COOKIE),)),
    Requests("stalled", f"as `small`, beside {STALLED_READERS} clients that asked for 16 MB and read nothing", "/100",
             64, stalled=STALLED_READERS, only=(*BOTH, "haproxy-splice", "nginx-stream")),
    FirstAnswer("first-answer", "p50 of the first answer of a server that writes head and body apart",
                only=(*BOTH, "ringway-http", "haproxy-http", "nginx-stream", "direct")),
    Idle("idle", "memory of an idle session, 8,000 open", goals=(Goal(0.15, RIVALS),)),
    StartUp("start-up", "from the start to the first answer"),
    *(Requests(f"open-{count}", f"as `small` with 10 connections, beside {count - 10:,} idle sessions", "/100", 10,
               held=count - 10, only=BOTH) for count in (10, 100, 1000, 8000)),
    *(Requests(f"open-{count}-churn", f"as `churn` with 10 connections, beside {count - 10:,} idle sessions", "/100",
               10, held=count - 10, headers=[CLOSE], only=BOTH) for count in (10, 100, 1000, 8000)),
    Requests("workers", "as `small` with 128 connections, one worker against two", "/100", 128, two_cpus=True,
             only=(*BOTH, "ringway-2", "haproxy-2")),
    Syscalls("calls-small", "calls into the kernel for each request of `small`", "/100", 64),
    Syscalls("calls-16k", "calls into the kernel for each request of `16k`", "/16k", 64),
    Syscalls("calls-1m", "calls into the kernel for each request of `1m`", "/1m", 16),
    Syscalls("calls-churn", "calls into the kernel for each request, and so connection, of `churn`", "/100", 64,
             headers=[CLOSE]),
    Syscalls("calls-http", "calls into the kernel for each request of `http-small`", "/100", 64, headers=[COOKIE],
             http=True),
    Instructions("instructions", "instructions of the logic alone, by open sessions (callgrind)"),
]}
