"""pgbench in every mode: its own transactions with each kind of query, and a pipeline of ours."""

import os
import re
import subprocess
import unittest

from harness import SLOWNESS, temp_folder
from pg_clients import InPgMode, in_every_pg_mode

# Modes in which new need not have what is made through the sidecar: a copy may be dropped.
NOT_ON_NEW = ("canary-nobody", "shadow")
PIPELINE = r"""
\set aid random(1, 1000)
\startpipeline
begin;
update pgbench_accounts set abalance = abalance + 1 where aid = :aid;
select abalance from pgbench_accounts where aid = :aid;
insert into pgbench_history (tid, bid, aid, delta, mtime) values (1, 1, :aid, 1, now());
end;
\endpipeline
"""


@in_every_pg_mode
class Pgbench(InPgMode):
    def pgbench(self, *args, port=None):
        """Through what stands in front, or to that port."""
        environment = {**self.environment(), "PGPORT": str(port or self.port)}
        done = subprocess.run(["pgbench", *args], env=environment, capture_output=True, text=True,
                              timeout=60 * SLOWNESS, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def filled(self):
        """Tables of pgbench, smaller than it makes them itself."""
        if self.mode not in NOT_ON_NEW:
            self.pgbench("-i", "-I", "dt", "-q")
        for server in self.setting.servers:
            if self.mode in NOT_ON_NEW:
                self.pgbench("-i", "-I", "dt", "-q", port=server.port)
            server.sql("insert into pgbench_branches values (1, 0)",
                       "insert into pgbench_tellers select i, 1, 0 from generate_series(1, 10) i",
                       "insert into pgbench_accounts select i, 1, 0 from generate_series(1, 1000) i")
        self.pgbench("-i", "-I", "p", "-q")

    def test_every_kind_of_query_loses_and_adds_nothing(self):
        self.filled()
        done = 0
        for kind in ("simple", "extended", "prepared"):
            shown = self.pgbench("-n", "-M", kind, "-c", "4", "-t", "25", "-b", "tpcb-like@1",
                                 "-b", "select-only@1", "-D", "scale=1", "-s", "1")
            self.assertIn("100/100", shown)
            self.assertRegex(shown, r"number of failed transactions: 0 ")
            done += int(re.search(r"TPC-B.*?- (\d+) transactions", shown, re.S)[1])
        self.assertEqual(self.history(), done)

    def test_a_pipeline_script(self):
        self.filled()
        script = os.path.join(temp_folder("pgbench"), "pipeline.sql")
        with open(script, "w", encoding="ascii") as file:
            file.write(PIPELINE)
        for kind in ("extended", "prepared"):
            self.assertIn("100/100", self.pgbench("-n", "-M", kind, "-c", "4", "-t", "25", "-f", script))
        self.assertEqual(self.history(), 200)
        self.assertEqual(self.setting.answering.value("select sum(abalance) from pgbench_accounts"), "200")

    def test_its_own_filling_goes_by_copy(self):
        self.pgbench("-i", "-s", "1", "-q")
        self.assertEqual(self.setting.answering.value("select count(*) from pgbench_accounts"), "100000")

    def history(self):
        return int(self.setting.answering.value("select count(*) from pgbench_history"))


if __name__ == "__main__":
    unittest.main()
