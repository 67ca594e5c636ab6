"""Strangler fig and feature flag: which apis' and users' requests are answered by which of two real servers,
under PATCH while clients run, and after kill -9.

Both servers hold the same keys, old with the value "old" and new with "new", so that a reply tells who
answered; commandstats tell that nobody else was asked.
"""

import unittest

import pg_apis
from apis_routing_test import Apis
from harness import SLOWNESS, RawConn, encode, value_of, wait_until
from load import Load, check_phases
from pg_conn import PgConn
from pg_messages import SYNC, bind, close, execute, kind_of, parse, row_of
from pg_pair import WRITES_OLD, PgPair
from sides import NEW, OLD, RedisSides

DUAL = {"mode": "dual_write", "policy": "old_authoritative"}
BY_STATEMENT = {**DUAL, "engine": "statement"}


def fig(**features):
    return {"type": "strangler_fig", "features": features, "write_mode": DUAL}


def flag(share, write_mode=None, **flags):
    strategy = {"type": "feature_flag", "flags": flags, "rollout_percentage": share}
    return {**strategy, "write_mode": write_mode} if write_mode else strategy


class Featured(Apis):
    """Apis "users" (GET, SET), "orders" (GET) and, of no migration, "rest"."""

    loops = 4
    queries = {"users": ("GET user:{{id}}", "SET user:{{id}} {{value}}"), "orders": ("GET order:{{id}}",),
               "rest": ("GET {{key}}",)}

    def setUp(self):
        super().setUp()
        self.keys = {api: [f"{api}:{number}" for number in range(300)] for api in ("user", "order", "other")}
        self.fill(*[key for keys in self.keys.values() for key in keys])

    def begin(self, strategy):
        self.sidecar.create_migration("m", strategy, "cache", "new")
        for api in ("users", "orders"):
            self.sidecar.must("POST", f"/migrations/m/api/{api}", {
                "bindings": [{"template": f"{api}{n}"} for n in range(len(self.queries[api]))]})
        self.sidecar.must("POST", "/migrations/m/migrate")

    def patch(self, strategy):
        self.sidecar.patch("m", strategy)

    def on_new(self, of="user"):
        """Which of its keys are read from new, by a new client; no other command was asked there."""
        before = self.new.commandstats().get("get", 0)
        with RawConn(self.port) as client:
            client.send(b"".join(encode("GET", key) for key in self.keys[of]))
            replies = [value_of(raw) for raw in client.replies(len(self.keys[of]), 30 * SLOWNESS)]
        self.assertLessEqual(set(replies), {OLD, NEW})
        found = {key for key, reply in zip(self.keys[of], replies) if reply == NEW}
        self.assertEqual(self.new.commandstats().get("get", 0) - before, len(found))
        return found

    def where(self):
        """Who answers, by what is asked for."""
        shares = {of: len(self.on_new(of)) / len(self.keys[of]) for of in self.keys}
        return {of: "new" if share == 1 else "old" if share == 0 else "both" for of, share in shares.items()}


class StranglerFig(Featured):
    def test_the_apis_that_are_true_are_on_new_and_nothing_else(self):
        self.begin(fig(users=True, orders=False, reporting=True))
        for features, expected in ((None, ("new", "old")), ({"orders": True}, ("old", "new")),
                                   ({"users": True, "orders": True}, ("new", "new")),
                                   ({}, ("old", "old")), ({"rest": True}, ("old", "old"))):
            if features is not None:
                self.patch(fig(**features))
            self.assertEqual(self.where(), dict(zip(("user", "order"), expected)) | {"other": "old"})
        uuid = self.sidecar.must("GET", "/apis/users")["uuid"]
        self.patch(fig(**{uuid: True}))
        self.assertEqual(self.where(), {"user": "new", "order": "old", "other": "old"})
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertEqual(self.where(), {"user": "old", "order": "old", "other": "old"})

    def test_writes_of_whatever_api_reach_both_sides_and_are_read_where_they_are(self):
        self.begin(fig(users=True))
        with RawConn(self.port) as client:
            for key in ("user:1", "order:1", "other:1"):
                self.assertEqual(client.call("SET", key, "both"), "OK")
                self.assertEqual(client.call("GET", key), b"both")
                self.assertEqual((self.old.call("GET", key), self.new.call("GET", key)), (b"both", b"both"))

    def test_without_a_write_mode_the_keys_of_a_feature_move(self):
        self.begin({"type": "strangler_fig", "features": {"users": True, "orders": False}})
        with RawConn(self.port) as client:
            self.assertEqual(client.call("MGET", "user:1", "user:2"), [NEW, NEW])
            self.assertEqual(client.call("MGET", "order:1", "other:1"), [OLD, OLD])
            for key in ("user:1", "order:1"):
                self.assertEqual(client.call("APPEND", key, "!"), 4)
            self.assertEqual([self.old.call("GET", key) for key in ("user:1", "order:1")], [OLD, b"old!"])
            self.assertEqual([self.new.call("GET", key) for key in ("user:1", "order:1")], [b"new!", NEW])
            self.patch({"features": {"users": True, "orders": True}})
            self.assertEqual(client.call("MGET", "user:1", "order:1"), [b"new!", NEW])
        self.new.call("SET", "user:1", NEW)
        self.sidecar.kill9()
        self.sidecar.restart()
        self.assertEqual(self.where(), {"user": "new", "order": "new", "other": "old"})
        status, answer = self.sidecar.api("DELETE", "/migrations/m/api")
        self.assertEqual(status, 409)
        self.assertIn("strangler_fig moves apis, and none is attached", answer["message"])
        self.assertEqual(self.sidecar.api("POST", "/migrations/m/complete")[0], 409)

    def test_what_feeds_new_by_itself_gets_no_writes(self):
        self.sidecar.create_migration("m", {**fig(users=True), "write_mode": {
            "mode": "cutover", "write_percentage": 0.0}}, "cache", "new")
        self.sidecar.must("POST", "/migrations/m/api/users", {"bindings": [{"template": "users0"}]})
        self.sidecar.must("POST", "/migrations/m/migrate?force=true")
        with RawConn(self.port) as client:
            self.assertEqual(client.call("SET", "user:1", "here"), "OK")
            self.assertEqual(client.call("GET", "user:1"), NEW)
        self.assertEqual((self.old.call("GET", "user:1"), self.new.call("GET", "user:1")), (b"here", NEW))

    def test_a_patch_moves_an_api_for_all_clients_at_once_and_kill_9_changes_nothing(self):
        self.begin(fig())
        loads = {of: Load(self.port, clients=count) for of, count in
                 (("user", 20), ("order", 20), ("other", 10))}
        expected = {of: {0: OLD} for of in loads}
        for of, load in loads.items():
            load.keys = self.keys[of]
        steps = [(fig(users=True), NEW, OLD), (fig(users=True, orders=True), NEW, NEW),
                 (fig(orders=True), OLD, NEW), (fig(users=True), NEW, OLD)]
        with loads["other"], loads["user"], loads["order"]:
            for strategy, *sides in steps:
                phases = {}

                def call(strategy=strategy, phases=phases):
                    phases["order"] = loads["order"].change(lambda: self.patch(strategy))
                expected["user"][loads["user"].change(call)] = sides[0]
                expected["order"][phases["order"]] = sides[1]
        for of, load in loads.items():
            check_phases(self, load, expected[of])
        self.sidecar.kill9()
        self.sidecar.restart()
        self.assertEqual(self.where(), {"user": "new", "order": "old", "other": "old"})

    def test_it_wants_apis_and_is_never_complete(self):
        self.sidecar.create_migration("m", fig(users=True), "cache", "new")
        status, answer = self.sidecar.api("POST", "/migrations/m/migrate?force=true")
        self.assertEqual(status, 409)
        self.assertIn("strangler_fig moves apis, and none is attached to the migration", answer["message"])
        self.sidecar.must("POST", "/migrations/m/api/users", {"bindings": [{"template": "users0"}]})
        details = {check["name"]: check["detail"]
                   for check in self.sidecar.must("POST", "/migrations/m/test")["checks"]}
        self.assertIn("1 of 1 features are true", details["strategy"])
        self.sidecar.must("POST", "/migrations/m/migrate")
        status, answer = self.sidecar.api("POST", "/migrations/m/complete")
        self.assertEqual(status, 409)
        self.assertIn("still sends traffic to old", answer["message"])


class FlagsOfApis(Featured):
    def test_without_a_write_mode_a_share_of_the_users_of_an_api_has_its_keys_moved(self):
        self.sidecar.must("PATCH", "/interlays/cache", {"settings": {"user": {
            "from": "key", "pattern": "{{of}}:{{user}}"}}})
        self.begin(flag(0.4, users=True, orders=False))
        before = self.on_new()
        self.assertEqual(self.where(), {"user": "both", "order": "old", "other": "old"})
        with RawConn(self.port) as client:
            for key in self.keys["user"][:50]:
                self.assertEqual(client.call("APPEND", key, "!"), 4)
        written = [key for key in self.keys["user"][:50] if self.new.call("GET", key) == b"new!"]
        self.assertEqual(set(written), before & set(self.keys["user"][:50]))
        self.assertEqual([self.old.call("GET", key) for key in written], [OLD] * len(written))
        for server, value in ((self.old, OLD), (self.new, NEW)):
            server.call("MSET", *[word for key in self.keys["user"] for word in (key, value)])
        self.patch({"rollout_percentage": 0.7, "flags": {"users": True, "orders": True}})
        self.assertLess(before, self.on_new())
        # One user is on one side with the keys of both apis.
        self.assertEqual({key.partition(":")[2] for key in self.on_new()},
                         {key.partition(":")[2] for key in self.on_new("order")})
        self.assertEqual(self.on_new("other"), set())

    def test_enabled_flags_govern_their_apis_and_one_that_names_none_all(self):
        self.begin(flag(0.4, DUAL, users=True, orders=False, beta=False))
        self.assertEqual(self.where(), {"user": "both", "order": "old", "other": "old"})
        before = self.on_new()
        self.patch(flag(0.7, DUAL, users=True, orders=True))
        self.assertLess(before, self.on_new())
        self.assertEqual(self.where(), {"user": "both", "order": "both", "other": "old"})
        self.patch(flag(1.0, DUAL, users=True))
        self.assertEqual(self.where(), {"user": "new", "order": "old", "other": "old"})
        self.patch(flag(0.7, DUAL, new_database=True, orders=False))
        self.assertEqual(self.where(), {"user": "both", "order": "both", "other": "both"})
        self.patch(flag(1.0, DUAL, new_database=False))
        self.assertEqual(self.where(), {"user": "old", "order": "old", "other": "old"})


class FeatureFlag(RedisSides):
    """Without apis: an enabled flag governs all traffic."""

    def setUp(self):
        super().setUp()
        self.one = self.sidecar()
        self.port = self.one.ports["cache"]

    def on_new(self):
        keys = [f"key:{number}" for number in range(500)]
        with RawConn(self.port) as client:
            client.send(b"".join(encode("GET", key) for key in keys))
            replies = [value_of(raw) for raw in client.replies(len(keys), 30 * SLOWNESS)]
        self.assertLessEqual(set(replies), {OLD, NEW})
        return {key for key, reply in zip(keys, replies) if reply == NEW}

    def test_its_writes_follow_and_raising_the_share_only_adds(self):
        self.one.migrate("m", flag(0.25, new_database=True, beta_features=False), "cache", "new")
        before = self.on_new()
        self.assertAlmostEqual(len(before) / 500, 0.25, delta=0.08)
        with RawConn(self.port) as client:
            for number in range(100):
                client.call("SET", f"key:{number}", "one")
        self.assertEqual({f"key:{n}" for n in range(100) if self.new.call("GET", f"key:{n}") == b"one"},
                         {f"key:{n}" for n in range(100)} & before)
        self.assertEqual({f"key:{n}" for n in range(100) if self.old.call("GET", f"key:{n}") == b"one"},
                         {f"key:{n}" for n in range(100)} - before)
        Load.fill(self.old, "old")
        Load.fill(self.new, "new")
        for share in (0.5, 0.75):
            self.one.patch("m", {"rollout_percentage": share})
            after = self.on_new()
            self.assertLess(before, after)
            self.assertAlmostEqual(len(after) / 500, share, delta=0.08)
            before = after
        self.one.kill9()
        self.one.restart()
        self.assertEqual(self.on_new(), before)
        self.assertEqual(self.one.api("POST", "/migrations/m/complete")[0], 409)
        self.one.patch("m", {"rollout_percentage": 1.0})
        self.one.must("POST", "/migrations/m/complete")
        self.after_kill(self.one, NEW)

    def test_flags_are_switched_under_load(self):
        self.one.migrate("m", flag(1.0, new_database=False), "cache", "new")
        with Load(self.port) as load:
            expected = {0: OLD}
            for strategy, side in ((flag(1.0, new_database=True), NEW), (flag(0.0, new_database=True), OLD),
                                   (flag(1.0, beta=True), NEW), (flag(1.0, beta=False), OLD)):
                expected[load.change(lambda strategy=strategy: self.one.patch("m", strategy))] = side
        check_phases(self, load, expected)

    def test_by_login_a_user_is_on_one_side_with_all_connections(self):
        users = [f"user{number}" for number in range(30)]
        for server in (self.old, self.new):
            for user in users:
                server.call("ACL", "SETUSER", user, "on", ">secret", "~*", "&*", "+@all")
        self.one.must("PATCH", "/interlays/cache", {"settings": {"user": {"from": "login"}}})
        self.assertEqual(self.one.must("GET", "/interlays/cache")["settings"]["user"], {"from": "login"})
        self.one.migrate("m", flag(0.5, DUAL, new_database=True), "cache", "new")
        status, answer = self.one.api("PATCH", "/migrations/m", {"strategy": {"write_mode": None}})
        self.assertEqual(status, 400)
        self.assertIn("strategy.rollout_percentage: must be 0.0 or 1.0 where", answer["message"])

        def side_of(user):
            with RawConn(self.port) as client:
                self.assertEqual(client.call("AUTH", user, "secret"), "OK")
                sides = {client.call("GET", f"key:{number}") for number in range(40)}
            self.assertEqual(len(sides), 1, user)
            return sides.pop()
        first = {user: side_of(user) for user in users}
        self.assertEqual(set(first.values()), {OLD, NEW})
        self.one.kill9()
        self.one.restart()
        self.one.patch("m", {"rollout_percentage": 0.75})
        for user in users:
            # What was in flight when it was killed may differ: reads of those keys are the authority's.
            if first[user] == NEW:
                self.assertEqual(side_of(user), NEW)


class Users(Featured):
    """Who the user of a Redis request is, by key and by field: all that is a user's is on one side."""

    queries = {"users": ("HGET profile {{id}}", "GET cart:{{cart}}:of:{{id}}"),
               "orders": ("GET order:{{id}}",), "rest": ("GET {{key}}",)}

    def set_user(self, user):
        self.sidecar.must("PATCH", "/interlays/cache", {"settings": {"user": user}})

    def sides_of(self, *requests):
        with RawConn(self.port) as client:
            client.send(b"".join(encode(*args) for args in requests))
            replies = [value_of(raw) for raw in client.replies(len(requests), 30 * SLOWNESS)]
        self.assertLessEqual(set(replies), {OLD, NEW})
        return set(replies)

    def test_a_pattern_keeps_the_keys_of_a_user_together_with_their_writes(self):
        users = range(60)
        keys = {user: [f"user:{user}:{what}" for what in ("cart", "name", "a:b", "{tag}")] for user in users}
        self.fill(*[key for own in keys.values() for key in own])
        self.set_user({"from": "key", "pattern": "user:{{user}}:{{rest}}"})
        self.sidecar.migrate("m", flag(0.5, new_database=True), "cache", "new")
        side = {}
        for user in users:
            [side[user]] = self.sides_of(*[("GET", key) for key in keys[user]])
        self.assertEqual(set(side.values()), {OLD, NEW})
        with RawConn(self.port) as client:
            for user in users:
                here, there = (self.new, self.old) if side[user] == NEW else (self.old, self.new)
                self.assertEqual(client.call("MSET", f"user:{user}:cart", "w", f"user:{user}:x", "w"), "OK")
                client.send(encode("MULTI") + encode("APPEND", f"user:{user}:cart", "w") +
                            encode("GET", f"user:{user}:x") + encode("EXEC"))
                self.assertEqual(value_of(client.replies(4)[3]), [2, b"w"])
                self.assertEqual(here.call("GET", f"user:{user}:cart"), b"ww")
                self.assertNotEqual(there.call("GET", f"user:{user}:cart"), b"ww")
            [old, new] = [next(user for user in users if side[user] == one) for one in (OLD, NEW)]
            self.assertIn("both sides of the write split",
                          str(client.call("MSET", f"user:{old}:a", "1", f"user:{new}:a", "1")))
            # Another pattern would look for what is on new alone on old.
            status, answer = self.sidecar.api("PATCH", "/interlays/cache",
                                              {"settings": {"user": {"from": "key"}}})
            self.assertEqual(status, 409)
            self.assertIn("has the writes of some users on new alone", answer["message"])
        self.sidecar.patch("m", {"rollout_percentage": 0.75})
        self.sidecar.kill9()
        self.sidecar.restart()
        for user in users:
            [now] = self.sides_of(*[("GET", key) for key in keys[user][1:]])
            self.assertTrue(now == side[user] or side[user] == OLD, user)

    def test_who_waits_for_a_key_goes_with_its_user(self):
        users = range(10)
        self.fill(*[f"user:{user}:name" for user in users])
        self.set_user({"from": "key", "pattern": "user:{{user}}:{{rest}}"})
        self.sidecar.migrate("m", flag(0.0, new_database=True), "cache", "new")
        waiting = [self.client() for _ in users]
        for user, client in zip(users, waiting):
            client.send(encode("BLPOP", f"user:{user}:jobs", f"user:{user}:more", 0))
        wait_until(lambda: self.old.info("clients")["blocked_clients"] == "10", 10, "all wait on old")
        self.sidecar.patch("m", {"rollout_percentage": 0.5})
        gone = {user for user in users if self.sides_of(("GET", f"user:{user}:name")) == {NEW}}
        self.assertTrue(0 < len(gone) < 10, gone)
        wait_until(lambda: self.old.info("clients")["blocked_clients"] == str(10 - len(gone)), 30,
                   "who has gone is sent away, to come back")
        pusher = self.client()
        for user, client in zip(users, waiting):
            if user in gone:
                client.read_eof()
                client = self.client()
                client.send(encode("BLPOP", f"user:{user}:jobs", f"user:{user}:more", 0))
            self.assertEqual(pusher.call("RPUSH", f"user:{user}:jobs", "one"), 1)
            self.assertEqual(client.read(10 * SLOWNESS), [f"user:{user}:jobs".encode(), b"one"])

    def test_a_field_of_the_template_says_whose_a_request_is(self):
        users = range(60)
        for server, value in ((self.old, OLD), (self.new, NEW)):
            for user in users:
                server.call("HSET", "profile", user, value)
                server.call("MSET", *[word for cart in range(3)
                                      for word in (f"cart:{cart}:of:{user}", value)])
        self.set_user({"from": "field", "name": "id"})
        self.begin(flag(0.5, DUAL, all=True))

        def side_of(user):
            [side] = self.sides_of(("HGET", "profile", user),
                                   *[("GET", f"cart:{cart}:of:{user}") for cart in range(3)])
            return side
        before = {user: side_of(user) for user in users}
        self.assertEqual(set(before.values()), {OLD, NEW})
        # The same user of another api; and what has no such field goes by its key.
        [other] = self.sides_of(("GET", "order:7"), ("HGET", "profile", 7))
        self.assertEqual(other, before[7])
        self.assertEqual(self.on_new("other"), self.by_key("other", 0.5))
        self.sidecar.patch("m", {"rollout_percentage": 0.75})
        for user in users:
            if before[user] == NEW:
                self.assertEqual(side_of(user), NEW)
        # Of one api alone: what is of no flag stays.
        self.sidecar.patch("m", {"flags": {"users": True}, "rollout_percentage": 0.5})
        self.assertEqual({user: side_of(user) for user in users}, before)
        self.assertEqual(self.where(), {"user": "old", "order": "old", "other": "old"})

    def by_key(self, of, share):
        self.set_user(None)
        try:
            return self.on_new(of)
        finally:
            self.set_user({"from": "field", "name": "id"})

    def test_a_canary_by_user_goes_by_the_same_users(self):
        self.fill(*[f"user:{user}:{what}" for user in range(40) for what in ("a", "b")])
        self.set_user({"from": "key", "pattern": "user:{{user}}:{{rest}}"})
        self.sidecar.migrate("m", {"type": "canary", "read_percentage": 0.5, "split_by": "user",
                                   "write_mode": DUAL}, "cache", "new")
        sides = [self.sides_of(("GET", f"user:{user}:a"), ("GET", f"user:{user}:b")) for user in range(40)]
        self.assertTrue(all(len(one) == 1 for one in sides))
        self.assertEqual(set.union(*sides), {OLD, NEW})


class PgFlagsOfApis(pg_apis.Apis):
    def sides(self, client):
        return client.value(pg_apis.USER_1), client.value(pg_apis.ORDER_1)

    def test_features_and_flags_move_the_statements_of_their_apis(self):
        self.migrate({"type": "strangler_fig", "features": {"users": True}, "write_mode": WRITES_OLD})
        client = self.client()
        self.assertEqual(self.sides(client), ("new", "old"))
        for strategy, side in (({"features": {"users": False}}, "old"),
                               ({"features": {"users": True}}, "new"), ({"features": {}}, "old"),
                               (flag(1.0, WRITES_OLD, users=True), "new"),
                               (flag(0.0, WRITES_OLD, users=True), "old"),
                               (flag(1.0, WRITES_OLD, users=False), "old")):
            self.patch(strategy)
            self.assertEqual(self.sides(client), (side, "old"), strategy)
        self.patch(flag(1.0, WRITES_OLD, new_database=True))
        self.assertEqual(self.sides(client), ("new", "new"))


class PgFeatureFlag(PgPair):
    def sides(self, user):
        sides = set()
        for _ in range(6):
            with PgConn(self.port, user, "app", limit_s=10 * SLOWNESS) as client:
                sides |= {self.side_of(client) for _ in range(3)}
        self.assertEqual(len(sides), 1, user)
        return sides.pop()

    def test_all_sessions_of_a_login_are_on_one_side(self):
        users = [f"u{number}" for number in range(16)]
        for server in (self.old, self.new):
            server.sql(*[f"create role {user} login" for user in users],
                       *[f"grant select on here to {user}" for user in users])
        # Each has its reads on new with the endpoint's rights.
        self.sidecar.must("PATCH", "/interlays/pg",
                          {"auth": {"mode": "pass_through", "enter_as": "endpoint"}})
        status, answer = self.refused(flag(0.5, new_database=True))
        self.assertEqual(status, 400)
        self.assertIn("strategy.write_mode: is needed for PostgreSQL with a rollout_percentage between",
                      answer["message"])
        self.migrate(flag(0.5, WRITES_OLD, new_database=True))
        before = {user: self.sides(user) for user in users}
        self.assertEqual(set(before.values()), {"old", "new"})
        self.patch(flag(0.8, WRITES_OLD, new_database=True))
        after = {user: self.sides(user) for user in users}
        self.assertLessEqual({user for user in users if before[user] == "new"},
                             {user for user in users if after[user] == "new"})
        self.sidecar.kill9()
        self.sidecar.restart()
        self.assertEqual({user: self.sides(user) for user in users}, after)
        self.patch(flag(0.8, WRITES_OLD, new_database=False))
        self.assertEqual({self.sides(user) for user in users}, {"old"})

    def refused(self, strategy):
        self.sidecar.must("POST", "/migrations", {"id": "refused", "strategy": strategy})
        try:
            return self.sidecar.api("POST", "/migrations/refused/interlay/pg", {"endpoint": "new"})
        finally:
            self.sidecar.must("DELETE", "/migrations/refused")

    def test_a_comment_says_whose_a_statement_is(self):
        self.sidecar.must("PATCH", "/interlays/pg",
                          {"settings": {"user": {"from": "comment", "name": "user"}}})
        self.migrate(flag(0.5, WRITES_OLD, new_database=True))
        users = [f"user {number}" for number in range(24)]
        client = self.connect()

        def says(user):
            return f"/*action='x',user='{user.replace(' ', '%20')}'*/"

        def simple(user):
            return self.side_of(client, says(user))
        before = {user: simple(user) for user in users}
        self.assertEqual(set(before.values()), {"old", "new"})
        for user in users:
            comment = says(user)
            for unit in (parse("", "select side from here " + comment) + bind("", "") + execute("") + SYNC,
                         parse("s", comment + " select side from here") + SYNC,
                         bind("", "s") + execute("") + SYNC, close("S", "s") + SYNC):
                client.send(unit)
                rows = [row_of(raw) for raw in client.until("Z") if kind_of(raw) == "D"]
                self.assertIn(rows, ([], [[before[user].encode()]]), (user, unit))
            # A transaction is its first statement's user's.
            client.ask(f"begin read only {comment}")
            self.assertEqual(self.side_of(client, says(users[0])), before[user])
            client.ask("commit")
        # What says nothing is the login's, also in a literal.
        unsaid = {self.side_of(client)} | {
            client.value(f"select side from here where '/*user=''{user}''*/' <> ''") for user in users}
        self.assertEqual(len(unsaid), 1)
        self.sidecar.kill9()
        self.sidecar.restart()
        self.patch(flag(0.75, WRITES_OLD, new_database=True))
        client = self.connect()
        for user in users:
            if before[user] == "new":
                self.assertEqual(simple(user), "new")

    @staticmethod
    def side_of(client, comment=""):
        return client.value(f"select side from here {comment}")

    def test_keys_are_nothing_to_postgres(self):
        status, answer = self.sidecar.api("PATCH", "/interlays/pg", {"settings": {"user": {"from": "key"}}})
        self.assertEqual((status, answer["message"].partition(":")[0]), (400, "settings.user"))

    def test_writes_by_statement_reach_both_sides(self):
        self.migrate(flag(1.0, BY_STATEMENT, new_database=True))
        with PgConn(self.port, "app", "app", limit_s=10 * SLOWNESS) as client:
            client.ask("insert into here values ('both')")
            self.assertEqual(client.value("select count(*) from here"), "2")
        for server in (self.old, self.new):
            self.assertEqual(server.value("select count(*) from here"), "2")


if __name__ == "__main__":
    unittest.main()
