"""PostgreSQL sessions at the end of the sidecar, of a port, and of an interlay's server; and sessions that
replicate, which pass through it.
"""

import os
import subprocess
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from children import SLOWNESS, spawn, temp_folder, wait_until
from pg_messages import copy_data, fields_of, kind_of, query, startup
from pg_served import MINUTE_S, PgConn, Served
from postgres import PostgresServer

DRAIN_MS = 20_000
WORDS = "terminating connection due to administrator command"
SLOT = 'CREATE_REPLICATION_SLOT "s" TEMPORARY LOGICAL pgoutput'
STREAM = "START_REPLICATION SLOT \"s\" LOGICAL 0/0 (proto_version '1', publication_names 'p')"
STREAMING = "select count(*) from pg_stat_replication where state = 'streaming'"
RECEIVEWAL = "/usr/lib/postgresql/15/bin/pg_receivewal"


class Drain(Served):
    config = {"limits": {"drain_ms": DRAIN_MS}}

    def setUp(self):
        self.start()

    def sigterm(self):
        self.sidecar.child.terminate()
        wait_until(self.refuses, 10, "no new clients are let in")

    def refuses(self):
        try:
            PgConn(self.port, limit_s=1).close()
            return False
        except OSError:
            return True

    def left_in_time(self, began):
        self.assertEqual(self.sidecar.child.wait(MINUTE_S * SLOWNESS), 0)
        self.assertLess(time.monotonic() - began, DRAIN_MS / 1000 * 0.8 * SLOWNESS)

    def test_who_is_idle_is_told_and_who_is_in_a_transaction_finishes_it(self):
        idle, within, failed, running, copying = (self.client() for _ in range(5))
        idle.rows("create table t (v text)")
        within.rows("begin; insert into t values ('within')")
        failed.rows("begin; select 1")
        failed.ask("select 1/0")
        running.send(query("select pg_sleep(0.5), 'answered'"))
        copying.send(query("copy t from stdin"))
        self.assertEqual(kind_of(copying.read_raw()), "G")
        began = time.monotonic()
        self.sigterm()
        self.assertEqual(self.told(idle, "57P01"), WORDS)
        within.rows("insert into t values ('and more')")
        self.assertEqual([kind_of(raw) for raw in within.ask("commit")], ["C", "Z"])
        self.assertEqual(self.told(within, "57P01"), WORDS)
        self.assertEqual([kind_of(raw) for raw in failed.ask("rollback")], ["C", "Z"])
        self.assertEqual(self.told(failed, "57P01"), WORDS)
        self.assertEqual([kind_of(raw) for raw in running.until("Z")], list("TDCZ"))
        self.assertEqual(self.told(running, "57P01"), WORDS)
        copying.send(copy_data(b"copied\n") + b"c\0\0\0\4")
        copying.until("Z")
        self.assertEqual(self.told(copying, "57P01"), WORDS)
        self.left_in_time(began)
        self.assertEqual(self.old.value("select count(*) from t"), "3")
        self.assertEqual(self.old.sessions(), 0)

    def test_who_has_not_logged_in_is_told_too(self):
        silent, half = self.bare(), self.bare()
        half.send(startup(user="app", database="app")[:20])
        began = time.monotonic()
        self.sigterm()
        for client in (silent, half):
            self.assertEqual(self.told(client, "57P03"), "the database system is shutting down")
        self.left_in_time(began)

    def test_an_idle_sidecar_leaves_at_once(self):
        clients = [self.client() for _ in range(20)]
        began = time.monotonic()
        self.assertEqual(self.sidecar.terminate(), 0)
        self.assertLess(time.monotonic() - began, 5 * SLOWNESS)
        for client in clients:
            self.told(client, "57P01")

    def test_a_result_under_way_arrives_whole(self):
        client = self.client(receive_buffer=16 << 10)
        client.send(query("select repeat('x', 1000) from generate_series(1, 20000)"))
        client.read_raw()
        began = time.monotonic()
        self.sigterm()
        self.assertEqual([kind_of(raw) for raw in client.until("Z")], [*"D" * 20000, "C", "Z"])
        self.told(client, "57P01")
        self.left_in_time(began)

    def test_a_port_that_is_stopped_and_started(self):
        within = self.client()
        within.rows("begin; select 1")
        idle = self.client()
        began = time.monotonic()
        with ThreadPoolExecutor() as pool:
            closing = pool.submit(self.sidecar.api, "POST", "/interlays/postgres/stop")
            self.assertEqual(self.told(idle, "57P01"), WORDS)
            within.rows("commit")
            self.told(within, "57P01")
            self.assertEqual(closing.result()[0], 200)
        self.assertLess(time.monotonic() - began, DRAIN_MS / 1000 * 0.8 * SLOWNESS)
        self.sidecar.must("POST", "/interlays/postgres/start")
        self.served()


class Limit(Served):
    config = {"limits": {"drain_ms": 500}}

    def test_who_does_not_come_to_an_end_is_not_waited_for(self):
        self.start()
        within, running = self.client(), self.client()
        within.rows("begin; select 1")
        running.send(query("select pg_sleep(600)"))
        self.assertEqual(self.sidecar.terminate(), 0)
        within.read_eof()
        running.read_eof()
        wait_until(lambda: self.old.value("select count(*) from pg_stat_activity where usename = 'app' and"
                                          " state like 'idle%'") == "0", 20, "its transaction has ended")


class Moved(Served):
    """An endpoint that is given another address: its sessions go at their next safe point."""

    def test_idle_sessions_are_told_and_the_others_finish(self):
        self.start()
        other = self.enterContext(PostgresServer())
        idle, within = self.client(), self.client()
        within.rows("create table t (v text)")
        within.rows("begin; insert into t values ('x')")
        self.sidecar.must("PATCH", "/endpoints/old", {"config": {
            "host": "127.0.0.1", "port": other.port, "database": "app"}})
        self.assertIn("moved to another server", self.told(idle, "57P01"))
        self.assertEqual([kind_of(raw) for raw in within.ask("commit")], ["C", "Z"])
        self.assertIn("moved to another server", self.told(within, "57P01"))
        self.assertEqual(self.metric("sessions_ended_total"), 2)
        self.assertEqual(self.old.value("select count(*) from t"), "1")
        self.assertEqual(self.client().value("show port"), str(other.port))


class Replication(Served):
    def setUp(self):
        self.start()

    def test_pg_receivewal_receives_what_the_server_writes(self):
        folder = temp_folder("wal")
        receiver = spawn([RECEIVEWAL, "-h", "127.0.0.1", "-p", str(self.port), "-U", "replicator", "-w",
                          "-D", folder, "--no-loop", "--no-sync"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: self.old.value(STREAMING) == "1", 20, "it streams")
        first = self.old.value("select pg_walfile_name(pg_current_wal_lsn())")
        self.old.sql("set role app; create table t as select repeat('x', 1000) from generate_series(1, 3000)",
                     "reset role; select pg_switch_wal()")
        path = os.path.join(folder, first)
        try:
            wait_until(lambda: os.path.exists(path) or receiver.poll() is not None, 30, "a whole segment")
        except TimeoutError:
            self.fail(f"no {first} in {os.listdir(folder)}: "
                      f"{self.old.sql('select * from pg_stat_replication')}")
        with open(path, "rb") as got, open(os.path.join(self.old.data, "pg_wal", first), "rb") as written:
            self.assertEqual(got.read(), written.read())
        receiver.terminate()
        receiver.wait(MINUTE_S)
        wait_until(lambda: self.metric("sessions_open") == 0, 20, "it has gone")

    def test_a_logical_stream_that_is_answered(self):
        """CopyBoth: the server sends changes, the client says how far it is, and each may end it."""
        self.old.sql("set role app; create table t (v text)", "reset role; create publication p for table t")
        client = self.enterContext(PgConn(self.port, "replicator", "app", limit_s=MINUTE_S * SLOWNESS,
                                          replication="database"))
        client.rows(SLOT)
        client.send(query(STREAM))
        self.assertEqual(kind_of(client.read_raw()), "W")
        for number in range(5):
            self.old.sql(f"insert into t values ('change {number}')")
            while f"change {number}".encode() not in (raw := client.read_raw()):
                self.assertEqual(kind_of(raw), "d")
            client.send(copy_data(b"r" + bytes(8 * 4) + b"\0"))
        client.send(b"c\0\0\0\4")
        messages = client.until("Z")
        self.assertEqual([kind_of(raw) for raw in messages if kind_of(raw) != "d"], list("cCCZ"))
        self.assertEqual(client.value("select 5"), "5")

    def test_a_server_that_is_shut_down_ends_a_stream_in_its_own_words(self):
        client = self.enterContext(PgConn(self.port, "replicator", "app", limit_s=MINUTE_S * SLOWNESS,
                                          replication="database"))
        client.rows(SLOT)
        client.send(query(STREAM))
        self.assertEqual(kind_of(client.read_raw()), "W")
        self.old.sql(f"select pg_terminate_backend({client.pid})")
        self.assertEqual(fields_of(client.read_eof()[-1])["C"], "57P01")


if __name__ == "__main__":
    unittest.main()
