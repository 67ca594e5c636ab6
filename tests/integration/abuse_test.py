"""Abuse by connections and by bytes that are no requests: limits hold, nobody else is affected, and
malformed bytes get what the server itself says to them.
"""

import random
import resource
import socket
import unittest

from checking import CheckingLoad
from harness import SLOWNESS, RawConn, RedisServer, Sidecar, encode, wait_until
from memory import KIB, MIB, grew_less, raise_descriptor_limit, reset_peak, sanitized

BESIDE = 0
CROWD = 400  # connections at once: what overflows a server's backlog of 511 it waits for seconds


def exactly(client, size):
    """The next `size` bytes of a plain socket, or fewer when it ends."""
    got = b""
    while len(got) < size and (more := client.recv(size - len(got))):
        got += more
    return got


class Abused(unittest.TestCase):
    def start(self, strategy=None, loops=1, **settings):
        self.old = self.enterContext(RedisServer(maxclients=18_000))
        self.sidecar = self.enterContext(Sidecar(loops=loops))
        self.sidecar.add_endpoint("old", self.old)
        self.port = self.sidecar.add_interlay("cache", "old", settings=settings)
        if strategy:
            self.new = self.enterContext(RedisServer(maxclients=18_000))
            self.sidecar.add_endpoint("new", self.new)
            self.sidecar.migrate("m", strategy, "cache", "new")

    def sessions(self):
        return self.sidecar.metric("crossfade_sessions_open")

    def all_gone(self):
        wait_until(lambda: self.sessions() == 0, 20, "no session is left behind")

    def served(self):
        """A client that behaves is served, and at once."""
        client = socket.create_connection(("127.0.0.1", self.port), 2 * SLOWNESS)
        with client:
            client.sendall(encode("SET", "well behaved", "v") + encode("GET", "well behaved"))
            self.assertEqual(exactly(client, 12), b"+OK\r\n$1\r\nv\r\n")

    def upstreams(self):
        """Connections of old, our own one for asking included."""
        return int(self.old.info("clients")["connected_clients"])

    def connect(self, count):
        """`count` plain sockets (select() knows no more than 1024); they are closed with the test. They come
        no faster than old accepts theirs."""
        found = []
        for number in range(1, count + 1):
            one = socket.create_connection(("127.0.0.1", self.port), 20)
            self.addCleanup(one.close)
            found.append(one)
            if number % CROWD == 0:
                wait_until(lambda: self.upstreams() > number,
                           20, f"{number} upstreams")
        return found


class Many(Abused):
    def test_ten_thousand_idle_connections(self):
        hard = raise_descriptor_limit()
        self.start()
        # The sidecar needs two descriptors each; a hard limit of 20,000 is as good as enough.
        count = min(10_000, (hard - 200) // 2)
        with RawConn(self.port) as warm:
            warm.call("PING")
        before = reset_peak(self.sidecar)
        clients = self.connect(count)
        wait_until(lambda: self.sessions() == count, 30, f"{count} sessions")
        wait_until(lambda: self.upstreams() > count, 30, "upstreams")
        silent = (self.sidecar.rss() - before) / count
        for number, client in enumerate(clients):
            client.sendall(encode("SET", f"k{number}", "v" * 100) + encode("GET", f"k{number}"))
        for client in clients:
            self.assertEqual(exactly(client, 113), b"+OK\r\n$100\r\n" + b"v" * 100 + b"\r\n")
        used = (self.sidecar.rss() - before) / count
        print(f"\n{count} connections: {silent:.0f} bytes each while they were silent, {used:.0f} "
              "after a request")
        if not sanitized():
            self.assertLess(silent, 8 * KIB)
            self.assertLess(used, 8 * KIB)
        self.served()
        for client in clients:
            client.close()
        self.all_gone()
        wait_until(lambda: self.upstreams() < 10, 20, "upstreams closed")
        # And again: what the first ones took serves the second ones.
        before = reset_peak(self.sidecar)
        clients = self.connect(count // 4)
        wait_until(lambda: self.sessions() == len(clients), 30, "sessions")
        grew_less(self, self.sidecar, before, 8 * KIB * len(clients))
        if count < 9_900:
            self.skipTest(f"the hard limit of {hard} descriptors allows no more than {count} connections")

    def test_idle_connections_with_a_second_side(self):
        hard = raise_descriptor_limit()
        self.start({"type": "shadow_traffic"})
        count = min(5000, (hard - 200) // 3)
        self.served()
        before = reset_peak(self.sidecar)
        clients = self.connect(count)
        # A copy whose connection does not come about within its time limit is dropped, and rightly so.
        for first in range(0, count, CROWD):
            batch = clients[first:first + CROWD]
            for number, client in enumerate(batch, first):
                client.sendall(encode("SET", f"k{number}", "v" * 100))
            for client in batch:
                self.assertEqual(exactly(client, 5), b"+OK\r\n")
            sent = first + len(batch)
            wait_until(lambda: self.new.call("DBSIZE") == sent + 1, 20, f"{sent} copies")
        used = (self.sidecar.rss() - before) / count
        print(f"\n{count} connections with a second side: {used:.0f} bytes each")
        if not sanitized():
            self.assertLess(used, 12 * KIB)
        if count < 5000:
            self.skipTest(f"the hard limit of {hard} descriptors allows no more than {count} connections")

    def test_twenty_thousand_come_and_go(self):
        raise_descriptor_limit()
        self.start(loops=2)
        self.served()
        files = self.sidecar.open_files()
        before = None
        for number in range(20_000):
            if number == 2000:
                before = reset_peak(self.sidecar)
            client = RawConn(self.port)
            if number % 10 == 0:
                self.assertEqual(client.call("PING"), "PONG")
            elif number % 10 == 1:
                client.send(b"*2\r\n$3\r\nGET\r\n$1")
            # A reset leaves no port behind in TIME_WAIT.
            client.abort()
        self.all_gone()
        grown = grew_less(self, self.sidecar, before, 16 * MIB)
        print(f"\n20,000 came and went: {grown / KIB:.0f} KiB more than after 2000")
        self.assertLessEqual(self.sidecar.open_files(), files + 2)
        wait_until(lambda: self.upstreams() < 5, 20, "upstreams closed")
        self.served()

    def test_clients_max(self):
        self.start(clients_max=50)
        clients = [self.enterContext(RawConn(self.port)) for _ in range(50)]
        for client in clients:
            self.assertEqual(client.call("PING"), "PONG")
        for _ in range(20):
            with RawConn(self.port) as one_too_many:
                replies = one_too_many.read_eof()
                self.assertEqual(replies, [b"-ERR max number of clients reached\r\n"])
        self.assertEqual(self.sidecar.metric("crossfade_limit_hits_total", limit="clients_max"), 20)
        for client in clients:
            self.assertEqual(client.call("PING"), "PONG")
        clients.pop().close()
        wait_until(lambda: self.sessions() == 49, 5, "one has left")
        self.served()

    def test_out_of_descriptors(self):
        self.start()
        first = [self.enterContext(RawConn(self.port)) for _ in range(10)]
        for client in first:
            self.assertEqual(client.call("SET", "k", "v"), "OK")
        resource.prlimit(self.sidecar.pid, resource.RLIMIT_NOFILE,
                         (self.sidecar.open_files() + 21,) * 2)
        more = self.connect(60)
        for client in more:
            client.setblocking(False)
            client.send(b"PING\r\n")
        # Those who were there are served, whatever becomes of the others.
        for _ in range(200):
            for client in first:
                self.assertEqual(client.call("GET", "k"), b"v")
        for client in more:
            client.close()

        def served():
            try:
                with RawConn(self.port, limit_s=1) as client:
                    return client.call("PING") == "PONG"
            except (OSError, EOFError, TimeoutError):
                return False
        wait_until(served, 5, "new clients are served again")


class HalfSent(Abused):
    HALVES = [b"*", b"*3", b"*3\r", b"*3\r\n", b"*3\r\n$", b"*3\r\n$3\r\nSE", b"*3\r\n$3\r\nSET\r",
              b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$", b"*2\r\n$3\r\nGET\r\n$1\r\nk\r", b"PIN", b"P",
              b"SET k 'unfinished", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nbeginning",
              b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n" + b"x" * 99_999, b"x" * 60_000,
              b"*2000000000\r\n$3\r\nDEL\r\n$1\r\nk\r\n", b"*100\r\n" + b"$1\r\nk\r\n" * 99,
              b"*3\r\n$3\r\nSET\r\n$500000\r\n" + b"k" * 100_000, b"*1\r\n$500000000\r\n",
              b"*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\n", b"*3\r\n$4\r\nEVAL\r\n$200000\r\nreturn 1 --"]

    def hold(self, strategy):
        raise_descriptor_limit()
        self.start(strategy)
        self.served()
        before = reset_peak(self.sidecar)
        clients = self.connect(1000)
        for number, client in enumerate(clients):
            half = self.HALVES[number % len(self.HALVES)]
            for byte in (half[n:n + 1] for n in range(min(len(half), 8))):
                client.sendall(byte)
            client.sendall(half[8:])
        wait_until(lambda: self.sessions() == 1000, 10, "sessions")
        with CheckingLoad({"beside": self.port}, slice_ms=300, rounds=3, clients=20, rate=2000) as load:
            result = load.result()["beside"]
        self.assertEqual((result.errors, result.wrong, result.lost), (0, 0, 0), result)
        # What they sent, once or twice, and 8 KiB for each.
        sent = sum(len(self.HALVES[n % len(self.HALVES)]) for n in range(1000))
        grown = grew_less(self, self.sidecar, before, 3 * sent + 1000 * 8 * KIB)
        print(f"\n1000 half requests of {sent / MIB:.1f} MiB: {grown / MIB:.1f} MiB, beside them {result}")
        # They may still finish.
        ends = {b"*2\r\n$3\r\nGET\r\n$1\r\nk\r": (b"\n", b"$-1\r\n"), b"PIN": (b"G\r\n", b"+PONG\r\n"),
                b"*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\n": (b"GET\r\n$1\r\nk\r\n", b"+OK\r\n+QUEUED\r\n"),
                b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n" + b"x" * 99_999: (b"x\r\n", b"+OK\r\n")}
        for half in ends:
            rest, expected = ends[half]
            client = clients[self.HALVES.index(half)]
            client.sendall(rest)
            self.assertEqual(exactly(client, len(expected)), expected)
        for client in clients:
            client.close()
        self.all_gone()
        self.served()

    def test_held_open_by_a_thousand_clients(self):
        self.hold(None)

    def test_held_open_by_a_thousand_clients_under_shadow(self):
        self.hold({"type": "shadow_traffic"})


class NotRequests(Abused):
    """Each stream goes to a real server directly and to another one through the sidecar: whatever the
    server says, and whether it closes, must be the same."""

    def setUp(self):
        self.direct = self.enterContext(RedisServer())
        self.strategy = None

    def the_same(self, stream):
        with RawConn(self.direct.port) as direct, RawConn(self.port) as proxied:
            for client in (direct, proxied):
                client.send(stream)
                client.shutdown_write()
            for client in (direct, proxied):
                client.read_eof(10 * SLOWNESS)
            self.assertEqual(bytes(proxied.received), bytes(direct.received), stream[:200])

    def test_oversized_and_malformed_lengths(self):
        self.start()
        numbers = [b"-1", b"-2", b"0", b"", b"+1", b"01", b"1 ", b" 1", b"1x", b"x", b"2147483647",
                   b"2147483648", b"4294967296", b"9223372036854775807", b"9223372036854775808",
                   b"99999999999999999999999", b"536870912", b"536870913", b"-2147483648", b"1e3",
                   b"\0", b"1\n", b"1\r", b"0x10"]
        for number in numbers:
            for stream in (b"*" + number + b"\r\n", b"*2\r\n$" + number + b"\r\n",
                           b"*2\r\n$3\r\nGET\r\n$" + number + b"\r\n", b"$" + number + b"\r\n",
                           b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$" + number + b"\r\nv\r\n",
                           b"PING\r\n*" + number + b"\r\nPING\r\n", b"*" + number + b"\n",
                           b"*1\r\n" + number + b"PING\r\n"):
                self.the_same(stream + b"\r\n*1\r\n$4\r\nPING\r\n")
        self.served()

    def test_other_protocols(self):
        self.start()
        for stream in (b"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\n\r\n",
                       b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
                       b"HEAD / HTTP/1.0\r\n\r\n", b"Host: x\r\nPING\r\n", b"OPTIONS * HTTP/1.1\r\n\r\n",
                       b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\4\0\0\0\0\0",
                       b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2,
                       b"\0\0\0\x08\x04\xd2\x16\x2f", b"\0\0\0\x29\0\x03\0\0user\0a\0database\0b\0\0",
                       b"SSH-2.0-OpenSSH_9.2\r\n", b"get k\r\nset k 0 0 1\r\nv\r\n", b"EHLO x\r\n",
                       b"\xff\xfe\xfd", b"\r\n\r\n\r\n", b"\n", b"\0" * 1000, b"\r" * 1000 + b"\n",
                       b"'unbalanced\r\n", b'"\\x41\\n"\r\n', b"PING 'a'b\r\n", b"a" * 70_000,
                       b"a" * 65_535 + b"\r\n", b"*" * 70_000, b"*1\r\n$4" + b" " * 70_000):
            self.the_same(stream)
        self.served()

    def test_requests_with_a_few_bytes_wrong(self):
        self.start()
        self.mutations(0x5EED, 600)

    def test_requests_with_a_few_bytes_wrong_under_shadow(self):
        self.start({"type": "shadow_traffic"})
        self.mutations(0xBAD, 400)

    def mutations(self, seed, count):
        chance = random.Random(seed)
        good = [encode("SET", "k", "v"), encode("GET", "k"), encode("DEL", "k", "l"), b"PING\r\n",
                encode("MSET", "a", "1", "b", "2"), encode("MULTI"), encode("EXEC"), encode("ECHO", "x" * 40),
                encode("LPUSH", "l", "1", "2"), encode("LRANGE", "l", "0", "-1"), b"SET k 'a b'\r\n",
                encode("INCR", "n"), encode("SELECT", "1"), encode("HSET", "h", "f", "v"), b"GET k\r\n"]
        for _ in range(count):
            stream = bytearray(b"".join(chance.choice(good) for _ in range(chance.randrange(1, 8))))
            for _ in range(chance.randrange(1, 5)):
                at = chance.randrange(len(stream))
                change = chance.randrange(5)
                if change == 0:
                    stream[at] = chance.randrange(256)
                elif change == 1:
                    del stream[at]
                elif change == 2:
                    stream.insert(at, chance.choice(b"*$\r\n0123456789 '\"\0-"))
                elif change == 3:
                    stream[at] = chance.choice(b"*$\r\n-0123456789")
                else:
                    del stream[at:]
                    break
                if not stream:
                    break
            self.the_same(bytes(stream))
        self.served()

    def test_random_bytes_from_many_at_once(self):
        self.start()
        chance = random.Random(7)
        with CheckingLoad({"beside": self.port}, slice_ms=500, rounds=4, clients=20, rate=1000) as load:
            for _ in range(400):
                with RawConn(self.port) as client:
                    client.send(chance.randbytes(chance.randrange(1, 3000)))
                    client.shutdown_write()
            result = load.result()["beside"]
        self.assertEqual((result.errors, result.wrong, result.lost), (0, 0, 0), result)
        self.all_gone()


if __name__ == "__main__":
    unittest.main()
