"""The new side is sick, and nobody notices: under shadow_traffic and under a canary whose dual writes
are old_authoritative, clients see no error, no wrong reply and no delay (but that a dual write waits for
a side that is merely slow); memory stays bounded; and every copy or second write that was due is
accounted for.
"""

import time
import unittest

from fake_server import BackloggedPort, FakeServer
from harness import SLOWNESS, RawConn, RedisServer
from sick import SETTINGS, Legs, Sick

BESIDE = 0


class NewSideIsNotThere(Sick):
    def test_refused(self):
        with RedisServer() as new:
            self.start(new, ("shadow", "dual", "reads"))
            for leg in self.felt_by_nobody(new.kill):
                self.assertGreater(leg.dropped["side_down"], 0)
            self.assertGreater(self.sidecar.metric("crossfade_read_fallbacks_total"), 20)
            # Costs the new side nothing, so closed loops compare too.
            self.felt_by_nobody(lambda: None, rate=0)
            new.restart()
            self.recovers(new)

    def test_no_answer_to_connecting(self):
        with RedisServer() as new:
            self.start(new, ("shadow", "dual", "reads"))

            def unplug():
                new.kill()
                self.enterContext(BackloggedPort(new.port))
            for leg in self.felt_by_nobody(unplug):
                self.assertGreater(leg.dropped["side_down"], 0)

    def test_killed_in_mid_run_and_restarted_empty(self):
        with RedisServer() as new:
            self.start(new, ("shadow", "dual", "reads"))
            results = self.load((1, new.kill), (3, new.restart), (4, new.kill), (5, new.restart))
            for name in ("plain", "shadow", "dual"):
                self.assertEqual(results[name].wrong, 0, results[name])
            for name in self.strategies:
                leg = Legs(self.sidecar, name)
                self.assertGreater(leg.answered, 0, leg)
                self.assertGreater(leg.dropped["side_down"], 0, leg)
            self.recovers(new)


class NewSideIsThere(Sick):
    """A relay before a real server, or the server itself, falls ill under load."""

    def ill(self, mode, strategies=("shadow", "dual")):
        new = self.enterContext(RedisServer())
        fake = self.enterContext(FakeServer(new.port))
        self.start(fake.port, strategies)
        legs = self.felt_by_nobody(lambda: fake.become(mode))
        fake.become("healthy")
        self.recovers(new)
        return legs

    def test_stopped(self):
        with RedisServer() as new:
            self.start(new, ("shadow", "dual", "reads"))
            for leg in self.felt_by_nobody(new.sigstop):
                self.assertGreater(leg.dropped["timeout"], 0)
            new.sigcont()
            self.recovers(new)

    def test_accepts_and_never_answers(self):
        # Reads that new does not answer are answered by old, late: but right.
        for leg in self.ill("silent", ("shadow", "dual", "reads")):
            self.assertGreater(leg.dropped["timeout"], 0)

    def test_slow_by_100_ms(self):
        for leg in self.ill("delay 100", ("shadow",)):
            self.assertGreater(leg.answered, 0)

    def test_slow_by_100_ms_is_felt_by_dual_writes_and_by_nothing_else(self):
        """They are answered when both sides have them. How long they wait has a limit."""
        new = self.enterContext(RedisServer())
        fake = self.enterContext(FakeServer(new.port))
        self.start(fake.port, ("dual",))
        fake.become("delay 100")
        with RawConn(self.ports["dual"]) as client:
            self.assertEqual(client.call("SET", "k", "first"), "OK")  # that connects
            for number in range(5):
                began = time.monotonic()
                self.assertEqual(client.call("SET", "k", number), "OK")
                wrote = time.monotonic()
                self.assertEqual(client.call("GET", "k"), str(number).encode())
                read = time.monotonic()
                self.assertLess(wrote - began, (SETTINGS["second_leg_timeout_ms"] / 1000 + 0.1) * SLOWNESS)
                self.assertGreater(wrote - began, 0.09)
                self.assertLess(read - wrote, 0.09 * SLOWNESS)
                self.assertEqual(new.call("GET", "k"), str(number).encode())

    def test_garbling(self):
        for leg in self.ill("garble"):
            self.assertGreater(leg.dropped["connection_lost"], 0)

    def test_half_replies_then_closed(self):
        for leg in self.ill("half"):
            self.assertGreater(leg.dropped["connection_lost"], 0)

    def test_half_replies_then_nothing(self):
        for leg in self.ill("stuck"):
            self.assertGreater(leg.dropped["timeout"], 0)

    def test_accepts_and_closes(self):
        self.ill("close")


if __name__ == "__main__":
    unittest.main()
