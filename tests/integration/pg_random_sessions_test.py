"""Random sessions are answered as by one server, while they go from one side to the other.

Both sides are the same server (pg_modes.py), so nothing but the sidecar can make a difference. Seeds are
fixed; CROSSFADE_SESSIONS=500 tries more of them, CROSSFADE_SESSION_SEED=123 one alone. A session that is
answered otherwise is shown cut down to what it takes.
"""

import os
import random
import unittest

from children import SLOWNESS
from pg_messages import fields_of, kind_of
from pg_modes import PgSetting
from pg_random_sessions import PREPARE, play, session
from pg_text import line_of

TIME_LIMIT_S = 600
COUNT = int(os.environ.get("CROSSFADE_SESSIONS", "40" if SLOWNESS == 1 else "15"))
MANY = 5  # sessions that differ are enough to look at
SEEDS = ([int(os.environ["CROSSFADE_SESSION_SEED"])] if "CROSSFADE_SESSION_SEED" in os.environ
         else range(COUNT))
END_SESSIONS = """select count(pg_terminate_backend(pid)) from pg_stat_activity
where pid <> pg_backend_pid() and usename = 'app' and backend_type = 'client backend'"""


REFUSED = b"crossfade: a read-only transaction whose reads are on the new server can do nothing but read"


def difference(steps, expected, found):
    """Text about the first answer that differs, or None. What follows a refusal of the sidecar's own is not
    compared, as the session is another one from there on."""
    for number, (wanted, seen) in enumerate(zip(expected, found)):
        for at in range(max(len(wanted), len(seen))):
            one = wanted[at] if at < len(wanted) else None
            other = seen[at] if at < len(seen) else None
            if other and REFUSED in other:
                return None
            if failed_refusal(one, other):
                return None
            if plain(one) != plain(other):
                step = steps[number].text if number < len(steps) else "the end"
                return f"at {step}\n  message {at}\n  server  {show_one(one)}\n  sidecar {show_one(other)}"
    return None if len(expected) == len(found) else "it ended early"


def failed_refusal(one, other):
    """In a failed transaction that refusal says so, where a server looks at the text or the name first."""
    codes = [fields_of(raw)["C"] if raw and len(raw) > 5 and kind_of(raw) == "E" else ""
             for raw in (one, other)]
    return codes[0] in ("42601", "26000") and codes[1] == "25P02"


def plain(raw):
    """What is refused in a failed transaction is refused in another place of the server."""
    if not raw or kind_of(raw) != "E" or len(raw) < 6 or fields_of(raw)["C"] != "25P02":
        return raw
    return [fields_of(raw)[letter] for letter in "SVCM"]


def show_one(raw):
    return "nothing" if raw is None else line_of(raw) if len(raw) > 4 else repr(raw)


class Sessions:
    mode = None

    @classmethod
    def setUpClass(cls):
        cls.setting = PgSetting(cls.mode, deadlock_timeout="100ms")
        cls.addClassCleanup(cls.setting.stop)

    def prepare(self):
        self.setting.old.sql(END_SESSIONS, PREPARE)

    def between(self, seed):
        """What is done before each step; a play of the same seed has the same."""
        return lambda number: None

    def differs(self, seed, steps):
        self.prepare()
        expected = play(self.setting.old.port, steps)
        rows = self.setting.old.sql("select * from t order by 1")
        self.prepare()
        found = play(self.setting.port, steps, self.between(seed))
        text = difference(steps, expected, found)
        refused = any(REFUSED in raw for seen in found for raw in seen)
        if text is None and not refused and rows != self.setting.old.sql("select * from t order by 1"):
            text = "other rows are there"
        return text

    def shrunk(self, seed, steps):
        """The fewest steps that still differ, leaving one out at a time."""
        text, number = self.differs(seed, steps), 0
        while number < len(steps):
            fewer = steps[:number] + steps[number + 1:]
            differs = self.differs(seed, fewer)
            if differs:
                steps, text = fewer, differs
            else:
                number += 1
        return steps, text

    def test_are_answered_as_by_one_server(self):
        wrong = []
        for seed in SEEDS:
            steps = session(seed)
            if self.differs(seed, steps):
                steps, text = self.shrunk(seed, steps)
                wrong.append("\n".join([f"seed {seed}:", *(f"  {one.text}" for one in steps), str(text)]))
                print(wrong[-1], flush=True)
            if len(wrong) == MANY:
                break
        self.assertEqual(wrong, [], "\n\n".join(["", *wrong]))


class Canary(Sessions, unittest.TestCase):
    mode = "canary-one-server"


class Switched(Sessions, unittest.TestCase):
    mode = "switched-one-server"

    def between(self, seed):
        dice = random.Random(seed)
        active = [False]

        def flip(_number):
            if dice.random() < 0.4:
                active[0] = not active[0]
                self.setting.flip(active[0])
        return flip


if __name__ == "__main__":
    unittest.main()
