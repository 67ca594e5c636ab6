#!/usr/bin/python3
"""The demo's second half: a live canary between two real PostgreSQL servers, under pgbench.

    demo/pg_demo.py [--binary build/release/crossfade] [--seconds S]

New follows old by PostgreSQL's own logical replication; the sidecar moves the reads. One pgbench opens a
connection for each of its reads, another one writes on connections that it keeps, both through the sidecar
and all the while. For each stage the share of reads that was asked for stands beside what both servers'
own statistics say. Exits 0 only when all of it is as claimed; leaves no process, port or file behind.
"""

import argparse
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests/integration"))
sys.path.insert(0, str(HERE))
from demo import DEVIATIONS, Failed, Operator  # noqa: E402
from harness import Sidecar, spawn, wait_until  # noqa: E402
from postgres import PostgresServer  # noqa: E402

READERS, WRITERS = 3, 2
READS_LEAST = 100  # of a stage: fewer tell nothing, and a machine that is busy gets the time for them
STAGE_MOST_S = 15
STATISTICS_S = 1.2  # a backend tells its statistics at most once a second, and at its end
READ = "\\set aid random(1, 100000)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n"
WRITE = """\\set tid random(1, 10)
\\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
SELECT tbalance FROM pgbench_tellers WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = 1;
COMMIT;
\\sleep 2 ms
"""

ENDPOINT = """\
curl http://{host}:8000/api/v1/endpoints \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $TOKEN" \\
  -d '{
    "id": "NAME",
    "kind": "postgres",
    "config": {"url": "postgresql://app@127.0.0.1:PORT/app"}
  }'"""
INTERLAY = """\
curl http://{host}:8000/api/v1/interlays \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $TOKEN" \\
  -d '{
    "id": "accounts_interlay",
    "endpoint": "old_postgres",
    "port": 0
  }'"""
STRATEGY = """{
      "type": "canary",
      "read_percentage": SHARE,
      "write_mode": {"mode": "cutover", "write_percentage": 0.0}
    }"""
CREATE = """\
curl http://{host}:8000/api/v1/migrations \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $TOKEN" \\
  -d '{
    "id": "accounts_migration",
    "strategy": """ + STRATEGY + """
  }'"""
ADD = """\
curl http://{host}:8000/api/v1/migrations/accounts_migration/interlay/accounts_interlay \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $TOKEN" \\
  -d '{"endpoint": "new_postgres"}'"""
# By force: that new is fed by replication is something the test of a migration cannot know.
MIGRATE = """\
curl http://{host}:8000/api/v1/migrations/accounts_migration/migrate?force=true \\
  -H "Authorization: Bearer $TOKEN" \\
  -X POST"""
PATCH = """\
curl http://{host}:8000/api/v1/migrations/accounts_migration?force=true \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $TOKEN" \\
  -X PATCH \\
  -d '{
    "strategy": """ + STRATEGY + """
  }'"""
ROLLBACK = """\
curl http://{host}:8000/api/v1/migrations/accounts_migration/rollback \\
  -H "Authorization: Bearer $TOKEN" \\
  -X POST"""


def pgbench(port, *arguments, **more):
    return spawn(["pgbench", "-h", "127.0.0.1", "-p", str(port), "-U", "app", *arguments, "app"],
                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


class Traffic:
    """Both loads, until stop()."""

    def __init__(self, port, folder):
        scripts = {}
        for name, text in (("read", READ), ("write", WRITE)):
            scripts[name] = os.path.join(folder, f"{name}.sql")
            pathlib.Path(scripts[name]).write_text(text)
        forever = ("-n", "-T", "3600")
        self.loads = {"reads": pgbench(port, *forever, "-C", "-c", str(READERS), "-f", scripts["read"]),
                      "writes": pgbench(port, *forever, "-M", "prepared", "-c", str(WRITERS), "-f",
                                        scripts["write"])}

    def problems(self):
        return [f"pgbench that {name} has ended: {child.stdout.read()[-400:]}"
                for name, child in self.loads.items() if child.poll() is not None]

    def stop(self):
        for child in self.loads.values():
            child.terminate()
            child.communicate(timeout=20)


class Stage:
    def __init__(self, title, asked, reads, writes):
        self.title, self.asked, self.reads, self.writes = title, asked, reads, writes

    @property
    def measured(self):
        return self.reads["new"] / max(1, sum(self.reads.values()))

    def problems(self):
        count = max(1, sum(self.reads.values()))
        # A share is a share of the sessions; those under way when the stage began may be of the former.
        tolerance = DEVIATIONS * math.sqrt(self.asked * (1 - self.asked) / count) + (READERS + 1) / count
        found = []
        if abs(self.measured - self.asked) > tolerance:
            found.append(f"{self.title}: {self.asked:.0%} of reads asked for, {self.measured:.2%} measured "
                         f"(tolerance {tolerance:.2%})")
        if count < READS_LEAST:
            found.append(f"{self.title}: only {count} reads, too few to tell")
        return found


class Demo:
    def __init__(self, old, new, traffic, seconds):
        self.servers = {"old": old, "new": new}
        self.traffic, self.seconds = traffic, seconds
        self.stages = []

    def counts(self):
        """{side: (reads of accounts, transactions of tellers)} by the servers' statistics."""
        time.sleep(STATISTICS_S)
        return {side: [int(one) for one in server.sql(
            "select (select idx_scan from pg_stat_user_tables where relname = 'pgbench_accounts'), "
            "(select n_tup_upd from pg_stat_user_tables where relname = 'pgbench_tellers')")[0]]
                for side, server in self.servers.items()}

    def later(self, before):
        """The counts when the stage has taken its time, and has seen enough."""
        end_at = time.monotonic() + STAGE_MOST_S
        time.sleep(self.seconds)
        while True:
            after = self.counts()
            reads = sum(after[side][0] - before[side][0] for side in self.servers)
            if reads >= READS_LEAST or time.monotonic() >= end_at:
                return after

    def observe(self, title, asked):
        before = self.counts()
        after = self.later(before)
        moved = {side: [b - a for a, b in zip(before[side], after[side])] for side in self.servers}
        stage = Stage(title, asked, {side: moved[side][0] for side in moved}, moved["old"][1])
        self.stages.append(stage)
        print(f"\n   {title}: {stage.measured:.1%} of {sum(stage.reads.values()):,} reads on new "
              f"(asked {asked:.0%}), {stage.writes:,} updates on old", flush=True)
        problems = self.traffic.problems()
        if problems:
            raise Failed("; ".join(problems))

    def walk(self, operator):
        self.observe("before", 0.0)
        operator.run(("Stage 1: 5 % of sessions read from new", CREATE.replace("SHARE", "0.05")))
        operator.run((None, ADD))
        operator.run(("Execute Migration", MIGRATE))
        self.observe("5 %", 0.05)
        for number, share in ((2, 0.25), (3, 0.75), (4, 1.0)):
            operator.run((f"Stage {number}: {share:.0%} of sessions", PATCH.replace("SHARE", str(share))))
            self.observe(f"{share:.0%}", share)
        operator.run(("And back: rollback", ROLLBACK))
        self.observe("rolled back", 0.0)


def feed(old, new):
    """New follows old: schema by pg_dump, rows by logical replication."""
    made = pgbench(old.port, "-i", "-q")
    output = made.communicate(timeout=60)[0]
    if made.returncode != 0:
        raise Failed(f"pgbench -i: {output}")
    schema = subprocess.run(["pg_dump", "-s", "-h", "127.0.0.1", "-p", str(old.port), "-U", "app", "app"],
                            capture_output=True, text=True, check=True).stdout
    subprocess.run(["psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(new.port), "-U", "app", "app"],
                   input=schema, capture_output=True, text=True, check=True)
    old.sql("CREATE PUBLICATION demo FOR ALL TABLES")
    new.sql(f"CREATE SUBSCRIPTION demo CONNECTION 'host=127.0.0.1 port={old.port} user=postgres "
            "dbname=app' PUBLICATION demo")
    wait_until(lambda: new.value("select count(*) from pg_subscription_rel where srsubstate <> 'r'") == "0",
               30, "new to hold a copy of old")


def equal(old, new):
    """Whether new has come to hold what old holds; nobody writes any more."""
    sums = ("select (select sum(abalance) from pgbench_accounts), "
            "(select md5(string_agg(tid || ':' || tbalance, ',' order by tid)) from pgbench_tellers), "
            "(select sum(bbalance) from pgbench_branches)")
    wait_until(lambda: old.sql(sums) == new.sql(sums), 20, "new to have all of old's writes")


def show(options):
    os.environ["CROSSFADE_BIN"] = str(options.binary.resolve())
    replicating = {"max_logical_replication_workers": "4"}
    with (tempfile.TemporaryDirectory() as folder, PostgresServer(**replicating) as old,
          PostgresServer(**replicating) as new, Sidecar() as sidecar):
        print(f"old PostgreSQL on {old.port}, new PostgreSQL on {new.port}, "
              f"sidecar's control port {sidecar.control[1]}")
        feed(old, new)
        operator = Operator(sidecar.control, {})
        for number, (name, server) in enumerate((("old_postgres", old), ("new_postgres", new))):
            operator.run(("Two endpoints and the port that applications connect to" if number == 0 else None,
                          ENDPOINT.replace("NAME", name).replace("PORT", str(server.port))))
        port = operator.run((None, INTERLAY))["port"]
        traffic = Traffic(port, folder)
        demo = Demo(old, new, traffic, options.seconds)
        problems = []
        try:
            demo.walk(operator)
        except Failed as failure:
            problems.append(str(failure))
        finally:
            traffic.stop()
        problems += [problem for stage in demo.stages for problem in stage.problems()]
        try:
            equal(old, new)
        except TimeoutError as failure:
            problems.append(str(failure))
        fallbacks = sidecar.metric("crossfade_read_fallbacks_total")
        print(f"\nBoth servers hold the same rows now; {fallbacks:.0f} reads were answered by old "
              "because new did not.")
        new.sql("ALTER SUBSCRIPTION demo DISABLE", "ALTER SUBSCRIPTION demo SET (slot_name = NONE)",
                "DROP SUBSCRIPTION demo")
        code = sidecar.terminate()
        if code != 0:
            problems.append(f"the sidecar ended with {code}")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=pathlib.Path, default=HERE.parent / "build/release/crossfade")
    parser.add_argument("--seconds", type=float, default=1.5, help="length of one stage")
    options = parser.parse_args()
    start = time.monotonic()
    problems = show(options)
    for problem in problems:
        print(f"PROBLEM: {problem}")
    print(f"demo of PostgreSQL: {'all as claimed' if not problems else 'FAILED'} in "
          f"{time.monotonic() - start:.0f} s")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
