"""A PostgreSQL client without a driver: sends messages as they are given, keeps every byte that comes back.

    with PgConn(port, user="app", database="app") as conn:      # logged in
        conn.send(query("SELECT 1"))
        conn.until("Z")                    # [raw message, …] up to and with the next ReadyForQuery
        conn.rows("SELECT 1")              # [["1"]]; ServerError for an ErrorResponse
    PgConn(port)                           # without a user: connected only, start-up is the test's affair
"""

import ssl
import struct
import time

from pg_login import Login
from pg_messages import (SSL_REQUEST, TERMINATE, VERSION_3_0, MessageCutter, body_of, cancel, fields_of,
                         kind_of, query, row_of, startup, untyped)
from pg_text import lines_of
from resp import RawConn


class ServerError(Exception):
    """An ErrorResponse: `.code` is its SQLSTATE, `.fields` all of it."""

    def __init__(self, raw):
        self.fields = fields_of(raw)
        self.code = self.fields["C"]
        super().__init__(f"{self.code} {self.fields['M']}")


def is_fatal(raw):
    return kind_of(raw) == "E" and fields_of(raw).get("V") in ("FATAL", "PANIC")


class TlsSocket:
    """A TLS client connection that looks like the non-blocking socket under it."""

    def __init__(self, plain, context, name):
        plain.setblocking(True)
        self._tls = context.wrap_socket(plain, server_hostname=name)
        self._tls.setblocking(False)
        self.version = self._tls.version

    def recv(self, size):
        found = b""
        while len(found) < size:  # what TLS holds back shows in no select()
            try:
                part = self._tls.recv(size - len(found))
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if found:
                    return found
                raise BlockingIOError from None
            if not part:
                break
            found += part
        return found

    def send(self, data):
        try:
            return self._tls.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None

    def __getattr__(self, name):
        return getattr(self._tls, name)


class PgConn(RawConn):
    """`host` beginning with '/': the path of a Unix socket. `received` has every byte.

    user        logs in at once, with `password` if one is asked for; None: not even start-up is sent
    version     of the protocol
    tls         an ssl.SSLContext: SSLRequest, then TLS
    direct_tls  an ssl.SSLContext: TLS from the first byte, as servers from 17 on take it
    parameters  further ones of start-up
    """

    def __init__(self, port, user=None, database=None, host="127.0.0.1", limit_s=5.0, password=None,
                 version=VERSION_3_0, tls=None, direct_tls=None, receive_buffer=None, source=None,
                 **parameters):
        super().__init__(port, host, limit_s, receive_buffer, source=source)
        self._cutter = MessageCutter()
        self._address = (port, host)
        self.pid, self.key = None, None
        self.parameters = {}
        self.greeting = []  # what came back for start-up
        if tls:
            self.start_tls(tls)
        if direct_tls:
            direct_tls.set_alpn_protocols(["postgresql"])
            self.socket = TlsSocket(self.socket, direct_tls, "localhost")
        if user:
            try:
                self.log_in(user, database or user, password, version, **parameters)
            except BaseException:
                self.close()
                raise

    # Starting

    def start_tls(self, context, name="localhost"):
        self.expect_byte()
        self.send(untyped(SSL_REQUEST))
        answer = self.read_raw()
        if answer != b"S":
            raise ConnectionError(f"no TLS here: {answer!r}")
        self.socket = TlsSocket(self.socket, context, name)

    def expect_byte(self):
        """The next answer is one byte: before SSLRequest or GSSENCRequest is sent."""
        self._cutter.expect_byte()

    def log_in(self, user, database, password=None, version=VERSION_3_0, **parameters):
        """Start-up and login; ServerError when it is refused."""
        self.send(startup(version, user=user, database=database, **parameters))
        self.answer_login(user, password)

    def answer_login(self, user, password):
        """Answers what the server asks for after start-up, up to the first ReadyForQuery."""
        login = Login(user, password)
        while True:
            raw = self.read_raw()
            self.greeting.append(raw)
            if kind_of(raw) == "E":
                raise ServerError(raw)
            if kind_of(raw) == "R":
                answer = login.answer(raw)
                if answer:
                    self.send(answer)
            elif kind_of(raw) == "K":
                self.pid, self.key = struct.unpack_from("!I", raw, 5)[0], raw[9:]
            elif kind_of(raw) == "S":
                name, value = body_of(raw)[:-1].decode().split("\0")
                self.parameters[name] = value
            elif kind_of(raw) == "Z":
                return

    # Talking

    def until(self, kind, limit_s=None):
        """Messages up to and with the next of this type; EOFError, TimeoutError tell what came instead."""
        end = time.monotonic() + (limit_s or self.limit_s)
        found = []
        try:
            while not found or kind_of(found[-1]) != kind:
                found.append(self.read_raw(max(end - time.monotonic(), 0)))
        except (EOFError, TimeoutError) as error:
            raise type(error)(f"no {kind}: {type(error).__name__} after {lines_of(found[-5:])}") from None
        return found

    def ask(self, sql, limit_s=None):
        """A simple query's messages, up to ReadyForQuery or to an error that ends the session."""
        self.send(query(sql))
        found = [self.read_raw(limit_s)]
        while kind_of(found[-1]) != "Z" and not is_fatal(found[-1]):
            found.append(self.read_raw(limit_s))
        return found

    def rows(self, sql, limit_s=None):
        """All rows as lists of text and None; the first ErrorResponse is raised as ServerError."""
        messages = self.ask(sql, limit_s)
        for raw in messages:
            if kind_of(raw) == "E":
                raise ServerError(raw)
        return [[None if one is None else one.decode() for one in row_of(raw)]
                for raw in messages if kind_of(raw) == "D"]

    def value(self, sql, limit_s=None):
        """The first column of the only row."""
        [[value]] = self.rows(sql, limit_s)
        return value

    def cancel(self, key=None):
        """Asks on a connection of its own that the query of this one be cancelled, and waits for its end."""
        port, host = self._address
        with PgConn(port, host=host, limit_s=self.limit_s) as other:
            other.send(cancel(self.pid, self.key if key is None else key))
            other.read_eof()

    def terminate(self):
        self.send(TERMINATE)
        self.close()
