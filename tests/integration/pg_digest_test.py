"""Digests of replies, between two real PostgreSQL servers that were made in another way: equal data means
the same, other data is seen; and what comes of it when both are asked again.
"""

import os
import struct
import subprocess
import unittest

import pg_conversations
from children import SLOWNESS, end, spawn
from harness import binary
from pg_conversations import describe, execute, message, parse, query
from postgres import PostgresServer

PROBE = os.path.join(os.path.dirname(binary()), "tests", "digest_probe")
LIMIT_S = 30 * SLOWNESS
SYNC = message(">S")

# On old the rows lie in another order, and OIDs are other ones.
ELSEWHERE = ("CREATE TABLE not_there (a int, b text)", "CREATE TYPE neither AS ENUM ('x')")
CONTENT = ("CREATE TYPE mood AS ENUM ('sad', 'happy')",
           "CREATE TABLE people (id int PRIMARY KEY, name text, mood mood, born timestamptz, score float8,"
           " photo bytea)")
ROWS = [f"INSERT INTO people SELECT n, 'person ' || n, 'happy', '2020-01-01 00:00Z'::timestamptz +"
        f" n * interval '1 day', n / 7.0, decode(md5(n::text), 'hex') FROM generate_series(1, 50) n"
        f" ORDER BY {by}" for by in ("n", "n DESC")]


class Recording(pg_conversations.Relay):
    """Keeps what the server says after the login."""

    def __init__(self, where, parameters):
        self.replies = b""
        super().__init__(where, parameters)
        self.replies = b""

    def note(self, kind, body):
        self.replies += kind.encode() + struct.pack(">I", len(body) + 4) + body
        super().note(kind, body)


def replies_of(server, steps, *more, user="app"):
    relay = Recording(("127.0.0.1", server.port), ["user", user, "database", "app", *more])
    with relay.socket:
        for step in steps:
            relay.wait(step) if isinstance(step, str) else relay.send(step)
    return relay.replies


def compared(cases):
    """[(what, text)] of [(how, old replies, new replies)]."""
    lines = "".join(f"{how} {old.hex() or '-'} {new.hex() or '-'}\n" for how, old, new in cases)
    done = subprocess.run([PROBE, "compare"], input=lines, capture_output=True, text=True, check=True,
                          timeout=LIMIT_S)
    return [tuple(line.split(" ", 1)) for line in done.stdout.splitlines()]


class Servers(unittest.TestCase):
    new_version = 15

    @classmethod
    def setUpClass(cls):
        cls.old = cls.enterClassContext(PostgresServer(15))
        cls.new = cls.enterClassContext(PostgresServer(
            cls.new_version, timezone="Asia/Tokyo", bytea_output="escape", extra_float_digits="0",
            datestyle="German", intervalstyle="iso_8601"))
        cls.new.sql(*ELSEWHERE)
        for server, rows in ((cls.old, ROWS[0]), (cls.new, ROWS[1])):
            server.sql("SET ROLE app", *CONTENT, rows, "RESET ROLE")


class Equal(Servers):
    def test_conversations_with_two_servers_mean_the_same(self):
        for server in (self.old, self.new):
            server.sql("CREATE SCHEMA talk AUTHORIZATION app",
                       "ALTER ROLE app SET search_path = talk, public", "SET ROLE app",
                       "SET search_path = talk", *pg_conversations.SETUP.split(";\n"), "RESET ROLE",
                       "RESET search_path")
            self.addCleanup(server.sql, "DROP SCHEMA talk CASCADE", "ALTER ROLE app RESET search_path")
        cases, names = [], []
        for name, steps in pg_conversations.SCRIPTS.items():
            cases.append(("exact", *[replies_of(server, steps, "TimeZone", "UTC")
                                     for server in (self.old, self.new)]))
            names.append(name)
        for name, (what, text) in zip(names, compared(cases), strict=True):
            with self.subTest(name):
                self.assertEqual((what, text), ("none", ""))

    def both(self, how, *statements, settings="", formats=0):
        """In what the statements' replies differ; with formats=1 by Parse and Bind, in binary."""
        steps = [[query(settings)], "Z"] if settings else []
        for sql in statements:
            sent = [query(sql)]
            if formats:
                bound = message(">B", b"\0\0" + struct.pack(">HHHH", 0, 0, 1, formats))
                sent = [parse("", sql), bound, describe("P"), execute(), SYNC]
            steps += [sent, "Z"]
        [(what, text)] = compared([(how, replies_of(self.old, steps), replies_of(self.new, steps))])
        return what, text

    def test_rows_that_lie_in_another_order_are_the_same_multiset(self):
        self.assertEqual(self.both("exact", "SELECT id, name FROM people")[0], "order")
        for formats in (0, 1):
            self.assertEqual(self.both("multiset", "SELECT id, name FROM people", formats=formats),
                             ("none", ""))
            self.assertEqual(self.both("exact", "SELECT id, name FROM people ORDER BY id", formats=formats),
                             ("none", ""))

    def test_copied_data_is_a_multiset_in_text_and_in_binary(self):
        for options in ("", " WITH (FORMAT csv, HEADER)", " WITH (FORMAT binary)"):
            with self.subTest(options):
                copy = f"COPY (SELECT id, name FROM people) TO STDOUT{options}"
                self.assertEqual(self.both("multiset", copy), ("none", ""))
                self.assertEqual(self.both("exact", copy)[0], "order")
                other = copy.replace("name", "id + 1")
                steps = [[[query(sql)], "Z"] for sql in (copy, other)]
                [(what, _)] = compared([("multiset", replies_of(self.old, steps[0]),
                                         replies_of(self.new, steps[1]))])
                self.assertEqual(what, "rows")

    def test_types_of_users_are_the_same_whatever_their_oids(self):
        oids = [server.value("SELECT 'mood'::regtype::oid") for server in (self.old, self.new)]
        self.assertNotEqual(*oids)
        for formats in (0, 1):
            self.assertEqual(self.both("exact", "SELECT mood FROM people ORDER BY id", formats=formats),
                             ("none", ""))

    def test_with_the_same_settings_values_are_written_alike(self):
        columns = "SELECT born, score, photo, interval '36 hours' FROM people ORDER BY id"
        self.assertEqual(self.both("exact", columns)[0], "rows")
        self.assertEqual(self.both("exact", columns, formats=1), ("none", ""))
        self.assertEqual(self.both(
            "exact", columns, settings="SET timezone = 'Europe/Berlin'; SET bytea_output = hex;"
            " SET extra_float_digits = 3; SET datestyle = 'ISO'; SET intervalstyle = postgres"), ("none", ""))

    def test_another_shape_or_outcome_is_seen_whatever_the_rows(self):
        self.new.sql("SET ROLE app", "CREATE OR REPLACE VIEW w AS SELECT 1::bigint AS a")
        self.old.sql("SET ROLE app", "CREATE OR REPLACE VIEW w AS SELECT 1::int AS a")
        self.assertEqual(self.both("shape", "SELECT a FROM w"), ("columns", "1 columns / 1 columns"))
        self.new.sql("DROP VIEW w", "RESET ROLE")
        self.assertEqual(self.both("shape", "SELECT a FROM w"), ("outcome", "done / error 42P01"))
        self.old.sql("DROP VIEW w", "RESET ROLE")
        self.assertEqual(self.both("shape", "SELECT a FROM w"), ("none", ""))

    def test_what_is_drawn_has_only_a_shape(self):
        self.assertEqual(self.both("shape", "SELECT random(), now(), pg_backend_pid()"), ("none", ""))
        self.assertEqual(self.both("exact", "SELECT random()")[0], "rows")


class EqualTo18(Equal):
    new_version = 18


class Looks(Servers):
    def look(self, *reads, between=None, settings="", shown="redacted", user="app"):
        """(in what they differ at first, [class, statement, old, new] or ["same"])"""
        child = spawn([PROBE, "look", str(self.old.port), str(self.new.port), user, settings, shown, *reads],
                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(end, child)
        first = child.stdout.readline().strip()
        if between:
            between()
        out, _ = child.communicate("\n", LIMIT_S)
        return first, out.splitlines()

    def differ(self, sql="UPDATE people SET name = 'the secret of new' WHERE id = 7"):
        """Something on new alone, until the test is over."""
        self.new.sql(sql)
        self.addCleanup(self.new.sql, "UPDATE people SET name = 'person 7' WHERE id = 7")

    def test_equal_sides_need_no_look(self):
        self.assertEqual(self.look("multiset:SELECT * FROM people", settings="SET timezone = 'UTC'; SET"
                                   " bytea_output = hex; SET extra_float_digits = 1; SET datestyle = 'ISO'"),
                         ("none", ["same"]))

    def test_rows_that_really_differ_are_confirmed_and_shown_without_values(self):
        self.differ()
        first, (what, statement, old, new) = self.look(
            "multiset:SELECT id, name FROM people WHERE id > 3 AND name <> 'secret'")
        self.assertEqual((first, what), ("rows", "real"))
        self.assertEqual(statement, "SELECT id, name FROM people WHERE id > ? AND name <> ?")
        for shown, size in ((old, 8), (new, 17)):
            self.assertRegex(shown, r"^rows of result 1: 47 rows, count 47; row \(<1 bytes, \w{8}>,"
                                    rf" <{size} bytes, \w{{8}}>\)$")

    def test_values_are_shown_where_that_is_asked_for(self):
        self.differ()
        _, (what, statement, old, new) = self.look("exact:SELECT id, name FROM people ORDER BY id",
                                                   shown="plain")
        self.assertEqual((what, statement), ("real", "SELECT id, name FROM people ORDER BY id"))
        self.assertIn("row (7, person 7)", old)
        self.assertIn("row (7, the secret of new)", new)

    def test_statements_with_parameters_are_asked_again_as_they_were(self):
        self.differ()
        first, (what, statement, old, new) = self.look(
            "=7 multiset:SELECT name, id FROM people WHERE id = $1", shown="plain")
        self.assertEqual((first, what), ("rows", "real"))
        self.assertIn("person 7, \\x00\\x00\\x00\\x07", old)
        self.assertIn("the secret of new", new)
        self.assertIn("$1", statement)

    def test_a_difference_that_has_gone_is_a_race(self):
        self.differ()
        first, sample = self.look(
            "multiset:SELECT name FROM people",
            between=lambda: self.new.sql("UPDATE people SET name = 'person 7' WHERE id = 7"))
        self.assertEqual((first, sample[0]), ("rows", "race"))

    def test_only_another_order_is_tolerable_and_shown(self):
        first, (what, _, old, _) = self.look("exact:SELECT id FROM people")
        self.assertEqual((first, what), ("order", "tolerable"))
        self.assertIn("order of result 1", old)

    def test_reads_of_one_transaction_are_asked_together(self):
        self.differ()
        first, (what, _, old, _) = self.look(
            "shape:SELECT random()", "exact:SELECT name FROM people WHERE id = 8",
            "exact:SELECT name FROM people WHERE id = 7")
        self.assertEqual((first, what), ("rows", "real"))
        self.assertIn("rows of result 3", old)

    def test_a_table_that_is_missing_is_confirmed(self):
        self.old.sql("SET ROLE app", "CREATE TABLE only_old (a int)", "RESET ROLE")
        self.addCleanup(self.old.sql, "DROP TABLE only_old")
        first, (what, _, old, new) = self.look("multiset:SELECT a FROM only_old")
        self.assertEqual((first, what), ("outcome", "real"))
        self.assertIn("done", old)
        self.assertIn("error 42P01", new)

    def test_what_a_server_is_not_asked_again_stays_unsure(self):
        self.differ()
        for server in (self.old, self.new):
            server.sql("DROP ROLE IF EXISTS stranger", "CREATE ROLE stranger LOGIN")
        read = "multiset:SELECT name FROM people"
        self.assertEqual(self.look(read, user="app/stranger")[1][0], "unsure")  # no right to read
        self.assertEqual(self.look(read, user="app/nobody")[1][0], "unsure")    # no such user
        self.assertEqual(self.look(read, user="app/")[1][0], "unsure")          # rights are not lent
        self.addCleanup(self.new.sigcont)
        self.assertEqual(self.look(read, between=self.new.sigstop)[1][0], "unsure")
        self.new.sigcont()

    def test_a_server_that_has_gone_makes_it_unsure(self):
        self.differ()
        self.addCleanup(self.new.restart)
        first, sample = self.look("multiset:SELECT name FROM people", between=self.new.stop)
        self.assertEqual((first, sample[0]), ("rows", "unsure"))

    def test_looking_changes_nothing(self):
        self.differ()
        for server in (self.old, self.new):
            server.sql("SET ROLE app", "CREATE SEQUENCE IF NOT EXISTS touched",
                       "CREATE OR REPLACE FUNCTION writes() RETURNS int LANGUAGE sql STABLE AS"
                       " 'SELECT nextval(''touched'')::int'", "RESET ROLE")
        # What says to be STABLE and writes is believed at first; the look is stopped by the server.
        before = [server.value("SELECT last_value FROM touched") for server in (self.old, self.new)]
        first, sample = self.look("multiset:SELECT name, writes() FROM people",
                                  settings="SET default_transaction_read_only = off")
        after = [server.value("SELECT last_value FROM touched") for server in (self.old, self.new)]
        self.assertEqual((first, sample[0]), ("rows", "unsure"))
        self.assertEqual([int(one) + 49 for one in before], [int(one) for one in after])  # of the first time

    def test_more_than_is_taken_of_an_answer_makes_it_unsure(self):
        self.differ()
        for times, what in ((2000, "real"), (3000, "unsure")):  # compare_again_max: 1 MiB
            first, sample = self.look(f"multiset:SELECT repeat(name, {times}) FROM people")
            self.assertEqual((first, sample[0]), ("rows", what))

    def test_a_read_that_takes_too_long_is_given_up(self):
        first, sample = self.look("shape:SELECT pg_sleep(CASE WHEN current_setting('statement_timeout') = '0'"
                                  " THEN 0 ELSE 30 END)", "multiset:SELECT setting FROM pg_settings WHERE"
                                  " name = 'TimeZone'")
        self.assertEqual((first, sample[0]), ("rows", "unsure"))


class Logins(unittest.TestCase):
    def setUp(self):
        hba = ("host all +md5 127.0.0.1/32 md5", "host all +clear 127.0.0.1/32 password",
               "host all all 127.0.0.1/32 scram-sha-256")
        self.servers = [self.enterContext(PostgresServer(15, hba=hba, ssl=True)) for _ in range(2)]
        for number, server in enumerate(self.servers):
            server.sql("CREATE ROLE md5", "CREATE ROLE clear", "SET password_encryption = md5",
                       "CREATE ROLE hashed LOGIN PASSWORD 'pencil' IN ROLE md5",
                       "SET password_encryption = 'scram-sha-256'",
                       "CREATE ROLE salted LOGIN PASSWORD 'pencil'",
                       "CREATE ROLE plain LOGIN PASSWORD 'pencil' IN ROLE clear", "CREATE TABLE t (a int)",
                       f"INSERT INTO t VALUES ({number})", "GRANT SELECT ON t TO public")

    def look(self, user):
        ports = [str(server.port) for server in self.servers]
        done = subprocess.run([PROBE, "look", *ports, user, "", "plain", "multiset:SELECT a FROM t"],
                              input="\n", capture_output=True, text=True, check=True, timeout=LIMIT_S)
        self.assertNotIn("pencil", done.stdout + done.stderr)
        return done.stdout

    def test_whatever_a_server_asks_for_is_given(self):
        for user in ("hashed:pencil", "salted:pencil", "tls+hashed:pencil", "tls+salted:pencil",
                     "tls+plain:pencil"):
            with self.subTest(user):
                self.assertEqual(self.look(user).splitlines()[:2], ["rows", "real"])

    def test_a_password_is_not_sent_in_clear_and_a_wrong_one_lets_nobody_in(self):
        for user in ("plain:pencil", "salted:wrong", "salted", "nobody:pencil", "tls+salted:wrong"):
            with self.subTest(user):
                told = self.look(user)
                self.assertIn("connect to endpoint 'old'", told)
                self.assertNotIn("real", told)


if __name__ == "__main__":
    unittest.main()
