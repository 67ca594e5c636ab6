"""A portal that is bound in one segment and executed in a later one does there what was bound."""

import unittest

from harness import wait_until
from pg_messages import SYNC, bind, execute, kind_of, parse, row_of
from pg_pair import PgPair

DUAL = {"type": "canary", "read_percentage": 0.0,
        "write_mode": {"mode": "dual_write", "policy": "old_authoritative", "engine": "statement"}}
CUTOVER = {"type": "canary", "read_percentage": 1.0,
           "write_mode": {"mode": "cutover", "write_percentage": 0.0}}
INSERT = "insert into t values (1), (2) returning id"


class Portals(PgPair):
    tables = ("create table t (id int primary key)",
              "create function adds(int) returns int language sql volatile as "
              "'insert into t values ($1) returning id'")

    def ask(self, client, *messages):
        """The rows that a segment is answered with, and the kinds of all else."""
        client.send(b"".join(messages) + SYNC)
        answers = client.until("Z")
        kinds = "".join(kind_of(answer) for answer in answers)
        return [row_of(answer)[0] for answer in answers if kind_of(answer) == "D"], kinds

    def insert_by(self, client, portal):
        client.ask("begin")
        self.ask(client, parse("", INSERT), bind(portal, ""))
        rows, kinds = self.ask(client, execute(portal))
        self.assertEqual((len(rows), kinds), (2, "DDCZ"))
        client.ask("commit")

    def test_a_write_is_run_on_both_sides(self):
        self.migrate(DUAL)
        client = self.connect()
        for portal in ("p", ""):
            self.insert_by(client, portal)
            for side in (self.old, self.new):
                self.assertEqual(side.sql("select id from t order by id"), [["1"], ["2"]])
            client.ask("delete from t")
        answer = self.sidecar.must("GET", "/migrations/m/divergence")
        self.assertEqual((answer["entries"], answer["needs_full_verification"]), ([], False))

    def test_a_write_that_only_new_has_is_counted(self):
        self.migrate({"type": "blue_green", "active_is_new": True})
        client = self.connect()
        self.comes_to(client, "new")
        self.insert_by(client, "p")
        wait_until(lambda: self.metric("new_only_writes_total") == 1, 10, "it is counted")

    def fetch(self, client, begin):
        client.ask(begin)
        text = "select i from generate_series(1, 5) i"
        rows, kinds = self.ask(client, parse("", text), bind("p", ""), execute("p", 2))
        self.assertEqual(kinds, "12DDsZ")
        for _ in range(2):
            more, _ = self.ask(client, execute("p", 2))
            rows += more
        self.assertEqual(len(rows), 5)
        client.ask("commit")

    def test_a_read_goes_on_in_a_read_only_block_on_new(self):
        self.migrate(CUTOVER)
        client = self.connect()
        self.comes_to(client, "new")
        self.fetch(client, "begin read only")

    def test_a_cursor_is_read_by_its_name(self):
        """Which libpq does not do, but drivers with cursors of the server's do."""
        self.migrate(DUAL)
        client = self.connect()
        declare = "declare c cursor for select i from generate_series(1, 5) i"
        for way in ("query", "statement"):
            client.ask("begin")
            if way == "query":
                client.ask(declare)
            else:
                self.ask(client, parse("", declare), bind("", ""), execute(""))
            rows, _ = self.ask(client, execute("c", 3))
            client.ask("insert into t values (7)")
            more, _ = self.ask(client, execute("c"))
            self.assertEqual(rows + more, [b"1", b"2", b"3", b"4", b"5"])
            client.ask("commit")
            for side in (self.old, self.new):
                self.assertEqual(side.sql("select id from t"), [["7"]])
            client.ask("delete from t")
        answer = self.sidecar.must("GET", "/migrations/m/divergence")
        self.assertEqual((answer["entries"], answer["needs_full_verification"]), ([], False))

    def test_a_cursor_that_writes_does_so_on_the_authority_and_is_noted(self):
        self.migrate(DUAL)
        client = self.connect()
        client.ask("begin")
        client.ask("declare c cursor for select adds(i) from generate_series(1, 3) i")
        rows, _ = self.ask(client, execute("c"))
        self.assertEqual(len(rows), 3)
        client.ask("commit")
        self.assertEqual(self.old.value("select count(*) from t"), "3")
        self.assertTrue(self.sidecar.must("GET", "/migrations/m/divergence")["needs_full_verification"])

    def test_a_read_goes_on_in_a_dual_write(self):
        self.migrate(DUAL)
        client = self.connect()
        self.fetch(client, "begin")
        self.fetch(client, "begin; insert into t values (7)")
        self.assertEqual(self.new.sql("select id from t"), [["7"]])
        answer = self.sidecar.must("GET", "/migrations/m/divergence")
        self.assertEqual((answer["entries"], answer["needs_full_verification"]), ([], False))


if __name__ == "__main__":
    unittest.main()
