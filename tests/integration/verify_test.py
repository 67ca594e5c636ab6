"""POST …/verify between real servers: everything is looked at on both sides, what differs is repaired,
and only then does the migration say that nothing else can differ.
"""

import unittest

from harness import READ, SLOWNESS, RawConn, wait_until
from ledger import Ledger
from pair import Pair

KEYS = 3000
DUAL_WRITE = {"type": "canary", "read_percentage": 0.0,
              "write_mode": {"mode": "dual_write", "policy": "old_authoritative"}}


class Verify(Pair):
    def setUp(self):
        super().setUp()
        self.ledger = Ledger(self.sidecar, "m")

    def fill(self):
        with RawConn(self.port) as client:
            for number in range(KEYS):
                self.assertEqual(client.call("SET", f"k{number}", number), "OK")

    def crash(self):
        """The sidecar is killed while it writes to both sides: the migration is marked."""
        self.sidecar.kill9()
        self.sidecar.restart()
        self.assertTrue(self.ledger.needs_full_verification)

    def verification(self):
        return self.sidecar.must("GET", "/migrations/m/status")["verification"]

    def ended(self):
        wait_until(lambda: self.verification()["state"] != "running", 60, "the verification ends")
        return self.verification()

    def refused(self, migration="m", **how):
        status, answer = self.sidecar.api("POST", f"/migrations/{migration}/verify", **how)
        return status, answer.get("error"), answer.get("message")

    def test_sides_that_differ_behind_its_back_are_equal_and_the_mark_is_gone(self):
        self.sidecar.migrate("m", DUAL_WRITE, "cache", "new")
        self.fill()
        self.crash()
        self.new.call("SET", "k1", "another value")
        self.new.call("DEL", "k2")
        self.new.call("SET", "only-new", 1)
        self.old.call("RPUSH", "only-old", "a", "b")
        self.old.call("PEXPIRE", "k3", 3_600_000)
        answer = self.sidecar.must("POST", "/migrations/m/verify")
        self.assertEqual((answer["id"], answer["verification"]["state"]), ("m", "running"))
        verification = self.ended()
        self.assertEqual(verification["state"], "complete", verification)
        self.assertEqual(verification["keys_differing"], 5, verification)
        self.assertGreaterEqual(verification["keys_looked_at"], 2 * KEYS)
        self.assertFalse(self.ledger.needs_full_verification)
        self.ledger.until_empty()
        self.assertEqual(self.ledger.noted(reason="verify"), 5)
        self.assertEqual(self.new.call("GET", "k1"), b"1")
        self.assertEqual(self.new.call("GET", "k2"), b"2")
        self.assertEqual(self.new.call("EXISTS", "only-new"), 0)
        self.assertEqual(self.new.call("LRANGE", "only-old", 0, -1), [b"a", b"b"])
        self.assertEqual(self.new.call("PEXPIRETIME", "k3"), self.old.call("PEXPIRETIME", "k3"))
        self.assertEqual(self.new.call("DBSIZE"), self.old.call("DBSIZE"))
        events = [event["reason"] for event in self.sidecar.must("GET", "/migrations/m/events")]
        self.assertEqual(events[-2:], [
            "full verification started",
            "full verification complete: 5 keys differed and were put in the ledger; 1 of them are on new "
            "only, and are deleted there, as old is right"])
        self.sidecar.terminate()
        self.sidecar.restart()
        self.assertFalse(self.ledger.needs_full_verification)
        self.assertIsNone(self.verification())

    def test_who_comes_back_to_both_sides_says_so_and_reads_nothing_stale(self):
        """Away from dual writes and back, in every way there is."""
        half = {**DUAL_WRITE, "read_percentage": 0.5}
        self.sidecar.migrate("m", half, "cache", "new")
        self.assertFalse(self.ledger.needs_full_verification)
        one_side = {"type": "canary", "read_percentage": 0.0,
                    "write_mode": {"mode": "cutover", "write_percentage": 0.0}}

        def away(strategy):
            self.sidecar.patch("m", strategy)

        def rolled_back():
            self.sidecar.must("POST", "/migrations/m/rollback")

        for leave, come_back in (
                (lambda: away(one_side), lambda: away(half)),
                (lambda: away({"type": "shadow_traffic"}), lambda: away(half)),
                (rolled_back, lambda: self.sidecar.must("POST", "/migrations/m/migrate"))):
            keys = [f"k{n}" for n in range(100)]

            def write(client, value):
                self.assertEqual(client.call("MSET", *[x for key in keys for x in (key, value)]), "OK")

            with RawConn(self.port) as client:
                write(client, "both")
                leave()
                write(client, "old")
                come_back()
                self.assertTrue(self.ledger.needs_full_verification)
                self.assertEqual([client.call("GET", key) for key in keys], [b"old"] * 100)
                self.sidecar.must("POST", "/migrations/m/verify")
                self.assertEqual(self.ended()["state"], "complete")
                wait_until(lambda: self.ledger.total == 0, 20, "all is repaired")
                self.assertFalse(self.ledger.needs_full_verification)
                self.assertEqual(self.new.call("MGET", *keys), [b"old"] * 100)

    def test_a_side_that_cannot_be_reached_keeps_the_mark(self):
        self.sidecar.migrate("m", DUAL_WRITE, "cache", "new")
        self.crash()
        self.new.stop()
        self.sidecar.must("POST", "/migrations/m/verify")
        verification = self.ended()
        self.assertEqual(verification["state"], "incomplete", verification)
        self.assertIn("endpoint 'new'", verification["why"])
        self.assertTrue(self.ledger.needs_full_verification)

    def test_functions_on_one_side_only_keep_the_mark(self):
        self.sidecar.migrate("m", DUAL_WRITE, "cache", "new")
        library = "#!lua name=cache\nredis.register_function('f', function() return 1 end)"
        self.new.sigstop()
        self.addCleanup(self.new.sigcont)
        with RawConn(self.port) as client:
            client.call("FUNCTION", "LOAD", library, limit_s=10 * SLOWNESS)
        self.new.kill()
        self.new.restart()  # what it had been sent is gone
        self.assertTrue(self.ledger.needs_full_verification)
        self.sidecar.must("POST", "/migrations/m/verify")
        verification = self.ended()
        self.assertEqual(verification["state"], "incomplete", verification)
        self.assertIn("the functions of both sides differ (library 'cache')", verification["why"])
        self.assertTrue(self.ledger.needs_full_verification)
        self.new.call("FUNCTION", "RESTORE", self.old.call("FUNCTION", "DUMP"))
        self.sidecar.must("POST", "/migrations/m/verify")
        self.assertEqual(self.ended()["state"], "complete", self.verification())
        self.assertFalse(self.ledger.needs_full_verification)

    def test_one_at_a_time_and_a_clean_shutdown_ends_it(self):
        self.sidecar.migrate("m", DUAL_WRITE, "cache", "new")
        self.crash()
        self.new.sigstop()  # it waits for an answer
        self.addCleanup(self.new.sigcont)
        self.sidecar.must("POST", "/migrations/m/verify")
        self.assertEqual(self.refused(),
                         (409, "Migration error", "Migration 'm' is being verified already"))
        self.assertEqual(self.verification()["state"], "running")
        self.assertEqual(self.sidecar.terminate(limit_s=8), 0)
        self.new.sigcont()
        self.sidecar.restart()
        self.assertTrue(self.ledger.needs_full_verification)

    def test_it_is_refused_where_there_is_nothing_to_verify(self):
        self.assertEqual(self.refused("nosuch"),
                         (404, "Not found", "Migration 'nosuch' does not exist"))
        self.sidecar.create_migration("m", DUAL_WRITE, "cache", "new")
        self.assertEqual(self.refused(), (409, "Migration error",
                                          "Cannot verify migration in status: Ready"))
        self.assertEqual(self.refused(token=READ)[:2], (403, "Forbidden"))
        self.sidecar.must("POST", "/migrations/m/migrate")
        self.sidecar.patch("m", {"type": "canary", "read_percentage": 0.5, "write_mode": None})
        self.assertEqual(self.refused(), (
            409, "Migration error",
            "Cannot verify migration 'm': its strategy does not write to both sides"))

    def test_writes_go_on_meanwhile(self):
        self.sidecar.migrate("m", DUAL_WRITE, "cache", "new")
        self.fill()
        self.crash()
        self.new.call("SET", "k1", "another value")
        self.sidecar.must("POST", "/migrations/m/verify")
        with RawConn(self.port) as client:
            number = 0
            while self.verification()["state"] == "running" or number < 200:
                client.call("INCR", "hot", limit_s=10 * SLOWNESS)
                client.call("APPEND", f"k{number % KEYS}", "x", limit_s=10 * SLOWNESS)
                number += 1
        self.assertEqual(self.verification()["state"], "complete")
        self.ledger.until_empty()
        for key in ("k1", "hot"):
            self.assertEqual(self.new.call("GET", key), self.old.call("GET", key))
        self.assertEqual(int(self.old.call("GET", "hot")), number)


if __name__ == "__main__":
    unittest.main()
