"""Servers that are not well: a relay in front of a real one that can be told to fall ill and recover.

    with RedisServer() as real, FakeServer(real.port) as fake:
        fake.become("delay 100")      # every byte of a reply comes 100 ms later, in order
        fake.become("healthy")

    healthy    relays both ways
    delay N    relays replies N ms later
    silent     accepts, reads, never answers
    deaf       accepts, does not even read
    garble     answers whatever comes with random bytes
    half       relays the first half of what is to be relayed next, then closes the connection
    stuck      relays the first half of what is to be relayed next, then nothing
    close      closes connections, the present ones and new ones as soon as they are accepted
    drip       relays replies a byte at a time, five in a second
    say FILE   answers each chunk of bytes with the content of that file, once per connection
    swap A|B   relays both ways; but where requests say A next, B goes on in its stead, as long as that

A change takes effect for the connections there are, too. `refuse()` closes the port, `accept()` opens
it again. The relay is a process of its own. `BackloggedPort` is a port that never completes a
connection at all.
"""

import asyncio
import collections
import os
import socket
import subprocess
import sys

from children import end, free_port, spawn

RECEIVE_BUFFER = 64 * 1024  # bytes that the kernel takes for a relay that does not read


class FakeServer:
    """A relay before the server on port `behind` (None: nothing behind it), ready when constructed."""

    def __init__(self, behind=None, mode="healthy"):
        self.port = free_port()
        self._child = spawn([sys.executable, os.path.abspath(__file__), str(self.port),
                             str(behind or 0)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.become(mode)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        end(self._child)
        self._child.stdin.close()
        self._child.stdout.close()

    def become(self, mode):
        """Returns when the change is in force."""
        self._child.stdin.write(mode + "\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        if answer != "ok\n":
            raise RuntimeError(f"fake server, {mode}: {answer!r}")

    def refuse(self):
        self.become("refuse")

    def accept(self):
        self.become("accept")


class BackloggedPort:
    """A listening port whose queue is full: the kernel drops every attempt to connect."""

    def __init__(self, port=0):
        self._sockets = [socket.socket() for _ in range(4)]
        self._sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._sockets[0].bind(("127.0.0.1", port))
        self._sockets[0].listen(0)
        self.port = self._sockets[0].getsockname()[1]
        for filler in self._sockets[1:]:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in self._sockets:
            one.close()


class _Front(asyncio.Protocol):
    """One accepted connection, and the one to the server behind it."""

    def __init__(self, relay):
        self.relay = relay
        self.back = None
        self.to_back = []           # bytes from before the back connection stood
        self.later = collections.deque()
        self.said = False
        self.ended = False          # the client will send no more

    def connection_made(self, transport):
        self.transport = transport
        self.relay.fronts.add(self)
        if self.relay.behind:
            asyncio.ensure_future(self.open_back())
        self.mode_changed()

    async def open_back(self):
        try:
            _, back = await asyncio.get_running_loop().create_connection(
                lambda: _Back(self), "127.0.0.1", self.relay.behind)
        except OSError:
            self.transport.abort()
            return
        self.back = back.front_transport
        for data in self.to_back:
            self.back.write(data)
        self.to_back.clear()
        if self.ended:
            self.back.write_eof()

    def mode_changed(self):
        mode = self.relay.mode
        if mode == "close":
            self.transport.abort() if self.later else self.transport.close()
        elif mode == "deaf":
            # Not at once: asyncio begins to read a new connection after connection_made().
            asyncio.get_running_loop().call_soon(self.transport.pause_reading)
        elif not self.transport.is_closing():
            self.transport.resume_reading()

    def data_received(self, data):
        mode = self.relay.mode
        if mode == "silent":
            return
        if mode == "garble":
            self.transport.write(os.urandom(200))
        elif mode == "say":
            if not self.said:
                self.said = True
                self.transport.write(self.relay.speech)
        elif self.back is None:
            self.to_back.append(data)
        elif mode == "swap" and self.relay.swapped[0] in data:
            self.back.write(data.replace(*self.relay.swapped, 1))
            self.relay.mode = "healthy"
        else:
            self.back.write(data)

    def from_back(self, data):
        mode = self.relay.mode
        if mode in ("silent", "deaf", "garble", "say"):
            return
        if mode in ("half", "stuck"):
            if not self.said:
                self.transport.write(data[:max(1, len(data) // 2)])
                self.said = True
            if mode == "half":
                self.transport.close()
        elif mode == "drip":
            asyncio.ensure_future(self.drip(data))
        elif mode == "delay" or self.later:
            loop = asyncio.get_running_loop()
            if not self.later:
                loop.call_later(self.relay.delay_s, self.send_due)
            self.later.append((loop.time() + self.relay.delay_s, data))
        else:
            self.transport.write(data)

    async def drip(self, data):
        for byte in data:
            if self.transport.is_closing():
                return
            self.transport.write(bytes([byte]))
            await asyncio.sleep(0.2)

    def send_due(self):
        loop = asyncio.get_running_loop()
        while self.later and self.later[0][0] <= loop.time():
            self.transport.write(self.later.popleft()[1])
        if self.later:
            loop.call_at(self.later[0][0], self.send_due)

    def back_lost(self):
        self.transport.close()

    def eof_received(self):
        self.ended = True
        if self.back is not None:
            self.back.write_eof()
        return self.relay.behind != 0  # true: what is still to be relayed goes out first

    def connection_lost(self, _error):
        self.ended = True
        self.relay.fronts.discard(self)
        if self.back is not None:
            self.back.close()


class _Back(asyncio.Protocol):
    def __init__(self, front):
        self.front = front

    def connection_made(self, transport):
        self.front_transport = transport

    def data_received(self, data):
        self.front.from_back(data)

    def connection_lost(self, _error):
        self.front.back_lost()


class _Relay:
    def __init__(self, port, behind):
        self.port = port
        self.behind = behind
        self.mode = "healthy"
        self.delay_s = 0.0
        self.speech = b""
        self.swapped = ()
        self.fronts = set()
        self.server = None

    async def command(self, line):
        word, _, argument = line.partition(" ")
        if word == "refuse":
            self.server.close()
            for front in list(self.fronts):
                front.transport.abort()
            self.server = None
        elif word == "accept":
            await self.listen()
        else:
            if word == "delay":
                self.delay_s = int(argument) / 1000
            elif word == "say":
                with open(argument, "rb") as file:
                    self.speech = file.read()
            elif word == "swap":
                said, instead = argument.encode().split(b"|")
                self.swapped = said, instead.ljust(len(said))
            self.mode = word
            for front in list(self.fronts):
                front.mode_changed()

    async def listen(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        listener.bind(("127.0.0.1", self.port))
        self.server = await asyncio.get_running_loop().create_server(
            lambda: _Front(self), sock=listener, backlog=1024)

    async def run(self):
        await self.listen()
        commands = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
        while line := await commands.readline():
            await self.command(line.decode().strip())
            print("ok", flush=True)


if __name__ == "__main__":
    os.nice(10)  # on a small machine: a sick server somewhere else would not take our processors
    asyncio.run(_Relay(int(sys.argv[1]), int(sys.argv[2])).run())
