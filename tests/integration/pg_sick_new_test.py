"""A sick new side under a canary whose reads all go there: clients see old's answers, and soon. And a sick
new side that is the one that answers: they are told within a limit, and served again by themselves.
"""

import contextlib
import socket
import threading
import time
import unittest

from harness import SLOWNESS, wait_until
from memory import sanitized
from pg_conn import PgConn, ServerError
from pg_messages import SYNC, bind, execute, fields_of, kind_of, parse, query, row_of
from pg_pair import PgPair, endpoint, reads

TIME_LIMIT_S = 320

LEG_MS = int(500 * SLOWNESS)
SLEEP = "select pg_sleep(100)"
SLEEPS = (query(SLEEP), parse("", SLEEP) + bind("", "") + execute("") + SYNC)
SLEEPERS = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"


class Front:
    """Stands before a server and does to what passes what its mode says, from the next bytes on.

    mode   healthy, silent (nothing passes), slow (each read waits), garbled (answers), cut (in the midst of
           an answer), closing (whoever comes, after the server's first bytes)
    """

    def __init__(self, port):
        self.mode = "healthy"
        self._behind = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open = []
        self.met = 0  # connections
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()

    def drop(self):
        """Ends all connections."""
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                self.met += 1
                try:
                    server = socket.create_connection(("127.0.0.1", self._behind))
                except OSError:
                    client.close()
                    continue
                self._open += [client, server]
                for way in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pass, args=way, daemon=True).start()

    def _pass(self, source, sink, answers):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                while self.mode == "silent":
                    self._pause(0.01)
                if self.mode == "slow" and answers:
                    self._pause(4 * LEG_MS / 1000)
                if self.mode == "garbled" and answers:
                    data = b"\0" * len(data)
                if self.mode in ("cut", "closing") and answers:
                    sink.sendall(data[:3] if self.mode == "cut" else data[:1])
                    break
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _pause(seconds):
        threading.Event().wait(seconds)


class Sick(PgPair):
    settings = {"second_leg_timeout_ms": LEG_MS, "connect_timeout_ms": LEG_MS}
    tables = ("create table t (id int primary key, n int)",
              "insert into t select i, i from generate_series(1, 100) i")

    def setUp(self):
        super().setUp()
        self.front = Front(self.new.port)
        self.addCleanup(self.front.stop)
        self.sidecar.must("POST", "/endpoints", {"id": "fronted", "kind": "postgres",
                                                 "config": {**endpoint(self.new), "port": self.front.port}})

    def old_answers(self, client):
        """As long as one time-out lasts, or two: that of the connection and that of the answer."""
        began = time.monotonic()
        self.assertEqual(self.side_of(client), "old")
        self.assertLess(time.monotonic() - began, 2.5 * LEG_MS / 1000 + SLOWNESS)
        client.send(parse("", "select side from here") + bind("", "") + execute("") + SYNC)
        self.assertEqual([row_of(one) for one in client.until("Z") if kind_of(one) == "D"], [[b"old"]])
        client.ask("update t set n = n + 1 where id = 1")


class Canary(Sick):
    def setUp(self):
        super().setUp()
        self.migrate(reads(1.0), "fronted")
        self.clients = [self.connect() for _ in range(4)]
        for client in self.clients:
            self.comes_to(client, "new")

    def check(self, mode):
        """Sessions that are on new, and such as come; and all of them go back when it is well."""
        self.front.mode = mode
        for client in [*self.clients, self.connect()]:
            for _ in range(3):
                self.old_answers(client)
        self.assertEqual(self.new.value("select n from t where id = 1"), "1")
        self.front.mode = "healthy"
        self.front.drop()
        for client in self.clients:
            self.comes_to(client, "new")

    def test_silent(self):
        self.check("silent")

    def test_slow(self):
        self.check("slow")

    def test_garbled(self):
        self.check("garbled")

    def test_cut_in_the_midst_of_an_answer(self):
        self.check("cut")

    def test_closing_in_the_midst_of_a_login(self):
        self.front.drop()
        self.check("closing")

    def test_refusing(self):
        self.front.stop()
        for client in [*self.clients, self.connect()]:
            for _ in range(3):
                self.old_answers(client)

    def test_full(self):
        self.front.drop()
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(ServerError):
                while True:
                    stack.enter_context(PgConn(self.new.port, "app"))
            for client in [*self.clients, self.connect()]:
                self.old_answers(client)
        for client in self.clients:
            self.comes_to(client, "new")

    def cancelled(self, client, data, after):
        """`after()`: called between the request and the cancel."""
        began = time.monotonic()
        client.send(data)
        after()
        self.is_cancelled(client)
        self.assertLess(time.monotonic() - began, 3 * LEG_MS / 1000 + SLOWNESS)
        self.assertEqual(self.side_of(client), "old")

    def is_cancelled(self, client):
        client.cancel()
        found = client.until("Z")
        self.assertEqual([fields_of(one)["C"] for one in found if kind_of(one) == "E"], ["57014"])
        self.assertEqual([one for one in found if kind_of(one) == "D"], [])

    def test_what_it_is_asked_in_silence_is_cancelled(self):
        """While new is asked, and when old is asked instead."""
        self.front.mode = "silent"
        for data, client in zip(SLEEPS, self.clients):
            self.cancelled(client, data, after=lambda: None)
        for data, client in zip(SLEEPS, self.clients[2:]):
            self.cancelled(client, data, after=lambda: wait_until(
                lambda: self.old.value(SLEEPERS) == "1", 10, "old is asked"))
            wait_until(lambda: self.old.value(SLEEPERS) == "0", 10, "nothing is left on old")

    def test_what_waits_to_be_let_in_there_is_cancelled(self):
        self.front.mode = "silent"
        clients, before = [self.connect(), self.connect()], self.front.met
        for data, client in zip(SLEEPS, clients):
            client.send(data)
        wait_until(lambda: self.front.met == before + 2, 10, "new is being entered")
        for client in clients:
            self.is_cancelled(client)
        self.assertEqual(self.old.value(SLEEPERS), "0")
        for client in clients:
            self.old_answers(client)

    def test_a_cancel_does_not_hit_what_comes_next_on_new(self):
        """New is well again while it is on its way."""
        for _ in range(4):
            for client in self.clients:
                self.comes_to(client, "new")
            self.front.mode = "silent"
            for client in self.clients:
                client.send(query("select pg_sleep(0.01), 'answered'"))
            for client in self.clients:
                self.assertEqual(len([one for one in client.until("Z") if kind_of(one) == "D"]), 1)
            self.front.mode = "healthy"
            for client in self.clients:
                for _ in range(20):
                    self.assertIn(self.side_of(client), ("old", "new"))

    def test_memory_of_answers_that_nobody_waits_for_has_an_end(self):
        """New stalls and then sends all that was asked of it."""
        before = self.sidecar.rss()
        for _ in range(5):
            self.front.mode = "silent"
            for client in self.clients:
                [[length]] = client.rows("select length(string_agg(repeat('x', 1000000), '')) from t")
                self.assertEqual(length, "100000000")
                self.assertEqual(client.rows("select count(*), max(side) from here, t"), [["100", "old"]])
            self.front.mode = "healthy"
        if not sanitized():
            self.assertLess(self.sidecar.rss() - before, 100 << 20)


class Taking(Sick):
    """A canary becomes the move of all there is while new is silent."""

    settings = {**Sick.settings, "answer_timeout_ms": LEG_MS}

    def setUp(self):
        super().setUp()
        self.migrate(reads(1.0), "fronted")
        self.client = self.connect()
        self.comes_to(self.client, "new")

    def moves(self):
        self.patch({"type": "canary", "read_percentage": 1.0,
                    "write_mode": {"mode": "cutover", "write_percentage": 1.0}})

    def told(self, limit):
        began = time.monotonic()
        with self.assertRaises(ServerError) as caught:
            self.client.rows("update t set n = 0 where id = 1 returning n")
        self.assertEqual(caught.exception.code, "08006")
        self.assertLess(time.monotonic() - began, 3 * LEG_MS / 1000 + SLOWNESS)
        self.assertGreater(self.metric("limit_hits_total", limit=limit), 0)

    def test_a_session_whose_trial_stalls_there_is_told_within_a_limit(self):
        self.front.mode = "silent"
        self.assertEqual(self.side_of(self.client), "old")
        self.moves()
        self.told("connect_timeout_ms")

    def test_a_session_whose_trial_stalled_there_goes_over_when_it_is_well(self):
        self.front.mode = "silent"
        self.client.ask("select pg_sleep(0.1)")
        self.front.mode = "healthy"
        self.moves()
        self.assertEqual(self.client.rows("update t set n = -1 where id = 1 returning n"), [["-1"]])
        self.assertEqual(self.new.value("select n from t where id = 1"), "-1")

    def test_a_session_that_has_to_be_given_there_is_told_within_a_limit(self):
        self.client.ask("set work_mem = '9MB'")
        self.front.mode = "silent"
        self.moves()
        self.told("answer_timeout_ms")


class Authority(Sick):
    def setUp(self):
        super().setUp()
        self.migrate({"type": "big_bang"}, "fronted")
        self.client = self.connect()
        self.assertEqual(self.side_of(self.client), "new")

    def recovers(self):
        def served():
            with contextlib.suppress(OSError, EOFError, ServerError):
                with PgConn(self.port, "app", limit_s=5 * SLOWNESS) as client:
                    return client.value("select side from here") == "new"
        wait_until(served, 20, "somebody is served again")

    def ends(self, client, codes):
        with self.assertRaises((ServerError, EOFError, ConnectionError)) as caught:
            client.rows("select side from here")
            client.rows("select side from here")
        if isinstance(caught.exception, ServerError):
            self.assertIn(caught.exception.code, codes)

    def test_dead_and_started_again(self):
        self.new.kill()
        self.front.drop()
        self.ends(self.client, ("08006", "57P01"))
        with self.assertRaises((ServerError, EOFError)):
            self.connect()
        self.new.restart()
        self.recovers()

    def test_restarted(self):
        self.new.restart()
        self.ends(self.client, ("57P01", "08006"))
        self.recovers()

    def test_a_session_that_is_to_go_over_to_a_silent_side_is_told(self):
        self.sidecar.must("POST", "/migrations/m/rollback")
        client = self.connect()
        self.assertEqual(self.side_of(client), "old")
        self.front.mode = "silent"
        self.sidecar.must("POST", "/migrations/m/migrate?force=true")
        began = time.monotonic()
        self.ends(client, ("08006", "57P01"))
        self.assertLess(time.monotonic() - began, 20 * SLOWNESS)
        self.front.mode = "healthy"
        self.front.drop()
        self.recovers()


if __name__ == "__main__":
    unittest.main()
