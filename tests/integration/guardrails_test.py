"""What migrations do by themselves as new fails: real servers that die, slow down or tell something else,
short windows, clients under load that see nothing of it, and the journal, which says why.
"""

import unittest

from children import wait_until
from fake_server import FakeServer
from guardrails import DOWN, SHADOW, actions, reasons, told, wait_for
from harness import RedisServer
from load import Load, check_phases
from sides import NEW, OLD, RedisSides, pass_time
from writing import WriteLoad, lost_writes

HALF = {"type": "canary", "read_percentage": 0.5,
        "write_mode": {"mode": "dual_write", "policy": "old_authoritative"}}
SETTINGS = {"connect_timeout_ms": 500}


class Drill(RedisSides):
    def setUp(self):
        super().setUp()
        self.fake = self.enterContext(FakeServer(self.new.port))
        self.one = self.sidecar(loops=2, settings=SETTINGS)
        self.one.add_endpoint("relayed", self.fake.port)

    def start(self, strategy, guardrails, new="new", **members):
        self.one.migrate("m", strategy, "cache", new, force=True, guardrails=guardrails, **members)


class Redis(Drill):
    def under_load(self, cause, status):
        """`cause` happens, and the migration comes to `status` by itself. Clients see no error, and are with
        old from then on."""
        with Load(self.one.ports["cache"], clients=20) as load:
            def failing():
                cause()
                wait_for(self.one, status)
            acted = load.change(failing)
        check_phases(self, load, {acted: OLD})

    def test_new_killed_under_rollback_all(self):
        for strategy in (HALF, SHADOW):
            with self.subTest(strategy["type"]):
                self.start(strategy, DOWN, failure_handling="rollback_all")
                self.under_load(self.new.kill, "rolled_back")
                self.assertTrue(told(self.one, "interlay 'cache': new is down for "), reasons(self.one))
                self.assertTrue(told(self.one, "rolled back: all traffic is on old"))
                self.assertEqual(actions(self.one, "rollback", "new_side_down"), 1)
                self.new.restart()
                self.new.call("SET", "side", "new")
                self.after_kill(self.one, OLD)
                self.one.must("DELETE", "/migrations/m")
                Load.fill(self.new, "new")

    def test_new_killed_under_retry_then_all(self):
        self.start(HALF, DOWN, failure_handling={"type": "retry_then_all", "retry_count": 2})
        self.under_load(self.new.kill, "rolled_back")
        for words in ("retry 1 of 2 in ", "retry 2 of 2 in ", "still so after 2 retries"):
            self.assertTrue(told(self.one, words), reasons(self.one))
        self.assertEqual(actions(self.one, "retry", "new_side_down"), 2)

    def test_a_retry_that_finds_new_well_goes_on(self):
        self.start(HALF, DOWN, new="relayed", failure_handling={"type": "retry_then_all", "retry_count": 9})
        with Load(self.one.ports["cache"], clients=20) as load:
            self.fake.refuse()
            wait_until(lambda: told(self.one, "retry 1 of 9"), 20, "it is tried again")
            self.fake.accept()
            wait_until(lambda: told(self.one, "well again after retry"), 40, "it is well")
            load.settle()
        check_phases(self, load, {})
        self.assertEqual(self.one.must("GET", "/migrations/m")["status"], "running")
        self.assertGreater(load.replies(0).get(NEW, 0), 0)

    def test_new_killed_under_allow_partial(self):
        other = self.enterContext(RedisServer())
        Load.fill(other, "new")
        self.one.add_endpoint("other", other)
        port = self.one.add_interlay("second", "old")
        self.one.create_migration("m", SHADOW, "cache", "new", guardrails=DOWN,
                                  failure_handling="allow_partial")
        self.one.must("POST", "/migrations/m/interlay/second", {"endpoint": "other"})
        self.one.must("POST", "/migrations/m/migrate?force=true")

        def copied(interlay):
            return self.one.metric("crossfade_shadow_eligible_total", interlay=interlay)

        def back():
            self.new.kill()
            wait_until(lambda: told(self.one, "interlay 'cache' goes back to old, the others go on"), 40,
                       "it goes back")
        with Load(self.one.ports["cache"], clients=20) as load, Load(port, clients=5) as others:
            acted = load.change(back)
            before = {name: copied(name) for name in ("cache", "second")}
            wait_until(lambda: copied("second") > before["second"] + 100, 20, "the other goes on")
            load.settle()
            self.assertEqual(copied("cache"), before["cache"])
        check_phases(self, load, {0: OLD, acted: OLD})
        check_phases(self, others, {0: OLD})
        self.assertEqual(actions(self.one, "rollback_interlay", "new_side_down"), 1)
        self.one.kill9()
        self.one.restart()
        migration = self.one.must("GET", "/migrations/m")
        self.assertEqual(migration["status"], "running")
        self.assertEqual([one.get("taken_back", False) for one in migration["interlays"]], [True, False])
        self.new.restart()
        Load.fill(self.new, "new")
        self.new.call("SET", "side", "new")
        self.is_on(self.one, OLD)

    def test_an_error_rate_rolls_back(self):
        self.start(HALF, {"window_s": 2, "min_requests": 50, "error_rate": 0.1, "new_side_down_s": None},
                   new="relayed")
        self.under_load(self.fake.refuse, "rolled_back")
        self.assertTrue(told(self.one, "error rate on new "), reasons(self.one))
        self.assertTrue(told(self.one, ", guardrail 10 %"), reasons(self.one))
        self.after_kill(self.one, OLD)

    def test_a_slow_new_side_crosses_the_ratio_of_p99(self):
        self.fake.become("delay 200")
        self.start(SHADOW, {"window_s": 2, "min_requests": 50, "p99_ratio": 5}, new="relayed")
        self.under_load(lambda: None, "rolled_back")
        self.assertTrue(told(self.one, "p99 on new is "), reasons(self.one))
        self.assertEqual(actions(self.one, "rollback", "p99_ratio"), 1)
        self.after_kill(self.one, OLD)

    def test_mismatches_pause_it_and_routing_stays(self):
        self.start(SHADOW, {"window_s": 2, "min_requests": 50, "mismatch_rate": 0.05, "action": "pause"})
        # Each value of Load's is another one on new.
        self.under_load(lambda: None, "paused")
        self.assertTrue(told(self.one, "confirmed mismatches "), reasons(self.one))
        self.assertTrue(told(self.one, "paused, routing stays as it is"), reasons(self.one))
        copied = self.one.metric("crossfade_shadow_copied_total")
        self.assertEqual(self.reads_from(self.one), OLD)
        wait_until(lambda: self.one.metric("crossfade_shadow_copied_total") > copied, 10, "copies go on")
        self.one.kill9()
        self.one.restart()
        self.assertEqual(self.one.must("GET", "/migrations/m")["status"], "paused")
        self.one.must("POST", "/migrations/m/resume")
        self.under_load(lambda: None, "paused")
        self.assertEqual(actions(self.one, "pause", "mismatch_rate"), 1)

    def test_a_ramp_waits_for_what_guardrails_say(self):
        ramp = {**HALF, "read_percentage": 0.1, "ramp": {"steps": [0.5], "hold_s": 1}}
        self.start(ramp, {"window_s": 2, "min_requests": 200, "error_rate": 0.5})
        with Load(self.one.ports["cache"], clients=20) as load:
            wait_until(lambda: self.one.must("GET", "/migrations/m")["strategy"]["read_percentage"] == 0.5,
                       20, "enough was seen")
        check_phases(self, load, {})


class Writers(Drill):
    """While both sides get writes, and old's outcome is the client's."""

    def go_back_under_writes(self, cause, seed):
        """What was acknowledged until the rollback, while it went on, and behind it is on old."""
        with WriteLoad(self.one.ports["cache"], keys=2000, seed=seed, clients=16) as load:
            pass_time()
            cause()
            wait_for(self.one, "rolled_back")
            pass_time()
            result = load.stop()
        self.assertEqual((result.trouble, result.own_errors), ([], {}), result)
        self.assertEqual((result.lost, result.disorder), (0, 0), result)
        self.assertGreater(result.writes, 1000)
        self.assertEqual(lost_writes(self.old, result.registers), [], result)
        self.assertEqual(self.reads_from(self.one), OLD)

    def test_new_killed(self):
        self.start(HALF, DOWN)
        self.go_back_under_writes(self.new.kill, 1)
        self.assertTrue(told(self.one, "interlay 'cache': new is down for "), reasons(self.one))

    def test_new_killed_under_retry_then_all(self):
        self.start(HALF, DOWN, failure_handling={"type": "retry_then_all", "retry_count": 1})
        self.go_back_under_writes(self.new.kill, 2)
        self.assertTrue(told(self.one, "still so after 1 retries"), reasons(self.one))

    def test_new_refuses_connections(self):
        self.start(HALF, {"window_s": 2, "min_requests": 50, "error_rate": 0.1, "new_side_down_s": None},
                   new="relayed")
        self.go_back_under_writes(self.fake.refuse, 3)
        self.assertTrue(told(self.one, "error rate on new "), reasons(self.one))

    def test_new_is_slow(self):
        self.start(HALF, {"window_s": 2, "min_requests": 50, "p99_ratio": 5}, new="relayed")
        self.go_back_under_writes(lambda: self.fake.become("delay 100"), 4)
        self.assertTrue(told(self.one, "p99 on new is "), reasons(self.one))


if __name__ == "__main__":
    unittest.main()
