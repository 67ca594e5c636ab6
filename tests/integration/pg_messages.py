"""PostgreSQL's messages as bytes: the client's are made here, the server's are cut and read here.

Promise: `MessageCutter` yields the exact bytes of every message of a server, however they arrived.
Source: PostgreSQL documentation, "Message Formats"; protocol 3.0 and 3.2. Knows no sockets.
"""

import struct

VERSION_3_0 = 3 << 16
VERSION_3_2 = 3 << 16 | 2
SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104
CANCEL_REQUEST = 80877102


class Broken(Exception):
    """Bytes that no PostgreSQL server sends."""


def text(value):
    """A string as the protocol writes it: UTF-8 and a zero byte."""
    return (value.encode() if isinstance(value, str) else bytes(value)) + b"\0"


def message(kind, body=b""):
    return kind.encode("latin-1") + struct.pack("!I", len(body) + 4) + body


# What comes before the first message


def untyped(code, body=b""):
    """A packet without a type byte: its length, a code, the rest."""
    return struct.pack("!II", len(body) + 8, code) + body


def startup(version=VERSION_3_0, **parameters):
    """The start-up packet. A name with '.' (`_pq_.x`) is given as a dict: startup(**{"_pq_.x": "1"})."""
    body = b"".join(text(name) + text(value) for name, value in parameters.items())
    return untyped(version, body + b"\0")


def cancel(pid, key):
    return untyped(CANCEL_REQUEST, struct.pack("!I", pid) + key)


# A client's messages


def query(sql):
    return message("Q", text(sql))


def parse(name, sql, oids=()):
    return message("P", text(name) + text(sql) + struct.pack(f"!H{len(oids)}I", len(oids), *oids))


def values(params):
    """Parameters, each bytes, text, or None for NULL, with their count in front."""
    out = [struct.pack("!H", len(params))]
    for one in params:
        data = one.encode() if isinstance(one, str) else one
        out.append(struct.pack("!i", -1) if data is None else struct.pack("!i", len(data)) + data)
    return b"".join(out)


def formats(codes):
    return struct.pack(f"!H{len(codes)}H", len(codes), *codes)


def bind(portal, statement, params=(), given=(), wanted=()):
    """`given`, `wanted`: format codes of the parameters and of the columns, 0 text, 1 binary."""
    return message("B", text(portal) + text(statement) + formats(given) + values(params) +
                   formats(wanted))


def describe(kind, name):
    """`kind`: S for a statement, P for a portal; so for close()."""
    return message("D", kind.encode() + text(name))


def close(kind, name):
    return message("C", kind.encode() + text(name))


def execute(portal, rows_max=0):
    return message("E", text(portal) + struct.pack("!I", rows_max))


def function_call(oid, args=(), given=(), wanted=0):
    return message("F", struct.pack("!I", oid) + formats(given) + values(args) +
                   struct.pack("!H", wanted))


SYNC = message("S")
FLUSH = message("H")
TERMINATE = message("X")
COPY_DONE = message("c")


def copy_data(data):
    return message("d", data)


def copy_fail(reason):
    return message("f", text(reason))


def password(value):
    return message("p", text(value))


# A server's messages


class MessageCutter:
    """Cuts a server's stream into messages. After `expect_byte()` the next one is a single byte, as
    SSLRequest and GSSENCRequest are answered; cost: O(bytes) in total, however they are split."""

    def __init__(self):
        self._bytes = bytearray()
        self._lone_bytes = 0

    def feed(self, data):
        self._bytes += data

    def expect_byte(self):
        self._lone_bytes += 1

    @property
    def rest(self):
        """Bytes of a message that is not whole yet."""
        return bytes(self._bytes)

    def next(self):
        """The bytes of the next whole message, or None."""
        size = 1 if self._lone_bytes else self._size()
        if size is None or len(self._bytes) < size:
            return None
        if self._lone_bytes:
            self._lone_bytes -= 1
        found = bytes(self._bytes[:size])
        del self._bytes[:size]
        return found

    def _size(self):
        if len(self._bytes) < 5:
            return None
        length = struct.unpack_from("!I", self._bytes, 1)[0]
        if length < 4 or not chr(self._bytes[0]).isalnum():
            raise Broken(f"no message: {bytes(self._bytes[:80])!r}")
        return 1 + length


def kind_of(raw):
    """The type of a server's message, as text of one letter."""
    return chr(raw[0])


def body_of(raw):
    return raw[5:]


def strings_of(data):
    """The zero-terminated strings that these bytes consist of."""
    return [one.decode("utf-8", "backslashreplace") for one in data.split(b"\0")[:-1]]


def fields_of(raw):
    """An ErrorResponse or NoticeResponse as {letter: text}."""
    return {one[0]: one[1:] for one in strings_of(body_of(raw)) if one}


def row_of(raw):
    """A DataRow as a list of bytes and None."""
    body, columns, position = body_of(raw), [], 2
    for _ in range(struct.unpack_from("!H", body)[0]):
        size = struct.unpack_from("!i", body, position)[0]
        position += 4
        columns.append(None if size < 0 else body[position:position + size])
        position += max(size, 0)
    return columns


def columns_of(raw):
    """A RowDescription as [(name, table oid, column number, type oid, type size, modifier, format)]."""
    body, columns, position = body_of(raw), [], 2
    for _ in range(struct.unpack_from("!H", body)[0]):
        end = body.index(b"\0", position)
        name = body[position:end].decode("utf-8", "backslashreplace")
        columns.append((name, *struct.unpack_from("!IhIhih", body, end + 1)))
        position = end + 19
    return columns
