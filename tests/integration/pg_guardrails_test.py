"""Drills with PostgreSQL: new dies, slows down or says something else while clients read. What is due happens
by itself within the window, the journal says why, and no client sees anything of it.
"""

import collections
import threading
import unittest

from children import wait_until
from guardrails import DOWN, SHADOW, actions, reasons, told, wait_for
from pg_conn import PgConn
from pg_pair import PgPair, endpoint, reads
from postgres import PostgresServer

CLIENTS = 16


class Reading:
    """Clients that read all the time which side they are on, each with a connection of its own. What was
    asked in a phase is counted there."""

    def __init__(self, port, clients=CLIENTS):
        self.port = port
        self.phase = 0
        self.seen = collections.defaultdict(collections.Counter)
        self.trouble = []
        self._clients = clients
        self._ending = False
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._read, daemon=True) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.settle()
        return self

    def __exit__(self, *_):
        self._ending = True
        for thread in self._threads:
            thread.join()

    def _read(self):
        try:
            with PgConn(self.port, "app", "app", limit_s=30) as client:
                while not self._ending:
                    phase = self.phase
                    side = client.value("select side from here")
                    with self._lock:
                        self.seen[phase][side] += 1
        except Exception as error:  # the test reports it
            self.trouble.append(repr(error))

    def settle(self):
        """Waits until some requests of this phase are answered."""
        wait_until(lambda: self.trouble or sum(self.seen[self.phase].values()) >= 10 * self._clients, 40,
                   f"reads of phase {self.phase}")

    def next_phase(self):
        self.phase += 1
        self.settle()


class Drill(PgPair):
    loops = 2
    settings = {"connect_timeout_ms": 500}

    def start(self, strategy, guardrails, **members):
        self.sidecar.migrate("m", strategy, "pg", "new", force=True, guardrails=guardrails, **members)

    def check(self, load, before=("old", "new"), after=("old",)):
        self.assertEqual(load.trouble, [])
        self.assertEqual(set(load.seen[0]), set(before))
        self.assertEqual(set(load.seen[1]), set(after))

    def drill(self, cause, status="rolled_back", before=("old", "new"), clients=CLIENTS):
        """`cause` happens while clients read, and the migration comes to `status` by itself."""
        with Reading(self.port, clients) as load:
            wait_until(lambda: load.trouble or set(load.seen[0]) == set(before), 20, f"reads from {before}")
            cause()
            wait_for(self.sidecar, status)
            load.next_phase()
        self.check(load, before)

    def stays_on_old(self):
        self.sidecar.kill9()
        self.sidecar.restart()
        self.assertEqual(self.side_of(self.connect()), "old")


class NewKilled(Drill):
    def test_under_rollback_all(self):
        self.start(reads(0.5), DOWN, failure_handling="rollback_all")
        self.drill(self.new.kill)
        self.assertTrue(told(self.sidecar, "interlay 'pg': new is down for "), reasons(self.sidecar))
        self.assertEqual(actions(self.sidecar, "rollback", "new_side_down"), 1)
        self.stays_on_old()

    def test_under_retry_then_all(self):
        self.start(reads(0.5), DOWN, failure_handling={"type": "retry_then_all", "retry_count": 2})
        self.drill(self.new.kill)
        for words in ("retry 1 of 2 in ", "retry 2 of 2 in ", "still so after 2 retries"):
            self.assertTrue(told(self.sidecar, words), reasons(self.sidecar))
        self.assertEqual(actions(self.sidecar, "retry", "new_side_down"), 2)
        self.stays_on_old()

    def test_under_allow_partial(self):
        other = self.enterContext(PostgresServer(15))
        other.sql("create table here (side text)", "insert into here values ('other')",
                  "alter table here owner to app")
        self.sidecar.must("POST", "/endpoints",
                          {"id": "other", "kind": "postgres", "config": endpoint(other)})
        port = self.sidecar.add_interlay("second", "old")
        self.sidecar.create_migration("m", reads(0.5), "pg", "new", guardrails=DOWN,
                                      failure_handling="allow_partial")
        self.sidecar.must("POST", "/migrations/m/interlay/second", {"endpoint": "other"})
        self.sidecar.must("POST", "/migrations/m/migrate?force=true")
        with Reading(self.port) as load, Reading(port) as others:
            self.new.kill()
            wait_until(lambda: told(self.sidecar, "interlay 'pg' goes back to old, the others go on"), 40,
                       "it goes back")
            load.next_phase()
            others.next_phase()
        self.check(load)
        self.check(others, ("old", "other"), ("old", "other"))
        self.assertEqual(actions(self.sidecar, "rollback_interlay", "new_side_down"), 1)
        self.assertEqual(self.sidecar.must("GET", "/migrations/m")["status"], "running")
        self.stays_on_old()


class NewIsSlow(Drill):
    """By so much that a busy machine does not make old as slow."""

    relayed = True
    settings = None  # a login takes long, too, and is waited for
    rails = {"window_s": 4, "min_requests": 30, "p99_ratio": 3}

    def slow(self):
        self.relay.become("delay 300")

    def test_while_it_answers_half_of_the_reads(self):
        self.start(reads(0.5), self.rails)
        self.drill(self.slow)
        self.assertTrue(told(self.sidecar, "p99 on new is "), reasons(self.sidecar))
        self.assertTrue(told(self.sidecar, ", guardrail 3"), reasons(self.sidecar))
        self.assertEqual(actions(self.sidecar, "rollback", "p99_ratio"), 1)
        self.stays_on_old()

    def test_while_it_gets_copies(self):
        self.start(SHADOW, {**self.rails, "action": "pause"})
        self.drill(self.slow, "paused", before=("old",), clients=6)
        self.assertTrue(told(self.sidecar, "p99 on new is "), reasons(self.sidecar))
        self.assertEqual(actions(self.sidecar, "pause", "p99_ratio"), 1)


class NewSaysSomethingElse(Drill):
    def test_mismatches_take_it_back(self):
        self.start(SHADOW, {"window_s": 2, "min_requests": 50, "mismatch_rate": 0.05})
        self.drill(lambda: None, before=("old",))  # each reply of new's is another one
        self.assertTrue(told(self.sidecar, "confirmed mismatches "), reasons(self.sidecar))
        self.assertTrue(told(self.sidecar, "rolled back: all traffic is on old"))
        self.assertEqual(actions(self.sidecar, "rollback", "mismatch_rate"), 1)
        self.stays_on_old()


if __name__ == "__main__":
    unittest.main()
