"""What a client may do at the worst moment: nothing of a read-only transaction's end is written on new, and a
session that goes over in the midst of errors, segments and failed transactions is answered as by one server.
"""

import os
import signal
import unittest

from harness import SLOWNESS, wait_until
from memory import sanitized
from pg_conn import PgConn, ServerError
from pg_messages import (COPY_DONE, FLUSH, SYNC, bind, close, copy_data, describe, execute, fields_of,
                         kind_of, message, parse, query, row_of)
from pg_pair import PgFlipped, PgPair, reads

WRITE = "update t set n = 7 where id = 1"


def run(*texts):
    return b"".join(parse("", text) + bind("", "") + execute("") for text in texts)


def told(messages):
    """Types of messages, with the SQLSTATE of errors."""
    return [f"E {fields_of(one)['C']}" if kind_of(one) == "E" else kind_of(one) for one in messages]


class ReadOnly(PgPair):
    tables = ("create table t (id int primary key, n int)", "insert into t values (1, 0)",
              "create function notifies(text) returns int language plpgsql as"
              " $$begin execute format('select pg_notify(%L, %L)', 'x', $1); return 1; end$$")

    def setUp(self):
        super().setUp()
        self.migrate(reads(1.0))
        self.ear = self.enterContext(self.new.connect())
        self.ear.ask("listen x")

    def nothing_on_new(self):
        written = self.new.value("select sum(n) from t")
        self.new.sql("update t set n = 0")
        self.assertEqual(written, "0")
        self.assertEqual([one for one in self.ear.ask("select 1") if kind_of(one) == "A"], [])

    def in_block(self, begin="begin read only"):
        client = self.connect()
        self.comes_to(client, "new")
        client.ask(begin)
        return client

    def refused(self, client, sql):
        """In the block that is open there, which it ends."""
        try:
            client.rows(sql)
        except ServerError as error:
            return "can do nothing but read" in str(error)
        finally:
            client.ask("rollback")
        return False

    def test_a_query_that_ends_it_writes_nothing_on_new(self):
        for sql in (f"commit; {WRITE}", f"rollback; {WRITE}", f"commit; begin; {WRITE}; commit",
                    f"commit and chain; commit; {WRITE}", "commit; notify x", "select pg_notify('x', 'y')",
                    f"end; {WRITE}"):
            with self.subTest(sql):
                client = self.in_block()
                client.ask(sql)
                client.ask("commit")
                self.nothing_on_new()

    def test_a_block_that_is_made_to_write_is_not_on_new(self):
        for sql in ("begin read write", "set transaction read write", "set transaction_read_only = off",
                    "set transaction_read_only = 'of'", "set transaction_read_only to default",
                    "reset transaction_read_only", 'set "Transaction_Read_Only" = off',
                    "set local transaction_read_only = off", "commit; begin",
                    "set session characteristics as transaction read write",
                    "select set_config('transaction_read_only', 'off', true)"):
            for begin in (f"begin read only; {sql}", None):
                with self.subTest(sql, begin=begin):
                    client = self.in_block(begin or "begin read only")
                    if not begin:
                        client.ask(sql)
                    client.ask(WRITE)
                    client.ask("commit")
                    self.nothing_on_new()

    def test_code_that_notifies_unseen_does_not_on_new(self):
        ear = self.enterContext(self.old.connect())
        ear.ask("listen x")
        for sql in ("do $$begin perform notifies('y'); end$$", "select notifies('y')"):
            client = self.in_block()
            self.assertTrue(self.refused(client, sql), sql)
        # It begins the next one where it may do that.
        client.ask("begin read only")
        self.assertEqual(self.side_of(client), "old")
        client.ask("select notifies('z')")
        client.ask("commit")
        self.assertIn(b"z", ear.until("A")[-1])
        self.assertEqual(self.side_of(client), "new")
        self.nothing_on_new()

    def test_a_text_that_nobody_reads_is_refused_once(self):
        unread = f"select side from here where side <> '{'x' * 40_000}'"
        client = self.in_block()
        self.assertTrue(self.refused(client, unread))
        client.ask("begin read only")
        self.assertEqual(client.value(unread), "old")
        client.ask("commit")
        # Likewise when it comes in parts.
        client = self.in_block()
        client.send(run("select 1") + FLUSH)
        client.until("C")
        client.send(run(unread) + SYNC)
        self.assertEqual(told(client.until("Z")), ["E 25006", "Z"])
        client.ask("rollback")
        client.ask("begin read only")
        self.assertEqual(client.value(unread), "old")

    def test_a_segment_that_ends_it_writes_nothing_on_new(self):
        for texts in (("commit", WRITE), ("select 1", "rollback", WRITE),
                      ("commit", "begin", WRITE, "commit")):
            with self.subTest(texts):
                client = self.in_block()
                client.send(run(*texts) + SYNC)
                self.assertIn("E 25006", told(client.until("Z")))
                client.ask("rollback")
                self.nothing_on_new()

    def test_a_segment_that_comes_in_parts_and_ends_it_writes_nothing_on_new(self):
        client = self.in_block()
        client.send(run("select 1") + FLUSH)
        client.until("C")
        client.send(run("commit") + FLUSH)
        client.until("C")
        client.send(run(WRITE) + run("select 2") + SYNC)
        self.assertEqual(told(client.until("Z")), ["E 25006", "Z"])
        self.assertEqual(client.value("select 3"), "3")
        self.nothing_on_new()

    def test_a_part_that_is_refused_ends_its_segment(self):
        client = self.in_block()
        client.send(run("notify x") + FLUSH)
        self.assertEqual(told(client.until("E")), ["E 25006"])
        client.send(run("select 1") + SYNC)
        self.assertEqual(told(client.until("Z")), ["Z"])
        client.send(query("rollback") + query("select 4"))
        client.until("Z")
        self.assertIn([b"4"], [row_of(one) for one in client.until("Z") if kind_of(one) == "D"])
        self.nothing_on_new()


class Trials(PgPair):
    tables = ("create table t (id int primary key, n int)", "insert into t values (1, 0)")

    def setUp(self):
        super().setUp()
        self.migrate(reads(1.0))
        self.client = self.connect()
        self.comes_to(self.client, "new")

    def test_a_statement_that_fails_when_it_runs_is_asked_of_old_once(self):
        client = self.client
        client.send(parse("s", "select 1 / n from t") + describe("S", "s") + bind("", "s") + execute("")
                    + SYNC)
        self.assertEqual(told(client.until("Z")), ["1", "t", "T", "2", "E 22012", "Z"])
        client.ask("update t set n = 1")
        self.new.sql("update t set n = 1")
        client.send(bind("", "s") + execute("") + SYNC)
        self.assertEqual(told(client.until("Z")), ["2", "D", "C", "Z"])
        client.send(close("S", "s") + parse("s", "select side, 1 / (n - 1) from here, t") + bind("", "s") +
                    execute("") + SYNC)
        self.assertEqual(told(client.until("Z")), ["3", "1", "2", "E 22012", "Z"])

    def test_what_is_kept_of_an_answer_has_an_end(self):
        """Descriptions a hundred times as long as what asks for them."""
        wide = "select " + ",".join(f"{n} as a_column_with_a_long_name_{n:04}" for n in range(1600))
        self.client.send(parse("s", wide) + SYNC)
        self.client.until("Z")
        before = self.sidecar.rss()
        self.client.send(describe("S", "s") * 5000 + bind("", "s") + execute("") + SYNC)
        found = self.client.until("Z", 120)
        self.assertEqual(len(found), 2 * 5000 + 4)
        if not sanitized():
            self.assertLess(self.sidecar.rss() - before, 100 << 20)

    def test_what_ends_without_sync_is_answered_as_by_one_server(self):
        client = self.client
        client.send(parse("", "select 1 / n from t") + bind("", "") + execute("") + query("select 5"))
        self.assertEqual(told(client.until("E")), ["1", "2", "E 22012"])
        client.send(query("select side from here") + SYNC)
        self.assertEqual(told(client.until("Z")), ["Z"])
        self.assertEqual(self.side_of(client), "new")


class Over(PgFlipped):
    """Sessions that go from old to new."""

    tables = ("create table t (id int primary key, n int)", "insert into t values (1, 0)")

    def ask(self, messages):
        self.client.send(messages)
        return told(self.client.until("Z"))

    def test_a_statement_that_was_first_used_in_a_failed_transaction_is_there(self):
        self.ask(parse("s", "select side from here") + SYNC)
        self.flip()
        self.client.ask("begin; select 1/0")
        self.assertEqual(self.ask(bind("", "s") + execute("") + SYNC), ["E 25P02", "Z"])
        self.client.ask("rollback")
        self.assertEqual(self.ask(bind("", "s") + execute("") + SYNC), ["2", "D", "C", "Z"])

    def test_a_statement_that_was_first_used_behind_an_error_is_there(self):
        for name in ("s", ""):
            with self.subTest(name):
                self.ask(parse(name, "select side from here") + SYNC)
                self.flip(name == "s")
                use = bind("", name) + execute("") + SYNC
                self.assertEqual(self.ask(describe("P", "none") + use), ["E 34000", "Z"])
                self.assertEqual(self.ask(use), ["2", "D", "C", "Z"])

    def test_the_same_in_one_pipeline(self):
        self.ask(parse("s", "select side from here") + SYNC)
        self.flip()
        use = bind("", "s") + execute("") + SYNC
        self.client.send(describe("P", "none") + use + use)
        self.assertEqual(told(self.client.until("Z")), ["E 34000", "Z"])
        self.assertEqual(told(self.client.until("Z")), ["2", "D", "C", "Z"])

    def test_a_segment_that_is_open_stays_where_it_is(self):
        self.client.send(run("update t set n = 5") + parse("s", "select 1") + describe("S", "s") + FLUSH)
        self.client.until("T")
        self.flip()
        self.connect().ask("select 1")  # whoever can go over has
        self.assertEqual(self.ask(run("select 1 / (n - 5) from t") + SYNC), ["1", "2", "E 22012", "Z"])
        self.assertEqual(self.old.value("select n from t"), "0")
        self.assertEqual(self.side_of(self.client), "new")

    def test_what_is_skipped_up_to_a_sync_is_not_run_by_the_other_side(self):
        self.client.send(parse("", "nonsense") + query("select 1"))
        self.client.until("E")
        self.flip()
        self.connect().ask("select 1")
        self.client.send(query("update t set n = 5") + SYNC)
        self.assertEqual(told(self.client.until("Z")), ["Z"])
        self.assertEqual((self.old.value("select n from t"), self.new.value("select n from t")), ("0", "0"))
        self.assertEqual(self.side_of(self.client), "new")

    def test_a_copy_of_extended_messages_keeps_nobody(self):
        """As libpq does it: a Sync before the data, which COPY reads over."""
        self.client.send(run("copy t from stdin") + SYNC)
        self.client.until("G")
        self.client.send(copy_data(b"2\t0\n") + COPY_DONE + SYNC)
        self.client.until("Z")
        self.flip()
        self.assertEqual(self.side_of(self.client), "new")
        self.assertEqual(self.old.value("select count(*) from t"), "2")

    def test_what_was_set_before_it_went_over_can_be_reset(self):
        for name, value in (("timezone", "Europe/Paris"), ("datestyle", "German"),
                            ("intervalstyle", "iso_8601")):
            default = self.client.value(f"show {name}")
            self.client.ask(f"set {name} = '{value}'")
            self.flip()
            self.assertEqual(self.side_of(self.client), "new")
            self.client.ask(f"reset {name}")
            self.assertEqual(self.client.value(f"show {name}"), default)
            self.flip(False)
            self.assertEqual(self.client.value(f"show {name}"), default)

    def test_statements_of_parse_are_dropped_and_run_by_sql(self):
        self.ask(parse("s", "select side from here") + SYNC)
        self.flip()
        self.assertEqual(self.client.value("execute s"), "new")
        self.flip(False)
        self.client.ask("deallocate s")
        self.flip()
        self.assertEqual(self.ask(bind("", "s") + SYNC), ["E 26000", "Z"])
        self.assertEqual(self.ask(parse("s", "select 2") + SYNC), ["1", "Z"])
        self.flip(False)
        with self.assertRaisesRegex(ServerError, "prepared statement \"none\""):
            self.client.rows("execute none")
        self.client.ask("begin; select 1/0")
        self.assertEqual(told(self.client.ask("execute s")), ["E 25P02", "Z"])
        self.client.ask("rollback")
        self.assertEqual(self.client.value("execute s"), "2")


class Prepared(PgPair):
    """Statements that SQL has prepared, with other statements in the same query."""

    tables = ("create table t (id int, n int)", "insert into t values (1, 100)")

    def both(self, sql):
        return [server.value(sql) for server in (self.old, self.new)]

    def test_what_stood_beside_prepare_is_not_done_on_the_other_side(self):
        self.migrate(reads(1.0))
        client = self.connect()
        client.ask("update t set n = n - 10; prepare p as select side from here")
        self.comes_to(client, "new")
        self.assertEqual(self.both("select n from t"), ["90", "100"])
        client.ask("begin; insert into t values (2, 0); prepare q as select 2")
        client.ask("rollback")
        self.comes_to(client, "new")
        self.assertEqual(self.both("select count(*) from t"), ["1", "1"])
        self.patch({"type": "blue_green", "active_is_new": True})
        self.comes_to(client, "new")
        self.assertEqual([client.value("execute p"), client.value("execute q")], ["new", "2"])

    def test_many_of_them_go_to_and_fro(self):
        self.migrate({"type": "blue_green", "active_is_new": False})
        client = self.connect()
        many = range(300)
        client.ask("insert into t values (2, 0);" + ";".join(
            f"prepare p{n} as select {n}, side from here" for n in many[:20]))
        for n in many[20:]:
            client.ask(f"prepare p{n} as select {n}, side, '{'x' * 200}' from here")
        for to_new in (True, False, True):
            self.patch({"type": "blue_green", "active_is_new": to_new})
            side = "new" if to_new else "old"
            self.assertEqual(self.side_of(client), side)
            client.ask("prepare one_more as select 1; deallocate one_more")
            for n in many:
                self.assertEqual(client.rows(f"execute p{n}")[0][:2], [str(n), side])
        self.assertEqual(self.both("select count(*) from t"), ["2", "1"])

    def test_one_that_cannot_be_told_from_another_ties(self):
        self.migrate(reads(1.0))
        client = self.connect()
        self.comes_to(client, "new")
        client.ask("prepare p as select 1; deallocate p; prepare p as select side from here")
        for _ in range(3):
            self.assertEqual(self.side_of(client), "old")
        self.assertEqual(client.value("execute p"), "old")


    def test_what_code_has_prepared_unseen_is_not_run_on_the_other_side(self):
        self.migrate(reads(1.0))
        client = self.connect()
        self.comes_to(client, "new")
        client.ask("prepare p as select side from here")
        self.assertEqual(client.value("execute p"), "new")
        client.ask("do $$begin execute 'deallocate p'; execute 'prepare p as update t set n = n - 10"
                   " returning (select side from here)'; end$$")
        for asked_before in (False, True):
            with self.subTest(asked_before=asked_before):
                self.assertEqual(client.value("execute p"), "old")
                self.comes_to(client, "new")
        client.ask("do $$begin execute 'deallocate p'; execute 'prepare p as select side from here'; end$$")
        self.comes_to(client, "new")
        self.assertEqual(client.value("execute p"), "new")  # it is known again
        client.ask("deallocate p")
        client.send(parse("p", "update t set n = n - 10 returning (select side from here)") + SYNC)
        client.until("Z")
        self.assertEqual(client.value("execute p"), "old")
        self.assertEqual(self.both("select n from t"), ["70", "100"])


class Settings(PgPair):
    """Settings with a dot in their names, which no server lists, however they were set."""

    tables = ("create table acc (tenant text, v int)", "insert into acc values ('7', 1), ('8', 2)",
              "alter table acc enable row level security", "alter table acc force row level security",
              "create policy p on acc using (tenant = current_setting('app.tenant', true))",
              "create function login(tx text) returns void language plpgsql as"
              " $$begin perform set_config('app.tenant', tx, false); end$$")
    seen = "select side, array_agg(v) from here left join acc on true group by side"

    def bound(self, client, sql, *values):
        client.send(parse("", sql) + bind("", "", params=[one.encode() for one in values]) + execute("") +
                    SYNC)
        self.assertNotIn("E", {kind_of(one) for one in client.until("Z")})

    def ways(self):
        """What sets it, and whether the session can go over then."""
        return {"set": (lambda one: one.ask("set app.tenant = '7'"), True),
                "set_config": (lambda one: one.ask("select set_config('app.tenant', '7', false)"), True),
                "a cast": (lambda one: one.ask("select set_config('app.tenant'::text, '7', false)"), True),
                "bound value": (lambda one: self.bound(
                    one, "select set_config('app.tenant', $1, false)", "7"), True),
                "function": (lambda one: one.ask("select login('7')"), True),
                "do": (lambda one: one.ask(
                    "do $$begin perform set_config('app.tenant', '7', false); end$$"), True),
                "bound name": (lambda one: self.bound(
                    one, "select set_config($1, $2, false)", "app.tenant", "7"), False),
                "values": (lambda one: one.ask("select set_config(n, v, false) from"
                                               " (values ('app.tenant', '7')) x(n, v)"), False),
                "do that computes": (lambda one: one.ask(
                    "do $$begin perform set_config('app' || '.tenant', '7', false); end$$"), False)}

    def test_none_is_lost(self):
        """Set while reads are on new, and before anybody looks: the session goes over with it, or stays."""
        early = {name: self.connect() for name in self.ways()}
        for name, (sets, _) in self.ways().items():
            sets(early[name])
        self.migrate(reads(1.0))
        self.comes_to(self.connect(), "new")
        late = {name: self.connect() for name in self.ways()}
        for name, (sets, _) in self.ways().items():
            sets(late[name])
        for when, clients in (("early", early), ("late", late)):
            for name, (_, goes) in self.ways().items():
                with self.subTest(name, when=when):
                    [[side, values]] = clients[name].rows(self.seen)
                    self.assertEqual((side, values), ("new" if goes else "old", "{1}"))

    def test_who_has_seeded_random_stays(self):
        early = self.connect()
        early.ask("select setseed(0.5)")
        self.migrate(reads(1.0))
        self.comes_to(self.connect(), "new")
        late = self.connect()
        late.ask("select setseed(0.5)")
        found = [client.rows("select side, random() from here") for client in (early, late)]
        self.assertEqual(found[0], found[1])
        self.assertEqual(found[0][0][0], "old")


class Computed(PgPair):
    """A function that computes the name of what it sets."""

    tables = ("create function hands_on(n text, v text) returns void language plpgsql as"
              " $$begin perform set_config(n, v, false); end$$",)

    def test_who_may_have_called_it_stays(self):
        early = self.connect()
        early.ask("select hands_on('app.unheard_of', '7')")
        self.migrate(reads(1.0))
        other = self.connect()
        self.comes_to(other, "new")
        late = self.connect()
        late.ask("select hands_on('app.unheard_of', '7')")
        for client in (early, late):
            self.assertEqual(client.rows("select side, current_setting('app.unheard_of', true) from here"),
                             [["old", "7"]])
        self.assertEqual(self.side_of(other), "new")


class Given(PgPair):
    """Settings that the old server gives a session by its role and database."""

    def test_a_session_that_set_nothing_has_them_on_new(self):
        self.old.sql("alter role app set search_path = other, public", "alter role app set app.tenant = '7'",
                     "alter database app set statement_timeout = '7s'",
                     "alter role app in database app set work_mem = '9MB'",
                     "alter role app set log_min_duration_statement = '7s'")  # app could not
        told = ("select side, current_setting('search_path'), current_setting('app.tenant', true),"
                " current_setting('statement_timeout'), current_setting('work_mem') from here")
        values = ["other, public", "7", "7s", "9MB"]
        early = self.connect()
        self.assertEqual(early.rows(told), [["old", *values]])
        self.migrate(reads(1.0))
        late = self.connect()
        for client in (early, late):
            self.comes_to(client, "new")
            self.assertEqual(client.rows(told), [["new", *values]])
            client.ask("set work_mem = '10MB'")
            self.assertEqual(client.rows(told), [["new", *values[:3], "10MB"]])
            client.ask("reset all")
            self.assertEqual(client.rows(told), [["new", *values]])
        flipped = self.connect()
        self.patch({"type": "blue_green", "active_is_new": True})
        self.assertEqual(flipped.rows(told)[0][0], "new")
        self.assertEqual(late.rows(told), [["new", *values]])


    def test_values_are_given_in_the_encoding_that_they_are_in(self):
        self.migrate({"type": "blue_green", "active_is_new": False})
        client = self.connect()
        client.ask("set client_encoding = 'LATIN1'")
        client.send(message("Q", b"set app.tenant = '\xc3\xa9'\0"))  # two letters; one in UTF-8
        client.until("Z")
        told = "select side, encode(convert_to(current_setting('app.tenant'), 'UTF8'), 'hex') from here"
        self.assertEqual(client.rows(told), [["old", "c383c2a9"]])
        self.patch({"type": "blue_green", "active_is_new": True})
        self.assertEqual(client.rows(told), [["new", "c383c2a9"]])

    def test_a_role_that_may_not_set_what_the_session_has_set_goes_over_with_it(self):
        for server in (self.old, self.new):
            server.sql("create role boss superuser login", "grant select on here to app")
            server.sql("grant app to boss")
        self.sidecar.must("PATCH", "/endpoints/new", {"config": {"username": "boss"}})
        self.migrate({"type": "blue_green", "active_is_new": False})
        client = self.enterContext(PgConn(self.port, "boss", "app", limit_s=10 * SLOWNESS))
        told = "select side, current_setting('role'), current_setting('log_min_messages') from here"
        for level, side in (("debug1", "new"), ("debug2", "old"), ("debug3", "new")):
            for statement in ("reset role", f"set log_min_messages = '{level}'", "set role app"):
                client.ask(statement)
            self.patch({"type": "blue_green", "active_is_new": side == "new"})
            self.assertEqual(client.rows(told), [[side, "app", level]])

    def test_a_name_of_a_parse_that_sql_has_taken_goes_over(self):
        self.migrate(reads(1.0))
        client = self.connect()
        self.comes_to(client, "new")
        client.send(parse("p", "select side from here") + bind("", "p") + execute("") + SYNC)
        self.assertIn([b"new"], [row_of(one) for one in client.until("Z") if kind_of(one) == "D"])
        client.ask("deallocate p")
        client.ask("prepare p as select side, 2 from here")
        self.patch({"type": "blue_green", "active_is_new": True})
        self.assertEqual(client.rows("execute p"), [["new", "2"]])


class Asked(PgPair):
    """What the old server is asked about a session is held up, or cancelled."""

    versions = (15, 18)
    WAITS = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"

    def setUp(self):
        super().setUp()
        self.migrate(reads(1.0))
        self.client = self.connect()
        self.comes_to(self.client, "new")
        self.told = ("select side, current_setting('statement_timeout'), current_setting('work_mem')"
                     " from here")
        self.client.ask("set work_mem = '7MB'")
        # What is asked about is in that backend's caches from then on.
        self.assertEqual(self.client.rows(self.told), [["new", "0", "7MB"]])
        self.holder = self.enterContext(self.old.connect(user="postgres"))

    def hold_up(self):
        """It looks at this view, and for no other session's locks."""
        self.holder.ask("begin; lock table pg_catalog.pg_cursors in access exclusive mode")
        self.client.send(query(self.told))
        wait_until(lambda: self.old.value(self.WAITS) == "1", 10, "it is asked")

    def goes_over(self, timeout):
        self.holder.ask("rollback")
        found = [row_of(one) for one in self.client.until("Z") if kind_of(one) == "D"]
        self.assertEqual(found, [[b"new", timeout, b"9MB"]])
        self.assertEqual(self.metric("sessions_staying", reason="untold"), 0)

    def test_a_timeout_of_the_sessions_does_not_end_it(self):
        self.client.ask("set statement_timeout = '300ms'")
        self.client.ask("set work_mem = '9MB'")
        self.hold_up()
        late = f"{self.WAITS} and now() - query_start > '600ms'"
        wait_until(lambda: self.old.value(late) == "1", 10, "it would have ended it")
        self.goes_over(b"300ms")
        for sql in ("set statement_timeout = '7s'", "reset statement_timeout"):
            self.client.ask(sql)
            self.assertEqual(self.client.rows(self.told)[0][1], "7s" if "7s" in sql else "0")

    def test_a_cancel_that_comes_late_is_asked_past(self):
        self.client.ask("set work_mem = '9MB'")
        self.hold_up()
        pid = self.old.value("select pid from pg_stat_activity where wait_event_type = 'Lock'")
        for _ in range(2):
            begun = self.old.value(f"select query_start from pg_stat_activity where pid = {pid}")
            self.old.sql(f"select pg_cancel_backend({pid})")
            wait_until(lambda begun=begun: self.old.value(
                f"{self.WAITS} and pid = {pid} and query_start > '{begun}'") == "1", 10, "it is asked again")
        self.goes_over(b"0")

    def test_statements_that_an_ended_question_has_left_do_not_end_it(self):
        for name in ("crossfade patience", "crossfade inventory"):
            self.client.ask(f'prepare "{name}" as select 1')
        self.client.ask("set work_mem = '9MB'")
        self.assertEqual(self.client.rows(self.told), [["new", "0", "9MB"]])
        self.assertEqual(self.metric("sessions_staying", reason="untold"), 0)


class AskedOf18(Asked):
    versions = (18, 15)


class Leftovers(PgPair):
    """What a server reads no more is sent to it before its session goes over."""

    tables = ("create table numbers (n int)",)

    def test_data_of_a_copy_that_has_failed(self):
        self.migrate(reads(1.0))
        client = self.connect()
        self.comes_to(client, "new")
        client.send(query("copy numbers from stdin"))
        client.until("G")
        client.send(copy_data(b"not a number\n"))
        client.until("Z")
        rest = b"".join(copy_data(b"%d\n" % n) for n in range(500)) + COPY_DONE
        client.send(rest + query("select side from here"))
        self.assertIn([b"new"], [row_of(one) for one in client.until("Z") if kind_of(one) == "D"])
        client.ask("insert into numbers select generate_series(1, 10)")
        self.assertEqual(self.old.value("select count(*) from numbers"), "10")


class Garbage(PgPair):
    """A client that stops speaking the protocol while its server is asked something else."""

    def test_it_is_answered_by_its_server_and_hears_nothing_else(self):
        said = message("Z", b"I")
        with self.old.connect() as direct:
            direct.send(said)
            expected = told(direct.read_eof())
        self.migrate({"type": "blue_green", "active_is_new": False})
        client = self.connect()
        client.ask("set work_mem = '8MB'")
        # What it sends is read while the server has not told yet what the session holds.
        os.kill(client.pid, signal.SIGSTOP)
        try:
            before = self.metric("bytes_total", direction="server_out")
            self.patch({"type": "blue_green", "active_is_new": True})
            wait_until(lambda: self.metric("bytes_total", direction="server_out") > before, 10, "asked")
            client.send(said)
            wait_until(lambda: self.metric("protocol_errors_total") == 1, 10, "read")
        finally:
            os.kill(client.pid, signal.SIGCONT)
        self.assertEqual(told(client.read_eof()), expected)


class Late(PgPair):
    """A new side that was given something late has that, and not what came after."""

    settings = {"second_leg_timeout_ms": 300}

    def test_settings_of_two_moments_are_not_taken_for_one_another(self):
        self.migrate(reads(1.0))
        client = self.connect()
        self.comes_to(client, "new")
        setting = "select side, current_setting('work_mem') from here"
        client.ask("set work_mem = '8MB'")
        self.new.sigstop()
        self.assertEqual(client.rows(setting), [["old", "8MB"]])
        client.ask("set work_mem = '9MB'")
        self.assertEqual(client.rows(setting), [["old", "9MB"]])
        self.new.sigcont()

        def on_new():
            [[side, value]] = client.rows(setting)
            self.assertEqual(value, "9MB")
            return side == "new"
        wait_until(on_new, 20, "new is asked again")


if __name__ == "__main__":
    unittest.main()
