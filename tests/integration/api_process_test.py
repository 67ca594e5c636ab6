"""The control port of a real process: secrets stay inside, state survives, probes tell the truth, and no
client can lock the others out."""

import json
import os
import re
import socket
import sqlite3
import stat
import subprocess
import threading
import time
import unittest

from fake_server import FakeServer
from harness import (ADMIN, READ, SLOWNESS, RawConn, RedisServer, ReplyError, Sidecar, binary,
                     free_port, temp_folder, wait_until)

HOST = "127.0.0.1"
SECRET = "s3cret/of:the@server"


class Secrets(unittest.TestCase):
    def test_no_secret_is_in_any_answer_log_metric_or_error(self):
        with RedisServer(requirepass=SECRET) as server, RedisServer(requirepass=SECRET) as other, \
                Sidecar(args=["--log-level", "trace"]) as sidecar:
            seen = []

            def call(method, path, body=None, **how):
                status, answer = sidecar.api(method, path, body, **how)
                seen.append(json.dumps(answer))
                return status

            config = {"host": HOST, "port": server.port, "password": SECRET}
            self.assertEqual(call("POST", "/endpoints", {"id": "old", "kind": "redis", "config": config}),
                             201)
            url = f"redis://:s3cret%2Fof%3Athe%40server@{HOST}:{other.port}"
            self.assertEqual(call("POST", "/endpoints",
                                  {"id": "new", "kind": "redis", "config": {"url": url}}), 201)
            self.assertEqual(call("POST", "/endpoints", {
                "id": "bad", "kind": "redis",
                "config": {"host": HOST, "port": server.port, "password": SECRET + "!"}}), 400)
            self.assertEqual(call("POST", "/endpoints", {
                "id": "bad", "kind": "redis", "config": {"url": url + ":x"}}), 400)
            self.assertEqual(call("POST", "/endpoints", {
                "id": "bad", "kind": "redis", "config": {"host": HOST, "password": [SECRET]}}), 400)
            self.assertEqual(call("POST", "/endpoints", json.dumps(
                {"id": "bad", "password": SECRET}).encode()[:-1]), 400)
            self.assertEqual(call("PATCH", "/endpoints/new", {"config": {"password": SECRET}}), 200)
            port = sidecar.add_interlay("cache", "old")
            sidecar.migrate("m", {"type": "shadow_traffic"}, "cache", "new")
            with RawConn(port) as client:
                client.call("AUTH", SECRET)
                client.call("SET", "payload-key", "payload-value")
                client.call("AUTH", SECRET + "!")
            server.stop()
            with RawConn(port) as client:
                client.call("PING")
            for path in ("/endpoints", "/endpoints/old", "/endpoints/new", "/interlays",
                         "/interlays/cache", "/migrations", "/migrations/m", "/migrations/m/status",
                         "/migrations/m/events", "/readyz", "/healthz"):
                call("GET", path, headers={"X-Eden-Verbose": "true"})
            call("POST", "/migrations/m/test")
            _, _, metrics = sidecar.http("GET", "/metrics", token=None)
            everything = "\n".join(seen) + metrics.decode() + sidecar.log_text()
            for secret in ("s3cret", ADMIN, READ, "payload-value", "payload-key"):
                self.assertNotIn(secret, everything)
            self.assertIn('"password": "***"', everything)

    def test_no_secret_is_told_by_a_server_that_quotes_the_login_it_refuses(self):
        extra = os.path.join(temp_folder("redis"), "extra.conf")
        with open(extra, "w", encoding="utf-8") as file:
            file.write('rename-command AUTH ""\n')
        with RedisServer(include=extra) as quoting, RedisServer() as other, \
                Sidecar(args=["--log-level", "trace"]) as sidecar:
            with self.assertRaisesRegex(ReplyError, SECRET):
                quoting.call("AUTH", SECRET)
            seen = []

            def call(method, path, body=None):
                status, answer = sidecar.api(method, path, body)
                seen.append(json.dumps(answer))
                return status

            body = {"id": "old", "kind": "redis", "config": {
                "host": HOST, "port": quoting.port, "username": "user", "password": SECRET}}
            self.assertEqual(call("POST", "/endpoints", body), 400)
            self.assertIn("the server refuses AUTH", seen[-1])
            self.assertEqual(call("POST", "/endpoints?check=false", body), 201)
            self.assertEqual(call("PATCH", "/endpoints/old", {"config": {"password": SECRET + "!"}}), 400)
            sidecar.add_endpoint("new", other)
            port = sidecar.add_interlay("cache", "old")
            sidecar.create_migration("m", {"type": "shadow_traffic"}, "cache", "new")
            self.assertEqual(call("POST", "/migrations/m/test"), 200)
            self.assertEqual(call("POST", "/migrations/m/migrate"), 409)
            with RawConn(port) as client:
                seen.append(str(client.call("PING")))
            for path in ("/endpoints", "/endpoints/old", "/migrations/m/events"):
                self.assertEqual(call("GET", path), 200)
            _, _, metrics = sidecar.http("GET", "/metrics", token=None)
            self.assertNotIn("s3cret", "\n".join(seen) + metrics.decode() + sidecar.log_text())

    def test_the_state_file_is_its_owner_s_alone(self):
        with Sidecar() as sidecar:
            for name in os.listdir(os.path.dirname(sidecar.state)):
                if name.startswith("crossfade.db"):
                    path = os.path.join(os.path.dirname(sidecar.state), name)
                    self.assertEqual(stat.S_IMODE(os.stat(path).st_mode) & 0o077, 0, name)


class State(unittest.TestCase):
    def serve(self, state):
        done = subprocess.run([binary(), "serve", "--control", f"{HOST}:0", "--state", state],
                              capture_output=True, text=True, check=False, timeout=30 * SLOWNESS,
                              stdin=subprocess.DEVNULL)
        return done.returncode, done.stderr

    def test_a_second_process_is_refused_the_file_and_told_by_whom(self):
        with Sidecar() as sidecar:
            code, error = self.serve(sidecar.state)
            self.assertEqual(code, 1, error)
            self.assertIn(f"process {sidecar.pid} is using it", error)
            self.assertEqual(sidecar.api("GET", "/migrations")[0], 200)

    def test_a_damaged_or_newer_file_is_refused_and_left_alone(self):
        with Sidecar() as sidecar:
            sidecar.must("POST", "/migrations", {"id": "m"})
            sidecar.terminate()
            state = sidecar.state
            with sqlite3.connect(state) as connection:
                connection.execute("PRAGMA journal_mode = DELETE")
                connection.execute("PRAGMA user_version = 99")
            connection.close()
            for damage in (None, b"no database at all"):
                if damage:
                    with open(state, "wb") as file:
                        file.write(damage)
                with open(state, "rb") as file:
                    before = file.read()
                code, error = self.serve(state)
                self.assertEqual(code, 2, error)
                self.assertIn("it was left as it is", error)
                with open(state, "rb") as file:
                    self.assertEqual(file.read(), before)

    def test_every_resource_survives_kill_9_as_it_was_answered(self):
        with RedisServer() as old, RedisServer() as new, Sidecar() as sidecar:
            sidecar.add_endpoint("old", old)
            sidecar.add_endpoint("new", new)
            sidecar.add_interlay("cache", "old", settings={"pipeline_max": 77})
            sidecar.migrate("m", {"type": "canary", "read_percentage": 0.07}, "cache", "new",
                            description="d", failure_handling={"type": "retry_then_all"})
            paths = ("/endpoints/old", "/endpoints/new", "/interlays/cache", "/migrations/m",
                     "/migrations/m/events")

            def shown():
                answers = {path: sidecar.must("GET", path) for path in paths}
                for answer in answers.values():
                    if isinstance(answer, dict):
                        answer.pop("health", None)
                return answers

            before = shown()
            epoch = sidecar.must("GET", "/migrations/m/status")["epoch"]
            sidecar.kill9()
            sidecar.restart()
            self.assertEqual(shown(), before)
            self.assertGreater(sidecar.must("GET", "/migrations/m/status")["epoch"], epoch)

    def test_writes_on_new_only_are_reported_across_a_restart(self):
        with RedisServer() as old, RedisServer() as new, Sidecar() as sidecar:
            sidecar.add_endpoint("old", old)
            sidecar.add_endpoint("new", new)
            port = sidecar.add_interlay("cache", "old")
            sidecar.migrate("m", {"type": "blue_green", "active_is_new": True}, "cache", "new")

            def write(count):
                with RawConn(port) as client:
                    for i in range(count):
                        client.call("SET", f"key{i}", "v")

            write(10)
            sidecar.terminate()
            sidecar.restart()
            write(5)
            data = sidecar.must("POST", "/migrations/m/rollback")
            self.assertEqual((data["new_only_writes"], data["new_only_writes_exact"]), (15, True))
            self.assertIn("15 writes went to new only and are not on old", data["message"])
            self.assertEqual(old.call("DBSIZE"), 0)


class Probes(unittest.TestCase):
    def test_without_a_token_and_only_get(self):
        with Sidecar() as sidecar:
            self.assertEqual(sidecar.http("GET", "/healthz", token=None)[0], 200)
            self.assertEqual(sidecar.http("GET", "/readyz", token=None)[0], 200)
            status, headers, text = sidecar.http("GET", "/metrics", token=None)
            self.assertEqual(status, 200)
            self.assertTrue(headers["content-type"].startswith("text/plain; version=0.0.4"))
            self.assertRegex(text.decode(), r"crossfade_table_epoch [1-9]")
            self.assertEqual(sidecar.http("POST", "/readyz", token=None)[0], 405)

    def test_with_a_token_when_told_to(self):
        with Sidecar(config={"control": {"metrics_token": True, "probes_token": True}}) as sidecar:
            for path in ("/healthz", "/readyz", "/metrics"):
                self.assertEqual(sidecar.http("GET", path, token=None)[0], 401)
                self.assertEqual(sidecar.http("GET", path, token=READ)[0], 200)

    def test_a_port_that_is_taken_at_the_start_keeps_back_its_own_interlay_only(self):
        with RedisServer() as old, Sidecar() as sidecar:
            sidecar.add_endpoint("old", old)
            kept, lost = (sidecar.add_interlay(name, "old") for name in ("kept", "lost"))
            sidecar.terminate()
            with socket.socket() as taker:
                taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                taker.bind((HOST, lost))
                taker.listen()
                sidecar.restart()
                with RawConn(kept) as client:
                    self.assertEqual(client.call("PING"), "PONG")
                why = f"open port {lost} on {HOST}: listen on {HOST}:{lost}: Address already in use"
                shown = sidecar.must("GET", "/interlays/lost")
                self.assertEqual((shown["running"], shown["why"]), (False, why))
                status, _, text = sidecar.http("GET", "/readyz", token=None)
                self.assertEqual(status, 503)
                self.assertIn(f"interlay 'lost' does not listen: {why}", text.decode())
            wait_until(lambda: sidecar.http("GET", "/readyz", token=None)[0] == 200, 10,
                       "that the port is opened")
            with RawConn(lost) as client:
                self.assertEqual(client.call("PING"), "PONG")
            shown = sidecar.must("GET", "/interlays/lost")
            self.assertEqual((shown["running"], shown.get("why")), (True, None))

    def test_metrics_are_well_formed_and_complete(self):
        with RedisServer() as old, RedisServer() as new, Sidecar() as sidecar:
            sidecar.add_endpoint("old", old)
            sidecar.add_endpoint("new", new)
            port = sidecar.add_interlay("cache", "old")
            sidecar.migrate("m", {"type": "shadow_traffic"}, "cache", "new")
            with RawConn(port) as client:
                for i in range(20):
                    client.call("SET", f"k{i}", "v")
            name = 'crossfade_shadow_copied_total{interlay="cache"}'
            wait_until(lambda: sidecar.metrics()[name] == 20, 10, "copies counted")
            _, _, text = sidecar.http("GET", "/metrics", token=None)
            typed = set()
            for line in text.decode().splitlines():
                if line.startswith("# TYPE "):
                    self.assertNotIn(line.split()[2], typed)
                    typed.add(line.split()[2])
                elif not line.startswith("#"):
                    self.assertRegex(
                        line, r'^crossfade_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? '
                              r"(\+Inf|[0-9.e+-]+)$")
            samples = sidecar.metrics()
            side = 'interlay="cache",side="old"'
            self.assertEqual(samples[f'crossfade_requests_total{{{side},kind="write"}}'], 20)
            self.assertEqual(samples[f"crossfade_leg_seconds_count{{{side}}}"],
                             samples[f'crossfade_leg_seconds_bucket{{{side},le="+Inf"}}'])


class Tokens(unittest.TestCase):
    def test_with_no_token_declared_every_call_is_401_and_the_log_says_what_to_do(self):
        with Sidecar(env={"CROSSFADE_ADMIN_TOKEN": "", "CROSSFADE_READ_TOKEN": ""}) as sidecar:
            self.assertEqual(sidecar.api("GET", "/migrations")[0], 401)
            sidecar.wait_for_log("CROSSFADE_ADMIN_TOKEN")

    def test_sighup_takes_over_tokens(self):
        def config(*digests):
            return {"tokens": [{"name": f"t{i}", "role": "admin", "sha256": digest}
                               for i, digest in enumerate(digests)]}
        first = "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e"  # "first"
        second = "16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4"  # "second"
        with Sidecar(config=config(first)) as sidecar:
            self.assertEqual(sidecar.api("GET", "/migrations", token="first")[0], 200)
            self.assertEqual(sidecar.api("GET", "/migrations", token="second")[0], 401)
            sidecar.write_config(config(second))
            sidecar.sighup()
            wait_until(lambda: sidecar.api("GET", "/migrations", token="second")[0] == 200, 10,
                       "the new token")
            self.assertEqual(sidecar.api("GET", "/migrations", token="first")[0], 401)


class Crowd(unittest.TestCase):
    def test_slow_senders_do_not_lock_others_out(self):
        with Sidecar(config={"control": {"connections_max": 8}}) as sidecar:
            slow = []
            try:
                for _ in range(100):
                    sock = socket.create_connection(sidecar.control, 10)
                    sock.sendall(b"GET /api/v1/migrations HTTP/1.1\r\nHost: x\r\nAuthoriz")
                    slow.append(sock)
                for _ in range(10):
                    self.assertEqual(sidecar.api("GET", "/migrations", limit_s=10)[0], 200)
            finally:
                for sock in slow:
                    sock.close()

    def test_calls_at_once_are_all_answered_and_epochs_agree(self):
        with RedisServer() as old, RedisServer() as new, Sidecar(loops=2) as sidecar:
            sidecar.add_endpoint("old", old)
            sidecar.add_endpoint("new", new)
            sidecar.add_interlay("cache", "old")
            sidecar.migrate("m", {"type": "canary", "read_percentage": 0}, "cache", "new")
            epochs = []

            def patch(number):
                for i in range(10):
                    answer = sidecar.must("PATCH", "/migrations/m",
                                          {"strategy": {"read_percentage": (number * 10 + i) / 100}})
                    epochs.append(answer["epoch"])

            threads = [threading.Thread(target=patch, args=(n,)) for n in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(len(epochs), 60)
            final = sidecar.must("GET", "/migrations/m/status")
            self.assertEqual(final["epoch"], final["adopted_epoch"])
            self.assertGreaterEqual(final["epoch"], max(epochs))
            last = re.search(r'to (\{.*\})$', sidecar.must("GET", "/migrations/m/events")[-1]["reason"])
            self.assertEqual(json.loads(last[1]), final["strategy"])

    def test_of_many_starts_at_once_one_wins(self):
        with RedisServer() as old, RedisServer() as new, Sidecar() as sidecar:
            sidecar.add_endpoint("old", old)
            sidecar.add_endpoint("new", new)
            sidecar.add_interlay("cache", "old")
            sidecar.create_migration("m", {"type": "shadow_traffic"}, "cache", "new")
            statuses = []

            def start():
                statuses.append(sidecar.api("POST", "/migrations/m/migrate")[0])

            threads = [threading.Thread(target=start) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(sorted(statuses), [200] + [409] * 7)


class Dripping(unittest.TestCase):
    """A server that answers a byte now and then: each wait for it is short, all of them are not."""

    def test_it_holds_up_neither_calls_nor_start_nor_end(self):
        server = self.enterContext(RedisServer())
        fake = self.enterContext(FakeServer(server.port, "drip"))
        sidecar = self.enterContext(Sidecar())
        limit_s = 10 * SLOWNESS
        began = time.monotonic()
        definition = {"id": "e", "kind": "redis", "config": {"host": "127.0.0.1", "port": fake.port}}
        status, _ = sidecar.api("POST", "/endpoints", definition)
        self.assertEqual(status, 503)
        sidecar.must("POST", "/endpoints?check=false", definition)
        sidecar.add_interlay("cache", "e")
        self.assertLess(time.monotonic() - began, limit_s)
        began = time.monotonic()
        sidecar.terminate()
        sidecar.restart()
        self.assertLess(time.monotonic() - began, limit_s)


class Learning(unittest.TestCase):
    def test_commands_are_learned_when_the_server_comes_up(self):
        self.learn_when_the_server_comes_up(lambda sidecar: None)

    def test_commands_are_learned_when_somebody_else_asks_the_server_first(self):
        self.learn_when_the_server_comes_up(lambda sidecar: sidecar.must("POST", "/migrations/m/test"))

    def learn_when_the_server_comes_up(self, ask_it):
        """GET is a read until the server has told that it has no such command: what nobody knows counts
        as a write, and writes go to old first."""
        port = free_port()
        extra = os.path.join(temp_folder("redis"), "extra.conf")
        with open(extra, "w", encoding="utf-8") as file:
            file.write('rename-command GET ""\n')
        with RedisServer() as new, Sidecar() as sidecar:
            new.call("SET", "key", "on new")
            sidecar.add_endpoint("old", port, check=False)
            sidecar.add_endpoint("new", new)
            data_port = sidecar.add_interlay("cache", "old")
            sidecar.create_migration("m", {"type": "canary", "read_percentage": 1,
                                           "write_mode": {"mode": "dual_write"}}, "cache", "new")
            sidecar.must("POST", "/migrations/m/migrate?force=true")
            epoch = sidecar.must("GET", "/migrations/m/status")["epoch"]
            with RedisServer(port=port, include=extra):
                ask_it(sidecar)

                def answer():
                    with RawConn(data_port) as client:
                        return client.call("GET", "key")

                wait_until(lambda: "unknown command" in str(answer()), 20, "the command is a write")
                self.assertGreater(sidecar.must("GET", "/migrations/m/status")["epoch"], epoch)


class Endpoint(unittest.TestCase):
    def test_a_moved_endpoint_is_followed_when_the_call_answers(self):
        with RedisServer() as one, RedisServer() as two, Sidecar() as sidecar:
            one.call("SET", "side", "one")
            two.call("SET", "side", "two")
            sidecar.add_endpoint("e", one)
            port = sidecar.add_interlay("cache", "e")
            with RawConn(port) as client:
                self.assertEqual(client.call("GET", "side"), b"one")
            sidecar.must("PATCH", "/endpoints/e", {"config": {"port": two.port}})
            with RawConn(port) as client:
                self.assertEqual(client.call("GET", "side"), b"two")

    def test_stop_and_start_close_and_open_the_port(self):
        with RedisServer() as server, Sidecar() as sidecar:
            sidecar.add_endpoint("e", server)
            port = sidecar.add_interlay("cache", "e")
            sidecar.must("POST", "/interlays/cache/stop")
            with self.assertRaises(OSError):
                socket.create_connection((HOST, port), 5)
            sidecar.restart()
            with self.assertRaises(OSError):
                socket.create_connection((HOST, port), 5)
            sidecar.must("POST", "/interlays/cache/start")
            with RawConn(port) as client:
                self.assertEqual(client.call("PING"), "PONG")

    def test_a_moved_port_serves_there_and_no_longer_here(self):
        with RedisServer() as server, Sidecar() as sidecar:
            sidecar.add_endpoint("e", server)
            before = sidecar.add_interlay("cache", "e")
            after = sidecar.must("PATCH", "/interlays/cache", {"port": free_port()})["port"]
            with RawConn(after) as client:
                self.assertEqual(client.call("PING"), "PONG")
            with self.assertRaises(OSError):
                socket.create_connection((HOST, before), 5)
            sidecar.must("DELETE", "/interlays/cache")
            with self.assertRaises(OSError):
                socket.create_connection((HOST, after), 5)


if __name__ == "__main__":
    unittest.main()
