"""Making the balancer the bottleneck, so that a run shows what one core carries.

Without a limit the core of the load is full first: the balancer waits for it, and gathers fewer events for each
call than under pressure. Two ways of limiting it: a real-time process that takes 600 of every 1,000 µs of its core
(`pulse`), or the CPU controller, which allows it a share (`quota`).

The turns have to be short. What 64 connections can ask at once is some 0.6 ms of work: a balancer that has the core
for longer than that answers it and then waits for the load, as without a limit. So a process that spins at equal
priority limits nothing, since turns last a tick, 4 ms with 250 Hz. A quota is enforced at ticks, too: where few
connections are open the balancer still waits in between, and `waits` marks that.
"""

import contextlib
import subprocess
import sys
from pathlib import Path

WAYS = ("pulse", "quota")
# What the real-time process does, over and over, in µs.
PULSE_US, PAUSE_US = 600, 400
# Of one core, with the CPU controller, in the shortest period that it takes for this share.
QUOTA = 0.4
PERIOD_US = 2_500
CGROUP_V1 = Path("/sys/fs/cgroup/cpu")
CGROUP_V2 = Path("/sys/fs/cgroup")
NAME = "ringway-bench"
# The load's core must have had this share of its time left, and the balancer may have gone to sleep so often in each
# millisecond of its own CPU time.
LOAD_IDLE_MIN = 0.05
SLEEPS_MAX = 0.2
PULSE = f"""
import os, time
try:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
except PermissionError:
    pass
clock, sleep = time.perf_counter, time.sleep
while True:
    end = clock() + {PULSE_US}e-6
    while clock() < end:
        pass
    sleep({PAUSE_US}e-6)
"""


class NotPossible(Exception):
    """This machine can't limit a process in this way; the text says why."""


@contextlib.contextmanager
def pulse(cpu):
    """A process that takes the core for moments, also without the right to real-time priority, though less of it."""
    command = ["taskset", "-c", str(cpu), sys.executable, "-c", PULSE]
    # In a session of its own: the scheduler shares a core between sessions (`sched_autogroup_enabled`).
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            yield []
        finally:
            process.kill()


@contextlib.contextmanager
def quota(_cpu):
    """A control group with a share of a core."""
    is_v1 = (CGROUP_V1 / "cpu.cfs_quota_us").exists() or (CGROUP_V1 / "cgroup.procs").exists()
    group = (CGROUP_V1 if is_v1 else CGROUP_V2) / NAME
    allowed = round(QUOTA * PERIOD_US)
    try:
        group.mkdir(exist_ok=True)
        if is_v1:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(allowed))
        else:
            (group / "cpu.max").write_text(f"{allowed} {PERIOD_US}")
    except OSError as error:
        with contextlib.suppress(OSError):
            group.rmdir()
        raise NotPossible(f"no share of a CPU can be set in {group.parent}: {error.strerror}") from error
    try:
        yield ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs")]
    finally:
        # Its processes have ended.
        group.rmdir()


def limited(way, cpu):
    """A context in which a program that is started with the words that it gives before its command is limited."""
    return {"pulse": pulse, "quota": quota}[way](cpu)


def waits(row):
    """Why a run was not at capacity, in words for a reader, or nothing."""
    found = []
    if row["load_idle"] < LOAD_IDLE_MIN:
        found.append(f"the load's core was idle for {row['load_idle']:.0%} only")
    sleeps_per_ms = row["sleeps"] * 1000 / max(row["cpu_us"], 1)
    if sleeps_per_ms > SLEEPS_MAX:
        found.append(f"the balancer waited {sleeps_per_ms:.2f} times in each ms of its CPU time")
    return found
