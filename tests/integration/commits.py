"""Sessions under load that keep account of every acknowledged commit, and where each has to be found.

    prepare(old, new)
    with CommitLoad(port, sessions=32) as load:
        …switch sides, kill, restart…
        result = load.stop()
    wrong(result, [old, new])                 # [] or text for each transaction that is not as it was told
    outside(result, spans)                    # where the operator's calls say another side was active

How it works is said in commit_load.py, which is a process of its own.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

from children import SLOWNESS, end, spawn, temp_folder

PREPARE = ["drop table if exists commits, counters",
           "create table commits (id bigint primary key, session int, counted bool)",
           "create table counters (id int primary key, n bigint) with (fillfactor = 10)",
           "insert into counters select i, 0 from generate_series(0, 9) i",
           "alter table commits owner to app", "alter table counters owner to app"]
STOP_S = 60
SHOWN_MAX = 20  # of what is wrong


def prepare(*servers):
    """Empty tables for the load on each server."""
    for server in servers:
        server.sql(*PREPARE)


@dataclass
class Transaction:
    id: int
    outcome: str     # committed, refused, unknown: see commit_load.py
    begun: float     # CLOCK_MONOTONIC, seconds
    ended: float
    port: int        # of the server that it ran on; None where that was not told


class Result:
    def __init__(self, data):
        self.transactions = [Transaction(*one) for one in data["account"]]
        self.codes = data["codes"]            # SQLSTATE -> how many ErrorResponses
        self.connects = data["connects"]
        self.seconds = data["seconds"]
        self.trouble = data["trouble"]

    def of(self, outcome):
        return [one for one in self.transactions if one.outcome == outcome]

    def __repr__(self):
        counts = {outcome: len(self.of(outcome)) for outcome in ("committed", "refused", "unknown")}
        return f"{counts} in {self.seconds:.1f} s, {self.connects} connects, codes {self.codes}"


class CommitLoad:
    def __init__(self, port, sessions=16, seed=1):
        self._result = os.path.join(temp_folder("commits"), "result.json")
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "commit_load.py")
        self._child = spawn([sys.executable, program, str(port), str(sessions), str(seed), self._result],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self._child.stdout.readline() != "working\n":
            raise RuntimeError(f"the load does not begin: {self._child.communicate()[1]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self._child)
        self._child.stdout.close()
        self._child.stderr.close()

    def stop(self):
        """The Result; what is under way is waited for."""
        self._child.terminate()
        errors = self._child.communicate(timeout=STOP_S * SLOWNESS)[1]
        if self._child.returncode != 0:
            raise RuntimeError(f"the load failed with {self._child.returncode}: {errors}")
        with open(self._result, encoding="utf-8") as file:
            return Result(json.load(file))


def wrong(result, servers, equal=False):
    """Text for each transaction that is not as its client was told. A committed one has to be on the server
    that it ran on (`equal`: on all of them), a refused one on none; what a transaction wrote is there
    altogether or not at all."""
    found = {server.port: {int(row[0]) for row in server.sql("select id from commits", limit_s=60)}
             for server in servers}
    everywhere, out = set().union(*found.values()), []
    for one in result.transactions:
        wanted = found if equal else [one.port] if one.port else []
        missing = [port for port in wanted if one.id not in found[port]]
        if one.outcome == "committed" and (missing or one.id not in everywhere):
            out.append(f"{one} was acknowledged and is missing at {missing or 'every server'}")
        elif one.outcome == "refused" and one.id in everywhere:
            out.append(f"{one} was refused and is there")
    known = {one.id for one in result.transactions}
    out += [f"{id} is there and was never sent" for id in sorted(everywhere - known)]
    for server in servers:
        if server.value(WHOLE) != "t":
            out.append(f"transactions at {server.port} are there in part")
    return out[:SHOWN_MAX] + ([f"… {len(out)} in all"] if len(out) > SHOWN_MAX else [])


WHOLE = "select (select sum(n) from counters) = (select count(*) from commits where counted)"


def outside(result, spans):
    """Committed transactions that ran on a server which was active at no moment of theirs.

    spans   [(port, from, to)], seconds of CLOCK_MONOTONIC (time.monotonic()): when a server may have been the
            active one, as the operator's calls were begun and answered; to None: until the end
    """
    def active(one):
        return any(port == one.port and begin <= one.ended and (to is None or one.begun <= to)
                   for port, begin, to in spans)
    return [one for one in result.of("committed") if not active(one)]
