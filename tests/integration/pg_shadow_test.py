"""Shadow traffic of PostgreSQL: old answers, new gets a copy of every transaction, and nothing that new does
can be felt. What the two answer is compared.
"""

import contextlib
import os
import subprocess
import threading
import time
import unittest

from children import spawn, temp_folder
from harness import SLOWNESS, wait_until
from pg_messages import (COPY_DONE, FLUSH, SYNC, bind, close, copy_data, describe, execute, kind_of, parse,
                         query, row_of)
from pg_pair import PgPair
from postgres_programs import programs

TIME_LIMIT_S = 400
SHADOW = {"type": "shadow_traffic"}
READS_ONLY = {"type": "shadow_traffic", "shadow_writes": False}
REASONS = ("side_down", "overflow", "timeout", "connection_lost", "oversize", "closed", "state_refused")
TABLES = ("create table t (id int primary key, n int, v text)",
          "insert into t select i, 0, 'v' || i from generate_series(1, 100) i", "create sequence t_s")
# What pgbench runs by itself, once the copies have a session of their own: what comes before is not copied.
TPCB = r"""
\if :first
select 1;
\sleep 300 ms
\set first 0
\endif
\set aid random(1, 100000)
\set tid random(1, 10)
\set delta random(-5000, 5000)
begin;
update pgbench_accounts set abalance = abalance + :delta where aid = :aid;
select abalance from pgbench_accounts where aid = :aid;
update pgbench_tellers set tbalance = tbalance + :delta where tid = :tid;
update pgbench_branches set bbalance = bbalance + :delta where bid = 1;
insert into pgbench_history (tid, bid, aid, delta, mtime)
  values (:tid, 1, :aid, :delta, current_timestamp);
end;
"""
AT_ONCE_S = 0.5 * SLOWNESS


class Shadowed(PgPair):
    tables = TABLES
    strategy = SHADOW

    def setUp(self):
        super().setUp()
        self.migrate(self.strategy)

    def count(self, name, **labels):
        return int(self.metric(f"shadow_{name}_total", **labels) or 0)

    def dropped(self):
        found = {reason: self.count("dropped", reason=reason) for reason in REASONS}
        return {reason: count for reason, count in found.items() if count}

    def at_rest(self):
        """Every transaction that was to be copied is accounted for. Returns how many were copied."""
        def settled():
            return self.count("eligible") == self.count("copied") + sum(self.dropped().values())
        wait_until(settled, 20, "copies are accounted for")
        return self.count("copied")

    def in_step(self, client):
        """What this client does from now on is copied."""
        def copied():
            before = self.at_rest()
            client.rows("select 1")
            return self.at_rest() > before
        wait_until(copied, 20, "its transactions are copied")
        return client

    def shadowed(self, **more):
        return self.in_step(self.connect(**more))

    def equal(self, table="t"):
        content = f"select md5(string_agg(x::text, '|' order by x::text)) from {table} x"
        return self.old.value(content) == self.new.value(content)

    def classes(self):
        names = ("same", "tolerable", "race", "chance", "real", "unsure")
        found = {name: int(self.metric("mismatches_total", sort="copy", **{"class": name}) or 0)
                 for name in names}
        return {name: count for name, count in found.items() if count}


@unittest.skipIf(SLOWNESS > 1, "a sanitizer keeps what was freed")
class Prepared(Shadowed):
    def test_what_copies_were_told_is_not_kept(self):
        client = self.shadowed()

        def rounds(names):
            for name in names:
                client.send(parse(f"s{name}", "select 1") + close("S", f"s{name}") + SYNC)
                client.until("Z")
                if name % 500 == 0:
                    self.at_rest()  # copies that wait take memory, too
            self.at_rest()
        rounds(range(2_000))
        before = self.sidecar.rss()
        rounds(range(2_000, 22_000))
        # 270 bytes a statement would be 5.4 MB; what allocators keep is up to 1 MB.
        self.assertLess(self.sidecar.rss() - before, 3 << 20)


class Copies(Shadowed):
    def test_every_transaction_arrives_and_old_answers(self):
        client = self.shadowed()
        self.assertEqual(self.side_of(client), "old")
        client.ask("insert into t values (200, 1, 'simple')")
        client.ask("begin")
        client.ask("update t set n = n + 1 where id < 50")
        client.ask("savepoint s")
        client.ask("update t set n = 100")
        client.ask("rollback to s")
        client.ask("commit")
        client.ask("begin; delete from t; rollback")
        client.ask("begin; delete from t where id = 3; select 1/0; delete from t; commit")
        client.ask("rollback")
        client.send(parse("ins", "insert into t values ($1, $2, $3)") + SYNC)
        client.until("Z")
        for n in range(300, 320):
            client.send(bind("", "ins", (str(n), "2", "prepared")) + execute("") + SYNC)
        for n in range(300, 320):
            client.until("Z")
        client.send(parse("", "insert into t values (400, 4, 'unnamed') returning v") + bind("", "") +
                    describe("P", "") + execute("") + FLUSH)
        client.until("C")
        client.send(close("S", "ins") + SYNC)
        client.until("Z")
        client.send(query("copy t from stdin"))
        client.until("G")
        for n in range(500, 520):
            client.send(copy_data(f"{n}\t5\tcopied\n".encode()))
        client.send(COPY_DONE)
        client.until("Z")
        client.send(b"".join(query(f"insert into t values ({n}, 6, 'piped')") for n in range(600, 650)))
        for n in range(600, 650):
            client.until("Z")
        self.at_rest()
        self.assertEqual(self.old.value("select count(*) from t where id >= 200"), "92")
        self.assertTrue(self.equal())
        self.assertEqual(self.count("mismatched"), 1, "only `select side from here`")
        self.assertEqual(self.count("dropped", reason="timeout"), 0)

    def test_clients_on_tables_of_their_own(self):
        clients = []
        for number in range(8):
            self.old.sql(f"set role app; create table own{number} (id serial primary key, n int)")
            self.new.sql(f"set role app; create table own{number} (id serial primary key, n int)")
            clients.append(self.shadowed())
        def work(client, number):
            for n in range(60):
                client.ask("begin" if n % 2 else "select 1")
                client.ask(f"insert into own{number} (n) select {n} from generate_series(1, {n % 5})")
                client.ask(f"update own{number} set n = n + 1 where id % 3 = {n % 3}")
                client.ask("rollback" if n % 6 == 1 else "commit")
        threads = [threading.Thread(target=work, args=(client, n)) for n, client in enumerate(clients)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        self.at_rest()
        for number in range(8):
            self.assertTrue(self.equal(f"own{number}"), number)
        self.assertEqual((self.classes(), self.count("mismatched")), ({}, 0))

    def test_what_a_session_holds_is_there_too(self):
        client = self.connect()  # new is not entered yet
        client.ask("set datestyle = 'German'; prepare p as insert into t values ($1, 1, 'p')")
        client.send(parse("s", "select '2000-01-02'::date::text, $1::int") + SYNC)
        client.until("Z")
        self.in_step(client)
        before = self.count("copied")
        client.ask("execute p(700)")
        client.send(bind("", "s", ("7",)) + execute("") + SYNC)
        self.assertEqual([row_of(raw) for raw in client.until("Z") if kind_of(raw) == "D"],
                         [[b"02.01.2000", b"7"]])
        client.ask("set datestyle = 'ISO'")
        client.ask("select '2000-01-02'::date::text")
        self.assertEqual(self.at_rest(), before + 4)
        self.assertEqual((self.equal(), self.count("mismatched")), (True, 0))

    def test_a_session_that_was_there_before(self):
        self.sidecar.must("POST", "/migrations/m/rollback")
        client = self.connect()
        client.ask("set search_path = pg_catalog, public; set app.tenant = 'seven'")
        client.send(parse("early", "insert into t values ($1, 1, current_setting('app.tenant'))") + SYNC)
        client.until("Z")
        self.sidecar.must("POST", "/migrations/m/migrate?force=true")
        self.in_step(client)
        client.send(bind("", "early", ("800",)) + execute("") + SYNC)
        client.until("Z")
        self.at_rest()
        self.assertEqual(self.new.value("select v from t where id = 800"), "seven")
        self.assertTrue(self.equal())

    def test_a_session_that_is_tied_to_old_is_left_alone_until_it_lets_go(self):
        client = self.shadowed()
        client.ask("select pg_backend_pid()")  # of one server: compared by its shape
        client.ask("begin; listen x; commit")
        client.ask("notify x")
        self.at_rest()
        self.assertEqual(self.count("mismatched"), 0)
        self.new.sql("notify x")
        self.assertEqual([kind_of(raw) for raw in client.ask("select 2")].count("A"), 0)

    def test_the_last_transaction_of_a_client_that_goes_arrives(self):
        for number in range(20):
            client = self.shadowed()
            client.ask(f"insert into t values ({900 + number}, 0, 'last')")
            client.terminate()
        self.at_rest()
        self.assertTrue(self.equal())

    def test_what_a_client_cancels_is_not_done_on_new(self):
        client = self.shadowed()
        client.send(query("update t set n = 1 where id = 4 and pg_sleep(30) is not null"))
        sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
        for server in (self.old, self.new):
            wait_until(lambda one=server: one.value(sleeping) == "1", 10, "it sleeps")
        client.cancel()
        self.assertIn("E", [kind_of(raw) for raw in client.until("Z")])
        wait_until(lambda: self.new.value(sleeping) == "0", 10, "new has left it, too")
        self.at_rest()
        self.assertEqual((self.count("mismatched"), self.dropped().get("closed")), (0, 1))
        self.in_step(client)
        self.assertTrue(self.equal())

    def test_pgbench_finds_no_difference(self):
        def pgbench(*arguments):
            child = spawn([f"{programs(15)}/pgbench", "-h", "127.0.0.1", "-U", "app", "-n", *arguments,
                           "app"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            said, _ = child.communicate(timeout=120)
            self.assertEqual(child.returncode, 0, said)
        def begin_alike():
            for server in (self.old, self.new):
                pgbench("-p", str(server.port), "-i", "-I", "dtGp", "-s", "1", "-q")
        begin_alike()
        port = ["-p", str(self.port)]
        copied = 0
        for _ in range(5):  # a new side that is late on a busy machine is left alone for a while
            pgbench(*port, "-S", "-M", "prepared", "-c", "4", "-t", "500")
            pgbench(*port, "-S", "-M", "extended", "-c", "2", "-t", "200")
            copied = self.at_rest()
            if copied > 1500:
                break
        self.assertGreater(copied, 1500)
        self.assertEqual((self.classes(), self.count("mismatched")), ({}, 0))
        script = os.path.join(temp_folder("pgbench"), "tpcb.sql")
        with open(script, "w", encoding="utf-8") as file:
            file.write(TPCB)
        for _ in range(5):  # likewise, and a row whose write new has missed differs from there on
            begin_alike()
            before = self.classes(), self.count("mismatched")
            pgbench(*port, "-M", "simple", "-c", "1", "-t", "300", "-f", script, "-D", "first=1")
            self.at_rest()
            written = self.new.value("select count(*) from pgbench_history")
            if written == "300":
                break
        self.assertEqual(written, "300")
        self.assertEqual((self.classes(), self.count("mismatched")), before)


class Compared(Shadowed):
    config = {"comparison": {"compare_pause_ms": 20, "redact_values": False}}

    def test_a_row_that_differs_is_found_confirmed_and_shown(self):
        self.new.sql("update t set v = 'other' where id = 7")
        client = self.shadowed(datestyle="German")
        client.rows("select v, date '2000-01-02' from t where id = 7")
        client.send(parse("", "select id, v from t where id = $1::int") + bind("", "", ("7",)) + execute("") +
                    SYNC)
        client.until("Z")
        client.rows("select v from t where id = 8")
        self.at_rest()
        wait_until(lambda: self.classes().get("real") == 2, 20, "both are confirmed")
        self.assertEqual(self.classes(), {"real": 2})
        samples = self.sidecar.must("GET", "/migrations/m/divergence")["mismatches"]
        self.assertEqual({(one["keys"][0], one["sort"]) for one in samples}, {("t", "copy")})
        self.assertTrue(any("02.01.2000" in str(one) for one in samples), samples)
        self.assertTrue(all("other" in str(one) for one in samples), samples)

    def test_with_settings_of_its_own_it_is_confirmed_once_they_are_known(self):
        self.new.sql("update t set v = 'other' where id = 7")
        client = self.shadowed()
        client.ask("set datestyle = 'German'")
        def confirmed():
            client.rows("select v from t where id = 7")
            return self.classes().get("real", 0) > 0
        wait_until(confirmed, 20, "it is confirmed")

    def test_writes_that_differ_are_unsure(self):
        self.new.sql("delete from t where id = 7")
        client = self.shadowed()
        client.ask("update t set n = 1 where id = 7")
        wait_until(lambda: self.classes() == {"unsure": 1}, 20, "it is judged")

    def test_what_fails_on_new_only_is_an_error_of_the_copy(self):
        self.new.sql("drop table t")
        client = self.shadowed()
        self.assertEqual(client.value("select count(*) from t"), "100")
        client.send(parse("s", "select 1 from t") + bind("", "s") + execute("") + SYNC)
        client.until("Z")
        self.at_rest()
        self.assertEqual(self.count("errors"), 2)

    def test_what_hangs_on_clocks_and_chance_is_no_difference(self):
        client = self.shadowed()
        for sql in ("select now(), random()", "select txid_current()", "select nextval('t_s')",
                    "begin; select clock_timestamp(); commit"):
            client.ask(sql)
        self.at_rest()
        self.assertEqual((self.count("mismatched"), self.classes()), (0, {}))


class Asked(Shadowed):
    """What old is asked about a session is cancelled, while the client's next request waits behind it."""

    WAITS = "select pid from pg_stat_activity where wait_event_type = 'Lock'"

    def test_the_client_gets_its_rows_and_nothing_is_asked_in_its_transaction(self):
        client = self.connect()
        client.ask("set work_mem = '7MB'")
        self.in_step(client)  # it was asked once: what is asked about is in that backend's caches
        holder = self.enterContext(self.old.connect(user="postgres"))
        holder.ask("begin; lock table pg_catalog.pg_cursors in access exclusive mode")
        self.new.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
        sent = []

        def is_asked():
            sent.append(client.send(query(f"set work_mem = '{8 + len(sent)}MB'")))
            with contextlib.suppress(TimeoutError):  # it is asked who is silent for a moment
                wait_until(lambda: self.old.sql(self.WAITS) != [], 0.2, "it is asked")
                return True
            return False
        wait_until(is_asked, 10, "it is asked")
        client.send(query("begin; select generate_series(1, 5); select current_setting('statement_timeout')"))
        self.old.sql(f"select pg_cancel_backend({self.old.value(self.WAITS)})")
        rows = []
        for _ in range(len(sent) + 1):
            rows += [row_of(one)[0] for one in client.until("Z") if kind_of(one) == "D"]
        self.assertEqual(rows, [b"1", b"2", b"3", b"4", b"5", b"0"])
        self.assertEqual(client.rows("select current_setting('statement_timeout')"), [["0"]])
        client.ask("commit")
        holder.ask("rollback")
        self.in_step(client)


class ReadsOnly(Shadowed):
    strategy = READS_ONLY

    def test_only_what_writes_nothing_is_copied(self):
        client = self.shadowed()
        before = self.count("eligible")
        for sql in ("insert into t values (200, 1, 'x')", "update t set n = 5", "create table more (id int)",
                    "begin; update t set n = 7; commit", "begin", "select 1", "update t set n = 8", "commit"):
            client.ask(sql)
        self.assertEqual(self.count("eligible"), before)
        client.ask("set work_mem = '9MB'")
        client.ask("begin read only")
        client.rows("select 1")
        client.ask("commit")
        client.rows("select count(*) from here")
        self.at_rest()
        self.assertEqual(self.count("eligible"), before + 3)
        self.assertEqual(self.new.value("select sum(n) + count(*) from t"), "100")

    def test_a_transaction_that_is_made_to_write_is_not_copied(self):
        client = self.connect()
        ways = ("set transaction read write", "set transaction_read_only = off", "begin read write",
                "reset transaction_read_only", "set transaction read write; select 1", "commit; begin",
                "set local transaction_read_only to off; insert into t values (400, 0, 'beside')")
        for n, sql in enumerate(ways, 300):
            with self.subTest(sql):
                self.in_step(client)
                client.ask("begin read only")
                client.ask(sql)
                client.ask(f"insert into t values ({n}, 0, 'written')")
                client.ask("commit")
                self.at_rest()
        self.assertEqual(self.old.value("select count(*) from t"), str(100 + len(ways) + 1))
        self.assertEqual(self.new.value("select count(*) from t"), "100")
        self.assertGreaterEqual(self.dropped()["state_refused"], len(ways))

    def test_what_comes_before_its_block_is_known_to_be_open_is_not_copied_when_it_writes(self):
        client = self.shadowed()
        for sql in ("commit; insert into t values (300, 0, '')", "end; insert into t values (301, 0, '')"):
            with self.subTest(sql):
                self.in_step(client)
                client.send(query("begin read only") + query(sql))
                client.until("Z")
                client.until("Z")
        self.in_step(client)
        client.send(parse("", "select 1") + bind("", "") + execute("") + FLUSH)
        client.until("C")
        client.send(parse("", "insert into t values (302, 0, '')") + bind("", "") + execute("") + SYNC)
        client.until("Z")
        self.at_rest()
        self.assertEqual(self.old.value("select count(*) from t"), "103")
        self.assertEqual(self.new.value("select count(*) from t"), "100")

    def test_it_is_shown_and_refused_where_it_means_nothing(self):
        shown = self.sidecar.must("GET", "/migrations/m")["strategy"]
        self.assertEqual(shown, READS_ONLY)

    def test_a_sample_is_of_sessions(self):
        self.patch({"type": "shadow_traffic", "shadow_writes": True, "sample_percentage": 0.0})
        client = self.connect()
        for _ in range(20):
            client.rows("select 1")
        self.assertEqual(self.at_rest(), 0)
        self.patch({"sample_percentage": 1.0})
        self.in_step(client)


class SickNew(Shadowed):
    """Whatever becomes of new: clients get what old says, and at once."""

    relayed = True
    settings = {"second_leg_timeout_ms": 300, "second_bytes_max": 1 << 20, "connect_timeout_ms": 500}

    def work(self, client, first, count=40):
        """Answers are right and come at once. Returns the slowest."""
        slowest = 0.0
        for n in range(first, first + count):
            began = time.monotonic()
            client.ask("begin")
            client.ask(f"insert into t values ({n}, {n}, '{'x' * 1000}')")
            self.assertEqual(client.value(f"select n from t where id = {n}"), str(n))
            client.ask("commit")
            slowest = max(slowest, time.monotonic() - began)
        self.assertLess(slowest, AT_ONCE_S)

    def falls_ill(self, mode):
        clients = [self.shadowed() for _ in range(3)]
        self.relay.become(mode)
        over = time.monotonic() + 2.0
        first = 1000
        while time.monotonic() < over:
            for client in clients:
                self.work(client, first, 5)
                first += 5
        self.work(self.connect(), first)
        self.at_rest()
        self.assertEqual(self.old.value("select count(*) from t"), str(first + 40 - 1000 + 100))
        self.assertTrue(self.sidecar.alive())
        return clients

    def recovers(self, client):
        self.relay.become("healthy")
        self.in_step(client)

    def test_silent(self):
        client = self.falls_ill("silent")[0]
        self.assertGreater(self.count("dropped", reason="timeout"), 0)
        self.recovers(client)

    def test_deaf(self):
        self.recovers(self.falls_ill("deaf")[0])

    def test_slow(self):
        clients = self.falls_ill("delay 200")
        self.recovers(clients[0])

    def test_garbling(self):
        self.recovers(self.falls_ill("garble")[0])

    def test_closing(self):
        self.recovers(self.falls_ill("close")[0])

    def test_half_an_answer(self):
        self.recovers(self.falls_ill("half")[0])

    def test_nobody_there(self):
        clients = [self.shadowed() for _ in range(3)]
        self.relay.refuse()
        for number, client in enumerate(clients):
            self.work(client, 1000 + 100 * number)
        self.work(self.connect(), 2000)
        self.at_rest()
        self.assertGreater(self.count("dropped", reason="side_down"), 0)
        self.relay.accept()
        self.recovers(clients[0])

    def test_a_login_that_is_refused(self):
        self.new.sql("alter role app nologin")
        client = self.connect()
        def refused():
            client.rows("select 1")
            return self.count("dropped", reason="state_refused") > 0
        wait_until(refused, 10, "new has said that it lets nobody in")
        self.work(client, 1000)
        self.at_rest()
        self.assertEqual(self.count("copied"), 0)
        self.new.sql("alter role app login")
        self.in_step(client)

    def test_more_bytes_than_are_kept_are_dropped_by_whole_transactions(self):
        client = self.shadowed()
        self.relay.become("deaf")
        client.send(query("copy t from stdin"))
        client.until("G")
        row = "\t0\t" + "x" * 10_000 + "\n"
        began = time.monotonic()
        for n in range(1000, 2000):
            client.send(copy_data(f"{n}{row}".encode()))
        client.send(COPY_DONE)
        client.until("Z")
        self.assertLess(time.monotonic() - began, 10 * AT_ONCE_S)
        self.at_rest()
        self.assertEqual(self.old.value("select count(*) from t"), "1100")
        self.assertEqual(self.count("dropped", reason="overflow"), 1, self.dropped())
        self.recovers(client)
        self.assertEqual(self.new.value("select count(*) from t"), "100")

    def test_a_transaction_that_waits_for_a_lock_on_new_is_dropped_and_rolled_back(self):
        client = self.shadowed()
        with self.new.connect() as other:
            other.ask("begin; update t set n = 9 where id = 5")
            began = time.monotonic()
            client.ask("begin; update t set n = 1 where id = 4; update t set n = 1 where id = 5; commit")
            self.assertLess(time.monotonic() - began, AT_ONCE_S)
            self.at_rest()
            self.assertEqual(self.dropped().get("timeout"), 1, self.dropped())
            wait_until(lambda: self.new.value(
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock'") == "0", 10,
                "nobody waits for it on new any more")
        self.assertEqual(self.new.value("select n from t where id = 4"), "0")

    def test_errors_of_new_are_nobodys(self):
        self.new.sql("drop table t")
        self.work(self.shadowed(), 1000)
        self.at_rest()
        self.assertGreater(self.count("errors"), 30)


class Gone(Shadowed):
    def test_new_dies_and_returns(self):
        client = self.shadowed()
        self.new.kill()
        for n in range(50):
            client.ask(f"insert into t values ({1000 + n}, 0, 'x')")
        self.at_rest()
        self.new.restart()
        self.in_step(client)
        self.assertEqual(self.old.value("select count(*) from t"), "150")

    def test_without_the_strategy_nothing_is_copied_any_more(self):
        client = self.shadowed()
        client.ask("begin; insert into t values (1000, 0, 'x')")
        self.sidecar.must("POST", "/migrations/m/rollback")
        client.ask("commit")
        client.ask("insert into t values (1001, 0, 'x')")
        self.at_rest()
        self.assertEqual((self.old.value("select count(*) from t"), self.new.value("select count(*) from t")),
                         ("102", "100"))


if __name__ == "__main__":
    unittest.main()
