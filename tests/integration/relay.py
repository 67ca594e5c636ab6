#!/usr/bin/python3
"""A TCP relay between a client and a PostgreSQL server, and relays that damage what passes, to see it found.

    with Relay(server.port) as relay: …relay.port…             passes everything on, half-closes too
    with Relay(server.port, damage="drop A") as relay: …       see DAMAGES

A process of its own, so that it can be killed under load: relay.py LISTEN_PORT SERVER_PORT [DAMAGE].
"""

import contextlib
import selectors
import socket
import struct
import sys

from children import free_port, spawn, wait_until
from harness import Process
from pg_messages import MessageCutter, body_of, kind_of, message

WAITING_MAX = 1 << 20  # bytes that a slow receiver has waiting before its sender waits
READ_SIZE = 1 << 18


class Relay(Process):
    def __init__(self, server_port, damage=None):
        self.port = free_port()
        self._argv = [sys.executable, __file__, str(self.port), str(server_port),
                      *([damage] if damage else [])]
        self._start()

    def restart(self):
        """On the same port, after kill()."""
        self.stop()
        self._start()

    def _start(self):
        self.child = spawn(self._argv)
        wait_until(self._listens, 10, "the relay listens")

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


# What can be damaged: functions from one message of the server to what becomes of it


def only(kind, change):
    return lambda raw: change(raw) if kind_of(raw) == kind else raw


def zero_second_byte(raw):
    return message(kind_of(raw), body_of(raw)[:1] + b"\0" + body_of(raw)[2:])


def own_pid(raw):
    return message("K", struct.pack("!I", 4242) + body_of(raw)[4:])


DAMAGES = {
    "drop A": only("A", lambda raw: b""),                  # a notification is lost
    "drop N": only("N", lambda raw: b""),                  # a notice is lost
    "drop s": only("s", lambda raw: b""),                  # a suspended portal looks like nothing
    "drop S": only("S", lambda raw: b""),                  # ParameterStatus is lost
    "twice 1": only("1", lambda raw: raw + raw),           # an injected Parse leaks
    "twice Z": only("Z", lambda raw: raw + raw),           # an injected segment leaks
    "idle": only("Z", lambda raw: message("Z", b"I")),     # transaction states are lost
    "pid": only("K", own_pid),                             # a pid that no backend has
    "error": only("E", lambda raw: raw.replace(b"ERROR", b"error")),
    "row": only("D", zero_second_byte),                    # a row is damaged
    "no half-close": None,                                 # the end of one direction ends both
}


class Way:
    """One direction of one connection: bytes wait here for a slow receiver."""

    def __init__(self, source, sink, change=None):
        self.source = source
        self.sink = sink
        self.waiting = bytearray()
        self.ended = False       # the source has nothing more to say
        self.passed_end = False
        self._change = change
        self._cutter = MessageCutter() if change else None

    def take(self, data):
        if not data:
            self.ended = True
        elif self._change is None:
            self.waiting += data
        else:
            self._take_messages(data)

    def expect_byte(self):
        if self._cutter:
            self._cutter.expect_byte()

    def _take_messages(self, data):
        self._cutter.feed(data)
        while (raw := self._cutter.next()) is not None:
            self.waiting += self._change(raw) if len(raw) > 1 else raw


class Connection:
    def __init__(self, loop, client, server_port, damage):
        self._loop = loop
        self._half_closes = damage != "no half-close"
        server = socket.create_connection(("127.0.0.1", server_port))
        for one in (client, server):
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ways = [Way(client, server), Way(server, client, DAMAGES.get(damage))]
        self._watched = {}
        self._look()

    def ready(self, ready_socket, events):
        try:
            for way in self._ways:
                if way.source is ready_socket and events & selectors.EVENT_READ and not way.ended:
                    self._read(way)
                if way.waiting:
                    self._write(way)
                if way.ended and not way.waiting and not way.passed_end:
                    self._pass_end(way)
        except OSError:
            return self._close()
        if all(way.passed_end for way in self._ways):
            return self._close()
        return self._look()

    def _read(self, way):
        try:
            data = way.source.recv(READ_SIZE)
        except BlockingIOError:
            return
        if way is self._ways[0] and data[4:8] in (b"\x04\xd2\x16\x2f", b"\x04\xd2\x16\x30"):
            self._ways[1].expect_byte()
        way.take(data)

    def _write(self, way):
        try:
            del way.waiting[:way.sink.send(way.waiting)]
        except BlockingIOError:
            pass
        except OSError:
            if way is self._ways[1]:
                raise
            way.waiting.clear()  # a server that hears no more may have said why: that is still read

    def _pass_end(self, way):
        way.passed_end = True
        with contextlib.suppress(OSError):
            way.sink.shutdown(socket.SHUT_WR)
        if not self._half_closes:
            for other in self._ways:
                other.passed_end = True

    def _look(self):
        """Watches for what each socket is waited for."""
        for one in (self._ways[0].source, self._ways[1].source):
            events = 0
            for way in self._ways:
                if way.source is one and not way.ended and len(way.waiting) < WAITING_MAX:
                    events |= selectors.EVENT_READ
                if way.sink is one and way.waiting:
                    events |= selectors.EVENT_WRITE
            self._watch(one, events)

    def _watch(self, one, events):
        before = self._watched.get(one, 0)
        if events and not before:
            self._loop.register(one, events, self)
        elif events != before:
            self._loop.modify(one, events, self) if events else self._loop.unregister(one)
        self._watched[one] = events

    def _close(self):
        for one in list(self._watched):
            self._watch(one, 0)
            one.close()


def main(listen_port, server_port, damage=None):
    loop = selectors.DefaultSelector()
    listener = socket.create_server(("127.0.0.1", listen_port), backlog=512)
    loop.register(listener, selectors.EVENT_READ)
    while True:
        for key, events in loop.select():
            if key.fileobj is listener:
                client = listener.accept()[0]
                try:
                    Connection(loop, client, server_port, damage)
                except OSError:
                    client.close()
            elif key.fileobj.fileno() >= 0:
                key.data.ready(key.fileobj, events)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
