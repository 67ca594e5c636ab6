"""How the wire bench measures: CPU time of processes, runs of redis-benchmark, pingpong, memory.

Knows nothing of which proxies there are; a target is a port to talk to and a process to watch.
"""

import contextlib
import csv
import dataclasses
import io
import os
import pathlib
import re
import socket
import subprocess


@dataclasses.dataclass(frozen=True)
class Cell:
    """One form of load: arguments of redis-benchmark, as issue and documentation name them."""

    name: str
    title: str
    arguments: tuple
    first_requests: int  # of each test, for the run that finds out how many make a full one
    keys: int            # of a load that asks for many: so many that few requests meet at one
    turns: int = 1       # runs of each target in one round
    value_bytes: int = 3


CELLS = (
    # Where the scheduler puts one client and one proxy, on one core or on two, changes from run to run
    # and moves the figure; more runs find the middle.
    Cell("c1", "1 client", ("-c", "1"), 3_000, keys=5_000, turns=2),
    Cell("c50", "50 clients", ("-c", "50"), 6_000, keys=5_000),
    Cell("64k", "64 KiB values", ("-c", "50", "-d", "65536"), 1_500, keys=2_000, value_bytes=65536),
    # 800 requests are in flight: of fewer keys, every other pipeline would have one that meets another.
    Cell("p16", "depth 16", ("-c", "50", "-P", "16"), 40_000, keys=100_000),
)
FRESH_KEYS = 1_000_000_000  # hardly any is drawn twice


@dataclasses.dataclass(frozen=True)
class Load:
    """What is asked, and whom: tests of redis-benchmark, names of targets; ratios are to the first."""

    name: str
    title: str
    tests: tuple
    targets: tuple
    keys: str = "one"  # "one"; "filled": the cell's number, all written before; "fresh": ever new
    cells: tuple = tuple(cell.name for cell in CELLS)

    def arguments(self, cell):
        keys = {"one": (), "filled": ("-r", str(cell.keys)), "fresh": ("-r", str(FRESH_KEYS))}
        return ("-t", ",".join(self.tests), *cell.arguments, *keys[self.keys])


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of redis-benchmark against one target."""

    requests: int
    seconds: float  # by the benchmark's own clock: its start-up is not part of it
    client_cpu_s: float
    proxy_cpu_s: float

    @property
    def rate(self):
        return self.requests / self.seconds

    @property
    def cost(self):
        """P/C: CPU time of the proxy per CPU time of its client."""
        return self.proxy_cpu_s / self.client_cpu_s


def cpu_seconds(pid):
    """CPU time of all living threads of a process, in nanosecond steps; 0.0 without a process.

    stat counts in ticks of 10 ms, which is too coarse for runs of a second.
    """
    if pid is None:
        return 0.0
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def resident_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


def fill(cell, port):
    """Writes every key that redis-benchmark may draw; what a sidecar keeps of a key it has then."""
    value = b"x" * cell.value_bytes
    batch = max(1, 1_000_000 // cell.value_bytes // 16)
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as one:
        replies = one.makefile("rb")
        for first in range(0, cell.keys, batch):
            numbers = range(first, min(first + batch, cell.keys))
            one.sendall(b"".join(b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$%d\r\n%s\r\n"
                                 % (number, len(value), value) for number in numbers))
            for _ in numbers:
                if replies.readline() != b"+OK\r\n":
                    raise RuntimeError("fill: SET was not answered with OK")


def benchmark(load, cell, requests, port, pid):
    """`requests` of each test; -e shows error replies, which a benchmark must not have."""
    command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-e", "--csv",
               "-n", str(requests), *load.arguments(cell)]
    before = cpu_seconds(pid)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    output = process.stdout.read()
    problems = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    after = cpu_seconds(pid)
    rates = [float(row[1]) for row in csv.reader(io.StringIO(output)) if row and row[0] in ("SET", "GET")]
    if process.returncode != 0 or len(rates) != len(load.tests) or "Error from server" in output + problems:
        raise RuntimeError(f"{' '.join(command)}: {(output + problems)[-500:]}")
    return Run(requests=len(rates) * requests, seconds=sum(requests / rate for rate in rates),
               client_cpu_s=usage.ru_utime + usage.ru_stime, proxy_cpu_s=after - before)


def requests_for(load, cell, seconds, port):
    """How many requests make each test about that long; the look also warms the target up."""
    if load.keys == "filled":
        fill(cell, port)
    first = benchmark(load, cell, cell.first_requests, port, None)
    return max(cell.first_requests, int(first.rate * seconds))


@dataclasses.dataclass(frozen=True)
class Latency:
    """Of one pingpong: microseconds. `direct` is what its first port leads to."""

    direct_p50: float
    direct_p99: float
    p50: float
    p99: float
    added_p50: float


def keep_to(cores, pids):
    """Every living thread of the processes runs on these cores only, and what they start."""
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(task), cores)


def pingpong(program, command, direct, target, pairs):
    """`command`, get or set, to both in turns; client, proxies and servers on one core.

    On several, a request that wakes an idle core costs 20 to 100 us depending on where the scheduler put
    whom, which hides the 20 us that are looked for. On one, what is added is the proxy's work and two
    switches of process.
    """
    everywhere = os.sched_getaffinity(0)
    pids = [pid for pid in (os.getpid(), direct.pid, target.pid, *target.servers) if pid is not None]
    keep_to({max(everywhere)}, pids)
    try:
        output = subprocess.run([program, command, str(direct.port), str(target.port), str(pairs)],
                                check=True, stdin=subprocess.DEVNULL, capture_output=True,
                                text=True).stdout
    finally:
        keep_to(everywhere, pids)
    return Latency(*map(float, output.split()))


def nanoseconds(program):
    """{what: median} of a micro bench that prints lines "what … ns best … ns median"."""
    output = subprocess.run([program], check=True, stdin=subprocess.DEVNULL, capture_output=True,
                            text=True).stdout
    return {what.strip(): float(median) for what, median in
            re.findall(r"^(.*?) +[\d.]+ ns best +([\d.]+) ns median$", output, re.M)}


def idle_bytes_per_connection(port, pid, count, limit_s=60):
    """Resident bytes per connection, with `count` open after one PING each."""
    before = resident_bytes(pid)
    sockets = []
    try:
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", port), timeout=limit_s)
            one.sendall(b"PING\r\n")
            sockets.append(one)
        for one in sockets:
            if one.recv(64) != b"+PONG\r\n":
                raise RuntimeError("idle connections: PING was not answered")
        return (resident_bytes(pid) - before) / count
    finally:
        for one in sockets:
            one.close()
