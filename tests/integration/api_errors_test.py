"""One test for each row of the API's error table: the class, the status, and the JSON path or words."""

import os
import socket
import sqlite3
import subprocess
import unittest

from harness import READ, SLOWNESS, RedisServer, Sidecar, binary, free_port, temp_folder

HOST = "127.0.0.1"


class Errors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.old = cls.enterClassContext(RedisServer())
        cls.new = cls.enterClassContext(RedisServer())
        cls.sidecar = cls.enterClassContext(Sidecar())
        cls.sidecar.add_endpoint("old", cls.old)
        cls.sidecar.add_endpoint("new", cls.new)
        cls.sidecar.add_interlay("cache", "old")
        cls.sidecar.create_migration("bound", {"type": "shadow_traffic"}, "cache", "new")

    def refused(self, status, error, method, path, body=None, **how):
        """Makes the call, checks status and class, and returns the message."""
        given, answer = self.sidecar.api(method, path, body, **how)
        self.assertEqual((given, answer.get("error")), (status, error), answer)
        self.assertEqual(set(answer) - {"checks"}, {"error", "message"})
        return answer["message"]

    # 400

    def test_400_malformed_json_names_the_place(self):
        message = self.refused(400, "Bad Request", "POST", "/migrations", b'{"id": "m",\n "x" 1}')
        self.assertIn("line 2, column 6", message)

    def test_400_unknown_and_ill_typed_fields_name_the_path(self):
        rows = [
            ("POST", "/endpoints", {"id": "e", "kind": "redis", "config": {"host": "h", "prot": 1}},
             "config.prot: is not a known field"),
            ("POST", "/endpoints", {"id": "e", "kind": "redis", "config": {"host": "h", "port": "x"}},
             "config.port: must be a whole number from 1 to 65535"),
            ("POST", "/endpoints", {"id": "e", "kind": "redis",
                                    "config": {"write_conn": {"port": 1}}},
             "config.write_conn.host: is required"),
            ("POST", "/endpoints", {"id": "e", "kind": "mysql", "config": {"host": "h"}},
             "kind: must be redis or postgres"),
            ("PATCH", "/endpoints/old", {"config": {"db": -1}},
             "config.db: must be a whole number from 0 to 65535"),
            ("POST", "/interlays", {"id": "i", "endpoint": "old", "port": -1},
             "port: must be a whole number from 0 to 65535"),
            ("POST", "/interlays", {"id": "i", "endpoint": "old", "port": 0,
                                    "settings": {"clients_max": "many"}},
             "settings.clients_max: must be a whole number from 1 to 1000000"),
            ("PATCH", "/interlays/cache", {"settings": {"nosuch": 1}},
             "settings.nosuch: is not a known field"),
            ("POST", "/migrations", {"id": "m", "strategy": {"type": "canary", "read_percentage": 2}},
             "strategy.read_percentage: must be a number from 0 to 1"),
            ("POST", "/migrations", {"id": "m", "strategy": {
                "type": "canary", "read_percentage": 0, "write_mode": {"mode": "both"}}},
             "strategy.write_mode.mode: must be dual_write or cutover"),
            ("POST", "/migrations", {"id": "m", "data": {"type": "scan", "replace": "maybe"}},
             "data.replace: must be none, replace or merge"),
            ("POST", "/migrations", {"id": "m", "guardrails": {"error_rate": 2}},
             "guardrails.error_rate: must be a number from 0 to 1"),
            ("POST", "/migrations", {"id": "m", "failure_handling": {"type": "shrug"}},
             "failure_handling.type: must be rollback_all, retry_then_all or allow_partial"),
            ("PATCH", "/migrations/bound", {"strategy": {"type": "canary"}},
             "strategy.read_percentage: is required"),
            ("POST", "/migrations/bound/interlay/cache", {"endpoint": 7},
             "endpoint: must be a string, is a number"),
            ("POST", "/migrations/bound/migrate", {"force": True}, "force: is not a known field"),
            ("POST", "/templates", {"id": "t", "endpoint": "old"}, "query: is required"),
            ("POST", "/templates", {"id": "t", "endpoint": "old", "query": "GET {{id"},
             'query: has "{{" without "}}"'),
            ("POST", "/templates", {"id": "t", "endpoint": "old", "query": "GET {{id}}",
                                    "fields": [{"name": "id"}, {"name": "x"}]},
             "fields[1].name: 'x' is no field of the query"),
            ("POST", "/apis", {"id": "a", "bindings": []}, "bindings: must name at least one template"),
            ("POST", "/apis", {"id": "a", "bindings": [{"template": 1}]},
             "bindings[0].template: must be a string, is a number"),
        ]
        for method, path, body, expected in rows:
            with self.subTest(expected):
                self.assertEqual(self.refused(400, "Bad Request", method, path, body), expected)

    def test_400_values_that_json_has_not_or_that_are_no_share(self):
        for text in (b"NaN", b"Infinity", b"-0.1", b"1.0000001", b'"0.5"', b"[0.5]", b"true"):
            with self.subTest(text):
                message = self.refused(
                    400, "Bad Request", "POST", "/migrations",
                    b'{"id":"m","strategy":{"type":"canary","read_percentage":' + text + b"}}")
                self.assertRegex(message, r"strategy\.read_percentage|line 1, column 57")

    def test_400_a_name_given_twice(self):
        self.assertEqual(
            self.refused(400, "Bad Request", "POST", "/migrations", b'{"id":"m","id":"n"}'),
            "id: is given twice")

    def test_400_invalid_strategy(self):
        self.assertEqual(
            self.refused(400, "Bad Request", "POST", "/migrations",
                         {"id": "m", "strategy": {"type": "teleport", "flags": {}}}),
            "Migration strategy not yet implemented")

    # 401, 403

    def test_401_without_a_token_or_with_an_unknown_one(self):
        for token in (None, "guess", ""):
            self.refused(401, "Unauthorized", "GET", "/migrations", token=token)
            self.refused(401, "Unauthorized", "GET", "/no/such/path", token=token)

    def test_403_when_the_role_is_not_enough(self):
        self.refused(403, "Forbidden", "POST", "/migrations", {"id": "m"}, token=READ)
        self.refused(403, "Forbidden", "DELETE", "/interlays/cache", token=READ)
        self.refused(403, "Forbidden", "GET", "/migrations/bound", token=READ)

    # 404, 405

    def test_404_names_what_does_not_exist(self):
        rows = [("GET", "/migrations/x", None, "Migration 'x' does not exist"),
                ("POST", "/migrations/x/migrate", None, "Migration 'x' does not exist"),
                ("GET", "/endpoints/x", None, "Endpoint 'x' does not exist"),
                ("GET", "/interlays/x", None, "Interlay 'x' does not exist"),
                ("GET", "/templates/x", None, "Template 'x' does not exist"),
                ("POST", "/templates", {"id": "t", "endpoint": "x", "query": "GET y"},
                 "Endpoint 'x' does not exist"),
                ("DELETE", "/apis/x", None, "Api 'x' does not exist"),
                ("POST", "/apis", {"id": "a", "bindings": [{"template": "x"}]},
                 "Template 'x' does not exist"),
                ("POST", "/interlays", {"id": "i", "endpoint": "x", "port": 0},
                 "Endpoint 'x' does not exist"),
                ("POST", "/migrations/bound/interlay/x", {"endpoint": "new"},
                 "Interlay 'x' does not exist"),
                ("GET", "/migrations/550e8400-e29b-41d4-a716-446655440000", None,
                 "Migration '550e8400-e29b-41d4-a716-446655440000' does not exist")]
        for method, path, body, expected in rows:
            with self.subTest(path):
                self.assertEqual(self.refused(404, "Not found", method, path, body), expected)

    def test_404_and_405_of_paths(self):
        self.refused(404, "Not found", "GET", "/nosuch")
        self.refused(405, "Method not allowed", "PUT", "/migrations")
        _, headers, _ = self.sidecar.http("PUT", "/migrations", {})
        self.assertEqual(headers["allow"], "GET, POST")

    # 409

    def test_409_an_active_migration(self):
        self.sidecar.must("POST", "/migrations", {"id": "second"})
        self.assertEqual(
            self.refused(409, "Migration error", "POST", "/migrations/second/interlay/cache",
                         {"endpoint": "new"}),
            "Interlay Schema already has an active migration")

    def test_409_a_status_that_forbids_it(self):
        self.sidecar.must("POST", "/migrations", {"id": "fresh"})
        self.assertEqual(self.refused(409, "Migration error", "POST", "/migrations/fresh/rollback"),
                         "Cannot set RollingBack migration in status: Pending")

    def test_409_reads_ahead_of_a_cutover_s_writes_while_it_routes_unless_forced(self):
        split = {"strategy": {"type": "canary", "read_percentage": 0.75,
                              "write_mode": {"mode": "cutover", "write_percentage": 0.25}}}
        self.sidecar.add_interlay("split", "old")
        self.sidecar.migrate("split", {"type": "canary", "read_percentage": 0}, "split", "new")
        message = self.refused(409, "Migration error", "PATCH", "/migrations/split", split)
        self.assertIn("read_percentage is above write_percentage", message)
        self.assertEqual(self.sidecar.must("GET", "/migrations/split")["strategy"]["read_percentage"], 0)
        self.sidecar.must("PATCH", "/migrations/split?force=true", split)
        for method, path in (("POST", "/migrations/split/rollback"), ("DELETE", "/migrations/split"),
                             ("DELETE", "/interlays/split")):
            self.sidecar.must(method, path)

    def test_409_duplicate_ids(self):
        for path, body in (
                ("/endpoints", {"id": "old", "kind": "redis", "config": {"host": "h"}}),
                ("/interlays", {"id": "cache", "endpoint": "old", "port": 0}),
                ("/migrations", {"id": "bound"})):
            with self.subTest(path):
                self.assertRegex(self.refused(409, "Migration error", "POST", path, body),
                                 "already exists$")

    def test_409_a_port_in_use_and_nothing_is_stored(self):
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            taken.listen()
            port = taken.getsockname()[1]
            message = self.refused(409, "Migration error", "POST", "/interlays",
                                   {"id": "i", "endpoint": "old", "port": port})
            self.assertIn(str(port), message)
            self.refused(404, "Not found", "GET", "/interlays/i")
            before = self.sidecar.must("GET", "/interlays/cache")["port"]
            self.refused(409, "Migration error", "PATCH", "/interlays/cache", {"port": port})
            self.assertEqual(self.sidecar.must("GET", "/interlays/cache")["port"], before)
            with socket.create_connection((HOST, before), 5) as client:
                client.sendall(b"PING\r\n")
                self.assertEqual(client.recv(100), b"+PONG\r\n")

    def test_409_a_second_process_can_not_have_the_control_port_or_another_s_interlay_port(self):
        control = "%s:%d" % self.sidecar.control
        state = os.path.join(temp_folder("second"), "crossfade.db")
        done = subprocess.run([binary(), "serve", "--control", control, "--state", state],
                              capture_output=True, text=True, check=False, timeout=30 * SLOWNESS,
                              stdin=subprocess.DEVNULL)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(f"open the control port {control}: the address is in use", done.stderr)
        self.assertEqual(self.sidecar.api("GET", "/migrations")[0], 200)
        other = self.sidecar.ports["cache"]
        with Sidecar() as second:
            second.add_endpoint("old", self.old)
            status, answer = second.api("POST", "/interlays",
                                        {"id": "i", "endpoint": "old", "port": other})
            self.assertEqual((status, answer["error"]), (409, "Migration error"))

    def test_409_resources_that_are_used(self):
        self.assertEqual(self.refused(409, "Migration error", "DELETE", "/endpoints/old"),
                         "Endpoint 'old' is used by interlay 'cache'")
        self.refused(409, "Migration error", "DELETE", "/interlays/cache")

    # 412

    def test_412_when_the_resource_has_changed(self):
        self.sidecar.must("POST", "/migrations", {"id": "etag"})
        _, headers, _ = self.sidecar.http("GET", "/migrations/etag")
        how = {"headers": {"If-Match": headers["etag"]}}
        status, _ = self.sidecar.api("PATCH", "/migrations/etag", {"description": "a"}, **how)
        self.assertEqual(status, 200)
        self.refused(412, "Precondition failed", "PATCH", "/migrations/etag", {"description": "b"},
                     **how)
        self.assertEqual(self.sidecar.must("GET", "/migrations/etag")["description"], "a")

    # 413

    def test_413_a_body_over_the_limit(self):
        body = b'{"id":"' + b"x" * (2 << 20) + b'"}'
        self.assertIn("1048576", self.refused(413, "Bad Request", "POST", "/migrations", body))

    # 503

    def test_503_a_needed_side_that_can_not_be_reached(self):
        port = free_port()
        body = {"id": "dead", "kind": "redis", "config": {"host": HOST, "port": port}}
        message = self.refused(503, "Unavailable", "POST", "/endpoints", body)
        self.assertIn("Connection refused", message)
        self.refused(404, "Not found", "GET", "/endpoints/dead")
        self.sidecar.must("POST", "/endpoints?check=false", body)
        health = self.sidecar.must("GET", "/endpoints/dead")["health"]
        self.assertEqual((health["up"], bool(health["last_error"])), (False, True))

    def test_503_a_store_that_can_not_be_written(self):
        with Sidecar() as sidecar:
            sidecar.must("POST", "/migrations", {"id": "kept"})
            # A writer that does not let go is what a stuck backup looks like.
            blocker = sqlite3.connect(sidecar.state, isolation_level=None)
            blocker.execute("BEGIN IMMEDIATE")
            status, answer = sidecar.api("POST", "/migrations", {"id": "lost"}, limit_s=30)
            self.assertEqual((status, answer["error"]), (503, "Unavailable"), answer)
            self.assertIn("nothing was changed", answer["message"])
            blocker.execute("ROLLBACK")
            blocker.close()
            self.assertEqual([one["id"] for one in sidecar.must("GET", "/migrations")], ["kept"])
            sidecar.must("POST", "/migrations", {"id": "found"})


if __name__ == "__main__":
    unittest.main()
