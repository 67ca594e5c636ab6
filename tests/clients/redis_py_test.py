"""redis-py in every mode: pools, pipelines, transactions, scripts, pub/sub, blocking, asyncio."""

import asyncio
import threading
import unittest
import uuid

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from harness import wait_until
from modes import InMode, in_every_mode


@in_every_mode
class RedisPy(InMode):
    def setUp(self):
        super().setUp()
        self.client = redis.Redis(port=self.port, decode_responses=True, socket_timeout=10)
        self.addCleanup(self.client.close)

    def wait_blocked(self, count=1):
        wait_until(lambda: any(server.info("clients")["blocked_clients"] == str(count)
                               for server in self.setting.servers), 5, f"{count} blocked")

    def test_values_of_every_type(self):
        c = self.client
        self.assertTrue(c.set("s", "text", ex=100))
        self.assertEqual(c.get("s"), "text")
        self.assertLessEqual(c.ttl("s"), 100)
        self.assertEqual(c.hset("h", mapping={"a": 1, "b": 2}), 2)
        self.assertEqual(c.hgetall("h"), {"a": "1", "b": "2"})
        self.assertEqual(c.rpush("l", "a", "b", "c"), 3)
        self.assertEqual(c.lrange("l", 0, -1), ["a", "b", "c"])
        self.assertEqual(c.sadd("set", 1, 2, 3), 3)
        self.assertEqual(c.smembers("set"), {"1", "2", "3"})
        self.assertEqual(c.zadd("z", {"a": 1, "b": 2.5}), 2)
        self.assertEqual(c.zrange("z", 0, -1, withscores=True), [("a", 1.0), ("b", 2.5)])
        self.assertEqual(c.geoadd("g", (13.361389, 38.115556, "Palermo")), 1)
        self.assertEqual(c.pfadd("p", "x"), 1)
        self.assertEqual(c.setbit("b", 7, 1), 0)
        self.assertEqual(c.incrbyfloat("f", 1.5), 1.5)
        self.assertIsNone(c.get("nothing"))

    def test_binary_and_big_values(self):
        raw = redis.Redis(port=self.port)
        self.addCleanup(raw.close)
        value = bytes(range(256)) * 20_000
        raw.set(b"\x00\xff\r\n", value)
        self.assertEqual(raw.get(b"\x00\xff\r\n"), value)
        self.assertEqual(raw.strlen(b"\x00\xff\r\n"), len(value))

    def test_pipelines(self):
        with self.client.pipeline(transaction=False) as pipe:
            for number in range(1000):
                pipe.set(f"p{number}", number).get(f"p{number}")
            replies = pipe.execute()
        self.assertEqual(replies[1::2], [str(number) for number in range(1000)])
        with self.client.pipeline(transaction=False) as pipe:
            pipe.set("s", "v").lpush("s", "x").get("s")
            replies = pipe.execute(raise_on_error=False)
        self.assertIsInstance(replies[1], redis.ResponseError)
        self.assertEqual(replies[2], "v")

    def test_transactions_and_watch(self):
        with self.client.pipeline() as pipe:
            self.assertEqual(pipe.set("a", 1).incr("a").get("a").execute(), [True, 2, "2"])
        with self.client.pipeline() as pipe:
            pipe.watch("a")
            self.assertEqual(pipe.get("a"), "2")
            self.client.set("a", 10)
            pipe.multi()
            pipe.set("a", 3)
            with self.assertRaises(redis.WatchError):
                pipe.execute()
        self.assertEqual(self.client.transaction(lambda pipe: pipe.multi() or pipe.incr("n"), "n"),
                         [1])

    def test_counters_under_watch_from_eight_threads(self):
        def add():
            for _ in range(10):
                def change(pipe):
                    value = int(pipe.get("n") or 0)
                    pipe.multi()
                    pipe.set("n", value + 1)
                self.client.transaction(change, "n")
        threads = [threading.Thread(target=add) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(self.setting.answering.call("GET", "n"), b"80")

    def test_scripts_and_functions(self):
        script = self.client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
        self.assertEqual(script(keys=["n"], args=[5]), 5)
        self.client.script_flush()
        self.assertEqual(script(keys=["n"], args=[5]), 10)
        self.assertEqual(self.client.eval("return {1, 'two'}", 0), [1, "two"])
        library = "l" + uuid.uuid4().hex
        self.client.function_load(
            f"#!lua name={library}\nredis.register_function('f_{library}', function() return 7 end)")
        self.assertEqual(self.client.fcall(f"f_{library}", 0), 7)
        with self.assertRaises(redis.exceptions.NoScriptError):
            self.client.evalsha("f" * 40, 0)

    def test_a_lock_is_held_by_one(self):
        with self.client.lock("lock", timeout=10):
            self.assertFalse(self.client.lock("lock", timeout=10).acquire(blocking=False))
        self.assertTrue(self.client.lock("lock", timeout=10).acquire(blocking=False))

    def test_pubsub(self):
        pubsub = self.client.pubsub()
        self.addCleanup(pubsub.close)
        pubsub.subscribe("one", "two")
        pubsub.psubscribe("pat*")
        kinds = [pubsub.get_message(timeout=5)["type"] for _ in range(3)]
        self.assertEqual(kinds, ["subscribe", "subscribe", "psubscribe"])
        self.assertEqual(self.client.publish("one", "hello"), 1)
        self.assertEqual(pubsub.get_message(timeout=5)["data"], "hello")
        self.assertEqual(self.client.publish("pattern", "hi"), 1)
        message = pubsub.get_message(timeout=5)
        self.assertEqual((message["type"], message["pattern"]), ("pmessage", "pat*"))
        pubsub.unsubscribe()
        self.assertEqual(pubsub.get_message(timeout=5)["type"], "unsubscribe")
        self.assertEqual(self.client.publish("one", "nobody"), 0)

    def test_pubsub_in_a_thread_with_a_thousand_messages(self):
        seen = []
        pubsub = self.client.pubsub(ignore_subscribe_messages=True)
        pubsub.subscribe(work=lambda message: seen.append(message["data"]))
        thread = pubsub.run_in_thread(sleep_time=0.01)
        wait_until(lambda: self.client.pubsub_numsub("work") == [("work", 1)], 5, "subscribed")
        with self.client.pipeline(transaction=False) as pipe:
            for number in range(1000):
                pipe.publish("work", number)
            pipe.execute()
        wait_until(lambda: len(seen) == 1000, 10, "a thousand messages")
        self.assertEqual(seen, [str(number) for number in range(1000)])
        thread.stop()
        thread.join()
        pubsub.close()

    def test_blocking_pops_are_served_and_time_out(self):
        self.assertIsNone(self.client.blpop("queue", timeout=0.05))
        got = []
        waiter = threading.Thread(target=lambda: got.append(self.client.blpop("queue", timeout=10)))
        waiter.start()
        self.wait_blocked()
        self.client.rpush("queue", "job")
        waiter.join(10)
        self.assertEqual(got, [("queue", "job")])
        self.client.zadd("z", {"m": 1})
        self.assertEqual(self.client.bzpopmin("z", timeout=1), ("z", "m", 1.0))

    def test_streams_with_groups(self):
        c = self.client
        c.xgroup_create("s", "g", mkstream=True)
        # With two legs each server would make an id of its own, as yet.
        ids = ("1-1", "2-1") if self.mode.startswith("canary") else ("*", "*")
        first = c.xadd("s", {"field": "1"}, id=ids[0])
        self.assertEqual(c.xreadgroup("g", "worker", {"s": ">"}, count=10),
                         [["s", [(first, {"field": "1"})]]])
        self.assertEqual(c.xack("s", "g", first), 1)
        self.assertEqual(c.xread({"s": "$"}, block=20), [])
        got = []
        waiter = threading.Thread(target=lambda: got.append(c.xread({"s": first}, block=10_000)))
        waiter.start()
        self.wait_blocked()
        second = c.xadd("s", {"field": "2"}, id=ids[1])
        waiter.join(10)
        self.assertEqual(got, [[["s", [(second, {"field": "2"})]]]])

    def test_scans_find_every_key(self):
        self.client.mset({f"scan:{number}": number for number in range(2000)})
        self.assertEqual(len(set(self.client.scan_iter("scan:*", count=100))), 2000)
        self.client.sadd("big", *range(3000))
        self.assertEqual(len(set(self.client.sscan_iter("big"))), 3000)

    def test_databases_names_and_pools(self):
        five = redis.Redis(port=self.port, db=5, client_name="five", decode_responses=True)
        self.addCleanup(five.close)
        five.set("k", "five")
        self.assertIsNone(self.client.get("k"))
        self.assertEqual(five.get("k"), "five")
        self.assertEqual(five.client_getname(), "five")
        pool = redis.ConnectionPool(port=self.port, max_connections=10)
        self.addCleanup(pool.disconnect)
        clients = [redis.Redis(connection_pool=pool) for _ in range(10)]
        self.assertEqual([client.incr("n") for client in clients], list(range(1, 11)))

    def test_health_checks_and_reconnection(self):
        client = redis.Redis(port=self.port, health_check_interval=1, decode_responses=True,
                             retry=Retry(NoBackoff(), 3), retry_on_error=[redis.ConnectionError])
        self.addCleanup(client.close)
        self.assertTrue(client.ping())
        number = client.client_id()
        self.setting.answering.call("CLIENT", "KILL", "ID", number)
        self.assertTrue(client.set("k", "v"))
        self.assertEqual(client.get("k"), "v")

    def test_monitor_sees_commands(self):
        with self.client.monitor() as monitor:
            other = redis.Redis(port=self.port)
            other.set("seen", "yes")
            other.close()
            for _ in range(20):
                if "seen" in monitor.next_command()["command"]:
                    break
            else:
                self.fail("not seen")

    def test_server_commands(self):
        self.assertEqual(self.client.config_get("maxmemory-policy"),
                         {"maxmemory-policy": "noeviction"})
        self.assertIn("redis_version", self.client.info())
        self.assertIn("get", self.client.command())
        self.assertEqual(self.client.object("encoding", "nothing"), None)
        self.assertIsInstance(self.client.slowlog_get(), list)
        self.assertEqual(self.client.dbsize(), 0)

    def test_dump_and_restore(self):
        raw = redis.Redis(port=self.port)
        self.addCleanup(raw.close)
        raw.rpush("l", 1, 2, 3)
        raw.restore("copy", 0, raw.dump("l"))
        self.assertEqual(raw.lrange("copy", 0, -1), [b"1", b"2", b"3"])

    def test_errors_are_the_servers_own(self):
        self.client.set("s", "v")
        with self.assertRaisesRegex(redis.ResponseError, "WRONGTYPE"):
            self.client.lpush("s", "x")
        with self.assertRaisesRegex(redis.ResponseError, "unknown command"):
            self.client.execute_command("NOSUCH")

    def test_asyncio(self):
        async def work():
            client = redis.asyncio.Redis(port=self.port, decode_responses=True)
            self.assertEqual(sorted(await asyncio.gather(*[client.incr("n") for _ in range(200)])),
                             list(range(1, 201)))
            async with client.pipeline(transaction=True) as pipe:
                self.assertEqual(await pipe.set("a", 1).incr("a").execute(), [True, 2])
            pubsub = client.pubsub()
            await pubsub.subscribe("ch")
            self.assertEqual((await pubsub.get_message(timeout=5))["type"], "subscribe")
            await client.publish("ch", "hello")
            self.assertEqual((await pubsub.get_message(timeout=5))["data"], "hello")
            await pubsub.close()
            await client.close(close_connection_pool=True)
        asyncio.run(work())

    def test_credentials(self):
        for server in self.setting.servers:
            server.call("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all")
        good = redis.Redis(port=self.port, username="app", password="secret", decode_responses=True)
        self.addCleanup(good.close)
        self.assertEqual(good.acl_whoami(), "app")
        self.assertTrue(good.set("k", "v"))
        self.assertEqual(good.get("k"), "v")
        bad = redis.Redis(port=self.port, username="app", password="wrong")
        self.addCleanup(bad.close)
        with self.assertRaisesRegex(redis.RedisError, "WRONGPASS"):
            bad.ping()


if __name__ == "__main__":
    unittest.main()
