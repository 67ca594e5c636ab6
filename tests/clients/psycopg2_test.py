"""psycopg2 in every mode: cursors, COPY, LISTEN, cancel, transactions and their errors, and batches."""

import io
import select
import unittest

import psycopg2
import psycopg2.extras
from psycopg2 import errors, extensions

from children import wait_until
from pg_clients import InPgMode, in_every_pg_mode


@in_every_pg_mode
class Psycopg2(InPgMode):
    def setUp(self):
        super().setUp()
        self.conn = self.connected()
        self.cursor = self.conn.cursor()
        self.cursor.execute("create table t (id int primary key, v text)")
        self.conn.commit()

    def connected(self):
        conn = psycopg2.connect(self.url, connect_timeout=10)
        self.addCleanup(conn.close)
        return conn

    def one(self, sql, *args):
        self.cursor.execute(sql, args)
        return self.cursor.fetchone()[0]

    def test_values_come_back_as_they_were(self):
        values = (1, "ä€𝄞'\"\\", None, 1.5, True, [1, None], b"\0\xff")
        self.cursor.execute("select %s, %s, %s, %s, %s, %s, %s", values)
        self.assertEqual((*self.cursor.fetchone()[:-1], bytes(self.one("select %s", b"\0\xff"))), values)

    def test_the_transaction_state_is_that_of_the_server(self):
        self.one("select 1")
        self.assertEqual(self.conn.info.transaction_status, extensions.TRANSACTION_STATUS_INTRANS)
        with self.assertRaises(errors.DivisionByZero):
            self.cursor.execute("select 1/0")
        with self.assertRaises(errors.InFailedSqlTransaction):
            self.cursor.execute("select 1")
        self.conn.rollback()
        self.cursor.execute("insert into t values (1, 'a')")
        with self.assertRaises(errors.UniqueViolation) as caught:
            self.cursor.execute("insert into t values (1, 'b')")
        self.assertEqual(caught.exception.diag.constraint_name, "t_pkey")
        self.conn.rollback()
        self.assertEqual(self.one("select count(*) from t"), 0)

    def test_a_named_cursor_reads_in_parts(self):
        with self.conn.cursor("parts") as cursor:
            cursor.itersize = 100
            cursor.execute("select generate_series(1, 1000)")
            self.assertEqual([row[0] for row in cursor], list(range(1, 1001)))
        with self.conn.cursor("held", withhold=True, scrollable=True) as cursor:
            cursor.execute("select generate_series(1, 10)")
            self.conn.commit()
            cursor.scroll(5)
            self.assertEqual(cursor.fetchone(), (6,))

    def test_copy_goes_both_ways(self):
        rows = "".join(f"{number}\trow\n" for number in range(10_000))
        self.cursor.copy_expert("copy t from stdin", io.StringIO(rows))
        out = io.StringIO()
        self.cursor.copy_expert("copy t to stdout", out)
        self.assertEqual(out.getvalue(), rows)
        with self.assertRaises(errors.InvalidTextRepresentation):
            self.cursor.copy_expert("copy t from stdin", io.StringIO("x\ty\n"))
        self.conn.rollback()

    def test_batches_are_written_whole(self):
        rows = [(number, f"row {number}") for number in range(500)]
        psycopg2.extras.execute_values(self.cursor, "insert into t values %s", rows, page_size=100)
        psycopg2.extras.execute_batch(self.cursor, "update t set v = v || %s where id = %s",
                                      [("!", number) for number, _ in rows])
        self.conn.commit()
        self.assertEqual(self.one("select count(*) from t where v like '%%!'"), 500)

    def test_a_notification_arrives_with_the_pid_of_its_sender(self):
        other = self.connected()
        other.autocommit = self.conn.autocommit = True
        self.cursor.execute("listen ch")
        other.cursor().execute("notify ch, 'hello'")

        def arrived():
            select.select([self.conn], [], [], 0.05)
            self.conn.poll()
            return self.conn.notifies
        wait_until(arrived, 10, "a notification")
        [told] = self.conn.notifies
        self.assertEqual(told.payload, "hello")
        if not self.flips:
            self.assertEqual(told.pid, other.info.backend_pid)

    def test_a_cancel_from_another_thread(self):
        with self.when_asleep(self.conn.cancel), self.assertRaises(errors.QueryCanceled):
            self.cursor.execute("select pg_sleep(60)")
        self.conn.rollback()
        self.assertEqual(self.one("select 1"), 1)

    def test_notices_and_settings(self):
        self.cursor.execute("drop table if exists nothing")
        self.assertIn("does not exist, skipping", self.conn.notices[-1])
        self.conn.rollback()
        self.conn.set_client_encoding("LATIN1")
        self.assertEqual(self.one("select 'é'"), "é")
        self.conn.rollback()
        self.conn.set_session(isolation_level="SERIALIZABLE", readonly=True)
        self.assertEqual(self.one("show transaction_isolation"), "serializable")


if __name__ == "__main__":
    unittest.main()
