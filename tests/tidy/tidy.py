#!/usr/bin/python3
"""Checks the repository's own rules over its source text. Closes with "N passed, N failed".

    tests/tidy/tidy.py            all rules, after the rules' own self-test
    tests/tidy/tidy.py --clang    also clang-tidy over build/release's compile commands (slow)

A rule that holds everywhere counts as one test, and so does its self-test.
"""

import subprocess
import sys

import docs_rules
import selftest
import source_rules
import tool_rules
from tree import ROOT, of_kind, read_tree


def clang_tidy(files):
    sources = [path for path, _ in of_kind(files, (".cc",), ("protocols/", "strategies/", "proxy/",
                                                             "control/", "movement/"))]
    return subprocess.run(["clang-tidy", "-p", str(ROOT / "build/release"), "--quiet", *sources],
                          cwd=ROOT, check=False).returncode == 0


def main(arguments):
    passed = failed = 0
    for name, complaint in selftest.run():
        if complaint:
            failed += 1
            print(f"FAILED self-test of {name}: {complaint}")
        else:
            passed += 1
    files = read_tree()
    for rule in source_rules.RULES + docs_rules.RULES + tool_rules.RULES:
        findings = list(rule(files))
        if findings:
            failed += 1
            print(f"FAILED {rule.__name__.replace('_', ' ')}")
            for finding in findings:
                print(f"  {finding}")
        else:
            passed += 1
    if "--clang" in arguments:
        good = clang_tidy(files)
        passed, failed = passed + int(good), failed + int(not good)
    for path, lines in source_rules.long_files(files):
        print(f"warning: {path} has {lines} lines; does it still have one task?")
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
