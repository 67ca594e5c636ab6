"""A live canary: what an operator's call promises while clients are at work.

Every key exists on both sides with the side's name as its value, so each reply tells who answered.
"""

import unittest

from harness import RawConn, RedisServer, ReplyError, Sidecar, encode, value_of, wait_until
from load import Load, run_phases

OLD, NEW = b"old", b"new"
KEYS = [f"user:{number}" for number in range(3000)]


def canary(share, policy="old_authoritative"):
    return {"type": "canary", "read_percentage": share,
            "write_mode": {"mode": "dual_write", "policy": policy}}


def cutover(reads, writes):
    return {"type": "canary", "read_percentage": reads,
            "write_mode": {"mode": "cutover", "write_percentage": writes}}


def fill(server, value, keys=KEYS):
    server.call("MSET", *[x for key in keys for x in (key, value)])


def read_all(port, keys=KEYS):
    """key -> value, one GET each, in one pipeline."""
    with RawConn(port) as client:
        client.send(b"".join(encode("GET", key) for key in keys))
        return dict(zip(keys, [value_of(raw) for raw in client.replies(len(keys), 30)]))


def on_new(port, keys=KEYS):
    return {key for key, value in read_all(port, keys).items() if value == NEW}


class Pair(unittest.TestCase):
    """Two servers and a sidecar with interlay "cache", fresh for every test."""

    loops = 1

    def setUp(self):
        self.old = self.enterContext(RedisServer())
        self.new = self.enterContext(RedisServer())
        self.sidecar = self.make_sidecar(self.loops)
        self.port = self.sidecar.ports["cache"]

    def make_sidecar(self, loops=1):
        sidecar = self.enterContext(Sidecar(loops=loops))
        sidecar.add_endpoint("old", self.old)
        sidecar.add_endpoint("new", self.new)
        sidecar.add_interlay("cache", "old")
        return sidecar

    def client(self):
        return self.enterContext(RawConn(self.port))


class UnderLoad(Pair):
    """Fifty clients, four loops; after a call's answer nothing is planned by the old table."""

    loops = 4
    ROUNDS = 6

    def setUp(self):
        super().setUp()
        Load.fill(self.old, "old")
        Load.fill(self.new, "new")

    def run_phases(self, calls):
        """`calls`: (function, the only side that may answer after it). Checks every phase."""
        run_phases(self, self.port, calls)

    def test_canary_a_patch_is_in_force_everywhere_when_it_answers(self):
        patch = self.sidecar.patch
        calls = [(lambda: self.sidecar.migrate("m", canary(0.0), "cache", "new"), OLD)]
        calls += [(lambda: patch("m", canary(1.0)), NEW),
                  (lambda: patch("m", canary(0.0)), OLD)] * self.ROUNDS
        self.run_phases(calls)

    def test_blue_green_flips_for_all_clients_at_once(self):
        def flip(active):
            return lambda: self.sidecar.patch("m", {"type": "blue_green", "active_is_new": active})
        calls = [(lambda: self.sidecar.migrate(
            "m", {"type": "blue_green", "active_is_new": False}, "cache", "new"), OLD)]
        calls += [(flip(True), NEW), (flip(False), OLD)] * self.ROUNDS
        self.run_phases(calls)

    def test_cutover_and_back_move_all_reads(self):
        calls = [(lambda: self.sidecar.migrate("m", cutover(0.0, 0.0), "cache", "new"), OLD),
                 (lambda: self.sidecar.patch("m", cutover(1.0, 1.0)), NEW),
                 (lambda: self.sidecar.patch("m", cutover(0.0, 0.0)), OLD)]
        self.run_phases(calls)

    def test_big_bang_moves_everything_and_a_rollback_takes_it_back(self):
        must = self.sidecar.must
        calls = [(lambda: self.sidecar.migrate("m", {"type": "big_bang", "durability": False},
                                               "cache", "new"), NEW),
                 (lambda: must("POST", "/migrations/m/rollback"), OLD)]
        self.run_phases(calls)

    def test_shares_in_between_reach_both_sides_without_errors(self):
        self.sidecar.migrate("m", canary(0.0), "cache", "new")
        with Load(self.port) as load:
            shares = {load.change(lambda s=share: self.sidecar.patch("m", canary(s))): share
                      for share in (0.05, 0.25, 0.75, 0.5)}
        self.assertEqual(load.trouble(), [])
        self.assertEqual(load.errors(), {})
        for phase, share in shares.items():
            replies = load.replies(phase)
            measured = replies.get(NEW, 0) / sum(replies.values())
            # 500 keys: two standard deviations of their own share, and an uneven draw of requests.
            self.assertAlmostEqual(measured, share, delta=0.08)


class StableSlice(Pair):
    """Which keys are on new is a property of the key and the share, of nothing else."""

    def setUp(self):
        super().setUp()
        fill(self.old, "old")
        fill(self.new, "new")
        self.sidecar.migrate("m", canary(0.0), "cache", "new")

    def test_raising_the_share_never_moves_a_key_back(self):
        before = set()
        for share in (0.0, 0.001, 0.05, 0.25, 0.5, 0.75, 0.999, 1.0):
            self.sidecar.patch("m", canary(share))
            now = on_new(self.port)
            self.assertLessEqual(before, now, f"keys moved back at {share}")
            self.assertAlmostEqual(len(now) / len(KEYS), share, delta=0.035)
            before = now
        self.assertEqual(before, set(KEYS))
        self.sidecar.patch("m", canary(0.0))
        self.assertEqual(on_new(self.port), set())

    def test_two_sidecars_put_the_same_keys_on_new(self):
        other = self.make_sidecar(loops=3)
        other.migrate("another-name", canary(0.9), "cache", "new")
        for share in (0.1, 0.37):
            self.sidecar.patch("m", canary(share))
            other.patch("another-name", canary(share))
            here, there = on_new(self.port), on_new(other.ports["cache"])
            self.assertEqual(here, there)
            self.assertGreater(len(here), 0)

    def test_a_restart_changes_nothing(self):
        self.sidecar.patch("m", canary(0.42))
        before = on_new(self.port)
        self.sidecar.kill9()
        self.sidecar.restart()
        self.assertEqual(on_new(self.port), before)

    def test_keys_of_one_hash_tag_stay_together(self):
        keys = [f"{{tag{tag}}}:{part}" for tag in range(200) for part in "abc"]
        fill(self.old, "old", keys)
        fill(self.new, "new", keys)
        self.sidecar.patch("m", canary(0.5))
        values = read_all(self.port, keys)
        for tag in range(200):
            self.assertEqual(len({values[f"{{tag{tag}}}:{part}"] for part in "abc"}), 1)
        self.assertEqual(set(values.values()), {OLD, NEW})

    def test_the_servers_themselves_measure_the_share(self):
        self.sidecar.patch("m", canary(0.25))
        for server in (self.old, self.new):
            server.call("CONFIG", "RESETSTAT")
        read_all(self.port)
        old, new = (server.commandstats().get("get", 0) for server in (self.old, self.new))
        self.assertEqual(old + new, len(KEYS))
        self.assertAlmostEqual(new / len(KEYS), 0.25, delta=0.035)

    def test_reads_of_several_keys_go_to_new_only_when_all_are_there(self):
        self.sidecar.patch("m", canary(0.5))
        values = read_all(self.port)
        news = [key for key in KEYS if values[key] == NEW][:5]
        olds = [key for key in KEYS if values[key] == OLD][:5]
        client = self.client()
        self.assertEqual(client.call("MGET", *news), [NEW] * 5)
        self.assertEqual(client.call("MGET", *olds), [OLD] * 5)
        self.assertEqual(client.call("MGET", *news, *olds), [OLD] * 10)


class DualWrites(Pair):
    """Writes reach both sides; the policy says whose reply the client gets."""

    def start(self, policy, share=0.0):
        self.sidecar.migrate("m", canary(share, policy), "cache", "new")

    def assert_soon(self, server, key, value):
        def is_so():
            try:
                return server.call("GET", key) == value
            except ReplyError:  # WRONGTYPE: a repair has not reached it yet
                return False
        wait_until(is_so, 5, f"{key} is {value!r}")

    def leave_unrepaired(self):
        """What each side makes of a write is seen before a repair can make them alike."""
        for server in (self.old, self.new):
            server.call("ACL", "SETUSER", "default", "-dump")

    def test_every_write_reaches_both_sides(self):
        self.start("old_authoritative")
        client = self.client()
        client.send(b"".join(encode("SET", f"k{n}", n) for n in range(1000)))
        self.assertEqual(set(client.replies(1000)), {b"+OK\r\n"})
        for server in (self.old, self.new):
            wait_until(lambda s=server: s.call("DBSIZE") == 1000, 5, "1000 keys")
        self.assertEqual(self.old.call("MGET", *[f"k{n}" for n in range(1000)]),
                         self.new.call("MGET", *[f"k{n}" for n in range(1000)]))

    def test_old_authoritative_answers_as_old_does(self):
        self.leave_unrepaired()
        self.start("old_authoritative")
        self.old.call("RPUSH", "list", "a")
        self.new.call("RPUSH", "other", "a")
        client = self.client()
        self.assertTrue(str(client.call("INCR", "list")).startswith("WRONGTYPE"))
        self.assertEqual(client.call("INCR", "other"), 1)
        self.assert_soon(self.new, "list", b"1")

    def test_new_authoritative_answers_as_new_does(self):
        self.leave_unrepaired()
        self.start("new_authoritative")
        self.old.call("RPUSH", "list", "a")
        self.new.call("SET", "n", 41)
        client = self.client()
        self.assertEqual(client.call("INCR", "list"), 1)
        self.assertEqual(client.call("INCR", "n"), 42)
        self.assert_soon(self.old, "n", b"1")

    def test_best_effort_succeeds_when_either_does(self):
        self.start("best_effort")
        self.old.call("RPUSH", "broken-on-old", "a")
        self.new.call("RPUSH", "broken-on-new", "a")
        for server in (self.old, self.new):
            server.call("RPUSH", "broken-on-both", "a")
        self.old.call("SET", "both", 10)
        client = self.client()
        self.assertEqual(client.call("INCR", "broken-on-old"), 1)
        self.assertEqual(client.call("INCR", "broken-on-new"), 1)
        self.assertEqual(client.call("INCR", "both"), 11)
        self.assertIsInstance(client.call("INCR", "broken-on-both"), ReplyError)

    def test_transactions_scripts_and_databases_reach_both_sides(self):
        self.start("old_authoritative")
        client = self.client()
        client.call("SELECT", 3)
        client.call("MULTI")
        client.call("SET", "t", "1")
        client.call("INCR", "t")
        self.assertEqual(client.call("EXEC"), ["OK", 2])
        client.call("EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", 1, "s", "script")
        client.call("SELECT", 0)
        client.call("SET", "zero", "0")
        for server in (self.old, self.new):
            self.assert_soon(server, "zero", b"0")
            server.call("SELECT", 3)
            self.assert_soon(server, "s", b"script")
            self.assert_soon(server, "t", b"2")
            server.call("SELECT", 0)

    def test_a_write_is_read_back_at_any_share(self):
        self.start("old_authoritative")
        client = self.client()
        for share in (0.0, 0.3, 0.7, 1.0):
            self.sidecar.patch("m", canary(share))
            keys = [f"{share}:{n}" for n in range(300)]
            client.send(b"".join(encode("SET", key, "v") + encode("GET", key) for key in keys))
            self.assertEqual(client.replies(600), [b"+OK\r\n", b"$1\r\nv\r\n"] * 300)

    def test_metrics_count_second_writes(self):
        self.start("old_authoritative")
        client = self.client()
        for n in range(20):
            client.call("SET", f"k{n}", n)

        def counted(name):
            return self.sidecar.metric(f"crossfade_second_writes_{name}_total")
        wait_until(lambda: counted("answered") == 20, 5, "20 second writes answered")
        self.assertEqual(counted("eligible"), 20)
        self.assertEqual(counted("dropped"), 0)


class Cutover(Pair):
    """write_percentage moves a key's writes and, with them, its reads."""

    def test_a_key_whose_writes_moved_is_also_read_from_new(self):
        self.sidecar.migrate("m", cutover(0.0, 0.5), "cache", "new")
        client = self.client()
        keys = [f"k{n}" for n in range(1000)]
        client.send(b"".join(encode("SET", key, "v") + encode("GET", key) for key in keys))
        self.assertEqual(client.replies(2000), [b"+OK\r\n", b"$1\r\nv\r\n"] * 1000)
        old, new = self.old.call("DBSIZE"), self.new.call("DBSIZE")
        self.assertEqual(old + new, 1000, "each key is written on one side only")
        self.assertAlmostEqual(new / 1000, 0.5, delta=0.06)

    def test_writes_of_keys_on_different_sides_are_refused_and_change_nothing(self):
        self.sidecar.migrate("m", cutover(0.5, 0.5), "cache", "new")
        client = self.client()
        client.send(b"".join(encode("SET", f"k{n}", "v") for n in range(100)))
        client.replies(100)
        here = next(n for n in range(100) if self.old.call("EXISTS", f"k{n}"))
        there = next(n for n in range(100) if self.new.call("EXISTS", f"k{n}"))
        reply = client.call("MSET", f"k{here}", "x", f"k{there}", "x")
        self.assertIsInstance(reply, ReplyError)
        self.assertTrue(str(reply).startswith("ERR crossfade: "), reply)
        self.assertEqual(client.call("GET", f"k{here}"), b"v")
        self.assertEqual(client.call("GET", f"k{there}"), b"v")
        self.assertGreaterEqual(self.sidecar.metric("crossfade_refused_split_total"), 1)


class SafePoints(Pair):
    """What a session has begun on one side it ends there, or it is not done at all."""

    def setUp(self):
        super().setUp()
        fill(self.old, "old", ["k"])
        fill(self.new, "new", ["k"])
        self.sidecar.migrate("m", {"type": "blue_green", "active_is_new": False}, "cache", "new")

    def flip(self, active_is_new=True):
        self.sidecar.patch("m", {"type": "blue_green", "active_is_new": active_is_new})

    def test_an_open_transaction_ends_with_its_side(self):
        client = self.client()
        client.call("MULTI")
        client.call("GET", "k")
        self.flip()
        client.call("GET", "k")
        self.assertTrue(str(client.call("EXEC")).startswith("EXECABORT"))
        self.assertEqual(client.call("GET", "k"), NEW)

    def test_a_watch_ends_with_its_side(self):
        client = self.client()
        client.call("WATCH", "k")
        self.flip()
        client.call("MULTI")
        client.call("GET", "k")
        self.assertIsNone(client.call("EXEC"))
        self.assertEqual(client.call("GET", "k"), NEW)

    def test_a_blocked_client_is_served_by_the_side_it_waits_on(self):
        client = self.client()
        client.command("BLPOP", "list", 0)
        wait_until(lambda: self.old.info("clients")["blocked_clients"] == "1", 5, "blocked")
        self.flip()
        self.old.call("RPUSH", "list", "v")
        self.assertEqual(client.read(), [b"list", b"v"])
        self.assertEqual(client.call("GET", "k"), NEW)

    def test_connection_state_is_the_same_on_the_other_side(self):
        client = self.client()
        client.call("SELECT", 5)
        client.call("CLIENT", "SETNAME", "app")
        client.call("HELLO", 3)
        self.flip()
        self.assertEqual(client.call("CLIENT", "GETNAME"), b"app")
        client.send(encode("GET", "nothing"))
        self.assertEqual(client.replies(1), [b"_\r\n"])
        client.call("SET", "five", "v")
        self.new.call("SELECT", 5)
        self.assertEqual(self.new.call("GET", "five"), b"v")

    def test_new_connections_while_flipping_get_a_server_each(self):
        for active in (True, False) * 10:
            self.flip(active)
            with RawConn(self.port) as client:
                self.assertEqual(client.call("GET", "k"), NEW if active else OLD)

    def test_requests_count_by_side(self):
        client = self.client()
        for _ in range(10):
            client.call("GET", "k")
        self.flip()
        for _ in range(7):
            client.call("GET", "k")

        def requests(side):
            return self.sidecar.metric("crossfade_requests_total", interlay="cache", side=side)
        wait_until(lambda: (requests("old"), requests("new")) == (10, 7), 5, "10 on old, 7 on new")


if __name__ == "__main__":
    unittest.main()
