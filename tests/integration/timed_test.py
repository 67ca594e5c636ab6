"""What migrations do by themselves: a window of time opens, is missed, or ends unfinished; a canary's ramp
goes up. By the real clock, with windows of seconds.
"""

import math
import time
import unittest
from datetime import datetime, timezone

from children import SLOWNESS, wait_until
from load import Load, check_phases
from sides import NEW, OLD, PgSides, RedisSides, pass_time

TIME_LIMIT_S = 360


def instant(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def window(opens_in, lasts=3600, **more):
    start = math.ceil(time.time()) + opens_in * SLOWNESS
    return {"type": "time_window", "window_start": instant(start),
            "window_end": instant(start + lasts * SLOWNESS), **more}


def past(moment):
    """Waits for that time of day, as a window has it."""
    at = datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()
    wait_until(lambda: time.time() >= at, at - time.time() + 10, moment)


def wait_for(sidecar, status, what):
    wait_until(lambda: sidecar.must("GET", "/migrations/m")["status"] == status, 20, what)


def reason(sidecar):
    return sidecar.must("GET", "/migrations/m/status")["reason"]


class TimeWindow(RedisSides):
    def setUp(self):
        super().setUp()
        self.one = self.sidecar()

    def start(self, strategy):
        self.one.migrate("m", strategy, "cache", "new")

    def test_it_opens_by_itself_under_load(self):
        self.start(window(4))
        with Load(self.one.ports["cache"]) as load:
            opened = load.change(lambda: wait_for(self.one, "completed", "it is executed"))
        check_phases(self, load, {0: OLD, opened: NEW})
        self.assertTrue(self.one.must("GET", "/migrations/m")["strategy"]["executed"])
        self.assertIn("its window has opened", reason(self.one))
        self.after_kill(self.one, NEW)

    def test_a_kill_before_it_opens_changes_nothing(self):
        opens = window(6)
        self.start(opens)
        self.after_kill(self.one, OLD)
        wait_for(self.one, "completed", "it is executed")
        self.assertGreaterEqual(instant(time.time()), opens["window_start"])
        self.is_on(self.one, NEW)

    def test_one_that_opened_while_the_sidecar_was_down_is_executed_late(self):
        opens = window(3)
        self.start(opens)
        self.one.kill9()
        past(opens["window_start"])
        late = time.time() + 3
        wait_until(lambda: time.time() > late, 10, "it is late")
        self.one.restart()
        wait_for(self.one, "completed", "it is executed")
        self.assertRegex(reason(self.one), r"its window has opened, \d+ s ago")
        self.is_on(self.one, NEW)

    def test_one_that_was_missed_is_taken_back_and_says_so(self):
        opens = window(2, lasts=1)
        self.start(opens)
        self.one.kill9()
        past(opens["window_end"])
        self.one.restart()
        wait_for(self.one, "rolled_back", "it is taken back")
        self.assertIn(f"to {opens['window_end']} was missed", reason(self.one))
        self.after_kill(self.one, OLD)

    def test_what_can_not_be_executed_in_its_window_is_taken_back(self):
        self.start(window(2, lasts=4))
        self.new.kill()
        with Load(self.one.ports["cache"]) as load:
            ended = load.change(lambda: wait_for(self.one, "rolled_back", "it is taken back"))
        check_phases(self, load, {0: OLD, ended: OLD})
        self.assertRegex(reason(self.one), "could not be executed: the test of migration 'm' failed: "
                                           ".*new_reachable")
        self.assertFalse(self.one.must("GET", "/migrations/m")["strategy"]["executed"])

    def test_paused_it_waits(self):
        opens = window(2)
        self.start(opens)
        self.one.must("POST", "/migrations/m/pause")
        past(opens["window_start"])
        self.is_on(self.one, OLD)
        self.one.must("POST", "/migrations/m/resume")
        wait_for(self.one, "completed", "it is executed")
        self.is_on(self.one, NEW)


class Ramp(RedisSides):
    def test_a_kill_does_not_lengthen_what_is_held(self):
        hold_s, kill_after_s = int(8 * SLOWNESS), 5 * SLOWNESS
        one = self.sidecar()
        one.migrate("m", {"type": "canary", "read_percentage": 0.1, "write_mode": {"mode": "dual_write"},
                          "ramp": {"steps": [0.5], "hold_s": hold_s}}, "cache", "new", force=True)
        began = time.monotonic()
        pass_time(kill_after_s)
        one.kill9()
        one.restart()
        # Held anew it would end so late at the earliest.
        limit_s = kill_after_s + hold_s
        wait_until(lambda: one.must("GET", "/migrations/m")["strategy"]["read_percentage"] == 0.5, 60, "it")
        took_s = time.monotonic() - began
        self.assertLess(took_s, limit_s - 1)
        self.assertGreater(took_s, hold_s - 1.5)


class PgTimeWindow(PgSides):
    def test_it_opens_by_itself_under_load_and_stays_after_a_kill(self):
        self.migrate(window(3))
        self.run_spans([(lambda: wait_for(self.sidecar, "completed", "it is executed"), "new")])
        self.after_kill("new")

    def test_one_that_was_missed_is_taken_back(self):
        opens = window(2, lasts=1)
        self.migrate(opens)
        self.sidecar.kill9()
        past(opens["window_end"])
        self.sidecar.restart()
        wait_for(self.sidecar, "rolled_back", "it is taken back")
        self.after_kill("old")


if __name__ == "__main__":
    unittest.main()
