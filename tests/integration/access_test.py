"""Who may call what: each call of the API with no token, an unknown one, one that may read and one of an
admin. The calls are those of the document that the sidecar serves, which has every route
(tests/unit/control/http/openapi_test.cc). And who tries too many wrong ones is slowed, alone.
"""

import contextlib
import http.client
import os
import re
import unittest

from certificates import Authority
from harness import ADMIN, READ, SLOWNESS, Sidecar, temp_folder, wait_until

MCP = ("/mcp/migrations", "/tools/migrations")


class EveryRoute(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # All that fails here comes from one address.
        cls.sidecar = cls.enterClassContext(Sidecar(config={"control": {"token_failures_max": 100000}}))
        _, document = cls.sidecar.api("GET", "/openapi.json", token=READ)
        cls.calls = [(method.upper(), re.sub(r"\{\w+\}", "none", path), operation["x-role"])
                     for path, operations in document["paths"].items()
                     for method, operation in operations.items()]
        cls.calls += [(method, path, "read") for path in MCP for method in ("GET", "POST", "DELETE")]
        cls.calls.append(("GET", "/openapi.json", "read"))

    def status(self, method, path, token):
        # A body that no call takes: whoever may call is told so, or that there is no such thing.
        body = {"no such member": 1} if method in ("POST", "PATCH") else None
        return self.sidecar.api(method, path, body, token=token)

    def test_without_a_token_or_with_an_unknown_one_nobody_is_told_anything(self):
        for method, path, _ in [*self.calls, ("GET", "/no/such/path", ""), ("PUT", "/endpoints", "")]:
            for token in (None, "", "unknown", ADMIN + "x", ADMIN[:-1]):
                with self.subTest(method=method, path=path, token=token):
                    status, body = self.status(method, path, token)
                    self.assertEqual((status, body["error"]), (401, "Unauthorized"))

    def test_who_may_read_may_not_change(self):
        for method, path, role in self.calls:
            with self.subTest(method=method, path=path):
                status, body = self.status(method, path, READ)
                if role == "admin":
                    self.assertEqual((status, body["error"]), (403, "Forbidden"))
                else:
                    self.assertNotIn(status, (401, 403))

    def test_an_admin_may_everything(self):
        for method, path, _ in self.calls:
            with self.subTest(method=method, path=path):
                self.assertNotIn(self.status(method, path, ADMIN)[0], (401, 403))

    def test_nothing_that_changes_is_for_readers(self):
        for method, path, role in self.calls:
            if method != "GET" and path not in MCP:
                self.assertEqual(role, "admin", (method, path))

    def test_the_missions_table(self):
        roles = {(method, path): role for method, path, role in self.calls}
        self.assertEqual(
            [roles[call] for call in (
                ("POST", "/migrations"), ("GET", "/migrations"), ("GET", "/migrations/none"),
                ("POST", "/migrations/none/api/none"), ("POST", "/migrations/none/interlay/none"),
                ("POST", "/migrations/none/test"), ("POST", "/migrations/none/migrate"))],
            ["admin", "read", "admin", "admin", "admin", "admin", "admin"])


class WrongTokens(unittest.TestCase):
    """What becomes of an address that shows one wrong token after the other."""

    def sidecar(self, **control):
        return self.enterContext(Sidecar(config={"control": control}))

    def call(self, sidecar, token="wrong", source="127.0.0.1", path="/api/v1/endpoints", method="GET",
             tls=None):
        """(status, Retry-After or None) of a call from that address."""
        host, port = sidecar.control
        more = {"timeout": 20 * SLOWNESS, "source_address": (source, 0)}
        connection = (http.client.HTTPConnection(host, port, **more) if tls is None else
                      http.client.HTTPSConnection("localhost", port, context=tls, **more))
        with contextlib.closing(connection):
            connection.request(method, path, headers={"Authorization": f"Bearer {token}"} if token else {})
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.headers["Retry-After"]

    def refused(self, answer, most_s=60):
        status, retry = answer
        self.assertEqual(status, 429)
        self.assertIn(int(retry), range(1, most_s + 1))

    def test_by_default_twenty_are_told_so_and_no_right_one_is_kept_out(self):
        sidecar = self.sidecar(token_failures_per_minute=1)  # so that none comes back meanwhile
        statuses = [self.call(sidecar)[0] for _ in range(200)]
        self.assertEqual(statuses, [401] * 20 + [429] * 180)
        status, body = sidecar.api("GET", "/endpoints", token="wrong")
        self.assertEqual((status, body["error"]), (429, "Too Many Requests"))
        for token in (READ, ADMIN):
            self.assertEqual(self.call(sidecar, token)[0], 200)
        self.refused(self.call(sidecar, token=None))
        for path in ("/healthz", "/readyz", "/metrics"):
            self.assertEqual(self.call(sidecar, token=None, path=path)[0], 200)
        self.assertEqual(self.call(sidecar, source="127.0.0.2")[0], 401)
        failed = sidecar.metric("crossfade_control_token_failures_total")
        refused = sidecar.metric("crossfade_control_token_refusals_total")
        self.assertEqual(failed, 203)
        self.assertEqual(refused, sidecar.metric("crossfade_control_requests_total", code="429"))

    def test_in_time_an_address_may_fail_again(self):
        sidecar = self.sidecar(token_failures_max=2, token_failures_per_minute=60)
        for _ in range(2):
            self.assertEqual(self.call(sidecar)[0], 401)
        wait_until(lambda: self.call(sidecar)[0] == 429, 10, "a refusal")
        wait_until(lambda: self.call(sidecar)[0] == 401, 10, "an allowance")

    def test_the_limit_is_the_same_at_every_path_and_over_tls(self):
        ca = Authority("servers")
        base = os.path.join(temp_folder("tls"), "control")
        ca.issue("localhost", "127.0.0.1", into=base)
        sidecar = self.sidecar(token_failures_max=2, token_failures_per_minute=1, metrics_token=True,
                               probes_token=True,
                               tls={"server_cert": base + ".pem", "server_key": base + ".key"})
        tls = ca.context()
        for _ in range(2):
            self.assertEqual(self.call(sidecar, tls=tls)[0], 401)
        for path in ("/api/v1/endpoints", *("/api/v1" + path for path in MCP), "/api/v1/no/such/path",
                     "/metrics", "/readyz"):
            for method in ("GET", "POST") if path.startswith("/api") else ("GET",):
                with self.subTest(path=path, method=method):
                    self.refused(self.call(sidecar, path=path, method=method, tls=tls))
        self.assertEqual(self.call(sidecar, READ, path="/metrics", tls=tls)[0], 200)
        self.assertEqual(self.call(sidecar, source="127.0.0.3", tls=tls)[0], 401)

    def test_as_many_addresses_are_remembered_as_the_limit_says(self):
        sidecar = self.sidecar(token_failures_max=1, token_failures_per_minute=1, failing_peers_max=3)
        self.assertEqual(self.call(sidecar)[0], 401)
        self.refused(self.call(sidecar))
        for number in range(2, 5):
            self.assertEqual(self.call(sidecar, source=f"127.0.0.{number}")[0], 401)
        self.assertEqual(self.call(sidecar)[0], 401)  # was the oldest
        self.refused(self.call(sidecar, source="127.0.0.4"))

    def test_the_log_says_who_and_what_in_few_lines_and_no_token(self):
        sidecar = self.sidecar(token_failures_max=2, token_failures_per_minute=1,
                               refusals_logged_per_minute=10)
        for number in range(200):
            self.call(sidecar, token=f"wr0ng-{number}", path=f"/api/v1/migrations/m{number}")
        log = sidecar.wait_for_log("m9\n")
        lines = [line for line in log.splitlines() if "control port: " in line]
        # Ten at once, and ten a minute.
        self.assertIn(len(lines), range(10, 11 + 10 * int(SLOWNESS)))
        self.assertIn("control port: 401 for 127.0.0.1: GET /api/v1/migrations/m0", lines[0])
        self.assertIn("control port: 429 for 127.0.0.1: GET /api/v1/migrations/m2", lines[2])
        self.assertNotIn("wr0ng", log)

    def test_who_may_not_is_in_the_log_by_name(self):
        sidecar = self.sidecar()
        self.assertEqual(self.call(sidecar, READ, method="POST")[0], 403)
        log = sidecar.wait_for_log(
            "control port: 403 for 127.0.0.1, token environment-read: POST /api/v1/endpoints")
        self.assertNotIn(READ, log)


if __name__ == "__main__":
    unittest.main()
