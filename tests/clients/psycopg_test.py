"""psycopg 3 in every mode: pipelines, prepared statements, binary, COPY, LISTEN, cancel, transactions."""

import unittest

import psycopg
from psycopg import errors

from pg_clients import InPgMode, in_every_pg_mode


@in_every_pg_mode
class Psycopg3(InPgMode):
    def setUp(self):
        super().setUp()
        self.conn = self.connected()
        self.conn.execute("create table t (id int primary key, v text)")

    def connected(self):
        conn = psycopg.connect(self.url, autocommit=True, connect_timeout=10)
        self.addCleanup(conn.close)
        return conn

    def one(self, sql, params=None, **more):
        return self.conn.execute(sql, params, **more).fetchone()[0]

    def test_values_in_text_and_binary(self):
        for binary in (False, True):
            with self.conn.cursor(binary=binary) as cursor:
                values = (1, "ä€𝄞", None, 1.5, True, [1, 2], b"\0\xff")
                cursor.execute("select %s::int, %s, %s::text, %s, %s, %s::int[], %s", values)
                self.assertEqual(cursor.fetchone(), values)

    def test_a_statement_is_prepared_and_prepared_anew_after_deallocate(self):
        for number in range(10):
            self.assertEqual(self.one("select %s::int * 2", (number,), prepare=True), number * 2)
        if not self.on_both_sides:
            self.assertEqual(self.one("select count(*) from pg_prepared_statements"), 1)
        with self.conn.transaction():
            self.conn.execute("deallocate all")
        self.conn._prepared.clear()
        self.assertEqual(self.one("select %s::int * 2", (5,), prepare=True), 10)

    def test_a_pipeline_answers_in_order(self):
        with self.conn.pipeline() as pipeline:
            cursors = [self.conn.execute("select %s::int", (number,)) for number in range(300)]
            pipeline.sync()
            self.assertEqual([cursor.fetchone()[0] for cursor in cursors], list(range(300)))

    def test_an_error_in_a_pipeline_aborts_up_to_its_sync(self):
        with self.assertRaises(errors.DivisionByZero):
            with self.conn.pipeline():
                self.conn.execute("insert into t values (1, 'a')")
                self.conn.execute("select 1/0")
                self.conn.execute("insert into t values (2, 'b')")
        self.assertEqual(self.one("select count(*) from t"), 0)

    def test_executemany_and_returning(self):
        with self.conn.cursor() as cursor:
            cursor.executemany("insert into t values (%s, %s) returning id",
                               [(number, "x") for number in range(200)], returning=True)
            found = [cursor.fetchone()[0]]
            while cursor.nextset():
                found.append(cursor.fetchone()[0])
        self.assertEqual(found, list(range(200)))

    def test_nested_transactions(self):
        with self.conn.transaction():
            self.conn.execute("insert into t values (1, 'a')")
            with self.assertRaises(errors.UniqueViolation):
                with self.conn.transaction():
                    self.conn.execute("insert into t values (1, 'b')")
            self.conn.execute("insert into t values (2, 'c')")
        self.assertEqual(self.one("select count(*) from t"), 2)

    def test_copy_in_text_and_binary(self):
        for form in ("", "(format binary)"):
            self.conn.execute("truncate t")
            with self.conn.cursor() as cursor:
                with cursor.copy(f"copy t from stdin {form}") as copy:
                    copy.set_types(["int4", "text"])
                    for number in range(2000):
                        copy.write_row((number, "row"))
                with cursor.copy(f"copy t to stdout {form}") as copy:
                    copy.set_types(["int4", "text"])
                    self.assertEqual(list(copy.rows()), [(number, "row") for number in range(2000)])
        with self.assertRaises(errors.QueryCanceled):
            with self.conn.cursor().copy("copy t from stdin") as copy:
                copy.write_row((9999, "x"))
                raise ZeroDivisionError
        self.assertEqual(self.one("select count(*) from t"), 2000)

    def test_server_side_cursors_and_streams(self):
        with self.conn.transaction(), self.conn.cursor("parts") as cursor:
            cursor.execute("select generate_series(1, 1000)")
            self.assertEqual(len(cursor.fetchmany(10)), 10)
            self.assertEqual(len(cursor.fetchall()), 990)
        with self.conn.cursor() as cursor:
            self.assertEqual(sum(row[0] for row in cursor.stream("select generate_series(1, 1000)")), 500500)

    def test_notifications(self):
        self.conn.execute("listen ch")
        other = self.connected()
        for number in range(3):
            other.execute(f"notify ch, '{number}'")
        found = self.conn.notifies()
        self.assertEqual([next(found).payload for _ in range(3)], ["0", "1", "2"])
        found.close()

    def test_a_cancel_from_another_thread(self):
        with self.when_asleep(self.conn.cancel), self.assertRaises(errors.QueryCanceled):
            self.conn.execute("select pg_sleep(60)")
        self.assertEqual(self.one("select 1"), 1)


if __name__ == "__main__":
    unittest.main()
