"""What a dual write comes to, for every policy and whatever either side makes of it: the client's answer, the
ledger's entry, the metrics, and what both sides hold when the ledger has been worked off.
"""

import dataclasses
import unittest

from equality import assert_equal
from fake_server import FakeServer
from harness import (SLOWNESS, RawConn, RedisServer, ReplyError, Sidecar, encode,
                     wait_until)
from ledger import Ledger

BESIDE = 1

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
    # Success if either succeeded. New is right where it alone is known to have succeeded: the client was told
    # so. Else old is, as in its policy.
    Row(B, OK, OK, OK, None, None, "both took it"),
    Row(B, OK, ERROR, OK, "outcome", "old", "old's reply is the answer"),
    Row(B, OK, TIMEOUT, OK, "unanswered", "old", "old's reply is the answer"),
    Row(B, ERROR, OK, OK, "outcome", "new", "new's reply is the answer, so its value stays"),
    Row(B, ERROR, ERROR, ERROR, None, None, "neither has it"),
    Row(B, ERROR, TIMEOUT, ERROR, "unanswered", "old", "old refused it, and the client was told so"),
    Row(B, TIMEOUT, OK, OK, "unanswered", "new", "new's reply is the answer"),
    Row(B, TIMEOUT, ERROR, ANY_ERROR, "unanswered", "old", "nobody is known to have it"),
    Row(B, TIMEOUT, TIMEOUT, OURS, "unanswered", "old", "nobody is known to have it"),
]


class Case:
    """One dual write on its way: an interlay and a migration of its own, so that what a side did in one case
    does not count against it in the next; one client, which has written before; one key."""

    def __init__(self, sides, number, policy):
        self.sides, self.policy = sides, policy
        self.interlay, migration, self.key = f"cache{number}", f"m{number}", f"key{number}"
        port = sides.sidecar.add_interlay(self.interlay, "old", settings={
            "answer_timeout_ms": ANSWER_MS, "second_leg_timeout_ms": SECOND_MS})
        sides.sidecar.migrate(migration, {
            "type": "canary", "read_percentage": 0.0,
            "write_mode": {"mode": "dual_write", "policy": policy}}, self.interlay, "new",
            force=True)  # each case has a key of its own
        self.ledger = Ledger(sides.sidecar, migration)
        self.client = sides.enterContext(RawConn(port, limit_s=10 * SLOWNESS))
        sides.assertEqual(self.client.call("SET", self.key, "before"), "OK")
        wait_until(lambda: self.values() == {"old": b"before", "new": b"before"}, 5, "both sides have it")

    def values(self):
        return {side: server.call("GET", self.key) for side, server in self.sides.servers.items()}

    def metric(self, name, **labels):
        return self.sides.sidecar.metric(f"crossfade_second_writes_{name}_total",
                                         interlay=self.interlay, **labels)

    def metrics(self):
        return {name: self.metric(name) for name in ("eligible", "answered", "errors")}

    def reasons(self):
        """Reasons of the entries made so far, by metric."""
        names = ("outcome", "unsent", "unanswered", "replies", "chance", "order", "verify", "spread")
        return {name: int(count) for name in names if (count := self.ledger.noted(reason=name))}

    def repaired(self, expected):
        """The ledger gets empty and both sides hold that."""
        self.sides.assertEqual(self.ledger.reasons(), [])
        self.ledger.until_empty()
        self.sides.assertEqual(self.values(), {"old": expected, "new": expected})


class Sides(unittest.TestCase):
    """Two real servers behind relays that can fall ill, and one sidecar."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.servers = {side: cls.enterClassContext(RedisServer()) for side in ("old", "new")}
        cls.fakes = {side: cls.enterClassContext(FakeServer(server.port))
                     for side, server in cls.servers.items()}
        cls.sidecar = cls.enterClassContext(Sidecar())
        for side, fake in cls.fakes.items():
            cls.sidecar.add_endpoint(side, fake.port)
        cls.cases = 0

    def start(self, policy):
        type(self).cases += 1
        return Case(self, self.cases, policy)

    def fall_ill(self, side, how, timeout="silent"):
        if how == ERROR:
            self.servers[side].call("CONFIG", "SET", "maxmemory", 1)
        elif how == TIMEOUT:
            self.fakes[side].become(timeout)

    def recover(self):
        for side, server in self.servers.items():
            server.call("CONFIG", "SET", "maxmemory", 0)
            self.fakes[side].become("close")  # or who asked in vain would wait for seconds
            self.fakes[side].become("healthy")

    def tearDown(self):
        assert_equal(self, self.servers["old"], self.servers["new"])
        super().tearDown()


class TruthTable(Sides):
    def check(self, rows, timeout, executed_late):
        """Rows of the same outcomes at once: the sides fall ill for all of them."""
        outcomes = {"old": rows[0].old, "new": rows[0].new}
        cases = [(row, self.start(row.policy)) for row in rows]
        before = [case.metrics() for _, case in cases]
        try:
            for side, how in outcomes.items():
                self.fall_ill(side, how, timeout)
            for _, case in cases:
                case.client.send(encode("SET", case.key, "after"))
            answers = [case.client.read() for _, case in cases]
            # On disk before the answer is released: what is seen now was there then.
            seen = [(case.reasons(), case.ledger.entries()) for _, case in cases]
        finally:
            self.recover()
        for (row, case), former, answer, (noted, entries) in zip(cases, before, answers, seen):
            with self.subTest(f"{row}: {row.why}"):
                self.assert_answer(row.answer, answer)
                self.assert_noted(row, case, noted, entries)
                self.assert_counted(row, case, former)
        # All of them before the first is verified: they have the servers in common.
        for _, case in cases:
            case.ledger.until_empty()
        for row, case in cases:
            with self.subTest(f"{row}: {row.why}"):
                self.assert_settled(row, case, executed_late)

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

    def assert_noted(self, row, case, noted, entries):
        self.assertEqual(noted, {row.reason: 1} if row.reason else {}, "entries noted, by reason")
        for entry in entries:  # but for one that repair has already settled
            self.assertEqual((entry["key"], entry["reason"], entry["right"]),
                             (case.key, row.reason, row.right))

    def assert_counted(self, row, case, before):
        second = row.old if row.policy == N else row.new
        wait_until(lambda: case.metric("eligible") == case.metric("answered") + case.metric("dropped"), 5,
                   "second legs are accounted for")
        self.assertEqual({name: count - before[name] for name, count in case.metrics().items()},
                         {"eligible": 1, "answered": second != TIMEOUT, "errors": second == ERROR})
        self.assertEqual(case.metric("dropped", reason="timeout"), second == TIMEOUT)

    def assert_settled(self, row, case, executed_late):
        """Repair does it, but where the answering side was given up: that one may run the write any time."""
        if TIMEOUT == (row.new if row.policy == N else row.old):
            self.assertEqual(len(case.ledger.reasons()), 1)
            case.ledger.verify()
        right = row.new if row.right == "new" else row.old
        has_it = right == OK or (right == TIMEOUT and executed_late)
        case.repaired(b"after" if has_it else b"before")

    def test_the_table_is_whole(self):
        cells = {(row.policy, row.old, row.new) for row in TABLE}
        self.assertEqual((len(TABLE), len(cells)), (27, 27))

    def test_requests_that_a_side_never_sees(self):
        for rows in by_outcomes(TABLE):
            self.check(rows, "silent", executed_late=False)

    @unittest.skipIf(SLOWNESS > 1, "its limits of time are not stretched, and the paths are those above")
    def test_requests_that_a_side_answers_too_late(self):
        """It has run them; what the sidecar knows is the same."""
        for rows in by_outcomes(TABLE):
            if TIMEOUT in (rows[0].old, rows[0].new):
                self.check(rows, f"delay {LATE_MS}", executed_late=True)


def by_outcomes(table):
    """Its rows, those of the same outcomes together."""
    groups = {}
    for row in table:
        groups.setdefault((row.old, row.new), []).append(row)
    return groups.values()


class OtherDoubts(Sides):
    """Entries that no cell of the table makes."""

    def test_replies_that_differ_name_a_key_that_differs(self):
        for policy, right in ((O, "old"), (N, "new"), (B, "old")):
            with self.subTest(policy):
                case = self.start(policy)
                for side, base in (("old", 10), ("new", 20)):
                    self.servers[side].call("SET", case.key, base)
                self.assertEqual(case.client.call("INCR", case.key), 21 if right == "new" else 11)
                self.assertEqual(case.reasons(), {"replies": 1})
                case.repaired(b"21" if right == "new" else b"11")

    def test_a_side_that_cannot_be_reached_did_not_get_it(self):
        case = self.start(O)
        try:
            self.fakes["new"].refuse()
            for number in range(20):
                self.assertEqual(case.client.call("SET", case.key, number), "OK")
            noted, entries = case.reasons(), case.ledger.entries()
        finally:
            self.fakes["new"].accept()
        # The first may have been on its way when the connection ended.
        self.assertLessEqual(noted.keys(), {"unsent", "unanswered"})
        self.assertGreater(noted.get("unsent", 0), 0)
        self.assertEqual([(entry["key"], entry["right"]) for entry in entries], [(case.key, "old")])
        case.repaired(b"19")

    def test_a_connection_that_ends_leaves_its_writes_unknown(self):
        for mode in ("half", "close"):
            with self.subTest(mode):
                case = self.start(O)
                self.fakes["new"].become(mode)
                self.assertEqual(case.client.call("SET", case.key, "after"), "OK")
                noted = case.reasons()
                self.recover()
                self.assertEqual(sum(noted.values()), 1, noted)
                self.assertLessEqual(noted.keys(), {"unanswered", "unsent"})
                case.repaired(b"after")

    def test_a_transaction_that_one_side_refuses_names_all_its_keys(self):
        case = self.start(O)
        keys = [case.key, f"{case.key}:2", f"{case.key}:3"]
        self.fall_ill("new", ERROR)
        for command in (("MULTI",), *(("SET", key, "after") for key in keys)):
            case.client.call(*command)
        self.assertEqual(case.client.call("EXEC"), ["OK"] * 3)
        noted = case.reasons()
        self.recover()
        self.assertEqual(noted, {"outcome": 3})
        case.repaired(b"after")

    def test_what_both_sides_make_from_a_suspected_key_is_suspected(self):
        case = self.start(O)
        self.fall_ill("new", ERROR)
        try:
            self.assertEqual(case.client.call("SET", case.key, "after"), "OK")
            self.assertEqual(case.client.call("MOVE", case.key, 1), 1)
            noted = case.reasons()
        finally:
            self.recover()
        self.assertEqual(noted, {"outcome": 1, "spread": 2})
        case.repaired(None)

    def test_what_is_made_from_a_suspected_key_is_copied(self):
        """So that doubt does not spread."""
        case = self.start(O)
        self.fall_ill("new", ERROR)
        try:
            self.assertEqual(case.client.call("SET", case.key, "after"), "OK")
            self.servers["new"].call("CONFIG", "SET", "maxmemory", 0)
            self.assertEqual(case.client.call("RENAME", case.key, f"{case.key}:2"), "OK")
            noted = case.reasons()
        finally:
            self.recover()
        self.assertEqual(noted, {"outcome": 1})
        self.assertEqual(self.servers["new"].call("GET", f"{case.key}:2"), b"after")
        case.repaired(None)

    def test_a_script_that_came_further_on_one_side_names_its_keys(self):
        script = "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('LPUSH', KEYS[1], 'x')"
        for transaction in (False, True):
            with self.subTest(transaction=transaction):
                case = self.start(O)
                self.fall_ill("new", ERROR)
                try:
                    commands = [("EVAL", script, 1, case.key, "after")]
                    if transaction:
                        commands = [("MULTI",), *commands, ("EXEC",)]
                    answer = [case.client.call(*command) for command in commands][-1]
                    noted = case.reasons()
                finally:
                    self.recover()
                self.assertIn("WRONGTYPE", str(answer))
                self.assertEqual(noted, {"outcome" if transaction else "replies": 1})
                case.repaired(b"after")

    def test_reads_make_no_entries(self):
        case = self.start(O)
        self.fakes["new"].become("silent")
        for _ in range(5):
            self.assertEqual(case.client.call("GET", case.key), b"before")
        self.assertEqual(case.reasons(), {})
        self.recover()
        case.repaired(b"before")


if __name__ == "__main__":
    unittest.main()
