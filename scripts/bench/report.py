"""From samples to tables and files."""

import csv
import statistics

COLUMNS = [
    "scenario", "round", "balancer", "value", "unit", "requests", "seconds", "requests_per_second",
    "cpu_us", "disturbed_us", "errors", "p50_us", "p99_us",
]
# What a balancer is compared with: the one of these that took part in the scenario.
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
- `idle` counts resident memory of processes only: neither sockets' memory in the kernel nor what ringway's
  rings take there is seen.
- On a virtual machine neighbours disturb; look at the spread before believing a difference. `disturbed_us`
  in raw.csv is how long the balancer's threads were ready but had no CPU, taken by the host or by others;
  it is no part of their CPU time, but cold caches afterwards are.
"""


def summarise(samples):
    """Rows of (scenario, balancer, unit, median, low, high, ratio, rate, remarks), in order of appearance."""
    values = {}
    for sample in samples:
        key = (sample["scenario"], sample["balancer"])
        values.setdefault(key, {})[sample["round"]] = sample
    rows = []
    for (scenario, balancer), runs in values.items():
        numbers = [run["value"] for run in runs.values()]
        references = (values.get((scenario, name)) for name in REFERENCES)
        reference = next(filter(None, references), {})
        ratios = [
            run["value"] / reference[number]["value"]
            for number, run in runs.items()
            if number in reference and reference[number]["value"]
        ]
        remarks = []
        bad = sum(1 for run in runs.values() if run["errors"])
        if bad:
            remarks.append(f"{bad} of {len(runs)} runs with errors")
        disturbed = statistics.median(run["disturbed_us"] / max(run["cpu_us"], 1) for run in runs.values())
        if disturbed > DISTURBED:
            remarks.append(f"waited {disturbed:.0%} for its CPU")
        rows.append((
            scenario, balancer, next(iter(runs.values()))["unit"],
            statistics.median(numbers), min(numbers), max(numbers),
            statistics.median(ratios) if ratios else None,
            statistics.median(run["requests_per_second"] for run in runs.values()),
            "; ".join(remarks),
        ))
    return rows


def table(rows):
    """The summary as a Markdown table."""
    lines = [
        "| Scenario | Balancer | Median | Unit | Low | High | Spread | To haproxy | Requests/s | Remarks |",
        "| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for scenario, balancer, unit, median, low, high, ratio, rate, remarks in rows:
        spread = f"{(high - low) / median:.0%}" if median else ""
        against = f"{ratio:.2f}" if ratio is not None else ""
        per_second = f"{rate:,.0f}" if rate else ""
        digits = 1 if unit == "µs/request" else 0
        lines.append(
            f"| {scenario} | {balancer} | {median:,.{digits}f} | {unit} | {low:,.{digits}f} | {high:,.{digits}f} "
            f"| {spread} | {against} | {per_second} | {remarks} |"
        )
    return "\n".join(lines) + "\n"


def write(directory, samples, facts, invocation, commands, notices):
    """Writes README.md, raw.csv and summary.md into the directory."""
    with (directory / "raw.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(samples)
    rows = table(summarise(samples))
    (directory / "summary.md").write_text(
        "Lower is better, but for requests/s. The ratio is the median of the ratios of the rounds.\n\n" + rows
    )
    parts = ["# Ringway and its rivals\n", rows, "## Machine\n"]
    parts.append("\n".join(f"- {label}: {value}" for label, value in facts) + "\n")
    parts.append("## Commands\n")
    parts.append("```\n" + "\n".join([invocation, *commands]) + "\n```\n")
    parts.append("The configurations are those of `scripts/bench/` at this revision.\n")
    if notices:
        parts.append("## Left out\n\n" + "\n".join(f"- {notice}" for notice in notices) + "\n")
    parts.append("## What is unfair\n\n" + UNFAIR)
    (directory / "README.md").write_text("\n".join(parts))
