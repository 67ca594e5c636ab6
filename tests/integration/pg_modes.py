"""How something stands between a client and PostgreSQL: the one parameter of every test of that protocol.

    setting = PgSetting("canary-everybody")       # or "relay": a dumb relay, which must be transparent, too
    setting.port, setting.servers, setting.answering
    setting.stop()

SERVED are the modes that the sidecar has so far. In those of ONE_SERVER both endpoints are the same server,
so that whatever goes from one side to the other has to be answered as if nothing had.
"""

import os
import threading

from children import SLOWNESS, wait_until
from harness import Sidecar
from pg_conn import ServerError
from postgres import PostgresServer
from relay import Relay

SERVED = ["pass-through", "canary-nobody", "shadow", "canary-everybody", "canary-one-server",
          "flips-one-server"]
ONE_SERVER = ("canary-one-server", "flips-one-server", "switched-one-server")
FLIP_EVERY_S = 0.02

STRATEGIES = {
    "pass-through": None,
    "shadow": {"type": "shadow_traffic"},
    "canary-nobody": {"type": "canary", "read_percentage": 0.0},
    # What is read from new has to be there: the statements of writes are run on both sides.
    "canary-everybody": {"type": "canary", "read_percentage": 1.0, "write_mode": {
        "mode": "dual_write", "policy": "old_authoritative", "engine": "statement"}},
    "canary-one-server": {"type": "canary", "read_percentage": 1.0,
                          "write_mode": {"mode": "cutover", "write_percentage": 0.0}},
    "flips-one-server": {"type": "blue_green", "active_is_new": False},  # and back, all the time
    "switched-one-server": {"type": "blue_green", "active_is_new": False},  # by whoever calls flip()
}
# Tables that a test has just made are known soon; a session that has to wait to go over is not ended.
CONFIG = {"limits": {"catalog_ms": 100}}
SETTINGS = {"side_change_wait_ms": 600_000, "second_leg_timeout_ms": 60_000}
# Sanitizers see most of the code in these: transactions that are run twice, compared, read on new, copied.
MOST_CODE = ["canary-everybody", "shadow"]
MODES = SERVED if SLOWNESS == 1 else MOST_CODE
if os.environ.get("CROSSFADE_CLIENTS_DIRECT"):
    MODES = ["direct"]


class PgSetting:
    """Servers of PostgreSQL `version` (the second one of `new_version`), and what stands before them.

    damage    of the relay, see relay.py
    config    settings of the servers
    """

    def __init__(self, mode, version=15, new_version=None, damage=None, loops=1, **config):
        self.mode = mode
        self.old = PostgresServer(version, **config)
        self.servers = [self.old]
        self.between = None
        self._flips = None
        try:
            self._start(damage, loops, new_version or version, config)
        except BaseException:
            self.stop()
            raise

    def stop(self):
        if self._flips:
            self._flips.stop()
        for process in (self.between, *self.servers):
            if process:
                process.stop()

    def settled(self):
        """Nothing that earlier clients gave to do is still under way."""
        return all(server.value(BUSY) == "0" for server in self.servers)

    def asleep(self):
        """How many backends run pg_sleep."""
        return sum(int(server.value(SLEEPERS)) for server in self.servers)

    def empty(self):
        """Every server without tables, functions and types of its own."""
        for server in self.servers:
            wait_until(lambda server=server: self._emptied(server), 20, "a server is emptied")

    def _emptied(self, server):
        """False: a copy that is still under way there stood in the way."""
        try:
            server.sql("drop schema public cascade; create schema public authorization app")
        except ServerError as error:
            if "40P01" not in str(error):
                raise
            return False
        return True

    def flip(self, new):
        """Makes that side the active one, in a mode whose strategy is blue_green."""
        self.between.must("PATCH", "/migrations/m?force=true",
                          {"strategy": {"type": "blue_green", "active_is_new": new}})

    @property
    def answering(self):
        """The server that decides what a write's client sees."""
        return self.old

    def _start(self, damage, loops, new_version, config):
        if self.mode == "direct":
            self.port = self.old.port
        elif self.mode == "relay":
            self.between = Relay(self.old.port, damage)
            self.port = self.between.port
        else:
            self._start_sidecar(loops, new_version, config)

    def _start_sidecar(self, loops, new_version, config):
        one_server = self.mode in ONE_SERVER
        self.between = Sidecar(loops=loops, config=CONFIG if one_server else None)
        self._add_endpoint("old", self.old)
        self.port = self.between.add_interlay("postgres", "old", settings=SETTINGS if one_server else None)
        strategy = STRATEGIES[self.mode]
        if one_server:
            self._add_endpoint("new", self.old)
            self.between.migrate("m", strategy, "postgres", "new", force=True)
        elif strategy is not None:
            self.servers.append(PostgresServer(new_version, **config))
            # The client's login goes to old; new is entered with credentials of its own.
            self._add_endpoint("new", self.servers[1], username="app")
            self.between.migrate("m", strategy, "postgres", "new")
        if self.mode == "flips-one-server":
            self._flips = Flips(self)

    def _add_endpoint(self, name, server, **credentials):
        self.between.must("POST", "/endpoints", {
            "id": name, "kind": "postgres",
            "config": {"host": server.host, "port": server.port, "database": "app",
                       **credentials}})


class Flips:
    """The active side changes again and again, until stop()."""

    def __init__(self, setting):
        self._setting = setting
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        self._over.set()
        self._thread.join()

    def _run(self):
        new = False
        while not self._over.wait(FLIP_EVERY_S):
            new = not new
            self._setting.flip(new)


BUSY = """select count(*) from pg_stat_activity where pid <> pg_backend_pid() and state <> 'idle'
and backend_type = 'client backend'"""
SLEEPERS = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
