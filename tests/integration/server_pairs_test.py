"""A migration that writes to both sides has two servers, has them to itself, and hears of it when one of
them starts again, from the first moment on."""

import unittest

from harness import ApiError, RawConn, RedisServer, Sidecar, wait_until
from ledger import Ledger
from pair import Pair

DUAL_WRITE = {"type": "canary", "read_percentage": 0.0,
              "write_mode": {"mode": "dual_write", "policy": "old_authoritative"}}
NOTICED_S = 10


class Servers(Pair):
    def add_by_name(self, name, server):
        """The same server, by a host name instead of its number."""
        self.sidecar.must("POST", "/endpoints", {
            "id": name, "kind": "redis", "config": {"host": "localhost", "port": server.port}})

    def refused(self, call):
        with self.assertRaises(ApiError) as refused:
            call()
        self.assertEqual(refused.exception.status, 409)
        return refused.exception.body["message"]

    def failed(self, migration):
        checks = self.sidecar.must("POST", f"/migrations/{migration}/test")["checks"]
        return [check["name"] for check in checks if not check["ok"]]


class Names(Servers):
    def test_one_server_under_two_names_is_refused(self):
        self.add_by_name("twin", self.old)
        message = self.refused(lambda: self.sidecar.migrate("m", DUAL_WRITE, "cache", "twin"))
        self.assertIn("old and new are the same database: the same run_id", message)
        self.assertEqual(self.failed("m"), ["distinct"])

    def test_a_second_migration_on_one_of_the_servers_is_refused_unless_forced(self):
        self.sidecar.migrate("first", DUAL_WRITE, "cache", "new")
        self.add_by_name("new-by-name", self.new)
        self.sidecar.add_endpoint("third", self.enterContext(RedisServer()))
        self.sidecar.add_interlay("other", "third")
        message = self.refused(
            lambda: self.sidecar.migrate("second", DUAL_WRITE, "other", "new-by-name"))
        self.assertIn("migration 'first' is in force, and its endpoint 'new' is the server of endpoint "
                      "'new-by-name' (the same run_id)", message)
        self.assertEqual(self.failed("second"), ["alone"])
        self.sidecar.must("POST", "/migrations/second/migrate?force=true")

    def test_a_patch_that_begins_to_write_to_both_sides_is_refused_unless_forced(self):
        self.add_by_name("new-by-name", self.new)
        self.sidecar.add_interlay("other", "old")
        self.sidecar.migrate("second", {"type": "shadow_traffic"}, "other", "new-by-name")
        self.sidecar.migrate("first", {"type": "blue_green"}, "cache", "new")
        message = self.refused(lambda: self.sidecar.patch("first", DUAL_WRITE))
        self.assertIn("migration 'second' is in force", message)
        self.sidecar.must("PATCH", "/migrations/first?force=true", {"strategy": DUAL_WRITE})

    def test_several_interlays_of_one_migration_are_one(self):
        self.sidecar.add_interlay("other", "old")
        self.sidecar.create_migration("m", DUAL_WRITE, "cache", "new")
        self.sidecar.must("POST", "/migrations/m/interlay/other", {"endpoint": "new"})
        self.sidecar.must("POST", "/migrations/m/migrate")


class Moved(Servers):
    """Another address for a side of a running dual write: what it lacks is not read from there."""

    def setUp(self):
        super().setUp()
        self.third = self.enterContext(RedisServer())
        self.port = None

    def begin(self, sidecar):
        self.port = self.port or sidecar.must("GET", "/interlays/cache")["port"]
        sidecar.migrate("m", {**DUAL_WRITE, "read_percentage": 1.0}, "cache", "new")
        with RawConn(self.port) as client:
            client.call("SET", "k", "v")
        self.assertEqual(Ledger(sidecar, "m").reasons(), [])

    def check(self, sidecar):
        ledger = Ledger(sidecar, "m")
        self.assertIn("new endpoint 'new' was given another address: what was written at the former one "
                      "may be missing there", ledger.reasons())
        with RawConn(self.port) as client:
            self.assertEqual(client.call("GET", "k"), b"v")
        ledger.verify()
        ledger.until_empty()
        self.assertEqual(self.third.call("GET", "k"), b"v")

    def test_a_patch_is_refused_unless_forced(self):
        self.begin(self.sidecar)
        body = {"config": {"port": self.third.port}}
        message = self.refused(lambda: self.sidecar.must("PATCH", "/endpoints/new", body))
        self.assertIn("Endpoint 'new' is a side of migration 'm', which writes to both", message)
        self.sidecar.must("PATCH", "/endpoints/new?force=true", body)
        self.check(self.sidecar)

    def declared(self, server):
        return {"endpoints": [{"id": name, "kind": "redis",
                               "config": {"host": "127.0.0.1", "port": one.port}}
                              for name, one in (("old", self.old), ("new", server))]}

    def test_a_configuration_file_that_moves_it_is_a_reason_for_verification(self):
        with Sidecar(config=self.declared(self.new)) as sidecar:
            self.port = sidecar.add_interlay("cache", "old")
            self.begin(sidecar)
            sidecar.write_config(self.declared(self.third))
            sidecar.terminate()
            sidecar.restart()
            self.check(sidecar)


class FirstMoments(Servers):
    def test_a_server_that_starts_again_at_once_is_noticed(self):
        self.sidecar.migrate("m", DUAL_WRITE, "cache", "new")
        self.new.kill()
        self.new.restart()
        ledger = Ledger(self.sidecar, "m")
        wait_until(lambda: ledger.needs_full_verification, NOTICED_S, "the restart is noticed")
        self.assertEqual([reason.split(",")[0] for reason in ledger.reasons()],
                         ["new endpoint 'new' was started again"])

    def test_nothing_is_noticed_where_nothing_happened(self):
        self.sidecar.migrate("m", DUAL_WRITE, "cache", "new")
        wait_until(lambda: all(b"cmd=info" in one.call("CLIENT", "LIST")
                               for one in (self.old, self.new)), NOTICED_S, "both are watched")
        with RawConn(self.sidecar.ports["cache"]) as client:
            self.assertEqual(client.call("SET", "k", "v"), "OK")
        self.assertEqual(Ledger(self.sidecar, "m").reasons(), [])


class Evictions(Servers):
    def test_a_server_that_evicts_keys_leaves_the_migration_in_doubt(self):
        self.new.call("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
        self.sidecar.migrate("m", DUAL_WRITE, "cache", "new")
        ledger = Ledger(self.sidecar, "m")
        with RawConn(self.sidecar.ports["cache"]) as client:
            for n in range(100):
                self.assertEqual(client.call("SET", f"k{n}", "v" * 10_000), "OK")
        self.assertEqual(ledger.reasons(), [])
        self.new.call("CONFIG", "SET", "maxmemory", int(self.new.info("memory")["used_memory"]) - 200_000)
        wait_until(lambda: ledger.needs_full_verification, NOTICED_S, "the evictions are noticed")
        self.assertEqual([reason.split(",")[0] for reason in ledger.reasons()],
                         ["new endpoint 'new' evicted keys by itself"])
        self.assertLess(self.new.call("DBSIZE"), 100)

    def test_the_test_says_that_a_side_evicts_and_refuses_nothing(self):
        self.new.call("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
        self.new.call("CONFIG", "SET", "maxmemory", 1 << 30)
        self.sidecar.create_migration("m", DUAL_WRITE, "cache", "new")
        checks = self.sidecar.must("POST", "/migrations/m/test")["checks"]
        found = {check["name"]: check for check in checks}["evictions"]
        self.assertTrue(found["ok"])
        self.assertIn("new has the policy volatile-ttl", found["detail"])
        self.sidecar.must("POST", "/migrations/m/migrate")


class Takeovers(Servers):
    def setUp(self):
        super().setUp()
        self.third = self.enterContext(RedisServer())
        self.sidecar.migrate("m", DUAL_WRITE, "cache", "new")
        self.ledger = Ledger(self.sidecar, "m")
        self.client = self.enterContext(
            RawConn(self.sidecar.must("GET", "/interlays/cache")["port"]))

    def test_a_server_that_is_demoted_and_promoted_again_is_noticed(self):
        self.new.call("REPLICAOF", "127.0.0.1", self.third.port)
        wait_until(lambda: self.new.info("replication")["master_link_status"] == "up", NOTICED_S, "in step")
        self.new.call("REPLICAOF", "NO", "ONE")
        wait_until(lambda: self.ledger.needs_full_verification, NOTICED_S, "it is noticed")
        self.assertIn("new endpoint 'new' took another server's data for its own", self.ledger.reasons()[0])

    def test_who_makes_a_side_a_replica_through_the_interlay_marks_the_migration(self):
        self.assertEqual(self.client.call("REPLICAOF", "NO", "ONE"), "OK")
        self.assertEqual(self.ledger.reasons(), [])
        self.assertEqual(self.client.call("SLAVEOF", "127.0.0.1", self.third.port), "OK")
        self.assertIn("a server was told to take its data anew", self.ledger.reasons()[0])


if __name__ == "__main__":
    unittest.main()
