"""What a reader must know of the machine, and the one setting of it that a measurement changes."""

import contextlib
import os
import platform
import subprocess
from pathlib import Path


CONGESTION_CONTROL = Path("/proc/sys/net/ipv4/tcp_congestion_control")


def output_of(*command):
    """What a command prints, on either stream, or a remark that it can't be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return f"({error.strerror})"
    return (done.stdout + done.stderr).strip()


def facts(binary):
    """Pairs of label and value for the head of the report."""
    model = [line.split(":", 1)[1].strip() for line in output_of("lscpu").splitlines() if line.startswith("Model name")]
    memory = Path("/proc/meminfo").read_text().split()[1]
    return [
        ("CPU", f"{model[0] if model else 'unknown'}, {len(os.sched_getaffinity(0))} usable"),
        ("memory", f"{int(memory) // 1024} MiB"),
        ("kernel", platform.release()),
        ("congestion control", CONGESTION_CONTROL.read_text().strip()),
        ("revision", output_of("git", "rev-parse", "HEAD")),
        ("ringway", output_of(str(binary), "--version") or "(says no version)"),
        ("rustc", output_of("rustc", "--version")),
        ("haproxy", output_of("haproxy", "-v").splitlines()[0]),
        ("nginx", output_of("nginx", "-v")),
        ("wrk", output_of("wrk", "-v").splitlines()[0]),
    ]


def tree_is_dirty():
    """Whether the sources differ from the commit; results of earlier runs do not count."""
    return bool(output_of("git", "status", "--porcelain", "--", ".", ":!bench-results"))


def stolen_us(cpus):
    """How long the host has kept these CPUs from the virtual machine so far."""
    names = {f"cpu{cpu}" for cpu in cpus}
    lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    ticks = sum(int(fields[8]) for fields in lines if fields[0] in names)
    return ticks * 1_000_000 / os.sysconf("SC_CLK_TCK")


def idle_and_all_ticks(cpu):
    """Ticks that a CPU was idle so far, and all of its ticks."""
    lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    ticks = next([int(field) for field in fields[1:9]] for fields in lines if fields[0] == f"cpu{cpu}")
    return ticks[3] + ticks[4], sum(ticks)


@contextlib.contextmanager
def congestion_control(wanted):
    """Sets the system's congestion control for the time of the block, when it may."""
    before = CONGESTION_CONTROL.read_text().strip()
    changed = False
    if before != wanted:
        try:
            CONGESTION_CONTROL.write_text(wanted)
            changed = True
        except OSError as error:
            print(f"congestion control stays {before}: {error.strerror}")
    try:
        yield
    finally:
        if changed:
            CONGESTION_CONTROL.write_text(before)
