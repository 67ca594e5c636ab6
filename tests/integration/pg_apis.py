"""What tests of statements by api share: two PostgreSQL servers with `users` and `orders`, and three apis.

Where both servers have the same rows, each with its own name in `side`, a row tells who answered.
"""

from harness import wait_until
from pg_messages import SYNC, bind, execute, parse
from pg_pair import INTERLAY, WRITES_OLD, PgPair

DUAL = {"mode": "dual_write", "engine": "statement"}
GREEN = {"type": "blue_green", "active_is_new": True, "write_mode": WRITES_OLD}
USER = "select side from users where id = {}"
USER_1 = USER.format(1)
ORDER_1 = "select side from orders where id = 1"


def segment(*texts):
    """Unnamed statements up to one Sync."""
    return b"".join(parse("", text) + bind("", "") + execute("") for text in texts) + SYNC


class Apis(PgPair):
    """Apis in the order in which they are asked: "secrets", "users", "rest"; "users" is the migration's, with
    all of its templates but the last."""

    settings = {"second_leg_timeout_ms": 60_000}  # a machine that is slow makes no read old's
    tables = ("create table users (id int primary key, side text, n int default 0)",
              "create table orders (id int primary key, side text, n int default 0)")
    users = ("SELECT side FROM users WHERE id = {{id}}", "SELECT side FROM users WHERE id = {{id}} LIMIT 1",
             "UPDATE users SET n = n + 1 WHERE id = {{id}}",
             "SELECT side FROM users WHERE n = {{n}} AND id = {{id}}")
    named_after_their_side = True

    def setUp(self):
        super().setUp()
        for name, server in (("old", self.old), ("new", self.new)):
            side = name if self.named_after_their_side else "both"
            for table in ("users", "orders"):
                server.sql(f"insert into {table} select i, '{side}' from generate_series(1, 100) i")
        self.define("secrets", "SELECT side FROM users WHERE id = 99")
        self.define("users", *self.users)
        self.define("rest", "SELECT side FROM orders WHERE id = {{id}}",
                    "SELECT side FROM users WHERE id = {{x}}")

    def define(self, api, *queries):
        """An api with templates "<api>0", "<api>1", …"""
        names = [f"{api}{number}" for number in range(len(queries))]
        for name, text in zip(names, queries):
            self.sidecar.must("POST", "/templates", {"id": name, "endpoint": "old", "query": text})
        self.sidecar.must("POST", "/apis",
                          {"id": api, "bindings": [{"template": name} for name in names]})

    def migrate(self, strategy, new="new"):
        self.sidecar.create_migration("m", strategy, INTERLAY, new)
        self.sidecar.must("POST", "/migrations/m/api/users", {
            "bindings": [{"template": f"users{number}"} for number in range(len(self.users) - 1)]})
        self.sidecar.must("POST", "/migrations/m/migrate?force=true")

    def knows(self, client, side="new"):
        """Until the catalog of old is read no read is certain."""
        wait_until(lambda: client.value(USER_1) == side, 20, f"the api is read from {side}")
        return client

    def client(self, side="new"):
        return self.knows(self.connect(), side)
