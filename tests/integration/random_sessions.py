"""Random sessions: a few connections that do what connections do, in every order that chance finds.

A session is a list of (connection, bytes), made from a seed. Each step is processed by the server
before the next one is sent (Target.turn), so the same session gives the same byte streams on every
server; commands whose replies hang on time, chance or hash order are not drawn (SWAPDB neither: the
order in which it feeds clients that wait is that of a hash). Meant for what hand written scripts
forget: a transaction within a subscription, CLIENT REPLY OFF around a SELECT, RESET while tracking,
a protocol error behind a blocked command.
"""

import contextlib
import os
import random
import re
from dataclasses import dataclass, field

from children import SLOWNESS, wait_until
from resp import RawConn, encode

# The only reply that differs between two servers: the id of a connection.
MASK = re.compile(rb"(\$2\r\nid\r\n):\d+")


def session(seed, alone=True, length=80, connections=3):
    """[(name of connection, bytes), …]; a connection that was ended goes on under a new name.

    alone   false: only what is answered alike where writes have two legs. What a client sends behind a
            blocked command waits in the sidecar then, and runs when other clients have had their turn;
            after CLIENT REPLY inside of a transaction replies cannot be told apart.
    """
    dice = random.Random(seed)
    makers = {maker: weight for maker, weight in MAKERS.items() if alone or maker not in BLOCKING}
    names = [f"c{number}" for number in range(connections)]
    queueing = set()  # connections with an open transaction, perhaps
    steps = []
    for _ in range(length):
        place = dice.randrange(connections)
        maker = dice.choices(list(makers), weights=list(makers.values()))[0]
        commands = maker(dice)
        words = [command[0] for command in commands if not isinstance(command, bytes)]
        if not alone and "CLIENT" in words and (place in queueing or "MULTI" in words):
            continue
        for word in words:
            if word == "MULTI":
                queueing.add(place)
            elif word in ("EXEC", "DISCARD", "RESET"):
                queueing.discard(place)
        data = b"".join(command if isinstance(command, bytes) else encode(*command)
                        for command in commands)
        steps.append((names[place], data))
        if maker in ENDS:
            names[place] = f"{names[place]}'"
            queueing.discard(place)
    return steps


def key(dice):
    return f"k{dice.randrange(4)}"


def text(dice):
    return "v" * dice.choice((0, 1, 3, 40, 600))


def plain(dice):
    """One to eight commands on a few keys of mixed types, some of them wrong."""
    return [dice.choice(PLAIN)(dice) for _ in range(dice.choice((1, 1, 1, 2, 3, 8)))]


PLAIN = [
    lambda d: ("SET", key(d), text(d)), lambda d: ("GET", key(d)), lambda d: ("GET", key(d)),
    lambda d: ("APPEND", key(d), text(d)), lambda d: ("INCR", "n" + key(d)),
    lambda d: ("RPUSH", "l" + key(d), text(d), 1), lambda d: ("LPOP", "l" + key(d)),
    lambda d: ("LRANGE", "l" + key(d), 0, -1), lambda d: ("HSET", "h" + key(d), key(d), d.random()),
    lambda d: ("HGETALL", "h" + key(d)), lambda d: ("SADD", "s" + key(d), d.randrange(9)),
    lambda d: ("SMEMBERS", "s" + key(d)), lambda d: ("ZADD", "z" + key(d), d.randrange(9), key(d)),
    lambda d: ("ZRANGE", "z" + key(d), 0, -1, "WITHSCORES"), lambda d: ("DEL", key(d), "l" + key(d)),
    lambda d: ("MSET", key(d), text(d), "n" + key(d), d.randrange(99)),
    lambda d: ("MGET", key(d), key(d), "l" + key(d)), lambda d: ("EXISTS", key(d), "z" + key(d)),
    lambda d: ("TYPE", d.choice("lhsz") + key(d)), lambda d: ("LPUSH", key(d), "perhaps wrong"),
    lambda d: ("NOSUCH", key(d)), lambda d: ("GET",), lambda d: ("PING",), lambda d: ("PING", text(d)),
    lambda d: ("ECHO", text(d)), lambda d: ("COPY", key(d), key(d), "REPLACE"),
    lambda d: ("RENAME", "l" + key(d), "l" + key(d)),
    lambda d: ("EVAL", "return redis.call('INCRBY', KEYS[1], ARGV[1])", 1, "n" + key(d), 3),
    lambda d: ("EVAL", "redis.call('SET', KEYS[1], 'x') return redis.call('LLEN', KEYS[1])", 1, key(d)),
    lambda d: ("XADD", "x" + key(d), f"{d.randrange(5)}-{d.randrange(1, 5)}", "f", "v"),
    lambda d: ("XRANGE", "x" + key(d), "-", "+"), lambda d: ("GETDEL", key(d)),
    lambda d: ("EXPIREAT", key(d), 4102444800), lambda d: ("EXPIRETIME", key(d)),
    lambda d: ("LMOVE", "l" + key(d), "l" + key(d), "LEFT", "RIGHT"),
    lambda d: ("SETRANGE", key(d), d.randrange(10), "xyz"), lambda d: ("DBSIZE",),
    lambda d: b"PING\r\n", lambda d: b"GET " + key(d).encode() + b"\n", lambda d: b"\r\n",
    lambda d: b"*0\r\n", lambda d: ("FLUSHDB",) if d.random() < 0.2 else ("PING",),
]


def transaction(dice):
    """MULTI … EXEC, sometimes broken off, in one piece or left open."""
    inside = plain(dice) + plain(dice)
    end = dice.choice([[("EXEC",)], [("EXEC",)], [("EXEC",)], [("DISCARD",)], []])
    start = dice.choice([[("MULTI",)], [("MULTI",)], [("WATCH", key(dice)), ("MULTI",)], []])
    return start + inside + end


MAKERS = {
    plain: 30,
    transaction: 8,
    lambda d: [("WATCH", key(d), "n" + key(d))]: 2,
    lambda d: [d.choice([("UNWATCH",), ("DISCARD",), ("EXEC",), ("MULTI",)])]: 2,
    lambda d: [("SUBSCRIBE", f"ch{d.randrange(3)}")]: 3,
    lambda d: [("PSUBSCRIBE", "p*")]: 1,
    lambda d: [("SSUBSCRIBE", f"sh{d.randrange(2)}")]: 1,
    lambda d: [("UNSUBSCRIBE", f"ch{d.randrange(3)}", f"ch{d.randrange(3)}")]: 4,
    lambda d: [("PUNSUBSCRIBE", "p*"), ("SUNSUBSCRIBE", "sh0", "sh1")]: 2,
    lambda d: [("PUBLISH", f"ch{d.randrange(3)}", text(d)), ("PUBLISH", "pattern", "m"),
               ("SPUBLISH", f"sh{d.randrange(2)}", text(d))]: 6,
    lambda d: [("HELLO", d.choice((2, 3, 3)))]: 4,
    lambda d: [("HELLO", 3), *plain(d), ("HELLO", 2)]: 1,
    lambda d: [("SELECT", d.randrange(3))]: 4,
    lambda d: [("CLIENT", "REPLY", d.choice(("OFF", "ON", "SKIP", "ON", "SKIP")))]: 4,
    lambda d: [("CLIENT", "REPLY", "OFF"), *plain(d), ("CLIENT", "REPLY", "ON")]: 2,
    lambda d: [("CLIENT", "REPLY", "SKIP"), *plain(d)]: 2,
    lambda d: [("CLIENT", "SETNAME", key(d)), ("CLIENT", "GETNAME")]: 2,
    lambda d: [("CLIENT", "TRACKING", d.choice(("on", "on", "off")))]: 2,
    lambda d: [("RPUSH", f"lk{n}", "free") for n in range(4)]: 4,
    lambda d: [("RESET",)]: 3,
    lambda d: [("ACL", "WHOAMI"), ("AUTH", "default", "any"), ("AUTH", "nobody", "wrong")]: 1,
    lambda d: [("MOVE", key(d), d.randrange(3))]: 1,
    lambda d: [("EVALSHA", "f" * 40, 0), ("SCRIPT", "EXISTS", "f" * 40)]: 1,
    lambda d: [("DEBUG", "PROTOCOL", d.choice(("map", "set", "attrib", "double", "bignum", "null")))]: 1,
}


def _drawn(maker, weight):
    MAKERS[maker] = weight
    return maker


BLOCKING = {
    _drawn(lambda d: [("BLPOP", "l" + key(d), "l" + key(d), 0)], 3),
    _drawn(lambda d: [("BLMOVE", "l" + key(d), "l" + key(d), "LEFT", "LEFT", 0), *plain(d)], 2),
    _drawn(lambda d: [("BZPOPMIN", "z" + key(d), 0)], 1),
    _drawn(lambda d: [("XREAD", "BLOCK", 0, "STREAMS", "x" + key(d), "$")], 1),
}

ENDS = {
    _drawn(lambda d: [*plain(d), ("QUIT",), *plain(d)], 1),
    _drawn(lambda d: [*plain(d), b"*1\r\n:1\r\n"], 1),
    _drawn(lambda d: [b"*x\r\n", *plain(d)], 1),
    _drawn(lambda d: [b"SET k \"unbalanced\r\n"], 1),
}


@dataclass
class Seen:
    """What a session was answered.

    streams   connection -> all its bytes, masked
    ends      connection -> "closed" or "open"
    pace      after each step: connection -> how many replies it had by then
    digests   of the keys that it left, by server
    """
    streams: dict = field(default_factory=dict)
    ends: dict = field(default_factory=dict)
    pace: list = field(default_factory=list)
    digests: list = field(default_factory=list)


@contextlib.contextmanager
def on_one_processor():
    """What is sent over two connections from one processor arrives in that order."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Play:
    """One play of a session.

    cuts   a random.Random: every step is sent in two parts
    pace   of an earlier play: before a step, the replies that earlier steps gave there are waited for,
           as a client that depends on them would
    """

    def __init__(self, target, cuts=None, pace=None):
        self._target = target
        self._cuts = cuts
        self._pace = pace
        self._conns = {}
        self._counts = {}
        self._seen = Seen()

    def run(self, steps):
        try:
            with on_one_processor():
                for number, (name, data) in enumerate(steps):
                    self._send(name, data)
                    self._keep_pace(self._pace[number] if self._pace else {})
                self._leave()
        finally:
            for name, conn in self._conns.items():
                self._seen.streams[name] = MASK.sub(rb"\1<id>", bytes(conn.received))
                self._seen.ends[name] = "closed" if conn.eof else "open"
                conn.close()
        return self._seen

    def _send(self, name, data):
        if name not in self._conns:
            self._conns[name] = RawConn(self._target.port, limit_s=10 * SLOWNESS)
            self._conns[name].call("PING")  # accepted: from here on, turns keep the order
            self._counts[name] = 0
        conn = self._conns[name]
        if self._cuts and len(data) > 1:
            at = self._cuts.randrange(1, len(data))
            conn.send(data[:at])
            self._target.turn()
            data = data[at:]
        conn.send(data)
        self._target.turn()
        if not self._pace:
            # A server may answer the turn before it writes what the step has pushed to others: those
            # bytes are out before it reads again.
            self._target.turn()

    def _keep_pace(self, wanted):
        def arrived():
            for name, conn in self._conns.items():
                self._counts[name] += len(conn.available())
            return all(self._counts[name] >= count or self._conns[name].eof
                       for name, count in wanted.items())
        try:
            wait_until(arrived, 2, "as many replies as in the first play")
        except TimeoutError:
            self._pace = None  # told by the streams; one lost reply must not cost a wait for each step
        self._seen.pace.append(dict(self._counts))

    def _leave(self):
        for conn in self._conns.values():
            conn.shutdown_write()
            with contextlib.suppress(TimeoutError):  # told by seen.ends
                conn.read_eof(2 * SLOWNESS)
            self._target.turn()


def play(target, steps, cuts=None, pace=None):
    return Play(target, cuts, pace).run(steps)


def settle(servers, expected_digest):
    """Digests of the servers' keys, once they are the expected one or have stayed as they are."""
    def digests():
        return [server.call("DEBUG", "DIGEST") for server in servers]
    try:
        wait_until(lambda: set(digests()) == {expected_digest}, 0.4, "equal keys")
    except TimeoutError:
        pass
    return digests()
