"""The new side is sick, and nobody notices: under shadow_traffic and under a canary whose dual writes
are old_authoritative, clients see no error, no wrong reply and no delay; memory stays bounded; and
every copy or second write that was due is accounted for.

Fifty checking clients (checking_load.c) take turns over three interlays of one sidecar, before the
same old server: "plain" without a second side is what the others' p99 is compared with.
"""

import re
import unittest

from checking import CheckingLoad
from fake_server import BackloggedPort, FakeServer
from harness import SLOWNESS, RawConn, RedisServer, Sidecar, encode, wait_until

import os; RATE=int(os.environ.get("RATE", "4000"))
SETTINGS = {"second_timeout_ms": 300, "second_inflight_max": 3000, "second_bytes_max": 4 << 20,
            "connect_timeout_ms": 500}
# Two interlays with a second side, each with 4 MiB of unsent bytes at most, held by buffers that may
# have grown to twice of that; and 3000 requests in flight at less than 1 KiB each.
GROWTH_MAX = 2 * (2 * (4 << 20) + (3 << 20)) + (8 << 20)
REASONS = ("side_down", "overflow", "timeout", "connection_lost", "blocking", "oversize", "closed")


def dual_write(read_percentage=0.0, policy="old_authoritative"):
    return {"type": "canary", "read_percentage": read_percentage,
            "write_mode": {"mode": "dual_write", "policy": policy}}


class Legs:
    """What became of the second legs of one interlay, when all are accounted for."""

    STEMS = {"shadow": ("crossfade_shadow", "copied"),
             "dual": ("crossfade_second_writes", "answered")}

    def __init__(self, sidecar, interlay, sort):
        stem, answered = self.STEMS[sort]
        self.interlay = interlay

        def settled():
            samples = sidecar.metrics()

            def value(name, **labels):
                return sum(int(v) for k, v in samples.items()
                           if k.startswith(f"{stem}_{name}_total{{") and f'"{interlay}"' in k
                           and all(f'{a}="{b}"' in k for a, b in labels.items()))
            self.eligible, self.answered = value("eligible"), value(answered)
            self.mismatched, self.errors = value("mismatched"), value("errors")
            self.dropped = {r: n for r in REASONS if (n := value("dropped", reason=r))}
            return self.eligible == self.answered + sum(self.dropped.values())
        try:
            wait_until(settled, 10, "second legs are accounted for")
        except TimeoutError as error:
            raise AssertionError(f"{error}: {self}") from None

    def __repr__(self):
        return (f"{self.interlay}: {self.eligible} eligible = {self.answered} answered "
                f"({self.errors} errors, {self.mismatched} mismatched) + dropped {self.dropped}")


def peak_rss(sidecar):
    with open(f"/proc/{sidecar.pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)) * 1024


class Sick(unittest.TestCase):
    """One old server, one new side; interlays plain, shadow and dual."""

    def start(self, new_port, settings=None):
        self.old = self.enterContext(RedisServer())
        self.sidecar = self.enterContext(Sidecar())
        self.sidecar.add_endpoint("old", self.old)
        self.sidecar.add_endpoint("new", new_port, check=False)
        for name in ("plain", "shadow", "dual"):
            self.sidecar.add_interlay(name, "old", settings={**SETTINGS, **(settings or {})})
        self.sidecar.migrate("m1", {"type": "shadow_traffic"}, "shadow", "new")
        self.sidecar.migrate("m2", dual_write(), "dual", "new")
        self.ports = dict(self.sidecar.ports)
        self.before = self.sidecar.rss()

    def unharmed(self, results):
        for name, result in results.items():
            self.assertEqual((result.errors, result.wrong, result.lost), (0, 0, 0), f"{name}: {result}")
            self.assertGreater(result.requests, 500, name)

    def run_load(self, *events, rate=RATE, slice_ms=200, rounds=6):
        """Runs the load over all three; `events`: (round, action). Checks all that holds whatever the
        sickness. Returns the legs of shadow and dual."""
        turns = {}
        with CheckingLoad(self.ports, slice_ms, rounds, rate=rate) as load:
            for number, action in events:
                load.at_round(number, action)
            results = load.result()
        self.unharmed(results)
        for _ in range(3):  # noise: more turns for the medians, of all groups alike
            for name, result in results.items():
                turns.setdefault(name, []).extend(result.turns)
                result.turns = turns[name]
            if self.delay(results) is None:
                break
            with CheckingLoad(self.ports, slice_ms, rounds, rate=rate) as load:
                results = load.result()
            self.unharmed(results)
        self.report(results)
        self.assertIsNone(self.delay(results))
        self.assertLess(peak_rss(self.sidecar) - self.before, GROWTH_MAX)
        legs = Legs(self.sidecar, "shadow", "shadow"), Legs(self.sidecar, "dual", "dual")
        for leg in legs:
            print("   ", leg)
            self.assertGreater(leg.eligible, 300, leg)
        self.assertTrue(self.sidecar.alive())
        return legs

    @staticmethod
    def delay(results):
        """Says whose p99 is more than 20 % + 1 ms above that without a second side; None: nobody's."""
        limit = results["plain"].p99_us * 1.2 + 1000 * SLOWNESS
        late = {name: result.p99_us for name, result in results.items() if result.p99_us > limit}
        return f"p99 over {limit:.0f} us: {late}, turns {[r.turns for r in results.values()]}" \
            if late else None

    def report(self, results):
        print(f"\n{self.id().rpartition('.')[2]}: " + ", ".join(
            f"{name} p50 {r.p50_us:.0f} p99 {r.p99_us:.0f} us ({r.requests})"
            for name, r in results.items()) + f", RSS +{(peak_rss(self.sidecar) - self.before) >> 10} KiB")


class SickFromTheStart(Sick):
    def test_refused(self):
        with RedisServer() as gone:
            port = gone.port
        self.start(port)
        for leg in self.run_load():
            self.assertEqual(leg.answered, 0)
            self.assertGreater(leg.dropped["side_down"], 0)

    def test_no_answer_to_connecting(self):
        with BackloggedPort() as unreachable:
            self.start(unreachable.port)
            for leg in self.run_load():
                self.assertEqual(leg.answered, 0)
                self.assertGreater(leg.dropped["side_down"], 0)


class FallsIll(Sick):
    def test_healthy(self):
        with RedisServer() as new:
            self.start(new.port)
            for leg in self.run_load():
                self.assertEqual((leg.dropped, leg.mismatched, leg.errors), ({}, 0, 0), leg)

    def test_killed_and_restarted(self):
        with RedisServer() as new:
            self.start(new.port)
            for leg in self.run_load((1, new.kill), (4, new.restart)):
                self.assertGreater(leg.answered, 0)
                self.assertGreater(leg.dropped["side_down"], 0)
            self.recovers(new)

    def test_stopped(self):
        with RedisServer() as new:
            self.start(new.port)
            for leg in self.run_load((1, new.sigstop), (4, new.sigcont)):
                self.assertGreater(leg.answered, 0)
                self.assertGreater(leg.dropped["timeout"], 0)
            self.recovers(new)

    def ill(self, mode, then="healthy"):
        new = self.enterContext(RedisServer())
        fake = self.enterContext(FakeServer(new.port))
        self.start(fake.port)
        legs = self.run_load((1, lambda: fake.become(mode)), (4, lambda: fake.become(then)))
        self.recovers(new)
        return legs

    def test_accepts_and_never_answers(self):
        for leg in self.ill("silent"):
            self.assertGreater(leg.dropped["timeout"], 0)

    def test_slow(self):
        for leg in self.ill("delay 100"):
            self.assertGreater(leg.answered, 0)

    def test_garbling(self):
        for leg in self.ill("garble"):
            self.assertGreater(leg.dropped["connection_lost"], 0)

    def test_half_replies_then_closed(self):
        for leg in self.ill("half"):
            self.assertGreater(leg.dropped["connection_lost"], 0)

    def test_half_replies_then_nothing(self):
        for leg in self.ill("stuck"):
            self.assertGreater(leg.dropped["timeout"], 0)

    def test_accepts_and_closes(self):
        self.ill("close")

    def recovers(self, new):
        """Copies and second writes arrive again by themselves."""
        for name in ("shadow", "dual"):
            with RawConn(self.ports[name]) as client:
                wait_until(lambda c=client, k=f"{name} again": c.call("SET", k, "v") == "OK"
                           and new.call("EXISTS", k) == 1, 5, f"{name} reaches new again")


if __name__ == "__main__":
    unittest.main()
