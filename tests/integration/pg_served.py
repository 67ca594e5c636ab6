"""What tests of the sidecar before one PostgreSQL server share.

    class Abused(Served):
        def test_…(self):
            self.start(clients_max=50)      # self.old, self.sidecar, self.port; settings of the interlay
            client = self.client()          # logged in through it; closed with the test
            self.served()                   # somebody else is, and at once
"""

import contextlib
import socket
import unittest

from children import SLOWNESS, wait_until
from harness import Sidecar
from pg_conn import PgConn, ServerError, is_fatal
from pg_messages import fields_of, startup
from postgres import PostgresServer

MINUTE_S = 60.0  # tells what hangs from what a busy machine does late


class Served(unittest.TestCase):
    loops = 1
    config = None  # the sidecar's file

    def start(self, version=15, server=None, port=None, **settings):
        """`server`: settings of PostgreSQL; `port`: of what stands in front of it."""
        self.old = self.enterContext(PostgresServer(version, **(server or {})))
        self.serve(port or self.old.port, **settings)

    def serve(self, port, **settings):
        self.sidecar = self.enterContext(Sidecar(loops=self.loops, config=self.config))
        self.sidecar.must("POST", "/endpoints?check=false", {
            "id": "old", "kind": "postgres",
            "config": {"host": "127.0.0.1", "port": port, "database": "app"}})
        self.port = self.sidecar.add_interlay("postgres", "old", settings=settings)

    def client(self, limit_s=MINUTE_S, **more):
        return self.enterContext(PgConn(self.port, "app", limit_s=limit_s * SLOWNESS, **more))

    def bare(self, limit_s=MINUTE_S):
        """A connection on which nothing was said."""
        return self.enterContext(PgConn(self.port, limit_s=limit_s * SLOWNESS))

    def plain(self, count=1):
        """Plain sockets that say nothing: select() knows no more than 1024."""
        found = []
        for _ in range(count):
            found.append(socket.create_connection(("127.0.0.1", self.port), MINUTE_S))
            self.addCleanup(found[-1].close)
        return found

    def served(self, limit_s=20.0):
        with PgConn(self.port, "app", limit_s=limit_s * SLOWNESS) as client:
            self.assertEqual(client.rows("select 1, 'served'"), [["1", "served"]])
            client.terminate()

    def recovers(self, limit_s=10.0):
        """Somebody is served again, without any help."""
        def served():
            with contextlib.suppress(OSError, EOFError, ServerError):
                self.served()
                return True
            return False
        wait_until(served, limit_s, "served again")

    def refused(self, code, within_s=MINUTE_S):
        """The start-up packet is answered by this FATAL and the end. Returns its words."""
        with PgConn(self.port, limit_s=within_s * SLOWNESS) as client:
            client.send(startup(user="app", database="app"))
            return self.told(client, code)

    def told(self, client, code):
        """The last that the client is sent is this FATAL (or one of these), and it is closed. Returns its
        words."""
        messages = client.read_eof()
        self.assertEqual(client.rest, b"")
        self.assertTrue(messages and is_fatal(messages[-1]), messages[-3:])
        fields = fields_of(messages[-1])
        self.assertIn(fields["C"], code if isinstance(code, tuple) else (code,), fields)
        return fields["M"]

    def metric(self, name, **labels):
        return self.sidecar.metric(f"crossfade_{name}", **labels)

    def limit_hits(self, limit):
        return self.metric("limit_hits_total", limit=limit)

    def all_gone(self):
        wait_until(lambda: self.metric("sessions_open") == 0, 20, "no session is left behind")


__all__ = ["MINUTE_S", "PgConn", "Served", "ServerError"]
