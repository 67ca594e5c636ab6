"""Big results, big rows, big COPYs, and readers and servers that take their time: what passes by is not kept,
nobody else is affected, and everything arrives.
"""

import contextlib
import hashlib
import select
import socket
import struct
import time
import unittest

from children import SLOWNESS, wait_until
from memory import GIB, KIB, MIB, grew_less, reset_peak
from pg_conn import PgConn
from pg_messages import COPY_DONE, TERMINATE, bind, copy_data, execute, kind_of, parse, query, startup, SYNC
from pg_served import MINUTE_S, Served

SLOW = SLOWNESS != 1
RESULT = (10 if SLOW else 100) * 1000   # rows of 1000 bytes
ROW = 64 * MIB if SLOW else 500 * MIB
COPY = 32 * MIB if SLOW else GIB


class Big(Served):
    def start_quietly(self, **settings):
        self.start(**settings)
        self.old.sql("set role app; create unlogged table t (v text)")
        self.beside = self.client()
        self.assertEqual(self.beside.value("select 1"), "1")
        self.before = reset_peak(self.sidecar)

    def reader(self, receive_buffer=None):
        """A blocking socket that is logged in."""
        client = socket.socket()
        self.addCleanup(client.close)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(2 * MINUTE_S * SLOWNESS)
        client.connect(("127.0.0.1", self.port))
        client.sendall(startup(user="app", database="app"))
        up_to_ready(client)
        return client

    def grew_less(self, limit):
        grown = grew_less(self, self.sidecar, self.before, limit)
        print(f"\n{self.id().rpartition('.')[2]}: RSS +{grown / MIB:.1f} MiB")


def up_to_ready(client):
    got = b""
    while not got.endswith(b"Z\0\0\0\5I"):
        more = client.recv(65536)
        if not more:
            raise EOFError(got[-200:])
        got += more
    return got


def rest_of(client, part=MIB):
    """Yields what comes up to the end of the stream."""
    buffer = bytearray(part)
    while size := client.recv_into(buffer):
        yield memoryview(buffer)[:size]


class Readers(Big):
    def test_a_result_that_nobody_reads_harms_nobody(self):
        self.start_quietly()
        readers = [self.reader(16 * KIB) for _ in range(5)]
        for client in readers:
            client.sendall(query(f"select repeat('x', 1000) from generate_series(1, {RESULT})"))
        wait_until(lambda: self.limit_hits("output_buffer_max") >= len(readers), 60, "their servers wait")
        for _ in range(50):
            self.assertEqual(self.beside.value("select 'beside'"), "beside")
        self.grew_less(8 * MIB)
        for client in readers:
            client.close()
        wait_until(lambda: self.metric("sessions_open") == 1, 20, "they are gone")
        wait_until(lambda: self.old.sessions() == 1, 20, "their backends, too")

    def test_a_slow_reader_gets_everything(self):
        """Byte for byte, also behind a Terminate that the server has obeyed long ago."""
        self.start_quietly()
        row = b"D" + struct.pack("!IHI", 1010, 1, 1000) + b"x" * 1000
        client = self.reader(16 * KIB)
        client.sendall(query(f"select repeat('x', 1000) from generate_series(1, {RESULT})") + TERMINATE)
        got, expected = hashlib.sha256(), hashlib.sha256()
        taken = 0
        for part in rest_of(client, 256 * KIB):
            got.update(part)
            taken += len(part)
            if taken % (MIB // 2) < len(part):
                self.assertEqual(self.beside.value("select 'beside'"), "beside")
        expected.update(b"T" + struct.pack("!IH", 31, 1) + b"repeat\0" +
                        struct.pack("!IHIHIH", 0, 0, 25, 0xffff, 0xffffffff, 0))
        for _ in range(RESULT):
            expected.update(row)
        tag = f"SELECT {RESULT}".encode() + b"\0"
        expected.update(b"C" + struct.pack("!I", 4 + len(tag)) + tag + b"Z\0\0\0\5I")
        self.assertEqual(got.hexdigest(), expected.hexdigest(), f"{taken} bytes")
        self.grew_less(8 * MIB)

    def test_a_row_as_long_as_rows_may_be(self):
        self.start_quietly()
        client = self.reader()
        client.sendall(query(f"select repeat('abcdefgh', {ROW // 8})") + TERMINATE)
        taken = sum(len(part) for part in rest_of(client))
        self.assertEqual(taken, 32 + 11 + ROW + 14 + 6)
        self.grew_less(8 * MIB)

    def test_a_statement_as_long_as_statements_may_be(self):
        self.start_quietly()
        size = 16 * MIB if SLOW else 100 * MIB
        text = b"x" * size
        client = self.reader()
        sql = b"select length('" + text + b"')\0"
        client.sendall(b"Q" + struct.pack("!I", 4 + len(sql)))
        client.sendall(sql)
        self.assertIn(str(size).encode(), up_to_ready(client))
        client.sendall(parse("", "select length($1::text)") + bind("", "", [text]) + execute("") + SYNC)
        self.assertIn(str(size).encode(), up_to_ready(client))
        self.grew_less(8 * MIB)


class Copies(Big):
    PART = copy_data((b"y" * 1023 + b"\n") * 64)

    def copy_in(self, client):
        client.sendall(query("copy t from stdin"))
        self.assertEqual(client.recv(1), b"G")
        began = time.monotonic()
        count = COPY // len(self.PART)
        for number in range(count):
            client.sendall(self.PART)
            if number % (count // 16) == 0:
                self.assertEqual(self.beside.value("select 'beside'"), "beside")
        client.sendall(COPY_DONE + TERMINATE)
        got = b"".join(bytes(part) for part in rest_of(client))
        self.assertIn(f"COPY {count * 64}".encode(), got)
        print(f"\nCOPY of {COPY / MIB:.0f} MiB in {time.monotonic() - began:.1f} s")
        return count * 64

    def test_copy_in_and_out(self):
        self.start_quietly()
        rows = self.copy_in(self.reader())
        self.grew_less(8 * MIB)
        client = self.reader()
        client.sendall(query("copy t to stdout") + TERMINATE)
        taken = sum(len(part) for part in rest_of(client))
        self.assertEqual(taken, 8 + 2 + rows * (5 + 1024) + 5 + 5 + len(f"COPY {rows}") + 1 + 6)
        self.grew_less(8 * MIB)

    def test_copy_into_a_server_that_takes_its_time(self):
        """It stops for a while: its client waits, nothing is kept, and nobody else waits but for it."""
        self.start_quietly()
        client = PgConn(self.port, "app", limit_s=MINUTE_S * SLOWNESS)
        self.addCleanup(client.close)
        client.send(query("copy t from stdin"))
        self.assertEqual(kind_of(client.read_raw()), "G")
        self.old.sigstop()
        sent = 0
        while select.select([], [client.socket], [], 1.0 * SLOWNESS)[1]:  # until nobody takes any more
            with contextlib.suppress(BlockingIOError):
                sent += client.socket.send(self.PART[sent % len(self.PART):])
        self.grew_less(8 * MIB)
        self.old.sigcont()
        missing = -sent % len(self.PART)
        client.send(self.PART[len(self.PART) - missing:] + COPY_DONE)
        client.until("Z")
        self.assertEqual(client.value("select count(*) from t"), str((sent + missing) // len(self.PART) * 64))
        self.assertEqual(self.beside.value("select 'beside'"), "beside")


if __name__ == "__main__":
    unittest.main()
