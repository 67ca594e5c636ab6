#!/usr/bin/python3
"""Conversations with a real PostgreSQL server, as the text that unit tests of the protocol replay.

    pg_conversations.py HOST PORT USER DATABASE    prints what a server there says to every script

A script is messages to send and marks to wait for; what passes by becomes tokens, one for each message in
the order in which a relay would see it (tests/unit/protocols/postgres/conversation.h says how they are
written). Runs of rows and of copied data are one token. The server must be empty: SETUP makes what the
scripts need.
"""

import re
import socket
import struct
import sys

LIMIT_S = 5

SETUP = """CREATE TABLE t (a int);
CREATE VIEW v AS SELECT 1 AS a;
CREATE TABLE u (a int UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE n (a int);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN RAISE EXCEPTION ''refused''; END';
CREATE TRIGGER early BEFORE INSERT ON n FOR EACH STATEMENT EXECUTE FUNCTION refuse();"""


def message(token, body=b""):
    """A message by its token: '>P', '>DS', … The type byte is the second character."""
    return token, token[1].encode() + struct.pack(">I", len(body) + 4) + body


def text(value):
    return value.encode() + b"\0"


def query(sql):
    return message(">Q", text(sql))


def parse(name, sql):
    return message(">P", text(name) + text(sql) + b"\0\0")


def bind(portal="", name=""):
    return message(">B", text(portal) + text(name) + bytes(6))


def describe(kind, name=""):
    return message(">D" + kind, kind.encode() + text(name))


def execute(rows_max=0, portal=""):
    return message(">E", text(portal) + struct.pack(">I", rows_max))


def close(kind, name):
    return message(">C", kind.encode() + text(name))


def call(function, argument):
    """FunctionCall with one argument as text."""
    return message(">F", struct.pack(">IHHI", function, 0, 1, len(argument)) + argument + bytes(2))


def data(content):
    return message(">d", content)


SYNC, FLUSH, DONE, TERMINATE = message(">S"), message(">H"), message(">c"), message(">X")
FAIL = message(">f", text("no more"))
BAD_FLUSH, BAD_DESCRIBE = message(">HX", b"x"), message(">DX", b"X\0")
ABS, MISSING = 1397, 999999  # functions by OID: abs(int4), none


def run(sql, rows_max=0):
    """The messages of one statement, as most drivers send them, without a Sync."""
    return [parse("", sql), bind(), describe("P"), execute(rows_max)]


# name: [what is sent at once, what is waited for, …]. "ZZ" waits for two ReadyForQuery, "EOF" for the end.
SCRIPTS = {
    "one result": [[query("SELECT 1")], "Z"],
    "empty query": [[query("")], "Z"],
    "only a comment": [[query("-- nothing")], "Z"],
    "two results": [[query("SELECT 1; SELECT 2")], "Z"],
    "error between results": [[query("SELECT 1; SELECT 1/0; SELECT 2")], "Z"],
    "error among rows": [[query("SELECT 1/(3-x) FROM generate_series(1,5) x")], "Z"],
    "transaction that fails": [[query("BEGIN")], "Z", [query("SELEC")], "Z", [query("SELECT 1")], "Z",
                               [query("ROLLBACK")], "Z"],
    "queries at once": [[query("SELECT 1"), query("SELEC"), query("SELECT 2")], "ZZZ"],
    "notice": [[query("DO 'BEGIN RAISE NOTICE ''x''; END'")], "Z"],
    "setting": [[query("SET TimeZone TO 'UTC+1'")], "Z"],
    "setting in a pipeline": [run("SET TimeZone TO 'UTC+2'") + run("SELECT 1") + [SYNC], "Z"],
    "notification to oneself": [[query("LISTEN c")], "Z", [query("NOTIFY c; SELECT 1")], "Z",
                                run("NOTIFY c") + [SYNC], "Z"],
    "FETCH and EXPLAIN": [[query("BEGIN; DECLARE d CURSOR FOR SELECT 1; FETCH d; EXPLAIN SELECT 1")], "Z"],
    "one statement": [run("SELECT 1") + [SYNC], "Z"],
    "statement without rows": [run("CREATE TABLE w (a int)") + [SYNC], "Z"],
    "empty statement": [run("") + [SYNC], "Z"],
    "describe statements": [[parse("s", "SELECT $1::int"), describe("S", "s"), parse("", "LISTEN c"),
                             describe("S"), SYNC], "Z"],
    "portal in parts": [[parse("", "SELECT generate_series(1,5)"), bind(), execute(2), execute(2), execute(2),
                         execute(2), SYNC], "Z"],
    "FETCH by Execute": [[query("BEGIN; DECLARE d CURSOR FOR SELECT 1")], "Z",
                         run("FETCH ALL FROM d") + [SYNC], "Z",
                         run("EXPLAIN SELECT 1") + run("SHOW TimeZone") + [SYNC], "Z"],
    "PREPARE and EXECUTE by Execute": [run("PREPARE q AS SELECT 1") + run("EXECUTE q") + [SYNC], "Z"],
    "Flush instead of Sync": [[parse("", "SELECT generate_series(1,3)"), FLUSH], "1", [bind(), FLUSH], "2",
                              [execute(1), FLUSH], "s", [execute(), FLUSH], "C", [SYNC], "Z"],
    "Close of unknown names": [[close("S", "x"), close("P", "x"), SYNC], "Z"],
    "DEALLOCATE ALL in a pipeline": [[parse("s", "SELECT 1")] + run("DEALLOCATE ALL") + [bind("", "s"), SYNC],
                                     "Z"],
    "DISCARD ALL": [[parse("s", "SELECT 1"), SYNC], "Z", [query("DISCARD ALL")], "Z",
                    [bind("", "s"), SYNC], "Z"],
    "segments at once": [run("SELECT 1") + [SYNC] + run("SELECT 1/0") + run("SELECT 2") + [SYNC]
                         + run("SELECT 3") + [SYNC, SYNC], "ZZZZ"],
    "error in Parse": [run("SELEC") + [SYNC], "Z"],
    "error in Bind": [[bind("", "none"), execute(), SYNC], "Z"],
    "error in Describe": [[describe("S", "none"), parse("", "SELECT 1"), SYNC], "Z"],
    "error in Execute": [[execute(0, "none"), parse("", "SELECT 1"), SYNC, parse("", "SELECT 1"), SYNC],
                         "ZZ"],
    "error among rows of Execute": [run("SELECT 1/(3-x) FROM generate_series(1,5) x") + [SYNC], "Z"],
    "error, and no Sync yet": [run("SELEC"), "E", [query("SELECT 1"), call(ABS, b"-5"), FLUSH], [SYNC], "Z",
                               [query("SELECT 1")], "Z"],
    "commit that fails": [run("INSERT INTO u VALUES (1), (1)") + [SYNC] + run("SELECT 1") + [SYNC], "ZZ"],
    "commit of a query that fails": [[query("INSERT INTO u VALUES (1), (1)"), query("SELECT 1")], "ZZ"],
    "query in a pipeline": [run("SELECT 1") + [query("SELECT 2; SELECT 3")] + run("SELECT 4") + [SYNC], "ZZ"],
    "query in a pipeline that failed": [run("SELEC") + [query("SELECT 2")] + run("SELECT 4") + [SYNC], "Z"],
    "query with an error in a pipeline": [[parse("", "SELECT 1"), query("SELEC"), parse("", "SELECT 1"),
                                           SYNC], "ZZ"],
    "function calls": [[call(ABS, b"-5"), call(MISSING, b"1"), call(ABS, b"x")], "ZZZ"],
    "function call in a pipeline": [[parse("", "SELECT 1"), call(ABS, b"-5"), bind(), SYNC], "ZZ"],
    "malformed Flush": [[BAD_FLUSH, parse("", "SELECT 1"), SYNC], "Z"],
    "malformed Describe": [[BAD_DESCRIBE, parse("", "SELECT 1"), SYNC], "Z"],
    "malformed Sync": [[message(">S", b"x"), parse("", "SELECT 1"), SYNC], "ZZ"],
    "malformed query": [[message(">Q", b"SELECT 1"), SYNC], "ZZ"],
    "ends of no COPY": [[DONE, FAIL, data(b"x"), query("SELECT 1"), DONE, SYNC], "ZZ"],
    "COPY OUT": [[query("COPY (SELECT generate_series(1,3)) TO STDOUT")], "Z"],
    "COPY OUT twice": [[query("COPY (SELECT 1) TO STDOUT; COPY (SELECT 2) TO STDOUT; SELECT 3")], "Z"],
    "COPY OUT by Execute": [run("COPY (SELECT 1) TO STDOUT") + run("SELECT 1") + [SYNC], "Z"],
    "COPY OUT that fails": [[query("COPY (SELECT 1/(3-x) FROM generate_series(1,5) x) TO STDOUT")], "Z"],
    "COPY OUT by Execute that fails": [run("COPY (SELECT 1/(3-x) FROM generate_series(1,5) x) TO STDOUT")
                                       + run("SELECT 1") + [SYNC], "Z"],
    "COPY IN": [[query("COPY t FROM STDIN")], "G", [data(b"1\n"), data(b"2\n"), DONE], "Z"],
    "COPY IN, all at once": [[query("COPY t FROM STDIN"), data(b"1\n"), DONE, query("SELECT 1")], "ZZ"],
    "COPY IN with Sync and Flush": [[query("COPY t FROM STDIN")], "G",
                                    [SYNC, data(b"1\n"), FLUSH, SYNC, data(b"2\n"), DONE, SYNC], "ZZ"],
    "COPY IN that the client fails": [[query("COPY t FROM STDIN")], "G", [data(b"1\n"), FAIL], "Z"],
    "COPY IN of bad data": [[query("COPY t FROM STDIN")], "G", [data(b"x\n")], "Z", [data(b"1\n"), DONE],
                            [query("SELECT 1")], "Z"],
    "COPY IN of bad data, all at once": [[query("COPY t FROM STDIN"), data(b"x\n"), data(b"1\n"), DONE,
                                          query("SELECT 1")], "ZZ"],
    "COPY IN of bad data, then ended": [[query("COPY t FROM STDIN")], "G", [data(b"x")], [DONE], "Z"],
    "COPY IN into no table": [[query("COPY none FROM STDIN"), data(b"1\n"), DONE, query("SELECT 1")], "ZZ"],
    "COPY IN into a view": [[query("COPY v FROM STDIN"), data(b"1\n"), DONE, query("SELECT 1")], "ZZ"],
    "COPY IN twice": [[query("COPY t FROM STDIN; COPY t FROM STDIN; SELECT 1")], "G", [data(b"1\n"), DONE],
                      "G", [data(b"2\n"), DONE], "Z"],
    "COPY IN twice, all at once": [[query("COPY t FROM STDIN; COPY t FROM STDIN"), data(b"1\n"), DONE,
                                    data(b"2\n"), DONE, query("SELECT 1")], "ZZ"],
    "COPY IN twice, the first fails": [[query("COPY t FROM STDIN; COPY t FROM STDIN"), data(b"1\n"), FAIL,
                                        data(b"2\n"), DONE, query("SELECT 1")], "ZZ"],
    "COPY IN that its data ends": [[query("COPY t FROM STDIN")], "G", [data(b"1\n\\.\n"), DONE], "Z",
                                   [query("SELECT 1")], "Z"],
    "COPY IN by Execute": [run("COPY t FROM STDIN"), [FLUSH], "G", [data(b"1\n"), DONE], [SYNC], "Z"],
    "COPY IN as libpq does": [run("COPY t FROM STDIN") + [SYNC], "G", [data(b"1\n"), DONE, SYNC], "Z",
                              [query("SELECT 1")], "Z"],
    "COPY IN as libpq does, all at once": [run("COPY t FROM STDIN") + [SYNC, data(b"1\n"), DONE, SYNC]
                                           + run("SELECT 1") + [SYNC], "ZZ"],
    "COPY IN as libpq does, bad data": [run("COPY t FROM STDIN") + [SYNC], "G", [data(b"x\n")], "E",
                                        [data(b"1\n"), DONE, SYNC], "Z", run("SELECT 1") + [SYNC], "Z"],
    "COPY IN as libpq does, bad data, all at once": [run("COPY t FROM STDIN")
                                                     + [SYNC, data(b"x\n"), data(b"1\n"), DONE, SYNC]
                                                     + run("SELECT 1") + [SYNC], "ZZ"],
    "COPY IN as libpq does, failed by the client": [run("COPY t FROM STDIN") + [SYNC], "G",
                                                    [data(b"1\n"), FAIL, SYNC], "Z",
                                                    [query("SELECT 1")], "Z"],
    "COPY IN as libpq does, into a view": [run("COPY v FROM STDIN") + [SYNC], "Z", [data(b"1\n"), DONE, SYNC],
                                           "Z", run("SELECT 1") + [SYNC], "Z"],
    "COPY IN as libpq does, into a view, all at once": [run("COPY v FROM STDIN")
                                                        + [SYNC, data(b"1\n"), DONE, SYNC]
                                                        + run("SELECT 1") + [SYNC], "ZZZ"],
    "COPY IN as libpq does, refused before data": [run("COPY n FROM STDIN") + [SYNC], "Z",
                                                   [data(b"1\n"), DONE, SYNC], "Z", [query("SELECT 1")], "Z"],
    "COPY IN with Sync in bad data": [[parse("", "COPY t FROM STDIN"), bind(), execute()], [FLUSH], "G",
                                      [data(b"1\n"), SYNC, data(b"x\n"), SYNC, data(b"2\n"), DONE, SYNC],
                                      "ZZ", [query("SELECT 1")], "Z"],
    "COPY IN without Sync, then more": [run("COPY t FROM STDIN") + [data(b"1\n"), DONE] + run("SELECT 1")
                                        + [SYNC], "Z"],
    "Query inside of COPY IN": [[query("COPY t FROM STDIN")], "G", [data(b"1\n"), query("SELECT 1")], "EOF"],
    "Parse inside of COPY IN": [run("COPY t FROM STDIN") + [FLUSH], "G", [data(b"1\n"), parse("", "SELECT 1"),
                                                                         SYNC], "EOF"],
    "connection ended by the server": [[query("SELECT 1; SELECT pg_terminate_backend(pg_backend_pid())")],
                                       "EOF"],
    "connection ended in a pipeline": [run("SELECT pg_terminate_backend(pg_backend_pid())") + run("SELECT 1")
                                       + [SYNC], "EOF"],
    "Terminate": [run("SELECT 1") + [SYNC, query("SELECT 2"), TERMINATE], "EOF"],
    "invalid type": [[query("SELECT 1"), message(">?", b"")], "EOF"],
}
WALSENDER_SCRIPTS = {
    "commands of replication": [[query("IDENTIFY_SYSTEM")], "Z", [query("SHOW TimeZone")], "Z"],
    "extended messages are refused": [[parse("", "SELECT 1"), SYNC], "Z"],
    "COPY BOTH": [[query("START_REPLICATION {position}")], "W", [DONE], "Z", [query("IDENTIFY_SYSTEM")], "Z"],
}


class Relay:
    """A connection whose messages are noted."""

    def __init__(self, where, parameters):
        host, port = where
        if host.startswith("/"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(f"{host}/.s.PGSQL.{port}")
        else:
            self.socket = socket.create_connection((host, port))
        self.socket.settimeout(LIMIT_S)
        self.received = b""
        self.tokens = []
        self.rows = []
        packet = struct.pack(">I", 3 << 16) + b"".join(map(text, parameters)) + b"\0"
        self.tokens.append(">>")
        self.socket.sendall(struct.pack(">I", len(packet) + 4) + packet)
        self.wait("Z")

    def send(self, messages):
        self.tokens += [token for token, _ in messages]
        self.socket.sendall(b"".join(content for _, content in messages))

    def wait(self, mark):
        """Takes messages until as many of those types have come, or the end has."""
        left = 10 ** 9 if mark == "EOF" else len(mark)
        while left > 0:
            kind, body = self.next()
            if kind is None:
                if mark == "EOF":
                    return
                raise EOFError(f"while it waits for {mark}: {' '.join(self.tokens)}")
            self.note(kind, body)
            left -= kind == mark[0]

    def note(self, kind, body):
        token = "<" + kind
        if kind == "Z":
            token += body.decode()
        elif kind == "E" and (b"\0VFATAL\0" in body or b"\0VPANIC\0" in body):
            token += "!"
        elif kind == "D":
            self.rows.append(body)
        if not (kind in "Dd" and self.tokens[-1] == token):
            self.tokens.append(token)

    def next(self):
        header = self.take(5)
        if len(header) < 5:
            return None, b""
        return chr(header[0]), self.take(struct.unpack(">I", header[1:])[0] - 4)

    def take(self, size):
        while len(self.received) < size:
            try:
                more = self.socket.recv(1 << 16)
            except ConnectionResetError:
                more = b""
            except TimeoutError:
                raise TimeoutError(" ".join(self.tokens)) from None
            if not more:
                return b""
            self.received += more
        taken, self.received = self.received[:size], self.received[size:]
        return taken


def play(where, parameters, steps):
    relay = Relay(where, parameters)
    with relay.socket:
        for step in steps:
            relay.wait(step) if isinstance(step, str) else relay.send(step)
    return relay


def record(host, port, user, database):
    """[(name, tokens as text)] of every script, against the server there."""
    session = ["user", user, "database", database]
    if "<E" in play((host, port), session, [[query(SETUP)], "Z"]).tokens:
        raise RuntimeError("the server is not empty")
    spoken = [(name, play((host, port), session, steps).tokens) for name, steps in SCRIPTS.items()]
    walsender = ["user", user, "replication", "true"]
    system = play((host, port), walsender, [[query("IDENTIFY_SYSTEM")], "Z"])
    position = re.search(rb"[0-9A-F]+/[0-9A-F]+", system.rows[0])[0].decode()
    for name, steps in WALSENDER_SCRIPTS.items():
        placed = [[query(content[5:-1].decode().replace("{position}", position)) if token == ">Q"
                   else (token, content) for token, content in step]
                  if isinstance(step, list) else step for step in steps]
        tokens = play((host, port), walsender, placed).tokens
        # What is in the stream is the server's affair, and the time's.
        spoken.append((name, [token for token in tokens if name != "COPY BOTH" or token != "<d"]))
    return [(name, " ".join(tokens)) for name, tokens in spoken]


if __name__ == "__main__":
    for title, conversation in record(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]):
        print(f"{title}: {conversation}")
