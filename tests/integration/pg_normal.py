"""What differs between two servers that do the same, taken out of their messages: keys, pids, salts, and oids
that a server chose itself.

A pid becomes the name of the connection that was told it, so a notification must still come from whom it
came. Everything else stays byte for byte.
"""

import re
import struct

from pg_messages import body_of, columns_of, kind_of, message, text

FIRST_OWN_OID = 16384  # below are those of initdb, which are the same everywhere


class Normaliser:
    """One play of a script; `names_of_pids` grows as connections are told theirs."""

    def __init__(self):
        self.names_of_pids = {}
        self._oids = {}

    def normal(self, raw, masks=()):
        """`masks`: patterns over the body of a message that become <masked>."""
        if len(raw) < 5:
            return raw
        reader = self._READERS.get(kind_of(raw))
        out = reader(self, raw) if reader else raw
        for pattern in masks:
            out = message(kind_of(out), re.sub(pattern.encode(), b"<masked>", body_of(out), flags=re.S))
        return out

    def learn(self, raw, name):
        """Keeps whose pid this BackendKeyData tells."""
        self.names_of_pids[struct.unpack_from("!I", body_of(raw))[0]] = name

    def _key(self, raw):
        pid = struct.unpack_from("!I", body_of(raw))[0]
        return message("K", f"<pid of {self._name(pid)}, key of {len(raw) - 9} bytes>".encode())

    def _notification(self, raw):
        pid = struct.unpack_from("!I", body_of(raw))[0]
        return message("A", f"<pid of {self._name(pid)}>".encode() + body_of(raw)[4:])

    def _name(self, pid):
        return self.names_of_pids.get(pid, "nobody")

    def _columns(self, raw):
        columns = columns_of(raw)
        if all(table < FIRST_OWN_OID and kind < FIRST_OWN_OID for _, table, _, kind, *_ in columns):
            return raw
        return message("T", struct.pack("!H", len(columns)) + b"".join(
            text(name) + struct.pack("!IhIhih", self._oid(table), number, self._oid(kind), *rest)
            for name, table, number, kind, *rest in columns))

    def _types(self, raw):
        count = struct.unpack_from("!H", body_of(raw))[0]
        oids = struct.unpack_from(f"!{count}I", body_of(raw), 2)
        return message("t", struct.pack(f"!H{count}I", count, *map(self._oid, oids)))

    def _oid(self, oid):
        """A server's own oids are numbered as they appear."""
        if oid < FIRST_OWN_OID:
            return oid
        return self._oids.setdefault(oid, FIRST_OWN_OID + len(self._oids))

    @staticmethod
    def _login(raw):
        method, data = struct.unpack_from("!I", body_of(raw))[0], body_of(raw)[4:]
        if method == 5:
            data = b"<salt>"
        elif method == 11:
            data = re.sub(rb"r=[^,]*", b"r=<nonce>", data)
        elif method == 12:
            data = b"v=<signature>"
        return message("R", struct.pack("!I", method) + data)

    _READERS = {"K": _key, "A": _notification, "T": _columns, "t": _types,
                "R": lambda self, raw: self._login(raw)}
