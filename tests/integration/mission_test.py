"""Every request that the mission's documents print is sent by curl, in their order, to a sidecar with real
servers behind it, and answered with at least what they print. mission_requests.py has taken them from there.

What is not there yet is refused, and says so: `migrate` of what moves data (decision 0007).
"""

import json
import pathlib
import subprocess
import unittest

import mission_requests
from harness import ADMIN, RedisServer, Sidecar

DOCUMENTS = pathlib.Path(__file__).resolve().parents[3] / "shared/mission"
KEPT = mission_requests.kept()
# What the documents take for granted: templates and apis, and the interlays that requests name.
TEMPLATES = {"get_user_cache": "GET user:{{id}}", "set_user_cache": "SET user:{{id}} {{value}}",
             "get_user_template": "GET user:{{id}}"}
APIS = {"migrations-api-reference.txt": ("get_user_cache", "set_user_cache"),
        "migrations-guide.txt": ("get_user_template",)}
INTERLAYS = ("cache_interlay", "user_cache_interlay")


def shape_of(expected, given, path="$"):
    """What of the printed answer is missing in the given one: members of objects, at any depth. Of values,
    only sentences are compared: all others are of the documents' own migration."""
    if isinstance(expected, dict):
        if not isinstance(given, dict):
            return [f"{path} is not an object"] if expected else []
        return [lack for name, member in expected.items()
                for lack in (shape_of(member, given[name], f"{path}.{name}") if name in given
                             else [f"{path}.{name} is missing"])]
    if isinstance(expected, list):
        if not isinstance(given, list):
            return [f"{path} is not an array"]
        if expected and not given:
            return [f"{path} is empty"]
        lacks = [shape_of(expected[0], one, f"{path}[…]") for one in given] if expected else []
        return min(lacks, key=len, default=[])  # a list holds others, too, in any order
    if isinstance(expected, str) and " " in expected and path == "$.data":
        return [] if given == expected else [f"{path} is {given!r}"]
    return []


class Mission(unittest.TestCase):
    def begin(self, document):
        old, new = self.enterContext(RedisServer()), self.enterContext(RedisServer(save="3600 1"))
        sidecar = self.enterContext(Sidecar())
        sidecar.add_endpoint("old_redis", old)
        sidecar.add_endpoint("new_redis_cluster", new)
        for name in INTERLAYS:
            sidecar.add_interlay(name, "old_redis")
        for name in APIS[document]:
            sidecar.must("POST", "/templates",
                         {"id": name, "endpoint": "old_redis", "query": TEMPLATES[name]})
        sidecar.must("POST", "/apis", {"id": "user_cache_api", "bindings": [
            {"template": name, "fields": {}} for name in APIS[document]]})
        return sidecar

    def curl(self, sidecar, command):
        host, port = sidecar.control
        command = command.replace("{host}:8000", f"{host}:{port}")
        command = command.replace("curl ", r"curl -sS -w '\n%{http_code}' ", 1)
        done = subprocess.run(["bash", "-c", command], env={"PATH": "/usr/bin:/bin", "TOKEN": ADMIN},
                              capture_output=True, text=True, timeout=60, check=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body)

    def send_all(self, document):
        sidecar = self.begin(document)
        refused = []
        for one in KEPT[document]:
            status, body = self.curl(sidecar, one["request"])
            if one["request"].split()[1].endswith("/migrate"):
                self.assertEqual((status, body["error"]), (409, "Migration error"), body)
                refused.append({check["name"] for check in body["checks"] if not check["ok"]})
                continue
            self.assertLess(status, 300, (one["request"], body))
            self.assertEqual(body["status"], "success")
            if one["answer"] is not None:
                self.assertEqual(shape_of(one["answer"], body), [], (one["request"], body))
        return refused

    def test_the_reference(self):
        self.assertEqual(self.send_all("migrations-api-reference.txt"), [{"data_movement"}])

    def test_the_guide(self):
        self.assertEqual(self.send_all("migrations-guide.txt"), [{"data_movement"}])

    def test_strategies_of_features_and_flags_run_as_they_are_printed(self):
        """With what they take for granted: an api that a feature names, and what makes its writes safe."""
        sidecar = self.begin("migrations-api-reference.txt")
        features = {"user_auth": True, "payments": False, "reporting": False}
        flags = {"new_database": True, "beta_features": False}
        for name, strategy in (("fig", {"type": "strangler_fig", "features": features}),
                               ("flag", {"type": "feature_flag", "flags": flags,
                                         "rollout_percentage": 0.25})):
            sidecar.create_migration(name, strategy, "cache_interlay", "new_redis_cluster")
            self.assertEqual(sidecar.must("GET", f"/migrations/{name}")["strategy"], strategy)
            if name == "fig":
                sidecar.must("POST", f"/migrations/{name}/api/user_cache_api", {"bindings": [
                    {"template": one} for one in APIS["migrations-api-reference.txt"]]})
                sidecar.patch(name, {"write_mode": {"mode": "dual_write", "policy": "old_authoritative"}})
            self.assertTrue(sidecar.must("POST", f"/migrations/{name}/test")["valid"])
            sidecar.must("POST", f"/migrations/{name}/migrate")
            sidecar.must("POST", f"/migrations/{name}/rollback")
            sidecar.must("DELETE", f"/migrations/{name}")

    def test_what_is_kept_is_what_the_documents_print(self):
        if not DOCUMENTS.is_dir():
            self.skipTest("the documents are not beside this repository")
        self.assertEqual(KEPT, mission_requests.taken_from(DOCUMENTS))

    def test_every_printed_error_can_be_provoked(self):
        sidecar = self.begin("migrations-api-reference.txt")

        def says(call, status, error, message):
            self.assertEqual(call, (status, {"error": error, "message": message}))

        def api(method, path, body=None):
            status, given = sidecar.api(method, path, body)
            return status, {name: given.get(name) for name in ("error", "message")}
        says(api("GET", "/migrations/redis_migration_v2"), 404, "Not found",
             "Migration 'redis_migration_v2' does not exist")
        says(api("POST", "/migrations", {"id": "x", "strategy": {"type": "dice"}}), 400, "Bad Request",
             "Migration strategy not yet implemented")
        for name in ("a", "b"):
            sidecar.must("POST", "/migrations", {"id": name})
        says(api("POST", "/migrations/a/rollback"), 409, "Migration error",
             "Cannot set RollingBack migration in status: Pending")
        binding = {"id": "user_cache_api", "bindings": [{"template": "get_user_cache", "fields": {}}]}
        sidecar.must("POST", "/migrations/a/api/user_cache_api", binding)
        says(api("POST", "/migrations/b/api/user_cache_api", binding), 409, "Migration error",
             "Api Schema already has an active migration")
        sidecar.must("POST", "/migrations/a/interlay/cache_interlay", {"endpoint": "new_redis_cluster"})
        says(api("POST", "/migrations/b/interlay/cache_interlay", {"endpoint": "new_redis_cluster"}), 409,
             "Migration error", "Interlay Schema already has an active migration")


if __name__ == "__main__":
    unittest.main()
