"""Statements of an api that new serves by other templates: another table, other columns, the same answers."""

import asyncio
import os
import subprocess
import unittest

import asyncpg
import psycopg

from harness import wait_until
from ledger import Ledger
from pg_apis import DUAL, GREEN, segment
from pg_conn import ServerError
from pg_messages import (FLUSH, SYNC, bind, body_of, close, columns_of, describe, execute, kind_of, parse,
                         query, row_of)
from pg_pair import INTERLAY, PgPair, reads
from postgres_programs import programs

GET = "select side, age from users where id = {}"
AGED = "select side from users where id = {} and age >= {}"
SHADOW = {"type": "shadow_traffic"}


class Rendered(PgPair):
    """Apis "get" and "aged", of `users`: new has `people`, and templates for them; "here" is as it is."""

    settings = {"second_leg_timeout_ms": 60_000}
    new_table = ("create table people (years int, uid int primary key, label text)",
                 "insert into people select i, i, 'new' from generate_series(1, 100) i")

    def setUp(self):
        super().setUp()
        self.old.sql("set role app; create table users (id int primary key, side text, age int)",
                     "insert into users select i, 'old', i from generate_series(1, 100) i",
                     "alter table users owner to app")
        with self.new.connect() as owner:
            for statement in self.new_table:
                owner.ask(statement)
        self.define("old", "get", "SELECT side, age FROM users WHERE id = {{id}}")
        self.define("old", "here", "SELECT side FROM here")
        self.define("old", "aged", "SELECT side FROM users WHERE id = {{id}} AND age >= {{least}}")
        self.define("new", "new_get", "SELECT label AS side, years AS age FROM people WHERE uid={{uid}}")
        self.define("new", "new_aged",
                    "SELECT label AS side FROM people WHERE years>={{years}} AND uid = '{{uid}}'")
        self.api("get", "get", "here")
        self.api("aged", "aged")

    def define(self, endpoint, name, text):
        self.sidecar.must("POST", "/templates", {"id": name, "endpoint": endpoint, "query": text})

    def api(self, name, *templates):
        self.sidecar.must("POST", "/apis",
                          {"id": name, "bindings": [{"template": one} for one in templates]})

    def attach(self, api, *templates):
        fields = {"new_get": {"uid": "id"}, "new_aged": {"uid": "id", "years": "least"}}
        self.sidecar.must("POST", f"/migrations/m/api/{api}", {"bindings": [
            {"template": one, "fields": fields.get(one, {})} for one in templates]})

    def create(self, strategy):
        self.sidecar.create_migration("m", strategy, INTERLAY, "new")
        self.attach("get", "new_get", "here")
        self.attach("aged", "new_aged")

    def move(self, strategy):
        self.create(strategy)
        self.sidecar.must("POST", "/migrations/m/migrate?force=true")

    def knows(self, client, side="new"):
        wait_until(lambda: client.rows(GET.format(7)) == [[side, "7"]], 20, f"the api is read from {side}")
        return client

    def client(self, side="new"):
        return self.knows(self.connect(), side)

    def fallbacks(self):
        return sum(self.sidecar.metrics("crossfade_read_fallbacks_total").values())

    def check(self):
        checks = self.sidecar.must("POST", "/migrations/m/test")["checks"]
        return next(one for one in checks if one["name"] == "rendering")


class Reads(Rendered):
    def test_its_statements_are_written_anew_and_no_others(self):
        self.move(GREEN)
        client = self.client()
        before = self.fallbacks()
        for sql in (GET.format("'7'"), "SELECT side\n, age /* traced */ FROM Users -- x\n WHERE id=7;",
                    GET.format("E'\\x37'"), GET.format("$$7$$"), GET.format("+7"), GET.format("7") + ";;"):
            with self.subTest(sql):
                self.assertEqual(client.rows(sql), [["new", "7"]])
                self.assertEqual(self.said(client, segment(sql)), ["new"])
        self.assertEqual(client.rows(GET.format("-7")), [])
        self.assertEqual(client.rows(GET.format("null")), [])
        self.assertEqual(client.rows(AGED.format(7, 7)), [["new"]])
        self.assertEqual(client.rows(AGED.format(7, "8")), [])
        self.assertEqual(self.fallbacks(), before, "new has answered all of it")
        for sql in (GET.format("7 + 0"), "select side from users where id = 7", "table users limit 1"):
            self.assertIn("old", client.rows(sql)[0], sql)
        self.assertEqual(client.rows(f"{GET.format(1)}; select side from here;; {AGED.format(2, 1)}"),
                         [["new", "1"], ["new"], ["new"]])
        self.assertEqual(client.rows(f"begin read only; {GET.format(1)}; commit"), [["new", "1"]])
        self.assertEqual(client.rows(f"begin; {GET.format(1)}; commit"), [["old", "1"]])
        self.assertEqual(self.said(client, segment("begin read only", GET.format(1), "commit")), ["new"])
        self.assertEqual(self.fallbacks(), before)

    def test_parameters_keep_their_numbers_types_and_formats(self):
        self.move(GREEN)
        client = self.client()
        before = self.fallbacks()
        for sql, params, expected in ((GET.format("$1"), ["9"], ["new"]),
                                      (AGED.format("$1", "$2"), ["9", "8"], ["new"]),
                                      (AGED.format("$1", "$2"), ["8", "9"], []),
                                      (AGED.format("$2", "$1"), ["8", "9"], ["new"]),
                                      (AGED.format("$1", "$1"), ["9"], ["new"]),
                                      (AGED.format(9, "$1"), ["8"], ["new"])):
            with self.subTest(sql, params=params):
                self.assertEqual(
                    self.said(client, parse("", sql) + bind("", "", params) + execute("") + SYNC), expected)
                self.said(client, parse("s", sql) + SYNC)
                for _ in range(3):
                    self.assertEqual(self.said(client, bind("", "s", params) + execute("") + SYNC), expected)
                self.said(client, close("S", "s") + SYNC)
        binary = parse("", GET.format("$1"), (20,)) + bind("", "", [b"\0\0\0\0\0\0\0\x09"], (1,), (1,))
        self.assertEqual(self.said(client, binary + execute("") + SYNC), ["new"])
        self.assertEqual(self.fallbacks(), before)

    def test_what_is_described_is_what_old_describes(self):
        self.create(reads(0.0))
        self.assertTrue(self.check()["ok"], self.check())
        self.sidecar.must("POST", "/migrations/m/migrate?force=true")
        client = self.connect()
        def described():
            client.send(parse("", GET.format("$1")) + describe("S", "") + bind("", "", ["7"]) +
                        describe("P", "") + execute("") + SYNC)
            found = client.until("Z")
            columns = [[(one[0], *one[3:]) for one in columns_of(raw)]
                       for raw in found if kind_of(raw) == "T"]
            types = [body_of(raw) for raw in found if kind_of(raw) == "t"]
            [row] = [row_of(raw) for raw in found if kind_of(raw) == "D"]
            return row[0], [kind_of(one) for one in found], columns, types
        told = {0.0: described()}
        self.patch(reads(1.0))
        wait_until(lambda: client.rows(GET.format(7)) == [["new", "7"]], 20, "it is read from new")
        told[1.0] = described()
        self.assertEqual((told[0.0][0], told[1.0][0]), (b"old", b"new"))
        self.assertEqual(told[0.0][1:], told[1.0][1:])

    def test_one_prepared_statement_goes_to_and_fro(self):
        early = self.connect()
        self.said(early, parse("s", GET.format("$1")) + SYNC)
        self.move(reads(0.0))
        late = self.connect()
        self.said(late, parse("s", GET.format("$1")) + parse("t", AGED.format("$2", "$1")) + SYNC)
        client = self.connect()
        for share, side in ((0.0, "old"), (1.0, "new"), (0.0, "old"), (1.0, "new")):
            self.patch(reads(share))
            self.knows(client, side)
            for _ in range(3):
                self.assertEqual(self.said(late, bind("", "s", ["7"]) + execute("") + SYNC), [side])
                self.assertEqual(self.said(late, bind("", "t", ["1", "7"]) + execute("") + SYNC), [side])
                self.assertEqual(self.said(early, bind("", "s", ["7"]) + execute("") + SYNC), [side])
        self.assertEqual(self.fallbacks(), 0)
        self.said(late, close("S", "s") + parse("s", AGED.format("$1", "$2")) + SYNC)
        self.assertEqual(self.said(late, bind("", "s", ["7", "1"]) + execute("") + SYNC), ["new"])

    def test_drivers(self):
        self.move(reads(0.0))
        client = self.connect()
        with psycopg.connect(host="127.0.0.1", port=self.port, user="app", dbname="app", autocommit=True,
                             prepare_threshold=1) as conn:
            def said():
                binary = conn.cursor(binary=True).execute(GET.format("%s"), (7,)).fetchone()
                return {conn.execute(GET.format("%s"), (7,)).fetchone(), binary,
                        conn.execute(GET.format(7)).fetchone(),
                        (*conn.execute(AGED.format("%s", "%s"), (7, 1)).fetchone(), 7)}
            for share, side in ((0.0, "old"), (1.0, "new"), (0.0, "old"), (1.0, "new")):
                self.patch(reads(share))
                self.knows(client, side)
                for _ in range(4):
                    self.assertEqual(said(), {(side, 7)})
        asyncio.run(self.by_asyncpg(client))
        told = subprocess.run([os.path.join(programs(15), "psql"), "-AtXw", "-h", "127.0.0.1",
                               "-p", str(self.port), "-U", "app", "-c", GET.format(7),
                               "-c", f"{GET.format(8)}; {AGED.format(9, 9)}", "app"],
                              check=True, capture_output=True, text=True).stdout
        self.assertEqual(told.split(), ["new|7", "new|8", "new"])
        self.assertEqual(self.fallbacks(), 0)

    async def by_asyncpg(self, client):
        conn = await asyncpg.connect(host="127.0.0.1", port=self.port, user="app", database="app")
        kept = await conn.prepare(GET.format("$1"))
        # Behind a Parse it asks for answers by a Flush, so what it runs first goes where writes go.
        self.assertEqual(tuple(await kept.fetchrow(7)), ("old", 7))
        self.assertEqual(tuple(await conn.fetchrow(AGED.format("$1", "$2"), 7, 1)), ("old",))
        for share, side in ((1.0, "new"), (0.0, "old"), (1.0, "new")):
            self.patch(reads(share))
            self.knows(client, side)
            for _ in range(3):
                self.assertEqual(tuple(await kept.fetchrow(7)), (side, 7))
                self.assertEqual(tuple(await conn.fetchrow(AGED.format("$1", "$2"), 7, 1)), (side,))
        await conn.close()

    def test_what_new_can_not_answer_is_asked_of_old_in_the_clients_words(self):
        self.move(GREEN)
        client = self.client()
        self.said(client, parse("s", GET.format("$1")) + SYNC)
        self.assertEqual(self.said(client, bind("", "s", ["7"]) + execute("") + SYNC), ["new"])
        self.new.sql("alter table people rename to gone")
        run = bind("", "s", ["7"]) + execute("") + SYNC

        def tried_in_vain(ask, expected):
            before = self.fallbacks()
            self.assertEqual(ask(), expected)
            return self.fallbacks() > before  # else new was still busy with what it had failed
        for _ in range(2):
            for ask, expected in ((lambda: client.rows(GET.format(7)), [["old", "7"]]),
                                  (lambda: self.said(client, segment(GET.format(7))), ["old"]),
                                  (lambda: self.said(client, run), ["old"])):
                wait_until(lambda: tried_in_vain(ask, expected), 20, "new is asked first")
        with self.assertRaisesRegex(ServerError, "22P02.*integer: \"x\""):
            client.rows(GET.format("'x'"))
        self.new.sql("alter table gone rename to people")
        self.knows(client)
        self.assertEqual(self.said(client, run), ["new"])

    def test_bytes_come_as_they_come(self):
        self.move(GREEN)
        client = self.client()
        whole = (query(GET.format(7)) + parse("s", GET.format("$1")) + bind("", "s", ["8"]) + execute("") +
                 close("S", "s") + SYNC + query(AGED.format(9, 1)))
        for size in (1, 2, 3, 7, 50):
            for at in range(0, len(whole), size):
                client.send(whole[at:at + size])
            told = [row_of(one)[0] for _ in range(3) for one in client.until("Z") if kind_of(one) == "D"]
            self.assertEqual(told, [b"new"] * 3, size)
        # What its client does not end is known of no api.
        client.send(parse("", GET.format(7)) + bind("", "") + execute("") + FLUSH)
        self.assertEqual([row_of(one)[0] for one in client.until("C") if kind_of(one) == "D"], [b"old"])
        client.send(SYNC)
        client.until("Z")

    def test_what_is_too_long_is_asked_of_old(self):
        self.sidecar.must("PATCH", f"/interlays/{INTERLAY}", {"settings": {
            **self.settings, "segment_max": 4096, "sql_length_max": 2048}})
        self.move(GREEN)
        client = self.client()
        for size, side in ((1000, "new"), (3000, "old"), (9000, "old")):
            padded = GET.format(7) + " " * size
            self.assertEqual(client.rows(padded), [[side, "7"]], size)
            self.assertEqual(self.said(client, segment(padded)), [side], size)
            self.said(client, parse("s", padded) + SYNC)
            self.assertEqual(self.said(client, bind("", "s") + execute("") + SYNC), [side], size)
            self.said(client, close("S", "s") + SYNC)

    def test_kill_9_changes_nothing(self):
        self.move(reads(1.0))
        for _ in range(2):
            client = self.client()
            self.assertEqual(client.rows(AGED.format(7, 1)), [["new"]])
            self.sidecar.kill9()
            self.sidecar.restart()


class Changes(Rendered):
    def test_a_template_that_changes_is_in_force_for_what_was_prepared(self):
        self.move(GREEN)
        client = self.client()
        self.said(client, parse("s", GET.format("$1")) + SYNC)
        run = bind("", "s", ["7"]) + execute("") + SYNC
        unnamed = bind("", "", ["7"]) + execute("") + SYNC
        self.assertEqual(self.said(client, run), ["new"])
        for word in ("changed", "again"):
            self.said(client, parse("", GET.format("$1")) + SYNC)
            text = f"SELECT '{word} ' || label AS side, years AS age FROM people WHERE uid={{{{uid}}}}"
            self.sidecar.must("PATCH", "/templates/new_get", {"query": text})
            for _ in range(2):
                self.assertEqual(self.said(client, run), [f"{word} new"])
                self.assertEqual(self.said(client, unnamed), [f"{word} new"])
            self.assertEqual(client.rows(GET.format(7)), [[f"{word} new", "7"]])
        self.assertEqual(self.fallbacks(), 0)

    def test_what_could_not_be_rendered_is_refused_while_it_runs(self):
        self.move(GREEN)
        for template, text, why in (
                ("new_get", "SELECT label AS side, years AS age FROM people WHERE uid = 1",
                 "has no use for the field 'id'"),
                ("new_get", "SELECT 'a\\b', years FROM people WHERE uid = {{uid}}", "has a backslash"),
                ("aged", "SELECT side FROM users WHERE id = {{id}}", "has nothing for the field 'years'")):
            status, answer = self.sidecar.api("PATCH", f"/templates/{template}", {"query": text})
            self.assertEqual(status, 409, answer)
            self.assertIn(why, str(answer))
        status, answer = self.sidecar.api("DELETE", "/migrations/m/api")
        self.assertEqual(status, 409, answer)
        self.assertIn("in another form than its clients know", str(answer))
        self.client()
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertEqual(self.client("old").rows(AGED.format(7, 1)), [["old"]])

    def test_features_one_after_the_other(self):
        fig = {"type": "strangler_fig", "write_mode": {"mode": "cutover", "write_percentage": 0.0}}
        self.move({**fig, "features": {"get": False, "aged": False}})
        client = self.client("old")
        self.said(client, parse("s", GET.format("$1")) + parse("t", AGED.format("$1", "$2")) + SYNC)

        def sides():
            return (*client.rows(GET.format(7))[0][:1], *client.rows(AGED.format(7, 1))[0],
                    *self.said(client, bind("", "s", ["7"]) + execute("") + bind("", "s", ["7"]) +
                               execute("") + SYNC),
                    *self.said(client, bind("", "t", ["7", "1"]) + execute("") + SYNC))
        for get, aged in ((False, True), (True, True), (True, False), (False, False), (True, True)):
            self.patch({**fig, "features": {"get": get, "aged": aged}})
            one, other = ("new" if get else "old"), ("new" if aged else "old")
            self.assertEqual(sides(), (one, other, one, one, other))
        self.assertEqual(self.fallbacks(), 0)

    def test_what_new_describes_otherwise_is_seen_before(self):
        self.create(GREEN)
        self.assertTrue(self.check()["ok"], self.check())
        for text, why in (("SELECT label, years AS age FROM people WHERE uid={{uid}}",
                           "names column 'side' 'label'"),
                          ("SELECT label AS side FROM people WHERE uid={{uid}}",
                           "has 1 column(s), and not 2"),
                          ("SELECT label AS side, years::int8 AS age FROM people WHERE uid={{uid}}",
                           "has column 'age' as bigint, not integer"),
                          ("SELECT label AS side, years AS age FROM people WHERE label={{uid}}",
                           "takes $1 as text, and not as integer"),
                          ("SELECT label AS side, years AS age FROM persons WHERE uid={{uid}}",
                           'relation "persons" does not exist')):
            self.sidecar.must("PATCH", "/templates/new_get", {"query": text})
            check = self.check()
            self.assertFalse(check["ok"], check)
            self.assertIn(why, check["detail"])
            status, answer = self.sidecar.api("POST", "/migrations/m/migrate")
            self.assertEqual(status, 409, answer)
        self.assertEqual(self.new.value("select count(*) from people"), "100")

    def test_what_can_not_be_rendered_is_not_started(self):
        self.define("old", "add", "INSERT INTO users VALUES ({{id}}, {{side}}, {{age}})")
        self.define("new", "new_add", "INSERT INTO people VALUES ({{age}}, {{id}}, {{side}})")
        self.define("new", "odd", "SELECT label AS side, years AS age FROM people WHERE uid = 1")
        self.api("both", "add", "get")
        for strategy, bindings, why in (
                (GREEN, [{"template": "new_add"}, {"template": "get"}],
                 "'new_add', which serves 'add', is a Write"),
                (GREEN, [{"template": "new_get", "fields": {"uid": "id"}}, {"template": "odd"}],
                 "more than one of its kind could serve it"),
                (GREEN, [{"template": "odd"}], "has no use for the field 'id'"),
                (GREEN, [{"template": "odd"}, {"template": "get"}, {"template": "add"}],
                 "template 'odd' serves nothing of api 'both'"),
                ({"type": "blue_green", "active_is_new": True},
                 [{"template": "new_get", "fields": {"uid": "id"}}], "api 'both' is of PostgreSQL")):
            self.sidecar.create_migration("n", strategy, INTERLAY, "new")
            self.sidecar.must("POST", "/migrations/n/api/both", {"bindings": bindings})
            status, answer = self.sidecar.api("POST", "/migrations/n/migrate?force=true")
            self.assertEqual(status, 409, answer)
            self.assertIn(why, str(answer))
            self.sidecar.must("POST", "/migrations/n/cancel")
            self.sidecar.must("DELETE", "/migrations/n")


class BothWritten(Rendered):
    """Under a dual write new has the table, too, and a view of it in its own form."""

    new_table = ("create table users (id int primary key, side text, age int)",
                 "insert into users select i, 'old', i from generate_series(1, 100) i",
                 "create view people as select id as uid, 'seen ' || side as label, age as years from users")

    strategy = {"type": "canary", "read_percentage": 1.0, "write_mode": DUAL}

    def test_reads_go_in_news_form_and_writes_as_they_are(self):
        self.move(self.strategy)
        client = self.connect()
        wait_until(lambda: client.rows(GET.format(7)) == [["seen old", "7"]], 20, "it is read from new")
        client.rows("update users set side = 'written' where id = 7")
        self.assertEqual(client.rows(GET.format(7)), [["seen written", "7"]])
        self.assertEqual(self.old.value("select side from users where id = 7"), "written")
        self.said(client, parse("s", GET.format("$1")) + SYNC)
        read = bind("", "s", ["8"]) + execute("")
        self.assertEqual(self.said(client, read + SYNC), ["seen old"])
        self.assertEqual((self.fallbacks(), Ledger(self.sidecar, "m").total), (0, 0))
        # With a write in its unit it is old's to answer, and run on both, each in its form: they differ.
        write = parse("", "update users set age = age where id = 8") + bind("", "") + execute("")
        self.assertEqual(self.said(client, read + write + SYNC), ["old"])
        self.assertIn(b"users", Ledger(self.sidecar, "m").keys()[0])
        self.assertEqual(self.said(client, read + SYNC), ["old"], "new is in doubt")

    def test_while_a_table_is_in_doubt_it_is_read_from_old(self):
        self.move(self.strategy)
        client = self.connect()
        wait_until(lambda: client.rows(GET.format(7)) == [["seen old", "7"]], 20, "it is read from new")
        self.new.sql("alter table here add constraint no check (side <> 'doubtful')")
        client.rows("insert into here values ('doubtful')")
        self.assertEqual(client.rows(GET.format(7)), [["old", "7"]], "a view may be of any table")


class Shadow(Rendered):
    new_table = ("create table people (years int, uid int primary key, label text)",
                 "insert into people select i, i, 'old' from generate_series(1, 100) i")

    def setUp(self):
        super().setUp()
        self.define("old", "add", "INSERT INTO users VALUES ({{id}}, {{side}}, {{age}})")
        self.define("new", "new_add",
                    "INSERT INTO people (uid, label, years) VALUES ({{id}}, {{side}}, {{age}})")
        self.api("add", "add")

    def create(self, strategy):
        super().create(strategy)
        self.attach("add", "new_add")

    def count(self, name):
        return int(self.metric(f"shadow_{name}_total") or 0)

    def at_rest(self):
        def settled():
            dropped = sum(self.sidecar.metrics("crossfade_shadow_dropped_total").values())
            return self.count("eligible") == self.count("copied") + dropped
        wait_until(settled, 20, "copies are accounted for")
        return self.count("copied")

    def in_step(self):
        client = self.connect()
        def copied():
            before = self.at_rest()
            client.rows(GET.format(1))
            return self.at_rest() > before
        wait_until(copied, 20, "its statements are copied")
        return client

    def test_copies_are_in_news_form_and_answered_alike(self):
        self.create(SHADOW)
        self.assertTrue(self.check()["ok"], self.check())
        self.sidecar.must("POST", "/migrations/m/migrate?force=true")
        client = self.in_step()
        before = self.at_rest()
        client.rows("insert into users values (200, 'it''s', -5)")
        self.said(client, parse("i", "insert into users values ($1, $3, $2)") + SYNC)
        for number in range(300, 310):
            self.said(client, bind("", "i", [str(number), "-1", "bound"]) + execute("") + SYNC)
        self.assertEqual(self.said(client, segment(GET.format(200))), ["it's"])
        self.said(client, parse("s", GET.format("$1")) + SYNC)
        for number in (200, 305, 999):
            client.rows(GET.format(number))
            self.said(client, bind("", "s", [str(number)]) + describe("P", "") + execute("") + SYNC)
        client.rows(f"begin; insert into users values (400, 'block', 1); {GET.format(400)}; commit")
        self.assertEqual(self.at_rest() - before, 21)
        self.assertEqual(self.count("mismatched"), 0)
        people = "select concat_ws(' ', uid, label, years) from people where uid = {}"
        self.assertEqual([self.new.value(people.format(one)) for one in (200, 305, 400)],
                         ["200 it's -5", "305 bound -1", "400 block 1"])
        client.rows("insert into users (id) values (500)")  # of no api
        self.at_rest()
        self.assertEqual(self.new.value("select count(*) from people where uid = 500"), "0")

    def test_a_difference_is_looked_at_again_in_both_forms(self):
        self.move(SHADOW)
        client = self.in_step()
        self.new.sql("update people set label = 'other' where uid = 7")
        client.rows(GET.format(7))
        self.said(client, parse("", GET.format("$1")) + bind("", "", ["7"]) + execute("") + SYNC)
        def real():
            return self.metric("mismatches_total", sort="copy", **{"class": "real"}) == 2
        wait_until(real, 20, "both are confirmed")


if __name__ == "__main__":
    unittest.main()
