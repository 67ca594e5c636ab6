"""Real PostgreSQL servers for tests, each with a folder and a port of its own, ready when constructed.

    with PostgresServer() as old, PostgresServer(18, max_connections=20) as new:
        with old.connect() as client:            # user app, database app
            client.rows("SELECT 1")
        new.sql("CREATE TABLE t (id int)")       # as superuser, over the server's Unix socket

A server is a copy of a template, which initdb makes once for each version and build folder: roles `app`
(owner of database `app`) and `replicator`, no fsync, C locale. It is started in a tenth of a second.
"""

import atexit
import contextlib
import fcntl
import functools
import glob
import hashlib
import os
import shutil
import signal
import subprocess

from certificates import Authority
from children import SLOWNESS, end, free_port, spawn, temp_folder, wait_until
from harness import Process
from pg_conn import PgConn, ServerError
from postgres_programs import TREE, as_owner, give, owner, programs

SUPERUSER = "postgres"
TRUST = ("host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust")
OURS = "local all postgres trust"  # the harness's own way in, whatever a test says
INITDB = ("-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions",
          "--wal-segsize=1")
SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
            "shared_buffers": "8MB", "max_connections": "100", "max_wal_senders": "4", "wal_level": "logical",
            "listen_addresses": "127.0.0.1", "autovacuum": "off", "jit": "off", "timezone": "UTC",
            "log_timezone": "UTC", "max_parallel_workers": "0", "max_logical_replication_workers": "0",
            "min_wal_size": "2MB", "max_wal_size": "64MB", "log_destination": "stderr"}
CONTENT = ("CREATE ROLE app LOGIN", "CREATE ROLE replicator LOGIN REPLICATION",
           "CREATE DATABASE app OWNER app")


_running = []


@atexit.register
def stop_all():
    """Before children.py kills them: a killed server leaves shared memory behind."""
    for server in list(_running):
        server.stop()


class Certificates:
    """What `ssl=True` makes: the authority and the server's certificate, once for each test process."""

    authority = None
    pair = None

    @classmethod
    def of_servers(cls):
        if cls.authority is None:
            cls.authority = Authority()
            cls.pair = cls.authority.issue("localhost", "127.0.0.1")
        return cls.pair


class PostgresServer(Process):
    """version    15 or 18
    hba        lines of pg_hba.conf for TCP connections; default: everybody is trusted
    ssl        True: with a certificate of `Certificates`; self.authority is its authority's file
    config     settings of postgresql.conf; True and False are on and off
    """

    def __init__(self, version=15, port=None, hba=TRUST, ssl=False, **config):
        self.version = version
        self.host = "127.0.0.1"
        self.port = port
        self.folder = temp_folder(f"postgres-{os.getpid()}", place())
        self.data = os.path.join(self.folder, "data")
        self.log = os.path.join(self.folder, "postgres.log")
        self.authority = None
        self.config = {**SETTINGS, **config}
        self._conn = None
        shutil.copytree(template(version), self.data, symlinks=True)
        self._write_hba(hba)
        if ssl:
            self._add_certificate()
        give(self.folder)
        os.chmod(self.data, 0o700)
        self._start()

    # Talking to it

    def connect(self, user="app", database="app", **more):
        """A client as applications are, over TCP."""
        return PgConn(self.port, user, database, **more)

    def sql(self, *statements, database="app", limit_s=10.0):
        """Runs them as superuser over the harness's own connection; the rows of the last one."""
        rows = []
        for statement in statements:
            rows = self._own(database).rows(statement, limit_s * SLOWNESS)
        return rows

    def value(self, statement, **more):
        [[value]] = self.sql(statement, **more)
        return value

    def sessions(self):
        """Clients that are connected, the harness's own left out."""
        return int(self.value("SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND"
                              " backend_type IN ('client backend', 'walsender')"))

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    # Changing it

    def set_hba(self, lines):
        """In force when it returns."""
        before = self.value("SELECT pg_conf_load_time()")
        self._write_hba(lines)
        give(self.data)
        self.child.send_signal(signal.SIGHUP)
        wait_until(lambda: self._loaded() != before, 10, "pg_hba.conf is loaded")

    def _loaded(self):
        """When a backend that starts now finds the configuration to be loaded."""
        self._forget_conn()
        return self.value("SELECT pg_conf_load_time()")

    # Life

    def stop(self, how=signal.SIGQUIT):
        """SIGQUIT: at once, as after a crash; SIGINT: sessions are told 57P01, then a checkpoint; SIGTERM:
        when the last session has left."""
        self._forget_conn()
        if self in _running:
            _running.remove(self)
        if self.child is None:
            return
        if self.child.poll() is None:
            self.sigcont()
            self.child.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(10 * SLOWNESS)
        end(self.child)

    def restart(self, how=signal.SIGINT):
        """On the same port with the same data; also after kill()."""
        self.stop(how)
        self._start()

    def kill(self):
        """kill -9 of the server with all its backends."""
        family = self.family()
        self._forget_conn()
        self.child.kill()
        for pid in family[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.child.wait()
        _running.remove(self)
        wait_until(lambda: all(state_of(pid) == "Z" for pid in family), 10, "all have ended")
        self._remove_segment()

    def __exit__(self, *exception):
        super().__exit__(*exception)
        if not os.environ.get("CROSSFADE_KEEP"):
            shutil.rmtree(self.data, ignore_errors=True)

    def sigstop(self):
        """Stops the server and all its backends: connections stay, nothing answers."""
        self._signal_family(signal.SIGSTOP)
        wait_until(lambda: all(state_of(pid) in "TZ" for pid in self.family()), 5, "processes stopped")

    def sigcont(self):
        self._signal_family(signal.SIGCONT)

    def family(self):
        """Pids: the postmaster's first, then its children's."""
        with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as children:
            return [self.pid, *map(int, children.read().split())]

    # Within

    def _signal_family(self, number):
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _own(self, database):
        if self._conn is not None:
            name, conn = self._conn
            conn.available()
            if name == database and conn.eof is None:
                return conn
            self._forget_conn()
        conn = PgConn(0, SUPERUSER, database, host=f"{self.folder}/.s.PGSQL.{self.port}",
                      limit_s=10.0 * SLOWNESS, application_name="harness")
        self._conn = (database, conn)
        return conn

    def _forget_conn(self):
        if self._conn is not None:
            self._conn[1].close()
            self._conn = None

    def _write_hba(self, lines):
        with open(os.path.join(self.data, "pg_hba.conf"), "w", encoding="utf-8") as file:
            file.write("\n".join([OURS, *lines, ""]))

    def _add_certificate(self):
        certificate, key = Certificates.of_servers()
        self.authority = Certificates.authority.cert
        shutil.copy(certificate, os.path.join(self.data, "server.crt"))
        shutil.copy(key, os.path.join(self.data, "server.key"))
        os.chmod(os.path.join(self.data, "server.key"), 0o600)
        self.config = {"ssl": "on", **self.config}

    def _start(self):
        _running.append(self)
        wanted = self.port
        for _ in range(20):
            self.port = wanted or free_port()
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.join(self.data, "postmaster.pid"))
            with open(self.log, "ab") as log:
                self.child = spawn(as_owner(self._argv()), stdout=log, stderr=log, cwd=self.folder)
            if wait_until(self._ready_or_dead, 30, f"PostgreSQL on {self.port}") == "ready":
                return
            if wanted or "could not create any TCP/IP sockets" not in self.log_text():
                break
        raise RuntimeError(f"PostgreSQL does not start: {self.log_text()[-2000:]}")

    def _argv(self):
        argv = [os.path.join(programs(self.version), "postgres"), "-D", self.data, "-p", str(self.port),
                "-k", self.folder]
        for name, value in self.config.items():
            word = {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value
            argv += ["-c", f"{name}={word}"]
        return argv

    def _ready_or_dead(self):
        if self.child.poll() is not None:
            return "dead"
        return "ready" if len(lines := self._pid_file()) > 7 and lines[7].startswith("ready") else None

    def _pid_file(self):
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="utf-8") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def _remove_segment(self):
        """What a killed server leaves behind: 56 bytes of System V shared memory."""
        lines = self._pid_file()
        if len(lines) > 6 and lines[6].split():
            subprocess.run(as_owner(["ipcrm", "-m", lines[6].split()[1]]), check=False, capture_output=True)


def state_of(pid):
    """As /proc has it; Z also for who is gone altogether."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


# Where its folder is


MEMORY = "/dev/shm"
MEMORY_FREE = 4 << 30  # bytes; less is left alone


@functools.cache
def place():
    """Memory where there is plenty: a copy of the template takes a tenth of the time there. Else the disk."""
    for left in glob.glob(f"{MEMORY}/crossfade-postgres-*-*"):  # of tests that were killed
        if not os.path.exists(f"/proc/{left.split('-')[-2]}"):
            shutil.rmtree(left, ignore_errors=True)
    with contextlib.suppress(OSError):
        if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_FREE:
            return MEMORY
    return None


# The template


def template(version):
    """The folder that data folders are copied from, made by the first who asks."""
    recipe = hashlib.sha256(repr((INITDB, CONTENT, SETTINGS, owner())).encode()).hexdigest()[:12]
    place = os.path.join(TREE, "build", "postgres")
    os.makedirs(place, exist_ok=True)
    ready = os.path.join(place, f"template-{version}-{recipe}")
    with open(f"{ready}.lock", "w", encoding="ascii") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not os.path.isdir(ready):
            _make_template(version, ready)
    return ready


def _make_template(version, ready):
    folder = temp_folder("initdb")
    give(folder)
    data = os.path.join(folder, "data")
    where = programs(version)
    subprocess.run(as_owner([os.path.join(where, "initdb"), "-D", data, *INITDB]), check=True,
                   capture_output=True, cwd=folder, stdin=subprocess.DEVNULL)
    settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    subprocess.run(as_owner([os.path.join(where, "postgres"), "--single", "-D", data, *settings, SUPERUSER]),
                   input="\n".join(CONTENT) + "\n", text=True, check=True, capture_output=True, cwd=folder)
    shutil.copytree(data, f"{ready}.part", symlinks=True, dirs_exist_ok=True)
    os.rename(f"{ready}.part", ready)


__all__ = ["Certificates", "PgConn", "PostgresServer", "ServerError", "TRUST", "template"]
