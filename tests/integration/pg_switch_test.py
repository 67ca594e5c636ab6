"""Changing sides under load: every acknowledged commit is on the side that was active, and no client sees
more of it than that it waits a moment.
"""

import os
import time
import unittest

from children import SLOWNESS, wait_until
from commits import CommitLoad, outside, prepare, wrong
from pg_messages import SYNC, bind, execute, fields_of, kind_of, parse, query, row_of
from pg_pair import INTERLAY, PgPair

FLIPS = int(os.environ.get("CROSSFADE_FLIPS") or 0) or (12 if SLOWNESS == 1 else 5)
EVERY_S = 1.0


def active(new):
    return {"type": "blue_green", "active_is_new": new}


class Flips(PgPair):
    versions = (15, 18)
    loops = 2

    def setUp(self):
        super().setUp()
        prepare(self.old, self.new)

    def test_every_commit_is_where_it_was_acknowledged(self):
        spans = []  # [port, from, to]

        def flip(new):
            began = time.monotonic()
            if spans:
                self.patch(active(new))
                spans[-1][2] = time.monotonic()
            else:
                self.migrate(active(new))
            spans.append([(self.new if new else self.old).port, began, None])

        flip(False)
        with CommitLoad(self.port, sessions=16) as load:
            for n in range(FLIPS):
                over = time.monotonic() + EVERY_S
                wait_until(lambda over=over: time.monotonic() > over, 10 * EVERY_S, "time passes")
                flip(n % 2 == 0)
            result = load.stop()
        self.assertEqual(result.trouble, [], result)
        self.assertEqual(wrong(result, [self.old, self.new]), [], result)
        self.assertEqual(outside(result, spans), [], result)
        # Refused by the load itself, or by its own conflicts: no connection is lost.
        self.assertEqual(result.connects, 16, result)
        for server in (self.old, self.new):
            self.assertGreater(len([one for one in result.of("committed") if one.port == server.port]),
                               20, result)


class Sessions(PgPair):
    settings = {"side_change_wait_ms": 1000}

    def setUp(self):
        super().setUp()
        self.client = self.connect()
        self.client.ask("set work_mem = '7MB'")
        self.client.send(parse("s", "select side from here") + SYNC)
        self.client.until("Z")

    def side_by_statement(self, client):
        client.send(bind("", "s") + execute("") + SYNC)
        return [row_of(one)[0].decode() for one in client.until("Z") if kind_of(one) == "D"]

    def test_a_session_goes_over_with_all_it_holds_and_back_again(self):
        self.migrate({"type": "big_bang"})
        self.assertEqual(self.side_by_statement(self.client), ["new"])
        self.assertEqual(self.client.value("show work_mem"), "7MB")
        self.client.ask("set work_mem = '8MB'; insert into here values ('more')")
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertEqual(self.side_by_statement(self.client), ["old"])
        self.assertEqual(self.client.value("show work_mem"), "8MB")
        self.assertEqual(self.old.value("select count(*) from here"), "1")

    def test_a_transaction_ends_where_it_began(self):
        self.client.ask("begin; insert into here values ('more')")
        self.migrate({"type": "big_bang"})
        self.assertEqual(self.client.value("select count(*) from here"), "2")
        self.client.ask("commit")
        self.assertEqual(self.client.value("select side from here"), "new")
        self.assertEqual(self.old.value("select count(*) from here"), "2")

    def test_it_is_not_complete_while_a_transaction_is_open_on_old(self):
        self.migrate({"type": "blue_green"})
        self.client.ask("begin; insert into here values ('more')")
        self.sidecar.must("PATCH", "/migrations/m", {"strategy": {"active_is_new": True}})

        def completed():
            return self.sidecar.api("POST", "/migrations/m/complete")
        status, answer = completed()
        self.assertEqual(status, 409)
        self.assertIn("1 sessions are in the midst of a request or transaction that began on old",
                      answer["message"])
        self.client.ask("commit")
        wait_until(lambda: completed()[0] == 200, 10 * SLOWNESS, "it has ended")
        self.assertEqual(self.client.value("select side from here"), "new")

    def test_an_idle_session_goes_over_by_itself(self):
        self.migrate({"type": "big_bang"})
        wait_until(lambda: int(self.new.value(
            "select count(*) from pg_stat_activity where usename = 'app'")) > 0, 10, "it is on new")

    def test_what_can_not_go_over_ends_with_a_reason_and_in_time(self):
        for sql in ("listen x", "create temp table mine (i int)", "select pg_advisory_lock(7)",
                    "declare c cursor with hold for select 1"):
            self.connect().ask(sql)
        tied = [self.connect() for _ in range(4)]
        for client, sql in zip(tied, ("listen x", "create temp table mine (i int)",
                                      "select pg_advisory_lock(8)",
                                      "declare c cursor with hold for select 1")):
            client.ask(sql)
        self.migrate({"type": "big_bang"})
        reasons = ("listens", "temp_object", "session_lock", "held_cursor")
        for client, reason in zip(tied, reasons):
            [error] = client.until("E", 20 * SLOWNESS)
            self.assertIn(b"57P01", error)
            self.assertIn(f"can not go over ({reason})".encode(), error)
            client.read_eof()
        self.assertEqual(self.side_by_statement(self.client), ["new"])

    def test_a_tied_session_that_lets_go_goes_over(self):
        self.sidecar.must("PATCH", f"/interlays/{INTERLAY}", {"settings": {"side_change_wait_ms": 60000}})
        self.client.ask("listen x")
        self.migrate({"type": "big_bang"})
        self.assertEqual(self.side_of(self.client), "old")
        self.client.ask("unlisten *")
        self.assertEqual(self.side_of(self.client), "new")

    def test_a_client_that_comes_when_all_is_on_new_needs_no_old(self):
        self.migrate({"type": "big_bang"})
        self.assertEqual(self.side_by_statement(self.client), ["new"])  # what it holds is told
        self.old.kill()
        client = self.connect()
        self.assertEqual(self.side_of(client), "new")
        self.assertEqual(self.side_by_statement(self.client), ["new"])

    def test_a_cancel_reaches_the_side_that_the_session_is_on(self):
        self.migrate({"type": "big_bang"})
        self.assertEqual(self.side_by_statement(self.client), ["new"])
        self.client.send(query("select pg_sleep(30)"))
        wait_until(lambda: self.new.value("select count(*) from pg_stat_activity where wait_event = "
                                          "'PgSleep'") == "1", 10, "it sleeps on new")
        self.client.cancel()
        self.assertIn(b"57014", self.client.until("E")[-1])


class Finished(PgPair):
    """A migration that is complete and deleted: its interlay stands in front of new, as its only side."""

    tables = ("create table t (id int primary key, n int)",
              "insert into t select i, i from generate_series(1, 9) i")

    def finish(self):
        self.sidecar.must("DELETE", "/migrations/m")

    def lasts(self, client, number):
        """It goes on, and on new."""
        self.assertEqual(client.rows(f"insert into t values ({number}, 0) returning id"), [[str(number)]])
        self.assertEqual(self.new.value(f"select count(*) from t where id = {number}"), "1")
        self.assertEqual(self.side_of(client), "new")

    def test_sessions_go_on_at_the_server_that_they_are_on(self):
        came, listens, holds, busy = [self.connect() for _ in range(4)]
        busy.ask("select 1")
        self.migrate({"type": "big_bang"})
        came_later = self.connect()
        holds.ask("set app.mine = 'yes'; set work_mem = '7MB'")
        listens.ask("listen x")
        busy.ask("begin; insert into t values (100, 0)")
        clients = [came, listens, holds, busy, came_later]
        backends = [client.value("select pg_backend_pid()") for client in clients]
        busy.send(query("select pg_sleep(1)"))
        self.finish()
        busy.until("Z")
        busy.ask("insert into t values (101, 0)")
        busy.ask("commit")
        self.assertEqual(self.new.value("select count(*) from t where id in (100, 101)"), "2")
        for number, client in enumerate(clients):
            self.lasts(client, 1000 + number)
        self.assertEqual([client.value("select pg_backend_pid()") for client in clients], backends)
        self.assertEqual(holds.value("select current_setting('app.mine')"), "yes")
        self.assertEqual(holds.value("show work_mem"), "7MB")
        came.ask("notify x, 'heard'")
        self.assertIn(b"heard", listens.read_raw())
        for client in clients:
            self.assertEqual(self.cancelled(client), ["57014"])
        self.assertEqual(self.old.value("select count(*) from t where id >= 100"), "0")
        self.assertEqual(self.metric("sessions_ended_total"), 0)
        # And once more, to where it came from.
        self.migrate({"type": "big_bang"}, new="old")
        self.assertEqual([self.side_of(client) for client in (came, holds, came_later)], ["old"] * 3)

    @staticmethod
    def pass_time():
        over = time.monotonic() + EVERY_S
        wait_until(lambda: time.monotonic() > over, 10 * EVERY_S, "time passes")

    def cancelled(self, client):
        client.send(query("select pg_sleep(30)"))
        wait_until(lambda: self.new.value("select count(*) from pg_stat_activity where wait_event = "
                                          "'PgSleep'") == "1", 10, "it sleeps on new")
        client.cancel()
        return [fields_of(raw)["C"] for raw in client.until("Z") if kind_of(raw) == "E"]

    def test_no_commit_is_elsewhere_than_it_was_acknowledged(self):
        prepare(self.old, self.new)
        with CommitLoad(self.port, sessions=8) as load:
            self.pass_time()
            self.migrate({"type": "big_bang"})
            moved = time.monotonic()
            self.pass_time()
            self.finish()
            self.pass_time()
            result = load.stop()
        self.assertEqual(result.trouble, [], result)
        self.assertEqual(wrong(result, [self.old, self.new]), [], result)
        self.assertEqual([one for one in result.of("committed")
                          if one.begun > moved and one.port == self.old.port], [], result)
        self.assertEqual(result.connects, 8, result)


if __name__ == "__main__":
    unittest.main()
