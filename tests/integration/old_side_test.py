"""The authoritative side dies: every waiting client gets an error in RESP at once, so does every new
request, and all recovers by itself when the server is back on its port.
"""

import threading
import time
import unittest

from failing import ANSWER_MS, AT_ONCE_S, CONNECT_MS, Failing, dual_write, in_modes
from fake_server import BackloggedPort
from harness import SLOWNESS, RawConn, ReplyError, encode, wait_until

BESIDE = 1


@in_modes("Alone", "Shadow", "Swapped")
class Refused(Failing):
    def test_each_request_gets_one_error_at_once_and_the_connection_stays(self):
        self.start()
        self.failing.kill()
        client = self.client()
        for request in (("PING",), ("SET", "k", "v"), ("GET", "k"), ("MGET", "a", "b"), ("FLUSHALL",),
                        ("NOSUCH", "x"), ("SUBSCRIBE", "c"), ("BLPOP", "l", 0), ("HELLO", 3),
                        ("SELECT", 1), ("PUBLISH", "c", "m"), ("SCAN", 0), ("EVAL", "return 1", 0)):
            client.command(*request)
            self.errors(client, 1, 0.1)
        client.send(b"PING\r\nSET k v\r\n")
        self.errors(client, 2, 0.1)
        client.send(encode("SET", "big", "x" * 3_000_000))
        self.errors(client, 1, 1)
        self.failing.restart()
        self.recovers(client)

    def test_a_pipeline_gets_exactly_one_error_per_request(self):
        self.start()
        self.failing.kill()
        client = self.client(20)
        for count in (1, 1024, 5000, 40_000):
            # Once while nobody tries to connect, and once when the next attempt is due.
            for request in (encode("GET", "k"), encode("SET", "k", "v"), encode("PING")):
                client.send(request * count)
                self.errors(client, count, 2)
            self.let_pass(0.6)  # the next attempt is due
        self.failing.restart()
        self.recovers(client)

    def test_a_silent_client_is_told_by_the_end_of_its_connection(self):
        self.start()
        client = self.client()
        client.send(encode("CLIENT", "REPLY", "OFF") + encode("SET", "heard", "v"))
        wait_until(lambda: self.failing.call("EXISTS", "heard") == 1, 5, "replies are off")
        self.failing.kill()
        client.read_eof(2)
        for mode in ("OFF", "SKIP"):
            client = self.client()
            client.send(encode("CLIENT", "REPLY", mode) + encode("SET", "k", "v"))
            client.read_eof(2)
            self.assertEqual(bytes(client.received), b"")
        self.failing.restart()
        self.recovers(self.client())

    def test_a_transaction_is_refused_whole(self):
        self.start()
        self.failing.kill()
        client = self.client()
        client.send(encode("MULTI") + encode("SET", "k", "v") + encode("EXEC") + encode("PING"))
        self.errors(client, 4, 0.1)
        client.read_eof(2)  # or what comes later would run as if there had been no MULTI
        self.failing.restart()
        client = self.client()
        self.recovers(client)
        self.assertIsNone(client.call("GET", "k"))

    def test_state_that_no_server_has_confirmed_is_not_kept(self):
        self.start()
        self.failing.kill()
        client = self.client()
        client.send(encode("SELECT", 3) + encode("HELLO", 3) + encode("CLIENT", "SETNAME", "x"))
        self.errors(client, 3, 0.1)
        self.failing.restart()
        self.recovers(client)
        self.failing.call("SET", "zero", "v")
        self.assertEqual(client.call("GET", "zero"), b"v")
        client.command("GET", "none")
        self.assertEqual(client.read_raw(), b"$-1\r\n")

    def test_no_answer_to_connecting(self):
        self.start()
        self.failing.kill()
        with BackloggedPort(self.failing.port):
            clients = [self.client() for _ in range(10)]
            for client in clients:
                client.command("GET", "k")
            for client in clients:
                self.errors(client, 1, CONNECT_MS / 1000)
            slow = 0
            for _ in range(20):
                client = self.client()
                began = time.monotonic()
                client.command("GET", "k")
                self.errors(client, 1, CONNECT_MS / 1000)
                slow += time.monotonic() - began > AT_ONCE_S
            # Only what probes the side may wait, and 20 requests take less than 2 seconds.
            self.assertLessEqual(slow, 5)


@in_modes("Alone", "Shadow", "DualWrite", "Swapped")
class Killed(Failing):
    """The server dies while clients wait. `answer_timeout_ms` is far away: they learn it at once."""

    def wait_and_kill(self, requests):
        """Clients that each wait for the answers to one of `requests`, when the server dies."""
        self.start(answer_timeout_ms=60_000)
        clients = [self.client() for _ in requests]
        for client in clients:
            self.assertEqual(client.call("PING"), "PONG")
        self.failing.sigstop()
        for client, request in zip(clients, requests):
            client.send(request)
        self.all_received(14 * len(clients) + sum(map(len, requests)))
        self.failing.kill()
        return clients

    def test_waiting_clients_get_an_error_and_are_disconnected(self):
        for client in self.wait_and_kill([encode("GET", "k"), encode("SET", "k", "v"),
                                          encode("HELLO", 3), encode("EVAL", "return 1", 0)] * 10):
            self.errors(client, 1, 0.2)
            client.read_eof()
        self.failing.restart()
        self.recovers()

    def test_pipelines_get_one_error_per_request(self):
        # The client that reads every error knows what was lost; beyond a thousand it is disconnected.
        counts = [2, 3, 50, 1000]
        requests = [b"".join(encode("SET", n, n) if n % 3 else encode("GET", n) for n in range(count))
                    for count in counts]
        for client, count in zip(self.wait_and_kill(requests), counts):
            self.errors(client, count, 0.5)
            client.read_eof()

    def test_a_long_pipeline_is_answered_as_far_as_it_is_and_disconnected(self):
        client, = self.wait_and_kill([encode("GET", "k") * 5000])
        replies = client.read_eof()
        self.assertEqual(len(set(replies)), 1)
        self.assert_error(ReplyError(replies[0][1:-2].decode()))
        self.assertLessEqual(len(replies), 5000)
        self.assertEqual(client.rest, b"")

    def test_a_transaction_gets_one_error_per_request(self):
        client, = self.wait_and_kill([encode("MULTI") + encode("SET", "k", "v") + encode("EXEC") +
                                      encode("GET", "k")])
        self.errors(client, 4, 0.2)
        client.read_eof()

    def test_those_who_wait_for_nothing_are_disconnected_without_a_word(self):
        self.start()
        idle, subscriber, monitor, blocked, popper = (self.client() for _ in range(5))
        for client in (idle, subscriber, monitor, blocked, popper):
            self.assertEqual(client.call("PING"), "PONG")
        self.assertEqual(subscriber.call("SUBSCRIBE", "c"), [b"subscribe", b"c", 1])
        self.assertEqual(monitor.call("MONITOR"), "OK")
        monitor.read_idle()
        blocked.command("BLPOP", "nothing", 0)
        popper.command("XREAD", "BLOCK", 0, "STREAMS", "nothing", "$")
        wait_until(lambda: self.failing.info("clients")["blocked_clients"] == "2", 5, "blocked")
        monitor.read_idle()
        self.failing.kill()
        for client in (idle, subscriber, blocked, popper):
            self.assertEqual(client.read_eof(2 * SLOWNESS), [])
            self.assertEqual(client.rest, b"")
        for line in monitor.read_eof(2 * SLOWNESS):
            self.assertTrue(line.startswith(b"+1"), line)
        self.failing.restart()
        self.recovers()

    def test_new_requests_get_an_error_at_once_until_it_is_back(self):
        self.start()
        self.assertEqual(self.client().call("PING"), "PONG")
        self.failing.kill()
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            client = self.client()
            client.command("GET", "k")
            self.errors(client, 1, 0.1)
        self.failing.restart()
        self.recovers()

    def test_a_value_on_its_way_is_not_waited_for(self):
        """A client in the middle of sending 100 MB hears of the death and can go."""
        self.start()
        client = self.client(20)
        self.assertEqual(client.call("PING"), "PONG")
        request = encode("SET", "k", b"x" * 100_000_000)
        client.send(request[:5_000_000])
        self.all_received(1_000_000)
        self.failing.kill()
        client.send(request[5_000_000:])
        replies = client.read_eof(10 * SLOWNESS)
        self.assertLessEqual(len(replies), 1)
        for reply in replies:
            self.assert_error(ReplyError(reply[1:-2].decode()))

    def test_nothing_hangs_while_it_dies_and_returns_again_and_again(self):
        self.start()
        trouble, over = [], threading.Event()

        def use(number):
            while not over.is_set():
                try:
                    with RawConn(self.port, limit_s=(ANSWER_MS + CONNECT_MS) / 1000 + 2 * SLOWNESS) as c:
                        for n in range(200):
                            if over.is_set():
                                return
                            value = f"{number}.{n}"
                            c.send(encode("SET", f"k{number}", value) + encode("GET", f"k{number}"))
                            put, got = c.read(), c.read()
                            if put == "OK" and not isinstance(got, ReplyError) and got != value.encode():
                                trouble.append(f"wrong: {put!r} {got!r}, not {value}")
                except EOFError:
                    pass
                except Exception as error:  # reported below
                    trouble.append(repr(error))
        threads = [threading.Thread(target=use, args=(n,)) for n in range(12)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(4):
                written = f"r{_}"
                wait_until(lambda k=written: self.failing.call("SET", k, 1) and
                           int(self.failing.info("stats")["total_commands_processed"]) > 300, 10,
                           "clients are at work")
                self.failing.kill()
                wait_until(lambda: self.metric("side_down", side=self.failing_side), 5, "noticed")
                self.failing.restart()
        finally:
            over.set()
            for thread in threads:
                thread.join()
        self.assertEqual(trouble, [])
        self.recovers()
        wait_until(lambda: self.metric("sessions_open") == 0, 5, "no session is left")


class DualWritesOfADeadAuthority(Failing, unittest.TestCase):
    strategy = dual_write("old_authoritative")

    def test_what_old_did_not_take_new_does_not_get(self):
        self.start()
        self.failing.kill()
        client = self.client()
        for n in range(50):
            client.command("SET", n, n)
            self.errors(client, 1, 0.1)
        self.assertEqual(self.well.call("DBSIZE"), 0)


if __name__ == "__main__":
    unittest.main()
