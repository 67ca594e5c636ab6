"""What the wire bench compares: each target is a port to send load to and a process to watch.

Each proxy gets one event loop (one thread) and private or shared upstreams as it is made; nothing else
is tuned. All stand in front of the same Redis server; modes with a second side get one more, or, where
that is to be dead, one that ends as soon as the migration has begun.
"""

import contextlib
import dataclasses
import os
import pathlib
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/integration"))
from harness import RedisServer, Sidecar, end, free_port, spawn, temp_folder, wait_until  # noqa: E402

DUAL_WRITE = {"mode": "dual_write", "policy": "old_authoritative"}
DUAL_ONLY = {"type": "canary", "read_percentage": 0.0, "write_mode": DUAL_WRITE}
MODES = {
    "crossfade": None,
    "shadow": {"type": "shadow_traffic"},
    "dual_write": DUAL_ONLY,
    "dual_dead": DUAL_ONLY,
    "canary50": {"type": "canary", "read_percentage": 0.5},
    "canary50_dual": {"type": "canary", "read_percentage": 0.5, "write_mode": DUAL_WRITE},
}
DEAD = ("dual_dead",)
# An api that has the loads' keys among so many templates, all its reads on new.
APIS = {"apis10": 10, "apis1000": 1000}
ALL_READS = {"type": "canary", "read_percentage": 1.0, "write_mode": DUAL_WRITE}
NAMES = ("relay", "haproxy", "nutcracker", *MODES, *APIS)
TITLES = {
    "direct": "direct",
    "relay": "relay (the floor)",
    "haproxy": "haproxy, TCP mode",
    "nutcracker": "nutcracker (shares upstreams)",
    "crossfade": "crossfade, pass-through",
    "shadow": "crossfade, shadow_traffic",
    "dual_write": "crossfade, dual_write",
    "dual_dead": "crossfade, dual_write, new side dead",
    "canary50": "crossfade, canary 50 %",
    "canary50_dual": "crossfade, canary 50 % + dual_write",
    "apis10": "crossfade, an api of 10 templates",
    "apis1000": "crossfade, an api of 1,000 templates",
}


@dataclasses.dataclass(frozen=True)
class Target:
    name: str
    port: int
    pid: int | None  # None: direct, no proxy
    servers: tuple = ()  # pids of the servers behind it


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
            probe.sendall(b"*1\r\n$4\r\nPING\r\n")
            return probe.recv(64) == b"+PONG\r\n"
    except OSError:
        return False


def start_program(stack, name, port, argv):
    child = spawn(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(end, child)
    wait_until(lambda: answers(port) or child.poll() is not None, 10, f"{name} to answer")
    if child.poll() is not None:
        raise RuntimeError(f"{' '.join(argv)} ended with {child.returncode}")
    return Target(name, port, child.pid)


def start_relay(stack, build, server):
    port = free_port()
    return start_program(stack, "relay", port, [str(build / "bench/relay"), str(port), str(server.port)])


def start_haproxy(stack, _build, server):
    port = free_port()
    file = pathlib.Path(temp_folder("haproxy"), "haproxy.cfg")
    file.write_text(f"""global
    maxconn 9770
    nbthread 1
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen redis
    bind 127.0.0.1:{port}
    server old 127.0.0.1:{server.port}
""")
    return start_program(stack, "haproxy", port, ["/usr/sbin/haproxy", "-db", "-f", str(file)])


def start_nutcracker(stack, _build, server):
    port = free_port()
    folder = temp_folder("nutcracker")
    file = pathlib.Path(folder, "nutcracker.yml")
    file.write_text(f"""pool:
  listen: 127.0.0.1:{port}
  redis: true
  hash: fnv1a_64
  distribution: modula
  auto_eject_hosts: false
  servers:
   - 127.0.0.1:{server.port}:1
""")
    return start_program(stack, "nutcracker", port, [
        "/usr/sbin/nutcracker", "-c", str(file), "-s", str(free_port()), "-a", "127.0.0.1",
        "-o", os.path.join(folder, "log"), "-v", "0"])


def start_crossfade(stack, name, server, second):
    sidecar = stack.enter_context(Sidecar(loops=1))
    sidecar.add_endpoint("old", server)
    port = sidecar.add_interlay("bench", "old")
    if name in APIS:
        sidecar.add_endpoint("new", second)
        move_by_api(sidecar, APIS[name])
    elif MODES[name] is not None:
        with RedisServer() if name in DEAD else contextlib.nullcontext(second) as new_side:
            sidecar.add_endpoint("new", new_side)
            sidecar.migrate("bench", MODES[name], "bench", "new")
    return Target(name, port, sidecar.pid)


def move_by_api(sidecar, count):
    queries = ["GET key:{{id}}", *[f"GET key{number}:{{{{id}}}}" for number in range(1, count)]]
    bindings = [{"template": f"t{number}"} for number in range(count)]
    for number, query in enumerate(queries):
        sidecar.must("POST", "/templates", {"id": f"t{number}", "endpoint": "old", "query": query})
    sidecar.must("POST", "/apis", {"id": "keys", "bindings": bindings})
    sidecar.create_migration("bench", ALL_READS, "bench", "new")
    sidecar.must("POST", "/migrations/bench/api/keys", {"bindings": bindings})
    sidecar.must("POST", "/migrations/bench/migrate")


@contextlib.contextmanager
def running(names, build):
    """The named targets and the direct one by name; ended with the block."""
    os.environ.setdefault("CROSSFADE_BIN", str(build / "crossfade"))
    starters = {"relay": start_relay, "haproxy": start_haproxy, "nutcracker": start_nutcracker}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(RedisServer(maxclients=19000))
        second = None
        if any(name in APIS or MODES.get(name) and name not in DEAD for name in names):
            second = stack.enter_context(RedisServer(maxclients=19000))
        targets = {"direct": Target("direct", server.port, None)}
        for name in names:
            if name in starters:
                targets[name] = starters[name](stack, build, server)
            else:
                targets[name] = start_crossfade(stack, name, server, second)
        servers = tuple(one.pid for one in (server, second) if one is not None)
        yield {name: dataclasses.replace(one, servers=servers) for name, one in targets.items()}
