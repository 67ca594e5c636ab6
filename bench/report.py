"""What the wire bench says of its figures: tables in Markdown, and goals reached or missed.

Ratios are taken between runs of one round, before any median is: what disturbs a round disturbs both.
"""

import statistics

from measure import CELLS
from targets import APIS, TITLES

CELL_TITLES = {cell.name: cell.title for cell in CELLS}
UNCONTENDED = "many keys"  # as micro_write_order names it
BOUNDS = {  # load -> target -> how many times the P/C of pass-through
    "mixed": {"shadow": 2.0},
    "writes": {"dual_write": 2.0, "dual_dead": 1.05},
    "reads": {"canary50": 1.1},
}


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


def cost(run):
    return run.cost


def rate(run):
    return run.rate


def cpu_per_million(run):
    return run.proxy_cpu_s / run.requests * 1e6


def ratios(figure, runs, base_runs):
    """Of one figure of runs, round by round."""
    return Samples(figure(one) / figure(base) for one, base in zip(runs, base_runs))


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join(["---"] + ["---:"] * (len(header) - 1)) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def load_tables(load, results):
    """P/C, throughput against the load's first target, CPU seconds per million requests.

    results    {cell name: {target name: [Run, …]}}
    """
    base = load.targets[0]
    proxies = [name for name in load.targets if name in next(iter(results.values())) and name != "direct"]
    others = [name for name in proxies if name != base]
    header = [""] + [CELL_TITLES[name] for name in results]

    def rows(names, figure, form):
        return [[TITLES[name]] + [Samples(map(figure, runs[name])).text(form) for runs in results.values()]
                for name in names]

    def relative(figure):
        return [[TITLES[name]] + [ratios(figure, runs[name], runs[base]).text(".2f")
                                  for runs in results.values()] for name in others]

    parts = ["P/C: CPU time of the proxy / CPU time of redis-benchmark\n\n"
             + table(header, rows(proxies, cost, ".2f"))]
    if base in proxies and others:
        parts.append(f"P/C / P/C of {TITLES[base]}\n\n" + table(header, relative(cost)))
    if others:
        throughput = relative(rate) + [[f"{TITLES[base]}, requests/s", *rows([base], rate, ",.0f")[0][1:]]]
        parts.append(f"Throughput / throughput of {TITLES[base]}\n\n" + table(header, throughput))
    parts.append("CPU seconds of the proxy per million requests\n\n"
                 + table(header, rows(proxies, cpu_per_million, ".2f")))
    return "\n\n".join([f"## {load.title}", *parts])


def latency_table(latency):
    rows = [[TITLES[name], Samples(x.direct_p50 for x in found).text(".1f"),
             Samples(x.p50 for x in found).text(".1f"), Samples(x.added_p50 for x in found).text(".1f"),
             Samples(x.direct_p99 for x in found).text(".0f"), Samples(x.p99 for x in found).text(".0f")]
            for name, found in latency.items()]
    return ("One closed-loop client that reads, direct and proxied requests in turns, all on one core; "
            "microseconds\n\n"
            + table(["", "direct p50", "proxied p50", "added p50", "direct p99", "proxied p99"], rows))


def p99_ratio(found):
    return Samples(x.p99 / x.direct_p99 for x in found)


def write_latency_table(latency):
    rows = [[TITLES[name], Samples(x.direct_p50 for x in found).text(".1f"),
             Samples(x.p50 for x in found).text(".1f"), Samples(x.direct_p99 for x in found).text(".0f"),
             Samples(x.p99 for x in found).text(".0f"), p99_ratio(found).text(".2f")]
            for name, found in latency.items()]
    return ("One closed-loop client that writes, through pass-through and the other in turns, all on one "
            "core; microseconds\n\n"
            + table(["", "pass-through p50", "p50", "pass-through p99", "p99", "p99 / pass-through"], rows))


def idle_table(idle, count):
    rows = [[TITLES[name], f"{size:,.0f}"] for name, size in idle.items()]
    return (f"Resident bytes per idle connection, {count:,} of them after one PING each\n\n"
            + table(["", "bytes"], rows))


def turn_shares(turns_ns, runs):
    """{what: share of the CPU time of a dual write}."""
    spent_ns = Samples(map(cpu_per_million, runs)).median * 1e3
    return {what: ns / spent_ns for what, ns in turns_ns.items()}


def turns_table(turns_ns, writes):
    """What a turn in the order of writes costs, and how much that is of a dual write in each cell."""
    dual = {cell: turn_shares(turns_ns, runs["dual_write"]) for cell, runs in writes.items()
            if "dual_write" in runs}
    rows = [[what, f"{ns:.1f}", *(f"{shares[what]:.2%}" for shares in dual.values())]
            for what, ns in turns_ns.items()]
    return ("A write's turn when nobody else wants its key; nanoseconds, and the share of the sidecar's CPU "
            "time per dual write\n\n" + table(["", "ns", *(CELL_TITLES[name] for name in dual)], rows))


class Goals:
    """(what, figure, bound, reached) of the goals whose figures were measured."""

    def __init__(self):
        self.found = []

    def at_most(self, what, figure, bound):
        self.found.append((what, figure, f"at most {bound:.2f}", figure <= bound))

    def below(self, what, figure, bound):
        self.found.append((what, figure, f"below {bound:.2f}", figure < bound))

    def cost_of_pass_through(self, runs, title):
        def median(name):
            return Samples(map(cost, runs[name])).median

        deep = title == CELL_TITLES["p16"]
        if "crossfade" not in runs:
            return
        if "relay" in runs:
            self.at_most(f"P/C, {title}: crossfade / relay", median("crossfade") / median("relay"),
                         1.35 if deep else 1.15)
        if "haproxy" in runs and not deep:
            self.below(f"P/C, {title}: crossfade / haproxy", median("crossfade") / median("haproxy"), 1.0)

    def beside_pass_through(self, runs, title, what, bounds):
        """bounds: {target name: how many times the P/C of pass-through}."""
        for name, bound in bounds.items():
            if name in runs and "crossfade" in runs:
                self.at_most(f"P/C, {title}, {what}: {name} / pass-through",
                             ratios(cost, runs[name], runs["crossfade"]).median, bound)

    def by_templates(self, runs, title):
        if set(APIS) <= runs.keys():
            few, many = APIS
            self.at_most(f"P/C, {title}, 1,000 templates / 10", ratios(cost, runs[many], runs[few]).median,
                         1.05)

    def turn(self, turns_ns, runs, title):
        if "dual_write" in runs:
            share = turn_shares(turns_ns, runs["dual_write"])[UNCONTENDED]
            self.at_most(f"uncontended turn, {title}, % of a dual write", share * 100, 3.0)

    def lines(self):
        return [f"{'PASS' if reached else 'MISS'}  {what}: {figure:.2f} ({bound})"
                for what, figure, bound, reached in self.found]


def goal_lines(loads, results, latency, write_latency, turns_ns, idle):
    goals = Goals()
    for load in loads:
        for cell, runs in results.get(load.name, {}).items():
            if load.name == "mixed":
                goals.cost_of_pass_through(runs, CELL_TITLES[cell])
            goals.by_templates(runs, CELL_TITLES[cell])
            goals.beside_pass_through(runs, CELL_TITLES[cell], load.title.lower(),
                                      BOUNDS.get(load.name, {}))
    if "crossfade" in latency and "relay" in latency:
        added = {name: Samples(x.added_p50 for x in latency[name]).median for name in ("crossfade", "relay")}
        goals.at_most("added p50: crossfade / relay", added["crossfade"] / added["relay"], 1.15)
    if "dual_write" in write_latency:
        goals.at_most("p99 of writes: dual_write / pass-through",
                      p99_ratio(write_latency["dual_write"]).median, 1.5)
    if turns_ns:
        for cell, runs in results.get("writes", {}).items():
            goals.turn(turns_ns, runs, CELL_TITLES[cell])
    if "crossfade" in idle:
        goals.below("idle memory per connection, KiB", idle["crossfade"] / 1024, 8.0)
    return goals.lines()
