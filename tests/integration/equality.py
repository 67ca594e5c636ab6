"""Are two servers equal? Key by key, over all databases: values, and when they expire.

    for difference in compare(old, new):
        print(difference)            # db 0, list 'l:3': b'a', … | b'b', …
    compare(old, new, keys={0: {b"l:3"}})    # only these

Values are equal when their DUMPs are, or else when what clients can see of them is: order in sets and
hashes, encodings, the layout of streams, a hyperloglog's cached cardinality, and when a message was
delivered or a consumer seen are not looked at. Expiry times are equal within 50 ms. A key that is about
to expire on one side may already have done so on the other: it is looked at again until it has gone from
both or both have it with more time left.

100,000 keys take a few seconds.
"""

import re
from dataclasses import dataclass

from children import wait_until
from resp import RawConn, ReplyError, encode, value_of

TTL_TOLERANCE_MS = 50
SOON_MS = 2000        # a key with less than this left is waited out
SETTLE_S = 10         # for keys that are about to expire
BATCH = 2000
EXCERPT = 140


@dataclass(frozen=True)
class Difference:
    """One key that differs. `kind`: its type on the side that has it, or "missing", "expiry"."""
    db: int
    key: bytes
    kind: str
    old: str
    new: str

    def __str__(self):
        return f"db {self.db}, {self.kind} {self.key!r}: {self.old} | {self.new}"


def compare(old, new, keys=None, idle_consumers=True):
    """The list of Differences between two servers (harness.RedisServer, or ports).

    keys            by database; default: all
    idle_consumers  whether a stream's consumers count that have no message pending
    """
    with _Side(old, idle_consumers) as a, _Side(new, idle_consumers) as b:
        if keys is None:
            keys = {db: a.scan(db) | b.scan(db) for db in sorted(a.databases() | b.databases())}
        found = [difference for db, names in keys.items() for difference in _compare(a, b, db, names)]
        return _settled(a, b, found)


def report(differences, most=12):
    """Text for a failing test: how many of which kind, and the first few."""
    kinds = {}
    for one in differences:
        kinds[one.kind] = kinds.get(one.kind, 0) + 1
    lines = [str(one) for one in differences[:most]]
    return f"{len(differences)} keys differ {kinds}\n  " + "\n  ".join(lines)


def assert_equal(test, old, new, **options):
    """Fails the test with a report when the servers differ. `options`: of compare()."""
    found = compare(old, new, **options)
    if found:
        test.fail(report(found))


def by_db(differences):
    """The keys of differences, as compare() takes them."""
    keys = {}
    for one in differences:
        keys.setdefault(one.db, set()).add(one.key)
    return keys


def _settled(a, b, found):
    """`found` without what is equal as soon as keys that are about to expire have done so."""
    def about_to_expire(one):
        times = [side.one(one.db, "PEXPIRETIME", one.key) for side in (a, b)]
        if times == [-2, -2]:
            return True  # it has, in the meantime
        # One side has seen it go, or will: the other one's must go too, or show that it stays.
        return any(0 <= time < a.now_ms() + SOON_MS for time in times)

    settled = []

    def look():
        nonlocal found
        waiting = [one for one in found if about_to_expire(one)]
        settled.extend(one for one in found if one not in waiting)
        found = [again for db, names in by_db(waiting).items() for again in _compare(a, b, db, names)]
        return not found

    try:
        wait_until(look, SETTLE_S, "keys that are about to expire are gone")
    except TimeoutError:
        settled += found
    return sorted(settled, key=lambda one: (one.db, one.key))


def _compare(a, b, db, names):
    names = sorted(names)
    for start in range(0, len(names), BATCH):
        batch = names[start:start + BATCH]
        dumps = [side.ask_raw(db, [("DUMP", key) for key in batch]) for side in (a, b)]
        times = [side.ask(db, [("PEXPIRETIME", key) for key in batch]) for side in (a, b)]
        differ = [key for key, left, right in zip(batch, *dumps) if left != right]
        values = dict(zip(differ, zip(a.contents(db, differ), b.contents(db, differ))))
        for key, *expiry in zip(batch, *times):
            (kind, left), (other_kind, right) = values.get(key, ((None, None), (None, None)))
            if "none" in (kind, other_kind):
                if kind != other_kind:
                    yield Difference(db, key, "missing", *(
                        "nothing" if k == "none" else f"{k} {_short(value)}"
                        for k, value in ((kind, left), (other_kind, right))))
            elif (kind, left) != (other_kind, right):
                yield Difference(db, key, kind, *_excerpts(left, right))
            elif (min(expiry) < 0 and expiry[0] != expiry[1]) or (
                    abs(expiry[0] - expiry[1]) > TTL_TOLERANCE_MS):
                yield Difference(db, key, "expiry", *(str(time) for time in expiry))


def _excerpts(left, right):
    """Of two values that differ, what differs in them."""
    if isinstance(left, dict) and isinstance(right, dict):
        differing = sorted((name for name in left.keys() | right.keys()
                            if left.get(name) != right.get(name)), key=repr)
        left, right = ({name: side.get(name) for name in differing} for side in (left, right))
    elif isinstance(left, frozenset) and isinstance(right, frozenset):
        left, right = left - right, right - left
    elif isinstance(left, list) and isinstance(right, list):
        first = next((i for i, (x, y) in enumerate(zip(left, right)) if x != y),
                     min(len(left), len(right)))
        left, right = (f"{len(side)} elements, from {first}: {side[first:first + 4]}"
                       for side in (left, right))
    return _short(left), _short(right)


def _short(value):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= EXCERPT else text[:EXCERPT] + "…"


class _Side:
    """One server, asked in pipelines."""

    def __init__(self, server, idle_consumers):
        self._idle_consumers = idle_consumers
        self._conn = RawConn(getattr(server, "port", server), limit_s=60)
        if getattr(server, "password", None):
            self._conn.call("AUTH", server.password)
        self._db = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._conn.close()

    def databases(self):
        text = self._conn.call("INFO", "keyspace").decode()
        return {int(number) for number in re.findall(r"^db(\d+):", text, re.M)}

    def now_ms(self):
        seconds, micros = self._conn.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    def scan(self, db):
        names, cursor = set(), b"0"
        while True:
            cursor, found = self.ask(db, [("SCAN", cursor, "COUNT", 5000)])[0]
            names.update(found)
            if cursor == b"0":
                return names

    def ask_raw(self, db, commands):
        """Raw replies to commands that are sent at once."""
        if db != self._db:
            assert self._conn.call("SELECT", db) == "OK"
            self._db = db
        self._conn.send(b"".join(encode(*command) for command in commands))
        replies = self._conn.replies(len(commands))
        self._conn.received.clear()
        return replies

    def ask(self, db, commands):
        return [value_of(raw) for raw in self.ask_raw(db, commands)]

    def one(self, db, *command):
        return self.ask(db, [command])[0]

    def contents(self, db, keys):
        """[(type, what a client can see of the value)] of keys, comparable."""
        kinds = self.ask(db, [("TYPE", key) for key in keys])
        values = self.ask(db, [(*READ.get(kind, ("TYPE",)), key, *READ_REST.get(kind, ()))
                               for kind, key in zip(kinds, keys)])
        return [(kind, _canonical(kind, value, self._idle_consumers))
                for kind, value in zip(kinds, values)]


READ = {"string": ("GET",), "list": ("LRANGE",), "set": ("SMEMBERS",), "hash": ("HGETALL",),
        "zset": ("ZRANGE",), "stream": ("XINFO", "STREAM")}
READ_REST = {"list": (0, -1), "zset": (0, -1, "WITHSCORES"), "stream": ("FULL", "COUNT", 0)}


def _canonical(kind, value, idle_consumers):
    if isinstance(value, ReplyError):  # it has just become something else
        return str(value)
    if kind == "string" and value and value.startswith(b"HYLL"):
        return _registers(value)
    if kind == "set":
        return frozenset(value)
    if kind == "hash":
        return dict(zip(value[::2], value[1::2]))
    if kind == "zset":  # servers of different makes write numbers differently
        return [part if index % 2 == 0 else float(part) for index, part in enumerate(value)]
    if kind == "stream":
        return _stream(_pairs(value), idle_consumers)
    return value


def _stream(full, idle_consumers):
    content = {name: full.get(name) for name in (
        "length", "last-generated-id", "max-deleted-entry-id", "entries-added", "entries")}
    for group in map(_pairs, full["groups"]):
        name = group["name"].decode()
        content[f"group {name}"] = [group["last-delivered-id"], group["entries-read"]]
        for entry, consumer, _when, deliveries in group["pending"]:
            content[f"group {name} pending {entry.decode()}"] = [consumer, deliveries]
        for consumer in map(_pairs, group["consumers"]):
            if consumer["pel-count"] or idle_consumers:
                content[f"group {name} consumer {consumer['name'].decode()}"] = consumer["pel-count"]
    return content


def _pairs(flat):
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2])}


def _registers(value):
    """The 16384 registers of a hyperloglog, of either encoding; as it is when it is none."""
    body, out = value[16:], []
    if value[4:5] == b"\0":
        if len(body) < 12288:
            return value
        for at in range(0, 12288, 3):  # four registers of six bits, the lowest bits first
            bits = body[at] | body[at + 1] << 8 | body[at + 2] << 16
            out += (bits & 63, bits >> 6 & 63, bits >> 12 & 63, bits >> 18)
        return out
    position = 0
    while position < len(body):
        byte = body[position]
        if byte & 0xC0 == 0x40:
            if position + 1 == len(body):
                return value
            out += [0] * ((byte & 0x3F) << 8 | body[position + 1])
            out += [0]
            position += 1
        elif byte & 0x80:
            out += [(byte >> 2 & 0x1F) + 1] * ((byte & 3) + 1)
        else:
            out += [0] * ((byte & 0x3F) + 1)
        position += 1
    return out if len(out) == 16384 else value
