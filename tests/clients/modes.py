"""The modes that every driver is tried in: how the sidecar stands between it and the servers.

CROSSFADE_CLIENTS_DIRECT=1 runs the same tests against a server without a sidecar instead: what fails
there is a fault of the test.
"""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "integration"))

from harness import RedisServer, Sidecar  # noqa: E402



def canary(read_percentage, **write_mode):
    return {"type": "canary", "read_percentage": read_percentage, "write_mode": write_mode}


MODES = {
    "pass-through": None,
    "shadow": {"type": "shadow_traffic"},
    "canary": canary(0.3, mode="dual_write", policy="old_authoritative"),
    "canary-new-authoritative": canary(0.3, mode="dual_write", policy="new_authoritative"),
    "canary-best-effort": canary(0.3, mode="dual_write", policy="best_effort"),
    "cutover": canary(1.0, mode="cutover", write_percentage=1.0),
    "blue-green": {"type": "blue_green", "active_is_new": True},
    "big-bang": {"type": "big_bang", "durability": False},
}
if os.environ.get("CROSSFADE_CLIENTS_DIRECT"):
    MODES = {"direct": None}


class Setting:
    """A sidecar in one mode with its servers; `.port` is what clients connect to."""

    def __init__(self, mode, **server_config):
        self.mode = mode
        self.old = RedisServer(**server_config)
        self.new = None
        self.sidecar = None
        if mode == "direct":
            self.port = self.old.port
            return
        self.sidecar = Sidecar(loops=2)
        self.sidecar.add_endpoint("old", self.old)
        self.port = self.sidecar.add_interlay("redis", "old")
        if MODES[mode] is not None:
            self.new = RedisServer(**server_config)
            self.sidecar.add_endpoint("new", self.new)
            self.sidecar.migrate("m", MODES[mode], "redis", "new")

    @property
    def servers(self):
        return [server for server in (self.old, self.new) if server]

    @property
    def answering(self):
        """The server whose replies the clients get for what has no key."""
        return self.new if self.mode in ("cutover", "blue-green", "big-bang") else self.old

    @property
    def server_ports(self):
        return [str(server.port) for server in self.servers]

    def flush(self):
        for server in self.servers:
            server.call("FLUSHALL")

    def stop(self):
        for process in (self.sidecar, self.old, self.new):
            if process:
                process.stop()


def in_every_mode(base):
    """Class decorator: makes one test class of `base` for each mode, in base's module."""
    module = sys.modules[base.__module__]
    for mode in MODES:
        if mode in base.not_in:
            continue
        name = base.__name__ + "".join(word.title() for word in mode.split("-"))
        made = type(name, (base, unittest.TestCase), {"mode": mode, "__module__": base.__module__})
        setattr(module, name, made)
    return base


class InMode:
    """Base of such a class: `self.setting` is shared by its tests and emptied before each."""

    mode = None
    not_in = ()  # modes that are left to other drivers
    server_config = {}

    @classmethod
    def setUpClass(cls):
        cls.setting = Setting(cls.mode, **cls.server_config)
        cls.addClassCleanup(cls.setting.stop)

    def setUp(self):
        self.setting.flush()
        self.port = self.setting.port
