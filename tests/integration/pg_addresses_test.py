"""A server whose name has several addresses is reached at the first one that speaks.

The sidecar runs in a mount namespace of its own, where /etc/hosts gives a name two addresses: [::1], where
something sick listens, and 127.0.0.1, where the server does.
"""

import os
import socket
import subprocess
import threading
import time
import unittest
from unittest import mock

from harness import SLOWNESS, Sidecar, binary, temp_folder
from pg_conn import PgConn
from pg_messages import startup
from postgres import PostgresServer

CONNECT_MS = int(500 * SLOWNESS)
NAMESPACE = ["unshare", "--map-root-user", "--mount"]
# What the sick address does with each connection: the bytes that it answers, and whether it then closes.
SICK = {"closes": (b"", True), "is silent": (b"", False), "babbles": (b"HTTP/1.1 400 Bad Request\r\n", False),
        "breaks the handshake off": (b"S", True), "stalls in the handshake": (b"S", False)}


def may_have_namespaces():
    return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


class SickAddress:
    """Listens at [::1]:port, as `how` of SICK says."""

    def __init__(self, port):
        self.how = "closes"
        self.met = 0
        self._open = []
        self._listener = socket.create_server(("::1", port), family=socket.AF_INET6)
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            one.close()

    def _accept(self):
        try:
            while True:
                client = self._listener.accept()[0]
                self.met += 1
                says, closes = SICK[self.how]
                client.recv(8)
                client.sendall(says)
                if closes:
                    client.close()
                else:
                    self._open.append(client)
        except OSError:
            pass


@unittest.skipUnless(may_have_namespaces(), "mount namespaces are not allowed here")
class Addresses(unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext(PostgresServer(15))
        self.sick = SickAddress(self.server.port)
        self.addCleanup(self.sick.stop)
        program = self.in_namespace("127.0.0.1 localhost\n::1 twofold\n127.0.0.1 twofold\n")
        with mock.patch.dict(os.environ, {"CROSSFADE_BIN": program}):
            self.sidecar = self.enterContext(Sidecar())
        self.sidecar.must("POST", "/endpoints?check=false", {
            "id": "old", "kind": "postgres",
            "config": {"host": "twofold", "port": self.server.port, "database": "app"}})
        self.port = self.sidecar.add_interlay("pg", "old", settings={"connect_timeout_ms": CONNECT_MS})

    def in_namespace(self, hosts):
        """A program that is the sidecar, and sees these hosts."""
        folder = temp_folder("hosts")
        with open(os.path.join(folder, "hosts"), "w", encoding="ascii") as file:
            file.write(hosts)
        program = os.path.join(folder, "crossfade")
        with open(program, "w", encoding="ascii") as file:
            file.write(f"""#!/bin/sh
exec {" ".join(NAMESPACE)} sh -c 'mount --bind "{folder}/hosts" /etc/hosts && exec "{binary()}" "$@"' sh "$@"
""")
        os.chmod(program, 0o755)
        return program

    def test_what_does_not_speak_at_one_address_is_reached_at_the_next(self):
        for how in SICK:
            with self.subTest(how):
                self.sick.how, met, began = how, self.sick.met, time.monotonic()
                with PgConn(self.port, "app", limit_s=10 * SLOWNESS) as client:
                    self.assertEqual(client.value("select 'served'"), "served")
                    self.assertEqual(self.sick.met, met + 1)
                    self.assertLess(time.monotonic() - began, 2 * CONNECT_MS / 1000 + SLOWNESS)
                    client.cancel()  # goes where the session is
                    self.assertEqual(client.value("select 'still'"), "still")
        self.assertEqual(self.sidecar.metric("crossfade_failures_total"), 0)

    def test_a_server_that_is_nowhere_is_unreachable(self):
        self.sick.how = "closes"
        self.server.kill()
        with PgConn(self.port, limit_s=10 * SLOWNESS) as client:
            client.send(startup(user="app", database="app"))
            self.assertIn(b"08006", client.read_eof()[-1])


if __name__ == "__main__":
    unittest.main()
