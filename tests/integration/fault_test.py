"""Faults at random moments, under the write load: the new side is killed, stalled, slowed, filled, cut off,
and the sidecar killed with -9. No acknowledged write is missing on old; every key that ever differed was
in the ledger, or the migration said that everything needs verification; in the end both sides are equal.

The schedule comes from a seed, which is printed; CROSSFADE_SEED=… makes the same schedule again.
CROSSFADE_FAULTS=… gives each run more faults than one of each kind.
"""

import os
import random
import shutil
import time
import unittest
from dataclasses import dataclass

from equality import assert_equal, by_db, compare, report
from harness import SLOWNESS, RedisServer, Sidecar, wait_until
from ledger import Ledger
from writing import WriteLoad, lost_writes

BESIDE = 1
TIME_LIMIT_S = 300

SEED = int(os.environ.get("CROSSFADE_SEED", "1"))
KEYS = 1500           # few enough to be compared often, many enough for several in flight at once
REPAIR_S = 60         # for what a run has put into the ledger
ANSWERED_S = 8        # after which what was in flight when the load paused is answered or given up
SLEEP_S = 0.05        # a slow server's pause before whatever comes next
FAULTS = int(os.environ.get("CROSSFADE_FAULTS") or 0)  # of one run; 0: one of each kind
NOTICED_S = 5         # until the restart of a server is

# What may go wrong on the new side alone, and what with the sidecar.
NEW_SIDE = ("killed", "stalled", "slowed", "full", "cut")
SIDECAR = ("sidecar_killed", "sidecar_killed_while_new_stalls")


@dataclass
class Fault:
    kind: str
    after_s: float    # of undisturbed load before it
    lasts_s: float

    def __str__(self):
        return f"{self.kind} after {self.after_s:.2f} s for {self.lasts_s:.2f} s"


def schedule(kinds, count, seed):
    """`count` faults (0: as many as there are kinds), each kind at least once where that is possible."""
    dice = random.Random(seed)
    count = count or len(kinds)
    chosen = list(kinds) * (count // len(kinds))
    chosen += dice.sample(list(kinds), count - len(chosen))
    dice.shuffle(chosen)
    return [Fault(kind, dice.uniform(0.2, 0.6), dice.uniform(0.1, 1.0)) for kind in chosen]


def let_pass(seconds):
    """The load works on meanwhile."""
    over = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > over, seconds + 5, "time passes")


class Faulty(unittest.TestCase):
    def start(self, loops=2, policy="old_authoritative"):
        self.old = self.enterContext(RedisServer())
        # What it has acknowledged it still has after a kill.
        self.new = self.enterContext(RedisServer(appendonly="yes", appendfsync="always"))
        self.sidecar = self.enterContext(Sidecar(loops=loops))
        self.sidecar.add_endpoint("old", self.old)
        self.sidecar.add_endpoint("new", self.new)
        self.port = self.sidecar.add_interlay("cache", "old", settings={
            "connect_timeout_ms": 300, "second_leg_timeout_ms": 300})
        self.sidecar.migrate("m", {
            "type": "canary", "read_percentage": 0.0,
            "write_mode": {"mode": "dual_write", "policy": policy}}, "cache", "new")
        self.ledger = Ledger(self.sidecar, "m")
        self.looks = {"equal": 0, "in the ledger": 0, "needs verification": 0}

    # Faults: each returns when all is well again.

    def restart_new(self):
        """Whether it has kept everything is not for the sidecar to guess."""
        self.new.restart()
        wait_until(lambda: self.ledger.needs_full_verification, NOTICED_S, "the restart is noticed")

    def killed(self, lasts_s):
        self.new.kill()
        let_pass(lasts_s)
        self.restart_new()

    def killed_and_emptied(self, lasts_s):
        self.new.kill()
        shutil.rmtree(os.path.join(self.new.folder, "appendonlydir"))
        let_pass(lasts_s)
        self.restart_new()

    def stalled(self, lasts_s):
        self.new.sigstop()
        let_pass(lasts_s)
        self.new.sigcont()

    def slowed(self, lasts_s):
        over = time.monotonic() + lasts_s
        wait_until(lambda: self.new.call("DEBUG", "SLEEP", SLEEP_S) and time.monotonic() > over,
                   lasts_s + 10, "slow for long enough")

    def full(self, lasts_s):
        self.new.call("CONFIG", "SET", "maxmemory", 1)
        let_pass(lasts_s)
        self.new.call("CONFIG", "SET", "maxmemory", 0)

    def cut(self, lasts_s):
        over = time.monotonic() + lasts_s
        wait_until(lambda: self.new.call("CLIENT", "KILL", "TYPE", "normal") is not None
                   and time.monotonic() > over, lasts_s + 10, "cut for long enough")

    def sidecar_killed(self, lasts_s):
        self.sidecar.kill9()
        let_pass(lasts_s / 4)
        self.sidecar.restart()
        self.assertTrue(self.ledger.needs_full_verification,
                        "keys that were in flight are unknown, and the migration does not say so")

    def sidecar_killed_while_new_stalls(self, lasts_s):
        """What the dead sidecar had sent, new runs after what the next one writes."""
        self.new.sigstop()
        let_pass(0.1)
        self.sidecar_killed(lasts_s)
        let_pass(lasts_s / 2)
        self.new.sigcont()

    # What is true throughout

    def look(self):
        """The load stands still: a key that differs is in the ledger, or everything is to be verified. Then
        it is, so that the next look tells something."""
        def escaped():
            first = compare(self.old, self.new)
            if self.ledger.needs_full_verification:
                return "needs verification", []
            known = self.ledger.keys()
            again = compare(self.old, self.new, keys=by_db(first))
            left = [one for one in again if one.key not in known.get(one.db, ())]
            return ("in the ledger" if again else "equal"), left

        verdict = ("", [])

        def none_escapes():
            nonlocal verdict
            verdict = escaped()
            return not verdict[1]
        self.load.pause()
        try:
            wait_until(none_escapes, ANSWERED_S, "what was in flight is answered")
        except TimeoutError:
            self.fail(f"not in the ledger, and no verification asked for: {report(verdict[1])}")
        else:
            if verdict[0] == "needs verification":
                self.ledger.verify(REPAIR_S)
        finally:
            self.load.go_on()
        self.looks[verdict[0]] += 1

    def run_faults(self, faults, seed, look_after_each=True):
        print(f"\n{self.id().rpartition('.')[2]}, CROSSFADE_SEED={SEED}: {', '.join(map(str, faults))}")
        with WriteLoad(self.port, keys=KEYS, seed=seed, reconnect=True, named_keys=True) as self.load:
            for fault in faults:
                let_pass(fault.after_s)
                getattr(self, fault.kind)(fault.lasts_s)
                self.assertTrue(self.load.alive(), f"after {fault}")
                self.assertTrue(self.sidecar.alive(), f"after {fault}")
                if look_after_each:
                    with self.subTest(f"a look after {fault}"):
                        self.look()
            let_pass(0.5)
            self.result = self.load.stop()
        print(f"    {self.result}\n    looks {self.looks}, noted "
              f"{self.ledger.noted():.0f}, in the ledger at the end {self.ledger.total}")
        self.assertEqual(self.result.trouble, [])
        self.assertEqual(lost_writes(self.old, self.result.registers), [],
                         "acknowledged writes that old does not have")

    def becomes_equal(self):
        """By repair alone, or by the verification that the migration asks for."""
        if self.ledger.needs_full_verification:
            # Functions are not repaired: a verification asks for this.
            self.new.call("FUNCTION", "RESTORE", self.old.call("FUNCTION", "DUMP"), "FLUSH")
            self.ledger.verify(REPAIR_S)
        self.ledger.until_empty(REPAIR_S)
        assert_equal(self, self.old, self.new)
        self.assertEqual(lost_writes(self.old, self.result.registers), [], "after repair")

    def nobody_noticed(self):
        self.assertEqual(self.result.lost, 0)
        self.assertEqual(self.result.own_errors, {})


class NewSide(Faulty):
    @unittest.skipIf(SLOWNESS > 1, "sanitizers see all of it in Killed.test_everything_at_random")
    def test_whatever_befalls_it_clients_feel_nothing_and_repair_mends_it(self):
        self.start()
        self.run_faults(schedule(NEW_SIDE, FAULTS, SEED), SEED)
        self.nobody_noticed()
        self.assertGreater(self.ledger.noted(), 0)
        self.becomes_equal()

    def test_it_comes_back_empty(self):
        """Nobody tells the sidecar. It finds out, or says that it cannot know."""
        self.start()
        self.run_faults(schedule(("killed_and_emptied",), 1, SEED), SEED, look_after_each=False)
        self.nobody_noticed()
        self.becomes_equal()

    @unittest.skipIf(SLOWNESS > 1, "sanitizers see it dead in sick_side_test")
    def test_it_is_dead_for_the_rest_of_the_run(self):
        """All that is written meanwhile is in the ledger, or the ledger says that it is full."""
        self.start()
        with WriteLoad(self.port, keys=KEYS, seed=SEED, named_keys=True) as self.load:
            let_pass(0.5)
            self.new.kill()
            let_pass(2)
            self.result = self.load.stop()
        print(f"\nnew is dead: {self.result}, {self.ledger.total} in the ledger")
        self.assertEqual(self.result.trouble, [])
        self.nobody_noticed()
        self.assertTrue(self.ledger.total > 100 or self.ledger.needs_full_verification)
        self.restart_new()
        self.becomes_equal()


class Killed(Faulty):
    def test_after_kill_9_the_migration_asks_for_verification_which_mends_it(self):
        """Under load, too."""
        self.start()
        with WriteLoad(self.port, keys=KEYS, seed=SEED, named_keys=True, reconnect=True) as load:
            let_pass(0.5)
            self.sidecar_killed(0.4)
            self.ledger.verify(REPAIR_S)
            self.result = load.stop()
        self.assertEqual(lost_writes(self.old, self.result.registers), [])
        self.becomes_equal()

    def test_everything_at_random(self):
        self.start()
        self.run_faults(schedule(NEW_SIDE + SIDECAR, FAULTS, SEED), SEED)
        self.becomes_equal()

    def test_what_was_in_the_ledger_survives(self):
        """new is down when the sidecar is killed: entries from before are still there."""
        self.start()
        self.new.kill()
        with WriteLoad(self.port, keys=KEYS, seed=SEED, named_keys=True, reconnect=True) as self.load:
            wait_until(lambda: self.ledger.total > 50, 10, "entries")
            self.result = self.load.stop()
        # Every write is answered, so its entry is on disk; those of writes under way are shown before.
        before = self.ledger.keys()
        self.sidecar.kill9()
        self.sidecar.restart()
        after = self.ledger.keys()
        for db, keys in before.items():
            self.assertLessEqual(keys, after.get(db, set()))
        self.assertEqual(lost_writes(self.old, self.result.registers), [])
        self.restart_new()
        self.becomes_equal()

    def test_an_end_in_order_leaves_nothing_unknown(self):
        """SIGTERM: what was in flight is answered, and no verification is asked for."""
        self.start()
        with WriteLoad(self.port, keys=KEYS, seed=SEED, named_keys=True, reconnect=True) as self.load:
            let_pass(0.5)
            self.assertEqual(self.sidecar.terminate(), 0)
            self.sidecar.restart()
            let_pass(0.5)
            self.result = self.load.stop()
        self.assertEqual(self.result.trouble, [])
        self.assertFalse(self.ledger.needs_full_verification)
        self.becomes_equal()


class Schedule(unittest.TestCase):
    def test_a_seed_reproduces_it(self):
        kinds = NEW_SIDE + SIDECAR
        for seed in (1, 2, SEED):
            first, again = (schedule(kinds, len(kinds) + 3, seed) for _ in range(2))
            self.assertEqual(first, again)
            self.assertEqual({fault.kind for fault in first}, set(kinds))
        self.assertNotEqual(schedule(NEW_SIDE, 0, 1), schedule(NEW_SIDE, 0, 2))


if __name__ == "__main__":
    unittest.main()
