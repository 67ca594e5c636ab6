"""node-postgres and postgres.js, in every mode. The packages are those of node/package-lock.json."""

import os
import unittest

from npm_packages import install
from pg_clients import InPgMode, in_every_pg_mode
from programs import run_program

PIDS = ("the pid is that of the backend", "a notification tells the true pid",
        "a backend that was terminated", "a pool behind it")
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node")


@in_every_pg_mode
class Node(InPgMode):
    @classmethod
    def setUpClass(cls):
        install(FOLDER)
        super().setUpClass()

    def run_node(self, program, at_least):
        env = {**os.environ, "CROSSFADE_PIDS_DIFFER": "1"} if self.flips else None
        run_program(self, ["node", program, str(self.port)], at_least, cwd=FOLDER,
                    but=PIDS if self.flips else (), env=env)

    def test_node_postgres(self):
        self.run_node("pg_client.js", at_least=36)

    def test_postgres_js(self):
        self.run_node("postgres_client.js", at_least=29)


if __name__ == "__main__":
    unittest.main()
