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


if __name__ == "__main__":
    unittest.main()
