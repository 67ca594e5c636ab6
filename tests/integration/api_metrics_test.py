"""Requests counted by api: as many as the servers got of them, on the side that answered, and only while a
table goes by that api."""

import re
import unittest

from apis_routing_test import BIG_BANG, GREEN, Apis, canary
from harness import encode
from load import Load
from pg_apis import GREEN as PG_GREEN
from pg_apis import ORDER_1, USER, USER_1, segment
from pg_apis import Apis as PgApis

NAME = "crossfade_api_requests_total"


def counted(sidecar):
    """(api, side) -> requests; of apis that have series."""
    found = {}
    for sample, value in sidecar.metrics(NAME).items():
        labels = dict(re.findall(r'(\w+)="(\w+)"', sample))
        found[labels["api"], labels["side"]] = int(value)
    return found


def none_of(*apis):
    return {(api, side): 0 for api in apis for side in ("old", "new")}


class OfRedis(Apis):
    loops = 2

    def setUp(self):
        super().setUp()
        self.fill("user:1", "user:2", "user:1:secret", "order:1")

    def counted(self):
        return counted(self.sidecar)

    def test_they_are_those_that_the_servers_got(self):
        self.assertEqual(self.counted(), {})
        self.migrate(GREEN)
        self.assertEqual(self.counted(), none_of("secrets", "users"))
        before = [server.commandstats()["get"] if "get" in server.commandstats() else 0
                  for server in (self.old, self.new)]
        for _ in range(3):
            client = self.client()
            client.send(encode("GET", "user:1") * 5 + encode("GET", "user:1:secret") * 2 +
                        encode("GET", "order:1") + encode("MGET", "user:1"))
            client.replies(9)
        got = [server.commandstats()["get"] - was for server, was in zip((self.old, self.new), before)]
        self.assertEqual(self.counted(), none_of("secrets", "users") |
                         {("users", "new"): 15, ("secrets", "old"): 6})
        self.assertEqual(got, [6 + 3, 15])
        self.assertEqual(self.client().call("SET", "user:9", 1), "OK")
        self.assertEqual(self.counted()[("users", "old")], 1)

    def test_they_go_on_through_patches_and_end_with_the_migration(self):
        self.migrate(canary(0.0))
        client = self.client()
        client.call("GET", "user:1")
        self.sidecar.patch("m", canary(1.0))
        client.call("GET", "user:1")
        users = {("users", "old"): 1, ("users", "new"): 1}
        self.assertEqual(self.counted(), none_of("secrets", "users") | users)
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertEqual(self.counted(), {})
        client.call("GET", "user:1")
        self.sidecar.must("POST", "/migrations/m/migrate")
        self.assertEqual(self.counted(), none_of("secrets", "users"))
        client.call("GET", "user:1")
        # Whatever was written to one side alone: the authority answers.
        self.assertEqual(self.counted()["users", "old"], 1)
        self.sidecar.must("DELETE", "/migrations/m/api")
        self.assertEqual(self.counted(), {})

    def test_where_writes_move_they_are_those_of_its_keys(self):
        self.migrate(BIG_BANG, ("users0", "users1", "users2"))
        client = self.client()
        client.send(encode("SET", "user:1", 1) + encode("INCR", "user:1") + encode("MULTI") +
                    encode("INCR", "user:1") + encode("EXEC") + encode("GET", "order:1"))
        client.replies(6)
        self.assertEqual(self.counted()["users", "new"], 3)
        self.assertEqual(sum(self.counted().values()), 3)

    def test_none_is_lost_under_load(self):
        keys = [f"user:{number}" for number in range(500)]
        self.fill(*keys)
        self.migrate(canary(0.5))
        load = Load(self.port, clients=20)
        load.keys = keys
        with load:
            for share in (1.0, 0.0, 0.3):
                load.change(lambda share=share: self.sidecar.patch("m", canary(share)))
        self.assertEqual((load.trouble(), load.errors()), ([], {}))
        told = {side: sum(load.replies(phase).get(side.encode(), 0) for phase in load.phases())
                for side in ("old", "new")}
        self.assertEqual({side: self.counted()["users", side] for side in ("old", "new")}, told)


class OfPostgres(PgApis):
    def test_they_are_those_that_the_servers_got(self):
        self.migrate(PG_GREEN)
        client = self.client()
        before = counted(self.sidecar)
        self.assertEqual(set(before), set(none_of("secrets", "users")))
        for _ in range(4):
            self.assertEqual(client.value(USER_1), "new")
            self.assertEqual(self.said(client, segment(USER.format("2"))), ["new"])
        for _ in range(3):
            self.assertEqual(client.value(USER.format(99)), "old")
        self.assertEqual(client.value(ORDER_1), "old")
        more = {key: value - before[key] for key, value in counted(self.sidecar).items()}
        self.assertEqual(more, none_of("secrets", "users") | {("users", "new"): 8, ("secrets", "old"): 3})
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertEqual(counted(self.sidecar), {})


if __name__ == "__main__":
    unittest.main()
