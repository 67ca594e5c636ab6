"""TLS of PostgreSQL sessions: clients with the port, the sidecar with servers, cancels, reloads.

What was said before the handshake never counts, and nobody who is to speak TLS says anything without.
"""

import contextlib
import os
import socket
import ssl
import struct
import subprocess
import threading
import unittest

from certificates import Authority
from harness import SLOWNESS, Sidecar, free_port, temp_folder, wait_until
from pg_conn import PgConn, ServerError
from pg_messages import SSL_REQUEST, cancel, fields_of, kind_of, query, startup, untyped
from postgres import PostgresServer

TIME_LIMIT_S = 240
HOSTSSL = ("hostssl all all 127.0.0.1/32 trust",)


class Beginnings:
    """Hands connections on to a server and keeps the first packet of each in `seen`."""

    def __init__(self, to):
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.seen = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                for pair in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source, sink, first):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if first:
                    self.seen.append(data)
                first = False
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Case(unittest.TestCase):
    """One sidecar; endpoints and ports are the test's."""

    @classmethod
    def setUpClass(cls):
        cls.ca = Authority("ports")
        cls.plain = cls.enterClassContext(PostgresServer())
        cls.secure = cls.enterClassContext(PostgresServer(18, ssl=True))

    def setUp(self):
        self.sidecar = self.enterContext(Sidecar(loops=2))
        self.base = os.path.join(temp_folder("tls"), "port")
        self.ca.issue("localhost", "127.0.0.1", into=self.base)

    def endpoint(self, server, name="old", **config):
        return self.sidecar.must("POST", "/endpoints", {
            "id": name, "kind": "postgres", "config": {"host": "127.0.0.1", "port": server.port, **config}})

    def port(self, server, tls=None, settings=None):
        """`tls`: None for neither, False for a server that is reached without, a dict for clients."""
        self.endpoint(server, **({"tls": False} if tls is False else {}))
        tls = tls or (tls if tls == {} else None)
        return self.sidecar.add_interlay("i", "old", settings=settings, tls=None if tls is None else {
            "server_cert": self.base + ".pem", "server_key": self.base + ".key", **tls})

    def connect(self, port, **more):
        return self.enterContext(PgConn(port, "app", "app", limit_s=10 * SLOWNESS, **more))

    def handshakes(self, peer, result):
        return self.sidecar.metric("crossfade_tls_handshakes_total", peer=peer, result=result)


class PortTest(Case):
    """Clients, in front of a server that does not speak TLS."""

    def raw(self, port):
        return self.enterContext(PgConn(port, limit_s=10 * SLOWNESS))

    def test_clients_speak_tls_if_they_ask_and_plain_text_if_they_do_not(self):
        port = self.port(self.plain, tls={"require_tls": False})
        with_tls = self.connect(port, tls=self.ca.context())
        self.assertEqual(with_tls.value("select 1"), "1")
        self.assertEqual(self.connect(port).value("select 2"), "2")
        self.assertEqual(self.sidecar.metric("crossfade_tls_sessions_open"), 1)
        said = subprocess.run(["psql", "-XAtc", "select 3"], capture_output=True, text=True, env={
            **os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "app", "PGDATABASE": "app",
            "PGSSLMODE": "verify-full", "PGSSLROOTCERT": self.ca.cert}, timeout=20 * SLOWNESS)
        self.assertEqual(said.stdout, "3\n", said.stderr)

    def test_rows_and_copies_of_any_size_pass_through_tls(self):
        conn = self.connect(self.port(self.plain, tls={}), tls=self.ca.context())
        self.assertEqual(len(conn.value("select repeat('x', 20000000)", 60 * SLOWNESS)), 20_000_000)
        self.assertEqual(len(conn.rows("select repeat('y', 100) from generate_series(1, 20000)",
                                       60 * SLOWNESS)), 20_000)
        self.assertEqual(conn.value(f"select length('{'z' * 3_000_000}')", 60 * SLOWNESS), "3000000")

    def test_tls_from_the_first_byte_needs_alpn(self):
        port = self.port(self.plain, tls={})
        conn = self.connect(port, direct_tls=self.ca.context())
        self.assertEqual(conn.value("select 1"), "1")
        for protocols in ([], ["http/1.1"]):
            context = self.ca.context()
            if protocols:
                context.set_alpn_protocols(protocols)
            with socket.create_connection(("127.0.0.1", port), 10 * SLOWNESS) as plain:
                with self.assertRaises((ssl.SSLError, ConnectionError, AssertionError)):
                    tls = context.wrap_socket(plain, server_hostname="localhost")
                    tls.sendall(startup(user="app", database="app"))
                    self.assertNotEqual(tls.recv(100), b"", "refused")

    def test_bytes_behind_a_request_that_is_granted_are_refused(self):
        conn = self.raw(self.port(self.plain, tls={}))
        conn.send(untyped(SSL_REQUEST) + startup(user="app", database="app"))
        [said] = conn.read_eof()
        self.assertEqual(fields_of(said)["M"], "received unencrypted data after SSL request")
        self.assertEqual(fields_of(said)["C"], "08P01")

    def test_sessions_are_resumed_by_tickets(self):
        port = self.port(self.plain, tls={})
        context = self.ca.context()
        session = None
        for _ in range(4):  # whichever loop it meets
            with socket.create_connection(("127.0.0.1", port), 10 * SLOWNESS) as plain:
                plain.sendall(untyped(SSL_REQUEST))
                self.assertEqual(plain.recv(1), b"S")
                with context.wrap_socket(plain, server_hostname="localhost", session=session) as tls:
                    self.assertEqual(tls.session_reused, session is not None)
                    tls.sendall(startup(user="app", database="app"))
                    self.assertEqual(tls.recv(1), b"R")
                    session = tls.session
        self.assertEqual(self.handshakes("client", "resumed"), 3)

    def test_a_second_request_within_tls_hears_what_the_server_says(self):
        with PostgresServer(ssl=True) as server:
            texts = []
            for port in (server.port, self.port(server, tls={})):
                conn = self.raw(port)
                conn.start_tls(ssl._create_unverified_context())
                conn.send(untyped(SSL_REQUEST))
                [said] = conn.read_eof()
                texts.append(fields_of(said))
            self.assertEqual(texts[0], texts[1])

    def test_plain_text_is_refused_where_it_is_to_be(self):
        port = self.port(self.plain, tls={"require_tls": True})
        self.assertEqual(self.connect(port, tls=self.ca.context()).value("select 1"), "1")
        with self.assertRaises(ServerError) as caught:
            self.connect(port)
        self.assertEqual(caught.exception.code, "28000")
        self.sidecar.must("PATCH", "/interlays/i", {"tls": {"require_tls": False}})
        self.assertEqual(self.connect(port).value("select 1"), "1")
        # Who must show a certificate can not do so without TLS.
        clients = Authority("clients")
        self.sidecar.must("PATCH", "/interlays/i", {"tls": {"client_ca_cert": clients.cert}})
        with self.assertRaises(ServerError):
            self.connect(port)
        own = self.ca.context(own=clients.issue("somebody"))
        self.assertEqual(self.connect(port, tls=own).value("select 1"), "1")

    def test_half_handshakes_end_and_cost_nobody_else_anything(self):
        port = self.port(self.plain, tls={}, settings={"handshake_timeout_ms": int(600 * SLOWNESS)})
        well = self.connect(port, tls=self.ca.context())
        half = [self.raw(port) for _ in range(10)]
        for conn in half:
            conn.expect_byte()
            conn.send(untyped(SSL_REQUEST))
            self.assertEqual(conn.read_raw(), b"S")
            conn.send(bytes.fromhex("1603010200010001fc0303"))
        for conn in half:
            self.assertEqual(conn.read_eof(10 * SLOWNESS), [])
        self.assertEqual(well.value("select 1"), "1")
        wait_until(lambda: self.handshakes("client", "timeout") == 10, 5, "they are counted")
        self.assertEqual(self.sidecar.metric("crossfade_limit_hits_total", limit="handshake_timeout_ms"), 10)

    def test_a_reload_of_certificates_ends_no_session(self):
        port = self.port(self.plain, tls={})
        conn = self.connect(port, tls=self.ca.context())
        pid = conn.value("select pg_backend_pid()")
        other = Authority("later")
        other.issue("localhost", into=self.base)
        self.sidecar.sighup()

        def new_one():
            try:
                with PgConn(port, "app", "app", tls=other.context()) as fresh:
                    return fresh.value("select 1") == "1"
            except ssl.SSLError:
                return False
        wait_until(new_one, 10, "the new certificate is in use")
        self.assertEqual(conn.value("select pg_backend_pid()"), pid)


class ServerTest(Case):
    """The sidecar as a client of servers, in each mode."""

    def refused(self, port):
        with self.assertRaises(ServerError) as caught:
            PgConn(port, "app", "app", limit_s=10 * SLOWNESS)
        return str(caught.exception)

    def speaks_tls(self, conn):
        return conn.value("select ssl from pg_stat_ssl where pid = pg_backend_pid()")

    def test_each_mode_means_what_it_means_to_libpq(self):
        right = self.secure.authority
        wrong = self.ca.cert
        for server, config, answer in (
                (self.secure, {"tls": False}, "f"), (self.secure, {}, "t"),
                (self.secure, {"tls": {"mode": "prefer"}}, "t"), (self.plain, {}, "f"),
                (self.plain, {"tls": {"mode": "prefer"}}, "f"),
                (self.plain, {"tls": {"mode": "require"}}, "refused"),
                (self.secure, {"tls": {"mode": "require"}}, "t"),
                (self.secure, {"tls": {"mode": "require", "ca_cert": wrong}}, "refused"),
                (self.secure, {"tls": {"mode": "verify-ca", "ca_cert": right}}, "t"),
                (self.secure, {"tls": {"mode": "verify-ca", "ca_cert": wrong}}, "refused"),
                (self.secure, {"tls": {"mode": "verify-ca", "ca_cert": right, "domain": "other"}}, "t"),
                (self.secure, {"tls": {"mode": "verify-full", "ca_cert": right}}, "t"),
                (self.secure, {"tls": {"mode": "verify-full", "ca_cert": right, "domain": "other"}},
                 "refused")):
            with self.subTest(config=config, version=server.version):
                self.sidecar.must("POST", "/endpoints?check=false", {
                    "id": "e", "kind": "postgres",
                    "config": {"host": "127.0.0.1", "port": server.port, **config}})
                port = self.sidecar.add_interlay("e", "e")
                if answer == "refused":
                    self.assertIn("08006", self.refused(port))
                else:
                    self.assertEqual(self.speaks_tls(self.connect(port)), answer)
                self.sidecar.must("DELETE", "/interlays/e")
                self.sidecar.must("DELETE", "/endpoints/e")

    def test_urls_say_it_as_those_of_libpq_do(self):
        right = self.secure.authority
        base = f"postgresql://127.0.0.1:{self.secure.port}/app"
        for query, answer in (("", "t"), ("?sslmode=disable", "f"), ("?sslmode=allow", "t"),
                              ("?sslmode=prefer", "t"), ("?sslmode=require", "t"),
                              (f"?sslmode=verify-full&sslrootcert={right}", "t")):
            with self.subTest(query=query):
                self.sidecar.must("POST", "/endpoints", {"id": "e", "kind": "postgres",
                                                         "config": {"url": base + query}})
                port = self.sidecar.add_interlay("e", "e")
                self.assertEqual(self.speaks_tls(self.connect(port)), answer)
                self.sidecar.must("DELETE", "/interlays/e")
                self.sidecar.must("DELETE", "/endpoints/e")

    def test_the_probe_speaks_tls_as_sessions_do(self):
        with PostgresServer(18, hba=HOSTSSL, ssl=True) as server:
            for tls in ({"mode": "require"}, {"mode": "verify-full", "ca_cert": server.authority},
                        {"mode": "verify-full", "ca_cert": open(server.authority, encoding="ascii").read()}):
                self.endpoint(server, username="app", tls=tls)  # refused if it is not reached
                self.sidecar.must("DELETE", "/endpoints/old")
            status, answer = self.sidecar.api("POST", "/endpoints", {
                "id": "no", "kind": "postgres", "config": {
                    "host": "127.0.0.1", "port": server.port, "username": "app", "tls": False}})
            self.assertNotEqual(status, 201, answer)

    def test_every_handshake_with_a_server_is_counted(self):
        port = self.port(self.secure)
        for _ in range(3):
            self.connect(port)
        self.assertEqual(self.handshakes("old", "full") + self.handshakes("old", "resumed"), 3)
        self.assertEqual(self.handshakes("old", "failed"), 0)

    def test_a_second_request_is_refused_where_the_server_must_not_be_asked(self):
        conn = self.enterContext(PgConn(self.port(self.secure, tls=False), limit_s=10 * SLOWNESS))
        conn.expect_byte()
        conn.send(untyped(SSL_REQUEST))
        self.assertEqual(conn.read_raw(), b"N")
        conn.send(untyped(SSL_REQUEST))
        [said] = conn.read_eof()
        self.assertIn("unsupported frontend protocol 1234.5679", fields_of(said)["M"])

    def test_a_cancel_goes_over_tls_where_its_session_does(self):
        between = self.enterContext(Beginnings(self.secure.port))
        for tls in (None, {}):
            port = self.port(between, tls=tls)
            conn = self.connect(port, tls=self.ca.context() if tls is not None else None)
            conn.send(query("select pg_sleep(60)"))
            wait_until(lambda: self.secure.value("select count(*) from pg_stat_activity "
                                                 "where wait_event = 'PgSleep'") == "1", 10, "it sleeps")
            del between.seen[:]
            with PgConn(port, limit_s=10 * SLOWNESS) as other:
                if tls is not None:
                    other.start_tls(self.ca.context())
                other.send(cancel(conn.pid, conn.key))
                other.read_eof()
            [error] = [raw for raw in conn.until("Z", 10 * SLOWNESS) if kind_of(raw) == "E"]
            self.assertEqual(fields_of(error)["C"], "57014")
            self.assertEqual(conn.value("select 1"), "1")
            self.assertEqual(between.seen, [untyped(SSL_REQUEST)])
            conn.close()
            self.sidecar.must("DELETE", "/interlays/i")
            self.sidecar.must("DELETE", "/endpoints/old")

    def test_a_server_that_answers_more_than_a_byte_is_left(self):
        with socket.create_server(("127.0.0.1", free_port())) as fake:
            self.sidecar.must("POST", "/endpoints?check=false", {
                "id": "old", "kind": "postgres",
                "config": {"host": "127.0.0.1", "port": fake.getsockname()[1], "tls": {"mode": "require"}}})
            port = self.sidecar.add_interlay("i", "old")
            client = self.enterContext(PgConn(port, limit_s=10 * SLOWNESS))
            client.send(startup(user="app", database="app"))
            server, _ = fake.accept()
            with server:
                server.settimeout(10 * SLOWNESS)
                self.assertEqual(server.recv(100), untyped(SSL_REQUEST))
                server.sendall(b"S" + b"E" + struct.pack("!i", 4))
                self.assertEqual(server.recv(100), b"", "nothing more is said to it")
            [said] = client.read_eof()
            self.assertEqual(fields_of(said)["C"], "08006")

    def test_a_server_that_does_not_answer_is_given_up_in_time(self):
        with socket.create_server(("127.0.0.1", free_port())) as fake:
            self.sidecar.must("POST", "/endpoints?check=false", {
                "id": "old", "kind": "postgres",
                "config": {"host": "127.0.0.1", "port": fake.getsockname()[1]}})
            port = self.sidecar.add_interlay("i", "old", settings={"login_timeout_ms": 500})
            client = self.enterContext(PgConn(port, limit_s=10 * SLOWNESS))
            client.send(startup(user="app", database="app"))
            [said] = client.read_eof()
            self.assertEqual(fields_of(said)["C"], "08006")


del Case  # holds no test of its own


if __name__ == "__main__":
    unittest.main()
