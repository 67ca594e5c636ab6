"""Logins against real PostgreSQL: our client logs in to a server, psql logs in to our server, and both
servers say the same to a client that is wrong.

scram_probe/ is our side. The server here is a small one of this file's own; it is given up once there is one
for all tests.
"""

import base64
import contextlib
import os
import pwd
import re
import shutil
import socket
import ssl
import struct
import subprocess
import unittest

from children import SLOWNESS, end, free_port, spawn, temp_folder, wait_until
from harness import binary

BIN = "/usr/lib/postgresql/15/bin"
PASSWORDS = ("pencil", "Ⅸ pencil", "I\u00adX", "\u00ad", "\u0627a\u0628", "kéy 🔑", "a\u00a0b", "\u2168\u0340",
             "tab\t\x07", "x" * 300)
PROBE = os.path.join(os.path.dirname(binary()), "tests", "scram_probe")


def as_postgres(argv):
    if os.geteuid() != 0:
        return argv
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *argv]


def run(*argv):
    subprocess.run(argv, check=True, capture_output=True)


class Server:
    """PostgreSQL 15 with TLS, which asks each user for what its name begins with."""

    def __init__(self):
        self.folder = temp_folder("scram")
        self.data = os.path.join(self.folder, "data")
        self.certificate = os.path.join(self.folder, "server.crt")
        self.key = os.path.join(self.folder, "server.key")
        self.port = free_port()
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-sha384", "-days", "2", "-subj", "/CN=localhost", "-keyout", self.key, "-out", self.certificate)
        self._give()
        run(*as_postgres([f"{BIN}/initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                          "--locale=C", "--no-sync", "--no-instructions"]))
        with open(os.path.join(self.data, "pg_hba.conf"), "w", encoding="utf-8") as hba:
            hba.write("local all postgres trust\n")
            for method in ("trust", "password", "md5", "scram"):
                name = "scram-sha-256" if method == "scram" else method
                hba.write(f"host all +{method} 127.0.0.1/32 {name}\n")
            hba.write("host all all 127.0.0.1/32 scram-sha-256\n")
        self.log = open(os.path.join(self.folder, "log"), "w", encoding="utf-8")
        settings = {"port": self.port, "unix_socket_directories": self.folder,
                    "listen_addresses": "127.0.0.1", "fsync": "off", "ssl": "on",
                    "ssl_cert_file": self.certificate, "ssl_key_file": self.key,
                    "shared_buffers": "8MB", "autovacuum": "off", "jit": "off"}
        argv = [f"{BIN}/postgres", "-D", self.data]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        self.child = spawn(as_postgres(argv), stdout=self.log, stderr=self.log)
        wait_until(lambda: self._psql("SELECT 1").returncode == 0, 20, "PostgreSQL answers")

    def _give(self):
        if os.geteuid() != 0:
            return
        shutil.chown(self.folder, "postgres", "postgres")
        for name in os.listdir(self.folder):
            shutil.chown(os.path.join(self.folder, name), "postgres", "postgres")
        assert pwd.getpwnam("postgres")

    def _psql(self, statement):
        argv = ["psql", "-XqAtv", "ON_ERROR_STOP=1", "-h", self.folder, "-p", str(self.port), "-U",
                "postgres", "-f", "-"]
        return subprocess.run(argv, input=statement, capture_output=True, text=True, check=False)

    def sql(self, statement):
        done = self._psql(statement)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def role(self, name, method, password, more=""):
        """Creates a login and returns its verifier."""
        stored = "md5" if method == "md5" else "scram-sha-256"
        return self.sql(f"SET client_min_messages = warning; SET password_encryption = '{stored}';"
                        f"CREATE ROLE {name} LOGIN IN ROLE {method} PASSWORD $q${password}$q$ {more};"
                        f"SELECT rolpassword FROM pg_authid WHERE rolname = '{name}'")

    def stop(self):
        end(self.child)
        self.log.close()


def probe(*words):
    done = subprocess.run([PROBE, *map(str, words)], capture_output=True, text=True, timeout=30 * SLOWNESS,
                          check=False)
    return done.stdout.strip()


def setUpModule():
    global server
    server = Server()
    for method in ("trust", "password", "md5", "scram"):
        server.sql(f"CREATE ROLE {method}")
    unittest.addModuleCleanup(server.stop)


class OurClient(unittest.TestCase):
    def log_in(self, user, *secret, flags=()):
        return probe("login", server.port, user, *flags, *secret)

    def test_every_password_that_a_server_has_hashed_logs_in_and_so_do_its_keys(self):
        for number, password in enumerate(PASSWORDS):
            with self.subTest(password=password):
                server.role(f"typed{number}", "scram", password)
                ended = self.log_in(f"typed{number}", "password", password)
                self.assertRegex(ended, "^in [0-9a-f]+:4096:")
                keys = ended.split()[1]
                self.assertEqual(self.log_in(f"typed{number}", "keys", keys), ended)
                self.assertIn("28P01", self.log_in(f"typed{number}", "password", password + "!"))

    def test_each_method_takes_what_it_asks_for(self):
        server.role("trusted", "trust", "pencil")
        server.role("plain", "password", "pencil")
        verifier = server.role("older", "md5", "pencil")
        self.assertEqual(self.log_in("trusted", "none"), "in -")
        self.assertEqual(self.log_in("plain", "password", "pencil", flags=["--cleartext"]), "in -")
        self.assertEqual(self.log_in("older", "password", "pencil"), "in -")
        self.assertEqual(self.log_in("older", "md5", verifier), "in -")
        for user, flags in (("plain", ["--cleartext"]), ("older", [])):
            self.assertIn("refused 28P01", self.log_in(user, "password", "pen", flags=flags))
        self.assertIn("clear text", self.log_in("plain", "password", "pencil"))
        self.assertIn("the server asks for md5", self.log_in("older", "none"))
        self.assertIn("SCRAM-SHA-256", self.log_in("nobody", "none"))

    def test_channel_binding_is_used_over_tls_by_passwords_and_by_keys(self):
        server.role("bound", "scram", "pencil")
        ended = self.log_in("bound", "password", "pencil", flags=["--tls"])
        self.assertRegex(ended, "^in ")
        self.assertEqual(self.log_in("bound", "keys", ended.split()[1], flags=["--tls"]), ended)
        self.assertIn("28P01", self.log_in("bound", "password", "pen", flags=["--tls"]))

    def test_keys_of_another_verifier_are_not_tried(self):
        server.role("first", "scram", "pencil")
        server.role("second", "scram", "pencil")
        keys = self.log_in("first", "password", "pencil").split()[1]
        self.assertIn("same verifier", self.log_in("second", "keys", keys))


class Serving:
    """Our server side, for psql."""

    def __init__(self, *words):
        self.child = spawn([PROBE, "serve", *words], stdout=subprocess.PIPE, text=True)
        self.port = int(self.child.stdout.readline())

    def psql(self, user, password, sslmode="disable", binding="prefer"):
        """(exit code, what psql says, what our server says)"""
        url = f"host=127.0.0.1 port={self.port} user={user} dbname=postgres sslmode={sslmode} " \
              f"channel_binding={binding} connect_timeout=20"
        done = subprocess.run(["psql", "-XAtc", "SELECT 1", url], capture_output=True, text=True, check=False,
                              env={**os.environ, "PGPASSWORD": password}, timeout=30 * SLOWNESS)
        return done.returncode, done.stderr.strip(), self.child.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.child)
        self.child.stdout.close()


class OurServer(unittest.TestCase):
    def test_psql_logs_in_by_each_password_and_its_keys_log_in_to_the_real_server(self):
        for number, password in enumerate(PASSWORDS[:6]):
            with self.subTest(password=password):
                verifier = server.role(f"ended{number}", "scram", password)
                with Serving(verifier) as ours:
                    code, said, ended = ours.psql(f"ended{number}", password)
                    self.assertEqual(code, 0, said)
                    self.assertRegex(ended, "^in ")
                    code, said, refused = ours.psql(f"ended{number}", password + "!")
                    self.assertEqual((code, refused), (2, "refused"), said)
                again = probe("login", server.port, f"ended{number}", "keys", ended.split()[1])
                self.assertEqual(again, ended)

    def test_channel_binding_is_required_and_met(self):
        verifier = server.role("required", "scram", "pencil")
        with Serving(verifier, server.certificate, server.key) as ours:
            code, said, ended = ours.psql("required", "pencil", "require", "require")
            self.assertEqual(code, 0, said)
            code, said, _ = ours.psql("required", "pencil", "require", "disable")
            self.assertEqual(code, 0, said)
        self.assertEqual(probe("login", server.port, "required", "--tls", "keys", ended.split()[1]), ended)

    def test_psql_hears_the_same_of_a_wrong_password_an_unknown_user_and_the_real_server(self):
        verifier = server.role("somebody", "scram", "pencil")
        server.role("expired", "scram", "pencil", "VALID UNTIL '2001-01-01'")

        def words(said):
            return re.sub(r"port \d+", "port N", said)
        with Serving(verifier) as known, Serving("mock") as unknown:
            wrong = words(known.psql("somebody", "pen")[1])
            self.assertEqual(words(unknown.psql("somebody", "pencil")[1]), wrong)
        real = Real()
        self.assertEqual(words(real.psql("somebody", "pen")), wrong)
        self.assertEqual(words(real.psql("expired", "pencil")), wrong.replace("somebody", "expired"))


class Real:
    """The real server, as psql and as our own hand see it."""

    def psql(self, user, password):
        url = f"host=127.0.0.1 port={server.port} user={user} dbname=postgres sslmode=disable"
        done = subprocess.run(["psql", "-XAtc", "SELECT 1", url], capture_output=True, text=True, check=False,
                              env={**os.environ, "PGPASSWORD": password}, timeout=30 * SLOWNESS)
        return done.stderr.strip()


def exact(connection, size):
    got = b""
    while len(got) < size:
        part = connection.recv(size - len(got))
        if not part:
            raise ConnectionError(got)
        got += part
    return got


def connected(tls):
    """A connection to the real server."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20 * SLOWNESS)
    if not tls:
        return connection
    connection.sendall(struct.pack("!II", 8, 80877103))
    assert exact(connection, 1) == b"S"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection)


def take(connection):
    kind, length = struct.unpack("!cI", exact(connection, 5))
    return kind, exact(connection, length - 4)


def initial(data, mechanism=b"SCRAM-SHA-256", size=None):
    return mechanism + b"\0" + struct.pack("!i", len(data) if size is None else size) + data


def final(nonce, before=b"c=biws,r=", after=b"", proof=b"p" * 32):
    return before + nonce + after + b",p=" + base64.b64encode(proof)


class SameWords(unittest.TestCase):
    """What is wrong with a message is said by our server in the words of the real one."""

    def real(self, bodies, tls=False):
        """How a server takes them, as `scram_probe exchange` says it; the nonce in them is put in."""
        start = struct.pack("!I", 3 << 16) + b"user\0ann\0database\0postgres\0\0"
        said = []
        with contextlib.closing(connected(tls)) as connection:
            connection.sendall(struct.pack("!I", len(start) + 4) + start)
            take(connection)
            nonce = b""
            for body in bodies:
                body = body.replace(b"NONCE", nonce)
                connection.sendall(b"p" + struct.pack("!I", len(body) + 4) + body)
                kind, answer = take(connection)
                if kind == b"R":
                    said.append(f"challenge {len(answer) - 4}")
                    nonce = answer[4:].split(b",")[0][2:]
                    continue
                fields = {part[:1]: part[1:].decode() for part in answer.split(b"\0") if part}
                self.assertEqual(fields[b"S"], "FATAL")
                said.append(f"refused {fields[b'C']} {fields[b'M']}|{fields.get(b'D', '')}")
                break
        return said

    def ours(self, bodies, tls=False):
        """Our nonce comes with our first answer, as a real one does: so the probe is asked twice."""
        nonce = self.nonce(bodies[0]) if len(bodies) > 1 else b""
        sent = [body.replace(b"NONCE", nonce) for body in bodies]
        certificate = [server.certificate] if tls else []
        return probe("exchange", *certificate, *[body.hex() for body in sent]).split("\n")

    @staticmethod
    def nonce(first):
        found = re.search(b"r=([^,]*)", first)
        return found[1] + b"A" * 24 if found else b""  # the nonce of `exchange`

    def test_first_messages(self):
        first = b"n,,n=,r=client"
        bodies = [initial(first), initial(first, size=-1), initial(b"", size=-1), initial(b""),
                  initial(first + b"\0"), initial(first, size=99), initial(first, size=3),
                  initial(first, size=-2), b"", b"SCRAM-SHA-256", b"SCRAM-SHA-256\0",
                  b"SCRAM-SHA-256\0\0\0", initial(first, b"SCRAM-SHA-256-PLUS"),
                  initial(first, b"scram-sha-256"), initial(first, b"")]
        texts = [b"y,,n=,r=client", b"x,,n=,r=c", b"\x01,,", b"\xff,,", b" ", b"n", b"n;", b"n,", b"n,,",
                 b"n,a=bob,n=,r=c", b"n,b=c,n=,r=c", b"n,\x80", b"n,,m=x,n=,r=c", b"n,,r=c", b"n,,n",
                 b"n,,n=", b"n,,n=,", b"n,,n=,r", b"n,,n=,r=", b"n,,n=bob,r=c", b"n,,n=,r=c,",
                 b"n,,n=,r=c,,", b"n,,n=,r=c,x", b"n,,n=,r=c,x=", b"n,,n=,r=c,1=y", b"n,,n=,r=c,x=y,z=",
                 b"n,,n=,r=a b", b"n,,n=,r=\x7f", b"n,,n=,r=\xc3\xa9", b"p=tls-unique,,n=,r=c",
                 b"p=tls-server-end-point,,n=,r=c", b"p", b"p,,", b"n,,n=,r=" + b"c" * 960,
                 b"n,,n=,r=" + b"c" * 994, b"n,,n=,r=" + b"c" * 995, b"n,,n=,r=" + b"c" * 2000]
        for body in bodies + [initial(text) for text in texts]:
            with self.subTest(body=body):
                self.assertEqual(self.ours([body]), self.real([body]))

    def test_last_messages(self):
        first = initial(b"n,,n=,r=client")
        right = final(b"NONCE")
        bodies = [right, right + b",", right + b",x=y", right + b"\0", b"",
                  final(b"NONCE", after=b",x=y,z="), final(b"NONCE", after=b",1=y"),
                  final(b"NONCE", after=b",x"), final(b"NONCE", b"c=eSws,r="), final(b"NONCE", b"c=,r="),
                  final(b"NONCE", b"c=biws,"), final(b"NONCE", b"r="), final(b"NONCEx"), final(b"client"),
                  final(b""), final(b"NONCE", proof=b""), final(b"NONCE", proof=b"p" * 31),
                  final(b"NONCE", proof=b"p" * 33), b"c=biws,r=NONCE", b"c=biws,r=NONCE,",
                  b"c=biws,r=NONCE,p", b"c=biws,r=NONCE,p=!", b"c=biws", b"c", b"x=",
                  final(b"NONCE", after=b",x=" + b"y" * 1000)]
        for body in bodies:
            with self.subTest(body=body):
                self.assertEqual(self.ours([first, body]), self.real([first, body]))
        self.assertEqual(self.ours([first, right])[1],
                         'refused 28P01 password authentication failed for user "ann"|')

    def test_channel_binding(self):
        plus = b"SCRAM-SHA-256-PLUS"
        bound = initial(b"p=tls-server-end-point,,n=,r=client", plus)
        header = base64.b64encode(b"p=tls-server-end-point,," + b"h" * 48)
        exchanges = [[initial(b"n,,n=,r=client")], [initial(b"y,,n=,r=client")], [bound],
                     [initial(b"p=tls-server-end-point,,n=,r=client")], [initial(b"n,,n=,r=client", plus)],
                     [initial(b"y,,n=,r=client", plus)], [initial(b"p=tls-unique,,n=,r=c", plus)],
                     [initial(b"p=a\x01\xffb" + b"c" * 50 + b",,n=,r=c", plus)],
                     [initial(b"p=,,n=,r=c", plus)],
                     [initial(b"p", plus)], [initial(b"p=tls-server-end-point", plus)],
                     [initial(b"p=tls-server-end-point,a=b,n=,r=c", plus)],
                     [bound, final(b"NONCE")], [bound, final(b"NONCE", b"c=" + header + b",r=")]]
        for bodies in exchanges:
            with self.subTest(bodies=bodies):
                self.assertEqual(self.ours(bodies, tls=True), self.real(bodies, tls=True))


if __name__ == "__main__":
    unittest.main()
