"""What tests of a failing authority share: a sidecar before a server that is going to fail, alone, with a
healthy new side beside it (shadow, dual writes), and with the roles swapped (new_authoritative and all
reads on new: there it is new that fails).
"""

import contextlib
import sys
import time
import unittest

from fake_server import FakeServer
from harness import SLOWNESS, RawConn, RedisServer, ReplyError, Sidecar, wait_until

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
            # Those of earlier tests are in force still, and nobody writes through them any more.
            self.sidecar.migrate(f"to-{self.interlay}", self.strategy, self.interlay, "new",
                                 force=True)

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

    def let_pass(self, seconds):
        """For what is about time itself: the next attempt is due, a time limit is over."""
        over = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() > over, seconds + 5, "time passes")


# Dual writes differ from copies in what is sent, not in how connections fail.
MODES = {"Alone": (None, "old"), "Shadow": ({"type": "shadow_traffic"}, "old"),
         "DualWrite": (dual_write("old_authoritative"), "old"),
         "Swapped": (dual_write("new_authoritative", 1.0), "new")}


def in_modes(*modes):
    """Class decorator: a test case of each of MODES from a class of tests over Failing."""
    def make(base):
        for mode in modes:
            strategy, side = MODES[mode]
            name = base.__name__ + mode
            case = type(name, (base, unittest.TestCase), {
                "strategy": strategy, "failing_side": side, "__module__": base.__module__})
            setattr(sys.modules[base.__module__], name, case)
        return base
    return make
