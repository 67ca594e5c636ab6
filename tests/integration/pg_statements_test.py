"""Prepared statements of the protocol while their session goes to and fro: what an application has prepared
is there, whatever was under way on either server when it went.
"""

import unittest

from harness import wait_until
from pg_messages import (SYNC, bind, close, describe, execute, fields_of, kind_of, parse, query, row_of)
from pg_pair import PgFlipped, PgPair, reads

WHICH = "select side from here"


def use(name):
    return bind("", name) + execute("") + SYNC


def told(messages):
    """Types of messages, with the SQLSTATE of errors, and rows of one column."""
    shown = {"E": lambda one: f"E {fields_of(one)['C']}", "D": lambda one: row_of(one)[0].decode()}
    return [shown.get(kind_of(one), kind_of)(one) for one in messages]


class Flipped(PgFlipped):
    """A session that goes to the other server at each flip."""

    def ask(self, messages):
        self.client.send(messages)
        return told(self.client.until("Z"))

    def prepared(self, name="s"):
        """On old, and not yet on new, where the session is."""
        self.assertEqual(self.ask(parse(name, WHICH) + SYNC), ["1", "Z"])
        self.flip()
        self.assertEqual(self.side_of(self.client), "new")


class Asked(Flipped):
    """A server is still telling what the session holds when a statement is used there for the first time."""

    WAITS = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"

    def setUp(self):
        super().setUp()
        self.client.ask("set work_mem = '8MB'")
        self.prepared()

    def asked_as_it(self, *uses):
        """What was sent meanwhile is answered so."""
        holder = self.enterContext(self.new.connect(user="postgres"))
        self.client.ask("set work_mem = '9MB'")  # so there is something to ask
        holder.ask("begin; lock table pg_catalog.pg_cursors in access exclusive mode")
        self.flip(False)
        wait_until(lambda: self.new.value(self.WAITS) == "1", 10, "it is asked")
        self.flip()
        sent = self.metric("bytes_total", direction="server_out")
        self.client.send(b"".join(uses))
        wait_until(lambda: self.metric("bytes_total", direction="server_out") > sent, 10, "it is sent")
        holder.ask("rollback")
        return [told(self.client.until("Z")) for _ in uses]

    def everywhere(self):
        for new in (True, False, True):
            side = "new" if new else "old"
            self.flip(new)
            self.assertEqual(self.ask(use("s")), ["2", side, "C", "Z"])
            self.assertEqual(self.client.value("execute s"), side)

    def test_one_that_is_brought_meanwhile_is_not_taken_for_dropped(self):
        self.assertEqual(self.asked_as_it(use("s")), [["2", "new", "C", "Z"]])
        self.everywhere()

    def test_nor_one_that_is_brought_for_sql(self):
        self.assertEqual(self.asked_as_it(query("execute s")), [["T", "new", "C", "Z"]])
        self.everywhere()

    def test_one_that_is_dropped_meanwhile_is(self):
        self.assertEqual(self.asked_as_it(close("S", "s") + SYNC), [["3", "Z"]])
        for new in (True, False, True):
            self.flip(new)
            self.assertEqual(self.ask(use("s")), ["E 26000", "Z"])

    def test_one_that_is_made_anew_meanwhile_is_that(self):
        again = close("S", "s") + parse("s", "select side || '!' from here") + SYNC
        self.assertEqual(self.asked_as_it(again), [["3", "1", "Z"]])
        for new in (True, False, True):
            self.flip(new)
            self.assertEqual(self.ask(use("s")), ["2", "new!" if new else "old!", "C", "Z"])


DUAL = {"mode": "dual_write", "policy": "old_authoritative", "engine": "statement"}


class PreparedBefore(PgPair):
    """By a session that is older than its migration, as those of pools are: nobody looked then."""

    tables = ("create table t (id int primary key)",)

    def setUp(self):
        super().setUp()
        self.client = self.connect()
        for name, text in (("r", WHICH), ("w", "insert into t values ($1)")):
            self.client.send(parse(name, text) + SYNC)
            self.client.until("Z")
        self.client.ask("prepare p as select side from here")

    def run_it(self, name, *values):
        self.client.send(bind("", name, [str(value).encode() for value in values]) + execute("") + SYNC)
        return told(self.client.until("Z"))

    def test_the_first_read_by_it_goes_where_reads_go(self):
        self.migrate(reads(1.0))
        self.assertEqual(self.run_it("r"), ["2", "new", "C", "Z"])

    def test_so_does_one_that_sql_has_prepared(self):
        self.migrate(reads(1.0))
        self.assertEqual(self.client.value("execute p"), "new")

    def test_the_first_write_by_it_is_written_to_both_and_costs_no_doubt(self):
        self.migrate({"type": "canary", "read_percentage": 1.0, "write_mode": DUAL})
        self.assertEqual(self.run_it("w", 1), ["2", "C", "Z"])
        self.assertEqual(self.run_it("r"), ["2", "new", "C", "Z"])
        self.assertEqual([server.value("select count(*) from t") for server in (self.old, self.new)],
                         ["1", "1"])
        told_of = self.sidecar.must("GET", "/migrations/m/divergence")
        self.assertEqual((told_of["entries"], told_of["reasons"]), ([], []))

    def test_in_a_pipeline_each_waits_for_what_was_sent_before_it(self):
        self.migrate(reads(1.0))
        self.client.send(query("select 1") + use("r") + use("r"))
        self.assertEqual(told(self.client.until("Z")), ["T", "1", "C", "Z"])
        for _ in range(2):
            self.assertEqual(told(self.client.until("Z")), ["2", "new", "C", "Z"])

    def test_what_was_never_prepared_is_told_so(self):
        self.migrate(reads(1.0))
        self.assertEqual(self.run_it("none"), ["E 26000", "Z"])
        self.assertEqual(self.run_it("r"), ["2", "new", "C", "Z"])


class Piped(Flipped):
    """The first use on the other server stands in a pipeline behind what fails."""

    FAILS = describe("P", "none")

    def setUp(self):
        super().setUp()
        self.prepared()

    def test_sql_that_runs_it_behind_a_segment_that_failed_before_it(self):
        self.client.send(self.FAILS + use("s") + query("execute s"))
        self.assertEqual(told(self.client.until("Z")), ["E 34000", "Z"])
        self.assertEqual(told(self.client.until("Z")), ["T", "new", "C", "Z"])

    def test_a_close_that_was_skipped(self):
        for name in ("s", ""):
            with self.subTest(name):
                self.flip(False)
                self.ask(parse(name, WHICH) + SYNC if not name else SYNC)
                self.flip()
                self.client.send(self.FAILS + close("S", name) + SYNC + use(name))
                self.assertEqual(told(self.client.until("Z")), ["E 34000", "Z"])
                self.assertEqual(told(self.client.until("Z")), ["2", "new", "C", "Z"])

    def test_a_close_that_was_skipped_of_what_has_another_meaning_by_now(self):
        self.assertEqual(self.ask(use("s")), ["2", "new", "C", "Z"])
        self.flip(False)
        self.ask(close("S", "s") + parse("s", "select side || '!' from here") + SYNC)
        self.flip()
        self.assertEqual(self.side_of(self.client), "new")
        self.client.send(self.FAILS + close("S", "s") + SYNC + use("s"))
        self.assertEqual(told(self.client.until("Z")), ["E 34000", "Z"])
        self.assertEqual(told(self.client.until("Z")), ["2", "new!", "C", "Z"])


if __name__ == "__main__":
    unittest.main()
