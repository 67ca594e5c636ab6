"""RESP2 and RESP3 as a client sees them: where replies end, what they say, and a plain connection.

Promise: `ReplyCutter` yields the exact bytes of every top-level reply, however the bytes arrived;
`value_of` turns those bytes into Python values. `RawConn` sends bytes as they are given and never
adds or drops one. Knows nothing of servers, sidecars or tests.
"""

import errno
import select
import socket
import ssl
import struct
import time

AGGREGATES = b"*%~>|"
LINES = b"+-:,#_("
WAITS = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
BLOBS = b"$=!"


class ReplyError(Exception):
    """An error reply, as a value: `str(error)` is its text without the leading '-'."""

    def __eq__(self, other):
        return isinstance(other, ReplyError) and str(self) == str(other)

    __hash__ = Exception.__hash__


class Push(list):
    """A RESP3 push frame ('>')."""


class Broken(Exception):
    """Bytes that no RESP server sends."""


class ReplyCutter:
    """Cuts a stream into top-level replies. Attributes ('|') belong to the reply they precede.

    cost: O(bytes) in total, however the bytes are split, and whatever the nesting.
    """

    def __init__(self):
        self._bytes = bytearray()
        self._position = 0
        self._outstanding = 1

    def feed(self, data):
        self._bytes += data

    @property
    def rest(self):
        """Bytes of a reply that is not whole yet."""
        return bytes(self._bytes)

    def next(self):
        """The bytes of the next whole reply, or None."""
        while self._outstanding:
            line_end = self._bytes.find(b"\r\n", self._position)
            if line_end < 0:
                return None
            kind = self._bytes[self._position]
            line = bytes(self._bytes[self._position + 1:line_end])
            after = line_end + 2
            if kind in BLOBS:
                size = self._number(line)
                if size >= 0:
                    if len(self._bytes) < after + size + 2:
                        return None
                    after += size + 2
                self._outstanding -= 1
            elif kind in AGGREGATES:
                count = max(self._number(line), 0)
                if kind == ord("%"):
                    count *= 2
                # An attribute is extra: after its pairs the value it describes is still to come.
                self._outstanding += count * 2 if kind == ord("|") else count - 1
            elif kind in LINES:
                self._outstanding -= 1
            else:
                raise Broken(f"type byte {kind:#x} in {bytes(self._bytes[:80])!r}")
            self._position = after
        reply = bytes(self._bytes[:self._position])
        del self._bytes[:self._position]
        self._position = 0
        self._outstanding = 1
        return reply

    @staticmethod
    def _number(line):
        try:
            return int(line)
        except ValueError as error:
            raise Broken(f"length {line[:40]!r}") from error


def value_of(raw):
    """The Python value of one whole reply: str (simple), bytes (bulk, verbatim text), int, float,
    bool, None, list, dict, Push, or a ReplyError that is returned, not raised."""
    value, position = _parse(raw, 0)
    assert position == len(raw), raw
    return value


def _parse(raw, position):
    line_end = raw.index(b"\r\n", position)
    kind = raw[position:position + 1]
    line = raw[position + 1:line_end]
    position = line_end + 2
    if kind == b"+":
        return line.decode("latin-1"), position
    if kind == b"-":
        return ReplyError(line.decode("latin-1")), position
    if kind in (b":", b"("):
        return int(line), position
    if kind == b",":
        return float(line), position
    if kind == b"#":
        return line == b"t", position
    if kind == b"_":
        return None, position
    if kind in (b"$", b"=", b"!"):
        size = int(line)
        if size < 0:
            return None, position
        body = raw[position:position + size]
        position += size + 2
        if kind == b"=":
            body = body[4:]
        return (ReplyError(body.decode("latin-1")) if kind == b"!" else body), position
    count = int(line)
    if count < 0:
        return None, position
    if kind in (b"%", b"|"):
        pairs = []
        for _ in range(count):
            key, position = _parse(raw, position)
            item, position = _parse(raw, position)
            pairs.append((key, item))
        if kind == b"|":
            return _parse(raw, position)
        return {_hashable(key): item for key, item in pairs}, position
    items = Push() if kind == b">" else []
    for _ in range(count):
        item, position = _parse(raw, position)
        items.append(item)
    return items, position


def _hashable(key):
    return tuple(key) if isinstance(key, list) else key


def encode(*args):
    """One request as a RESP array of bulks; str is UTF-8, numbers are written as text."""
    out = [b"*%d\r\n" % len(args)]
    for arg in args:
        if isinstance(arg, str):
            arg = arg.encode()
        elif not isinstance(arg, (bytes, bytearray)):
            arg = str(arg).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(arg), arg))
    return b"".join(out)


class RawConn:
    """A TCP client that keeps every byte it was sent.

    `received` is the whole stream so far; `eof` is None while the peer has not ended it, then "eof"
    or "reset". Every wait has a limit; passing it raises TimeoutError that says what had arrived.
    """

    def __init__(self, port, host="127.0.0.1", limit_s=5.0, receive_buffer=None, tls=None,
                 session=None, source=None):
        """`tls`: an ssl.SSLContext to speak TLS with; `session`: one of its sessions to resume;
        `source`: the address to come from."""
        local = host.startswith("/")  # the path of a Unix socket, which has no port
        self.socket = socket.socket(socket.AF_UNIX if local else socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(limit_s)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect(host if local else (host, port))
        if not local:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=host, session=session)
        self.tls = tls
        self.socket.setblocking(False)
        self.limit_s = limit_s
        self.received = bytearray()
        self.eof = None
        self._cutter = ReplyCutter()
        self._ready = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Sending. Replies are taken in meanwhile, so that a long pipeline cannot lock both ends.

    def send(self, data, limit_s=None):
        """Sends all of it; a peer that has gone is noticed by the reader, not here."""
        view = memoryview(data)
        end = time.monotonic() + (limit_s or max(self.limit_s, 30.0))
        while view:
            self._poll(0)
            try:
                view = view[self.socket.send(view):]
                continue
            except WAITS:
                pass
            except OSError as error:
                if error.errno in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN):
                    return
                raise
            if time.monotonic() > end:
                raise TimeoutError(f"{len(view)} bytes could not be sent")
            reading = [self.socket] if self.eof is None else []
            select.select(reading, [self.socket], [], 0.1)

    def command(self, *args):
        self.send(encode(*args))

    def shutdown_write(self):
        try:
            # Under TLS, too, without a word of it: Python's own way to say it reads on, and throws
            # away what comes.
            socket.socket.shutdown(self.socket, socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.socket.close()

    def abort(self):
        """Closes with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # Receiving.

    def read_raw(self, limit_s=None):
        """The bytes of the next reply; EOFError when the stream has ended before it."""
        end = time.monotonic() + (self.limit_s if limit_s is None else limit_s)
        while True:
            reply = self._ready.pop(0) if self._ready else self._cutter.next()
            if reply is not None:
                return reply
            if self.eof:
                raise EOFError(f"{self.eof} after {bytes(self.received[-200:])!r}")
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no whole reply; last bytes {bytes(self.received[-200:])!r}")
            self._poll(left)

    def read(self, limit_s=None):
        return value_of(self.read_raw(limit_s))

    def replies(self, count, limit_s=None):
        """The raw bytes of the next `count` replies."""
        return [self.read_raw(limit_s) for _ in range(count)]

    def call(self, *args, limit_s=None):
        """Sends one command and returns its reply's value; an error reply is returned as ReplyError."""
        self.command(*args)
        return self.read(limit_s)

    def available(self):
        """Raw replies that have arrived by now, without waiting."""
        self._poll(0)
        out = []
        while (reply := self._cutter.next()) is not None:
            out.append(reply)
        return out

    def read_idle(self, idle_s=0.05, limit_s=None):
        """Raw replies until nothing has arrived for `idle_s` or the stream ended."""
        end = time.monotonic() + (self.limit_s if limit_s is None else limit_s)
        while self.eof is None and time.monotonic() < end:
            before = len(self.received)
            self._poll(idle_s)
            if len(self.received) == before:
                break
        return self.available()

    def read_eof(self, limit_s=None):
        """Reads until the peer ends the stream; returns the raw replies that came before that."""
        end = time.monotonic() + (self.limit_s if limit_s is None else limit_s)
        while self.eof is None:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"not closed; last bytes {bytes(self.received[-200:])!r}")
            self._poll(left)
        return self.available()

    @property
    def rest(self):
        """Bytes that arrived and are no whole reply."""
        return self._cutter.rest

    def _poll(self, limit_s):
        """Takes in what is there, waiting at most `limit_s` for the first of it."""
        if self.eof is not None:
            return
        if limit_s > 0 and not select.select([self.socket], [], [], limit_s)[0]:
            return
        while True:
            try:
                data = self.socket.recv(1 << 18)
            except WAITS:
                return
            except ssl.SSLZeroReturnError:  # both ends have said so
                data = b""
            except OSError:
                self.eof = "reset"
                return
            if not data:
                self.eof = "eof"
                return
            self.received += data
            self._cutter.feed(data)
            if len(data) < 1 << 18 and not self.tls:  # TLS may have more that select does not see
                return
