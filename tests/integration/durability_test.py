"""A durable big bang: new has to persist, and the decision is flushed before any request follows it."""

import os
import re
import shutil
import subprocess
import unittest

from children import end, spawn, temp_folder, wait_until
from harness import RawConn, RedisServer
from pair import Pair

BIG_BANG = {"type": "big_bang"}


class Target(Pair):
    def checked(self):
        checks = self.sidecar.must("POST", "/migrations/m/test")["checks"]
        return {check["name"]: check for check in checks}["durability"]

    def test_one_that_persists_nothing_is_refused(self):
        self.sidecar.create_migration("m", BIG_BANG, "cache", "new")
        self.assertFalse(self.checked()["ok"])
        status, answer = self.sidecar.api("POST", "/migrations/m/migrate")
        self.assertEqual(status, 409)
        self.assertIn("new persists nothing: switch its AOF or its save points on", answer["message"])
        for name, value in (("appendonly", "yes"), ("save", "3600 1")):
            with self.subTest(switched_on=name):
                self.new.call("CONFIG", "SET", name, value)
                self.assertTrue(self.checked()["ok"])
                self.new.call("CONFIG", "SET", name, "no" if name == "appendonly" else "")
                self.assertFalse(self.checked()["ok"])
        self.sidecar.patch("m", {"durability": False})
        self.sidecar.must("POST", "/migrations/m/migrate")


@unittest.skipUnless(shutil.which("strace"), "no strace here")
class Decision(Pair):
    """What the kernel was asked for, in its order."""

    def trace(self):
        path = os.path.join(temp_folder("strace"), "calls")
        tracer = spawn(["strace", "-f", "-yy", "-s", "200", "-o", path, "-e",
                        "trace=pwrite64,fdatasync,fsync,write,writev,sendto,sendmsg",
                        "-p", str(self.sidecar.pid)],
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(tracer.stderr.close)
        self.addCleanup(end, tracer)
        told = tracer.stderr.readline()
        if "attached" not in told:
            self.skipTest(f"strace may not look: {told.strip()}")
        return path

    def test_it_is_flushed_before_a_request_follows_it(self):
        new = self.enterContext(RedisServer(save="3600 1"))
        self.sidecar.add_endpoint("durable", new)
        self.sidecar.create_migration("m", BIG_BANG, "cache", "durable")
        path = self.trace()
        self.sidecar.must("POST", "/migrations/m/migrate")
        with RawConn(self.port) as client:
            self.assertEqual(client.call("SET", "follower", "1", limit_s=30), "OK")
        self.assertEqual(new.call("GET", "follower"), b"1")

        def calls():
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read().splitlines()
        followed = re.compile(rf"->[^>]*:{new.port}\b.*follower")
        wait_until(lambda: any(followed.search(line) for line in calls()), 20, "the request is seen")
        lines = calls()
        follows = next(n for n, line in enumerate(lines) if followed.search(line))
        state = re.escape(self.sidecar.state)
        written = [n for n, line in enumerate(lines[:follows])
                   if re.search(rf"pwrite64\(\d+<{state}-wal>", line)]
        flushed = [n for n, line in enumerate(lines[:follows])
                   if re.search(rf"f(data)?sync\(\d+<{state}-wal>", line)]
        self.assertTrue(written and flushed, lines[:40])
        self.assertGreater(flushed[-1], written[-1], lines[:40])


if __name__ == "__main__":
    unittest.main()
