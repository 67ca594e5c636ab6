#!/usr/bin/python3
"""The wire bench: what a proxy costs, against nothing, a bare relay, haproxy and nutcracker.

    bench/wire.py [--build DIR] [--loads mixed,writes,reads,fresh] [--cells c1,c50,64k,p16]
                  [--targets relay,crossfade,…] [--rounds N] [--seconds S] [--settle S]
                  [--skip cells,latency,turns,idle] [--write]

Prints tables in Markdown and, for each goal, PASS or MISS; --write also puts them into
docs/performance.md. The stable figure on a noisy machine is P/C: CPU time of the proxy process divided
by CPU time of the load client in the same run. All figures are medians over the rounds, with the
smallest and largest behind them; in each round every target gets its turn right after another, so that
what disturbs one round disturbs all of its targets. The exit code tells only whether it could measure.
"""

import argparse
import os
import pathlib
import resource
import sys
import time

from measure import (CELLS, Load, benchmark, fill, idle_bytes_per_connection, nanoseconds, pingpong,
                     requests_for)
from origin import first_line, origin
from report import goal_lines, idle_table, latency_table, load_tables, turns_table, write_latency_table
from targets import APIS, DEAD, NAMES, ROOT, running

LOADS = (
    Load("mixed", "Reads and writes", ("set", "get"),
         ("direct", "relay", "haproxy", "nutcracker", "crossfade", "shadow")),
    Load("writes", "Writes", ("set",), ("crossfade", "dual_write", "dual_dead"), keys="filled"),
    Load("reads", "Reads", ("get",), ("crossfade", "canary50", "canary50_dual"), keys="filled"),
    Load("apis", "Reads by api", ("get",), tuple(APIS), keys="filled", cells=("c50", "p16")),
    Load("fresh", "Writes: every key is new", ("set",), ("crossfade", "dual_dead"), keys="fresh",
         cells=("c50",)),
)
READ_LATENCY = ("relay", "haproxy", "nutcracker", "crossfade", "shadow", "canary50_dual")
READ_PAIRS = 6_000
WRITE_LATENCY = ("dual_write", "dual_dead")
WRITE_PAIRS = 12_000
IDLE_CONNECTIONS = 10_000
PAGE = ROOT / "docs/performance.md"
MARK = "<!-- below: written by `bench/wire.py --write` -->\n"


def progress(text):
    print(f"\r\033[K{text}" if sys.stderr.isatty() else text, end="" if sys.stderr.isatty() else "\n",
          file=sys.stderr, flush=True)


def measure_cell(load, cell, targets, options):
    """{target name: [Run, …]}, in the order in which they were made."""
    requests = {name: requests_for(load, cell, options.seconds / 2, target.port)
                for name, target in targets.items()}
    runs = {name: [] for name in targets}
    rounds = options.rounds * cell.turns
    for round_number in range(rounds):
        for name, target in targets.items():
            progress(f"{load.name}, {cell.name}: round {round_number + 1} of {rounds}, {name}")
            runs[name].append(benchmark(load, cell, requests[name], target.port, target.pid))
    return runs


def settle(cells, dead, options):
    """Puts all keys in the ledger; repair tries each of them often at first, and then seldom."""
    progress(f"{options.settle:g} s until repair of a dead side is rare")
    for target in dead:
        fill(max(cells, key=lambda cell: cell.keys), target.port)
    time.sleep(options.settle)


def measure_load(load, options):
    """{cell name: {target name: [Run, …]}}; empty where none of its targets is wanted."""
    names = [name for name in load.targets if name in options.targets]
    cells = [cell for cell in options.cells if cell.name in load.cells]
    if not names or not cells:
        return {}
    if load.targets[0] != "direct" and load.targets[0] not in names:
        names.insert(0, load.targets[0])  # ratios are to it
    with running(names, options.build) as all_targets:
        targets = {name: all_targets[name] for name in load.targets if name in ("direct", *names)}
        if load.keys == "filled" and any(name in DEAD for name in names):
            settle(cells, [targets[name] for name in names if name in DEAD], options)
        return {cell.name: measure_cell(load, cell, targets, options) for cell in cells}


def measure_latency(command, pairs, base, names, options):
    """{target name: [Latency, …]}, each of them and the base in turns."""
    names = [name for name in names if name in options.targets]
    if not names:
        return {}
    found = {name: [] for name in names}
    with running(dict.fromkeys([*names, *([] if base == "direct" else [base])]), options.build) as targets:
        for round_number in range(options.rounds):
            for name in names:
                progress(f"latency of {command}: round {round_number + 1} of {options.rounds}, {name}")
                found[name].append(pingpong(str(options.build / "bench/pingpong"), command,
                                            targets[base], targets[name], pairs))
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


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cells = {cell.name: cell for cell in CELLS}
    loads = {load.name: load for load in LOADS}

    def some_of(known):
        def check(text):
            chosen = [part for part in text.split(",") if part]
            unknown = [part for part in chosen if part not in known]
            if unknown:
                raise argparse.ArgumentTypeError(f"{','.join(unknown)}: not one of {','.join(known)}")
            return chosen
        return check

    def add(option, known, default, text):
        parser.add_argument(option, type=some_of(known), default=default, metavar="NAME,…",
                            help=f"{text}; of {', '.join(known)}")

    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", metavar="DIR")
    add("--loads", loads, list(loads), "what is asked")
    add("--cells", cells, list(cells), "how it is asked")
    add("--targets", NAMES, list(NAMES), "whom")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="length of a run that reads and writes")
    parser.add_argument("--settle", type=float, default=100,
                        help="seconds from a new side's death to the measurement")
    add("--skip", ("cells", "latency", "turns", "idle"), [], "what is not measured")
    parser.add_argument("--write", action="store_true", help="also write docs/performance.md")
    options = parser.parse_args(arguments)
    options.build = options.build.resolve()
    options.loads = [loads[name] for name in options.loads]
    options.cells = [cells[name] for name in options.cells]
    options.load = os.getloadavg()[0]
    options.command = "bench/wire.py " + " ".join(arguments) if arguments else "make bench"
    return options


def main(arguments):
    options = parse(arguments)
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    results, read_latency, write_latency, turns_ns, idle, idle_count = {}, {}, {}, {}, {}, 0
    if "latency" not in options.skip:
        read_latency = measure_latency("get", READ_PAIRS, "direct", READ_LATENCY, options)
        write_latency = measure_latency("set", WRITE_PAIRS, "crossfade", WRITE_LATENCY, options)
    if "turns" not in options.skip:
        turns_ns = nanoseconds(str(options.build / "bench/micro_write_order"))
    if "cells" not in options.skip:
        results = {load.name: measure_load(load, options) for load in options.loads}
    if "idle" not in options.skip:
        idle, idle_count = measure_idle(options)
    progress("")

    versions = [first_line("redis-server", "--version").split(" sha=")[0],
                first_line("/usr/sbin/haproxy", "-v").split(" - ")[0]]
    parts = ["\n".join(origin(options, PAGE, versions))]
    parts += [load_tables(load, results[load.name]) for load in options.loads if results.get(load.name)]
    beside = []
    if read_latency:
        beside.append(latency_table(read_latency))
    if write_latency:
        beside.append(write_latency_table(write_latency))
    if turns_ns:
        beside.append(turns_table(turns_ns, results.get("writes", {})))
    if idle:
        beside.append(idle_table(idle, idle_count))
    if beside:
        parts.append("\n\n".join(["## Latency, turns, memory", *beside]))
    found = goal_lines(options.loads, results, read_latency, write_latency, turns_ns, idle)
    if found:
        parts.append("## Goals\n\n```\n" + "\n".join(found) + "\n```")
    text = "\n\n".join(parts)
    print(text)
    if options.write:
        PAGE.write_text(PAGE.read_text().partition(MARK)[0] + MARK + "\n" + text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
