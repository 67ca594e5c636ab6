"""Random sessions of one PostgreSQL client: valid and invalid messages of every kind, alone and in pipelines.

    steps = session(seed)                     # [Step, …], the same for the same seed
    seen = play(port, steps, between)         # normal messages by step; `between(number)` before each step

Every step says what ends it, so that it can be read to its end wherever it is played and whatever of it
fails: COPY begins and ends in one step, and what follows an error without Sync is skipped.
"""

import random
from dataclasses import dataclass

from children import SLOWNESS
from pg_conn import PgConn
from pg_messages import (COPY_DONE, FLUSH, SYNC, TERMINATE, bind, close, copy_data, copy_fail, describe,
                         execute, function_call, kind_of, parse, query)
from pg_normal import Normaliser

WAIT_S = 10.0
PREPARE = """drop schema public cascade; create schema public authorization app; set role app;
create table t (id int primary key, v text); insert into t values (1, 'one'), (2, 'two'), (3, null);
create table other (id int); create sequence q; create view w as select id from t;
create function writes() returns text volatile language sql
  as 'update t set v = v || ''!'' where id = 1 returning v';
create function sets() returns text volatile language sql
  as 'select set_config(''app.unseen'', ''yes'', false)';
reset role"""

READS = ["select 1", "select id, v from t order by id", "select count(*) from t",
         "select * from w order by 1", "select v from t where id = 1",
         "select 1 / (id - 1) from t where id = 1", "select * from nothing",
         "select repeat('x', 3000), id from t order by id", "show application_name", "show work_mem",
         "select current_setting('app.tenant', true)", "select current_setting('app.unseen', true)",
         "show timezone", "select timestamptz '2024-01-01 00:00:00+00'", "show search_path", "show datestyle",
         "select interval '1 day 2 hours'", "select current_user", "values (1), (2)", "table t",
         "show default_transaction_read_only", "show transaction_read_only", "show transaction_isolation", "",
         "select '\\'"]
WRITES = ["insert into t values (10, 'x')", "delete from t where id > 9 returning id",
          "update t set v = 'two' where id = 2", "select writes()", "select nextval('q')", "select sets()",
          "insert into t values (1, 'twice')", "create table more (i int)", "drop table if exists more",
          "select id from t where id = 1 for update", "do $$begin perform writes(); end$$", "lock table t",
          "truncate other", "insert into other select 1 returning id"]
SETTINGS = ["set work_mem = '9MB'", "set work_mem = '10MB'", "set local work_mem = '11MB'", "reset work_mem",
            "set app.tenant = 'seven'", "set app.tenant = 'eight'", "set timezone = 'Europe/Paris'",
            "reset timezone", "set datestyle = 'German'", "reset datestyle", "set application_name = 'me'",
            "set search_path = pg_catalog", "reset search_path", "set search_path = public",
            "select set_config('work_mem', '12MB', true)", "select set_config('work_mem', '13MB', false)",
            "set intervalstyle = 'iso_8601'", "reset all", "discard all", "discard plans",
            "set default_transaction_read_only = on", "set default_transaction_read_only = off",
            "set nonsense = 1", "set session characteristics as transaction isolation level serializable",
            "set standard_conforming_strings = off", "reset standard_conforming_strings"]
TRANSACTIONS = ["begin", "begin", "commit", "commit", "rollback", "rollback",
                "begin read only", "begin read only",
                "start transaction isolation level serializable, read only", "savepoint s", "rollback to s",
                "release s", "commit and chain", "rollback and chain", "set transaction read write",
                "begin; update t set v = 'b' where id = 2; commit", "begin; select 1; select 1/0; commit",
                "begin read only; select count(*) from t; commit", "commit; begin",
                "select 1; commit; select 2", "set transaction isolation level repeatable read",
                "abort", "end"]
PREPARED = ["prepare p1 as select count(*) from t", "prepare p1 as insert into t values (11, 'p')",
            "execute p1", "execute p1", "deallocate p1", "prepare p2 (int) as select v from t where id = $1",
            "execute p2 (1)", "deallocate all", "deallocate p2"]
CURSORS = ["declare c cursor for select id from t order by id", "fetch 1 from c", "fetch all from c",
           "close c", "declare h cursor with hold for select id from t order by id", "fetch 1 from h",
           "close h", "close all", "create temp table mine (i int)", "drop table if exists mine",
           "listen ch", "unlisten *",
           "select pg_advisory_lock(1)", "select pg_advisory_unlock_all()"]
TEXTS = [(10, READS), (5, WRITES), (5, SETTINGS), (6, TRANSACTIONS), (3, PREPARED), (2, CURSORS),
         (1, ["x", "select 1/0", "select $1::int + 1", "select v from t where id = $1"])]
NAMES = ["", "", "s1", "s2", "s3"]
PORTALS = ["", "", "", "r1"]


@dataclass
class Step:
    data: bytes
    ends: tuple  # of each of these, one after the other, a message is awaited
    text: str


def text(dice):
    return dice.choice(dice.choices([texts for _, texts in TEXTS], [weight for weight, _ in TEXTS])[0])


def plain(dice):
    while "$1" in (chosen := text(dice)) and "prepare" not in chosen:
        pass
    return chosen


def simple(dice):
    sql = plain(dice)
    return query(sql), ("Z",), sql


def usual(dice):
    """One statement as drivers run it."""
    sql, name = text(dice), dice.choice(NAMES)
    params = ["2"] if "$1" in sql and "prepare" not in sql else []
    renew = close("S", name) if name and dice.random() < 0.6 else b""
    data = (renew + parse(name, sql) + dice.choice([b"", describe("S", name)]) + bind("", name, params) +
            dice.choice([b"", describe("P", "")]) + execute("", dice.choice([0, 0, 1])) + SYNC)
    return data, ("Z",), f"{'close, ' if renew else ''}parse {name!r} {sql!r}, bind, execute, sync"


def again(dice):
    name = dice.choice(NAMES)
    params = ["1"] if dice.random() < 0.15 else []
    return (bind("", name, params) + execute("") + SYNC, ("Z",), f"bind {name!r} {params}, execute, sync")


def flushed(dice):
    """Described before it is bound."""
    name, sql = dice.choice(NAMES), text(dice)
    params = ["2"] if "$1" in sql and "prepare" not in sql else []
    return [(parse(name, sql) + describe("S", name) + FLUSH, ("TnE",),
             f"parse {name!r} {sql!r}, describe, flush"),
            (bind("", name, params) + execute("") + SYNC, ("Z",), f"bind {name!r}, execute, sync")]


def segment(dice):
    """Messages in any order."""
    made, told = b"", []
    for _ in range(dice.randrange(1, 7)):
        name, portal, sql = dice.choice(NAMES), dice.choice(PORTALS), text(dice)
        one, what = dice.choice([
            (parse(name, sql), f"parse {name!r} {sql!r}"), (bind(portal, name), f"bind {portal!r} {name!r}"),
            (execute(portal, dice.choice([0, 1, 2])), f"execute {portal!r}"),
            (describe("S", name), f"describe S {name!r}"), (describe("P", portal), f"describe P {portal!r}"),
            (close("S", name), f"close S {name!r}"), (close("P", portal), f"close P {portal!r}"),
            (FLUSH, "flush")])
        made, told = made + one, told + [what]
    return made + SYNC, ("Z",), ", ".join([*told, "sync"])


def skipped(dice):
    sql = plain(dice)
    return parse("", "x") + query(sql) + SYNC, ("Z",), f"parse 'x', query {sql!r}, sync"


def copied(dice):
    sql = dice.choice(["copy t from stdin", "copy other from stdin", "copy nothing from stdin"])
    rows = dice.choice([copy_data(b"20\tx\n") + copy_data(b"21\ty\n"), copy_data(b"x\ty\n"), b"",
                        copy_data(b"7\n")])
    end = dice.choice([COPY_DONE, COPY_DONE, copy_fail("no")])
    if dice.random() < 0.5:
        return query(sql) + rows + end, ("Z",), f"query {sql!r}, {rows!r}, {end!r}"
    return (parse("", sql) + bind("", "") + execute("") + rows + end + SYNC, ("Z",),
            f"parse {sql!r}, bind, execute, {rows!r}, {end!r}, sync")


def copied_out(dice):
    sql = dice.choice(["copy t to stdout", "copy (select id from t order by 1) to stdout",
                       "copy nothing to stdout"])
    return query(sql), ("Z",), sql


def called(_dice):
    return function_call(1395, ["-1"]), ("Z",), "function call"


def alone(dice):
    return dice.choice([(SYNC, ("Z",), "sync"), (FLUSH, (), "flush")])


KINDS = [(12, simple), (10, usual), (8, again), (4, flushed), (5, segment), (2, skipped), (2, copied),
         (1, copied_out), (1, called), (1, alone)]


def units(dice):
    """One unit, or several that follow each other."""
    made = dice.choices([kind for _, kind in KINDS], [weight for weight, _ in KINDS])[0](dice)
    return [Step(*one) for one in (made if isinstance(made, list) else [made])]


def together(steps):
    return Step(b"".join(one.data for one in steps), tuple(end for one in steps for end in one.ends),
                " | ".join(one.text for one in steps))


def session(seed):
    dice = random.Random(seed)
    steps = []
    for _ in range(dice.randrange(10, 40)):
        if dice.random() < 0.3:  # a pipeline
            pieces = [one for _ in range(dice.randrange(2, 6)) for one in units(dice)]
            steps.append(together(pieces))
        else:
            steps += units(dice)
    return steps


def play(port, steps, between=lambda number: None, limit_s=WAIT_S):
    """What each step was sent, without what truly differs; the last one is what came with the end."""
    seen, normaliser = [], Normaliser()
    with PgConn(port, "app", limit_s=limit_s * SLOWNESS) as conn:
        normaliser.names_of_pids[conn.pid] = "a"
        for number, step in enumerate(steps):
            between(number)
            conn.send(step.data)
            seen.append([])
            try:
                for kinds in step.ends:
                    raw = b""
                    while not raw or kind_of(raw) not in kinds:
                        raw = conn.read_raw()
                        seen[-1].append(normaliser.normal(raw))
            except (EOFError, TimeoutError, OSError) as error:
                seen[-1].append(b"!" + type(error).__name__.encode())
                return seen
        conn.send(TERMINATE)
        seen.append([normaliser.normal(one) for one in conn.read_eof()])
    return seen
