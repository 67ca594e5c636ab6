"""What the requests of one session are to each other, while the table changes and sides fail: order, state
and the client's stream. Each test is a way in which something was once lost, doubled or out of step.
"""

import socket
import time
import unittest

from canary_test import Pair, canary, cutover
from fake_server import BackloggedPort, FakeServer
from harness import SLOWNESS, RawConn, RedisServer, ReplyError, Sidecar, encode, temp_folder, wait_until
from memory import MIB, grew_less, reset_peak
from sessions_test import blue_green

TIME_LIMIT_S = 340

BIG = b"x" * MIB


class Relayed(unittest.TestCase):
    """Two servers, each behind a relay that can fall ill."""

    def start(self, strategy=None, old=None, new=None, direct=False, **settings):
        """`direct`: nothing stands between the sidecar and old."""
        self.old = self.enterContext(RedisServer(**(old or {})))
        self.new = self.enterContext(RedisServer(**(new or {})))
        self.old_relay = self.enterContext(FakeServer(self.old.port))
        self.new_relay = self.enterContext(FakeServer(self.new.port))
        self.sidecar = self.enterContext(Sidecar())
        self.sidecar.add_endpoint("old", self.old if direct else self.old_relay.port)
        self.sidecar.add_endpoint("new", self.new_relay.port)
        self.port = self.sidecar.add_interlay("cache", "old", settings=settings)
        if strategy:
            self.sidecar.migrate("m", strategy, "cache", "new")

    def client(self):
        return self.enterContext(RawConn(self.port))

    def split(self):
        """A key on each side of a cutover in the middle."""
        client = self.client()
        client.send(b"".join(encode("SET", f"k{n}", "v") for n in range(50)))
        client.replies(50)
        return (next(f"k{n}" for n in range(50) if self.old.call("EXISTS", f"k{n}")),
                next(f"k{n}" for n in range(50) if self.new.call("EXISTS", f"k{n}")))

    def dropped(self, **labels):
        return self.sidecar.metric("crossfade_second_writes_dropped_total", **labels)


class Tables(Pair):
    """A table that changes, and sessions in the midst of something."""

    def test_values_that_arrive_in_pieces_follow_the_newest_table(self):
        self.sidecar.migrate("m", blue_green(False), "cache", "new")
        client = self.client()
        self.assertEqual(client.call("SET", "k0", BIG), "OK")
        for number, server in enumerate((self.new, self.old, self.new), 1):
            self.sidecar.patch("m", blue_green(server is self.new))
            self.assertEqual(client.call("SET", f"k{number}", BIG), "OK")
            self.assertEqual(server.call("STRLEN", f"k{number}"), MIB, number)
        self.assertEqual(self.old.call("DBSIZE"), 2)

    def test_tracking_on_its_way_when_its_side_leaves(self):
        self.sidecar.migrate("m", blue_green(True), "cache", "new")
        client = self.client()
        client.call("HELLO", 3)
        self.new.sigstop()
        came = self.sidecar.metric("crossfade_bytes_total", direction="server_out")
        client.command("CLIENT", "TRACKING", "ON")
        wait_until(lambda: self.sidecar.metric("crossfade_bytes_total", direction="server_out") > came,
                   5, "on its way")
        self.sidecar.must("POST", "/migrations/m/rollback")
        client.command("GET", "y")
        self.new.sigcont()
        client.read_eof(5)
        self.assertEqual(self.client().call("SET", "k", "v"), "OK")
        self.assertEqual(self.old.call("GET", "k"), b"v")

    def test_an_endpoint_that_moves_ends_who_is_tied_to_it(self):
        tied = [self.client() for _ in range(3)]
        for client, commands in zip(tied, (
                (("SUBSCRIBE", "c"),), (("HELLO", 3), ("CLIENT", "TRACKING", "ON")), (("MONITOR",),))):
            for command in commands:
                client.call(*command)
        free = self.client()
        self.assertEqual(free.call("SELECT", 3), "OK")
        self.sidecar.must("PATCH", "/endpoints/old", {"config": {"port": self.new.port}})
        for client in tied:
            client.read_eof(5)
        self.assertEqual(free.call("SET", "k", "v"), "OK")
        self.assertEqual(self.new.info("keyspace").keys(), {"db3"})

    def test_who_waits_at_the_former_home_is_sent_away(self):
        """For an element that will be put into the other server, it would wait for ever."""
        self.sidecar.migrate("m", blue_green(False), "cache", "new")
        client = self.client()
        client.command("BLPOP", "queue", 0)
        wait_until(lambda: int(self.old.info("clients")["blocked_clients"]) == 1, 5, "blocked")
        self.sidecar.patch("m", blue_green(True))
        client.read_eof(15)  # after its time to be served by what was still on its way
        self.assertEqual(self.old.call("RPUSH", "queue", "x"), 1)
        wait_until(lambda: int(self.old.info("clients")["blocked_clients"]) == 0, 5, "nobody waits")
        self.assertEqual(self.old.call("LLEN", "queue"), 1)

    def test_who_waits_for_keys_that_have_moved_is_sent_away(self):
        self.sidecar.migrate("m", cutover(0.0, 0.0), "cache", "new")
        waiting = [self.client() for _ in range(12)]
        for number, client in enumerate(waiting):
            client.command("BLPOP", f"queue{number}", 0)
        wait_until(lambda: int(self.old.info("clients")["blocked_clients"]) == 12, 5, "blocked")
        self.sidecar.patch("m", cutover(0.5, 0.5))
        pusher = self.client()
        for number in range(12):
            pusher.call("RPUSH", f"queue{number}", "x")
        served = 0
        for number, client in enumerate(waiting):
            if self.new.call("EXISTS", f"queue{number}"):
                client.read_eof(15)
            else:
                self.assertEqual(client.read(), [f"queue{number}".encode(), b"x"])
                served += 1
        self.assertIn(served, range(1, 12))

    def test_who_waits_where_its_keys_are_stays(self):
        self.sidecar.migrate("m", cutover(0.5, 0.5), "cache", "new")
        waiting = [self.client() for _ in range(20)]
        for number, client in enumerate(waiting):
            client.command("BLPOP", f"queue{number}", 0)
        wait_until(lambda: sum(int(server.info("clients")["blocked_clients"])
                               for server in (self.old, self.new)) == 20, 5, "blocked")
        self.sidecar.patch("m", cutover(0.6, 0.6))
        self.assertEqual(self.sidecar.metric("crossfade_sessions_ended_total"), 0)
        self.assertGreater(int(self.new.info("clients")["blocked_clients"]), 0)
        for client in waiting:
            self.assertIsNone(client.eof)

    def test_what_was_learned_of_a_server_goes_with_it(self):
        self.sidecar.migrate("m", {"type": "shadow_traffic"}, "cache", "new")
        self.new.kill()
        client = self.client()

        def down():
            client.call("SET", "k", "v")
            return self.sidecar.metric("crossfade_side_down", side="new") == 1
        wait_until(down, 5, "new is seen to be down")
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertEqual(self.sidecar.metric("crossfade_side_down", side="new"), 0)


class Repeated(Relayed):
    """Reads of a canary that new does not answer are asked of old again, as of when they were sent."""

    def start_silent(self):
        self.start(canary(1.0), second_leg_timeout_ms=300)
        client = self.client()
        self.assertEqual(client.call("SET", "a", "first"), "OK")
        self.assertEqual(client.call("GET", "a"), b"first")
        self.new_relay.become("silent")
        return client

    def test_before_a_change_of_state(self):
        for state, answers in ((("SELECT", 2), [b"+OK\r\n"]), (("MULTI",), [b"+OK\r\n"]),
                               (("SUBSCRIBE", "c"), [b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"]),
                               (("CLIENT", "REPLY", "OFF"), []), (("RESET",), [b"+RESET\r\n"])):
            with self.subTest(state=state):
                client = self.start_silent()
                client.send(encode("GET", "a") + encode(*state))
                self.assertEqual(client.replies(1 + len(answers), 5), [b"$5\r\nfirst\r\n", *answers])
                self.doCleanups()

    def test_before_a_write_of_theirs(self):
        for write in (("SET", "a", "second"), ("DEL", "a"), ("MSET", "b", 1, "a", 2), ("FLUSHALL",)):
            with self.subTest(write=write):
                client = self.start_silent()
                client.send(encode("GET", "a") + encode(*write))
                self.assertEqual(client.replies(2, 5)[0], b"$5\r\nfirst\r\n")
                self.doCleanups()

    def test_a_side_that_loads_its_data_is_not_asked_the_client(self):
        self.start(canary(1.0))
        self.old.call("SET", "a", "first")
        speech = f"{temp_folder('speech')}/speech"
        for said in (b"-LOADING Redis is loading the dataset in memory\r\n",
                     b"-ERR max number of clients reached\r\n"):
            with open(speech, "wb") as file:
                file.write(said)
            self.new_relay.become(f"say {speech}")
            self.assertEqual(self.client().call("GET", "a"), b"first")


class Streams(Relayed):
    """What a client is given stays in step, whatever becomes of the sides."""

    def test_the_reply_that_is_lost_keeps_its_place(self):
        for before in (("CLIENT", "KILL", "TYPE", "replica"), ("SHUTDOWN", "ABORT"), ("PING",)):
            with self.subTest(before=before):
                self.start(cutover(0.5, 0.5), answer_timeout_ms=300)
                here, there = self.split()
                client = self.client()
                client.call(*before)
                self.new_relay.become("silent")
                client.send(encode("GET", there) + encode("GET", here))
                lost, found = client.replies(2, 5)
                self.assertTrue(lost.startswith(b"-ERR crossfade: new"), lost)
                self.assertEqual(found, b"$1\r\nv\r\n")
                self.doCleanups()

    def test_half_a_reply_is_never_patched(self):
        self.start(cutover(0.5, 0.5))
        here, there = self.split()
        self.client().call("SET", there, BIG)
        self.old_relay.become("delay 300")
        self.new_relay.become("half")
        client = self.client()
        client.send(encode("GET", here) + encode("GET", there))
        client.read_eof(5)
        self.assertNotIn(b"ERR", bytes(client.received))

    def test_a_malformed_end_of_a_big_value_for_new(self):
        self.start(cutover(0.5, 0.5))
        _, there = self.split()
        client = self.client()
        client.send(b"*4\r\n$3\r\nSET\r\n$2\r\n%s\r\n$100000\r\n%s\r\n!bad\r\n" %
                    (there.encode().ljust(2), b"x" * 100_000))
        client.read_eof(5)
        self.assertTrue(bytes(client.received).startswith(b"-ERR"))

    def test_keyed_cursors_leave_that_of_the_keyspace_alone(self):
        self.start(cutover(0.5, 0.5), old={"hash-max-listpack-entries": 1}, new={
            "hash-max-listpack-entries": 1})
        here, there = self.split()
        client = self.client()
        for key in (here, there):
            client.call("DEL", key)
            client.call("HSET", key, *range(200))
        for key in range(2000):
            self.old.call("SET", f"more{key}", 1)
        cursor, found, rounds = b"0", set(), 0
        while rounds == 0 or cursor != b"0":
            rounds += 1
            cursor, keys = client.call("SCAN", cursor)
            found.update(keys)
            for key in (here, there):
                hash_cursor, fields = client.call("HSCAN", key, 0)
                while hash_cursor != b"0":
                    hash_cursor, more = client.call("HSCAN", key, hash_cursor)
                    fields += more
                self.assertEqual(len(fields) // 2, 100, key)
        self.assertGreaterEqual(len(found), 2000)

    def test_nothing_comes_to_stand_inside_of_a_message(self):
        self.start(cutover(0.5, 0.5))
        here, there = self.split()
        client = self.client()
        client.call("HELLO", 3)
        client.call("SUBSCRIBE", "c")
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        before = reset_peak(self.sidecar)
        self.assertEqual(self.old.call("PUBLISH", "c", BIG * 15), 1)
        wait_until(lambda: self.sidecar.metric("crossfade_limit_hits_total") > 0, 5, "the client is slow")
        client.send(encode("GET", there) + encode("GET", here) + encode("PING"))
        wait_until(lambda: self.sidecar.metric("crossfade_refused_split_total") == 1, 5, "refused")
        message, refused, found, pong = client.replies(4, 10 * SLOWNESS)
        self.assertTrue(message.startswith(b">3\r\n") and len(message) > 15 * MIB)
        self.assertTrue(refused.startswith(b"-ERR crossfade"), refused[:100])
        self.assertEqual((found, pong), (b"$1\r\nv\r\n", b"+PONG\r\n"))
        grew_less(self, self.sidecar, before, 10 * MIB)

    def test_a_client_that_leaves_in_the_midst_of_a_value(self):
        self.start(cutover(0.5, 0.5))
        _, there = self.split()
        for leave in (RawConn.close, RawConn.abort, RawConn.shutdown_write):
            client = self.client()
            client.send(encode("SET", there, BIG)[:300_000])
            wait_until(lambda: self.sidecar.metric("crossfade_sessions_open") == 2, 5, "here")
            leave(client)
            wait_until(lambda: self.sidecar.metric("crossfade_sessions_open") == 1, 5, "ended")
        self.assertEqual(self.new.call("GET", there), b"v")

    def test_bytes_behind_a_refused_request_are_not_requests(self):
        self.start(request_head_max=MIB)
        client = self.client()
        client.send(encode("DEBUG", "SLEEP", "0.5") + b"*2\r\n$9\r\nSUBSCRIBE\r\n$600000000\r\n")
        before = reset_peak(self.sidecar)
        for _ in range(50):
            client.send(b"PING\r\n" * (MIB // 6))
        client.read_eof(5)
        self.assertNotIn(b"PONG", bytes(client.received))
        grew_less(self, self.sidecar, before, 20 * MIB)


class BestEffort(Relayed):
    def start_with_list_on_new(self, reply_size):
        self.start(canary(0.0, "best_effort"), second_leg_timeout_ms=5000)
        self.old.call("SET", "l", "no list")
        self.new.call("RPUSH", "l", b"y" * reply_size)

    def test_a_long_second_reply_is_given_whole_or_not_at_all(self):
        for size in (1000, 300_000):
            with self.subTest(size=size):
                self.start_with_list_on_new(size)
                self.new_relay.become("delay 50")
                client = self.client()
                client.send(encode("LPOP", "l") + encode("PING"))
                reply = client.read(5)
                if not isinstance(reply, ReplyError):
                    self.assertEqual(reply, b"y" * size)
                else:
                    self.assertGreater(size, 64 * 1024)
                self.assertEqual(client.read(5), "PONG")
                self.doCleanups()

    def test_what_waits_for_the_second_leg_does_not_stop_it(self):
        self.start_with_list_on_new(10)
        self.old.call("SET", "big", BIG)
        self.new_relay.become("delay 100")
        client = self.client()
        before = reset_peak(self.sidecar)
        client.send(encode("LPOP", "l") + encode("GET", "big") * 100)
        self.assertEqual(client.read_raw(5), b"$10\r\n" + b"y" * 10 + b"\r\n")
        for _ in range(100):
            self.assertEqual(len(client.read_raw(10 * SLOWNESS)), MIB + 12)
        grew_less(self, self.sidecar, before, 60 * MIB)

    def test_a_transaction_on_the_side_that_is_left(self):
        self.start(canary(0.0, "best_effort"))
        self.assertEqual(self.client().call("SET", "before", "v"), "OK")
        self.old_relay.refuse()
        self.old.kill()
        client = self.client()
        wait_until(lambda: client.call("SET", "k", "v") == "OK", 5, "new alone takes it")
        self.assertEqual(client.call("MULTI"), "OK")
        self.assertEqual(client.call("SET", "a", 1), "QUEUED")
        self.assertEqual(client.call("EXEC"), ["OK"])
        self.assertEqual(client.call("WATCH", "a"), "OK")
        self.assertEqual(client.call("GET", "a"), b"1")
        self.assertEqual(client.call("UNWATCH"), "OK")
        self.assertEqual(client.call("SET", "b", 1), "OK")
        self.assertEqual(self.new.call("MGET", "a", "b"), [b"1", b"1"])


class NewOnly(Relayed):
    """What a rollback would lose is counted, whatever kept it from old."""

    def rolled_back(self):
        answer = self.sidecar.must("POST", "/migrations/m/rollback")
        return answer["new_only_writes"], answer["new_only_writes_exact"]

    def write(self, count=50):
        self.writer.send(b"".join(encode("SET", f"more{n}", "v") for n in range(count)))
        self.assertEqual(set(self.writer.replies(count, 10)), {b"+OK\r\n"})

    def start_with_new_as_authority(self):
        self.start(canary(0.0, "new_authoritative"), second_leg_timeout_ms=300)
        self.writer = self.client()
        self.assertEqual(self.writer.call("SET", "k", "v"), "OK")
        wait_until(lambda: self.old.call("EXISTS", "k") == 1, 5, "on both sides")

    def test_while_old_is_gone(self):
        self.start_with_new_as_authority()
        self.writer.call("CONFIG", "GET", "port")  # its home is old: it will be gone with it
        other = self.client()
        self.assertEqual(other.call("SET", "k", "v"), "OK")
        self.old_relay.refuse()
        self.old.kill()
        self.writer = self.client()
        self.write()
        self.assertEqual(self.rolled_back()[0], 50)

    def test_while_old_is_silent(self):
        self.start_with_new_as_authority()
        self.old_relay.become("silent")
        self.write()
        wait_until(lambda: self.dropped() == 50, 5, "given up")
        self.assertEqual(self.rolled_back(), (50, False))  # it may have done them all the same

    def test_what_old_refuses(self):
        self.start_with_new_as_authority()
        self.old.call("SET", "l", "no list")
        self.assertEqual(self.client().call("RPUSH", "l", "x"), 1)
        wait_until(lambda: self.sidecar.metric("crossfade_second_writes_errors_total") == 1, 5, "refused")
        self.assertEqual(self.rolled_back(), (1, True))

    def test_in_silence(self):
        self.start(cutover(1.0, 1.0))
        client = self.client()
        client.send(encode("CLIENT", "REPLY", "OFF") + encode("SET", "k", "v") + encode("INCR", "n"))
        wait_until(lambda: self.new.call("DBSIZE") == 2, 5, "replies are off")
        self.assertEqual(self.rolled_back(), (2, True))


class Waiting(Relayed):
    """Time: who waits for whom, and who is blamed."""

    def test_a_transaction_with_a_hole_is_not_run(self):
        self.start(answer_timeout_ms=300)
        client, other = self.client(), self.client()
        self.assertEqual(client.call("MULTI"), "OK")
        self.old_relay.become("silent")
        self.assertIsInstance(other.call("GET", "k"), ReplyError)
        for _ in range(2):
            self.assertIsInstance(client.call("SET", "a", 1), ReplyError)
            self.assertEqual(client.read_idle(0.12), [])  # the next probe is due
        self.old_relay.become("healthy")
        wait_until(lambda: self.client().call("PING") == "PONG", 5, "served again")
        self.assertEqual(client.call("SET", "b", 1), "QUEUED")
        self.assertTrue(str(client.call("EXEC")).startswith("EXECABORT"))
        self.assertEqual(self.old.call("EXISTS", "a", "b"), 0)

    def test_a_state_that_new_has_not_taken_yet_is_not_waited_for(self):
        self.start({"type": "shadow_traffic"}, second_leg_timeout_ms=3000)
        client = self.client()
        self.assertEqual(client.call("SET", "k", "v"), "OK")
        self.new_relay.become("silent")
        client.send(encode("SELECT", 1) + encode("GET", "k"))
        client.replies(2, 5)
        began = time.monotonic()
        client.send(encode("SELECT", 2) + encode("GET", "k") + encode("RESET") + encode("GET", "k"))
        self.assertEqual(client.replies(4, 5)[-1], b"$1\r\nv\r\n")
        self.assertLess(time.monotonic() - began, 1)

    def test_a_rollback_does_not_wait_for_a_side_that_is_silent(self):
        self.start({"type": "shadow_traffic"}, second_leg_timeout_ms=3000)
        client = self.client()
        self.assertEqual(client.call("SET", "k", "v"), "OK")
        self.new_relay.become("silent")
        self.assertEqual(client.call("SET", "k", "w"), "OK")
        self.sidecar.must("POST", "/migrations/m/rollback")
        began = time.monotonic()
        self.assertEqual(client.call("GET", "k"), b"w")
        self.assertLess(time.monotonic() - began, 1)
        eligible, copied, dropped = (self.sidecar.metric(f"crossfade_shadow_{name}_total")
                                     for name in ("eligible", "copied", "dropped"))
        self.assertEqual(eligible, copied + dropped)

    def test_a_new_side_that_does_not_even_connect(self):
        old = self.enterContext(RedisServer())
        nobody = self.enterContext(BackloggedPort())
        sidecar = self.enterContext(Sidecar())
        sidecar.add_endpoint("old", old)
        sidecar.add_endpoint("new", nobody.port, check=False)
        port = sidecar.add_interlay("cache", "old", settings={"second_leg_timeout_ms": 200,
                                                              "connect_timeout_ms": 20_000})
        sidecar.create_migration("m", canary(0.0), "cache", "new")
        sidecar.must("POST", "/migrations/m/migrate?force=true")
        with RawConn(port, limit_s=5) as client:
            for n in range(3000):  # more than are waited for
                self.assertEqual(client.call("SET", "k", n), "OK")

    def test_a_slow_upload_is_nobody_s_fault_but_the_client_s(self):
        for strategy in (None, {"type": "shadow_traffic"}, canary(0.0)):
            with self.subTest(strategy=strategy):
                self.start(strategy, second_leg_timeout_ms=300, answer_timeout_ms=300)
                client = self.client()
                request = encode("SET", "k", BIG)
                client.send(request[:500_000])
                self.assertEqual(client.read_idle(0.8), [])  # the client's own slowness
                client.send(request[500_000:])
                self.assertEqual(client.read(5), "OK")
                self.assertEqual(self.sidecar.metric("crossfade_side_down"), 0)
                if strategy:
                    wait_until(lambda: self.new.call("STRLEN", "k") == MIB, 5, "new has it")
                self.doCleanups()

    def test_a_silent_client_waits_for_new_where_new_is_home(self):
        self.start(blue_green(True))
        with socket.create_connection(("127.0.0.1", self.port)) as client:
            client.sendall(encode("CLIENT", "REPLY", "OFF") + encode("SET", "k", "v"))
            wait_until(lambda: self.new.call("EXISTS", "k") == 1, 5, "replies are off")
            self.new_relay.become("deaf")
            before = reset_peak(self.sidecar)
            client.settimeout(1)
            with self.assertRaises(TimeoutError):
                for _ in range(100):
                    client.sendall(encode("SET", "k", BIG))
            grew_less(self, self.sidecar, before, 20 * MIB)

    def test_a_client_that_is_killed_or_deleted_at_home(self):
        self.start(canary(1.0))
        for server in (self.old, self.new):
            server.call("ACL", "SETUSER", "u", "on", ">pw", "~*", "+@all")
        for ending in (("CLIENT", "KILL", "USER", "u"), ("ACL", "DELUSER", "u")):
            client = self.client()
            self.assertEqual(client.call("AUTH", "u", "pw"), "OK")
            self.assertEqual(client.call("SET", "k", "v"), "OK")
            self.assertEqual(client.call("GET", "k"), b"v")
            self.old.call(*ending)
            client.read_eof(5)

    def test_a_server_that_closes_idle_connections(self):
        # The sidecar hears of the end when the server has told it, and not later.
        self.start(canary(1.0), old={"timeout": 1}, direct=True)
        client = self.client()
        self.assertEqual(client.call("SET", "k", "v"), "OK")
        home = client.call("CLIENT", "ID")

        def ended():
            self.assertEqual(client.call("GET", "k"), b"v")
            return b"id=%d " % home not in self.old.call("CLIENT", "LIST")
        wait_until(ended, 10, "old has closed the connection that it did not hear of")
        self.assertEqual(client.call("SET", "k", "w"), "OK")
        self.assertEqual(self.old.call("GET", "k"), b"w")


class State(Relayed):
    """Logins, databases, RESET: no side is behind, and none ahead."""

    def test_two_changes_that_new_has_not_confirmed(self):
        self.start(canary(0.0), new={"databases": 2})
        client = self.client()
        self.assertEqual(client.call("SET", "k", "v"), "OK")
        self.new_relay.become("delay 100")
        client.send(encode("SELECT", 1) + encode("SET", "a", 1))
        client.replies(2, 5)
        client.send(encode("SELECT", 5) + encode("SET", "b", 1))
        client.replies(2, 5)
        wait_until(lambda: self.dropped(reason="state_refused") > 0, 5, "new has refused it")
        self.assertEqual(self.new.info("keyspace")["db1"].split(",")[0], "keys=1")

    def test_reset_logs_out_on_both_sides(self):
        self.start(canary(0.0))
        for server in (self.old, self.new):
            server.call("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@read", "+@connection")
        client = self.client()
        self.assertEqual(client.call("AUTH", "reader", "pw"), "OK")
        self.assertIsNone(client.call("GET", "k"))
        self.assertIsInstance(client.call("SET", "k", "v"), ReplyError)
        self.assertEqual(client.call("RESET"), "RESET")
        self.assertEqual(client.call("SET", "k", "v"), "OK")
        wait_until(lambda: self.new.call("GET", "k") == b"v", 5, "written by the default user")

    def test_what_stands_behind_reset(self):
        self.start(blue_green(False))
        subscriber = self.client()
        subscriber.send(encode("RESET") + encode("SUBSCRIBE", "c"))
        subscriber.replies(2)
        tracked = self.client()
        tracked.send(encode("RESET") + encode("HELLO", 3) + encode("CLIENT", "TRACKING", "ON"))
        tracked.replies(3)
        transaction = self.client()
        transaction.send(encode("RESET") + encode("WATCH", "k") + encode("MULTI"))
        transaction.replies(3)
        self.sidecar.patch("m", blue_green(True))
        tracked.read_eof(5)
        self.assertIsInstance(subscriber.call("GET", "k"), ReplyError)
        self.assertEqual(transaction.call("SET", "k", "v"), "QUEUED")
        self.assertIsNone(transaction.call("EXEC"))  # what it WATCHes has moved: that is not forgotten
        self.assertEqual((self.old.call("GET", "k"), self.new.call("GET", "k")), (None, None))

    def test_who_is_turned_away_at_the_door_enters_nowhere(self):
        """Old is full: nobody has asked for this client's password yet."""
        old = self.enterContext(RedisServer(requirepass="oldpw"))
        new = self.enterContext(RedisServer(requirepass="newpw"))
        new.call("SET", "secret", "keep")
        sidecar = self.enterContext(Sidecar())
        sidecar.add_endpoint("old", old, password="oldpw")
        sidecar.add_endpoint("new", new, password="newpw")
        port = sidecar.add_interlay("cache", "old")
        sidecar.migrate("m", canary(1.0), "cache", "new")
        holders = [self.enterContext(RawConn(old.port)) for _ in range(3)]
        self.assertEqual(holders[0].call("AUTH", "oldpw"), "OK")
        self.assertEqual(holders[0].call("CONFIG", "SET", "maxclients", 1), "OK")
        for command in (("GET", "secret"), ("SET", "secret", "evil"), ("GETDEL", "secret")):
            with RawConn(port) as stranger:
                stranger.command(*command)
                stranger.read_eof(5)
                self.assertNotIn(b"keep", bytes(stranger.received))
        self.assertEqual(new.call("GET", "secret"), b"keep")

    def test_who_is_turned_away_sees_the_end(self):
        self.start()
        holders = [self.enterContext(RawConn(self.old.port)) for _ in range(3)]
        self.assertEqual(holders[0].call("CONFIG", "SET", "maxclients", 1), "OK")
        client = self.client()
        client.read_eof(5)
        self.assertEqual(bytes(client.received), b"-ERR max number of clients reached\r\n")

    def test_quit_of_who_reaches_no_server(self):
        self.start()
        self.old_relay.refuse()
        self.old_relay.become("close")
        client = self.client()
        client.command("QUIT")
        client.read_eof(5)

    def test_a_multi_that_old_alone_refuses(self):
        self.start(canary(0.0))
        for server, rights in ((self.old, ("+@all", "-multi")), (self.new, ("+@all",))):
            server.call("ACL", "SETUSER", "u", "on", ">pw", "~*", *rights)
        client = self.client()
        self.assertEqual(client.call("AUTH", "u", "pw"), "OK")
        self.assertIsInstance(client.call("MULTI"), ReplyError)
        self.assertEqual(client.call("SET", "k", "v"), "OK")
        wait_until(lambda: self.new.call("GET", "k") == b"v", 5, "run on new, not queued")


if __name__ == "__main__":
    unittest.main()
