"""Abuse by size: big values, endless pipelines, readers that do not read, nesting without end. What
passes by is not kept, nobody else is affected, and what works with a server works through the sidecar.
"""

import hashlib
import select
import socket
import time
import unittest

from checking import CheckingLoad
from fake_server import FakeServer
from harness import SLOWNESS, RawConn, RedisServer, Sidecar, encode, temp_folder, wait_until
from memory import KIB, MIB, grew_less, reset_peak, sanitized

BESIDE = 0

SHADOW = {"type": "shadow_traffic"}
DUAL = {"type": "canary", "read_percentage": 0.0,
        "write_mode": {"mode": "dual_write", "policy": "old_authoritative"}}
HALF = {"type": "canary", "read_percentage": 0.5,
        "write_mode": {"mode": "dual_write", "policy": "old_authoritative"}}
ELSEWHERE = "sanitizers see the same paths in its neighbours"


def exactly(client, size):
    """The next `size` bytes of a plain socket, or fewer when it ends."""
    got = bytearray()
    while len(got) < size and (more := client.recv(min(size - len(got), MIB))):
        got += more
    return bytes(got)


class Big(unittest.TestCase):
    def start(self, strategy=None, **settings):
        self.old = self.enterContext(RedisServer())
        self.sidecar = self.enterContext(Sidecar())
        self.sidecar.add_endpoint("old", self.old)
        self.port = self.sidecar.add_interlay("cache", "old", settings=settings)
        if strategy:
            self.new = self.enterContext(RedisServer())
            self.sidecar.add_endpoint("new", self.new)
            self.sidecar.migrate("m", strategy, "cache", "new")
        self.beside().close()
        self.before = reset_peak(self.sidecar)

    def beside(self):
        client = self.enterContext(RawConn(self.port, limit_s=20 * SLOWNESS))
        self.assertEqual(client.call("PING"), "PONG")
        return client

    def grew_less(self, limit):
        grown = grew_less(self, self.sidecar, self.before, limit)
        print(f"\n{self.id().rpartition('.')[2]}: RSS +{grown / MIB:.1f} MiB")

    def plain_client(self, receive_buffer=16 * KIB):
        """A plain socket; with so small a receive buffer, whoever sends to it soon has to wait."""
        client = socket.socket()
        self.addCleanup(client.close)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(30 * SLOWNESS)
        client.connect(("127.0.0.1", self.port))
        return client

    def conserved(self, stem, answered):
        def settled():
            eligible, done, dropped = (self.sidecar.metric(f"crossfade_{stem}_{name}_total")
                                       for name in ("eligible", answered, "dropped"))
            return eligible > 0 and eligible == done + dropped
        wait_until(settled, 15, "second legs are accounted for")


class SlowReaders(Big):
    COUNT = 200

    def read_slowly(self, strategy, limit, **settings):
        """A client that asks for 200 MiB of replies in one pipeline and takes its time."""
        self.start(strategy, **settings)
        values = {f"k{n}": hashlib.sha256(b"%d" % n).digest() * 32768 for n in range(self.COUNT)}
        for key, value in values.items():
            self.old.call("SET", key, value)
            if strategy:
                self.new.call("SET", key, value)
        client, others = self.plain_client(), self.beside()
        client.sendall(b"".join(encode("GET", key) for key in values))
        taken = 0
        began = time.monotonic()
        got, expected = hashlib.sha256(), hashlib.sha256()
        total = 0
        for value in values.values():
            head = b"$%d\r\n" % len(value)
            for part in (head, value, b"\r\n"):
                expected.update(part)
                total += len(part)
        while taken < total:
            data = client.recv(min(total - taken, 16 * KIB if taken < 4 * MIB else MIB))
            self.assertNotEqual(data, b"", f"closed after {taken} bytes")
            taken += len(data)
            got.update(data)
            if taken % (64 * KIB) < 4 * KIB:
                self.assertEqual(others.call("SET", "beside", "v"), "OK")
        self.assertEqual(got.digest(), expected.digest())
        self.assertLess(time.monotonic() - began, 60 * SLOWNESS)
        self.grew_less(limit)

    def test_alone(self):
        self.read_slowly(None, 8 * MIB)

    def test_under_shadow(self):
        self.read_slowly(SHADOW, 8 * MIB)

    def test_replies_of_both_sides_in_order(self):
        # What comes before its turn is kept: up to reorder_max where it waits, as much on its way to
        # the client, and buffers that double as they grow.
        self.read_slowly(HALF, 8 * 4 * MIB + 16 * MIB, reorder_max=4 * MIB)

    def test_a_client_that_never_reads_ends_nobody(self):
        self.start()
        self.old.call("SET", "k", b"x" * MIB)
        for _ in range(50):
            self.plain_client().sendall(encode("GET", "k") * 10)
        others = self.beside()
        for n in range(500):
            self.assertEqual(others.call("SET", "n", n), "OK")
            self.assertEqual(others.call("GET", "n"), str(n).encode())
        # Each: output_buffer_max and what one reading of its server brought.
        self.grew_less(50 * (256 + 2 * 256) * KIB + 8 * MIB)


class Floods(Big):
    def stuff(self, request, seconds):
        """Sends as much as is taken, reading nothing. Returns the bytes taken and, before and meanwhile, the
        p99 in us of the clients beside it and of clients of the server itself, who wait for the machine and
        for the server as those do: of a quarter of their turns, as the machine is noisy."""
        client = self.plain_client()
        client.setblocking(False)
        block = memoryview(request * (MIB // len(request)))
        p99 = []
        sent = at = 0
        for flooding in (False, True):
            with CheckingLoad({"beside": self.port, "direct": self.old.port}, slice_ms=100,
                              rounds=10 * seconds, clients=20, rate=1000) as load:
                end = time.monotonic() + 2 * seconds
                while flooding and time.monotonic() < end and sent < 1 << 30:
                    try:
                        taken = client.send(block[at:])
                        at = (at + taken) % len(block)
                        sent += taken
                    except BlockingIOError:
                        select.select([], [client], [], 0.05)
                results = load.result()
            for result in results.values():
                self.assertEqual((result.errors, result.wrong, result.lost), (0, 0, 0), result)
            p99.append({name: sorted(turn[2] for turn in result.turns)[len(result.turns) // 4]
                        for name, result in results.items()})
        print(f"\n{sent / MIB:.0f} MiB taken; p99 in us before {p99[0]}, meanwhile {p99[1]}")
        return sent, *p99

    def flood_unread(self, strategy):
        self.start(strategy)
        sent, before, meanwhile = self.stuff(encode("GET", "no such key here"), 2)
        self.assertLess(sent, 1 << 30)  # back-pressure stops the client
        self.grew_less(48 * MIB)
        # One more program on the way takes its turn at the machine once more than the server's clients need.
        self.assertLess(meanwhile["beside"],
                        before["beside"] * 1.2 + 2 * meanwhile["direct"] + 20_000 * SLOWNESS)

    def test_a_gigabyte_of_requests_whose_replies_nobody_reads(self):
        self.flood_unread(None)

    @unittest.skipIf(SLOWNESS > 1, ELSEWHERE)
    def test_a_gigabyte_of_requests_whose_replies_nobody_reads_under_shadow(self):
        self.flood_unread(SHADOW)

    def test_a_gigabyte_of_writes_goes_through(self):
        """Replies fit into buffers: everything is taken, nothing is kept."""
        for strategy in (None, DUAL):
            with self.subTest(strategy=strategy):
                self.start(strategy, second_bytes_max=4 * MIB)
                # The replies must fit: behind a full receive buffer Linux drops acknowledgements too, and a
                # client that only sends then waits for ever, whoever the server is (TcpExtBeyondWindow).
                client = self.plain_client(receive_buffer=MIB)
                request = encode("SET", "k", b"x" * (128 * KIB))
                for _ in range(8192):
                    client.sendall(request)
                client.sendall(encode("PING"))
                expected = 8192 * 5 + 7
                self.assertEqual(exactly(client, expected), b"+OK\r\n" * 8192 + b"+PONG\r\n")
                self.grew_less(32 * MIB)
                if strategy:
                    client.close()
                    self.conserved("second_writes", "answered")

    def million(self, strategy, requests, replies):
        """Nothing is read before the last of a million commands is sent: as with the server itself."""
        self.start(strategy)
        client = socket.create_connection(("127.0.0.1", self.port), 20 * SLOWNESS)
        self.addCleanup(client.close)
        block = b"".join(requests) * (1000 // len(requests))
        for _ in range(1000):
            client.sendall(block)
        expected = b"".join(replies) * (1000 // len(requests))
        got, left = bytearray(), 1000 * len(expected)
        while left > 0:
            data = client.recv(MIB)
            self.assertNotEqual(data, b"", f"{left} bytes are missing")
            got += data
            left -= len(data)
            while len(got) >= len(expected):
                self.assertEqual(bytes(got[:len(expected)]), expected)
                del got[:len(expected)]
        self.assertEqual((left, got), (0, b""))
        self.beside()

    READS = [encode("GET", "none"), encode("PING"), encode("EXISTS", "k"), encode("ECHO", "x")]
    READ_REPLIES = [b"$-1\r\n", b"+PONG\r\n", b":0\r\n", b"$1\r\nx\r\n"]
    WRITES = [encode("SET", "k", "v"), encode("GET", "k")]
    WRITE_REPLIES = [b"+OK\r\n", b"$1\r\nv\r\n"]

    def test_a_million_reads_in_one_pipeline(self):
        self.million(None, self.READS, self.READ_REPLIES)
        self.grew_less(48 * MIB)

    @unittest.skipIf(SLOWNESS > 1, ELSEWHERE)
    def test_a_million_commands_in_one_pipeline_under_shadow(self):
        self.million(SHADOW, self.WRITES, self.WRITE_REPLIES)
        self.conserved("shadow", "copied")
        self.grew_less(128 * MIB)

    def test_a_million_commands_in_one_pipeline_with_dual_writes(self):
        self.million(DUAL, self.WRITES, self.WRITE_REPLIES)
        self.conserved("second_writes", "answered")
        self.grew_less(128 * MIB)

    @unittest.skipIf(SLOWNESS > 1, ELSEWHERE)
    def test_a_million_commands_in_one_pipeline_to_both_sides(self):
        self.million(HALF, self.WRITES, self.WRITE_REPLIES)
        self.grew_less(128 * MIB)


class Huge(Big):
    SIZE = 512 * MIB

    def set_and_get(self, strategy, **settings):
        self.start(strategy, **settings)
        client = socket.create_connection(("127.0.0.1", self.port), 120 * SLOWNESS)
        self.addCleanup(client.close)
        chunk = bytes(range(256)) * (4 * KIB)
        client.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % self.SIZE)
        for _ in range(self.SIZE // len(chunk)):
            client.sendall(chunk)
        client.sendall(b"\r\n*2\r\n$6\r\nSTRLEN\r\n$1\r\nk\r\n")
        answer = b"+OK\r\n:%d\r\n" % self.SIZE
        self.assertEqual(exactly(client, len(answer)), answer)
        client.sendall(encode("GET", "k") + encode("PING"))
        head = b"$%d\r\n" % self.SIZE
        self.assertEqual(exactly(client, len(head)), head)
        for number in range(self.SIZE // len(chunk)):
            self.assertTrue(exactly(client, len(chunk)) == chunk, f"MiB {number} of the value")
        self.assertEqual(exactly(client, 9), b"\r\n+PONG\r\n")
        if not sanitized():
            self.assertLess(self.before, 64 * MIB)
            self.grew_less(64 * MIB - self.before)

    def test_512_mb_alone(self):
        self.set_and_get(None)

    def test_512_mb_under_shadow(self):
        self.set_and_get(SHADOW, second_bytes_max=8 * MIB)
        self.conserved("shadow", "copied")

    def test_many_arguments(self):
        """A million arguments, 18 MB, in one request."""
        pairs = b"".join(b"$8\r\nk%07d\r\n$1\r\nv\r\n" % n for n in range(500_000))
        for strategy in (None, SHADOW, DUAL, HALF):
            with self.subTest(strategy=strategy):
                # It is about size: what takes a slow machine longer than its time is told elsewhere.
                self.start(strategy, second_leg_timeout_ms=30_000)
                client = self.beside()
                client.send(b"*1000001\r\n$4\r\nMSET\r\n" + pairs)
                self.assertEqual(client.read(), "OK")
                self.assertEqual(self.old.call("DBSIZE"), 500_000)
                self.assertEqual(client.call("PING"), "PONG")
                if strategy:
                    wait_until(lambda: self.new.call("DBSIZE") == 500_000, 10, "new has them")


class Nesting(Big):
    def test_lua_tables_in_tables(self):
        self.start(SHADOW)
        client = self.beside()
        for depth in (1, 3, 7, 50):
            script = "local t = {1} for i = 2, %d do t = {t, 'x', i} end return t" % depth
            with RawConn(self.old.port) as direct:
                direct.command("EVAL", script, 0)
                expected = direct.read_raw()
            for _ in range(3):
                client.command("EVAL", script, 0)
                self.assertEqual(client.read_raw(), expected)
        self.assertEqual(client.call("PING"), "PONG")

    def test_endless_nesting_from_a_server_passes_by(self):
        fake = self.enterContext(FakeServer())
        speech = f"{temp_folder('speech')}/speech"
        sidecar = self.enterContext(Sidecar())
        sidecar.add_endpoint("old", fake.port, check=False)
        port = sidecar.add_interlay("cache", "old")
        before = reset_peak(sidecar)
        deep = 100_000
        for said in (b"*1\r\n" * deep + b":1\r\n", b"*2\r\n:1\r\n" * deep + b"$-1\r\n",
                     b"%1\r\n+k\r\n" * deep + b"_\r\n", b"|1\r\n+k\r\n+v\r\n" * deep + b"+OK\r\n",
                     b"~1\r\n*1\r\n" * deep + b"#t\r\n", b"*0\r\n",
                     b"*%d\r\n" % deep + b"*1\r\n$0\r\n\r\n" * deep):
            with open(speech, "wb") as file:
                file.write(said)
            fake.become(f"say {speech}")
            with RawConn(port, limit_s=20 * SLOWNESS) as client:
                client.command("GET", "k")
                wait_until(lambda c=client: c.available() is None or len(c.received) >= len(said) or c.eof,
                           20, "the whole reply")
                self.assertEqual(bytes(client.received), said)
                self.assertIsNone(client.eof)
        self.assertTrue(sidecar.alive())
        grew_less(self, sidecar, before, 16 * MIB)

    def test_replies_that_claim_to_be_endless_are_not_waited_for_in_memory(self):
        fake = self.enterContext(FakeServer())
        speech = f"{temp_folder('speech')}/speech"
        sidecar = self.enterContext(Sidecar())
        sidecar.add_endpoint("old", fake.port, check=False)
        before = reset_peak(sidecar)
        for said in (b"*1000000000000\r\n" + b":1\r\n" * 10_000, b"$1000000000000\r\n" + b"x" * 10_000,
                     b"%500000000000\r\n+k\r\n", b"+" + b"x" * 1_000_000):
            with open(speech, "wb") as file:
                file.write(said)
            fake.become(f"say {speech}")
            port = sidecar.add_interlay(f"i{len(said)}", "old", settings={"answer_timeout_ms": 500})
            with RawConn(port, limit_s=20 * SLOWNESS) as client:
                client.command("GET", "k")
                client.read_eof()  # given up: half a reply cannot be mended
                self.assertTrue(said.startswith(bytes(client.received)))
        grew_less(self, sidecar, before, 16 * MIB)


if __name__ == "__main__":
    unittest.main()
