"""What is measured: each scenario with its load, its unit and the goal that ringway has in it."""

import collections
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import time
from dataclasses import dataclass, field

import capacity
import load
import machine
from running import StartFailed, exchange, two_writes_server

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
    # The HTTP server behind them.
    server: object
    # Folder of the loads that are built from benches/.
    examples: object
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


@contextlib.contextmanager
def on_cpus(pids, cpus):
    """Lets processes run on these CPUs for the time of the block; 0 is this one."""
    before = {pid: os.sched_getaffinity(pid) for pid in pids}
    for pid in pids:
        os.sched_setaffinity(pid, cpus)
    try:
        yield
    finally:
        for pid, allowed in before.items():
            os.sched_setaffinity(pid, allowed)


class Scenario:
    """How something is measured, for which balancers, and what ringway is to reach."""

    # What it needs beside the balancers and the load: names of requirements.py.
    NEEDS = ()

    def __init__(self, name, about, goals=(), http=False, only=None):
        self.name, self.about, self.goals, self.http, self.only = name, about, goals, http, only

    def takes(self, name):
        """Whether this balancer is measured: each mode has its own, and two workers only where asked."""
        plain = name.partition("+")[0]
        if self.only is not None:
            return plain in self.only
        return plain.endswith("-http") == self.http and not plain.endswith(("-2", "-all", "-tls", "-deny")) and plain != "direct"

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
        cpus = bench.balancers.cpus[:2] if self.two_cpus else None
        with bench.balancers.start(name, cpus) as balancer, \
                load.held_open(balancer.port, self.held), \
                load.stalled_readers(balancer.port, self.stalled, "/16m"):
            return self.sample(bench, balancer)

    def sample(self, bench, balancer, value=lambda row: row["cpu_us_per_request"], unit="µs/request"):
        """One run of wrk after a warm-up."""
        command = self.command(balancer, bench.seconds)
        bench.commands.add(load.shown(command, balancer.port))
        load.run(self.command(balancer, 1))
        load_cpu = bench.balancers.cpus[-1]
        before, (idle, ticks) = counted(balancer), machine.idle_and_all_ticks(load_cpu)
        result = load.run(command)
        idle_after, ticks_after = machine.idle_and_all_ticks(load_cpu)
        row = sample(balancer, before, result, value, unit)
        return row | {"load_idle": round((idle_after - idle) / max(ticks_after - ticks, 1), 3)}


class Handshakes(Requests):
    """CPU time for each connection with TLS, on which one request follows: client and server make the handshake, and
    the balancer relays it. Theirs costs ten times as much as its own, so it has time."""

    def command(self, balancer, seconds):
        return load.wrk_command(
            balancer.port, self.path, self.connections, self.headers, self.script, seconds, tls=True)

    def measure(self, bench, name):
        with bench.balancers.start(name, tls=True) as balancer:
            return self.sample(bench, balancer, unit="µs/connection")


class AtCapacity(Requests):
    """The same, with a balancer that is limited, so that it is the bottleneck."""

    @staticmethod
    def name_of(way, load_bound):
        """The first way has the short name."""
        return f"capacity-{load_bound.name}" + ("" if way == capacity.WAYS[0] else f"-{way}")

    def __init__(self, way, load_bound, goals):
        super().__init__(self.name_of(way, load_bound), load_bound.about, load_bound.path, load_bound.connections, headers=load_bound.headers,
                         goals=goals, http=load_bound.http, only=load_bound.only)
        self.way, self.load_bound = way, load_bound

    def measure(self, bench, name):
        with capacity.limited(self.way, bench.balancers.cpus[0]) as prefix, \
                bench.balancers.start(name, prefix=prefix) as balancer:
            return self.sample(bench, balancer)


class DayOne(Requests):
    """As everybody tries it first: balancer, load and server on all CPUs, with a worker for each."""

    def measure(self, bench, name):
        cpus = bench.balancers.cpus
        with on_cpus([0, *bench.server.pids()], cpus), bench.balancers.start(name, cpus) as balancer:
            return self.sample(bench, balancer, lambda row: 1e6 / max(row["requests_per_second"], 1), "µs/answer")


class FixedRate(Scenario):
    """The latency that 99 % of the requests stay below, at a rate that all can serve with ease, or at this one."""

    def __init__(self, name, about, path, connections, *, headers=(), rate=None, **options):
        super().__init__(name, about, **options)
        self.path, self.connections, self.headers = path, connections, headers
        self.rate, self.is_fixed = rate, rate is not None

    def prepare(self, bench, names):
        if self.is_fixed:
            return
        rates = {}
        for name in names:
            with bench.balancers.start(name) as balancer:
                command = load.wrk_command(balancer.port, self.path, self.connections, self.headers, seconds=2)
                result = load.run(command)
                rates[name] = result["requests"] * 1e6 / result["duration_us"]
        slowest = min(rates, key=rates.get)
        self.rate = round(rates[slowest] * RATE_SHARE, -2)
        bench.notices.append(f"{self.name}: {self.rate:.0f} requests a second, "
                             f"half of what {slowest} reached ({rates[slowest]:.0f})")

    def measure(self, bench, name):
        with bench.balancers.start(name) as balancer:
            load.run(self.command(bench, balancer, 1))
            return self.sample(bench, balancer)

    def command(self, bench, balancer, seconds):
        """The load on this balancer."""
        return load.rate_command(
            bench.examples, balancer.port, self.path, self.connections, self.headers, self.rate, seconds)

    def sample(self, bench, balancer, value=lambda row: row["p99_us"], unit="µs p99"):
        """One run, twice as long as the others: the percentiles are of rare requests."""
        command = self.command(bench, balancer, 2 * bench.seconds)
        bench.commands.add(load.shown(command, balancer.port))
        before = counted(balancer)
        return sample(balancer, before, load.run(command), value, unit)


class AfterSilence(FixedRate):
    """The latency of a request that comes after a second in which nothing happened: half of them stay below it."""

    def measure(self, bench, name):
        with bench.balancers.start(name) as balancer:
            return self.sample(bench, balancer, lambda row: row["p50_us"], "µs p50")


class BesideRefused(FixedRate):
    """The same as at a fixed rate, while so many connections a second of another client are refused. Its load is on the
    core of the other load and of the server, and delays those."""

    def __init__(self, *arguments, refused, **options):
        super().__init__(*arguments, **options)
        self.refused = refused

    def measure(self, bench, name):
        with bench.balancers.start(name) as balancer:
            load.run(self.command(bench, balancer, 1))
            command = load.refused_command(bench.examples, balancer.port, self.refused, 2 * bench.seconds + 1)
            bench.commands.add(load.shown(command, balancer.port))
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as refused:
                row = self.sample(bench, balancer)
                load.check_refused(refused.communicate()[0])
            return row


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

    NEEDS = ("strace",)

    def measure(self, bench, name):
        with bench.balancers.start(name) as balancer:
            load.run(self.command(balancer, 1))
            summary = balancer.directory / "strace.txt"
            targets = [word for pid in balancer.pids() for word in ("-p", str(pid))]
            tracer = subprocess.Popen(["strace", "-f", "-c", "-q", "-o", summary, *targets])
            try:
                before = counted(balancer)
                result = load.run(self.command(balancer, bench.seconds))
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

    NEEDS = ("valgrind",)

    def takes(self, name):
        return False
