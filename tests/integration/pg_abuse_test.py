"""Abuse of a PostgreSQL port: crowds, silence, garbage, halves of messages, statements without end. Limits
hold, nobody else is affected, and what is no start-up gets what the server itself says to it.
"""

import random
import re
import resource
import unittest

from children import SLOWNESS, wait_until
from memory import KIB, MIB, grew_less, raise_descriptor_limit, reset_peak, sanitized
from pg_messages import (SSL_REQUEST, SYNC, VERSION_3_2, bind, cancel, describe, execute, kind_of,
                         parse, query, row_of, startup, untyped)
from pg_served import MINUTE_S, PgConn, Served

IDLE = 2000 if SLOWNESS == 1 else 200
START = startup(user="app", database="app")
HALVES = (START[:1], START[:7], START[:8], START[:-1], untyped(SSL_REQUEST)[:5],
          b"\0\0\x27\x10\0\3\0\0" + b"x" * 5000, cancel(1, b"1234")[:-1])


class Many(Served):
    def test_idle_sessions(self):
        raise_descriptor_limit()
        self.start(server={"max_connections": IDLE + 50, "max_locks_per_transaction": 10})
        warm = self.client()
        self.assertEqual(warm.value("select 1"), "1")
        files, before = self.sidecar.open_files(), reset_peak(self.sidecar)
        clients = self.plain(IDLE)
        for client in clients:
            client.sendall(START)
        for client in clients:
            self.read_to_ready(client)
        silent = (self.sidecar.rss() - before) / IDLE
        self.assertLessEqual(self.sidecar.open_files() - files, 2 * IDLE + 2)
        text = query("select 'x' -- " + "x" * 60_000)
        for client in clients:
            client.sendall(text)
            self.read_to_ready(client)
        used = (self.sidecar.rss() - before) / IDLE
        print(f"\n{IDLE} sessions: {silent:.0f} bytes each while they were silent, {used:.0f} after a "
              "query of 60 KB")
        self.ask_in_halves(clients, text)
        halved = (self.sidecar.rss() - before) / IDLE
        print(f"{halved:.0f} after one that came in two pieces")
        if not sanitized():
            self.assertLess(silent, 8 * KIB)
            self.assertLess(max(used, halved), 12 * KIB)
        for client in (*self.plain(), warm.socket):
            client.setblocking(True)
            client.sendall(START if client is not warm.socket else text)
            self.read_to_ready(client)
        for client in clients:
            client.close()
        wait_until(lambda: self.metric("sessions_open") == 2, 60, "sessions closed")
        wait_until(lambda: self.old.sessions() == 2, 60, "backends have ended")
        self.assertLessEqual(self.sidecar.open_files(), files + 4)

    def ask_in_halves(self, clients, text, at_once=20):
        """A half of it is kept by each session until the other one comes, and not beyond that."""
        taken = lambda: self.metric("bytes_total", direction="client_in")
        for some in (clients[at:at + at_once] for at in range(0, len(clients), at_once)):
            goal = taken() + len(some) * (len(text) // 2)
            for client in some:
                client.sendall(text[:len(text) // 2])
            wait_until(lambda: taken() >= goal, 20, "the first halves are taken")
            for client in some:
                client.sendall(text[len(text) // 2:])
                self.read_to_ready(client)

    @staticmethod
    def read_to_ready(client):
        got = b""
        while not got.endswith(b"Z\0\0\0\5I"):
            more = client.recv(65536)
            if not more:
                raise EOFError(got[-200:])
            got += more

    def test_clients_max(self):
        self.start(clients_max=5)
        clients = [self.client() for _ in range(5)]
        for _ in range(5):
            self.assertEqual(self.refused("53300"), "sorry, too many clients already")
        self.assertEqual(self.limit_hits("clients_max"), 5)
        for client in clients:
            self.assertEqual(client.value("select 1"), "1")
        clients.pop().terminate()
        wait_until(lambda: self.metric("sessions_open") == 4, 10, "one has left")
        self.served()

    def test_the_servers_own_limit_is_told_by_itself(self):
        self.start(server={"max_connections": 8, "superuser_reserved_connections": 2, "max_wal_senders": 0,
                           "wal_level": "replica"})
        clients = [self.client() for _ in range(6)]
        self.assertIn("reserved", self.refused("53300"))
        clients.pop().terminate()
        self.recovers()

    def test_out_of_descriptors(self):
        self.start()
        first = [self.client() for _ in range(5)]
        resource.prlimit(self.sidecar.pid, resource.RLIMIT_NOFILE, (self.sidecar.open_files() + 5,) * 2)
        more = self.plain(30)
        for client in more:
            client.sendall(START)
        for _ in range(20):
            for client in first:
                self.assertEqual(client.value("select 1"), "1")
        for client in more:
            client.close()
        self.recovers()

    def test_they_come_and_go(self):
        self.start()
        self.served()
        files, before = self.sidecar.open_files(), None
        count = 2000 if SLOWNESS == 1 else 200
        for number in range(count):
            if number == count // 4:
                before = reset_peak(self.sidecar)
            if number % 50 == 0:  # a session lasts until its server has answered: not all at once
                wait_until(lambda: self.metric("sessions_open") < 50, 60, "some have gone")
            with PgConn(self.port, limit_s=MINUTE_S) as client:
                if number % 4:
                    client.send((START[:9], START, untyped(SSL_REQUEST))[number % 3])
                client.abort()
        self.all_gone()
        grew_less(self, self.sidecar, before, 8 * MIB)
        wait_until(lambda: self.sidecar.open_files() <= files + 2, 20, "descriptors are closed")
        wait_until(lambda: self.old.sessions() == 0, 60, "backends have ended")
        self.served()


class Silence(Served):
    def test_who_says_nothing_is_closed_at_the_limit(self):
        self.start(login_timeout_ms=400)
        served = self.client()
        clients = [self.bare() for _ in range(len(HALVES) + 1)]
        for client, half in zip(clients, (b"", *HALVES)):
            client.send(half)
        for client in clients:
            self.assertEqual(client.read_eof(), [])
        self.assertEqual(self.limit_hits("login_timeout_ms"), len(clients))
        self.assertEqual(self.metric("logins_refused_total", reason="timeout"), len(clients))
        self.assertEqual(served.value("select 1"), "1")

    def test_who_never_says_the_password_is_told(self):
        self.start(server={"hba": ("host all all 127.0.0.1/32 scram-sha-256",)}, login_timeout_ms=400)
        self.old.sql("set password_encryption = 'scram-sha-256'", "alter role app password 'p'")
        client = self.bare()
        client.send(START)
        self.assertEqual(kind_of(client.read_raw()), "R")
        self.assertEqual(self.told(client, "57014"), "canceling authentication due to timeout")
        with PgConn(self.port, "app", password="p", limit_s=MINUTE_S) as other:
            self.assertEqual(other.value("select 1"), "1")

    def test_the_limit_can_be_switched_off_and_ends_with_the_login(self):
        self.start(login_timeout_ms=0)
        silent = self.bare()
        self.sidecar.must("PATCH", "/interlays/postgres", {"settings": {"login_timeout_ms": 200}})
        client = self.client()
        silent.read_eof()  # hot: it is late by the new limit
        self.assertEqual(client.value("select pg_sleep(0.5)"), "")


class Halves(Served):
    def test_a_start_up_packet_may_come_byte_by_byte(self):
        self.start()
        for packet in (START, startup(VERSION_3_2, user="app", database="app", application_name="drip")):
            client = self.bare()
            for position in range(len(packet)):
                client.send(packet[position:position + 1])
            self.assertEqual(kind_of(client.until("Z")[0]), "R" if packet is START else "v")

    def test_a_client_may_leave_at_every_byte_of_its_greeting_and_of_a_message(self):
        self.start()
        for packet in (untyped(SSL_REQUEST), START, cancel(1, b"1234")):
            for position in range(len(packet) + 1):
                self.leave(self.bare(), packet[:position], position)
        messages = parse("s", "select $1::int") + bind("", "s", ["1"]) + execute("") + SYNC
        for position in range(0, len(messages) + 1, 1 if SLOWNESS == 1 else 5):
            self.leave(self.client(), messages[:position], position)
        self.all_gone()
        wait_until(lambda: self.old.sessions() == 0, 60, "backends have ended")
        self.served()

    @staticmethod
    def leave(client, data, number):
        client.send(data)
        if number % 2:
            client.abort()
        else:
            client.close()

    def test_many_halves_are_held_and_disturb_nobody(self):
        raise_descriptor_limit()
        self.start()
        before = reset_peak(self.sidecar)
        count = 500
        clients = self.plain(count)
        for number, client in enumerate(clients):
            client.sendall(HALVES[number % len(HALVES)])
        wait_until(lambda: self.metric("sessions_open") == count, 20, "they are there")
        for _ in range(10):
            self.served()
        grew_less(self, self.sidecar, before, count * 16 * KIB)
        for client in clients:
            client.close()
        self.all_gone()


class Garbage(Served):
    """What is sent to the sidecar and to a server of the same kind: both say the same, and close alike."""

    def the_same(self, stream):
        with PgConn(self.old.port, limit_s=MINUTE_S * SLOWNESS) as direct, self.bare() as proxied:
            for client in (direct, proxied):
                client.send(stream)
                client.shutdown_write()
            for client in (direct, proxied):
                client.read_eof()
            told, seen = (re.sub(rb"K\0\0\0\x0c.{8}", b"K", bytes(client.received), flags=re.S)
                          for client in (direct, proxied))
            self.assertEqual(seen, told, stream[:200])

    def test_other_protocols_and_lengths_that_are_none(self):
        self.start()
        for stream in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"*1\r\n$4\r\nPING\r\n",
                       b"SSH-2.0-OpenSSH_9.2\r\n",
                       b"\xff\xfe\xfd", b"\0" * 100, b"\n", b"\xff" * 9,
                       *(length.to_bytes(4, "big") + b"\0\3\0\0user\0app\0\0" for length in
                         (0, 1, 3, 4, 7, 8, 9, 10_000, 10_004, 10_005, 0x7fffffff, 0x80000000, 0xffffffff)),
                       startup(0, user="app"), startup(1 << 16, user="app"), startup(2 << 16, user="app"),
                       startup(4 << 16, user="app"), startup(), startup(user=""), startup(database="app"),
                       startup(user="app", database="none"), startup(user="nobody"),
                       startup(user="app", nonsense="1"), startup(user="app", options="-c nosuch=1"),
                       START[:-1] + b"x", untyped(3 << 16, b"user\0app"), untyped(3 << 16, b"user\0app\0x\0"),
                       cancel(1, b""), cancel(1, b"1234"), cancel(1, b"x" * 300)):
            with self.subTest(stream=stream[:40]):
                self.the_same(stream)
        self.served()

    def test_garbage_of_a_client_that_is_logged_in(self):
        self.start()
        whole = query("select 1")
        for bad in (b"\0\0\0\0\0\0", START, b"GET / HTTP/1.1\r\n\r\n", b"Q\0\0\0\3abc", b"Q\xff\xff\xff\xff",
                    b"Q\x7f\xff\xff\xff", b"B\0\0\0\4",
                    b"S\0\0\0\5x", b"z\0\0\0\4", b"p\0\0\0\4", b"S\0\1\0\0" + b"x" * 65536, b"Q\0\0\0\4",
                    b"P\0\0\0\x05\0", b"X\0\0\0\5x"):
            with self.subTest(bad=bad[:20]):
                found = []
                for port in (self.old.port, self.port):
                    with PgConn(port, "app", limit_s=MINUTE_S * SLOWNESS) as client:
                        before = len(client.received)
                        client.send(whole + bad + whole)
                        client.shutdown_write()
                        client.read_eof()
                        found.append(bytes(client.received[before:]))
                self.assertEqual(found[1], found[0])
        self.served()

    def test_messages_with_a_few_bytes_wrong_end_nobody_else(self):
        self.start(server={"statement_timeout": "2s"})
        other = self.client()
        chance = random.Random(0x5EED)
        good = [query("select 1"), parse("s", "select $1::int"), bind("", "s", ["1"]), describe("P", ""),
                execute(""), SYNC, query("begin"), query("copy (select 1) to stdout"), query("rollback")]
        for number in range(300 if SLOWNESS == 1 else 60):
            stream = bytearray(b"".join(chance.choice(good) for _ in range(chance.randrange(1, 8))))
            for _ in range(chance.randrange(1, 4)):
                stream[chance.randrange(len(stream))] = chance.randrange(256)
            with PgConn(self.port, "app", limit_s=MINUTE_S) as client:
                client.send(bytes(stream))
                client.shutdown_write()
                client.read_eof()
            if number % 20 == 0:
                self.assertEqual(other.value("select 1"), "1")
        self.assertTrue(self.sidecar.alive())


class Deep(Served):
    def test_statements_without_end_are_harmless(self):
        self.start(server={"max_stack_depth": "2MB"})
        other = self.client()
        for sql in ("select 1" + "+1" * 500_000, "select " + "(" * 300_000 + "1" + ")" * 300_000,
                    "select " + "-" * 300_000, "select 1 " + "/*" * 3000, "select " + "not " * 200_000 +
                    "true", "select '" + "x" * 5_000_000 + "'", ";" * 500_000, "select 1;" * 1000):
            for data in (query(sql), parse("", sql) + bind("", "") + execute("") + SYNC):
                with self.subTest(sql=sql[:20], kind=chr(data[0])), PgConn(
                        self.port, "app", limit_s=MINUTE_S * SLOWNESS) as client:
                    client.send(data)
                    client.until("Z")
                    self.assertEqual(client.value("select 1"), "1")
            self.assertEqual(other.value("select 1"), "1")
        self.assertTrue(self.sidecar.alive())

    def test_many_parameters_and_columns(self):
        self.start()
        client = self.client()
        client.send(parse("", "select " + ",".join(f"${n}::int" for n in range(1, 1601))) +
                    bind("", "", [str(n) for n in range(1600)]) + execute("") + SYNC)
        [row] = [raw for raw in client.until("Z") if kind_of(raw) == "D"]
        self.assertEqual([int(one) for one in row_of(row)], list(range(1600)))


if __name__ == "__main__":
    unittest.main()
