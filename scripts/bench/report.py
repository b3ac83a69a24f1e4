"""From samples to tables and files."""

import csv
import statistics
from dataclasses import dataclass, field

import capacity
import plots
import scaling
from catalog import SCENARIOS
from scenarios import AtCapacity

COLUMNS = [
    "scenario", "round", "balancer", "value", "unit", "requests", "seconds", "requests_per_second",
    "cpu_us", "cpu_us_per_request", "disturbed_us", "sleeps", "errors", "p50_us", "p99_us", "p999_us", "rss_bytes",
    "load_idle",
]
# What a balancer is compared with: the first of these that took part in the scenario.
REFERENCES = ["haproxy", "haproxy-http"]
# Share of the balancer's CPU time that it spent waiting for its CPU, above which a cell is remarked on.
DISTURBED = 0.05

UNFAIR = """\
- Client, server and balancer share one machine and talk over loopback: no network card, no driver, no
  interrupt moderation. What is compared is the balancer's own CPU time, not what a host in service reaches.
- wrk and nginx share one core, the balancer has the other alone. Where the load core is the bottleneck, the
  balancer idles between events and gathers fewer of them per wake-up than under full load.
- The clock counts the kernel's work on behalf of the balancer's threads, packets processed in their
  context included. A balancer that sends in larger pieces moves some of that work to the other core.
- Each balancer runs as its users get it: default buffers (HAProxy and nginx 16 KiB), one thread or worker,
  no access log, the same timeouts. HAProxy and nginx can be tuned for bulk transfers, ringway's buffers too.
- Ringway was developed on this kind of machine with these scenarios in view; its rivals were not.
- The load is closed-loop but for the fixed rates: wrk asks again when it was answered, so its p50 and p99 say how
  long the queue at the load's core is as much as what the balancer adds. Only `rate` and `http-rate` count from the
  moment when a request was due.
- Where one core carries the load, the first in requests per second is whoever leaves the most of the kernel's work
  to its own core.
- `workers` on a machine with two CPUs has the load on one of the workers' CPUs.
- Calls into the kernel are counted by strace, which slows the balancer: events gather, and fewer calls bring them.
- `idle` counts resident memory of processes only: neither sockets' memory in the kernel nor what ringway's
  rings take there is seen.
- On a virtual machine neighbours disturb; look at the spread before believing a difference. `disturbed_us`
  in raw.csv is how long the balancer's threads were ready but had no CPU, taken by the host or by others;
  it is no part of their CPU time, but cold caches afterwards are.
"""


@dataclass
class Results:
    """What a measurement has found, and under which circumstances."""

    samples: list
    # Pairs of label and value.
    facts: list
    invocation: str
    commands: list
    notices: list
    calls: dict
    instructions: list


@dataclass
class Cell:
    """The samples of one balancer in one scenario."""

    scenario: str
    balancer: str
    runs: dict = field(default_factory=dict)

    def median(self, column="value"):
        """Over the rounds."""
        return statistics.median(run[column] for run in self.runs.values())

    @property
    def unit(self):
        """Of the value."""
        return next(iter(self.runs.values()))["unit"]

    @property
    def low(self):
        """The least value."""
        return min(run["value"] for run in self.runs.values())

    @property
    def high(self):
        """The greatest value."""
        return max(run["value"] for run in self.runs.values())

    def ratio(self, other, column="value"):
        """The median over the rounds of what this is to another in the same round, or None."""
        ratios = [
            run[column] / other.runs[number][column]
            for number, run in self.runs.items()
            if other and number in other.runs and other.runs[number][column]
        ]
        return statistics.median(ratios) if ratios else None

    def remarks(self):
        """What a reader must know before believing the median."""
        found = []
        bad = sum(1 for run in self.runs.values() if run["errors"])
        if bad:
            found.append(f"{bad} of {len(self.runs)} runs with errors")
        disturbed = statistics.median(
            run["disturbed_us"] / run["cpu_us"] if run["cpu_us"] else 0 for run in self.runs.values())
        found += self.waits()
        # At capacity all wait for their CPU.
        if not isinstance(SCENARIOS[self.scenario], AtCapacity) and self.unit == "µs/request" and disturbed > DISTURBED:
            found.append(f"waited {disturbed:.0%} for its CPU")
        return "; ".join(found)

    def waits(self):
        """Why it was not at capacity, if that was to be."""
        if not isinstance(SCENARIOS[self.scenario], AtCapacity):
            return []
        return capacity.waits({column: self.median(column) for column in ("load_idle", "sleeps", "cpu_us")})


class Summary:
    """All cells, in order of appearance."""

    def __init__(self, samples):
        self.cells = {}
        for sample in samples:
            key = (sample["scenario"], sample["balancer"])
            self.cells.setdefault(key, Cell(*key)).runs[sample["round"]] = sample

    def scenarios(self):
        """Their names."""
        return list(dict.fromkeys(scenario for scenario, _ in self.cells))

    def of(self, scenario):
        """The cells of one scenario by balancer."""
        return {balancer: cell for (name, balancer), cell in self.cells.items() if name == scenario}

    def reference(self, scenario):
        """The cell that others are compared with, or None."""
        cells = self.of(scenario)
        return next((cells[name] for name in REFERENCES if name in cells), None)


def markdown(header, rows, left=1):
    """A table; the first columns are words, the others numbers."""
    align = ["---" if index < left else "---:" for index in range(len(header))]
    lines = (f"| {' | '.join(map(str, row))} |" for row in [header, align, *rows])
    return "\n".join(lines) + "\n"


def number(value, digits=2):
    """A number for a table, or nothing."""
    return "" if value is None else f"{value:,.{digits}f}"


def table(summary):
    """Every cell in a row of its own."""
    rows = []
    for (scenario, balancer), cell in summary.cells.items():
        digits = 0 if cell.median() >= 1000 or cell.unit == "bytes/session" else 2 if cell.unit == "calls/request" else 1
        rows.append([
            scenario, balancer, cell.unit, number(cell.median(), digits), number(cell.low, digits),
            number(cell.high, digits), f"{(cell.high - cell.low) / cell.median():.0%}" if cell.median() else "",
            number(cell.ratio(summary.reference(scenario))), number(cell.median("requests_per_second") or None, 0),
            number(cell.median("p50_us") or None, 0), number(cell.median("p99_us") or None, 0),
            number(cell.median("p999_us") or None, 0), cell.remarks(),
        ])
    header = ["Scenario", "Balancer", "Unit", "Median", "Low", "High", "Spread", "To haproxy", "Requests/s",
              "p50 µs", "p99 µs", "p99.9 µs", "Remarks"]
    return markdown(header, rows, left=3)


def best_rival(summary, cell):
    """The cheapest of the others that are no relays, or None."""
    rivals = [other for other in summary.of(cell.scenario).values() if other.balancer.startswith(("haproxy", "nginx"))]
    return min(rivals, key=Cell.median, default=None)


def mark(cell):
    """Behind a number that was not measured at capacity."""
    return " †" if cell.waits() else ""


def capacity_rows(summary):
    """What one core carries: a row for each scenario at capacity and each balancer."""
    rows = []
    for (name, balancer), cell in summary.cells.items():
        scenario = SCENARIOS[name]
        if not isinstance(scenario, AtCapacity) or scenario.way != capacity.WAYS[0]:
            continue
        rival = best_rival(summary, cell)
        other_ways = [summary.cells.get((AtCapacity.name_of(way, scenario.load_bound), balancer))
                      for way in capacity.WAYS[1:]]
        rows.append([
            scenario.about, balancer, number(cell.median(), 1) + mark(cell), number(cell.ratio(rival)),
            *(number(other.ratio(best_rival(summary, other))) + mark(other) if other else "" for other in other_ways),
            number(cell.median("requests_per_second"), 0), number(cell.ratio(rival, "requests_per_second")),
            number(cell.median("p99_us"), 0),
        ])
    return rows


CAPACITY_HEADER = ["Work", "Balancer", "CPU, µs/request", "to the best rival", "with the quota", "Requests/s", "to its",
                   "p99, µs"]


def short(summary):
    """The table of a quick measurement."""
    rows = [[*row[:4], *row[5:]] for row in capacity_rows(summary)]
    header = [*CAPACITY_HEADER[:4], *CAPACITY_HEADER[5:]]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = ["  ".join(word.ljust(width) if column < 2 else word.rjust(width)
                       for column, (word, width) in enumerate(zip(row, widths))) for row in [header, *rows]]
    return "\n".join(lines) + f"\n\n{CAPACITY_SHORT}"


CAPACITY_SHORT = f"""\
One core, of which a real-time process takes {capacity.PULSE_US} of every {capacity.PULSE_US + capacity.PAUSE_US:,} µs, so
that the balancer is the bottleneck. †: it was not; the load's core was idle for less than {capacity.LOAD_IDLE_MIN:.0%}, or
the balancer went to sleep more often than {capacity.SLEEPS_MAX} times in a ms of its CPU time.
"""

CAPACITY = f"""\
The balancer is the bottleneck: a real-time process takes {capacity.PULSE_US} of every
{capacity.PULSE_US + capacity.PAUSE_US:,} µs of its core, or (*with the quota*) the CPU controller allows it
{capacity.QUOTA:.0%} of a core, in periods of {capacity.PERIOD_US / 1000} ms. So a request's CPU time is what it costs when
events gather. That the balancer is the bottleneck is seen from outside: the load's core is idle for
{capacity.LOAD_IDLE_MIN:.0%} of the time or more (`load_idle` in raw.csv), and the balancer goes to sleep at most
{capacity.SLEEPS_MAX} times in a ms of its own CPU time. †: it was not so; such a number is not one of capacity. Where neither way has a mark, both must
agree within noise. Requests/s are no measure of a core here: the real-time process waits until a call into the kernel has
ended, and one of io_uring lasts longer, so that io_uring gets more
of the core. p99 is mostly the
wait for the core.

"""


def matrix(summary, names, entry):
    """Scenarios by balancers; `entry` makes the text of a cell."""
    names = [name for name in names if name in summary.scenarios()]
    balancers = list(dict.fromkeys(balancer for name in names for balancer in summary.of(name)))
    rows = []
    for name in names:
        cells = summary.of(name)
        rows.append([f"`{name}`", *(entry(cells[balancer]) if balancer in cells else "" for balancer in balancers)])
    return markdown(["Scenario", *balancers], rows) if rows else ""


def goals(summary):
    """What ringway was to reach, and what it did."""
    rows = []
    for name in summary.scenarios():
        cells = summary.of(name)
        for goal in SCENARIOS[name].goals:
            own = cells.get(goal.own) or cells.get(f"{goal.own}-http")
            rivals = [cells[rival] for rival in goal.against if rival in cells]
            if not own or not rivals:
                continue
            best = min(rivals, key=Cell.median)
            ratio = own.ratio(best)
            rows.append([SCENARIOS[name].about, own.balancer, best.balancer, number(own.median(), 1) + mark(own),
                         number(best.median(), 1) + mark(best),
                         own.unit, number(goal.ratio), number(ratio), "yes" if ratio <= goal.ratio else "**no**"])
    return markdown(["Scenario", "Who", "Against", "Its value", "It", "Unit", "Asked", "Ratio", "Held"], rows, left=3)


def calls(results):
    """Which calls into the kernel a request takes."""
    rows = []
    for (scenario, balancer), (by_name, counts) in results.calls.items():
        shares = ((count / counts["requests"], name) for name, count in by_name.items())
        told = [f"{name} {share:.2f}" for share, name in sorted(shares, reverse=True) if share >= 0.005]
        total = sum(by_name.values()) / counts["requests"]
        rows.append([f"`{scenario}`", balancer, ", ".join(told), f"{total:.2f}"])
    return markdown(["Scenario", "Balancer", "Calls for each request", "Together"], rows, left=3) if rows else ""


def two_workers(summary):
    """How much more a request costs with two workers."""
    cells = summary.of("workers")
    found = []
    for name in ("ringway", "haproxy"):
        if name in cells and f"{name}-2" in cells:
            ratio = cells[f"{name}-2"].ratio(cells[name])
            found.append(f"- {name}: two to one {ratio:.2f} in CPU time for each request")
    return "\n".join(found) + "\n" if found else ""


def write(directory, results):
    """Writes README.md, raw.csv, summary.md and the plots into the directory."""
    with (directory / "raw.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(results.samples)
    summary = Summary(results.samples)
    (directory / "summary.md").write_text(
        "Lower is better, but for requests/s. The ratio is the median of the ratios of the rounds.\n\n"
        + table(summary)
    )
    timed = [name for name in summary.scenarios() if next(iter(summary.of(name).values())).unit == "µs/request"]
    rates = [name for name in summary.scenarios() if next(iter(summary.of(name).values())).unit == "µs p99"]
    others = [name for name in summary.scenarios() if name not in [*timed, *rates]]
    drawn = plots.draw(directory, summary, SCENARIOS)

    def against(cell):
        ratio = cell.ratio(summary.reference(cell.scenario))
        return f"{number(cell.median(), 1)} ({number(ratio)})" if ratio is not None else number(cell.median(), 1)

    at_capacity = capacity_rows(summary)
    sections = [
        ("At capacity", CAPACITY + markdown(CAPACITY_HEADER, at_capacity, left=2) if at_capacity else ""),
        ("Goals", "The ratio is the median of those of the rounds, to the best of the rivals that a goal names.\n\n"
         + goals(summary) if summary.cells else ""),
        ("Plots", "\n".join(f"![{title}]({file})" for title, file in drawn) + "\n" if drawn else ""),
        ("CPU time for each request", "µs, medians; in parentheses to HAProxy in its default configuration.\n\n"
         + matrix(summary, timed, against) if timed else ""),
        ("Requests per second", matrix(summary, timed, lambda cell: number(cell.median("requests_per_second"), 0))),
        ("Waits for each request", "How often a thread of the balancer went to sleep.\n\n" + matrix(
            summary, timed, lambda cell: number(cell.median("sleeps") / max(cell.median("requests"), 1)))
         if timed else ""),
        ("p50 / p99 of the closed loop", "µs.\n\n" + matrix(
            summary, timed, lambda cell: f"{number(cell.median('p50_us'), 0)} / {number(cell.median('p99_us'), 0)}")
         if timed else ""),
        ("p50 / p99 / p99.9 at a fixed rate", "µs, corrected for coordinated omission.\n\n" + matrix(
            summary, rates, lambda cell: " / ".join(
                number(cell.median(column), 0) for column in ("p50_us", "p99_us", "p999_us"))) if rates else ""),
        ("Memory, start, calls", "Bytes a session, ms, calls a request.\n\n" + matrix(summary, others, against)
         if others else ""),
        ("Two workers", two_workers(summary)),
        ("Calls into the kernel", calls(results)),
        ("Instructions of the logic alone", "Counted by callgrind, for each operation, by open sessions.\n\n"
         + scaling.table(results.instructions) if results.instructions else ""),
        ("Scenarios", "\n".join(f"- `{name}`: {SCENARIOS[name].about}" for name in summary.scenarios()) + "\n"
         if summary.cells else ""),
        ("Machine", "\n".join(f"- {label}: {value}" for label, value in results.facts) + "\n"),
        ("Commands", "```\n" + "\n".join([results.invocation, *results.commands]) + "\n```\n\n"
         "The configurations are those of `scripts/bench/` at this revision. Every cell: "
         "[summary.md](summary.md); every sample: [raw.csv](raw.csv).\n"),
        ("Notices", "\n".join(f"- {notice}" for notice in results.notices) + "\n" if results.notices else ""),
        ("What is unfair", UNFAIR),
    ]
    text = "\n".join(f"## {title}\n\n{body}" for title, body in sections if body)
    (directory / "README.md").write_text("# Ringway and its rivals\n\n" + text)
