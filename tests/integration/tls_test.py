"""TLS: data ports, endpoints in every mode, the control port; with certificates made here.

Wrong certificates, half handshakes and garbage never cost another session anything; a reload costs
nobody a session.
"""

import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
import types
import unittest

import redis
from certificates import Authority, TlsRedisServer
from harness import (ADMIN, SLOWNESS, RawConn, RedisServer, ReplyError, Sidecar, binary, free_port,
                     temp_folder, wait_until)
from memory import sanitized

TIME_LIMIT_S = 240
CLIENT_HELLO = bytes.fromhex("1603010200010001fc0303")  # the beginning of one
BIG = 24 << 20


class PortTest(unittest.TestCase):
    """Clients that speak TLS, in front of a server that does not."""

    @classmethod
    def setUpClass(cls):
        cls.ca = Authority("servers")
        cls.clients = Authority("clients")
        cls.server = cls.enterClassContext(RedisServer())

    def setUp(self):
        self.server.call("FLUSHALL")
        self.sidecar = self.enterContext(Sidecar(loops=2))
        self.sidecar.add_endpoint("old", self.server)
        self.base = os.path.join(temp_folder("tls"), "port")
        self.ca.issue("localhost", "127.0.0.1", into=self.base)

    def port(self, settings=None, **tls):
        return self.sidecar.add_interlay("i", "old", settings=settings, tls={
            "server_cert": self.base + ".pem", "server_key": self.base + ".key", **tls})

    def connect(self, port, session=None, **context):
        return self.enterContext(RawConn(port, tls=self.ca.context(**context), session=session,
                                         limit_s=10 * SLOWNESS))

    def handshakes(self, result):
        return self.sidecar.metric("crossfade_tls_handshakes_total", peer="client", result=result)

    def test_clients_as_they_are_speak_tls_with_the_port(self):
        port = self.port()
        said = subprocess.run(["redis-cli", "--tls", "--cacert", self.ca.cert, "-p", str(port), "SET", "k",
                               "v"], capture_output=True, text=True, check=True, timeout=20 * SLOWNESS)
        self.assertEqual(said.stdout, "OK\n")
        client = redis.Redis(port=port, ssl=True, ssl_ca_certs=self.ca.cert, ssl_check_hostname=True)
        self.assertEqual(client.get("k"), b"v")
        with client.pipeline(transaction=False) as pipeline:
            for i in range(2000):
                pipeline.set(f"k{i}", i)
            self.assertEqual(pipeline.execute(), [True] * 2000)
        self.assertEqual(self.sidecar.metric("crossfade_tls_sessions_open"), 1)
        self.assertEqual(self.handshakes("full") + self.handshakes("resumed"), 2)
        client.close()
        shown = self.sidecar.must("GET", "/interlays/i")["tls"]
        self.assertEqual(shown["server_key"], self.base + ".key")

    def test_only_tls_1_2_and_1_3_are_spoken(self):
        port = self.port()
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            client = self.connect(port, version=version)
            self.assertEqual(client.socket.version(), name)
            self.assertEqual(client.call("PING"), "PONG")
        old = self.ca.context()
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            RawConn(port, tls=old)

    def test_sessions_are_resumed_by_tickets(self):
        port = self.port()
        context = self.ca.context()
        with RawConn(port, tls=context) as first:
            self.assertEqual(first.call("PING"), "PONG")  # tickets come with it
            session = first.socket.session
        for _ in range(4):  # whichever loop it meets
            with RawConn(port, tls=context, session=session) as again:
                self.assertTrue(again.socket.session_reused)
                self.assertEqual(again.call("PING"), "PONG")
        self.assertEqual(self.handshakes("resumed"), 4)

    def test_a_client_without_a_certificate_is_not_let_in_where_one_is_required(self):
        port = self.port(client_ca_cert=self.clients.cert)
        self.assertIs(self.sidecar.must("GET", "/interlays/i")["tls"]["require_client_certificate"], True)
        own = self.clients.issue("somebody")
        self.assertEqual(self.connect(port, own=own).call("PING"), "PONG")
        for stranger in (None, self.ca.issue("stranger")):
            with self.assertRaises((ssl.SSLError, ConnectionError, EOFError)):
                with RawConn(port, tls=self.ca.context(own=stranger)) as client:
                    client.call("SET", "k", "v")
        self.assertIsNone(self.server.call("GET", "k"))
        self.sidecar.must("PATCH", "/interlays/i", {"tls": {"require_client_certificate": False}})
        self.assertEqual(self.connect(port).call("PING"), "PONG")

    def test_garbage_and_half_handshakes_cost_nobody_else_anything(self):
        port = self.port(settings={"handshake_timeout_ms": 600})
        well = self.connect(port)
        self.assertEqual(well.call("PING"), "PONG")
        connections = len(self.server.call("CLIENT", "LIST").splitlines())
        silent = [RawConn(port) for _ in range(20)]
        half = [RawConn(port) for _ in range(20)]
        for client in half:
            client.send(CLIENT_HELLO)
        for garbage in (b"PING\r\n", b"\0" * 100, os.urandom(3000), CLIENT_HELLO + b"\xff" * 600):
            with RawConn(port) as client:
                client.send(garbage)
                self.assertEqual(client.read_eof(5 * SLOWNESS), [])
        self.assertEqual(well.call("SET", "k", "v"), "OK")
        # No server has heard of any of them.
        self.assertEqual(len(self.server.call("CLIENT", "LIST").splitlines()), connections)
        for client in silent + half:
            client.read_eof(5 * SLOWNESS)
            client.close()
        self.assertEqual(self.handshakes("timeout"), 40)
        self.assertGreaterEqual(self.handshakes("failed"), 4)
        self.assertEqual(self.sidecar.metric("crossfade_limit_hits_total", limit="handshake_timeout_ms"), 40)
        self.assertEqual(well.call("GET", "k"), b"v")
        wait_until(lambda: self.sidecar.metric("crossfade_sessions_open") == 1, 5, "they are gone")

    def test_bytes_may_come_one_by_one_and_answers_still_come_after_the_end_was_said(self):
        outgoing, incoming = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.ca.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", self.port()), timeout=5 * SLOWNESS) as raw:
            def send():
                for byte in outgoing.read():
                    raw.send(bytes([byte]))

            def step(call):
                while True:
                    try:
                        return call()
                    except ssl.SSLWantReadError:
                        send()
                        incoming.write(raw.recv(65536))
            step(tls.do_handshake)
            tls.write(b"PING\r\n")
            self.assertEqual(step(lambda: tls.read(100)), b"+PONG\r\n")
            tls.write(b"SET k v\r\nGET k\r\n")
            with self.assertRaises(ssl.SSLWantReadError):
                tls.unwrap()
            send()
            said = b""
            while len(said) < 12:
                said += step(lambda: tls.read(100))
            self.assertEqual(said, b"+OK\r\n$1\r\nv\r\n")
            with self.assertRaises(ssl.SSLZeroReturnError):  # it has said so as well
                step(lambda: tls.read(100))

    def test_a_client_that_ends_without_a_word_of_tls_still_gets_its_answers(self):
        client = self.connect(self.port())
        client.command("SET", "k", "v")
        client.command("GET", "k")
        client.shutdown_write()
        self.assertEqual(client.read_eof(), [b"+OK\r\n", b"$1\r\nv\r\n"])
        self.assertEqual(client.eof, "eof")
        quits = self.connect(self.sidecar.ports["i"])
        quits.command("QUIT")
        self.assertEqual(quits.read_eof(), [b"+OK\r\n"])

    def test_a_reload_gives_new_clients_the_new_certificate_and_costs_nobody_a_session(self):
        port = self.port()
        ending, failures, counts = threading.Event(), [], [0] * 4

        def work(number, client):
            try:
                while not ending.is_set():
                    counts[number] += 1
                    value = client.call("INCR", f"n{number}", limit_s=10 * SLOWNESS)
                    if value != counts[number]:
                        failures.append(value)
            except Exception as error:  # whatever it is, the test says so
                failures.append(error)

        threads = [threading.Thread(target=work, args=(i, self.connect(port))) for i in range(4)]
        for thread in threads:
            thread.start()

        def serial():
            with RawConn(port, tls=self.ca.context()) as client:
                return client.socket.getpeercert()["serialNumber"]
        seen = {serial()}
        for _ in range(3):
            self.ca.issue("localhost", "127.0.0.1", into=self.base)
            self.sidecar.sighup()
            seen.add(wait_until(lambda: serial() not in seen and serial(), 10, "the new certificate"))
        with open(self.base + ".pem", "w", encoding="ascii") as file:
            file.write("no certificate")
        self.sidecar.sighup()
        wait_until(lambda: "interlay i: certificates not reloaded, the former ones stay: server_cert"
                   in self.sidecar.log_text(), 10, "the complaint")
        self.assertIn(serial(), seen)
        ending.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual([int(self.server.call("GET", f"n{i}")) for i in range(4)], counts)

    def test_what_is_wrong_with_the_setting_is_named(self):
        good = {"server_cert": self.base + ".pem", "server_key": self.base + ".key"}
        for tls, path in (
                (True, "tls: must be"),
                ({"server_cert": self.base + ".pem"}, "tls.server_key: is required"),
                ({**good, "server_key": "/nowhere"}, "tls.server_key: can not read /nowhere"),
                ({**good, "server_key": self.ca.issue("x")[1]}, "tls.server_key: is not the key"),
                ({**good, "require_client_certificate": True}, "tls.client_ca_cert: is required"),
                ({**good, "cert": "x"}, "tls.cert: ")):
            status, answer = self.sidecar.api("POST", "/interlays", {
                "id": "bad", "endpoint": "old", "port": 0, "tls": tls})
            self.assertEqual(status, 400, answer)
            self.assertTrue(answer["message"].startswith(path), answer)

    def test_the_port_is_there_again_after_a_restart(self):
        texts = {}
        for name, ending in (("server_cert", ".pem"), ("server_key", ".key")):
            with open(self.base + ending, encoding="ascii") as file:
                texts[name] = file.read()
        port = self.port(**texts)
        self.assertEqual(self.sidecar.must("GET", "/interlays/i")["tls"]["server_key"], "***")
        self.sidecar.restart()
        self.assertEqual(self.connect(port).call("PING"), "PONG")
        self.assertNotIn("PRIVATE", self.sidecar.log_text())


class ServerTest(unittest.TestCase):
    """Servers that speak TLS, or do not."""

    @classmethod
    def setUpClass(cls):
        cls.ca = Authority("servers")
        cls.server = cls.enterClassContext(TlsRedisServer(cls.ca))

    def setUp(self):
        self.server.call("FLUSHALL")
        self.sidecar = self.enterContext(Sidecar())

    def interlay(self, server, tls, check=True, **settings):
        self.sidecar.add_endpoint("e", server.tls_port, check=check, tls=tls)
        return self.sidecar.add_interlay("i", "e", settings=settings or None)

    NOT_TAKEN = "the old side was not taken: "

    def refusal(self, server, tls, logged=True):
        """What who defines the endpoint is told, and the log, if it is `logged`. A client gets an error."""
        status, answer = self.sidecar.api("POST", "/endpoints", {
            "id": "e", "kind": "redis",
            "config": {"host": "127.0.0.1", "port": server.tls_port, "tls": tls}})
        self.assertGreaterEqual(status, 400)
        port = self.interlay(server, tls, check=False, connect_timeout_ms=1500)
        with RawConn(port, limit_s=10 * SLOWNESS) as client:
            said = client.call("PING")
        self.assertIsInstance(said, ReplyError)
        said_of = [answer["message"]]
        if logged:
            said_of.append(self.sidecar.wait_for_log(self.NOT_TAKEN).rpartition(self.NOT_TAKEN)[2])
        self.sidecar.must("DELETE", "/interlays/i")
        self.sidecar.must("DELETE", "/endpoints/e")
        return said_of

    def test_every_mode_reaches_the_server_that_it_believes(self):
        for tls in ({"mode": "require"}, {"insecure": True}, {"mode": "require", "ca_cert": self.ca.cert},
                    {"mode": "verify-ca", "ca_cert": self.ca.cert}, {"ca_cert": self.ca.cert},
                    {"mode": "verify-full", "ca_cert": self.ca.cert, "domain": "localhost"}):
            with self.subTest(tls=tls):
                with RawConn(self.interlay(self.server, tls)) as client:
                    self.assertEqual(client.call("SET", "k", "v"), "OK")
                    self.assertEqual(client.call("GET", "k"), b"v")
                self.sidecar.must("DELETE", "/interlays/i")
                self.sidecar.must("DELETE", "/endpoints/e")

    def test_every_mode_refuses_what_it_does_not_believe_and_says_why(self):
        stranger = Authority("stranger")
        elsewhere = self.enterContext(TlsRedisServer(self.ca, names=("elsewhere",)))
        expired = self.enterContext(TlsRedisServer(self.ca, days=-1))
        plain = self.enterContext(RedisServer())
        plain.tls_port = plain.port
        for server, tls, words in (
                (self.server, {"mode": "require", "ca_cert": stranger.cert}, "certificate verify failed"),
                (self.server, {"mode": "verify-ca", "ca_cert": stranger.cert}, "certificate verify failed"),
                (self.server, True, "certificate verify failed"),
                (elsewhere, {"mode": "verify-full", "ca_cert": self.ca.cert}, "IP address mismatch"),
                (elsewhere, {"ca_cert": self.ca.cert, "domain": "localhost"}, "hostname mismatch"),
                (expired, {"mode": "verify-ca", "ca_cert": self.ca.cert}, "certificate has expired"),
                (plain, {"mode": "require"}, "")):
            with self.subTest(tls=tls, words=words):
                for said in self.refusal(server, tls):
                    self.assertIn(words, said)
        with RawConn(self.interlay(elsewhere, {"mode": "verify-ca", "ca_cert": self.ca.cert})) as client:
            self.assertEqual(client.call("PING"), "PONG")

    def test_a_url_says_tls_by_its_scheme(self):
        url = f"rediss://localhost:{self.server.tls_port}"
        status, answer = self.sidecar.api("POST", "/endpoints", {
            "id": "u", "kind": "redis", "config": {"url": url}})
        self.assertIn("certificate verify failed", answer["message"])  # this CA is none of the system's
        self.sidecar.must("POST", "/endpoints", {
            "id": "u", "kind": "redis", "config": {"url": url, "tls": {"ca_cert": self.ca.cert}}})
        shown = self.sidecar.must("GET", "/endpoints/u")["config"]
        self.assertEqual(shown["tls"]["mode"], "verify-full")
        for tls, words in ((False, "contradicts"), ({"mode": "prefer"}, "config.tls.mode: prefer needs"),
                           ({"mode": "maybe"}, "config.tls.mode: must be"),
                           ({"key": "x"}, "config.tls.cert: is required"),
                           ({"insecure": True, "ca_cert": self.ca.cert}, "config.tls.insecure: contra"),
                           ({"ca_cert": "/nowhere"}, "config.tls.ca_cert: can not read")):
            status, answer = self.sidecar.api("POST", "/endpoints", {
                "id": "v", "kind": "redis", "config": {"url": url, "tls": tls}})
            self.assertEqual(status, 400, answer)
            self.assertIn(words, answer["message"])

    def test_a_server_that_requires_a_certificate_gets_ours(self):
        clients = Authority("clients")
        strict = self.enterContext(TlsRedisServer(self.ca, clients=clients))
        cert, key = clients.issue("sidecar")
        tls = {"ca_cert": self.ca.cert}
        # Whether its words arrive before its end is its affair, and so is whether it takes us at first.
        said, = self.refusal(strict, tls, logged=False)
        self.assertRegex(said, "certificate required|reset by peer|ECONNRESET|^$")
        with RawConn(self.interlay(strict, {**tls, "cert": cert, "key": key})) as client:
            self.assertEqual(client.call("PING"), "PONG")

    def test_connections_resume_the_session_with_their_server(self):
        port = self.interlay(self.server, {"ca_cert": self.ca.cert})
        for _ in range(5):
            with RawConn(port) as client:
                self.assertEqual(client.call("PING"), "PONG")
        def count(result):
            return self.sidecar.metric("crossfade_tls_handshakes_total", peer="old", result=result)
        self.assertEqual(count("full") + count("resumed"), 5)
        self.assertGreaterEqual(count("resumed"), 3)
        self.assertEqual(count("failed"), 0)

    def test_a_server_that_stops_in_its_handshake_is_given_up(self):
        with socket.create_server(("127.0.0.1", 0)) as mute:
            server = types.SimpleNamespace(tls_port=mute.getsockname()[1])
            port = self.interlay(server, {"mode": "require"}, check=False, connect_timeout_ms=300)
            with RawConn(port) as client:
                said = client.call("PING", limit_s=10 * SLOWNESS)
            self.assertIn("did not finish the TLS handshake in time", str(said))

    def test_values_of_any_size_pass_both_ways_under_tls_on_both_sides(self):
        port_cert = dict(zip(("server_cert", "server_key"), self.ca.issue("localhost", "127.0.0.1")))
        self.sidecar.add_endpoint("e", self.server.tls_port, tls={"ca_cert": self.ca.cert})
        port = self.sidecar.add_interlay("i", "e", tls=port_cert)
        value = os.urandom(1 << 20) * (BIG >> 20)
        with RawConn(port, tls=self.ca.context(), limit_s=60 * SLOWNESS) as client:
            self.assertEqual(client.call("SET", "big", value), "OK")
            self.assertEqual(self.server.call("STRLEN", "big"), BIG)
            self.assertEqual(client.call("GET", "big"), value)
            for size in (0, 1, 16_383, 16_384, 16_385, 70_000):
                self.assertEqual(client.call("ECHO", value[:size]), value[:size])
        if not sanitized():
            self.assertLess(self.sidecar.rss(), 200 << 20)

    def test_a_migration_between_tls_servers_writes_repairs_and_verifies(self):
        new = self.enterContext(TlsRedisServer(self.ca))
        tls = {"ca_cert": self.ca.cert}
        port = self.interlay(self.server, tls)
        self.sidecar.add_endpoint("new", new.tls_port, tls=tls)
        dual_write = {"mode": "dual_write", "policy": "old_authoritative"}
        strategy = {"type": "canary", "read_percentage": 0.5, "write_mode": dual_write}
        self.sidecar.migrate("m", strategy, "i", "new")
        with RawConn(port) as client:
            for i in range(50):
                self.assertEqual(client.call("SET", f"k{i}", i), "OK")
            new.call("SET", "k7", "wrong")
            verified = self.sidecar.must("POST", "/migrations/m/verify")
            self.assertTrue(verified)
            wait_until(lambda: new.call("GET", "k7") == b"7", 20, "it is found and repaired")
            self.assertEqual(client.call("DBSIZE"), 50)


class ControlTest(unittest.TestCase):
    """The control port over TLS, and what the configuration file says of all of it."""

    def setUp(self):
        self.ca = Authority("control")
        self.base = os.path.join(temp_folder("tls"), "control")
        self.ca.issue("localhost", "127.0.0.1", into=self.base)
        self.tls = {"server_cert": self.base + ".pem", "server_key": self.base + ".key"}

    def get(self, port, path="/api/v1/interlays", token=ADMIN):
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=self.ca.context(),
                                                 timeout=10 * SLOWNESS)
        try:
            connection.connect()
            serial = connection.sock.getpeercert()["serialNumber"]
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            return answer.status, answer.read(), serial
        finally:
            connection.close()

    def test_the_control_port_speaks_tls_and_takes_tokens_as_ever(self):
        with Sidecar(config={"control": {"tls": self.tls, "request_timeout_ms": 1000}}) as sidecar:
            port = sidecar.control[1]
            status, _, first = self.get(port)
            self.assertEqual(status, 200)
            self.assertEqual(self.get(port, token="wrong")[0], 401)
            with RawConn(port) as plain:
                plain.send(b"GET /healthz HTTP/1.1\r\n\r\n")
                plain.socket.settimeout(5 * SLOWNESS)
                wait_until(lambda: plain.available() is None or plain.eof, 5, "no answer in plain text")
            with RawConn(port) as silent:
                silent.send(CLIENT_HELLO)
                silent.read_eof(5 * SLOWNESS)
            self.ca.issue("localhost", "127.0.0.1", into=self.base)
            sidecar.sighup()
            wait_until(lambda: self.get(port)[2] != first, 10, "the new certificate")

    def check(self, config):
        path = os.path.join(temp_folder("check"), "crossfade.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        said = subprocess.run([binary(), "check", "--config", path], capture_output=True, text=True,
                              timeout=20 * SLOWNESS, check=False)
        return said.returncode, said.stderr

    def test_check_reads_the_files_and_names_the_place_of_what_is_wrong(self):
        def config(control=None, endpoint=None, interlay=None):
            return {"control": {"tls": control or self.tls},
                    "endpoints": [{"id": "e", "kind": "redis", "config": {
                        "host": "h", "tls": endpoint or {"ca_cert": self.ca.cert}}}],
                    "interlays": [{"id": "i", "endpoint": "e", "port": free_port(),
                                   "tls": interlay or self.tls}]}
        self.assertEqual(self.check(config()), (0, ""))
        for bad, place in (
                (config(control={**self.tls, "server_key": "/nowhere"}), "control.tls.server_key: can not"),
                (config(endpoint={"ca_cert": "/nowhere"}), "endpoints[0].config.tls.ca_cert: can not"),
                (config(interlay={**self.tls, "server_cert": self.base + ".key"}),
                 "interlays[0].tls.server_cert: holds no certificate"),
                (config(interlay={"server_cert": "x"}), "interlays[0].tls.server_key: is required")):
            code, said = self.check(bad)
            self.assertEqual(code, 2, said)
            self.assertIn(place, said)


if __name__ == "__main__":
    unittest.main()
