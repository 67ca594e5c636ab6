"""Statements by api: which of them the strategy moves, seen at two PostgreSQL servers by live clients."""

import random
import unittest

import psycopg

from harness import wait_until
from pg_apis import DUAL, GREEN, ORDER_1, USER, USER_1, Apis, segment
from pg_conn import ServerError
from pg_messages import SYNC, bind, close, execute, kind_of, parse, query, row_of
from pg_pair import reads


class Sides(Apis):
    def setUp(self):
        super().setUp()
        self.before = self.connect()  # while there is one side
        self.said(self.before, parse("early", USER.format("$1")) + parse("other", ORDER_1) + SYNC)

    def test_only_what_a_template_of_the_migration_has_is_read_from_new(self):
        self.migrate(GREEN)
        client = self.client()
        for sql in (USER_1, "SELECT side\nFROM Users /* traced */ WHERE id='1';", USER.format("-1 + 2"),
                    USER_1 + " limit 1", USER_1 + ";"):
            expected = "old" if "+" in sql else "new"
            with self.subTest(sql):
                for _ in range(3):
                    self.assertEqual(client.value(sql), expected)
                    self.assertEqual(self.said(client, segment(sql)), [expected])
        for sql, why in ((USER.format(99), "an api that was defined before has it"),
                         (ORDER_1, "an api that is not the migration's"),
                         ("select side from users where n = 0 and id = 1", "its template is not bound"),
                         ("select side from users where id in (1)", "no template"),
                         (USER_1 + " limit 2", "another value"), (USER_1 + " for share", "a lock"),
                         ("select side from (table users limit 1) x", "no template")):
            with self.subTest(sql):
                for _ in range(3):
                    self.assertEqual(client.value(sql), "old", why)
                    self.assertEqual(self.said(client, segment(sql)), ["old"], why)

    def test_parameters_are_values_of_fields_and_of_nothing_else(self):
        self.migrate(GREEN)
        client = self.client()
        for sql, params, side in ((USER.format("$1"), ["1"], "new"), (USER.format("$1"), ["99"], "new"),
                                  (USER.format("$1") + " limit 1", ["1"], "new"),
                                  (USER.format("$1") + " limit $2", ["1", "1"], "old"),
                                  (USER.format(1) + " limit $1", ["1"], "old"),
                                  (USER.format("$1::int"), ["1"], "old")):
            with self.subTest(sql):
                self.said(client, parse("s", sql) + SYNC)
                for _ in range(3):
                    self.assertEqual(self.said(client, bind("", "s", params) + execute("") + SYNC), [side])
                    self.assertEqual(
                        self.said(client, parse("", sql) + bind("", "", params) + execute("") + SYNC), [side])
                self.said(client, close("S", "s") + SYNC)

    def test_statements_of_before_the_migration_go_by_api(self):
        self.migrate(GREEN)
        self.client()
        for _ in range(3):
            self.assertEqual(self.said(self.before, bind("", "early", ["7"]) + execute("") + SYNC), ["new"])
            self.assertEqual(self.said(self.before, bind("", "other") + execute("") + SYNC), ["old"])

    def test_a_name_goes_by_what_it_means(self):
        self.migrate(GREEN)
        client = self.client()
        for _ in range(2):
            for sql, side in ((USER_1, "new"), (ORDER_1, "old"), (USER.format(99), "old")):
                self.said(client, parse("s", sql) + SYNC)
                self.assertEqual(self.said(client, bind("", "s") + execute("") + SYNC), [side])
                self.said(client, close("S", "s") + SYNC)
                # In one unit the name is made, used, dropped and made anew.
                again = b"".join(parse("t", one) + bind("", "t") + execute("") + close("S", "t")
                                 for one in (USER_1, sql)) + SYNC
                self.assertEqual(self.said(client, again), [side] * 2)
            client.rows("discard all")
            self.knows(client)
        with self.assertRaisesRegex(ServerError, 'prepared statement "s" does not exist'):
            self.said(client, bind("", "s") + execute("") + SYNC)
        client.rows(f"prepare p as {USER_1}")
        self.assertEqual(client.value("execute p"), "old", "EXECUTE is of no api")
        self.assertEqual(self.said(client, bind("", "p") + execute("") + SYNC), ["old"])

    def test_a_unit_moves_when_all_of_it_does(self):
        self.migrate(GREEN)
        client = self.client()
        for texts, side in (((USER_1, USER.format(2)), "new"), ((USER_1, ORDER_1), "old"),
                            ((ORDER_1, USER_1), "old"), ((USER_1, USER.format(99), USER_1), "old"),
                            ((USER_1, "", USER.format(3) + " limit 1"), "new")):
            with self.subTest(texts):
                rows = sum(1 for text in texts if text)
                self.assertEqual([row[0] for row in client.rows(";".join(texts))], [side] * rows)
                texts = [text for text in texts if text]
                self.assertEqual(self.said(client, segment(*texts)), [side] * rows)
        client.send(segment(USER_1)[:-5])  # no Sync yet
        client.send(segment(ORDER_1))
        self.assertEqual([row_of(one)[0] for one in client.until("Z") if kind_of(one) == "D"], [b"old"] * 2)

    def test_a_block_is_of_an_api_where_one_unit_begins_and_ends_it(self):
        self.migrate(GREEN)
        client = self.client()
        for begin in ("begin", "begin read only",
                      "start transaction isolation level repeatable read, read only"):
            with self.subTest(begin):
                client.rows(begin)
                self.assertEqual((client.value(USER_1), client.value(ORDER_1)), ("old", "old"))
                client.rows("commit")
                self.assertEqual(client.value(USER_1), "new")
                client.rows(f"{begin}; {USER_1}")
                self.assertEqual((client.value(USER_1), client.value(ORDER_1)), ("old", "old"))
                client.rows("rollback")
                self.assertEqual(self.said(client, segment(begin, USER_1)), ["old"])
                self.assertEqual(self.said(client, segment(USER_1, "commit")), ["old"])
                side = "new" if "read only" in begin else "old"
                self.assertEqual(client.value(f"{begin}; {USER_1}; commit"), side)
                self.assertEqual(self.said(client, segment(begin, USER_1, "commit")), [side])
                self.assertEqual(client.rows(f"{begin}; {USER_1}; {ORDER_1}; commit"), [["old"], ["old"]])

    def test_answers_come_in_the_order_of_the_questions(self):
        self.migrate(GREEN)
        client = self.client()
        units = (query(USER_1), query(ORDER_1), segment(USER_1, USER_1), segment(ORDER_1),
                 query("update users set n = n + 1 where id = 1"))
        dice = random.Random(5)
        asked = [dice.randrange(len(units)) for _ in range(200)]
        client.send(b"".join(units[one] for one in asked))
        answers = (["new"], ["old"], ["new", "new"], ["old"], [])
        for one in asked:
            found = [row_of(raw)[0].decode() for raw in client.until("Z") if kind_of(raw) == "D"]
            self.assertEqual(found, answers[one])
        count = str(asked.count(4))
        self.assertEqual(self.old.value("select n from users where id = 1"), count)
        self.assertEqual(self.new.value("select n from users where id = 1"), "0")

    def test_what_a_session_holds_is_there_too(self):
        self.migrate(GREEN)
        client = self.client()
        for server in (self.old, self.new):
            with server.connect() as owner:
                owner.ask("create schema other; create table other.users as select * from users")
                owner.ask("update other.users set side = 'other ' || side")
        client.rows("set search_path = other")
        self.assertEqual(client.value(USER_1), "other new")
        self.assertEqual(client.value(USER_1 + " limit 2"), "other old")
        client.rows("discard all")
        self.knows(client)

    def test_drivers_that_prepare_and_pipeline(self):
        self.migrate(GREEN)
        self.client()
        with psycopg.connect(host="127.0.0.1", port=self.port, user="app", dbname="app",
                             autocommit=True, prepare_threshold=2) as conn:
            def said(sql, *params):
                return conn.execute(sql, params).fetchone()[0]
            for _ in range(8):
                self.assertEqual(said(USER.format("%s"), 5), "new")
                self.assertEqual(said("select side from orders where id = %s", 5), "old")
                self.assertEqual(said(USER.format("%s") + " limit 2", 5), "old")
            with conn.pipeline():
                cursors = [conn.execute(sql, (number,)) for number in range(1, 20)
                           for sql in (USER.format("%s"), "select side from orders where id = %s")]
                self.assertEqual({cursor.fetchone()[0] for cursor in cursors[1::2]}, {"old"})
            with conn.transaction():
                self.assertEqual((said(USER.format("%s"), 5), said(USER_1)), ("old", "old"))
            self.assertEqual(said(USER.format("%s"), 5), "new")


class Changes(Apis):
    def test_an_api_that_is_asked_before_takes_statements_at_once_and_gives_them_back(self):
        self.migrate(GREEN)
        client = self.client()
        self.said(client, parse("s", USER.format("$1")) + parse("t", USER_1) + SYNC)

        def sides():
            return (client.value(USER_1), *self.said(client, bind("", "s", ["1"]) + execute("") + SYNC),
                    *self.said(client, bind("", "t") + execute("") + SYNC))
        self.assertEqual(sides(), ("new", "new", "new"))
        bindings = self.sidecar.must("GET", "/apis/secrets")["bindings"]
        self.sidecar.must("POST", "/templates", {"id": "one", "endpoint": "old",
                                                 "query": "SELECT side FROM users WHERE id = 1"})
        self.sidecar.must("PATCH", "/apis/secrets", {"bindings": bindings + [{"template": "one"}]})
        self.assertEqual(sides(), ("old", "new", "old"))
        self.sidecar.must("PATCH", "/apis/secrets", {"bindings": bindings})
        self.assertEqual(sides(), ("new", "new", "new"))
        self.sidecar.must("PATCH", "/templates/users0",
                          {"query": "SELECT side FROM orders WHERE id = {{id}}"})
        self.assertEqual((sides(), client.value(ORDER_1)), (("old", "old", "old"), "new"))

    def test_a_rollback_takes_all_back(self):
        self.migrate(GREEN)
        client = self.client()
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertEqual(client.value(USER_1), "old")

    def test_without_its_apis_it_goes_on_as_a_whole(self):
        self.migrate(GREEN)
        client = self.client()
        self.assertEqual(client.value(ORDER_1), "old")
        self.sidecar.must("DELETE", "/migrations/m/api")
        self.assertEqual([client.value(sql) for sql in (USER_1, ORDER_1, USER.format(99))], ["new"] * 3)

    def test_what_would_lose_something_is_refused_while_it_runs(self):
        self.migrate(GREEN)
        for change in ({"write_mode": None},
                       {"write_mode": {**DUAL, "policy": "new_authoritative"}},
                       {"write_mode": {"mode": "cutover", "write_percentage": 1.0}}):
            status, answer = self.sidecar.api("PATCH", "/migrations/m?force=true", {"strategy": change})
            self.assertEqual(status, 409, answer)
            said = "new_authoritative" if "policy" in str(change) else "api 'users' is of PostgreSQL"
            self.assertIn(said, str(answer))
        status, answer = self.sidecar.api("POST", "/migrations/m/complete")
        self.assertEqual(status, 409, answer)
        self.client()

    def test_a_share_is_of_the_apis_statements_and_only_adds_sessions(self):
        self.migrate(reads(0.0))
        clients = [self.connect() for _ in range(40)]
        went = set()
        for share in (0.0, 0.5, 1.0):
            self.patch(reads(share))
            if share:
                wait_until(lambda: any(client.value(USER_1) == "new" for client in clients), 20, "some go")
            sides = [[client.value(USER_1) for _ in range(3)] for client in clients]
            self.assertTrue(all(len(set(one)) == 1 for one in sides), sides)
            there = {number for number, (side, *_) in enumerate(sides) if side == "new"}
            self.assertLessEqual(went, there)
            self.assertAlmostEqual(len(there) / 40, share, delta=0.45 if share == 0.5 else 0)
            others = {client.value(sql) for client in clients for sql in (ORDER_1, USER.format(99))}
            self.assertEqual(others, {"old"})
            went = there

    def test_kill_9_changes_nothing(self):
        self.migrate(reads(1.0))
        for _ in range(2):
            client = self.client()
            self.assertEqual((client.value(ORDER_1), client.value(USER.format(99))), ("old", "old"))
            self.sidecar.kill9()
            self.sidecar.restart()


class Shadow(Apis):
    def count(self, name):
        return int(self.metric(f"shadow_{name}_total") or 0)

    def at_rest(self):
        dropped = sum(self.sidecar.metrics("crossfade_shadow_dropped_total").values())
        return self.count("eligible") == self.count("copied") + dropped

    def test_what_is_of_the_api_is_copied_and_nothing_else(self):
        self.migrate({"type": "shadow_traffic"})
        client = self.connect()

        def copied():
            before = self.count("copied")
            client.value(USER_1)
            wait_until(self.at_rest, 20, "copies are accounted for")
            return self.count("copied") > before
        wait_until(copied, 20, "its statements are copied")
        eligible = self.count("eligible")
        update = "update {} set n = n + 1 where id = {}"
        for sql in (ORDER_1, USER.format(99), update.format("orders", 2), "table users limit 1",
                    "begin", update.format("users", 2), "commit",
                    USER_1 + "; " + ORDER_1, update.format("users", 2) + "; " + ORDER_1):
            client.rows(sql)
        client.send(segment(update.format("users", 2))[:-5] + parse("", ORDER_1) + SYNC)
        client.until("Z")
        self.assertEqual(self.count("eligible"), eligible)
        for sql in (USER_1, update.format("users", 3), update.format("users", "$1"),
                    f"begin; {update.format('users', 3)}; {USER_1}; commit"):
            for _ in range(2):
                if "$1" in sql:
                    self.said(client, parse("", sql) + bind("", "", ["3"]) + execute("") + SYNC)
                else:
                    client.rows(sql)
        self.assertEqual(self.count("eligible"), eligible + 8)
        wait_until(self.at_rest, 20, "copies are accounted for")
        self.assertEqual(self.new.value("select n from users where id = 3"), "6")
        self.assertEqual(self.new.value("select sum(n) from users where id <> 3"), "0")
        self.assertEqual(self.new.value("select sum(n) from orders"), "0")
        self.assertEqual(client.value(USER_1), "old")


if __name__ == "__main__":
    unittest.main()
