"""How the cost of the logic grows with the number of open sessions, in instructions.

A machine with few cores and ports can't hold a million connections, but the logic of their sessions
can be run without a kernel: by benches/logic_work, under callgrind, which counts the same every time.
"""

import subprocess
import sys

WORKS = ["request", "connection"]
SESSIONS = [10, 100, 1_000, 10_000, 100_000, 1_000_000]
# Every session of all but the last has its turn. Together it takes about a minute.
OPERATIONS = 200_000


def counted(program, work, sessions, operations):
    """Instructions of one run of the program, its start and end included."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
               str(program), work, str(sessions), str(operations)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stderr.splitlines():
        # ==PID== Collected : COUNT
        _, mark, count = line.partition("Collected : ")
        if mark and done.returncode == 0:
            return int(count)
    sys.exit(f"callgrind counted nothing: {done.stderr.strip()[-400:]}")


def instructions(examples):
    """Rows of work, open sessions and instructions for each operation.

    What twice as many operations cost more is the cost of the operations alone.
    """
    rows = []
    for work in WORKS:
        for sessions in SESSIONS:
            once, twice = (
                counted(examples / "logic-work", work, sessions, operations)
                for operations in (OPERATIONS, 2 * OPERATIONS))
            rows.append({"work": work, "sessions": sessions, "instructions": (twice - once) / OPERATIONS})
            print(f"  {work:15} {sessions:9,} sessions {rows[-1]['instructions']:10,.1f} instructions", flush=True)
    return rows


def table(rows):
    """Works by open sessions, and how it was counted."""
    counts = list(dict.fromkeys(row["sessions"] for row in rows))
    lines = [["Operation", *(f"{count:,}" for count in counts)], ["---", *("---:" for _ in counts)]]
    for work in dict.fromkeys(row["work"] for row in rows):
        of_work = {row["sessions"]: row["instructions"] for row in rows if row["work"] == work}
        lines.append([work, *(f"{of_work[count]:,.0f}" for count in counts)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + f"""
What {2 * OPERATIONS:,} operations take more than {OPERATIONS:,}, divided. `request`: a small request and its answer;
`connection`: accept, choose one of ten servers, connect, one request, end. Each in a turn of the loop of its own, every
10 µs. Timers of the other sessions that run out meanwhile are counted too: the more sessions, the more of them.
"""
