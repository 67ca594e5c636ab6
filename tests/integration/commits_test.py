"""The account of commits: nothing acknowledged is missing, nothing refused is there, whatever breaks.

While the sidecar does not speak PostgreSQL this shows the account itself to be right, through a relay that is
killed and a server that is restarted under it; it is what switches of sides are tested with.
"""

import time
import unittest

from children import wait_until
from commits import CommitLoad, Result, outside, prepare, wrong
from postgres import PostgresServer
from relay import Relay


def let_pass(seconds):
    """The load works on meanwhile."""
    over = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > over, seconds + 5, "time passes")


class Commits(unittest.TestCase):
    def setUp(self):
        # What it has acknowledged it still has after a kill.
        self.server = self.enterContext(PostgresServer(synchronous_commit="on"))
        self.relay = self.enterContext(Relay(self.server.port))
        prepare(self.server)

    def test_all_is_as_the_clients_were_told_whatever_breaks(self):
        began = time.monotonic()
        with CommitLoad(self.relay.port, sessions=8) as load:
            for breaks in (self.relay.kill, self.server.kill, lambda: self.server.restart()):
                let_pass(0.3)
                breaks()
                for process in (self.relay, self.server):
                    if not process.alive():
                        process.restart()
            let_pass(0.3)
            result = load.stop()
        self.assertEqual(result.trouble, [], result)
        self.assertEqual(wrong(result, [self.server]), [], result)
        self.assertEqual(outside(result, [(self.server.port, began, None)]), [])
        self.assertGreater(len(result.of("committed")), 20, result)
        self.assertGreater(result.connects, 8, result)
        self.assertLessEqual(result.codes.keys(), {"57P01", "57P02", "57P03", "08006"}, result)

    def test_what_is_not_as_the_clients_were_told_is_found(self):
        self.server.sql("insert into commits values (1, 1, false), (2, 1, false), (4, 1, false)")
        port = self.server.port
        result = Result({"account": [
            [1, "committed", 0, 1, port], [2, "refused", 0, 1, port], [3, "committed", 5, 6, port],
            [5, "unknown", 0, 1, port]], "codes": {}, "connects": 1, "seconds": 1, "trouble": []})
        found = wrong(result, [self.server])
        self.assertEqual([text.partition(" ")[2].partition(")")[2] or text for text in found], [
            " was refused and is there", f" was acknowledged and is missing at [{port}]",
            "4 is there and was never sent"])
        self.server.sql("insert into commits values (5, 1, true)")
        self.assertIn(f"transactions at {port} are there in part", wrong(result, [self.server]))
        self.assertEqual([one.id for one in outside(result, [(port, 0, 4), (port + 1, 4, None)])], [3])


if __name__ == "__main__":
    unittest.main()
