"""Each status of a migration, and each verb through REST: what may follow is the table of
control/lifecycle.h, and all else is refused in the mission's words and changes nothing. Also calls that race.
"""

import contextlib
import shutil
import sqlite3
import unittest

from harness import RedisServer, Sidecar, wait_until
from load import at_once

# status -> what each verb makes of it; what is missing is refused.
MOVES = {
    "pending": {"cancel": "rolled_back"},
    "ready": {"cancel": "rolled_back", "migrate": "running"},
    "running": {"pause": "paused", "complete": "completed", "rollback": "rolled_back",
                "cancel": "rolled_back"},
    "paused": {"resume": "running", "rollback": "rolled_back", "cancel": "rolled_back"},
    "completed": {"rollback": "rolled_back"},
    "failed": {"migrate": "running", "rollback": "rolled_back", "cancel": "rolled_back"},
    "rolled_back": {"migrate": "running"},
}
# Whither each verb would go, as refusals have it.
TITLES = {"migrate": "Running", "pause": "Paused", "resume": "Running", "complete": "Completed",
          "rollback": "RollingBack", "cancel": "RolledBack"}
STATUS_TITLES = {"pending": "Pending", "ready": "Ready", "running": "Running", "paused": "Paused",
                 "completed": "Completed", "failed": "Failed", "rolled_back": "RolledBack"}
ALL_NEW = {"type": "blue_green", "active_is_new": True}


class WithServers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.old = cls.enterClassContext(RedisServer())
        cls.new = cls.enterClassContext(RedisServer(save="3600 1"))

    def begin(self):
        sidecar = self.enterContext(Sidecar())
        sidecar.add_endpoint("old", self.old)
        sidecar.add_endpoint("new", self.new)
        sidecar.add_interlay("cache", "old")
        return sidecar

    def call(self, sidecar, verb, query=""):
        return sidecar.api("POST", f"/migrations/m/{verb}{query}")

    def status(self, sidecar):
        return sidecar.must("GET", "/migrations/m")["status"]


class Table(WithServers):
    def bring_to(self, sidecar, status):
        sidecar.must("POST", "/migrations", {"id": "m", "strategy": ALL_NEW})
        if status == "pending":
            return
        sidecar.must("POST", "/migrations/m/interlay/cache", {"endpoint": "new"})
        if status == "failed":  # which no call brings about
            sidecar.kill9()
            with contextlib.closing(sqlite3.connect(sidecar.state)) as store, store:
                changed = store.execute("update documents set body = json_set(body, '$.status', 'failed') "
                                        "where kind = 'migration'").rowcount
            self.assertEqual(changed, 1)
            sidecar.restart()
        verbs = {"running": ["migrate"], "paused": ["migrate", "pause"], "completed": ["migrate", "complete"],
                 "rolled_back": ["migrate", "rollback"]}
        for verb in verbs.get(status, []):
            self.assertLess(self.call(sidecar, verb)[0], 300)
        self.assertEqual(self.status(sidecar), status)

    def test_each_verb_in_each_status(self):
        for status, moves in MOVES.items():
            sidecar = None
            for verb in sorted(TITLES, key=lambda verb: verb in moves):  # refusals change nothing
                with self.subTest(status=status, verb=verb):
                    if sidecar is None:
                        sidecar = self.begin()
                        self.bring_to(sidecar, status)
                    if verb not in moves:
                        self.is_refused(sidecar, verb, status)
                        continue
                    code, body = self.call(sidecar, verb)
                    self.assertEqual((code, self.status(sidecar)), (200, moves[verb]), body)
                    sidecar.terminate()
                    sidecar = None

    def is_refused(self, sidecar, verb, status):
        events = sidecar.must("GET", "/migrations/m/events")
        code, body = self.call(sidecar, verb)
        words = f"Cannot set {TITLES[verb]} migration in status: {STATUS_TITLES[status]}"
        self.assertEqual((code, body["error"], body["message"]), (409, "Migration error", words))
        self.assertEqual(self.status(sidecar), status)
        self.assertEqual(sidecar.must("GET", "/migrations/m/events"), events)


class Refusing(WithServers):
    def refused(self, server):
        """What the test says of it as new, which `migrate` says, too."""
        sidecar = self.begin()
        sidecar.add_endpoint("bad", server)
        sidecar.create_migration("m", ALL_NEW, "cache", "bad")
        [failed] = [check for check in sidecar.must("POST", "/migrations/m/test")["checks"]
                    if not check["ok"] and check["name"] == "new_role"]
        status, body = self.call(sidecar, "migrate")[:2]
        self.assertEqual(status, 409)
        self.assertIn(failed["detail"], body["message"])
        self.assertEqual(server.call("DBSIZE"), 0)
        return failed["detail"]

    def test_a_new_side_that_refuses_every_write_is_not_valid(self):
        with self.subTest("its last save failed"):
            server = self.enterContext(RedisServer(save="900 1"))
            shutil.rmtree(server.folder)
            server.call("BGSAVE")
            wait_until(lambda: server.info("persistence")["rdb_last_bgsave_status"] == "err", 20,
                       "that its save fails")
            self.assertIn("new refuses every write: MISCONF", self.refused(server))
        with self.subTest("it has not the replicas that it wants"):
            server = self.enterContext(RedisServer(min_replicas_to_write=1))
            self.assertIn("new refuses every write: NOREPLICAS", self.refused(server))
        with self.subTest("it answers all but writes"):
            server = self.enterContext(RedisServer())
            server.call("CLIENT", "PAUSE", 600_000, "WRITE")
            self.assertIn("new does not answer a write: ", self.refused(server))


class Waiting(WithServers):
    """`wait` of `migrate`: for data that moves, of which there is none."""

    def test_whether_it_waits_or_not_the_strategy_is_in_force_when_it_answers(self):
        strategies = (
            ALL_NEW,
            {"type": "canary", "read_percentage": 0.1, "ramp": {"steps": [0.5, 1.0], "hold_s": 3600}},
            {"type": "time_window", "window_start": "2098-01-01T00:00:00Z",
             "window_end": "2099-01-01T00:00:00Z"})
        for strategy in strategies:
            for query in ("", "?wait=true", "?wait=false", "?wait=TRUE"):
                with self.subTest(strategy=strategy["type"], query=query), self.begin() as sidecar:
                    sidecar.create_migration("m", strategy, "cache", "new")
                    code, body = self.call(sidecar, "migrate", query)
                    self.assertEqual((code, body["data"]), (200, "migration commit completed"))
                    status = sidecar.must("GET", "/migrations/m/status")
                    self.assertEqual(status["status"], "running")
                    self.assertEqual(status["adopted_epoch"], body["epoch"])
                    # It waits neither for a window nor for the steps of a ramp.
                    shown = status["strategy"]
                    self.assertEqual(shown.get("read_percentage"), strategy.get("read_percentage"))
                    self.assertFalse(shown.get("executed"))

    def test_other_values_start_nothing(self):
        sidecar = self.begin()
        sidecar.create_migration("m", ALL_NEW, "cache", "new")
        for value in ("", "perhaps", "2", "true%20"):
            code, body = self.call(sidecar, "migrate", f"?wait={value}")
            self.assertEqual((code, body["error"]), (400, "Bad Request"))
            self.assertIn("wait must be true or false", body["message"])
        self.assertEqual(self.status(sidecar), "ready")


class Races(WithServers):
    def test_of_many_that_start_it_one_does(self):
        for _ in range(5):
            sidecar = self.begin()
            sidecar.create_migration("m", ALL_NEW, "cache", "new")
            answers = at_once(8, lambda _, sidecar=sidecar: self.call(sidecar, "migrate"))
            self.assertEqual(sorted(code for code, _ in answers), [200] + [409] * 7)
            started = [event for event in sidecar.must("GET", "/migrations/m/events")
                       if event["to"] == "running"]
            self.assertEqual(len(started), 1)
            sidecar.terminate()

    def test_of_many_changes_to_one_etag_one_is_made(self):
        sidecar = self.begin()
        sidecar.create_migration("m", {"type": "canary", "read_percentage": 0.0}, "cache", "new")
        sidecar.must("POST", "/migrations/m/migrate")
        for turn in range(5):
            _, headers, _ = sidecar.http("GET", "/api/v1/migrations/m")
            etag = headers["etag"]
            answers = at_once(8, lambda number: sidecar.api(
                "PATCH", "/migrations/m",
                {"strategy": {"type": "canary", "read_percentage": (8 * turn + number + 1) / 100}},
                headers={"If-Match": etag}))
            self.assertEqual(sorted(code for code, _ in answers), [200] + [412] * 7)
            (made,) = [body["data"] for code, body in answers if code == 200]
            self.assertEqual(sidecar.must("GET", "/migrations/m")["strategy"], made["strategy"])

    def test_of_a_start_and_a_change_at_once_what_runs_is_what_was_tested(self):
        for _ in range(8):
            sidecar = self.begin()
            sidecar.create_migration("m", {"type": "canary", "read_percentage": 0.0}, "cache", "new")
            _, headers, _ = sidecar.http("GET", "/api/v1/migrations/m")
            calls = (lambda sidecar=sidecar: self.call(sidecar, "migrate"),
                     lambda sidecar=sidecar, etag=headers["etag"]: sidecar.api(
                         "PATCH", "/migrations/m", {"strategy": {"read_percentage": 0.25}},
                         headers={"If-Match": etag}))
            answers = dict(at_once(2, lambda number, calls=calls: (number, calls[number]()[0])))
            migration = sidecar.must("GET", "/migrations/m")
            # The change came first, or between test and start, or behind it.
            self.assertEqual((migration["status"], migration["strategy"]["read_percentage"]), {
                (200, 200): ("running", 0.25), (409, 200): ("ready", 0.25),
                (200, 412): ("running", 0.0)}[answers[0], answers[1]])
            sidecar.terminate()

    def test_of_a_rollback_and_a_completion_at_once_the_last_one_is_what_stands(self):
        for _ in range(5):
            sidecar = self.begin()
            sidecar.migrate("m", ALL_NEW, "cache", "new")
            at_once(2, lambda number, sidecar=sidecar: self.call(sidecar,
                                                                      ("rollback", "complete")[number]))
            # A rollback is possible before a completion and behind it.
            self.assertEqual(self.status(sidecar), "rolled_back")
            sidecar.terminate()


if __name__ == "__main__":
    unittest.main()
