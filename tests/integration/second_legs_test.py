"""Second legs, one by one: what a limit forbids is dropped and counted, nothing is lost that both sides
could have had, and nothing runs on new that did not run on old.
"""

import time
import unittest

from fake_server import FakeServer
from harness import SLOWNESS, RawConn, RedisServer, encode, temp_folder, wait_until
from memory import MIB
from sick import Legs, Sick

BESIDE = 1


class Bounds(Sick):
    """Floods: what a limit forbids is dropped and counted; clients and the old server have everything."""

    def test_closed_loops_while_it_falls_ill_in_every_way(self):
        new = self.enterContext(RedisServer())
        fake = self.enterContext(FakeServer(new.port))
        self.start(fake.port, loops=2, second_inflight_max=300)
        modes = ("delay 100", "garble", "deaf", "half", "silent", "close", "stuck", "healthy")
        results = self.load(*[(number, lambda m=mode: fake.become(m))
                              for number, mode in enumerate(modes)], rate=0, rounds=8)
        for name, result in results.items():
            self.assertEqual(result.wrong, 0, f"{name}: {result}")
        for name in self.strategies:
            leg = Legs(self.sidecar, name)
            print(f"\nall at once, {leg}")
            # Clients wait for their dual writes: those do not pile up.
            overflow = ("overflow",) if name == "shadow" else ()
            for reason in ("side_down", *overflow):
                self.assertGreater(leg.dropped[reason], 0, leg)
            # On a slow machine the side may be down before a leg meets a connection that ends.
            lost = [leg.dropped.get(reason, 0) for reason in ("connection_lost", "timeout")]
            self.assertGreater(sum(lost), 0, leg)
        self.memory_is_bounded()
        self.recovers(new)

    def test_many_replies_in_flight_on_a_slow_side(self):
        new = self.enterContext(RedisServer())
        fake = self.enterContext(FakeServer(new.port))
        self.start(fake.port, second_leg_timeout_ms=5000)
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
                # second_leg_timeout_ms, once, and five times 10,000 commands.
                self.assertLess(time.monotonic() - began, 0.3 + 2.5 * SLOWNESS)
                Legs(self.sidecar, name)
        self.memory_is_bounded()

    def test_big_values_to_a_side_that_does_not_read(self):
        new = self.enterContext(RedisServer())
        fake = self.enterContext(FakeServer(new.port))
        self.start(fake.port, second_leg_timeout_ms=2_000)  # a dual write is waited for so long
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
            self.assertGreater(leg.dropped["overflow"], 0, leg)
            self.assertGreater(sum(leg.dropped.values()), 50, leg)

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


class Changes(Sick):
    """Second legs that are under way when something ends."""

    def test_a_rollback_under_load(self):
        with RedisServer() as new:
            self.start(new)

            def roll_back():
                for name in self.strategies:
                    self.sidecar.must("POST", f"/migrations/to-{name}/rollback")
            results = self.load((2, roll_back), rate=0)
            for name, result in results.items():
                self.assertEqual(result.wrong, 0, f"{name}: {result}")
            for name in self.strategies:
                leg = Legs(self.sidecar, name)
                self.assertGreater(leg.answered, 100, leg)

    def test_a_big_value_on_its_way_to_a_side_that_dies(self):
        value = b"x" * (30 * MIB)
        for strategy in ("shadow", "dual"):
            with self.subTest(strategy=strategy), RedisServer() as new:
                self.start(new, (strategy,), second_bytes_max=64 * MIB)
                with RawConn(self.ports[strategy], limit_s=20) as client:
                    self.assertEqual(client.call("SET", "k", "v"), "OK")
                    request = encode("SET", "k", value)
                    client.send(request[:15 * MIB])
                    new.kill()
                    client.send(request[15 * MIB:], 30)
                    self.assertEqual(client.read(20 * SLOWNESS), "OK")
                    self.assertEqual(client.call("STRLEN", "k"), len(value))
                leg = Legs(self.sidecar, strategy)
                self.assertEqual((leg.eligible, leg.answered), (2 + (strategy == "shadow"), 1), leg)

    def test_a_transaction_whose_new_side_dies_is_not_run_there_by_halves(self):
        for strategy in ("shadow", "dual"):
            with self.subTest(strategy=strategy), RedisServer() as new:
                self.start(new, (strategy,))
                with RawConn(self.ports[strategy]) as client:
                    self.assertEqual(client.call("SET", "k", 1), "OK")
                    self.assertEqual(client.call("MULTI"), "OK")
                    self.assertEqual(client.call("INCR", "k"), "QUEUED")
                    new.kill()
                    self.assertEqual(client.call("INCR", "k"), "QUEUED")
                    new.restart()
                    self.assertEqual(client.call("INCR", "k"), "QUEUED")
                    self.assertEqual(client.call("EXEC"), [2, 3, 4])
                    Legs(self.sidecar, strategy)
                    if strategy == "shadow":
                        # Half of it must not have run on the server that came back.
                        self.assertEqual(new.call("EXISTS", "k"), 0)
                    else:  # it may have, but what it lacked is repaired
                        wait_until(lambda n=new: n.call("GET", "k") == b"4", 10, "k is repaired")
                    self.recovers(new)

    def test_what_is_written_in_silence_while_new_is_down(self):
        with RedisServer() as new:
            self.start(new, ("dual",))
            new.kill()
            with RawConn(self.ports["dual"]) as client:
                client.send(encode("CLIENT", "REPLY", "OFF") + encode("SET", "alone", 1) +
                            encode("MULTI") + encode("SET", "together", 2) + encode("EXEC"))
                wait_until(lambda: self.old.call("DBSIZE") == 2, 5, "old has both")
            wait_until(lambda: self.sidecar.metric("crossfade_ledger_entries") == 2, 5, "both are suspected")
            new.restart()
            wait_until(lambda: self.sidecar.metric("crossfade_ledger_entries") == 0, 10, "and repaired")
            self.assertEqual(new.call("MGET", "alone", "together"), [b"1", b"2"])

    def test_who_stops_in_the_midst_of_a_big_write_holds_up_nobody_for_long(self):
        with RedisServer() as new:
            self.start(new, ("dual",), order_wait_ms=300)
            half = encode("EVAL", "return 1", 0, "x" * 100_000)[:50_000]  # it names no keys
            with RawConn(self.ports["dual"]) as hung, RawConn(self.ports["dual"]) as client:
                hung.send(half)
                began = time.monotonic()
                for n in range(20):
                    self.assertEqual(client.call("SET", f"k{n}", n), "OK")
                self.assertLess(time.monotonic() - began, 2 * SLOWNESS)  # one wait, not twenty
                wait_until(lambda: self.sidecar.metric("crossfade_ledger_entries") == 0, 10,
                           "all is repaired")
                self.assertEqual(new.call("DBSIZE"), 20)

    def test_writes_on_known_keys_while_new_is_down_cost_no_note_and_are_repaired(self):
        with RedisServer() as new:
            self.start(new, ("dual",), loops=2)
            keys = [f"k{n}" for n in range(50)]
            new.kill()
            noted = "crossfade_ledger_noted_total"
            with RawConn(self.ports["dual"]) as one, RawConn(self.ports["dual"]) as another:
                def relies():
                    """A round of writes that the ledger hears nothing of."""
                    before = self.sidecar.metric(noted)
                    for key in keys:
                        self.assertNotIsInstance(one.call("INCR", key), Exception)
                        self.assertNotIsInstance(another.call("APPEND", key, 7), Exception)
                    return self.sidecar.metric(noted) == before
                wait_until(relies, 20, "all keys are known to be in the ledger")
                self.assertEqual(one.call("SET", "unknown", 1), "OK")
                self.assertEqual(one.call("RENAME", "k0", "k1"), "OK")
                new.restart()
                for n in range(3000):
                    one.call("INCR", keys[1 + n % 49])
                    another.call("SETRANGE", keys[1 + n * 7 % 49], 30, n)
            wait_until(lambda: self.sidecar.metric("crossfade_ledger_entries") == 0, 20, "all is repaired")
            found = sorted(self.old.call("KEYS", "*"))
            self.assertEqual(len(found), 50)
            self.assertEqual(sorted(new.call("KEYS", "*")), found)
            self.assertEqual(new.call("MGET", *found), self.old.call("MGET", *found))

    def test_a_transaction_whose_old_side_dies_runs_nowhere(self):
        for strategy in ("shadow", "dual"):
            with self.subTest(strategy=strategy), RedisServer() as new:
                self.start(new, (strategy,))
                with RawConn(self.ports[strategy]) as client:
                    self.assertEqual(client.call("SET", "k", 1), "OK")
                    self.assertEqual(client.call("MULTI"), "OK")
                    self.assertEqual(client.call("INCR", "k"), "QUEUED")
                    wait_until(lambda n=new: n.call("GET", "k") == b"1", 5, "the copy has arrived")
                    self.old.kill()
                    client.read_eof()
                Legs(self.sidecar, strategy)
                # Others ask new who it is, and stay.
                wait_until(lambda n=new: b" cmd=set " not in n.call("CLIENT", "LIST"), 5,
                           "new's connection is closed, too")
                self.assertEqual(new.call("GET", "k"), b"1")


class Goodbyes(Sick):
    """With a healthy new side nothing is lost, however clients leave: afterwards both are the same."""

    def setUp(self):
        self.new = self.enterContext(RedisServer())
        self.start(self.new, loops=2, second_inflight_max=1_000_000, second_bytes_max=1 << 30,
                   second_leg_timeout_ms=60_000, connect_timeout_ms=60_000)

    def the_same(self, at_least, unfinished=0):
        """`unfinished`: requests of each strategy whose end their clients did not send."""
        for name in self.strategies:
            leg = Legs(self.sidecar, name)
            dropped = leg.dropped.pop("closed", 0) if unfinished else 0
            self.assertEqual((leg.dropped, leg.errors), ({}, 0), leg)
            self.assertLessEqual(dropped, unfinished)
        # What silent clients write reaches new by repair.
        wait_until(lambda: self.sidecar.metric("crossfade_ledger_entries") == 0, 20, "all is repaired")
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
        self.old.call("SELECT", 0)
        keys = self.old.call("KEYS", "*")
        self.assertEqual(set(self.old.call("MGET", *keys)), {str(sum(range(100))).encode()})

    def test_silent_transactions(self):
        def write(client, n):
            client.send(encode("CLIENT", "REPLY", "OFF") +
                        b"".join(encode("MULTI") + encode("INCRBY", n, i) + encode("RPUSH", f"{n}l", i) +
                                 encode("EXEC") for i in range(50)))
        self.each(30, write)
        self.all_gone()
        wait_until(lambda: self.old.call("DBSIZE") == 120, 10, "old has all")
        self.the_same(120)

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
