"""redis-cli, at a terminal and with --pipe, and redis-benchmark with all its tests, in every mode."""

import os
import pty
import re
import select
import subprocess
import time
import unittest

from harness import RawConn, SLOWNESS, encode, end, spawn, wait_until
from modes import InMode, in_every_mode

# Its tests take seconds each; these modes are tried by the other drivers.
LEFT_TO_OTHERS = ("canary-new-authoritative", "canary-best-effort")


class Terminal:
    """redis-cli at a pseudo terminal: `type` a line, `expect` a pattern in what it then shows."""

    def __init__(self, port, *args):
        self._screen, terminal = pty.openpty()
        self._child = spawn(["redis-cli", "-p", str(port), *args], stdin=terminal, stdout=terminal,
                            stderr=terminal, env={**os.environ, "TERM": "dumb", "HOME": "/nonexistent"})
        os.close(terminal)
        self._shown = ""

    def type(self, line):
        self._shown = ""
        os.write(self._screen, line.encode() + b"\n")

    def expect(self, pattern, limit_s=5.0):
        stop = time.monotonic() + limit_s * SLOWNESS
        while not re.search(pattern, self._shown, re.S):
            left = stop - time.monotonic()
            if left <= 0 or not select.select([self._screen], [], [], left)[0]:
                raise AssertionError(f"{pattern!r} not shown, but {self._shown!r}")
            self._shown += os.read(self._screen, 65536).decode("utf-8", "replace")
        return self._shown

    def interrupt(self):
        os.write(self._screen, b"\x03")

    def close(self):
        end(self._child)
        os.close(self._screen)


def cli(port, *args, stdin=None, limit_s=30):
    done = subprocess.run(["redis-cli", "-p", str(port), *args], input=stdin, capture_output=True,
                          check=False, timeout=limit_s * SLOWNESS,
                          stdin=None if stdin is not None else subprocess.DEVNULL)
    return done.stdout.decode() + done.stderr.decode()


@in_every_mode
class Interactive(InMode):
    not_in = LEFT_TO_OTHERS
    def terminal(self, *args):
        terminal = Terminal(self.port, *args)
        self.addCleanup(terminal.close)
        terminal.expect(r"127\.0\.0\.1:\d+> ")
        return terminal

    def test_commands_replies_and_databases(self):
        t = self.terminal()
        t.type("SET greeting \"hello world\"")
        t.expect("OK")
        t.type("GET greeting")
        t.expect("\"hello world\"")
        t.type("HSET h a 1 b 2")
        t.expect(r"\(integer\) 2")
        t.type("LPUSH greeting x")
        t.expect(r"\(error\) WRONGTYPE")
        t.type("SELECT 5")
        t.expect(r"127\.0\.0\.1:\d+\[5\]> ")
        t.type("GET greeting")
        t.expect(r"\(nil\)")
        t.type("MULTI")
        t.expect(r"\(TX\)> ")
        t.type("INCR n")
        t.expect("QUEUED")
        t.type("EXEC")
        t.expect(r"1\) \(integer\) 1")
        t.type("3 INCR n")
        t.expect(r"\(integer\) 4")
        t.type("HELP SET")
        t.expect("summary")
        t.type("quit")

    def test_resp3_shows_maps(self):
        t = self.terminal("-3")
        t.type("HSET h a 1")
        t.expect(r"\(integer\) 1")
        t.type("HGETALL h")
        t.expect(r"1# \"a\" => \"1\"")

    def test_subscribing_and_messages(self):
        t = self.terminal()
        t.type("SUBSCRIBE news")
        t.expect(r"3\) \(integer\) 1")
        self.assertEqual(cli(self.port, "PUBLISH", "news", "extra").strip(), "1")
        t.expect("\"extra\"")

    def test_monitor(self):
        t = self.terminal()
        t.type("MONITOR")
        t.expect("OK")
        cli(self.port, "SET", "watched", "1")
        t.expect("\"watched\"")


@in_every_mode
class OneShot(InMode):
    not_in = LEFT_TO_OTHERS
    server_config = {"repl_diskless_sync_delay": 0}

    def test_arguments_standard_input_and_repetition(self):
        self.assertEqual(cli(self.port, "SET", "k", "v").strip(), "OK")
        self.assertEqual(cli(self.port, "-x", "SET", "from-stdin", stdin=b"\x00binary\r\n").strip(), "OK")
        self.assertEqual(self.setting.answering.call("GET", "from-stdin"), b"\x00binary\r\n")
        self.assertEqual(cli(self.port, "-r", "3", "INCR", "n").split(), ["1", "2", "3"])
        self.assertEqual(cli(self.port, "GET", "k").strip(), "v")
        self.assertEqual(cli(self.port, stdin=b"SET a 1\nINCR a\nGET a\n").split(), ["OK", "2", "2"])
        self.assertIn("redis_version", cli(self.port, "INFO", "server"))

    def test_eval_files(self):
        self.assertEqual(cli(self.port, "EVAL", "return {KEYS[1],ARGV[1]}", "1", "k", "a").split(),
                         ["k", "a"])

    def test_scans(self):
        self.setting.old.call("MSET", *[x for n in range(500) for x in (f"scan:{n}", n)])
        if self.setting.new:
            self.setting.new.call("MSET", *[x for n in range(500) for x in (f"scan:{n}", n)])
        found = cli(self.port, "--scan", "--pattern", "scan:*").split()
        self.assertEqual(len(set(found)), 500)
        self.assertIn("Sampled 500 keys", cli(self.port, "--bigkeys"))

    def test_continuous_statistics(self):
        child = spawn(["redis-cli", "-p", str(self.port), "--stat", "-i", "0.05"],
                      stdout=subprocess.PIPE)
        lines = [child.stdout.readline() for _ in range(4)]
        self.assertIn(b"keys", lines[1])
        self.assertRegex(lines[3], rb"^0 +\S+")
        end(child)
        child.stdout.close()

    def test_a_replica_dump_passes(self):
        self.setting.answering.call("SET", "k", "v")
        path = os.path.join(self.setting.answering.folder, "from-cli.rdb")
        output = cli(self.port, "--rdb", path)
        self.assertIn("Transfer finished with success", output)
        with open(path, "rb") as rdb:
            self.assertTrue(rdb.read().startswith(b"REDIS"))

    def test_pipe_mode_loads_everything(self):
        data = b"".join(encode("SET", f"pipe:{n}", n) for n in range(20_000)) + encode("BAD")
        output = cli(self.port, "--pipe", stdin=data)
        self.assertIn("errors: 1, replies: 20001", output)
        wait_until(lambda: self.setting.answering.call("DBSIZE") == 20_000, 5, "20,000 keys")

    def test_pipe_mode_with_inline_commands_and_big_values(self):
        data = b"SET a 1\r\n" * 1000 + encode("SET", "big", b"x" * 3_000_000) + b"INCR a\r\n"
        self.assertIn("errors: 0, replies: 1002", cli(self.port, "--pipe", stdin=data))
        self.assertEqual(self.setting.answering.call("STRLEN", "big"), 3_000_000)

    def test_many_processes_at_once(self):
        running = [spawn(["redis-cli", "-p", str(self.port), "-r", "100", "INCR", "n"],
                         stdout=subprocess.DEVNULL) for _ in range(20)]
        self.assertEqual([one.wait(30 * SLOWNESS) for one in running], [0] * 20)
        self.assertEqual(self.setting.answering.call("GET", "n"), b"2000")


@in_every_mode
class Benchmark(InMode):
    not_in = LEFT_TO_OTHERS
    def run_benchmark(self, *args):
        done = subprocess.run(["redis-benchmark", "-p", str(self.port), "--csv", *args],
                              capture_output=True, text=True, check=False, timeout=120 * SLOWNESS,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotRegex(done.stdout + done.stderr, "(?i)error|refused|reset|warning: could")
        return [line.split(",")[0].strip('"') for line in done.stdout.splitlines()[1:]]

    ALL = ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH", "RPUSH", "LPOP", "RPOP", "SADD",
           "HSET", "SPOP", "ZADD", "ZPOPMIN", "LPUSH (needed to benchmark LRANGE)",
           "LRANGE_100 (first 100 elements)", "LRANGE_300 (first 300 elements)",
           "LRANGE_500 (first 500 elements)", "LRANGE_600 (first 600 elements)", "MSET (10 keys)"]

    def test_all_its_tests(self):
        names = self.run_benchmark("-n", "500", "-c", "20")
        self.assertEqual(names, self.ALL)

    def test_with_pipelines_of_16_and_50_clients(self):
        names = self.run_benchmark("-n", "4000", "-c", "50", "-P", "16", "-r", "1000")
        self.assertEqual(names, self.ALL)

    def test_with_threads_and_big_values(self):
        names = self.run_benchmark("-n", "2000", "-c", "20", "--threads", "2", "-d", "20000", "-t",
                                   "set,get,lpush")
        self.assertIn("GET", names)

    def test_without_keeping_connections(self):
        self.assertEqual(self.run_benchmark("-n", "500", "-c", "10", "-k", "0", "-t", "ping,set"),
                         ["PING_INLINE", "PING_MBULK", "SET"])

    def test_resp3_and_a_command_of_its_own(self):
        self.assertEqual(len(self.run_benchmark("-3", "-n", "1000", "-r", "100", "HSET", "h", "__rand_int__",
                                                "v")), 1)

    def test_the_sidecar_is_well_afterwards(self):
        self.run_benchmark("-n", "1000", "-c", "100", "-P", "8", "-t", "set,get")
        with RawConn(self.port) as client:
            self.assertEqual(client.call("PING"), "PONG")
        if self.setting.sidecar:
            wait_until(lambda: self.setting.sidecar.metric("crossfade_sessions_open") == 0, 10,
                       "no session left open")


if __name__ == "__main__":
    unittest.main()
