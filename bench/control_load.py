#!/usr/bin/python3
"""The control bench: what 1,000 calls at once on the control port cost clients of the data port.

    bench/control_load.py [--build DIR] [--rounds N] [--seconds S] [--calls N] [--trace]

Each round measures one client's requests three times, in an order that is drawn anew: while the sidecar
that serves it is called, while another sidecar on the same machine is called in the same way, and while
nobody is. Own over other is what a data port suffers from sharing a process with a control port that is
busy; other over none is what the machine does to it, having two programs more to run. Prints the median
over the rounds of each p50 and p99, and of the ratio of own to other within a round, with the 95 % interval
of that median (bootstrap, 10,000 draws). --trace prints every round.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import selectors
import socket
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/integration"))
from harness import ADMIN, RedisServer, Sidecar  # noqa: E402
from latency import Latency  # noqa: E402

CANARY = {"type": "canary", "read_percentage": 0.25,
          "write_mode": {"mode": "dual_write", "policy": "old_authoritative"}}
CALLS = (("GET", "/migrations", None), ("GET", "/migrations/m/status", None), ("GET", "/interlays", None),
         ("PATCH", "/migrations/m", {"description": "changed"}))
LIMIT_S = 60
DRAWS = 10_000
WHOSE = ("own", "other", "none")


def request(method, path, body):
    data = b"" if body is None else json.dumps(body).encode()
    head = (f"{method} /api/v1{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n")
    return head.encode() + data


REQUESTS = [request(*call) for call in CALLS]


def call_at_once(sidecar, count):
    """`count` connections, each with one call, none of which waits for another. One thread makes them: it is
    the sidecar that is to be busy."""
    statuses = collections.Counter()
    with selectors.DefaultSelector() as wires:
        for number in range(count):
            wire = socket.create_connection(sidecar.control, LIMIT_S)
            wire.sendall(REQUESTS[number % len(REQUESTS)])
            wire.setblocking(False)
            wires.register(wire, selectors.EVENT_READ, bytearray())
        while wires.get_map():
            ready = wires.select(LIMIT_S)
            if not ready:
                raise TimeoutError(f"{len(wires.get_map())} calls are not answered")
            for key, _ in ready:
                piece = key.fileobj.recv(1 << 16)
                key.data.extend(piece)
                if not piece:
                    wires.unregister(key.fileobj)
                    key.fileobj.close()
                    statuses[int(key.data.split(maxsplit=2)[1])] += 1
    if statuses != {200: count}:
        raise RuntimeError(f"answers by status: {dict(statuses)}")


def interval(values, dice):
    """The 95 % interval of the median, by bootstrap."""
    medians = sorted(statistics.median(dice.choices(values, k=len(values))) for _ in range(DRAWS))
    return medians[DRAWS * 25 // 1000], medians[DRAWS * 975 // 1000]


def measure(options, dice):
    """One dictionary for each round: whose calls -> Latency."""
    with RedisServer() as old, RedisServer() as new, Sidecar() as own, Sidecar() as other:
        for sidecar in (own, other):
            sidecar.add_endpoint("old", old)
            sidecar.add_endpoint("new", new)
            port = sidecar.add_interlay("cache", "old")
            # Dual writes of two sidecars before one pair of servers; only one of them has a client.
            sidecar.migrate("m", CANARY, "cache", "new", force=True)
            if sidecar is own:
                measured = port
        for number in range(options.rounds + 1):
            figures = {}
            for whose in dice.sample(WHOSE, len(WHOSE)):
                with Latency(measured) as latency:
                    until = time.monotonic() + options.seconds
                    while whose != "none" and time.monotonic() < until:
                        call_at_once(own if whose == "own" else other, options.calls)
                    time.sleep(max(0, until - time.monotonic()))
                figures[whose] = latency
            if options.trace:
                print(number, {whose: round(figure.p99_us) for whose, figure in figures.items()}, flush=True)
            if number > 0:  # the first one warms up
                yield figures


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement (default 2)")
    parser.add_argument("--calls", type=int, default=1_000, help="at once (default 1,000)")
    parser.add_argument("--trace", action="store_true")
    options = parser.parse_args()
    os.environ["CROSSFADE_BIN"] = str((options.build / "crossfade").resolve())
    dice = random.Random(6)
    rounds = list(measure(options, dice))
    print(f"{options.rounds} rounds, {options.calls} calls at once again and again; the client made about "
          f"{statistics.median(figures['own'].count for figures in rounds):.0f} requests in each\n")
    print("| calls on | p50, us | p99, us |\n|---|---:|---:|")
    for whose, title in (("none", "no sidecar"), ("other", "another sidecar"), ("own", "its own sidecar")):
        p50, p99 = (statistics.median(getattr(figures[whose], name) for figures in rounds)
                    for name in ("p50_us", "p99_us"))
        print(f"| {title} | {p50:.0f} | {p99:.0f} |")
    for name in ("p50_us", "p99_us"):
        ratios = [getattr(figures["own"], name) / getattr(figures["other"], name) for figures in rounds]
        low, high = interval(ratios, dice)
        print(f"\n{name[:3]} with calls on its own sidecar, over that with calls on another: "
              f"{statistics.median(ratios):.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
