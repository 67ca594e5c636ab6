#!/usr/bin/python3
"""Runs integration and client tests, each file in a process of its own.

    tests/integration/run.py [--jobs N] [--list] [--without name,…] [name…]

A name selects files whose path contains it. Prints each file's time and counts, the output of files
that failed, and at last one line "N passed, N failed[, N skipped]". Exit code 0 only when nothing
failed and something ran. A file may state `TIME_LIMIT_S = 600` (default 300), and `BESIDE = 0` when
what it measures would feel another one beside it: such files run one by one, after the others. With
`BESIDE = 1` one other may run. Where CROSSFADE_TEST_SLOWNESS widens limits it is one other, and any.
"""

import argparse
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
DEFAULT_LIMIT_S = 300


class Counts(unittest.TextTestResult):
    """Counts a test once, however many of its subtests failed."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.succeeded = 0
        self.slowest = []
        self._began = 0.0

    def startTest(self, test):
        self._began = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        self.slowest.append((time.monotonic() - self._began, test.id()))
        super().stopTest(test)

    def addSuccess(self, test):
        self.succeeded += 1
        super().addSuccess(test)


def run_one(path, result_path):
    """In the child: runs one file and writes its counts."""
    sys.path[:0] = [HERE, os.path.dirname(path)]
    suite = unittest.defaultTestLoader.loadTestsFromName(os.path.basename(path)[:-len(".py")])
    runner = unittest.TextTestRunner(resultclass=Counts, verbosity=1, stream=sys.stdout)
    result = runner.run(suite)
    failed = {getattr(test, "test_case", test).id()
              for test, _ in result.failures + result.errors}
    failed |= {test.id() for test in result.unexpectedSuccesses}
    with open(result_path, "w", encoding="utf-8") as file:
        json.dump({"passed": result.succeeded, "failed": len(failed),
                   "skipped": len(result.skipped), "names": sorted(failed),
                   "cpu": cpu_seconds(), "slowest": sorted(result.slowest, reverse=True)[:5]}, file)


def cpu_seconds():
    """What this process and its children that have ended took: on a busy machine much the same."""
    usages = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def source_of(path):
    with open(path, encoding="utf-8") as source:
        return source.read()


def slowness():
    return float(os.environ.get("CROSSFADE_TEST_SLOWNESS", "1"))


def limit_s(path):
    found = re.search(r"^TIME_LIMIT_S = (\d+)", source_of(path), re.M)
    return int(found[1]) if found else DEFAULT_LIMIT_S


def most_at_once(path, jobs):
    """How many files may run while this one does, itself included."""
    found = re.search(r"^BESIDE = ([01])$", source_of(path), re.M)
    beside = int(found[1]) + int(slowness() > 1) if found else jobs
    return min(beside + 1, jobs) if beside < 2 else jobs


class Run:
    """One file under way."""

    def __init__(self, path, folder):
        self.path = path
        self.name = os.path.relpath(path, TESTS)
        stem = self.name.replace(os.sep, "_")
        self.result_path = os.path.join(folder, stem + ".json")
        self.output_path = os.path.join(folder, stem + ".out")
        self.limit_s = limit_s(path) * slowness()
        self.began = time.monotonic()
        self.timed_out = False
        with open(self.output_path, "wb") as output:
            from children import spawn
            self.child = spawn([sys.executable, os.path.abspath(__file__), "--one", path,
                                self.result_path], stdout=output, stderr=subprocess.STDOUT)

    def done(self):
        if self.child.poll() is not None:
            return True
        if time.monotonic() - self.began > self.limit_s:
            self.timed_out = True
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
            return True
        return False

    def counts(self):
        try:
            with open(self.result_path, encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            what = "time limit" if self.timed_out else f"ended with {self.child.returncode}"
            return {"passed": 0, "failed": 1, "skipped": 0, "names": [what], "cpu": 0, "slowest": []}


def report(run, counts, verbose):
    seconds = time.monotonic() - run.began
    verdict = "ok    " if counts["failed"] == 0 else "FAILED"
    print(f"{verdict} {run.name}: {counts['passed']} passed, {counts['failed']} failed, "
          f"{counts['skipped']} skipped in {seconds:.1f} s ({counts['cpu']:.1f} s of CPU)", flush=True)
    if verbose:
        for taken, name in counts["slowest"]:
            print(f"         {taken:6.2f} s  {name}")
    if counts["failed"]:
        with open(run.output_path, encoding="utf-8", errors="replace") as output:
            text = output.read()
        print(text if len(text) < 60_000 else text[:20_000] + "\n[…]\n" + text[-40_000:])
        print("failed: " + ", ".join(counts["names"][:50]), flush=True)


def find_files(names, without, folders):
    found = []
    for folder in folders:
        root = os.path.join(TESTS, folder)
        if os.path.isdir(root):
            found += [os.path.join(root, file) for file in sorted(os.listdir(root))
                      if file.endswith("_test.py")]
    if names:
        found = [path for path in found
                 if any(name in os.path.relpath(path, TESTS) for name in names)]
    left_out = [path for path in found
                if any(name in os.path.relpath(path, TESTS) for name in without)]
    if left_out:
        print("left out:", *(os.path.relpath(path, TESTS) for path in left_out), flush=True)
    return [path for path in found if path not in left_out]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--jobs", type=int, default=2, help="files at once (default 2)")
    parser.add_argument("--without", default="", help="names of files to leave out, by commas")
    parser.add_argument("--folders", default="integration,clients",
                        help="folders of tests/ in which files are looked for, by commas")
    parser.add_argument("--list", action="store_true", help="print the files and leave")
    parser.add_argument("--verbose", action="store_true", help="also the slowest tests of each file")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, HERE)
    if options.one:
        return run_one(*options.names)
    without = [name for name in options.without.split(",") if name]
    paths = find_files(options.names, without, options.folders.split(","))
    most = {path: most_at_once(path, options.jobs) for path in paths}
    # The long ones first, so that nobody waits for one of them at last.
    files = sorted(most, key=lambda path: (-most[path], -limit_s(path)))
    if options.list:
        print("\n".join(os.path.relpath(path, TESTS) for path in files))
        return 0
    from children import temp_folder
    folder = temp_folder("run")
    waiting, running = list(files), []
    total = {"passed": 0, "failed": 0, "skipped": 0}
    while waiting or running:
        while waiting and len(running) < most[waiting[0]]:
            running.append(Run(waiting.pop(0), folder))
        for run in [run for run in running if run.done()]:
            running.remove(run)
            counts = run.counts()
            report(run, counts, options.verbose)
            for key in total:
                total[key] += counts[key]
        time.sleep(0.02)
    skipped = f", {total['skipped']} skipped" if total["skipped"] else ""
    print(f"{total['passed']} passed, {total['failed']} failed{skipped}")
    return 0 if total["failed"] == 0 and total["passed"] > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
