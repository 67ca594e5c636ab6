#!/usr/bin/python3
"""What a sidecar costs in front of PostgreSQL, beside nothing, a bare relay, haproxy and pgbouncer.

    bench/postgres_wire.py [--build DIR] [--cells simple-1,prepared-16,…] [--targets relay,crossfade,…]
                      [--rounds N] [--seconds S] [--write]

Prints tables in Markdown and, for each goal, PASS or MISS; --write also puts them into
docs/postgres-performance.md. As in wire.py the figure to trust is P/C: CPU time of the proxy by CPU time of
its client (pgbench, or psql for bulk) in the same run; medians over rounds in which every target has its turn
right after another.
"""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import subprocess
import sys

from measure import cpu_seconds
from origin import first_line, origin
from report import Samples, ratios, table
from targets import ROOT  # puts tests/integration on the path, too

from harness import Sidecar, end, free_port, spawn, temp_folder, wait_until  # noqa: E402
from postgres import PostgresServer  # noqa: E402

PAGE = ROOT / "docs/postgres-performance.md"
MARK = "<!-- below: written by `bench/postgres_wire.py --write` -->\n"
SCALE = 1
WRITES_OLD = {"mode": "cutover", "write_percentage": 0.0}
CANARY = {"type": "canary", "read_percentage": 0.5, "write_mode": WRITES_OLD}
TITLES = {"relay": "relay (the floor)", "haproxy": "haproxy, TCP mode",
          "pgbouncer": "pgbouncer, session mode", "crossfade": "crossfade, pass-through",
          "canary": "crossfade, canary 50 %"}
# An api that has pgbench's statement among so many, all of it on new, as which sessions a share has
# is chance; only when they are asked for.
APIS = {f"apis-{count}": f"crossfade, an api of {count:,} templates" for count in (10, 1000)}
TEN = "\n".join(["\\startpipeline", "begin;",
                 *["select abalance from pgbench_accounts where aid = :aid;"] * 10, "commit;",
                 "\\endpipeline"])
PIPELINE = f"\\set aid random(1, {100000 * SCALE})\n{TEN}\n"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One form of load: a run of pgbench for some seconds, or of psql for some bytes."""

    name: str
    title: str
    pgbench: tuple = ()
    sql: str = ""          # of psql
    gigabytes: float = 0.0
    fed: str = ""          # SQL whose output is what psql sends

    @property
    def bulk(self):
        return self.gigabytes > 0


def select(mode, clients):
    return Cell(f"{mode}-{clients}", f"{mode}, {clients}", ("-S", "-M", mode, "-c", str(clients)))


ROWS = "select repeat('x', {size}) from generate_series(1, {count})"
CELLS = (
    *[select(mode, clients) for mode in ("simple", "extended", "prepared") for clients in (1, 16)],
    Cell("pipeline-8", "10 in a pipeline, 8", ("-f", "PIPELINE", "-M", "extended", "-c", "8")),
    Cell("tpcb-8", "tpcb-like, 8", ("-M", "prepared", "-c", "8")),
    Cell("rows-100", "rows of 100 bytes", sql=ROWS.format(size=100, count=1_000_000), gigabytes=0.111),
    Cell("rows-1k", "rows of 1 KiB", sql=ROWS.format(size=1024, count=100_000), gigabytes=0.1035),
    Cell("copy-out", "COPY out", sql="copy (" + ROWS.format(size=100, count=1_000_000) + ") to stdout",
         gigabytes=0.106),
    Cell("copy-in", "COPY in", sql="copy sink from stdin", gigabytes=0.106,
         fed=ROWS.format(size=100, count=1_000_000)),
)


@dataclasses.dataclass(frozen=True)
class Run:
    work: float      # transactions, or gigabytes
    seconds: float
    client_cpu_s: float
    proxy_cpu_s: float

    @property
    def cost(self):
        return self.proxy_cpu_s / self.client_cpu_s

    @property
    def rate(self):
        return self.work / self.seconds

    @property
    def cpu_per_work(self):
        return self.proxy_cpu_s / self.work


@dataclasses.dataclass(frozen=True)
class Target:
    name: str
    port: int
    pid: int | None


def start_haproxy(stack, server):
    port = free_port()
    file = pathlib.Path(temp_folder("haproxy"), "haproxy.cfg")
    file.write_text(f"""global
    nbthread 1
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen pg
    bind 127.0.0.1:{port}
    server old 127.0.0.1:{server.port}
""")
    return Target("haproxy", port, start(stack, port, ["/usr/sbin/haproxy", "-db", "-f", str(file)]))


def start_pgbouncer(stack, server):
    port = free_port()
    folder = temp_folder("pgbouncer")
    os.chmod(folder, 0o755)
    users = pathlib.Path(folder, "users.txt")
    users.write_text('"app" ""\n')
    file = pathlib.Path(folder, "pgbouncer.ini")
    file.write_text(f"""[databases]
app = host=127.0.0.1 port={server.port} dbname=app user=app
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
auth_file = {users}
pool_mode = session
max_client_conn = 200
default_pool_size = 100
""")
    # It refuses to run as root.
    argv = ["/usr/sbin/pgbouncer", str(file)]
    if os.geteuid() == 0:
        argv = ["/usr/bin/setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *argv]
    return Target("pgbouncer", port, start(stack, port, argv))


def start(stack, port, argv):
    child = spawn(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(end, child)

    def answers():
        if child.poll() is not None:
            raise RuntimeError(f"{' '.join(argv)} ended with {child.returncode}")
        return psql(port, "select 1").returncode == 0
    wait_until(answers, 10, f"{argv[0]} to answer")
    return child.pid


def start_crossfade(stack, name, server, second):
    sidecar = stack.enter_context(Sidecar(loops=1))
    for side, one in (("old", server), ("new", second)):
        sidecar.must("POST", "/endpoints", {"id": side, "kind": "postgres", "config": {
            "host": one.host, "port": one.port, "database": "app", "username": "app"}})
    port = sidecar.add_interlay("bench", "old")
    if name == "canary":
        sidecar.migrate("bench", CANARY, "bench", "new", force=True)
    if name in APIS:
        move_by_api(sidecar, int(name.removeprefix("apis-")))
    return Target(name, port, sidecar.pid)


def move_by_api(sidecar, count):
    tables = ["pgbench_accounts", *[f"accounts_{number}" for number in range(1, count)]]
    for name in tables:
        sidecar.must("POST", "/templates", {"id": name, "endpoint": "old",
                                            "query": f"SELECT abalance FROM {name} WHERE aid = {{{{aid}}}}"})
    bindings = {"bindings": [{"template": name} for name in tables]}
    sidecar.must("POST", "/apis", {"id": "accounts", **bindings})
    sidecar.create_migration("bench", {**CANARY, "read_percentage": 1.0}, "bench", "new")
    sidecar.must("POST", "/migrations/bench/api/accounts", bindings)
    sidecar.must("POST", "/migrations/bench/migrate?force=true")


def psql(port, sql, stdin=subprocess.DEVNULL):
    return subprocess.run(["psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "app", "-d", "app",
                           "-A", "-t", "-c", sql],
                          stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def running(names, build):
    os.environ.setdefault("CROSSFADE_BIN", str(build / "crossfade"))
    with contextlib.ExitStack() as stack:
        server, second = (stack.enter_context(PostgresServer(15, shared_buffers="128MB"))
                          for _ in range(2))
        for one in (server, second):
            subprocess.run(["pgbench", "-i", "-q", "-s", str(SCALE), "-h", "127.0.0.1", "-p", str(one.port),
                            "-U", "app", "app"], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
            one.sql("create unlogged table sink (x text)", "alter table sink owner to app")
        targets = {"direct": Target("direct", server.port, None)}
        for name in names:
            if name == "relay":
                port = free_port()
                targets[name] = Target(name, port, start(stack, port, [
                    str(build / "bench/relay"), str(port), str(server.port)]))
            elif name == "haproxy":
                targets[name] = start_haproxy(stack, server)
            elif name == "pgbouncer":
                targets[name] = start_pgbouncer(stack, server)
            else:
                targets[name] = start_crossfade(stack, name, server, second)
        yield server, targets


def measured(argv, target, stdin=subprocess.DEVNULL):
    """(output, seconds of CPU of the client, of the proxy) of one run."""
    before = cpu_seconds(target.pid)
    child = subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output = child.stdout.read()
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0 or "aborted" in errors:
        raise RuntimeError(f"{target.name}: {' '.join(argv)}: {errors[-500:]}")
    return output, usage.ru_utime + usage.ru_stime, cpu_seconds(target.pid) - before


def run_pgbench(cell, target, seconds, script):
    argv = ["pgbench", "-n", "-h", "127.0.0.1", "-p", str(target.port), "-U", "app", "-T", str(seconds),
            *[script if one == "PIPELINE" else one for one in cell.pgbench], "app"]
    output, client, proxy = measured(argv, target)
    [done] = [line for line in output.splitlines() if line.startswith("number of transactions actually")]
    return Run(int(done.split(":")[1].split("/")[0]), seconds, client, proxy)


def run_psql(cell, target, feed):
    argv = ["psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(target.port), "-U", "app", "-d", "app", "-A",
            "-t", "-o", "/dev/null", "-v", "FETCH_COUNT=0", "-c", cell.sql]
    if not cell.fed:
        _, client, proxy = measured(argv, target)
        return Run(cell.gigabytes, 1.0, client, proxy)
    with open(feed, "rb") as rows:
        _, client, proxy = measured(argv, target, stdin=rows)
    return Run(cell.gigabytes, 1.0, client, proxy)


def measure(cell, targets, server, options, folder):
    script, feed = os.path.join(folder, "pipeline.sql"), os.path.join(folder, "rows")
    pathlib.Path(script).write_text(PIPELINE)
    if cell.fed:
        with open(feed, "wb") as out:
            subprocess.run(["psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(server.port), "-U", "app", "-d",
                            "app", "-A", "-t", "-c", cell.fed], stdout=out, check=True)
    runs = {name: [] for name in targets}
    for number in range(options.rounds):
        for name, target in targets.items():
            print(f"\r\033[K{cell.name}: round {number + 1}, {name}", end="", file=sys.stderr, flush=True)
            if cell.bulk:
                runs[name].append(run_psql(cell, target, feed))
            else:
                runs[name].append(run_pgbench(cell, target, options.seconds, script))
            if cell.fed:
                server.sql("truncate sink")
    return runs


def tables(results):
    titles = [cell.title for cell in results]
    names = [name for name in next(iter(results.values())) if name != "direct"]

    def rows(figure, form, cells):
        return [[(TITLES | APIS)[name],
                 *[Samples(map(figure, results[cell][name])).text(form) for cell in cells]]
                for name in names]

    small = [cell for cell in results if not cell.bulk]
    bulk = [cell for cell in results if cell.bulk]
    parts = [("P/C: CPU time of the proxy / CPU time of the client",
              ["", *titles], rows(lambda run: run.cost, ".2f", list(results)))]
    if small:
        header = ["", *[cell.title for cell in small]]
        direct = ["direct", *[Samples(run.rate for run in results[cell]["direct"]).text(",.0f")
                              for cell in small]]
        parts.append(("Transactions per second", header,
                      [direct, *rows(lambda run: run.rate, ",.0f", small)]))
        parts.append(("CPU seconds of the proxy per million transactions", header,
                      rows(lambda run: run.cpu_per_work * 1e6, ".1f", small)))
    if bulk:
        parts.append(("CPU seconds of the proxy per GB", ["", *[cell.title for cell in bulk]],
                      rows(lambda run: run.cpu_per_work, ".2f", bulk)))
    return "\n\n".join(f"{what}\n\n{table(header, lines)}" for what, header, lines in parts)


def goal_lines(results):
    lines = []

    def ratio(runs, name, base):
        return ratios(lambda run: run.cost, runs[name], runs[base]).median

    def say(what, figure, bound, reached):
        lines.append(f"{'PASS' if reached else 'MISS'}  {what}: {figure:.2f} ({bound})")

    for cell, runs in results.items():
        if "crossfade" in runs and "relay" in runs:
            bound = 1.3 if cell.bulk else 1.15
            figure = ratio(runs, "crossfade", "relay")
            say(f"{cell.title}: crossfade / relay", figure, f"at most {bound:.2f}", figure <= bound)
        if "crossfade" in runs and "pgbouncer" in runs:
            figure = ratio(runs, "crossfade", "pgbouncer")
            say(f"{cell.title}: crossfade / pgbouncer", figure, "below 1.00", figure < 1)
        if "canary" in runs and "crossfade" in runs and not cell.bulk:
            bound = 1.25 if cell.name.startswith("simple") else 1.1
            figure = ratio(runs, "canary", "crossfade")
            say(f"{cell.title}: canary / pass-through", figure, f"at most {bound:.2f}", figure <= bound)
        if set(APIS) <= set(runs):
            few, many = APIS
            figure = ratio(runs, many, few)
            say(f"{cell.title}: 1,000 templates / 10", figure, "at most 1.05", figure <= 1.05)
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--cells", default=",".join(cell.name for cell in CELLS))
    parser.add_argument("--targets", default=",".join(TITLES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="also write docs/postgres-performance.md")
    options = parser.parse_args()
    options.command = " ".join(["bench/postgres_wire.py", *sys.argv[1:]])
    options.load = os.getloadavg()[0]
    wanted = options.cells.split(",")
    cells = [cell for cell in CELLS if cell.name in wanted]
    folder = temp_folder("bench-postgres")
    with running(options.targets.split(","), options.build.resolve()) as (server, targets):
        results = {cell: measure(cell, targets, server, options, folder) for cell in cells}
    versions = [first_line("pgbench", "--version"), first_line("/usr/sbin/haproxy", "-v").split(" - ")[0],
                first_line("/usr/sbin/pgbouncer", "--version")]
    text = "\n\n".join(["\n".join(origin(options, PAGE, versions)), tables(results),
                        "## Goals\n\n```\n" + "\n".join(goal_lines(results)) + "\n```"])
    print(f"\r\033[K{text}")
    if options.write:
        PAGE.write_text(PAGE.read_text().partition(MARK)[0] + MARK + "\n" + text + "\n")


if __name__ == "__main__":
    main()
