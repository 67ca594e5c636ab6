"""Control of PostgreSQL interlays: which migrations they may have, and what is learned of their servers."""

import unittest

from harness import ApiError, Sidecar, wait_until
from postgres import PostgresServer

CUTOVER_HALF = {"mode": "cutover", "write_percentage": 0.5}
DUAL_WRITE = {"mode": "dual_write", "policy": "old_authoritative"}
BY_STATEMENT = {**DUAL_WRITE, "engine": "statement"}


def canary(read_percentage, write_mode=None):
    strategy = {"type": "canary", "read_percentage": read_percentage}
    return strategy if write_mode is None else {**strategy, "write_mode": write_mode}


class PostgresPair(unittest.TestCase):
    """PostgreSQL 15 as `old`, 18 as `new`, a sidecar, and interlay `app` before old."""

    @classmethod
    def setUpClass(cls):
        cls.old = cls.enterClassContext(PostgresServer(15))
        cls.new = cls.enterClassContext(PostgresServer(18))

    def setUp(self):
        self.sidecar = self.enterContext(Sidecar())
        self.add_endpoint("old", self.old)
        self.add_endpoint("new", self.new)
        self.sidecar.add_interlay("app", "old")

    def add_endpoint(self, name, server, **config):
        config = {"host": server.host, "port": server.port, "database": "app", "username": "app",
                  **config}
        self.sidecar.must("POST", "/endpoints", {"id": name, "kind": "postgres", "config": config})

    def interlay(self, name="app"):
        return self.sidecar.must("GET", f"/interlays/{name}")

    def refused(self, call, status=400):
        with self.assertRaises(ApiError) as refused:
            call()
        self.assertEqual(refused.exception.status, status)
        self.assertEqual(refused.exception.body["error"],
                         {400: "Bad Request", 409: "Migration error"}[status])
        return refused.exception.body["message"]


class Rules(PostgresPair):
    def test_strategies_that_suit_a_database_start(self):
        for number, strategy in enumerate((
                {"type": "big_bang"}, {"type": "blue_green"}, {"type": "shadow_traffic"},
                canary(0.0), canary(0.3, BY_STATEMENT), canary(1.0),
                canary(0.0, {"mode": "cutover", "write_percentage": 1.0}))):
            name = f"m{number}"
            with self.subTest(strategy=strategy):
                self.sidecar.migrate(name, strategy, "app", "new")
                shown = self.sidecar.must("GET", f"/migrations/{name}")["strategy"]
                self.assertEqual({**shown, **strategy}, shown)
                self.sidecar.must("POST", f"/migrations/{name}/rollback")

    def test_a_split_history_is_refused_and_says_what_to_do(self):
        for name, strategy, words in (
                ("a", canary(0.3), "strategy.write_mode: is needed for PostgreSQL"),
                ("b", canary(0.3, CUTOVER_HALF), "write_percentage: must be 0.0 or 1.0")):
            message = self.refused(
                lambda: self.sidecar.create_migration(name, strategy, "app", "new"))
            self.assertIn(words, message)
            self.assertIn("history", message)

    def test_a_dual_write_names_its_engine(self):
        message = self.refused(
            lambda: self.sidecar.create_migration("a", canary(0.3, DUAL_WRITE), "app", "new"))
        self.assertIn("strategy.write_mode.engine: is needed for PostgreSQL", message)
        self.assertIn("commits on the authoritative side first", message)
        for engine, words in (("replication", "comes with PostgreSQL data movement"),
                              ("chance", "must be \"statement\"")):
            write_mode = {**DUAL_WRITE, "engine": engine}
            self.assertIn(words, self.refused(
                lambda: self.sidecar.create_migration("b", canary(0.3, write_mode), "app", "new")))

    def test_a_running_migration_is_not_patched_to_what_it_may_not_be(self):
        self.sidecar.migrate("m", canary(0.3, BY_STATEMENT), "app", "new")
        self.sidecar.patch("m", {"read_percentage": 0.6})
        for patch in ({"write_mode": None}, {"write_mode": CUTOVER_HALF},
                      {"write_mode": {"engine": None}}):
            self.refused(lambda: self.sidecar.patch("m", patch))
        self.assertEqual(self.sidecar.must("GET", "/migrations/m")["strategy"],
                         canary(0.6, BY_STATEMENT))


class Learning(PostgresPair):
    def test_the_catalog_is_read_as_the_endpoints_user_before_the_interlay_listens(self):
        catalog = self.interlay()["catalog"]
        self.assertEqual((catalog["source"], catalog["database"], catalog["why"]),
                         ("server", "app", None))

    def test_without_a_user_or_a_database_the_built_in_names_serve_and_why_is_said(self):
        for name, config, words in (("no-user", {"username": None}, "names no user"),
                                    ("no-database", {"database": None}, "names no database")):
            self.add_endpoint(name, self.old, **config)
            self.sidecar.add_interlay(name, name)
            catalog = self.interlay(name)["catalog"]
            self.assertEqual(catalog["source"], "built_in")
            self.assertIn(words, catalog["why"])
            self.assertIn("counts as a write", catalog["why"])

    def test_a_server_that_is_down_at_first_is_read_as_soon_as_it_answers(self):
        with PostgresServer(15) as late:
            self.add_endpoint("late", late)
            late.stop()
            self.sidecar.add_interlay("late", "late")
            self.assertEqual(self.interlay("late")["catalog"]["source"], "built_in")
            late.restart()
            wait_until(lambda: self.interlay("late")["catalog"]["source"] == "server", 20,
                       "its catalog was read")


if __name__ == "__main__":
    unittest.main()
