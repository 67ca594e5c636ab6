"""PostgreSQL scripts as text: what a client sends, and when, one step a line (pg_scripts/*.txt).

    === name of the script              begins one
    % cut | in pieces | …               options, see OPTIONS
    Q select 1; select 2                connection a sends a Query with the rest of the line
    b> P s1 "select $1" 23 ; S          the same connection rules; messages are separated by " ; "
    b[0]> …   b[3]> …   b[1C|E]> …      waits for nothing; for three messages; up to a C or E after a 1
    ~ \\d+ ms                            masks this pattern in what the next step waits for
    !sql create table x ()              on every server, as superuser; `set role app` is said there
    !until select … | !until all select …    polls every server until one of them answers t; until all do
    !wait b A                           waits as b[A]> does
    !open b user=x database=y           connects and logs in (3.2: first word); a connection that is
                                        not opened so logs in as app at its first message
    !login b user=x password=y          start-up and login by whatever method the server asks for
    !cancel b | !cancel b wrong         CancelRequest on a connection of its own; wrong: a false key
    !closed b | !shut b | !close b | !abort b | !turn    see difference.py

A step without [...] waits for as many ReadyForQuery as it sends of Q, S and F; after `startup` up to the
first, or to an error. ${pid b} is the pid that b was told; ${verifier r p} the statement that gives role r
the password p. Words may be quoted; \\N is NULL, hex:00ff bytes.
A message is a letter and its words:

    Q sql | P name sql [oid…] | B portal statement [value… ] [in=0,1] [out=1] | D S|P name | C S|P name
    E portal [rows_max] | S | H | X | d data | c | f reason | F oid [value…] [in=…] [out=1] | p password
    startup 3.0 name=value… | ssl | gss | raw bytes | msg type [bytes]       (escapes of Python in bytes)

At the end every connection still open says Terminate and must be closed by the peer without a word.
"""

import os
import re
import struct

from difference import Script, Step, raw_bytes, split_args
from pg_login import scram_verifier
from pg_messages import (COPY_DONE, FLUSH, GSSENC_REQUEST, SSL_REQUEST, SYNC, TERMINATE, bind, close,
                         copy_data, copy_fail, describe, execute, function_call, message, parse, password,
                         query, startup, untyped)

OPTIONS = {
    "cut": "its first step is also sent cut in two at every byte; it leaves the session as it was",
    "one side": "speaks about the server itself: left out where both sides may answer",
    "version 18": "asks for what 15 does not have",
}
SEND = re.compile(r"^(?:([a-z])?(?:\[([^\]]*)\])?> )?(.*)$", re.S)
VERIFIER = re.compile(r"\$\{verifier (\w+) (\w+)\}")
COUNTED = "QSF"  # each is answered by one ReadyForQuery


def value_of(word):
    if word == b"\\N":
        return None
    return bytes.fromhex(word[4:].decode()) if word.startswith(b"hex:") else word


def codes(words, name):
    """The list after `name`=, and the other words."""
    found = [word for word in words if word.startswith(name)]
    rest = [word for word in words if not word.startswith(name)]
    return [int(one) for word in found for one in word[len(name):].split(b",")], rest


def bind_of(words):
    given, words = codes(words, b"in=")
    wanted, words = codes(words, b"out=")
    return bind(words[0], words[1], [value_of(word) for word in words[2:]], given, wanted)


def function_of(words):
    given, words = codes(words, b"in=")
    wanted, words = codes(words, b"out=")
    return function_call(int(words[0]), [value_of(word) for word in words[1:]], given, *wanted)


def pairs_of(words):
    return dict(word.decode().split("=", 1) for word in words)


def startup_of(words):
    major, minor = words[0].split(b".")
    return startup(int(major) << 16 | int(minor), **pairs_of(words[1:]))


def named(make):
    return lambda words: make(words[0].decode(), words[1] if len(words) > 1 else b"")


MAKERS = {
    "Q": lambda words: query(words[0]),
    "P": lambda words: parse(words[0], words[1], [int(oid) for oid in words[2:]]),
    "B": bind_of,
    "D": named(describe),
    "C": named(close),
    "E": lambda words: execute(words[0] if words else b"", int(words[1]) if len(words) > 1 else 0),
    "S": lambda words: SYNC,
    "H": lambda words: FLUSH,
    "X": lambda words: TERMINATE,
    "d": lambda words: copy_data(words[0]),
    "c": lambda words: COPY_DONE,
    "f": lambda words: copy_fail(words[0]),
    "F": function_of,
    "p": lambda words: password(words[0]),
    "startup": startup_of,
    "ssl": lambda words: untyped(SSL_REQUEST),
    "gss": lambda words: untyped(GSSENC_REQUEST),
    "raw": lambda words: words[0] if words else b"",
    "msg": lambda words: message(words[0].decode(), words[1] if len(words) > 1 else b""),
}


def split_messages(line):
    """The words of each message of a line."""
    if line.startswith("Q ") and not line.startswith('Q "'):
        return [[b"Q", line[2:].encode()]]
    if line.startswith("raw "):
        return [[b"raw", raw_bytes(line[4:])]]
    found = [[]]
    for word in split_args(line):
        if word == b";":
            found.append([])
        else:
            found[-1].append(word)
    return found


def bytes_of(line):
    """What a line sends; ${…} has been filled in."""
    return b"".join(MAKERS[words[0].decode()](words[1:]) for words in split_messages(line))


def waits_of(spec, line):
    """How many messages (an int), or the types to wait for one after the other, each a set of letters."""
    if spec is not None and spec.isdigit():
        return int(spec)
    if spec is not None:
        return [set(one.split("|")) for one in re.findall(r"\w(?:\|\w)*", spec)]
    kinds = [words[0].decode() for words in split_messages(line)]
    if kinds[0] == "startup":
        return [{"Z", "E"}]
    if kinds[0] in ("ssl", "gss"):
        return 1
    return [{"Z"}] * sum(kind in COUNTED for kind in kinds)


def send_step(text, masks=()):
    conn, spec, line = SEND.match(text).groups()
    step = Step("send", conn or "a", line, waits_of(spec, line), tuple(masks), text=text)
    if "${" not in line:
        bytes_of(line)  # a fault in it shows here, with its line number
    return step


def password_statement(found):
    """Servers that hold the same verifier can be logged in to alike, also by what has only seen one."""
    role, secret = found.groups()
    return f"alter role {role} password '{scram_verifier(secret, b'the same anywhere')}'"


def order_step(text, masks=()):
    op, _, rest = text[1:].partition(" ")
    if op in ("sql", "until"):
        return Step(op, data=VERIFIER.sub(password_statement, rest), text=text)
    if op == "turn":
        return Step(op, text=text)
    conn, *words = rest.split()
    count = waits_of(words[0], "") if op == "wait" else 0
    return Step(op, conn, words, count, tuple(masks), text=text)


def read_file(path):
    group, scripts, masks = os.path.basename(path)[:-len(".txt")], [], []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\n")
            if not line.strip() or line.startswith("#"):
                continue
            try:
                if line.startswith("=== "):
                    scripts.append(Script(group, line[4:].strip()))
                elif line.startswith("% "):
                    scripts[-1].options[next(o for o in OPTIONS if line[2:] == o)] = True
                elif line.startswith("~ "):
                    masks.append(line[2:])
                else:
                    make = order_step if line.startswith("!") else send_step
                    scripts[-1].steps.append(make(line, masks))
                    masks = []
            except (ValueError, KeyError, IndexError, StopIteration, struct.error) as error:
                raise ValueError(f"{path}:{number}: {line!r}: {error!r}") from error
    return scripts


def read_scripts(folder):
    """All scripts of a folder's .txt files, in order."""
    return [script for file in sorted(os.listdir(folder)) if file.endswith(".txt")
            for script in read_file(os.path.join(folder, file))]
