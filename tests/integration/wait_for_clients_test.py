"""The hook that waits for clients before a pod ends (deploy/wait-for-clients.sh), at each kind of port."""

import os
import subprocess
import unittest

from certificates import Authority
from harness import TREE, RawConn, RedisServer, Sidecar

SCRIPT = os.path.join(TREE, "deploy", "wait-for-clients.sh")


class WaitForClients(unittest.TestCase):
    def wait(self, sidecar, limit_s=1):
        done = subprocess.run(
            ["bash", SCRIPT, str(limit_s)], capture_output=True, text=True, check=False, timeout=60,
            env={"PATH": "/usr/bin:/bin", "CROSSFADE_CONTROL": "0.0.0.0:%d" % sidecar.control[1]})
        return done.returncode, done.stderr

    def check(self, control):
        with RedisServer() as old, Sidecar(config={
                "control": control,
                "endpoints": [{"id": "old", "kind": "redis",
                               "config": {"host": "127.0.0.1", "port": old.port}}],
                "interlays": [{"id": "cache", "endpoint": "old", "port": 0},
                              {"id": "other", "endpoint": "old", "port": 0, "bind": "::1"}]}) as sidecar:
            port = self.port(sidecar)
            self.assertEqual(self.wait(sidecar, 30), (0, ""))
            with RawConn(port) as one, RawConn(port) as other:
                for client in (one, other):
                    self.assertEqual(client.call("PING"), "PONG")
                self.assertEqual(self.wait(sidecar), (0, "wait-for-clients: 2 sessions after 1 s\n"))
            self.assertEqual(self.wait(sidecar, 30), (0, ""))
            sidecar.terminate()
            self.assertEqual(self.wait(sidecar)[0], 1)

    def port(self, sidecar):
        listening = "interlay cache: listening on"
        for line in sidecar.wait_for_log(listening).splitlines():
            if listening in line:
                return int(line.split()[-1])
        raise AssertionError("it does not listen")

    def test_that_is_open(self):
        self.check({})

    def test_whose_metrics_ask_for_a_token(self):
        self.check({"metrics_token": True})

    def test_that_speaks_tls(self):
        cert, key = Authority().issue("localhost", "127.0.0.1")
        self.check({"tls": {"server_cert": cert, "server_key": key}})


if __name__ == "__main__":
    unittest.main()
