"""Corners of dual writes in which both sides, or a client's own view, could come apart unseen."""

import time
import unittest

from canary_test import canary
from harness import SLOWNESS, RawConn, RedisServer, Sidecar, encode, wait_until
from ledger import Ledger


class DualWrites(unittest.TestCase):
    reads = 0.0  # share on new

    def setUp(self):
        self.old = self.enterContext(RedisServer())
        self.new = self.enterContext(RedisServer(databases=4))
        self.sidecar = self.enterContext(Sidecar())
        self.sidecar.add_endpoint("old", self.old)
        self.sidecar.add_endpoint("new", self.new)
        self.port = self.sidecar.add_interlay("cache", "old")
        self.sidecar.migrate("m", canary(self.reads), "cache", "new")
        self.ledger = Ledger(self.sidecar, "m")
        self.client = self.enterContext(RawConn(self.port))


class Corners(DualWrites):
    def test_blocking_commands_leave_a_watch_alone(self):
        call, another = self.client.call, self.enterContext(RawConn(self.port))
        for blocking in (("BLPOP", "jobs", 1), ("BLPOP", "empty", "empty", 0.05),
                         ("BLMOVE", "jobs", "done", "LEFT", "LEFT", 1),
                         ("XREAD", "BLOCK", 1, "STREAMS", "none", "$")):
            with self.subTest(blocking=blocking):
                another.call("RPUSH", "jobs", "a", "b")
                self.assertEqual(call("WATCH", "watched"), "OK")
                call(*blocking)
                another.call("INCR", "watched")
                self.assertEqual(call("MULTI"), "OK")
                self.assertEqual(call("SET", "lost", "update"), "QUEUED")
                self.assertIsNone(call("EXEC"))
        self.ledger.until_empty()
        for key in ("jobs", "done", "watched"):
            self.assertEqual(self.new.call("DUMP", key), self.old.call("DUMP", key))

    def test_what_is_made_from_a_key_that_a_watching_client_takes_from_is_equal(self):
        makers = [self.enterContext(RawConn(self.port)) for _ in range(3)]
        takers = [self.enterContext(RawConn(self.port)) for _ in range(3)]
        for _ in range(60):
            for maker in makers:
                maker.send(encode("RPUSH", "l", "a", "b", "c", "d") + encode("COPY", "l", "x", "REPLACE")
                           + encode("RENAME", "l", "y"))
            for taker in takers:
                taker.send(encode("WATCH", "w") + encode("BLPOP", "l", 0.001) + encode("UNWATCH"))
            for connection in makers + takers:
                connection.replies(3, 10 * SLOWNESS)
        self.ledger.until_empty()
        for key in ("l", "x", "y"):
            self.assertEqual(self.new.call("DUMP", key), self.old.call("DUMP", key), key)

    def test_what_is_made_from_a_stream_that_somebody_waits_for_is_equal(self):
        reader, writer = self.client, self.enterContext(RawConn(self.port))
        writer.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
        for entry, made, command in (("1-1", "copied", "COPY"), ("2-1", "renamed", "RENAME")):
            reader.send(encode("XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">"))
            wait_until(lambda: self.old.info("clients")["blocked_clients"] == "1", 5, "blocked")
            writer.send(encode("XADD", "s", entry, "f", "v") + encode(command, "s", made))
            writer.replies(2, 5 * SLOWNESS)
            reader.read()
            self.ledger.until_empty()
            for server in (self.old, self.new):
                self.assertEqual(server.call("XPENDING", made, "g")[0], int(entry[0]), made)

    def test_who_does_not_read_an_answer_holds_up_nobody(self):
        self.client.call("SET", "big", b"x" * 20_000_000)
        for command in (("GETSET", "big", "y"), ("EVAL", "return redis.call('get', 'bigger')", 0)):
            with self.subTest(command=command[0]), RawConn(self.port, receive_buffer=4096) as slow:
                self.client.call("SET", "bigger", b"x" * 20_000_000)
                slow.send(encode(*command))
                wait_until(lambda: self.sidecar.metric("crossfade_limit_hits_total",
                                                       limit="output_buffer_max"), 5, "it is held back")
                began = time.monotonic()
                for n in range(6):
                    self.client.call("SET", "big", f"z{n}", limit_s=20)
                # Whoever comes first waits for order_wait_ms, which is 2 s; nobody behind it does.
                self.assertLess(time.monotonic() - began, 5 * SLOWNESS)
        self.ledger.verify()
        self.ledger.until_empty()
        self.assertEqual(self.new.call("GET", "big"), self.old.call("GET", "big"))

    def test_a_script_that_fails_in_words_of_a_server_has_run(self):
        for words in ("ERR unknown user", "OOM command not allowed", "READONLY no", "NOPERM you",
                      "ERR wrong x"):
            with self.subTest(words=words):
                with RawConn(self.port) as blocked:  # beside it, writes are repeated by copying
                    blocked.send(encode("BLPOP", "jobs", 0))
                    wait_until(lambda: self.old.info("clients")["blocked_clients"] == "1", 5, "blocked")
                    script = f"redis.call('incr', KEYS[2]) return redis.error_reply('{words}')"
                    self.assertIn(words, str(self.client.call("EVAL", script, 2, "jobs", "k")))
                    self.ledger.until_empty()
                    self.assertEqual(self.new.call("GET", "k"), self.old.call("GET", "k"))

    def test_no_copy_of_repair_comes_after_the_table_that_leaves_old(self):
        count = 4000
        keys = [f"k{n}" for n in range(count)]

        def write(value):
            self.client.send(b"".join(encode("SET", key, value) for key in keys))
            self.assertEqual(set(self.client.replies(count, 30 * SLOWNESS)), {b"+OK\r\n"})

        self.new.sigstop()
        write("stale on new")
        self.new.sigcont()
        wait_until(lambda: 0 < self.ledger.total < count - 50, 20, "repair is at work")
        self.sidecar.patch("m", {"type": "blue_green", "active_is_new": True}, force=True)
        self.client.close()
        self.client = self.enterContext(RawConn(self.port))
        write("only on new")
        self.assertEqual(set(self.new.call("MGET", *keys)), {b"only on new"})

    def test_what_old_refuses_is_not_run_on_new_either(self):
        self.assertEqual(self.client.call("SET", "k", "v"), "OK")
        for command in (("FLUSHALL",), ("FLUSHDB",), ("FUNCTION", "FLUSH")):
            self.old.call("ACL", "SETUSER", "default", "-" + command[0].lower())
            self.assertIn("NOPERM", str(self.client.call(*command)))
        self.assertEqual(self.new.call("GET", "k"), b"v")
        self.assertFalse(self.ledger.needs_full_verification)
        self.old.call("ACL", "SETUSER", "default", "+@all")
        self.assertEqual(self.client.call("FLUSHALL"), "OK")
        self.assertEqual((self.old.call("DBSIZE"), self.new.call("DBSIZE")), (0, 0))

    def test_what_a_silent_client_has_left_waiting_is_not_forgotten(self):
        self.client.send(encode("CLIENT", "REPLY", "OFF") + encode("BLPOP", "jobs", 0) + encode("INCR", "k"))
        wait_until(lambda: self.old.info("clients")["blocked_clients"] == "1", 5, "blocked")
        self.ledger.until_empty()  # at that moment both sides are equal
        self.old.call("RPUSH", "jobs", "behind its back")
        self.assertEqual(self.old.call("GET", "k"), b"1")
        wait_until(lambda: self.new.call("GET", "k") == b"1", 20, "it is copied")

    def test_a_database_that_new_has_not_is_not_written_elsewhere_unseen(self):
        self.client.send(encode("MULTI") + encode("SELECT", 7) + encode("SET", "k", 1) + encode("EXEC"))
        self.client.replies(4)
        wait_until(lambda: self.ledger.needs_full_verification, 5, "the migration says that more may differ")


class LeftOut(DualWrites):
    def test_what_is_repeated_without_a_command_that_was_refused_is_compared(self):
        refused = ("XGROUP", "CREATECONSUMER", "none", "g", "c")
        for commands, replies in (((refused, ("INCR", "n")), 4), ((("INCR", "n"), refused), 4)):
            with self.subTest(commands=commands):
                self.old.call("SET", "n", 1)
                self.new.call("SET", "n", 5)  # behind the sidecar's back
                self.client.send(b"".join(encode(*one) for one in (("MULTI",), *commands, ("EXEC",))))
                self.client.replies(replies)
                self.ledger.until_empty()
                self.assertEqual((self.old.call("GET", "n"), self.new.call("GET", "n")), (b"2", b"2"))

    def test_and_is_not_suspected_for_that(self):
        commands = (("MULTI",), ("RPUSH", "list", "a"), ("INCR", "list"), ("SET", "k", 1), ("EXEC",))
        self.client.send(b"".join(encode(*one) for one in commands))
        self.client.replies(len(commands))
        self.assertEqual(self.ledger.noted(), 0)
        self.assertEqual((self.new.call("LRANGE", "list", 0, -1), self.new.call("GET", "k")), ([b"a"], b"1"))


class Blocked(DualWrites):
    def is_blocked(self):
        return self.old.info("clients")["blocked_clients"] == "1"

    def check_equal(self, *keys):
        self.ledger.until_empty()
        for key in keys:
            self.assertEqual(self.new.call("DUMP", key), self.old.call("DUMP", key), key)

    def test_who_may_not_use_transactions_holds_up_nobody(self):
        for refused in ("multi", "exec"):
            with self.subTest(refused=refused), RawConn(self.port) as blocked:
                for server in (self.old, self.new):
                    server.call("ACL", "SETUSER", "few", "reset", "on", ">few", "~*", "+@all", "-" + refused)
                self.assertEqual(blocked.call("AUTH", "few", "few"), "OK")
                for n in range(3):  # the refusal is heard once, and remembered
                    blocked.send(encode("BLMOVE", "jobs", "done", "LEFT", "LEFT", 0))
                    wait_until(self.is_blocked, 5, "blocked")
                    self.assertEqual(self.client.call("RPUSH", "jobs", n), 1)
                    self.assertEqual(blocked.read(5), b"%d" % n)
                self.assertIsNone(blocked.call("BLPOP", "jobs", 0.05))
                self.assertEqual(self.client.call("RPUSH", "jobs", "x", "y"), 2)
                self.assertEqual(blocked.call("BLPOP", "jobs", 0), [b"jobs", b"x"])
                self.assertIn("WRONGTYPE", str(blocked.call("BZPOPMIN", "jobs", 0)))
                self.assertEqual(blocked.call("LPOP", "jobs"), b"y")
                self.check_equal("jobs", "done")
                self.assertEqual(blocked.call("AUTH", "default", "any"), "OK")
                blocked.send(encode("BLPOP", "jobs", 0))
                wait_until(self.is_blocked, 5, "blocked")
                self.assertEqual(self.client.call("RPUSH", "jobs", "z"), 1)
                self.assertEqual(blocked.read(5), [b"jobs", b"z"])
        self.check_equal("jobs", "done")
        self.assertEqual(self.sidecar.metric("crossfade_limit_hits_total", limit="order_wait_ms"), 0)
        self.assertFalse(self.ledger.needs_full_verification)

    def test_a_stream_is_read_by_who_may_not_use_transactions(self):
        self.client.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
        with RawConn(self.port) as blocked:
            for server in (self.old, self.new):
                server.call("ACL", "SETUSER", "few", "reset", "on", ">few", "~*", "+@all", "-multi")
            self.assertEqual(blocked.call("AUTH", "few", "few"), "OK")
            for n in range(2):
                blocked.send(encode("XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">"))
                wait_until(self.is_blocked, 5, "blocked")
                self.client.call("XADD", "s", f"{n + 1}-0", "f", "v")
                self.assertEqual(blocked.read(5)[0][0], b"s")
        self.ledger.until_empty()
        pending = [server.call("XPENDING", "s", "g") for server in (self.old, self.new)]
        self.assertEqual(pending[0], pending[1])
        self.assertEqual(pending[0][0], 2)

    def test_who_went_ahead_of_its_turn_is_answered_all_the_same(self):
        settings = {"order_wait_ms": 100, "second_leg_timeout_ms": 4000}
        port = self.sidecar.add_interlay("impatient", "old", settings=settings)
        self.sidecar.migrate("m2", canary(0.0), "impatient", "new", force=True)
        with RawConn(port) as slow, RawConn(port) as blocked:
            self.assertEqual(slow.call("SET", "other", 1), "OK")
            self.new.sigstop()
            slow.send(encode("DEL", "jobs"))  # holds the turn for as long as new is silent
            wait_until(lambda: "del" in self.old.commandstats(), 5, "old has it")
            blocked.send(encode("BLPOP", "jobs", 0))
            wait_until(self.is_blocked, 5, "blocked")
            self.old.call("RPUSH", "jobs", "a")
            self.old.call("SET", "marker", 1)
            self.new.sigcont()
            self.assertEqual(blocked.read(10), [b"jobs", b"a"])
            self.assertEqual(slow.read(10), 0)


    def served_beside(self, key, *commands):
        """Runs these right behind what a blocked command puts into `x`, before new has got that. What both
        sides have at the key in database 3, when the ledger is empty."""
        for server in (self.old, self.new):
            server.call("FLUSHALL")
        beside = self.enterContext(RawConn(self.port, limit_s=20 * SLOWNESS))
        mover = self.enterContext(RawConn(self.port, limit_s=20 * SLOWNESS))
        self.assertEqual(beside.call("RPUSH", "x", "a"), 1)
        self.client.call("PING")
        mover.send(encode("BLMOVE", "jobs", "x", "LEFT", "RIGHT", 0))
        wait_until(self.is_blocked, 5, "blocked")
        self.old.sigstop()  # it takes what has come meanwhile in the order in which it came
        for client, sent in ((self.client, [("RPUSH", "jobs", "b")]), (beside, commands)):
            before = self.requests()
            client.send(b"".join(encode(*one) for one in sent))
            wait_until(lambda: self.requests() == before + len(sent), 5, "it is sent")
        self.old.sigcont()
        for client, count in ((self.client, 1), (beside, len(commands)), (mover, 1)):
            client.replies(count)
        self.ledger.until_empty()
        lists = []
        for server in (self.old, self.new):
            server.call("SELECT", 3)
            lists.append(server.call("LRANGE", key, 0, -1))
            server.call("SELECT", 0)
        return lists

    def requests(self):
        return self.sidecar.metric("crossfade_requests_total", interlay="cache", side="old")

    def test_what_goes_to_another_database_is_not_lost_sight_of(self):
        for key, *commands in (("y", ("COPY", "x", "y", "DB", 3)), ("x", ("MOVE", "x", 3)),
                               ("y", ("MULTI",), ("COPY", "x", "y", "DB", 3), ("EXEC",))):
            with self.subTest(commands=commands):
                self.assertEqual(self.served_beside(key, *commands), [[b"a", b"b"]] * 2)


class KnownExpiries(DualWrites):
    """A write near a known expiry is repeated by copying: new runs no APPEND."""

    def is_known(self, key, db=0):
        with RawConn(self.port) as client:
            self.assertEqual(client.call("SELECT", db), "OK")
            wait_until(lambda: 0 < client.call("PTTL", key) < 900, 20, "it is about to expire")
            self.new.call("CONFIG", "RESETSTAT")
            self.assertEqual(client.call("APPEND", key, "x"), 2)
        return "append" not in self.new.commandstats()

    def run_together(self, *commands):
        """EXEC's reply to them."""
        self.client.send(b"".join(encode(*one) for one in (("MULTI",), *commands, ("EXEC",))))
        return self.client.replies(len(commands) + 2)[-1]

    def test_those_that_go_along_to_another_database(self):
        call = self.client.call
        self.assertEqual(call("SET", "moved", "v", "PX", 2500), "OK")
        self.assertEqual(call("SET", "copied", "v", "PX", 2500), "OK")
        self.assertEqual(call("SET", "queued", "v", "PX", 2500), "OK")
        self.assertEqual(call("MOVE", "moved", 2), 1)
        self.assertEqual(call("COPY", "copied", "copy", "DB", 2), 1)
        self.assertIn(b"+OK\r\n:1", self.run_together(("SET", "k", "v"), ("MOVE", "queued", 2)))
        for key in ("moved", "copy", "queued"):
            with self.subTest(key=key):
                self.assertTrue(self.is_known(key, 2))

    def test_those_of_databases_that_change_places(self):
        call = self.client.call
        for key, ms in (("alone", 2500), ("again", 5000), ("failed", 7500)):
            self.assertEqual(call("SET", key, "v", "PX", ms), "OK")
        self.assertEqual(call("SWAPDB", 0, 3), "OK")
        self.assertTrue(self.is_known("alone", 3))
        self.assertIn(b"+OK\r\n+OK", self.run_together(("SET", "k", "v"), ("SWAPDB", 3, 1)))
        self.assertTrue(self.is_known("again", 1))
        self.assertIn(b"+OK\r\n-ERR", self.run_together(("SET", "k", "v"), ("SWAPDB", 1, 77)))
        self.assertTrue(self.is_known("failed", 1))

    def test_those_that_a_silent_client_sets(self):
        self.client.send(encode("CLIENT", "REPLY", "OFF") + encode("SET", "k", "v", "PX", 3000) +
                         encode("CLIENT", "REPLY", "ON"))
        self.assertEqual(self.client.read(), "OK")
        self.ledger.until_empty()
        self.assertTrue(self.is_known("k"))

    def test_those_that_verification_has_read(self):
        at_ms = int(time.time() * 1000) + 6000
        for server in (self.old, self.new):
            server.call("SET", "k", "v", "PXAT", at_ms)
        self.sidecar.must("POST", "/migrations/m/verify")
        wait_until(lambda: self.ledger.page()["verification"]["state"] == "complete", 5, "verified")
        self.assertTrue(self.is_known("k"))


class OwnReads(DualWrites):
    reads = 1.0

    def test_who_reads_behind_a_write_of_its_own_reads_that(self):
        """Also where new refuses it."""
        self.assertEqual(self.client.call("SET", "k", "before"), "OK")
        self.new.call("CONFIG", "SET", "maxmemory", 1)
        for n in range(50):
            self.client.send(encode("SET", "k", n) + encode("GET", "k"))
            self.assertEqual(self.client.replies(2), [b"+OK\r\n", b"$%d\r\n%d\r\n" % (len(str(n)), n)])


if __name__ == "__main__":
    unittest.main()
