"""The authoritative side stalls, closes what it accepts, or dies in the middle of a reply: every waiting
client gets an error in RESP within the time limit, new requests get theirs at once, and all recovers
by itself. And what best_effort makes of it.
"""

import time
import unittest

from failing import ANSWER_MS, AT_ONCE_S, GRACE_S, Failing, dual_write, in_modes
from harness import SLOWNESS, RawConn, encode, wait_until

BESIDE = 1


@in_modes("Alone", "Shadow", "DualWrite", "Swapped")
class Stopped(Failing):
    """The server accepts and takes bytes, and never answers."""

    def test_waiting_clients_get_errors_within_the_time_limit(self):
        self.start()
        clients = [self.client() for _ in range(30)]
        for client in clients:
            self.assertEqual(client.call("PING"), "PONG")
        self.failing.sigstop()
        for number, client in enumerate(clients):
            client.send(encode("GET", "k") * (number % 3 + 1))
        for number, client in enumerate(clients):
            self.errors(client, number % 3 + 1, ANSWER_MS / 1000)
        self.assertGreater(self.metric("limit_hits_total", limit="answer_timeout_ms"), 0)
        self.failing.sigcont()
        self.recovers()

    def test_new_requests_get_errors_at_once(self):
        self.start()
        first = self.client()
        self.assertEqual(first.call("PING"), "PONG")
        self.failing.sigstop()
        first.command("GET", "k")
        self.errors(first, 1, ANSWER_MS / 1000)
        # In each round somebody may have to probe the side and wait; everybody else is told at once.
        for _ in range(6):
            clients = [self.client() for _ in range(20)]
            began = time.monotonic()
            for client in clients:
                client.command("GET", "k")
            left, waited = list(clients), 0
            while left:
                left = [client for client in left if not client.received and client.eof is None
                        and not client.read_idle(0.001)]
                if not waited and time.monotonic() - began > AT_ONCE_S:
                    waited = len(left)
                self.assertLess(time.monotonic() - began, ANSWER_MS / 1000 + 2 * GRACE_S)
            self.assertLessEqual(waited, 2)
        self.failing.sigcont()
        self.recovers()

    def test_blocking_commands_have_no_time_limit(self):
        self.start()
        client = self.client()
        began = time.monotonic()
        self.assertIsNone(client.call("BLPOP", "nothing", 1.5 * ANSWER_MS / 1000))
        self.assertGreaterEqual(time.monotonic() - began, 1.4 * ANSWER_MS / 1000)
        self.assertEqual(client.call("PING"), "PONG")

    def test_a_client_that_does_not_read_is_not_the_server_s_fault(self):
        self.start()
        self.failing.call("SET", "k", b"x" * 30_000_000)
        with RawConn(self.port, limit_s=20, receive_buffer=16384) as client:
            client.command("GET", "k")
            self.all_received(20)
            self.let_pass(3 * ANSWER_MS / 1000)
            self.assertEqual(len(client.read(20 * SLOWNESS)), 30_000_000)
            self.assertEqual(client.call("PING"), "PONG")

    def test_a_long_script_is_given_up_and_only_its_client_lost(self):
        self.start()
        slow, other = self.client(), self.client()
        self.assertEqual(other.call("PING"), "PONG")
        slow.command("DEBUG", "SLEEP", f"{2 * ANSWER_MS / 1000}")
        self.errors(slow, 1, ANSWER_MS / 1000)
        self.recovers()


@in_modes("Alone", "Shadow", "Swapped")
class Behind(Failing):
    """Deaths that need a relay: closing what it accepts, half a reply."""

    relayed = True

    def test_accepts_and_closes(self):
        self.start()
        self.fake.become("close")
        told = 0
        for _ in range(30):
            client = self.client()
            began = time.monotonic()
            client.command("GET", "k")
            try:
                self.assert_error(client.read())
                told += 1
            except EOFError:
                pass
            self.assertLess(time.monotonic() - began, AT_ONCE_S)
        self.assertGreaterEqual(told, 25, "told what is wrong, not only disconnected")
        self.fake.become("healthy")
        self.recovers()

    def test_waiting_clients_when_it_begins_to_close(self):
        self.start()
        clients = [self.client() for _ in range(20)]
        for client in clients:
            self.assertEqual(client.call("PING"), "PONG")
        self.fake.become("silent")
        for client in clients:
            client.send(encode("GET", "k") + encode("SET", "k", "v"))
        self.all_received(20 * 60)
        self.fake.become("close")
        for client in clients:
            self.errors(client, 2, 0.2)
            client.read_eof()
        self.fake.become("healthy")
        self.recovers()

    def test_half_a_reply_closes_the_client(self):
        self.start()
        self.failing.call("SET", "k", "0123456789" * 100)
        client = self.client()
        self.assertEqual(client.call("EXISTS", "k"), 1)
        self.fake.become("half")
        client.send(encode("GET", "k") + encode("PING"))
        self.assertEqual(client.read_eof(), [])
        whole = b":1\r\n$1000\r\n" + b"0123456789" * 100 + b"\r\n+PONG\r\n"
        self.assertTrue(whole.startswith(bytes(client.received)), client.received)
        self.fake.become("healthy")
        self.recovers()

    def test_half_a_reply_and_silence_is_given_up(self):
        self.start()
        self.failing.call("SET", "k", "0123456789" * 100)
        client = self.client()
        self.assertEqual(client.call("EXISTS", "k"), 1)
        self.fake.become("stuck")
        client.command("GET", "k")
        began = time.monotonic()
        self.assertEqual(client.read_eof(), [])
        self.assertLess(time.monotonic() - began, ANSWER_MS / 1000 + GRACE_S)
        self.assertTrue(b":1\r\n$1000\r\n01234".startswith(bytes(client.received)[:16]))
        self.fake.become("healthy")
        self.recovers()

    def test_whole_replies_before_the_death_are_delivered(self):
        self.start()
        client = self.client()
        self.assertEqual(client.call("PING"), "PONG")
        client.send(encode("ECHO", "one") + encode("ECHO", "two"))
        self.assertEqual(client.replies(2), [b"$3\r\none\r\n", b"$3\r\ntwo\r\n"])
        self.fake.become("silent")
        client.send(encode("ECHO", "three") * 3)
        self.all_received(14 + 2 * 23)
        self.fake.become("close")
        self.errors(client, 3, 0.2)
        client.read_eof()

    def test_garbage_is_never_a_hang(self):
        self.start()
        self.fake.become("garble")
        for _ in range(20):
            client = self.client()
            client.command("GET", "k")
            wait_until(lambda c=client: c.available() or c.rest or c.eof, ANSWER_MS / 1000 + 1,
                       "something that ends the waiting")
        self.fake.become("healthy")
        self.recovers()

    def test_a_slow_server_is_only_slow(self):
        self.start()
        self.fake.become("delay 200")
        client = self.client()
        client.send(b"".join(encode("SET", n, n) + encode("GET", n) for n in range(500)))
        for n in range(500):
            self.assertEqual(client.read(), "OK")
            self.assertEqual(client.read(), str(n).encode())


class BestEffort(Failing, unittest.TestCase):
    """Success if either side succeeded."""

    strategy = dual_write("best_effort")

    def test_writes_succeed_on_new_while_old_is_refused(self):
        self.start()
        # Old is seen to let everybody in: while it is away nobody can be asked whether it does.
        self.assertEqual(self.client().call("PING"), "PONG")
        self.failing.kill()
        client = self.client()
        for n in range(50):
            self.assertEqual(client.call("SET", n, n), "OK")
        client.command("GET", 1)
        self.errors(client, 1, 0.1)
        self.assertEqual(self.well.call("DBSIZE"), 50)
        self.failing.restart()
        self.recovers(client)

    def test_writes_succeed_on_new_when_old_does_not_answer(self):
        self.start()
        client = self.client()
        self.assertEqual(client.call("SET", "k", 0), "OK")
        self.failing.sigstop()
        client.command("SET", "k", 1)
        self.assertEqual(client.read(ANSWER_MS / 1000 + GRACE_S), "OK")
        self.assertEqual(self.well.call("GET", "k"), b"1")

    def test_writes_succeed_on_old_while_new_is_gone(self):
        self.start()
        client = self.client()
        self.assertEqual(client.call("SET", "k", 0), "OK")
        self.well.kill()
        for n in range(50):
            self.assertEqual(client.call("SET", n, n), "OK")
        self.assertEqual(self.failing.call("DBSIZE"), 51)


if __name__ == "__main__":
    unittest.main()
