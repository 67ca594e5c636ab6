"""The front door of the repository: what `make` and .ci do before and after any test of the program."""

import os
import re
import subprocess
import unittest

from harness import TREE, temp_folder


def run(*command, path=None):
    # Not what a `make test` around us was told.
    env = {name: value for name, value in os.environ.items()
           if name not in ("MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS", "SUITES", "IMAGE")}
    if path:
        env["PATH"] = path + ":" + env["PATH"]
    done = subprocess.run(command, cwd=TREE, env=env, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=60)
    return done.returncode, done.stdout, done.stderr


class Dependencies(unittest.TestCase):
    def groups(self, *goal):
        """The groups of packages that this goal of make would look at in a fresh checkout."""
        code, output, error = run("make", "-n", "-B", "-j4", *goal)
        self.assertEqual(code, 0, error)
        return re.findall(r"^\.ci/deps (\w+)$", output, re.M)

    def test_each_goal_has_the_packages_that_it_needs(self):
        self.assertEqual(self.groups("build"), ["build"])
        self.assertEqual(self.groups("demo"), ["build", "run"])
        self.assertEqual(self.groups("test"), ["build", "run", "test"])
        self.assertEqual(self.groups("deploy-check"), ["build", "run", "test"])
        self.assertEqual(self.groups("deploy-check", "IMAGE=1"), ["build", "run", "test", "image"])
        for suites in ("asan", "unit tsan", "fuzz asan tsan"):
            self.assertEqual(self.groups("test", f"SUITES={suites}"), ["build", "run", "test", "fuzz"])

    def test_two_groups_are_never_installed_at_once(self):
        with open(os.path.join(TREE, "Makefile"), encoding="utf-8") as file:
            self.assertRegex(file.read(), r"(?m)^\.NOTPARALLEL:$")

    def test_an_unknown_group_is_an_error(self):
        code, _, error = run(".ci/deps", "nosuch")
        self.assertEqual(code, 2)
        self.assertIn("nosuch", error)


class ContinuousIntegration(unittest.TestCase):
    def closing(self, output, code):
        """Exit code and last line of .ci/run when make says and ends so."""
        folder = temp_folder("make")
        make = os.path.join(folder, "make")
        with open(make, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nprintf '{output}'\nexit {code}\n")
        os.chmod(make, 0o755)
        given, lines, _ = run(".ci/run", path=folder)
        return given, lines.splitlines()[-1]

    def test_its_last_line_and_its_exit_code_agree_however_it_ends(self):
        rows = [(r"=== summary\n5 passed, 0 failed\n", 0, (0, "5 passed, 0 failed")),
                (r"5 passed, 2 failed\nmake: *** [Makefile:1: test] Error 1\n", 2,
                 (2, "5 passed, 2 failed")),
                (r"48 passed, 0 failed\n5 passed, 2 failed\nmake: ***\n", 2, (2, "5 passed, 2 failed")),
                (r"48 passed, 0 failed\nmake: *** Killed\n", 2, (2, "48 passed, 1 failed")),
                (r"5 passed, 0 failed, 2 skipped\n", 0, (0, "5 passed, 0 failed, 2 skipped")),
                (r"5 passed, 1 failed, 2 skipped\nmake: ***\n", 2, (2, "5 passed, 1 failed, 2 skipped")),
                (r"5 passed, 0 failed, 2 skipped\nmake: *** Killed\n", 2,
                 (2, "5 passed, 1 failed, 2 skipped")),
                (r"CMake Error\n", 2, (2, "0 passed, 1 failed"))]
        for output, code, expected in rows:
            with self.subTest(output):
                self.assertEqual(self.closing(output, code), expected)


if __name__ == "__main__":
    unittest.main()
