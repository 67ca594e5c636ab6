"""Clients under load while the operator changes the routing: who answered, and was that allowed?

Both servers hold the same keys, old with values "old", new with "new", so every reply says which
side answered. The operator's calls are phases: a client reads the current phase before it sends, so
a request of phase n was sent after the answer of call n; a phase is closed, and all clients have
left it, before call n + 1 is begun. A request of phase n that was planned by an older table is thus
told from all others by its reply alone.
"""

import socket
import threading

from children import SLOWNESS, wait_until
from resp import encode


def at_once(count, call):
    """What `count` threads were answered by call(number), that all began at the same moment."""
    barrier, answers = threading.Barrier(count), []

    def work(number):
        barrier.wait()
        answers.append(call(number))
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


class Client(threading.Thread):
    """Closed loop of GETs, `depth` at a time. `seen[phase]` counts replies by their bytes."""

    def __init__(self, load, number, depth):
        super().__init__(daemon=True)
        self._load = load
        self._number = number
        self._depth = depth
        self.phase = None      # phase of the requests under way
        self.seen = {}
        self.trouble = None

    def run(self):
        try:
            self._run()
        except Exception as error:  # the test reports it
            self.trouble = f"client {self._number}: {error!r}"
            self.phase = "left"

    def _run(self):
        keys = self._load.keys
        with socket.create_connection(("127.0.0.1", self._load.port), 10 * SLOWNESS,
                                      (self._load.source, 0)) as conn:
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            turn = self._number
            while not self._load.stopped:
                self.phase = phase = self._load.phase
                batch = b"".join(encode("GET", keys[(turn + n) % len(keys)])
                                 for n in range(self._depth))
                turn += self._depth * 7 + 1
                conn.sendall(batch)
                for reply in self._replies(conn, self._depth):
                    counts = self.seen.setdefault(phase, {})
                    counts[reply] = counts.get(reply, 0) + 1
            self.phase = "left"

    @staticmethod
    def _replies(conn, count):
        data = b""
        while True:
            data += conn.recv(65536) or b"-closed by the sidecar\r\n"
            if data.startswith(b"-"):
                return [data]
            # Every good reply is "$3\r\nold\r\n" or the same with new.
            if len(data) >= 9 * count:
                return [data[at + 4:at + 7] if data[at:at + 4] == b"$3\r\n" else data
                        for at in range(0, 9 * count, 9)]


class Load:
    """`clients` of them on `port`, every third with pipelines of 16. A context manager."""

    def __init__(self, port, clients=50, keys=500, source="127.0.0.1"):
        self.port = port
        self.source = source  # the address that they come from
        self.keys = [f"key:{number}" for number in range(keys)]
        self.clients = clients
        self.phase = 0
        self.stopped = False
        self._calls = 0
        self._clients = [Client(self, number, 16 if number % 3 == 0 else 1)
                         for number in range(clients)]

    @staticmethod
    def fill(server, value, keys=500):
        server.call("MSET", *[x for number in range(keys) for x in (f"key:{number}", value)])

    def __enter__(self):
        for client in self._clients:
            client.start()
        self.settle()
        return self

    def __exit__(self, *_):
        self.stopped = True
        for client in self._clients:
            client.join(10 * SLOWNESS)

    def trouble(self):
        return [client.trouble for client in self._clients if client.trouble]

    def settle(self):
        """Waits until every client has had replies to requests of the current phase."""
        phase = self.phase
        wait_until(lambda: self.trouble() or all(
            sum(list(client.seen.get(phase, {}).values())) >= 5 for client in self._clients),
            20, f"all clients served in phase {phase}")

    def change(self, call):
        """Runs one call of the operator; afterwards a new phase, served to all. Returns its number."""
        number = self._calls + 1
        self.phase = between = f"before call {number} answered"
        # Nobody is under way with a request of the phase that ends here.
        wait_until(lambda: self.trouble() or all(
            client.phase in (between, "left") for client in self._clients), 20, "phase closed")
        call()
        self._calls = self.phase = number
        self.settle()
        return number

    def replies(self, phase):
        """reply bytes -> how many, over all clients."""
        total = {}
        for client in self._clients:
            for reply, count in client.seen.get(phase, {}).items():
                total[reply] = total.get(reply, 0) + count
        return total

    def phases(self):
        return {phase for client in self._clients for phase in client.seen}

    def errors(self):
        """Replies of any phase that are no value."""
        found = {}
        for client in self._clients:
            for counts in client.seen.values():
                for reply, count in counts.items():
                    if reply not in (b"old", b"new"):
                        found[reply] = found.get(reply, 0) + count
        return found


def run_phases(test, port, calls, first=b"old"):
    """`calls`: (function, the only side that may answer after it), run one after the other under load;
    before them `first` may. Checks every phase."""
    with Load(port) as load:
        expected = {0: first}
        for call, side in calls:
            expected[load.change(call)] = side
    check_phases(test, load, expected)


def check_phases(test, load, expected):
    """`expected`: phase -> the only side that may have answered in it. Nobody has seen an error."""
    test.assertEqual(load.trouble(), [])
    test.assertEqual(load.errors(), {}, "clients saw errors")
    for phase, side in expected.items():
        replies = load.replies(phase)
        wrong = {reply: count for reply, count in replies.items() if reply != side}
        test.assertEqual(wrong, {}, f"after call {phase} only {side} may answer; {replies}")
        test.assertGreaterEqual(sum(replies.values()), 5 * load.clients)
