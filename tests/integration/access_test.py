"""Who may call what: each call of the API with no token, an unknown one, one that may read and one of an
admin. The calls are those of the document that the sidecar serves, which has every route
(tests/unit/control/http/openapi_test.cc).
"""

import re
import unittest

from harness import ADMIN, READ, Sidecar

MCP = ("/mcp/migrations", "/tools/migrations")


class EveryRoute(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sidecar = cls.enterClassContext(Sidecar())
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


if __name__ == "__main__":
    unittest.main()
