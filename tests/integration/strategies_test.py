"""Strategies that give one side everything, on live traffic: who must be where, measured at the servers,
under PATCH while clients run, and after kill -9 and restart.
"""

import unittest

from harness import RawConn, RedisServer
from load import Load, check_phases, run_phases
from pg_conn import PgConn
from pg_pair import endpoint
from sides import NEW, OLD, PgSides, RedisSides


def rolling(*migrated, total=2):
    return {"type": "rolling_update", "migrated_instances": list(migrated), "total_instances": total}


class RollingUpdate(RedisSides):
    def setUp(self):
        super().setUp()
        self.a, self.b = (self.sidecar("--instance", name) for name in ("a", "b"))
        for sidecar in (self.a, self.b):
            sidecar.migrate("m", rolling(), "cache", "new")

    def patch(self, *migrated):
        for sidecar in (self.a, self.b):
            sidecar.patch("m", rolling(*migrated))

    def test_the_named_are_on_new_and_no_one_else(self):
        for migrated in ((), ("a",), ("a", "b"), ("b",), ("another",)):
            self.patch(*migrated)
            for name, sidecar in (("a", self.a), ("b", self.b)):
                self.is_on(sidecar, NEW if name in migrated else OLD)

    def test_each_goes_and_comes_back_under_load(self):
        run_phases(self, self.a.ports["cache"],
                   [(lambda: self.patch("b"), OLD), (lambda: self.patch("a"), NEW),
                    (lambda: self.patch("a", "b"), NEW), (lambda: self.patch("b"), OLD)])

    def test_it_is_where_it_was_after_a_kill(self):
        self.patch("a")
        self.after_kill(self.a, NEW)
        self.after_kill(self.b, OLD)
        self.patch("b")
        self.after_kill(self.a, OLD)
        self.after_kill(self.b, NEW)

    def test_complete_when_all_have_gone_and_the_operator_says_so(self):
        complete = "/migrations/m/complete"
        self.patch("a")
        status, answer = self.a.api("POST", complete)
        self.assertEqual(status, 409)
        self.assertIn("Cannot set Completed migration in status: Running: its strategy still sends "
                      "traffic to old", answer["message"])
        self.patch("a", "b")
        self.assertEqual(self.a.must("GET", "/migrations/m")["status"], "running")
        self.a.must("POST", complete)
        self.after_kill(self.a, NEW)
        self.assertEqual(self.a.must("GET", "/migrations/m")["status"], "completed")

    def test_the_test_says_whether_this_one_goes(self):
        self.patch("a")
        for sidecar, words in ((self.a, "'a', goes to new"), (self.b, "'b', stays on old")):
            checks = sidecar.must("POST", "/migrations/m/test")["checks"]
            [detail] = [check["detail"] for check in checks if check["name"] == "strategy"]
            self.assertIn(words, detail)


class Shards(RedisSides):
    """Two shards, each with servers of its own: those of "cache" before "users-0", and of "other" before
    "users-1", at each of two sidecars."""

    def setUp(self):
        super().setUp()
        self.second = [self.enterContext(RedisServer()) for _ in (OLD, NEW)]
        for name, server in zip((OLD, NEW), self.second):
            server.call("SET", "side", name)
        self.sidecars = [self.sidecar("--instance", name) for name in ("a", "b")]
        for sidecar in self.sidecars:
            sidecar.must("PATCH", "/endpoints/old", {"config": {"shard": "users-0"}})
            for name, server in zip(("old-1", "new-1"), self.second):
                sidecar.add_endpoint(name, server, shard="users-1")
            sidecar.add_interlay("other", "old-1")
            sidecar.create_migration("m", rolling(), "cache", "new")
            sidecar.must("POST", "/migrations/m/interlay/other", {"endpoint": "new-1"})
            sidecar.must("POST", "/migrations/m/migrate")

    def patch(self, *migrated):
        for sidecar in self.sidecars:
            sidecar.patch("m", rolling(*migrated))

    def other_is_on(self, sidecar, side):
        before = [server.commandstats().get("incr", 0) for server in self.second]
        with RawConn(sidecar.ports["other"]) as client:
            self.assertEqual(client.call("GET", "side"), side)
            client.call("INCR", "written")
        after = [server.commandstats().get("incr", 0) for server in self.second]
        self.assertEqual([now - then for now, then in zip(after, before)],
                         [1, 0] if side == OLD else [0, 1])

    def are_on(self, cache, other, sidecars=None):
        for sidecar in sidecars or self.sidecars:
            self.is_on(sidecar, cache)
            self.other_is_on(sidecar, other)

    def test_a_shard_moves_at_every_sidecar_and_the_others_do_not(self):
        self.are_on(OLD, OLD)
        self.patch("users-1")
        self.are_on(OLD, NEW)
        for sidecar in self.sidecars:
            shown = sidecar.must("GET", "/migrations/m/status")
            self.assertEqual({one["shard"]: one["migrated"] for one in shown["interlays"]},
                             {"users-0": False, "users-1": True})
            self.assertEqual(sidecar.api("POST", "/migrations/m/complete")[0], 409)
            for config in ({"shard": None}, {"shard": "users-2"}):
                status, answer = sidecar.api("PATCH", "/endpoints/old-1?force=true", {"config": config})
                self.assertEqual(status, 409)
                self.assertIn("config.shard: migration 'm' goes by it", answer["message"])
        self.are_on(OLD, NEW)
        self.sidecars[0].kill9()
        self.sidecars[0].restart()
        self.are_on(OLD, NEW)
        self.patch("users-0")
        self.are_on(NEW, OLD)
        self.patch("a")
        self.are_on(NEW, NEW, self.sidecars[:1])
        self.are_on(OLD, OLD, self.sidecars[1:])
        self.patch("users-0", "users-1")
        for sidecar in self.sidecars:
            sidecar.must("POST", "/migrations/m/complete")
        self.are_on(NEW, NEW)

    def test_one_goes_and_comes_back_under_load_while_the_other_stays(self):
        ports = self.sidecars[0].ports
        for server, name in zip(self.second, ("old", "new")):
            Load.fill(server, name)
        with Load(ports["other"], clients=10) as other:
            expected = {0: OLD}
            def step(*migrated):
                expected[other.change(lambda: self.patch(*migrated))] = (
                    NEW if "users-1" in migrated else OLD)
            run_phases(self, ports["cache"],
                       [(lambda: step("users-1"), OLD), (lambda: step("users-0", "users-1"), NEW),
                        (lambda: step("users-0"), NEW), (lambda: step(), OLD)])
        check_phases(self, other, expected)


class PgRollingUpdate(PgSides):
    args = ("--instance", "a")

    def test_a_shard_moves_and_the_other_does_not(self):
        other = {"database": "postgres"}
        for name, server in (("old", self.old), ("new", self.new)):
            server.sql("create table here (side text)", f"insert into here values ('{name}')",
                       "alter table here owner to app", **other)
            self.sidecar.must("PATCH", f"/endpoints/{name}", {"config": {"shard": "users-0"}})
            self.sidecar.must("POST", "/endpoints", {
                "id": f"{name}-1", "kind": "postgres",
                "config": {**endpoint(server), **other, "shard": "users-1"}})
        port = self.sidecar.add_interlay("other", "old-1")
        self.sidecar.create_migration("m", rolling(), "pg", "new")
        self.sidecar.must("POST", "/migrations/m/interlay/other", {"endpoint": "new-1"})
        self.sidecar.must("POST", "/migrations/m/migrate?force=true")
        with PgConn(self.port, "app", "app") as one, PgConn(port, "app", "postgres") as two:
            for migrated, sides in (((), ("old", "old")), (("users-1",), ("old", "new")),
                                    (("users-0",), ("new", "old")), (("b",), ("old", "old")),
                                    (("a",), ("new", "new")), (("users-1", "users-0"), ("new", "new"))):
                self.patch(rolling(*migrated))
                self.assertEqual((self.side_of(one), self.side_of(two)), sides, migrated)
        self.sidecar.must("POST", "/migrations/m/complete")

    def test_a_sidecar_goes_and_comes_back_under_load_and_stays_after_a_kill(self):
        self.run_spans([(lambda: self.migrate(rolling("b")), "old"),
                        (lambda: self.patch(rolling("a", "b")), "new"),
                        (lambda: self.patch(rolling("b")), "old"),
                        (lambda: self.patch(rolling("a")), "new")])
        self.after_kill("new")
        self.patch(rolling("b"))
        self.after_kill("old")


def geographic(**regions):
    return {"type": "geographic", "regions": regions}


EU, US, ELSEWHERE = "127.0.1.1", "127.0.2.1", "127.0.3.1"
NETWORKS = {"eu": ["127.0.1.0/24"], "us": ["127.0.2.0/24"]}


class GeographicBySidecar(RedisSides):
    def setUp(self):
        super().setUp()
        self.eu, self.us = (self.sidecar("--region", name) for name in ("eu", "us"))
        for sidecar in (self.eu, self.us):
            sidecar.migrate("m", geographic(eu=False), "cache", "new")

    def patch(self, **regions):
        for sidecar in (self.eu, self.us):
            sidecar.patch("m", geographic(**regions))

    def test_a_region_goes_and_comes_back_and_stays_after_a_kill(self):
        run_phases(self, self.eu.ports["cache"],
                   [(lambda: self.patch(us=True), OLD), (lambda: self.patch(eu=True), NEW),
                    (lambda: self.patch(eu=False, us=True), OLD), (lambda: self.patch(eu=True), NEW)])
        self.after_kill(self.eu, NEW)
        self.after_kill(self.us, OLD)

    def test_complete_is_all_regions(self):
        self.patch(eu=True, us=False)
        self.assertEqual(self.eu.api("POST", "/migrations/m/complete")[0], 409)
        self.patch(eu=True, us=True)
        self.eu.must("POST", "/migrations/m/complete")
        self.after_kill(self.eu, NEW)


class GeographicByNetwork(RedisSides):
    def setUp(self):
        super().setUp()
        self.one = self.sidecar("--region", "eu", settings={"regions": NETWORKS})
        self.one.migrate("m", geographic(eu=False, us=False), "cache", "new")

    def are_on(self, eu, us, elsewhere):
        for source, side in ((EU, eu), (US, us), (ELSEWHERE, elsewhere)):
            self.is_on(self.one, side, source)

    def test_a_client_goes_by_its_network_others_by_the_sidecar(self):
        self.are_on(OLD, OLD, OLD)
        self.one.patch("m", geographic(us=True))
        self.are_on(OLD, NEW, OLD)
        self.one.patch("m", geographic(eu=True))
        self.are_on(NEW, OLD, NEW)
        self.one.kill9()
        self.one.restart()
        self.are_on(NEW, OLD, NEW)
        told = self.one.must("PATCH", "/interlays/cache", {"settings": {"regions": {"us": [EU]}}})
        self.assertGreater(told["new_only_writes"], 0)
        self.assertIn(f"old by that misses some: at least {told['new_only_writes']} writes went to new only",
                      self.one.must("GET", "/migrations/m/events")[-1]["reason"])
        self.are_on(OLD, NEW, NEW)
        self.one.must("PATCH", "/interlays/cache", {"settings": {"regions": None}})
        self.are_on(NEW, NEW, NEW)

    def test_each_region_is_where_it_must_be_under_load(self):
        expected = {EU: {0: OLD}, US: {0: OLD}}
        steps = [(dict(us=True), OLD, NEW), (dict(eu=True), NEW, OLD), (dict(eu=True, us=True), NEW, NEW),
                 (dict(us=True), OLD, NEW), (dict(), OLD, OLD)]
        port = self.one.ports["cache"]
        with Load(port, clients=25, source=EU) as eu, Load(port, clients=25, source=US) as us:
            for regions, eu_side, us_side in steps:
                phases = {}
                def call(regions=regions, phases=phases):
                    phases[US] = us.change(lambda: self.one.patch("m", geographic(**regions)))
                expected[EU][eu.change(call)] = eu_side
                expected[US][phases[US]] = us_side
        check_phases(self, eu, expected[EU])
        check_phases(self, us, expected[US])

    def test_complete_counts_the_networks_too(self):
        self.one.patch("m", geographic(eu=True))
        status, answer = self.one.api("POST", "/migrations/m/complete")
        self.assertEqual(status, 409)
        self.assertIn("still sends traffic to old", answer["message"])
        self.one.patch("m", geographic(eu=True, us=True))
        self.one.must("POST", "/migrations/m/complete")
        self.are_on(NEW, NEW, NEW)


class PgGeographic(PgSides):
    args = ("--region", "eu")
    settings = {"regions": {"us": ["127.0.2.0/24"]}}

    def side_from(self, source):
        with PgConn(self.port, "app", "app", source=source) as client:
            return self.side_of(client)

    def test_a_region_goes_and_comes_back_under_load_and_stays_after_a_kill(self):
        self.run_spans([(lambda: self.migrate(geographic(us=True)), "old"),
                        (lambda: self.patch(geographic(eu=True)), "new"),
                        (lambda: self.patch(geographic(us=True)), "old"),
                        (lambda: self.patch(geographic(eu=True)), "new")])
        self.after_kill("new")

    def test_a_client_goes_by_its_network(self):
        self.migrate(geographic(us=True))
        with PgConn(self.port, "app", "app", source=US) as client:
            self.assertEqual((self.side_of(client), self.side_from("127.0.0.1")), ("new", "old"))
            self.patch(geographic(eu=True))
            self.assertEqual((self.side_of(client), self.side_from("127.0.0.1")), ("old", "new"))
            self.patch(geographic(us=True))
            self.assertEqual((self.side_of(client), self.side_from("127.0.0.1")), ("new", "old"))
        self.sidecar.kill9()
        self.sidecar.restart()
        self.assertEqual((self.side_from(US), self.side_from("127.0.0.1")), ("new", "old"))


if __name__ == "__main__":
    unittest.main()
