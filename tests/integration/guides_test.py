"""The guides are true: each example of the strategies and the walk-through work as printed, and behind each
call the servers are asked that the guide says.
"""

import contextlib
import os
import re
import subprocess
import unittest

from harness import ADMIN, TREE, RawConn, RedisServer, Sidecar, binary, free_port, temp_folder, wait_until


def text_of(name):
    with open(os.path.join(TREE, "docs", name), encoding="utf-8") as file:
        return file.read()


STRATEGIES, WALKTHROUGH = text_of("strategies.md"), text_of("walkthrough.md")
OLD, NEW = {"old"}, {"new"}
BOTH = OLD | NEW
# By section: who gets reads of many keys behind each command that may change it.
READ_AT = {
    "Shadow traffic": [("migrate", BOTH), ("rollback", OLD)],
    "Canary": [("migrate", OLD), ("verify", OLD), ("set", BOTH), ("set", BOTH), ("set", NEW), ("set", NEW),
               ("rollback", OLD)],
    "Blue-green": [("migrate", OLD), ("set", NEW), ("set", OLD), ("set", NEW), ("complete", NEW),
                   ("rollback", OLD)],
    "Big bang": [("migrate", NEW), ("rollback", OLD)],
    "Time window": [("migrate", OLD), ("set", OLD), ("rollback", OLD)],
    "Rolling update": [("migrate", OLD), ("set", NEW), ("set", NEW), ("complete", NEW), ("rollback", OLD),
                       ("set", OLD), ("migrate", OLD), ("set", OLD), ("set", NEW), ("complete", NEW),
                       ("rollback", OLD), ("set", OLD)],
    "Geographic": [("migrate", OLD), ("set", NEW), ("complete", NEW), ("rollback", OLD)],
    "Strangler fig": [("migrate", OLD), ("set", NEW), ("set", OLD), ("set", NEW), ("rollback", OLD)],
    "Feature flag": [("set", OLD), ("migrate", BOTH), ("set", BOTH), ("set", OLD), ("set", NEW),
                     ("complete", NEW), ("rollback", OLD)],
}
QUIET = ("create", "add-interlay", "add-api", "test", "divergence", "delete")  # these move nobody
KEYS = 200


def commands_of(text):
    return [line for block in re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)
            for line in block.splitlines()]


def commands_under(title):
    return commands_of(STRATEGIES.partition(f"\n## {title}\n")[2].partition("\n## ")[0])


class Guides(unittest.TestCase):
    def setUp(self):
        self.old, self.new = self.enterContext(RedisServer()), self.enterContext(RedisServer())
        self.sidecar = self.enterContext(Sidecar(args=("--instance", "pod-0", "--region", "us-east-1")))
        self.port, self.second = free_port(), free_port()
        # The name that the guide calls the program by.
        self.folder = temp_folder("guide")
        os.symlink(binary(), os.path.join(self.folder, "crossfade"))
        for server in (self.old, self.new):
            server.call("MSET", *(word for n in range(KEYS) for word in (f"key{n}", n)))

    def run_one(self, command):
        """Until it is taken: what a step waits for (a verification's end) is told by its refusal."""
        said = []

        def taken():
            done = self.run_command(command)
            said.append(done.stdout + done.stderr)
            return done.returncode == 0
        with contextlib.suppress(TimeoutError):
            wait_until(taken, 10, command)
            return
        self.fail(f"{command}\n{said[-1]}")

    def run_command(self, command):
        for printed, real in {":6379": f":{self.old.port}", ":6380": f":{self.new.port}",
                              "port:=6400": f"port:={self.port}",
                              "port:=6401": f"port:={self.second}"}.items():
            command = command.replace(printed, real)
        return subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False,
            env={"PATH": f"{self.folder}:/usr/bin:/bin", "CROSSFADE_TOKEN": ADMIN,
                 "CROSSFADE_SERVER": "http://{}:{}".format(*self.sidecar.control)})

    def reads(self):
        return {side: server.commandstats().get("get", 0)
                for side, server in (("old", self.old), ("new", self.new))}

    def check_readers(self, expected):
        before = self.reads()
        with RawConn(self.port) as client:
            for n in range(KEYS):
                self.assertEqual(client.call("GET", f"key{n}"), str(n).encode())
        wait_until(lambda: {side for side, count in self.reads().items() if count > before[side]} == expected,
                   10, f"reads reach {expected}")

    def test_every_strategy(self):
        for command in commands_under("Before the examples"):
            self.run_one(command)
        for title, steps in READ_AT.items():
            commands = commands_under(title)
            moving = [command for command in commands if command.split()[2] not in QUIET]
            self.assertEqual([command.split()[2] for command in moving], [verb for verb, _ in steps], title)
            expected = dict(zip(map(id, moving), (who for _, who in steps)))
            for command in commands:
                with self.subTest(title=title, command=command):
                    self.run_one(command)
                    if id(command) in expected:
                        self.check_readers(expected[id(command)])

    def test_every_strategy_has_its_section(self):
        linked = re.findall(r"\]\(#([a-z-]+)\) \|$", STRATEGIES, re.M)
        self.assertEqual(sorted(linked), sorted(title.lower().replace(" ", "-") for title in READ_AT))

    def test_the_walkthrough(self):
        """With a client that writes and reads all the way: it never hears of it."""
        commands = commands_of(WALKTHROUGH)
        between = [n for n, command in enumerate(commands) if "interlays create" in command][0] + 1
        for command in commands[:between]:
            self.run_one(command)
        with RawConn(self.port) as client:
            for number, command in enumerate(commands[between:]):
                self.run_one(command)
                self.assertEqual(client.call("SET", "step", number), "OK")
                self.assertEqual(client.call("GET", "step"), str(number).encode())
        self.assertEqual(self.new.call("GET", "step"), str(number).encode())
        self.assertEqual(self.new.call("DBSIZE"), KEYS + 1)


if __name__ == "__main__":
    unittest.main()
