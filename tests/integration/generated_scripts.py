"""Byte scripts that are too long to be written by hand: deep pipelines, big values, many elements.

All of them are the same bytes in every run (seeded); none depends on hash order or time.
"""

import random

from difference import Script, Step
from resp import encode


def send(data, count, conn="a", text=""):
    return Step("send", conn, data, count, text=text or f"{len(data)} bytes, {count} replies")


def one_send(group, name, data, count, **options):
    return Script(group, name, [send(data, count)], options)


def mixed_commands(count, seed):
    """`count` commands of many kinds on few keys, so that they meet each other's values. Hashes and
    sets stay small: in those the server keeps an order that does not hang on its hash seed."""
    dice = random.Random(seed)
    key = lambda: f"k{dice.randrange(8)}"  # noqa: E731
    value = lambda: "v" * dice.choice((0, 1, 7, 100, 1000))  # noqa: E731
    number = lambda: dice.randrange(-5, 20)  # noqa: E731
    makers = [
        lambda: ("SET", key(), value()), lambda: ("GET", key()), lambda: ("APPEND", key(), value()),
        lambda: ("INCRBY", "n" + key(), number()), lambda: ("GET", "n" + key()),
        lambda: ("RPUSH", "l" + key(), value(), value()), lambda: ("LPOP", "l" + key()),
        lambda: ("LRANGE", "l" + key(), number(), number()), lambda: ("LLEN", "l" + key()),
        lambda: ("HSET", "h" + key(), key(), value()[:50]), lambda: ("HGET", "h" + key(), key()),
        lambda: ("HGETALL", "h" + key()), lambda: ("SADD", "s" + key(), number()),
        lambda: ("SMEMBERS", "s" + key()), lambda: ("SISMEMBER", "s" + key(), number()),
        lambda: ("ZADD", "z" + key(), number(), key()), lambda: ("ZRANGE", "z" + key(), 0, -1),
        lambda: ("ZSCORE", "z" + key(), key()), lambda: ("DEL", key(), "l" + key()),
        lambda: ("EXISTS", key(), key()), lambda: ("MGET", key(), key(), "l" + key()),
        lambda: ("MSET", key(), value(), key(), value()), lambda: ("TYPE", key()),
        lambda: ("STRLEN", key()), lambda: ("GETRANGE", key(), number(), number()),
        lambda: ("LPUSH", key(), "wrong type perhaps"), lambda: ("NOSUCH", key()),
        lambda: ("PING",), lambda: ("ECHO", value()), lambda: ("GET",),
        lambda: ("EVAL", "return {KEYS[1], ARGV[1]}", 1, key(), value()),
        lambda: ("EXPIRE", key(), 1000), lambda: ("PERSIST", key()), lambda: ("RENAME", key(), key()),
        lambda: ("SETBIT", "b" + key(), abs(number()), 1), lambda: ("PFADD", "p" + key(), value()),
        lambda: ("PFCOUNT", "p" + key()), lambda: ("OBJECT", "ENCODING", key()),
    ]
    return [dice.choice(makers)() for _ in range(count)]


def pipelines():
    for count in (1, 2, 3, 10, 50, 200, 1000):
        commands = mixed_commands(count, seed=count)
        yield one_send("pipelines", f"{count} mixed commands in one piece",
                       b"".join(encode(*c) for c in commands), count)
    hello = encode("HELLO", 3)
    commands = mixed_commands(1000, seed=3)
    yield Script("pipelines", "1000 mixed commands in RESP3", [
        Step("send", "a", hello, 1, (r"id\r\n:\d+",), text="HELLO 3"),
        send(b"".join(encode(*c) for c in commands), 1000)])
    commands = mixed_commands(300, seed=4)
    yield Script("pipelines", "300 mixed commands, one after the other",
                 [send(encode(*c), 1, text=" ".join(map(str, c))[:80]) for c in commands])
    inline = b"".join(b"SET k%d v%d\r\nGET k%d\n" % (n, n, n) for n in range(300))
    yield one_send("pipelines", "600 inline commands in one piece", inline, 600)
    steps = []
    for number, conn in enumerate("abcdefgh"):
        data = b"".join(encode(*c) for c in mixed_commands(50, seed=100 + number))
        steps.append(send(data.replace(b"$2\r\nk", b"$2\r\n%c" % ord(conn)), 50, conn))
    yield Script("pipelines", "eight connections with keys of their own", steps)
    transactions = b"".join(encode("MULTI") + encode("INCR", "n") + encode("GET", "n")
                            + encode("EXEC") for _ in range(200))
    yield one_send("pipelines", "200 transactions in one piece", transactions, 800)
    queued = encode("MULTI") + encode("INCR", "n") * 2000 + encode("EXEC")
    yield one_send("pipelines", "a transaction of 2000 commands in one piece", queued, 2002)
    silent = (encode("CLIENT", "REPLY", "OFF") + encode("INCR", "n") * 1000
              + encode("CLIENT", "REPLY", "ON") + encode("GET", "n"))
    yield one_send("pipelines", "1000 commands with replies off", silent, 2)
    skipped = (encode("CLIENT", "REPLY", "SKIP") + encode("INCR", "n") + encode("INCR", "n")) * 200
    yield one_send("pipelines", "200 skipped replies between others", skipped, 200)
    subscribing = b"".join(encode("SUBSCRIBE", f"c{n}") for n in range(500)) + encode("UNSUBSCRIBE", "c1")
    yield one_send("pipelines", "500 subscriptions in one piece", subscribing, 501)


def big_values():
    for name, size in (("64 KiB", 1 << 16), ("1 MB", 1_000_000), ("8 MB", 8_000_000)):
        value = random.Random(size).randbytes(size)
        yield Script("big values", f"{name} in and out", [
            send(encode("SET", "k", value), 1), send(encode("GET", "k"), 1),
            send(encode("STRLEN", "k"), 1), send(encode("GETRANGE", "k", size - 10, -1), 1),
            send(encode("APPEND", "k", value[:1000]), 1), send(encode("GETDEL", "k"), 1)])
        yield one_send("big values", f"{name} in the middle of a pipeline",
                       encode("SET", "a", 1) + encode("SET", "k", value) + encode("GET", "a")
                       + encode("GET", "k") + encode("ECHO", value) + encode("INCR", "a"), 6)
    value = random.Random(5).randbytes(1_000_000)
    yield one_send("big values", "1 MB within a transaction",
                   encode("MULTI") + encode("SET", "k", value) + encode("GET", "k")
                   + encode("EXEC") + encode("STRLEN", "k"), 5)
    yield Script("big values", "1 MB as a message", [
        send(encode("SUBSCRIBE", "x"), 1), send(encode("PUBLISH", "x", value), 1, "b"),
        Step("wait", "a", count=1), send(encode("PING"), 1)])
    yield Script("big values", "1 MB to a blocked client", [
        send(encode("BLPOP", "l", 0) + encode("PING"), 0), Step("blocked", count=1),
        send(encode("RPUSH", "l", value), 1, "b"), Step("wait", "a", count=2)], {"in steps": []})
    yield one_send("big values", "a key of 1 MB",
                   encode("SET", value, "v") + encode("GET", value) + encode("EXISTS", value, "x"), 3)
    yield one_send("big values", "MSET and MGET of 100 values of 100 KB",
                   encode("MSET", *[x for n in range(100) for x in (f"k{n}", value[:100_000])])
                   + encode("MGET", *[f"k{n}" for n in range(100)]), 2)
    yield one_send("big values", "a script argument of 1 MB",
                   encode("EVAL", "return {ARGV[1], #ARGV[1]}", 0, value), 1)
    yield Script("big values", "4 MB sent in small pieces", [
        send(piece, 0) for piece in _pieces(encode("SET", "k", value * 4), 50_000)
    ] + [Step("wait", "a", count=1), send(encode("GET", "k"), 1)])
    yield Script("big values", "a value that never comes whole", [
        send(encode("SET", "k", value)[:700_000], 0), send(encode("EXISTS", "k"), 1, "b"),
        Step("shut", "a"), Step("closed", "a"), send(encode("EXISTS", "k"), 1, "b")])
    yield Script("big values", "DUMP and RESTORE of 1 MB", [
        send(encode("SET", "k", value), 1), Step("send", "a", encode("DUMP", "k"), 1, (), "d"),
        Step("send", "a", [b"RESTORE", b"r", b"0", b"${d}"], 1), send(encode("GET", "r"), 1)],
        {"in steps": []})


def many_elements():
    push = encode("RPUSH", "l", *[f"element-{n}" for n in range(50_000)])
    yield one_send("many elements", "a list of 50,000",
                   push + encode("LRANGE", "l", 0, -1) + encode("LLEN", "l"), 3)
    yield one_send("many elements", "5,000 keys at once",
                   encode("MSET", *[f"x{n}" for n in range(10_000)])
                   + encode("MGET", *[f"x{n}" for n in range(0, 10_000, 2)])
                   + encode("EXISTS", *[f"x{n}" for n in range(10_000)])
                   + encode("DEL", *[f"x{n}" for n in range(10_000)]), 4)
    yield one_send("many elements", "a sorted set of 10,000 with scores",
                   encode("ZADD", "z", *[x for n in range(10_000) for x in (n, f"m{n}")])
                   + encode("ZRANGE", "z", 0, -1, "WITHSCORES") + encode("ZCARD", "z"), 3)
    yield one_send("many elements", "a stream of 2,000 entries",
                   b"".join(encode("XADD", "s", f"{n}-1", "f", n) for n in range(1, 2001))
                   + encode("XRANGE", "s", "-", "+") + encode("XLEN", "s"), 2002)
    yield one_send("many elements", "replies nested as deep as scripts go",
                   encode("EVAL", "local t = {} for i = 1, 7 do t = {t, i} end return t", 0)
                   + encode("EVAL", "local t = 1 for i = 1, 500 do t = {t} end return t", 0)
                   + encode("PING"), 3)
    yield one_send("many elements", "arguments without bytes",
                   encode("RPUSH", "l", *[""] * 5000) + encode("LRANGE", "l", 0, -1), 2)
    yield one_send("many elements", "a command with 100,000 arguments that is refused",
                   encode("GET", *["x"] * 100_000) + encode("PING"), 2)


def too_big():
    yield Script("protocol", "an inline command of 60,000 bytes", [
        send(b"ECHO " + b"x" * 60_000 + b"\r\n", 1), send(b"PING\r\n", 1)])
    yield Script("protocol", "an inline command that is too big", [
        send(b"x" * 65_537, 1), Step("closed", "a")], {"in steps": []})
    yield Script("protocol", "a multibulk count that is too big", [
        send(b"*" + b"1" * 65_537, 1), Step("closed", "a")], {"in steps": []})
    yield Script("protocol", "a bulk length that is too big", [
        send(b"*1\r\n$" + b"1" * 65_537, 1), Step("closed", "a")], {"in steps": []})
    yield Script("protocol", "an array with 1,100,000 announced arguments", [
        send(b"*1100000\r\n$4\r\nPING\r\n", 0), send(b"PING\r\n", 1, "b"),
        Step("shut", "a"), Step("closed", "a")])
    yield Script("protocol", "an unknown command with a long name", [
        send(encode("N" * 5000, "a" * 5000, "b"), 1), send(b"PING\r\n", 1)])


def _pieces(data, size):
    return [data[at:at + size] for at in range(0, len(data), size)]


def generated_scripts():
    return [*pipelines(), *big_values(), *many_elements(), *too_big()]
