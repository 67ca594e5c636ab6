"""Every PostgreSQL driver is tried in every mode of pg_modes.py, in front of 15 and of 18; by sanitizers in
one, from 15 to 18.

CROSSFADE_CLIENTS_DIRECT=1 runs the same tests against a server without anything between instead: what fails
there is a fault of the test.
"""

import contextlib
import os
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "integration"))

from children import SLOWNESS, wait_until  # noqa: E402
from pg_modes import MODES, ONE_SERVER, STRATEGIES, PgSetting  # noqa: E402

USER = DATABASE = "app"


def versions_of(mode):
    """(of old, of new): both in front of one server, and a migration from one to the other."""
    if STRATEGIES.get(mode) and mode not in ONE_SERVER:
        return [(15, 18)]
    return [(15, None), (18, None)]


def in_every_pg_mode(base):
    """Class decorator: makes one test class of `base` for each mode and version, in base's module."""
    module = sys.modules[base.__module__]
    for mode in MODES if SLOWNESS == 1 else MODES[:1]:
        for old, new in versions_of(mode):
            name = base.__name__ + "".join(word.title() for word in mode.split("-")) + str(old)
            made = type(name, (base, unittest.TestCase),
                        {"mode": mode, "versions": (old, new), "__module__": base.__module__})
            setattr(module, name, made)
    return base


class InPgMode:
    """Base of such a class: `self.setting` is shared by its tests and emptied before each."""

    mode = None
    versions = None

    @classmethod
    def setUpClass(cls):
        cls.setting = PgSetting(cls.mode, *cls.versions, loops=2)
        cls.addClassCleanup(cls.setting.stop)

    def setUp(self):
        self.setting.empty()
        self.port = self.setting.port

    @property
    def flips(self):
        """A session goes from one connection to another at any time: the pid that its client was told is that
        of the first one."""
        return self.mode == "flips-one-server"

    @property
    def on_both_sides(self):
        """A session uses connections to both sides: what it prepares is where it is used."""
        return self.flips or self.mode in ("canary-everybody", "canary-one-server")

    @contextlib.contextmanager
    def when_asleep(self, act):
        """While the block runs pg_sleep: calls `act` once somebody sleeps, from another thread."""
        def wait_and_act():
            wait_until(self.setting.asleep, 10, "a query sleeps")
            act()
        thread = threading.Thread(target=wait_and_act)
        thread.start()
        yield
        thread.join()

    @property
    def url(self):
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    def environment(self):
        """For programs that libpq tells where to connect."""
        return {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": USER,
                "PGDATABASE": DATABASE, "PSQLRC": "/nonexistent", "PGCONNECT_TIMEOUT": "10"}
