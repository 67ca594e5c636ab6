"""Another side is made right: what the former one alone has acknowledged is not copied over unsaid."""

import concurrent.futures
import time
import unittest

from canary_test import canary, cutover
from harness import ApiError, RawConn, wait_until
from ledger import Ledger
from pair import Pair


class RightSide(Pair):
    policy = "old_authoritative"

    def setUp(self):
        super().setUp()
        self.sidecar.migrate("m", canary(0.0, self.policy), "cache", "new")
        self.ledger = Ledger(self.sidecar, "m")
        self.client = self.enterContext(RawConn(self.port))

    def refuse_writes(self, server, refuse=True):
        server.call("CONFIG", "SET", "min-replicas-to-write", 1 if refuse else 0)

    def make_right(self, policy, force=False):
        self.sidecar.must("PATCH", f"/migrations/m?force={'true' if force else 'false'}",
                          {"strategy": canary(0.0, policy)})

    def values(self):
        return [server.call("GET", "n") for server in (self.old, self.new)]


class OldWasRight(RightSide):
    def test_it_is_refused_while_keys_wait_for_repair_and_nothing_acknowledged_is_lost_by_force(self):
        self.client.call("SET", "n", 5)
        self.refuse_writes(self.new)
        self.assertEqual(self.client.call("INCRBY", "n", 10), 15)
        with self.assertRaises(ApiError) as refused:
            self.make_right("new_authoritative")
        self.assertEqual(refused.exception.status, 409)
        self.assertIn("makes new right while the ledger has 1 keys", refused.exception.body["message"])
        self.assertFalse(self.ledger.needs_full_verification)
        self.make_right("new_authoritative", force=True)
        self.assertTrue(self.ledger.needs_full_verification)
        self.refuse_writes(self.new, False)
        self.assertIsInstance(self.client.call("INCR", "n"), int)
        self.ledger.until_empty()
        self.assertEqual(self.values(), [b"16", b"16"])

    def test_no_cutover_leaves_behind_what_new_does_not_have_yet(self):
        self.client.call("SET", "n", 5)
        self.refuse_writes(self.new)
        self.assertEqual(self.client.call("INCRBY", "n", 10), 15)
        for strategy in (cutover(1.0, 1.0), {"type": "blue_green", "active_is_new": True}):
            status, answer = self.sidecar.api("PATCH", "/migrations/m", {"strategy": strategy})
            self.assertEqual(status, 409, strategy)
            self.assertIn("lets new answer while the ledger has 1 keys", answer["message"])
        self.assertEqual(self.client.call("GET", "n"), b"15")
        self.refuse_writes(self.new, False)
        self.ledger.until_empty()
        self.sidecar.must("PATCH", "/migrations/m", {"strategy": cutover(1.0, 1.0)})
        self.assertEqual(self.client.call("GET", "n"), b"15")
        self.sidecar.must("POST", "/migrations/m/complete")

    def test_new_does_not_begin_as_right_behind_a_rollback(self):
        self.client.call("SET", "n", 5)
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.client.call("SET", "n", 6)
        self.sidecar.must("PATCH", "/migrations/m", {"strategy": canary(0.0, "new_authoritative")})
        tested = self.sidecar.must("POST", "/migrations/m/test")
        self.assertFalse(tested["valid"])
        self.assertIn("right_side", [check["name"] for check in tested["checks"] if not check["ok"]])
        self.assertEqual(self.sidecar.api("POST", "/migrations/m/migrate")[0], 409)
        self.assertEqual(self.client.call("GET", "n"), b"6")
        self.assertEqual(self.old.call("GET", "n"), b"6")

    def test_it_is_not_refused_when_repair_has_settled_them(self):
        self.refuse_writes(self.new)
        self.client.call("INCRBY", "n", 10)
        self.refuse_writes(self.new, False)
        self.ledger.until_empty()
        self.make_right("new_authoritative")
        self.assertEqual(self.client.call("INCR", "n"), 11)
        self.assertEqual(self.values(), [b"11", b"11"])
        self.assertFalse(self.ledger.needs_full_verification)


class BestEffort(RightSide):
    policy = "best_effort"

    def test_writes_that_each_side_has_alone_are_not_lost_unsaid(self):
        for server in (self.old, self.new):
            server.call("ACL", "SETUSER", "default", "-dump")  # a repair must not come between
        self.refuse_writes(self.old)
        self.assertEqual(self.client.call("INCR", "n"), 1)
        self.refuse_writes(self.old, False)
        self.refuse_writes(self.new)
        self.assertEqual(self.client.call("INCR", "n"), 1)
        self.assertIn("a key of the ledger had writes that one side alone has", self.ledger.reasons()[0])

    def test_what_old_did_not_answer_is_not_counted_as_certain(self):
        self.sidecar.must("PATCH", "/interlays/cache", {"settings": {"answer_timeout_ms": 300}})
        self.assertEqual(self.client.call("SET", "n", 1), "OK")
        self.old.sigstop()
        self.assertEqual(self.client.call("SET", "n", 2), "OK")  # its connection to old ends by that
        for value in range(4):
            with RawConn(self.port) as client:  # that never has one
                self.assertEqual(client.call("SET", "n", value), "OK")
        self.old.kill()
        told = self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertEqual((told["new_only_writes"], told["new_only_writes_exact"]), (5, False))

    def test_behind_a_rollback_repair_brings_nothing_back_that_old_has_overwritten(self):
        self.refuse_writes(self.old)
        self.assertEqual(self.client.call("SET", "n", 2), "OK")  # by new
        self.assertEqual([entry["right"] for entry in self.ledger.entries()], ["new"])
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.refuse_writes(self.old, False)
        self.assertEqual(self.client.call("SET", "n", 3), "OK")
        self.sidecar.must("POST", "/migrations/m/migrate")
        self.ledger.until_empty()
        self.assertEqual(self.values(), [b"3", b"3"])


class WrittenOnNewAlone(Pair):
    """Then old is to write as well: what it lacks is not lost, nor is anybody told that it is not there."""

    def setUp(self):
        super().setUp()
        self.sidecar.migrate("m", cutover(1.0, 1.0), "cache", "new")
        self.ledger = Ledger(self.sidecar, "m")
        self.client = self.enterContext(RawConn(self.port))
        self.client.call("SET", "only", "new has it")

    def test_who_takes_keys_back_is_told_how_many_writes_they_lack(self):
        for i in range(20):
            self.client.call("SET", f"k{i}", i)
        told = self.sidecar.patch("m", {"type": "blue_green", "active_is_new": True})
        self.assertNotIn("new_only_writes", told)
        told = self.sidecar.patch("m", cutover(0.2, 0.2))
        self.assertEqual((told["new_only_writes"], told["new_only_writes_exact"]), (21, True))
        line = self.sidecar.must("GET", "/migrations/m/events")[-1]["reason"]
        self.assertIn("some of the traffic goes back to old: at least 21 writes went to new only", line)

    def test_old_is_right_only_when_it_was_brought_what_it_lacks(self):
        status, answer = self.sidecar.api("PATCH", "/migrations/m",
                                          {"strategy": canary(1.0, "old_authoritative")})
        self.assertEqual(status, 409)
        self.assertIn("1 writes went to new alone, and old would be asked", answer["message"])
        self.assertEqual(self.client.call("GET", "only"), b"new has it")
        self.sidecar.patch("m", canary(0.0, "new_authoritative"))
        self.assertEqual(self.client.call("GET", "only"), b"new has it")  # though reads go to old
        self.assertTrue(self.ledger.needs_full_verification)
        self.assertEqual(self.sidecar.api("PATCH", "/migrations/m",
                                          {"strategy": canary(0.0, "old_authoritative")})[0], 409)
        self.sidecar.must("POST", "/migrations/m/verify")
        wait_until(lambda: not self.ledger.needs_full_verification, 10, "it is verified")
        self.ledger.until_empty()
        self.sidecar.patch("m", canary(0.0, "old_authoritative"))
        self.assertEqual(self.old.call("GET", "only"), b"new has it")
        self.assertEqual(self.client.call("GET", "only"), b"new has it")


class NewWasRight(RightSide):
    policy = "new_authoritative"

    def test_behind_a_kill_it_may_go_on_to_the_end(self):
        self.assertEqual(self.client.call("SET", "n", 1), "OK")
        self.sidecar.kill9()
        self.sidecar.restart()
        self.assertTrue(self.ledger.needs_full_verification)
        self.sidecar.patch("m", cutover(1.0, 1.0))
        self.sidecar.must("POST", "/migrations/m/complete")
        self.assertEqual(self.new.call("GET", "n"), b"1")


KEYS = 200


def verify(sidecar, path="/verify"):
    """Once, whatever comes of it: `verification` of the status, when it has ended."""
    def verification():
        return sidecar.must("GET", "/migrations/m/status")["verification"]
    sidecar.must("POST", f"/migrations/m{path}")
    wait_until(lambda: verification()["state"] != "running", 60, "the verification ends")
    return verification()


class OneLostItsData(RightSide):
    """The side that is right is started again and has kept nothing: the other one has the only copy."""

    def fill(self, policy):
        self.policy = policy
        self.sidecar.patch("m", canary(0.0, policy))
        for number in range(KEYS):
            self.assertEqual(self.client.call("SET", f"k{number}", number), "OK")

    def start_empty(self, server):
        server.kill()
        server.restart()
        wait_until(lambda: self.ledger.needs_full_verification, 30, "the restart is noticed")
        self.assertEqual(server.call("DBSIZE"), 0)

    def refused(self, method, path, body=None):
        status, answer = self.sidecar.api(method, f"/migrations/m{path}", body)
        self.assertEqual(status, 409, answer)
        return answer["message"]

    def verified(self, path="/verify"):
        verification = verify(self.sidecar, path)
        self.assertEqual(verification["state"], "complete", verification)
        self.ledger.until_empty()
        self.assertFalse(self.ledger.needs_full_verification)
        return verification

    def test_old_and_what_new_has_is_copied_back(self):
        self.fill("old_authoritative")
        self.start_empty(self.old)
        said = self.refused("POST", "/verify")
        for words in ("old endpoint 'old' was started again", f"'old' has 0 keys, endpoint 'new' {KEYS}",
                      "deleted on new", "make new right first", "?force=true"):
            self.assertIn(words, said)
        self.assertEqual(self.new.call("DBSIZE"), KEYS)
        self.make_right("new_authoritative")  # it lacks nothing: not by force
        self.assertEqual(self.verified()["keys_only_on_new"], KEYS)
        self.assertEqual([server.call("DBSIZE") for server in (self.old, self.new)], [KEYS, KEYS])

    def test_new_and_nothing_goes_on_to_it_alone(self):
        self.fill("new_authoritative")
        self.start_empty(self.new)
        self.assertIn("make old right first", self.refused("POST", "/verify"))
        said = self.refused("PATCH", "", {"strategy": cutover(1.0, 1.0)})
        self.assertIn("though new endpoint 'new' was started again", said)
        self.assertIn("make that one right (policy), or roll back", said)
        self.assertEqual(self.old.call("DBSIZE"), KEYS)
        self.make_right("old_authoritative")
        self.assertEqual(self.verified()["keys_only_on_old"], KEYS)
        self.assertEqual([server.call("DBSIZE") for server in (self.old, self.new)], [KEYS, KEYS])

    def test_a_rollback_says_what_old_has_lost(self):
        self.fill("old_authoritative")
        self.start_empty(self.old)
        said = self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertIn("no write went to new only; but old endpoint 'old' was started again", said["message"])
        self.assertIn("and may be on new", said["message"])

    def test_guardrails_do_not_go_back_to_old(self):
        self.fill("new_authoritative")
        self.sidecar.must("PATCH", "/migrations/m", {"guardrails": {"new_side_down_s": 1}})
        self.start_empty(self.old)
        self.new.kill()

        def says_why():
            with RawConn(self.port) as client:
                client.call("SET", "asks", "new")  # a new that nobody asks is not judged
            events = self.sidecar.must("GET", "/migrations/m/events")
            return "not rolled back, as old endpoint 'old' was started again" in events[-1]["reason"]
        wait_until(says_why, 60, "it says why not")
        self.assertEqual(self.sidecar.must("GET", "/migrations/m/status")["status"], "running")

    def test_where_neither_side_has_all_nobody_is_sent_in_a_circle(self):
        self.fill("new_authoritative")
        self.start_empty(self.new)
        self.sidecar.kill9()
        self.sidecar.restart()
        self.assertIn("make old right first", self.refused("POST", "/verify"))
        said = self.refused("PATCH", "", {"strategy": canary(0.0, "old_authoritative")})
        self.assertIn("neither side is known to have all: new endpoint 'new' was started again", said)
        self.assertNotIn("verify it", said)
        self.make_right("old_authoritative", force=True)
        self.assertEqual(self.verified()["keys_only_on_old"], KEYS)

    def test_by_force_they_go_and_the_journal_says_how_many(self):
        self.fill("old_authoritative")
        self.start_empty(self.old)
        self.verified("/verify?force=true")
        self.assertEqual(self.new.call("DBSIZE"), 0)
        events = self.sidecar.must("GET", "/migrations/m/events")
        self.assertIn(f"{KEYS} of them are on new only, and are deleted there, as old is right",
                      events[-1]["reason"])


class NewWasNeverFilled(Pair):
    """What old alone was given is not deleted there for the lack of it on new."""

    def test_it_is_not_made_right(self):
        self.sidecar.migrate("m", {"type": "blue_green", "active_is_new": False}, "cache", "new")
        with RawConn(self.port) as client:
            for number in range(KEYS):
                self.assertEqual(client.call("SET", f"k{number}", number), "OK")
        right = canary(0.0, "new_authoritative")
        status, answer = self.sidecar.api("PATCH", "/migrations/m", {"strategy": right})
        self.assertEqual(status, 409, answer)
        self.assertIn("makes new right while it lacks what old alone was given", answer["message"])
        self.sidecar.patch("m", right, force=True)
        status, answer = self.sidecar.api("POST", "/migrations/m/verify")
        self.assertEqual(status, 409, answer)
        self.assertIn(f"endpoint 'new' has 0 keys, endpoint 'old' {KEYS}", answer["message"])
        self.sidecar.patch("m", canary(0.0, "old_authoritative"), force=True)
        ledger = Ledger(self.sidecar, "m")
        ledger.verify()
        ledger.until_empty()
        self.assertEqual([server.call("DBSIZE") for server in (self.old, self.new)], [KEYS, KEYS])


class OldHadDataBefore(Pair):
    """Dual writes bring what is written, and nothing of what was there before them."""

    FEWER = f"endpoint 'new' has 1 keys, endpoint 'old' {KEYS + 1}"

    def setUp(self):
        super().setUp()
        self.client = self.enterContext(RawConn(self.port))
        for number in range(KEYS):
            self.assertEqual(self.client.call("SET", f"k{number}", number), "OK")

    def test_no_step_leaves_it_behind_and_a_verification_brings_it(self):
        self.sidecar.migrate("m", canary(0.0, "old_authoritative"), "cache", "new")
        self.assertEqual(self.client.call("SET", "written", "to both"), "OK")
        steps = (canary(0.0, "new_authoritative"), cutover(1.0, 1.0), cutover(0.1, 0.1),
                 {"type": "blue_green", "active_is_new": True})
        self.no_step(steps)
        self.sidecar.patch("m", cutover(0.0, 0.0))  # nobody is answered by new
        self.no_step((cutover(1.0, 1.0),))
        self.sidecar.patch("m", canary(0.0, "old_authoritative"))
        self.sidecar.must("POST", "/migrations/m/verify")
        ledger = Ledger(self.sidecar, "m")
        wait_until(lambda: self.new.call("DBSIZE") == KEYS + 1, 30, "new has what old has")
        ledger.until_empty()
        for strategy in steps[:2]:
            self.sidecar.patch("m", strategy)
        self.assertEqual(self.client.call("GET", "k7"), b"7")
        self.sidecar.must("POST", "/migrations/m/complete")

    def test_what_new_has_of_its_own_is_no_reason_to_delete_what_old_has(self):
        for number in range(KEYS + 300):
            self.new.call("SET", f"stale{number}", number)
        self.sidecar.migrate("m", canary(0.0, "old_authoritative"), "cache", "new")
        status, answer = self.sidecar.api("POST", "/migrations/m/verify")
        self.assertEqual(status, 409, answer)
        self.assertIn("(strategy.write_mode.policy, by force)", answer["message"])
        right = canary(0.0, "new_authoritative")
        status, answer = self.sidecar.api("PATCH", "/migrations/m", {"strategy": right})
        self.assertEqual(status, 409, answer)
        self.assertIn(f"'old' has {KEYS} keys, endpoint 'new' {KEYS + 300}", answer["message"])
        self.sidecar.patch("m", right, force=True)
        self.spared()
        self.sidecar.patch("m", canary(0.0, "old_authoritative"), force=True)
        self.sidecar.must("POST", "/migrations/m/verify?force=true")
        wait_until(lambda: self.new.call("DBSIZE") == KEYS, 30, "new has what old has")
        self.assertEqual(self.client.call("GET", "k7"), b"7")

    def test_as_many_others_are_no_reason_either(self):
        for number in range(KEYS):
            self.new.call("SET", f"stale{number}", number)
        self.sidecar.migrate("m", canary(0.0, "old_authoritative"), "cache", "new")
        self.sidecar.patch("m", canary(0.0, "new_authoritative"))
        self.spared()

    def spared(self):
        verification = verify(self.sidecar)
        self.assertEqual(verification["state"], "incomplete", verification)
        self.assertIn(f"{KEYS} keys are on old only, and would be deleted there", verification["why"])
        self.assertEqual(self.old.call("DBSIZE"), KEYS)

    def no_step(self, steps):
        for strategy in steps:
            status, answer = self.sidecar.api("PATCH", "/migrations/m", {"strategy": strategy})
            self.assertEqual(status, 409, answer)
            for words in (self.FEWER, "Verify the migration while old is right", "?force=true"):
                self.assertIn(words, answer["message"])

    def test_nor_between_two_calls(self):
        right = {"strategy": canary(0.0, "new_authoritative")}
        takes_s = 0.01
        for turn in range(40):
            self.sidecar.create_migration("m", canary(0.0, "old_authoritative"), "cache", "new")
            began = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(1) as beside:
                migrated = beside.submit(self.sidecar.api, "POST", "/migrations/m/migrate")
                while time.monotonic() - began < takes_s * (turn % 20) / 20:
                    pass  # so that each moment of the other one is met
                patched = self.sidecar.api("PATCH", "/migrations/m", right)
                answers = [migrated.result(), patched]
            if answers[0][0] == 200:
                takes_s = time.monotonic() - began
            # Either may come first: then `migrate` is refused, or the PATCH.
            self.assertIn(409, [status for status, _ in answers], answers)
            self.sidecar.api("POST", "/migrations/m/rollback")  # unless it was `migrate` that came second
            self.sidecar.must("DELETE", "/migrations/m")

    def test_nor_a_new_that_is_not_there(self):
        self.sidecar.migrate("m", canary(0.0, "old_authoritative"), "cache", "new")
        right = {"strategy": canary(0.0, "new_authoritative")}
        self.new.kill()
        status, answer = self.sidecar.api("PATCH", "/migrations/m", right)
        self.assertEqual(status, 409, answer)
        self.assertIn("New would take over, which is not there: ", answer["message"])
        self.sidecar.patch("m", right["strategy"], force=True)

    def test_by_force_it_is_said_to_the_end(self):
        self.sidecar.migrate("m", canary(0.0, "old_authoritative"), "cache", "new")
        ledger = Ledger(self.sidecar, "m")
        self.assertEqual(self.client.call("SET", "written", "to both"), "OK")
        self.sidecar.patch("m", canary(0.0, "new_authoritative"), force=True)
        said = "new took over by force, and does without what old has: " + self.FEWER
        self.assertIn(said, ledger.reasons())
        self.sidecar.patch("m", canary(0.0, "old_authoritative"))  # it lacks nothing
        self.sidecar.patch("m", cutover(1.0, 1.0), force=True)
        status, answer = self.sidecar.api("POST", "/migrations/m/complete")
        self.assertEqual(status, 409, answer)
        self.assertIn("any key may lack writes on new that old has", answer["message"])
        self.sidecar.must("POST", "/migrations/m/complete?force=true")

    def test_nor_with_the_last_api(self):
        self.sidecar.must("POST", "/templates",
                          {"id": "users", "endpoint": "old", "query": "GET user:{{id}}"})
        self.sidecar.must("POST", "/apis", {"id": "users", "bindings": [{"template": "users"}]})
        self.sidecar.create_migration("m", cutover(1.0, 1.0), "cache", "new")
        self.sidecar.must("POST", "/migrations/m/api/users", {"bindings": [{"template": "users"}]})
        self.sidecar.must("POST", "/migrations/m/migrate")
        self.assertEqual(self.client.call("SET", "user:1", "new has it"), "OK")
        status, answer = self.sidecar.api("DELETE", "/migrations/m/api")
        self.assertEqual(status, 409, answer)
        self.assertIn(f"in no api: endpoint 'new' has 1 keys, endpoint 'old' {KEYS}", answer["message"])
        self.assertEqual(self.client.call("GET", "k7"), b"7")
        self.new.kill()
        status, answer = self.sidecar.api("DELETE", "/migrations/m/api")
        self.assertEqual(status, 409, answer)
        self.assertIn("Everything would be sent to new, which is not there: ", answer["message"])
        self.new.restart()
        self.sidecar.must("DELETE", "/migrations/m/api?force=true")
        self.assertIsNone(self.client.call("GET", "k7"))

    def test_new_is_not_right_from_the_start(self):
        self.assertEqual(self.new.call("SET", "of", "its own"), "OK")
        self.old.call("SET", "one", "more")
        self.sidecar.create_migration("m", canary(0.0, "new_authoritative"), "cache", "new")
        tested = self.sidecar.must("POST", "/migrations/m/test")
        [check] = [check for check in tested["checks"] if not check["ok"]]
        self.assertEqual(check["name"], "right_side")
        self.assertIn(self.FEWER, check["detail"])
        self.assertIn("Start it with the policy old_authoritative, verify it", check["detail"])
        self.assertEqual(self.sidecar.api("POST", "/migrations/m/migrate")[0], 409)
        self.sidecar.must("POST", "/migrations/m/migrate?force=true")


if __name__ == "__main__":
    unittest.main()
