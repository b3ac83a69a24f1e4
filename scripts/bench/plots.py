"""Plots of a summary, as SVG."""

try:
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot
except ImportError:
    # Everything but the plots works without.
    pyplot = None

COLORS = {
    "ringway": "#0b6e4f", "ringway-http": "#0b6e4f", "ringway-epoll": "#5aa98a", "ringway-epoll-http": "#5aa98a", "haproxy": "#c1440e", "haproxy-http": "#c1440e",
    "haproxy-splice": "#e39a63", "haproxy-forced": "#f2c9a8", "nginx-stream": "#4464ad", "relay-floor": "#8a8a8a",
    "relay-tokio": "#b5b5b5", "relay-tokio-uring": "#d6d6d6",
}


def finish(figure, directory, name):
    """Writes the figure, the same bytes for the same numbers."""
    figure.tight_layout()
    figure.savefig(directory / name, metadata={"Date": None})
    pyplot.close(figure)
    return name


def bars(directory, name, title, summary, scenarios, column, relative):
    """Groups of bars, a group for each scenario, a bar for each balancer, with the spread of the rounds."""
    balancers = list(dict.fromkeys(
        balancer for scenario in scenarios for balancer in summary.of(scenario) if balancer in COLORS))
    figure, axes = pyplot.subplots(figsize=(max(6, 1.1 * len(scenarios) + 2), 4.2))
    width = 0.85 / len(balancers)
    for index, balancer in enumerate(balancers):
        places, heights, below, above = [], [], [], []
        for place, scenario in enumerate(scenarios):
            cell = summary.of(scenario).get(balancer)
            if cell is None:
                continue
            unit = summary.reference(scenario).median(column) if relative else 1
            values = sorted(run[column] / unit for run in cell.runs.values())
            median = cell.median(column) / unit
            places.append(place + (index - (len(balancers) - 1) / 2) * width)
            heights.append(median)
            below.append(median - values[0])
            above.append(values[-1] - median)
        axes.bar(places, heights, width, yerr=(below, above), label=balancer, color=COLORS[balancer],
                 error_kw={"lw": 0.6, "ecolor": "#333333"})
    axes.set_xticks(range(len(scenarios)), scenarios, rotation=30, ha="right")
    if relative:
        axes.axhline(1, color="#c1440e", lw=0.7)
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=7, ncols=4, frameon=False)
    axes.margins(y=0.2)
    return title, finish(figure, directory, name)


def sweep(directory, summary):
    """Cost by open sessions."""
    title = "µs of CPU for each request (solid) and connection (dashed), by open sessions"
    figure, axes = pyplot.subplots(figsize=(6, 3.6))
    for balancer in ("ringway", "haproxy"):
        for ending, style in (("", "-"), ("-churn", "--")):
            points = []
            for scenario in summary.scenarios():
                kind, _, count = scenario.removesuffix("-churn").partition("-")
                cell = summary.of(scenario).get(balancer)
                if kind == "open" and cell and scenario.endswith("-churn") == bool(ending):
                    points.append((int(count), cell.median()))
            if points:
                axes.plot(*zip(*sorted(points)), style, marker="o", ms=3, color=COLORS[balancer],
                          label=balancer + ending)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("open sessions", fontsize=8)
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=7, frameon=False)
    return title, finish(figure, directory, "sweep.svg")


def draw(directory, summary, known):
    """Draws what was measured; returns pairs of title and file name."""
    if pyplot is None:
        return []
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "ringway", "font.size": 8})
    drawn = []
    timed = [
        name for name in summary.scenarios()
        if next(iter(summary.of(name).values())).unit == "µs/request" and known[name].only is None
        and summary.reference(name)
    ]
    if timed:
        drawn.append(bars(directory, "cpu.svg", "CPU time for each request, HAProxy = 1 (lower is better)",
                          summary, timed, "value", relative=True))
        drawn.append(bars(directory, "throughput.svg", "Requests per second, HAProxy = 1 (higher is better)",
                          summary, timed, "requests_per_second", relative=True))
    rates = [name for name in summary.scenarios() if next(iter(summary.of(name).values())).unit == "µs p99"]
    if rates:
        drawn.append(bars(directory, "latency.svg", "p99 at a fixed rate, µs (lower is better)",
                          summary, rates, "p99_us", relative=False))
    if any(name.startswith("open-") for name in summary.scenarios()):
        drawn.append(sweep(directory, summary))
    return drawn
