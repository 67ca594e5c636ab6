"""Dual writes of PostgreSQL where lock-step alone does not keep the sides equal: what a write reads beside
what it locks, settings of a transaction that one side alone has, and what was under way when they began.
"""

import unittest

from harness import wait_until
from pg_dual_write_test import Dual
from pg_messages import bind, execute, parse, query


class ReadsOfWrites(Dual):
    """What is written from rows that nobody has locked is suspected."""

    tables = (*Dual.tables, "create table sums (k int primary key, s bigint)",
              "insert into sums values (1, 0)", "create view seen as select * from t",
              "create function total() returns bigint language sql stable as $$select sum(n) from t$$",
              "create function twice(n int) returns int language sql immutable as $$select 2 * n$$")

    def test_a_write_that_reads_what_others_write_meanwhile_is_suspected(self):
        other = self.connect()
        for commits_first in (True, False):
            with self.subTest(commits_first=commits_first):
                other.ask("begin")
                other.ask("update t set n = n + 1 where id = 1")
                if not commits_first:
                    self.client.ask("update sums set s = (select sum(n) from t)")
                other.ask("commit")
                if commits_first:
                    self.client.ask("update sums set s = (select sum(n) from t)")
                self.assertEqual(self.suspected(), {"sums": "order"})

    def test_the_sides_may_differ_in_it(self):
        """What happens between the turns of the two sides, made by hand."""
        holder = self.enterContext(self.second.connect())
        holder.ask("begin; update sums set s = s where k = 1")
        self.client.send(query("update sums set s = (select sum(n) from t)"))
        there = "select count(*) from pg_stat_activity where usename = 'app' and wait_event_type = 'Lock'"
        wait_until(lambda: self.second.value(there) == "1", 20, "the second side waits for the row")
        holder.ask("update t set n = 7 where id = 1")  # as a client's that had committed on the first alone
        holder.ask("commit")
        self.client.until("Z")
        self.assertEqual(self.suspected(), {"sums": "order"})

    def test_whatever_way_it_reads(self):
        forms = ("insert into sums select 10, sum(n) from t", "update sums set s = t.n from t where t.id = k",
                 "delete from sums using t where t.id = k and t.n = 99", "update sums set s = total()",
                 "update sums set s = (select max(s) from sums)",
                 "with q as (select sum(n) as n from t) insert into sums select 11, n from q",
                 "insert into sums select 12, count(*) from seen")
        for n, sql in enumerate(forms):
            with self.subTest(sql):
                self.client.ask("begin")
                self.client.ask(f"insert into parent values ({100 + n})")
                self.messages(self.client, parse("", sql) + bind("", "") + execute(""))
                self.client.ask("commit")
                # Which is made from what is suspected by now, where it names it.
                self.assertIn(self.suspected()["sums"], ("order", "spread"))
                self.assertEqual(set(self.suspected()), {"sums"})

    def test_what_reads_only_what_it_locks_is_not(self):
        for sql in ("update t set n = n + 1 where id = 1", "delete from t where n = 5",
                    "insert into t values (500, twice(2), ''), (501, 0, 'x') on conflict do nothing",
                    "insert into t values (500, 0, '') on conflict (id) do update set n = t.n + excluded.n",
                    "insert into t select i, i, '' from generate_series(600, 605) i",
                    "insert into t select * from (values (700, 1, 'a')) v",
                    "with gone as (delete from t where id = 605 returning id) "
                    "insert into parent select id from gone",
                    "with mine as (select id from t where id < 4 order by id for update) "
                    "update t set n = 9 from mine where t.id = mine.id",
                    "insert into child values (1, 605)",
                    "select sum(n) from t; update t set n = 1 where id = 2"):
            with self.subTest(sql):
                self.client.ask("begin")
                self.client.value("select count(*) from t where n > 3")
                self.client.ask(sql)
                self.client.ask("commit")
        self.nothing_suspected()


class Settings(Dual):
    """Two tables of one name: which is meant hangs on the search path of the transaction."""

    tables = (*Dual.tables, "create table u (v text)",
              "create function goes() returns text language plpgsql stable as "
              "$$begin return set_config('search_path', 'other', true); end$$",
              "create function went() returns text language plpgsql as "
              "$$begin return set_config('search_path', 'other', true); end$$")
    DRAWS = "insert into public.serials default values"
    DRAWN = {"public.serials": "chance", "serials": "chance"}

    def in_a_block(self, send):
        self.client.ask("begin")
        send()
        self.client.ask("insert into u values ('x')")
        self.client.ask("commit")
        self.assertEqual(self.first.value("select count(*) from other.u"), "1")
        self.assertEqual(self.second.value("select count(*) from other.u"), "0")

    def test_a_setting_beside_what_the_authority_alone_runs_leaves_the_other_side_out(self):
        self.in_a_block(lambda: self.client.rows(f"set local search_path = other; {self.DRAWS}"))
        self.assertEqual(self.suspected(), self.DRAWN | {"u": "outcome"})
        self.assertEqual(self.second.value("select count(*) from u"), "0")
        self.conserved()

    def test_so_does_one_in_the_same_segment(self):
        parts = b"".join(parse("", sql) + bind("", "") + execute("") for sql in (
            "select set_config('search_path', 'other', true)", self.DRAWS))
        self.in_a_block(lambda: self.messages(self.client, parts))
        self.assertEqual(self.suspected(), self.DRAWN | {"u": "outcome"})

    def test_so_does_one_that_a_function_makes(self):
        self.in_a_block(lambda: self.client.rows(
            "insert into public.serials (at) select now() where goes() is not null"))
        self.assertEqual(self.suspected(), self.DRAWN | {"u": "outcome"})

    def test_so_does_hidden_code(self):
        self.in_a_block(lambda: self.client.rows("select went()"))
        self.assertTrue(self.divergence()["needs_full_verification"])
        self.assertEqual(self.second.value("select count(*) from u"), "0")

    def test_what_ends_with_its_block_leaves_nobody_out(self):
        self.client.ask("begin")
        self.client.ask("insert into parent values (1)")
        self.client.ask(self.DRAWS)
        self.client.ask("insert into parent values (2)")
        self.client.ask("commit")
        self.client.ask(f"set local search_path = other; {self.DRAWS}")
        self.client.ask("insert into u values ('y')")
        self.equal("select * from parent")
        self.equal("select * from u")
        self.assertEqual(self.suspected(), self.DRAWN)
        self.assertEqual(self.legs(), self.legs("eligible"))


if __name__ == "__main__":
    unittest.main()
