"""The process: SIGTERM drains and exits 0, SIGHUP re-reads the file, a bad configuration exits 2 and
names the place."""

import json
import os
import subprocess
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from harness import (ADMIN, SLOWNESS, RawConn, RedisServer, Sidecar, binary, free_port, temp_folder,
                     wait_until)

DRAIN_MS = 1500


class Sessions(unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext(RedisServer())
        self.sidecar = self.enterContext(Sidecar(config={"limits": {"drain_ms": DRAIN_MS}}))
        self.sidecar.add_endpoint("old", self.server)
        self.port = self.sidecar.add_interlay("cache", "old")

    def client(self):
        return self.enterContext(RawConn(self.port))

    def refuses(self):
        try:
            RawConn(self.port, limit_s=1).close()
            return False
        except OSError:
            return True


class Drain(Sessions):
    def sigterm(self):
        self.sidecar.child.terminate()
        wait_until(self.refuses, 5, "no new clients are let in")

    def exit_code(self):
        return self.sidecar.child.wait(20 * SLOWNESS)

    def test_an_idle_sidecar_leaves_at_once_with_0(self):
        client = self.client()
        self.assertEqual(client.call("PING"), "PONG")
        began = time.monotonic()
        self.assertEqual(self.sidecar.terminate(), 0)
        self.assertLess(time.monotonic() - began, 1.2 * SLOWNESS)
        client.read_eof()

    def test_a_running_request_is_answered_first(self):
        client = self.client()
        client.call("PING")
        client.command("DEBUG", "SLEEP", "0.6")
        client.command("SET", "k", "v")
        wait_until(lambda: self.sidecar.metric("crossfade_bytes_total", direction="client_in") > 60,
                   5, "the request has arrived")
        self.sigterm()
        self.assertEqual(client.replies(2), [b"+OK\r\n"] * 2)
        client.read_eof()
        self.assertEqual(self.exit_code(), 0)
        self.assertEqual(self.server.call("GET", "k"), b"v")

    def test_an_open_transaction_may_be_ended(self):
        client = self.client()
        client.call("MULTI")
        client.call("SET", "k", "v")
        self.sigterm()
        self.assertEqual(client.call("EXEC"), ["OK"])
        client.read_eof()
        self.assertEqual(self.exit_code(), 0)
        self.assertEqual(self.server.call("GET", "k"), b"v")

    def test_a_blocked_client_is_let_go_within_the_limit(self):
        client = self.client()
        client.command("BLPOP", "nothing", 0)
        wait_until(lambda: self.server.info("clients")["blocked_clients"] == "1", 5, "blocked")
        began = time.monotonic()
        self.sigterm()
        client.read_eof(10)
        self.assertEqual(self.exit_code(), 0)
        self.assertLess(time.monotonic() - began, DRAIN_MS / 1000 + 2 * SLOWNESS)
        wait_until(lambda: self.server.info("clients")["blocked_clients"] == "0", 5, "let go")

    def test_a_blocked_client_may_still_be_served(self):
        client = self.client()
        client.command("BLPOP", "list", 0)
        wait_until(lambda: self.server.info("clients")["blocked_clients"] == "1", 5, "blocked")
        self.sigterm()
        self.server.call("RPUSH", "list", "v")
        self.assertEqual(client.read(), [b"list", b"v"])
        self.assertEqual(self.exit_code(), 0)

    def test_a_big_reply_under_way_arrives_whole(self):
        self.server.call("SET", "k", b"x" * 20_000_000)
        client = self.client()
        client.command("GET", "k")
        wait_until(lambda: self.sidecar.metric("crossfade_bytes_total", direction="server_in") > 0,
                   5, "the reply has begun")
        self.sigterm()
        self.assertEqual(len(client.read(20)), 20_000_000)
        self.assertEqual(self.exit_code(), 0)

    def test_subscribers_do_not_hold_it_up_beyond_the_limit(self):
        client = self.client()
        client.call("SUBSCRIBE", "x")
        began = time.monotonic()
        self.sigterm()
        client.read_eof(10)
        self.assertEqual(self.exit_code(), 0)
        self.assertLess(time.monotonic() - began, DRAIN_MS / 1000 + 2 * SLOWNESS)

    def test_readiness_says_no_before_the_end(self):
        client = self.client()
        client.command("BLPOP", "nothing", 0)
        wait_until(lambda: self.server.info("clients")["blocked_clients"] == "1", 5, "blocked")
        self.assertEqual(self.sidecar.api("GET", "/readyz", token=None)[0], 200)
        self.sigterm()
        try:
            self.assertEqual(self.sidecar.api("GET", "/readyz", token=None)[0], 503)
        except OSError:
            self.fail("the control port has gone while clients are being drained")
        self.assertEqual(self.exit_code(), 0)

    def test_the_next_start_serves_again(self):
        self.assertEqual(self.sidecar.terminate(), 0)
        self.sidecar.restart()
        self.assertEqual(self.client().call("PING"), "PONG")


class OnePort(Sessions):
    """A port that closes for good takes its time, and nobody waits for it but who closes it."""

    def while_it_closes(self, method, path):
        """Calls while a client of the port is blocked; meanwhile another interlay goes back."""
        new = self.enterContext(RedisServer())
        self.sidecar.add_endpoint("new", new)
        self.sidecar.add_interlay("other", "old")
        self.sidecar.migrate("m", {"type": "blue_green", "active_is_new": True}, "other", "new")
        client = self.client()
        client.command("BLPOP", "nothing", 0)
        wait_until(lambda: self.server.info("clients")["blocked_clients"] == "1", 5, "blocked")
        with ThreadPoolExecutor() as pool:
            began = time.monotonic()
            closing = pool.submit(self.sidecar.api, method, path)
            wait_until(self.refuses, 5, "the port is closed")
            self.sidecar.must("POST", "/migrations/m/rollback")
            self.assertLess(time.monotonic() - began, DRAIN_MS / 1000 * 0.8)
            for again in (("POST", "/interlays/cache/start"), ("DELETE", "/interlays/cache")):
                status, answer = self.sidecar.api(*again)
                self.assertEqual(status, 409, answer)
            self.assertEqual(closing.result()[0], 200)
            self.assertGreaterEqual(time.monotonic() - began, DRAIN_MS / 1000)
        client.read_eof()

    def test_a_stop_holds_up_no_rollback(self):
        self.while_it_closes("POST", "/interlays/cache/stop")
        self.sidecar.must("POST", "/interlays/cache/start")
        self.assertEqual(self.client().call("PING"), "PONG")

    def test_a_deletion_holds_up_no_rollback(self):
        self.while_it_closes("DELETE", "/interlays/cache")
        self.assertEqual(self.sidecar.api("GET", "/interlays/cache")[0], 404)
        self.sidecar.add_interlay("cache", "old", self.port)
        self.assertEqual(self.client().call("PING"), "PONG")

    def test_sessions_outlive_a_move_of_the_port(self):
        client = self.client()
        client.call("MULTI")
        moved = self.sidecar.must("PATCH", "/interlays/cache", {"port": free_port()})["port"]
        self.assertTrue(self.refuses())
        self.assertEqual(client.call("SET", "k", "v"), "QUEUED")
        self.assertEqual(client.call("EXEC"), ["OK"])
        with RawConn(moved) as other:
            self.assertEqual(other.call("GET", "k"), b"v")


class Reload(unittest.TestCase):
    def setUp(self):
        self.one = self.enterContext(RedisServer())
        self.two = self.enterContext(RedisServer())
        self.one.call("SET", "side", "one")
        self.two.call("SET", "side", "two")
        self.port, self.other_port = free_port(), free_port()
        self.sidecar = self.enterContext(Sidecar(config=self.config(self.one)))

    def config(self, server, *more_interlays):
        return {"endpoints": [{"id": "declared", "kind": "redis",
                               "config": {"host": "127.0.0.1", "port": server.port}}],
                "interlays": [{"id": "cache", "endpoint": "declared", "port": self.port},
                              *more_interlays]}

    def side(self, port):
        try:
            with RawConn(port, limit_s=2) as client:
                return client.call("GET", "side")
        except (OSError, EOFError):
            return None

    def test_declared_resources_serve_from_the_start_and_are_read_only(self):
        self.assertEqual(self.side(self.port), b"one")
        self.assertEqual(self.sidecar.must("GET", "/interlays/cache")["port"], self.port)
        for method, path, body in (("DELETE", "/interlays/cache", None),
                                   ("POST", "/interlays/cache/stop", None),
                                   ("PATCH", "/interlays/cache", {"description": "d"}),
                                   ("PATCH", "/endpoints/declared", {"description": "d"})):
            status, answer = self.sidecar.api(method, path, body)
            self.assertEqual(status, 409, answer)
            self.assertIn("configuration file", answer["message"])
        self.assertEqual(self.side(self.port), b"one")

    def test_sighup_takes_over_a_changed_endpoint_and_a_new_interlay(self):
        self.sidecar.write_config(self.config(
            self.two, {"id": "more", "endpoint": "declared", "port": self.other_port}))
        self.sidecar.sighup()
        wait_until(lambda: self.side(self.port) == b"two", 10, "the interlay follows the endpoint")
        wait_until(lambda: self.side(self.other_port) == b"two", 10, "the new interlay")

    def test_sighup_takes_away_what_is_no_longer_declared(self):
        self.sidecar.write_config(self.config(
            self.one, {"id": "more", "endpoint": "declared", "port": self.other_port}))
        self.sidecar.sighup()
        wait_until(lambda: self.side(self.other_port) == b"one", 10, "the second interlay")
        self.sidecar.write_config(self.config(self.one))
        self.sidecar.sighup()
        wait_until(lambda: self.side(self.other_port) is None, 10, "the second interlay gone")
        self.assertEqual(self.side(self.port), b"one")

    def test_a_bad_file_changes_nothing_and_is_logged_with_its_path(self):
        bad = self.config(self.two)
        bad["interlays"][0]["port"] = "not a port"
        self.sidecar.write_config(bad)
        self.sidecar.sighup()
        wait_until(lambda: "interlays[0].port" in self.sidecar.log_text(), 10, "a line in the log")
        self.assertEqual(self.side(self.port), b"one")
        self.assertTrue(self.sidecar.alive())

    def test_clients_of_an_unchanged_interlay_do_not_notice(self):
        with RawConn(self.port) as client:
            client.call("MULTI")
            self.sidecar.write_config(self.config(
                self.one, {"id": "more", "endpoint": "declared", "port": self.other_port}))
            self.sidecar.sighup()
            wait_until(lambda: self.side(self.other_port) == b"one", 10, "the second interlay")
            client.call("GET", "side")
            self.assertEqual(client.call("EXEC"), [b"one"])


class BadConfiguration(unittest.TestCase):
    """One row: what is wrong, and the JSON path that the error names."""

    GOOD = {"endpoints": [{"id": "e", "kind": "redis", "config": {"url": "redis://127.0.0.1:6379"}}],
            "interlays": [{"id": "i", "endpoint": "e", "port": 7000}],
            "tokens": [{"name": "ops", "role": "admin", "sha256": "0" * 64}],
            "limits": {"drain_ms": 100}, "log": {"level": "info"}}

    ROWS = [
        ("interlays[0].port", lambda c: c["interlays"][0].update(port=70000)),
        ("interlays[0].port", lambda c: c["interlays"][0].update(port="x")),
        ("interlays[0].endpoint", lambda c: c["interlays"][0].update(endpoint="nobody")),
        ("interlays[0].bogus", lambda c: c["interlays"][0].update(bogus=1)),
        ("interlays[0].settings", lambda c: c["interlays"][0].update(settings={"nosuch": 1})),
        ("interlays[0].tls", lambda c: c["interlays"][0].update(tls={"server_cert": "x"})),
        ("endpoints[0].kind", lambda c: c["endpoints"][0].update(kind="oracle")),
        ("endpoints[0].config", lambda c: c["endpoints"][0].update(config={})),
        ("endpoints[0].config.url", lambda c: c["endpoints"][0]["config"].update(url="http://x")),
        ("tokens[0].role", lambda c: c["tokens"][0].update(role="king")),
        ("tokens[0].sha256", lambda c: c["tokens"][0].update(sha256="zz")),
        ("limits.drain_ms", lambda c: c["limits"].update(drain_ms=-1)),
        ("limits.nosuch", lambda c: c["limits"].update(nosuch=1)),
        ("log.level", lambda c: c["log"].update(level="loud")),
        ("nosuch", lambda c: c.update(nosuch={})),
        ("interlays[1].id", lambda c: c["interlays"].append(dict(c["interlays"][0], port=7001))),
        ("interlays[1].port", lambda c: c["interlays"].append(dict(c["interlays"][0], id="j"))),
        ("interlays[0].port", lambda c: c["interlays"][0].update(port=6379)),  # before itself
    ]

    def run_program(self, *args, env=None):
        done = subprocess.run([binary(), *args], capture_output=True, text=True, check=False,
                              timeout=20 * SLOWNESS, stdin=subprocess.DEVNULL,
                              env={**os.environ, "CROSSFADE_ADMIN_TOKEN": ADMIN, **(env or {})})
        return done.returncode, done.stdout + done.stderr

    def write(self, text):
        path = os.path.join(temp_folder("config"), "crossfade.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text if isinstance(text, str) else json.dumps(text))
        return path

    def serve(self, path):
        state = os.path.join(os.path.dirname(path), "state.db")
        return self.run_program("serve", "--config", path, "--control", "127.0.0.1:0", "--state",
                                state)

    def test_check_accepts_a_good_file(self):
        code, output = self.run_program("check", "--config", self.write(self.GOOD))
        self.assertEqual(code, 0, output)

    def test_every_fault_is_named_by_its_path(self):
        for path, spoil in self.ROWS:
            with self.subTest(path):
                config = json.loads(json.dumps(self.GOOD))
                spoil(config)
                file = self.write(config)
                code, output = self.run_program("check", "--config", file)
                self.assertEqual(code, 2, output)
                self.assertIn(path, output)

    def test_serve_refuses_what_check_refuses_in_the_same_words(self):
        two = [{"id": "e", "kind": "redis", "config": {"url": "redis://127.0.0.1:7001"}},
               {"id": "f", "kind": "redis", "config": {"url": "redis://127.0.0.1:7000"}}]
        rows = [("interlays[0].port", {"interlays": [dict(self.GOOD["interlays"][0], port=70000)]}),
                ("interlays[0].port", {"interlays": [dict(self.GOOD["interlays"][0], port=6379)]}),
                ("interlays", {"endpoints": two, "interlays": [  # each before the other
                    {"id": "i", "endpoint": "e", "port": 7000},
                    {"id": "j", "endpoint": "f", "port": 7001}]})]
        for path, change in rows:
            file = self.write({**self.GOOD, **change})
            code, output = self.serve(file)
            self.assertEqual(code, 2, output)
            self.assertIn(path, output)
            self.assertNotIn("crossfade ready", output)
            code, checked = self.run_program("check", "--config", file)
            self.assertEqual((code, checked.splitlines()), (2, output.splitlines()[-1:]))

    def test_broken_json_a_missing_file_and_bad_flags_exit_2(self):
        for text in ("{", "[]", "", '{"loops": 0}', '{"loops": 1, "loops": 2}', "{} x"):
            with self.subTest(text):
                code, output = self.run_program("check", "--config", self.write(text))
                self.assertEqual(code, 2, output)
        code, output = self.run_program("check", "--config", "/nonexistent/crossfade.json")
        self.assertEqual(code, 2, output)
        for flags in (("--loops", "0"), ("--loops", "x"), ("--control", "nonsense"),
                      ("--nosuch", "1")):
            with self.subTest(flags):
                code, output = self.run_program("serve", *flags)
                self.assertEqual(code, 2, output)

    def test_secrets_of_a_bad_file_are_not_printed(self):
        config = json.loads(json.dumps(self.GOOD))
        config["endpoints"][0]["config"] = {"url": "redis://user:hunter2@127.0.0.1:port"}
        _, output = self.run_program("check", "--config", self.write(config))
        self.assertNotIn("hunter2", output)

    def test_flags_beat_the_environment_and_the_environment_beats_the_file(self):
        given = {"config": {"instance": "file"}, "env": {"CROSSFADE_INSTANCE": "environment"},
                 "args": ["--instance", "flag"]}
        for names, expected in ((("config", "env", "args"), "flag"), (("config", "args"), "flag"),
                                (("env", "args"), "flag"), (("config", "env"), "environment"),
                                (("config",), "file")):
            with self.subTest(names), Sidecar(**{name: given[name] for name in names}) as sidecar:
                self.assertEqual(sidecar.metric("crossfade_build_info", instance=expected), 1)


if __name__ == "__main__":
    unittest.main()
