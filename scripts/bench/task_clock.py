"""How long a thread has run, by perf_event_open(2).

The kernel's own sums, as in /proc/PID/schedstat, are wrong where a process that wakes up takes the CPU from a thread
that is inside a call: that goes on until the call returns, and this time is charged to the process that woke up
(Linux 6.18 without preemption in the kernel; `rq_clock_skip_update`). One call of io_uring can last for 300 µs then,
one of epoll for 10, so that io_uring would look cheaper than it is, by up to a half. The clock of perf is read when
threads are switched.
"""

import contextlib
import ctypes
import errno
import os
import platform
import struct

# perf_event_open of the architectures that ringway is built for.
CALLS = {"x86_64": 298, "aarch64": 241}
TYPE_SOFTWARE = 1
COUNT_TASK_CLOCK = 1
# The first version of perf_event_attr.
ATTRIBUTE_BYTES = 64
ANY_CPU = -1
NO_GROUP = -1
CLOSE_ON_EXEC = 8


class NoClock(Exception):
    """The kernel refuses this user a clock, or this program does not know how to ask; the text says why."""


class TaskClocks:
    """Clocks of threads, each of which begins when it is first asked for."""

    def __init__(self):
        self.descriptors = {}

    def nanoseconds(self, thread):
        """How long this thread has run since it was first asked for, in nanoseconds.

        Raises NoClock, and OSError for a thread that has ended."""
        if thread not in self.descriptors:
            self.descriptors[thread] = begin(thread)
        return struct.unpack("Q", os.read(self.descriptors[thread], 8))[0]

    def close(self):
        """Ends them all."""
        for descriptor in self.descriptors.values():
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.descriptors.clear()


def begin(thread):
    """A descriptor of the clock of this thread."""
    attributes = struct.pack("IIQ", TYPE_SOFTWARE, ATTRIBUTE_BYTES, COUNT_TASK_CLOCK).ljust(ATTRIBUTE_BYTES, b"\0")
    call = CALLS.get(platform.machine())
    if call is None:
        raise NoClock(f"perf_event_open has no known number on {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(call, attributes, thread, ANY_CPU, NO_GROUP, CLOSE_ON_EXEC)
    if descriptor >= 0:
        return descriptor
    reason = ctypes.get_errno()
    if reason in (errno.ESRCH, errno.EMFILE, errno.ENFILE):
        raise OSError(reason, os.strerror(reason))
    raise NoClock(f"perf_event_open: {os.strerror(reason)}")
