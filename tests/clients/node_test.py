"""ioredis and node-redis 5 (RESP3), in every mode. The packages are those of node/package-lock.json."""

import os
import shutil
import subprocess
import unittest

from modes import InMode, in_every_mode
from programs import run_program

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node")
LOCK = os.path.join(FOLDER, "package-lock.json")
INSTALLED = os.path.join(FOLDER, "node_modules", ".package-lock.json")


def install():
    """`npm ci`, unless what is installed is as new as the lock file."""
    if os.path.exists(INSTALLED) and os.path.getmtime(INSTALLED) >= os.path.getmtime(LOCK):
        return
    subprocess.run([shutil.which("npm") or "npm", "ci", "--no-audit", "--no-fund", "--silent"],
                   cwd=FOLDER, check=True, timeout=240, stdin=subprocess.DEVNULL)


class Node(InMode):
    program = None

    @classmethod
    def setUpClass(cls):
        install()
        super().setUpClass()

    def run_node(self, program, at_least):
        run_program(self, ["node", program, str(self.port), *self.setting.server_ports], at_least,
                    cwd=FOLDER)


@in_every_mode
class Ioredis(Node):
    def test_every_feature(self):
        self.run_node("ioredis_client.js", at_least=44)


@in_every_mode
class NodeRedis(Node):
    def test_every_feature(self):
        self.run_node("node_redis_client.js", at_least=40)


if __name__ == "__main__":
    unittest.main()
