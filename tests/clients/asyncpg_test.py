"""asyncpg in every mode: its statement cache, cursors, COPY, listeners, cancel, pools, transactions."""

import asyncio
import io
import unittest

import asyncpg

from children import SLOWNESS
from pg_clients import DATABASE, USER, InPgMode, in_every_pg_mode

LIMIT_S = 20 * SLOWNESS


@in_every_pg_mode
class Asyncpg(InPgMode):
    def run_with(self, body):
        """Runs the coroutine function `body(conn)` over a new connection."""
        async def whole():
            conn = await self.connect()
            try:
                await conn.execute("create table t (id int primary key, v text)")
                await asyncio.wait_for(body(conn), LIMIT_S)
            finally:
                await conn.close(timeout=5)
        asyncio.run(whole())

    async def connect(self):
        return await asyncpg.connect(host="127.0.0.1", port=self.port, user=USER, database=DATABASE,
                                     timeout=10 * SLOWNESS)

    def test_values_and_prepared_statements(self):
        async def body(conn):
            values = (1, "ä€𝄞", None, 1.5, True, [1, 2], b"\0\xff")
            row = await conn.fetchrow("select $1::int, $2::text, $3::text, $4::float8, $5::bool, $6::int[],"
                                      " $7::bytea", *values)
            self.assertEqual(tuple(row), values)
            statement = await conn.prepare("select $1::int * 2 as twice")
            self.assertEqual([await statement.fetchval(number) for number in range(50)],
                             [number * 2 for number in range(50)])
            self.assertEqual(statement.get_attributes()[0].name, "twice")
        self.run_with(body)

    def test_types_of_ones_own_are_looked_up(self):
        if self.mode == "canary-everybody":
            self.skipTest("known fault: types of one's own have other OIDs on another server")

        async def body(conn):
            await conn.execute("create type mood as enum ('sad', 'ok'); create type pair as (a int, m mood)")
            self.assertEqual(tuple(await conn.fetchval("select row(1, 'ok')::pair")), (1, "ok"))
        self.run_with(body)

    def test_a_table_that_changes_behind_a_cached_statement(self):
        if self.flips:
            self.skipTest("known fault: a statement that is brought may have other columns than were told")

        async def body(conn):
            self.assertEqual(await conn.fetch("select * from t"), [])
            await conn.execute("alter table t add column x int; insert into t values (1, 'a', 2)")
            self.assertEqual(tuple((await conn.fetch("select * from t"))[0]), (1, "a", 2))
        self.run_with(body)

    def test_executemany_is_one_pipeline(self):
        async def body(conn):
            await conn.executemany("insert into t values ($1, $2)", [(number, "x") for number in range(1000)])
            self.assertEqual(await conn.fetchval("select count(*) from t"), 1000)
            with self.assertRaises(asyncpg.UniqueViolationError):
                await conn.executemany("insert into t values ($1, $2)", [(5000, "x"), (1, "x"), (5001, "x")])
            self.assertEqual(await conn.fetchval("select count(*) from t"), 1000)
        self.run_with(body)

    def test_transactions_within_transactions(self):
        async def body(conn):
            async with conn.transaction():
                await conn.execute("insert into t values (1, 'a')")
                with self.assertRaises(asyncpg.UniqueViolationError):
                    async with conn.transaction():
                        await conn.execute("insert into t values (1, 'b')")
                self.assertTrue(conn.is_in_transaction())
            self.assertEqual(await conn.fetchval("select count(*) from t"), 1)
        self.run_with(body)

    def test_cursors_are_portals_with_a_limit(self):
        async def body(conn):
            async with conn.transaction():
                found = [row[0] async for row in conn.cursor("select generate_series(1, 500)", prefetch=7)]
                self.assertEqual(found, list(range(1, 501)))
                cursor = await conn.cursor("select generate_series(1, 10)")
                await cursor.forward(3)
                self.assertEqual((await cursor.fetchrow())[0], 4)
        self.run_with(body)

    def test_copy_goes_both_ways(self):
        async def body(conn):
            rows = [(number, "row") for number in range(5000)]
            self.assertEqual(await conn.copy_records_to_table("t", records=rows), "COPY 5000")
            out = io.BytesIO()
            await conn.copy_from_query("select * from t order by id", output=out)
            self.assertEqual(out.getvalue(), b"".join(b"%d\trow\n" % number for number in range(5000)))
            with self.assertRaises(asyncpg.UniqueViolationError):
                await conn.copy_records_to_table("t", records=rows)
            self.assertEqual(await conn.fetchval("select 1"), 1)
        self.run_with(body)

    def test_a_listener_is_told_by_whom(self):
        async def body(conn):
            heard = asyncio.Queue()
            await conn.add_listener("ch", lambda *told: heard.put_nowait(told[1:]))
            other = await self.connect()
            await other.execute("notify ch, 'hello'")
            pid, *told = await heard.get()
            self.assertEqual(told, ["ch", "hello"])
            if not self.flips:
                self.assertEqual(pid, other.get_server_pid())
            await other.close()
        self.run_with(body)

    def test_a_time_limit_cancels_the_query(self):
        async def body(conn):
            with self.assertRaises(asyncio.TimeoutError):
                await conn.fetch("select pg_sleep(60)", timeout=0.2 * SLOWNESS)
            self.assertEqual(await conn.fetchval("select 1"), 1)
        self.run_with(body)

    def test_a_pool_resets_its_connections(self):
        async def whole():
            async with asyncpg.create_pool(self.url, min_size=2, max_size=2) as pool:
                for _ in range(5):
                    async with pool.acquire() as conn:
                        self.assertEqual(await conn.fetchval("show work_mem"), "4MB")
                        await conn.execute("set work_mem = '1MB'; select pg_advisory_lock(1)")
                found = await asyncio.gather(*(pool.fetchval("select $1::int", n) for n in range(50)))
                self.assertEqual(found, list(range(50)))
        asyncio.run(whole())


if __name__ == "__main__":
    unittest.main()
