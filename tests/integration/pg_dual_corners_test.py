"""Dual writes of PostgreSQL where lock-step alone does not keep the sides equal: what a write reads beside
what it locks, settings of a transaction that one side alone has, and what was under way when they began.
"""

import unittest

from harness import SLOWNESS, wait_until
from pg_dual_write_test import Dual, both
from pg_messages import COPY_DONE, FLUSH, SYNC, bind, copy_data, execute, kind_of, parse, query
from pg_pair import PgPair


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


class Commits(Dual):
    """What a unit writes and commits has no locks on the first side when the second begins with it."""

    def segment(self, *texts):
        self.messages(self.client, b"".join(parse("", sql) + bind("", "") + execute("") for sql in texts))

    def test_a_unit_that_commits_itself_is_suspected_of_its_order(self):
        self.client.ask("begin; update t set n = 1 where id = 1; commit")
        self.assertEqual(self.suspected(), {"t": "order"})
        self.segment("begin", "insert into parent values (1)", "commit")
        self.assertEqual(self.suspected(), {"t": "order", "parent": "order"})
        self.client.ask("begin; insert into child values (1, 1)")
        self.client.ask("insert into other.u values ('x'); commit")
        self.assertEqual(self.suspected(), dict.fromkeys(("t", "parent", "u", "other.u"), "order"))
        for sql in ("select * from t order by id", "select * from parent", "select * from child"):
            self.equal(sql)

    def test_a_unit_that_another_one_commits_is_not(self):
        self.client.ask("begin; update t set n = 1 where id = 1")
        self.client.ask("commit")
        self.segment("begin", "update t set n = 2 where id = 1")
        self.segment("commit")
        self.segment("update t set n = n + 1 where id = 2", "update t set n = n + 1 where id = 3")
        self.client.ask("update t set n = 3 where id = 1; delete from t where id = 4")
        self.client.ask("create table more (i int); create index on t (n)")
        self.equal()
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


class Begins(Dual):
    """What the authority alone runs at the moment when dual writes begin."""

    BEFORE = {"type": "canary", "read_percentage": 0.0,
              "write_mode": {"mode": "cutover", "write_percentage": 0.0}}
    settings = {"second_leg_timeout_ms": int(20000 * SLOWNESS)}
    WAITS = "select count(*) from pg_stat_activity where usename = 'app' and wait_event_type = 'Lock'"
    of_a_copy = {"parent": "unsent"}  # what is suspected when one was under way

    def setUp(self):
        PgPair.setUp(self)
        self.migrate(self.BEFORE)
        self.client = self.connect()

    def begins_while(self, held, sql, *before):
        """What the client of `sql` hears, which waits on the first side for what `held` holds."""
        holder = self.enterContext(self.first.connect())
        holder.ask("begin; " + held)
        for one in before:
            self.client.ask(one)
        self.client.send(query(sql))
        wait_until(lambda: self.first.value(self.WAITS) == "1", 20, "it waits on the first side")
        self.begin_dual()
        holder.ask("rollback")
        return "".join(kind_of(one) for one in self.client.until("Z"))

    def begin_dual(self):
        self.patch(both(self.policy))

    def test_a_write_under_way_is_suspected(self):
        row = "update t set note = 'held' where id = 1"
        self.assertEqual(self.begins_while(row, "update t set n = 5 where id = 1"), "CZ")
        self.assertEqual(self.suspected(), {"t": "unsent"})
        self.client.ask("update parent set id = 1")
        self.client.ask("begin; update t set n = 6 where id = 2")
        self.client.ask("commit")
        self.assertEqual(self.suspected(), {"t": "unsent"})
        self.assertEqual(self.second.value("select n from t where id = 2"), "6")

    def test_a_read_under_way_is_not(self):
        self.client.ask("update parent set id = 1")  # which is over
        self.assertEqual(self.begins_while("lock table t", "select n from t where id = 1"), "TDCZ")
        self.nothing_suspected()

    def test_a_block_is_suspected_of_what_it_has_written(self):
        row = "update t set note = 'held' where id = 1"
        self.begins_while(row, "update t set n = 5 where id = 1", "begin", "insert into parent values (1)")
        self.assertEqual(self.suspected(), {"t": "unsent", "parent": "unsent"})
        self.client.ask("commit")
        self.assertEqual(self.suspected(), {"t": "unsent", "parent": "unsent"})

    def test_a_block_that_does_nothing_just_then_is_when_it_ends(self):
        blocks = (("select n from t", "select n from t", {}),
                  ("insert into t values (300, 0, '')", None, {}),
                  ("select n from t", "insert into parent values (2)", {"parent"}),
                  ("insert into other.u values ('x')", "select n from t", {"parent", "u", "other.u"}))
        clients = [self.connect() for _ in blocks]
        for client, (before, _, _) in zip(clients, blocks, strict=True):
            client.ask("begin")
            client.ask(before)
        self.begin_dual()
        for client, (_, then, named) in zip(clients, blocks, strict=True):
            if then:
                client.ask(then)
            client.ask("commit" if then else "rollback")
            self.assertEqual(self.suspected(), dict.fromkeys(named, "unsent"))

    def test_an_open_segment_is_suspected_of_all_that_it_writes(self):
        segments = (("select 1", "select 2", {}), ("insert into parent values (1)", "select 2", {"parent"}),
                    ("select 1", "insert into other.u values ('x')", {"parent", "u", "other.u"}))
        clients = [self.connect() for _ in segments]
        for client, (first, _, _) in zip(clients, segments, strict=True):
            client.send(parse("", first) + bind("", "") + execute("") + FLUSH)
            client.until("C")
        self.begin_dual()
        for client, (_, then, _) in zip(clients, segments, strict=True):
            client.send(parse("", then) + bind("", "") + execute("") + SYNC)
            client.until("Z")
        self.assertEqual(self.suspected(), dict.fromkeys(segments[-1][2], "unsent"))

    def test_a_copy_is_suspected(self):
        self.client.send(query("copy parent from stdin"))
        self.client.until("G")
        self.begin_dual()
        self.client.send(copy_data(b"900\n901\n") + COPY_DONE)
        self.client.until("Z")
        self.assertEqual(self.suspected(), self.of_a_copy)


class Turned(Dual):
    """Who is right changes while a write waits for the second side to be entered."""

    settings = {"second_leg_timeout_ms": int(20000 * SLOWNESS)}

    def test_it_is_made_by_the_new_table(self):
        for after in (both("new_authoritative"), both("old_authoritative", 0.5),
                      {"type": "canary", "read_percentage": 1.0,
                       "write_mode": {"mode": "cutover", "write_percentage": 1.0}}):
            with self.subTest(after):
                self.patch(both("old_authoritative"))
                client = self.connect()
                self.new.sigstop()
                try:
                    client.send(query("update parent set id = id + 1000"))
                    wait_until(lambda: self.metric("sessions_open") >= 2, 10, "it waits")
                    self.patch(after)
                finally:
                    self.new.sigcont()
                self.assertEqual("".join(kind_of(one) for one in client.until("Z")), "CZ")
                self.assertEqual(client.rows("select 1"), [["1"]])
                client.terminate()


class BeginsUnread(Begins):
    """Likewise where nobody has read what the session asks for until then."""

    of_a_copy = "all"

    def setUp(self):
        PgPair.setUp(self)
        self.client = self.connect()

    def begin_dual(self):
        self.migrate(both(self.policy))

    def suspected(self):
        found = self.divergence()
        return "all" if found["needs_full_verification"] else super().suspected()

    def test_a_write_under_way_is_suspected(self):
        row = "update t set note = 'held' where id = 1"
        self.assertEqual(self.begins_while(row, "update t set n = 5 where id = 1"), "CZ")
        self.assertEqual(self.suspected(), "all")

    def test_a_read_under_way_is_not(self):
        self.client.ask("update parent set id = 1")  # which is over
        self.begin_dual()
        self.client.ask("update t set n = 6 where id = 2")
        self.nothing_suspected()
        self.equal()

    def test_a_block_is_suspected_of_what_it_has_written(self):
        self.client.ask("begin; insert into parent values (1)")
        self.begin_dual()
        self.assertEqual(self.suspected(), {})
        self.client.ask("commit")
        self.assertEqual(self.suspected(), "all")

    def test_a_block_that_does_nothing_just_then_is_when_it_ends(self):
        self.client.ask("begin; select n from t")
        self.begin_dual()
        self.client.ask("rollback")
        self.nothing_suspected()

    def test_an_open_segment_is_suspected_of_all_that_it_writes(self):
        self.client.send(parse("", "select 1") + bind("", "") + execute("") + FLUSH)
        self.client.until("C")
        self.begin_dual()
        self.client.send(SYNC)
        self.client.until("Z")
        self.assertEqual(self.suspected(), "all")


class Failed(Dual):
    """A transaction that can only be rolled back keeps nobody waiting, on neither side."""

    settings = {"second_leg_timeout_ms": int(3000 * SLOWNESS)}
    FAILS = {"a read": lambda client: client.ask("select 1 / 0"),
             "a write": lambda client: client.ask("insert into t values (2, 0, '')"),
             "a segment": lambda client: (
                 client.send(parse("", "insert into t values (2, 0, '')") + bind("", "") + execute("") +
                             SYNC), client.until("Z"))}

    def test_it_holds_no_locks_on_the_second_side(self):
        for how, fail in self.FAILS.items():
            for end in ("rollback", "commit", "rollback; insert into parent select count(*) from parent"):
                with self.subTest(how, end=end):
                    client, beside = self.connect(), self.connect()
                    client.ask("begin; update t set n = n + 1 where id = 1")
                    fail(client)
                    beside.ask("update t set n = n + 1 where id = 1")
                    self.assertEqual([kind_of(one) for one in client.ask("select 1")], ["E", "Z"])
                    client.ask(end)
                    client.ask("update t set note = note || 'x' where id = 3")
        self.assertEqual(self.first.value("select n from t where id = 1"), "9")
        self.assertEqual(self.first.value("select length(note) from t where id = 3"), "9")
        self.equal()
        self.equal("select * from parent order by id")
        self.assertLessEqual(set(self.suspected()), {"parent"})  # it is made from rows that nobody locks
        self.assertEqual(self.legs(), self.legs("eligible"))
        self.conserved()

    def test_with_a_savepoint_it_goes_on(self):
        self.client.ask("begin; update t set n = 5 where id = 1")
        self.client.ask("savepoint s")
        for fail in self.FAILS.values():
            fail(self.client)
            self.client.ask("rollback to s")
            self.client.ask("update t set n = n + 1 where id = 1")
            self.client.ask("savepoint s")
        self.client.ask("commit")
        self.assertEqual(self.first.value("select n from t where id = 1"), "8")
        self.equal()
        self.nothing_suspected()

    def test_a_second_side_that_is_lost_before_its_turn_is_not_waited_for(self):
        holder = self.enterContext(self.first.connect())
        holder.ask("begin; update t set note = 'held' where id = 1")
        self.client.ask("update t set n = 1 where id = 2")  # it is entered
        self.client.send(query("update t set n = 5 where id = 1"))
        waits = "select count(*) from pg_stat_activity where usename = 'app' and wait_event_type = 'Lock'"
        wait_until(lambda: self.first.value(waits) == "1", 20, "the first side waits for the row")
        self.second.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
        there = "select count(*) from pg_stat_activity where usename = 'app'"
        wait_until(lambda: self.second.value(there) == "0", 20, "it is gone there")
        holder.ask("rollback")
        self.client.until("Z", 2)
        self.assertEqual(self.suspected(), {"t": "unsent"})
        self.assertEqual(self.legs("dropped", reason="connection_lost"), 1)


class Late(Dual):
    settings = {"second_leg_timeout_ms": int(1000 * SLOWNESS)}

    def test_what_a_late_second_side_runs_is_cancelled(self):
        holder = self.enterContext(self.second.connect())
        holder.ask("begin; update t set note = 'held' where id = 1")
        self.client.ask("begin; update t set n = 5 where id = 2")
        self.client.ask("update t set n = 5 where id = 1")
        self.client.ask("commit")
        self.assertEqual(self.suspected(), {"t": "unsent"})
        runs = "select count(*) from pg_stat_activity where usename = 'app' and wait_event_type = 'Lock'"
        wait_until(lambda: self.second.value(runs) == "0", 10, "it runs nothing for nobody")
        self.second.sql("set lock_timeout = '10s'", "update t set note = 'free' where id = 2")
        holder.ask("rollback")


class LateOld(Late):
    policy = "new_authoritative"


class Told(Dual):
    """The client hears of its commit when both sides have committed."""

    settings = {"second_leg_timeout_ms": int(20000 * SLOWNESS)}
    WAITS = "select count(*) from pg_stat_activity where usename = 'app' and wait_event_type = 'Lock'"

    def setUp(self):
        super().setUp()
        self.client.ask("insert into parent values (7)")
        self.last = 0

    def ends(self, send, begins, child, early):
        """What the client hears while the second side's commit waits, which is to end with the kind
        `early`, and what it hears then."""
        holder = self.enterContext(self.second.connect())
        holder.ask("begin; select from parent where id = 7 for update")
        insert = f"insert into child values ({child}, 7)"
        if begins:
            self.client.ask("begin; " + insert)
        send(insert)
        wait_until(lambda: self.second.value(self.WAITS) == "1", 20, "the second side's commit waits")
        before = (self.client.until(early) if early else []) + self.client.available()
        holder.ask("rollback")
        return before, [kind_of(one) for one in self.client.until("Z")]

    def test_no_sooner_than_both_sides_have_committed(self):
        client = self.client
        commits = parse("", "commit") + bind("", "") + execute("")
        reads = parse("", "select 1") + bind("", "") + execute("")
        forms = (("CZ", True, lambda _: client.send(query("commit"))),
                 ("CTDCZ", True, lambda _: client.send(query("commit; select 1"))),
                 ("CZ", False, lambda insert: client.send(query(insert))),
                 ("12", True, lambda _: client.send(commits + SYNC)),
                 ("12", True, lambda _: client.send(commits + reads + SYNC)))
        for n, (kinds, begins, send) in enumerate(forms):
            with self.subTest(n):
                early = kinds if kinds == "12" else ""
                before, after = self.ends(send, begins, n, early[-1:])
                if early:
                    self.assertEqual("".join(kind_of(one) for one in before), early)
                    self.assertEqual("".join(after), "CZ" if n == 3 else "C12DCZ")
                else:
                    self.assertEqual(before, [])
                    self.assertEqual("".join(after), kinds)
        self.equal("select * from child order by id")
        self.nothing_suspected()

    def test_nor_of_what_commits_by_itself(self):
        for form in (query("vacuum t"), parse("", "vacuum t") + bind("", "") + execute("") + SYNC):
            with self.subTest(form):
                holder = self.enterContext(self.second.connect())
                holder.ask("begin; lock table t in share mode")
                self.client.send(form)
                wait_until(lambda: self.second.value(self.WAITS) == "1", 20, "the second side waits")
                self.assertNotIn("C", [kind_of(one) for one in self.client.available()])
                holder.ask("rollback")
                self.assertEqual([kind_of(one) for one in self.client.until("Z")][-2:], ["C", "Z"])

    def test_what_has_failed_behind_it_comes_behind_it(self):
        self.client.ask("begin; insert into child values (1, 7)")
        found = self.client.ask("commit; select 1 / 0")
        self.assertEqual("".join(kind_of(one) for one in found), "CEZ")
        self.assertEqual(self.first.value("select count(*) from child"), "1")

    def test_more_than_is_kept_is_handed_out(self):
        self.client.ask("begin; insert into child values (1, 7)")
        found = self.client.ask("commit; select repeat('x', 100000) from generate_series(1, 60)")
        self.assertEqual([kind_of(one) for one in found], ["C", "T", *"D" * 60, "C", "Z"])
        self.client.ask("begin; insert into child values (2, 7)")
        found = self.client.ask("commit; select repeat('x', 6000000)")
        self.assertEqual("".join(kind_of(one) for one in found), "CTDCZ")
        self.assertEqual(len(found[2]), 6000000 + 11)

    def test_who_waits_for_it_before_the_end_of_the_unit_gets_it(self):
        self.client.ask("begin; insert into child values (1, 7)")
        self.client.send(parse("", "commit") + bind("", "") + execute("") + FLUSH)
        self.client.until("C")
        self.client.send(SYNC)
        self.client.until("Z")
        self.client.ask("begin; insert into child values (2, 7)")
        self.client.send(query("commit; copy parent from stdin"))
        self.client.until("G")
        self.client.send(copy_data(b"900\n") + COPY_DONE)
        self.client.until("Z")


if __name__ == "__main__":
    unittest.main()
