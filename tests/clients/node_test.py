"""ioredis and node-redis 5 (RESP3), in every mode. The packages are those of node/package-lock.json."""

import os
import unittest

from modes import InMode, in_every_mode
from npm_packages import install
from programs import run_program

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node")


class Node(InMode):
    program = None

    @classmethod
    def setUpClass(cls):
        install(FOLDER)
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
