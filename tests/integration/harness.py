"""What integration tests are made of: real Redis servers, the real sidecar, raw connections.

    with RedisServer() as old, RedisServer() as new, Sidecar(loops=2) as sidecar:
        sidecar.add_endpoint("old", old)
        sidecar.add_endpoint("new", new)
        port = sidecar.add_interlay("cache", "old")
        sidecar.migrate("m", {"type": "shadow_traffic"}, "cache", "new")
        with RawConn(port) as client:
            assert client.call("PING") == "PONG"

The binary is $CROSSFADE_BIN, or build/release/crossfade of this tree. Standard library only; needs
no rights. CROSSFADE_KEEP=1 keeps the folders with logs, CROSSFADE_TEST_SLOWNESS=5 stretches limits.
"""

import http.client
import json
import os
import re
import signal
import subprocess

from children import SLOWNESS, end, free_port, spawn, temp_folder, wait_until
from resp import Push, RawConn, ReplyCutter, ReplyError, encode, value_of

__all__ = ["ADMIN", "READ", "ApiError", "Push", "RawConn", "RedisServer", "ReplyCutter",
           "ReplyError", "SLOWNESS", "Sidecar", "TREE", "binary", "encode", "free_port", "spawn",
           "end", "temp_folder", "value_of", "wait_until"]

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ADMIN = "admin-token-of-the-tests"
READ = "read-token-of-the-tests"


def binary():
    """Path of the sidecar's program."""
    return os.environ.get("CROSSFADE_BIN", os.path.join(TREE, "build", "release", "crossfade"))


class Process:
    """What servers and sidecars share: one child, ended with the `with` block."""

    child = None

    @property
    def pid(self):
        return self.child.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.child is not None:
            end(self.child)

    def kill(self):
        """kill -9, and waits for the end."""
        self.child.kill()
        self.child.wait()

    def sigstop(self):
        self.child.send_signal(signal.SIGSTOP)
        wait_until(lambda: self._state() == "T", 5, "process stopped")

    def sigcont(self):
        self.child.send_signal(signal.SIGCONT)

    def alive(self):
        return self.child.poll() is None

    def rss(self):
        """Resident memory in bytes."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) * 1024

    def cpu_seconds(self):
        """User and system time used so far."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def _state(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0]


class RedisServer(Process):
    """A real redis-server on a free port with a folder of its own, ready when constructed.

    Configuration directives are keyword arguments with '_' for '-'; a list repeats the directive.
    """

    def __init__(self, binary="redis-server", port=None, **config):
        self.binary = binary
        self.host = "127.0.0.1"
        self.port = port
        self.folder = temp_folder("redis")
        self.log = os.path.join(self.folder, "redis.log")
        self.password = config.get("requirepass")
        self.config = {"bind": self.host, "save": "", "appendonly": "no",
                       "enable_debug_command": "yes", "dir": self.folder, **config}
        self._client = None
        self._start()

    @property
    def url(self):
        return f"redis://{self.host}:{self.port}"

    def call(self, *args, limit_s=10.0):
        """One command over the harness's own connection (made again after a restart); an error reply
        raises ReplyError."""
        [value] = self.calls([args], limit_s)
        return value

    def calls(self, commands, limit_s=10.0):
        """Likewise many commands, in one piece."""
        if self._client is not None:
            self._client.available()
            if self._client.eof:
                self._client.close()
                self._client = None
        if self._client is None:
            self._client = RawConn(self.port, limit_s=10.0)
            if self.password:
                self._client.call("AUTH", self.password)
        try:
            self._client.send(b"".join(encode(*args) for args in commands))
            values = [self._client.read(limit_s * SLOWNESS) for _ in commands]
        except (EOFError, TimeoutError):
            self._client.close()
            self._client = None
            raise
        for value in values:
            if isinstance(value, ReplyError):
                raise value
        return values

    def info(self, section="everything"):
        """INFO as a dict of text."""
        text = self.call("INFO", section).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def commandstats(self):
        """Calls by lower-case command name ("client|id" for subcommands), the harness's included."""
        return {name[len("cmdstat_"):]: int(re.match(r"calls=(\d+)", value).group(1))
                for name, value in self.info("commandstats").items()}

    def restart(self):
        """Starts again on the same port with the same folder, after stop() or kill()."""
        self.stop()
        self._start()

    def stop(self):
        if self._client is not None:
            self._client.close()
            self._client = None
        super().stop()

    def _start(self):
        wanted = self.port
        for _ in range(20):
            self.port = wanted or free_port()
            self.child = spawn(self._argv(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if wait_until(self._ready_or_dead, 20, f"{self.binary} on {self.port}") == "ready":
                return
        raise RuntimeError(f"{self.binary} does not start; see {self.log}")

    def _argv(self):
        argv = [self.binary, "--port", str(self.port), "--logfile", self.log, "--daemonize", "no"]
        for name, value in self.config.items():
            for one in value if isinstance(value, list) else [value]:
                argv += ["--" + name.replace("_", "-"), str(one)]
        return argv

    def _ready_or_dead(self):
        if self.child.poll() is not None:
            return "dead"  # the port was taken in between
        try:
            return "ready" if self.call("PING") == "PONG" else None
        except ReplyError as error:
            return None if str(error).startswith("LOADING") else "ready"
        except (OSError, EOFError):
            self._client = None
            return None


class ApiError(Exception):
    """An answer of the control port that was not 2xx: `.status`, `.body`."""

    def __init__(self, request, status, body):
        super().__init__(f"{request}: {status} {body}")
        self.status = status
        self.body = body


class Sidecar(Process):
    """The real sidecar with a state file of its own, ready when constructed.

    loops     event loops
    config    dict, given as the configuration file
    state     path of the state file; default: a new one in a temporary folder
    args      further flags
    env       further environment variables
    """

    def __init__(self, loops=1, config=None, state=None, args=(), env=None):
        self.folder = temp_folder("sidecar")
        self.state = state or os.path.join(self.folder, "crossfade.db")
        self.log = os.path.join(self.folder, "sidecar.log")
        self.config_file = os.path.join(self.folder, "crossfade.json")
        self.control = ("127.0.0.1", 0)
        self.ports = {}
        self.exit_code = None
        self._loops = loops
        self._config = config
        self._args = list(args)
        self._env = {**os.environ, "CROSSFADE_ADMIN_TOKEN": ADMIN, "CROSSFADE_READ_TOKEN": READ,
                     **(env or {})}
        self._starts = 0
        if config is not None:
            self.write_config(config)
        self._start()

    # Life

    def write_config(self, config):
        """Writes the configuration file; effective after sighup() or restart()."""
        self._config = config
        with open(self.config_file, "w", encoding="utf-8") as file:
            json.dump(config, file)

    def kill9(self):
        self.kill()

    def restart(self):
        """Starts again, after kill9() or terminate(), with the same state and ports."""
        if self.alive():
            self.terminate()
        self._start()

    def terminate(self, limit_s=30.0):
        """SIGTERM; waits for the end and returns the exit code."""
        self.child.send_signal(signal.SIGTERM)
        self.exit_code = self.child.wait(limit_s * SLOWNESS)
        return self.exit_code

    def sighup(self):
        self.child.send_signal(signal.SIGHUP)

    def log_text(self):
        """What its thread has written so far: what was said just now may be missing."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_for_log(self, text, limit_s=10):
        """Returns the log, which has `text` by then."""
        wait_until(lambda: text in self.log_text(), limit_s, f"the log says: {text}")
        return self.log_text()

    # Control port

    def api(self, method, path, body=None, token=ADMIN, headers=None, limit_s=20.0):
        """(status, parsed JSON, or text where it is none). `path` without /api/v1 in front is put
        under it, but for /healthz, /readyz and /metrics. `body`: a value for JSON, or bytes as they are."""
        status, _, data = self.http(method, path, body, token, headers, limit_s)
        try:
            return status, json.loads(data)
        except ValueError:
            return status, data.decode("utf-8", "replace")

    def http(self, method, path, body=None, token=ADMIN, headers=None, limit_s=20.0):
        """(status, headers as a dict with lower-case names, body bytes)."""
        if not path.startswith(("/api/", "/healthz", "/readyz", "/metrics")):
            path = "/api/v1" + path
        all_headers = {}
        if token is not None:
            all_headers["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, (bytes, bytearray)):
            body = json.dumps(body).encode()
        if body is not None:
            all_headers["Content-Type"] = "application/json"
        all_headers.update(headers or {})
        connection = http.client.HTTPConnection(*self.control, timeout=limit_s * SLOWNESS)
        try:
            connection.request(method, path, body, all_headers)
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, data
        finally:
            connection.close()

    def must(self, method, path, body=None):
        """Like api(), but returns the `data` of a 2xx answer and raises ApiError for any other."""
        status, answer = self.api(method, path, body)
        if not 200 <= status < 300:
            raise ApiError(f"{method} {path}", status, answer)
        return answer.get("data") if isinstance(answer, dict) else answer

    def add_endpoint(self, name, server, check=True, **config):
        """`server`: a RedisServer or a port. Further config members (username, password, db) by name."""
        port = server if isinstance(server, int) else server.port
        query = "" if check else "?check=false"
        return self.must("POST", f"/endpoints{query}", {
            "id": name, "kind": "redis",
            "config": {"host": "127.0.0.1", "port": port, **config}})

    def add_interlay(self, name, endpoint, port=None, settings=None, tls=None):
        """Returns the port it listens on. `port` None: one chosen here; 0: one chosen by the sidecar."""
        body = {"id": name, "endpoint": endpoint, "port": free_port() if port is None else port}
        if tls is not None:
            body["tls"] = tls
        if settings is not None:
            body["settings"] = settings
        self.ports[name] = self.must("POST", "/interlays", body)["port"]
        return self.ports[name]

    def create_migration(self, name, strategy, interlay, new_endpoint, **members):
        """Defines it with one interlay: ready, not running."""
        self.must("POST", "/migrations", {"id": name, "strategy": strategy, **members})
        self.must("POST", f"/migrations/{name}/interlay/{interlay}", {"endpoint": new_endpoint})

    def migrate(self, name, strategy, interlay, new_endpoint, force=False, **members):
        """Defines a migration and starts it; `force`: whatever its test finds."""
        self.create_migration(name, strategy, interlay, new_endpoint, **members)
        return self.must("POST", f"/migrations/{name}/migrate{'?force=true' if force else ''}")

    def patch(self, name, strategy, force=False):
        return self.must("PATCH", f"/migrations/{name}{'?force=true' if force else ''}",
                         {"strategy": strategy})

    # Metrics

    def metrics(self, prefix=""):
        """Prometheus samples that begin so: 'name{label="value",…}' -> float."""
        status, _, text = self.http("GET", "/metrics", token=None)
        if status != 200:
            raise ApiError("GET /metrics", status, text)
        samples = {}
        for line in text.decode().splitlines():
            if line.startswith(prefix) and line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples

    def metric(self, name, **labels):
        """Sum of all samples of that name that have these labels; 0.0 when there is none."""
        total = 0.0
        for sample, value in self.metrics(name).items():
            base, _, rest = sample.partition("{")
            found = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', rest))
            if base == name and all(found.get(k) == v for k, v in labels.items()):
                total += value
        return total

    def _start(self):
        if not os.access(binary(), os.X_OK):
            raise FileNotFoundError(f"{binary()} is not built; set CROSSFADE_BIN or run `make build`")
        self._starts += 1
        stdout = os.path.join(self.folder, f"stdout-{self._starts}")
        argv = [binary(), "serve", "--control", "%s:%d" % self.control, "--state", self.state,
                "--loops", str(self._loops), *self._args]
        if self._config is not None:
            argv += ["--config", self.config_file]
        with open(stdout, "wb") as out, open(self.log, "ab") as log:
            self.child = spawn(argv, stdout=out, stderr=log, env=self._env)

        def ready():
            with open(stdout, encoding="utf-8") as lines:
                found = re.search(r"^crossfade ready control=(\S+):(\d+)$", lines.read(), re.M)
            if found is None and self.child.poll() is not None:
                raise RuntimeError(f"the sidecar left with {self.child.returncode} before it was "
                                   f"ready:\n{self.log_text()[-4000:]}")
            return found
        found = wait_until(ready, 30, "the sidecar's ready line")
        self.control = (found.group(1), int(found.group(2)))
