"""libpq, the C driver, with its pipeline mode: a program of ours over it, compiled here, in every mode."""

import os
import subprocess
import unittest

from harness import temp_folder
from pg_clients import InPgMode, in_every_pg_mode
from programs import run_program

PIDS = ("the pid is that of the backend", "a notification tells the true pid")
HERE = os.path.dirname(os.path.abspath(__file__))


def compiled():
    program = os.path.join(temp_folder("libpq"), "libpq_client")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libpq"], check=True,
                           capture_output=True, text=True).stdout.split()
    subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program,
                    os.path.join(HERE, "libpq_client.c"), *flags], check=True)
    return program


@in_every_pg_mode
class Libpq(InPgMode):
    program = None

    def test_every_feature(self):
        Libpq.program = Libpq.program or compiled()
        run_program(self, [self.program, str(self.port)], at_least=45, but=PIDS if self.flips else ())


if __name__ == "__main__":
    unittest.main()
