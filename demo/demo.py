#!/usr/bin/python3
"""The demo: a live canary between two real Redis servers, walked with curl as the migration guide prints it.

    demo/demo.py [--binary build/release/crossfade] [--seconds S]

Clients (demo/traffic.py) read and write through the sidecar all the while and check every reply. For each
stage it shows the share of reads that was asked for, the share that the two servers' own INFO commandstats
report, client errors, and latency directly and through the sidecar. Exits 0 only when all of it is as
claimed; leaves no process, port or file behind.
"""

import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests/integration"))
from harness import ADMIN, RedisServer, Sidecar, spawn, wait_until  # noqa: E402

CLIENTS = 3
KEYS = 6_000
DEVIATIONS = 4.0  # by how many standard deviations a measured share may differ from the one asked for

# As printed in the migration guide; only {host}:8000, $TOKEN and, in the steps that the guide shows for
# another migration, the migration's id are filled in.
SET_UP = [
    ("Two endpoints and the port that applications connect to", """\
curl http://{host}:8000/api/v1/endpoints \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $TOKEN" \\
  -d '{
    "id": "old_redis",
    "kind": "redis",
    "config": {"url": "redis://127.0.0.1:OLD_PORT"}
  }'"""),
    (None, """\
curl http://{host}:8000/api/v1/endpoints \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $TOKEN" \\
  -d '{
    "id": "new_redis_cluster",
    "kind": "redis",
    "config": {"url": "redis://127.0.0.1:NEW_PORT"}
  }'"""),
    (None, """\
curl http://{host}:8000/api/v1/interlays \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $TOKEN" \\
  -d '{
    "id": "user_cache_interlay",
    "endpoint": "old_redis",
    "port": 0
  }'"""),
]

START = [
    ("Stage 1: Initial Setup (5% reads)", """\
curl http://{host}:8000/api/v1/migrations \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $TOKEN" \\
  -d '{
    "id": "canary_migration",
    "strategy": {
      "type": "canary",
      "read_percentage": 0.05,
      "write_mode": {"mode": "dual_write", "policy": "old_authoritative"}
    }
  }'"""),
    ("Add an interlay to the migration", """\
curl http://{host}:8000/api/v1/migrations/canary_migration/interlay/user_cache_interlay \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $TOKEN" \\
  -d '{
    "endpoint": "new_redis_cluster"
  }'"""),
    ("Test Migration", """\
curl http://{host}:8000/api/v1/migrations/canary_migration/test \\
  -H "Authorization: Bearer $TOKEN" \\
  -X POST"""),
    ("Execute Migration", """\
curl http://{host}:8000/api/v1/migrations/canary_migration/migrate \\
  -H "Authorization: Bearer $TOKEN" \\
  -X POST"""),
]

STAGE_2 = ("Stage 2: Increase Traffic (25% reads)", """\
curl http://{host}:8000/api/v1/migrations/canary_migration \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $TOKEN" \\
  -X PATCH \\
  -d '{
    "strategy": {
      "type": "canary",
      "read_percentage": 0.25,
      "write_mode": {"mode": "dual_write", "policy": "old_authoritative"}
    }
  }'""")

STAGE_3 = ("Stage 3: Majority Traffic (75% reads)", """\
curl http://{host}:8000/api/v1/migrations/canary_migration \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $TOKEN" \\
  -X PATCH \\
  -d '{
    "strategy": {
      "type": "canary",
      "read_percentage": 0.75,
      "write_mode": {"mode": "dual_write", "policy": "old_authoritative"}
    }
  }'""")

STAGE_4 = ("Stage 4: Full Cutover (100%)", """\
curl http://{host}:8000/api/v1/migrations/canary_migration \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $TOKEN" \\
  -X PATCH \\
  -d '{
    "strategy": {
      "type": "canary",
      "read_percentage": 1.0,
      "write_mode": {"mode": "cutover", "write_percentage": 1.0}
    }
  }'""")

ROLLBACK = ("And back: rollback", """\
curl http://{host}:8000/api/v1/migrations/canary_migration/rollback \\
  -H "Authorization: Bearer $TOKEN" \\
  -X POST""")


class Failed(Exception):
    """Something is not as claimed; the text says what."""


class Operator:
    """Runs the guide's commands in a shell, as a person would."""

    def __init__(self, control, ports):
        self.host = "%s:%d" % control
        self.ports = ports

    def run(self, step):
        title, command = step
        for name, port in self.ports.items():
            command = command.replace(name, str(port))
        if title:
            print(f"\n## {title}")
        print(f"\n{command.replace('{host}:8000', self.host)}")
        result = subprocess.run(["bash", "-c", command.replace("{host}:8000", self.host)],
                                env={**os.environ, "TOKEN": ADMIN}, stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, check=False)
        print(f"=> {result.stdout.strip()}", flush=True)
        try:
            answer = json.loads(result.stdout)
        except ValueError:
            raise Failed(f"no JSON from: {command}\n{result.stdout}{result.stderr}") from None
        if answer.get("status") != "success":
            raise Failed(f"not a success: {result.stdout}")
        return answer["data"]


class Traffic:
    """The clients, each a process of its own."""

    def __init__(self, sidecar_port, old_port):
        share = KEYS // CLIENTS
        self.clients = [
            spawn(["/usr/bin/python3", str(HERE / "traffic.py"), str(sidecar_port), str(old_port),
                   str(number * share), str(share)],
                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for number in range(CLIENTS)]

    def tell(self, word):
        for client in self.clients:
            client.stdin.write(word + "\n")
            client.stdin.flush()
        answers = [client.stdout.readline() for client in self.clients]
        if not all(answers):
            raise Failed("a client of the demo ended")
        return [json.loads(answer) for answer in answers]

    def report(self, word="report"):
        """Figures of all clients since the last report, together."""
        parts = self.tell(word)
        total = {name: sum(part[name] for part in parts)
                 for name in ("reads", "writes", "rewound", "errors")}
        total["first_errors"] = [text for part in parts for text in part["first_errors"]][:3]
        for name in ("through_us", "direct_us"):
            total[name] = sorted(value for part in parts for value in part[name])
        return total

    def stop(self):
        """Ends the clients between two requests; their last figures."""
        figures = self.report("halt")
        for client in self.clients:
            client.wait(10)
        return figures


def seed(old, new):
    """Puts all keys on old and has new copy them, as Redis itself does: data movement is not part of
    crossfade yet, and a migration with `data` none starts from servers that are alike."""
    names = [f"user:{number}" for number in range(KEYS)]
    for first in range(0, KEYS, 500):
        pairs = [text for name in names[first:first + 500] for text in (name, f"{name}#0")]
        old.call("MSET", *pairs)
    new.call("REPLICAOF", "127.0.0.1", str(old.port))
    wait_until(lambda: new.info("replication").get("master_link_status") == "up"
               and new.call("DBSIZE") == KEYS, 20, "new to hold a copy of old")
    new.call("REPLICAOF", "NO", "ONE")


def quantile(values, share):
    return values[int(share * (len(values) - 1))] if values else math.nan


class Stage:
    """What one stage showed; from the clients' figures and the servers' counts of calls."""

    def __init__(self, title, asked, figures, calls):
        self.title = title
        self.asked = asked
        self.figures = figures
        self.calls = calls  # {("old"|"new", "get"|"set"): calls in this stage}

    @property
    def measured(self):
        return self.calls["new", "get"] / max(1, self.calls["old", "get"] + self.calls["new", "get"])

    @property
    def tolerance(self):
        """A share is a share of the keys, and the keys read are a sample of them. At nobody and at
        everybody nothing is left to chance, but for requests that were under way as the stage began."""
        reads = max(1, self.figures["reads"])
        spread = self.asked * (1 - self.asked)
        return DEVIATIONS * math.sqrt(spread / KEYS + spread / reads) + CLIENTS / reads

    def problems(self):
        found = []
        if abs(self.measured - self.asked) > self.tolerance:
            found.append(f"{self.title}: {self.asked:.0%} of reads asked for, {self.measured:.2%} measured "
                         f"(tolerance {self.tolerance:.2%})")
        if self.figures["errors"]:
            found.append(f"{self.title}: {self.figures['errors']} client errors, "
                         f"first: {self.figures['first_errors']}")
        if self.figures["reads"] < 500:
            found.append(f"{self.title}: only {self.figures['reads']} reads, too few to tell")
        return found

    def row(self):
        direct, through = self.figures["direct_us"], self.figures["through_us"]
        return [self.title, f"{self.asked:.0%}", f"{self.measured:.1%}",
                f"{self.calls['old', 'get']:,}", f"{self.calls['new', 'get']:,}",
                f"{self.calls['old', 'set']:,}", f"{self.calls['new', 'set']:,}",
                str(self.figures["errors"]),
                f"{quantile(direct, 0.5)} / {quantile(direct, 0.99)}",
                f"{quantile(through, 0.5)} / {quantile(through, 0.99)}"]


HEADER = ["stage", "reads asked", "measured", "GET old", "GET new", "SET old", "SET new", "errors",
          "direct p50/p99 us", "through p50/p99 us"]


def print_table(stages):
    rows = [HEADER] + [stage.row() for stage in stages]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    for number, row in enumerate(rows):
        print("  ".join(text.ljust(width) if column == 0 else text.rjust(width)
                        for column, (text, width) in enumerate(zip(row, widths))))
        if number == 0:
            print("  ".join("-" * width for width in widths))


class Demo:
    def __init__(self, old, new, traffic, seconds):
        self.servers = {"old": old, "new": new}
        self.traffic = traffic
        self.seconds = seconds
        self.stages = []

    def counts(self):
        return {(side, command): server.commandstats().get(command, 0)
                for side, server in self.servers.items() for command in ("get", "set")}

    def observe(self, title, asked):
        """Lets the traffic run for one stage and keeps what it showed. The clients' figures reach back to
        the stage before, so that the change between the two is in them."""
        before = self.counts()
        time.sleep(self.seconds)
        after = self.counts()
        figures = self.traffic.report()
        stage = Stage(title, asked, figures, {at: after[at] - before[at] for at in after})
        self.stages.append(stage)
        print(f"\n   {title}: {stage.measured:.1%} of reads on new (asked {asked:.0%}), "
              f"{figures['reads']:,} reads and {figures['writes']:,} writes checked, "
              f"{figures['errors']} errors", flush=True)

    def walk(self, operator):
        """All stages; returns the roll-back's answer."""
        self.observe("before", 0.0)
        for step in START:
            operator.run(step)
        self.traffic.tell("writes")
        self.observe("5 %", 0.05)
        operator.run(STAGE_2)
        self.observe("25 %", 0.25)
        operator.run(STAGE_3)
        self.observe("75 %", 0.75)
        self.traffic.tell("fork")
        operator.run(STAGE_4)
        self.observe("100 %, cutover", 1.0)
        self.traffic.tell("rollback")
        answer = operator.run(ROLLBACK)
        self.traffic.tell("rolled")
        self.observe("rolled back", 0.0)
        return answer


def check_rollback(answer, demo, last, surprises):
    """The roll-back must say how many writes only new has. The judge: all writes that were answered to
    clients, less the SETs that old counted."""
    announced = answer.get("new_only_writes") if isinstance(answer, dict) else None
    answered = sum(stage.figures["writes"] for stage in demo.stages) + last["writes"]
    missed = answered - demo.counts()["old", "set"]
    gone_back = demo.stages[-1].figures["rewound"] + last["rewound"]
    print(f"\nAfter full cutover writes went to new only. The roll-back announced {announced} of them; "
          f"old's own count misses {missed}.\nThe clients met {gone_back} keys that had gone back to "
          f"what old last had, and {'what is listed below' if surprises else 'no other surprise'}.")
    if announced != missed:
        return [f"roll-back: it announced {announced} writes that only new has, old misses {missed}"]
    return []


def show(options):
    os.environ["CROSSFADE_BIN"] = str(options.binary.resolve())
    with RedisServer() as old, RedisServer() as new, Sidecar() as sidecar:
        print(f"old Redis on {old.port}, new Redis on {new.port}, "
              f"sidecar's control port {sidecar.control[1]}")
        seed(old, new)
        operator = Operator(sidecar.control, {"OLD_PORT": old.port, "NEW_PORT": new.port})
        for step in SET_UP:
            port = operator.run(step).get("port")
        traffic = Traffic(port, old.port)
        demo = Demo(old, new, traffic, options.seconds)
        problems = []
        try:
            answer = demo.walk(operator)
            last = traffic.stop()
            print()
            print_table(demo.stages)
            for stage in demo.stages:
                problems += stage.problems()
            if last["errors"]:
                problems.append(f"errors at the end: {last['first_errors']}")
            problems += check_rollback(answer, demo, last, problems)
        except Failed as failure:
            problems.append(str(failure))
        code = sidecar.terminate()
        if code != 0:
            problems.append(f"the sidecar ended with {code}")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=pathlib.Path,
                        default=HERE.parent / "build/release/crossfade")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one stage")
    options = parser.parse_args()
    start = time.monotonic()
    problems = show(options)
    for problem in problems:
        print(f"PROBLEM: {problem}")
    print(f"demo: {'all as claimed' if not problems else 'FAILED'} in {time.monotonic() - start:.0f} s")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
