"""The new side is sick, and nobody notices: under shadow_traffic and under a canary whose dual writes
are old_authoritative, clients see no error, no wrong reply and no delay; memory stays bounded; and
every copy or second write that was due is accounted for.

Fifty checking clients (checking_load.c) take turns over interlays of one sidecar before the same old
server: "plain" without a second side is what the others' p99 is compared with. They send 4000 requests
a second: on two cores, closed loops would measure the processor time that the second server and its
relay take from everybody, not what a client waits for.
"""

import time
import unittest

from checking import CheckingLoad
from fake_server import BackloggedPort, FakeServer
from harness import SLOWNESS, RawConn, RedisServer, Sidecar, encode, temp_folder, wait_until
from memory import MIB, grew_less, peak_rss

RATE = 4000 / SLOWNESS
SETTINGS = {"second_timeout_ms": 300, "second_inflight_max": 3000, "second_bytes_max": 4 * MIB,
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

    def start(self, new, strategies=("shadow", "dual"), **settings):
        self.old = self.enterContext(RedisServer())
        self.sidecar = self.enterContext(Sidecar())
        self.sidecar.add_endpoint("old", self.old)
        self.sidecar.add_endpoint("new", new, check=False)
        self.strategies = strategies
        for name in ("plain", *strategies):
            self.sidecar.add_interlay(name, "old", settings={**SETTINGS, **settings})
            if name != "plain":
                self.sidecar.migrate(f"to-{name}", STRATEGIES[name], name, "new")
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
        for attempt in range(3):
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


class NewSideIsNotThere(Sick):
    def test_refused(self):
        with RedisServer() as new:
            self.start(new, ("shadow", "dual", "reads"))
            for leg in self.felt_by_nobody(new.kill):
                self.assertGreater(leg.dropped["side_down"], 0)
            self.assertGreater(self.sidecar.metric("crossfade_read_fallbacks_total"), 20)
            # Costs the new side nothing, so closed loops compare too.
            self.felt_by_nobody(lambda: None, rate=0)
            new.restart()
            self.recovers(new)

    def test_no_answer_to_connecting(self):
        with RedisServer() as new:
            self.start(new, ("shadow", "dual", "reads"))

            def unplug():
                new.kill()
                self.enterContext(BackloggedPort(new.port))
            for leg in self.felt_by_nobody(unplug):
                self.assertGreater(leg.dropped["side_down"], 0)

    def test_killed_in_mid_run_and_restarted_empty(self):
        with RedisServer() as new:
            self.start(new, ("shadow", "dual", "reads"))
            results = self.load((1, new.kill), (3, new.restart), (4, new.kill), (5, new.restart))
            for name in ("plain", "shadow", "dual"):
                self.assertEqual(results[name].wrong, 0, results[name])
            for name in self.strategies:
                leg = Legs(self.sidecar, name)
                self.assertGreater(leg.answered, 0, leg)
                self.assertGreater(leg.dropped["side_down"], 0, leg)
            self.recovers(new)


class NewSideIsThere(Sick):
    """A relay before a real server, or the server itself, falls ill under load."""

    def ill(self, mode):
        new = self.enterContext(RedisServer())
        fake = self.enterContext(FakeServer(new.port))
        self.start(fake.port)
        legs = self.felt_by_nobody(lambda: fake.become(mode))
        fake.become("healthy")
        self.recovers(new)
        return legs

    def test_stopped(self):
        with RedisServer() as new:
            self.start(new)
            for leg in self.felt_by_nobody(new.sigstop):
                self.assertGreater(leg.dropped["timeout"], 0)
            new.sigcont()
            self.recovers(new)

    def test_accepts_and_never_answers(self):
        for leg in self.ill("silent"):
            self.assertGreater(leg.dropped["timeout"], 0)

    def test_slow_by_100_ms(self):
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


class Bounds(Sick):
    """Floods: what a limit forbids is dropped and counted; clients and the old server have everything."""

    def test_closed_loops_while_it_falls_ill_in_every_way(self):
        new = self.enterContext(RedisServer())
        fake = self.enterContext(FakeServer(new.port))
        self.start(fake.port, second_inflight_max=300)
        modes = ("delay 100", "garble", "deaf", "half", "silent", "close", "stuck", "healthy")
        results = self.load(*[(number, lambda m=mode: fake.become(m))
                              for number, mode in enumerate(modes)], rate=0, rounds=8)
        for name, result in results.items():
            self.assertEqual(result.wrong, 0, f"{name}: {result}")
        for name in self.strategies:
            leg = Legs(self.sidecar, name)
            print(f"\nall at once, {leg}")
            for reason in ("overflow", "side_down", "connection_lost"):
                self.assertGreater(leg.dropped[reason], 0, leg)
        self.memory_is_bounded()
        self.recovers(new)

    def test_many_replies_in_flight_on_a_slow_side(self):
        new = self.enterContext(RedisServer())
        fake = self.enterContext(FakeServer(new.port))
        self.start(fake.port, second_timeout_ms=5000)
        fake.become("delay 100")
        requests = b"".join(encode("SET", f"k{n}", n) for n in range(20_000))
        for name in self.strategies:
            with RawConn(self.ports[name]) as client:
                client.send(requests)
                self.assertEqual(set(client.replies(20_000, 20 * SLOWNESS)), {b"+OK\r\n"})
                leg = Legs(self.sidecar, name)
                self.assertGreaterEqual(leg.answered, 3000, leg)
                if name == "shadow":  # dual writes wait for a side that answers, copies do not
                    self.assertGreater(leg.dropped["overflow"], 0, leg)
        self.assertEqual(self.old.call("DBSIZE"), 20_000)
        self.memory_is_bounded()

    def test_long_pipelines_wait_for_a_silent_side_once_at_most(self):
        new = self.enterContext(RedisServer())
        fake = self.enterContext(FakeServer(new.port))
        self.start(fake.port)
        fake.become("silent")
        requests = b"".join(encode("SET", f"k{n}", n) for n in range(10_000))
        for name in self.strategies:
            with RawConn(self.ports[name]) as client:
                began = time.monotonic()
                for _ in range(5):
                    client.send(requests)
                    self.assertEqual(set(client.replies(10_000, 20 * SLOWNESS)), {b"+OK\r\n"})
                # second_timeout_ms, once, and five times 10,000 commands.
                self.assertLess(time.monotonic() - began, 0.3 + 2.5 * SLOWNESS)
                Legs(self.sidecar, name)
        self.memory_is_bounded()

    def test_big_values_to_a_side_that_does_not_read(self):
        new = self.enterContext(RedisServer())
        fake = self.enterContext(FakeServer(new.port))
        self.start(fake.port, second_timeout_ms=60_000)
        fake.become("deaf")
        value = b"x" * (MIB // 2)
        for name in self.strategies:
            with RawConn(self.ports[name], limit_s=20) as client:
                client.send(b"".join(encode("SET", f"{name}{n}", value) for n in range(100)), 60)
                self.assertEqual(set(client.replies(100, 30 * SLOWNESS)), {b"+OK\r\n"})
                # One value that is bigger than all that may wait for the new side.
                self.assertEqual(client.call("SET", name, value * 40, limit_s=30 * SLOWNESS), "OK")
                self.assertEqual(client.call("STRLEN", name), 20 * MIB)
        self.assertEqual(self.old.call("DBSIZE"), 202)
        self.memory_is_bounded()
        fake.become("close")
        for name in self.strategies:
            leg = Legs(self.sidecar, name)
            self.assertGreater(leg.dropped["overflow"], 50, leg)

    def test_a_side_that_says_what_nobody_asked(self):
        """Surplus replies, pushes, and lengths that no one can keep are never seen nor kept."""
        new = self.enterContext(RedisServer())
        fake = self.enterContext(FakeServer(new.port))
        self.start(fake.port)
        speech = f"{temp_folder('speech')}/speech"
        for said in (b"+OK\r\n" * 1000, b">3\r\n+message\r\n+a\r\n+b\r\n" * 100, b"*3\r\n" * 100_000,
                     b"$1099511627776\r\n" + b"x" * 300_000, b"*1000000000000\r\n" + b":1\r\n" * 9999,
                     b"*-5\r\n", b"$abc\r\n", b"-ERR " + b"e" * 500_000, b"\r\n\r\n", b"\0" * 1000):
            with open(speech, "wb") as file:
                file.write(said)
            fake.become(f"say {speech}")
            for name in self.strategies:
                with RawConn(self.ports[name]) as client:
                    for n in range(50):
                        self.assertEqual(client.call("SET", "k", n), "OK")
                        self.assertEqual(client.call("GET", "k"), str(n).encode())
                    self.assertEqual(client.available(), [])
                    self.assertIsNone(client.eof)
        fake.become("close")
        for name in self.strategies:
            Legs(self.sidecar, name)
        self.memory_is_bounded()


class Goodbyes(Sick):
    """With a healthy new side nothing is lost, however clients leave: afterwards both are the same."""

    def setUp(self):
        self.new = self.enterContext(RedisServer())
        self.start(self.new, second_inflight_max=1_000_000, second_bytes_max=1 << 30,
                   second_timeout_ms=60_000, connect_timeout_ms=60_000)

    def the_same(self, at_least, unfinished=0):
        """`unfinished`: requests of each strategy whose end their clients did not send."""
        for name in self.strategies:
            leg = Legs(self.sidecar, name)
            dropped = leg.dropped.pop("closed", 0) if unfinished else 0
            self.assertEqual((leg.dropped, leg.errors), ({}, 0), leg)
            self.assertLessEqual(dropped, unfinished)
        for db in range(3):
            data = []
            for server in (self.old, self.new):
                server.call("SELECT", db)
                keys = sorted(server.call("KEYS", "*"))
                data.append({key: server.call("DUMP", key) for key in keys})
            old, new = data
            self.assertEqual(sorted(old.keys() ^ new.keys()), [], f"keys of one side only, db {db}")
            self.assertEqual([key for key in old if old[key] != new[key]], [], "different values")
            at_least -= len(old)
        self.assertLessEqual(at_least, 0)

    def each(self, count, behaviour):
        """`behaviour(client, n)` with `count` fresh clients of each strategy."""
        for name in self.strategies:
            for n in range(count):
                with RawConn(self.ports[name]) as client:
                    behaviour(client, f"{name}{n}")

    def test_acknowledged_then_closed(self):
        def write(client, n):
            self.assertEqual(client.call("SET", n, n), "OK")
        self.each(300, write)
        self.the_same(600)

    def test_sent_and_closed_at_once(self):
        self.each(300, lambda client, n: client.command("SET", n, n))
        wait_until(lambda: self.old.call("DBSIZE") == 600, 10, "old has what was sent")
        self.the_same(600)

    def test_acknowledged_then_reset(self):
        def write(client, n):
            self.assertEqual(client.call("RPUSH", n, n, n), 2)
            client.abort()
        self.each(300, write)
        self.the_same(600)

    def test_sent_and_reset_at_once(self):
        def write(client, n):
            client.command("SET", n, n)
            client.abort()
        self.each(300, write)
        self.all_gone()
        self.the_same(0)

    def test_long_pipelines_and_nobody_reads(self):
        def write(client, n):
            client.send(b"".join(encode("RPUSH", n, i) for i in range(500)))
            client.abort() if n.endswith("1") else client.close()
        self.each(40, write)
        self.all_gone()
        self.the_same(60)

    def test_databases_and_transactions(self):
        def write(client, n):
            client.send(encode("SELECT", 1) + encode("SET", n, 1) + encode("MULTI") +
                        encode("INCR", n) + encode("SELECT", 2) + encode("SET", n, "two") +
                        encode("EXEC") + encode("APPEND", n, "!") + encode("MULTI") +
                        encode("SET", n, "never"))
        self.each(100, write)
        self.all_gone()
        wait_until(lambda: self.old.call("INFO", "keyspace").count(b"keys=200") == 2, 10, "old has all")
        self.the_same(400)

    def test_silent_writers(self):
        def write(client, n):
            client.send(encode("CLIENT", "REPLY", "OFF") +
                        b"".join(encode("INCRBY", n, i) for i in range(100)))
        self.each(50, write)
        self.all_gone()
        wait_until(lambda: self.old.call("DBSIZE") == 100, 10, "old has all")
        self.the_same(100)

    def test_half_of_a_request_is_no_request(self):
        def write(client, n):
            request = encode("SET", n, "x" * 100_000)
            client.send(encode("SET", f"{n}whole", n) + request[:-2 if n.endswith("1") else 60_000])
        self.each(50, write)
        self.all_gone()
        wait_until(lambda: self.old.call("DBSIZE") == 100, 10, "old has the whole ones")
        self.the_same(100, unfinished=50)

    def test_a_client_that_leaves_while_blocked_takes_nothing(self):
        for name in self.strategies:
            for behind in (b"", encode("GET", "k"), encode("SET", "never", "v")):
                with RawConn(self.ports[name]) as client:
                    self.assertEqual(client.call("PING"), "PONG")
                    client.send(encode("BLPOP", "list", 0) + behind)
                    wait_until(lambda: self.old.info("clients")["blocked_clients"] == "1", 5, "blocked")
                wait_until(lambda: self.old.info("clients")["blocked_clients"] == "0", 5, "forgotten")
        self.old.call("RPUSH", "list", "x")
        self.assertEqual(self.old.call("LRANGE", "list", 0, -1), [b"x"])
        self.assertEqual(self.old.call("EXISTS", "never"), 0)
        self.all_gone()

    def all_gone(self):
        wait_until(lambda: self.sidecar.metric("crossfade_sessions_open") == 0, 20,
                   "no session is left behind")


if __name__ == "__main__":
    unittest.main()
