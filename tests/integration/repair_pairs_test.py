"""A migration with two pairs of servers: what is wrong with one of them holds nothing up at the other."""

import unittest

from harness import SLOWNESS, RawConn, RedisServer, Sidecar, wait_until
from ledger import Ledger

DUAL_WRITE = {"type": "canary", "read_percentage": 1.0}
KEYS = 200
REPAIRED_S = 10 * SLOWNESS


class Pairs(unittest.TestCase):
    def setUp(self):
        self.sidecar = self.enterContext(Sidecar())
        self.servers = {}
        self.ports = {}
        self.ledger = Ledger(self.sidecar, "m")

    def begin(self, pairs, policy="old_authoritative"):
        strategy = {**DUAL_WRITE, "write_mode": {"mode": "dual_write", "policy": policy}}
        self.sidecar.must("POST", "/migrations", {"id": "m", "strategy": strategy,
                                                  "guardrails": {"new_side_down_s": None}})
        for pair in pairs:
            for side in ("old", "new"):
                name = f"{side}-{pair}"
                self.servers[name] = self.enterContext(RedisServer())
                self.sidecar.add_endpoint(name, self.servers[name])
            port = self.sidecar.add_interlay(pair, f"old-{pair}", settings={"answer_timeout_ms": 300})
            self.sidecar.must("POST", f"/migrations/m/interlay/{pair}", {"endpoint": f"new-{pair}"})
            self.ports[pair] = port
        self.sidecar.must("POST", "/migrations/m/migrate")

    def write(self, pair, value):
        with RawConn(self.ports[pair], limit_s=30 * SLOWNESS) as client:
            for number in range(KEYS):
                self.assertEqual(client.call("SET", f"{pair}{number}", value), "OK")

    def on_new(self, pair, value):
        server = self.servers[f"new-{pair}"]
        return sum(server.call("GET", f"{pair}{number}") == value for number in range(KEYS))


class OneIsSick(Pairs):
    def check(self, pairs, stop, go_on):
        self.begin(pairs)
        for pair in pairs:
            self.write(pair, "1")
        self.assertEqual(self.ledger.total, 0)
        dead, sick = self.servers["new-dead"], self.servers["new-sick"]
        stop(dead)
        self.write("dead", "2")
        sick.sigstop()
        self.write("sick", "2")
        sick.sigcont()
        wait_until(lambda: self.on_new("sick", b"2") == KEYS, REPAIRED_S, "the pair that is well is repaired")
        self.assertGreaterEqual(self.ledger.total, KEYS)
        go_on(dead)
        self.ledger.until_empty(60 * SLOWNESS)
        self.assertEqual(self.on_new("dead", b"2"), KEYS)

    def test_a_dead_pair_behind(self):
        self.check(("sick", "dead"), RedisServer.kill, RedisServer.restart)

    def test_a_dead_pair_before(self):
        self.check(("dead", "sick"), RedisServer.kill, RedisServer.restart)

    def test_a_pair_that_hangs(self):
        self.check(("dead", "sick"), RedisServer.sigstop, RedisServer.sigcont)


class SameNames(Pairs):
    """Shards of one application have keys of the same names."""
    NAMES = [f"k{number}" for number in range(20)]

    def set_all(self, pair, value):
        """Until each is acknowledged: the first write to a side that hangs hears an error."""
        for name in self.NAMES:
            def acknowledged(name=name):
                with RawConn(self.ports[pair], limit_s=30 * SLOWNESS) as client:
                    return client.call("SET", name, value) == "OK"
            wait_until(acknowledged, 30, f"{name} is set")

    def everywhere(self, pair):
        return [self.servers[f"{side}-{pair}"].call("MGET", *self.NAMES) for side in ("old", "new")]

    def entries(self):
        shown = self.sidecar.must("GET", "/migrations/m/divergence?limit=100")
        return [(entry["endpoints"], entry["right"]) for entry in shown["entries"]]

    def check(self, first, second):
        """Of `a` new alone takes writes, of `b` old alone, at keys of one name."""
        self.begin(("a", "b"), policy="best_effort")
        for pair in ("a", "b"):
            self.set_all(pair, "1")
        self.assertEqual(self.ledger.total, 0)
        asleep = [self.servers["old-a"], self.servers["new-b"]]
        for server in asleep:
            server.sigstop()
        for pair in (first, second):
            self.set_all(pair, f"of {pair}")
        self.assertEqual(self.ledger.total, 2 * len(self.NAMES))
        right = {pair: {side for endpoints, side in self.entries()
                        if endpoints == {"old": f"old-{pair}", "new": f"new-{pair}"}}
                 for pair in ("a", "b")}
        self.assertEqual(right, {"a": {"new"}, "b": {"old"}})
        for server in asleep:
            server.sigcont()
        self.ledger.until_empty(60 * SLOWNESS)
        for pair in ("a", "b"):
            self.assertEqual(self.everywhere(pair), [[f"of {pair}".encode()] * len(self.NAMES)] * 2)
        self.assertFalse(self.ledger.needs_full_verification, self.ledger.reasons())

    def test_what_one_pair_has_is_not_taken_for_the_others(self):
        self.check("a", "b")

    def test_nor_the_other_way_round(self):
        self.check("b", "a")

    def test_what_one_pair_lacks_is_no_excuse_for_the_other(self):
        self.begin(("a", "b"))
        self.write("b", "1")
        self.servers["new-a"].kill()
        self.write("a", "1")
        self.assertEqual(self.ledger.total, KEYS)
        self.servers["old-b"].call("FLUSHALL")
        status, answer = self.sidecar.api("POST", "/migrations/m/verify")
        self.assertEqual(status, 409, answer)
        self.assertIn(f"endpoint 'old-b' has 0 keys, endpoint 'new-b' {KEYS}", answer["message"])


if __name__ == "__main__":
    unittest.main()
