"""Two servers of a kind and sidecars before the first of them, for tests of who is where: as the servers
tell, under load, and after kill -9.
"""

import time
import unittest

from children import wait_until
from commits import CommitLoad, outside, prepare, wrong
from harness import RawConn, RedisServer, Sidecar
from load import Load
from pg_conn import PgConn
from pg_pair import PgPair

OLD, NEW = b"old", b"new"
EVERY_S = 0.7


def pass_time(seconds=EVERY_S):
    over = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > over, 10 * seconds, "time passes")


class RedisSides(unittest.TestCase):
    """Two servers that tell who they are, and as many sidecars before the first as a test makes."""

    def setUp(self):
        self.old = self.enterContext(RedisServer())
        self.new = self.enterContext(RedisServer())
        for name, server in (("old", self.old), ("new", self.new)):
            Load.fill(server, name)
            server.call("SET", "side", name)

    def sidecar(self, *args, loops=4, settings=None):
        sidecar = self.enterContext(Sidecar(loops=loops, args=args))
        sidecar.add_endpoint("old", self.old)
        sidecar.add_endpoint("new", self.new)
        sidecar.add_interlay("cache", "old", settings=settings)
        return sidecar

    def writes_to(self, sidecar, source=None):
        """Where its clients' writes come to, as the servers tell."""
        before = [server.commandstats().get("incr", 0) for server in (self.old, self.new)]
        with RawConn(sidecar.ports["cache"], source=source) as client:
            for _ in range(20):
                client.call("INCR", "written")
        after = [server.commandstats().get("incr", 0) for server in (self.old, self.new)]
        return tuple(now - then for now, then in zip(after, before))

    def reads_from(self, sidecar, source=None):
        with RawConn(sidecar.ports["cache"], source=source) as client:
            return client.call("GET", "side")

    def is_on(self, sidecar, side, source=None):
        self.assertEqual(self.reads_from(sidecar, source), side)
        self.assertEqual(self.writes_to(sidecar, source), (20, 0) if side == OLD else (0, 20))

    def after_kill(self, sidecar, side, source=None):
        sidecar.kill9()
        sidecar.restart()
        self.is_on(sidecar, side, source)


class PgSides(PgPair):
    loops = 2

    def setUp(self):
        super().setUp()
        prepare(self.old, self.new)

    def is_on(self, side):
        with PgConn(self.port, "app", "app") as client:
            self.assertEqual(self.side_of(client), side)
            server = self.new if side == "new" else self.old
            before = int(server.value("select count(*) from commits"))
            client.ask("insert into commits values (-1, 0, false)")
            self.assertEqual(int(server.value("select count(*) from commits")), before + 1)
            client.ask("delete from commits where id = -1")

    def after_kill(self, side):
        self.sidecar.kill9()
        self.sidecar.restart()
        self.is_on(side)

    def run_spans(self, calls, sessions=8):
        """`calls`: (function, the side that is active after it), under load. Every acknowledged commit is on
        the server that was active."""
        spans = [[self.old.port, time.monotonic(), None]]
        with CommitLoad(self.port, sessions=sessions) as load:
            pass_time()
            for call, side in calls:
                began = time.monotonic()
                call()
                spans[-1][2] = time.monotonic()
                spans.append([(self.new if side == "new" else self.old).port, began, None])
                pass_time()
            result = load.stop()
        self.assertEqual(result.trouble, [], result)
        self.assertEqual(wrong(result, [self.old, self.new]), [], result)
        self.assertEqual(outside(result, spans), [], result)
        self.assertEqual(result.connects, sessions, result)
        for port in {span[0] for span in spans}:
            self.assertGreater(len([one for one in result.of("committed") if one.port == port]), 10,
                               result)
