"""Requests by api: which of them the strategy moves, seen at two real servers by live clients.

Where both servers hold the same keys, old with the value "old" and new with "new", a reply tells who
answered; where they begin equal, dual writes have to keep them so, whoever the writes belong to.
"""

import random
import unittest

from harness import RawConn, RedisServer, Sidecar, encode, value_of, wait_until
from ledger import Ledger
from load import Load

OLD, NEW = b"old", b"new"
DUAL = {"mode": "dual_write", "policy": "old_authoritative"}
GREEN = {"type": "blue_green", "active_is_new": True, "write_mode": DUAL}
BIG_BANG = {"type": "big_bang", "durability": False}
BLUE = {"type": "blue_green", "active_is_new": False, "write_mode": DUAL}


def canary(share):
    return {"type": "canary", "read_percentage": share, "write_mode": DUAL}


class Apis(unittest.TestCase):
    """Apis in the order in which they are asked: "secrets", "users", "rest"; "users" is the migration's,
    with all of its templates but that of HGET."""

    loops = 1
    queries = {"secrets": ("GET user:{{id}}:secret",),
               "users": ("GET user:{{id}}", "SET user:{{id}} {{value}}", "HGET user:{{id}} {{field}}"),
               "rest": ("GET {{key}}",)}

    def setUp(self):
        self.old = self.enterContext(RedisServer())
        self.new = self.enterContext(RedisServer())
        self.sidecar = self.enterContext(Sidecar(loops=self.loops))
        self.sidecar.add_endpoint("old", self.old)
        self.sidecar.add_endpoint("new", self.new)
        self.port = self.sidecar.add_interlay("cache", "old")
        for api, queries in self.queries.items():
            self.define(api, *queries)

    def define(self, api, *queries):
        """An api with templates "<api>0", "<api>1", …"""
        names = [f"{api}{number}" for number in range(len(queries))]
        for name, query in zip(names, queries):
            self.sidecar.must("POST", "/templates", {"id": name, "endpoint": "old", "query": query})
        self.sidecar.must("POST", "/apis",
                          {"id": api, "bindings": [{"template": name} for name in names]})

    def migrate(self, strategy, templates=("users0", "users1")):
        self.sidecar.create_migration("m", strategy, "cache", "new")
        self.sidecar.must("POST", "/migrations/m/api/users",
                          {"bindings": [{"template": name} for name in templates]})
        self.sidecar.must("POST", "/migrations/m/migrate")

    def client(self):
        return self.enterContext(RawConn(self.port))

    def fill(self, *keys):
        for server, value in ((self.old, OLD), (self.new, NEW)):
            server.call("MSET", *[x for key in keys for x in (key, value)])


class Sides(Apis):
    def setUp(self):
        super().setUp()
        self.fill("user:1", "user:1:secret", "order:1")
        for server, value in ((self.old, OLD), (self.new, NEW)):
            server.call("HSET", "user:2", "name", value)

    def test_only_what_a_template_of_the_migration_has_is_read_from_new(self):
        self.migrate(GREEN)
        client = self.client()
        self.assertEqual(client.call("GET", "user:1"), NEW)
        self.assertEqual(client.call("gEt", "user:1"), NEW)
        client.send(b"get user:1\r\n")
        self.assertEqual(client.read(), NEW)
        self.assertEqual(self.new.commandstats()["get"], 3)
        before = self.new.commandstats()
        self.assertEqual(client.call("GET", "user:1:secret"), OLD, "an api that was defined before has it")
        self.assertEqual(client.call("GET", "order:1"), OLD, "an api that is not the migration's")
        self.assertEqual(client.call("HGET", "user:2", "name"), OLD, "its template is not bound")
        self.assertEqual(client.call("MGET", "user:1"), [OLD], "no template")
        self.assertEqual(client.call("EVAL_RO", "return redis.call('get', KEYS[1])", 1, "user:1"), OLD)
        self.assertEqual(client.call("STRLEN", "user:1"), 3)
        after = self.new.commandstats()
        for command in ("get", "hget", "mget", "eval_ro", "strlen"):
            self.assertEqual(after.get(command, 0), before.get(command, 0), command)

    def test_transactions_and_watches_stay_on_old(self):
        self.migrate(GREEN)
        client = self.client()
        client.send(encode("WATCH", "user:1") + encode("GET", "user:1") + encode("UNWATCH"))
        self.assertEqual([value_of(raw) for raw in client.replies(3)], ["OK", OLD, "OK"])
        self.assertEqual(client.call("GET", "user:1"), NEW)
        client.send(encode("MULTI") + encode("GET", "user:1") + encode("GET", "order:1") + encode("EXEC"))
        self.assertEqual(value_of(client.replies(4)[3]), [OLD, OLD])

    def test_writes_reach_both_sides_whoever_they_belong_to(self):
        self.migrate(canary(1.0))
        client = self.client()
        for key in ("user:3", "order:3"):
            self.assertEqual(client.call("SET", key, "both"), "OK")
            self.assertEqual(client.call("GET", key), b"both")
            self.assertEqual((self.old.call("GET", key), self.new.call("GET", key)), (b"both", b"both"))
        client.send(encode("MULTI") + encode("APPEND", "user:3", "!") + encode("EXEC"))
        client.replies(3)
        self.assertEqual((client.call("GET", "user:3"), self.new.call("GET", "user:3")), (b"both!", b"both!"))
        self.assertEqual(client.call("DEL", "user:3", "order:3"), 2)
        self.assertEqual(client.call("GET", "user:3"), None)

    def test_an_api_that_is_asked_before_takes_requests_at_once_and_gives_them_back(self):
        self.migrate(GREEN)
        client = self.client()
        bindings = self.sidecar.must("GET", "/apis/secrets")["bindings"]
        self.sidecar.must("POST", "/templates",
                          {"id": "one", "endpoint": "old", "query": "GET user:1"})
        for given, side in ((bindings + [{"template": "one"}], OLD), (bindings, NEW)):
            self.sidecar.must("PATCH", "/apis/secrets", {"bindings": given})
            self.assertEqual(client.call("GET", "user:1"), side)
        self.sidecar.must("PATCH", "/templates/users0", {"query": "GET order:{{id}}"})
        self.assertEqual((client.call("GET", "user:1"), client.call("GET", "order:1")), (OLD, NEW))

    def test_a_rollback_takes_all_back(self):
        self.migrate(GREEN)
        client = self.client()
        self.assertEqual(client.call("GET", "user:1"), NEW)
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertEqual(client.call("GET", "user:1"), OLD)

    def test_what_would_lose_something_is_refused_while_it_runs(self):
        self.migrate(GREEN)
        for change in ({"strategy": {"write_mode": None}},  # "users2", which is not bound, would move, too
                       {"strategy": {"write_mode": {"mode": "dual_write", "policy": "new_authoritative"}}},
                       {"strategy": {"write_mode": {"mode": "cutover", "write_percentage": 1.0}}}):
            status, answer = self.sidecar.api("PATCH", "/migrations/m?force=true", change)
            self.assertEqual(status, 409, answer)
        status, answer = self.sidecar.api("POST", "/migrations/m/complete")
        self.assertEqual(status, 409, answer)
        self.assertEqual(self.client().call("GET", "user:1"), NEW)


class Keys(Apis):
    """Where the api's writes move, its keys do, with all that is done to them."""

    EVERY = ("users0", "users1", "users2")

    def setUp(self):
        super().setUp()
        self.fill("user:1", "user:2", "user:1:secret", "order:1")

    def values(self, key):
        return self.old.call("GET", key), self.new.call("GET", key)

    def test_an_apis_keys_are_on_new_for_every_request(self):
        self.migrate(BIG_BANG, self.EVERY)
        client = self.client()
        self.assertEqual(client.call("MGET", "user:1", "user:2"), [NEW, NEW])
        self.assertEqual(client.call("EVAL", "return redis.call('get', KEYS[1])", 1, "user:1"), NEW)
        self.assertEqual(client.call("GET", "user:1:secret"), OLD, "another api's")
        self.assertEqual(client.call("GET", "order:1"), OLD)
        self.assertEqual(client.call("APPEND", "user:1", "!"), 4)
        self.assertEqual(client.call("SET", "order:1", "mine"), "OK")
        self.assertEqual(client.call("DEL", "user:2"), 1)
        self.assertEqual(self.values("user:1"), (OLD, b"new!"))
        self.assertEqual(self.values("order:1"), (b"mine", NEW))
        self.assertEqual(self.values("user:2"), (OLD, None))
        client.send(encode("MULTI") + encode("INCR", "user:n") + encode("GET", "user:1") + encode("EXEC"))
        self.assertEqual(value_of(client.replies(4)[3]), [1, b"new!"])
        client.send(encode("MULTI") + encode("INCR", "n") + encode("GET", "order:1") + encode("EXEC"))
        self.assertEqual(value_of(client.replies(4)[3]), [1, b"mine"])
        self.assertEqual((self.values("user:n"), self.values("n")), ((None, b"1"), (b"1", None)))

    def test_what_names_keys_of_both_is_refused_and_changes_nothing(self):
        self.migrate(BIG_BANG, self.EVERY)
        client = self.client()
        for args in (("MSET", "user:1", "a", "order:1", "a"), ("RENAME", "order:1", "user:1"),
                     ("MGET", "user:1", "user:1:secret"), ("DEL", "order:1", "user:1")):
            self.assertIn("both sides of the write split", str(client.call(*args)))
        client.send(encode("MULTI") + encode("SET", "user:1", "a") + encode("SET", "order:1", "a") +
                    encode("EXEC"))
        self.assertIn("EXECABORT", str(value_of(client.replies(4)[3])))
        self.assertEqual((self.values("user:1"), self.values("order:1")), ((OLD, NEW), (OLD, NEW)))

    def test_who_waits_for_a_key_that_moves_is_sent_away_to_come_back(self):
        self.sidecar.must("DELETE", "/apis/rest")  # all keys are named by its template
        self.define("lists", "LPUSH list:{{id}} {{value}}")
        self.sidecar.create_migration("m", BLUE | {"write_mode": None}, "cache", "new")
        self.sidecar.must("POST", "/migrations/m/api/lists", {"bindings": [{"template": "lists0"}]})
        self.sidecar.must("POST", "/migrations/m/migrate")
        moves, stays = self.client(), self.client()
        moves.send(encode("BLPOP", "list:1", 0))
        stays.send(encode("BLPOP", "other", 0))
        wait_until(lambda: self.old.info("clients")["blocked_clients"] == "2", 10, "both wait on old")
        self.sidecar.patch("m", {"type": "blue_green", "active_is_new": True})
        with self.assertRaises(EOFError):
            moves.read(20)
        again = self.client()
        again.send(encode("BLPOP", "list:1", 0))
        wait_until(lambda: self.new.info("clients")["blocked_clients"] == "1", 10, "it waits on new")
        other = self.client()
        other.call("LPUSH", "list:1", "a")
        other.call("LPUSH", "other", "b")
        self.assertEqual((again.read(), stays.read()), ([b"list:1", b"a"], [b"other", b"b"]))

    def test_the_second_of_two_waits_is_seen_as_well(self):
        self.migrate(BLUE | {"write_mode": None}, self.EVERY)
        waits = self.client()
        waits.send(encode("BLPOP", "order:2", 0) + encode("BLPOP", "user:3", 0))
        wait_until(lambda: self.old.info("clients")["blocked_clients"] == "1", 10, "it waits on old")
        self.sidecar.patch("m", {"type": "blue_green", "active_is_new": True})
        with self.assertRaises(EOFError):
            waits.read(20)

    def test_a_watch_does_not_keep_the_former_keys(self):
        self.migrate(BLUE | {"write_mode": None}, self.EVERY)
        watches = self.client()
        self.assertEqual(watches.call("WATCH", "order:1"), "OK")
        self.sidecar.patch("m", {"type": "blue_green", "active_is_new": True})
        watches.send(encode("SET", "order:1", "beside") + encode("MULTI") + encode("SET", "order:1", "x") +
                     encode("EXEC"))
        self.assertEqual([watches.read() for _ in range(4)], ["OK", "OK", "QUEUED", None])
        self.assertEqual(self.values("order:1"), (b"beside", NEW))

    def test_a_silent_client_hears_that_its_write_is_refused(self):
        self.migrate(BIG_BANG, self.EVERY)
        client = self.client()
        self.assertEqual(client.call("GET", "user:1"), NEW)
        client.send(encode("CLIENT", "REPLY", "OFF") + encode("SET", "user:1", "lost"))
        with self.assertRaises(EOFError):
            client.read()
        self.assertEqual(self.values("user:1"), (OLD, NEW))

    def test_clients_of_other_regions_go_by_theirs(self):
        self.sidecar.must("PATCH", "/interlays/cache", {"settings": {"regions": {"us": ["127.0.0.7"]}}})
        self.migrate({"type": "geographic", "regions": {"us": True, "eu": False}}, self.EVERY)
        here, there = self.client(), self.enterContext(RawConn(self.port, source="127.0.0.7"))
        for client, user, order in ((here, OLD, OLD), (there, NEW, OLD)):
            self.assertEqual((client.call("GET", "user:1"), client.call("GET", "order:1")), (user, order))

    def test_shares_of_the_apis_keys(self):
        self.fill(*[f"user:{n}" for n in range(1000)], *[f"order:{n}" for n in range(1000)])
        self.migrate({"type": "canary", "read_percentage": 0.0}, self.EVERY)
        before = set()
        for share in (0.25, 0.5, 1.0):
            self.sidecar.patch("m", {"type": "canary", "read_percentage": share})
            client = self.client()
            on_new = {n for n in range(1000) if client.call("GET", f"user:{n}") == NEW}
            self.assertLessEqual(before, on_new)
            self.assertAlmostEqual(len(on_new) / 1000, share, delta=0.05)
            self.assertEqual({client.call("GET", f"order:{n}") for n in range(1000)}, {OLD})
            before = on_new

    def test_kill_9_changes_nothing_and_a_rollback_says_what_stays_on_new(self):
        self.migrate(BIG_BANG, self.EVERY)
        self.assertEqual(self.client().call("SET", "user:1", "kept"), "OK")
        self.sidecar.kill9()
        self.sidecar.restart()
        client = self.client()
        self.assertEqual((client.call("GET", "user:1"), client.call("GET", "order:1")), (b"kept", OLD))
        self.assertEqual(client.call("SET", "user:2", "too"), "OK")
        self.sidecar.must("POST", "/migrations/m/rollback")
        reason = self.sidecar.must("GET", "/migrations/m/events")[-1]["reason"]
        self.assertIn("writes went to new only", reason)
        self.assertEqual(self.client().call("GET", "user:1"), OLD)


class Rendered(Apis):
    """An api that new serves by other templates: a hash of users in place of a key for each."""

    def setUp(self):
        super().setUp()
        self.sidecar.must("PATCH", "/apis/users",
                          {"bindings": [{"template": "users0"}, {"template": "users1"}]})
        for name, query in (("new_get", "HGET users {{key}}"), ("new_set", "HSET users {{key}} {{to}}")):
            self.sidecar.must("POST", "/templates", {"id": name, "endpoint": "new", "query": query})

    def move(self, strategy):
        self.sidecar.create_migration("m", strategy, "cache", "new")
        self.sidecar.must("POST", "/migrations/m/api/users", {"bindings": [
            {"template": "new_get", "fields": {"key": "id"}},
            {"template": "new_set", "fields": {"key": "id", "to": "value"}}]})
        self.sidecar.must("POST", "/migrations/m/migrate")

    def test_its_requests_are_written_anew_and_no_others(self):
        self.move(BIG_BANG)
        client = self.client()
        big = b"\r\n" * (1 << 20)
        client.send(encode("SET", "user:1", "a") + b"set user:2 b\r\n" + encode("SET", "user:3", big) +
                    encode("GET", "user:1") + encode("SET", "order:1", "c") + encode("GET", "order:1") +
                    encode("GET", "user:9"))
        self.assertEqual([value_of(raw) for raw in client.replies(7)],
                         [1, 1, 1, b"a", "OK", b"c", None], "replies are those of new's own commands")
        self.assertEqual(client.call("GET", "user:3"), big)
        self.assertEqual(self.new.call("HMGET", "users", "1", "2"), [b"a", b"b"])
        self.assertEqual((self.new.call("KEYS", "*"), self.old.call("KEYS", "*")), ([b"users"], [b"order:1"]))
        client.send(encode("MULTI") + encode("SET", "user:4", "d") + encode("GET", "user:1") + encode("EXEC"))
        self.assertEqual(value_of(client.replies(4)[3]), [1, b"a"])

    def test_what_no_template_renders_is_refused_and_does_nothing(self):
        self.move(BIG_BANG)
        client = self.client()
        for args in (("DEL", "user:1"), ("MGET", "user:1", "user:2"), ("SET", "user:1", "a", "EX", "9"),
                     ("WATCH", "user:1"), ("BLPOP", "user:1", "0")):
            self.assertIn("in another form", str(client.call(*args)), args)
        client.send(encode("MULTI") + encode("INCR", "user:1") + encode("SET", "user:1", "a") + encode("EXEC"))
        self.assertIn("EXECABORT", str(value_of(client.replies(4)[3])))
        self.assertEqual(self.sidecar.metric("crossfade_refused_foreign_total"), 6)
        self.assertEqual((self.new.call("DBSIZE"), self.old.call("DBSIZE")), (0, 0))
        self.assertEqual(client.call("SET", "user:1:secret", "s"), "OK", "another api's")

    def test_shares_and_a_way_back(self):
        for number in range(100):
            self.old.call("SET", f"user:{number}", OLD)
            self.new.call("HSET", "users", number, NEW)
        self.move({"type": "canary", "read_percentage": 0.0})
        client = self.client()
        before = set()
        for share in (0.0, 0.5, 1.0):
            self.sidecar.patch("m", {"type": "canary", "read_percentage": share})
            replies = [client.call("GET", f"user:{number}") for number in range(100)]
            on_new = {number for number in range(100) if replies[number] == NEW}
            self.assertEqual(set(replies) | {OLD, NEW}, {OLD, NEW})
            self.assertLessEqual(before, on_new)
            before = on_new
        self.assertEqual(len(before), 100)
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertEqual(client.call("GET", "user:1"), OLD)


class Shadow(Apis):
    def copied(self):
        stats = self.new.commandstats()
        return {name: stats.get(name, 0) for name in ("get", "set", "mget", "incr", "hget", "exec")}

    def test_the_requests_of_the_api_are_copied_and_no_others(self):
        self.migrate({"type": "shadow_traffic"})
        client = self.client()
        big = b"x" * (1 << 20)
        for args in (("SET", "user:1", "a"), ("SET", "user:2", big), ("GET", "user:1"),
                     ("GET", "user:1:secret"), ("SET", "order:1", big), ("INCR", "n"), ("GET", "n"),
                     ("MGET", "user:1"), ("MULTI",), ("SET", "user:1", "b"), ("EXEC",), ("GET", "user:2")):
            client.call(*args, limit_s=10)
        wait_until(lambda: self.copied()["get"] >= 2, 10, "the copies")
        self.assertEqual(self.copied(), {"get": 2, "set": 2, "mget": 0, "incr": 0, "hget": 0, "exec": 0})
        self.assertEqual(self.new.call("GET", "user:2"), big)
        self.assertEqual(self.new.call("GET", "user:1"), b"a")

    def test_with_a_write_mode_all_writes_are_made_and_reads_of_the_api_copied(self):
        self.migrate({"type": "shadow_traffic", "write_mode": DUAL})
        client = self.client()
        for args in (("SET", "user:1", "a"), ("INCR", "n"), ("GET", "n"), ("GET", "user:1")):
            client.call(*args)
        wait_until(lambda: self.copied()["get"] >= 1, 10, "the copy")
        self.assertEqual((self.new.call("GET", "n"), self.new.call("GET", "user:1")), (b"1", b"a"))
        self.assertEqual(self.copied()["get"], 3)


class UnderLoad(Apis):
    loops = 4

    def setUp(self):
        super().setUp()
        self.keys = [f"user:{number}" for number in range(500)]
        self.others = [f"order:{number}" for number in range(500)]
        self.fill(*self.keys, *self.others)

    def loads(self):
        users, others = Load(self.port, clients=20), Load(self.port, clients=10)
        users.keys, others.keys = self.keys, self.others
        return users, others

    def test_a_patch_moves_the_api_for_all_clients_at_once_and_nothing_else(self):
        users, others = self.loads()
        expected = {0: OLD}
        with others, users:
            for call, side in ((lambda: self.migrate(canary(0.0)), OLD),
                               *[(lambda: self.sidecar.patch("m", canary(1.0)), NEW),
                                 (lambda: self.sidecar.patch("m", canary(0.0)), OLD),
                                 (lambda: self.sidecar.patch("m", GREEN), NEW),
                                 (lambda: self.sidecar.patch("m", BLUE), OLD)] * 2,
                               (lambda: self.sidecar.patch("m", GREEN), NEW),
                               (lambda: self.sidecar.must("POST", "/migrations/m/rollback"), OLD)):
                expected[users.change(call)] = side
        self.assertEqual(users.trouble() + others.trouble(), [])
        for phase, side in expected.items():
            self.assertEqual(set(users.replies(phase)), {side}, phase)
        self.assertEqual(set(others.replies(0)), {OLD})

    def on_new(self):
        with RawConn(self.port) as client:
            client.send(b"".join(encode("GET", key) for key in self.keys + self.others))
            replies = [value_of(raw) for raw in client.replies(1000, 30)]
        return {key for key, reply in zip(self.keys + self.others, replies) if reply == NEW}

    def test_kill_9_changes_nothing(self):
        self.migrate(canary(0.4))
        before = self.on_new()
        self.assertTrue(before)
        self.assertLess(before, set(self.keys))
        self.sidecar.kill9()
        self.sidecar.restart()
        self.assertEqual(self.on_new(), before)
        self.sidecar.patch("m", canary(1.0))
        self.assertEqual(self.on_new(), set(self.keys))


class Equal(Apis):
    """Requests of an api and of none, mixed: clients hear what one server says, and both sides end equal."""

    loops = 2

    @staticmethod
    def requests(seed, count):
        dice = random.Random(seed)

        def key():
            return f"{dice.choice(('user', 'order'))}:{dice.randrange(6)}"
        forms = (lambda: ("GET", key()), lambda: ("SET", key(), dice.randrange(100)),
                 lambda: ("INCR", key()), lambda: ("MGET", key(), key()), lambda: ("DEL", key(), key()),
                 lambda: ("APPEND", key(), "x"), lambda: ("GET", key() + ":secret"),
                 lambda: ("HSET", key(), "f", dice.randrange(9)), lambda: ("HGET", key(), "f"),
                 lambda: ("LPUSH", key(), dice.randrange(9)), lambda: ("TYPE", key()),
                 lambda: ("EXISTS", key(), key()), lambda: ("RENAME", key(), key()),
                 lambda: ("EVAL", "return redis.call('set', KEYS[1], ARGV[1])", 1, key(), dice.randrange(9)))
        for _ in range(count):
            if dice.random() < 0.1:
                yield from (("MULTI",), dice.choice(forms)(), dice.choice(forms)(), ("EXEC",))
            else:
                yield dice.choice(forms)()

    def test_replies_are_those_of_one_server(self):
        self.migrate(canary(0.5))
        real = self.enterContext(RedisServer())
        for seed in range(8):
            share = (0.0, 0.5, 1.0)[seed % 3]
            self.sidecar.patch("m", canary(share))
            wanted = b"".join(encode(*args) for args in self.requests(seed, 300))
            count = sum(1 for _ in self.requests(seed, 300))
            with RawConn(self.port) as client, RawConn(real.port) as alone:
                client.send(wanted)
                alone.send(wanted)
                self.assertEqual(client.replies(count, 60), alone.replies(count, 60), seed)
        digests = {server.call("DEBUG", "DIGEST") for server in (self.old, self.new, real)}
        self.assertEqual(len(digests), 1, digests)
        self.assertEqual(Ledger(self.sidecar, "m").total, 0)

    def test_many_clients_leave_both_sides_equal(self):
        self.migrate(canary(0.5))
        clients = [self.client() for _ in range(20)]
        counts = []
        for seed, client in enumerate(clients):
            requests = list(self.requests(100 + seed, 150))
            client.send(b"".join(encode(*args) for args in requests))
            counts.append(len(requests))
        for client, count in zip(clients, counts):
            client.replies(count, 60)
        wait_until(lambda: self.old.call("DEBUG", "DIGEST") == self.new.call("DEBUG", "DIGEST"), 20,
                   "both sides equal")
        Ledger(self.sidecar, "m").until_empty()


if __name__ == "__main__":
    unittest.main()
