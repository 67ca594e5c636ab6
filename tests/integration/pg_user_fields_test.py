"""Users of PostgreSQL by a field of templates: one user is on one side, whichever driver says it how.

Measured at the servers: each has its own name in the rows that a user reads.
"""

import asyncio
import os
import struct
import subprocess
import sys
import threading
import unittest

import asyncpg
import psycopg

from harness import SLOWNESS, wait_until
from ledger import Ledger
from npm_packages import install
from pg_apis import DUAL, ORDER_1, USER, USER_1, Apis, segment
from pg_conn import PgConn
from pg_messages import SYNC, bind, close, describe, execute, kind_of, parse, query, row_of
from pg_pair import INTERLAY, WRITES_OLD, reads

NODE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "clients", "node")
USERS = range(1, 31)
BY_NUMBER = USER.format("$1")
INT2, INT8, NUMERIC = 21, 20, 1700
# Prints "side side …": of unnamed statements, then of named ones, for each user of those in its arguments.
NODE_PROGRAM = """
const {Client} = require('pg');
(async () => {
  const [port, ...users] = process.argv.slice(1);
  const client = new Client({host: '127.0.0.1', port, user: 'app', database: 'app'});
  await client.connect();
  const text = 'select side from users where id = $1';
  for (const name of [undefined, 'by id']) {
    for (const user of users) {
      const found = await client.query({name, text, values: [user]});
      process.stdout.write(found.rows[0].side + ' ');
    }
  }
  await client.end();
})();
"""


def flag(share):
    return {"type": "feature_flag", "flags": {"all": True}, "rollout_percentage": share,
            "write_mode": WRITES_OLD}


class UserFields(Apis):
    """Users are those of `id`, in the templates of any api; "secrets" has none of them."""

    def setUp(self):
        super().setUp()
        self.set_user({"from": "field", "name": "id"})

    def set_user(self, user):
        self.sidecar.must("PATCH", f"/interlays/{INTERLAY}", {"settings": {"user": user}})

    def begin(self, strategy):
        """In force, with the catalog read: no read is certain before."""
        self.sidecar.migrate("m", flag(1.0), INTERLAY, "new", force=True)
        client = self.client()
        self.patch(strategy)
        return client

    def sides(self, client, users=USERS):
        return {user: client.value(USER.format(user)) for user in users}

    def unit(self, client, messages):
        [side] = self.said(client, messages)
        return side


class Saying(UserFields):
    def test_a_user_is_on_one_side_however_it_is_said(self):
        client = self.begin(flag(0.5))
        before = self.sides(client)
        self.assertEqual(set(before.values()), {"old", "new"})
        self.said(client, parse("untyped", BY_NUMBER) + describe("S", "untyped") + SYNC)
        self.said(client, parse("typed", BY_NUMBER, [INT8]) + SYNC)
        for user, side in before.items():
            text, small, long = str(user), struct.pack("!i", user), struct.pack("!q", user)
            run = execute("") + SYNC
            for what, messages in {
                    "quoted": query(USER.format(f"'{user}'")),
                    "another template": query(USER.format(user) + " LIMIT 1"),
                    "another api": query(ORDER_1.replace("id = 1", f"id = {user}")),
                    "unnamed": parse("", BY_NUMBER) + bind("", "", [text]) + run,
                    "named": bind("", "typed", [text]) + run,
                    "binary": bind("", "typed", [long], [1]) + run,
                    "int2": parse("", BY_NUMBER, [INT2]) + bind("", "", [small[2:]], [1]) + run,
                    "told": bind("", "untyped", [small], [1]) + run,
                    "told of another": parse("", BY_NUMBER) + bind("", "", [small], [1]) + run,
                    "literal": segment(USER.format(user)),
            }.items():
                with self.subTest(user=user, what=what):
                    self.assertEqual(self.unit(client, messages), side)
            # All of a unit say the same one.
            twice = parse("", BY_NUMBER) + (bind("", "", [text]) + execute("")) * 2 + SYNC
            self.assertEqual(self.said(client, twice), [side] * 2)
            block = segment("begin read only", USER.format(user), USER.format(user), "commit")
            self.assertEqual(self.said(client, block), [side] * 2)
            # A transaction is whose its first unit says.
            self.assertEqual(self.said(client, segment("begin read only", USER.format(user))), [side])
            self.assertEqual(self.said(client, segment(USER_1, USER.format(2), "commit")), [side] * 2)
        self.sidecar.kill9()
        self.sidecar.restart()
        self.knows_again(before)
        self.patch(flag(0.8))
        after = self.sides(self.connect())
        self.assertLessEqual({user for user in USERS if before[user] == "new"},
                             {user for user in USERS if after[user] == "new"})
        # A canary that is split by user has the same ones.
        self.patch({**reads(0.5), "split_by": "user"})
        self.assertEqual(self.sides(self.connect()), before)

    def knows_again(self, sides):
        client = self.connect()
        wait_until(lambda: self.sides(client) == sides, 20, "as before, once the catalog is read")

    def test_what_is_nobodys_is_on_old_until_all_are_on_new(self):
        client = self.begin(flag(0.99))
        sides = self.sides(client)
        mine, other = [user for user in USERS if sides[user] == "new"][:2]
        self.said(client, parse("s", BY_NUMBER) + parse("odd", BY_NUMBER, [NUMERIC]) + SYNC)
        two = b"".join(bind("", "s", [str(user)]) + execute("") for user in (mine, other))
        numeric, run = struct.pack("!hhhhh", 1, 0, 0, 0, mine), execute("") + SYNC
        nobodys = {
            "no template": query("select side from here"),
            "a template without the field": query(USER.format(99)),
            "two users": two + SYNC,
            "two users in a Query": segment(USER.format(mine), USER.format(other)),
            "not all of it is known": bind("", "odd", [numeric], [1]) + execute("") +
                                      bind("", "s", [str(mine)]) + run,
            "a type that is not read": bind("", "odd", [numeric], [1]) + run,
            "a type that nobody has told": parse("", BY_NUMBER) +
                                           bind("", "", [struct.pack("!i", mine)], [1]) + run,
        }
        for what, messages in nobodys.items():
            with self.subTest(what):
                self.assertEqual(set(self.said(client, messages)), {"old"})
        self.said(client, query("begin read only"))
        self.assertEqual(client.value(USER.format(mine)), "old")
        client.ask("commit")
        self.patch(flag(1.0))
        for what, messages in nobodys.items():
            with self.subTest(what):
                self.assertEqual(set(self.said(client, messages)), {"new"})
        self.patch(flag(0.0))
        self.assertEqual(set(self.sides(client).values()), {"old"})

    def test_a_unit_that_comes_byte_by_byte_is_whose_it_says(self):
        client = self.begin(flag(0.5))
        before = self.sides(client)
        for user in (next(user for user in USERS if before[user] == side) for side in ("old", "new")):
            passed = struct.pack("!q", user)
            unit = parse("", BY_NUMBER, [INT8]) + bind("", "", [passed], [1]) + execute("") + SYNC
            made = len(parse("", BY_NUMBER, [INT8]))
            for cuts in ((made,), (made, made + 5, len(unit) - 1), (5, len(unit) - 5), range(1, len(unit))):
                at = 0
                for cut in cuts:
                    self.arrives(client, unit[at:cut])
                    at = cut
                client.send(unit[at:])
                rows = [row_of(raw)[0].decode() for raw in client.until("Z") if kind_of(raw) == "D"]
                self.assertEqual(rows, [before[user]])

    def test_a_comment_that_has_not_come_yet_is_waited_for(self):
        self.set_user({"from": "comment", "name": "user"})
        client = self.begin(flag(0.5))

        def asks(user):
            return f"select side from here /*user='{user}'*/"
        before = {user: client.value(asks(user)) for user in USERS}
        self.assertEqual(set(before.values()), {"old", "new"})
        for user, side in before.items():
            self.arrives(client, close("S", "none"))
            self.assertEqual(self.said(client, segment(asks(user))), [side], user)

    def test_templates_that_change_and_other_settings_of_users_count_at_once(self):
        client = self.begin(flag(0.5))
        before = self.sides(client)
        self.assertEqual(client.value("select side from users where id = 5 and n = 0"), "old")
        self.define("more", "SELECT side FROM users WHERE id = {{id}} AND n = {{n}}")
        for user in USERS:
            asked = f"select side from users where id = {user} and n = 0"
            self.assertEqual(client.value(asked), before[user])
        self.set_user({"from": "login"})
        self.assertEqual(len(set(self.sides(client).values())), 1)
        self.set_user({"from": "field", "name": "n"})
        self.assertEqual(set(self.sides(client).values()), {"old"})
        self.assertEqual(client.value("select side from users where n = 0 and id = 5"),
                         client.value("select side from users where id = 7 and n = 0"))
        self.set_user({"from": "field", "name": "id"})
        self.assertEqual(self.sides(client), before)


class DualWrites(UserFields):
    def test_writes_of_all_users_reach_both_sides_and_their_reads_go_by_user(self):
        client = self.begin({**flag(0.5), "write_mode": DUAL})
        before = self.sides(client)
        self.assertEqual(set(before.values()), {"old", "new"})
        # Types are told in transactions on both sides, too, and behind what fails.
        client.ask("begin")
        client.send(parse("bad", "select nothing") + describe("S", "bad") + parse("by", BY_NUMBER) +
                    describe("S", "by") + SYNC)
        client.until("Z")
        client.ask("rollback")
        client.ask("begin")
        client.send(parse("by", BY_NUMBER) + describe("S", "by") +
                    parse("add", "update users set n = n + 1 where id = $1") + describe("S", "add") + SYNC)
        client.until("Z")
        client.ask("commit")
        for user in USERS:
            small = struct.pack("!i", user)
            self.assertEqual(self.unit(client, bind("", "by", [small], [1]) + execute("") + SYNC),
                             before[user])
            self.assertEqual(self.said(client, bind("", "add", [small], [1]) + execute("") + SYNC), [])
            self.assertEqual(self.unit(client, bind("", "by", [small], [1]) + execute("") + SYNC),
                             before[user])
        for server in (self.old, self.new):
            self.assertEqual(server.value("select count(*) from users where n = 1"), str(len(USERS)))
        self.assertEqual(Ledger(self.sidecar, "m").total, 0)


class Drivers(UserFields):
    """What drivers make of it: with text, and with binary whose types they were told by a server."""

    def setUp(self):
        super().setUp()
        self.client_of_all = self.begin(flag(0.5))
        self.before = self.sides(self.client_of_all)
        self.assertEqual(set(self.before.values()), {"old", "new"})

    def test_psycopg(self):
        with psycopg.connect(host="127.0.0.1", port=self.port, user="app", dbname="app",
                             autocommit=True, prepare_threshold=3) as conn:
            for form in ("%s", "%t", "%b"):
                for user in USERS:
                    side = conn.execute(USER.format(form), (user,)).fetchone()[0]
                    self.assertEqual(side, self.before[user], (form, user))
            with psycopg.ClientCursor(conn) as cursor:  # literals
                for user in USERS:
                    side = cursor.execute(USER.format("%s"), (user,)).fetchone()[0]
                    self.assertEqual(side, self.before[user])
            with conn.pipeline() as pipeline:  # a segment is as long as it becomes
                for user in USERS:
                    cursor = conn.execute(USER.format("%b"), (user,))
                    pipeline.sync()
                    self.assertEqual(cursor.fetchone()[0], self.before[user])

    def test_asyncpg(self):
        """It asks for types by Flush: what it runs behind that, once, is of a unit that had no end when it
        was given a side, and so on old."""
        async def whole(cache):
            conn = await asyncpg.connect(host="127.0.0.1", port=self.port, user="app", database="app",
                                         timeout=10 * SLOWNESS, statement_cache_size=cache)
            try:
                statement = await conn.prepare(BY_NUMBER)
                for ask in (statement.fetchval, lambda user: conn.fetchval(BY_NUMBER, user)):
                    self.assertEqual(await ask(1), "old")
                    for user in USERS if cache or ask == statement.fetchval else ():
                        self.assertEqual(await ask(user), self.before[user], user)
            finally:
                await conn.close(timeout=5)
        for cache in (100, 0):
            asyncio.run(whole(cache))

    def test_asyncpg_of_before_the_migration(self):
        """A server tells the types of what nobody has seen being prepared."""
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.sidecar.must("DELETE", "/migrations/m")

        async def whole():
            conn = await asyncpg.connect(host="127.0.0.1", port=self.port, user="app", database="app",
                                         timeout=10 * SLOWNESS)
            try:
                statement = await conn.prepare(BY_NUMBER)
                self.assertEqual(await statement.fetchval(1), "old")
                self.sidecar.migrate("m", flag(0.5), INTERLAY, "new", force=True)
                for user in USERS:
                    self.assertEqual(await statement.fetchval(user), self.before[user], user)
            finally:
                await conn.close(timeout=5)
        asyncio.run(whole())

    def test_psql(self):
        script = "".join(USER.format(user) + ";\n" for user in USERS)
        done = subprocess.run(["psql", "-XAt"], input=script, text=True, capture_output=True, check=True,
                              timeout=30 * SLOWNESS,
                              env={**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(self.port),
                                   "PGUSER": "app", "PGDATABASE": "app"})
        self.assertEqual(dict(zip(USERS, done.stdout.split())), self.before)

    def test_node(self):
        install(NODE)
        done = subprocess.run(["node", "-e", NODE_PROGRAM, str(self.port), *map(str, USERS)], cwd=NODE,
                              text=True, capture_output=True, check=True, timeout=60 * SLOWNESS)
        sides = done.stdout.split()
        self.assertEqual(len(sides), 2 * len(USERS))
        for half in (sides[:len(USERS)], sides[len(USERS):]):
            self.assertEqual(dict(zip(USERS, half)), self.before)


class Client(threading.Thread):
    """Reads as one user after the other without end; `seen` has (phase, user, side)."""

    def __init__(self, load, number):
        super().__init__(daemon=True)
        self._load, self._number = load, number
        self.phase, self.seen, self.trouble, self.rounds = None, set(), None, 0

    def run(self):
        try:
            self._run()
        except Exception as error:  # the test reports it
            self.trouble = f"client {self._number}: {error!r}"
        self.phase = "left"

    def _run(self):
        ask = (lambda user: query(USER.format(user)),
               lambda user: parse("", BY_NUMBER) + bind("", "", [str(user)]) + execute("") + SYNC,
               lambda user: bind("", "s", [struct.pack("!i", user)], [1]) + execute("") + SYNC)
        ask = ask[self._number % 3]
        with PgConn(self._load.port, "app", "app", limit_s=60 * SLOWNESS) as conn:
            conn.send(parse("s", BY_NUMBER) + describe("S", "s") + SYNC)
            conn.until("Z")
            while not self._load.stopped:
                self.phase = phase = self._load.phase
                for user in USERS:
                    conn.send(ask(user))
                for user in USERS:
                    for raw in conn.until("Z"):
                        if kind_of(raw) == "E":
                            raise AssertionError(raw)
                        if kind_of(raw) == "D":
                            self.seen.add((phase, user, row_of(raw)[0].decode()))
                self.rounds += 1


class UnderLoad(UserFields):
    loops = 4
    stopped = False
    phase = 0

    def served(self, clients, what):
        counts = [one.rounds for one in clients]
        wait_until(lambda: any(one.trouble for one in clients) or
                   all(one.rounds >= count + 2 for one, count in zip(clients, counts)), 60, what)

    def test_a_patch_moves_users_for_all_sessions_at_once(self):
        steady = self.begin(flag(0.3))
        expected = {}
        for share in (0.3, 0.6, 0.9):
            self.patch(flag(share))
            expected[share] = self.sides(steady)
        clients = [Client(self, number) for number in range(12)]
        for one in clients:
            one.start()
        phases = {}
        try:
            for number, share in enumerate((0.3, 0.6, 0.9, 0.6, 0.3, 0.9), 1):
                self.phase = "between"
                self.served(clients, "the phase is closed")
                self.patch(flag(share))
                self.phase = number
                phases[number] = share
                self.served(clients, f"all are served in phase {number}")
        finally:
            self.stopped = True
            for one in clients:
                one.join(60 * SLOWNESS)
        self.assertEqual([one.trouble for one in clients if one.trouble], [])
        seen = set().union(*(one.seen for one in clients))
        for number, share in phases.items():
            self.assertEqual({(user, side) for at, user, side in seen if at == number},
                             set(expected[share].items()), (number, share))


if __name__ == "__main__":
    sys.exit(unittest.main())
