"""MCP: the official TypeScript SDK's client, and what no good client sends. The package is that of
mcp/package-lock.json."""

import http.client
import json
import os
import unittest

from harness import ADMIN, READ, SLOWNESS, RedisServer, Sidecar, wait_until
from npm_packages import install
from programs import run_program

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mcp")
PATHS = ("/api/v1/mcp/migrations", "/api/v1/tools/migrations")
BOTH = "application/json, text/event-stream"
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize",
              "params": {"protocolVersion": "2025-06-18", "capabilities": {},
                         "clientInfo": {"name": "t", "version": "1"}}}


class WithSidecar(unittest.TestCase):
    def setUp(self):
        self.old = self.enterContext(RedisServer())
        self.new = self.enterContext(RedisServer(save="3600 1"))
        self.sidecar = self.enterContext(Sidecar())
        self.sidecar.add_endpoint("old", self.old)
        self.sidecar.add_endpoint("new", self.new)
        self.sidecar.add_interlay("cache", "old")

    def send(self, method, body=None, path=PATHS[0], token=ADMIN, **headers):
        """(status, headers, text) of one request; a header's name has underscores for its dashes."""
        connection = http.client.HTTPConnection(*self.sidecar.control, timeout=20 * SLOWNESS)
        given = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": BOTH}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        text = body if isinstance(body, (str, bytes)) or body is None else json.dumps(body)
        try:
            connection.request(method, path, text, given)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def rpc(self, method, params=None, **headers):
        message = {"jsonrpc": "2.0", "id": "one", "method": method}
        status, _, text = self.send("POST", message | ({"params": params} if params else {}), **headers)
        return status, json.loads(text)

    def begin(self, path=PATHS[0], token=ADMIN):
        status, headers, text = self.send("POST", INITIALIZE, path=path, token=token)
        self.assertEqual(status, 200, text)
        self.assertEqual(json.loads(text)["result"]["protocolVersion"], "2025-06-18")
        return headers["Mcp-Session-Id"]


class Sdk(WithSidecar):
    @classmethod
    def setUpClass(cls):
        install(FOLDER)

    def test_every_tool(self):
        url = "http://{}:{}".format(*self.sidecar.control)
        run_program(self, ["node", "mcp_client.mjs", url, ADMIN, READ], at_least=60, cwd=FOLDER)
        journal = self.sidecar.must("GET", "/migrations/m/events")
        self.assertEqual({event["actor"] for event in journal}, {"environment-admin"})


class Sessions(WithSidecar):
    def test_each_call_needs_one_that_is_known_and_its_own(self):
        for path in PATHS:
            session = self.begin(path)
            self.assertEqual(self.rpc("ping", path=path, Mcp_Session_Id=session),
                             (200, {"jsonrpc": "2.0", "id": "one", "result": {}}))
            self.assertEqual(self.rpc("ping", path=path)[0], 400)
            self.assertEqual(self.rpc("ping", path=path, Mcp_Session_Id="nobody")[0], 404)
            # A session is its token's.
            self.assertEqual(self.rpc("ping", path=path, token=READ, Mcp_Session_Id=session)[0], 404)
            self.assertEqual(self.rpc("ping", path=path, Mcp_Session_Id=session,
                                      MCP_Protocol_Version="2024-11-05")[0], 400)
            self.assertEqual(self.rpc("ping", path=path, Mcp_Session_Id=session,
                                      MCP_Protocol_Version="2025-06-18")[0], 200)
            self.assertEqual(self.send("DELETE", path=path, Mcp_Session_Id=session)[0], 204)
            self.assertEqual(self.rpc("ping", path=path, Mcp_Session_Id=session)[0], 404)

    def test_none_outlives_a_restart_and_clients_are_told(self):
        session = self.begin()
        self.sidecar.kill9()
        self.sidecar.restart()
        self.assertEqual(self.rpc("ping", Mcp_Session_Id=session)[0], 404)

    def test_the_one_unused_longest_makes_room(self):
        first = self.begin()
        second = self.begin()
        self.assertEqual(self.rpc("ping", Mcp_Session_Id=first)[0], 200)
        for _ in range(255):
            self.begin()
        self.assertEqual(self.rpc("ping", Mcp_Session_Id=second)[0], 404)
        self.assertEqual(self.rpc("ping", Mcp_Session_Id=first)[0], 200)


class BadMessages(WithSidecar):
    def test_each_gets_its_own_error(self):
        session = self.begin()
        for body, status, code in (
                ("{", 400, -32700), ("[]", 400, -32600), ("7", 400, -32600), ("{}", 400, -32600),
                ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, 400, -32600),
                ({"jsonrpc": "2.0", "id": None, "method": "ping"}, 400, -32600),
                ({"jsonrpc": "2.0", "id": {}, "method": "ping"}, 400, -32600),
                ({"jsonrpc": "2.0", "id": 1, "method": 7}, 400, -32600),
                ({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}, 400, -32600),
                ({"jsonrpc": "2.0", "id": 1}, 400, -32600),
                ({"jsonrpc": "2.0", "id": 1, "method": "resources/list"}, 200, -32601),
                ({"jsonrpc": "2.0", "id": 1, "method": "tools/call"}, 200, -32602),
                ({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": 1}}, 200, -32602),
                ({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                  "params": {"name": "list_migrations", "arguments": []}}, 200, -32602),
                ({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                  "params": {"name": "list_migrations", "arguments": {"limit": 0}}}, 200, -32602),
                ({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                  "params": {"name": "list_migrations", "arguments": {"updated_since": "now"}}},
                 200, -32602)):
            given, _, text = self.send("POST", body, Mcp_Session_Id=session)
            self.assertEqual((given, json.loads(text)["error"]["code"]), (status, code), body)
        self.assertEqual(self.rpc("ping", Mcp_Session_Id=session)[0], 200)

    def test_wait_is_true_or_false_and_starts_nothing_else(self):
        session = self.begin()
        self.sidecar.create_migration("m", {"type": "shadow_traffic"}, "cache", "new")
        call = {"name": "run_migration", "arguments": {"migration_id": "m", "mode": "migrate"}}
        call["arguments"]["wait"] = "perhaps"
        _, answer = self.rpc("tools/call", call, Mcp_Session_Id=session)
        self.assertEqual(answer["error"]["code"], -32602)
        self.assertEqual(self.sidecar.must("GET", "/migrations/m")["status"], "ready")
        call["arguments"]["wait"] = True
        _, answer = self.rpc("tools/call", call, Mcp_Session_Id=session)
        self.assertEqual(answer["result"]["structuredContent"]["status"], "running")

    def test_notifications_and_responses_are_taken_without_an_answer(self):
        session = self.begin()
        for message in ({"jsonrpc": "2.0", "method": "notifications/initialized"},
                        {"jsonrpc": "2.0", "id": 5, "result": {}}):
            status, _, text = self.send("POST", message, Mcp_Session_Id=session)
            self.assertEqual((status, text), (202, ""))
            self.assertEqual(self.send("POST", message)[0], 400)

    def test_http_that_does_not_fit_is_refused(self):
        session = self.begin()
        self.assertEqual(self.send("POST", INITIALIZE, Accept="text/html")[0], 406)
        self.assertEqual(self.send("GET", Accept="application/json", Mcp_Session_Id=session)[0], 406)
        self.assertEqual(self.send("PATCH", "{}")[0], 405)
        self.assertEqual(self.send("POST", INITIALIZE, token="wrong")[0], 401)
        self.assertEqual(self.send("POST", INITIALIZE, Origin="http://evil.example")[0], 403)
        own = "http://{}:{}".format(*self.sidecar.control)
        self.assertEqual(self.send("POST", INITIALIZE, Origin=own)[0], 200)


class Streams(WithSidecar):
    def open(self, session, token=ADMIN):
        connection = http.client.HTTPConnection(*self.sidecar.control, timeout=20 * SLOWNESS)
        self.addCleanup(connection.close)
        connection.request("GET", PATHS[0], headers={
            "Authorization": f"Bearer {token}", "Accept": "text/event-stream", "Mcp-Session-Id": session})
        return connection, connection.getresponse()

    def test_one_stays_open_until_its_session_ends(self):
        session = self.begin()
        _, answer = self.open(session)
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "text/event-stream"))
        self.assertEqual(answer.readline(), b": open\n")
        self.assertEqual(self.send("DELETE", Mcp_Session_Id=session)[0], 204)
        self.assertEqual(answer.read().strip(), b"")

    def test_there_are_not_too_many_and_who_leaves_makes_room(self):
        read = self.begin(token=READ)
        session = self.begin()
        streams = []
        for of, token in ((read, READ), (session, ADMIN)):  # nobody takes them all
            streams += [self.open(of, token) for _ in range(8)]
            self.assertEqual({answer.status for _, answer in streams}, {200})
            _, refused = self.open(of, token)
            self.assertEqual(refused.status, 503)
            self.assertIn(b"mcp_streams_max", refused.read())
        self.assertEqual(self.rpc("ping", Mcp_Session_Id=session)[0], 200)
        for connection, answer in streams:
            answer.close()
            connection.close()
        wait_until(lambda: self.open(session)[1].status == 200, 10, "room for another stream")

    def test_the_sidecar_stops_in_spite_of_them(self):
        session = self.begin()
        _, answer = self.open(session)
        self.assertEqual(answer.readline(), b": open\n")
        self.assertEqual(self.sidecar.terminate(20 * SLOWNESS), 0)


if __name__ == "__main__":
    unittest.main()
