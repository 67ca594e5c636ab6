#!/usr/bin/python3
"""How long single requests of one client take, measured in a process of its own.

    tests/integration/latency.py PORT    SETs and GETs of one key, one after the other, until standard
                                         input ends; then prints {"count", "p50_us", "p99_us"} of them
"""

import json
import os
import select
import socket
import subprocess
import sys
import time

from children import spawn
from resp import encode

REQUESTS = ((encode("SET", "latency", "v"), b"+OK\r\n"), (encode("GET", "latency"), b"$1\r\nv\r\n"))


def measure(port):
    taken = []
    with socket.create_connection(("127.0.0.1", port), 30) as conn:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print("measuring", flush=True)
        while not select.select([0], [], [], 0)[0]:
            for request, expected in REQUESTS:
                began = time.perf_counter_ns()
                conn.sendall(request)
                reply = b""
                while len(reply) < len(expected):
                    piece = conn.recv(4096)
                    if not piece:
                        raise EOFError("the sidecar has closed the connection")
                    reply += piece
                if reply != expected:
                    raise ValueError(reply)
                taken.append(time.perf_counter_ns() - began)
    taken.sort()
    return {"count": len(taken), "p50_us": taken[len(taken) // 2] / 1000,
            "p99_us": taken[len(taken) * 99 // 100] / 1000}


class Latency:
    """Measures while the `with` block runs; then `.count`, `.p50_us` and `.p99_us` say what came of it."""

    def __init__(self, port):
        self.count = self.p50_us = self.p99_us = 0
        self._child = spawn([sys.executable, os.path.abspath(__file__), str(port)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        if self._child.stdout.readline() != "measuring\n":
            raise RuntimeError("the measuring client did not begin")
        return self

    def __exit__(self, *_):
        said, _ = self._child.communicate(timeout=60)
        vars(self).update(json.loads(said))


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
