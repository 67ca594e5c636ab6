"""The way back on a disk that takes nothing any more: traffic goes to old, and everybody is told
that this is not stored, until it is."""

import threading
import unittest

from harness import RawConn, RedisServer, Sidecar, wait_until
from small_disk import SmallDisk

DUAL = {"type": "canary", "read_percentage": 1.0,
        "write_mode": {"mode": "dual_write", "policy": "old_authoritative"}}
ROLLBACK = "/migrations/m/rollback"


class Unstored(unittest.TestCase):
    def setUp(self):
        self.disk = SmallDisk(self)
        self.old = self.enterContext(RedisServer())
        self.new = self.enterContext(RedisServer())
        for server, side in ((self.old, "old"), (self.new, "new")):
            server.call("SET", "side", side)
        self.sidecar = self.enterContext(Sidecar(state=self.disk.state))
        self.sidecar.add_endpoint("old", self.old)
        self.sidecar.add_endpoint("new", self.new)
        self.port = self.sidecar.add_interlay("cache", "old")

    def run_migration(self, strategy, **members):
        self.sidecar.migrate("m", strategy, "cache", "new", **members)

    def side(self):
        with RawConn(self.port) as client:
            reply = client.call("GET", "side")
            return reply.decode() if isinstance(reply, bytes) else str(reply)

    def status(self):
        return self.sidecar.must("GET", "/migrations/m/status")

    def is_refused(self, method, path, body):
        status, answer = self.sidecar.api(method, path, body)
        if status < 300:
            return False
        self.assertEqual(status, 503, answer)
        self.assertIn("nothing was changed", answer["message"])
        return True

    def fill(self):
        """Until not even what the sidecar has kept for itself takes a small change."""
        self.disk.fill()
        for n in range(1_000):
            body = {"id": f"e{n}", "kind": "redis", "config": {"port": 1, "host": "127.0.0.1"},
                    "description": "x" * 4_000}
            if self.is_refused("POST", "/endpoints?check=false", body):
                break
        refused = 0
        for n in range(2_000):
            refused = refused + 1 if self.is_refused(
                "PATCH", "/migrations/m", {"description": str(n)}) else 0
            if refused == 5:
                return
        self.fail("the disk takes everything")

    def journal(self):
        return [(e["from"], e["to"], e["actor"])
                for e in self.sidecar.must("GET", "/migrations/m/events")]

    def roll_back_unstored(self):
        status, answer = self.sidecar.api("POST", ROLLBACK)
        self.assertEqual(status, 503, answer)
        self.assertIn("all traffic is on old", answer["message"])
        self.assertIn("not stored", answer["message"])
        self.assertNotIn("nothing was changed", answer["message"])
        self.assertEqual(answer["data"]["status"], "rolled_back")
        self.assertEqual(answer["data"]["stored_status"], "running")

    def is_stored(self):
        wait_until(lambda: self.status()["unstored"] is None, 30, "the rollback to be stored")
        self.assertEqual(self.sidecar.metric("crossfade_state_unstored"), 0)
        self.assertEqual(self.sidecar.api("GET", "/readyz", token=None), (200, {"status": "ready"}))

    def test_traffic_goes_back_and_is_stored_when_there_is_room(self):
        self.run_migration(DUAL)
        self.assertEqual(self.side(), "new")
        self.fill()
        self.roll_back_unstored()
        self.assertEqual(self.side(), "old")
        with RawConn(self.port) as client:
            client.call("SET", "later", "1")
        self.assertEqual((self.old.call("GET", "later"), self.new.call("GET", "later")), (b"1", None))
        status = self.status()
        self.assertEqual((status["status"], status["in_force"]), ("rolled_back", False))
        self.assertEqual(status["unstored"]["stored_status"], "running")
        self.assertIn("full", status["unstored"]["why"])
        self.assertEqual(self.sidecar.metric("crossfade_state_unstored"), 1)
        code, ready = self.sidecar.api("GET", "/readyz", token=None)
        self.assertEqual((code, ready["status"]), (200, "ready"))
        self.assertIn("not stored", ready["state"])
        self.assertNotIn("rolled_back", [to for _, to, _ in self.journal()])
        # Nothing else is done until then, and a second call says the same.
        self.assertTrue(self.is_refused("POST", "/migrations/m/migrate?force=true", None))
        self.assertTrue(self.is_refused("DELETE", "/migrations/m", None))
        self.roll_back_unstored()
        self.assertEqual(self.side(), "old")
        self.assertEqual(self.sidecar.log_text().count("is not stored: "), 1)

        self.disk.make_room()
        self.is_stored()
        self.assertEqual(self.journal()[-2:], [("running", "rolling_back", "environment-admin"),
                                               ("rolling_back", "rolled_back", "environment-admin")])
        self.sidecar.kill9()
        self.sidecar.restart()
        self.assertEqual((self.status()["status"], self.side()), ("rolled_back", "old"))

    def test_the_next_call_stores_it_along(self):
        self.run_migration(DUAL)
        self.fill()
        self.roll_back_unstored()
        self.disk.make_room()
        self.sidecar.must("POST", "/migrations/m/migrate?force=true")
        self.assertEqual((self.status()["status"], self.in_doubt()), ("running", True))
        self.assertIn(("rolling_back", "rolled_back", "environment-admin"), self.journal())
        self.is_stored()

    def in_doubt(self):
        return self.sidecar.must("GET", "/migrations/m/divergence")["needs_full_verification"]

    def test_a_kill_before_it_is_stored_brings_the_migration_back_and_its_ledger_knows(self):
        self.run_migration(DUAL)
        self.fill()
        self.assertFalse(self.in_doubt())
        self.roll_back_unstored()
        with RawConn(self.port) as client:
            client.call("SET", "side", "later")
        self.sidecar.kill9()
        self.disk.make_room()
        self.sidecar.restart()
        self.assertEqual(self.status()["status"], "running")
        self.assertTrue(self.in_doubt())
        self.assertEqual(self.side(), "later")  # new, which the strategy would ask, lacks it
        self.sidecar.must("POST", ROLLBACK)
        self.assertEqual(self.status()["unstored"], None)

    def test_guardrails_go_back_as_well(self):
        self.run_migration({"type": "blue_green", "active_is_new": True},
                           guardrails={"new_side_down_s": 1})
        self.fill()
        self.new.kill()
        clients = threading.Event()

        def ask():
            while not clients.is_set():
                try:
                    self.side()
                except OSError:
                    clients.wait(0.05)
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        try:
            wait_until(lambda: self.status()["status"] == "rolled_back", 60, "the guardrail to act")
        finally:
            clients.set()
            thread.join()
        self.assertEqual(self.side(), "old")
        self.assertIn("new is down", self.status()["reason"])
        self.assertEqual(self.sidecar.metric("crossfade_guardrail_actions_total",
                                             action="rollback", cause="new_side_down"), 1)
        self.disk.make_room()
        self.is_stored()
        self.assertEqual(self.journal()[-1], ("rolling_back", "rolled_back", "guardrail"))


if __name__ == "__main__":
    unittest.main()
