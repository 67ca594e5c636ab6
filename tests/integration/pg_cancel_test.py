"""A CancelRequest reaches the request that its session runs, and never a later one; who floods the port with
them harms nobody.
"""

import threading
import time
import unittest

from children import SLOWNESS, wait_until
from memory import MIB, grew_less, raise_descriptor_limit, reset_peak
from pg_messages import SYNC, bind, cancel, copy_data, execute, fields_of, kind_of, parse, query
from pg_served import MINUTE_S, PgConn, Served, ServerError

ROUNDS = 200 if SLOWNESS == 1 else 40
FLOOD = 1000 if SLOWNESS == 1 else 200
SLEEPERS = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"


def codes(messages):
    return [fields_of(raw)["C"] for raw in messages if kind_of(raw) == "E"]


class Exact(Served):
    loops = 2

    def setUp(self):
        self.start()

    def ask_to_cancel(self, client, key=None):
        """A connection that has sent the request; it ends when that is done."""
        other = PgConn(self.port, limit_s=MINUTE_S * SLOWNESS)
        other.send(cancel(client.pid, client.key if key is None else key))
        return other

    def test_what_runs_is_cancelled(self):
        client = self.client()
        for data in (query("select pg_sleep(100)"),
                     parse("", "select pg_sleep(100)") + bind("", "") + execute("") + SYNC):
            client.send(data)
            wait_until(lambda: self.old.value(SLEEPERS) == "1", 10, "it sleeps")
            client.cancel()
            self.assertEqual(codes(client.until("Z")), ["57014"])
            self.assertEqual(client.value("select 1"), "1")

    def test_the_next_request_is_never_hit(self):
        """The request to cancel is on its way while the one that it means ends, and the next one comes."""
        client = self.client()
        hit = 0
        for number in range(ROUNDS):
            client.send(query(f"select pg_sleep({number % 5 * 0.001 * SLOWNESS})"))
            with self.ask_to_cancel(client) as other:
                if number % 2:
                    other.read_eof()
                hit += codes(client.until("Z")) == ["57014"]
                # Whoever has its answer may send the next; that nobody has asked to cancel.
                if number % 2:
                    self.assertEqual(client.value("select 'next'"), "next")
                else:
                    other.read_eof()
                    self.assertEqual(client.value("select 'next'"), "next")
                    self.assertEqual(client.value("select 'and another'"), "and another")
        self.assertGreater(hit, 0)
        print(f"\n{hit} of {ROUNDS} were cancelled, and none of what followed")

    def test_a_request_that_is_sent_while_a_cancel_is_on_its_way_waits_for_it(self):
        """Nobody waits for the cancel to be through: what it does to what comes next is the sidecar's affair
        as far as it arrives after the answer."""
        client, others = self.client(), []
        for _ in range(ROUNDS):
            client.send(query("select pg_sleep(0.001)"))
            others.append(self.ask_to_cancel(client))
            found = codes(client.until("Z"))
            self.assertIn(found, ([], ["57014"]))
            others.pop().read_eof()
            client.send(query("select 'next'"))
            self.assertEqual(codes(client.until("Z")), [])

    def test_an_idle_session_is_not_hit(self):
        client = self.client()
        for _ in range(ROUNDS // 3):
            client.cancel()
            self.assertEqual(client.value("select 'idle before'"), "idle before")

    def test_only_the_one_that_is_meant(self):
        one, two = self.client(), self.client()
        for client in (one, two):
            client.send(query("select pg_sleep(100)"))
        wait_until(lambda: self.old.value(SLEEPERS) == "2", 10, "both sleep")
        one.cancel()
        self.assertEqual(codes(one.until("Z")), ["57014"])
        self.assertEqual(self.old.value(SLEEPERS), "1")
        one.send(cancel(two.pid, two.key))  # no message of a session that is logged in
        self.assertEqual(len(codes(one.read_eof())), 1)
        self.assertEqual(self.old.value(SLEEPERS), "1")
        two.cancel()
        self.assertEqual(codes(two.until("Z")), ["57014"])

    def test_a_wrong_key_cancels_nothing(self):
        client = self.client()
        client.send(query("select pg_sleep(0.5), 'whole'"))
        wait_until(lambda: self.old.value(SLEEPERS) == "1", 10, "it sleeps")
        for key in (bytes(4), b"1234", client.key[::-1] + b"x", client.key + b"0", b"x" * 256):
            client.cancel(key)
        self.assertEqual([kind_of(raw) for raw in client.until("Z")], list("TDCZ"))

    def test_keys_of_a_session_that_has_ended_mean_nobody(self):
        client = self.client()
        gone = self.client()
        gone.terminate()
        wait_until(lambda: self.metric("sessions_open") == 1, 10, "it has gone")
        client.send(query("select pg_sleep(0.3)"))
        gone.cancel()
        self.assertEqual(codes(client.until("Z")), [])

    def test_a_cancel_within_a_transaction_and_within_copy(self):
        client = self.client()
        client.rows("create table t (v text)")
        client.rows("begin; select 1")
        client.send(query("copy t from stdin"))
        self.assertEqual(kind_of(client.read_raw()), "G")
        client.cancel()
        client.send(copy_data(b"x\n"))  # the server looks when it has got something
        self.assertEqual(codes(client.until("Z")), ["57014"])
        with self.assertRaises(ServerError):
            client.rows("select 1")
        client.rows("rollback")
        self.assertEqual(client.value("select count(*) from t"), "0")


class Flood(Served):
    loops = 2

    def test_of_wrong_and_of_right_keys(self):
        raise_descriptor_limit()
        self.start()
        meant, beside = self.client(), self.client()
        self.served()
        before = reset_peak(self.sidecar)
        for right in (False, True):
            with self.subTest(right=right):
                meant.send(query(f"select pg_sleep({100 if right else 0.5}), 'whole'"))
                wait_until(lambda: self.old.value(SLEEPERS) == "1", 10, "it sleeps")
                flood = self.plain(FLOOD)
                for client in flood:
                    client.sendall(cancel(meant.pid, meant.key if right else b"1234"))
                for _ in range(20):
                    self.assertEqual(beside.value("select 'beside'"), "beside")
                self.assertEqual(codes(meant.until("Z")), ["57014"] if right else [])
                for client in flood:
                    client.settimeout(MINUTE_S * SLOWNESS)
                    self.assertEqual(client.recv(100), b"")
                    client.close()
                self.assertEqual(meant.value("select 'after it'"), "after it")
        grew_less(self, self.sidecar, before, 32 * MIB)
        wait_until(lambda: self.metric("sessions_open") == 2, 20, "they are gone")
        self.served()

    def test_of_clients_that_go_at_once(self):
        self.start()
        meant = self.client()
        self.served()
        files = self.sidecar.open_files()
        over = threading.Event()

        def flood():
            for number in range(FLOOD):
                with PgConn(self.port, limit_s=MINUTE_S) as client:
                    client.send(cancel(meant.pid, meant.key if number % 2 else b"1234"))
                    client.abort() if number % 3 else client.close()
            over.set()
        thread = threading.Thread(target=flood)
        thread.start()
        told = 0
        while not over.is_set():
            found = codes(meant.ask("select pg_sleep(0.001)"))
            self.assertIn(found, ([], ["57014"]))
            told += 1
        thread.join()
        wait_until(lambda: self.metric("sessions_open") == 1, 20, "they are gone")
        wait_until(lambda: self.sidecar.open_files() <= files + 2, 20, "descriptors are closed")
        self.assertEqual(meant.value("select 1"), "1")
        self.assertGreater(told, 0)

    def test_while_the_server_answers_nobody(self):
        self.start(connect_timeout_ms=500, login_timeout_ms=500)
        meant = self.client()
        meant.send(query("select pg_sleep(0.2), 'whole'"))
        self.old.sigstop()
        began = time.monotonic()
        flood = self.plain(50)
        for number, client in enumerate(flood):
            client.sendall(cancel(meant.pid, meant.key if number % 2 else b"1234"))
        for client in flood:
            client.settimeout(MINUTE_S * SLOWNESS)
            self.assertEqual(client.recv(100), b"")
        self.assertLess(time.monotonic() - began, 30 * SLOWNESS)
        self.old.sigcont()
        self.assertIn(codes(meant.until("Z")), ([], ["57014"]))
        wait_until(lambda: meant.value("select 1") == "1", 10, "it goes on")


if __name__ == "__main__":
    unittest.main()
