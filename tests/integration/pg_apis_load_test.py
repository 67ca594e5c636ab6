"""Statements by api under load, and mixed at random with others: each session hears what one server says,
and dual writes keep both sides equal, whoever the writes belong to.
"""

import random
import threading
import unittest

from harness import SLOWNESS, wait_until
from ledger import Ledger
from pg_apis import DUAL, ORDER_1, USER, Apis, segment
from pg_conn import PgConn, ServerError
from pg_messages import SYNC, bind, close, execute, fields_of, kind_of, parse, query, row_of
from pg_pair import reads
from postgres import PostgresServer


def dual(share):
    return {"type": "canary", "read_percentage": share, "write_mode": DUAL}


class Reader(threading.Thread):
    """Asks without end, by messages of one of three forms; `seen` has (phase, api, side)."""

    def __init__(self, load, number):
        super().__init__(daemon=True)
        self._load, self._number = load, number
        self.phase, self.seen, self.trouble = None, set(), None
        self.count = {}

    def run(self):
        try:
            self._run()
        except Exception as error:  # the test reports it
            self.trouble = f"reader {self._number}: {error!r}"
        self.phase = "left"

    def _run(self):
        texts = {"users": USER.format("$1"), "orders": ORDER_1.replace("id = 1", "id = $1")}
        with PgConn(self._load.port, "app", "app", limit_s=60 * SLOWNESS) as conn:
            if self._number % 3 == 1:
                conn.send(b"".join(parse(api, text) for api, text in texts.items()) + SYNC)
                conn.until("Z")
            while not self._load.stopped:
                self.phase = phase = self._load.phase
                apis = [api for api in ("users", "orders") for _ in range(self._load.depth)]
                for number, api in enumerate(apis):
                    key = str(number % 90 + 1)
                    if self._number % 3 == 0:
                        conn.send(query(texts[api].replace("$1", key)))
                    elif self._number % 3 == 1:
                        conn.send(bind("", api, [key]) + execute("") + SYNC)
                    else:
                        conn.send(parse("", texts[api]) + bind("", "", [key]) + execute("") + SYNC)
                for api in apis:
                    for raw in conn.until("Z"):
                        if kind_of(raw) == "E":
                            raise ServerError(raw)
                        if kind_of(raw) == "D":
                            self.seen.add((phase, api, row_of(raw)[0].decode()))
                self.count[phase] = self.count.get(phase, 0) + 1


class UnderLoad(Apis):
    loops = 4
    depth = 4
    stopped = False
    phase = 0

    def change(self, call):
        """As Load.change(): afterwards a new phase, served to all."""
        self.calls += 1
        self.phase = between = f"before call {self.calls}"
        wait_until(lambda: self.trouble() or all(one.phase in (between, "left") for one in self.readers), 30,
                   "phase closed")
        call()
        self.phase = self.calls
        wait_until(lambda: self.trouble() or all(one.count.get(self.calls, 0) >= 3 for one in self.readers),
                   30, f"all are served in phase {self.calls}")
        return self.calls

    def trouble(self):
        return [one.trouble for one in self.readers if one.trouble]

    def test_a_patch_moves_the_api_for_all_sessions_at_once_and_nothing_else(self):
        self.migrate(reads(1.0))
        self.client()
        self.calls = 0
        self.readers = [Reader(self, number) for number in range(15)]
        for one in self.readers:
            one.start()
        expected = {}
        try:
            for share in (1.0, 0.0, 1.0, 0.0, 1.0):
                side = "new" if share else "old"
                expected[self.change(lambda: self.patch(reads(share)))] = side  # noqa: B023
            taken = [{"template": "one"}]
            self.sidecar.must("POST", "/templates", {"id": "one", "endpoint": "old",
                                                     "query": "SELECT side FROM users WHERE id = {{all}}"})
            mine = self.sidecar.must("GET", "/apis/secrets")["bindings"]
            for given, side in ((mine + taken, "old"), (mine, "new")):
                expected[self.change(lambda: self.sidecar.must(
                    "PATCH", "/apis/secrets", {"bindings": given}))] = side  # noqa: B023
            expected[self.change(lambda: self.sidecar.must("POST", "/migrations/m/rollback"))] = "old"
        finally:
            self.stopped = True
            for one in self.readers:
                one.join(60 * SLOWNESS)
        self.assertEqual(self.trouble(), [])
        seen = set().union(*(one.seen for one in self.readers))
        for phase, side in expected.items():
            self.assertEqual({(api, who) for at, api, who in seen if at == phase},
                             {("users", side), ("orders", "old")}, phase)
        self.assertEqual({who for _, api, who in seen if api == "orders"}, {"old"})


class Equal(Apis):
    """Statements of an api and of none, mixed: both sides end equal."""

    loops = 2
    named_after_their_side = False
    users = ("SELECT n FROM users WHERE id = {{id}}", "UPDATE users SET n = n + 1 WHERE id = {{id}}",
             "SELECT n FROM orders WHERE id = {{id}} ORDER BY id", "SELECT side FROM users WHERE id = {{id}}")

    @staticmethod
    def scripts(seed, count):
        """Units of a session, as messages."""
        dice = random.Random(seed)

        def table():
            return dice.choice(("users", "orders"))

        def read():
            key, place = dice.randrange(1, 6), table()
            return dice.choice((
                f"select n from {place} where id = {key}",
                f"select n from {place} where id = {key} order by id",
                f"select n from users where id = {key}", f"select sum(n) from {place}",
                f"select a.n, b.n from users a, orders b where a.id = {key} and b.id = {key}"))

        def text():
            key, place = dice.randrange(1, 6), table()
            return dice.choice((
                read(), read(), f"update {place} set n = n + 1 where id = {key}",
                f"update {place} set n = n * 2 % 1000 where id = {key} returning n"))
        for _ in range(count):
            form = dice.random()
            if form < 0.4:
                yield query(text())
            elif form < 0.5:
                yield query("; ".join(text() for _ in range(dice.randrange(2, 4))))
            elif form < 0.7:
                yield segment(*(text() for _ in range(dice.randrange(1, 4))))
            elif form < 0.8:
                yield query(f"begin read only; {read()}; commit")
            elif form < 0.9:
                yield from (query("begin"), query(text()), segment(text(), text()),
                            query(dice.choice(("commit", "rollback"))))
            else:
                place = table()
                yield (parse("s", f"select n from {place} where id = $1") +
                       bind("", "s", [str(dice.randrange(1, 6))]) + execute("") + close("S", "s") + SYNC)

    @staticmethod
    def heard(client, count):
        """Rows, tags and codes, unit by unit."""
        return [[row_of(raw) if kind_of(raw) == "D" else
                 fields_of(raw)["C"] if kind_of(raw) == "E" else raw
                 for raw in client.until("Z", 60 * SLOWNESS) if kind_of(raw) in "DCE"] for _ in range(count)]

    def rows(self, server):
        return [server.sql(f"select id, n from {table} order by id") for table in ("users", "orders")]

    def test_a_session_hears_what_one_server_says(self):
        self.migrate(dual(0.0))
        alone = self.enterContext(PostgresServer(15))
        with alone.connect() as owner:
            for statement in self.tables:
                owner.ask(statement)
            for table in ("users", "orders"):
                owner.ask(f"insert into {table} select i, 'both' from generate_series(1, 100) i")
        for seed in range(6):
            self.patch(dual((0.0, 0.5, 1.0)[seed % 3]))
            units = list(self.scripts(seed, 60))
            with self.connect() as client, alone.connect() as other:
                for one in (client, other):
                    one.send(b"".join(units))
                self.assertEqual(self.heard(client, len(units)), self.heard(other, len(units)), seed)
        self.assertEqual(self.rows(self.old), self.rows(alone))
        self.assertEqual(self.rows(self.new), self.rows(alone))
        self.assertEqual(Ledger(self.sidecar, "m").total, 0)

    def test_writes_reach_both_sides_whoever_they_belong_to(self):
        self.migrate(dual(1.0))
        client = self.connect()
        for table in ("users", "orders"):
            client.rows(f"update {table} set n = n + 1 where id = 7")
            self.assertEqual(client.value(f"select n from {table} where id = 7"), "1")
        client.rows("; ".join(f"update {table} set n = n + 1 where id = 7" for table in ("users", "orders")))
        for server in (self.old, self.new):
            self.assertEqual(server.sql("select u.n, o.n from users u, orders o where u.id = 7 and o.id = 7"),
                             [["2", "2"]])

    def test_many_sessions_leave_both_sides_equal(self):
        self.migrate(dual(0.5))
        scripts = [list(self.scripts(100 + seed, 25)) for seed in range(12)]
        clients = [self.connect() for _ in scripts]

        def work(client, units):
            for unit in units:
                client.send(unit)
                client.until("Z", 120 * SLOWNESS)
        threads = [threading.Thread(target=work, args=pair) for pair in zip(clients, scripts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until(lambda: self.rows(self.old) == self.rows(self.new), 20, "both sides equal")


if __name__ == "__main__":
    unittest.main()
