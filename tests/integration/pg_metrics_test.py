"""What is counted of PostgreSQL sessions is what passed."""

import unittest

from pg_messages import SYNC, bind, copy_data, execute, kind_of, parse, query
from pg_pair import INTERLAY, PgPair, reads
from pg_served import Served


class Counts(Served):
    def setUp(self):
        self.start()
        self.counted = self.client()

    def before_and_after(self, act, *names):
        before = [self.metric(name) for name in names]
        act()
        return [self.metric(name) - was for name, was in zip(names, before)]

    def test_requests_are_what_ends_with_ready_for_query(self):
        def act():
            self.counted.rows("create table t (v text)")
            for _ in range(4):
                self.counted.rows("select 1")
            extended = parse("", "select 1") + bind("", "") + execute("")
            self.counted.send((extended + SYNC) * 3 + extended * 5 + SYNC)
            for _ in range(4):
                self.counted.until("Z")
            self.counted.send(query("copy t from stdin") + copy_data(b"x\n") * 10 + b"c\0\0\0\4")
            self.counted.until("Z")
        names = ("requests_total", "leg_seconds_count", "proxy_seconds_count")
        self.assertEqual(self.before_and_after(act, *names), [10, 10, 10])
        self.assertEqual(self.metric("requests_total", side="old", kind="other"),
                         self.metric("requests_total"))

    def test_a_leg_takes_as_long_as_its_server(self):
        def act():
            self.counted.rows("select pg_sleep(0.2)")
        [seconds] = self.before_and_after(act, "leg_seconds_sum")
        self.assertGreaterEqual(seconds, 0.2)
        self.assertLess(self.metric("proxy_seconds_sum"), seconds)

    def test_errors_and_sessions(self):
        def act():
            for sql in ("select 1/0", "nonsense"):
                self.counted.ask(sql)
            self.served()
        names = ("errors_total", "sessions_total", "failures_total")
        self.assertEqual(self.before_and_after(act, *names), [2, 1, 0])

    def test_bytes_are_those_of_the_messages(self):
        sent = query("select repeat('x', 100000)")
        names = ("client_in", "server_out", "server_in", "client_out")
        before = [self.metric("bytes_total", direction=name) for name in names]
        self.counted.send(sent)
        got = sum(map(len, self.counted.until("Z")))
        after = [self.metric("bytes_total", direction=name) for name in names]
        self.assertEqual([now - was for now, was in zip(after, before)], [len(sent), len(sent), got, got])

    def test_what_is_no_message_is_a_protocol_error_and_told_by_the_server(self):
        def act():
            self.counted.send(b"z\0\0\0\4")
            self.assertEqual(kind_of(self.counted.read_eof()[-1]), "E")
        self.assertEqual(self.before_and_after(act, "protocol_errors_total"), [1])


class Texts(PgPair):
    """What was read of SQL, which is done where there are two sides."""

    settings = {"sql_length_max": 1024}

    def test_texts_are_counted_by_what_became_of_them(self):
        self.migrate(reads(1.0))
        client = self.connect()
        client.ask("select 0")
        before = self.read()
        for _ in range(2):
            client.ask("select side from here")
        client.send(parse("s", "select side from here") + bind("", "s") + execute("") + SYNC)
        client.until("Z")
        for sql in ("nonsense", "select '" + "x" * 2000 + "'", "select $$unended"):
            client.ask(sql)
        self.assertEqual({name: count - before[name] for name, count in self.read().items()},
                         {"cached": 2, "parsed": 1, "broken": 1, "too_long": 1, "unclear": 1})
        self.assertEqual(self.metric("limit_hits_total", limit="sql_length_max"), 1)
        self.sidecar.must("PATCH", f"/interlays/{INTERLAY}", {"settings": {"sql_length_max": 2048}})
        client.ask("select side from here")
        self.assertEqual(self.read()["parsed"] - before["parsed"], 2)  # nothing is known any more

    def read(self):
        return {result: self.metric("sql_texts_total", result=result)
                for result in ("cached", "parsed", "too_long", "unclear", "broken")}


if __name__ == "__main__":
    unittest.main()
