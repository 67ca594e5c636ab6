"""Canary of PostgreSQL: only certain reads outside of write transactions go to new, by session; what a
session holds is there, too; and what new does not answer old does.
"""

import time
import unittest

from harness import SLOWNESS, wait_until
from pg_conn import ServerError
from pg_messages import (FLUSH, SYNC, bind, close, describe, execute, fields_of, kind_of, parse, query,
                         row_of)
from pg_pair import INTERLAY, PgPair, reads


class Routing(PgPair):
    tables = ("create table t (id int primary key, n int)",
              "insert into t select i, 0 from generate_series(1, 100) i",
              "create sequence s",
              "create function writes() returns int volatile language sql as "
              "'update t set n = n + 1 where id = 1 returning n'",
              "create view v as select * from t")

    def setUp(self):
        super().setUp()
        self.migrate(reads(1.0))
        self.client = self.connect()

    def written_on_new(self):
        return self.new.value("select sum(n) + count(*) - 100 from t")

    def test_reads_are_answered_by_new_and_writes_by_old(self):
        for _ in range(3):
            self.assertEqual(self.side_of(self.client), "new")
            self.client.ask("update t set n = n + 1 where id = 5")
        self.assertEqual(self.old.value("select n from t where id = 5"), "3")
        self.assertEqual(self.written_on_new(), "0")

    def test_whatever_may_write_is_answered_by_old(self):
        for sql in ("select writes()", "select nextval('s')", "select * from t for update",
                    "with w as (update t set n = 1 returning n) select side from here",
                    "create table more as select 1", "do $$begin perform writes(); end$$",
                    "select pg_advisory_xact_lock(1)", "lock table t",
                    "insert into t values (1000, 0); delete from t where id = 1000",
                    "explain analyze update t set n = 0"):
            with self.subTest(sql):
                before = self.metric("requests_total", side="new")
                try:
                    self.client.ask(sql)
                except ServerError:  # LOCK TABLE outside of a transaction
                    pass
                self.assertEqual(self.metric("requests_total", side="new"), before)
        self.assertEqual(self.written_on_new(), "0")

    def test_a_transaction_is_whole_on_old(self):
        self.client.ask("begin")
        self.assertEqual(self.side_of(self.client), "old")
        self.client.ask("update t set n = 7 where id = 7")
        self.assertEqual(self.client.value("select n from t where id = 7"), "7")
        self.client.ask("commit")
        self.assertEqual(self.side_of(self.client), "new")
        self.assertEqual(self.old.value("select n from t where id = 7"), "7")
        self.assertEqual(self.written_on_new(), "0")

    def test_a_read_only_transaction_is_whole_on_new(self):
        self.client.ask("begin read only")
        self.assertEqual(self.side_of(self.client), "new")
        with self.assertRaisesRegex(ServerError, "cannot execute UPDATE in a read-only transaction"):
            self.client.rows("update t set n = 1")
        self.client.ask("rollback")
        self.client.ask("start transaction isolation level repeatable read, read only")
        self.assertEqual(self.side_of(self.client), "new")
        self.client.ask("commit")
        self.client.ask("update t set n = n + 1 where id = 9")
        self.assertEqual(self.old.value("select n from t where id = 9"), "1")

    def test_what_a_read_only_transaction_can_do_beside_reading_is_not_done_on_new(self):
        for sql in ("notify x", "set transaction read write", "listen x",
                    "select pg_advisory_lock(1)"):
            with self.subTest(sql):
                client = self.connect()
                self.comes_to(client, "new")
                client.ask("begin read only")
                with self.assertRaisesRegex(ServerError, "can do nothing but read"):
                    client.rows(sql)
                client.ask("rollback")
                client.ask("begin read only")
                client.rows(sql)  # who was refused once is on the side for writes with the next one
                client.ask("rollback")

    def test_what_new_could_not_give_back_is_not_done_there(self):
        """Its session would end with its next write."""
        for sql in ("select setseed(0.5)", "select set_config('app.' || 'x', '1', false)"):
            with self.subTest(sql):
                client = self.connect()
                self.comes_to(client, "new")
                client.rows("begin read only")
                with self.assertRaisesRegex(ServerError, "can do nothing but read"):
                    client.rows(sql)
                client.rows("rollback")
                client.rows("update t set n = n + 1 where id = 8")
                client.rows("begin read only; " + sql)  # which is old's as a whole
                client.rows("commit")
                client.rows("update t set n = n + 1 where id = 8")

    def test_a_begin_that_fails_opens_no_way_for_writes(self):
        """What follows it in the same breath is not sent to new as a part of a transaction."""
        self.client.send(query("begin read only, nonsense") + query("update t set n = 1 where id = 3"))
        self.client.until("Z")
        self.client.until("Z")
        self.assertEqual(self.old.value("select n from t where id = 3"), "1")
        self.assertEqual(self.written_on_new(), "0")

    def test_segments_go_whole(self):
        def segment(*texts):
            self.client.send(b"".join(parse("", text) + bind("", "") + execute("") for text in texts) + SYNC)
            return [row_of(one)[0] for one in self.client.until("Z") if kind_of(one) == "D"]
        here = "select side from here"
        self.assertEqual(segment(here, here), [b"new", b"new"])
        self.assertEqual(segment(here, "update t set n = 1 where id = 2", here), [b"old", b"old"])
        self.assertEqual(self.written_on_new(), "0")

    def test_a_unit_of_which_nothing_is_asked_yet_may_still_write(self):
        write = parse("", "update t set n = n + 1 where id = 5") + bind("", "") + execute("") + SYNC
        for begins in (close("S", "none") + FLUSH, close("S", "none")):
            self.comes_to(self.client, "new")
            self.arrives(self.client, begins)
            self.client.send(write)
            self.client.until("Z")
        self.assertEqual(self.old.value("select n from t where id = 5"), "2")
        self.assertEqual(self.written_on_new(), "0")

    def test_answers_come_in_the_order_of_the_questions(self):
        """Reads and writes alternate in one pipeline: each waits for the one before."""
        parts = []
        for n in range(50):
            parts.append(query(f"insert into t values ({200 + n}, {n}) returning id"))
            parts.append(query(f"select {n}, side from here"))
        self.client.send(b"".join(parts))
        for n in range(50):
            first = [row_of(one) for one in self.client.until("Z") if kind_of(one) == "D"]
            second = [row_of(one) for one in self.client.until("Z") if kind_of(one) == "D"]
            self.assertEqual((first, second), ([[b"%d" % (200 + n)]], [[b"%d" % n, b"new"]]))

    def test_sessions_have_their_side_and_a_larger_share_only_adds(self):
        clients = [self.connect() for _ in range(60)]
        went = set()
        for share in (0.0, 0.3, 0.7, 1.0):
            self.patch(reads(share))
            sides = [[self.side_of(client) for _ in range(2)] for client in clients]
            self.assertTrue(all(a == b for a, b in sides))
            there = {n for n, (side, _) in enumerate(sides) if side == "new"}
            self.assertLessEqual(went, there)
            # Six standard deviations of 60 sessions.
            self.assertAlmostEqual(len(there) / 60, share, delta=0.37 if 0 < share < 1 else 0)
            went = there


class Holdings(PgPair):
    """What a session holds is there wherever it is answered."""

    tables = ("create table t (id int primary key, n int)",
              "insert into t select i, i from generate_series(1, 10) i",
              "create schema other", "create table other.here (side text)")

    def setUp(self):
        super().setUp()
        for name, server in (("old", self.old), ("new", self.new)):
            server.sql("create role worker", "grant worker to app",
                       "grant select on here to worker",
                       f"insert into other.here values ('other {name}')")
        self.before = self.connect()  # while there is one side
        self.before.ask("set work_mem = '9MB'")
        self.before.ask("set app.tenant = 'seven'")
        self.before.send(parse("early", "select side, current_setting('work_mem') from here") + SYNC)
        self.before.until("Z")
        self.migrate(reads(1.0))
        self.client = self.connect()
        self.comes_to(self.client, "new")  # the catalog is known

    def setting(self, client, name):
        return client.rows(f"select side, current_setting('{name}', true) from here")[0]

    def test_settings_are_there(self):
        for name, value in (("work_mem", "11MB"), ("search_path", "public, other"),
                            ("timezone", "Europe/Paris"), ("app.user", "it's \\ me"),
                            ("datestyle", "German, DMY")):
            with self.subTest(name):
                quoted = value.replace("'", "''")
                self.client.ask(f"select set_config('{name}', '{quoted}', false)")
                self.assertEqual(self.setting(self.client, name), ["new", value])
                self.client.ask(f"reset {name}")
                self.assertEqual(self.setting(self.client, name),
                                 ["new", self.client.rows(
                                      f"begin; select current_setting('{name}', true); commit")[0][0]])

    def test_settings_of_transactions_that_roll_back_are_not(self):
        self.client.ask("set work_mem = '10MB'")
        self.client.ask("begin; set work_mem = '20MB'; savepoint s; set work_mem = '30MB'")
        self.client.ask("rollback to s; rollback")
        self.assertEqual(self.setting(self.client, "work_mem"), ["new", "10MB"])
        self.client.ask("begin; set work_mem = '20MB'; savepoint s; set work_mem = '30MB'")
        self.client.ask("rollback to s; commit")
        self.assertEqual(self.setting(self.client, "work_mem"), ["new", "20MB"])
        self.client.ask("begin; set local work_mem = '40MB'; commit")
        self.assertEqual(self.setting(self.client, "work_mem"), ["new", "20MB"])

    def test_a_search_path_leads_where_it_leads_on_old(self):
        self.client.ask("set search_path = other")
        self.assertEqual(self.side_of(self.client), "other new")
        self.client.ask("discard all")
        self.assertEqual(self.side_of(self.client), "new")

    def test_a_role_is_there(self):
        self.client.ask("set role worker")
        self.assertEqual(self.client.rows("select side, current_user from here"), [["new", "worker"]])
        with self.assertRaisesRegex(ServerError, "permission denied"):
            self.client.rows("select * from t")
        self.client.ask("reset role")
        # What new has failed old answers, and the next read, too, while new is not done with that.
        self.comes_to(self.client, "new")
        self.assertEqual(self.client.rows("select side, current_user from here"), [["new", "app"]])

    def test_settings_of_start_up_are_there_and_reset_goes_back_to_them(self):
        client = self.connect(options="-c work_mem=5MB", application_name="me")
        self.assertEqual(self.setting(client, "work_mem"), ["new", "5MB"])
        client.ask("set work_mem = '6MB'")
        self.assertEqual(self.setting(client, "work_mem"), ["new", "6MB"])
        client.ask("reset work_mem")
        self.assertEqual(self.setting(client, "work_mem"), ["new", "5MB"])
        self.assertEqual(self.setting(client, "application_name"), ["new", "me"])

    def test_what_was_set_before_anybody_looked_is_there(self):
        self.assertEqual(self.setting(self.before, "work_mem"), ["new", "9MB"])
        self.assertEqual(self.setting(self.before, "app.tenant"), ["new", "seven"])
        self.before.send(bind("", "early") + execute("") + SYNC)
        self.assertIn([b"new", b"9MB"], [row_of(one) for one in self.before.until("Z")
                                         if kind_of(one) == "D"])

    def answers(self, client, messages):
        client.send(messages + SYNC)
        found = client.until("Z")
        for one in found:
            if kind_of(one) == "E":
                raise ServerError(one)
        return [[column.decode() for column in row_of(one)] for one in found if kind_of(one) == "D"]

    def test_statements_are_there_and_each_is_the_latest_of_its_name(self):
        client, here = self.client, "select side, 'first' from here"
        self.assertEqual(self.answers(client, parse("s", here)), [])
        use = bind("", "s") + execute("")
        self.assertEqual(self.answers(client, use), [["new", "first"]])
        write = parse("w", "insert into t values (20, 0) returning 'w'") + bind("", "w") + execute("")
        self.assertEqual(self.answers(client, write), [["w"]])
        with self.assertRaisesRegex(ServerError, "already exists"):
            self.answers(client, parse("s", "select 'second'"))

        def on_new():  # a read that comes before new is through with its error is old's
            [[side, which]] = self.answers(client, use)
            self.assertEqual(which, "first")
            return side == "new"
        wait_until(on_new, 5, "new is asked again")
        # Dropped on old, within a write, and made anew there: new must not run the former.
        again = close("S", "s") + parse("s", "select side, 'third' from here")
        self.answers(client, parse("", "delete from t where id = 20") + bind("", "") + execute("") + again)
        self.assertEqual(self.answers(client, use), [["new", "third"]])
        self.answers(client, close("S", "s"))
        with self.assertRaisesRegex(ServerError, 'prepared statement "s" does not exist'):
            self.answers(client, use)

    def test_statements_of_sql_are_there(self):
        self.client.ask("prepare p as select 1")
        self.client.ask("deallocate p")
        self.client.ask("prepare p as select side from here")
        self.client.ask("begin read only")
        self.assertEqual(self.client.rows("execute p"), [["new"]])
        self.client.ask("commit")
        self.client.ask("deallocate all")
        with self.assertRaisesRegex(ServerError, 'prepared statement "p" does not exist'):
            self.client.rows("execute p")

    def test_statements_are_there_for_what_even_a_failed_transaction_looks_at(self):
        """A server counts the parameters of a Bind before it refuses it for the transaction's sake."""
        def codes(data):
            self.client.send(data)
            return [fields_of(one)["C"] for one in self.client.until("Z") if kind_of(one) == "E"]

        def run(name, *params):
            return bind("", name, list(params)) + execute("") + SYNC
        said = parse("s1", "select side from here where $1::bool")
        declared = parse("s2", "select side from here where $1", [16, 25])
        for together in (False, True):
            with self.subTest(together=together):
                self.assertEqual(codes(close("S", "s1") + said + close("S", "s2") + declared + SYNC), [])
                self.assertEqual(self.side_of(self.client), "new")
                if together:
                    self.client.send(query("begin; lock table here; select 1/0") + run("s1", "t", "u"))
                    self.client.until("Z")
                else:
                    self.client.ask("begin; lock table here; select 1/0")
                    self.client.send(run("s1", "t", "u"))
                self.assertEqual(codes(b""), ["08P01"])
                self.assertEqual(codes(run("s1", "t", "u") + run("s2", "t")), ["08P01"])
                self.assertEqual(codes(b""), ["08P01"])
                self.assertEqual(codes(run("s1", "t") + run("s2", "t", "u")), ["25P02"])
                self.assertEqual(codes(b""), ["25P02"])
                self.client.ask("rollback; begin; lock table here")
                for data in (run("s1", "t"), run("s2", "t", "u")):
                    self.client.send(data)
                    rows = [row_of(one) for one in self.client.until("Z") if kind_of(one) == "D"]
                    self.assertEqual(rows, [[b"old"]])
                self.client.ask("commit")

    def test_the_unnamed_statement_is_there(self):
        self.answers(self.client, parse("", "select side from here"))
        for _ in range(2):
            self.assertEqual(self.answers(self.client, bind("", "") + execute("")), [["new"]])
        self.client.ask("select 1")
        with self.assertRaisesRegex(ServerError, "unnamed prepared statement does not exist"):
            self.answers(self.client, bind("", "") + execute(""))

    def test_more_custom_settings_than_are_kept_keep_their_session_on_old(self):
        self.sidecar.must("PATCH", f"/interlays/{INTERLAY}", {"settings": {"custom_settings_max": 4096}})
        few, many = self.client, self.connect()
        for number in range(20):
            for _ in range(10):
                few.ask(f"set app.n{number} = '{number}'")
        for number in range(200):
            many.ask(f"set app.n{number} = '{number}'")
        self.assertEqual(self.side_of(few), "new")
        self.assertEqual(few.value("select current_setting('app.n19')"), "19")
        self.assertEqual(self.side_of(many), "old")
        self.assertEqual(many.value("select current_setting('app.n199')"), "199")
        self.assertEqual(self.metric("limit_hits_total", limit="custom_settings_max"), 1)
        self.patch({"type": "canary", "read_percentage": 1.0,
                    "write_mode": {"mode": "cutover", "write_percentage": 1.0}})
        wait_until(lambda: self.metric("sessions_staying", reason="untold") == 1, 10, "it stays")

    def test_what_can_not_go_over_keeps_its_session_on_old(self):
        for sql in ("listen x", "create temp table mine (i int)", "select pg_advisory_lock(7)",
                    "declare c cursor with hold for select 1"):
            with self.subTest(sql):
                client = self.connect()
                self.comes_to(client, "new")
                client.ask(sql)
                self.assertEqual(self.side_of(client), "old")
                client.ask("discard all")
                self.comes_to(client, "new")

    def test_a_listener_hears_what_is_notified(self):
        self.client.ask("listen x")
        self.side_of(self.client)
        self.connect().ask("notify x, 'hello'")
        found = self.client.until("A")[-1]
        self.assertIn(b"hello", found)


class FallsBack(PgPair):
    """Reads that new does not answer are answered by old, and the client does not notice."""

    tables = ("create table t (id int primary key, n int)",
              "insert into t select i, i from generate_series(1, 10) i")
    settings = {"second_leg_timeout_ms": int(1500 * SLOWNESS), "connect_timeout_ms": 1000}

    def setUp(self):
        super().setUp()
        self.migrate(reads(1.0))
        self.client = self.connect()
        self.comes_to(self.client, "new")

    def fallbacks(self):
        return self.metric("read_fallbacks_total")

    def test_an_error_of_new_is_not_seen(self):
        self.new.sql("alter table t rename to elsewhere")
        self.assertEqual(self.client.value("select n from t where id = 3"), "3")
        self.comes_to(self.client, "new")
        self.client.send(parse("s", "select n from t where id = 4") + describe("S", "s") +
                         bind("", "s") + describe("P", "") + execute("") + SYNC)
        kinds = "".join(kind_of(one) for one in self.client.until("Z"))
        self.assertEqual(kinds, "1tT2TDCZ")
        self.assertEqual(self.fallbacks(), 2)
        self.assertEqual(self.side_of(self.client), "new")

    def test_an_error_of_both_is_seen_once(self):
        with self.assertRaisesRegex(ServerError, "division by zero"):
            self.client.rows("select n / 0 from t")
        self.comes_to(self.client, "new")

    def test_an_error_behind_rows_is_the_clients(self):
        with self.assertRaisesRegex(ServerError, "division by zero"):
            self.client.rows("select n, repeat('x', 9000), 1 / (n - 9) from t")
        self.assertEqual(self.fallbacks(), 0)
        self.assertEqual(self.side_of(self.client), "new")

    def test_a_dead_new_side_is_not_seen(self):
        self.new.kill()
        for _ in range(20):
            self.assertEqual(self.side_of(self.client), "old")
            self.assertEqual(self.side_of(self.connect()), "old")
        self.new.restart()
        self.comes_to(self.client, "new")

    def test_a_backend_that_is_terminated_on_new_is_not_seen(self):
        self.new.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
        for _ in range(3):
            self.assertIn(self.side_of(self.client), ("old", "new"))
        self.comes_to(self.client, "new")

    def test_a_stalled_new_side_is_waited_for_once(self):
        self.new.sigstop()
        began = time.monotonic()
        for _ in range(10):
            self.assertEqual(self.side_of(self.client), "old")
        self.assertLess(time.monotonic() - began, 8 * SLOWNESS)
        self.new.sigcont()
        wait_until(lambda: self.side_of(self.client) == "new", 20, "new is asked again")

    def test_a_session_that_new_does_not_let_in_is_answered_by_old(self):
        self.new.set_hba(["host all all 127.0.0.1/32 reject"])
        client = self.connect()
        for _ in range(5):
            self.assertEqual(self.side_of(client), "old")
        self.assertGreater(self.metric("sessions_one_sided_total"), 0)


if __name__ == "__main__":
    unittest.main()
