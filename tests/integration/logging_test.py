"""The log: a line for each change of state, in both forms, and nothing of what is secret."""

import contextlib
import fcntl
import json
import os
import re
import socket
import unittest

from children import end, spawn
from harness import (ADMIN, RawConn, RedisServer, Sidecar, binary, free_port, temp_folder,
                     wait_until)

SECRETS = ("a-password-of-the-server", "a-value-of-a-user", "a-key-of-a-user", ADMIN)
PASSWORD, VALUE, KEY, _ = SECRETS


class UnreadLog(Sidecar):
    """Its log is a small pipe that nobody reads until told so."""

    def _start(self):
        os.mkfifo(self.log)
        self.reader = os.open(self.log, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(self.reader, fcntl.F_SETPIPE_SZ, 4096)
        super()._start()

    def log_text(self):
        return ""  # would wait for the end of it

    def read_log(self):
        try:
            return os.read(self.reader, 1 << 16).decode()
        except BlockingIOError:
            return ""


# One each, in this order; others may stand between.
CHANGES = (
    r"endpoint old: created by \S+",
    r"endpoint new: created by \S+",
    r"interlay cache: listening on 127\.0\.0\.1 port \d+",
    r"interlay cache: created by \S+, before endpoint old",
    r"migration m: pending by \S+: .*",
    r"migration m: ready by \S+: .*",
    r"migration m: running by \S+: .*",
    r"migration m: rolling_back by \S+: .*",
    r"migration m: rolled_back by \S+: .*",
    r"migration m: deleted by \S+: it was rolled_back \(.*\), strategy .*, "
    r"interlay 'cache' from 'old' to 'new', defined at \S+, with 5 events",
    r"interlay cache: port closed",
    r"interlay cache: deleted by \S+",
    r"draining: .*",
    r"stopped",
)


class Unread(unittest.TestCase):
    def test_who_does_not_read_the_log_stops_nothing(self):
        with RedisServer() as old, RedisServer() as new, UnreadLog() as sidecar:
            self.addCleanup(os.close, sidecar.reader)
            sidecar.add_endpoint("old", old)
            sidecar.add_endpoint("new", new)
            port = sidecar.add_interlay("cache", "old", settings={"second_leg_timeout_ms": 200})
            sidecar.migrate("m", {"type": "canary", "read_percentage": 0.5,
                                  "write_mode": {"mode": "dual_write", "policy": "old_authoritative"}},
                            "cache", "new")
            for number in range(100):
                sidecar.patch("m", {"read_percentage": number / 100})
            with RawConn(port) as client:
                new.kill()  # which the loop logs
                for number in range(20):
                    self.assertEqual(client.call("SET", f"key:{number}", "v"), "OK")
                    self.assertEqual(client.call("GET", f"key:{number}"), b"v")
            sidecar.must("POST", "/migrations/m/rollback")
            read = []
            wait_until(lambda: read.append(sidecar.read_log()) or "rolled_back" in "".join(read), 20,
                       "that the log goes on")
            text = "".join(read)
            self.assertIn("interlay cache: new side is down", text)
            self.assertEqual(text.count("migration m: running by"), 101)


class Closed(unittest.TestCase):
    def test_descriptors_that_were_closed_are_nobody_else_s(self):
        port = free_port()
        closing = f'exec "{binary()}" serve --control 127.0.0.1:{port} --state "$0" <&- >&- 2>&-'
        child = spawn(["bash", "-c", closing, os.path.join(temp_folder("closed"), "crossfade.db")])
        self.addCleanup(end, child)

        def answers():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
        wait_until(answers, 20, "the control port")
        for descriptor in range(3):
            self.assertEqual(os.readlink(f"/proc/{child.pid}/fd/{descriptor}"), "/dev/null")


class Log(unittest.TestCase):
    def life(self, *flags):
        """The log of a sidecar that has seen every change of CHANGES."""
        with RedisServer(requirepass=PASSWORD) as old, RedisServer(requirepass=PASSWORD) as new:
            with Sidecar(args=["--log-level", "trace", *flags]) as sidecar:
                for name, server in (("old", old), ("new", new)):
                    sidecar.add_endpoint(name, server, password=PASSWORD)
                port = sidecar.add_interlay("cache", "old")
                sidecar.migrate("m", {"type": "shadow_traffic"}, "cache", "new", force=True)
                with RawConn(port) as client:
                    client.call("AUTH", PASSWORD)
                    self.use(client)
                    new.stop()
                    wait_until(lambda: self.use(client) and "side is down" in sidecar.log_text(), 20, "down")
                    new.restart()
                    wait_until(lambda: self.use(client) and "is up again" in sidecar.log_text(), 20, "up")
                    client.call("EVAL", f"return '{VALUE}", "0")  # is answered with an error
                sidecar.must("POST", "/migrations/m/rollback")
                sidecar.must("DELETE", "/migrations/m")
                sidecar.must("DELETE", "/interlays/cache")
                self.assertEqual(sidecar.api("POST", "/endpoints", {"id": PASSWORD * 9})[0], 400)
                self.assertEqual(sidecar.terminate(), 0)
                return sidecar.log_text()

    @staticmethod
    def use(client):
        return client.call("SET", KEY, VALUE) == "OK"

    def check(self, log, messages):
        for secret in SECRETS:
            self.assertNotIn(secret, log)
        places = []
        for change in CHANGES:
            found = [place for place, message in enumerate(messages) if re.fullmatch(change, message)]
            self.assertEqual(len(found), 1, f"{change}: {len(found)} lines in\n{log}")
            places += found
        self.assertEqual(places, sorted(places), log)
        # A slow machine may take new for down more than once; each time is told once.
        sides = re.findall(r"interlay cache: (.*) side is (.*)", "\n".join(messages))
        self.assertEqual(sides, [("new", "down"), ("new", "up again")] * (len(sides) // 2), log)
        self.assertGreater(len(sides), 0)

    def test_as_text_a_line_has_time_level_and_message(self):
        log = self.life()
        lines = [re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (\w+) (.*)", line)
                 for line in log.splitlines()]
        self.assertTrue(all(lines), log)
        self.check(log, [line[2] for line in lines])

    def test_as_json_a_line_is_an_object(self):
        log = self.life("--log-format", "json")
        lines = [json.loads(line) for line in log.splitlines()]
        for line in lines:
            self.assertEqual(list(line), ["time", "level", "message"])
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertIn(line["level"], ("trace", "debug", "info", "warning", "error"))
        self.check(log, [line["message"] for line in lines])

    def test_sighup_changes_level_and_form(self):
        with Sidecar(config={"log": {"level": "warn"}}) as sidecar:
            before = len(sidecar.log_text())
            sidecar.write_config({"log": {"level": "info", "format": "json"}})
            sidecar.sighup()
            wait_until(lambda: len(sidecar.log_text()) > before, 10, "a line")
            line, = sidecar.log_text()[before:].splitlines()
            self.assertIn("reload: ", json.loads(line)["message"])


if __name__ == "__main__":
    unittest.main()
