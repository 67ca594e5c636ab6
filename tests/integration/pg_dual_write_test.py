"""Dual writes of PostgreSQL: what one server acknowledges the other has, too, in the same order; and where
it has not, the ledger names the tables before the client is told of the commit.
"""

import random
import threading
import time
import unittest

from commits import PREPARE, CommitLoad, wrong
from harness import SLOWNESS, wait_until
from pg_conn import PgConn, ServerError
from pg_messages import (COPY_DONE, FLUSH, SYNC, bind, copy_data, describe, execute, kind_of, parse,
                         query)
from pg_pair import PgPair

TIME_LIMIT_S = 330

ALL = "select id, n, note from t order by id"
ENDED = {"mode": "dual_write", "engine": "statement"}


def both(policy="old_authoritative", share=0.0):
    return {"type": "canary", "read_percentage": share, "write_mode": {**ENDED, "policy": policy}}


class Dual(PgPair):
    policy = "old_authoritative"
    tables = ("create table t (id int primary key, n int, note text)",
              "insert into t select i, 0, '' from generate_series(1, 20) i",
              "create table parent (id int primary key)",
              "create table child (id int primary key, parent int references parent deferrable "
              "initially deferred)",
              "create schema other", "create table other.u (v text)",
              "create table serials (id serial primary key, at timestamptz default now())")

    def setUp(self):
        super().setUp()
        self.migrate(both(self.policy))
        self.client = self.connect()

    @property
    def first(self):
        return self.old if self.policy == "old_authoritative" else self.new

    @property
    def second(self):
        return self.new if self.policy == "old_authoritative" else self.old

    def divergence(self):
        return self.sidecar.must("GET", "/migrations/m/divergence")

    def suspected(self):
        """Tables -> reasons."""
        return {entry["key"]: entry["reason"] for entry in self.divergence()["entries"]
                if "row" not in entry}

    def equal(self, sql=ALL):
        rows = self.old.sql(sql)
        self.assertEqual(rows, self.new.sql(sql))
        return rows

    def nothing_suspected(self):
        found = self.divergence()
        self.assertEqual((found["entries"], found["reasons"]), ([], []))

    def legs(self, name="answered", **labels):
        return self.metric(f"second_writes_{name}_total", **labels)

    def conserved(self):
        dropped = sum(self.legs("dropped", reason=reason) for reason in
                      ("side_down", "timeout", "connection_lost", "state_refused", "oversize", "closed"))
        self.assertEqual(self.legs("eligible"), self.legs() + dropped)

    def messages(self, client, messages):
        client.send(messages + SYNC)
        found = client.until("Z")
        for one in found:
            if kind_of(one) == "E":
                raise ServerError(one)
        return found


class Equal(Dual):
    def test_what_is_written_is_on_both(self):
        client = self.client
        self.assertEqual(client.ask("insert into t values (100, 1, 'a')")[-1][:1], b"Z")
        client.ask("update t set n = n + 5 where id < 4; delete from t where id = 7")
        client.ask("begin")
        client.ask("insert into t values (101, 1, 'b')")
        self.assertEqual(client.value("select note from t where id = 101"), "b")
        client.ask("savepoint s")
        with self.assertRaisesRegex(ServerError, "duplicate key"):
            client.rows("insert into t values (101, 2, 'c')")
        client.ask("rollback to s")
        client.ask("update t set note = 'd' where id = 101")
        client.ask("commit")
        self.messages(client, parse("w", "insert into t values ($1, 0, 'w')") +
                      bind("", "w", [b"200"]) + execute("") + bind("", "w", [b"201"]) + execute(""))
        for n in range(202, 206):
            self.messages(client, bind("", "w", [b"%d" % n]) + execute(""))
        self.assertIn(["101", "1", "d"], [list(row) for row in self.equal()])
        self.nothing_suspected()
        self.assertEqual(self.legs(), self.legs("eligible"))
        self.assertGreater(self.legs(), 5)

    def test_a_savepoint_that_only_one_side_has_leaves_the_other_out_and_is_noted(self):
        client = self.client
        client.ask("begin")
        client.ask("savepoint s")
        client.ask("insert into t values (110, 0, 'a')")
        with self.assertRaisesRegex(ServerError, "division by zero"):
            client.rows("savepoint s; select 1 / 0")
        client.ask("rollback to s")
        client.ask("commit")
        self.assertEqual(self.first.sql("select count(*) from t where id = 110"), [["1"]])
        self.assertEqual(self.suspected(), {"t": "outcome"})

    def test_what_rolls_back_is_on_none(self):
        client = self.client
        client.ask("begin; insert into t values (300, 0, '')")
        client.ask("rollback")
        with self.assertRaises(ServerError):
            client.rows("insert into t values (301, 0, ''); select 1 / 0")
        client.ask("begin")
        client.ask("insert into t values (302, 0, '')")
        with self.assertRaises(ServerError):
            client.rows("select 1 / 0")
        client.ask("commit")
        self.assertEqual(len(self.equal()), 20)
        self.nothing_suspected()

    def test_a_constraint_that_fails_at_commit_fails_on_both(self):
        for sql in ("insert into child values (1, 7)", "begin; insert into child values (1, 7)"):
            with self.subTest(sql):
                with self.assertRaisesRegex(ServerError, "violates foreign key"):
                    self.client.rows(sql)
                    self.client.rows("commit")
        found = self.connect()
        found.send(query("insert into child values (1, 7)"))
        self.assertEqual("".join(kind_of(one) for one in found.until("Z")), "EZ")
        self.assertEqual(self.equal("select * from child"), [])
        self.client.ask("begin; insert into child values (1, 7)")
        self.client.ask("insert into parent values (7)")
        self.client.ask("commit")
        self.assertEqual(len(self.equal("select * from child")), 1)
        self.nothing_suspected()

    def test_definitions_are_on_both(self):
        self.client.ask("create index concurrently on t (n)")
        self.client.ask("vacuum t")
        self.client.ask("begin; alter table t add column x int default 3")
        self.client.ask("commit")
        self.client.ask("update t set x = 4 where id = 1")
        self.client.ask("create table more (id int)")
        self.assertEqual(self.new.value("select count(*) from more"), "0")
        self.equal("select id, x from t order by id")
        self.nothing_suspected()

    def test_definitions_that_draw_are_on_both_and_suspected(self):
        self.client.ask("alter table t add column u uuid default gen_random_uuid()")
        self.client.ask("begin; alter table other.u alter column v type text using v || random()")
        self.client.ask("commit")
        self.client.ask("create table made as select random() as r")
        self.client.ask("alter table parent add column x int default 3")
        for server in (self.old, self.new):
            self.assertEqual(server.value("select count(u) from t"), "20")
            self.assertEqual(server.value("select count(r) from made"), "1")
        self.assertEqual(self.suspected(), {"t": "chance", "made": "chance",
                                            "other.u": "chance", "u": "chance"})

    def test_what_the_session_holds_counts_on_both(self):
        client = self.client
        client.ask("set search_path = other")
        client.ask("insert into u values ('one')")
        client.ask("begin; set local search_path = public; insert into parent values (50)")
        client.ask("commit")
        client.ask("begin; set search_path = public; insert into parent values (51)")
        client.ask("commit")
        client.ask("insert into parent values (52)")
        client.ask("prepare p as insert into parent values (53)")
        client.ask("execute p")
        self.assertEqual(len(self.equal("select * from parent order by id")), 4)
        self.assertEqual(len(self.equal("select * from other.u")), 1)
        self.nothing_suspected()

    def test_the_unnamed_statement_survives_our_own_queries(self):
        self.messages(self.client, parse("", "insert into t values ($1, 0, '')"))
        for n in range(500, 504):
            self.messages(self.client, bind("", "", [b"%d" % n]) + execute(""))
        self.assertEqual(len(self.equal()), 24)
        self.nothing_suspected()

    def test_a_pipeline_is_run_in_its_order(self):
        parts = [query(f"update t set n = n * 3 % 1000 + {n % 7} where id = {n % 3 + 1}") for n in range(60)]
        parts += [parse("", "update t set n = n % 1000 where id = $1") + bind("", "", [b"%d" % (n % 3 + 1)]) +
                  execute("") + SYNC for n in range(60)]
        self.client.send(b"".join(parts))
        for _ in range(120):
            self.assertNotIn("E", "".join(kind_of(one) for one in self.client.until("Z")))
        self.equal()
        self.nothing_suspected()

    def test_a_client_that_leaves_at_once_has_written(self):
        client = self.connect()
        client.send(query("insert into t values (600, 0, '')"))
        client.terminate()
        there = "select count(*) from t where id = 600"
        wait_until(lambda: self.second.value(there) == "1", 20, "it is there")
        self.equal()

    def test_a_client_that_leaves_in_the_midst_of_a_unit_leaves_no_locks(self):
        write = parse("", "update t set note = 'left' where id = 7") + bind("", "") + execute("") + FLUSH
        leave = {"close": lambda client: client.close(), "terminate": lambda client: client.terminate()}
        for how, ends in leave.items():
            for before in (None, "begin"):
                with self.subTest(how, before=before):
                    client = self.connect()
                    if before:
                        client.ask(before)
                    client.send(write)
                    client.until("C")
                    ends(client)
                    self.first.sql(f"set lock_timeout = '{int(20 * SLOWNESS)}s'",
                                   "update t set note = 'free' where id = 7")
                    self.second.sql("update t set note = 'free' where id = 7")
        wait_until(lambda: self.metric("sessions_open") == 1, 20, "their sessions end")
        self.equal()

    def test_a_client_that_leaves_with_a_block_open_leaves_no_locks(self):
        client = self.connect()
        client.send(query("begin; update t set note = 'left' where id = 7"))
        client.close()
        wait_until(lambda: self.metric("sessions_open") == 1, 20, "its session ends")
        self.equal()

    def test_what_may_end_differently_is_on_the_authority_alone_and_in_the_ledger(self):
        self.client.ask("insert into t values (700, (random() * 1000)::int, '')")
        self.assertEqual(self.suspected(), {"t": "chance"})
        self.client.ask("begin")
        self.client.send(query("copy parent from stdin"))
        self.client.until("G")
        self.client.send(copy_data(b"900\n901\n") + COPY_DONE)
        self.client.until("Z")
        self.client.ask("commit")
        self.assertEqual(self.suspected(), {"t": "chance", "parent": "chance"})
        self.assertEqual(self.second.value("select count(*) from parent"), "0")
        self.assertEqual(self.first.value("select count(*) from parent"), "2")

    def test_what_minds_a_transaction_block_is_answered_as_without_one(self):
        direct = self.enterContext(self.first.connect())
        for sql in ("lock table t in share mode", "declare c cursor for select 1",
                    "set local work_mem = '1MB'", "set constraints all deferred"):
            with self.subTest(sql):
                parts = b"".join(parse("", one) + bind("", "") + execute("")
                                 for one in ("delete from t where id = 99", sql)) + SYNC
                answers = []
                for client in (direct, self.client):
                    client.send(parts)
                    answers.append([kind_of(one) for one in client.until("Z")])
                self.assertEqual(answers[1], answers[0])
        self.equal()

    def test_what_code_has_prepared_unseen_is_noted(self):
        self.client.ask("prepare p as select 1")
        self.client.ask("begin")
        self.client.ask("do $$begin execute 'deallocate p'; execute 'prepare p as delete from t'; end$$")
        self.client.ask("rollback")
        self.nothing_suspected()
        self.client.ask("execute p")
        followed = self.second.value("select count(*) from t") == "0"
        self.assertTrue(followed or self.divergence()["needs_full_verification"])

    def test_flushed_messages_in_a_transaction_are_on_both(self):
        client = self.client
        client.ask("begin")
        client.send(parse("f", "insert into t values ($1, 0, 'f')") + describe("S", "f") + FLUSH)
        client.until("n")
        client.send(bind("", "f", [b"800"]) + execute("") + FLUSH)
        client.until("C")
        client.send(SYNC)
        client.until("Z")
        client.ask("commit")
        self.assertEqual(len(self.equal()), 21)
        self.nothing_suspected()


class EqualByNew(Equal):
    policy = "new_authoritative"


class Policies(Dual):
    def test_one_transaction_has_one_outcome(self):
        status, answer = self.sidecar.api("PATCH", "/migrations/m?force=true",
                                          {"strategy": both("best_effort")})[:2]
        self.assertEqual(status, 400, answer)


def load(port, seed, count, out):
    """Conflicting transactions on few rows, whose last values tell their order."""
    dice = random.Random(seed)
    try:
        with PgConn(port, "app", "app", limit_s=60 * SLOWNESS) as client:
            for n in range(count):
                rows = sorted(dice.sample(range(1, 5), 2))
                value = seed * 1000 + n
                form = dice.randrange(3)
                if form == 0:
                    client.ask(f"update t set n = {value}, note = note || 'x' where id = {rows[0]}")
                elif form == 1:
                    client.send(parse("", "update t set n = $1 where id = $2") +
                                bind("", "", [b"%d" % value, b"%d" % rows[0]]) + execute("") + SYNC)
                    client.until("Z")
                else:
                    client.ask("begin")
                    for row in rows:
                        client.ask(f"update t set n = n * 31 % 65521 + {value % 97} where id = {row}")
                    client.ask("commit" if dice.random() < 0.9 else "rollback")
    except BaseException as error:  # told by the test
        out.append(repr(error))


class LockStep(Dual):
    loops = 2
    tables = (*Dual.tables, *PREPARE)  # before the catalog is read
    settings = {"second_leg_timeout_ms": 30000}

    def run_load(self, clients, count):
        trouble = []
        threads = [threading.Thread(target=load, args=(self.port, seed, count, trouble))
                   for seed in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(trouble, [])

    def test_one_client_leaves_the_sides_equal(self):
        self.run_load(1, 200)
        self.equal()
        self.nothing_suspected()

    def test_conflicting_clients_leave_the_sides_equal(self):
        self.run_load(16, 40)
        self.equal()
        self.nothing_suspected()

    def test_without_lock_step_they_would_differ(self):
        """The negative control: two clients that write to both servers by hand, one after the other."""
        one, two = ([self.enterContext(server.connect()) for server in (self.old, self.new)]
                    for _ in range(2))
        one[0].ask("update t set n = 1 where id = 1")
        two[0].ask("update t set n = 2 where id = 1")
        two[1].ask("update t set n = 2 where id = 1")
        one[1].ask("update t set n = 1 where id = 1")
        self.assertNotEqual(self.old.sql(ALL), self.new.sql(ALL))

    def test_every_commit_is_on_both(self):
        with CommitLoad(self.port, sessions=8) as running:
            over = time.monotonic() + 5
            wait_until(lambda: time.monotonic() > over, 30, "time passes")
            result = running.stop()
        self.assertEqual(result.trouble, [], result)
        self.assertEqual(wrong(result, [self.old]), [], result)
        # The load asks for the port that it is answered from, among its writes: each side has another.
        self.assertEqual(set(self.suspected()), {"commits", "counters"})
        self.conserved()


class SickSecond(Dual):
    settings = {"second_leg_timeout_ms": int(1500 * SLOWNESS), "connect_timeout_ms": 1000}

    def writes(self, count=1):
        for n in range(count):
            self.client.ask(f"update t set n = n + 1, note = '{n}' where id = 1")

    def test_a_session_that_may_not_idle_does_not_while_the_second_side_is_waited_for(self):
        self.client.ask("set idle_in_transaction_session_timeout = '100ms'")
        holder = self.enterContext(self.second.connect())
        holder.ask("begin; update t set note = 'held' where id = 1")
        self.client.send(query("update t set n = 5 where id = 1"))
        idles = ("select count(*) from pg_stat_activity where state = 'idle in transaction' and "
                 "now() - state_change > interval '0.3s'")
        wait_until(lambda: self.first.value(idles) == "1", 20, "it idles there for longer than it may")
        holder.ask("rollback")
        self.assertEqual([kind_of(one) for one in self.client.until("Z")], ["C", "Z"])
        self.assertEqual(self.client.value("show idle_in_transaction_session_timeout"), "100ms")
        self.equal()

    def test_a_row_that_only_the_second_side_refuses(self):
        self.second.sql("insert into t values (100, 9, 'there')")
        self.client.ask("insert into t values (100, 1, 'a')")
        self.assertEqual(self.suspected(), {"t": "outcome"})
        self.client.ask("begin; insert into parent values (1)")
        self.client.ask("update t set note = 'x' where id = 100")
        self.client.ask("commit")
        self.assertEqual(self.suspected(), {"t": "replies"} | self.suspected())
        self.assertEqual(self.first.value("select note from t where id = 100"), "x")

    def test_a_commit_that_only_the_second_side_refuses(self):
        self.first.sql("insert into parent values (77)")
        self.client.ask("insert into child values (1, 77)")
        self.assertEqual(self.suspected(), {"child": "outcome"})
        self.client.ask("begin; insert into child values (2, 77)")
        self.client.ask("commit")
        self.assertEqual(self.second.value("select count(*) from child"), "0")

    def test_other_counts_are_noted(self):
        self.second.sql("delete from t where id = 3")
        self.client.ask("update t set n = 1 where id < 10")
        self.assertEqual(self.suspected(), {"t": "replies"})

    def test_a_dead_second_side_is_not_felt(self):
        self.writes()
        self.nothing_suspected()
        self.second.kill()
        self.writes(20)
        self.connect().ask("insert into parent values (5)")
        self.assertEqual(set(self.suspected()), {"t", "parent"})
        self.assertEqual(self.first.value("select n from t where id = 1"), "21")
        self.conserved()
        self.second.restart()
        def comes_back():
            before = self.legs()
            self.writes()
            return self.legs() > before
        wait_until(comes_back, 20, "it takes part again")

    def test_a_second_side_that_dies_in_a_transaction(self):
        self.client.ask("begin; insert into parent values (1)")
        self.second.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
        self.client.ask("update t set n = 5 where id = 2")
        self.client.ask("commit")
        self.assertEqual(set(self.suspected()), {"parent", "t"})
        self.assertEqual(self.first.value("select n from t where id = 2"), "5")

    def test_a_stalled_second_side_is_waited_for_once(self):
        self.writes()
        self.second.sigstop()
        try:
            began = time.monotonic()
            self.writes(10)
            self.assertLess(time.monotonic() - began, 8 * SLOWNESS)
            self.assertEqual(self.suspected(), {"t": "unsent"})
        finally:
            self.second.sigcont()
        self.assertEqual(self.first.value("select n from t where id = 1"), "11")

    def test_a_session_that_can_not_be_given_to_the_second_side(self):
        self.client.ask("create temp table mine (i int)")
        self.writes()
        self.assertIn("t", self.suspected())
        self.assertEqual(self.first.value("select n from t where id = 1"), "1")

    def test_a_transaction_that_had_begun_before(self):
        self.patch({"type": "canary", "read_percentage": 0.0,
                    "write_mode": {"mode": "cutover", "write_percentage": 0.0}})
        client = self.connect()
        client.ask("begin; insert into parent values (1)")
        self.patch(both(self.policy))
        client.ask("insert into t values (900, 0, '')")
        client.ask("commit")
        self.assertTrue(self.divergence()["needs_full_verification"])

    def test_reads_of_what_is_suspected_are_the_authoritys(self):
        self.patch(both(self.policy, 1.0))
        self.second.sql("update t set note = 'wrong'")
        self.assertEqual(self.client.value("select note from t where id = 9"), "wrong")
        self.client.ask("insert into t values (901, (random() * 10)::int, '')")
        self.assertEqual(self.client.value("select note from t where id = 9"), "")


class Ends(Dual):
    """Units that end a block and go on behind it."""
    tables = (*Dual.tables, *(f"create table e{n} (id int primary key)" for n in range(4)))

    def test_what_is_written_behind_the_end_of_a_block_is_on_both_or_suspected(self):
        def simple(how, table):
            return query(f"{how}; insert into {table} values (1)")

        def extended(how, table):
            return b"".join(parse("", sql) + bind("", "") + execute("")
                            for sql in (how, f"insert into {table} values (1)")) + SYNC

        forms = [(form, how) for form in (simple, extended) for how in ("commit", "rollback")]
        for n, (form, how) in enumerate(forms):
            with self.subTest(how, form=form.__name__):
                self.second.sql(f"insert into e{n} values (1)")  # refused there, if it is run there
                self.client.ask("begin; insert into parent values (1)")
                if how == "commit":
                    self.client.ask("select 1 / 0")
                self.client.send(form(how, f"e{n}"))
                self.assertNotIn("E", "".join(kind_of(one) for one in self.client.until("Z")))
                self.assertEqual(self.first.value(f"select count(*) from e{n}"), "1")
                self.assertEqual(self.suspected().get(f"e{n}"), "outcome")
        self.equal("select * from parent")


class ReadsBeside(Dual):
    """Reads are the second side's, as far as what they read is known to be there."""
    tables = (
        *Dual.tables,
        "create table log (what text)", "create table staging (x int)", "create table sums (k int, s bigint)",
        "insert into sums values (1, 0)", "create view seen as select * from staging",
        "create table part (a int, x float default random()) partition by range (a)",
        "create table part_low partition of part for values from (0) to (100)",
        "create table audited (a int)",
        "create function audits() returns trigger language plpgsql as "
        "$$begin insert into log values ('trigger'); return new; end$$",
        "create trigger audits after insert on audited for each row execute function audits()",
        "create procedure logs(said text) language sql as $$insert into log values (said)$$",
        "create function logged(said text) returns int language sql as "
        "$$insert into log values (said) returning 1$$",
        "create function counted() returns bigint language sql stable as $$select count(*) from staging$$",
        "create table counts (k int, n bigint default counted())", "create type whole as (a int)",
        "create function counted(whole) returns text language sql stable as "
        "$$select count(*)::text from staging$$",
        "create cast (whole as text) with function counted(whole)")

    def setUp(self):
        super().setUp()
        self.patch(both(self.policy, 1.0))
        self.comes_to(self.client, "new")

    def stages(self):
        """Rows that the authority alone has."""
        self.client.ask("insert into staging select (random() * 9)::int from generate_series(1, 3)")
        self.assertEqual(self.second.value("select count(*) from staging"), "0")

    def test_what_is_not_in_the_text_of_a_write_is_read_where_it_is(self):
        for sql in ("insert into audited values (1)", "call logs('call')", "select logged('function')",
                    "do $$begin insert into log values ('do'); end$$"):
            with self.subTest(sql):
                before = int(self.first.value("select count(*) from log"))
                self.client.ask(sql)
                self.assertEqual(self.client.value("select count(*) from log"), str(before + 1))

    def test_a_suspected_table_is_read_where_it_is_by_whatever_name(self):
        self.stages()
        for sql in ("select count(*) from staging", "select count(*) from public.staging",
                    "select count(*) from seen", "select counted()", "select row(1)::whole::text"):
            with self.subTest(sql):
                self.assertEqual(self.client.value(sql), "3")
        self.client.ask("insert into part (a) values (1)")
        self.assertEqual(self.client.value("select count(*) from part_low"), "1")
        self.assertEqual(self.side_of(self.client), "new")

    def test_a_read_only_block_begins_where_everything_is(self):
        self.client.ask("begin read only")
        self.assertEqual(self.side_of(self.client), "new")
        self.client.ask("commit")
        self.stages()
        self.client.ask("begin read only")
        self.assertEqual(self.client.value("select count(*) from staging"), "3")
        self.client.ask("commit")

    def test_what_is_made_from_what_is_suspected_is_suspected(self):
        self.stages()
        self.client.ask("update sums set s = (select sum(x) from staging)")
        self.assertEqual(self.suspected(), {"staging": "chance", "sums": "spread"})
        self.client.ask("begin")
        self.client.ask("insert into log select s::text from sums")
        self.client.ask("insert into parent values (1)")
        self.client.ask("commit")
        self.assertEqual(self.suspected(), {"staging": "chance", "sums": "spread", "log": "spread"})
        self.equal("select * from parent")

    def test_what_a_default_makes_from_what_is_suspected_is_suspected(self):
        self.stages()
        self.client.ask("insert into counts (k, n) values (1, 1)")
        self.assertEqual(self.suspected(), {"staging": "chance"})
        self.client.ask("insert into counts (k) values (2)")
        self.assertEqual(self.suspected(), {"staging": "chance", "counts": "spread"})
        self.client.ask("insert into log values (row(1)::whole::text)")
        self.assertEqual(self.suspected(), {"staging": "chance", "counts": "spread", "log": "spread"})
        self.assertEqual(self.client.value("select n from counts where k = 2"), "3")

    def test_what_a_server_alone_has_in_its_settings_is_not_written_twice(self):
        self.client.ask("insert into log values (current_setting('work_mem'))")
        self.nothing_suspected()
        self.client.ask("insert into log values (current_setting('port'))")
        self.assertEqual(self.suspected(), {"log": "chance"})
        self.assertEqual(self.client.value("select current_setting('port')"), str(self.first.port))
        self.assertEqual(self.client.value("select count(*) from log"), "2")

    def test_what_a_transaction_makes_from_its_own_doubts_is_suspected(self):
        self.client.ask("begin")
        self.client.send(query("copy staging from stdin"))
        self.client.until("G")
        self.client.send(copy_data(b"900\n901\n") + COPY_DONE)
        self.client.until("Z")
        self.client.ask("insert into sums select 2, sum(x) from staging")
        self.client.ask("commit")
        self.assertEqual(self.suspected(), {"staging": "chance", "sums": "spread"})
        self.client.ask("begin; insert into part (a) values (1)")
        self.client.ask("insert into log select a::text from part")
        self.client.ask("commit")
        self.assertEqual(self.suspected()["log"], "spread")

    def test_a_function_that_its_transaction_has_redefined_is_not_taken_for_what_it_was(self):
        self.in_one("create or replace function counted() returns bigint language sql volatile as "
                    "$$insert into log values ('counted') returning 1::bigint$$", "select counted()")
        self.assertTrue(self.divergence()["needs_full_verification"])

    def test_a_table_that_its_transaction_has_given_a_trigger_is_noted(self):
        self.in_one("create function draws() returns trigger language plpgsql as "
                    "$$begin new.note = random()::text; return new; end$$",
                    "create trigger draws before insert on t for each row execute function draws()",
                    "insert into t values (900, 0, '')")
        self.assertTrue(self.divergence()["needs_full_verification"])

    def test_a_table_that_another_session_has_just_given_a_default_is_noted(self):
        other = self.connect()
        other.ask("select 1")
        self.client.ask("alter table log add at float default random()")
        other.ask("insert into log (what) values ('x')")
        self.assertTrue(self.divergence()["needs_full_verification"])

    def test_what_definitions_have_not_touched_is_on_both(self):
        self.in_one("alter table t add extra int", "update t set extra = n", "create index on t (extra)",
                    "create or replace function fresh() returns int language sql as 'select 1'",
                    "insert into t values (900, 0, '', 1)", "insert into log values ('migrated')")
        self.nothing_suspected()
        self.equal("select id, n, note, extra from t order by id")

    def in_one(self, *statements):
        for statement in ("begin", *statements, "commit"):
            self.client.ask(statement)

    def test_a_suspected_table_that_gets_another_name_stays_suspected(self):
        self.stages()
        self.client.ask("begin")
        self.client.ask("alter table staging rename to former")
        self.client.ask("commit")
        self.assertTrue(self.divergence()["needs_full_verification"])
        self.assertEqual(self.client.value("select count(*) from former"), "3")

    def test_which_of_equal_rows_comes_first_is_not_written_twice(self):
        self.client.ask("update t set note = 'taken' where id = (select id from t order by n limit 1)")
        self.assertEqual(self.suspected(), {"t": "chance"})

    def test_a_moment_that_is_passed_is_not_written_twice(self):
        insert = parse("", "insert into serials (id, at) values ($1, $2)")
        for n, value in enumerate((b"2020-01-01", b"infinity")):
            self.messages(self.client, insert + bind("", "", [b"%d" % n, value]) + execute(""))
        self.nothing_suspected()
        self.messages(self.client, insert + bind("", "", [b"9", b"Now"]) + execute(""))
        self.assertEqual(self.suspected(), {"serials": "chance"})

    def test_every_transaction_is_counted_once(self):
        for sql in ("insert into t values (100, 0, '')",
                    "insert into t values (101, (random() * 9)::int, '')",
                    "insert into t values (100, 0, '')", "begin; insert into parent values (1)", "rollback"):
            self.client.ask(sql)
        self.conserved()
        self.assertEqual(self.legs(), 2)  # of the others the second side had no part


class Killed(Dual):
    tables = (*Dual.tables, *PREPARE)

    def test_what_was_acknowledged_is_there_and_the_migration_asks_for_verification(self):
        with CommitLoad(self.port, sessions=8) as running:
            over = time.monotonic() + 2
            wait_until(lambda: time.monotonic() > over, 30, "time passes")
            self.sidecar.kill9()
            self.sidecar.restart()
            over = time.monotonic() + 2
            wait_until(lambda: time.monotonic() > over, 30, "time passes")
            result = running.stop()
        self.assertEqual(wrong(result, [self.old]), [], result)
        found = self.divergence()
        self.assertTrue(found["needs_full_verification"], found)

    def test_a_clean_end_asks_for_nothing(self):
        self.client.ask("insert into t values (100, 1, 'a')")
        self.client.terminate()
        self.sidecar.terminate()
        self.sidecar.restart()
        self.nothing_suspected()


if __name__ == "__main__":
    unittest.main()
