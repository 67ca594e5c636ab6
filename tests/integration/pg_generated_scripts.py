"""Message scripts that are too long to be written by hand: many parameters, deep pipelines, big values, and
pipelines drawn at random, whose messages fail and are skipped in every order.

All of them are the same bytes in every run (seeded).
"""

import random

from difference import Script, Step
from pg_messages import (COPY_DONE, FLUSH, SYNC, TERMINATE, bind, close, copy_data, copy_fail, describe,
                         execute, function_call, message, parse, password, query)

PARAMETERS_MAX = 65535
RANDOM_SCRIPTS = 40


def send(data, zs=1, count=None, conn="a"):
    return Step("send", conn, data, [{"Z"}] * zs if count is None else count, text=f"{len(data)} bytes")


def script(name, *steps):
    return Script("generated", name, list(steps))


def one_segment(sql, *params, name="", rows_max=0):
    return parse(name, sql) + bind("", name, params) + describe("P", "") + execute("", rows_max)


def parameters():
    numbers = ",".join(f"${number}" for number in range(1, PARAMETERS_MAX + 1))
    many = f"select count(*) from (values {numbers.replace('$', '($').replace(',', '::int),')}::int)) s"
    yield script("65,535 parameters", send(
        parse("", many) + describe("S", "") + bind("", "", ["7"] * PARAMETERS_MAX) + execute("") + SYNC))
    yield script("65,536 parameters in Parse", send(
        parse("", f"select 1 from (values ({numbers[:20]}::int)) s where $65536::int = 1") + SYNC))
    yield script("parameter number 0", send(parse("", "select $0") + SYNC), send(query("select 1")))
    yield script("65,535 parameters for a statement that has one", send(
        parse("", "select $1::int") + bind("", "", ["7"] * PARAMETERS_MAX) + execute("") + SYNC))
    yield script("1,600 columns, and one more", send(query(
        "select " + ",".join(f"{number} as c{number}" for number in range(1600)))), send(query(
            "select " + ",".join(str(number) for number in range(1665)))))


def pipelines():
    yield script("2,000 segments in a pipeline", send(
        b"".join(one_segment("select $1::int", str(number)) + SYNC for number in range(2000)), 2000))
    yield script("2,000 statements in one segment", send(
        b"".join(one_segment("select $1::int", str(number)) for number in range(2000)) + SYNC))
    yield script("1,000 segments of which every third fails", send(
        b"".join(one_segment("select 6 / $1::int", str(number % 3)) + SYNC for number in range(1000)), 1000))
    yield script("1,000 simple queries in a pipeline", send(
        b"".join(query(f"select {number}") for number in range(1000)), 1000))
    yield script("1,000 messages behind an error are skipped", send(
        parse("", "x") + one_segment("select 1") * 250 + SYNC + one_segment("select 2") + SYNC, 2))
    yield script("500 named statements, used in another order and closed", *[send(data) for data in (
        b"".join(parse(f"s{number}", f"select {number}") for number in range(500)) + SYNC,
        b"".join(bind("", f"s{number * 7 % 500}") + execute("") for number in range(500)) + SYNC,
        b"".join(close("S", f"s{number}") for number in range(0, 500, 2)) + SYNC,
        query("select count(*) from pg_prepared_statements"))])
    yield script("a pipeline of every statement that forgets statements", send(b"".join(
        parse("s1", f"select {number}") + bind("", "s1") + execute("") + one_segment(forget) + SYNC
        for number, forget in enumerate(["deallocate all", "deallocate s1", "select 1", "deallocate all"])) +
        one_segment("discard all") + SYNC + bind("", "s1") + execute("") + SYNC, 6))


def big_values():
    yield script("a row of 6 MB", send(query("select repeat('x', 6000000), 'y'")))
    yield script("a parameter of 3 MB that comes back", send(
        one_segment("select $1::text, length($1::text)", "ab" * 1_500_000) + SYNC))
    yield script("a query of 2 MB", send(query("select 1 /*" + "x" * 2_000_000 + "*/")))
    yield script("40,000 small rows", send(query("select i, 'row ' || i from generate_series(1, 40000) i")))
    yield script("40,000 rows in portions of 1,000", *[send(data) for data in (
        query("begin"), parse("", "select i from generate_series(1, 40000) i") + bind("p", "") + SYNC,
        execute("p", 1000) * 41 + SYNC, query("commit"))])
    yield script("an expression of 100,000 terms", send(query("select 1" + "+1" * 100_000)),
                 send(query("select 'still here'")))
    yield script("an expression of 20,000 parentheses",
                 send(query("select " + "(" * 20_000 + "1" + ")" * 20_000)),
                 send(query("select 'still here'")))
    yield script("a list of 50,000 values", send(query(
        "select count(*) from t where id in (" + ",".join(map(str, range(50_000))) + ")")))


def copies():
    rows = b"".join(b"%d\trow %d\n" % (number, number) for number in range(10, 30_000))
    pieces = [rows[at:at + 4099] for at in range(0, len(rows), 4099)]
    yield script("COPY in of 30,000 rows in pieces", send(query("copy t from stdin"), count=[{"G"}]),
                 send(b"".join(map(copy_data, pieces)) + COPY_DONE),
                 send(query("select count(*), sum(length(v)) from t")))
    yield script("COPY in of one piece of 3 MB", send(query("copy t from stdin"), count=[{"G"}]),
                 send(copy_data(b"10\t" + b"x" * 3_000_000 + b"\n") + COPY_DONE),
                 send(query("select id, length(v) from t order by id")))
    yield script("COPY in that fails with much still under way", send(
        query("copy t from stdin") + copy_data(b"x\tno number\n") + b"".join(map(copy_data, pieces)) +
        COPY_DONE, count=[{"E"}, {"Z"}]), send(query("select count(*) from t")))
    yield script("COPY in of single bytes", send(query("copy t from stdin"), count=[{"G"}]),
                 send(b"".join(copy_data(rows[at:at + 1]) for at in range(2000)) + copy_data(b"\n") +
                      COPY_DONE),
                 send(query("select count(*) from t")))
    yield script("COPY out of 40,000 rows", send(
        query("copy (select i, repeat('x', 50) from generate_series(1, 40000) i) to stdout")))
    yield script("CopyFail behind 30,000 rows", send(
        query("copy t from stdin") + b"".join(map(copy_data, pieces)) + copy_fail("no"),
        count=[{"G"}, {"Z"}]), send(query("select count(*) from t")))


# Every message in every state

STATES = {
    "outside of a transaction": b"",
    "in a transaction": query("begin"),
    "in a failed transaction": query("begin") + query("x"),
    "behind an error, before its Sync": parse("", "x"),
    "behind a portal that is suspended": parse("", "select generate_series(1, 5)") + bind("", "") +
    execute("", 2),
    "within COPY in": query("copy t from stdin"),
    "within COPY in by extended messages": parse("", "copy t from stdin") + bind("", "") + execute(""),
    "behind a COPY in that failed": query("copy t from stdin") + copy_data(b"x\ty\n"),
    "behind a COPY in by extended messages that failed":
    parse("", "copy t from stdin") + bind("", "") + execute("") + copy_data(b"x\ty\n"),
    "within COPY in, in a transaction": query("begin") + query("copy t from stdin"),
}
MESSAGES = [query("select 'Q'"), query(""), parse("s1", "select 'P'"), bind("p1", ""), describe("S", ""),
            describe("P", ""), execute(""), close("S", "s1"), SYNC, FLUSH, copy_data(b"77\tx\n"), COPY_DONE,
            copy_fail("no"), function_call(1395, ["-1"]), password("x"), message("Z", b"I"),
            message("D", b"X"), TERMINATE]


def states():
    """A connection for each message: the state, the message twice, then what ends any state in order."""
    end = COPY_DONE + SYNC + query("select count(*) from t") + query("rollback") + TERMINATE
    for name, state in STATES.items():
        steps = []
        for number, sent in enumerate(MESSAGES):
            conn = chr(ord("a") + number)
            steps += [send(state + sent + sent + end, count=0, conn=conn),
                      Step("closed", conn, text=f"!closed {conn}")]
        yield script(f"every message {name}", *steps)


# Drawn at random

STATEMENTS = ["select 1", "select $1::int", "select generate_series(1, 5)", "insert into t values (10, 'x')",
              "select 1/0", "x", "", "begin", "commit", "rollback", "savepoint s", "rollback to s",
              "deallocate all", "set application_name = 'x'", "select v from t order by id",
              "drop table if exists nothing", "notify ch, 'x'", "listen ch", "declare c cursor for select 1",
              "delete from t where id > 9 returning id", "update t set v = v", "show application_name"]
NAMES = ["", "s1", "s2"]
PORTALS = ["", "p1"]


def random_message(dice):
    name, portal = dice.choice(NAMES), dice.choice(PORTALS)
    kinds = [
        (6, lambda: parse(name, dice.choice(STATEMENTS))),
        (6, lambda: bind(portal, name, ["7"] * dice.choice([0, 0, 0, 1]),
                         wanted=dice.choice([(), (), (1,)]))),
        (6, lambda: execute(portal, dice.choice([0, 0, 0, 1, 2]))),
        (3, lambda: describe(*dice.choice([("S", name), ("P", portal)]))),
        (2, lambda: close(*dice.choice([("S", name), ("P", portal)]))),
        (1, lambda: FLUSH),
        (1, lambda: copy_data(b"x\n")),
        (4, lambda: SYNC),
        (2, lambda: query(dice.choice([one for one in STATEMENTS if "$" not in one]))),
        (1, lambda: function_call(1395, ["-1"])),
        (1, lambda: message("P", b"malformed")),
    ]
    return dice.choices([make for _, make in kinds], [weight for weight, _ in kinds])[0]()


def random_script(seed):
    """One long pipeline. How often it says ReadyForQuery hangs on what fails, so it ends with Terminate."""
    dice = random.Random(seed)
    data = b"".join(random_message(dice) for _ in range(dice.randrange(20, 150)))
    return script(f"messages at random, {seed}", send(data + SYNC + TERMINATE, count=0),
                  Step("closed", "a", text="!closed a"))


def generated_scripts():
    made = [*parameters(), *pipelines(), *big_values(), *copies(), *states()]
    return made + [random_script(seed) for seed in range(RANDOM_SCRIPTS)]
