"""Reads whose answer hangs on what the session itself has done on a server are asked of the one that runs its
writes first, wherever its other reads go.
"""

import unittest

from pg_messages import SYNC, bind, execute, kind_of, parse, row_of
from pg_pair import PgPair

SHARES = (0.0, 0.5, 1.0)
SESSIONS = 6  # with a share of a half some read here, some there


def both(policy, share):
    return {"type": "canary", "read_percentage": share,
            "write_mode": {"mode": "dual_write", "engine": "statement", "policy": policy}}


class Sided(PgPair):
    tables = ("create table serials (id serial primary key, n int)",)

    def setUp(self):
        super().setUp()
        # What the one has drawn last is never what the other would draw.
        self.new.sql("alter sequence serials_id_seq restart with 1000")

    def by_statement(self, client, sql):
        client.send(parse("", sql) + bind("", "") + execute("") + SYNC)
        row, = (row_of(one) for one in client.until("Z") if kind_of(one) == "D")
        return row[0].decode()

    def drawn(self, client):
        """What the session has drawn last, as it is told in several ways."""
        told = {client.value("select lastval()"), client.value("select currval('serials_id_seq')"),
                self.by_statement(client, "select lastval()")}
        self.assertEqual(len(told), 1, told)
        return told.pop()

    def check(self, policy):
        for share in SHARES:
            self.patch(both(policy, share))
            for _ in range(SESSIONS):
                with self.subTest(policy=policy, share=share):
                    client = self.connect()
                    self.side_of(client)
                    mine = client.value("insert into serials (n) values (1) returning id")
                    self.assertEqual(self.drawn(client), mine)
                    side = self.side_of(client)
                    self.assertEqual(self.drawn(client), mine)
                    client.ask("begin")
                    own = client.value("insert into serials (n) values (2) returning id")
                    self.assertEqual(self.drawn(client), own)
                    client.ask("commit")
                    self.assertEqual(self.drawn(client), own)
                    self.assertEqual(self.side_of(client), side)

    def test_by_old(self):
        self.migrate(both("old_authoritative", 0.0))
        self.check("old_authoritative")
        self.assertEqual(self.new.value("select count(*) from serials"), "0")

    def test_by_new(self):
        self.migrate(both("new_authoritative", 0.0))
        self.check("new_authoritative")
        self.assertEqual(self.old.value("select count(*) from serials"), "0")

    def test_a_row_that_is_known_by_its_place_is_found_there(self):
        self.migrate(both("new_authoritative", 0.0))
        client = self.connect()
        for n in (1, 2, 3):
            client.ask(f"insert into serials (n) values ({n})")
        place = client.value("select ctid from serials where n = 3")
        client.ask(f"update serials set n = 30 where ctid = '{place}'")
        self.assertEqual(self.new.sql("select n from serials order by n"), [["1"], ["2"], ["30"]])


if __name__ == "__main__":
    unittest.main()
