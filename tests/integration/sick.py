"""What tests of a sick new side share: a sidecar before a healthy old server, with an interlay "plain" that
has no second side and one for each strategy asked for; the load over all of them; and what became of
the second legs.

Fifty checking clients (checking_load.c) take turns over the interlays: "plain" is what the others' p99
is compared with. They send 4000 requests a second: on two cores, closed loops would measure the
processor time that the second server and its relay take from everybody, not what a client waits for.
"""

import unittest

from checking import CheckingLoad
from harness import SLOWNESS, RawConn, RedisServer, Sidecar, wait_until
from memory import MIB, grew_less, peak_rss

RATE = 4000 / SLOWNESS
SETTINGS = {"second_leg_timeout_ms": 300, "second_inflight_max": 3000, "second_bytes_max": 4 * MIB,
            "connect_timeout_ms": 500}
# What three interlays may add: each second_bytes_max of unsent bytes, in buffers that may have grown to
# twice of that, and second_inflight_max exchanges of less than 1 KiB; and what 200 sessions hold.
GROWTH_MAX = 3 * (2 * 4 * MIB + 3 * MIB) + 8 * MIB
REASONS = ("side_down", "overflow", "timeout", "connection_lost", "blocking", "oversize", "closed")


def dual_write(read_percentage=0.0, policy="old_authoritative"):
    return {"type": "canary", "read_percentage": read_percentage,
            "write_mode": {"mode": "dual_write", "policy": policy}}


STRATEGIES = {"shadow": {"type": "shadow_traffic"}, "dual": dual_write(), "reads": dual_write(0.3)}


class Legs:
    """What became of the second legs of one interlay, once every one is accounted for."""

    def __init__(self, sidecar, interlay):
        self.interlay = interlay
        self._stem, self._answered = ("crossfade_shadow", "copied") if interlay == "shadow" else (
            "crossfade_second_writes", "answered")
        try:
            wait_until(lambda: self._read(sidecar.metrics()), 10, "second legs are accounted for")
        except TimeoutError as error:
            raise AssertionError(f"{error}: {self}") from None

    def _read(self, samples):
        def value(name, reason=""):
            return sum(int(v) for k, v in samples.items()
                       if k.startswith(f"{self._stem}_{name}_total{{")
                       and f'"{self.interlay}"' in k and reason in k)
        self.eligible, self.answered = value("eligible"), value(self._answered)
        self.mismatched, self.errors = value("mismatched"), value("errors")
        self.dropped = {reason: count for reason in REASONS
                        if (count := value("dropped", f'reason="{reason}"'))}
        return self.eligible == self.answered + sum(self.dropped.values())

    def __repr__(self):
        return (f"{self.interlay}: {self.eligible} eligible = {self.answered} answered "
                f"({self.errors} errors, {self.mismatched} mismatched) + dropped {self.dropped}")


class Sick(unittest.TestCase):
    """One old server and one new side; interlay "plain", and one for each strategy asked for."""

    def start(self, new, strategies=("shadow", "dual"), loops=1, **settings):
        self.old = self.enterContext(RedisServer())
        self.sidecar = self.enterContext(Sidecar(loops=loops))
        self.sidecar.add_endpoint("old", self.old)
        self.sidecar.add_endpoint("new", new, check=False)
        self.strategies = strategies
        for name in ("plain", *strategies):
            self.sidecar.add_interlay(name, "old", settings={**SETTINGS, **settings})
            if name != "plain":
                # All on one pair, so that the load is the same for all: values are not compared.
                self.sidecar.migrate(f"to-{name}", STRATEGIES[name], name, "new", force=True)
        self.ports = dict(self.sidecar.ports)
        self.before = peak_rss(self.sidecar)

    def load(self, *events, rate=RATE, slice_ms=150, rounds=6):
        """`events`: (round, action)."""
        with CheckingLoad(self.ports, slice_ms, rounds, rate=rate) as load:
            for number, action in events:
                load.at_round(number, action)
            results = load.result()
        for name, result in results.items():
            self.assertEqual((result.errors, result.lost), (0, 0), f"{name}: {result}")
            self.assertGreater(result.requests, 500, name)
        return results

    def felt_by_nobody(self, fall_ill, wrong_reads=False, rate=RATE):
        """Runs the load over a new side that falls ill after the first turns and stays so. Checks
        what holds whatever the illness; returns the Legs of each strategy.

        While p99 is over its limit more turns are taken, of all interlays alike: noise evens out,
        delay does not.
        wrong_reads: "reads" may be answered by a new side that came back without its data."""
        turns = {name: [] for name in self.ports}
        for attempt in range(6):
            results = self.load(*([(1, fall_ill)] if attempt == 0 else ()), rate=rate)
            for name, result in results.items():
                if not (wrong_reads and name == "reads"):
                    self.assertEqual(result.wrong, 0, f"{name}: {result}")
                turns[name] += result.turns[1:] if attempt == 0 else result.turns
            if not self.late(turns, 1 / 2):
                break
        legs = [Legs(self.sidecar, name) for name in self.strategies]
        print(f"\n{self.id().rpartition('.')[2]}: p99 " + ", ".join(
            f"{name} {self.p99_us(turns[name], 1 / 2):.0f} us" for name in turns) +
            f" ({len(turns['plain'])} turns), RSS +{(peak_rss(self.sidecar) - self.before) >> 10} KiB"
            "\n    " + "\n    ".join(map(repr, legs)))
        if self.late(turns, 1 / 2):
            # The machine is so noisy that medians say nothing: the turns with the least noise do.
            self.assertEqual(self.late(turns, 1 / 4), {}, turns)
        self.memory_is_bounded()
        for leg in legs:
            self.assertGreater(leg.eligible, 300, leg)
        return legs

    @staticmethod
    def p99_us(turns, quantile):
        """The quantile, over the turns, of their p99."""
        ordered = sorted(turn[2] for turn in turns)
        return ordered[int(len(ordered) * quantile)]

    def late(self, turns, quantile):
        """Whose p99 is more than 20 % + 1 ms above that without a second side: name -> us. "reads"
        are answered by new while it is well, so only their errors count."""
        limit = self.p99_us(turns["plain"], quantile) * 1.2 + 1000 * SLOWNESS
        p99 = {name: self.p99_us(turns[name], quantile) for name in turns if name != "reads"}
        return {name: us for name, us in p99.items() if us > limit}

    def memory_is_bounded(self):
        grew_less(self, self.sidecar, self.before, GROWTH_MAX)

    def recovers(self, new):
        """Copies and second writes arrive again by themselves."""
        for name in self.strategies:
            with RawConn(self.ports[name]) as client:
                wait_until(lambda c=client, k=f"{name} again": c.call("SET", k, "v") == "OK"
                           and new.call("EXISTS", k) == 1, 6, f"{name} reaches new again")
