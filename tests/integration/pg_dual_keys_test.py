"""Rows in the ledger of PostgreSQL's dual writes: beside the tables, where the statement or its answer tells
which they are, and before the client is told of the commit. They change nothing of what is read where.
"""

import struct
import unittest

from pg_dual_write_test import Dual, both
from pg_messages import bind, describe, execute, parse

ROWS_MAX = 64  # kRowsMax of protocols/postgres/row_names.h
SQL = "update t set n = 500 where id = $1"


class Keys(Dual):
    """The second side takes no n over 99."""

    tables = (*Dual.tables, "create table plain (a int, b text)", "insert into plain values (1, 'it''s')",
              "create table ids (id uuid primary key, n int)", 'create table "t (id=1)" (side text)')

    def setUp(self):
        super().setUp()
        self.second.sql("alter table t add check (n < 100)")

    def rows(self):
        """Rows -> reasons."""
        return {entry["key"]: entry["reason"] for entry in self.divergence()["entries"] if "row" in entry}

    def is_named(self, row, reason="outcome"):
        self.assertEqual(self.rows().get(row), reason, self.rows())
        self.assertEqual(self.suspected(), {"t": reason})

    def test_what_is_equal_on_both_sides_names_nothing(self):
        self.client.ask("update t set n = 1 where id = 1")
        self.messages(self.client, parse("", SQL.replace("500", "5")) + bind("", "", [b"2"]) + execute(""))
        self.client.ask("begin; delete from t where id = 3")
        self.client.ask("rollback")
        self.nothing_suspected()

    def test_a_row_is_named_by_a_constant(self):
        self.client.ask("update t set n = 500 where id = 1")
        self.is_named("t (id=1)")
        self.client.ask("update t set n = 500 where n < 500 and 2 = t.id")
        self.is_named("t (id=2)")
        self.assertEqual(set(self.rows()), {"t (id=1)", "t (id=2)"})

    def test_a_row_is_named_by_a_parameter(self):
        client, number = self.client, struct.Struct("!i")
        self.messages(client, parse("", SQL) + bind("", "", [b"1"]) + execute(""))
        self.is_named("t (id=1)")
        self.messages(client, parse("", SQL) + bind("", "", [number.pack(2)], [1]) + execute(""))
        self.is_named("t (id=2)")
        self.messages(client, parse("named", SQL, [23]))
        self.messages(client, bind("", "named", [number.pack(3)], [1]) + describe("P", "") + execute(""))
        self.is_named("t (id=3)")
        self.messages(client, bind("p", "named", [b"4"]) + execute("p") + bind("", "named", [b"5"]) +
                      execute(""))
        self.assertEqual(set(self.rows()), {f"t (id={n})" for n in range(1, 6)})

    def test_a_uuid_has_one_name(self):
        uuid = "00112233-4455-6677-8899-aabbccddeeff"
        self.second.sql(f"insert into ids values ('{uuid}', 1)")
        insert = "insert into ids (id, n) values ($1, 1)"
        self.messages(self.client, parse("", insert) +
                      bind("", "", [bytes.fromhex(uuid.replace("-", ""))], [1]) + execute(""))
        self.assertEqual(self.rows(), {f"ids (id='{uuid}')": "outcome"})
        self.client.ask(f"update ids set n = 2 where id = '{uuid}'")  # both have it by now
        self.assertEqual(set(self.rows()), {f"ids (id='{uuid}')"})

    def test_all_rows_of_a_block_are_named(self):
        self.client.ask("begin")
        self.client.ask("update t set n = 1 where id = 6")
        self.client.ask("insert into parent (id) values (70), (71); update t set n = 500 where id = 7")
        self.messages(self.client, parse("", "delete from t where id = $1") + bind("", "", [b"8"]) +
                      execute(""))
        self.assertEqual(self.rows(), {})  # nothing is committed
        self.client.ask("commit")
        self.assertEqual(set(self.suspected()), {"t", "parent"})
        self.assertEqual(set(self.rows()), {"t (id=6)", "t (id=7)", "t (id=8)", "parent (id=70)",
                                            "parent (id=71)"})

    def test_a_row_without_a_key_is_named_by_all_that_is_asked(self):
        self.second.sql("delete from plain")
        self.client.ask("update plain set b = 'x' where b = 'it''s' and a = 1")
        self.assertEqual(self.rows(), {"plain (a=1, b='it''s')": "replies", "plain (a=1, b='x')": "replies"})
        self.client.ask("update other.u set v = 'x' where v = 'y'")  # on both, none
        self.second.sql("insert into other.u values ('y')")
        self.client.ask("delete from other.u where v = 'y'")
        self.assertEqual(self.rows()["other.u (v='y')"], "replies")
        self.assertEqual(set(self.suspected()), {"plain", "other.u", "u"})

    def test_a_number_that_each_side_draws_is_named_by_what_is_returned(self):
        insert = "insert into serials (at) values ('2020-01-01') returning id"
        drawn = [self.client.value(insert)]
        found = self.messages(self.client, parse("", insert) + bind("", "", wanted=[1]) +
                              describe("P", "") + execute(""))
        drawn.append(str(struct.unpack("!i", found[-3][-4:])[0]))
        self.client.ask("begin")
        drawn.append(self.client.value(insert))
        self.client.ask("commit")
        self.assertEqual(self.rows(), {f"serials (id={n})": "chance" for n in drawn})
        self.assertEqual(self.suspected(), {"serials": "chance"})
        self.client.ask(insert.replace(" returning id", ""))
        self.assertEqual(len(self.rows()), len(drawn))  # which it was nobody has told

    def test_rows_that_only_one_side_has_are_named_by_what_is_returned(self):
        self.second.sql("delete from t where id = 3")
        self.client.ask("update t set note = 'all' where n < 1 returning *")
        self.assertEqual(self.rows(), {f"t (id={n})": "replies" for n in range(1, 21)})

    def test_rows_are_on_disk_before_the_commit_is_answered(self):
        self.client.ask("update t set n = 500 where id = 1")
        self.client.ask("begin; update t set n = 600 where id = 2")
        self.client.ask("commit")
        self.sidecar.kill9()
        self.sidecar.restart()
        self.assertEqual(self.rows(), {"t (id=1)": "outcome", "t (id=2)": "outcome"})

    def test_of_too_many_rows_the_table_stands_alone(self):
        self.client.ask("begin")
        for n in range(ROWS_MAX + 1):
            self.client.ask(f"update t set n = 500 where id = {n % 20 + 1}")
        self.client.ask("commit")
        self.assertEqual((self.suspected(), self.rows()), ({"t": "outcome"}, {}))
        many = f"generate_series(1000, {1000 + ROWS_MAX})"
        self.client.ask(f"insert into t (id, n) select i, 500 from {many} i returning id")
        self.assertEqual((self.suspected(), self.rows()), ({"t": "outcome"}, {}))
        self.client.ask("update t set n = 500 where id = 1")  # another transaction
        self.is_named("t (id=1)")

    def test_reads_of_the_table_are_the_authoritys_whatever_rows_are_named(self):
        for server in (self.old, self.new):
            server.sql('insert into "t (id=1)" select side from here')
        self.patch(both(self.policy, 1.0))
        self.comes_to(self.client, "new")
        self.client.ask("update t set n = 500 where id = 1")
        self.is_named("t (id=1)")
        for row in (1, 2):  # of which one is not named
            self.assertEqual(self.client.value(f"select n from t where id = {row}"),
                             self.first.value(f"select n from t where id = {row}"))
        self.second.sql("update t set note = 'wrong' where id = 2")
        self.assertEqual(self.client.value("select note from t where id = 2"), "")
        # A table of that name is another thing.
        self.assertEqual(self.client.value('select side from "t (id=1)"'), "new")

    def test_values_are_in_no_log(self):
        self.client.ask("update plain set b = 'confidential' where a = 1")
        self.second.sql("delete from plain")
        self.client.ask("delete from plain where b = 'confidential'")
        self.assertIn("plain (b='confidential')", self.rows())
        self.assertNotIn("confidential", self.sidecar.log_text())


class KeysByNew(Keys):
    policy = "new_authoritative"


if __name__ == "__main__":
    unittest.main()
