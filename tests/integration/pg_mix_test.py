"""A canary under pgbench: by the servers' own statistics nothing is written on new, sessions have the share
that they should, and a share that changes under way loses nothing.
"""

import os
import re
import subprocess
import unittest

from children import SLOWNESS, temp_folder, wait_until
from pg_pair import PgPair, reads
from postgres_programs import programs

SESSIONS = 32
SECONDS = 6 if SLOWNESS == 1 else 12
MIX = {
    "read": "\\set id random(1, 1000)\nselect n from t where id = :id;\n",
    "update": "\\set id random(1, 1000)\nupdate t set n = n + 1 where id = :id;\n",
    "transaction": "\\set id random(1, 1000)\nbegin;\nselect n from t where id = :id;\n"
                   "insert into log (n) values (:id);\nselect count(*) from t where id < 5;\nend;\n",
    "look": "\\set id random(1, 1000)\nbegin read only;\nselect n from t where id = :id;\n"
            "select writes_nothing();\ncommit;\n",
    "function": "select add();\n",
}
WRITTEN = "select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) from pg_stat_user_tables"


class Mix(PgPair):
    loops = 2
    tables = ("create table t (id int primary key, n int)",
              "insert into t select i, 0 from generate_series(1, 1000) i",
              "create table log (id bigserial primary key, n int)", "create table sums (n bigint)",
              "insert into sums values (0)",
              "create function add() returns bigint volatile language sql as "
              "'update sums set n = n + 1 returning n'",
              "create function writes_nothing() returns bigint stable language sql as "
              "'select count(*) from t where id < 3'")

    def setUp(self):
        super().setUp()
        self.migrate(reads(0.3))
        self.comes_to_know()
        self.before = self.statistic(self.new, WRITTEN)

    def comes_to_know(self):
        """Reads of t are certain ones: the catalog has it."""
        clients = [self.connect() for _ in range(20)]
        wait_until(lambda: any(client.value("select side from here, t where id = 1") == "new"
                               for client in clients), 20, "t is known")

    @staticmethod
    def statistic(server, sql):
        server.sql("select pg_stat_force_next_flush()")
        return int(server.value(sql))

    def bench(self, protocol, parts, seconds):
        folder = temp_folder("mix")
        argv = [os.path.join(programs(15), "pgbench"), "-n", "-c", str(SESSIONS), "-j", "2",
                "-T", str(seconds), "-M", protocol, "-h", "127.0.0.1", "-p", str(self.port), "-U", "app"]
        for name in parts:
            path = os.path.join(folder, f"{name}.sql")
            with open(path, "w", encoding="utf-8") as file:
                file.write(MIX[name])
            argv += ["-f", path]
        return subprocess.Popen([*argv, "app"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def done(self, child, seconds):
        out, errors = child.communicate(timeout=(seconds + 60) * SLOWNESS)
        self.assertEqual(child.returncode, 0, errors)
        self.assertIsNone(re.search("error|FATAL|aborted", errors), errors)
        self.assertEqual(re.search(r"number of failed transactions: (\d+)", out).group(1), "0", out)
        return int(re.search(r"number of transactions actually processed: (\d+)", out).group(1))

    def nothing_written_on_new(self):
        self.assertEqual(self.statistic(self.new, WRITTEN), self.before)

    def test_no_write_reaches_new(self):
        for protocol in ("simple", "extended", "prepared"):
            with self.subTest(protocol):
                child = self.bench(protocol, MIX, SECONDS)
                self.assertGreater(self.done(child, SECONDS), 100)
                self.nothing_written_on_new()
        self.assertGreater(self.metric("requests_total", side="new", kind="read"), 100)
        # What was acknowledged is there: each row of `log` and each call of add() was a transaction.
        self.assertGreater(int(self.old.value("select count(*) from log")), 50)

    def test_a_share_that_changes_under_way_loses_nothing(self):
        child = self.bench("prepared", MIX, SECONDS)
        self.addCleanup(child.kill)
        share = 0
        while child.poll() is None:
            share = (share + 7) % 11
            self.patch(reads(share / 10))
        self.done(child, SECONDS)
        self.nothing_written_on_new()


if __name__ == "__main__":
    unittest.main()
