"""Every request that the migration guide and its API reference print about endpoints, interlays and
migrations works as printed, by curl, and answers with at least the printed fields or the printed words."""

import json
import re
import subprocess
import unittest

from harness import ADMIN, READ, RawConn, RedisServer, Sidecar
from mission_requests import printed

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

# In the order in which the documents print them.
(CREATE_BIG_BANG, CREATE_CANARY, LIST, LIST_VERBOSE, GET, ADD_API, ADD_INTERLAY, TEST,
 MIGRATE) = printed("migrations-api-reference.txt")
ROLLOUT_START, ROLLOUT_25, ROLLOUT_75, ROLLOUT_ALL = printed("migrations-guide.txt")[-4:]

STRATEGIES = {
    "big_bang": {"type": "big_bang"},
    "canary": {"type": "canary", "read_percentage": 0.05,
               "write_mode": {"mode": "dual_write", "policy": "old_authoritative"}},
    "blue_green": {"type": "blue_green", "active_is_new": False},
    "shadow_traffic": {"type": "shadow_traffic"},
    "time_window": {"type": "time_window", "window_start": "2024-01-15T02:00:00Z",
                    "window_end": "2024-01-15T04:00:00Z", "executed": False},
    "geographic": {"type": "geographic", "regions": {"us-east-1": True, "eu-west-1": False}},
    "rolling_update": {"type": "rolling_update",
                       "migrated_instances": ["instance-1", "instance-2"], "total_instances": 5},
    "strangler_fig": {"type": "strangler_fig", "features": {"feature_a": True, "feature_b": False}},
    "feature_flag": {"type": "feature_flag", "flags": {"new_database": True}, "rollout_percentage": 0.25},
}


class Guide(unittest.TestCase):
    def setUp(self):
        self.old = self.enterContext(RedisServer())
        self.new = self.enterContext(RedisServer(save="3600 1"))
        self.sidecar = self.enterContext(Sidecar())
        self.sidecar.add_endpoint("old_redis", self.old)
        self.sidecar.add_endpoint("new_redis_cluster", self.new)
        self.port = self.sidecar.add_interlay("cache_interlay", "old_redis")

    def curl(self, command, token=ADMIN):
        """(status, parsed body) of a printed command."""
        host, port = self.sidecar.control
        command = command.strip().replace("{host}:8000", f"{host}:{port}")
        command = command.replace("curl ", r"curl -sS -w '\n%{http_code}' ", 1)
        done = subprocess.run(["bash", "-c", command], env={"PATH": "/usr/bin:/bin", "TOKEN": token},
                              capture_output=True, text=True, timeout=60, check=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body)

    def succeeds(self, command, token=ADMIN, status=200):
        given, body = self.curl(command, token)
        self.assertEqual((given, body.get("status")), (status, "success"), body)
        return body

    def fails(self, command, status, error, message, token=ADMIN):
        given, body = self.curl(command, token)
        self.assertEqual((given, body.get("error"), body.get("message")), (status, error, message))

    def check_identity(self, data):
        self.assertRegex(data["uuid"], UUID)
        self.assertRegex(data["created_at"], TIME)
        self.assertRegex(data["updated_at"], TIME)

    def test_the_reference_from_create_to_execute(self):
        self.succeeds(CREATE_BIG_BANG, status=201)
        self.succeeds(CREATE_CANARY, status=201)
        self.assertEqual(self.succeeds(ADD_INTERLAY),
                         {"status": "success", "data": "added Interlay to migration"})
        data = self.succeeds(TEST)["data"]
        self.assertEqual((data["apis_tested"], data["interlays_tested"]), (0, 1))
        # The printed definition asks for data movement, which this version refuses to pretend.
        self.assertFalse(data["valid"])
        self.assertEqual([check["name"] for check in data["checks"] if not check["ok"]],
                         ["data_movement"])
        status, body = self.curl(MIGRATE)
        self.assertEqual((status, body["error"]), (409, "Migration error"))
        self.assertIn("data_movement", body["message"])
        self.sidecar.must("PATCH", "/migrations/redis_migration_v2", {"data": "none"})
        self.assertIs(self.succeeds(TEST)["data"]["valid"], True)
        answer = self.succeeds(MIGRATE)
        self.assertEqual(answer["data"], "migration commit completed")
        self.assertIsInstance(answer["epoch"], int)

    def define_the_api(self):
        """What the guide takes for granted: the templates and the api that it names."""
        for name, query in (("get_user_cache", "GET user:{{id}}"),
                            ("set_user_cache", "SET user:{{id}} {{value}}")):
            self.sidecar.must("POST", "/templates", {"id": name, "endpoint": "old_redis", "query": query})
        self.sidecar.must("POST", "/apis", {"id": "user_cache_api", "bindings": [
            {"template": "get_user_cache"}, {"template": "set_user_cache"}]})

    def test_the_reference_with_its_api(self):
        self.define_the_api()
        self.succeeds(CREATE_CANARY, status=201)
        self.assertEqual(self.succeeds(ADD_API), {"status": "success", "data": "added Api to migration"})
        self.assertEqual(self.succeeds(GET)["data"]["status"], "ready")
        self.succeeds(ADD_INTERLAY)
        data = self.succeeds(TEST)["data"]
        self.assertEqual((data["apis_tested"], data["interlays_tested"]), (1, 1))
        (api,) = self.succeeds(GET)["data"]["apis"]
        self.assertEqual((api["id"], [one["template"] for one in api["bindings"]]),
                         ("user_cache_api", ["get_user_cache", "set_user_cache"]))
        (verbose,) = self.succeeds(LIST_VERBOSE)["data"]
        self.assertRegex(verbose["apis"][0]["uuid"], UUID)
        self.assertEqual(verbose["apis"][0]["migration"]["id"], "redis_migration_v2")
        self.succeeds(CREATE_BIG_BANG, status=201)
        self.fails(ADD_API.replace("redis_migration_v2", "test_migration"), 409,
                   "Migration error", "Api Schema already has an active migration")
        self.sidecar.must("PATCH", "/migrations/redis_migration_v2", {"data": "none"})
        self.succeeds(MIGRATE)
        with RawConn(self.port) as client:
            client.call("SET", "user:1", "value")
            self.assertEqual(client.call("GET", "user:1"), b"value")
        self.assertEqual((self.old.call("GET", "user:1"), self.new.call("GET", "user:1")),
                         (b"value", b"value"))

    def test_lists_and_single_ones_have_the_printed_fields(self):
        self.succeeds(CREATE_CANARY, status=201)
        self.succeeds(ADD_INTERLAY)
        (listed,) = self.succeeds(LIST)["data"]
        self.check_identity(listed)
        self.assertEqual(
            {name: listed[name] for name in ("id", "description", "status")},
            {"id": "redis_migration_v2", "description": "Migrate to new Redis cluster",
             "status": "ready"})
        self.assertEqual((listed["strategy"]["type"], listed["strategy"]["read_percentage"]),
                         ("canary", 0.05))
        data = self.succeeds(GET)["data"]
        self.check_identity(data)
        self.assertEqual(data["strategy"], STRATEGIES["canary"])
        self.assertEqual(data["data"], {"type": "scan", "replace": "replace"})
        self.assertEqual(data["failure_handling"], "rollback_all")
        self.assertEqual(data["apis"], [])
        (verbose,) = self.succeeds(LIST_VERBOSE)["data"]
        self.assertEqual(verbose["interlays"][0]["port"], self.port)
        self.assertEqual(verbose["data"], data["data"])

    def test_the_canary_rollout(self):
        self.succeeds(ROLLOUT_START, status=201)
        self.sidecar.must("POST", "/migrations/canary_migration/interlay/cache_interlay",
                          {"endpoint": "new_redis_cluster"})
        self.sidecar.must("POST", "/migrations/canary_migration/migrate")
        for command, share in ((ROLLOUT_25, 0.25), (ROLLOUT_75, 0.75), (ROLLOUT_ALL, 1.0)):
            data = self.succeeds(command)["data"]
            self.assertEqual((data["status"], data["strategy"]["read_percentage"]),
                             ("running", share))
        with RawConn(self.port) as client:
            client.call("SET", "key", "value")
        self.assertEqual((self.old.call("GET", "key"), self.new.call("GET", "key")),
                         (None, b"value"))

    def test_the_rollout_may_be_patched_before_it_runs(self):
        self.succeeds(ROLLOUT_START, status=201)
        self.assertEqual(self.succeeds(ROLLOUT_25)["data"]["status"], "pending")

    def test_who_may_call(self):
        self.succeeds(CREATE_CANARY, status=201)
        self.succeeds(LIST, token=READ)
        self.succeeds(LIST_VERBOSE, token=READ)
        for command in (CREATE_BIG_BANG, GET, ADD_API, ADD_INTERLAY, TEST, MIGRATE, ROLLOUT_25):
            status, body = self.curl(command, token=READ)
            self.assertEqual((status, body["error"]), (403, "Forbidden"), command)

    def test_refusals_in_the_printed_words(self):
        self.fails(GET, 404, "Not found", "Migration 'redis_migration_v2' does not exist")
        self.succeeds(CREATE_CANARY, status=201)
        self.fails(ADD_API, 404, "Not found", "Api 'user_cache_api' does not exist")
        status, body = self.sidecar.api("POST", "/migrations/redis_migration_v2/rollback")
        self.assertEqual((status, body), (409, {
            "error": "Migration error",
            "message": "Cannot set RollingBack migration in status: Pending"}))
        self.succeeds(ADD_INTERLAY)
        self.succeeds(CREATE_BIG_BANG, status=201)
        self.fails(ADD_INTERLAY.replace("redis_migration_v2", "test_migration"), 409,
                   "Migration error", "Interlay Schema already has an active migration")
        status, body = self.sidecar.api("POST", "/migrations",
                                        {"id": "later", "strategy": {"type": "dice"}})
        self.assertEqual((status, body), (400, {
            "error": "Bad Request", "message": "Migration strategy not yet implemented"}))

    def test_every_printed_object_is_accepted_and_shown(self):
        for name, strategy in STRATEGIES.items():
            data = self.sidecar.must("POST", "/migrations", {"id": name, "strategy": strategy})
            self.assertEqual(data["strategy"] | strategy, data["strategy"])
        for policy in ("old_authoritative", "new_authoritative", "best_effort"):
            strategy = {"type": "canary", "read_percentage": 0.05,
                        "write_mode": {"mode": "dual_write", "policy": policy}}
            data = self.sidecar.must("POST", "/migrations", {"id": policy, "strategy": strategy})
            self.assertEqual(data["strategy"], strategy)
        for index, movement in enumerate((
                "none", {"type": "snapshot", "replace": "none"},
                {"type": "scan", "replace": "replace"}, {"type": "scan", "replace": "merge"})):
            data = self.sidecar.must("POST", "/migrations", {"id": f"data{index}", "data": movement})
            self.assertEqual(data["data"], movement)
        for index, handling in enumerate((
                "rollback_all", "allow_partial", {"type": "retry_then_all", "retry_count": 3})):
            data = self.sidecar.must("POST", "/migrations",
                                     {"id": f"failure{index}", "failure_handling": handling})
            self.assertEqual(data["failure_handling"], handling)


if __name__ == "__main__":
    unittest.main()
