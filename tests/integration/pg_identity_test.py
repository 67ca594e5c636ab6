"""Who a PostgreSQL session is, and in which database: on both sides its client's user, and its client's
database; and never somebody with other rights because only the endpoint has credentials.
"""

from harness import SLOWNESS, wait_until
from pg_conn import PgConn, ServerError
from pg_messages import SYNC, bind, columns_of, describe, execute, kind_of, parse, query, row_of
from pg_pair import PgPair, reads

BOTH = {"type": "canary", "read_percentage": 1.0, "write_mode": {
    "mode": "dual_write", "policy": "old_authoritative", "engine": "statement"}}


class Identity(PgPair):
    tables = ("create table secret (v text)", "insert into secret values ('kept from alice')",
              "create table t (id int, who text)", "grant all on t to public",
              "grant select on here to public")

    def setUp(self):
        super().setUp()
        for server in (self.old, self.new):
            server.sql("create role alice login", "create database other owner app")
            with self.enterContext(PgConn(server.port, "app", "other")) as owner:
                owner.ask("create table t (id int, who text)")
        self.alice = self.enterContext(PgConn(self.port, "alice", "app"))

    def one_sided(self):
        return self.metric("sessions_one_sided_total")


class OtherUser(Identity):
    def test_reads_with_its_own_rights_and_by_old(self):
        self.migrate(reads(1.0))
        for _ in range(3):
            self.assertEqual(self.side_of(self.alice), "old")
            self.assertEqual(self.alice.value("select current_user"), "alice")
            with self.assertRaises(ServerError) as refused:
                self.alice.value("select v from secret")
            self.assertEqual(refused.exception.fields["C"], "42501")
        self.assertEqual(self.one_sided(), 1)
        self.comes_to(self.connect(), "new")

    def test_ends_when_writes_go_over_and_enters_by_itself(self):
        self.migrate({"type": "blue_green", "active_is_new": False})
        self.assertEqual(self.side_of(self.alice), "old")
        self.patch({"type": "blue_green", "active_is_new": True})
        with self.assertRaises(ServerError) as ended:
            self.alice.rows("insert into t values (1, current_user)")
        self.assertEqual(ended.exception.fields["C"], "57P01")
        self.assertIn("alice", ended.exception.fields["M"])
        again = self.enterContext(PgConn(self.port, "alice", "app"))
        again.ask("insert into t values (2, current_user)")
        self.assertEqual(self.new.sql("select * from t"), [["2", "alice"]])
        self.assertEqual(self.old.sql("select * from t"), [])

    def test_writes_to_both_sides_are_the_authoritys_and_in_the_ledger(self):
        self.migrate(BOTH)
        self.alice.ask("insert into t values (1, current_user)")
        self.assertEqual(self.old.sql("select * from t"), [["1", "alice"]])
        self.assertEqual(self.new.sql("select * from t"), [])
        [entry] = self.sidecar.must("GET", "/migrations/m/divergence")["entries"]
        self.assertEqual(entry["key"], "t")

    def test_is_lent_the_endpoints_rights_where_that_is_said(self):
        self.sidecar.must("PATCH", "/interlays/pg",
                          {"auth": {"mode": "pass_through", "enter_as": "endpoint"}})
        self.migrate(reads(1.0))
        client = self.enterContext(PgConn(self.port, "alice", "app"))
        self.comes_to(client, "new")
        self.assertEqual(client.value("select session_user"), "app")
        self.assertEqual(self.sidecar.must("GET", "/interlays/pg")["auth"],
                         {"mode": "pass_through", "enter_as": "endpoint"})


class Lent(Identity):
    """Old lets alice in, and new is entered as the endpoint's user."""

    tables = (*Identity.tables, "create table owned (id int, who text default current_user)",
              "grant all on owned to public", "create view mine as select id from owned where who = user",
              "grant all on mine to public", "create table guarded (id int, who text default 'x')",
              "insert into guarded values (1, 'alice'), (2, 'app')", "grant all on guarded to public",
              "alter table guarded enable row level security", "alter table guarded force row level security",
              "create policy own on guarded using (who = current_user)")

    def setUp(self):
        super().setUp()
        self.sidecar.must("PATCH", "/interlays/pg",
                          {"auth": {"mode": "pass_through", "enter_as": "endpoint"}})
        self.migrate(BOTH)
        self.alice = self.enterContext(PgConn(self.port, "alice", "app"))

    def suspected(self):
        entries = self.sidecar.must("GET", "/migrations/m/divergence")["entries"]
        return {entry["key"] for entry in entries if "row" not in entry}

    def test_what_says_its_name_is_the_authoritys_and_in_the_ledger(self):
        self.alice.ask("insert into owned (id, who) values (1, 'said')")
        self.assertEqual(self.suspected(), set())
        self.assertEqual(self.new.sql("select * from owned"), [["1", "said"]])
        for sql in ("insert into owned (id) values (2)", "insert into t select id from mine",
                    "update guarded set id = id + 10"):
            self.alice.ask(sql)
        self.assertEqual(self.old.sql("select * from owned order by id"), [["1", "said"], ["2", "alice"]])
        self.assertEqual(self.old.sql("select id from guarded order by id"), [["2"], ["11"]])
        self.assertEqual(self.new.sql("select * from owned"), [["1", "said"]])
        self.assertEqual(self.new.sql("select id from guarded order by id"), [["1"], ["2"]])
        self.assertEqual(self.suspected(), {"owned", "t", "guarded"})

    def test_whom_both_take_for_the_same_is_on_both(self):
        client = self.connect()
        for sql in ("insert into owned (id) values (2)", "insert into t select id from mine",
                    "update guarded set id = id + 10"):
            client.ask(sql)
        for table in ("owned", "t", "guarded"):
            rows = f"select * from {table} order by id"
            self.assertEqual(self.old.sql(rows), self.new.sql(rows))
        self.assertEqual(self.suspected(), {"t"})  # it is made from rows that nobody has locked


class OtherDatabase(Identity):
    """Endpoints name `app`, for the sidecar's own questions."""

    def test_is_the_clients_on_both_sides(self):
        for auth in (None, {"mode": "trust"}):
            with self.subTest(auth=auth):
                self.sidecar.must("PATCH", "/interlays/pg", {"auth": auth})
                client = self.enterContext(PgConn(self.port, "app", "other"))
                self.assertEqual(client.value("select current_database()"), "other")
        self.migrate({"type": "blue_green", "active_is_new": True})
        client.ask("insert into t values (1, 'moved')")
        self.assertEqual(self.new.sql("select * from t", database="other"), [["1", "moved"]])
        for server in (self.old, self.new):
            self.assertEqual(server.sql("select * from t"), [])

    def test_read_only_blocks_begin_where_any_function_may_be_called(self):
        for server in (self.old, self.new):
            server.sql("create function one() returns int stable language sql as 'select 1'",
                       database="other")
        self.migrate(reads(1.0))
        client = self.enterContext(PgConn(self.port, "app", "other"))
        told = "select current_setting('geqo_threshold')"  # a session's own, but for where it comes from
        self.new.sql("alter system set geqo_threshold = 13", "select pg_reload_conf()")
        wait_until(lambda: client.value(told) == "13", 10, "reads come from new")
        client.ask("begin read only")
        self.assertEqual(client.value("select one()"), "1")
        self.assertEqual(client.value(told), "12")
        client.ask("commit")

    def test_that_does_not_exist_is_refused_as_by_the_server(self):
        self.sidecar.must("PATCH", "/interlays/pg", {"auth": {"mode": "trust"}})
        with self.assertRaises(ServerError) as refused:
            PgConn(self.port, "app", "nodb")
        self.assertEqual(refused.exception.fields["C"], "3D000")


class OwnTables(PgPair):
    """Each server gave them other OIDs, and clients ask the one or the other what these mean."""

    tables = ("create table filler (v int)", "create table m (v int, side text)")

    def described(self, client, messages):
        client.send(messages)
        found, = (columns_of(raw) for raw in client.until("Z") if kind_of(raw) == "T")
        return [(name, table, column) for name, table, column, *_ in found]

    def test_reads_on_new_tell_none(self):
        self.new.sql("drop table m", "create table m (v int, side text)", "grant all on m to app")
        for name, server in (("old", self.old), ("new", self.new)):
            server.sql(f"insert into m values (1, '{name}')")
        oids = [int(server.value("select 'm'::regclass::oid")) for server in (self.old, self.new)]
        self.assertNotEqual(*oids)
        read = "select v, side, v + 1 as more from m"
        ways = (query(read),
                parse("", read) + bind("", "") + describe("P", "") + execute("") + SYNC,
                parse("", read) + describe("S", "") + bind("", "") + execute("") + SYNC)
        client = self.connect()
        olds = [("v", oids[0], 1), ("side", oids[0], 2), ("more", 0, 0)]
        for way in ways:
            self.assertEqual(self.described(client, way), olds)
        self.migrate(reads(1.0))
        self.comes_to(client, "new")
        wait_until(lambda: client.value("select side from m") == "new", 10, "m is known")
        for way in ways:
            self.assertEqual(self.described(client, way), [("v", 0, 0), ("side", 0, 0), ("more", 0, 0)])
        client.ask("begin")
        self.assertEqual(self.described(client, query(read)), olds)
        client.ask("commit")
        client.ask("begin read only")  # whoever asks what they mean is there, too
        self.assertEqual(self.described(client, query(read))[0], ("v", oids[1], 1))
        self.assertEqual(client.value(f"select relname from pg_class where oid = {oids[1]}"), "m")
        client.ask("commit")


class OwnTypes(PgPair):
    """What is read has a type that each server gave another OID."""

    tables = ("create table filler (v int)", "create type mood as enum ('glad')",
              "create table m (v mood, side text)")

    def test_reads_of_them_are_answered_by_old(self):
        self.new.sql("drop table m", "drop type mood", "create type mood as enum ('glad')",
                     "create table m (v mood, side text)", "grant all on m to app")
        for name, server in (("old", self.old), ("new", self.new)):
            server.sql(f"insert into m values ('glad', '{name}')")
        self.migrate(reads(1.0))
        client = self.connect()
        self.comes_to(client, "new")
        wait_until(lambda: client.value("select side from m") == "new", 10, "m is known")
        self.assertEqual(client.rows("select v, side from m"), [["glad", "old"]])
        self.assertGreater(self.metric("read_fallbacks_total"), 0)


class SaidTypes(PgPair):
    """Clients say types that users have made by the OIDs that the server has told them."""

    settings = {"side_change_wait_ms": int(3000 * SLOWNESS)}
    tables = ("create type mood as enum ('glad', 'sad')",)
    written_by_new = {"type": "canary", "read_percentage": 1.0,
                      "write_mode": {"mode": "cutover", "write_percentage": 1.0}}

    def setUp(self):
        super().setUp()
        self.new.sql("drop type mood", "create type mood as enum ('glad', 'sad')")
        self.oid = int(self.old.value("select 'mood'::regtype::oid"))
        self.assertNotEqual(str(self.oid), self.new.value("select 'mood'::regtype::oid"))

    def ask(self, client, *messages):
        client.send(b"".join(messages) + SYNC)
        return [[one.decode() for one in row_of(raw)] for raw in client.until("Z") if kind_of(raw) == "D"]

    def prepared(self, client):
        self.ask(client, parse("s", "select $1::text, side from here", (self.oid,)))

    def felt(self, client):
        return self.ask(client, bind("", "s", [b"sad"]), execute(""))

    def ended(self, client):
        fields = {}

        def ends():
            try:
                client.rows("select 1")
            except ServerError as told:
                fields.update(told.fields)
            return bool(fields)
        wait_until(ends, 20, "it is told to go")
        self.assertEqual(fields["C"], "57P01")
        self.assertIn("(types)", fields["M"])

    def test_reads_with_them_are_old_s_and_tried_nowhere_else(self):
        self.migrate(reads(1.0))
        client = self.connect()
        self.comes_to(client, "new")
        self.prepared(client)
        self.comes_to(client, "new")
        for _ in range(3):
            self.assertEqual(self.felt(client), [["sad", "old"]])
            self.assertEqual(self.side_of(client), "new")
        self.assertEqual(self.metric("read_fallbacks_total"), 0)

    def test_who_has_said_one_stays(self):
        self.migrate({"type": "blue_green", "active_is_new": False})
        said, other = self.connect(), self.connect()
        self.prepared(said)
        self.assertEqual(self.side_of(other), "old")
        self.patch({"type": "blue_green", "active_is_new": True})
        self.assertEqual(self.side_of(other), "new")
        self.assertEqual(self.felt(said), [["sad", "old"]])
        wait_until(lambda: self.metric("sessions_staying", reason="types") == 1, 2, "it is told why")
        self.ended(said)
        self.assertEqual(self.side_of(other), "new")

    def test_so_does_who_has_said_one_before_anybody_looked(self):
        client = self.connect()
        self.prepared(client)
        self.migrate({"type": "blue_green", "active_is_new": True})
        self.assertEqual(self.felt(client), [["sad", "old"]])
        self.ended(client)

    def test_who_reads_on_new_ends_when_writes_go_there(self):
        self.migrate(reads(1.0))
        client = self.connect()
        self.comes_to(client, "new")
        self.prepared(client)
        self.comes_to(client, "new")
        self.patch(self.written_by_new)
        self.ended(client)
