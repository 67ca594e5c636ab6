"""Replies that differ, between real servers: what they mean decides, what is confirmed is real, and an
operator is shown no values.
"""

import unittest

from harness import RawConn, RedisServer, Sidecar, wait_until

SHADOW = {"type": "shadow_traffic"}
DUAL_WRITE = {"type": "canary", "read_percentage": 0.0,
              "write_mode": {"mode": "dual_write", "policy": "old_authoritative"}}
MEMBERS = [f"member{number}" for number in range(300)]  # too many to be kept in order


class Comparison(unittest.TestCase):
    def start(self, strategy, loops=1, **comparison):
        self.old = self.enterContext(RedisServer())
        self.new = self.enterContext(RedisServer())
        self.sidecar = self.enterContext(Sidecar(loops=loops, config={
            "comparison": {"compare_pause_ms": 20, **comparison}}))
        self.sidecar.add_endpoint("old", self.old)
        self.sidecar.add_endpoint("new", self.new)
        self.port = self.sidecar.add_interlay("cache", "old")
        self.sidecar.migrate("m", strategy, "cache", "new")
        self.client = self.enterContext(RawConn(self.port))

    def classes(self, sort="copy"):
        """{class: pairs} of all that came to a class."""
        found = {}
        for name in ("same", "tolerable", "race", "chance", "real", "unsure"):
            count = self.sidecar.metric("crossfade_mismatches_total", sort=sort, **{"class": name})
            if count:
                found[name] = int(count)
        return found

    def mismatched(self, name="shadow"):
        return int(self.sidecar.metric(f"crossfade_{name}_mismatched_total"))

    def dropped(self):
        return int(self.sidecar.metric("crossfade_compare_dropped_total"))

    def settled(self, pairs, sort="copy"):
        """Waits until so many have come to a class."""
        wait_until(lambda: sum(self.classes(sort).values()) >= pairs, 20, f"{pairs} pairs are judged")
        return self.classes(sort)

    def samples(self):
        return self.sidecar.must("GET", "/migrations/m/divergence")["mismatches"]

    def copied(self, requests):
        wait_until(lambda: self.sidecar.metric("crossfade_shadow_copied_total") >= requests, 10,
                   f"{requests} copies are answered")

    def test_replies_that_agree_are_not_even_looked_at(self):
        self.start(SHADOW)
        for number in range(100):
            self.client.call("SET", f"k{number}", number)
            self.client.call("GET", f"k{number}")
        self.copied(200)
        self.assertEqual((self.classes(), self.mismatched(), self.dropped()), ({}, 0, 0))
        self.assertEqual(self.samples(), [])

    def test_sets_in_another_order_are_the_same(self):
        self.start(SHADOW)
        self.old.call("SADD", "set", *MEMBERS)
        self.new.call("SADD", "set", *reversed(MEMBERS))
        self.old.call("HSET", "hash", *[word for one in MEMBERS for word in (one, "x")])
        self.new.call("HSET", "hash", *[word for one in reversed(MEMBERS) for word in (one, "x")])
        for command in ("SMEMBERS set", "SINTER set set", "HGETALL hash", "HKEYS hash"):
            self.client.call(*command.split())
        self.assertEqual(self.settled(4), {"same": 4})
        self.assertEqual(self.samples(), [])

    def test_expiries_a_moment_apart_are_tolerable(self):
        self.start(SHADOW)
        self.old.call("SET", "k", 1, "PX", 3_600_000)
        self.new.call("SET", "k", 1, "PX", 3_600_900)
        self.client.call("PTTL", "k")
        self.assertEqual(self.settled(1), {"tolerable": 1})

    def test_chance_is_not_compared(self):
        self.start(SHADOW)
        for server in (self.old, self.new):
            server.call("SADD", "set", *MEMBERS)
        for _ in range(20):
            self.client.call("SRANDMEMBER", "set")
        self.copied(20)
        self.assertEqual(self.classes(), {})
        self.assertEqual(self.sidecar.metric("crossfade_shadow_uncompared_total"), 20)

    def test_a_key_that_really_differs_is_confirmed_and_shown_without_its_values(self):
        self.start(SHADOW, loops=2)
        self.old.call("SET", "user:7", "the secret of old")
        self.new.call("SET", "user:7", "the secret of new")
        self.assertEqual(self.client.call("GET", "user:7"), b"the secret of old")
        self.assertEqual(self.settled(1), {"real": 1})
        sample, = self.samples()
        self.assertEqual({name: sample[name] for name in (
            "interlay", "sort", "class", "command", "db", "keys")}, {
                "interlay": "cache", "sort": "copy", "class": "real", "command": "get", "db": None,
                "keys": ["user:7"]})
        self.assertIn("17 bytes", sample["old_reply"])
        self.assertNotEqual(sample["old_reply"], sample["new_reply"])
        self.assertNotIn("secret", str(sample))
        self.assertNotIn("secret", self.sidecar.log_text())

    def test_samples_show_values_where_that_is_asked_for(self):
        self.start(SHADOW, redact_values=False)
        self.old.call("SET", "k", "left")
        self.new.call("SET", "k", "right")
        self.client.call("SELECT", 0)
        self.client.call("GET", "k")
        self.assertEqual(self.settled(1), {"real": 1})
        sample, = self.samples()
        self.assertIn("left", sample["old_reply"])
        self.assertIn("right", sample["new_reply"])

    def test_a_difference_that_has_gone_when_it_is_looked_at_again_is_a_race(self):
        self.start(SHADOW, compare_pause_ms=500)
        self.old.call("SET", "k", "left")
        self.new.call("SET", "k", "right")
        self.client.call("GET", "k")
        wait_until(lambda: self.mismatched() == 1, 5, "the difference is seen")
        self.new.call("SET", "k", "left")
        self.assertEqual(self.settled(1), {"race": 1})

    def test_writes_are_looked_at_by_what_their_keys_hold(self):
        self.start(SHADOW)
        self.old.call("SET", "counter", 5)
        self.client.call("INCR", "counter")
        self.assertEqual(self.settled(1), {"real": 1})
        self.assertEqual((self.old.call("GET", "counter"), self.new.call("GET", "counter")),
                         (b"6", b"1"))
        self.assertEqual(self.samples()[0]["command"], "incr")

    def test_long_replies_are_judged_by_asking_again(self):
        self.start(SHADOW, compare_reply_max=1024)
        self.old.call("SET", "k", "x" * 100_000 + "left")
        self.new.call("SET", "k", "x" * 100_000 + "right")
        self.client.call("GET", "k")
        self.assertEqual(self.settled(1), {"real": 1})
        self.client.call("SET", "big", "v" * 100_000)  # a request of which nothing is kept
        self.old.call("SET", "same", "x" * 100_000)
        self.new.call("SET", "same", "x" * 100_000)
        self.client.call("GET", "same")
        self.copied(3)
        self.assertEqual(self.classes(), {"real": 1})

    def test_what_finds_no_room_is_counted(self):
        self.start(SHADOW, compare_queue_max=10, compare_pause_ms=60_000)
        self.old.call("SET", "k", "left")
        self.client.send(b"GET k\r\n" * 500)
        self.client.replies(500, 10)
        wait_until(lambda: self.mismatched() == 500, 10, "all are compared")
        self.assertEqual(self.dropped(), 490)
        self.assertEqual(self.sidecar.terminate(), 0)  # and does not wait for those in the queue

    def test_every_pair_comes_to_a_class_or_is_counted_as_dropped(self):
        self.start(SHADOW, loops=2, compare_queue_max=50, compare_kept_max=4096)
        for number in range(200):
            self.old.call("SET", f"k{number}", number)
        self.client.send(b"".join(b"GET k%d\r\n" % number for number in range(200)))
        self.client.replies(200, 10)
        wait_until(lambda: self.mismatched() == 200, 10, "all are compared")
        wait_until(lambda: sum(self.classes().values()) + self.dropped() == 200, 20, "all are judged")
        self.assertLessEqual(set(self.classes()), {"real", "unsure"})

    def test_dual_writes_that_answer_differently_are_judged_too_and_repaired(self):
        self.start(DUAL_WRITE, compare_pause_ms=0)
        self.new.call("SET", "counter", 5)
        self.assertEqual(self.client.call("INCR", "counter"), 1)
        self.assertEqual(sum(self.settled(1, "write").values()), 1)
        self.assertEqual(self.mismatched("second_writes"), 1)
        wait_until(lambda: self.new.call("GET", "counter") == b"1", 10, "it is repaired")

    def test_dual_writes_that_are_repeated_by_their_effect_are_no_mismatches(self):
        self.start(DUAL_WRITE)
        self.client.call("SADD", "set", *MEMBERS)
        for _ in range(20):
            self.client.call("SPOP", "set")
            self.client.call("XADD", "stream", "*", "field", "value")
            self.client.call("SET", "expiring", 1, "EX", 100)
            self.client.call("BLPOP", "nothing", 0.01)
        wait_until(lambda: self.new.call("XLEN", "stream") == 20, 10, "all is written")
        self.assertEqual((self.classes("write"), self.samples()), ({}, []))
        self.assertEqual(self.mismatched("second_writes"), 0)


if __name__ == "__main__":
    unittest.main()
