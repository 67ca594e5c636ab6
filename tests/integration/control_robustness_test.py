"""The control port under what no good client sends: bodies of junk at every route, bodies of 10 MB, half
requests, and a thousand calls at once. Each gets an answer of the API's form, or its end; whoever calls as he
should is served; and clients of the data port, with a real Redis behind it, feel nothing of it.
"""

import collections
import copy
import json
import os
import random
import re
import select
import socket
import statistics
import subprocess
import threading
import time
import unittest

from harness import ADMIN, SLOWNESS, RawConn, RedisServer, Sidecar, temp_folder, wait_until
from latency import Latency
from load import at_once
from memory import MIB, grew_less, reset_peak

BESIDE = 0
TIME_LIMIT_S = 400
SEED = 20261126
BODIES = 40            # of junk, for each route that takes one
BIG = 10_000_000       # bytes
MEMORY = 64 * MIB      # that the sidecar may have grown by
AT_ONCE = 1000         # calls

CANARY = {"type": "canary", "read_percentage": 0.25,
          "write_mode": {"mode": "dual_write", "policy": "old_authoritative"}}
# What a good client sends; each is mutated. What is called "victim" may be changed.
GOOD = {
    "/endpoints": {"id": "spare2", "kind": "redis", "config": {
        "host": "127.0.0.1", "port": 6379, "db": 0, "password": "p", "tls": {"mode": "require"}}},
    "/endpoints/{id}": {"config": {"url": "redis://u:p@127.0.0.1:6379/0"}, "description": "d"},
    "/interlays": {"id": "i2", "endpoint": "spare", "port": 0, "bind": "127.0.0.1",
                   "settings": {"pipeline_max": 1000, "regions": {"eu": ["10.0.0.0/8"]}}},
    "/interlays/{id}": {"settings": {"pipeline_max": None, "clients_max": 5}, "description": "d"},
    "/templates": {"id": "t2", "endpoint": "old", "query": "GET user:{{id}}", "kind": "Read",
                   "fields": [{"name": "id", "type": "string", "required": True}]},
    "/templates/{id}": {"query": "SET user:{{id}} {{value}}", "fields": []},
    "/apis": {"id": "a2", "bindings": [{"template": "victim", "fields": {"id": "user"}}]},
    "/apis/{id}": {"bindings": [{"template_id": "victim", "fields": [["id", "user"]]}]},
    "/migrations": {"id": "m2", "description": "d", "strategy": CANARY,
                    "data": {"type": "scan", "replace": "merge"},
                    "failure_handling": {"type": "retry_then_all", "retry_count": 3}},
    "/migrations/{id}": {"strategy": {**CANARY, "read_percentage": 0.5}, "data": "none"},
    "/migrations/{id}/interlay/{interlay}": {"endpoint": "new"},
    "/migrations/{id}/api/{api}": {"id": "victim", "bindings": [{"template": "victim", "fields": {}}]},
}
VALUES = (None, True, 0, -1, 1.5, 1e308, 2**64, "", "x" * 5000, "\0", "é\u2028", "none", "../..", "victim",
          [], {}, [[]], [None], {"type": None}, {"a": {"b": {"c": []}}})
# What answers may be; 500 is none of them.
STATUSES = {200, 201, 400, 404, 409, 412, 413, 503}


def places(value, path=()):
    """Every place in a JSON value, its members' and elements' included."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in inner:
        yield from places(member, (*path, key))


def changed(dice, value):
    """The value with something at one place of it put out of order."""
    value = copy.deepcopy(value)
    path = dice.choice(list(places(value)))
    if not path:
        return dice.choice(VALUES)
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    action = dice.randrange(4)
    if action == 0:
        del holder[path[-1]]
    elif action == 1 and isinstance(holder, dict):
        holder[dice.choice(("no_such_member", "", "id", "type", "x" * 300))] = dice.choice(VALUES)
    else:
        holder[path[-1]] = dice.choice(VALUES)
    return value


def junk(dice, good):
    """Bytes of a body: JSON that is not what is asked for, or no JSON."""
    value = good
    for _ in range(dice.randrange(3)):
        value = changed(dice, value)
    text = bytearray(json.dumps(value, ensure_ascii=dice.random() < 0.5).encode())
    action = dice.randrange(12)
    if action == 0:
        return bytes(dice.randrange(256) for _ in range(dice.randrange(200)))
    if action == 1:
        depth = dice.choice((100, 2000, 100_000))
        return dice.choice((b"[" * depth, b'{"a":' * depth, b"[" * depth + b"]" * depth))
    if action == 2:
        return bytes(text[:dice.randrange(len(text) + 1)])
    if action == 3:
        for _ in range(3):
            text[dice.randrange(len(text))] = dice.randrange(256)
    return bytes(text)


class Robust(unittest.TestCase):
    """A sidecar with a client that must not notice what the control port is put through."""

    config = None

    def setUp(self):
        self.old = self.enterContext(RedisServer())
        self.new = self.enterContext(RedisServer(save="3600 1"))
        self.sidecar = self.enterContext(Sidecar(config=self.config))
        self.sidecar.add_endpoint("old", self.old)
        self.sidecar.add_endpoint("new", self.new)
        self.port = self.sidecar.add_interlay("cache", "old")
        self.client = self.enterContext(RawConn(self.port))
        self.turn = 0

    def serves(self):
        """The client that was there from the beginning is answered rightly, and so is a call."""
        self.turn += 1
        self.assertEqual(self.client.call("SET", "key", self.turn), "OK")
        self.assertEqual(self.old.call("GET", "key"), str(self.turn).encode())
        self.assertEqual(self.sidecar.api("GET", "/interlays")[0], 200)

    def wire(self):
        wire = socket.create_connection(self.sidecar.control, 20 * SLOWNESS)
        self.addCleanup(wire.close)
        return wire


class Junk(Robust):
    def setUp(self):
        super().setUp()
        self.sidecar.add_endpoint("spare", 1, check=False)
        self.sidecar.must("POST", "/interlays", {"id": "victim", "endpoint": "old", "port": 0})
        self.sidecar.must("POST", "/templates", {"id": "victim", "endpoint": "old", "query": "GET u:{{id}}"})
        self.sidecar.must("POST", "/apis", {"id": "victim", "bindings": [{"template": "victim"}]})
        self.sidecar.must("POST", "/migrations", {"id": "victim", "strategy": CANARY})
        _, document = self.sidecar.api("GET", "/openapi.json")
        self.routes = [(method.upper(), path) for path, operations in document["paths"].items()
                       for method in operations]

    @staticmethod
    def concrete(dice, path):
        """With names in it: of what may be changed, or of nothing."""
        victim = "spare" if path.startswith("/endpoints") else "victim"
        return re.sub(r"\{\w+\}", lambda _: dice.choice((victim, victim, "none")), path)

    def is_an_answer(self, status, body):
        self.assertIn(status, STATUSES, body)
        self.assertIsInstance(body, dict)
        if status < 300:
            self.assertEqual(body["status"], "success")
        else:
            self.assertTrue(body["error"] and body["message"], body)

    def test_junk_at_every_route_is_refused_or_means_something(self):
        dice = random.Random(SEED)
        before = reset_peak(self.sidecar)
        statuses = collections.Counter()
        for method, path in self.routes:
            good = GOOD.get(path, {"force": True})
            if method in ("POST", "PATCH") and "/{id}/" not in path:
                self.assertIn(path, GOOD, "a route that takes a body, and has none here")
            for _ in range(BODIES if method in ("POST", "PATCH") else 3):
                body = junk(dice, good)
                place = self.concrete(dice, path)
                with self.subTest(method=method, path=place, body=body[:300]):
                    status, answer = self.sidecar.api(method, place + "?check=false", body)
                    self.is_an_answer(status, answer)
                statuses[status] += 1
            self.serves()
        # It is neither all so wrong that nothing deeper is reached, nor all right.
        self.assertGreater(statuses[400], 400, statuses)
        self.assertGreater(statuses[200] + statuses[201], 50, statuses)
        grew_less(self, self.sidecar, before, MEMORY)
        self.assertNotIn("an exception met a request", self.sidecar.log_text())
        # Whatever was taken can be kept: it comes back as it was.
        lists = ("/endpoints", "/interlays", "/templates", "/apis", "/migrations")
        were = [[one["id"] for one in self.sidecar.must("GET", name)] for name in lists]
        self.client.close()
        self.sidecar.restart()
        self.assertEqual([[one["id"] for one in self.sidecar.must("GET", name)] for name in lists], were)
        self.client = self.enterContext(RawConn(self.port))
        self.serves()

    def test_junk_at_mcp_is_refused(self):
        dice = random.Random(SEED)
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "define_migration", "arguments": GOOD["/migrations"]}}
        headers = {"Accept": "application/json, text/event-stream"}
        for _ in range(200):
            body = junk(dice, message)
            with self.subTest(body=body[:300]):
                status, answer = self.sidecar.api("POST", "/mcp/migrations", body, headers=headers)
                self.assertEqual(status, 400, answer)  # without a session there is nothing else
        self.serves()


class Large(Robust):
    def send(self, head, pieces):
        """Sends as much as is taken; what came back until the end."""
        wire = self.wire()
        try:
            wire.sendall(head)
            for piece in pieces:
                wire.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused meanwhile
        data = b""
        while True:
            try:
                piece = wire.recv(65536)
            except ConnectionResetError:
                return data
            if not piece:
                return data
            data += piece

    def request(self, path, *headers):
        lines = [f"POST /api/v1{path} HTTP/1.1", "Host: x", f"Authorization: Bearer {ADMIN}", *headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def test_a_body_of_10_mb_is_refused_and_no_more_than_its_limit_is_kept(self):
        piece = b"x" * 100_000
        declared = (self.request("/migrations", f"Content-Length: {BIG}"), [piece] * (BIG // len(piece)))
        chunk = b"%x\r\n" % len(piece) + piece + b"\r\n"
        chunked = (self.request("/migrations", "Transfer-Encoding: chunked"),
                   [chunk] * (BIG // len(piece)) + [b"0\r\n\r\n"])
        mcp = (self.request("/mcp/migrations", "Accept: application/json", f"Content-Length: {BIG}"),
               declared[1])
        before = reset_peak(self.sidecar)
        for head, pieces in (declared, chunked, mcp):
            answer = self.send(head, pieces)
            self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer[:200])
            self.assertIn(b'"error":"Bad Request"', answer)
            self.serves()
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.send(*chunked))) for _ in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([answer[:13] for answer in answers], [b"HTTP/1.1 413 "] * len(threads))
        grew_less(self, self.sidecar, before, MEMORY)
        self.serves()

    def test_curl_is_told_so(self):
        path = temp_folder("large") + "/body"
        with open(path, "wb") as file:
            file.write(b" " * BIG)
        url = "http://{}:{}/api/v1/endpoints".format(*self.sidecar.control)
        said = subprocess.run(
            ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Authorization: Bearer {ADMIN}",
             "--data-binary", f"@{path}", url],
            capture_output=True, text=True, timeout=60 * SLOWNESS, check=False)
        self.assertEqual(said.stdout, "413", said.stderr)


class SlowLoris(Robust):
    limit_s = 3
    config = {"control": {"request_timeout_ms": limit_s * 1000}}

    HALVES = (b"", b"GET /api/v1/mig", b"GET /api/v1/migrations HTTP/1.1\r\nHost: x\r\nAuthoriz",
              b"POST /api/v1/migrations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + ADMIN.encode() +
              b"\r\nContent-Length: 1000\r\n\r\n{")

    def test_two_hundred_half_requests_keep_nobody_out_and_come_to_an_end(self):
        files = self.sidecar.open_files()
        began = time.monotonic()
        wires = []
        for number in range(200):
            wire = self.wire()
            wire.sendall(self.HALVES[number % len(self.HALVES)])
            wires.append(wire)
        stop = threading.Event()

        def drip():
            """A byte now and then does not give them more time."""
            while not stop.wait(0.1):
                for wire in wires:
                    try:
                        wire.send(b"x")
                    except OSError:
                        pass  # ended
        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            for _ in range(50):
                self.assertEqual(self.sidecar.api("GET", "/migrations", limit_s=10)[0], 200)
            self.serves()
            left = list(wires)
            while left:
                remaining = began + (2 * self.limit_s + 10) * SLOWNESS - time.monotonic()
                ended, _, _ = select.select(left, [], [], max(remaining, 0))
                self.assertTrue(ended, f"{len(left)} of them are still open")
                left = [wire for wire in left if wire not in ended or not self.has_ended(wire)]
        finally:
            stop.set()
            dripping.join()
        wait_until(lambda: self.sidecar.open_files() <= files + 2, 10, "their descriptors closed")
        self.serves()

    @staticmethod
    def has_ended(wire):
        try:
            return wire.recv(65536) == b""  # else it was told why, before its end
        except OSError:
            return True


class GivesWay(Robust):
    """Threads of the control plane have a lower priority than event loops, which have the same cores."""

    def threads(self):
        """By thread: its niceness, and how much it has worked, in ticks."""
        found = {}
        folder = f"/proc/{self.sidecar.pid}/task"
        for thread in os.listdir(folder):
            with open(f"{folder}/{thread}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
            found[thread] = (int(fields[16]), int(fields[11]) + int(fields[12]))
        return found

    def test_by_their_niceness(self):
        before = self.threads()
        own = before[str(self.sidecar.pid)][0]
        lower = min(own + 5, 19)
        self.assertEqual({nice for nice, _ in before.values()}, {own, lower})
        # Those for HTTP alone are 64.
        self.assertGreater(len([thread for thread, (nice, _) in before.items() if nice == lower]), 64)

        def worked():
            """The ticks since, of the thread that has most of them, and its niceness."""
            for _ in range(500):
                self.client.call("GET", "key")
            return max((ticks - before[thread][1], nice)
                       for thread, (nice, ticks) in self.threads().items())
        wait_until(lambda: worked()[0] > 10, 20, "an event loop has worked")
        self.assertEqual(worked()[1], own)


class Crowd(Robust):
    """Two sidecars on one machine: the calls go to one of them, and cost the machine the same, whichever it
    is. What is left of a difference is what a control port does to the data port beside it."""

    ROUNDS = 5

    def setUp(self):
        super().setUp()
        self.other = self.enterContext(Sidecar())
        self.other.add_endpoint("old", self.old)
        self.other.add_endpoint("new", self.new)
        self.other.add_interlay("cache", "old")
        for sidecar in (self.sidecar, self.other):
            sidecar.migrate("m", {"type": "canary", "read_percentage": 0.0}, "cache", "new")

    def status_of(self, sidecar, method, path, body):
        """One call in one piece: a thousand threads of Python would keep a second piece back for long."""
        data = b"" if body is None else json.dumps(body).encode()
        head = (f"{method} /api/v1{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n")
        with socket.create_connection(sidecar.control, 60 * SLOWNESS) as wire:
            wire.sendall(head.encode() + data)
            return int(wire.makefile("rb").readline().split()[1])

    def call_at_once(self, sidecar):
        """AT_ONCE calls, each of a thread of its own, that all begin together; their statuses, counted."""
        def call(number):
            method, path, body = (("GET", "/migrations", None), ("GET", "/migrations/m/status", None),
                                  ("GET", "/interlays", None),
                                  ("PATCH", "/migrations/m", {"description": str(number)}))[number % 4]
            try:
                return self.status_of(sidecar, method, path, body)
            except (OSError, IndexError) as error:
                return repr(error)
        return collections.Counter(at_once(AT_ONCE, call))

    def test_a_thousand_calls_at_once_are_answered_and_data_does_not_wait_for_them(self):
        figures = {"own": [], "other": []}
        for _ in range(self.ROUNDS):
            for whose, sidecar in (("other", self.other), ("own", self.sidecar)):
                with Latency(self.port) as latency:
                    answered = self.call_at_once(sidecar)
                self.assertEqual(answered, {200: AT_ONCE})
                figures[whose].append(latency.p99_us)
        own, other = (statistics.median(figures[whose]) for whose in ("own", "other"))
        # A noisy machine moves the p99 of rounds by tenths; a data port that waits for calls, by factors.
        if SLOWNESS == 1:  # a sanitizer's figures are its own
            self.assertLess(own, 1.5 * other + 200, f"p99 of rounds, in us: {figures}")
        self.serves()


if __name__ == "__main__":
    unittest.main()
