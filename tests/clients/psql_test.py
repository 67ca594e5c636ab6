"""psql in every mode: scripts, COPY both ways, large results, interrupted queries, what it describes."""

import os
import signal
import subprocess
import unittest

from harness import SLOWNESS, end, spawn, wait_until
from pg_clients import InPgMode, in_every_pg_mode


@in_every_pg_mode
class Psql(InPgMode):
    def psql(self, script, *args):
        """What it prints for a script, standard error as well."""
        done = subprocess.run(["psql", "-XAt", "-v", "ON_ERROR_STOP=0", *args], input=script, text=True,
                              env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=30 * SLOWNESS, check=False)
        return done.stdout

    def test_a_script_with_errors_and_transactions(self):
        self.assertEqual(self.psql("""
            create table t (id int primary key, v text);
            begin; insert into t values (1, 'a'); savepoint s; insert into t values (1, 'b'); rollback to s;
            commit;
            select * from t; select 1/0; select 'after';
        """), "\n".join([
            "CREATE TABLE", "BEGIN", "INSERT 0 1", "SAVEPOINT",
            'ERROR:  duplicate key value violates unique constraint "t_pkey"',
            "DETAIL:  Key (id)=(1) already exists.", "ROLLBACK", "COMMIT", "1|a", "ERROR:  division by zero",
            "after", ""]))

    def test_copy_goes_both_ways(self):
        rows = "".join(f"{number}\trow {number}\n" for number in range(20_000))
        self.psql("create table t (id int, v text)")
        self.assertEqual(self.psql(rows, "-c", "\\copy t from stdin"), "COPY 20000\n")
        self.assertEqual(self.psql("", "-c", "\\copy t to stdout"), rows)
        self.assertEqual(self.psql("copy t from stdin;\nx\n\\.\nselect count(*) from t;\n").splitlines()[-1],
                         "20000")

    def test_a_cursor_fetches_a_large_result(self):
        self.assertEqual(self.psql("\\set FETCH_COUNT 100\nselect generate_series(1, 5000);").split(),
                         [str(number) for number in range(1, 5001)])

    def test_it_describes_what_there_is(self):
        self.psql("create table t (id int primary key, v text); create view vw as select * from t;")
        shown = self.psql("\\d t\n\\dv\n\\du\n\\conninfo\n")
        for part in ("id|integer||not null|", "public|vw|view|app", "replicator", f'port "{self.port}"'):
            self.assertIn(part, shown)

    def test_notifications_and_several_results_are_shown(self):
        shown = self.psql("listen ch; notify ch, 'x';\nselect 1 \\; select 2;\n"
                          "select 'bind' as a \\gdesc\nselect 3 as x \\gset\n\\echo :x\n")
        self.assertIn('Asynchronous notification "ch" with payload "x" received from', shown)
        self.assertEqual(shown.splitlines()[-4:], ["1", "2", "a|text", "3"])

    def test_an_interrupt_cancels_the_query(self):
        child = spawn(["psql", "-XAt", "-c", "select pg_sleep(60)"], env=self.environment(),
                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(end, child)
        self.addCleanup(child.stdout.close)
        wait_until(self.setting.asleep, 10, "the query runs")
        os.kill(child.pid, signal.SIGINT)
        self.assertIn("canceling statement due to user request", child.communicate(timeout=10 * SLOWNESS)[0])
        wait_until(lambda: not self.setting.asleep(), 10, "nobody sleeps")


if __name__ == "__main__":
    unittest.main()
