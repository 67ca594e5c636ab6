#!/usr/bin/python3
"""Sessions that commit without end and keep account of what they were told: the clients of commits.py.

    commit_load.py PORT SESSIONS SEED RESULT_FILE         until SIGTERM; "working" when all are connected

Each transaction appends an id of its own to `commits` and, in most forms, counts up a row of `counters`, in
one of FORMS: by simple and extended messages, in one round trip or many, by COPY, in a subtransaction, or
rolled back. It asks the server for its port, so the account says where the transaction ran.

What became of it is one of
    committed   COMMIT was acknowledged: the row has to be there
    refused     it was rolled back, by us or by an error: the row must not be there
    unknown     the connection was lost after COMMIT, or what stands for it, was sent: either is right
A session whose connection is lost connects anew. Times are those of CLOCK_MONOTONIC, in seconds.
"""

import json
import random
import signal
import sys
import threading
import time

from children import SLOWNESS
from pg_conn import PgConn, ServerError
from pg_messages import (COPY_DONE, SYNC, bind, copy_data, execute, fields_of, kind_of, parse, query,
                         row_of)

LIMIT_S = 20.0 * SLOWNESS   # for one answer; longer is trouble
CONNECT_PAUSE_S = 0.02
COUNTERS = 10
APPEND = "insert into commits (id, session, counted) values ({id}, {session}, {counted})"
COUNT = "update counters set n = n + 1 where id = {counter}"
PORT = "show port"


class Lost(Exception):
    """The connection ended; `.sent_commit` says whether the outcome is unknown."""


class Session(threading.Thread):
    def __init__(self, load, number):
        super().__init__(daemon=True)
        self._load = load
        self._number = number
        self._dice = random.Random(load.seed * 1000 + number)
        self._conn = None
        self._ids = 0
        self.account = []   # [id, outcome, begun, ended, port]
        self.codes = []     # SQLSTATEs, in order
        self.connects = 0
        self.trouble = None

    def run(self):
        try:
            while not self._load.stopping:
                if self._conn is None:
                    self._connect()
                else:
                    self._transaction()
        except Exception as error:  # the result tells it
            self.trouble = f"session {self._number}: {error!r}"
        self.ended = True

    ended = False

    def _connect(self):
        try:
            self._conn = PgConn(self._load.port, "app", limit_s=LIMIT_S, application_name="commit_load")
            self.connects += 1
        except ServerError as error:
            self.codes.append(error.code)
            self._load.wake.wait(CONNECT_PAUSE_S)
        except (OSError, EOFError):
            self._load.wake.wait(CONNECT_PAUSE_S)

    def _transaction(self):
        self._ids += 1
        number = self._number * 10_000_000 + self._ids
        form = self._dice.choice(FORMS)
        words = {"id": number, "session": self._number, "counter": self._dice.randrange(COUNTERS),
                 "counted": "false" if form in UNCOUNTED else "true"}
        begun = time.monotonic()
        self._port, self._commit_sent = None, False
        try:
            outcome = form(self, words)
        except Lost:
            outcome = "unknown" if self._commit_sent else "refused"
            self._conn.close()
            self._conn = None
        self.account.append([number, outcome, round(begun, 6), round(time.monotonic(), 6), self._port])

    # Steps of a transaction

    def ask(self, data, zs=1, commits=False):
        """Sends and reads `zs` times up to ReadyForQuery. Returns whether no error came."""
        self._commit_sent = self._commit_sent or commits
        good = True
        try:
            self._conn.send(data)
            while zs:
                raw = self._conn.read_raw()
                good = self._look(raw) and good
                zs -= kind_of(raw) == "Z"
        except EOFError as error:
            raise Lost from error
        return good

    def _look(self, raw):
        if kind_of(raw) == "E":
            self.codes.append(fields_of(raw)["C"])
        elif kind_of(raw) == "D":
            self._port = int(row_of(raw)[0])
        return kind_of(raw) != "E"

    def roll_back(self):
        self.ask(query("rollback"))
        return "refused"


def told(good):
    return "committed" if good else "refused"


# Forms of a transaction


def many_round_trips(session, words):
    for sql in ("begin", APPEND, PORT, COUNT):
        if not session.ask(query(sql.format(**words))):
            return session.roll_back()
    return told(session.ask(query("commit"), commits=True))


def one_query(session, words):
    sql = f"begin; {APPEND}; {PORT}; {COUNT}; commit"
    return told(session.ask(query(sql.format(**words)), commits=True))


def extended(sql):
    return parse("", sql) + bind("", "") + execute("")


def one_segment(session, words):
    """No BEGIN: Sync commits."""
    data = b"".join(extended(sql.format(**words)) for sql in (APPEND, PORT, COUNT)) + SYNC
    return told(session.ask(data, commits=True))


def segments_in_a_pipeline(session, words):
    data = b"".join(extended(sql.format(**words)) + SYNC for sql in ("begin", APPEND, PORT, COUNT, "commit"))
    return told(session.ask(data, zs=5, commits=True))


def named_statement(session, words):
    session.ask(query("begin"))
    name = f"append{words['id']}"
    if not session.ask(parse(name, "insert into commits (id, session, counted) values ($1, $2, true)",
                             (20, 23)) + SYNC):
        return session.roll_back()
    for data in (bind("", name, [str(words["id"]), str(words["session"])]) + execute("") + SYNC,
                 query(PORT), query(COUNT.format(**words)), query(f"deallocate {name}")):
        if not session.ask(data):
            return session.roll_back()
    return told(session.ask(query("commit"), commits=True))


def autocommit(session, words):
    """A statement that returns where it ran, and is all of its transaction."""
    sql = APPEND.format(**words) + " returning current_setting('port')"
    return told(session.ask(query(sql), commits=True))


def by_copy(session, words):
    session.ask(query("begin"))
    row = f"{words['id']}\t{words['session']}\tf\n".encode()
    data = query("copy commits (id, session, counted) from stdin") + copy_data(row) + COPY_DONE
    if not (session.ask(data) and session.ask(query(PORT))):
        return session.roll_back()
    return told(session.ask(query("commit"), commits=True))


def in_a_savepoint(session, words):
    for sql in ("begin", "savepoint s", "select 1/0"):
        session.ask(query(sql))
    session.codes.pop()  # the error that was asked for
    for sql in ("rollback to s", APPEND, PORT, COUNT, "release s"):
        if not session.ask(query(sql.format(**words))):
            return session.roll_back()
    return told(session.ask(query("commit"), commits=True))


def rolled_back(session, words):
    for sql in ("begin", APPEND, PORT, COUNT):
        if not session.ask(query(sql.format(**words))):
            break
    return session.roll_back()


UNCOUNTED = (autocommit, by_copy)
FORMS = (many_round_trips, one_query, one_segment, segments_in_a_pipeline, named_statement, autocommit,
         by_copy, in_a_savepoint, rolled_back)


class CommitLoad:
    def __init__(self, port, sessions, seed):
        self.port = port
        self.seed = seed
        self.stopping = False
        self.wake = threading.Event()
        self._sessions = [Session(self, number) for number in range(1, sessions + 1)]

    def run(self, result_path):
        signal.signal(signal.SIGTERM, lambda *_: self._stop())
        for session in self._sessions:
            session.start()
        while not self.stopping and not all(one.connects or one.ended for one in self._sessions):
            self.wake.wait(0.01)
        began = time.monotonic()
        print("working", flush=True)
        self.wake.wait()
        for session in self._sessions:
            session.join(2 * LIMIT_S)
        with open(result_path, "w", encoding="utf-8") as file:
            json.dump(self._result(time.monotonic() - began), file)

    def _stop(self):
        self.stopping = True
        self.wake.set()

    def _result(self, seconds):
        codes = {}
        for session in self._sessions:
            for code in session.codes:
                codes[code] = codes.get(code, 0) + 1
        return {"account": [one for session in self._sessions for one in session.account], "codes": codes,
                "connects": sum(session.connects for session in self._sessions), "seconds": seconds,
                "trouble": [session.trouble for session in self._sessions if session.trouble]}


if __name__ == "__main__":
    CommitLoad(*map(int, sys.argv[1:4])).run(sys.argv[4])
