"""Templates and apis through the control port: defined, kept over kill -9, declared, held while used."""

import unittest

from harness import READ, RedisServer, Sidecar, wait_until


class Apis(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.old = cls.enterClassContext(RedisServer())
        cls.sidecar = cls.enterClassContext(Sidecar())
        cls.sidecar.add_endpoint("old", cls.old)

    def test_they_are_there_after_kill_9_as_they_were_answered(self):
        template = self.sidecar.must("POST", "/templates", {
            "id": "get_user", "endpoint": "old", "query": "GET user:{{id}}", "kind": "read",
            "fields": [{"name": "id", "type": "integer"}], "description": "one user"})
        self.assertEqual(template["kind"], "Read")
        self.sidecar.must("POST", "/templates", {
            "id": "set_user", "endpoint": template["endpoint"], "query": "SET user:{{user}} {{value}}"})
        api = self.sidecar.must("POST", "/apis", {"id": "users", "bindings": [
            {"template": "get_user", "fields": {}},
            {"template_id": "set_user", "fields": [["user", "id"]]}]})
        self.assertEqual([field["name"] for field in api["fields"]], ["id", "value"])
        self.sidecar.kill9()
        self.sidecar.restart()
        self.assertEqual(self.sidecar.must("GET", "/templates/get_user"), template)
        self.assertEqual(self.sidecar.must("GET", f"/apis/{api['uuid']}"), api)
        self.assertEqual(self.sidecar.must("GET", "/apis"), [api])
        for path, user in (("/templates/set_user", "api 'users'"), ("/endpoints/old", "template ")):
            status, answer = self.sidecar.api("DELETE", path)
            self.assertEqual(status, 409, answer)
            self.assertIn(f"is used by {user}", answer["message"])
        self.sidecar.must("PATCH", "/apis/users", {"bindings": [{"template": "get_user"}]})
        self.sidecar.must("DELETE", "/templates/set_user")
        self.sidecar.must("DELETE", "/apis/users")
        self.sidecar.must("DELETE", "/templates/get_user")
        self.assertEqual(self.sidecar.must("GET", "/templates"), [])

    def test_who_may_only_read_sees_them_and_changes_nothing(self):
        self.assertEqual(self.sidecar.api("GET", "/templates", token=READ)[0], 200)
        self.assertEqual(self.sidecar.api("GET", "/apis", token=READ)[0], 200)
        for path in ("/templates", "/apis"):
            self.assertEqual(self.sidecar.api("POST", path, {"id": "x"}, token=READ)[0], 403)


class Declared(unittest.TestCase):
    def config(self, query, bindings):
        return {"endpoints": [{"id": "e", "kind": "postgres", "config": {"host": "127.0.0.1"}}],
                "templates": [{"id": "t", "endpoint": "e", "query": query}],
                "apis": [{"id": "users", "bindings": bindings}]}

    def test_sighup_reads_them_again_and_a_mistake_changes_nothing(self):
        first = "SELECT name FROM users WHERE id = {{id}}"
        with Sidecar(config=self.config(first, [{"template": "t"}])) as sidecar:
            self.assertEqual(sidecar.must("GET", "/apis/users")["declared_in"], "file")
            status, answer = sidecar.api("PATCH", "/templates/t", {"description": "d"})
            self.assertEqual((status, "configuration file" in answer["message"]), (409, True), answer)
            sidecar.write_config(self.config("SELECT name FROM {{table}}", [{"template": "t"}]))
            sidecar.sighup()
            wait_until(lambda: "templates[0].query" in sidecar.log_text(), 10, "a line in the log")
            self.assertEqual(sidecar.must("GET", "/templates/t")["query"], first)
            second = "SELECT mail FROM users WHERE key = {{key}}"
            sidecar.write_config(self.config(second, [{"template": "t", "fields": {"key": "id"}}]))
            sidecar.sighup()
            wait_until(lambda: sidecar.must("GET", "/templates/t")["query"] == second, 10, "the new query")
            self.assertEqual(sidecar.must("GET", "/apis/users")["fields"][0]["name"], "id")


if __name__ == "__main__":
    unittest.main()
