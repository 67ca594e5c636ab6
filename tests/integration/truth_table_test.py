"""What a dual write comes to, for every policy and whatever either side makes of it: the client's answer, the
ledger's entry, the metrics, and what both sides hold when the ledger has been worked off.
"""

import dataclasses
import unittest

from equality import assert_equal
from fake_server import FakeServer
from harness import SLOWNESS, RawConn, RedisServer, ReplyError, Sidecar, wait_until
from ledger import Ledger

ALONE = True

ANSWER_MS, SECOND_MS = 600, 300
LATE_MS = 2 * ANSWER_MS

OK, ERROR, TIMEOUT = "ok", "error", "timeout"
# Answers: of a server (OK, ERROR), or of the sidecar, in a server's stead.
OURS, ANY_ERROR = "ours", "any error"


@dataclasses.dataclass
class Row:
    """`reason` None: no entry. `right`: the side whose value then counts."""
    policy: str
    old: str
    new: str
    answer: str
    reason: str | None
    right: str | None
    why: str

    def __str__(self):
        return f"{self.policy}, old {self.old}, new {self.new}"


O, N, B = "old_authoritative", "new_authoritative", "best_effort"
TABLE = [
    # The authority is old: its outcome is the client's, whatever new does.
    Row(O, OK, OK, OK, None, None, "both took it"),
    Row(O, OK, ERROR, OK, "outcome", "old", "new refused what old took"),
    Row(O, OK, TIMEOUT, OK, "unanswered", "old", "new may have it or not"),
    Row(O, ERROR, OK, ERROR, "outcome", "old", "new took what old refused, and must lose it again"),
    Row(O, ERROR, ERROR, ERROR, None, None, "neither has it"),
    Row(O, ERROR, TIMEOUT, ERROR, "unanswered", "old", "old refused it, new may have it"),
    Row(O, TIMEOUT, OK, OURS, "unanswered", "old", "new has it, old may"),
    Row(O, TIMEOUT, ERROR, OURS, "unanswered", "old", "new refused it, old may have it"),
    Row(O, TIMEOUT, TIMEOUT, OURS, "unanswered", "old", "either may have it alone"),
    # The authority is new: the same with the sides exchanged.
    Row(N, OK, OK, OK, None, None, "both took it"),
    Row(N, ERROR, OK, OK, "outcome", "new", "old refused what new took"),
    Row(N, TIMEOUT, OK, OK, "unanswered", "new", "old may have it or not"),
    Row(N, OK, ERROR, ERROR, "outcome", "new", "old took what new refused, and must lose it again"),
    Row(N, ERROR, ERROR, ERROR, None, None, "neither has it"),
    Row(N, TIMEOUT, ERROR, ERROR, "unanswered", "new", "new refused it, old may have it"),
    Row(N, OK, TIMEOUT, OURS, "unanswered", "new", "old has it, new may"),
    Row(N, ERROR, TIMEOUT, OURS, "unanswered", "new", "old refused it, new may have it"),
    Row(N, TIMEOUT, TIMEOUT, OURS, "unanswered", "new", "either may have it alone"),
    # Success if either succeeded. Who succeeded is right: the client was told so. Old, if both or neither
    # is known to have; new, if old did not.
    Row(B, OK, OK, OK, None, None, "both took it"),
    Row(B, OK, ERROR, OK, "outcome", "old", "old's reply is the answer"),
    Row(B, OK, TIMEOUT, OK, "unanswered", "old", "old's reply is the answer"),
    Row(B, ERROR, OK, OK, "outcome", "new", "new's reply is the answer, so its value stays"),
    Row(B, ERROR, ERROR, ERROR, None, None, "neither has it"),
    Row(B, ERROR, TIMEOUT, ERROR, "unanswered", "new", "old has not; the client was told so; new may"),
    Row(B, TIMEOUT, OK, OK, "unanswered", "new", "new's reply is the answer"),
    Row(B, TIMEOUT, ERROR, ANY_ERROR, "unanswered", "new", "nobody is known to have it"),
    Row(B, TIMEOUT, TIMEOUT, OURS, "unanswered", "new", "nobody is known to have it"),
]


class Sides(unittest.TestCase):
    """Two real servers behind relays that can fall ill, one sidecar; each row has an interlay of its own, so
    that what a side did in one does not count against it in the next."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.servers = {side: cls.enterClassContext(RedisServer()) for side in ("old", "new")}
        cls.fakes = {side: cls.enterClassContext(FakeServer(server.port))
                     for side, server in cls.servers.items()}
        cls.sidecar = cls.enterClassContext(Sidecar())
        for side, fake in cls.fakes.items():
            cls.sidecar.add_endpoint(side, fake.port)
        cls.rows = 0

    def start(self, policy):
        """An interlay with a dual write, whose one client has written before; all is well."""
        type(self).rows += 1
        self.interlay, self.migration = f"cache{self.rows}", f"m{self.rows}"
        self.key = f"key{self.rows}"
        port = self.sidecar.add_interlay(self.interlay, "old", settings={
            "answer_timeout_ms": ANSWER_MS, "second_leg_timeout_ms": SECOND_MS})
        self.sidecar.migrate(self.migration, {
            "type": "canary", "read_percentage": 0.0,
            "write_mode": {"mode": "dual_write", "policy": policy}}, self.interlay, "new")
        self.ledger = Ledger(self.sidecar, self.migration)
        self.client = RawConn(port, limit_s=10 * SLOWNESS)
        self.addCleanup(self.client.close)
        self.assertEqual(self.client.call("SET", self.key, "before"), "OK")
        wait_until(lambda: self.values() == {"old": b"before", "new": b"before"}, 5, "both sides have it")

    def fall_ill(self, side, how, timeout="silent"):
        if how == ERROR:
            self.servers[side].call("CONFIG", "SET", "maxmemory", 1)
        elif how == TIMEOUT:
            self.fakes[side].become(timeout)

    def recover(self):
        for side, server in self.servers.items():
            server.call("CONFIG", "SET", "maxmemory", 0)
            self.fakes[side].become("healthy")

    def values(self):
        return {side: server.call("GET", self.key) for side, server in self.servers.items()}

    def metric(self, name, **labels):
        return self.sidecar.metric(f"crossfade_second_writes_{name}_total", interlay=self.interlay, **labels)

    def reasons(self):
        """Reasons of the entries made for this row, by metric."""
        names = ("outcome", "unsent", "unanswered", "replies", "chance", "order", "verify")
        return {name: int(count) for name in names if (count := self.ledger.noted(reason=name))}

    def repaired(self, expected):
        """The ledger gets empty and both sides hold that."""
        self.ledger.until_empty()
        self.assertFalse(self.ledger.needs_full_verification)
        self.assertEqual(self.values(), {"old": expected, "new": expected})
        assert_equal(self, self.servers["old"], self.servers["new"])

    def assert_answer(self, expected, answer):
        text = str(answer)
        if expected == OK:
            self.assertEqual(answer, "OK")
        else:
            self.assertIsInstance(answer, ReplyError)
        if expected == ERROR:
            self.assertTrue(text.startswith("OOM "), text)
        elif expected == OURS:
            self.assertTrue(text.startswith("ERR crossfade: "), text)


class TruthTable(Sides):
    def check(self, row, timeout, executed_late):
        self.start(row.policy)
        before = {name: self.metric(name) for name in ("eligible", "answered", "errors")}
        outcomes = {"old": row.old, "new": row.new}
        try:
            for side, how in outcomes.items():
                self.fall_ill(side, how, timeout)
            answer = self.client.call("SET", self.key, "after")
            self.assert_answer(row.answer, answer)
            # On disk before the answer is released: what is seen now was there then.
            noted, entries = self.reasons(), self.ledger.entries()
        finally:
            self.recover()
        self.assertEqual(noted, {row.reason: 1} if row.reason else {}, "entries noted, by reason")
        for entry in entries:  # but for one that repair has already settled
            self.assertEqual((entry["key"], entry["reason"], entry["right"]),
                             (self.key, row.reason, row.right))
        second = outcomes["old" if row.policy == N else "new"]
        wait_until(lambda: self.metric("eligible") == self.metric("answered") + self.metric("dropped"), 5,
                   "second legs are accounted for")
        self.assertEqual({name: self.metric(name) - before[name] for name in before},
                         {"eligible": 1, "answered": second != TIMEOUT, "errors": second == ERROR})
        self.assertEqual(self.metric("dropped", reason="timeout"), second == TIMEOUT)
        right = outcomes[row.right or "old"]
        has_it = right == OK or (right == TIMEOUT and executed_late)
        self.repaired(b"after" if has_it else b"before")

    def test_the_table_is_whole(self):
        cells = {(row.policy, row.old, row.new) for row in TABLE}
        self.assertEqual((len(TABLE), len(cells)), (27, 27))

    def test_requests_that_a_side_never_sees(self):
        for row in TABLE:
            with self.subTest(f"{row}: {row.why}"):
                self.check(row, "silent", executed_late=False)

    def test_requests_that_a_side_answers_too_late(self):
        """It has run them; what the sidecar knows is the same."""
        for row in TABLE:
            if TIMEOUT in (row.old, row.new):
                with self.subTest(f"{row}: {row.why}"):
                    self.check(row, f"delay {LATE_MS}", executed_late=True)


class OtherDoubts(Sides):
    """Entries that no cell of the table makes."""

    def test_replies_that_differ_name_a_key_that_differs(self):
        for policy, right in ((O, "old"), (N, "new"), (B, "old")):
            with self.subTest(policy):
                self.start(policy)
                for side, base in (("old", 10), ("new", 20)):
                    self.servers[side].call("SET", self.key, base)
                self.assertEqual(self.client.call("INCR", self.key), 21 if right == "new" else 11)
                self.assertEqual(self.reasons(), {"replies": 1})
                self.repaired(b"21" if right == "new" else b"11")

    def test_a_side_that_cannot_be_reached_did_not_get_it(self):
        self.start(O)
        try:
            self.fakes["new"].refuse()
            for number in range(20):
                self.assertEqual(self.client.call("SET", self.key, number), "OK")
            noted, entries = self.reasons(), self.ledger.entries()
        finally:
            self.fakes["new"].accept()
        # The first may have been on its way when the connection ended.
        self.assertLessEqual(noted.keys(), {"unsent", "unanswered"})
        self.assertGreater(noted.get("unsent", 0), 0)
        self.assertEqual([(entry["key"], entry["right"]) for entry in entries], [(self.key, "old")])
        self.repaired(b"19")

    def test_a_connection_that_ends_leaves_its_writes_unknown(self):
        for mode in ("half", "close"):
            with self.subTest(mode):
                self.start(O)
                self.fakes["new"].become(mode)
                self.assertEqual(self.client.call("SET", self.key, "after"), "OK")
                noted = self.reasons()
                self.recover()
                self.assertEqual(sum(noted.values()), 1, noted)
                self.assertLessEqual(noted.keys(), {"unanswered", "unsent"})
                self.repaired(b"after")

    def test_a_transaction_that_one_side_refuses_names_all_its_keys(self):
        self.start(O)
        keys = [self.key, f"{self.key}:2", f"{self.key}:3"]
        self.fall_ill("new", ERROR)
        for command in (("MULTI",), *(("SET", key, "after") for key in keys)):
            self.client.call(*command)
        self.assertEqual(self.client.call("EXEC"), ["OK"] * 3)
        noted = self.reasons()
        self.recover()
        self.assertEqual(noted, {"outcome": 3})
        self.repaired(b"after")

    def test_reads_make_no_entries(self):
        self.start(O)
        self.fakes["new"].become("silent")
        for _ in range(5):
            self.assertEqual(self.client.call("GET", self.key), b"before")
        self.assertEqual(self.reasons(), {})
        self.recover()
        self.repaired(b"before")


if __name__ == "__main__":
    unittest.main()
