"""kill -9 at any instant: the sidecar routes as the last answered control call said, from the first
client on, and its state file is whole."""

import random
import socket
import sqlite3
import threading
import unittest

from harness import RawConn, RedisServer, Sidecar, encode, wait_until
from pair import Pair
from small_disk import SmallDisk

OLD, NEW = b"$3\r\nold\r\n", b"$3\r\nnew\r\n"


def canary(share):
    return {"type": "canary", "read_percentage": share,
            "write_mode": {"mode": "dual_write", "policy": "old_authoritative"}}


class FirstClients(threading.Thread):
    """Knocks at a port until it is let in, again and again, and keeps the first answers."""

    def __init__(self, port, wanted=5):
        super().__init__(daemon=True)
        self._port = port
        self._wanted = wanted
        self.stopped = False
        self.replies = []
        self.start()

    def run(self):
        while len(self.replies) < self._wanted and not self.stopped:
            try:
                with socket.create_connection(("127.0.0.1", self._port), 5) as conn:
                    conn.sendall(encode("GET", "side"))
                    reply = conn.recv(4096)
                    if reply:
                        self.replies.append(reply)
            except OSError:
                continue


class Restart(unittest.TestCase):
    def setUp(self):
        self.old = self.enterContext(RedisServer())
        self.new = self.enterContext(RedisServer())
        self.old.call("SET", "side", "old")
        self.new.call("SET", "side", "new")
        self.sidecar = self.enterContext(Sidecar(loops=2))

    def start_routing(self):
        self.sidecar.add_endpoint("old", self.old)
        self.sidecar.add_endpoint("new", self.new)
        self.port = self.sidecar.add_interlay("cache", "old")

    def kill_and_check(self, expected, after):
        """Kills at once, restarts, and looks at the very first clients that are let in."""
        self.sidecar.kill9()
        clients = FirstClients(self.port)
        try:
            self.sidecar.restart()
            wait_until(lambda: len(clients.replies) >= 5, 10, f"clients after {after}")
        finally:
            clients.stopped = True
            clients.join()
        self.assertEqual(set(clients.replies), {expected}, f"after {after}")
        self.check_state()

    def check_state(self):
        with sqlite3.connect(f"file:{self.sidecar.state}?mode=ro", uri=True) as state:
            self.assertEqual(state.execute("PRAGMA integrity_check").fetchall(), [("ok",)])

    def test_after_every_call_the_routing_is_what_it_said(self):
        must, patch = self.sidecar.must, self.sidecar.patch
        self.start_routing()
        self.kill_and_check(OLD, "the interlay was made")
        must("POST", "/migrations", {"id": "m", "strategy": canary(1.0)})
        self.kill_and_check(OLD, "the migration was made")
        must("POST", "/migrations/m/interlay/cache", {"endpoint": "new"})
        self.kill_and_check(OLD, "the interlay was added")
        must("POST", "/migrations/m/migrate")
        self.kill_and_check(NEW, "migrate")
        patch("m", canary(0.0))
        self.kill_and_check(OLD, "PATCH to 0")
        patch("m", canary(1.0))
        self.kill_and_check(NEW, "PATCH to 1")
        must("POST", "/migrations/m/rollback")
        self.kill_and_check(OLD, "rollback")

    def test_blue_green_and_its_flips_survive(self):
        self.start_routing()
        self.sidecar.migrate("m", {"type": "blue_green", "active_is_new": True}, "cache", "new")
        self.kill_and_check(NEW, "migrate")
        for active, expected in ((False, OLD), (True, NEW)):
            self.sidecar.patch("m", {"type": "blue_green", "active_is_new": active})
            self.kill_and_check(expected, f"active_is_new {active}")

    def test_an_executed_big_bang_survives(self):
        self.start_routing()
        self.sidecar.migrate("m", {"type": "big_bang", "durability": False}, "cache", "new")
        self.kill_and_check(NEW, "migrate")

    def test_an_interlay_that_was_deleted_stays_away(self):
        self.start_routing()
        self.sidecar.must("DELETE", "/interlays/cache")
        self.sidecar.kill9()
        self.sidecar.restart()
        with self.assertRaises(OSError):
            RawConn(self.port, limit_s=1)

    def test_a_port_that_the_sidecar_chose_is_kept(self):
        self.sidecar.add_endpoint("old", self.old)
        self.port = self.sidecar.add_interlay("cache", "old", port=0)
        self.sidecar.kill9()
        self.sidecar.restart()
        port = self.sidecar.must("GET", "/interlays/cache")["port"]
        self.assertEqual(port, self.port)
        with RawConn(port) as client:
            self.assertEqual(client.call("GET", "side"), b"old")

    def test_a_kill_in_the_midst_of_calls_loses_none_that_was_answered(self):
        self.start_routing()
        self.sidecar.migrate("m", canary(0.0), "cache", "new")
        dice = random.Random(7)
        share = 0.0
        for turn in range(6):
            answered, begun = [share], [share]

            def patch_on(answered=answered, begun=begun):
                nonlocal share
                value = share
                try:
                    while True:
                        value = 1.0 - value
                        begun.append(value)
                        self.sidecar.patch("m", canary(value))
                        answered.append(value)
                except (OSError, ValueError, EOFError):
                    return  # killed

            operator = threading.Thread(target=patch_on, daemon=True)
            operator.start()
            enough = 1 + dice.randrange(12)
            wait_until(lambda a=answered, n=enough: len(a) > n, 20, "calls answered")
            self.sidecar.kill9()
            operator.join()
            self.sidecar.restart()
            allowed = {answered[-1]} | ({begun[-1]} if len(begun) > len(answered) else set())
            share = self.sidecar.must("GET", "/migrations/m")["strategy"]["read_percentage"]
            self.assertIn(share, allowed, f"turn {turn}")
            with RawConn(self.port) as client:
                client.command("GET", "side")
                self.assertEqual(client.read_raw(), NEW if share else OLD, f"turn {turn}")
            self.check_state()

    def test_the_journal_tells_all_moves_after_a_kill(self):
        self.start_routing()
        self.sidecar.migrate("m", canary(0.0), "cache", "new")
        self.sidecar.kill9()
        self.sidecar.restart()
        migration = self.sidecar.must("GET", "/migrations/m")
        self.assertEqual(migration["status"], "running")
        self.assertGreaterEqual(len(self.sidecar.must("GET", "/migrations/m/events")), 2)

    def test_two_processes_do_not_share_a_state_file(self):
        with self.assertRaises((RuntimeError, TimeoutError)):
            Sidecar(state=self.sidecar.state)
        self.start_routing()
        with RawConn(self.port) as client:
            self.assertEqual(client.call("GET", "side"), b"old")


class DualWrites(Pair):
    """Whoever writes to both sides must end in good order, or say what that may have cost."""

    def setUp(self):
        super().setUp()
        self.sidecar.migrate("m", canary(0.5), "cache", "new")

    def in_doubt(self):
        divergence = self.sidecar.must("GET", "/migrations/m/divergence")
        self.assertEqual(bool(divergence["reasons"]), divergence["needs_full_verification"])
        return divergence["needs_full_verification"]

    def test_only_kill_9_leaves_doubts(self):
        self.assertFalse(self.in_doubt())
        self.sidecar.terminate()
        self.sidecar.restart()
        self.assertFalse(self.in_doubt())
        self.sidecar.kill9()
        self.sidecar.restart()
        self.assertTrue(self.in_doubt())
        self.sidecar.terminate()
        self.sidecar.restart()
        self.assertTrue(self.in_doubt())  # until it was verified
        self.assertTrue(self.sidecar.must("GET", "/migrations/m")["divergence"]["needs_full_verification"])


class FullDisk(unittest.TestCase):
    """State on a small file system that others have filled."""

    def setUp(self):
        self.disk = SmallDisk(self)
        self.old = self.enterContext(RedisServer())
        self.new = self.enterContext(RedisServer())
        self.sidecar = self.enterContext(Sidecar(state=self.disk.state))
        self.sidecar.add_endpoint("old", self.old)
        self.sidecar.add_endpoint("new", self.new)
        self.port = self.sidecar.add_interlay("cache", "old")
        self.sidecar.migrate("m", canary(0.5), "cache", "new")

    def served(self):
        with RawConn(self.port) as client:
            return client.call("PING") == "PONG"

    def test_many_changes_and_the_way_back(self):
        self.disk.fill()
        for n in range(200):
            self.sidecar.patch("m", canary(n / 1000))
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertTrue(self.served())

    def test_starts_again_after_many_changes(self):
        for n in range(120):
            self.sidecar.patch("m", canary(n / 1000))
        self.disk.fill()
        for end in (self.sidecar.kill9, self.sidecar.terminate, self.sidecar.kill9):
            end()
            self.sidecar.restart()
            self.assertTrue(self.served())
        self.sidecar.must("POST", "/migrations/m/rollback")

    def test_starts_again_and_can_be_changed(self):
        for end in (self.sidecar.kill9, self.sidecar.terminate):
            self.disk.fill()
            end()
            self.sidecar.restart()
            self.assertTrue(self.served())
            self.assertEqual(self.sidecar.must("GET", "/migrations/m")["strategy"], canary(0.5))
            self.sidecar.patch("m", canary(0.5))
        self.sidecar.must("POST", "/migrations/m/rollback")


if __name__ == "__main__":
    unittest.main()
