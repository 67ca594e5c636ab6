"""A single statement is run on both sides in a block that is not the client's: whatever befalls the messages
around it, the client gets at most one error, is in no block, and goes on; what one side alone may have is
in the ledger.
"""

import socket
import threading
import unittest

from pg_dual_write_test import Dual
from pg_messages import SYNC, bind, body_of, execute, fields_of, kind_of, parse, query

BEGIN = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0"
FAILS = "SELECT 1/0"  # 22012; as when it is cancelled
FAILS_IN_ITS_BLOCK = f"BEGIN; {FAILS}"
DOES_NOT_END = "SELECT 1"
DOES_NOT_COMMIT = "COMMIT AND"  # 42601
COMMITS_AND_FAILS = f"COMMIT; {FAILS}"


class Rewriting:
    """A relay before the server on port `behind`: a Query that comes next can be made another one."""

    def __init__(self, behind):
        self._behind = behind
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self._lock = threading.Lock()
        self._rules = {}  # Query -> those to come in its place
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in self._sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended
            one.close()

    def rewrite(self, sql, *into):
        """The next ones, each to one of `into`."""
        with self._lock:
            self._rules[query(sql)] = [query(one) for one in into]

    def all_rewritten(self):
        with self._lock:
            return not any(self._rules.values())

    def _accept(self):
        while True:
            try:
                front = self._listener.accept()[0]
            except OSError:
                return
            back = socket.create_connection(("127.0.0.1", self._behind))
            for one in (front, back):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets += [front, back]
            for ends, change in (((front, back), self._changed), ((back, front), bytes)):
                threading.Thread(target=self._pass, args=(*ends, change), daemon=True).start()

    def _changed(self, data):
        with self._lock:
            for sent, into in self._rules.items():
                while into and sent in data:
                    data = data.replace(sent, into.pop(0), 1)
        return data

    @staticmethod
    def _pass(source, sink, change):
        try:
            while data := source.recv(1 << 16):
                sink.sendall(change(data))
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one of them has gone


class Ours(Dual):
    def reached_at(self, name, server):
        relay = self.enterContext(Rewriting(server.port))
        setattr(self, f"before_{name}", relay)
        return relay.port

    def setUp(self):
        super().setUp()
        relays = [self.before_old, self.before_new]
        self.before_first, self.before_second = relays if self.first is self.old else relays[::-1]
        self.client.ask("insert into t values (50, 0, '')")
        self.equal()

    def asked(self, messages):
        """Errors' codes and command tags, as far as ReadyForQuery, and that."""
        self.client.send(messages)
        told = []
        for one in self.client.until("Z"):
            if kind_of(one) == "E":
                told.append(fields_of(one)["C"])
            elif kind_of(one) in "CZ":
                told.append(body_of(one).rstrip(b"\0").decode())
        return told

    def insert(self, key):
        return self.asked(query(f"insert into t values ({key}, 0, '')"))

    def insert_extended(self, key):
        return self.asked(parse("", "insert into t values ($1, 0, '')") +
                          bind("", "", [b"%d" % key]) + execute("") + SYNC)

    def have(self, key):
        return [server.value(f"select count(*) from t where id = {key}")
                for server in (self.first, self.second)]

    def goes_on(self, key=90):
        """The session is as good as any, on both sides."""
        for relay in (self.before_first, self.before_second):
            self.assertTrue(relay.all_rewritten())
        for insert in (self.insert, self.insert_extended):
            self.assertEqual(insert(key), ["INSERT 0 1", "I"])
            self.assertEqual(self.have(key), ["1", "1"])
            key += 1

    # --- the first side

    def test_a_block_that_is_not_begun(self):
        for key, insert in ((60, self.insert), (61, self.insert_extended)):
            self.before_first.rewrite(BEGIN, FAILS)
            self.assertEqual(insert(key), ["INSERT 0 1", "I"])
            self.assertEqual(self.have(key), ["1", "0"])
            self.assertEqual(self.suspected(), {"t": "outcome"})
        self.goes_on()

    def test_a_block_that_is_not_begun_around_what_fails(self):
        self.before_first.rewrite(BEGIN, FAILS)
        self.assertEqual(self.insert(50), ["23505", "I"])
        self.nothing_suspected()
        self.goes_on()

    def test_a_block_that_fails_as_it_begins(self):
        for key, insert in ((60, self.insert), (61, self.insert_extended)):
            self.before_first.rewrite(BEGIN, FAILS_IN_ITS_BLOCK)
            self.assertEqual(insert(key), ["22012", "I"])
            self.assertEqual(self.have(key), ["0", "0"])
        self.nothing_suspected()
        self.goes_on()

    def test_a_block_that_is_not_rolled_back_at_once(self):
        for insert in (self.insert, self.insert_extended):
            self.before_first.rewrite("ROLLBACK", *3 * [DOES_NOT_END])
            self.assertEqual(insert(50), ["23505", "I"])
        self.nothing_suspected()
        self.goes_on()

    def test_a_block_that_is_not_committed(self):
        for key, insert in ((60, self.insert), (61, self.insert_extended)):
            self.before_first.rewrite("COMMIT", DOES_NOT_COMMIT)
            self.before_first.rewrite("ROLLBACK", DOES_NOT_END)
            self.assertEqual(insert(key)[-2:], ["42601", "I"])
            self.assertEqual(self.have(key), ["0", "0"])
        self.nothing_suspected()
        self.goes_on()

    def test_an_error_behind_a_commit(self):
        self.before_first.rewrite("COMMIT", COMMITS_AND_FAILS)
        self.assertEqual(self.insert(60), ["INSERT 0 1", "I"])
        self.assertEqual(self.have(60), ["1", "1"])
        self.nothing_suspected()
        self.goes_on()

    # --- the second

    def test_a_block_that_the_second_side_does_not_begin(self):
        self.before_second.rewrite(BEGIN, FAILS)
        self.assertEqual(self.insert(60), ["INSERT 0 1", "I"])
        self.assertEqual(self.have(60), ["1", "1"])
        self.assertEqual(self.suspected(), {"t": "outcome"})
        self.goes_on()

    def test_what_the_second_side_has_committed_and_the_first_has_not(self):
        self.before_second.rewrite(BEGIN, FAILS)
        self.before_first.rewrite("COMMIT", DOES_NOT_COMMIT)
        self.assertEqual(self.insert(60), ["42601", "I"])
        self.assertEqual(self.have(60), ["0", "1"])
        self.assertEqual(self.suspected(), {"t": "outcome"})
        self.assertEqual(self.metric("new_only_writes_total"), 1 if self.second is self.new else 0)
        self.goes_on()

    def test_a_block_that_fails_as_the_second_side_begins_it(self):
        self.before_second.rewrite(BEGIN, FAILS_IN_ITS_BLOCK)
        self.assertEqual(self.insert(60), ["INSERT 0 1", "I"])
        self.assertEqual(self.have(60), ["1", "0"])
        self.assertEqual(self.suspected(), {"t": "outcome"})
        self.goes_on()

    def test_a_block_that_the_second_side_does_not_commit(self):
        self.before_second.rewrite("COMMIT", DOES_NOT_COMMIT)
        self.assertEqual(self.insert(60), ["INSERT 0 1", "I"])
        self.assertEqual(self.have(60), ["1", "0"])
        self.assertEqual(self.suspected(), {"t": "outcome"})
        self.goes_on()

    def test_a_block_that_the_second_side_does_not_roll_back(self):
        self.second.sql("insert into t values (60, 0, '')")
        self.before_second.rewrite("ROLLBACK", DOES_NOT_END)
        self.assertEqual(self.insert(60), ["INSERT 0 1", "I"])
        self.assertEqual(self.suspected(), {"t": "outcome"})
        self.goes_on()


class OursByNew(Ours):
    policy = "new_authoritative"


if __name__ == "__main__":
    unittest.main()
