"""What a roll-back of PostgreSQL would lose is counted: transactions that new alone has acknowledged, each
once; and it is said when that is not exact.
"""

import unittest

from harness import wait_until
from pg_messages import COPY_DONE, SYNC, bind, copy_data, execute, parse, query
from pg_pair import PgPair

CUTOVER = {"type": "canary", "read_percentage": 1.0,
           "write_mode": {"mode": "cutover", "write_percentage": 1.0}}
BY_NEW = {"type": "canary", "read_percentage": 1.0,
          "write_mode": {"mode": "dual_write", "engine": "statement", "policy": "new_authoritative"}}


class NewOnly(PgPair):
    tables = ("create table t (id int primary key, n int)",
              "create function f(int) returns int language sql volatile as "
              "'insert into t values ($1) returning id'",
              "create procedure p(int) language plpgsql as $$begin for i in 1 .. $1 loop "
              "insert into t values (i); commit; end loop; end$$",
              "create procedure q(int) language plpgsql as $$begin call p($1); end$$")

    def status(self):
        interlay, = self.sidecar.must("GET", "/migrations/m/status")["interlays"]
        return interlay["new_only_writes"], interlay["new_only_writes_exact"]

    def lost(self, writes, exact=True):
        """So says the metric, and the roll-back."""
        wait_until(lambda: self.metric("new_only_writes_total") >= writes, 10, "all is counted")
        answer = self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertEqual((answer["new_only_writes"], answer["new_only_writes_exact"]), (writes, exact))
        self.assertEqual(self.metric("new_only_writes_total"), writes)

    def comes_to_count(self, writes, exact):
        wait_until(lambda: self.status()[0] >= writes, 10, "all is counted")
        self.assertEqual(self.status(), (writes, exact))

    def writes(self, client):
        """Five transactions that write, and several that do not."""
        client.ask("insert into t values (1)")
        client.ask("begin; insert into t values (2); commit")
        client.ask("begin")
        client.ask("insert into t values (3)")
        client.ask("savepoint s")
        client.ask("insert into t values (4)")
        client.ask("rollback to s")
        client.ask("commit")
        client.ask("begin")
        client.ask("insert into t values (5)")
        client.ask("rollback")
        client.rows("select * from t")
        client.ask("set application_name = 'x'")
        client.ask("begin")
        client.rows("select count(*) from t")
        client.ask("commit")
        client.send(parse("p", "insert into t values ($1)") + SYNC)
        client.until("Z")
        piped = [bind("", "p", [str(i).encode()]) + execute("") + SYNC for i in (6, 7, 6)]
        client.send(b"".join(piped))  # the last one fails
        for _ in piped:
            client.until("Z")


class Routed(NewOnly):
    def check(self, strategy):
        self.migrate(strategy)
        client = self.connect()
        self.comes_to(client, "new")
        self.writes(client)
        self.assertEqual(self.old.sql("select count(*) from t"), [["0"]])
        self.lost(5)

    def test_of_blue_green_every_transaction_counts_once(self):
        self.check({"type": "blue_green", "active_is_new": True})

    def test_of_a_big_bang(self):
        self.check({"type": "big_bang"})

    def test_of_a_cutover(self):
        self.check(CUTOVER)

    def test_what_is_on_old_does_not_count(self):
        self.migrate({"type": "blue_green", "active_is_new": False})
        self.writes(self.connect())
        self.lost(0)

    def test_code_that_is_not_seen_through_counts(self):
        self.migrate(CUTOVER)
        client = self.connect()
        client.rows("select f(1)")
        client.ask("do $$ begin insert into t values (2); end $$")
        self.lost(2)

    def test_code_that_may_have_committed_several_times_is_not_exact(self):
        self.migrate(CUTOVER)
        client = self.connect()
        client.ask("begin")
        client.ask("do $$ begin insert into t values (99); end $$")
        client.ask("commit")
        self.comes_to_count(1, True)
        counted = 1
        for sql in ("call p(3)", "call q(3)", "do $$ begin call p(3); end $$",
                    "do 'begin insert into t values (1); Commit; insert into t values (2); end'"):
            for way in ("query", "statement"):
                with self.subTest(sql, way=way):
                    self.new.sql("delete from t")
                    if way == "query":
                        client.ask(sql)
                    else:
                        client.send(parse("", sql) + bind("", "") + execute("") + SYNC)
                        client.until("Z")
                    counted += 1
                    self.assertGreater(int(self.new.value("select count(*) from t")), 1)
                    self.comes_to_count(counted, False)

    def test_a_copy_counts(self):
        self.migrate(CUTOVER)
        client = self.connect()
        client.send(query("copy t from stdin"))
        client.send(copy_data(b"1\t1\n2\t2\n") + COPY_DONE)
        client.until("Z")
        self.assertEqual(self.new.sql("select count(*) from t"), [["2"]])
        self.lost(1)

    def test_a_transaction_that_was_open_is_added_when_it_ends(self):
        self.migrate(CUTOVER)
        client = self.connect()
        client.ask("begin")
        client.ask("insert into t values (1)")
        self.lost(0)
        client.ask("commit")
        wait_until(lambda: self.status() == (1, True), 10, "it is in the status")

    def test_what_new_did_not_answer_is_not_exact(self):
        self.migrate(CUTOVER)
        client = self.connect()
        client.ask("insert into t values (1)")
        client.send(query("insert into t select 2 from pg_sleep(60)"))
        running = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
        wait_until(lambda: self.new.sql(running) == [["1"]], 10, "it runs")
        self.new.kill()
        self.lost(2, exact=False)

    def test_a_block_that_a_crash_rolled_back_does_not_count(self):
        self.migrate(CUTOVER)
        client = self.connect()
        client.ask("begin")
        client.ask("insert into t values (1)")
        client.close()
        wait_until(lambda: self.metric("sessions_open") == 0, 10, "it has ended")
        self.lost(0)


class ByNew(NewOnly):
    def setUp(self):
        super().setUp()
        self.migrate(BY_NEW)
        self.client = self.connect()

    def test_what_both_have_does_not_count(self):
        self.writes(self.client)
        rows = "select id from t order by id"
        self.assertEqual(self.old.sql(rows), self.new.sql(rows))
        self.lost(0)

    def test_what_old_is_down_for_counts(self):
        self.writes(self.client)
        self.old.stop()
        self.client.ask("insert into t values (11)")
        self.client.ask("begin")
        self.client.ask("insert into t values (12)")
        self.client.ask("insert into t values (13)")
        self.client.ask("commit")
        self.lost(2)

    def test_what_old_has_failed_counts(self):
        self.old.sql("alter table t add check (id < 10)")
        self.client.ask("insert into t values (1)")
        self.client.ask("insert into t values (11)")
        self.lost(1)

    def test_code_that_may_have_committed_several_times_is_not_exact(self):
        self.client.ask("do $$ begin insert into t values (99); end $$")
        self.comes_to_count(1, True)
        self.client.ask("call p(3)")
        self.lost(2, exact=False)

    def test_what_only_the_authority_runs_counts(self):
        self.client.ask("insert into t values (1, random() * 100)")
        self.client.ask("begin")
        self.client.send(query("copy t from stdin"))
        self.client.send(copy_data(b"2\t2\n") + COPY_DONE)
        self.client.until("Z")
        self.client.ask("insert into t values (3)")
        self.client.ask("commit")
        self.lost(2)


if __name__ == "__main__":
    unittest.main()
