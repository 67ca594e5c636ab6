"""What clients are in the midst of when writes go over to the other server: nothing is begun behind that on
the side that has lost them, and what was on its way there is counted."""

import threading
import time
import unittest

from canary_test import canary, cutover
from harness import SLOWNESS, RawConn, ReplyError, encode, wait_until
from pair import Pair

GREEN = {"type": "blue_green", "active_is_new": True}
BLUE = {"type": "blue_green", "active_is_new": False}
ABORTED = "EXECABORT Transaction discarded because of: crossfade: "


class Flips(Pair):
    strategy = BLUE

    def setUp(self):
        super().setUp()
        self.sidecar.create_migration("m", self.strategy, "cache", "new")
        self.client = self.enterContext(RawConn(self.port, limit_s=10 * SLOWNESS))

    def migrate(self):
        self.sidecar.must("POST", "/migrations/m/migrate")

    def rollback(self):
        self.sidecar.must("POST", "/migrations/m/rollback")

    def split_keys(self):
        """A key that half of a cutover sends to new, and one that stays; all are old's again."""
        self.sidecar.patch("m", cutover(0.5, 0.5))
        for number in range(20):
            self.client.call("SET", f"k{number}", 0)
        there = next(f"k{number}" for number in range(20) if self.new.call("EXISTS", f"k{number}"))
        here = next(f"k{number}" for number in range(20) if self.old.call("EXISTS", f"k{number}"))
        self.sidecar.patch("m", cutover(0.0, 0.0))
        return there, here

    def patch(self, strategy, force=False):
        return lambda: self.sidecar.patch("m", strategy, force)

    def interlay(self):
        return self.sidecar.must("GET", "/migrations/m/status")["interlays"][0]

    def late(self, side):
        return self.sidecar.metric("crossfade_late_writes_total", interlay="cache", side=side)

    def refused(self):
        return self.sidecar.metric("crossfade_refused_moved_total", interlay="cache")

    def on_new_alone(self):
        return self.sidecar.metric("crossfade_new_only_writes_total", interlay="cache")

    def values(self, key):
        return [server.call("GET", key) for server in (self.old, self.new)]


class OpenTransactions(Flips):
    def flipped(self, key, *changes):
        """The reply of an EXEC whose transaction was open while each of these was called."""
        self.assertEqual(self.client.call("MULTI"), "OK")
        self.assertEqual(self.client.call("INCR", key), "QUEUED")
        for change in changes:
            change()
        self.assertEqual(self.client.call("INCR", key), "QUEUED")
        return self.client.call("EXEC")

    def check_aborted(self, key, *changes):
        told = self.flipped(key, *changes)
        self.assertIsInstance(told, ReplyError)
        self.assertTrue(str(told).startswith(ABORTED), told)
        self.assertEqual(self.values(key), [None, None])

    def test_they_are_refused_where_everything_has_gone_over(self):
        self.migrate()
        self.check_aborted("k", self.patch(GREEN))
        self.assertEqual(self.client.call("INCR", "k"), 1)  # the connection goes on, where all is now
        self.assertEqual(self.values("k"), [None, b"1"])
        self.check_aborted("back", self.patch(BLUE))
        self.assertEqual(self.client.call("INCR", "k"), 1)
        self.assertEqual(self.values("k"), [b"1", b"1"])
        self.assertEqual(self.refused(), 2)
        self.assertEqual(self.interlay()["refused_moved"], 2)

    def test_so_they_are_behind_a_rollback(self):
        self.migrate()
        self.sidecar.patch("m", GREEN)
        self.check_aborted("k", self.rollback)
        self.assertEqual(self.on_new_alone(), 0)

    def test_so_they_are_where_a_migration_begins(self):
        self.sidecar.patch("m", {"type": "big_bang", "durability": False})
        self.check_aborted("k", self.migrate)

    def test_so_they_are_where_their_keys_alone_have_gone_over(self):
        self.sidecar.patch("m", cutover(0.0, 0.0))
        self.migrate()
        there, here = self.split_keys()
        self.old.call("DEL", there)
        self.new.call("DEL", there)
        self.check_aborted(there, self.patch(cutover(0.5, 0.5)))
        self.sidecar.patch("m", cutover(0.0, 0.0))
        self.assertEqual(self.flipped(here, self.patch(cutover(0.5, 0.5))), [1, 2])
        self.assertEqual(self.values(here), [b"2", None])

    def test_so_they_are_where_another_side_becomes_right_and_they_reach_one_only(self):
        self.sidecar.patch("m", cutover(0.0, 0.0))
        self.migrate()
        self.check_aborted("k", self.patch(canary(0.0, "new_authoritative"), force=True))

    def test_they_are_run_where_their_side_has_writes_again_or_still(self):
        self.migrate()
        self.assertEqual(self.flipped("k", self.patch(GREEN), self.patch(BLUE)), [1, 2])
        self.assertEqual(self.flipped("k", self.patch({"type": "shadow_traffic"})), [3, 4])
        self.assertEqual(self.flipped("k", self.patch(canary(0.0))), [5, 6])
        self.assertEqual(self.flipped("k", self.patch(canary(1.0))), [7, 8])
        self.assertEqual(self.flipped("k", self.patch(canary(1.0, "best_effort"))), [9, 10])
        self.assertEqual(self.flipped("k", self.rollback), [11, 12])
        self.assertEqual(self.old.call("GET", "k"), b"12")
        self.assertEqual(self.refused(), 0)

    def test_what_the_client_broke_is_told_as_ever(self):
        self.migrate()
        self.client.call("MULTI")
        self.client.call("INCR", "k")
        self.sidecar.patch("m", GREEN)
        self.assertEqual(self.client.call("DISCARD"), "OK")
        self.assertEqual(self.client.call("INCR", "k"), 1)
        self.assertEqual(self.values("k"), [None, b"1"])

    def test_those_of_dual_writes_are_not_counted_as_written_on_new_alone(self):
        self.sidecar.patch("m", canary(0.0, "new_authoritative"))
        self.migrate()
        self.assertEqual(self.flipped("k"), [1, 2])
        self.assertEqual(self.values("k"), [b"2", b"2"])
        self.assertEqual(self.on_new_alone(), 0)

    def test_those_on_new_alone_are_counted_when_they_are_run(self):
        self.sidecar.patch("m", GREEN)
        self.migrate()
        self.client.call("MULTI")
        self.client.call("INCR", "k")
        self.client.call("DISCARD")
        self.assertEqual(self.on_new_alone(), 0)
        self.assertEqual(self.flipped("k"), [1, 2])
        self.assertEqual(self.on_new_alone(), 2)


class Watches(Flips):
    def setUp(self):
        super().setUp()
        self.migrate()

    def run_transaction(self):
        self.assertEqual(self.client.call("MULTI"), "OK")
        self.assertEqual(self.client.call("INCR", "k"), "QUEUED")
        return self.client.call("EXEC")

    def test_they_have_failed(self):
        self.client.call("WATCH", "k")
        self.sidecar.patch("m", GREEN)
        self.assertEqual(self.client.call("SET", "beside", 1), "OK")
        self.assertEqual(self.values("beside"), [None, b"1"])
        self.assertIsNone(self.run_transaction())
        self.assertEqual(self.values("k"), [None, None])
        self.assertEqual(self.run_transaction(), [1])
        self.assertEqual(self.values("k"), [None, b"1"])
        self.old.call("SET", "k", "changed")  # of which nobody on old is to hear any more
        self.sidecar.patch("m", BLUE)
        self.old.call("SET", "k", 5)
        self.assertEqual(self.run_transaction(), [6])

    def test_so_they_have_with_a_transaction_open(self):
        for resp, null in ((2, b"*-1\r\n"), (3, b"_\r\n")):
            with self.subTest(resp=resp):
                self.client.call("HELLO", resp)
                self.client.call("WATCH", "k")
                self.client.call("MULTI")
                self.client.call("INCR", "k")
                self.sidecar.patch("m", GREEN if resp == 2 else BLUE)
                self.client.command("EXEC")
                self.assertEqual(self.client.read_raw(), null)
                self.assertEqual(self.values("k"), [None, None])

    def test_unwatch_forgets_it(self):
        for forget in (("UNWATCH",), ("DISCARD",)):
            self.client.call("WATCH", "k")
            self.sidecar.patch("m", GREEN if forget == ("UNWATCH",) else BLUE)
            if forget == ("DISCARD",):
                self.client.call("MULTI")
            self.assertEqual(self.client.call(*forget), "OK")
            self.assertEqual(self.run_transaction(), [1])

    def test_so_they_have_where_any_keys_go_over(self):
        there, here = self.split_keys()
        self.client.call("WATCH", here)
        self.sidecar.patch("m", cutover(0.5, 0.5))
        self.assertEqual(self.client.call("SET", there, 1), "OK")
        self.assertEqual(self.values(there), [None, b"1"])
        self.assertIsNone(self.run_transaction())

    def test_they_hold_where_their_side_stays(self):
        self.client.call("WATCH", "k")
        self.sidecar.patch("m", {"type": "shadow_traffic"})
        self.old.call("SET", "k", 1)
        self.assertIsNone(self.run_transaction())
        self.client.call("WATCH", "k")
        self.sidecar.patch("m", BLUE)
        self.assertEqual(self.run_transaction(), [2])


class UnderWay(Flips):
    """At a server that does not answer while it loses its writes."""

    def setUp(self):
        super().setUp()
        self.migrate()
        self.client.call("SET", "k", 0)

    def staying(self):
        return self.interlay()["sessions_staying"]

    def sent(self, side):
        """Writes that are with a server, or on their way to it."""
        return self.sidecar.metric("crossfade_requests_total", interlay="cache", side=side, kind="write")

    def until_sent(self, side, count):
        wait_until(lambda: self.sent(side) == count, 10, "they are sent")

    def test_it_comes_to_its_end_and_is_counted_and_complete_waits_for_it(self):
        other = self.enterContext(RawConn(self.port, limit_s=10 * SLOWNESS))
        other.call("MULTI")
        other.call("INCR", "in multi")
        sent = self.sent("old")
        self.old.sigstop()
        self.client.send(encode("INCR", "k") + encode("INCR", "k") + encode("GET", "k"))
        other.send(encode("EXEC"))
        self.until_sent("old", sent + 3)
        self.sidecar.patch("m", GREEN)
        self.client.send(encode("SET", "later", 1))
        wait_until(lambda: self.staying() == {"transaction": 2}, 10, "both are seen")
        status, answer = self.sidecar.api("POST", "/migrations/m/complete")
        self.assertEqual(status, 409)
        self.assertIn("2 sessions are in the midst of a request or transaction that began on old",
                      answer["message"])
        self.assertIsNone(self.new.call("GET", "later"))  # it comes behind what is under way
        self.old.sigcont()
        self.assertEqual([self.client.read() for _ in range(4)], [1, 2, b"2", "OK"])
        self.assertEqual(other.read(), [1])
        self.assertEqual(self.values("later"), [None, b"1"])
        self.assertEqual(self.late("old"), 3)
        self.assertEqual(self.interlay()["late_writes"], {"old": 3, "new": 0})
        wait_until(lambda: self.staying() == {}, 10, "nobody is on old any more")
        self.sidecar.must("POST", "/migrations/m/complete")

    def test_what_was_answered_before_is_none_of_it(self):
        self.client.call("INCR", "k")
        self.sidecar.patch("m", GREEN)
        self.assertEqual(self.staying(), {})
        self.client.call("INCR", "k")
        self.assertEqual((self.late("old"), self.late("new")), (0, 0))
        self.sidecar.must("POST", "/migrations/m/complete")

    def test_what_will_never_be_answered_counts_as_well(self):
        sent = self.sent("old")
        self.old.sigstop()
        self.client.send(encode("INCR", "k"))
        self.until_sent("old", sent + 1)
        self.sidecar.patch("m", GREEN)
        self.old.kill()
        self.assertIn("was lost", str(self.client.read()))
        self.assertEqual(self.late("old"), 1)

    def test_what_blocks_is_seen_and_counted(self):
        self.client.send(encode("BLPOP", "jobs", 0))
        wait_until(lambda: self.old.info("clients")["blocked_clients"] == "1", 10, "blocked")
        self.sidecar.patch("m", GREEN)
        self.assertEqual(self.staying(), {"transaction": 1})
        self.old.call("RPUSH", "jobs", "a")
        self.assertEqual(self.client.read(), [b"jobs", b"a"])
        self.assertEqual(self.late("old"), 1)
        wait_until(lambda: self.staying() == {}, 10, "nobody is on old any more")

    def test_behind_a_rollback_it_is_new_s(self):
        self.sidecar.patch("m", GREEN)
        self.client.call("SET", "k", 0)
        self.new.sigstop()
        self.client.send(encode("INCR", "k"))
        self.until_sent("new", 2)
        self.rollback()
        self.assertEqual(self.staying(), {"transaction": 1})
        self.new.sigcont()
        self.assertEqual(self.client.read(), 1)
        self.assertEqual((self.late("old"), self.late("new")), (0, 1))
        wait_until(lambda: self.interlay()["new_only_writes"] == 2, 10, "it is counted")


class Counting(threading.Thread):
    """A client that counts up, each time with a line of its own, in one of three ways."""

    def __init__(self, port, number, stop):
        super().__init__(daemon=True)
        self._conn = RawConn(port, limit_s=30 * SLOWNESS)
        self._number = number
        self._stop_now = stop
        self.told = []  # (line, sent, answered) of what was done
        self.refused = self.failed = 0
        self.trouble = None

    def run(self):
        ways = (self._plain, self._multi, self._watched)
        try:
            for count in range(1 << 30):
                if self._stop_now.is_set():
                    break
                line = f"{self._number}:{count}"
                reply, sent = ways[(self._number + count) % 3](line)
                if isinstance(reply, ReplyError):
                    assert str(reply).startswith(ABORTED), reply
                    self.refused += 1
                elif reply is None:
                    self.failed += 1
                else:
                    self.told.append((line, sent, time.monotonic()))
        except Exception as error:  # the test tells it
            self.trouble = f"client {self._number}: {error!r}"
        self._conn.close()

    def _plain(self, line):
        sent = time.monotonic()
        return self._conn.call("RPUSH", "lines", line), sent

    def _multi(self, line):
        for command in (("MULTI",), ("INCR", f"n:{self._number}"), ("RPUSH", "lines", line)):
            self._conn.call(*command)
        sent = time.monotonic()
        return self._conn.call("EXEC"), sent

    def _watched(self, line):
        self._conn.call("WATCH", f"n:{self._number}")
        self._conn.call("GET", f"n:{self._number}")
        return self._multi(line)


class UnderLoad(Pair):
    """Both servers get what they get from clients alone; each call says which of them is to have it."""

    CLIENTS = 12
    FLIPS = 12
    MORE = 60  # done between two flips

    def test_each_transaction_is_where_its_client_was_told_and_none_on_a_side_that_has_lost_its_writes(self):
        self.sidecar.create_migration("m", BLUE, "cache", "new")
        stop = threading.Event()
        clients = [Counting(self.port, number, stop) for number in range(self.CLIENTS)]
        spans = [("old", 0.0, None)]
        for client in clients:
            client.start()
        try:
            for number in range(self.FLIPS):
                done = sum(len(client.told) for client in clients)
                wait_until(lambda: sum(len(one.told) for one in clients) >= done + self.MORE or
                           any(one.trouble for one in clients), 60, "they go on")
                self.flip(number, spans)
        finally:
            stop.set()
            for client in clients:
                client.join(60 * SLOWNESS)
        self.assertEqual([client.trouble for client in clients if client.trouble], [])
        self.check(clients, spans)

    def flip(self, number, spans):
        to = "old" if spans[-1][0] == "new" else "new"
        spans.append((to, time.monotonic(), None))
        if number % 4 == 0:  # pending or rolled back, and on old
            self.sidecar.must("POST", "/migrations/m/migrate")
            self.sidecar.patch("m", GREEN)
        elif number % 4 == 3:
            self.sidecar.must("POST", "/migrations/m/rollback")
            self.sidecar.patch("m", BLUE)
        else:
            self.sidecar.patch("m", GREEN if to == "new" else BLUE)
        side, begin, _ = spans[-2]
        spans[-2] = (side, begin, time.monotonic())

    def check(self, clients, spans):
        found = {side: server.call("LRANGE", "lines", 0, -1)
                 for side, server in (("old", self.old), ("new", self.new))}
        where = {line.decode(): side for side, lines in found.items() for line in lines}
        self.assertEqual(len(where), sum(len(lines) for lines in found.values()))
        told = [one for client in clients for one in client.told]
        self.assertEqual(sorted(where), sorted(line for line, _, _ in told))
        outside = [(line, where[line]) for line, sent, answered in told
                   if not any(side == where[line] and begin <= answered and (to is None or sent <= to)
                              for side, begin, to in spans)]
        self.assertEqual(outside, [])
        refused, failed = (sum(getattr(client, what) for client in clients) for what in ("refused", "failed"))
        self.assertEqual(self.sidecar.metric("crossfade_refused_moved_total", interlay="cache"),
                         refused + failed)
        self.assertGreater(min(len(lines) for lines in found.values()), 0)
        counted = [sum(int(server.call("GET", f"n:{client._number}") or 0) for client in clients)
                   for server in (self.old, self.new)]
        by_multi = [one for one in told if (sum(map(int, one[0].split(":")))) % 3]
        self.assertEqual(sum(counted), len(by_multi))


if __name__ == "__main__":
    unittest.main()
