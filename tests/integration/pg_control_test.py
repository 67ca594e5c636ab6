"""Control of PostgreSQL interlays: which migrations they may have, and what is learned of their servers."""

import unittest

from harness import ApiError, Sidecar, wait_until
from pg_conn import PgConn
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
                {"type": "big_bang", "durability": False}, {"type": "blue_green"},
                {"type": "shadow_traffic"},
                canary(0.0), canary(0.3, BY_STATEMENT), canary(1.0),
                canary(0.0, {"mode": "cutover", "write_percentage": 1.0}))):
            name = f"m{number}"
            with self.subTest(strategy=strategy):
                self.sidecar.migrate(name, strategy, "app", "new")
                shown = self.sidecar.must("GET", f"/migrations/{name}")["strategy"]
                self.assertEqual({**shown, **strategy}, shown)
                self.sidecar.must("POST", f"/migrations/{name}/rollback")

    def test_a_big_bang_asks_new_to_flush_what_it_commits(self):
        message = self.refused(
            lambda: self.sidecar.migrate("m", {"type": "big_bang"}, "app", "new"), 409)
        self.assertIn("durability of interlay 'app': new has fsync", message)
        self.sidecar.patch("m", {"durability": False})
        self.sidecar.must("POST", "/migrations/m/migrate")

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

    def test_a_changed_catalog_is_in_force_soon_and_an_unchanged_one_makes_no_table(self):
        sidecar = self.enterContext(Sidecar(config={"limits": {"catalog_ms": 100}}))
        self.sidecar = sidecar
        self.add_endpoint("old", self.old)
        self.add_endpoint("new", self.new)
        sidecar.add_interlay("app", "old")
        sidecar.migrate("m", {"type": "shadow_traffic"}, "app", "new")
        epoch = sidecar.metric("crossfade_table_epoch")
        first = self.interlay()["catalog"]
        wait_until(lambda: self.interlay()["catalog"]["read_at"] > first["read_at"], 20, "it was read again")
        self.assertEqual(self.interlay()["catalog"]["changed_at"], first["changed_at"])
        self.assertEqual(sidecar.metric("crossfade_table_epoch"), epoch)
        self.old.sql("create table added (id int)")
        self.addCleanup(self.old.sql, "drop table added")
        wait_until(lambda: sidecar.metric("crossfade_table_epoch") == epoch + 1, 20, "a table follows")
        shown = sidecar.must("GET", "/migrations/m/status")["interlays"][0]
        self.assertGreater(shown["catalog"]["changed_at"], first["changed_at"])
        self.assertEqual(shown["sessions_staying"], {})

    def learns_often(self):
        self.sidecar = self.enterContext(Sidecar(config={"limits": {"catalog_ms": 100}}))
        self.add_endpoint("old", self.old)
        self.add_endpoint("new", self.new)
        self.sidecar.add_interlay("app", "old")
        self.sidecar.migrate("m", {"type": "shadow_traffic"}, "app", "new")

    def test_a_question_that_was_cancelled_costs_nothing(self):
        self.learns_often()
        waits = "select pid from pg_stat_activity where wait_event_type = 'Lock' and usename = 'app'"
        with self.old.connect(user="postgres") as holder:
            holder.ask("begin; lock table pg_catalog.pg_aggregate in access exclusive mode")
            wait_until(lambda: self.old.value(f"select exists ({waits})") == "t", 20, "it is asked")
            self.old.sql(f"select pg_cancel_backend(({waits}))")
            wait_until(lambda: self.interlay()["catalog"]["why"], 20, "that failed")
            self.assertEqual(self.interlay()["catalog"]["source"], "server")
        wait_until(lambda: not self.interlay()["catalog"]["why"], 20, "it is read again")

    def test_limits_of_the_role_are_not_for_the_question(self):
        self.learns_often()
        self.old.sql("alter role app set statement_timeout = '1ms'",
                     "alter role app set lock_timeout = '1ms'")
        self.addCleanup(self.old.sql, "alter role app reset all")
        for _ in range(3):
            before = self.interlay()["catalog"]
            self.assertEqual((before["source"], before["why"]), ("server", None))
            wait_until(lambda: self.interlay()["catalog"]["read_at"] > before["read_at"], 20,
                       "it is read again")

    def test_a_user_who_may_not_log_in_costs_the_catalog_and_nothing_else(self):
        self.old.sql("create role clerk login password 'p'", "revoke connect on database app from public",
                     "grant connect on database app to app")
        self.addCleanup(self.old.sql, "grant connect on database app to public", "drop role clerk")
        config = {"host": self.old.host, "port": self.old.port, "database": "app", "username": "clerk"}
        self.sidecar.must("POST", "/endpoints?check=false",
                          {"id": "shut", "kind": "postgres", "config": config})
        port = self.sidecar.add_interlay("shut", "shut")
        catalog = self.interlay("shut")["catalog"]
        self.assertEqual(catalog["source"], "built_in")
        self.assertIn("permission denied for database", catalog["why"])
        self.sidecar.wait_for_log("endpoint shut: its catalog is not read")
        with PgConn(port, "app", "app") as client:
            self.assertEqual(client.rows("select 1"), [["1"]])

    def test_the_operators_words_are_kept_and_taken_back(self):
        words = {"functions": {"app.total": "read"}, "relations": {"report": "volatile_read"}}
        self.sidecar.must("PATCH", "/interlays/app", {"sql": words})
        self.sidecar.restart()
        self.assertEqual(self.interlay()["sql"], words)
        self.sidecar.must("PATCH", "/interlays/app", {"sql": {"functions": {"app.total": None}}})
        self.assertEqual(self.interlay()["sql"], {**words, "functions": {}})
        self.refused(lambda: self.sidecar.must("PATCH", "/interlays/app",
                                               {"sql": {"functions": {"f()": "read"}}}))


class Preflight(PostgresPair):
    def checks(self):
        answer = self.sidecar.must("POST", "/migrations/m/test")
        return {check["name"]: check for check in answer["checks"]}

    def failed(self):
        return [name for name, check in self.checks().items() if not check["ok"]]

    def prepare(self, new_endpoint="new"):
        self.sidecar.create_migration("m", {"type": "blue_green"}, "app", new_endpoint)

    def change(self, server, statement, back, **more):
        server.sql(statement, **more)
        self.addCleanup(server.sql, back, **more)

    def test_15_and_18_are_compared_and_found_fit(self):
        self.prepare()
        checks = self.checks()
        self.assertEqual([check for check in checks.values() if not check["ok"]], [])
        self.assertIn("old is PostgreSQL 15", checks["version"]["detail"])
        self.assertIn("new is PostgreSQL 18", checks["version"]["detail"])
        self.assertIn("both databases are in UTF8", checks["encoding"]["detail"])
        self.assertIn("the catalog of database 'app' is known", checks["catalog"]["detail"])
        self.assertIn("old and new were made separately", checks["origin"]["detail"])
        self.assertIn("wal_level logical", checks["wal"]["detail"])

    def test_a_new_side_of_an_older_version_refuses(self):
        self.sidecar.must("POST", "/interlays", {"id": "back", "endpoint": "new", "port": 0})
        self.sidecar.create_migration("m", {"type": "blue_green"}, "back", "old")
        self.assertEqual(self.failed(), ["version"])

    def test_one_server_under_two_names_is_refused_unless_forced(self):
        self.add_endpoint("twin", self.old, host="localhost")
        self.prepare("twin")
        self.assertEqual(self.failed(), ["distinct"])
        message = self.refused(lambda: self.sidecar.must("POST", "/migrations/m/migrate"), 409)
        self.assertIn("old and new are the same database: it began at the same instant", message)
        self.sidecar.must("POST", "/migrations/m/migrate?force=true")

    def test_what_new_lacks_is_named(self):
        self.prepare()
        self.change(self.old, "create role clerk login", "drop role clerk")
        self.change(self.old, "create database other", "drop database other")
        self.change(self.old, "create table accounts (id int, name text)", "drop table accounts")
        self.change(self.new, "create table accounts (id bigint, name text)", "drop table accounts")
        checks = self.checks()
        self.assertIn("clerk", checks["roles"]["detail"])
        self.assertIn("other", checks["databases"]["detail"])
        self.assertIn("other columns on new: public.accounts", checks["tables"]["detail"])
        self.assertEqual(self.failed(), [])

    def test_what_is_defined_beside_tables_is_compared(self):
        self.prepare()
        same = ("create table accounts (id int, name text)",)
        here = ("create index named on accounts (name)",
                "alter table accounts add constraint short check (length(name) < 9)",
                "alter table accounts enable row level security",
                "create policy own on accounts using (true)")
        there = ("alter table accounts add constraint short check (length(name) < 5)",)
        for server, statements in ((self.old, same + here), (self.new, same + there)):
            server.sql(*statements)
            self.addCleanup(server.sql, "drop table accounts")
        self.change(self.old, "alter role app set app.tenant = '7'", "alter role app reset all")
        self.change(self.old, "alter database app set statement_timeout = '7s'",
                    "alter database app reset all")
        checks = self.checks()
        for name, said in (
                ("defaults", "new lacks app.tenant of role app, statement_timeout of database app"),
                ("policies", "new lacks own on public.accounts, public.accounts"),
                ("constraints", "other on new: short on public.accounts"),
                ("indexes", "new lacks public.named")):
            self.assertIn(said, checks[name]["detail"])
        self.assertEqual(self.failed(), [])

    def test_sequences_that_are_behind_on_new_are_named(self):
        self.prepare()
        names = ("ahead", "behind", "unbegun", "down", "secret", "lacking")
        for server in (self.old, self.new):
            for name in names[:5] if server is self.new else names:
                step = "-1" if name == "down" else "1"
                self.change(server, f"create sequence {name} increment {step} minvalue -99 maxvalue 99 "
                            "start 1", f"drop sequence {name}")
                if name != "secret":
                    server.sql(f"grant select on sequence {name} to app")
        self.old.sql("select setval('ahead', 3), setval('behind', 7), setval('down', -7), nextval('unbegun')")
        self.new.sql("select setval('ahead', 4), setval('behind', 6), setval('down', -6)")
        detail = self.checks()["sequences"]["detail"]
        self.assertIn("new lacks public.lacking", detail)
        self.assertIn("behind on new: public.behind, public.down, public.unbegun. Set them", detail)
        self.assertIn("not told to the sidecar's user: public.secret", detail)
        self.assertEqual(self.failed(), [])

    def test_prepared_transactions_are_named(self):
        with PostgresServer(18, max_prepared_transactions=4) as holds:
            self.add_endpoint("holds", holds)
            self.prepare("holds")
            self.assertIn("no transaction is prepared", self.checks()["prepared"]["detail"])
            with holds.connect() as client:
                client.ask("begin")
                client.ask("create table t (id int)")
                client.ask("prepare transaction 'order 7'")
            detail = self.checks()["prepared"]["detail"]
            self.assertIn("new holds 'order 7' in app: with its locks", detail)
            self.assertEqual(self.failed(), [])

    def test_a_function_that_is_volatile_on_new_only_refuses(self):
        self.prepare()
        body = "create function total() returns int language sql %s as 'select 1'"
        self.change(self.old, body % "stable", "drop function total()")
        self.change(self.new, body % "volatile", "drop function total()")
        self.assertEqual(self.failed(), ["functions"])
        self.assertIn("public.total()", self.checks()["functions"]["detail"])

    def test_too_few_connections_on_new_refuse(self):
        with PostgresServer(18, max_connections=6) as small:
            self.add_endpoint("small", small)
            self.prepare("small")
            clients = [self.enterContext(self.old.connect()) for _ in range(8)]
            self.assertEqual(len(clients), 8)
            self.assertEqual(self.failed(), ["connections"])

    def test_a_database_in_another_encoding_refuses(self):
        self.change(self.new, "create database latin encoding latin1 template template0",
                    "drop database latin")
        self.add_endpoint("latin", self.new, database="latin")
        self.prepare("latin")
        self.assertIn("encoding", self.failed())

    def test_a_side_that_is_down_refuses_and_says_so(self):
        with PostgresServer(18) as gone:
            self.add_endpoint("gone", gone)
        self.prepare("gone")
        self.assertEqual(self.failed(), ["new_reachable"])

    def test_a_server_without_credentials_is_asked_whether_it_is_there(self):
        self.add_endpoint("nobody", self.new, username=None)
        self.prepare("nobody")
        checks = self.checks()
        self.assertEqual(self.failed(), [])
        self.assertIn("without a username", checks["new_reachable"]["detail"])
        self.assertIn("not compared", checks["comparison"]["detail"])


if __name__ == "__main__":
    unittest.main()
