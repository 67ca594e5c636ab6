"""PostgreSQL conversations: what the unit tests replay is what a real server says."""

import os
import pwd
import subprocess
import unittest

import pg_conversations
from children import end, free_port, spawn, temp_folder, wait_until
from harness import TREE

RECORDED = os.path.join(TREE, "tests/unit/protocols/postgres/conversations.txt")
PROGRAMS = "/usr/lib/postgresql/15/bin"


class Server:
    """A PostgreSQL 15 on a Unix socket, with a folder of its own. It refuses to run as root."""

    def __init__(self):
        self.folder = temp_folder("conversations")
        self.port = free_port()
        self.owner = {}
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.owner = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        data = os.path.join(self.folder, "data")
        subprocess.run([f"{PROGRAMS}/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N"], check=True,
                       cwd=self.folder, stdout=subprocess.DEVNULL, **self.owner)
        self.child = spawn([f"{PROGRAMS}/postgres", "-D", data, "-k", self.folder, "-p", str(self.port),
                            "-h", "", "-F"], cwd=self.folder, stderr=subprocess.DEVNULL, **self.owner)
        ready = [f"{PROGRAMS}/pg_isready", "-q", "-h", self.folder, "-p", str(self.port)]
        wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, 20, "PostgreSQL answers")

    def stop(self):
        end(self.child)


class Conversations(unittest.TestCase):
    def test_what_is_recorded_is_what_the_server_says(self):
        server = Server()
        self.addCleanup(server.stop)
        spoken = pg_conversations.record(server.folder, server.port, "postgres", "postgres")
        with open(RECORDED, encoding="utf-8") as file:
            recorded = dict(line.rstrip("\n").split(": ", 1) for line in file)
        self.assertEqual(set(recorded), {name for name, _ in spoken})
        for name, tokens in spoken:
            with self.subTest(name):
                self.assertEqual(recorded[name], tokens)


if __name__ == "__main__":
    unittest.main()
