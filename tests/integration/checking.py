"""checking_load.c for tests: 50 clients that know every right reply, in turns over several ports.

    with CheckingLoad({"plain": port, "shadow": other_port}, rounds=6) as load:
        load.at_round(2, new_server.kill)
        result = load.result()
    result["shadow"].errors, .wrong, .lost, .p99_us, …

Compiled once per test process. The load is a process of its own, so its latencies are not this
interpreter's.
"""

import json
import os
import statistics
import subprocess

from children import SLOWNESS, end, spawn, temp_folder

HERE = os.path.dirname(os.path.abspath(__file__))
_program = None


def _compiled():
    global _program
    if _program is None:
        program = os.path.join(temp_folder("checking-load"), "checking_load")
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program,
                        os.path.join(HERE, "checking_load.c")], check=True)
        _program = program
    return _program


class GroupResult:
    """What the clients of one port saw."""

    def __init__(self, data):
        self.requests = data["requests"]
        self.errors = data["errors"]    # error replies
        self.wrong = data["wrong"]      # replies that are not the right ones
        self.lost = data["lost"]        # connections
        self.samples = data["samples"]
        self.turns = data["turns"]      # [requests, p50_us, p99_us, max_us]

    @property
    def p50_us(self):
        """Median over the turns."""
        return statistics.median(turn[1] for turn in self.turns)

    @property
    def p99_us(self):
        return statistics.median(turn[2] for turn in self.turns)

    def __repr__(self):
        return (f"{self.requests} requests, {self.errors} errors, {self.wrong} wrong, {self.lost} lost, "
                f"p50 {self.p50_us:.0f} us, p99 {self.p99_us:.0f} us {self.samples}")


class CheckingLoad:
    """`ports`: name -> port. `rate`: requests per second of the group whose turn it is; 0: closed loops."""

    def __init__(self, ports, slice_ms=250, rounds=6, clients=50, rate=0):
        self._limit_s = 30 + 2 * rounds * len(ports) * slice_ms / 1000 * SLOWNESS
        self._round = -1
        self._child = spawn([_compiled(), str(slice_ms), str(rounds), str(clients), str(rate),
                             *[f"{name}:{port}" for name, port in ports.items()]],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self._child)
        self._child.stdout.close()
        self._child.stderr.close()

    def at_round(self, number, action):
        """Runs `action` when round `number` (or a later one) has begun; rounds count from 0."""
        while self._round < number:
            line = self._child.stdout.readline()
            if not line.startswith("round "):
                raise RuntimeError(f"the load ended before round {number}: {line!r}")
            self._round = int(line.split()[1])
        action()

    def result(self):
        """name -> GroupResult, when it is over."""
        output, errors = self._child.communicate(timeout=self._limit_s)
        if self._child.returncode != 0:
            raise RuntimeError(f"the load failed: {errors}")
        groups = json.loads(output.splitlines()[-1])
        return {name: GroupResult(data) for name, data in groups.items()}
