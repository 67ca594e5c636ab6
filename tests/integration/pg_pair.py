"""Two PostgreSQL servers and a sidecar whose interlay stands before the first of them.

Each has a table `here` that says which of the two it is, so that a read tells where it was answered.
"""

import unittest

from fake_server import FakeServer
from harness import SLOWNESS, Sidecar, wait_until
from pg_conn import PgConn, ServerError
from pg_messages import kind_of, row_of
from postgres import PostgresServer

INTERLAY = "pg"
WRITES_OLD = {"mode": "cutover", "write_percentage": 0.0}


def reads(share):
    """A canary whose writes are all on old."""
    return {"type": "canary", "read_percentage": share, "write_mode": WRITES_OLD}


def endpoint(server, **config):
    return {"host": server.host, "port": server.port, "database": "app", "username": "app", **config}


class PgPair(unittest.TestCase):
    """`old`, `new`, `sidecar`, and the `port` of its interlay, made anew for each test."""

    versions = (15, 15)
    server = {}  # settings of both
    loops = 1
    settings = None
    config = None  # the sidecar's file
    args = ()  # further flags of the sidecar
    relayed = False  # whether `relay`, a FakeServer, stands before new
    tables = ()  # SQL that makes more of them, on both sides, as their owner

    def setUp(self):
        self.old, self.new = (self.enterContext(PostgresServer(version, **self.server))
                              for version in self.versions)
        for name, server in (("old", self.old), ("new", self.new)):
            server.sql("create table here (side text)", f"insert into here values ('{name}')",
                       "alter table here owner to app")
            with server.connect() as owner:
                for statement in self.tables:
                    owner.ask(statement)
        self.relay = self.enterContext(FakeServer(self.new.port)) if self.relayed else None
        self.sidecar = self.enterContext(Sidecar(loops=self.loops, config=self.config,
                                                 args=self.args))
        for name, server in (("old", self.old), ("new", self.new)):
            self.sidecar.must("POST", "/endpoints", {
                "id": name, "kind": "postgres",
                "config": {**endpoint(server), "port": self.reached_at(name, server)}})
        self.port = self.sidecar.add_interlay(INTERLAY, "old", settings=self.settings)

    def reached_at(self, name, server):
        """The port that the sidecar is told."""
        return self.relay.port if self.relayed and name == "new" else server.port

    def connect(self, **more):
        return self.enterContext(PgConn(self.port, "app", "app", limit_s=10 * SLOWNESS, **more))

    def migrate(self, strategy, new="new"):
        """In force, whatever its test says: what feeds new is not the business of these tests."""
        self.sidecar.migrate("m", strategy, INTERLAY, new, force=True)

    def patch(self, strategy):
        self.sidecar.must("PATCH", "/migrations/m?force=true", {"strategy": strategy})

    def metric(self, name, **labels):
        return self.sidecar.metric(f"crossfade_{name}", interlay=INTERLAY, **labels)

    def arrives(self, client, data):
        """Sends it, and returns when the sidecar has read that much, and nothing behind it."""
        before = self.metric("bytes_total", direction="client_in")
        client.send(data)
        wait_until(lambda: self.metric("bytes_total", direction="client_in") == before + len(data), 10,
                   "it has arrived")

    def side_of(self, client):
        return client.value("select side from here")

    def said(self, client, messages):
        """The first column of all rows that come for a unit."""
        client.send(messages)
        found = client.until("Z")
        for one in found:
            if kind_of(one) == "E":
                raise ServerError(one)
        return [row_of(one)[0].decode() for one in found if kind_of(one) == "D"]

    def comes_to(self, client, side, what=None):
        wait_until(lambda: self.side_of(client) == side, 10, what or f"reads come from {side}")


class PgFlipped(PgPair):
    """A blue_green migration, and a `client` that goes to the other server at each flip."""

    def setUp(self):
        super().setUp()
        self.migrate({"type": "blue_green", "active_is_new": False})
        self.client = self.connect()

    def flip(self, new=True):
        self.patch({"type": "blue_green", "active_is_new": new})
