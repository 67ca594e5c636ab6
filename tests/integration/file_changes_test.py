"""The configuration file says otherwise while a migration runs: nothing that clients have written goes out of
their sight unsaid."""

import unittest

from harness import RawConn, RedisServer, Sidecar, free_port, wait_until

KEYS = 50
GREEN = {"type": "blue_green", "active_is_new": True}


class FileChanges(unittest.TestCase):
    strategy = GREEN

    def setUp(self):
        self.old, self.new, self.other = (self.enterContext(RedisServer()) for _ in range(3))
        self.port = free_port()
        self.sidecar = self.enterContext(Sidecar(config=self.config()))
        self.sidecar.create_migration("m", self.strategy, "cache", "new")
        self.sidecar.must("POST", "/migrations/m/migrate")
        with RawConn(self.port) as client:
            for number in range(KEYS):
                self.assertEqual(client.call("SET", f"k{number}", number), "OK")
        self.assertEqual(self.new.call("DBSIZE"), KEYS)

    def config(self, new=None, regions=None):
        def endpoint(name, server):
            return {"id": name, "kind": "redis", "config": {"host": "127.0.0.1", "port": server.port}}
        settings = {"regions": regions or {"us": ["127.0.0.0/8"]}}
        return {"endpoints": [endpoint("old", self.old), endpoint("new", new or self.new)],
                "interlays": [{"id": "cache", "endpoint": "old", "port": self.port, "settings": settings}]}

    def found(self):
        with RawConn(self.port) as client:
            return sum(client.call("GET", f"k{number}") is not None for number in range(KEYS))

    def last_event(self):
        return self.sidecar.must("GET", "/migrations/m/events")[-1]["reason"]


class NewSide(FileChanges):
    """It is another server by the file."""
    REFUSED = "endpoints[1].config: Endpoint 'new' is the new side of migration 'm', which is in force"

    def test_it_stays_where_clients_have_written_but_by_force(self):
        self.sidecar.write_config(self.config(self.other))
        self.sidecar.sighup()
        self.sidecar.wait_for_log(self.REFUSED)
        self.assertEqual(self.found(), KEYS)
        self.sidecar.terminate()
        with self.assertRaisesRegex(RuntimeError, "left with 2"):
            self.sidecar.restart()
        self.assertEqual(self.sidecar.log_text().count(self.REFUSED), 2)
        self.assertEqual(self.other.call("DBSIZE"), 0)

        self.sidecar.write_config(self.config())
        self.sidecar.restart()
        self.assertEqual(self.found(), KEYS)
        moved = {"config": {"port": self.other.port}}
        status, answer = self.sidecar.api("PATCH", "/endpoints/new", moved)
        self.assertEqual(status, 409)
        self.assertIn("is declared in the configuration file", answer["message"])
        self.sidecar.must("PATCH", "/endpoints/new?force=true", moved)
        self.sidecar.write_config(self.config(self.other))
        self.sidecar.restart()
        self.assertEqual(self.found(), 0)

    def test_behind_a_rollback_it_goes_where_the_file_says(self):
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.sidecar.write_config(self.config(self.other))
        self.sidecar.sighup()
        wait_until(lambda: self.sidecar.must("GET", "/endpoints/new")["config"]["port"] == self.other.port,
                   10, "the endpoint is where the file says")


class Regions(FileChanges):
    """Its clients are of other regions by the file."""
    strategy = {"type": "geographic", "regions": {"us": True, "eu": False}}

    def test_what_new_alone_has_is_said(self):
        self.sidecar.write_config(self.config(regions={"eu": ["127.0.0.0/8"]}))
        self.sidecar.sighup()
        wait_until(lambda: "by other networks" in self.last_event(), 10, "a line in the journal")
        self.assertIn("interlay 'cache' tells its clients' regions by other networks; who goes back to "
                      f"old by that misses some: at least {KEYS} writes went to new only and are not on old",
                      self.last_event())
        self.assertEqual(self.found(), 0)
        self.sidecar.terminate()
        self.sidecar.write_config(self.config(regions={"us": ["127.0.0.0/8"]}))
        self.sidecar.restart()
        self.assertEqual(self.found(), KEYS)
        lines = self.sidecar.must("GET", "/migrations/m/events")
        self.assertEqual(sum("by other networks" in line["reason"] for line in lines), 2)
        self.sidecar.restart()
        self.assertEqual(self.sidecar.must("GET", "/migrations/m/events"), lines)


if __name__ == "__main__":
    unittest.main()
