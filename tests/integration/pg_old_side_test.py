"""The only server is not there, does not answer, goes away, or is started again: every client is told so by
the server itself or with 08006, nobody hangs, and all recovers by itself.
"""

import contextlib
import os
import signal
import socket
import threading
import unittest

from children import SLOWNESS, wait_until
from fake_server import BackloggedPort, FakeServer
from harness import free_port
from pg_messages import (SSL_REQUEST, SYNC, TERMINATE, bind, cancel, copy_data, execute, fields_of, kind_of,
                         message, parse, query, startup, untyped)
from pg_served import PgConn, Served, ServerError



class NotThere(Served):
    def test_a_client_is_told_at_once_and_it_recovers(self):
        self.start()
        self.served()
        self.old.kill()
        for _ in range(10):
            self.assertIn("old endpoint 'old' is unreachable", self.refused("08006"))
        self.assertGreater(self.metric("failures_total", side="old"), 0)
        self.assertEqual(self.metric("side_down", side="old"), 1)
        self.old.restart()
        self.recovers()
        self.assertEqual(self.metric("side_down", side="old"), 0)
        self.all_gone()

    def test_it_was_never_there(self):
        self.serve(free_port())
        self.refused("08006")
        self.all_gone()

    def test_connections_are_not_taken(self):
        with BackloggedPort() as deaf:
            self.serve(deaf.port, connect_timeout_ms=300)
            self.assertIn("unreachable", self.refused("08006"))
            self.assertGreater(self.limit_hits("connect_timeout_ms"), 0)
            self.all_gone()

    def test_a_cancel_request_is_just_closed(self):
        self.start()
        client = self.client()
        self.old.kill()
        for key in (client.key, b"none"):
            with PgConn(self.port) as other:
                other.send(cancel(client.pid, key))
                self.assertEqual(other.read_eof(), [])
                self.assertEqual(other.rest, b"")
        self.all_gone()


class Silent(Served):
    """It accepts, and never answers."""

    def test_a_login_is_given_up(self):
        with FakeServer(mode="silent") as fake:
            self.serve(fake.port, login_timeout_ms=300)
            self.assertIn("did not answer the login in time", self.refused("08006"))
            self.assertEqual(self.limit_hits("login_timeout_ms"), 1)
            self.assertEqual(self.metric("failures_total", side="old"), 1)
            self.assertEqual(self.metric("side_down", side="old"), 1)
            self.all_gone()

    def test_whatever_else_a_client_wants_is_given_up(self):
        with FakeServer(mode="silent") as fake:
            self.serve(fake.port, login_timeout_ms=300)
            for packet in (cancel(1, b"none"), startup(2 << 16), b"\0\0\0\x09nothi"):
                with PgConn(self.port) as client:
                    client.send(packet)
                    client.read_eof()
            self.all_gone()

    def test_those_who_are_logged_in_wait_and_lose_nothing(self):
        self.start(login_timeout_ms=300)
        clients = [self.client() for _ in range(10)]
        self.old.sigstop()
        for client in clients:
            client.send(query("select 1"))
        late = self.bare()
        late.send(startup(user="app", database="app"))
        self.told(late, "08006")
        self.old.sigcont()
        for client in clients:
            self.assertEqual([kind_of(raw) for raw in client.until("Z")], list("TDCZ"))
        self.recovers()

    def test_it_hangs_in_the_middle_of_its_greeting(self):
        self.start()
        with FakeServer(self.old.port, "stuck") as fake:
            self.serve(fake.port, login_timeout_ms=500)
            with PgConn(self.port) as client:
                client.send(startup(user="app", database="app"))
                client.read_eof()
            self.all_gone()

    def test_what_it_says_is_no_answer(self):
        with FakeServer(mode="garble") as fake:
            self.serve(fake.port)
            for _ in range(5):
                with PgConn(self.port) as client:
                    client.send(startup(user="app", database="app"))
                    client.socket.settimeout(None)
                    wait_until(lambda: not client.available() and client.eof, 10, "closed")
            self.assertGreater(self.metric("failures_total", side="old"), 0)
            self.all_gone()

    def comes_in_pieces(self, rest):
        """The beginning of an answer has come when that does, and the end."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.serve(listener.getsockname()[1])
            client = self.bare()
            client.send(startup(user="app", database="app"))
            server, _ = listener.accept()
            with server:
                self.assertEqual(server.recv(1000), untyped(SSL_REQUEST))
                server.sendall(b"N")
                server.recv(1000)
                server.sendall(message("R", b"\0\0\0\0") + message("Z", b"I"))
                client.until("Z")
                client.send(query("select"))
                server.recv(1000)
                before = self.metric("bytes_total", direction="server_in")
                server.sendall(message("C", b"SELECT 0\0")[:7])
                wait_until(lambda: self.metric("bytes_total", direction="server_in") > before, 10, "read")
                server.sendall(rest)
            messages = client.read_eof()
        self.assertEqual([fields_of(one)["C"] if kind_of(one) == "E" else one for one in messages[:-1]],
                         [message("C", b"SELECT 0\0")] if rest else [])
        self.assertEqual(fields_of(messages[-1])["C"], "08006")

    def test_it_says_what_is_no_answer_behind_one_that_came_in_pieces(self):
        self.comes_in_pieces(message("C", b"SELECT 0\0")[7:] + message("1"))

    def test_it_ends_in_the_midst_of_what_the_client_has_seen_nothing_of(self):
        self.comes_in_pieces(b"")


class GoesAway(Served):
    """Clients that are idle, in a transaction, waiting for a result, and sending COPY data."""

    def clients(self):
        self.start()
        self.old.sql("set role app; create table t (v text)")
        self.idle, self.within, self.waiting, self.copying = (self.client() for _ in range(4))
        self.within.rows("begin; select 1")
        self.waiting.send(query("select pg_sleep(100)"))
        self.copying.send(query("copy t from stdin"))
        self.assertEqual(kind_of(self.copying.read_raw()), "G")
        wait_until(lambda: self.old.value("select count(*) from pg_stat_activity where"
                                          " wait_event = 'PgSleep'") == "1", 10, "asleep")
        return self.idle, self.within, self.waiting, self.copying

    def test_killed(self):
        clients = self.clients()
        self.old.kill()
        lost = 0
        for client in clients:
            # A backend may outlive its postmaster by a moment, and say so.
            words = self.told(client, ("08006", "57P01"))
            lost += "the connection to old endpoint 'old' was lost" in words
            self.assertTrue(words.endswith("unexpected postmaster exit") or "was lost" in words, words)
        self.assertGreaterEqual(self.metric("failures_total", side="old"), lost)
        self.refused("08006")
        self.old.restart()
        self.recovers()
        self.all_gone()

    def test_shut_down_fast_in_its_own_words(self):
        clients = self.clients()
        self.old.stop(signal.SIGINT)
        for client in clients:
            self.assertEqual(self.told(client, "57P01"),
                             "terminating connection due to administrator command")
        self.refused("08006")
        self.old.restart()
        self.recovers()
        self.all_gone()

    def codes_to_the_end(self, client):
        messages = client.read_eof()
        self.assertEqual(client.rest, b"")
        return [fields_of(raw)["C"] for raw in messages if kind_of(raw) in "EN"]

    def test_stopped_at_once_in_its_own_words(self):
        clients = self.clients()
        self.old.stop(signal.SIGQUIT)
        found = [self.codes_to_the_end(client) for client in clients]
        # Directly, too, a backend that is stopped in certain moments says nothing.
        self.assertIn(["57P01", "08006"], found)
        self.assertTrue(all(codes in (["57P01", "08006"], ["08006"]) for codes in found), found)
        self.old.restart()
        self.recovers()

    def test_while_it_shuts_down_and_starts_it_says_so_itself(self):
        self.start()
        within = self.client()
        within.rows("begin; select 1")
        self.old.child.send_signal(signal.SIGTERM)  # waits for those who are connected
        wait_until(lambda: "shutdown" in self.old.log_text(), 10, "it shuts down")
        self.assertEqual(self.refused("57P03"), "the database system is shutting down")
        self.assertEqual(self.metric("side_down", side="old"), 0)
        within.rows("commit")
        within.terminate()
        self.old.restart()
        self.recovers()

    def test_one_backend_that_crashes(self):
        """The others are told by the server, and it starts by itself."""
        self.start()
        victim, other = self.client(), self.client()
        os.kill(victim.pid, signal.SIGKILL)
        self.assertIn("was lost", self.told(victim, "08006"))
        self.assertIn(self.codes_to_the_end(other), (["57P02", "08006"], ["08006"]))  # 1 of 6 says nothing
        self.recovers(30)


class LastWords(Served):
    """What a server said before it closed is handed on, also to whom it does not listen any more."""

    def test_a_result_that_waits_for_its_reader_outlives_its_server(self):
        self.start()
        client = self.client(receive_buffer=16 << 10)
        client.send(query("select repeat('x', 1000) from generate_series(1, 1000)"))
        self.taken_over(1_000_000)
        before = self.metric("bytes_total", direction="server_in")
        self.old.sql(f"select pg_terminate_backend({client.pid})")
        self.taken_over(before + 50)
        for _ in range(100):  # nobody hears these
            client.socket.send(query("select 2"))
        messages = client.read_eof()
        self.assertEqual([kind_of(raw) for raw in messages], ["T", *"D" * 1000, "C", "Z", "E"])
        self.assertEqual(fields_of(messages[-1])["C"], "57P01")

    def test_a_client_that_floods_a_copy_hears_why_it_ended(self):
        self.start()
        self.old.sql("set role app; create table t (v text)")
        for _ in range(5 if SLOWNESS == 1 else 2):
            clients = [self.client() for _ in range(20)]
            for client in clients:
                client.send(query("copy t from stdin"))
                self.assertEqual(kind_of(client.read_raw()), "G")
            over = threading.Event()
            flood = threading.Thread(target=self.flood, args=([one.socket for one in clients], over))
            flood.start()
            self.old.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
            wait_until(lambda: self.old.sessions() == 0, 10, "the backends are gone")
            over.set()
            flood.join()
            for client in clients:
                self.assertEqual(self.told(client, "57P01"),
                                 "terminating connection due to administrator command")

    @staticmethod
    def flood(connections, over):
        rows = copy_data(b"x" * 1000 + b"\n") * 100
        while not over.is_set():
            for one in connections:
                with contextlib.suppress(OSError):
                    one.send(rows)

    def test_a_reader_that_takes_its_time_gets_all_of_what_a_closed_session_left(self):
        self.start()
        client = self.client(receive_buffer=16 << 10)
        client.send(query("select repeat('x', 1000) from generate_series(1, 3000)") + b"X\0\0\0\4")
        wait_until(lambda: self.old.sessions() == 0, 10, "the server is through with it")
        messages = client.read_eof()
        self.assertEqual([kind_of(raw) for raw in messages], ["T", *"D" * 3000, "C", "Z"])


    def test_a_reader_that_half_closes_behind_its_last_request_gets_the_rest(self):
        self.start()
        client = self.client(receive_buffer=16 << 10)
        rows = 5000
        client.send(query(f"select repeat('x', 1000) from generate_series(1, {rows})") + TERMINATE)
        taken = 0
        client.socket.settimeout(60 * SLOWNESS)
        while self.metric("bytes_total", direction="server_in") < rows * 1011:
            for _ in range(8):
                taken += len(client.socket.recv(16 << 10))
        # All that is left waits in the sidecar and in its kernel for the client.
        client.shutdown_write()
        while more := len(client.socket.recv(64 << 10)):
            taken += more
        self.assertEqual(taken, 32 + rows * 1011 + len(f"SELECT {rows}") + 6 + 6)

    def taken_over(self, size):
        wait_until(lambda: self.metric("bytes_total", direction="server_in") >= size, 10,
                   "the sidecar has what the server said")


class AgainAndAgain(Served):
    def test_nothing_hangs_while_it_dies_and_returns(self):
        """What clients were told was committed is there; they hear 57P01 to 57P03 and 08006, nothing else."""
        self.start(server={"fsync": "on", "synchronous_commit": "on"})
        self.old.sql("set role app; create table t (id bigint primary key)")
        trouble, committed, over = [], [], threading.Event()

        def use(number):
            n = 0
            while not over.is_set():
                try:
                    with PgConn(self.port, "app", limit_s=60 * SLOWNESS) as client:
                        while not over.is_set():
                            n += 1
                            key = number * 1_000_000 + n
                            if n % 2:
                                client.rows(f"insert into t values ({key})")
                            else:
                                client.send(parse("", f"insert into t values ({key})") + bind("", "") +
                                            execute("") + SYNC)
                                for raw in client.until("Z"):
                                    if kind_of(raw) == "E":
                                        raise ServerError(raw)
                            committed.append(key)
                except ServerError as error:
                    if error.code not in ("57P01", "57P02", "57P03", "08006"):
                        trouble.append(repr(error))
                except (EOFError, ConnectionError):
                    pass
                except Exception as error:  # reported below
                    trouble.append(repr(error))
                over.wait(0.01)
        threads = [threading.Thread(target=use, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        try:
            for how in ("kill", signal.SIGINT, signal.SIGQUIT)[:3 if SLOWNESS == 1 else 1]:
                before = len(committed)
                wait_until(lambda count=before: len(committed) > count + 100, 20, "clients are at work")
                if how == "kill":
                    self.old.kill()
                    self.old.restart()
                else:
                    self.old.restart(how)
            before = len(committed)
            wait_until(lambda: len(committed) > before + 100, 20, "clients are at work again")
        finally:
            over.set()
            for thread in threads:
                thread.join()
        self.assertEqual(trouble, [])
        there = {int(row[0]) for row in self.old.sql("select id from t")}
        self.assertEqual(set(committed) - there, set())
        self.all_gone()


if __name__ == "__main__":
    unittest.main()
