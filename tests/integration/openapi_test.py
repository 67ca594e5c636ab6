"""The OpenAPI document that the sidecar serves is true: every call in it is made at a running sidecar, and
every response, of successes and of refusals, is as the document says and holds nothing that it does not name.
"""

import re
import unittest
import urllib.parse

import jsonschema

from harness import READ, RawConn, RedisServer, Sidecar, wait_until
from postgres import PostgresServer

CANARY = {"type": "canary", "read_percentage": 0.25,
          "write_mode": {"mode": "dual_write", "policy": "old_authoritative"}}
STRATEGIES = (
    {"type": "big_bang", "durability": False}, CANARY,
    {"type": "canary", "read_percentage": 0.0, "split_by": "key",
     "ramp": {"steps": [0.1, 0.5], "hold_s": 60}},
    {"type": "blue_green", "active_is_new": True}, {"type": "shadow_traffic"},
    {"type": "rolling_update", "migrated_instances": ["a"], "total_instances": 2},
    {"type": "geographic", "regions": {"here": True}},
    {"type": "strangler_fig", "features": {"users": False}},
    {"type": "feature_flag", "flags": {"new_database": True}, "rollout_percentage": 0.25},
    {"type": "time_window", "window_start": "2099-01-01T00:00:00Z", "window_end": "2099-01-01T01:00:00Z"})


class Documented:
    """Calls that are looked up in the document; what it says of them is checked."""

    def __init__(self, test, sidecar):
        self.test, self.sidecar = test, sidecar
        status, self.document = sidecar.api("GET", "/openapi.json", token=READ)
        test.assertEqual(status, 200)
        self.called = set()
        self.patterns = {path: re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + "$")
                         for path in self.document["paths"]}

    def _check(self, value, schema):
        # What the document refers to is found from its root.
        whole = {**schema, "components": self.document["components"]}
        jsonschema.Draft202012Validator(whole).validate(value)

    def _named(self, parameter):
        if "$ref" in parameter:
            parameter = self.document["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
        return parameter["name"]

    def operation(self, method, path):
        plain = path.partition("?")[0]
        for name, pattern in self.patterns.items():
            if pattern.match(plain) and method.lower() in self.document["paths"][name]:
                return self.document["paths"][name][method.lower()]
        raise AssertionError(f"{method} {plain} is not documented")

    def __call__(self, method, path, body=None, status=None, **more):
        operation = self.operation(method, path)
        known = [self._named(one) for one in operation.get("parameters", ())]
        for name in urllib.parse.parse_qs(path.partition("?")[2]):
            self.test.assertIn(name, known, f"{method} {path}")
        given, answer = self.sidecar.api(method, path, body, **more)
        response = operation["responses"].get(str(given))
        self.test.assertIsNotNone(response, f"{method} {path}: {given} is not documented: {answer}")
        if "$ref" in response:
            response = self.document["components"]["responses"][response["$ref"].rpartition("/")[2]]
        self._check(answer, response["content"]["application/json"]["schema"])
        if given < 300:
            self.called.add(operation["operationId"])
            if body is not None:
                self._check(body, operation["requestBody"]["content"]["application/json"]["schema"])
        if status is None:
            self.test.assertLess(given, 300, answer)
        else:
            self.test.assertIn(given, status if isinstance(status, tuple) else (status,), answer)
        return answer

    def left(self):
        return {operation["operationId"] for path in self.document["paths"].values()
                for operation in path.values()} - self.called


class WhatIsTaken(unittest.TestCase):
    """Bodies in all the forms that the API takes are valid by the document, which asks for what is needed."""

    ENDPOINTS = ({"url": "redis://h:1"}, {"url": "redis://h:1", "tls": {"mode": "require"}}, {"host": "h"},
                 {"url": "redis://h:1", "shard": "s"}, {"host": "h", "shard": "s"},
                 {"write_conn": {"url": "redis://h:1"}}, {"write_conn": {"host": "h"}, "shard": None})
    MIGRATIONS = ({}, {"strategy": None, "data": None, "failure_handling": None, "guardrails": None},
                  {"strategy": {"type": "rolling_update", "total_instances": 2}},
                  {"data": {"type": "none"}}, {"data": {"type": "scan"}},
                  {"failure_handling": "retry_then_all"}, {"failure_handling": {"type": "allow_partial"}},
                  {"failure_handling": {"type": "retry_then_all", "retry_count": 3}}, {"guardrails": {}})
    REFUSED = ({"type": "canary"}, {"type": "rolling_update"}, {"type": "geographic"},
               {"type": "canary", "read_percentage": 0.1, "ramp": {"steps": [0.5]}},
               {"type": "canary", "read_percentage": 0.1, "ramp": {"hold_s": 1}},
               {"type": "canary", "read_percentage": 0.1, "ramp": {"steps": [0.5], "hold_s": 0}},
               {"type": "canary", "read_percentage": 0.1, "write_mode": {"mode": "cutover"}})

    def setUp(self):
        self.old = self.enterContext(RedisServer())
        self.sidecar = self.enterContext(Sidecar())
        self.call = Documented(self, self.sidecar)

    def test_is_documented(self):
        for number, config in enumerate(self.ENDPOINTS):
            with self.subTest(config=config):
                self.call("POST", "/endpoints?check=false",
                          {"id": f"e{number}", "kind": "redis", "config": config})
        self.call("PATCH", "/endpoints/e0?check=false", {"id": "e0", "kind": "redis", "config": {"port": 2}})
        self.call("POST", "/interlays",
                  {"id": "i", "endpoint": "e0", "port": 0, "tls": None, "settings": None})
        self.call("PATCH", "/interlays/i", {"id": "i", "endpoint": "e1"})
        for number, members in enumerate(self.MIGRATIONS):
            with self.subTest(members=members):
                self.call("POST", "/migrations", {"id": f"m{number}", **members})

    def test_what_is_needed_is_said(self):
        schema = {"$ref": "#/components/schemas/Strategy",
                  "components": self.call.document["components"]}
        for strategy in self.REFUSED:
            with self.subTest(strategy=strategy):
                status, _ = self.sidecar.api("POST", "/migrations", {"id": "m", "strategy": strategy})
                self.assertEqual(status, 400)
                self.assertFalse(jsonschema.Draft202012Validator(schema).is_valid(strategy))


class EveryCall(unittest.TestCase):
    def setUp(self):
        self.old = self.enterContext(RedisServer())
        self.new = self.enterContext(RedisServer(save="3600 1"))
        self.sidecar = self.enterContext(Sidecar())
        self.call = Documented(self, self.sidecar)

    def test_is_answered_as_it_is_documented(self):
        call = self.call
        for name, server in (("old", self.old), ("new", self.new)):
            call("POST", "/endpoints", {"id": name, "kind": "redis",
                                        "config": {"url": f"redis://127.0.0.1:{server.port}/0"}})
        call("POST", "/endpoints?check=false", {"id": "gone", "kind": "Redis", "config": {
            "host": "127.0.0.1", "port": 1, "username": "u", "password": "p",
            "tls": {"mode": "require", "domain": "x"}}})
        call("GET", "/endpoints")
        call("GET", "/endpoints/old")
        call("PATCH", "/endpoints/old", {"description": "of before"})
        call("POST", "/interlays", {"id": "cache", "endpoint": "old", "port": 0,
                                    "settings": {"pipeline_max": 1000, "regions": {"here": ["10.0.0.0/8"]}}})
        for verb in ("stop", "start"):
            call("POST", f"/interlays/cache/{verb}")
        call("PATCH", "/interlays/cache", {"description": "data port", "settings": {
            "pipeline_max": None, "user": {"from": "key", "pattern": "user:{{user}}"}}})
        call("GET", "/interlays")
        call("GET", "/interlays/cache")
        call("POST", "/templates", {"id": "get_user", "endpoint": "old", "query": "GET user:{{id}}"})
        call("PATCH", "/templates/get_user", {"description": "of users"})
        call("GET", "/templates")
        call("GET", "/templates/get_user")
        call("POST", "/apis", {"id": "users", "bindings": [{"template": "get_user", "fields": {}}],
                               "fields": [{"name": "id", "type": "string", "required": True}]})
        call("PATCH", "/apis/users", {"description": "users"})
        call("GET", "/apis")
        call("GET", "/apis/users")
        for number, strategy in enumerate(STRATEGIES):
            call("POST", "/migrations", {"id": f"s{number}", "strategy": strategy})
        call("POST", "/migrations", {"id": "a", "data": {"type": "scan", "replace": "replace"},
                                     "failure_handling": {"type": "retry_then_all", "retry_count": 3}})
        call("POST", "/migrations/a/api/users", {"id": "users", "bindings": [{"template": "get_user",
                                                                              "fields": {}}]})
        call("GET", "/migrations/a?verbose=true")
        call("GET", "/apis/users")
        call("GET", "/migrations/a/status")
        call("POST", "/migrations/a/test")
        call("DELETE", "/migrations/a/api")
        call("POST", "/migrations/a/cancel")
        call("POST", "/migrations", {"id": "m", "strategy": CANARY, "data": None, "failure_handling": None,
                                     "guardrails": {"error_rate": 0.9, "new_side_down_s": None}})
        call("POST", "/migrations/m/interlay/cache", {"endpoint": "new"})
        call("POST", "/migrations/m/test")
        call("POST", "/migrations/m/migrate")
        call("PATCH", "/migrations/m", {"strategy": {**CANARY, "read_percentage": 0.5}})
        call("GET", "/migrations")
        call("GET", "/migrations?verbose=true")
        call("GET", "/migrations/m")
        wait_until(lambda: call("GET", "/migrations/m/status")["data"]["interlays"][0]["guardrails"], 20,
                   "figures of guardrails")
        call("POST", "/migrations/m/verify")
        wait_until(lambda: call("GET", "/migrations/m/status")["data"]["verification"]["state"] == "complete",
                   20, "verification")
        call("GET", "/migrations/m/events?limit=2&after=1")
        self.differ()
        call("POST", "/migrations/m/pause")
        call("POST", "/migrations/m/resume")
        call("POST", "/migrations/m/complete", status=409)
        call("POST", "/migrations/m/rollback")
        call("PATCH", "/migrations/m", {"strategy": {"type": "blue_green", "active_is_new": True}})
        call("POST", "/migrations/m/migrate?force=true")
        call("POST", "/migrations/m/complete")
        for path in ("/migrations/m", "/migrations/a", "/interlays/cache", "/apis/users",
                     "/templates/get_user", "/endpoints/gone"):
            call("DELETE", path)
        self.assertEqual(call.left(), set())

    def differ(self):
        """What the second side has not taken is in the divergence, until it is repaired."""
        interlay = self.sidecar.must("GET", "/interlays/cache")
        self.new.sigstop()
        self.addCleanup(self.new.sigcont)
        try:
            with RawConn(interlay["port"]) as client:
                client.call("SET", "key", "value")
            wait_until(lambda: self.call("GET", "/migrations/m/divergence")["data"]["entries_total"] > 0,
                       20, "an entry")
        finally:
            self.new.sigcont()
        wait_until(lambda: self.call("GET", "/migrations/m/divergence")["data"]["entries_total"] == 0,
                   20, "it is repaired")

    def test_refusals_are_documented_too(self):
        call = self.call
        call("GET", "/endpoints/none", status=404)
        call("POST", "/endpoints", {"id": "x"}, status=400)
        call("POST", "/endpoints", {"id": "x", "kind": "redis", "config": {"url": "redis://127.0.0.1:1"}},
             status=503)
        call("POST", "/migrations", {"id": "m"})
        call("POST", "/migrations", {"id": "m"}, status=409)
        call("POST", "/migrations/m/migrate", status=409)
        call("PATCH", "/migrations/m", {"description": "x"}, status=412, headers={"If-Match": '"0"'})
        call("GET", "/migrations/m", token=READ, status=403)
        call("GET", "/migrations", token="wrong", status=401)
        call("GET", "/migrations/m/events?limit=x", status=400)

    def test_who_shows_wrong_tokens_is_told_so_as_documented(self):
        limit = 100  # more than are let through at once
        for _ in range(limit):
            answer = self.call("GET", "/migrations", token="wrong", status=(401, 429))
            if "Too Many" in answer["error"]:
                return
        self.fail("nobody was told 429")


class OfPostgres(unittest.TestCase):
    def test_is_answered_as_it_is_documented(self):
        with PostgresServer(15) as old, PostgresServer(15) as new, Sidecar() as sidecar:
            call = Documented(self, sidecar)
            for name, server in (("old", old), ("new", new)):
                call("POST", "/endpoints", {"id": name, "kind": "Postgres", "config": {
                    "host": server.host, "port": server.port, "database": "app", "username": "app"}})
            call("GET", "/endpoints/old")
            call("POST", "/interlays", {"id": "app", "endpoint": "old", "port": 0})
            call("GET", "/interlays/app")
            call("POST", "/migrations", {"id": "m", "strategy": {**CANARY, "write_mode": {
                **CANARY["write_mode"], "engine": "statement"}}})
            call("POST", "/migrations/m/interlay/app", {"endpoint": "new"})
            call("POST", "/migrations/m/migrate?force=true")
            call("GET", "/migrations/m?verbose=true")
            call("GET", "/migrations/m/status")
            call("GET", "/migrations/m/divergence")


if __name__ == "__main__":
    unittest.main()
