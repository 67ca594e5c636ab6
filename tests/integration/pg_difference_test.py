"""Transparency by difference for PostgreSQL: the same messages sent to a server directly and through.

Every script (pg_scripts/*.txt, pg_generated_scripts.py) is played against one server directly and, in each
mode of pg_modes.py, through what stands before another one that is configured alike. The messages that each
connection was sent must be equal, byte for byte, but for keys, pids, salts and a server's own oids. A test
is one script in one mode. While the sidecar does not speak PostgreSQL the mode is a relay, which must be
found to be transparent; and relays that damage what passes must be found.

    pg_difference_test.py --groups      number of scripts for each group
    pg_difference_test.py --show PART   what a server answers to the scripts whose name contains this
    pg_difference_test.py [Relay15[.name of test]]    as unittest takes it
"""

import collections
import os
import re
import sys
import unittest

from children import SLOWNESS
from difference import describe, differences
from pg_difference import Cuts, PgPlayer, PgTarget, show, told
from pg_generated_scripts import generated_scripts
from pg_modes import MODES, ONE_SERVER, PgSetting
from pg_notation import read_scripts
from postgres import TRUST
from relay import DAMAGES, Relay

TIME_LIMIT_S = 600
HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = read_scripts(os.path.join(HERE, "pg_scripts")) + generated_scripts()
HBA = ("host all carol 127.0.0.1/32 scram-sha-256", "host all mona 127.0.0.1/32 md5",
       "host all paul 127.0.0.1/32 password", "host all rita 127.0.0.1/32 reject", *TRUST)
SERVER = {"hba": HBA, "statement_timeout": "0", "deadlock_timeout": "100ms"}
BOTH_MAY_ANSWER = ("canary-everybody",)
# What a session with two connections cannot but show: its pid is that of the first, a statement is
# brought to a server when it is used there (pg_prepared_statements lists those), and a password that
# the client has told is not known for the second login. A read-only transaction on new is kept from
# writing in our words: 25006, where the server has 25001.
LISTED = ("generated: 500 named statements, used in another order and closed",
          "statements: EXECUTE of a statement of the protocol, Bind of one of SQL")
READ_ON_NEW = (*LISTED, "cancel: pg_cancel_backend by the pid that the client was told",
               "cancel: pg_terminate_backend of a session that works",
               "transactions: a transaction that only reads")
PASSWORDS = ("login: SCRAM-SHA-256", "login: md5", "login: a password in clear text")
EXCEPT = {
    "canary-one-server": READ_ON_NEW,
    "canary-everybody": (*READ_ON_NEW, *PASSWORDS),
    # The first two show a known fault: a statement that is brought has the columns of now, not those
    # told. In the second it does so only if the flip comes behind its SET. Nothing can be brought into
    # a failed transaction: behind a flip the third is refused at another place of the server.
    "flips-one-server": ("errors: a table that has changed behind a statement",
                         "statements: a statement that is used across changes of the search path",
                         "errors: Parse, Bind and Describe in a failed transaction", *LISTED),
}
# Groups whose scripts speak of pids, or of passwords, throughout.
EXCEPT_GROUPS = {"flips-one-server": ("cancel", "notify", "login")}
DIFFERENT_IN_18 = ("startup", "login", "cancel", "replication", "extended", "statements", "settings")
FOUND_BY = {
    "drop A": "notify: NOTIFY to oneself",
    "drop N": "notices: notices of commands",
    "drop s": "portals: a portal is suspended and goes on",
    "drop S": "settings: SET of what is reported",
    "twice 1": "statements: a name that is taken",
    "twice Z": "extended: Sync alone, many times",
    "idle": "transactions: savepoints",
    "pid": "cancel: a cancel while a query runs",
    "error": "errors: a syntax error, and where it is",
    "row": "simple: one row",
    "no half-close": "ends: a half-close while the server works on the last query",
}


class Direct:
    """What a real server says: each script is played once and its transcript kept."""

    def __init__(self, version):
        self._setting = PgSetting("direct", version, **SERVER)
        self._target = PgTarget("direct", self._setting.port, self._setting.servers)
        self._transcripts = {}

    def transcript(self, script):
        if script.id not in self._transcripts:
            self._target.prepare()
            self._transcripts[script.id] = PgPlayer(self._target).play(script)
        return self._transcripts[script.id]


_direct = {}


def direct(version):
    if version not in _direct:
        _direct[version] = Direct(version)
    return _direct[version]


class Mode(unittest.TestCase):
    """One way of standing between client and server."""

    mode, version, cuts = None, None, False
    setting = target = None

    @classmethod
    def setUpClass(cls):
        cls.setting = PgSetting(cls.mode, cls.version, **SERVER)
        cls.addClassCleanup(cls.setting.stop)
        cls.target = PgTarget(cls.__name__, cls.setting.port, cls.setting.servers, cls.setting.settled)

    def check(self, script):
        expected = direct(self.version).transcript(script)
        self.assertEqual(expected.trouble, "", f"{script.id}: the real server did not play along\n"
                         + describe(script))
        self.target.prepare()
        found = differences(expected, PgPlayer(self.target).play(script), show)
        self.assertEqual(found, "", f"{script.id} differs:\n{found}\nscript:\n{describe(script)}")
        if self.cuts and "cut" in script.options:
            self.check_cuts(script)

    def check_cuts(self, script):
        """All cuts are sent what the first was, and that is a stretch of what the script is."""
        self.target.prepare()
        cuts = Cuts(self.target, script)
        self.addCleanup(cuts.close)
        [whole] = direct(self.version).transcript(script).replies.values()
        for position, seen in cuts.transcripts():
            at = whole.index(seen[0])
            self.assertEqual(seen, whole[at:at + len(seen)], f"{script.id}, cut at byte {position}")


def notifies_at_random(script):
    """Whether a drawn script may show the pid that a NOTIFY came from."""
    return "at random" in script.id and any(b"notify" in bytes(step.data) for step in script.steps
                                            if isinstance(step.data, bytes))


def add_tests(mode):
    for script in SCRIPTS:
        if "one side" in script.options and mode.mode in BOTH_MAY_ANSWER:
            continue
        if script.id in EXCEPT.get(mode.mode, ()) or script.group in EXCEPT_GROUPS.get(mode.mode, ()):
            continue
        if mode.mode == "flips-one-server" and notifies_at_random(script):
            continue
        if mode.version < 18 if "version 18" in script.options else (
                mode.version == 18 and script.group not in DIFFERENT_IN_18):
            continue
        if SLOWNESS > 1 and mode.mode == "pass-through" and "cut" not in script.options:
            continue
        name = "test_" + re.sub(r"\W+", "_", script.id).strip("_")
        if name in mode.__dict__:
            raise ValueError(f"two scripts are called {script.id}")

        def test(self, script=script):
            self.check(script)
        test.__doc__ = script.id
        setattr(mode, name, test)


def modes():
    """A test class for each mode; what differs between versions also with 18. Only the first of them cuts,
    which takes time. Sanitizers see the same code with 15, and cut where nothing else is done."""
    made = []
    fifteen = MODES if SLOWNESS == 1 else ["pass-through", *MODES]
    eighteen = [mode for mode in MODES if mode == MODES[0] or mode in ONE_SERVER] if SLOWNESS == 1 else []
    for mode, version in [*((mode, 15) for mode in fifteen), *((mode, 18) for mode in eighteen)]:
        name = mode.title().replace("-", "") + str(version)
        made.append(type(name, (Mode,), {"mode": mode, "version": version, "cuts": not made,
                                         "__module__": __name__}))
        add_tests(made[-1])
    return made


CLASSES = modes()
globals().update({made.__name__: made for made in CLASSES})


class Collection(unittest.TestCase):
    def test_scripts_are_many(self):
        self.assertGreaterEqual(len(SCRIPTS), 150)
        self.assertGreaterEqual(len({script.group for script in SCRIPTS}), 10)

    def test_every_damage_is_found(self):
        """A suite that finds nothing where something is wrong shows nothing."""
        self.assertEqual(FOUND_BY.keys(), DAMAGES.keys())
        setting = PgSetting("direct", **SERVER)
        self.addCleanup(setting.stop)
        for damage, name in FOUND_BY.items():
            [script] = [one for one in SCRIPTS if one.id == name]
            with self.subTest(damage), Relay(setting.port, damage) as relay:
                target = PgTarget(damage, relay.port, setting.servers)
                target.prepare()
                self.assertNotEqual("", differences(
                    direct(15).transcript(script), PgPlayer(target, limit_s=0.5).play(script)))


def load_tests(loader, _standard, _pattern):
    return unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in (Collection, *CLASSES))


def main():
    if sys.argv[1:2] == ["--show"]:
        for script in SCRIPTS:
            if sys.argv[2] in script.id:
                print(f"{script.id}\n{describe(script)}\n{told(direct(15).transcript(script))}")
        return 0
    if sys.argv[1:] == ["--groups"]:
        counts = collections.Counter(script.group for script in SCRIPTS)
        for group, count in sorted(counts.items()):
            print(f"{count:4} {group}")
        print(f"{len(SCRIPTS):4} scripts in all")
        return 0
    return unittest.main()


if __name__ == "__main__":
    sys.exit(main())
