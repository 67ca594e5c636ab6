"""Write modes of strategies that give one side all reads, what a canary may be split by, and its ramp: who
answers, and what reaches each server.
"""

import contextlib
import unittest

from children import SLOWNESS, wait_until
from harness import RawConn
from ledger import Ledger
from pg_conn import PgConn
from pg_pair import WRITES_OLD, PgPair
from sides import NEW, OLD, RedisSides

DUAL = {"mode": "dual_write", "policy": "old_authoritative"}
BY_STATEMENT = {**DUAL, "engine": "statement"}
KEYS = [f"key:{number}" for number in range(60)]

# Before and after its reads have gone to new.
MOVES = {
    "blue_green": ({"active_is_new": False}, {"active_is_new": True}),
    "rolling_update": ({"migrated_instances": [], "total_instances": 1},
                       {"migrated_instances": ["a"], "total_instances": 1}),
    "geographic": ({"regions": {"eu": False}}, {"regions": {"eu": True}}),
}
WINDOW = {"type": "time_window", "window_start": "2024-01-15T02:00:00Z",
          "window_end": "2124-01-15T04:00:00Z"}


def canary(share, split_by=None, write_mode=None, **more):
    strategy = {"type": "canary", "read_percentage": share, "write_mode": write_mode or DUAL, **more}
    return {**strategy, "split_by": split_by} if split_by else strategy


class Redis(RedisSides):
    def setUp(self):
        super().setUp()
        self.one = self.sidecar("--instance", "a", "--region", "eu", loops=2)
        self.port = self.one.ports["cache"]

    def both_get_writes(self, reads):
        self.assertEqual(self.reads_from(self.one), reads)
        self.assertEqual(self.writes_to(self.one), (20, 20))

    def kill_and_restart(self):
        self.one.kill9()
        self.one.restart()

    def test_dual_writes_under_strategies_that_move_reads(self):
        for name, (before, after) in MOVES.items():
            with self.subTest(strategy=name):
                self.one.migrate(name, {"type": name, "write_mode": DUAL, **before}, "cache", "new")
                self.both_get_writes(OLD)
                self.one.patch(name, after)
                self.both_get_writes(NEW)
                self.kill_and_restart()
                # What was in flight when it was killed is not known: reads are the authority's.
                self.assertEqual(self.writes_to(self.one), (20, 20))
                self.assertEqual(self.one.api("POST", f"/migrations/{name}/complete")[0], 409)
                self.assertEqual(self.one.api("PATCH", f"/migrations/{name}",
                                              {"strategy": {"write_mode": None}})[0], 409)
                self.one.patch(name, {"write_mode": None}, force=True)
                self.is_on(self.one, NEW)
                self.one.must("POST", f"/migrations/{name}/rollback")

    def test_dual_writes_of_what_is_executed_go_on_until_it_is_completed(self):
        for name, strategy in (("big_bang", {"type": "big_bang", "durability": False}),
                               ("window", WINDOW)):
            with self.subTest(strategy=name):
                self.one.migrate(name, {**strategy, "write_mode": DUAL}, "cache", "new")
                wait_until(lambda: self.reads_from(self.one) == NEW, 10, "it is executed")
                self.both_get_writes(NEW)
                self.assertEqual(self.one.must("GET", f"/migrations/{name}")["status"], "running")
                Ledger(self.one, name).until_empty()  # of what was under way when it began
                self.one.patch(name, {"write_mode": None})
                self.is_on(self.one, NEW)
                self.one.must("POST", f"/migrations/{name}/complete")
                self.is_on(self.one, NEW)
                self.one.must("POST", f"/migrations/{name}/rollback")
                self.is_on(self.one, OLD)

    def test_shadow_traffic_with_dual_writes_copies_reads_and_loses_no_write(self):
        self.one.migrate("m", {"type": "shadow_traffic", "write_mode": DUAL}, "cache", "new")
        before = self.new.commandstats().get("get", 0)
        self.both_get_writes(OLD)
        wait_until(lambda: self.new.commandstats().get("get", 0) > before, 10, "the read is copied")
        self.new.kill()
        with RawConn(self.port) as client:
            self.assertEqual(client.call("SET", "side", "later"), "OK")
        wait_until(lambda: self.one.metric("crossfade_ledger_entries") > 0, 10, "the write is noted")

    def sides_of(self, keys=KEYS):
        """Who answers each of these reads of one connection."""
        with RawConn(self.port) as client:
            return {client.call("GET", key) for key in keys}

    def test_a_canary_by_session_keeps_each_on_one_side(self):
        self.one.migrate("m", canary(0.5, "session"), "cache", "new")
        seen = [self.sides_of() for _ in range(40)]
        self.assertTrue(all(len(sides) == 1 for sides in seen), seen)
        self.assertEqual(set.union(*seen), {OLD, NEW})

    def test_a_canary_by_user_keeps_all_of_a_user_on_one_side(self):
        users = [f"user{number}" for number in range(30)]
        for server in (self.old, self.new):
            for user in users:
                server.call("ACL", "SETUSER", user, "on", ">secret", "~*", "&*", "+@all")
        self.one.migrate("m", canary(0.5, "user"), "cache", "new")
        side = {}
        for _ in range(2):
            for user in users:
                with RawConn(self.port) as client:
                    self.assertEqual(client.call("AUTH", user, "secret"), "OK")
                    sides = {client.call("GET", key) for key in KEYS}
                self.assertEqual(len(sides), 1, user)
                self.assertEqual(side.setdefault(user, sides), sides, user)
        self.assertEqual(set.union(*side.values()), {OLD, NEW})
        self.one.patch("m", canary(0.75, "user"))
        for user in users:
            if side[user] == {OLD}:
                continue  # raising a share only adds
            with RawConn(self.port) as client:
                client.call("AUTH", user, "secret")
                self.assertEqual(client.call("GET", KEYS[0]), NEW)

    def test_a_canary_by_request_spreads_one_key_of_one_connection(self):
        self.one.migrate("m", canary(0.25, "request"), "cache", "new")
        with RawConn(self.port) as client:
            replies = [client.call("GET", KEYS[0]) for _ in range(2000)]
        self.assertAlmostEqual(replies.count(NEW) / len(replies), 0.25, delta=0.06)
        self.assertEqual(set(replies), {OLD, NEW})

    def test_what_can_not_be_split_so_is_refused(self):
        for strategy in (canary(0.5, "user", {"mode": "cutover", "write_percentage": 0.5}),
                         {"type": "canary", "read_percentage": 0.5, "split_by": "session"}):
            status, answer = self.refused(strategy)
            self.assertEqual(status, 400)
            self.assertIn("strategy.split_by: must be key unless every key has one history",
                          answer["message"])

    def refused(self, strategy):
        self.one.must("POST", "/migrations", {"id": "m", "strategy": strategy})
        try:
            return self.one.api("POST", "/migrations/m/interlay/cache", {"endpoint": "new"})
        finally:
            self.one.must("DELETE", "/migrations/m")

    def test_a_ramp_goes_up_by_itself(self):
        self.one.migrate("m", canary(0.0, ramp={"steps": [0.5, 1.0], "hold_s": 2}), "cache", "new")
        self.assertEqual(self.sides_of(), {OLD})
        wait_until(lambda: self.sides_of() == {OLD, NEW}, 20, "the first step")
        wait_until(lambda: self.sides_of() == {NEW}, 20, "the last step")
        lines = [event["reason"] for event in self.one.must("GET", "/migrations/m/events")]
        self.assertEqual([line for line in lines if line.startswith("ramp: ")],
                         ["ramp: read_percentage goes from 0.0 to 0.5",
                          "ramp: read_percentage goes from 0.5 to 1.0"])
        self.assertEqual(self.one.must("GET", "/migrations/m")["strategy"]["read_percentage"], 1)


class Postgres(PgPair):
    args = ("--instance", "a", "--region", "eu")
    tables = ("create table t (id int primary key, n int)",)

    def write(self, number):
        with PgConn(self.port, "app", "app") as client:
            client.ask(f"insert into t values ({number}, 0)")
        return [server.value(f"select count(*) from t where id = {number}")
                for server in (self.old, self.new)]

    def reads_from(self):
        with PgConn(self.port, "app", "app") as client:
            found = []
            wait_until(lambda: found.append(self.side_of(client)) or found[-3:] == found[-1:] * 3, 10,
                       "it is known where it reads")
            return found[-1]

    def test_dual_writes_under_strategies_that_move_reads(self):
        for number, (name, (before, after)) in enumerate(MOVES.items()):
            with self.subTest(strategy=name):
                self.sidecar.migrate(name, {"type": name, "write_mode": BY_STATEMENT, **before}, "pg",
                                     "new", force=True)
                self.assertEqual(self.write(10 * number), ["1", "1"])
                self.assertEqual(self.reads_from(), "old")
                self.sidecar.must("PATCH", f"/migrations/{name}?force=true", {"strategy": after})
                self.assertEqual(self.write(10 * number + 1), ["1", "1"])
                with PgConn(self.port, "app", "app") as client:
                    self.comes_to(client, "new")
                self.sidecar.must("POST", f"/migrations/{name}/rollback")

    def test_a_window_with_dual_writes_begins_them_when_it_opens(self):
        self.sidecar.migrate("m", {**WINDOW, "write_mode": BY_STATEMENT}, "pg", "new", force=True)
        wait_until(lambda: self.sidecar.must("GET", "/migrations/m")["strategy"]["executed"], 10,
                   "it is executed")
        self.assertEqual(self.write(1), ["1", "1"])

    def sides(self, count):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(PgConn(self.port, "app", "app", limit_s=10 * SLOWNESS))
                       for _ in range(count)]
            return {self.side_of(client) for client in clients}

    def test_a_canary_by_user_keeps_all_sessions_of_a_user_together(self):
        by = {"type": "canary", "read_percentage": 0.5, "write_mode": WRITES_OLD}
        self.migrate({**by, "split_by": "user"})
        self.assertEqual(len(self.sides(24)), 1)
        self.patch({**by, "split_by": "session"})
        self.assertEqual(self.sides(24), {"old", "new"})
        for split_by in ("key", "request"):
            status, answer = self.sidecar.api("PATCH", "/migrations/m",
                                              {"strategy": {"split_by": split_by}})
            self.assertEqual(status, 400)
            self.assertIn("strategy.split_by: ", answer["message"])


if __name__ == "__main__":
    unittest.main()
