"""hiredis, the C driver: a program of ours over it, compiled here, in every mode."""

import os
import subprocess
import unittest

from modes import InMode, in_every_mode
from harness import temp_folder
from programs import run_program

HERE = os.path.dirname(os.path.abspath(__file__))


def compiled():
    program = os.path.join(temp_folder("hiredis"), "hiredis_client")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "hiredis"], check=True,
                           capture_output=True, text=True).stdout.split()
    subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program,
                    os.path.join(HERE, "hiredis_client.c"), *flags, "-pthread"], check=True)
    return program


@in_every_mode
class Hiredis(InMode):
    program = None

    def test_every_feature(self):
        Hiredis.program = Hiredis.program or compiled()
        run_program(self, [self.program, str(self.port), *self.setting.server_ports], at_least=40)


if __name__ == "__main__":
    unittest.main()
