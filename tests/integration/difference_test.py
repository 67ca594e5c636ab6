"""Transparency by difference: the same bytes sent to a real server and through the sidecar.

Every script (scripts/*.txt, generated_scripts.py) is played against one server directly and, in each
mode, through the sidecar in front of another one configured alike; the byte streams of all
connections must be equal after the script's own masks. A test is one script in one mode.

    difference_test.py --self     three times: two real servers without a sidecar, which must be equal
    difference_test.py --groups   number of scripts for each group of commands
    difference_test.py [PassThrough…[.name of test]]    as unittest takes it
"""

import collections
import os
import re
import sys
import unittest

from difference import Player, Target, Transcript, describe, differences, read_scripts
from generated_scripts import generated_scripts
from harness import SLOWNESS, RedisServer, Sidecar, wait_until

TIME_LIMIT_S = 600
HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = read_scripts(os.path.join(HERE, "scripts")) + generated_scripts()
SERVER_CONFIG = {"hz": 100, "latency_tracking": "no"}


def server():
    return RedisServer(**SERVER_CONFIG)


class Direct:
    """What a real server says: each script is played once and its transcript kept."""

    def __init__(self):
        self._server = server()
        self._target = Target("direct", self._server.port, [self._server])
        self._transcripts = {}

    def transcript(self, script):
        if script.id not in self._transcripts:
            self._target.reset(script.options.get("keeps", ()))
            self._transcripts[script.id] = Player(self._target).play(script)
            self._target.reset(script.options.get("keeps", ()))
        return self._transcripts[script.id]


_direct = []


def direct():
    if not _direct:
        _direct.append(Direct())
    return _direct[0]


class Mode(unittest.TestCase):
    """One way of standing between client and server. Subclasses say which."""

    in_one_piece = False   # plain scripts also as one write, and cut where they say so
    cut_every = 3          # bytes
    target = None

    @classmethod
    def set_up(cls):
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        cls.open = []
        try:
            cls.target = cls.set_up()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        if cls.target:
            cls.target.close()
        for process in reversed(cls.open):
            process.stop()

    @classmethod
    def started(cls, process):
        cls.open.append(process)
        return process

    def check(self, script):
        expected = direct().transcript(script)
        self.assertEqual(expected.trouble, "", f"{script.id}: the real server did not play along")
        self.play_and_compare(script, expected, None)
        if self.in_one_piece and script.is_plain():
            data = b"".join(step.data for step in script.steps)
            spare = self.play_and_compare(script, expected, [data])
            first = 1 + len(data) % self.cut_every
            for position in range(first, len(data) if "cut" in script.options else 1, self.cut_every):
                pieces = [data[:position], data[position:]]
                spare = self.play_and_compare(script, expected, pieces, spare)
            if spare:
                spare.close()

    def play_and_compare(self, script, expected, pieces, spare=None):
        """Plays once; returns the connection if it can be used again."""
        keeps = script.options.get("keeps", ())
        self.target.reset(keeps, leave=1 if spare else 0)
        player = Player(self.target, spare)
        try:
            seen = player.play(script, pieces)
        finally:
            if keeps:
                self.target.reset(keeps, leave=1 if player.left else 0)
        found = differences(normal(expected), normal(seen))
        if found:
            how = "in steps" if pieces is None else f"in pieces of {[len(p) for p in pieces]} bytes"
            self.fail(f"{script.id} ({how}) differs:\n{found}\nscript:\n{describe(script)}")
        return player.left


def normal(transcript):
    """Whether the end of a stream is a FIN or a reset depends on the kernel's timing only."""
    return Transcript(transcript.replies, {conn: "closed" if end in ("eof", "reset") else end
                                           for conn, end in transcript.ends.items()},
                      transcript.trouble)


class SelfCheck(Mode):
    """Two real servers: whatever differs here is a fault of the script, not of the sidecar."""
    in_one_piece = True

    @classmethod
    def set_up(cls):
        other = cls.started(server())
        return Target("self", other.port, [other])


class Through(Mode):
    """Through the sidecar; `strategy` None means no migration and no second server."""
    strategy = None
    loops = 1

    @classmethod
    def set_up(cls):
        old = cls.started(server())
        servers = [old]
        # What differs is not looked at again, nor what was evicted: that, too, would show in MONITOR
        # and SLOWLOG.
        sidecar = cls.started(Sidecar(loops=cls.loops, config={
            "comparison": {"compare_queue_max": 1, "compare_pause_ms": 60_000},
            "limits": {"evictions_ms": 3_600_000}}))
        sidecar.add_endpoint("old", old)
        port = sidecar.add_interlay("redis", "old")
        if cls.strategy is not None:
            servers.append(cls.started(server()))
            sidecar.add_endpoint("new", servers[1])
            sidecar.migrate("m", cls.strategy, "redis", "new")
        cls.sidecar = sidecar
        writes_both = "write_mode" in (cls.strategy or {})
        if writes_both:
            # The watch for restarts keeps a connection to each: all others are clients' affair.
            wait_until(lambda: all(b"cmd=info" in one.call("CLIENT", "LIST") for one in servers), 10,
                       "both servers are watched")
        # The repair worker's commands would show in MONITOR and SLOWLOG.
        repaired = (lambda: sidecar.metric("crossfade_ledger_entries") == 0) if writes_both else None
        return Target(cls.__name__, port, servers, repaired)


class PassThrough(Through):
    """No migration."""
    in_one_piece = True
    cut_every = 1


class PassThroughFourLoops(Through):
    """No migration, four event loops."""
    loops = 4


class Shadow(Through):
    """Old answers, new gets a copy."""
    strategy = {"type": "shadow_traffic"}
    in_one_piece = SLOWNESS == 1  # sanitizers see every cut without a second side


class CanaryNobody(Through):
    """Reads to old, writes to both, old is authoritative."""
    strategy = {"type": "canary", "read_percentage": 0.0,
                "write_mode": {"mode": "dual_write", "policy": "old_authoritative"}}
    in_one_piece = SLOWNESS == 1


class CanaryEverybody(Through):
    """Reads to new, writes to both, new is authoritative."""
    strategy = {"type": "canary", "read_percentage": 1.0,
                "write_mode": {"mode": "dual_write", "policy": "new_authoritative"}}


class BlueGreenOnNew(Through):
    """Everything on new."""
    strategy = {"type": "blue_green", "active_is_new": True}


MODES = [PassThrough, PassThroughFourLoops, Shadow, CanaryNobody, CanaryEverybody, BlueGreenOnNew]
ONE_SIDE_ANSWERS = [SelfCheck, PassThrough, PassThroughFourLoops, Shadow, CanaryNobody,
                    BlueGreenOnNew]


def add_tests(mode):
    for script in SCRIPTS:
        if "one side" in script.options and mode not in ONE_SIDE_ANSWERS:
            continue
        if mode is PassThroughFourLoops and any(step.op == "turn" for step in script.steps):
            continue  # a turn of one loop orders nothing between connections of two
        name = "test_" + re.sub(r"\W+", "_", script.id).strip("_")
        if name in mode.__dict__:
            raise ValueError(f"two scripts are called {script.id}")

        def test(self, script=script):
            self.check(script)
        test.__doc__ = script.id
        setattr(mode, name, test)


for _mode in [SelfCheck, *MODES]:
    add_tests(_mode)


class Collection(unittest.TestCase):
    def test_scripts_are_many(self):
        self.assertGreaterEqual(len(SCRIPTS), 250)
        self.assertGreaterEqual(len({script.group for script in SCRIPTS}), 15)


def load_tests(loader, _standard, _pattern):
    return unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in (Collection, *MODES))


def main():
    if sys.argv[1:] == ["--groups"]:
        counts = collections.Counter(script.group for script in SCRIPTS)
        for group, count in sorted(counts.items()):
            print(f"{count:4} {group}")
        print(f"{len(SCRIPTS):4} scripts in all")
        return 0
    if sys.argv[1:2] == ["--self"]:
        for _ in range(3):
            suite = unittest.defaultTestLoader.loadTestsFromTestCase(SelfCheck)
            if not unittest.TextTestRunner().run(suite).wasSuccessful():
                return 1
        return 0
    return unittest.main()


if __name__ == "__main__":
    sys.exit(main())
