"""Definitions that change while sessions use what hangs on them: from its commit on nobody is on new with
what may write by now.
"""

import time
import unittest

from harness import wait_until
from pg_messages import SYNC, bind, execute, kind_of, parse, query, row_of
from pg_pair import PgPair, reads


class Replaced(PgPair):
    """Functions and views that become others, while statements that use them are prepared."""

    tables = ("create table log (what text)",
              "create function f() returns int language sql stable as 'select 1'",
              "create view v as select 1 as one")
    redefinitions = (
        "create or replace function f() returns int language plpgsql volatile as"
        " $$begin insert into log values ('f'); return 1; end$$",
        "create function g() returns int language plpgsql volatile as"
        " $$begin insert into log values ('g'); return 1; end$$",
        "create or replace view v as select g() as one")

    def test_what_writes_by_now_is_not_run_on_new(self):
        self.migrate(reads(1.0))
        client = self.connect()
        client.send(parse("s", "select side, f() from here") + SYNC)
        client.until("Z")
        client.ask("prepare p as select side, one from here, v")

        def uses():
            client.send(bind("", "s") + execute("") + SYNC)
            [[side, _]] = [row_of(one) for one in client.until("Z") if kind_of(one) == "D"]
            return {side.decode(), client.rows("execute p")[0][0]}

        wait_until(lambda: uses() == {"new"}, 20, "both are known to read")
        for sql in self.redefinitions:
            client.ask(sql)
            with self.new.connect() as owner:
                owner.ask(sql)
        fresh = self.connect()
        wait_until(lambda: fresh.rows("select side, f() from here")[0][0] == "old" and
                   fresh.rows("select side, one from here, v")[0][0] == "old", 20, "both are known to write")
        self.new.sql("delete from log")
        self.assertEqual(uses(), {"old"})
        self.assertEqual(self.new.value("select count(*) from log"), "0")


class Rung(PgPair):
    """The catalog is read when somebody says that definitions have changed, and otherwise not."""

    config = {"limits": {"catalog_ms": 600_000}}
    tables = Replaced.tables
    writes = Replaced.redefinitions[0]

    def read_after(self, act):
        """The catalog, because of that; when is told in seconds."""
        def read_at():
            return self.sidecar.must("GET", "/interlays/pg")["catalog"]["read_at"]
        before, over = read_at(), time.monotonic() + 1
        wait_until(lambda: time.monotonic() > over, 10, "a second passes")
        act()
        wait_until(lambda: read_at() > before, 20, "it is read")


class Unread(Rung):
    """Definitions that have changed, while nobody has read them yet."""

    server = {"max_prepared_transactions": 2}

    def setUp(self):
        super().setUp()
        self.migrate(reads(1.0))
        self.client, self.other = self.connect(), self.connect()
        for client in (self.client, self.other):
            self.comes_to(client, "new")

    def side(self, client, what):
        return client.rows(f"select side, {what} from here")[0][0]

    def reads_again(self):
        self.client.ask(f"create or replace {self.tables[1].removeprefix('create ')}")
        wait_until(lambda: self.side(self.other, "f()") == "new", 20, "it is known to read again")

    def test_a_function_is_not_believed_from_its_commit_on(self):
        for _ in range(3):
            self.assertEqual(self.side(self.other, "f()"), "new")
            self.client.send(query(self.writes) + query("select side, f() from here"))
            self.client.until("Z")
            [[side, _]] = [row_of(one) for one in self.client.until("Z") if kind_of(one) == "D"]
            self.assertEqual((side, self.side(self.other, "f()")), (b"old", "old"))
            self.assertEqual(self.side_of(self.other), "new")  # a plain table is what it was
            self.reads_again()

    def test_nor_one_whose_session_goes_on_in_another_transaction(self):
        """At its commit that is open, or under way."""
        holder = self.enterContext(self.old.connect())
        holder.ask("select pg_advisory_lock(7)")
        pipeline = query(self.writes) + query("begin; select pg_advisory_xact_lock(7)")
        for ways in (("begin", self.writes, "commit and chain"), ("begin", self.writes, "commit; begin"),
                     (f"begin; {self.writes}; commit; begin",), pipeline):
            with self.subTest(ways):
                self.assertEqual(self.side(self.other, "f()"), "new")
                if ways is pipeline:
                    self.client.send(pipeline)
                    self.client.until("Z")
                else:
                    for sql in ways:
                        self.client.ask(sql)
                self.assertEqual(self.side(self.other, "f()"), "old")
                self.assertEqual(self.old.value("select provolatile from pg_proc where proname = 'f'"), "v")
                if ways is pipeline:
                    holder.ask("select pg_advisory_unlock(7)")
                    self.client.until("Z")
                self.client.ask("commit")
                self.reads_again()

    def test_what_was_prepared_is_noticed(self):
        self.client.ask("begin")
        self.client.ask(self.writes)
        self.read_after(lambda: self.client.ask("prepare transaction 'one'"))
        # The answer is shown a moment before it is in force.
        wait_until(lambda: self.side(self.other, "f()") == "new", 20, "it is not there yet, and not doubted")
        self.client.ask("commit prepared 'one'")
        wait_until(lambda: self.side(self.other, "f()") == "old", 20, "it is known to write")

    def test_code_that_redefines_unseen_is_noticed(self):
        quoted = self.writes.replace("'", "''")
        self.client.ask(f"do $do$begin execute '{quoted}'; end$do$")
        wait_until(lambda: self.side(self.other, "f()") == "old", 20, "it is known to write")


class ReadEarly(Rung):
    """Where new is the authority a definition is on old, whose catalog is read, only after it is on new."""

    settings = {"second_leg_timeout_ms": 60_000}

    def test_it_is_read_again_when_old_has_it(self):
        self.migrate({"type": "canary", "read_percentage": 0.0, "write_mode": {
            "mode": "dual_write", "engine": "statement", "policy": "new_authoritative"}})
        client, other = self.connect(), self.connect()
        asks = "select side, f() from here"
        self.assertEqual(other.rows(asks)[0][0], "old")
        holder = self.enterContext(self.old.connect())
        holder.ask(f"begin; {self.writes}")
        self.read_after(lambda: client.send(query(self.writes)))
        holder.ask("rollback")
        client.until("Z")
        self.assertEqual(other.rows(asks)[0][0], "new")


if __name__ == "__main__":
    unittest.main()
