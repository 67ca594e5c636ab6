#!/usr/bin/python3
"""The wire bench: what a proxy costs, against nothing, a bare relay, haproxy and nutcracker.

    bench/wire.py [--build DIR] [--cells c1,c50,64k,p16] [--targets relay,crossfade,…] [--rounds N]
                  [--seconds S] [--skip latency,idle] [--write]

Prints a table in Markdown and, for each goal, PASS or MISS; --write also puts it into
docs/performance.md. The stable figure on a noisy machine is P/C: CPU time of the proxy process divided
by CPU time of the load client in the same run. All figures are medians over the rounds, with the
smallest and largest behind them; in each round every target gets its turn right after another, so that
what disturbs one round disturbs all of its targets. The exit code tells only whether it could measure.
"""

import argparse
import datetime
import os
import pathlib
import platform
import re
import resource
import statistics
import subprocess
import sys

from measure import CELLS, benchmark, idle_bytes_per_connection, pingpong, requests_for
from targets import NAMES, ROOT, TITLES, running

CANARY_KEYS = ("-r", "2000")  # a canary splits keys; one key would lie on one side
LATENCY_PAIRS = 6_000
IDLE_CONNECTIONS = 10_000
PAGE = ROOT / "docs/performance.md"
MARK = "<!-- below: written by `bench/wire.py --write` -->\n"


class Samples:
    """Numbers of one figure, one a round."""

    def __init__(self, values):
        self.values = list(values)

    @property
    def median(self):
        return statistics.median(self.values)

    def text(self, form):
        low, high = min(self.values), max(self.values)
        return f"{self.median:{form}} ({low:{form}}–{high:{form}})"


def progress(text):
    print(f"\r\033[K{text}" if sys.stderr.isatty() else text, end="" if sys.stderr.isatty() else "\n",
          file=sys.stderr, flush=True)


def extra_arguments(name):
    return CANARY_KEYS if name == "canary50" else ()


def measure_cell(cell, targets, options):
    """{target name: [Run, …]}, in the order in which they were made."""
    requests = {name: requests_for(cell, options.seconds, target.port, extra_arguments(name))
                for name, target in targets.items()}
    runs = {name: [] for name in targets}
    rounds = options.rounds * cell.turns
    for round_number in range(rounds):
        for name, target in targets.items():
            progress(f"{cell.name}: round {round_number + 1} of {rounds}, {name}")
            runs[name].append(benchmark(cell, requests[name], target.port, target.pid,
                                        extra_arguments(name)))
    return runs


def measure_latency(targets, options):
    """{target name: [Latency, …]}."""
    program = str(options.build / "bench/pingpong")
    found = {name: [] for name in targets if name != "direct"}
    for round_number in range(options.rounds):
        for name in found:
            progress(f"latency: round {round_number + 1} of {options.rounds}, {name}")
            found[name].append(pingpong(program, targets["direct"], targets[name], LATENCY_PAIRS))
    return found


def measure_idle(options):
    """({target name: bytes per connection}, how many connections there were).

    On fresh processes: a proxy that was under load keeps memory that idle connections do not ask for.
    """
    # A proxy with private upstreams needs two descriptors for each.
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = min(IDLE_CONNECTIONS, hard_limit // 2 - 250)
    found = {}
    for name in ("relay", "haproxy", "crossfade"):
        if name in options.targets:
            progress(f"idle: {name}")
            with running([name], options.build) as targets:
                found[name] = idle_bytes_per_connection(targets[name].port, targets[name].pid, count)
    return found, count


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join(["---"] + ["---:"] * (len(header) - 1)) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def cell_tables(results):
    """Three tables: P/C, throughput against direct, CPU seconds per million requests."""
    names = [name for name in next(iter(results.values())) if name != "direct"]
    header = [""] + [cell.title for cell in CELLS if cell.name in results]

    def rows(figure, form):
        return [[TITLES[name]] + [figure(runs, name).text(form) for runs in results.values()]
                for name in names]

    def ratio(runs, name):
        return Samples(a.rate / b.rate for a, b in zip(runs[name], runs["direct"]))

    direct = [["direct, requests/s"] + [Samples(r.rate for r in runs["direct"]).text(",.0f")
                                        for runs in results.values()]]
    return "\n\n".join([
        "P/C: CPU time of the proxy / CPU time of redis-benchmark\n\n"
        + table(header, rows(lambda runs, name: Samples(r.cost for r in runs[name]), ".2f")),
        "Throughput / throughput of direct\n\n" + table(header, rows(ratio, ".2f") + direct),
        "CPU seconds of the proxy per million requests\n\n"
        + table(header, rows(lambda runs, name: Samples(
            r.proxy_cpu_s / r.requests * 1e6 for r in runs[name]), ".2f")),
    ])


def latency_table(latency):
    rows = [[TITLES[name], Samples(x.direct_p50 for x in found).text(".1f"),
             Samples(x.p50 for x in found).text(".1f"), Samples(x.added_p50 for x in found).text(".1f"),
             Samples(x.direct_p99 for x in found).text(".0f"), Samples(x.p99 for x in found).text(".0f")]
            for name, found in latency.items()]
    return ("One closed-loop client, direct and proxied requests in turns, all on one core; microseconds\n\n"
            + table(["", "direct p50", "proxied p50", "added p50", "direct p99", "proxied p99"], rows))


def idle_table(idle, count):
    rows = [[TITLES[name], f"{size:,.0f}"] for name, size in idle.items()]
    return (f"Resident bytes per idle connection, {count:,} of them after one PING each\n\n"
            + table(["", "bytes"], rows))


def goals(results, latency, idle):
    """[(what, figure, bound, reached)] of the goals whose figures were measured."""
    found = []

    def at_most(what, figure, bound):
        found.append((what, figure, f"at most {bound:.2f}", figure <= bound))

    def below(what, figure, bound):
        found.append((what, figure, f"below {bound:.2f}", figure < bound))

    def cost(cell, name):
        runs = results.get(cell, {})
        return Samples(r.cost for r in runs[name]).median if name in runs else None

    for cell in CELLS:
        ours, floor = cost(cell.name, "crossfade"), cost(cell.name, "relay")
        if ours is None:
            continue
        if floor is not None:
            at_most(f"P/C, {cell.title}: crossfade / relay", ours / floor,
                    1.35 if cell.name == "p16" else 1.15)
        peer = cost(cell.name, "haproxy")
        if peer is not None and cell.name != "p16":
            below(f"P/C, {cell.title}: crossfade / haproxy", ours / peer, 1.0)
        shadow = cost(cell.name, "shadow")
        if shadow is not None:
            at_most(f"P/C, {cell.title}: shadow_traffic / pass-through", shadow / ours, 2.0)
    if "crossfade" in latency and "relay" in latency:
        added = {name: Samples(x.added_p50 for x in latency[name]).median for name in ("crossfade", "relay")}
        at_most("added p50: crossfade / relay", added["crossfade"] / added["relay"], 1.15)
    if "crossfade" in idle:
        below("idle memory per connection, KiB", idle["crossfade"] / 1024, 8.0)
    return found


def goal_lines(found):
    return [f"{'PASS' if reached else 'MISS'}  {what}: {figure:.2f} ({bound})"
            for what, figure, bound, reached in found]


def origin(options):
    """Where the figures come from: commit, command, machine, date."""
    def output(*command):
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return result.stdout.strip()
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    changed = output("git", "status", "--porcelain", "-uno", "--", ".", f":!{PAGE.relative_to(ROOT)}")
    changed = " with uncommitted changes" if changed else ""
    return [
        f"- commit `{output('git', 'rev-parse', '--short=12', 'HEAD')}`{changed}",
        f"- command `{options.command}`, {options.rounds} rounds of about {options.seconds:g} s",
        f"- machine: {len(os.sched_getaffinity(0))} cores, "
        f"{model.group(1) if model else platform.machine()}, "
        f"Linux {platform.release()}; load client, proxy and servers share them; "
        f"other work on the machine as it began: load average {options.load:.1f}",
        f"- {output('redis-server', '--version').split(' sha=')[0]}; "
        f"{output('/usr/sbin/haproxy', '-v').splitlines()[0].split(' - ')[0]}",
        f"- date {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}",
    ]


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = {cell.name: cell for cell in CELLS}

    def some_of(known):
        def check(text):
            chosen = [part for part in text.split(",") if part]
            unknown = [part for part in chosen if part not in known]
            if unknown:
                raise argparse.ArgumentTypeError(f"{','.join(unknown)}: not one of {','.join(known)}")
            return chosen
        return check

    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", metavar="DIR")
    parser.add_argument("--cells", type=some_of(names), default=list(names))
    parser.add_argument("--targets", type=some_of(NAMES), default=list(NAMES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="length of one run")
    parser.add_argument("--skip", type=some_of(("cells", "latency", "idle")), default=[])
    parser.add_argument("--write", action="store_true", help="also write docs/performance.md")
    options = parser.parse_args(arguments)
    options.build = options.build.resolve()
    options.cells = [names[name] for name in options.cells]
    options.load = os.getloadavg()[0]
    options.command = "bench/wire.py " + " ".join(arguments) if arguments else "make bench"
    return options


def main(arguments):
    options = parse(arguments)
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    results, latency, idle, idle_count = {}, {}, {}, 0
    with running(options.targets, options.build) as targets:
        if "latency" not in options.skip:
            latency = measure_latency(targets, options)
        if "cells" not in options.skip:
            for cell in options.cells:
                results[cell.name] = measure_cell(cell, targets, options)
    if "idle" not in options.skip:
        idle, idle_count = measure_idle(options)
    progress("")

    parts = ["\n".join(origin(options))]
    if results:
        parts.append(cell_tables(results))
    if latency:
        parts.append(latency_table(latency))
    if idle:
        parts.append(idle_table(idle, idle_count))
    found = goals(results, latency, idle)
    if found:
        parts.append("Goals\n\n```\n" + "\n".join(goal_lines(found)) + "\n```")
    text = "\n\n".join(parts)
    print(text)
    if options.write:
        PAGE.write_text(PAGE.read_text().partition(MARK)[0] + MARK + "\n" + text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
