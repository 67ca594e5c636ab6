"""Playing PostgreSQL scripts (pg_notation.py): what every connection was sent, with what truly differs
between two servers taken out (pg_normal.py), so that transcripts of two targets can be compared byte by byte.
"""

import re

from children import SLOWNESS, wait_until
from difference import Transcript
from pg_conn import PgConn, ServerError
from pg_login import LoginFailed
from pg_messages import TERMINATE, VERSION_3_2, Broken, kind_of, startup
from pg_normal import Normaliser
from pg_notation import bytes_of, pairs_of
from pg_text import line_of

WAIT_S = 4.0
PREPARE = """drop schema public cascade; create schema public authorization app; set role app;
create table t (id int primary key, v text); insert into t values (1, 'one'), (2, 'two'), (3, null);
reset role"""
# Whether any transaction has written since, and who is connected.
STATE = """select pg_snapshot_xmax(pg_current_snapshot()), count(*) filter (where pid <> pg_backend_pid()
and backend_type in ('client backend', 'walsender')) from pg_stat_activity"""
END_CLIENTS = """select count(pg_terminate_backend(pid)) from pg_stat_activity
where pid <> pg_backend_pid() and backend_type in ('client backend', 'walsender')"""
PREPARE_ONCE = """do $$ begin if not exists (select from pg_roles where rolname = 'carol') then
create role carol login; create role mona login; create role paul login; create role rita login;
create role lena login connection limit 0; end if; end $$"""


class PgTarget:
    """Where scripts are played: a port that clients connect to, and the servers behind it.

    settled   returns whether all is done that earlier scripts gave to do
    """

    def __init__(self, name, port, servers, settled=None):
        self.name = name
        self.port = port
        self.servers = servers
        self._settled = settled or (lambda: True)
        self._turn = None
        for server in servers:
            server.sql(PREPARE_ONCE)
        self._sessions = [server.sessions() for server in servers]
        self._prepared = [None for _ in servers]

    def close(self):
        if self._turn:
            self._turn.terminate()

    def turn(self):
        """Returns after everything that reached the target's loop before has been processed there."""
        if self._turn is None or self._turn.eof:
            self._turn = PgConn(self.port, "app", limit_s=WAIT_S * SLOWNESS)
        self._turn.ask("")

    def end_turns(self):
        """The connection for turns is one that scripts do not expect."""
        if self._turn is not None:
            self._turn.terminate()
            self._turn = None

    def prepare(self):
        """Every server as it was, and without clients of earlier scripts."""
        self.end_turns()
        wait_until(self._settled, 10, "all is done that earlier scripts gave to do")
        for number, server in enumerate(self.servers):
            try:
                wait_until(lambda: self._state(number)[1] <= self._sessions[number], 3, "clients gone")
            except TimeoutError:
                server.sql(END_CLIENTS)  # a comparison of what follows tells whether it mattered
            if self._state(number)[0] != self._prepared[number]:
                server.sql(PREPARE)
                self._prepared[number] = self._state(number)[0]

    def _state(self, number):
        [[transactions, sessions]] = self.servers[number].sql(STATE)
        return transactions, int(sessions)

    def sql(self, statement):
        for server in self.servers:
            server.sql(statement)

    def holds(self, condition):
        quantifier = all if condition.startswith("all ") else any
        return quantifier(server.value(condition.removeprefix("all ")) == "t" for server in self.servers)


class PgPlayer:
    """One play of one script against one target; `limit_s` for each thing that is waited for."""

    def __init__(self, target, limit_s=WAIT_S):
        self._target = target
        self._limit_s = limit_s * SLOWNESS
        self._conns = {}
        self._seen = {}      # connection -> normal messages
        self._ended = {}
        self._normaliser = Normaliser()

    def play(self, script):
        """The script's transcript."""
        step, trouble = None, ""
        try:
            for step in script.steps:
                self._do(step)
            step = None
            self._finish()
        except (TimeoutError, EOFError, OSError, ServerError, LoginFailed, Broken) as error:
            trouble = f"at {step.text if step else 'the end'!r}: {type(error).__name__}: {error}"
        finally:
            transcript = self._transcript(trouble)
            for conn in self._conns.values():
                conn.close()
        return transcript

    def _do(self, step):
        if step.op == "turn":
            return self._target.turn()
        if step.op == "sql":
            return self._target.sql(step.data)
        if step.op == "until":
            return wait_until(lambda: self._target.holds(step.data), WAIT_S, step.text)
        return getattr(self, f"_{step.op}")(step)

    # Steps

    def _send(self, step):
        if isinstance(step.data, bytes):
            self._conn(step.conn).send(step.data)
            return self._wait(step)
        line = re.sub(r"\$\{pid (\w)\}", lambda found: str(self._conn(found[1]).pid), step.data)
        begins = line.startswith(("startup", "ssl", "gss", "raw")) and step.conn not in self._conns
        conn = self._connected(step.conn) if begins else self._conn(step.conn)
        if line.startswith(("ssl", "gss")):
            conn.expect_byte()
        conn.send(bytes_of(line))
        return self._wait(step)

    def _wait(self, step):
        """Takes what the step waits for."""
        if isinstance(step.count, int):
            for _ in range(step.count):
                self._take(step)
            return
        for kinds in step.count:
            while self._take(step) not in kinds:
                pass

    def _open(self, step):
        newer = step.data[0] == "3.2"
        version = {"version": VERSION_3_2} if newer else {}
        parameters = pairs_of(word.encode() for word in step.data[newer:])
        parameters.setdefault("database", parameters["user"])
        conn = self._connected(step.conn)
        conn.send(startup(**version, **parameters))
        conn.answer_login(parameters["user"], None)
        self._greeted(step.conn, conn)

    def _login(self, step):
        parameters = pairs_of(word.encode() for word in step.data)
        conn = self._connected(step.conn)
        conn.send(startup(user=parameters["user"], database="app"))
        try:
            conn.answer_login(parameters["user"], parameters["password"])
        except ServerError:
            pass  # it is in the greeting, which is compared
        self._greeted(step.conn, conn)

    def _cancel(self, step):
        conn = self._conn(step.conn)
        conn.cancel(bytes(len(conn.key)) if step.data == ["wrong"] else None)

    def _closed(self, step):
        self._keep(step.conn, self._conns[step.conn].read_eof(), step.masks)

    def _shut(self, step):
        self._conn(step.conn).shutdown_write()

    def _close(self, step):
        self._ended[step.conn] = "close"
        self._conn(step.conn).close()

    def _abort(self, step):
        self._ended[step.conn] = "abort"
        self._conn(step.conn).abort()

    # Connections and what they were sent

    def _connected(self, name):
        self._conns[name] = PgConn(self._target.port, limit_s=self._limit_s)
        self._seen[name] = []
        return self._conns[name]

    def _conn(self, name):
        if name not in self._conns:
            conn = self._connected(name)
            conn.log_in("app", "app")
            self._greeted(name, conn)
        return self._conns[name]

    def _greeted(self, name, conn):
        self._keep(name, conn.greeting, ())

    def _take(self, step):
        raw = self._conns[step.conn].read_raw()
        self._keep(step.conn, [raw], step.masks)
        return chr(raw[0])

    def _keep(self, name, messages, masks):
        for raw in messages:
            if len(raw) > 8 and kind_of(raw) == "K":
                self._learn(raw, name)
            self._seen[name].append(self._normaliser.normal(raw, masks))

    def _learn(self, raw, name):
        self._normaliser.learn(raw, name)
        conn = self._conns[name]
        conn.pid, conn.key = int.from_bytes(raw[5:9], "big"), raw[9:]

    def _finish(self):
        for name, conn in self._conns.items():
            if name not in self._ended and conn.eof is None:
                conn.send(TERMINATE)
        for name, conn in self._conns.items():
            if name not in self._ended:
                self._keep(name, conn.read_eof(), ())

    def _transcript(self, trouble):
        out = Transcript(trouble=trouble)
        for name, conn in self._conns.items():
            if name not in self._ended:
                self._keep(name, conn.available() + ([conn.rest] if conn.rest else []), ())
            out.replies[name] = self._seen[name]
            # Whether a stream ends by FIN or by a reset is a matter of the kernel's timing.
            out.ends[name] = self._ended.get(name) or ("closed" if conn.eof else "open")
        return out


class Cuts:
    """The first step of a script, cut in two at every byte, over one connection that is used again."""

    def __init__(self, target, script):
        self._target = target
        self._step = script.steps[0]
        self._conn = None

    def transcripts(self):
        """Yields (position, what connection a was sent for its first step)."""
        data = bytes_of(self._step.data)
        begins = self._step.data.startswith("startup")
        for position in range(1, len(data)):
            if self._conn is None or begins:
                self.close()
                self._conn = PgConn(self._target.port, None if begins else "app", limit_s=WAIT_S * SLOWNESS)
            yield position, self._send(data[:position], data[position:])
        self.close()

    def _send(self, first, second):
        normaliser, seen = Normaliser(), []
        normaliser.names_of_pids[self._conn.pid] = "a"
        self._conn.send(first)
        self._target.turn()
        self._conn.send(second)
        for kinds in self._step.count:
            raw = b" "
            while kind_of(raw) not in kinds:
                raw = self._conn.read_raw()
                if kind_of(raw) == "K":
                    normaliser.learn(raw, "a")
                seen.append(normaliser.normal(raw))
        return seen

    def close(self):
        if self._conn is not None:
            self._conn.terminate()
            self._conn = None


def show(raw, other):
    """One message for a report; a long one from where it differs."""
    if raw is None:
        return "nothing"
    if len(raw) <= 400 or other is None:
        return line_of(raw)
    first = next((i for i, (x, y) in enumerate(zip(raw, other)) if x != y), 0)
    return f"{line_of(raw)[:60]} … {len(raw)} bytes, from byte {first}: {raw[first:first + 100]!r}"


def told(transcript):
    """A transcript for people."""
    lines = [f"{name}: {line_of(raw)}" for name, messages in transcript.replies.items() for raw in messages]
    ends = [f"{name} {end}" for name, end in transcript.ends.items()]
    return "\n".join([*lines, *ends, *filter(None, [transcript.trouble])])
