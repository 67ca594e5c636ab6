"""The harness for PostgreSQL itself: what the other tests of that protocol rest on."""

import os
import signal
import ssl
import unittest

from pg_login import LoginFailed, Scram, scram_verifier
from pg_messages import (MessageCutter, bind, cancel, describe, execute, message, parse, query, startup)
from pg_text import line_of
from postgres import TRUST, PgConn, PostgresServer, ServerError

STREAM = [b"R\0\0\0\x08\0\0\0\0", b"S\0\0\0\x09a\0bc\0", b"Z\0\0\0\5I", b"1\0\0\0\4",
          b"D\0\0\0\x0f\0\x02\0\0\0\x01x\xff\xff\xff\xff", b"Z\0\0\0\5T"]


IS_ENCRYPTED = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"


class Messages(unittest.TestCase):
    def test_the_split_point_never_changes_the_messages(self):
        whole = b"".join([*STREAM[:2], b"N", *STREAM[2:]])
        for cut in range(len(whole) + 1):
            cutter, found = MessageCutter(), []
            for part in (whole[:cut], whole[cut:]):
                cutter.feed(part)
                while (raw := cutter.next()) is not None:
                    found.append(raw)
                    if len(found) == 2:
                        cutter.expect_byte()
            self.assertEqual(found, [*STREAM[:2], b"N", *STREAM[2:]])
            self.assertEqual(cutter.rest, b"")

    def test_what_a_client_sends_is_what_the_protocol_says(self):
        self.assertEqual(query("x"), b"Q\0\0\0\6x\0")
        self.assertEqual(parse("s", "x", [23]), b"P\0\0\0\x0es\0x\0\0\x01\0\0\0\x17")
        self.assertEqual(bind("", "s", [b"1", None], [1], [0]),
                         b"B\0\0\0\x1a\0s\0\0\1\0\1\0\2\0\0\0\0011\xff\xff\xff\xff\0\1\0\0")
        self.assertEqual(describe("S", "s") + execute("", 2), b"D\0\0\0\7Ss\0E\0\0\0\x09\0\0\0\0\2")
        self.assertEqual(startup(user="a"), b"\0\0\0\x10\0\3\0\0user\0a\0\0")
        self.assertEqual(cancel(1, b"key!"), b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1key!")

    def test_messages_are_told_to_people(self):
        self.assertEqual([line_of(raw) for raw in STREAM[1:5]], [
            "S ParameterStatus a = bc", "Z ReadyForQuery idle", "1 ParseComplete", "D DataRow ['x', NULL]"])
        self.assertEqual(line_of(message("E", b"SERROR\0C42601\0Msyntax\0P7\0\0")),
                         "E ErrorResponse ERROR 42601 'syntax' P='7'")
        self.assertIn("not well-formed", line_of(message("D", b"\0\x09")))

    def test_a_scram_exchange_of_rfc_7677(self):
        client = Scram("pencil", nonce="rOprNGfwEbeRWgbNEkqO", gs2="n,,")
        server_first = (b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                        b"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
        self.assertTrue(client.answer(server_first).startswith(b"p"))
        with self.assertRaises(LoginFailed):
            client.check(b"v=nonsense")


class Servers(unittest.TestCase):
    def check(self, version):
        with PostgresServer(version, ssl=True, max_connections=7) as server:
            with server.connect() as client:
                self.assertEqual(client.value("select pg_backend_pid()"), str(client.pid))
                self.assertTrue(client.parameters["server_version"].startswith(str(version)))
                self.assertEqual(server.sessions(), 1)
                server.sigstop()
                client.send(query("select 1"))
                with self.assertRaises(TimeoutError):
                    client.until("Z", limit_s=0.1)
                server.sigcont()
                client.until("Z")
                port, family = server.port, server.family()
                server.restart()
                with self.assertRaises(ServerError) as caught:
                    client.rows("select 1")
                self.assertEqual(caught.exception.code, "57P01")
            server.kill()
            server.restart()
            self.assertEqual(server.port, port)
            self.check_logins(server)
            server.stop(signal.SIGINT)
        self.assertFalse([pid for pid in family if os.path.exists(f"/proc/{pid}")])

    def check_logins(self, server):
        server.sql("set password_encryption = 'md5'", "create role mona login password 'secret'",
                   f"create role carol login password '{scram_verifier('secret', b'salt of 16 bytes')}'",
                   "create role paul login password 'secret'")
        server.set_hba(["host all mona 127.0.0.1/32 md5", "host all carol 127.0.0.1/32 scram-sha-256",
                        "host all paul 127.0.0.1/32 password", "host all app 127.0.0.1/32 reject"])
        for user in ("mona", "carol", "paul"):
            with server.connect(user, password="secret") as client:
                self.assertEqual(client.value("select current_user"), user)
            with self.assertRaisesRegex(ServerError, "28P01 password authentication failed"):
                server.connect(user, password="wrong")
        with self.assertRaisesRegex(ServerError, "28000 pg_hba.conf rejects"):
            server.connect()
        server.set_hba([line.replace("host ", "hostssl ") for line in TRUST])
        context = ssl.create_default_context(cafile=server.authority)
        with server.connect(tls=context) as client:
            self.assertEqual(len(client.rows("select repeat('x', 1000) from generate_series(1, 500)")), 500)
        if server.version >= 18:
            with server.connect(direct_tls=context) as client:
                self.assertEqual(client.value(IS_ENCRYPTED), "t")
        with self.assertRaisesRegex(ServerError, "28000"), PgConn(server.port, "app"):
            pass

    def test_a_server_of_15(self):
        self.check(15)

    def test_a_server_of_18(self):
        self.check(18)


if __name__ == "__main__":
    unittest.main()
