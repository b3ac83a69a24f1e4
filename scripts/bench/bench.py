#!/usr/bin/env python3
"""Measures ringway against its rivals, and against relays that do nothing else.

The balancer is on one core, the load and the server behind it share the last one. In a `capacity-...` scenario the
balancer is limited, so that it is the bottleneck; in the others the load is. Rounds are interleaved, each in an order
of its own, so that a disturbance of the machine meets all alike, and each sample has a process of its own that is
warmed up first. Called through scripts/bench.sh.
"""

import argparse
import datetime
import os
import random
import resource
import shlex
import signal
import sys
import tempfile
import time
from pathlib import Path

import building
import capacity
import machine
import report
import requirements
import scaling
from catalog import QUICK, SCENARIOS
from running import HERE, Balancers, StartFailed, free_port, http_server
from scenarios import Bench

ROOT = HERE.parent.parent


def names_of(known):
    """A parser for a comma-separated list out of the known names."""

    def parse(text):
        names = [name for name in text.split(",") if name]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"`{name}` is none of {', '.join(known)}")
        return names

    return parse


def variant(text):
    """A parser for NAME=PATCH and NAME=COMMIT."""
    name, _, source = text.partition("=")
    if not name or not source:
        raise argparse.ArgumentTypeError(f"`{text}` is not NAME=PATCH or NAME=COMMIT")
    if Path(source).is_file():
        return name, Path(source).resolve()
    commit = building.commit(ROOT, source)
    if commit is None:
        raise argparse.ArgumentTypeError(f"`{source}` is neither a file nor a commit")
    return name, commit


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="*", choices=[[], *SCENARIOS], metavar="SCENARIO",
                        help=f"what to measure (default: everything): {', '.join(SCENARIOS)}")
    parser.add_argument("--quick", action="store_true",
                        help=f"ringway and HAProxy at capacity, in three minutes and without nginx: {', '.join(QUICK)}; "
                             "implies --dry")
    parser.add_argument("--rounds", type=int, default=7, help="samples for each cell (default %(default)s)")
    parser.add_argument("--seconds", type=int, default=2, help="length of a run (default %(default)s)")
    parser.add_argument("--only", type=names_of(Balancers.NAMES), default=Balancers.NAMES,
                        metavar="NAME,...", help=f"who takes part, of {', '.join(Balancers.NAMES)}")
    parser.add_argument("--variant", type=variant, action="append", default=[], metavar="NAME=SOURCE",
                        help="also measure ringway with this patch applied, or of this commit, as ringway+NAME and "
                             "the like, for those that take part")
    parser.add_argument("--name", help="ending of the results' folder (default: the short revision)")
    parser.add_argument("--dry", action="store_true",
                        help="write to a temporary folder; allowed with uncommitted changes")
    options = parser.parse_args()
    if options.quick:
        options.dry = True
        options.scenario = options.scenario or list(QUICK)
        if options.only == Balancers.NAMES:
            options.only = ["ringway", "ringway-http", "haproxy", "haproxy-http"]
    options.scenario = options.scenario or list(SCENARIOS)
    return options


def those_that_start(balancers, names):
    """The balancers that answer here, and a notice for each that does not."""
    running, notices = [], []
    for name in names:
        try:
            with balancers.start(name):
                running.append(name)
        except StartFailed as error:
            notices.append(f"{name}: {error}")
            print(f"left out: {notices[-1]}", file=sys.stderr)
    return running, notices


class Progress:
    """How many samples of all are taken, and about how long the others take."""

    def __init__(self, total):
        self.total, self.begun, self.started = total, 0, time.monotonic()

    def step(self):
        """A sample begins."""
        self.begun += 1

    def __str__(self):
        left = (time.monotonic() - self.started) / self.begun * (self.total - self.begun)
        minutes, seconds = divmod(round(left), 60)
        return f"[{self.begun}/{self.total}, {minutes}:{seconds:02} left]"


def measure(options, bench, names):
    """All samples, scenario by scenario and round by round."""
    samples = []
    scenarios = [SCENARIOS[name] for name in options.scenario]
    progress = Progress(options.rounds * sum(scenario.takes(name) for scenario in scenarios for name in names))
    for scenario in scenarios:
        taking_part = [name for name in names if scenario.takes(name)]
        if len(taking_part) > 0:
            scenario.prepare(bench, taking_part)
        for number in range(1, options.rounds + 1):
            # The same orders in every measurement.
            for name in random.Random(f"{scenario.name} {number}").sample(taking_part, len(taking_part)):
                progress.step()
                try:
                    sample = scenario.measure(bench, name)
                except (StartFailed, OSError, capacity.NotPossible) as error:
                    # One that breaks down costs its own sample, not those of an hour.
                    bench.notices.append(f"{scenario.name}, round {number}: {name} gave no sample: {error}")
                    print(f"   {bench.notices[-1]}", file=sys.stderr, flush=True)
                    continue
                samples.append({"scenario": scenario.name, "round": number, "balancer": name, **sample})
                mark = f"   ERRORS: {sample['errors']}" if sample["errors"] else ""
                print(f"  {progress} {scenario.name:24} {number:2} {name:18} {sample['value']:10.1f} {sample['unit']}{mark}",
                      flush=True)
    return samples


def results_directory(options):
    """Where the results go; refuses to publish what no commit describes."""
    if options.dry:
        return Path(tempfile.mkdtemp(prefix="ringway-bench-results-"))
    if machine.tree_is_dirty():
        sys.exit("the tree has uncommitted changes: commit them, or use --dry")
    name = options.name or machine.output_of("git", "rev-parse", "--short", "HEAD")
    directory = ROOT / "bench-results" / f"{datetime.date.today()}-{name}"
    if directory.exists():
        sys.exit(f"{directory} exists: choose another --name")
    return directory


def main():
    """One measurement from the first check to the written results."""
    options = arguments()
    os.chdir(ROOT)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        sys.exit("a measurement takes two CPUs, one for the balancer and one for the load: there is only one")
    directory = results_directory(options)
    scenarios = [SCENARIOS[name] for name in options.scenario]
    requirements.install(requirements.of(scenarios, options.only, options.quick))
    binary = building.dist(ROOT, baselines=not options.quick)
    # Of those who take part.
    own = [name for name in options.only
           if name in (f"ringway{engine}{mode}" for engine in ("", "-epoll") for mode in ("", "-http", "-tls"))]
    variants = {f"{balancer}+{name}": building.variant(ROOT, source)
                for name, source in options.variant for balancer in own}
    # First, so that samples are not lost where callgrind can't run.
    instructions = scaling.instructions(binary.parent / "examples") if "instructions" in options.scenario else []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    with tempfile.TemporaryDirectory(prefix="ringway-bench-", dir="/dev/shm") as scratch, \
            machine.congestion_control("cubic"):
        facts = machine.facts(binary)
        os.sched_setaffinity(0, {cpus[-1]})
        scratch = Path(scratch)
        # nginx's workers run as another user when it was started by root.
        scratch.chmod(0o755)
        tls_port = None if options.quick else free_port()
        with http_server(scratch, cpus[-1], tls_port) as server:
            balancers = Balancers(binary, variants, scratch, server.port, tls_port, cpus)
            wanted = [name for name in [*options.only, *variants]
                      if any(SCENARIOS[scenario].takes(name) for scenario in options.scenario)]
            names, notices = those_that_start(balancers, wanted)
            if not names and "instructions" not in options.scenario:
                sys.exit("nothing to measure")
            bench = Bench(balancers, server, binary.parent / "examples", options.seconds)
            samples = measure(options, bench, names)
    facts.append(("CPUs", f"balancer on {cpus[0]}, load and server on {cpus[-1]}"))
    facts.append(("rounds", f"{options.rounds}, {options.seconds} s each after 1 s of warm-up"))
    if options.quick:
        return print(f"\n{report.short(report.Summary(samples))}")
    directory.mkdir(parents=True, exist_ok=True)
    words = sys.argv[1:]
    for name, patch in options.variant:
        if not isinstance(patch, Path):
            continue
        (directory / f"{name}.patch").write_bytes(patch.read_bytes())
        # Where a reader finds it.
        published = f"{name}=bench-results/{directory.name}/{name}.patch"
        words = [published if word.startswith(f"{name}=") else word for word in words]
    results = report.Results(
        samples=samples,
        facts=facts,
        invocation=shlex.join(["scripts/bench.sh", *words]),
        commands=sorted(command.replace(f"{ROOT}/", "") for command in bench.commands),
        notices=notices + bench.notices,
        calls=bench.calls,
        instructions=instructions,
    )
    report.write(directory, results)
    if samples:
        print("\n" + report.table(report.Summary(samples)))
    print(f"written to {directory}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
