"""Who cancels a dual write that the first side has done is not kept waiting for the second: that one goes
without, and it is noted.
"""

import time
import unittest

from harness import SLOWNESS, wait_until
from pg_dual_write_test import ALL, Dual
from pg_messages import SYNC, bind, execute, fields_of, kind_of, parse, query

LOCKED = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
SOON_S = 5.0 * SLOWNESS


class Late(Dual):
    settings = {"second_leg_timeout_ms": 600_000}

    def setUp(self):
        super().setUp()
        self.holder = self.enterContext(self.second.connect())
        self.holder.ask("begin; update t set note = 'held' where id = 1")

    def answers(self):
        return [fields_of(one)["C"] if kind_of(one) == "E" else kind_of(one)
                for one in self.client.until("Z")]

    def cancelled(self, sql):
        """The second side waits for a lock, and the client does no more. How it was answered."""
        self.client.send(query(sql))
        wait_until(lambda: self.second.value(LOCKED) == "1", 20, "the second side waits for a lock")
        began = time.monotonic()
        self.client.cancel()
        answers = self.answers()
        self.assertLess(time.monotonic() - began, SOON_S)
        wait_until(lambda: self.second.value(LOCKED) == "0", 20, "nobody waits for it any more")
        return answers

    def test_of_one_statement(self):
        self.assertEqual(self.cancelled("update t set n = 5 where id = 1"), ["C", "Z"])
        self.assertEqual(self.suspected(), {"t": "outcome"})
        self.assertEqual(self.first.value("select n from t where id = 1"), "5")
        self.holder.ask("rollback")
        self.assertEqual(self.second.value("select n from t where id = 1"), "0")
        self.client.ask("update t set n = 6 where id = 1")
        self.equal()

    def test_of_a_block(self):
        self.client.ask("begin")
        self.client.ask("update t set n = 4 where id = 2")
        self.assertEqual(self.cancelled("update t set n = 5 where id = 1"), ["C", "Z"])
        self.client.ask("update t set n = 6 where id = 3")
        self.client.ask("commit")
        self.assertEqual(self.suspected(), {"t": "outcome"})
        self.assertEqual(self.first.value("select sum(n) from t"), "15")
        self.holder.ask("rollback")
        self.assertEqual(self.second.value("select sum(n) from t"), "0")
        self.client.ask("update t set n = 0")
        self.equal()

    def test_what_is_sent_behind_it_is_not_hit(self):
        self.client.send(query("update t set n = 5 where id = 1") + query("update t set n = 7 where id = 2"))
        wait_until(lambda: self.second.value(LOCKED) == "1", 20, "the second side waits for a lock")
        self.client.cancel()
        self.assertEqual([self.answers(), self.answers()], [["C", "Z"], ["C", "Z"]])
        self.holder.ask("rollback")
        self.assertEqual(self.first.value("select sum(n) from t"), "12")
        self.assertEqual(self.second.value("select sum(n) from t"), "7")

    def test_the_first_side_is_cancelled_while_it_works(self):
        holder = self.enterContext(self.first.connect())
        holder.ask("begin; update t set note = 'held' where id = 2")
        self.client.send(query("update t set n = 5 where id = 2"))
        wait_until(lambda: self.first.value(LOCKED) == "1", 20, "the first side waits for a lock")
        self.client.cancel()
        self.assertEqual(self.answers(), ["57014", "Z"])
        holder.ask("rollback")
        self.holder.ask("rollback")
        self.equal(ALL)
        self.nothing_suspected()


class LateByNew(Late):
    policy = "new_authoritative"


class Ours(Dual):
    """What is ours around a statement fails on the first side, as it does when a cancel meets it."""

    policy = "new_authoritative"
    relayed = True
    WRITE = "update t set n = 5 where id = 1"
    FORMS = (query(WRITE), parse("", WRITE) + bind("", "") + execute("") + SYNC)

    def told(self, sent):
        self.client.send(sent)
        return [fields_of(one)["C"] if kind_of(one) == "E" else kind_of(one)
                for one in self.client.until("Z")]

    def goes_on(self):
        self.assertEqual(self.told(query("select 1")), ["T", "D", "C", "Z"])
        self.client.ask("update t set n = n + 1 where id = 2")
        self.equal("select n from t where id = 2")

    def test_the_statement_runs_where_its_block_has_not_begun(self):
        for form in self.FORMS:
            with self.subTest(form):
                self.client.ask("update t set n = 0")
                self.relay.become("swap BEGIN; SET|BEGIM; SET")
                self.assertEqual(self.told(form)[-2:], ["C", "Z"])
                self.assertEqual(self.first.value("select n from t where id = 1"), "5")
                self.assertEqual(self.suspected(), {"t": "outcome"})
                self.goes_on()

    def test_the_statement_has_failed_where_its_block_has(self):
        for form in self.FORMS:
            with self.subTest(form):
                self.relay.become("swap SET LOCAL idle_in_transaction_session_timeout|SELECT 1/0; SELECT 1")
                self.assertEqual(self.told(form), ["22012", "Z"])
                self.goes_on()
        self.nothing_suspected()

    def test_nobody_is_left_in_a_block_that_has_failed(self):
        self.relay.become("swap ROLLBACK|ROLLBACX")
        self.assertEqual(self.told(query("insert into t values (1, 0, '')")), ["23505", "Z"])
        self.goes_on()
        self.nothing_suspected()


if __name__ == "__main__":
    unittest.main()
