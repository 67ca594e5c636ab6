"""One client of the demo: reads and writes its own keys through the sidecar and checks every reply.

    traffic.py SIDECAR_PORT OLD_PORT FIRST_KEY KEYS

Keys are `user:N`; each is used by one client only, so the last version that was answered is the one that
must be read next. Lines on standard input steer it, each is answered by one line of JSON:

    report     figures since the last report
    writes     from now on also writes (before: only reads)
    fork       from now on a write may exist on the new side only
    rollback   from now on reads may go back to what the old side last had
    rolled     the roll-back is done: what is written now stays
    halt       no more requests; figures since the last report

Latency is taken by GET through the sidecar and, in turns, GETRANGE directly to the old server: the same
work, told apart in the servers' command statistics.
"""

import json
import random
import select
import sys
import time

import redis

WRITE_SHARE = 0.2
PAUSE_S = 0.0002
OPERATIONS_BETWEEN_LOOKS = 20


class Key:
    __slots__ = ("name", "version", "floor")

    def __init__(self, name):
        self.name = name
        self.version = 0   # last one answered
        self.floor = None  # last one that is certainly on the old side, while new may be ahead


class Figures:
    def __init__(self):
        self.reads = self.writes = self.rewound = 0
        self.errors = []
        self.through_us = []
        self.direct_us = []

    def as_dict(self):
        return {"reads": self.reads, "writes": self.writes, "rewound": self.rewound,
                "errors": len(self.errors), "first_errors": self.errors[:3],
                "through_us": self.through_us, "direct_us": self.direct_us}


class Client:
    def __init__(self, sidecar_port, old_port, first_key, keys):
        self.sidecar = redis.Redis(port=sidecar_port, single_connection_client=True)
        self.direct = redis.Redis(port=old_port, single_connection_client=True)
        self.keys = [Key(f"user:{number}") for number in range(first_key, first_key + keys)]
        self.figures = Figures()
        self.random = random.Random(first_key)
        self.writing = False
        self.rolling_back = False
        self.rolled = False

    def step(self):
        key = self.random.choice(self.keys)
        try:
            if self.writing and self.random.random() < WRITE_SHARE:
                self.write(key)
            else:
                self.read(key)
        except redis.RedisError as error:
            self.figures.errors.append(f"{key.name}: {type(error).__name__} {error}")

    def write(self, key):
        version = key.version + 1
        if not self.sidecar.set(key.name, f"{key.name}#{version}"):
            self.figures.errors.append(f"{key.name}: SET was not answered with OK")
        key.version = version
        if self.rolled:
            key.floor = None
        self.figures.writes += 1

    def read(self, key):
        start = time.perf_counter_ns()
        value = self.sidecar.get(key.name)
        middle = time.perf_counter_ns()
        self.direct.getrange(key.name, 0, -1)
        end = time.perf_counter_ns()
        self.figures.reads += 1
        self.figures.through_us.append((middle - start) // 1000)
        self.figures.direct_us.append((end - middle) // 1000)
        if value != f"{key.name}#{key.version}".encode():
            self.judge(key, value)

    def judge(self, key, value):
        """A reply that is not the last version is right only where the roll-back announced it."""
        name, _, version = (value or b"").decode().partition("#")
        if (self.rolling_back and key.floor is not None and name == key.name and version.isdigit()
                and key.floor <= int(version) < key.version):
            key.version = int(version)
            key.floor = None
            self.figures.rewound += 1
        else:
            self.figures.errors.append(f"{key.name}: expected version {key.version}, got {value!r}")

    def obey(self, line):
        if line in ("report", "halt"):
            figures, self.figures = self.figures, Figures()
            return figures.as_dict()
        if line == "writes":
            self.writing = True
        elif line == "fork":
            for key in self.keys:
                key.floor = key.version
        elif line == "rollback":
            self.rolling_back = True
        elif line == "rolled":
            self.rolled = True
        else:
            raise ValueError(line)
        return {}


def main():
    client = Client(*map(int, sys.argv[1:5]))
    while True:
        if select.select([sys.stdin], [], [], 0)[0]:
            line = sys.stdin.readline().strip()
            if not line:
                return
            print(json.dumps(client.obey(line)), flush=True)
            if line == "halt":
                return
        for _ in range(OPERATIONS_BETWEEN_LOOKS):
            client.step()
            time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
