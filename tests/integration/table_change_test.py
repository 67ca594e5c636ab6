"""What is under way when a new table comes: it is seen through by the former one, and what then reaches one
side only is not lost sight of."""

import re
import unittest

from canary_test import canary
from harness import RawConn, RedisServer, Sidecar, encode, wait_until
from ledger import Ledger

HALF = b"*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$100000\r\n" + b"x" * 50_000
OTHER_HALF = b"x" * 50_000 + b"\r\n"


class Tables(unittest.TestCase):
    started = True

    def setUp(self):
        self.old = self.enterContext(RedisServer())
        self.new = self.enterContext(RedisServer())
        self.sidecar = self.enterContext(Sidecar(loops=2))
        self.sidecar.add_endpoint("old", self.old)
        self.sidecar.add_endpoint("new", self.new)
        self.port = self.sidecar.add_interlay("cache", "old")
        self.sidecar.create_migration("m", canary(0.0), "cache", "new")
        self.ledger = Ledger(self.sidecar, "m")
        if self.started:
            self.migrate()
        self.client = self.enterContext(RawConn(self.port))
        self.another = self.enterContext(RawConn(self.port))

    def migrate(self):
        self.sidecar.must("POST", "/migrations/m/migrate")

    def block(self, *command):
        self.client.send(encode(*command))
        wait_until(lambda: self.old.info("clients")["blocked_clients"] == "1", 5, "blocked")

    def equal(self, *keys):
        self.ledger.until_empty()
        for key in keys:
            self.assertEqual(self.new.call("DUMP", key), self.old.call("DUMP", key), key)


class Begins(Tables):
    """The first table by which writes go to both sides."""

    started = False

    def test_what_blocks_is_a_dual_write_from_then_on(self):
        for command, feed, keys in (
                (("BLPOP", "jobs", 0), ("RPUSH", "jobs", "a", "b"), ["jobs"]),
                (("BLMOVE", "from", "to", "LEFT", "LEFT", 0), ("RPUSH", "from", "a", "b"), ["from", "to"]),
                (("BZPOPMIN", "scores", 0), ("ZADD", "scores", 1, "a", 2, "b"), ["scores"]),
                (("XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "events", ">"),
                 ("XADD", "events", "1-1", "f", "v"), [])):
            with self.subTest(command=command):
                for server in (self.old, self.new):
                    server.call("DEL", "events")
                    server.call("XGROUP", "CREATE", "events", "g", "$", "MKSTREAM")
                self.client = self.enterContext(RawConn(self.port))
                self.block(*command)
                self.migrate()
                self.another.call(*feed)
                self.assertIn("a" if keys else "1-1", str(self.client.read()))
                self.assertEqual(self.client.call("PING"), "PONG")
                self.equal(*keys)
                pending = [server.call("XPENDING", "events", "g")[0] for server in (self.old, self.new)]
                self.assertEqual(pending[0], pending[1])
                self.assertFalse(self.ledger.needs_full_verification)
                self.sidecar.must("POST", "/migrations/m/rollback")
                self.sidecar.must("DELETE", "/migrations/m")
                self.sidecar.create_migration("m", canary(0.0), "cache", "new")

    def test_a_client_bound_to_the_former_table_makes_it_ask_for_verification(self):
        def half_is_there():
            return re.search(rb"qbuf=[1-9]\d{4}", self.old.call("CLIENT", "LIST")) is not None

        for begin, go_on in ((encode("MULTI") + encode("SET", "k", 1), encode("EXEC")),
                             (encode("WATCH", "w"), encode("SET", "k", 2)),
                             (HALF, OTHER_HALF)):
            with self.subTest(go_on=go_on[:20]):
                client = self.enterContext(RawConn(self.port))
                client.call("PING")
                client.send(begin)
                if begin is HALF:
                    wait_until(half_is_there, 5, "half of it is there")
                else:
                    client.replies(begin.count(b"*"), 5)
                self.migrate()
                if self.ledger.needs_full_verification:  # as what is half sent is told of at once
                    self.ledger.verify()
                client.send(go_on)
                client.read()
                wait_until(lambda: self.ledger.needs_full_verification, 5, "it asks for verification")
                self.ledger.verify()
                self.equal("k", "half")
                client.close()
                self.sidecar.must("POST", "/migrations/m/rollback")
                self.sidecar.must("DELETE", "/migrations/m")
                self.sidecar.create_migration("m", canary(0.0), "cache", "new")

    def test_a_client_that_was_silent_before_makes_it_ask_for_verification(self):
        self.client.send(encode("CLIENT", "REPLY", "OFF"))
        self.client.send(encode("SET", "before", 1))
        wait_until(lambda: self.old.call("GET", "before") == b"1", 5, "it is there")
        self.new.call("SET", "before", 1)
        self.migrate()
        self.client.send(encode("SET", "k", 1))
        wait_until(lambda: self.old.call("GET", "k") == b"1", 5, "it is there")
        self.assertTrue(self.ledger.needs_full_verification or "k" in str(self.ledger.keys())
                        or self.new.call("GET", "k") == b"1")


class Ends(Tables):
    """The table by which everything goes to old again."""

    def test_what_blocks_is_served(self):
        self.block("BLPOP", "jobs", 0)
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.another.call("RPUSH", "jobs", "a")
        self.assertIn(b"a", self.client.read())

    def test_an_open_transaction_is_run(self):
        self.client.call("MULTI")
        self.client.call("SET", "k", 1)
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertEqual(self.client.call("EXEC"), ["OK"])
        self.assertEqual(self.another.call("GET", "k"), b"1")

    def test_who_watches_goes_on(self):
        self.client.call("WATCH", "w")
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertEqual(self.client.call("SET", "k", 1), "OK")
        self.assertEqual(self.client.call("MULTI"), "OK")
        self.assertEqual(self.client.call("INCR", "k"), "QUEUED")
        self.assertEqual(self.client.call("EXEC"), [2])
        self.assertEqual(self.another.call("GET", "k"), b"2")


if __name__ == "__main__":
    unittest.main()
