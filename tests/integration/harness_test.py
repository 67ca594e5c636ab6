"""The harness itself: what the other tests rest on."""

import os
import unittest

from harness import RawConn, RedisServer, ReplyCutter, ReplyError, encode, value_of, wait_until


class ReplyCutterTest(unittest.TestCase):
    STREAM = [b"+OK\r\n", b"-ERR no\r\n", b":12\r\n", b"$3\r\na\r\n\r\n", b"$-1\r\n", b"*-1\r\n",
              b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", b"%1\r\n+a\r\n~2\r\n#t\r\n_\r\n", b",1.5\r\n",
              b"=7\r\ntxt:abc\r\n", b"(123456789012345678901\r\n", b">2\r\n+x\r\n+y\r\n",
              b"|1\r\n+k\r\n+v\r\n*1\r\n:7\r\n", b"*0\r\n", b"!3\r\nERR\r\n"]

    def test_the_split_point_never_changes_the_replies(self):
        whole = b"".join(self.STREAM)
        for cut in range(len(whole) + 1):
            cutter = ReplyCutter()
            found = []
            for part in (whole[:cut], whole[cut:]):
                cutter.feed(part)
                while (reply := cutter.next()) is not None:
                    found.append(reply)
            self.assertEqual(found, self.STREAM)
            self.assertEqual(cutter.rest, b"")

    def test_values_are_what_the_bytes_say(self):
        self.assertEqual([value_of(raw) for raw in self.STREAM],
                         ["OK", ReplyError("ERR no"), 12, b"a\r\n", None, None, [b"a", [1]],
                          {"a": [True, None]}, 1.5, b"abc", 123456789012345678901, ["x", "y"], [7],
                          [], ReplyError("ERR")])


class RedisServerTest(unittest.TestCase):
    def test_a_server_is_ready_restartable_on_its_port_and_gone_after_the_block(self):
        with RedisServer(requirepass="secret") as server:
            self.assertEqual(server.call("PING"), "PONG")
            with RawConn(server.port) as client:
                self.assertEqual(str(client.call("PING")), "NOAUTH Authentication required.")
            port = server.port
            server.kill()
            server.restart()
            self.assertEqual(server.port, port)
            server.call("SET", "k", "v")
            self.assertEqual(server.commandstats()["set"], 1)
            server.sigstop()
            server.sigcont()
            self.assertEqual(server.info("server")["tcp_port"], str(port))
            pid = server.pid
        self.assertFalse(os.path.exists(f"/proc/{pid}"))

    def test_raw_connections_keep_every_byte_and_notice_the_end(self):
        with RedisServer() as server, RawConn(server.port) as client:
            client.send(encode("SET", "k", b"\x00\r\n") + encode("GET", "k") + b"PING\r\n")
            self.assertEqual(client.replies(3), [b"+OK\r\n", b"$3\r\n\x00\r\n\r\n", b"+PONG\r\n"])
            client.send(b"QUIT\r\n")
            self.assertEqual(client.read_eof(), [b"+OK\r\n"])
            self.assertEqual(bytes(client.received),
                             b"+OK\r\n$3\r\n\x00\r\n\r\n+PONG\r\n+OK\r\n")

    def test_a_wait_that_fails_says_for_what(self):
        with self.assertRaisesRegex(TimeoutError, "the moon"):
            wait_until(lambda: False, 0.01, "the moon")


if __name__ == "__main__":
    unittest.main()
