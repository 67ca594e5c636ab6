"""Client programs in other languages: they print "ok name" or "not ok name: why" for each assertion."""

import re
import subprocess

from harness import SLOWNESS


def run_program(test, argv, at_least, cwd=None, limit_s=60, but=(), env=None):
    """Runs it and fails `test` when an assertion failed, too few were made, or it ended otherwise.

    but   names of assertions that may fail, or are left out
    """
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False,
                          timeout=limit_s * SLOWNESS, stdin=subprocess.DEVNULL)
    output = done.stdout + done.stderr
    failed = re.findall(r"^not ok .*", done.stdout, re.M)
    bad = [line for line in failed if not line.startswith(tuple(f"not ok {name}:" for name in but))]
    good = re.findall(r"^ok .*", done.stdout, re.M)
    test.assertEqual(bad, [], output)
    test.assertIn(done.returncode, {min(len(failed), 1), len(failed)}, output)
    test.assertGreaterEqual(len(good), at_least - len(but), output)
