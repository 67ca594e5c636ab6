"""The authoritative side is down: every waiting client gets an error in RESP within the time limit, new
requests get theirs at once, and all recovers by itself when the server is back on its port.

Every test runs with old alone, with a healthy new side beside it (shadow, dual writes), and with the
roles swapped (new_authoritative, all reads on new): there it is new that fails.
"""

import contextlib
import threading
import time
import unittest

from fake_server import BackloggedPort, FakeServer
from harness import SLOWNESS, RawConn, RedisServer, ReplyError, Sidecar, encode, wait_until

ANSWER_MS = 600
CONNECT_MS = 400
# An answer that is due at once, or at a time limit, may be late by this: the sidecar looks at its
# clocks every 20 ms, the rest is for a busy machine.
GRACE_S = 0.35 * SLOWNESS
AT_ONCE_S = 0.25 * SLOWNESS


def dual_write(policy, reads=0.0):
    return {"type": "canary", "read_percentage": reads,
            "write_mode": {"mode": "dual_write", "policy": policy}}


class Failing:
    """A sidecar and its servers, for all tests of a class; each test has an interlay of its own. The
    authority is `self.failing`; the other one, if there is one, is `self.well`."""

    strategy = None
    failing_side = "old"
    relayed = False  # whether a FakeServer stands before the authority
    interlays = 0

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.failing = cls.enterClassContext(RedisServer())
        cls.fake = cls.enterClassContext(FakeServer(cls.failing.port)) if cls.relayed else None
        cls.sidecar = cls.enterClassContext(Sidecar())
        cls.sidecar.add_endpoint(cls.failing_side, cls.fake.port if cls.relayed else cls.failing)
        if cls.strategy:
            cls.well = cls.enterClassContext(RedisServer())
            cls.sidecar.add_endpoint("new" if cls.failing_side == "old" else "old", cls.well)

    def start(self, **settings):
        """Call it while all is well."""
        type(self).interlays += 1
        self.interlay = f"cache{self.interlays}"
        self.port = self.sidecar.add_interlay(self.interlay, "old", settings={
            "answer_timeout_ms": ANSWER_MS, "connect_timeout_ms": CONNECT_MS, **settings})
        if self.strategy:
            self.sidecar.migrate(f"to-{self.interlay}", self.strategy, self.interlay, "new")

    def tearDown(self):
        for server in (self.failing, self.well) if self.strategy else (self.failing,):
            if server.alive():
                server.sigcont()
                server.call("FLUSHALL")
            else:
                server.restart()
        if self.relayed:
            self.fake.become("healthy")
        self.assertTrue(self.sidecar.alive())

    def metric(self, name, **labels):
        return self.sidecar.metric(f"crossfade_{name}", interlay=self.interlay, **labels)

    def client(self, limit_s=5.0):
        return self.enterContext(RawConn(self.port, limit_s=limit_s * SLOWNESS))

    def assert_error(self, reply):
        self.assertIsInstance(reply, ReplyError)
        self.assertTrue(str(reply).startswith("ERR crossfade: "), reply)
        self.assertIn(f"{self.failing_side} endpoint '{self.failing_side}'", str(reply))

    def errors(self, client, count, within_s):
        """Exactly `count` error replies, and nothing else."""
        began = time.monotonic()
        for number in range(count):
            try:
                self.assert_error(client.read(within_s * SLOWNESS + GRACE_S))
            except (EOFError, TimeoutError) as error:
                self.fail(f"{number} of {count} errors, then {error}")
        self.assertLess(time.monotonic() - began, within_s * SLOWNESS + GRACE_S)
        self.assertEqual(client.read_idle(0.02), [])
        self.assertEqual(client.rest, b"")

    def recovers(self, client=None):
        """Within two seconds a client is served again: `client`, or new ones."""
        def served():
            try:
                with contextlib.nullcontext(client) if client else RawConn(self.port) as one:
                    return one.call("SET", "again", "v") == "OK" and one.call("GET", "again") == b"v"
            except EOFError:
                return False
        wait_until(served, 2, "served again")
        self.assertEqual(self.metric("side_down", side=self.failing_side), 0)

    def all_received(self, byte_count):
        wait_until(lambda: self.metric("bytes_total", direction="client_in") >= byte_count, 5,
                   "the sidecar has the requests")


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
            wait_until(lambda: time.sleep(0.6) or True, 1, "the next attempt is due")
        self.failing.restart()
        self.recovers(client)

    def test_a_transaction_is_refused_whole(self):
        self.start()
        self.failing.kill()
        client = self.client()
        client.send(encode("MULTI") + encode("SET", "k", "v") + encode("EXEC") + encode("PING"))
        self.errors(client, 4, 0.1)
        self.failing.restart()
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
            over = time.monotonic() + 3 * ANSWER_MS / 1000
            wait_until(lambda: time.monotonic() > over, 10, "the time limit has passed thrice")
            self.assertEqual(len(client.read(20 * SLOWNESS)), 30_000_000)
            self.assertEqual(client.call("PING"), "PONG")

    def test_a_long_script_is_given_up_and_only_its_client_lost(self):
        self.start()
        slow, other = self.client(), self.client()
        self.assertEqual(other.call("PING"), "PONG")
        slow.command("DEBUG", "SLEEP", f"{2 * ANSWER_MS / 1000}")
        self.errors(slow, 1, ANSWER_MS / 1000)
        self.recovers()


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


def with_strategy(base, strategy, failing_side="old"):
    return type(base.__name__, (base, unittest.TestCase),
                {"strategy": strategy, "failing_side": failing_side, "__module__": __name__})


# Dual writes differ from copies in what is sent, not in how connections fail: two bases show it.
MODES = {"Alone": (None, "old", (Refused, Killed, Stopped, Behind)),
         "Shadow": ({"type": "shadow_traffic"}, "old", (Refused, Killed, Stopped, Behind)),
         "DualWrite": (dual_write("old_authoritative"), "old", (Killed, Stopped)),
         "Swapped": (dual_write("new_authoritative", 1.0), "new", (Refused, Killed, Stopped, Behind))}
for _mode, (_strategy, _side, _bases) in MODES.items():
    for _base in _bases:
        _class = with_strategy(_base, _strategy, _side)
        _class.__qualname__ = _class.__name__ = _base.__name__ + _mode
        globals()[_class.__name__] = _class
del _class


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
