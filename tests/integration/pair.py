"""Two Redis servers and a sidecar whose interlay stands before the first of them."""

import unittest

from harness import RedisServer, Sidecar


class Pair(unittest.TestCase):
    """`old`, `new`, `sidecar`, and the `port` of its interlay "cache", made anew for each test."""

    def setUp(self):
        self.old = self.enterContext(RedisServer())
        self.new = self.enterContext(RedisServer())
        self.sidecar = self.enterContext(Sidecar())
        self.sidecar.add_endpoint("old", self.old)
        self.sidecar.add_endpoint("new", self.new)
        self.port = self.sidecar.add_interlay("cache", "old")
