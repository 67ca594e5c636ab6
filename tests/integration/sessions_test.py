"""What a session is to both sides: who may enter, in which database it works, and what becomes of one
that is tied to a side which is home no more. Each test is a way in which data was once lost or leaked.
"""

import signal
import socket
import unittest

from canary_test import Pair, canary, cutover
from harness import RawConn, RedisServer, ReplyError, Sidecar, encode, wait_until
from ledger import Ledger
from memory import sanitized


def blue_green(active_is_new):
    return {"type": "blue_green", "active_is_new": active_is_new}


class Rights(unittest.TestCase):
    """Old knows a user with few rights; new does not, and is entered with an endpoint's password."""

    def setUp(self):
        self.old = self.enterContext(RedisServer(requirepass="oldpw"))
        self.new = self.enterContext(RedisServer(requirepass="newpw"))
        self.sidecar = self.enterContext(Sidecar())
        self.sidecar.add_endpoint("old", self.old, password="oldpw")
        self.sidecar.add_endpoint("new", self.new, password="newpw")
        self.port = self.sidecar.add_interlay("cache", "old")
        self.old.call("ACL", "SETUSER", "few", "on", ">few", "~app:*", "+@read", "+@connection")
        for server in (self.old, self.new):
            server.call("SET", "secret", "keep")

    def refused(self, client, *command):
        reply = client.call(*command)
        self.assertIsInstance(reply, ReplyError, command)
        return str(reply)

    def check_refusals(self):
        with RawConn(self.port) as client:
            self.assertEqual(client.call("AUTH", "few", "few"), "OK")
            for command in (("GET", "secret"), ("GETDEL", "secret"), ("SET", "app:x", "evil"),
                            ("SET", "secret", "evil"), ("FLUSHALL",)):
                self.assertTrue(self.refused(client, *command).startswith("NOPERM"), command)
            self.assertIsNone(client.call("GET", "app:none"))
        with RawConn(self.port) as stranger:
            for command in (("GET", "secret"), ("SET", "secret", "evil"), ("FLUSHALL",)):
                self.assertTrue(self.refused(stranger, *command).startswith("NOAUTH"), command)
        with RawConn(self.port) as client:
            self.assertEqual(client.call("AUTH", "oldpw"), "OK")
            self.assertEqual(client.call("GET", "secret"), b"keep")
            self.assertEqual(client.call("SET", "done", "1"), "OK")
        wait_until(lambda: self.new.call("EXISTS", "done") == 1, 5, "new has got what it gets")
        for server in (self.old, self.new):
            self.assertEqual(sorted(server.call("KEYS", "*")), [b"done", b"secret"])
            self.assertEqual(server.call("GET", "secret"), b"keep")

    def test_under_a_canary(self):
        for policy in ("old_authoritative", "best_effort"):
            with self.subTest(policy=policy):
                self.sidecar.migrate(policy[:4], canary(1.0, policy), "cache", "new")
                self.check_refusals()
                self.sidecar.must("POST", f"/migrations/{policy[:4]}/rollback")
                self.sidecar.must("DELETE", f"/migrations/{policy[:4]}")
                for server in (self.old, self.new):
                    server.call("DEL", "done")

    def test_a_stranger_s_talk_of_a_replica_hands_nothing_through(self):
        self.sidecar.migrate("m", canary(0.0), "cache", "new")
        with RawConn(self.port) as client:
            for command in (("SET", "k", "v"), ("REPLCONF", "ACK", 0)):
                self.assertTrue(self.refused(client, *command).startswith("NOAUTH"), command)
            self.assertEqual(client.call("AUTH", "oldpw"), "OK")
            self.assertEqual(client.call("SET", "k", "v"), "OK")
            self.assertEqual(self.new.call("GET", "k"), b"v")
        self.assertFalse(Ledger(self.sidecar, "m").needs_full_verification)

    def test_under_shadow(self):
        self.sidecar.migrate("m", {"type": "shadow_traffic"}, "cache", "new")
        self.check_refusals()


class OtherDatabases(unittest.TestCase):
    def start(self, old_url="", new_url="", **old_config):
        self.old = self.enterContext(RedisServer(**old_config))
        self.new = self.enterContext(RedisServer())
        self.sidecar = self.enterContext(Sidecar())
        self.sidecar.add_endpoint("old", self.old, **({"db": int(old_url)} if old_url else {}))
        self.sidecar.add_endpoint("new", self.new, **({"db": int(new_url)} if new_url else {}))
        self.port = self.sidecar.add_interlay("cache", "old")

    def client(self):
        return self.enterContext(RawConn(self.port))

    def test_a_database_that_new_lacks_is_one_session_s_affair(self):
        self.start(databases=64)
        self.sidecar.migrate("m", canary(1.0), "cache", "new")
        odd, ordinary = self.client(), self.client()
        self.assertEqual(odd.call("SELECT", 40), "OK")
        for n in range(200):
            self.assertEqual(odd.call("SET", f"odd{n}", n), "OK")
            self.assertEqual(odd.call("GET", f"odd{n}"), str(n).encode())
            self.assertEqual(ordinary.call("SET", f"k{n}", n), "OK")
        wait_until(lambda: self.new.call("DBSIZE") == 200, 5, "every write of the other session")
        self.assertEqual(self.new.call("EXISTS", "odd0"), 0)
        self.assertGreater(self.sidecar.metric("crossfade_second_writes_dropped_total",
                                               reason="state_refused"), 0)
        self.assertEqual(self.sidecar.metric("crossfade_second_writes_dropped_total"),
                         self.sidecar.metric("crossfade_second_writes_dropped_total",
                                             reason="state_refused"))
        self.assertEqual(self.sidecar.metric("crossfade_side_down", side="new"), 0)

    def test_nothing_runs_in_another_database_after_a_flip(self):
        self.start(databases=64)
        self.sidecar.migrate("m", blue_green(False), "cache", "new")
        client = self.client()
        self.assertEqual(client.call("SELECT", 40), "OK")
        self.sidecar.patch("m", blue_green(True))
        client.send(encode("SET", "lost", "v") + encode("SET", "lost2", "v"))
        client.read_eof(10)
        self.assertTrue(bytes(client.received).startswith(b"+OK\r\n-ERR crossfade: "))
        self.assertEqual(self.new.call("DBSIZE"), 0)

    def test_reset_leads_back_to_the_endpoint_s_database(self):
        self.start("2", "5")
        self.sidecar.migrate("m", canary(0.0), "cache", "new", force=True)  # nobody names a database
        client = self.client()
        self.assertEqual(client.call("SET", "a", "1"), "OK")
        self.assertEqual(client.call("RESET"), "RESET")
        self.assertEqual(client.call("SET", "b", "1"), "OK")
        self.assertEqual(client.call("GET", "a"), b"1")
        for server, db in ((self.old, 2), (self.new, 5)):
            wait_until(lambda s=server, n=db: s.info("keyspace").keys() == {f"db{n}"}, 5, "one only")
            self.assertTrue(server.info("keyspace")[f"db{db}"].startswith("keys=2,"))


class Tied(Pair):
    """Sessions that hold state of a server which a new table has made the former home."""

    def setUp(self):
        super().setUp()
        self.sidecar.migrate("m", blue_green(False), "cache", "new")

    def tied(self, *commands):
        client = self.client()
        for command in commands:
            client.command(*command)
        client.command("PING")
        client.replies(len(commands) + 1)
        return client

    def ended(self):
        return self.sidecar.metric("crossfade_sessions_ended_total", interlay="cache")

    def test_they_end_and_their_drivers_find_the_new_home(self):
        tracking = self.tied(("HELLO", 3), ("CLIENT", "TRACKING", "ON"))
        subscriber = self.tied(("HELLO", 3), ("SUBSCRIBE", "channel"))
        silent = self.tied(("PING",))
        silent.command("CLIENT", "REPLY", "OFF")
        silent.command("SET", "heard", "v")
        wait_until(lambda: self.old.call("EXISTS", "heard") == 1, 5, "replies are off")
        self.sidecar.patch("m", blue_green(True))
        for client in (tracking, subscriber, silent):
            client.read_eof(5)
        self.assertEqual(self.ended(), 3)
        self.assertEqual(self.client().call("SET", "k", "v"), "OK")
        self.assertEqual(self.new.call("GET", "k"), b"v")

    def test_a_transaction_is_waited_for_and_not_run(self):
        client = self.client()
        client.call("WATCH", "k")
        client.call("MULTI")
        self.sidecar.patch("m", blue_green(True))
        self.assertEqual(client.call("SET", "k", "v"), "QUEUED")
        self.assertIsNone(client.call("EXEC"))
        self.assertEqual(client.call("SET", "k", "v"), "OK")
        self.assertEqual((self.old.call("GET", "k"), self.new.call("GET", "k")), (None, b"v"))

    def test_a_rollback_ends_them_likewise(self):
        self.sidecar.patch("m", blue_green(True))
        client = self.tied(("HELLO", 3), ("CLIENT", "TRACKING", "ON"))
        self.sidecar.must("POST", "/migrations/m/rollback")
        client.read_eof(5)
        self.assertEqual(self.new.call("DBSIZE"), 0)

    def test_a_plain_listener_stays_and_hears_what_is_said_at_the_new_home(self):
        listener = self.tied(("PING",))
        self.assertEqual(listener.call("SUBSCRIBE", "channel"), [b"subscribe", b"channel", 1])
        self.sidecar.patch("m", blue_green(True))
        self.client().call("PUBLISH", "channel", "news")
        self.assertEqual(listener.read(), [b"message", b"channel", b"news"])
        self.assertEqual(self.ended(), 0)


class SplitWrites(Pair):
    """A cutover in the middle: some keys live on new, the others on old."""

    def setUp(self):
        super().setUp()
        self.sidecar.migrate("m", cutover(0.5, 0.5), "cache", "new")
        client = self.client()
        client.send(b"".join(encode("SET", f"k{n}", "v") for n in range(50)))
        client.replies(50)
        self.here = next(f"k{n}" for n in range(50) if self.old.call("EXISTS", f"k{n}"))
        self.there = next(f"k{n}" for n in range(50) if self.new.call("EXISTS", f"k{n}"))

    def test_a_transaction_keeps_what_stands_before_its_first_key(self):
        client = self.client()
        for command in (("MULTI",), ("PING",), ("SELECT", 3), ("SET", self.there, "in 3")):
            client.command(*command)
        client.replies(4)
        self.assertEqual(client.call("EXEC"), ["PONG", "OK", "OK"])
        self.new.call("SELECT", 3)
        self.assertEqual(self.new.call("GET", self.there), b"in 3")
        self.assertEqual(self.old.call("EXISTS", self.there), 0)

    def test_who_is_tied_to_a_side_is_not_shown_stale_keys(self):
        client = self.client()
        client.call("HELLO", 3)
        client.call("CLIENT", "TRACKING", "ON")
        self.assertEqual(client.call("GET", self.here), b"v")
        self.assertIsInstance(client.call("GET", self.there), ReplyError)

    def test_a_skipped_reply_stays_that_of_its_request(self):
        client = self.client()
        client.send(encode("CLIENT", "REPLY", "SKIP") + encode("MSET", self.here, 1, self.there, 2) +
                    encode("GET", self.here) + encode("GET", self.there) + encode("PING"))
        self.assertEqual(client.replies(3), [b"$1\r\nv\r\n", b"$1\r\nv\r\n", b"+PONG\r\n"])

    def test_what_follows_quit_is_not_read(self):
        client = self.client()
        client.send(encode("SET", self.here, "last") + encode("QUIT") + encode("SET", self.there, "x"))
        client.read_eof(5)
        self.assertEqual(bytes(client.received), b"+OK\r\n+OK\r\n")
        self.assertEqual(self.new.call("GET", self.there), b"v")

    def test_replication_and_malformed_requests_behind_waiting_ones(self):
        for end in (encode("PSYNC", "?", "-1"), b"*1\r\n$-5\r\n"):
            client = self.client()
            client.send(encode("SET", self.there, "v") + encode("SET", self.here, "v") + end)
            self.assertEqual(client.replies(2), [b"+OK\r\n"] * 2)
        self.assertTrue(self.sidecar.alive())


class BothSides(Pair):
    def test_what_is_watched_on_both_sides_is_forgotten_by_reset(self):
        self.sidecar.migrate("m", canary(0.0), "cache", "new")
        client, other = self.client(), self.client()
        client.call("WATCH", "k")
        client.call("RESET")
        self.assertEqual(other.call("SET", "k", "other"), "OK")
        client.call("MULTI")
        client.call("SET", "k", "mine")
        self.assertEqual(client.call("EXEC"), ["OK"])
        wait_until(lambda: self.new.call("GET", "k") == b"mine", 5, "new has run it too")

    def test_what_a_subscriber_may_not_do_new_does_not_do_either(self):
        self.sidecar.migrate("m", canary(0.0), "cache", "new")
        client = self.client()
        client.send(encode("SUBSCRIBE", "channel") + encode("SET", "k", "v") + encode("RESET") +
                    encode("SET", "done", "v"))
        client.replies(4)
        wait_until(lambda: self.new.call("EXISTS", "done") == 1, 5, "new has got what it gets")
        for server in (self.old, self.new):
            self.assertEqual(server.call("EXISTS", "k"), 0)


    def test_an_exec_that_runs_nothing_changes_no_state(self):
        for strategy in (canary(0.0), {"type": "shadow_traffic"}):
            with self.subTest(strategy=strategy):
                self.sidecar.migrate("m", strategy, "cache", "new")
                client, other = self.client(), self.client()
                client.call("WATCH", "k")
                other.call("SET", "k", "v")
                client.call("MULTI")
                client.call("SELECT", 3)
                self.assertIsNone(client.call("EXEC"))
                self.assertEqual(client.call("SET", "b", "v"), "OK")
                wait_until(lambda: self.new.call("GET", "b") == b"v", 5, "in database 0 of new too")
                self.sidecar.must("POST", "/migrations/m/rollback")
                self.sidecar.must("DELETE", "/migrations/m")
                self.new.call("FLUSHALL")

    def test_an_exec_that_runs_on_the_other_side_alone_changes_no_state_there(self):
        for strategy in (canary(0.0), {"type": "shadow_traffic"}):
            with self.subTest(strategy=strategy):
                self.sidecar.migrate("m", strategy, "cache", "new")
                for n in range(20):  # the other side's answer comes first, or last
                    client = self.client()
                    client.call("WATCH", "k")
                    self.old.call("SET", "k", n)
                    client.call("MULTI")
                    client.call("SELECT", 3)
                    self.assertIsNone(client.call("EXEC"))
                    self.assertEqual(client.call("SET", f"b{n}", "v"), "OK")
                wait_until(lambda: self.new.call("GET", f"b{n}") == b"v", 5, "in database 0 of new")
                self.assertEqual(self.new.info("keyspace").keys(), {"db0"})
                self.sidecar.must("POST", "/migrations/m/rollback")
                self.sidecar.must("DELETE", "/migrations/m")
                self.new.call("FLUSHALL")

    def test_what_reached_no_server_has_not_begun(self):
        self.sidecar.migrate("m", canary(0.0), "cache", "new")
        self.old.kill()
        client = self.client()
        self.assertIsInstance(client.call("WATCH", "k"), ReplyError)
        self.old.restart()
        wait_until(lambda: client.call("PING") == "PONG", 5, "old is back")
        self.assertEqual(client.call("SET", "k", "v"), "OK")
        wait_until(lambda: self.new.call("DBSIZE") == 1, 5, "written on both sides")
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertEqual(client.call("SET", "after", "v"), "OK")
        self.assertEqual(self.new.call("EXISTS", "after"), 0)

    def test_best_effort_counts_the_leg_that_it_does_without(self):
        self.sidecar.migrate("m", canary(0.0, "best_effort"), "cache", "new")
        self.assertEqual(self.client().call("SET", "before", "v"), "OK")
        self.old.kill()
        client = self.client()
        wait_until(lambda: client.call("SET", "k", "v") == "OK", 5, "new alone takes it")
        self.assertEqual(self.new.call("GET", "k"), b"v")
        eligible, answered, dropped = (self.sidecar.metric(f"crossfade_second_writes_{name}_total")
                                       for name in ("eligible", "answered", "dropped"))
        self.assertGreaterEqual(dropped, 1)
        self.assertEqual(eligible, answered + dropped)

    def test_a_watch_that_was_refused_ties_nobody(self):
        self.sidecar.migrate("m", {"type": "shadow_traffic"}, "cache", "new")
        client = self.client()
        self.assertIsInstance(client.call("WATCH"), ReplyError)
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertEqual(client.call("SET", "k", "v"), "OK")
        self.assertEqual(client.call("PING"), "PONG")
        self.assertEqual(self.new.call("EXISTS", "k"), 0)

    def test_subscriptions_in_silence(self):
        self.sidecar.migrate("m", canary(0.0), "cache", "new")
        client = self.client()
        client.send(encode("CLIENT", "REPLY", "OFF") + encode("SUBSCRIBE", "c") + encode("SET", "k", "v"))
        client.send(encode("UNSUBSCRIBE", "c") + encode("SELECT", 3) + encode("SET", "z", "v") +
                    encode("CLIENT", "REPLY", "ON") + encode("PING"))
        wait_until(lambda: b"PONG" in bytes(client.received) or client.available(), 5, "replies")
        for server in (self.old, self.new):
            self.assertEqual(server.call("EXISTS", "k", "z"), 0)


class HandedThrough(Pair):
    """Sessions whose replies only their server can tell apart: what they write has one leg, and the
    migration says so."""

    def silent_subscriber(self):
        """Handed through: ON behind a SUBSCRIBE whose confirmation nobody will see."""
        client = self.client()
        client.send(encode("CLIENT", "REPLY", "OFF") + encode("SUBSCRIBE", "c") +
                    encode("CLIENT", "REPLY", "ON") + encode("UNSUBSCRIBE", "c") +
                    encode("CLIENT", "REPLY", "ON"))
        self.assertEqual([client.read() for _ in range(3)],
                         [[b"subscribe", b"c", 1], [b"unsubscribe", b"c", 0], "OK"])
        return client

    def marked(self):
        return Ledger(self.sidecar, "m").needs_full_verification

    def test_a_sync_that_is_refused_leaves_an_ordinary_session(self):
        self.sidecar.migrate("m", canary(0.0), "cache", "new")
        for n, request in enumerate((("PSYNC",), ("SYNC", "x"), ("PSYNC", "?"))):
            with self.subTest(request=request):
                client = self.client()
                client.send(encode(*request) + encode("SET", f"behind{n}", "v"))
                self.assertIsInstance(client.read(), ReplyError)
                self.assertEqual(client.read(), "OK")
                self.assertIsInstance(client.call(*request), ReplyError)
                self.assertEqual(client.call("SET", f"later{n}", "v"), "OK")
                client.send(encode(*request) + encode("SET", f"last{n}", "v"))
                client.shutdown_write()
                client.read_eof(5)
                self.assertEqual(self.new.call("EXISTS", f"behind{n}", f"later{n}", f"last{n}"), 3)
        self.assertFalse(self.marked())

    def test_a_server_that_dies_before_it_says_whether_it_refuses_ends_the_session(self):
        self.sidecar.migrate("m", canary(0.0), "cache", "new")
        client = self.client()
        self.old.child.send_signal(signal.SIGSTOP)
        client.send(encode("PSYNC", "?", "-1") + encode("SET", "k", "v"))
        self.old.kill()
        client.read_eof(10)

    def test_a_replica_writes_nothing(self):
        self.sidecar.migrate("m", canary(0.0), "cache", "new")
        self.assertEqual(self.client().call("SET", "k", "v"), "OK")
        with RedisServer() as replica:
            replica.call("REPLICAOF", "127.0.0.1", self.port)
            wait_until(lambda: replica.call("GET", "k") == b"v", 20, "the replica has everything")
            wait_until(lambda: self.old.info("replication").get("slave0", "").find("lag=0") > 0, 20,
                       "it has acknowledged")
            self.assertFalse(self.marked())

    def test_what_a_replica_writes_marks_the_migration(self):
        self.sidecar.migrate("m", canary(0.0), "cache", "new")
        client = self.client()  # servers before Redis 6.2 let it
        client.send(encode("PSYNC", "?", "-1") + encode("SET", "behind", "v"))
        wait_until(self.marked, 5, "it is marked")

    def test_the_first_write_marks_the_migration_as_often_as_it_was_verified(self):
        self.sidecar.migrate("m", canary(0.0), "cache", "new")
        client = self.silent_subscriber()
        self.assertEqual(client.call("PING"), "PONG")
        self.assertIsNone(client.call("GET", "k"))
        self.assertFalse(self.marked())
        for value in (b"1", b"2"):
            self.assertEqual(client.call("SET", "k", value), "OK")
            self.assertTrue(self.marked())
            Ledger(self.sidecar, "m").verify()
            wait_until(lambda v=value: self.new.call("GET", "k") == v, 5, "repaired")

    def test_what_a_server_leaves_unanswered_holds_up_nobody(self):
        self.sidecar.migrate("m", canary(1.0), "cache", "new")
        another = self.client()
        for n, words in enumerate((("ACK", 0), ("GETACK", "*"), ("capa", "eof", "ack", 1))):
            with self.subTest(words=words):
                client = self.client()
                self.assertEqual(client.call("SET", f"k{n}", "before"), "OK")
                client.send(encode("REPLCONF", *words) + encode("GET", f"k{n}"))
                self.assertEqual(client.read(5), b"before")
                self.assertFalse(self.marked())
        client.send(encode("REPLCONF", "ACK", 0) + encode("INCR", "n"))
        self.assertEqual(client.read(5), 1)
        self.assertEqual(another.call("INCR", "n"), 2)
        self.assertTrue(self.marked())  # the first one had one leg

    def test_a_session_from_before_the_dual_writes_marks_them_too(self):
        self.sidecar.migrate("m", {"type": "shadow_traffic"}, "cache", "new")
        client = self.silent_subscriber()
        self.assertEqual(client.call("SET", "k", "1"), "OK")
        self.assertFalse(self.marked())
        self.sidecar.patch("m", canary(0.0))
        self.assertEqual(client.call("SET", "k", "2"), "OK")
        self.assertTrue(self.marked())

    def test_malformed_bytes_of_strangers_mark_nothing(self):
        self.sidecar.migrate("m", canary(0.0), "cache", "new")
        client = self.client()
        client.send(b"*x\r\n" + encode("SET", "k", "v"))
        client.read_eof(5)
        self.assertFalse(self.marked())


class Debug(Pair):
    def setUp(self):
        super().setUp()
        self.sidecar.migrate("m", canary(0.0), "cache", "new")

    def test_what_is_populated_is_on_both_sides(self):
        self.assertEqual(self.client().call("DEBUG", "POPULATE", 5, "p", 3), "OK")
        for server in (self.old, self.new):
            self.assertEqual(server.call("DBSIZE"), 5)
        self.assertFalse(Ledger(self.sidecar, "m").needs_full_verification)

    def test_a_reload_marks_the_migration_unless_it_is_refused(self):
        client = self.client()
        self.assertIsInstance(client.call("DEBUG", "RELOAD", "NOSUCHOPTION"), ReplyError)
        self.assertFalse(Ledger(self.sidecar, "m").needs_full_verification)
        self.assertEqual(client.call("DEBUG", "RELOAD"), "OK")
        self.assertIn("DEBUG", str(Ledger(self.sidecar, "m").reasons()))


class Busy(Pair):
    """A script that runs on both sides and never ends: what ends it there reaches both."""

    def setUp(self):
        super().setUp()
        self.sidecar.migrate("m", canary(0.0), "cache", "new")
        for server in (self.old, self.new):
            server.call("CONFIG", "SET", "busy-reply-threshold", 50)

        self.servers = [self.enterContext(RawConn(server.port)) for server in (self.old, self.new)]

    def busy(self):
        return sum(str(server.call("PING")).startswith("BUSY") for server in self.servers)

    def check(self, command, *kill, killer=()):
        runner, other = self.client(), self.client()
        for before in killer:
            self.assertEqual(other.call(*before), "OK")
        runner.send(encode(*command))
        wait_until(lambda: self.busy() == 2, 5, "both sides are busy")
        self.assertEqual(other.call(*kill), "OK")
        wait_until(lambda: self.busy() == 0, 5, "both sides are free")
        self.assertIsInstance(runner.read(), ReplyError)

    def test_script_kill(self):
        endless = ("EVAL", "while true do end", 1, "k")
        self.check(endless, "SCRIPT", "KILL")
        self.check(endless, "SCRIPT", "KILL", killer=(("SELECT", 3),))
        self.check(endless, "SCRIPT", "KILL", killer=(("CLIENT", "SETNAME", "x"), ("SET", "a", 1)))

    def test_a_side_that_was_given_up_is_freed_too(self):
        self.client().command("EVAL", "while true do end", 1, "k")
        wait_until(lambda: self.busy() == 2, 5, "both sides are busy")
        self.assertEqual(self.servers[0].call("SCRIPT", "KILL"), "OK")
        wait_until(lambda: self.sidecar.metric("crossfade_side_down", side="new") == 1, 5, "given up")
        killer = self.client()
        self.assertEqual(killer.call("SELECT", 3), "OK")
        self.assertTrue(str(killer.call("SCRIPT", "KILL")).startswith("NOTBUSY"))
        wait_until(lambda: self.busy() == 0, 5, "new is free")

    def test_function_kill(self):
        self.assertEqual(self.client().call("FUNCTION", "LOAD", "#!lua name=lib\n"
                                            "redis.register_function('f', function() while true do end end)"),
                         b"lib")
        self.check(("FCALL", "f", 1, "k"), "FUNCTION", "KILL")


class Blocked(Pair):
    """Clients that wait for an element, on either side, and what is behind them."""

    def blocked(self, server):
        return int(server.info("clients")["blocked_clients"])

    def test_the_end_of_a_client_behind_what_does_not_block(self):
        for strategy in (canary(0.0), {"type": "shadow_traffic"}):
            with self.subTest(strategy=strategy):
                self.sidecar.migrate("m", strategy, "cache", "new")
                client = self.client()
                client.send(encode("RPUSH", "l", "x") + encode("BLPOP", "l", 0) + encode("SET", "w", 1))
                client.shutdown_write()
                client.read_eof(5)
                self.assertEqual(bytes(client.received),
                                 b":1\r\n*2\r\n$1\r\nl\r\n$1\r\nx\r\n+OK\r\n")
                self.assertEqual(self.old.call("GET", "w"), b"1")
                self.sidecar.must("POST", "/migrations/m/rollback")
                self.sidecar.must("DELETE", "/migrations/m")
                self.old.call("FLUSHALL")

    def test_who_leaves_takes_nothing_from_the_side_that_is_not_home(self):
        self.sidecar.migrate("m", canary(0.5, "new_authoritative"), "cache", "new")
        for how in ("close", "shutdown_write"):
            client = RawConn(self.port)
            client.command("BLPOP", "q", 0)
            wait_until(lambda: self.blocked(self.new) == 1, 5, "blocked on new")
            getattr(client, how)()
            wait_until(lambda: self.blocked(self.new) == 0, 5, "forgotten")
            client.close()
        self.assertEqual(self.client().call("RPUSH", "q", "job"), 1)
        self.assertEqual(self.new.call("LLEN", "q"), 1)

    def test_how_long_a_client_wants_to_wait_is_no_time_of_a_server(self):
        def waited():
            return self.sidecar.metric("crossfade_leg_seconds_sum", interlay="cache")
        client = self.client()
        before = waited()
        self.assertIsNone(client.call("BLPOP", "empty", 0.5))
        client.call("PING")
        self.assertLess(waited() - before, 0.5)

    def test_the_side_that_is_not_home_dies(self):
        self.sidecar.migrate("m", canary(0.5, "new_authoritative"), "cache", "new")
        client = self.client()
        client.command("BLPOP", "q", 0)
        wait_until(lambda: self.blocked(self.new) == 1, 5, "blocked on new")
        self.new.kill()
        self.assertIn("was lost", str(client.read(5)))
        self.assertEqual(client.call("PING"), "PONG")

    def test_a_tied_session_that_is_ended_while_blocked_takes_nothing(self):
        self.sidecar.migrate("m", blue_green(False), "cache", "new")
        client = self.client()
        client.call("HELLO", 3)
        client.call("CLIENT", "TRACKING", "ON")
        client.command("BLPOP", "q", 0)
        wait_until(lambda: self.blocked(self.old) == 1, 5, "blocked on old")
        self.sidecar.patch("m", blue_green(True))
        client.read_eof(15)
        wait_until(lambda: self.blocked(self.old) == 0, 5, "forgotten")

    def test_what_waits_for_a_state_is_bounded(self):
        self.sidecar.must("PATCH", "/endpoints/old", {"config": {"db": 1}})
        self.client().call("PING")
        before = self.sidecar.rss()
        self.old.child.send_signal(signal.SIGSTOP)
        try:
            flood = socket.create_connection(("127.0.0.1", self.port))
            self.addCleanup(flood.close)
            flood.settimeout(0.5)
            sent = 0
            with self.assertRaises(TimeoutError):
                while sent < 200 << 20:
                    sent += flood.send(encode("SET", "k", "x" * 15_000) * 20)
            if not sanitized():
                self.assertLess(self.sidecar.rss() - before, 24 << 20)
        finally:
            self.old.child.send_signal(signal.SIGCONT)


def load_tests(loader, _standard, _pattern):
    return unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in (
        Rights, OtherDatabases, Tied, SplitWrites, BothSides, HandedThrough, Debug, Busy,
        Blocked))


if __name__ == "__main__":
    unittest.main()
