"""Another side is made right: what the former one alone has acknowledged is not copied over unsaid."""

import unittest

from canary_test import canary
from harness import ApiError, RawConn
from ledger import Ledger
from pair import Pair


class RightSide(Pair):
    policy = "old_authoritative"

    def setUp(self):
        super().setUp()
        self.sidecar.migrate("m", canary(0.0, self.policy), "cache", "new")
        self.ledger = Ledger(self.sidecar, "m")
        self.client = self.enterContext(RawConn(self.port))

    def refuse_writes(self, server, refuse=True):
        server.call("CONFIG", "SET", "min-replicas-to-write", 1 if refuse else 0)

    def make_right(self, policy, force=False):
        self.sidecar.must("PATCH", f"/migrations/m?force={'true' if force else 'false'}",
                          {"strategy": canary(0.0, policy)})

    def values(self):
        return [server.call("GET", "n") for server in (self.old, self.new)]


class OldWasRight(RightSide):
    def test_it_is_refused_while_keys_wait_for_repair_and_nothing_acknowledged_is_lost_by_force(self):
        self.client.call("SET", "n", 5)
        self.refuse_writes(self.new)
        self.assertEqual(self.client.call("INCRBY", "n", 10), 15)
        with self.assertRaises(ApiError) as refused:
            self.make_right("new_authoritative")
        self.assertEqual(refused.exception.status, 409)
        self.assertIn("makes new right while the ledger has 1 keys", refused.exception.body["message"])
        self.assertFalse(self.ledger.needs_full_verification)
        self.make_right("new_authoritative", force=True)
        self.assertTrue(self.ledger.needs_full_verification)
        self.refuse_writes(self.new, False)
        self.assertIsInstance(self.client.call("INCR", "n"), int)
        self.ledger.until_empty()
        self.assertEqual(self.values(), [b"16", b"16"])

    def test_it_is_not_refused_when_repair_has_settled_them(self):
        self.refuse_writes(self.new)
        self.client.call("INCRBY", "n", 10)
        self.refuse_writes(self.new, False)
        self.ledger.until_empty()
        self.make_right("new_authoritative")
        self.assertEqual(self.client.call("INCR", "n"), 11)
        self.assertEqual(self.values(), [b"11", b"11"])
        self.assertFalse(self.ledger.needs_full_verification)


class BestEffort(RightSide):
    policy = "best_effort"

    def test_writes_that_each_side_has_alone_are_not_lost_unsaid(self):
        for server in (self.old, self.new):
            server.call("ACL", "SETUSER", "default", "-dump")  # a repair must not come between
        self.refuse_writes(self.old)
        self.assertEqual(self.client.call("INCR", "n"), 1)
        self.refuse_writes(self.old, False)
        self.refuse_writes(self.new)
        self.assertEqual(self.client.call("INCR", "n"), 1)
        self.assertIn("a key of the ledger had writes that one side alone has", self.ledger.reasons()[0])


if __name__ == "__main__":
    unittest.main()
