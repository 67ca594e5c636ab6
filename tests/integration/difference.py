"""Byte scripts: what clients send, and when, so that two servers' answers can be compared.

A script is played against a target (a port that clients connect to, and the servers behind it) and
gives a transcript: every reply of every connection, byte for byte, and how each stream ended. Two
targets that a client cannot tell apart give equal transcripts. What truly differs between two
servers (ids, times, ports) is masked, by the step that asks for it.

The notation of scripts/*.txt, one file for each group of commands:

    === name of the script              begins one
    % cut | in one piece | …            options, see OPTIONS
    SET k v                             connection a sends it as an array, waits for one reply
    b> GET k                            the same on connection b
    b[0]> BLPOP q 0                     … and waits for no reply;  [3] waits for three
    b[1]| GET k\\r\\n                     the bytes as they are (escapes of Python)
    id=> CLIENT ID                      keeps the reply's value; ${id} in later steps is that value
    ~ :\\d+                              masks this pattern in the replies of the next step
    !wait b 2                           waits for two more replies on b
    !blocked 2                          waits until the server counts two blocked clients
    !gone k                             waits until key k has expired
    !closed b                           waits until the peer has closed b
    !open b | !shut b | !close b | !abort b | !turn    connects; half-closes; closes; resets; lets
                                        everything sent so far be processed
Quotes and escapes in arguments are those of redis-cli. At the end every connection still open is
half-closed and must be closed by the peer with nothing more to say.
"""

import ast
import os
import re
from dataclasses import dataclass, field

from children import SLOWNESS, wait_until
from resp import RawConn, ReplyError, encode, value_of

OPTIONS = {
    "cut": "also sent cut in two at every byte",
    "in steps": "its replies depend on when its parts arrive: never sent in one piece",
    "keeps": "keeps NAME…: puts these configuration directives back afterwards",
    "end abort": "connections are closed without reading on; what follows is not compared",
    "one side": "speaks about the server itself: left out where both sides may answer",
}
STEP = re.compile(r"^(?:(\w+)=(?=[>|a-z\[]))?(?:([a-z])?(?:\[(\d+)\])?([>|]) )(.*)$", re.S)
WAIT_S = 4.0


@dataclass
class Step:
    """One thing to do. `op`: send, wait, blocked, gone, closed, open, shut, close, abort, turn."""
    op: str
    conn: str = "a"
    data: object = b""      # bytes, or a list of arguments still to be filled with captured values
    count: int = 0          # replies to wait for
    masks: tuple = ()
    capture: str = ""
    text: str = ""          # as written, for reports


@dataclass
class Script:
    group: str
    name: str
    steps: list = field(default_factory=list)
    options: dict = field(default_factory=dict)

    @property
    def id(self):
        return f"{self.group}: {self.name}"

    def is_plain(self):
        """One connection that only sends: may be sent in one piece or in any two."""
        return (all(step.op == "send" and step.conn == "a" and isinstance(step.data, bytes)
                    for step in self.steps) and "in steps" not in self.options)


@dataclass
class Transcript:
    """What came back. replies: connection -> raw replies, masked; ends: connection -> how it ended."""
    replies: dict = field(default_factory=dict)
    ends: dict = field(default_factory=dict)
    trouble: str = ""


class Target:
    """Where scripts are played: a client port, and the servers whose state they leave behind.

    settled   returns whether all is done that earlier scripts gave to do
    tls       an ssl.SSLContext, where the client port speaks TLS
    """

    def __init__(self, name, port, servers, settled=None, tls=None):
        self._settled = settled or (lambda: True)
        self._tls = tls
        self.name = name
        self.port = port
        self.servers = servers
        self._turn = None
        self._clients = [0] * len(servers)
        self._config = {}
        for server in servers:
            pairs = server.call("CONFIG", "GET", "*")
            self._config[server.port] = dict(zip(pairs[::2], pairs[1::2]))
        self.reset()
        self.turn()
        self._clients = [int(server.info("clients")["connected_clients"]) for server in servers]

    def close(self):
        if self._turn:
            self._turn.close()

    def connect(self, **how):
        return RawConn(self.port, tls=self._tls, **how)

    def turn(self):
        """Returns after everything that reached the target's loop before has been processed there."""
        if self._turn is not None:
            try:
                self._turn.call("PING")
                return
            except EOFError:  # a script had the server close idle connections, or all
                self._turn.close()
        self._turn = self.connect()
        self._turn.call("PING")

    def reset(self, keeps=(), leave=0):
        """Every server empty, with its first configuration, and without clients of earlier scripts but
        for `leave` of them."""
        wait_until(self._settled, 10, "all is done that earlier scripts gave to do")
        for server, clients in zip(self.servers, self._clients):
            if clients:
                try:
                    wait_until(lambda s=server, n=clients:
                               int(s.info("clients")["connected_clients"]) <= n + leave, 2,
                               "clients gone")
                except TimeoutError:
                    pass  # a comparison of what follows tells whether it mattered
            server.calls(RESET)
            for name in keeps:
                server.call("CONFIG", "SET", name, self._config[server.port][name.encode()])

    def blocked(self):
        return max(int(server.info("clients")["blocked_clients"]) for server in self.servers)

    def gone(self, key):
        return all(server.call("EXISTS", key) == 0 for server in self.servers)


RESET = [("FLUSHALL",), ("SCRIPT", "FLUSH"), ("FUNCTION", "FLUSH"), ("SLOWLOG", "RESET"),
         ("LATENCY", "RESET"), ("CONFIG", "RESETSTAT"), ("ACL", "LOG", "RESET"),
         ("ACL", "DELUSER", "alice", "bob", "carol"),
         ("ACL", "SETUSER", "default", "reset", "on", "nopass", "~*", "&*", "+@all")]


# Reading scripts


def split_args(text):
    """Arguments as redis-cli splits them."""
    args, position = [], 0
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if position == len(text):
            return args
        arg = bytearray()
        while position < len(text) and not text[position].isspace():
            quote = text[position]
            if quote not in "\"'":
                arg += quote.encode()
                position += 1
                continue
            position += 1
            while text[position] != quote:
                if text[position] == "\\" and quote == '"':
                    escape = re.match(r"\\(x[0-9a-fA-F]{2}|.)", text[position:], re.S).group(0)
                    arg += ast.literal_eval(f'b"{escape}"')
                    position += len(escape)
                else:
                    arg += text[position].encode()
                    position += 1
            position += 1
        args.append(bytes(arg))


def raw_bytes(text):
    return ast.literal_eval("b'" + text.replace("'", "\\'") + "'")


def send_step(text, masks=()):
    """The step that a line which sends something stands for."""
    matched = STEP.match(text)
    capture, conn, count, kind, rest = matched.groups() if matched else ("", "a", "1", ">", text)
    if kind == "|":
        data = raw_bytes(rest)
    else:
        data = split_args(rest)
        if not any(b"${" in arg for arg in data):
            data = encode(*data)
    if kind == "|" and b"${" in data:
        data = [data, None]  # raw with captured values
    return Step("send", conn or "a", data, 1 if count is None else int(count), tuple(masks),
                capture or "", text)


def read_scripts(folder):
    """All scripts of a folder's .txt files, in order."""
    scripts = []
    for file in sorted(os.listdir(folder)):
        if not file.endswith(".txt"):
            continue
        script, masks = None, []
        with open(os.path.join(folder, file), encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                line = line.rstrip("\n")
                try:
                    if not line.strip() or line.startswith("#"):
                        continue
                    if line.startswith("=== "):
                        script = Script(file[:-len(".txt")], line[4:].strip())
                        scripts.append(script)
                    elif line.startswith("% "):
                        name = next(o for o in OPTIONS if line[2:].startswith(o))
                        script.options[name] = line[2 + len(name):].split()
                    elif line.startswith("~ "):
                        masks.append(line[2:])
                    elif line.startswith("!"):
                        op, *rest = line[1:].split()
                        step = Step(op, text=line, masks=tuple(masks))
                        if op in ("blocked",):
                            step.count = int(rest[0])
                        elif op == "gone":
                            step.data = rest[0]
                        elif op != "turn":
                            step.conn = rest[0]
                            step.count = int(rest[1]) if op == "wait" else 0
                        script.steps.append(step)
                        masks = []
                    else:
                        script.steps.append(send_step(line, masks))
                        masks = []
                except Exception as error:
                    raise ValueError(f"{file}:{number}: {line!r}: {error!r}") from error
    return scripts


# Playing them


class Player:
    """One play of one script against one target.

    spare   a connection left over by an earlier play, for connection a
    """

    def __init__(self, target, spare=None):
        self._target = target
        self._conns = {}
        self._spare = spare
        self._replies = {}   # connection -> raw replies
        self._values = {}
        self._masks = {}     # (connection, index of reply) -> patterns
        self._ended = {}

    def play(self, script, pieces=None):
        """The script's transcript. With `pieces` these byte strings are sent instead of the steps, one
        after the other, each after a turn; connection a then stays open, as `self.left`, unless the
        peer closed it."""
        trouble = ""
        step = None
        try:
            if pieces is None:
                for step in script.steps:
                    self._do(step)
            else:
                self._send_pieces(script, pieces)
            step = None
            self._finish(script, pieces is not None)
        except (TimeoutError, EOFError, OSError) as error:
            trouble = f"at {step.text if step else 'the end'!r}: {type(error).__name__}: {error}"
        finally:
            transcript = self._transcript(trouble)
            for conn in self._conns.values():
                if conn is not self.left:
                    conn.close()
        return transcript

    left = None

    def _conn(self, name):
        if name not in self._conns:
            spare, self._spare = self._spare, None
            self._conns[name] = spare or self._target.connect(limit_s=WAIT_S * SLOWNESS)
            self._replies[name] = []
        return self._conns[name]

    def _do(self, step):
        if step.op == "turn":
            return self._target.turn()
        if step.op == "blocked":
            return wait_until(lambda: self._target.blocked() == step.count, WAIT_S, step.text)
        if step.op == "gone":
            return wait_until(lambda: self._target.gone(step.data), WAIT_S, step.text)
        conn = self._conn(step.conn)
        if step.op == "send":
            conn.send(self._filled(step.data))
        elif step.op == "shut":
            conn.shutdown_write()
        elif step.op == "closed":
            self._replies[step.conn] += conn.read_eof()
        elif step.op in ("close", "abort"):
            self._ended[step.conn] = step.op
            getattr(conn, step.op)()
        replies = self._replies[step.conn]
        for _ in range(step.count):
            self._masks[step.conn, len(replies)] = step.masks
            replies.append(conn.read_raw())
        if step.capture:
            self._values[step.capture] = value_of(replies[-1])

    def _send_pieces(self, script, pieces):
        conn = self._conn("a")
        for number, piece in enumerate(pieces):
            if number:
                self._target.turn()
            conn.send(piece)
        replies = self._replies["a"]
        for step in script.steps:
            for _ in range(step.count):
                self._masks["a", len(replies)] = step.masks
                replies.append(conn.read_raw())

    def _finish(self, script, keep):
        for name, conn in self._conns.items():
            if name in self._ended:
                continue
            if keep:
                # What is still to be said comes before the answer to RESET.
                self._replies[name] += conn.available()
                if conn.eof is None and conn.call("RESET") == "RESET":
                    self._ended[name] = "closed"
                    self.left = conn
                continue
            if "end abort" in script.options:
                self._ended[name] = "abort"
                conn.abort()
                continue
            conn.shutdown_write()
            self._replies[name] += conn.read_eof()

    def _filled(self, data):
        if isinstance(data, bytes):
            return data
        filled = [re.sub(rb"\$\{(\w+)\}", lambda m: self._text(m.group(1).decode()), arg)
                  for arg in data if arg is not None]
        return filled[0] if data[-1] is None else encode(*filled)

    def _text(self, name):
        name, _, index = name.partition("_at_")
        value = self._values[name]
        for part in index.split("_") if index else ():
            value = value[int(part)]
        if isinstance(value, ReplyError):
            raise ValueError(f"{name} is an error: {value}")
        return value if isinstance(value, bytes) else str(value).encode()

    def _transcript(self, trouble):
        out = Transcript(trouble=trouble)
        for name, conn in self._conns.items():
            out.replies[name] = [self._masked(name, index, raw)
                                 for index, raw in enumerate(self._replies[name])]
            if name in self._ended:
                out.ends[name] = self._ended[name]
            else:
                # Whatever is there beyond the expected replies belongs to the comparison as well.
                out.replies[name] += conn.available()
                out.ends[name] = conn.eof or "open"
                if conn.rest:
                    out.replies[name].append(conn.rest)
        return out

    def _masked(self, conn, index, raw):
        for pattern in self._masks.get((conn, index), ()):
            raw = re.sub(pattern.encode(), b"<masked>", raw, flags=re.S)
        return raw


def differences(expected, seen, show=None):
    """Text that says where two transcripts differ; empty when they are equal. `show(raw, other)` makes
    text of a reply."""
    show, out = show or _short, []
    for conn in sorted(set(expected.replies) | set(seen.replies)):
        left, right = expected.replies.get(conn, []), seen.replies.get(conn, [])
        for index in range(max(len(left), len(right))):
            a = left[index] if index < len(left) else None
            b = right[index] if index < len(right) else None
            if a != b:
                out.append(f"connection {conn}, reply {index + 1}:\n"
                           f"    expected {show(a, b)}\n    seen     {show(b, a)}")
                break
        if expected.ends.get(conn) != seen.ends.get(conn):
            out.append(f"connection {conn} ended: expected {expected.ends.get(conn)}, "
                       f"seen {seen.ends.get(conn)}")
    if expected.trouble or seen.trouble:
        out.append(f"trouble: expected {expected.trouble or 'none'}, seen {seen.trouble or 'none'}")
    return "\n".join(out)


def _short(raw, other):
    if raw is None:
        return "nothing"
    if len(raw) <= 400:
        return repr(raw)
    first = next((i for i, (x, y) in enumerate(zip(raw, other or b"")) if x != y), 0)
    return f"{len(raw)} bytes, from byte {first}: {raw[first:first + 200]!r}"


def describe(script):
    """The script as text, for reports."""
    lines = [step.text if step.text else f"{step.op} {step.conn} {_short(step.data, b'')}"
             for step in script.steps[:60]]
    return "\n".join("    " + line for line in lines)
