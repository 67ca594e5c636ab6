"""How the wire bench measures: CPU time of processes, runs of redis-benchmark, pingpong, memory.

Knows nothing of which proxies there are; a target is a port to talk to and a process to watch.
"""

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
    """One load: arguments of redis-benchmark, as issue and documentation name them."""

    name: str
    title: str
    arguments: tuple
    first_requests: int  # of each test, for the run that finds out how many make a full one
    turns: int = 1       # runs of each target in one round


CELLS = (
    # Where the scheduler puts one client and one proxy, on one core or on two, changes from run to run
    # and moves the figure; more runs find the middle.
    Cell("c1", "1 client", ("-c", "1"), 3_000, turns=2),
    Cell("c50", "50 clients", ("-c", "50"), 6_000),
    Cell("64k", "64 KiB values", ("-c", "50", "-d", "65536"), 1_500),
    Cell("p16", "depth 16", ("-c", "50", "-P", "16"), 40_000),
)


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
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def resident_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


def benchmark(cell, requests, port, pid, extra=()):
    """SET and GET, `requests` of each; -e shows error replies, which a benchmark must not have."""
    command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-t", "set,get", "-e", "--csv",
               "-n", str(requests), *cell.arguments, *extra]
    before = cpu_seconds(pid)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    output = process.stdout.read()
    problems = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    after = cpu_seconds(pid)
    rates = [float(row[1]) for row in csv.reader(io.StringIO(output)) if row and row[0] in ("SET", "GET")]
    if process.returncode != 0 or len(rates) != 2 or "Error from server" in output + problems:
        raise RuntimeError(f"{' '.join(command)}: {(output + problems)[-500:]}")
    return Run(requests=2 * requests, seconds=sum(requests / rate for rate in rates),
               client_cpu_s=usage.ru_utime + usage.ru_stime, proxy_cpu_s=after - before)


def requests_for(cell, seconds, port, extra=()):
    """How many requests of each test make a run of about that long; the look also warms the target up."""
    first = benchmark(cell, cell.first_requests, port, None, extra)
    return max(cell.first_requests, int(first.rate * seconds / 2))


@dataclasses.dataclass(frozen=True)
class Latency:
    """Of one pingpong: microseconds."""

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


def pingpong(program, direct, target, pairs):
    """Client, proxy and servers on one core.

    On several, a request that wakes an idle core costs 20 to 100 us depending on where the scheduler put
    whom, which hides the 20 us that are looked for. On one, what is added is the proxy's work and two
    switches of process.
    """
    everywhere = os.sched_getaffinity(0)
    pids = [os.getpid(), target.pid, *target.servers]
    keep_to({max(everywhere)}, pids)
    try:
        output = subprocess.run([program, str(direct.port), str(target.port), str(pairs)], check=True,
                                stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    finally:
        keep_to(everywhere, pids)
    return Latency(*map(float, output.split()))


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
