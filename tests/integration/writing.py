"""The write load (write_load/) for tests: 64 clients that write at random, and what they were told.

    with WriteLoad(port, writes=500_000, keys=50, seed=7) as load:
        result = load.result()
    result.errors, result.trouble, …

    with WriteLoad(port, seed=7, reconnect=True) as load:   # until it is told to stop
        …
        result = load.stop()
    lost_writes(old, result.registers)

The load is a process of its own, built beside the sidecar (`make build` does not, `make test` does).
"""

import json
import os
import signal
import subprocess

from children import SLOWNESS, end, spawn, temp_folder, wait_until
from harness import binary
from resp import RawConn

WRITES_A_SECOND = 2000  # at least, however slow the machine: what a run may take


def program():
    return os.path.join(os.path.dirname(binary()), "tests", "write_load")


class Result:
    """What write_load/main.cc prints; see there."""

    def __init__(self, data, registers, exit_code):
        self.exit_code = exit_code
        self.registers = registers
        self.writes = data["writes"]
        self.rate = data["rate"]            # writes a second
        self.seconds = data["seconds"]
        self.p50_us, self.p99_us = data["p50_us"], data["p99_us"]
        self.lost = data["lost"]            # connections
        self.disorder = data["disorder"]    # replies that cannot be the answer to what was asked
        self.transactions, self.conflicts = data["transactions"], data["conflicts"]
        self.errors = data["errors"]        # first word (or "ERR crossfade:") -> count
        self.texts = data["texts"]          # error -> count
        self.trouble = data["trouble"]

    @property
    def own_errors(self):
        """Error replies that the sidecar made up."""
        return {text: count for text, count in self.texts.items() if "crossfade:" in text}

    def __repr__(self):
        return (f"{self.writes} writes at {self.rate:.0f}/s, p50 {self.p50_us} us, p99 {self.p99_us} us, "
                f"{self.transactions} transactions, {self.conflicts} conflicts, {self.lost} lost, "
                f"errors {self.errors}")


class WriteLoad:
    """`mirror`: a second port that everything is sent to without any order. `writes` None: until stop().
    `named_keys`: nothing that writes keys which its request does not name."""

    def __init__(self, port, writes=None, keys=100_000, seed=1, clients=64, mirror=None, reconnect=False,
                 named_keys=False, stall_ms=30_000):
        self._registers = os.path.join(temp_folder("writing"), "registers.json")
        self._limit_s = 60 + (writes or 0) / WRITES_A_SECOND
        argv = [program(), "--port", str(port), "--clients", str(clients), "--keys", str(keys),
                "--seed", str(seed), "--stall-ms", str(int(stall_ms * SLOWNESS)),
                "--registers", self._registers]
        argv += ["--writes", str(writes)] if writes else []
        argv += ["--mirror", str(mirror)] if mirror else []
        argv += ["--reconnect"] if reconnect else []
        argv += ["--named-keys"] if named_keys else []
        self._child = spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self._child.stdout.readline() != "working\n":
            raise RuntimeError(f"the load does not begin: {self._child.communicate()[1]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self._child)
        self._child.stdout.close()
        self._child.stderr.close()

    def pause(self):
        """Nothing more is sent, until go_on()."""
        self._child.send_signal(signal.SIGSTOP)
        wait_until(self._stopped, 5, "the load stands still")

    def go_on(self):
        self._child.send_signal(signal.SIGCONT)

    def alive(self):
        return self._child.poll() is None

    def stop(self):
        """The Result so far; what is under way is waited for."""
        self.go_on()
        self._child.send_signal(signal.SIGTERM)
        return self.result()

    def result(self):
        """The Result, when all is written."""
        output, errors = self._child.communicate(timeout=self._limit_s * SLOWNESS)
        if self._child.returncode not in (0, 1):
            raise RuntimeError(f"the load failed with {self._child.returncode}: {errors}")
        with open(self._registers, encoding="utf-8") as file:
            registers = json.load(file)
        return Result(json.loads(output.splitlines()[-1]), registers, self._child.returncode)

    def _stopped(self):
        with open(f"/proc/{self._child.pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "T"


def lost_writes(server, registers):
    """Text for each register whose value on the server is older than what was acknowledged, or newer than
    what was sent."""
    wrong = []
    with RawConn(server.port, limit_s=30) as conn:
        for one in registers:
            conn.call("SELECT", one["db"])
            held = _held(conn, one)
            if not one["acked"] <= held["number"] <= one["sent"]:
                wrong.append(f"{one['kind']} {one['key']} holds {held['number']}; {one['acked']} was "
                             f"acknowledged, {one['sent']} was sent")
            elif held["count"] < one["acks"] and one["kind"] == "stream":
                wrong.append(f"{one['kind']} {one['key']} has {held['count']} entries; {one['acks']} were "
                             "acknowledged")
    return wrong


def _held(conn, register):
    key, kind = register["key"], register["kind"]
    if kind == "stream":
        last = conn.call("XREVRANGE", key, "+", "-", "COUNT", 1)
        return {"number": int(last[0][0].split(b"-")[0]) if last else 0, "count": conn.call("XLEN", key)}
    value = conn.call("GET", key) if kind == "string" else conn.call("HGET", key, "n")
    return {"number": int(value or 0), "count": 0}
