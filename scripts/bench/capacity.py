"""Making the balancer the bottleneck, so that a run shows what one core carries.

Without a limit the core of the load is full first: the balancer waits for it, and gathers fewer events for each
call than under pressure. Two ways of limiting it, which must agree: a process that spins on its core takes half of
that (`spin`), or the CPU controller allows it a share of a core (`quota`).
"""

import contextlib
import subprocess
import sys
from pathlib import Path

WAYS = ("spin", "quota")
# Of one core, with the CPU controller.
QUOTA = 0.4
PERIOD_US = 100_000
CGROUP_V1 = Path("/sys/fs/cgroup/cpu")
CGROUP_V2 = Path("/sys/fs/cgroup")
NAME = "ringway-bench"


class NotPossible(Exception):
    """This machine can't limit a process in this way; the text says why."""


@contextlib.contextmanager
def spin(cpu):
    """A process of equal priority that wants all of the core."""
    command = ["taskset", "-c", str(cpu), sys.executable, "-c", "while True: pass"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
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
    return {"spin": spin, "quota": quota}[way](cpu)
